#include "experiments/session_metrics.hpp"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "experiments/figures.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

}  // namespace

void SessionRecord::add(const RequestRecord& turn) {
  ++ended_turns;
  prompt_tokens += turn.prompt_tokens;
  cached_tokens += turn.cached_tokens + turn.fetched_tokens;
  output_tokens += turn.output_tokens;
}

void SessionMetrics::add(const SessionRecord& session) {
  if (session.arrived < horizon_.warm_up || session.arrived >= horizon_.end()) return;
  add(session, all_);
  add(session, kinds_[session.kind]);
}

void SessionMetrics::add(const SessionRecord& session, Sums& sums) const {
  ++sums.sessions;
  sums.turns += session.ended_turns;
  sums.first_arrival = std::min(sums.first_arrival, session.arrived);
  sums.last_arrival = std::max(sums.last_arrival, session.arrived);
  sums.last_end = std::max(sums.last_end, session.ended);
  if (session.outcome == SessionOutcome::failed) ++sums.failed;
  if (session.outcome == SessionOutcome::unfinished) ++sums.unfinished;
  if (session.outcome == SessionOutcome::cancelled) ++sums.cancelled;
  const Slo& slo = slos_[session.kind];
  if (slo.task && session.outcome != SessionOutcome::unfinished) ++sums.judged;
  if (session.outcome != SessionOutcome::finished) return;
  ++sums.finished;
  sums.task_time.add(session.task_time().si);
  sums.turns_of_session.add(session.turns);
  sums.spent.tool += session.spent.tool;
  sums.spent.think += session.spent.think;
  sums.spent.service += session.spent.service;
  if (slo.task && session.task_time() <= *slo.task) ++sums.good;
}

std::size_t SessionMetrics::group_of(std::uint32_t turn) {
  if (turn < 4) return turn;
  return std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(turn)) + 1, kTurnGroups - 1);
}

void SessionMetrics::add(const RequestRecord& turn) {
  if (turn.session == kNoSession || turn.outcome != Outcome::finished) return;
  if (turn.arrived < horizon_.warm_up || turn.arrived >= horizon_.end()) return;
  for (Sums* sums : {&all_, &kinds_[turn.kind]}) {
    TurnGroup& group = sums->groups[group_of(turn.turn)];
    ++group.requests;
    group.prompt_tokens += turn.prompt_tokens;
    group.cached_tokens += turn.cached_tokens + turn.fetched_tokens;
    group.ttft += ttft(turn).si;
  }
}

ordered_json SessionMetrics::json(std::int64_t accelerators, std::optional<double> usd_per_hour) const {
  ordered_json j = json(all_, accelerators, usd_per_hour);
  // Jain, Chiu and Hawe, DEC Research Report TR-301, 1984, of the share of the model's time in which a kind
  // does not queue: 1 when all kinds wait alike, 1 / kinds when only one is served.
  double sum = 0;
  double squares = 0;
  std::int64_t kinds = 0;
  for (const Sums& kind : kinds_) {
    const double service = kind.spent.service.total().si;
    if (service <= 0) continue;
    const double share = 1 - kind.spent.service.queue.si / service;
    sum += share;
    squares += share * share;
    ++kinds;
  }
  j["fairness_between_kinds"] =
      kinds > 1 ? ratio(sum * sum, squares * static_cast<double>(kinds)) : ordered_json(nullptr);
  return j;
}

ordered_json SessionMetrics::json(std::uint32_t kind, std::int64_t accelerators,
                                  std::optional<double> usd_per_hour) const {
  return json(kinds_[kind], accelerators, usd_per_hour);
}

ordered_json SessionMetrics::json(const Sums& s, std::int64_t accelerators,
                                  std::optional<double> usd_per_hour) const {
  const double hours = s.duration().si / 3600;
  ordered_json j;
  j["sessions"] = s.sessions;
  j["finished"] = s.finished;
  j["failed"] = s.failed;
  j["unfinished"] = s.unfinished;
  j["cancelled"] = s.cancelled;
  j["task_time_s"] = statistics(s.task_time);
  j["turns"] = statistics(s.turns_of_session);
  if (s.finished > 0) {
    const auto mean = [&](Seconds t) { return t.si / static_cast<double>(s.finished); };
    const TimeBreakdown& b = s.spent.service;
    j["mean_time_in_s"] = {{"queue", mean(b.queue)},        {"prefill", mean(b.prefill)},
                           {"hand_off_room", mean(b.room)}, {"hand_off", mean(b.hand_off)},
                           {"decode", mean(b.decode)},      {"tool", mean(s.spent.tool)},
                           {"think", mean(s.spent.think)}};
    j["model_share"] = ratio(b.total().si, s.spent.total().si);  // the rest is tools and users
  }
  const double arriving = s.sessions > 0 ? (s.last_arrival - s.first_arrival).si : 0;
  j["arrivals_per_second"] = ratio(static_cast<double>(s.sessions - 1), arriving);
  j["turns_per_second"] = ratio(static_cast<double>(s.turns), s.duration().si);
  const auto finished = static_cast<double>(s.finished);
  const auto good = static_cast<double>(s.good);
  j["tasks_per_hour"] = ratio(finished, hours);
  j["tasks_per_hour_per_accelerator"] = ratio(finished, hours * static_cast<double>(accelerators));
  j["tasks_per_usd"] = usd_per_hour ? ratio(finished, hours * *usd_per_hour) : ordered_json(nullptr);
  const bool bounded = s.judged > 0;
  j["slo_attainment"] = bounded ? ratio(good, static_cast<double>(s.judged)) : ordered_json(nullptr);
  j["good_tasks_per_hour"] = bounded ? ratio(good, hours) : ordered_json(nullptr);
  ordered_json by_turn = ordered_json::array();
  for (std::size_t g = 0; g < kTurnGroups; ++g) {
    const TurnGroup& group = s.groups[g];
    if (group.requests == 0) continue;
    const auto requests = static_cast<double>(group.requests);
    const std::uint32_t first = g < 4 ? static_cast<std::uint32_t>(g) + 1 : (1U << (g - 2U)) + 1;
    by_turn.push_back({{"first_turn", first},  // up to the next group's
                       {"requests", group.requests},
                       {"ttft_mean_ms", group.ttft / requests * 1e3},
                       {"prompt_tokens_mean", static_cast<double>(group.prompt_tokens) / requests},
                       {"cache_hit_rate", ratio(static_cast<double>(group.cached_tokens),
                                                static_cast<double>(group.prompt_tokens))}});
  }
  j["by_turn"] = by_turn;
  return j;
}

}  // namespace disagg
