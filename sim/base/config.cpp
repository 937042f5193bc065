#include "sim/base/config.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

namespace disagg {
namespace {

constexpr std::uintmax_t kLargestFile = 16U << 20U;  // a scenario is written by hand; more is a wrong file
constexpr std::size_t kDeepest = 64;
constexpr std::size_t kMostProblems = 50;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Offsets of all tokens that a parser reports, in the order in which it reports them.
std::vector<std::size_t> token_offsets(std::string_view text) {
  std::vector<std::size_t> offsets;
  for (std::size_t i = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0; i < text.size();) {
    const char c = text[i];
    if (c == '/' && i + 1 < text.size() && text[i + 1] == '/') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '/' && i + 1 < text.size() && text[i + 1] == '*') {
      const auto end = text.find("*/", i + 2);
      i = end == std::string_view::npos ? text.size() : end + 2;
    } else if (c == '"') {
      offsets.push_back(i++);
      while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2U : 1U;
      ++i;
    } else if (c == '{' || c == '}' || c == '[' || c == ']') {
      offsets.push_back(i++);
    } else if (std::string_view(" \t\r\n,:").find(c) != std::string_view::npos) {
      ++i;
    } else {
      offsets.push_back(i);
      i = std::min(text.find_first_of(" \t\r\n,:{}[]\"/", i + 1), text.size());
    }
  }
  return offsets;
}

// Builds the tree of nodes from the library's events and gives every value its place in the text.
class TreeBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeBuilder(std::string_view text, std::string_view name)
      : text_(text), file_(std::make_shared<const std::string>(name)), offsets_(token_offsets(text)) {}

  bool null() override { return place({}); }
  bool boolean(bool value) override {
    ConfigNode node;
    node.kind = ConfigNode::Kind::boolean;
    node.boolean = value;
    return place(std::move(node));
  }
  bool number_integer(number_integer_t value) override {
    return number(static_cast<double>(value), std::to_string(value), true);
  }
  bool number_unsigned(number_unsigned_t value) override {
    return number(static_cast<double>(value), std::to_string(value), true);
  }
  bool number_float(number_float_t value, const string_t& written) override {
    return number(value, written, false);
  }
  bool string(string_t& value) override {
    ConfigNode node;
    node.kind = ConfigNode::Kind::string;
    node.text = value;
    return place(std::move(node));
  }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& value) override {
    const Location where = next();
    if (!keys_.back().insert(value).second)
      return refuse(where, "key '" + value + "' stands twice in one object");
    open_.back()->members.push_back({value, where, {}, false});
    return true;
  }
  bool start_object(std::size_t) override { return open(ConfigNode::Kind::object); }
  bool start_array(std::size_t) override { return open(ConfigNode::Kind::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 2, column 3: syntax error ..."
    std::string what = error.what();
    if (const auto id = what.find("] "); id != std::string::npos) what = what.substr(id + 2);
    if (const auto place = what.find(": "); what.starts_with("parse error at") && place != std::string::npos)
      what = what.substr(place + 2);
    // What it quotes may be long and no text; the place says as much.
    if (const auto quote = what.find("; last read: '"); quote != std::string::npos)
      what.erase(quote, what.rfind('\'') + 1 - quote);
    const std::size_t at = std::min(position > 0 ? position - 1 : 0, text_.size());
    return refuse(location(std::max(at, seen_)), what);
  }

  ConfigNode take() {
    if (!error_.empty()) throw ConfigError(error_);
    return std::move(root_);
  }

 private:
  // Precondition: `offset` is not before that of an earlier call.
  Location location(std::size_t offset) {
    for (; seen_ < offset; ++seen_) {
      if (text_[seen_] != '\n') continue;
      ++line_;
      line_start_ = seen_ + 1;
    }
    return {file_, line_, static_cast<int>(offset - line_start_ + 1)};
  }
  Location next() { return token_ < offsets_.size() ? location(offsets_[token_++]) : location(text_.size()); }
  bool refuse(const Location& where, const std::string& what) {
    error_ = where.text() + ": " + what;
    return false;
  }
  bool number(double value, std::string written, bool integral) {
    ConfigNode node;
    node.kind = ConfigNode::Kind::number;
    node.number = value;
    node.integral = integral;
    node.text = std::move(written);
    return place(std::move(node));
  }
  ConfigNode& slot() {
    if (open_.empty()) return root_;
    ConfigNode& parent = *open_.back();
    if (parent.kind == ConfigNode::Kind::object) return parent.members.back().value;
    return parent.items.emplace_back();
  }
  bool place(ConfigNode node) {
    node.where = next();
    slot() = std::move(node);
    return true;
  }
  bool open(ConfigNode::Kind kind) {
    ConfigNode& node = slot();
    node.kind = kind;
    node.where = next();
    if (open_.size() >= kDeepest) return refuse(node.where, "is nested more than 64 levels deep");
    open_.push_back(&node);
    keys_.emplace_back();
    return true;
  }
  bool close() {
    next();
    open_.pop_back();
    keys_.pop_back();
    return true;
  }

  std::string_view text_;
  std::shared_ptr<const std::string> file_;
  std::vector<std::size_t> offsets_;
  std::size_t token_ = 0;
  std::size_t seen_ =
      text_.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;  // how far lines are counted
  std::size_t line_start_ = seen_;
  int line_ = 1;
  ConfigNode root_;
  std::vector<ConfigNode*> open_;
  std::vector<std::unordered_set<std::string>> keys_;  // of each open object
  std::string error_;
};

