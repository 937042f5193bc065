#include "experiments/feeder.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/expect.hpp"
#include "sim/base/no_progress.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

constexpr std::int64_t kMostAtOneDate = 1'000'000;

}  // namespace

Feeder::Feeder(Source& source, Seconds end, Simulation& simulation, Cluster& cluster,
               SessionEnded session_ended)
    : source_(source),
      end_(end),
      simulation_(simulation),
      cluster_(cluster),
      session_ended_(std::move(session_ended)),
      in_loop_(source.concurrency().has_value()) {
  cluster_.on_request_ended([this](const RequestRecord& record) {
    if (record.session != kNoSession) return turn_ended(record);
    ended_in_loop();
  });
  if (!in_loop_) {
    schedule_next();
    return;
  }
  for (std::int64_t i = 0; i < *source_.concurrency(); ++i) schedule_in_loop();
}

void Feeder::schedule_next() {
  auto next = source_.next();
  if (!next || next->arrival >= end_) return;
  ++waiting_;
  next_ = std::move(*next);
  simulation_.at(next_.arrival, [this] {
    --waiting_;
    arrive(next_);
    schedule_next();
  });
}

// Not at once: the cluster is in the middle of the event that ended a request.
void Feeder::schedule_in_loop() {
  if (simulation_.now() >= end_) return;
  if (simulation_.now() != loop_date_) entered_at_date_ = 0;
  loop_date_ = simulation_.now();
  if (++entered_at_date_ > kMostAtOneDate + *source_.concurrency())
    throw NoProgress("no progress: at " + show_exact(loop_date_.si) + " s " + std::to_string(kMostAtOneDate) +
                     " users of the closed loop in a row were turned away, or left, the moment they came");
  ++waiting_;
  simulation_.at(simulation_.now(), [this] {
    --waiting_;
    if (const auto next = source_.next()) arrive(*next);
  });
}

void Feeder::ended_in_loop() {
  if (in_loop_) schedule_in_loop();
}

void Feeder::arrive(const RequestSpec& request) {
  if (request.session != nullptr) return open(request);
  cluster_.arrive({.id = requests_++,
                   .kind = request.kind,
                   .prompt_tokens = request.prompt_tokens,
                   .output_tokens = request.output_tokens,
                   .content = request.content});
}

void Feeder::open(const RequestSpec& request) {
  const std::vector<Turn>& turns = request.session->turns;
  expect(!turns.empty(), "a session without turns");
  const std::uint64_t id = opened_++;
  LiveSession& session = sessions_[id];
  session.plan = request.session;
  SessionRecord& record = session.record;
  record.id = id;
  record.kind = request.kind;
  record.turns = static_cast<std::uint32_t>(turns.size());
  record.arrived = record.ended = simulation_.now();
  session.turns.resize(turns.size());
  session.first_child.assign(turns.size() + 1, 0);
  for (std::uint32_t t = 0; t < turns.size(); ++t) {
    session.turns[t].waits_for = static_cast<std::uint32_t>(turns[t].parents.size());
    for (const std::uint32_t parent : turns[t].parents) {
      expect(parent < t, "a turn of a session comes before its parent");
      ++session.first_child[parent + 1];
    }
  }
  for (std::size_t t = 0; t < turns.size(); ++t) session.first_child[t + 1] += session.first_child[t];
  session.children.resize(session.first_child.back());
  std::vector<std::uint32_t> filled(session.first_child.begin(), session.first_child.end() - 1);
  for (std::uint32_t t = 0; t < turns.size(); ++t)
    for (const std::uint32_t parent : turns[t].parents) session.children[filled[parent]++] = t;
  for (std::uint32_t t = 0; t < turns.size(); ++t)
    if (turns[t].parents.empty()) release(id, session, t);
  if (session.under_way == 0) close(id, session);
}

void Feeder::release(std::uint64_t id, LiveSession& session, std::uint32_t turn) {
  const Turn& plan = session.plan->turns[turn];
  LiveTurn& live = session.turns[turn];
  const Seconds arrival = simulation_.now() + plan.tool + plan.think;
  if (arrival >= end_) {
    live.stage = Stage::ended;
    session.record.outcome = SessionOutcome::unfinished;
    return;
  }
  live.stage = Stage::released;
  live.spent.tool += plan.tool;
  live.spent.think += plan.think;
  ++session.under_way;
  ++waiting_;
  simulation_.at(arrival, [this, id, turn] { turn_arrives(id, turn); });
}

