#include "workloads/kv_cache_tester.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "sim/base/hash.hpp"
#include "sim/base/text.hpp"
#include "workloads/compressed_file.hpp"
#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

using nlohmann::json;

constexpr std::uint64_t kIdsEach = std::uint64_t{1} << 32U;
// Ids below are of shared prefixes.
constexpr std::uint64_t kFirstSession = std::uint64_t{1} << 20U;
constexpr std::size_t kLargestFile = std::size_t{1} << 30U;

constexpr auto kSessionFields = std::to_array<std::string_view>(
    {"id", "models", "block_size", "hash_id_scope", "tool_tokens", "system_tokens", "requests", "totals"});
constexpr auto kCallFields =
    std::to_array<std::string_view>({"t", "type", "model", "in", "out", "hash_ids", "input_types",
                                     "output_types", "stop", "api_time", "ttft", "think_time"});
constexpr auto kSubAgentFields =
    std::to_array<std::string_view>({"t", "type", "agent_id", "duration_ms", "models", "requests", "status",
                                     "system_tokens", "tool_tokens", "tool_use_count", "total_tokens"});
// Of sub-agents, which may start some themselves. Nobody has seen more than one level.
constexpr int kMostLevels = 16;

// One session file, with messages that name the place in it.
class SessionFile {
 public:
  SessionFile(const std::filesystem::path& file, bool shared_prefix, std::uint64_t index,
              std::unordered_map<std::uint64_t, std::uint64_t>& prefixes, TokenCount& block_size)
      : file_(file), offset_((kFirstSession + index) * kIdsEach), prefixes_(prefixes) {
    const auto in = open_decompressed(file);
    std::array<char, 1U << 16U> buffer{};
    while (in->read(buffer.data(), buffer.size()), in->gcount() > 0) {
      text_.append(buffer.data(), static_cast<std::size_t>(in->gcount()));
      if (text_.size() > kLargestFile) fail("", "is larger than 1 GiB");
    }
    if (in->bad() || text_.empty()) fail("", "is empty, damaged or cut off: it cannot be read to its end");
    json root;
    try {
      root = json::parse(text_);
    } catch (const json::exception& error) {
      // The message ends with what was expected, behind the place.
      const std::string what = error.what();
      throw ConfigError(file_.string() + ": is not the JSON of a kv-cache-tester session: " +
                        printable(what.substr(what.find(']') == std::string::npos ? 0 : what.find(']') + 2)));
    }
    require(root, json::value_t::object, "", "an object");
    known(root, "", kSessionFields);
    block_ = tokens(root, "", "block_size", 1);
    if (block_size == 0) block_size = block_;
    if (block_ != block_size)
      fail("", "block_size is " + std::to_string(block_) + ", but " + std::to_string(block_size) +
                   " in the sessions before, whose hash ids cannot be compared with these");
    const TokenCount prefix = tokens(root, "", "tool_tokens", 0) + tokens(root, "", "system_tokens", 0);
    shared_blocks_ = shared_prefix ? prefix / block_ : 0;
    prefix_id_ = shared_id(root);
    std::vector<std::uint32_t> parents;
    read_calls(member(root, "", "requests"), "requests", parents, 0, 0);
    if (session_->turns.empty()) fail("requests", "is empty");
  }

  std::shared_ptr<const Session> session() const { return session_; }
  const std::string& text() const { return text_; }

 private:
  [[noreturn]] void fail(const std::string& path, const std::string& what) const {
    throw ConfigError(file_.string() + ": " + (path.empty() ? "" : path + ": ") + what);
  }
  void require(const json& value, json::value_t type, const std::string& path, std::string_view what) const {
    if (value.type() != type) fail(path, "expects " + std::string(what));
  }
  template <std::size_t n>
  void known(const json& object, const std::string& path,
             const std::array<std::string_view, n>& fields) const {
    for (const auto& [key, value] : object.items())
      // "agent_type", with whatever stands before it, says what a sub-agent is for.
      if (std::ranges::find(fields, key) == fields.end() && !key.ends_with("agent_type"))
        fail(path, "field " + unknown_word(printable(key), fields));
  }
  const json& member(const json& object, const std::string& path, const char* key) const {
    const auto found = object.find(key);
    if (found == object.end()) fail(path, "field '" + std::string(key) + "' is missing");
    return *found;
  }
  TokenCount tokens(const json& object, const std::string& path, const char* key, TokenCount least) const {
    const json& value = member(object, path, key);
    if (!value.is_number_integer() || value.get<double>() < static_cast<double>(least) ||
        value.get<double>() > static_cast<double>(kMostTokens))
      fail(path, std::string(key) + " is " + printable(value.dump()) + ", expects a whole number from " +
                     std::to_string(least) + " to " + std::to_string(kMostTokens));
    return value.get<TokenCount>();
  }
  Seconds seconds(const json& object, const std::string& path, const char* key) const {
    const auto found = object.find(key);
    if (found == object.end()) return {};
    if (!found->is_number() || found->get<double>() < 0 || found->get<double>() > 1e9)
      fail(path, std::string(key) + " is " + printable(found->dump()) + ", expects seconds from 0 to 1e9");
    return Seconds{found->get<double>()};
  }