ConfigNode parse(std::string_view text, std::string_view name) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw ConfigError(std::string(name) + ": is empty; a scenario is a JSON object");
  TreeBuilder builder(text, name);
  nlohmann::json::sax_parse(text, &builder, nlohmann::json::input_format_t::json, true, true);
  return builder.take();
}

std::string read_file(const std::filesystem::path& file, const std::string& mentioned) {
  std::error_code error;
  if (!std::filesystem::exists(file, error))
    throw ConfigError(mentioned + "there is no file '" + file.string() + "'");
  if (!std::filesystem::is_regular_file(file, error))
    throw ConfigError(mentioned + "'" + file.string() + "' is not a regular file");
  const auto size = std::filesystem::file_size(file, error);
  if (error || size > kLargestFile)
    throw ConfigError(file.string() + ": is larger than 16 MiB; that is no scenario");
  std::ifstream in(file, std::ios::binary);
  if (!in) throw ConfigError(mentioned + "cannot read '" + file.string() + "'");
  return {std::istreambuf_iterator<char>(in), {}};
}

ConfigNode load(const std::filesystem::path& file, const std::string& mentioned,
                std::vector<std::filesystem::path>& chain) {
  std::error_code error;
  const auto identity = std::filesystem::weakly_canonical(file, error);
  if (std::find(chain.begin(), chain.end(), identity) != chain.end()) {
    std::string loop;
    for (const auto& step : chain) loop += step.filename().string() + " -> ";
    throw ConfigError(mentioned + "\"extends\" is cyclic: " + loop + identity.filename().string());
  }
  chain.push_back(identity);
  ConfigNode node = parse(read_file(file, mentioned), file.string());
  if (node.kind != ConfigNode::Kind::object)
    throw ConfigError(node.where.text() + ": a scenario is a JSON object");
  const auto extends = std::find_if(node.members.begin(), node.members.end(),
                                    [](const auto& m) { return m.key == "extends"; });
  if (extends != node.members.end()) {
    if (extends->value.kind != ConfigNode::Kind::string)
      throw ConfigError(extends->value.where.text() + ": extends: expects a file name");
    ConfigNode base =
        load(file.parent_path() / extends->value.text, extends->value.where.text() + ": extends: ", chain);
    node.members.erase(extends);
    merge_config(base, std::move(node));
    node = std::move(base);
  }
  chain.pop_back();
  return node;
}

