#include "experiments/fit_profile.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <vector>

#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"
#include "sim/memory/prefix_tree.hpp"
#include "workloads/agents.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;
using Values = std::vector<double>;

constexpr std::array<double, 29> kQuantiles{0,   0.01,  0.02, 0.05, 0.1,  0.15, 0.2,   0.25,  0.3, 0.35,
                                            0.4, 0.45,  0.5,  0.55, 0.6,  0.65, 0.7,   0.75,  0.8, 0.85,
                                            0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 1};
constexpr double kShrinks = 0.6;
constexpr std::size_t kFewest = 20;  // sessions

// Linear between order statistics. Precondition: sorted, not empty.
double quantile(const Values& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// What sessions do, of their main agents.
struct Sample {
  Values first, calls, after_tool, after_user, appended, output, reasoning, tool, think, gaps;
  Values prompts, before_compaction, compacted_to;  // prompt tokens
  Values sub_agents, sub_agent_calls;               // of sessions that have some
  Values shared;                                    // tokens of a first prompt that an earlier session had
  std::size_t sessions = 0;
  double prompt_tokens = 0, reused = 0, most = 1;

  void sort() {
    for (Values* values :
         {&first, &calls, &after_tool, &after_user, &appended, &output, &reasoning, &tool, &think, &gaps,
          &prompts, &before_compaction, &compacted_to, &sub_agents, &sub_agent_calls, &shared})
      std::ranges::sort(*values);
  }
};

class Sampler {
 public:
  void add(const Session& session) {
    Sample& s = sample_;
    ++s.sessions;
    PrefixTree own(1, LeastRecentlyUsed{}, {});
    std::map<std::uint32_t, double> calls_of_agent;
    double main_calls = 0;
    double before = 0;
    for (const Turn& turn : session.turns) {
      const auto prompt = static_cast<double>(turn.prompt_tokens);
      s.prompt_tokens += prompt;
      s.reused += static_cast<double>(meet(own, turn));
      if (turn.agent > 0) {
        ++calls_of_agent[turn.agent];
        continue;
      }
      s.prompts.push_back(prompt);
      s.most = std::max(s.most, prompt + static_cast<double>(turn.output_tokens));
      s.output.push_back(static_cast<double>(turn.output_tokens - turn.reasoning_tokens));
      if (turn.reasoning_tokens > 0) s.reasoning.push_back(static_cast<double>(turn.reasoning_tokens));
      if (++main_calls == 1) {
        const auto shared = static_cast<double>(meet(all_, turn));
        s.shared.push_back(shared);
        s.first.push_back(prompt);
        before = prompt;
        continue;
      }
      const auto appended = static_cast<double>(turn.appended_tokens);
      const double gap = (turn.tool + turn.think).si;
      const bool user = turn.trigger == Trigger::user;
      s.gaps.push_back(gap);
      (user ? s.think : s.tool).push_back(gap);
      s.appended.push_back(appended);
      if (prompt < kShrinks * before) {
        s.before_compaction.push_back(before);
        s.compacted_to.push_back(prompt);
      } else {
        (user ? s.after_user : s.after_tool).push_back(std::max(appended, 1.0));
      }
      before = prompt;
    }
    if (main_calls == 0) throw ConfigError("fit: a session has no call of its main agent (agent 0)");
    s.calls.push_back(main_calls);
    if (calls_of_agent.empty()) return;
    s.sub_agents.push_back(static_cast<double>(calls_of_agent.size()));
    for (const auto& [agent, calls] : calls_of_agent) s.sub_agent_calls.push_back(calls);
  }
  Sample take() {
    sample_.sort();
    return std::move(sample_);
  }

 private:
  static TokenCount meet(PrefixTree& tree, const Turn& turn) {
    if (turn.content == nullptr) return 0;
    const TokenCount tokens = std::min(turn.prompt_tokens, turn.content->tokens);
    const PrefixHit hit = tree.find(*turn.content, tokens, Seconds{});
    const auto held = tree.lock(*turn.content, hit.tokens, Seconds{});
    tree.unlock(tree.insert(held, *turn.content, tokens, Seconds{}).node, Seconds{});
    return hit.tokens;
  }

  PrefixTree all_{1, LeastRecentlyUsed{}, {}};
  Sample sample_;
};

ordered_json lengths(const Values& sorted, double less = 0) {
  if (sorted.empty()) return 1;
  ordered_json table = ordered_json::array();
  for (const double q : kQuantiles)
    table.push_back({q, std::max(1.0, std::round(quantile(sorted, q) - less))});
  return {{"kind", "empirical"}, {"quantiles", table}};
}

ordered_json durations(const Values& sorted) {
  if (sorted.empty()) return "0 s";
  ordered_json table = ordered_json::array();
  for (const double q : kQuantiles) table.push_back({q, std::round(quantile(sorted, q) * 1e3) / 1e3});
  return {{"kind", "empirical"}, {"seconds", table}};
}

ordered_json profile_of(const Sample& s, const FitOptions& options) {
  ordered_json p;
  p["name"] = options.name;
  p["summary"] = "fitted to " + std::to_string(s.sessions) + " sessions";
  p["source"] = options.source;
  // Most sessions have to share it.
  const double shared = std::floor(quantile(s.shared, 0.5));
  p["shared_prefix"] = static_cast<std::int64_t>(shared);
  p["first"] = lengths(s.first, shared);
  p["calls"] = lengths(s.calls);
  const double followers = static_cast<double>(s.tool.size() + s.think.size());
  p["user_share"] =
      followers > 0 ? std::round(static_cast<double>(s.think.size()) / followers * 1e4) / 1e4 : 0.0;
  p["after_tool"] = lengths(s.after_tool);
  p["after_user"] = lengths(s.after_user);
  p["output"] = lengths(s.output);
  // Only where every call reasons can it be drawn by itself.
  if (s.reasoning.size() == s.output.size()) p["reasoning"] = lengths(s.reasoning);
  p["tool"] = durations(s.tool);
  p["think"] = durations(s.think);
  ordered_json context = {{"kind", "append"}, {"window", static_cast<std::int64_t>(s.most) + 1}};
  if (!s.before_compaction.empty()) {
    // Contexts shrink at all sizes, and few of one size do: below what hardly any prompt exceeds, a threshold
    // would compact many that were not.
    context["compact_at"] =
        static_cast<std::int64_t>(std::max(quantile(s.before_compaction, 0.9), quantile(s.prompts, 0.99)));
    context["compact_to"] = lengths(s.compacted_to, shared);
  }
  p["context"] = context;
  if (!s.sub_agents.empty())
    p["sub_agents"] = {{"share", static_cast<double>(s.sub_agents.size()) / static_cast<double>(s.sessions)},
                       {"count", lengths(s.sub_agents)},
                       {"calls", lengths(s.sub_agent_calls)}};
  return p;
}

Sample drawn(const ordered_json& profile, std::size_t sessions) {
  ConfigNode root = parse_config(profile.dump(), "the fitted profile");
  Problems problems;
  Reader reader(root, "", problems);
  AgentsWorkload workload;
  workload.mix.push_back({AgentProfile::read(reader), 1});
  problems.throw_if_any();
  workload.arrivals = PoissonArrivals{.rate = PerSecond{1}};
  workload.sessions = static_cast<std::int64_t>(sessions);
  Sampler sampler;
  const auto source = workload.open(1);
  while (const auto request = source->next()) sampler.add(*request->session);
  return sampler.take();
}

ordered_json compare(const Sample& real, const Sample& model) {
  struct Quantity {
    const char* name;
    const Values& real;
    const Values& model;
  };
  const std::array<Quantity, 4> quantities{{{"appended_tokens", real.appended, model.appended},
                                            {"output_tokens", real.output, model.output},
                                            {"turns", real.calls, model.calls},
                                            {"gap_s", real.gaps, model.gaps}}};
  ordered_json j;
  for (const Quantity& q : quantities) {
    if (q.real.empty() || q.model.empty()) continue;
    j["of"][q.name] = {{"kolmogorov_smirnov", kolmogorov_smirnov(q.real, q.model)},
                       {"p50", quantile(q.real, 0.5)},
                       {"p50_of_profile", quantile(q.model, 0.5)},
                       {"p90", quantile(q.real, 0.9)},
                       {"p90_of_profile", quantile(q.model, 0.9)}};
  }
  j["reuse"] = {{"within_sessions", real.reused / real.prompt_tokens},
                {"of_profile", model.reused / model.prompt_tokens}};
  return j;
}

}  // namespace

