#include "workloads/session_trace.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/base/text.hpp"
#include "workloads/fields.hpp"
#include "workloads/json_cursor.hpp"
#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

using nlohmann::json;

constexpr auto kFields = std::to_array<std::string_view>(
    {"session_id", "request_id",   "wait_for",          "timestamp",        "tool_wait_ms",
     "delay",      "input_length", "output_length",     "reasoning_length", "appended_length",
     "kind",       "agent",        "trigger",           "patience_ms",      "first_of_parents",
     "hash_ids",   "hash_ranges",  "hash_block_tokens", "branches",         "prefix_reset",
     "priority",   "tool_events"});
constexpr auto kNotSimulated =
    std::to_array<std::string_view>({"branches", "prefix_reset", "priority", "tool_events"});
constexpr auto kHeaderFields =
    std::to_array<std::string_view>({"format", "version", "hash_block_tokens", "kinds"});
constexpr std::array<std::string_view, 3> kTriggers{"user", "tool", "client"};
constexpr std::string_view kFormat = "disagg-sessions";
constexpr double kLatestMilliseconds = 1e12;

// One row, with messages that say what is wrong in it.
class Row {
 public:
  explicit Row(std::string_view line) {
    if (!line.starts_with('{')) throw JsonLineError("expects a JSON object, not " + in_quotes(line));
    try {
      json_ = json::parse(line);
    } catch (const json::exception& error) {
      const std::string what = error.what();
      const std::size_t place = what.find("column ");
      throw JsonLineError("is not JSON: " +
                          printable(place == std::string::npos ? what : what.substr(place)));
    }
    if (!json_.is_object()) throw JsonLineError("expects a JSON object");
  }

  template <std::size_t n>
  void known(const std::array<std::string_view, n>& fields) const {
    for (const auto& [key, value] : json_.items())
      if (std::ranges::find(fields, key) == fields.end())
        throw JsonLineError("field " + unknown_word(printable(key), fields));
  }
  bool has(const char* key) const { return json_.contains(key); }
  std::optional<std::string> text(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) return std::nullopt;
    if (!found->is_string()) wrong(key, *found, "a string");
    return found->get<std::string>();
  }
  bool flag(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) return false;
    if (!found->is_boolean()) wrong(key, *found, "true or false");
    return found->get<bool>();
  }
  std::optional<TokenCount> count(const char* key, TokenCount least) const {
    const auto found = json_.find(key);
    if (found == json_.end()) return std::nullopt;
    if (!found->is_number_integer() || found->get<double>() < static_cast<double>(least) ||
        found->get<double>() > static_cast<double>(kMostTokens))
      wrong(key, *found,
            "a whole number from " + std::to_string(least) + " to " + std::to_string(kMostTokens));
    return found->get<TokenCount>();
  }
  TokenCount required_count(const char* key, TokenCount least) const {
    const auto value = count(key, least);
    if (!value) throw JsonLineError("field '" + std::string(key) + "' is missing");
    return *value;
  }
  std::optional<Seconds> milliseconds(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) return std::nullopt;
    if (!found->is_number() || found->get<double>() < 0 || found->get<double>() > kLatestMilliseconds)
      wrong(key, *found, "milliseconds from 0 to 1e12");
    return Seconds{found->get<double>() / 1e3};
  }
  std::optional<std::vector<std::string>> texts(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) return std::nullopt;
    const bool fits =
        found->is_array() && std::ranges::all_of(*found, [](const json& v) { return v.is_string(); });
    if (!fits) wrong(key, *found, "an array of strings");
    return found->get<std::vector<std::string>>();
  }
  std::vector<std::uint64_t> ids(const char* key) const {
    const json& value = json_.at(key);
    const bool fits = value.is_array() && std::ranges::all_of(value, [](const json& v) {
                        return v.is_number_unsigned() && v.get<std::uint64_t>() <= kLargestHashId;
                      });
    if (!fits) wrong(key, value, "an array of whole numbers from 0 to 2^63 - 1");
    return value.get<std::vector<std::uint64_t>>();
  }

 private:
  [[noreturn]] static void wrong(const char* key, const json& value, const std::string& expected) {
    throw JsonLineError(std::string(key) + " is " +
                        printable(value.dump(-1, ' ', true, json::error_handler_t::replace)) + ", expects " +
                        expected);
  }

  json json_;
};