// A value as written on a command line or as a default: JSON if it is, else a plain string.
ConfigNode parse_value(std::string_view text, const std::string& origin) {
  const Location where{std::make_shared<const std::string>(origin), 0, 0};
  ConfigNode node;
  if (nlohmann::json::accept(text)) {
    node = parse(text, origin);
  } else {
    node.kind = ConfigNode::Kind::string;
    node.text = text;
  }
  node.where = where;
  return node;
}

void write_string(std::string& out, const std::string& text) {
  out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void write(std::string& out, const ConfigNode& node, const std::string& indent, bool absolute_paths) {
  using Kind = ConfigNode::Kind;
  const std::string deeper = indent + "  ";
  switch (node.kind) {
    case Kind::null:
      out += "null";
      break;
    case Kind::boolean:
      out += node.boolean ? "true" : "false";
      break;
    case Kind::number:
      out += node.text;
      break;
    case Kind::string:
      if (node.is_path && absolute_paths) {
        const auto folder = node.where.line > 0 ? std::filesystem::path(*node.where.file).parent_path()
                                                : std::filesystem::path{};
        write_string(out, std::filesystem::absolute(folder / node.text).lexically_normal().string());
      } else {
        write_string(out, node.text);
      }
      break;
    case Kind::array: {
      if (node.items.empty()) {
        out += "[]";
        break;
      }
      out += "[\n";
      for (std::size_t i = 0; i < node.items.size(); ++i) {
        out += deeper;
        write(out, node.items[i], deeper, absolute_paths);
        out += i + 1 < node.items.size() ? ",\n" : "\n";
      }
      out += indent + "]";
      break;
    }
    case Kind::object: {
      if (node.members.empty()) {
        out += "{}";
        break;
      }
      out += "{\n";
      for (const ConfigNode::Member& member : node.members) {
        out += deeper;
        write_string(out, member.key);
        out += ": ";
        write(out, member.value, deeper, absolute_paths);
        out += &member != &node.members.back() ? ",\n" : "\n";
      }
      out += indent + "}";
      break;
    }
  }
}

std::string_view kind_name(ConfigNode::Kind kind) {
  constexpr std::array<std::string_view, 6> kNames{"null",     "a boolean", "a number",
                                                   "a string", "an array",  "an object"};
  return kNames[static_cast<std::size_t>(kind)];
}

// A path leads into what was written as a word: it becomes the object that it is short for.
void lengthen(ConfigNode& node, std::string_view key, std::span<const Shorthand> shorthands) {
  ConfigNode word = node;
  node = {};
  node.kind = ConfigNode::Kind::object;
  node.where = word.where;
  const auto found = std::ranges::find(shorthands, key, &Shorthand::key);
  const std::string_view member = found == shorthands.end() ? "kind" : found->member;
  if (member.empty()) return;
  const Location where = word.where;
  node.members.push_back({std::string(member), where, std::move(word), false});
}

}  // namespace

std::string Location::text() const {
  const std::string name = file ? *file : "default";
  return line == 0 ? name : name + ":" + std::to_string(line) + ":" + std::to_string(column);
}

const ConfigNode* ConfigNode::find(std::string_view key) const {
  for (const Member& member : members)
    if (member.key == key) return &member.value;
  return nullptr;
}
ConfigNode* ConfigNode::find(std::string_view key) {
  return const_cast<ConfigNode*>(std::as_const(*this).find(key));
}

std::string ConfigNode::dump(bool absolute_paths) const {
  std::string out;
  write(out, *this, "", absolute_paths);
  return out + "\n";
}

ConfigNode load_config(const std::filesystem::path& file) {
  std::vector<std::filesystem::path> chain;
  return load(file, "", chain);
}

ConfigNode parse_config(std::string_view text, std::string_view name) { return parse(text, name); }