double kolmogorov_smirnov(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const double x = std::min(a[i], b[j]);
    while (i < a.size() && a[i] <= x) ++i;
    while (j < b.size() && b[j] <= x) ++j;
    most = std::max(most, std::abs(static_cast<double>(i) / static_cast<double>(a.size()) -
                                   static_cast<double>(j) / static_cast<double>(b.size())));
  }
  return most;
}

ProfileFit fit_profile(Source& source, const FitOptions& options) {
  std::array<Sampler, 2> halves;
  std::size_t sessions = 0;
  while (const auto request = source.next()) {
    if (request->session == nullptr)
      throw ConfigError("fit: the workload has single requests; a profile is of sessions");
    const std::size_t half = options.halves ? sessions % 2 : 0;
    halves.at(half).add(*request->session);
    ++sessions;
  }
  if (sessions < kFewest)
    throw ConfigError("fit: there are " + std::to_string(sessions) + " sessions; a profile takes at least " +
                      std::to_string(kFewest));
  const Sample fitted = halves[0].take();
  const Sample held_out = options.halves ? halves[1].take() : Sample{};
  ProfileFit fit;
  fit.profile = profile_of(fitted, options);
  const Sample model = drawn(fit.profile, std::max<std::size_t>(1000, 10 * sessions));
  fit.goodness = compare(options.halves ? held_out : fitted, model);
  return fit;
}

void print_fit(const ProfileFit& fit, std::ostream& out) {
  Table table({{"of"}, {"KS distance"}, {"p50"}, {"of profile"}, {"p90"}, {"of profile"}});
  const auto cell = [](const ordered_json& value) { return show_number(value.get<double>(), 4); };
  for (const auto& [name, q] : fit.goodness.at("of").items())
    table.add({name, show_number(q.at("kolmogorov_smirnov").get<double>(), 2), cell(q.at("p50")),
               cell(q.at("p50_of_profile")), cell(q.at("p90")), cell(q.at("p90_of_profile"))});
  const ordered_json& reuse = fit.goodness.at("reuse");
  out << table << "Reuse within sessions: " << show_percent(reuse.at("within_sessions").get<double>())
      << " %, of the profile " << show_percent(reuse.at("of_profile").get<double>()) << " %.\n";
}

}  // namespace disagg
