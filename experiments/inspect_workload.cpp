#include "experiments/inspect_workload.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <set>
#include <vector>

#include "experiments/distribution.hpp"
#include "experiments/figures.hpp"
#include "experiments/scenario.hpp"
#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"
#include "sim/memory/prefix_tree.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

// What prompts find in a cache that forgets nothing, token by token.
class UnlimitedCache {
 public:
  // Tokens of the prompt that are there; from now on all of it is.
  TokenCount meet(const PromptContent& content, TokenCount prompt_tokens) {
    const TokenCount tokens = std::min(prompt_tokens, content.tokens);
    const PrefixHit hit = tree_.find(content, tokens, Seconds{});
    const auto held = tree_.lock(content, hit.tokens, Seconds{});
    tree_.unlock(tree_.insert(held, content, tokens, Seconds{}).node, Seconds{});
    return hit.tokens;
  }

 private:
  PrefixTree tree_{1, LeastRecentlyUsed{}, {}};
};

struct Gaps {
  std::int64_t count = 0;
  double mean = 0, squares = 0;  // Welford's running sums
  std::optional<Seconds> last;
  Seconds first{};

  void add(Seconds arrival) {
    if (!last) {
      first = arrival;
    } else {
      const double gap = (arrival - *last).si;
      ++count;
      const double apart = gap - mean;
      mean += apart / static_cast<double>(count);
      squares += apart * (gap - mean);
    }
    last = arrival;
  }
  double cv() const { return std::sqrt(squares / static_cast<double>(count)) / mean; }
  Seconds span() const { return last ? *last - first : Seconds{0}; }
};

struct KindTotals {
  std::int64_t arrivals = 0, sessions = 0, requests = 0, sub_agents = 0;
  std::int64_t after_user = 0;  // turns behind the first of a session that follow a user
  TokenCount input = 0, output = 0, reasoning = 0, known = 0, reused = 0, reused_in_session = 0;
  Distribution turns, prompt, appended, generated, tool, think, idle;
  Gaps gaps;
};

class Inspection {
 public:
  explicit Inspection(std::size_t kinds) : kinds_(kinds) {}

  void add(const RequestSpec& request) {
    KindTotals& kind = kinds_[request.kind];
    ++kind.arrivals;
    kind.gaps.add(request.arrival);
    all_gaps_.add(request.arrival);
    if (request.session == nullptr) {
      count(kind, request.prompt_tokens, request.output_tokens, request.content.get(), nullptr);
      return;
    }
    ++kind.sessions;
    const std::vector<Turn>& turns = request.session->turns;
    kind.turns.add(static_cast<double>(turns.size()));
    UnlimitedCache own;
    std::vector<Seconds> ends(turns.size());
    Seconds idle{};
    std::set<std::uint32_t> agents;
    for (std::size_t t = 0; t < turns.size(); ++t) {
      const Turn& turn = turns[t];
      count(kind, turn.prompt_tokens, turn.output_tokens, turn.content.get(), &own);
      kind.reasoning += turn.reasoning_tokens;
      if (turn.agent > 0) agents.insert(turn.agent);
      for (const std::uint32_t parent : turn.parents) ends[t] = std::max(ends[t], ends[parent]);
      ends[t] += turn.tool + turn.think;
      idle = std::max(idle, ends[t]);
      if (turn.parents.empty()) continue;
      kind.appended.add(static_cast<double>(turn.appended_tokens));
      if (turn.trigger == Trigger::user) {
        ++kind.after_user;
        kind.think.add((turn.tool + turn.think).si);
      } else if (turn.trigger == Trigger::tool) {
        kind.tool.add(turn.tool.si);
      }
    }
    kind.sub_agents += static_cast<std::int64_t>(agents.size());
    kind.idle.add(idle.si);
    present_.emplace_back(request.arrival, 1);
    present_.emplace_back(request.arrival + idle, -1);
  }