void merge_config(ConfigNode& base, ConfigNode over) {
  const bool objects = base.kind == ConfigNode::Kind::object && over.kind == ConfigNode::Kind::object;
  const ConfigNode* kind = over.find("kind");
  const ConfigNode* base_kind = base.find("kind");
  if (!objects || (kind != nullptr && base_kind != nullptr && kind->text != base_kind->text)) {
    base = std::move(over);
    return;
  }
  base.where = over.where;
  for (auto& member : over.members) {
    if (ConfigNode* existing = base.find(member.key)) {
      merge_config(*existing, std::move(member.value));
    } else {
      base.members.push_back(std::move(member));
    }
  }
}

void override_config(ConfigNode& root, std::string_view assignment, std::span<const Shorthand> shorthands) {
  const std::string origin = "--set " + std::string(assignment);
  const auto equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0)
    throw ConfigError(origin + ": expects PATH=VALUE, for example cluster.pools[1].replicas=4");
  const std::string_view path = assignment.substr(0, equals);
  if (std::count(path.begin(), path.end(), '.') + std::count(path.begin(), path.end(), '[') >=
      static_cast<std::ptrdiff_t>(kDeepest))
    throw ConfigError("--set: the path is more than 64 levels deep");
  ConfigNode* node = &root;
  for (std::size_t i = 0; i < path.size();) {
    const std::string here(path.substr(0, i));
    if (path[i] == '[') {
      const auto close = path.find(']', i);
      const std::string digits(path.substr(i + 1, close == std::string_view::npos ? 0 : close - i - 1));
      if (digits.empty() || digits.size() > 6 || digits.find_first_not_of("0123456789") != std::string::npos)
        throw ConfigError(origin + ": '" + std::string(path.substr(i)) + "' is not an index such as [1]");
      const std::size_t index = std::stoul(digits);
      if (node->kind != ConfigNode::Kind::array)
        throw ConfigError(origin + ": " + (here.empty() ? "the scenario" : here) + " is " +
                          std::string(kind_name(node->kind)) + ", not an array");
      if (index >= node->items.size())
        throw ConfigError(origin + ": " + here + " has no element " + digits + "; its length is " +
                          std::to_string(node->items.size()));
      node = &node->items[index];
      i = close + 1;
      continue;
    }
    if (i > 0 && path[i] != '.') throw ConfigError(origin + ": expects '.' or '[' behind '" + here + "'");
    if (i > 0) ++i;
    const auto end = std::min(path.find_first_of(".[", i), path.size());
    const std::string key(path.substr(i, end - i));
    if (key.empty()) throw ConfigError(origin + ": the path has an empty part");
    if (node->kind == ConfigNode::Kind::null) node->kind = ConfigNode::Kind::object;
    if (node->kind == ConfigNode::Kind::string) lengthen(*node, here.substr(here.rfind('.') + 1), shorthands);
    if (node->kind != ConfigNode::Kind::object)
      throw ConfigError(origin + ": " + here + " is " + std::string(kind_name(node->kind)) +
                        ", not an object");
    ConfigNode* next = node->find(key);
    if (next == nullptr) {
      const Location where{std::make_shared<const std::string>(origin), 0, 0};
      node->members.push_back({key, where, {}, false});
      next = &node->members.back().value;
      next->where = where;
    }
    node = next;
    i = end;
  }
  *node = parse_value(assignment.substr(equals + 1), origin);
}

void Problems::add(const Location& where, std::string_view path, std::string_view what) {
  if (++count_ > kMostProblems) return;
  lines_.push_back(where.text() + ": " + (path.empty() ? "" : std::string(path) + ": ") + std::string(what));
}

void Problems::throw_if_any() const {
  if (lines_.empty()) return;
  std::string all;
  for (const std::string& line : lines_) all += (all.empty() ? "" : "\n") + line;
  if (count_ > lines_.size()) all += "\n... and " + std::to_string(count_ - lines_.size()) + " more problems";
  throw ConfigError(all);
}

