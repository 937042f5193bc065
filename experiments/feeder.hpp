#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "experiments/session_metrics.hpp"
#include "sim/engine/simulation.hpp"
#include "sim/serving/cluster.hpp"
#include "workloads/source.hpp"

namespace disagg {

// Feeds a workload into the cluster until `end`. Of an open workload one arrival is on the agenda at any
// time, so nothing is held; of a closed loop the next request or session enters when one ends. Within a
// session a turn arrives when the turns before it have ended and its tools and its user are done. Turns that
// would come after `end` do not come, and their sessions stay unfinished. Throws NoProgress when the users of
// a closed loop come and go without any time passing.
class Feeder {
 public:
  using SessionEnded = std::function<void(const SessionRecord&)>;
  Feeder(Source& source, Seconds end, Simulation& simulation, Cluster& cluster, SessionEnded session_ended);
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;

  // Whether no request will come any more, or none but those that come when one ends.
  bool ended() const { return waiting_ == 0; }
  // Whether what is left on the agenda may be the ends of users' patience, or of tools of cancelled turns.
  bool has_timers() const { return has_timers_; }
  std::size_t live_sessions() const { return sessions_.size(); }

 private:
  enum class Stage : std::uint8_t { planned, released /* tools run, or the user thinks */, served, ended };
  struct LiveTurn {
    Stage stage = Stage::planned;
    std::uint32_t waits_for = 0;  // parents that have not ended
    RequestRef ref = 0;           // while it is served
    ReplicaId previous;           // where the parent that ended last was prefilled
    std::uint32_t previous_turn = 0;
    SessionTime spent;  // on the chain of turns that ended last, up to this one
  };
  struct LiveSession {
    std::shared_ptr<const Session> plan;
    std::vector<LiveTurn> turns;
    std::vector<std::uint32_t> first_child,
        children;               // of turn t: children[first_child[t], first_child[t + 1])
    std::size_t under_way = 0;  // turns that wait for tools or users, or are served
    SessionRecord record;
  };

  void schedule_next();
  void schedule_in_loop();
  void arrive(const RequestSpec& request);
  void open(const RequestSpec& request);
  void release(std::uint64_t id, LiveSession& session, std::uint32_t turn);
  void turn_arrives(std::uint64_t id, std::uint32_t turn);
  void turn_ended(const RequestRecord& record);
  // Cancels what of the session's first `turns` turns has not ended.
  void cancel(std::uint64_t id, std::uint32_t turns);
  void close(std::uint64_t id, LiveSession& session);
  void ended_in_loop();

  Source& source_;
  Seconds end_;
  Simulation& simulation_;
  Cluster& cluster_;
  SessionEnded session_ended_;
  bool in_loop_;
  bool has_timers_ = false;
  RequestSpec next_;
  std::uint64_t requests_ = 0, opened_ = 0;
  std::unordered_map<std::uint64_t, LiveSession> sessions_;
  std::int64_t waiting_ = 0;  // arrivals on the agenda
  Seconds loop_date_{};
  std::int64_t entered_at_date_ = 0;  // users of the closed loop that came at loop_date_
};

}  // namespace disagg