  ordered_json json(const Source& source) {
    ordered_json j;
    const bool open = !source.concurrency().has_value();
    j["arrivals"] = {{"span_s", all_gaps_.span().si},
                     {"per_second", open ? ratio(static_cast<double>(all_gaps_.count), all_gaps_.span().si)
                                         : ordered_json(nullptr)},
                     {"cv", open && all_gaps_.count > 1 && all_gaps_.mean > 0 ? ordered_json(all_gaps_.cv())
                                                                              : ordered_json(nullptr)}};
    j["peak_sessions_without_service_times"] =
        open && !present_.empty() ? ordered_json(peak()) : ordered_json(nullptr);
    for (std::size_t k = 0; k < kinds_.size(); ++k)
      if (kinds_[k].requests > 0) j["kinds"][source.kinds()[k]] = json(kinds_[k], open);
    return j;
  }

 private:
  void count(KindTotals& kind, TokenCount prompt, TokenCount output, const PromptContent* content,
             UnlimitedCache* own) {
    ++kind.requests;
    kind.input += prompt;
    kind.output += output;
    kind.prompt.add(static_cast<double>(prompt));
    kind.generated.add(static_cast<double>(output));
    if (content == nullptr) return;
    kind.known += std::min(prompt, content->tokens);
    kind.reused += all_.meet(*content, prompt);
    if (own != nullptr) kind.reused_in_session += own->meet(*content, prompt);
  }

  std::int64_t peak() {
    // Who leaves at the moment another comes has left.
    std::ranges::sort(present_);
    std::int64_t now = 0;
    std::int64_t most = 0;
    for (const auto& [date, change] : present_) most = std::max(most, now += change);
    return most;
  }

  static ordered_json json(const KindTotals& kind, bool open) {
    const auto input = static_cast<double>(kind.input);
    ordered_json j;
    j["requests"] = kind.requests;
    j["sessions"] = kind.sessions;
    j["sub_agents"] = kind.sub_agents;
    j["total_input_tokens"] = kind.input;
    j["total_output_tokens"] = kind.output;
    j["total_reasoning_tokens"] = kind.reasoning;
    j["input_tokens"] = statistics(kind.prompt);
    j["output_tokens"] = statistics(kind.generated);
    j["appended_tokens"] = statistics(kind.appended);
    j["turns"] = statistics(kind.turns);
    j["tool_s"] = statistics(kind.tool);
    j["think_s"] = statistics(kind.think);
    j["session_without_service_s"] = statistics(kind.idle);
    j["user_share"] = ratio(static_cast<double>(kind.after_user), static_cast<double>(kind.appended.count()));
    j["arrival_cv"] = open && kind.gaps.count > 1 && kind.gaps.mean > 0 ? ordered_json(kind.gaps.cv())
                                                                        : ordered_json(nullptr);
    const bool known = kind.known > 0;
    j["reuse"] = known ? ratio(static_cast<double>(kind.reused), input) : ordered_json(nullptr);
    j["reuse_within_sessions"] = known && kind.sessions > 0
                                     ? ratio(static_cast<double>(kind.reused_in_session), input)
                                     : ordered_json(nullptr);
    j["input_per_output"] = ratio(input, static_cast<double>(kind.output));
    j["new_per_output"] =
        known ? ratio(static_cast<double>(kind.input - kind.reused), static_cast<double>(kind.output))
              : ordered_json(nullptr);
    const double seconds = kind.gaps.span().si;
    const auto offered = [&](double tokens) { return open ? ratio(tokens, seconds) : ordered_json(nullptr); };
    j["offered"] = {
        {"requests_per_s", offered(static_cast<double>(kind.requests))},
        {"prefill_tokens_per_s", offered(input)},
        {"prefill_tokens_per_s_after_reuse", offered(static_cast<double>(kind.input - kind.reused))},
        {"decode_tokens_per_s", offered(static_cast<double>(kind.output))}};
    return j;
  }

  std::vector<KindTotals> kinds_;
  Gaps all_gaps_;
  UnlimitedCache all_;
  std::vector<std::pair<Seconds, std::int64_t>> present_;  // sessions that come and go
};

std::string cell(const ordered_json& value, int digits = 4) {
  if (value.is_null()) return "-";
  if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
  return show_number(value.get<double>(), digits);
}

std::string percent(const ordered_json& value) {
  return value.is_null() ? "-" : show_percent(value.get<double>());
}

}  // namespace