std::size_t Reader::choice(std::string_view key, std::span<const std::string_view> known,
                           std::optional<std::string_view> fallback) {
  const std::string word = fallback ? get_or<std::string>(key, *fallback) : get<std::string>(key);
  const auto found = std::find(known.begin(), known.end(), word);
  if (found != known.end()) return static_cast<std::size_t>(found - known.begin());
  if (!word.empty()) unknown(key, word, known);
  return 0;
}

std::string Reader::name(std::string_view key, std::optional<std::string_view> fallback) {
  std::string word = fallback ? get_or<std::string>(key, *fallback) : get<std::string>(key);
  const auto fits = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view(" ._-+").find(c) != std::string_view::npos;
  };
  if (word.size() > 100 || word.starts_with('.') || !std::all_of(word.begin(), word.end(), fits))
    fail(key,
         "is no name: expects at most 100 letters, digits, blanks and \"._-+\", not starting with a dot");
  return word;
}

std::filesystem::path Reader::file(std::string_view key) {
  ConfigNode* value = required(key);
  if (value == nullptr) return {};
  const std::string name = read_string(*value, child_path(key));
  value->is_path = true;
  if (value->where.line == 0) return name;
  return std::filesystem::path(*value->where.file).parent_path() / name;
}

std::optional<Reader> Reader::object(std::string_view key) {
  if (required(key) == nullptr) return std::nullopt;
  return find_object(key);
}

std::optional<Reader> Reader::find_object(std::string_view key) {
  ConfigNode* value = optional(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind != ConfigNode::Kind::object) {
    problems_->add(value->where, child_path(key),
                   "expects an object, not " + std::string(kind_name(value->kind)));
    return std::nullopt;
  }
  return Reader(*value, child_path(key), *problems_);
}

std::optional<Reader> Reader::object_or_empty(std::string_view key) {
  with_default(key, "{}");
  return find_object(key);
}

std::optional<Reader> Reader::variant(std::string_view key, std::optional<std::string_view> fallback_kind) {
  ConfigNode* value = fallback_kind ? &with_default(key, *fallback_kind) : required(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind == ConfigNode::Kind::string) {
    ConfigNode word = *value;
    value->kind = ConfigNode::Kind::object;
    value->text.clear();
    value->members.push_back({"kind", word.where, std::move(word), false});
  } else if (fallback_kind && value->kind == ConfigNode::Kind::object && value->find("kind") == nullptr) {
    ConfigNode word;
    word.kind = ConfigNode::Kind::string;
    word.where = value->where;
    word.text = *fallback_kind;
    value->members.push_front({"kind", word.where, std::move(word), false});
  }
  return find_object(key);
}

std::vector<Reader> Reader::objects(std::string_view key, bool required_key) {
  std::vector<Reader> readers;
  ConfigNode* value = required_key ? required(key) : optional(key);
  if (value == nullptr) return readers;
  if (value->kind != ConfigNode::Kind::array) {
    problems_->add(value->where, child_path(key),
                   "expects an array of objects, not " + std::string(kind_name(value->kind)));
    return readers;
  }
  for (std::size_t i = 0; i < value->items.size(); ++i)
    readers.emplace_back(value->items[i], child_path(key) + "[" + std::to_string(i) + "]", *problems_);
  return readers;
}

std::vector<std::string> Reader::keys() const {
  std::vector<std::string> keys;
  for (const auto& member : node_->members) keys.push_back(member.key);
  return keys;
}

void Reader::fail(std::string_view key, std::string_view what) {
  const ConfigNode* value = key.empty() ? nullptr : node_->find(key);
  problems_->add(value ? value->where : node_->where, key.empty() ? path_ : child_path(key), what);
}

void Reader::unknown(std::string_view key, std::string_view word, std::span<const std::string_view> known) {
  fail(key, unknown_word(word, known));
}

void Reader::done() {
  if (node_->kind != ConfigNode::Kind::object) return;
  std::vector<std::string_view> known;
  for (const auto& member : node_->members)
    if (member.used) known.push_back(member.key);
  for (const auto& name : asked_) known.push_back(name);
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  for (const auto& member : node_->members)
    if (!member.used) problems_->add(member.where, path_, "key " + unknown_word(member.key, known));
}