  std::uint64_t shared_id(const json& agent) {
    const std::uint64_t key = Hash{}
                                  .add(member(agent, "", "tool_tokens").dump())
                                  .add("+")
                                  .add(member(agent, "", "system_tokens").dump())
                                  .value();
    return prefixes_.emplace(key, prefixes_.size() * kIdsEach).first->second;
  }

  // The calls of one agent, in order; `parents` are the calls that the next one waits for.
  void read_calls(const json& calls, const std::string& path, std::vector<std::uint32_t>& parents,
                  std::uint32_t agent, int level) {
    if (level > kMostLevels)
      fail("", "sub-agents are nested more than " + std::to_string(kMostLevels) + " deep");
    require(calls, json::value_t::array, path, "an array");
    Trigger trigger = Trigger::user;
    std::optional<std::uint32_t> before;  // of the same agent
    std::optional<Seconds> joined;        // when the last of the sub-agents since has ended
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const json& call = calls[i];
      const std::string place = path + "[" + std::to_string(i) + "]";
      require(call, json::value_t::object, place, "an object");
      const json& type = member(call, place, "type");
      // A sub-agent is told by the calls that it holds.
      if (call.contains("requests")) {
        known(call, place, kSubAgentFields);
        std::vector<std::uint32_t> chain;
        if (before) chain.push_back(*before);
        read_calls(member(call, place, "requests"), place + ".requests", chain, ++agents_, level + 1);
        const Seconds ended = seconds(call, place, "t");
        joined = std::max(joined.value_or(ended), ended);
        if (!chain.empty() && chain != std::vector<std::uint32_t>{before.value_or(0)})
          parents.insert(parents.end(), chain.begin(), chain.end());
        continue;
      }
      if (type != "n" && type != "s")
        fail(place,
             "type is " + printable(type.dump()) + ", expects \"n\", \"s\", or the requests of a sub-agent");
      known(call, place, kCallFields);
      Turn turn;
      turn.prompt_tokens = tokens(call, place, "in", 1);
      // An answer of no tokens, as of a call that was broken off, still takes a step.
      turn.output_tokens = std::max<TokenCount>(tokens(call, place, "out", 0), 1);
      turn.parents = std::move(parents);
      turn.trigger = trigger;
      turn.agent = agent;
      Seconds gap = seconds(call, place, "think_time");
      // A sub-agent's "t" is its end, and the think_time of the call that it returns to holds its run.
      if (joined) gap = std::clamp(seconds(call, place, "t") - *joined, Seconds{}, gap);
      joined.reset();
      (trigger == Trigger::tool ? turn.tool : turn.think) = gap;
      turn.content = content(member(call, place, "hash_ids"), place, turn);
      if (before) show_output(*before, turn);
      session_->turns.push_back(std::move(turn));
      before = static_cast<std::uint32_t>(session_->turns.size() - 1);
      parents = {*before};
      // Where it is not recorded people are next: the gaps behind such calls (half of them above 122 s) are
      // those behind "end_turn" (138 s), not those behind "tool_use" (9 s).
      const auto stop = call.find("stop");
      trigger = stop != call.end() && *stop == "tool_use" ? Trigger::tool : Trigger::user;
    }
  }

  // Also counts what no call of the session before had.
  std::shared_ptr<const PromptContent> content(const json& ids, const std::string& path, Turn& turn) {
    require(ids, json::value_t::array, path + ".hash_ids", "an array");
    const auto count = static_cast<std::int64_t>(ids.size());
    const std::int64_t whole = turn.prompt_tokens / block_;
    if (count < whole || count > whole + 1)
      fail(path, "hash_ids holds " + std::to_string(count) + " ids, expects one for each " +
                     std::to_string(block_) + " of " + std::to_string(turn.prompt_tokens) + " tokens");
    PromptContent said{
        .block_tokens = block_, .tokens = std::min(turn.prompt_tokens, count * block_), .ranges = {}};
    std::int64_t known_blocks = 0;
    bool all_known = true;
    for (std::int64_t i = 0; i < count; ++i) {
      const json& id = ids[static_cast<std::size_t>(i)];
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= kIdsEach)
        fail(path, "hash_ids holds " + printable(id.dump()) + ", expects whole numbers from 0 to 2^32 - 1");
      const auto number = id.get<std::uint64_t>();
      all_known = all_known && seen_.contains(number);
      known_blocks += all_known ? 1 : 0;
      if (i < shared_blocks_ && session_->turns.empty()) prefix_ids_.push_back(number);
      const bool shared = i < static_cast<std::int64_t>(prefix_ids_.size()) &&
                          prefix_ids_[static_cast<std::size_t>(i)] == number;
      said.append(shared ? prefix_id_ + static_cast<std::uint64_t>(i) : offset_ + number);
    }
    for (const json& id : ids) seen_.insert(id.get<std::uint64_t>());
    turn.appended_tokens = turn.prompt_tokens - std::min(known_blocks * block_, turn.prompt_tokens);
    return count == 0 ? nullptr : std::make_shared<const PromptContent>(std::move(said));
  }

  // Where the next prompt continues a turn's, the turn's output is what follows there, as far as whole blocks
  // tell.
  void show_output(std::uint32_t index, const Turn& next) {
    Turn& turn = session_->turns[index];
    if (turn.content == nullptr || next.content == nullptr) return;
    const TokenCount end =
        std::min({turn.prompt_tokens + turn.output_tokens, next.content->tokens}) / block_ * block_;
    const TokenCount same = turn.prompt_tokens / block_;
    if (end <= turn.content->tokens || same == 0) return;
    std::vector<std::uint64_t> before;
    PromptContent longer{.block_tokens = block_, .tokens = end, .ranges = {}};
    std::int64_t left = end / block_;
    for (const HashRange& range : next.content->ranges) {
      const std::int64_t taken = std::min(left, range.count);
      if (taken > 0) longer.append(HashRange{range.first, taken});
      left -= taken;
    }
    if (!begins_alike(*turn.content, longer, same)) return;
    turn.content = std::make_shared<const PromptContent>(std::move(longer));
  }
  static bool begins_alike(const PromptContent& a, const PromptContent& b, std::int64_t blocks) {
    std::size_t at = 0;
    std::int64_t used = 0;
    for (const HashRange& range : a.ranges) {
      for (std::int64_t i = 0; i < range.count && blocks > 0; ++i, --blocks) {
        while (at < b.ranges.size() && used == b.ranges[at].count) {
          ++at;
          used = 0;
        }
        if (at == b.ranges.size()) return false;
        if (range.first + static_cast<std::uint64_t>(i) !=
            b.ranges[at].first + static_cast<std::uint64_t>(used))
          return false;
        ++used;
      }
    }
    return true;
  }

  std::filesystem::path file_;
  std::uint64_t offset_;
  std::unordered_map<std::uint64_t, std::uint64_t>& prefixes_;
  std::string text_;
  TokenCount block_ = 1;
  std::int64_t shared_blocks_ = 0;
  std::uint64_t prefix_id_ = 0;
  std::vector<std::uint64_t> prefix_ids_;  // as this session has them
  std::shared_ptr<Session> session_ = std::make_shared<Session>();
  std::unordered_set<std::uint64_t> seen_;
  std::uint32_t agents_ = 0;
};