std::unique_ptr<Source> open_workload(const std::filesystem::path& file, const std::string& kind,
                                      std::span<const std::string> overrides) {
  ConfigNode root;
  std::uint64_t seed = 1;
  if (kind.empty()) {
    root = load_config(file);
  } else {
    const ordered_json text = {
        {"workload", {{"kind", kind}, {"file", std::filesystem::absolute(file).string()}}}};
    root = parse_config(text.dump(), "--kind " + kind);
  }
  for (const std::string& assignment : overrides) override_scenario(root, assignment);
  Problems problems;
  Reader reader(root, "", problems);
  if (const auto given = reader.find<std::int64_t>("seed", Range::non_negative))
    seed = static_cast<std::uint64_t>(*given);
  const auto workload = read_workload(reader, "workload");
  problems.throw_if_any();
  return workload->open(seed);
}

ordered_json inspect(Source& source) {
  Inspection inspection(source.kinds().size());
  while (const auto request = source.next()) inspection.add(*request);
  ordered_json j = inspection.json(source);
  j["trace_hash"] = source.trace_hash();
  j["notes"] = source.notes();
  return j;
}

void print_inspection(const ordered_json& j, std::ostream& out) {
  if (!j.contains("kinds")) {
    out << "The workload is empty.\n";
    return;
  }
  Table counts({{"kind"},
                {"sessions"},
                {"requests"},
                {"input", "tokens"},
                {"output", "tokens"},
                {"in:out"},
                {"new:out"},
                {"reuse", "%"},
                {"in session", "%"},
                {"prefill", "tokens/s"},
                {"after reuse", "tokens/s"},
                {"decode", "tokens/s"}});
  Table spread({{"kind"}, {"of"}, {"unit"}, {"mean"}, {"p50"}, {"p90"}, {"p99"}, {"max"}});
  constexpr std::array<std::array<const char*, 3>, 7> kSpreads{
      {{"input_tokens", "input", "tokens"},
       {"output_tokens", "output", "tokens"},
       {"appended_tokens", "appended", "tokens"},
       {"turns", "turns of a session", "-"},
       {"tool_s", "gap after tools", "s"},
       {"think_s", "gap after users", "s"},
       {"session_without_service_s", "session's gaps", "s"}}};
  for (const auto& [name, kind] : j.at("kinds").items()) {
    const ordered_json& offered = kind.at("offered");
    counts.add(
        {name, kind.at("sessions") == 0 ? "-" : cell(kind.at("sessions")), cell(kind.at("requests")),
         cell(kind.at("total_input_tokens")), cell(kind.at("total_output_tokens")),
         cell(kind.at("input_per_output"), 3), cell(kind.at("new_per_output"), 3), percent(kind.at("reuse")),
         percent(kind.at("reuse_within_sessions")), cell(offered.at("prefill_tokens_per_s")),
         cell(offered.at("prefill_tokens_per_s_after_reuse")), cell(offered.at("decode_tokens_per_s"))});
    for (const auto& [key, what, unit] : kSpreads) {
      const ordered_json& s = kind.at(key);
      if (s.is_null()) continue;
      spread.add({name, what, unit, cell(s.at("mean")), cell(s.at("p50")), cell(s.at("p90")),
                  cell(s.at("p99")), cell(s.at("max"))});
    }
  }
  out << counts << '\n' << spread;
  const ordered_json& arrivals = j.at("arrivals");
  if (arrivals.at("per_second").is_number()) {
    out << "\nArrivals: " << cell(arrivals.at("per_second")) << " a second over "
        << cell(arrivals.at("span_s")) << " s, coefficient of variation " << cell(arrivals.at("cv"), 3)
        << ".";
    if (j.at("peak_sessions_without_service_times").is_number())
      out << " At most " << cell(j.at("peak_sessions_without_service_times"))
          << " sessions at once, if the model took no time.";
    out << '\n';
  }
  out << "Reuse: prompt tokens that an unlimited prefix cache of prompts would hold.\n";
  for (const auto& note : j.at("notes")) out << "Note: " << note.get<std::string>() << '\n';
}

}  // namespace disagg