class SessionTraceSource final : public Source {
 public:
  explicit SessionTraceSource(const SessionTrace& trace)
      : lines_(trace.file, "a trace of sessions (JSON lines)"), block_tokens_(trace.hash_block_tokens) {
    read_row();
    if (row_ && row_->has("format")) {
      guarded([&] { read_header(*row_); });
      read_row();
    }
  }

  std::optional<RequestSpec> next() override {
    if (!row_) return std::nullopt;
    RequestSpec request;
    const auto name = session_id();
    if (name && !ended_.insert(*name).second)
      lines_.fail("session " + in_quotes(*name) + " goes on behind others; its rows must stand together");
    guarded([&] {
      row_->known(kFields);
      request.arrival = arrival(*row_);
      request.kind = kind(*row_);
    });
    if (!name) {
      guarded([&] {
        const Turn turn = read_turn(*row_);
        request.prompt_tokens = turn.prompt_tokens;
        request.output_tokens = turn.output_tokens;
        request.content = turn.content;
      });
      read_row();
      return request;
    }
    const auto session = std::make_shared<Session>();
    std::unordered_map<std::string, std::uint32_t> indices;
    do {
      guarded([&] { append(*row_, *session, indices); });
      read_row();
    } while (row_ && session_id() == name);
    request.session = session;
    return request;
  }
  const std::vector<std::string>& kinds() const override { return kinds_; }
  double progress() const override { return lines_.progress(); }
  std::string trace_hash() const override { return lines_.provenance(); }
  std::vector<std::string> notes() const override {
    std::vector<std::string> notes;
    if (!ignored_.empty()) {
      std::string note = "of the trace's fields these are not simulated:";
      for (const std::string& field : ignored_) note += " " + field;
      notes.push_back(note);
    }
    return notes;
  }

 private:
  template <class Read>
  void guarded(Read&& read) {
    try {
      read();
    } catch (const JsonLineError& error) {
      lines_.fail(error.what());
    }
  }
  void read_row() {
    row_.reset();
    if (const auto line = lines_.next()) guarded([&] { row_.emplace(*line); });
  }
  std::optional<std::string> session_id() {
    std::optional<std::string> id;
    guarded([&] { id = row_->text("session_id"); });
    return id;
  }

  void read_header(const Row& row) {
    row.known(kHeaderFields);
    if (row.text("format") != kFormat) throw JsonLineError("format is not \"" + std::string(kFormat) + "\"");
    if (row.required_count("version", 1) != 1) throw JsonLineError("version is not 1");
    if (const auto tokens = row.count("hash_block_tokens", 1)) block_tokens_ = *tokens;
    if (auto kinds = row.texts("kinds"); kinds && !kinds->empty()) kinds_ = std::move(*kinds);
    for (std::size_t i = 0; i < kinds_.size(); ++i)
      if (std::find(kinds_.begin(), kinds_.begin() + static_cast<std::ptrdiff_t>(i), kinds_[i]) !=
          kinds_.begin() + static_cast<std::ptrdiff_t>(i))
        throw JsonLineError("kinds names " + in_quotes(kinds_[i]) + " twice");
  }
  Seconds arrival(const Row& row) {
    const auto date = row.milliseconds("timestamp");
    if (!date) throw JsonLineError("field 'timestamp' is missing, which says when the session arrives");
    if (*date < last_) throw JsonLineError("timestamp is earlier than that of the session before");
    return last_ = *date;
  }
  std::uint32_t kind(const Row& row) const {
    const auto name = row.text("kind");
    if (!name) return 0;
    const auto found = std::ranges::find(kinds_, *name);
    const std::vector<std::string_view> known(kinds_.begin(), kinds_.end());
    if (found == kinds_.end()) throw JsonLineError("kind " + unknown_word(printable(*name), known));
    return static_cast<std::uint32_t>(found - kinds_.begin());
  }