bool Reader::read_bool(const ConfigNode& value, const std::string& path) {
  if (value.kind != ConfigNode::Kind::boolean)
    problems_->add(value.where, path, "expects true or false, not " + std::string(kind_name(value.kind)));
  return value.boolean;
}

std::int64_t Reader::read_integer(const ConfigNode& value, const std::string& path, Range range) {
  const bool fits = value.kind == ConfigNode::Kind::number && value.number == std::floor(value.number) &&
                    std::abs(value.number) < 9e15;
  if (!fits) {
    problems_->add(
        value.where, path,
        "expects a whole number, not " +
            (value.kind == ConfigNode::Kind::number ? value.text : std::string(kind_name(value.kind))));
    return 0;
  }
  check_range(value.number, value.where, path, range);
  return static_cast<std::int64_t>(value.number);
}

double Reader::read_number(const ConfigNode& value, const std::string& path, Range range) {
  if (value.kind != ConfigNode::Kind::number) {
    problems_->add(value.where, path, "expects a number, not " + std::string(kind_name(value.kind)));
    return 0;
  }
  check_range(value.number, value.where, path, range);
  return value.number;
}

std::string Reader::read_string(const ConfigNode& value, const std::string& path) {
  if (value.kind != ConfigNode::Kind::string) {
    problems_->add(value.where, path, "expects a string, not " + std::string(kind_name(value.kind)));
    return {};
  }
  if (value.text.empty()) problems_->add(value.where, path, "is empty");
  return value.text;
}

double Reader::read_quantity(const ConfigNode& value, const std::string& path, Range range,
                             std::span<const Unit> units) {
  if (value.kind != ConfigNode::Kind::string) {
    problems_->add(value.where, path,
                   "expects a string with a unit such as \"10 " + std::string(units.front().name) +
                       "\", not " + std::string(kind_name(value.kind)));
    return 0;
  }
  std::string why;
  const auto number = parse_quantity(value.text, units, why);
  if (!number) {
    problems_->add(value.where, path, why);
    return 0;
  }
  check_range(*number, value.where, path, range);
  return *number;
}

void Reader::check_range(double number, const Location& where, const std::string& path, Range range) {
  switch (range) {
    case Range::any:
      return;
    case Range::non_negative:
      if (number < 0) problems_->add(where, path, "must not be negative");
      return;
    case Range::positive:
      if (number <= 0) problems_->add(where, path, "must be greater than zero");
      return;
    case Range::fraction:
      if (number <= 0 || number > 1) problems_->add(where, path, "must be greater than 0 and at most 1");
      return;
    case Range::unit:
      if (number < 0 || number > 1) problems_->add(where, path, "must be between 0 and 1");
      return;
  }
}

void Reader::require_object() {
  if (node_->kind != ConfigNode::Kind::object)
    problems_->add(node_->where, path_, "expects an object, not " + std::string(kind_name(node_->kind)));
}

ConfigNode* Reader::optional(std::string_view key) {
  if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) asked_.emplace_back(key);
  for (auto& member : node_->members) {
    if (member.key != key) continue;
    member.used = true;
    return &member.value;
  }
  return nullptr;
}

ConfigNode* Reader::required(std::string_view key) {
  ConfigNode* value = optional(key);
  if (value == nullptr && node_->kind == ConfigNode::Kind::object)
    problems_->add(node_->where, path_, "'" + std::string(key) + "' is missing");
  return value;
}

ConfigNode& Reader::with_default(std::string_view key, std::string_view fallback) {
  if (ConfigNode* value = optional(key)) return *value;
  node_->members.push_back({std::string(key), node_->where, parse_value(fallback, "default"), true});
  ConfigNode& value = node_->members.back().value;
  value.where = node_->where;  // what is wrong with a default is wrong with the object that leaves it at that
  return value;
}

std::string Reader::child_path(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

}  // namespace disagg