void Feeder::turn_arrives(std::uint64_t id, std::uint32_t turn) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  LiveTurn& live = found->second.turns[turn];
  if (live.stage != Stage::released) return;  // cancelled meanwhile
  --waiting_;
  live.stage = Stage::served;
  const Turn& plan = found->second.plan->turns[turn];
  const Seconds patience = plan.patience;
  Seconds next_turn_in = kNever;
  const LiveSession& opened = found->second;
  for (std::uint32_t i = opened.first_child[turn]; i < opened.first_child[turn + 1]; ++i) {
    const Turn& child = opened.plan->turns[opened.children[i]];
    next_turn_in = std::min(next_turn_in, child.tool + child.think);
  }
  const auto ref = cluster_.arrive({.id = requests_++,
                                    .kind = found->second.record.kind,
                                    .prompt_tokens = plan.prompt_tokens,
                                    .output_tokens = plan.output_tokens,
                                    .content = plan.content,
                                    .session = id,
                                    .turn = turn,
                                    .previous = live.previous,
                                    .previous_turn = live.previous_turn,
                                    .next_turn_in = next_turn_in});
  if (!ref) return;  // its session may be gone
  live.ref = *ref;
  if (patience == kNever) return;
  has_timers_ = true;
  simulation_.after(patience, [this, id, turn] {
    const auto session = sessions_.find(id);
    if (session == sessions_.end() || session->second.turns[turn].stage != Stage::served) return;
    session->second.record.outcome = SessionOutcome::cancelled;
    cancel(id, session->second.record.turns);
  });
}

void Feeder::cancel(std::uint64_t id, std::uint32_t turns) {
  LiveSession& session = sessions_.at(id);
  std::vector<RequestRef> served;
  for (std::uint32_t t = 0; t < turns; ++t) {
    LiveTurn& turn = session.turns[t];
    if (turn.stage == Stage::served) served.push_back(turn.ref);
    if (turn.stage == Stage::released) {
      // Nobody waits for the end of its tools.
      --session.under_way;
      --waiting_;
      has_timers_ = true;
    }
    if (turn.stage != Stage::served) turn.stage = Stage::ended;
  }
  // The last of them may close the session.
  if (served.empty() && session.under_way == 0) return close(id, session);
  for (const RequestRef ref : served) cluster_.cancel(ref);
}

void Feeder::turn_ended(const RequestRecord& record) {
  LiveSession& session = sessions_.at(record.session);
  LiveTurn& turn = session.turns[record.turn];
  turn.stage = Stage::ended;
  --session.under_way;
  if (record.outcome == Outcome::finished) {
    turn.spent.service += breakdown(record);
    session.record.add(record);
    session.record.ended = simulation_.now();
    session.record.spent = turn.spent;
    for (std::uint32_t i = session.first_child[record.turn]; i < session.first_child[record.turn + 1]; ++i) {
      const std::uint32_t child = session.children[i];
      LiveTurn& next = session.turns[child];
      const bool first = session.plan->turns[child].first_of_parents;
      if (next.stage != Stage::planned || (--next.waits_for > 0 && !first)) continue;
      next.previous = record.prefill_replica;
      next.previous_turn = record.turn;
      next.spent = turn.spent;
      release(record.session, session, child);
      // Not at once: the cluster is in the middle of the event that ended this turn.
      if (first && next.stage == Stage::released)
        simulation_.at(simulation_.now(), [this, id = record.session, child] {
          if (sessions_.contains(id)) cancel(id, child);
        });
    }
  } else if (session.record.outcome == SessionOutcome::finished && record.outcome != Outcome::cancelled) {
    session.record.outcome = SessionOutcome::failed;
    session.record.ended = simulation_.now();
  }
  if (session.under_way == 0) close(record.session, session);
}

void Feeder::close(std::uint64_t id, LiveSession& session) {
  if (session.record.outcome == SessionOutcome::cancelled) session.record.ended = simulation_.now();
  const SessionRecord record = session.record;
  sessions_.erase(id);
  session_ended_(record);
  ended_in_loop();
}

}  // namespace disagg