  Turn read_turn(const Row& row) {
    Turn turn;
    turn.prompt_tokens = row.required_count("input_length", 1);
    turn.output_tokens = row.required_count("output_length", 1);
    turn.reasoning_tokens = row.count("reasoning_length", 0).value_or(0);
    if (turn.reasoning_tokens > turn.output_tokens)
      throw JsonLineError("reasoning_length is larger than output_length, of which it is a part");
    turn.appended_tokens = row.count("appended_length", 0).value_or(0);
    turn.agent = static_cast<std::uint32_t>(row.count("agent", 0).value_or(0));
    turn.tool = row.milliseconds("tool_wait_ms").value_or(Seconds{});
    turn.think = row.milliseconds("delay").value_or(Seconds{});
    turn.patience = row.milliseconds("patience_ms").value_or(kNever);
    turn.first_of_parents = row.flag("first_of_parents");
    turn.trigger = turn.tool > Seconds{} ? Trigger::tool : Trigger::user;
    if (const auto trigger = row.text("trigger")) {
      const auto found = std::ranges::find(kTriggers, *trigger);
      if (found == kTriggers.end())
        throw JsonLineError("trigger " + unknown_word(printable(*trigger), kTriggers));
      turn.trigger = static_cast<Trigger>(found - kTriggers.begin());
    }
    turn.content = content(row, turn);
    for (const std::string_view field : kNotSimulated)
      if (row.has(std::string(field).c_str())) ignored_.emplace(field);
    return turn;
  }

  std::shared_ptr<const PromptContent> content(const Row& row, const Turn& turn) {
    if (row.has("hash_ids") && row.has("hash_ranges"))
      throw JsonLineError("has both hash_ids and hash_ranges; one of them is enough");
    if (const auto tokens = row.count("hash_block_tokens", 1); tokens && *tokens != block_tokens_) {
      if (any_content_)
        throw JsonLineError("hash_block_tokens is " + std::to_string(*tokens) + ", but " +
                            std::to_string(block_tokens_) +
                            " on the rows before, whose hash ids cannot be compared with these");
      block_tokens_ = *tokens;
    }
    PromptContent content{.block_tokens = block_tokens_, .tokens = 0, .ranges = {}};
    std::int64_t blocks = 0;
    if (row.has("hash_ids")) {
      for (const std::uint64_t id : row.ids("hash_ids")) content.append(id);
    } else if (row.has("hash_ranges")) {
      const auto numbers = row.ids("hash_ranges");
      if (numbers.size() % 2 != 0) throw JsonLineError("hash_ranges expects pairs of a first id and a count");
      for (std::size_t i = 0; i < numbers.size(); i += 2) {
        if (numbers[i + 1] < 1 || numbers[i + 1] > static_cast<std::uint64_t>(2 * kMostTokens) ||
            numbers[i] > kLargestHashId - numbers[i + 1])
          throw JsonLineError("hash_ranges holds a count of " + std::to_string(numbers[i + 1]) +
                              " behind id " + std::to_string(numbers[i]) + ", which cannot be");
        content.append(HashRange{numbers[i], static_cast<std::int64_t>(numbers[i + 1])});
      }
    } else {
      return nullptr;
    }
    for (const HashRange& range : content.ranges) blocks += range.count;
    if (blocks == 0) return nullptr;
    any_content_ = true;
    const TokenCount most = turn.prompt_tokens + turn.output_tokens;
    const std::int64_t least = turn.prompt_tokens / block_tokens_;
    if (blocks < least || blocks - 1 >= (most + block_tokens_ - 1) / block_tokens_)
      throw JsonLineError("there are " + std::to_string(blocks) + " hash blocks of " +
                          std::to_string(block_tokens_) + " tokens for a prompt of " +
                          std::to_string(turn.prompt_tokens) + " and an output of " +
                          std::to_string(turn.output_tokens));
    const TokenCount whole = blocks * block_tokens_;
    const bool ends_with_prompt = whole >= turn.prompt_tokens && whole - block_tokens_ < turn.prompt_tokens;
    content.tokens = ends_with_prompt ? turn.prompt_tokens : std::min(whole, most);
    return std::make_shared<const PromptContent>(std::move(content));
  }

  void append(const Row& row, Session& session, std::unordered_map<std::string, std::uint32_t>& indices) {
    row.known(kFields);
    const auto index = static_cast<std::uint32_t>(session.turns.size());
    if (index > 0 && row.has("timestamp"))
      throw JsonLineError("timestamp stands on a session's first row only; later ones wait for others");
    if (index > 0 && row.has("kind") && kind(row) != kind_of_session_)
      throw JsonLineError("kind differs from that of the session's first row");
    if (index == 0) kind_of_session_ = kind(row);
    Turn turn = read_turn(row);
    if (const auto names = row.texts("wait_for")) {
      for (const std::string& name : *names) {
        const auto found = indices.find(name);
        if (found == indices.end())
          throw JsonLineError("wait_for names " + in_quotes(name) +
                              ", which is no request_id on an earlier row of the session");
        if (std::ranges::find(turn.parents, found->second) == turn.parents.end())
          turn.parents.push_back(found->second);
      }
    } else if (index > 0) {
      turn.parents = {index - 1};
    }
    if (const auto id = row.text("request_id"); id && !indices.emplace(*id, index).second)
      throw JsonLineError("request_id " + in_quotes(*id) + " stands twice in one session");
    session.turns.push_back(std::move(turn));
  }