std::vector<std::filesystem::path> session_files(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".json") || name.ends_with(".json.zst") || name.ends_with(".json.gz"))
      files.push_back(entry.path());
  }
  std::ranges::sort(files);
  if (files.empty()) throw ConfigError(path.string() + ": holds no *.json, *.json.zst or *.json.gz");
  return files;
}

class KvCacheTesterSource final : public Source {
 public:
  KvCacheTesterSource(const KvCacheTesterTrace& trace, std::uint64_t seed)
      : trace_(trace), files_(session_files(trace.file)), random_(random_stream(seed, "arrivals")) {}

  std::optional<RequestSpec> next() override {
    if (given_ == files_.size()) return std::nullopt;
    const std::filesystem::path& path = files_[given_];
    const SessionFile file(path, trace_.shared_prefix, given_++, prefixes_, block_size_);
    hash_.add(file.text());
    RequestSpec request;
    request.arrival = std::visit([&](auto& a) { return a.next(random_); }, trace_.arrivals);
    request.session = file.session();
    return request;
  }
  const std::vector<std::string>& kinds() const override { return kinds_; }
  std::optional<std::int64_t> concurrency() const override {
    const auto* loop = std::get_if<ClosedLoop>(&trace_.arrivals);
    return loop == nullptr ? std::nullopt : std::optional(loop->concurrency);
  }
  double progress() const override {
    return static_cast<double>(given_) / static_cast<double>(files_.size());
  }
  std::string trace_hash() const override {
    return trace_.file.filename().string() + " (" + std::to_string(given_) +
           " sessions) fnv1a:" + hash_.hex();
  }
  std::vector<std::string> notes() const override {
    return {"of the sessions' files t, api_time, ttft and totals are not used: they are of another cluster"};
  }

 private:
  KvCacheTesterTrace trace_;
  std::vector<std::filesystem::path> files_;
  RandomEngine random_;
  std::unordered_map<std::uint64_t, std::uint64_t> prefixes_;  // ids of the shared prefixes
  TokenCount block_size_ = 0;                                  // of the first session
  std::vector<std::string> kinds_{"coding"};
  std::size_t given_ = 0;
  Hash hash_;
};

}  // namespace

KvCacheTesterTrace KvCacheTesterTrace::read(Reader& r) {
  KvCacheTesterTrace trace;
  trace.file = r.file("file");
  if (r.has("file") && !trace.file.empty() && !std::filesystem::exists(trace.file))
    r.fail("file", "there is no '" + trace.file.string() + "'");
  if (auto arrivals = read_arrivals(r)) trace.arrivals = *arrivals;
  trace.shared_prefix = r.get_or<bool>("shared_prefix", "true");
  return trace;
}

std::unique_ptr<Source> KvCacheTesterTrace::open(std::uint64_t seed) const {
  return std::make_unique<KvCacheTesterSource>(*this, seed);
}

}  // namespace disagg