  TraceLines lines_;
  TokenCount block_tokens_;
  bool any_content_ = false;  // any hash ids so far
  std::vector<std::string> kinds_{"request"};
  std::optional<Row> row_;  // the one read ahead
  Seconds last_{};
  std::uint32_t kind_of_session_ = 0;
  std::set<std::string> ended_;
  std::set<std::string> ignored_;
};

// `block_tokens` are those of the rows before, 0 when there was none: of the first one its own stand on the
// row.
void write_content(nlohmann::ordered_json& row, const PromptContent* content, TokenCount& block_tokens) {
  if (content == nullptr) return;
  if (block_tokens == 0) row["hash_block_tokens"] = block_tokens = content->block_tokens;
  if (content->block_tokens != block_tokens)
    throw ConfigError("the workload's prompts come in hash blocks of " + std::to_string(block_tokens) +
                      " and of " + std::to_string(content->block_tokens) +
                      " tokens, which cannot stand in one trace");
  nlohmann::ordered_json& numbers = row["hash_ranges"] = nlohmann::ordered_json::array();
  for (const HashRange& range : content->ranges) {
    numbers.push_back(range.first);
    numbers.push_back(range.count);
  }
}

}  // namespace

SessionTrace SessionTrace::read(Reader& r) {
  return {.file = read_trace_file(r),
          .hash_block_tokens = r.get_or<TokenCount>("hash_block_tokens", "512", Range::positive)};
}

std::unique_ptr<Source> SessionTrace::open(std::uint64_t /*seed*/) const {
  return std::make_unique<SessionTraceSource>(*this);
}

std::int64_t write_sessions(Source& source, std::ostream& out) {
  std::int64_t rows = 0;
  std::int64_t sessions = 0;
  const bool loop = source.concurrency().has_value();
  TokenCount block_tokens = 0;
  nlohmann::ordered_json header = {{"format", kFormat}, {"version", 1}};
  header["kinds"] = source.kinds();
  out << header.dump() << '\n';
  while (const auto request = source.next()) {
    if (request->session == nullptr) {
      nlohmann::ordered_json first;
      first["timestamp"] = loop ? 0 : request->arrival.si * 1e3;
      first["kind"] = source.kinds()[request->kind];
      first["input_length"] = request->prompt_tokens;
      first["output_length"] = request->output_tokens;
      write_content(first, request->content.get(), block_tokens);
      out << first.dump() << '\n';
      ++rows;
      continue;
    }
    const std::string id = "s" + std::to_string(sessions++);
    const std::vector<Turn>& turns = request->session->turns;
    for (std::uint32_t t = 0; t < turns.size(); ++t) {
      const Turn& turn = turns[t];
      nlohmann::ordered_json row;
      row["session_id"] = id;
      row["request_id"] = std::to_string(t);
      if (t == 0) {
        row["timestamp"] = loop ? 0 : request->arrival.si * 1e3;
        row["kind"] = source.kinds()[request->kind];
      } else if (turn.parents != std::vector<std::uint32_t>{t - 1}) {
        nlohmann::ordered_json& names = row["wait_for"] = nlohmann::ordered_json::array();
        for (const std::uint32_t parent : turn.parents) names.push_back(std::to_string(parent));
      }
      if (turn.tool > Seconds{}) row["tool_wait_ms"] = turn.tool.si * 1e3;
      if (turn.think > Seconds{}) row["delay"] = turn.think.si * 1e3;
      row["trigger"] = kTriggers[static_cast<std::size_t>(turn.trigger)];
      if (turn.agent > 0) row["agent"] = turn.agent;
      row["input_length"] = turn.prompt_tokens;
      row["output_length"] = turn.output_tokens;
      if (turn.reasoning_tokens > 0) row["reasoning_length"] = turn.reasoning_tokens;
      if (turn.appended_tokens > 0) row["appended_length"] = turn.appended_tokens;
      if (turn.patience != kNever) row["patience_ms"] = turn.patience.si * 1e3;
      if (turn.first_of_parents) row["first_of_parents"] = true;
      write_content(row, turn.content.get(), block_tokens);
      out << row.dump() << '\n';
      ++rows;
    }
  }
  return rows;
}

}  // namespace disagg
