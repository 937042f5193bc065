#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/metrics.hpp"

namespace disagg {

enum class SessionOutcome {
  finished,
  failed,      // a turn was rejected
  unfinished,  // the workload ended before its last turn
  cancelled,   // its user left
};

inline constexpr std::array<std::string_view, 4> kSessionOutcomeNames{"finished", "failed", "unfinished",
                                                                      "cancelled"};

// Where a session's time went, along the chain of turns of which each waited for the one before: the sum is
// the time from its arrival to the end of its last turn.
struct SessionTime {
  Seconds tool{}, think{};
  TimeBreakdown service;
  Seconds total() const { return tool + think + service.total(); }
};

// The life of one session, told when no turn of it will come any more.
struct SessionRecord {
  std::uint64_t id = 0;  // position among the workload's sessions
  std::uint32_t kind = 0;
  SessionOutcome outcome = SessionOutcome::finished;
  std::uint32_t turns = 0, ended_turns = 0;  // planned; of these, finished
  Seconds arrived{}, ended{};                // ended: its last turn that has
  SessionTime spent;
  TokenCount prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;  // of all turns together

  Seconds task_time() const { return ended - arrived; }
  void add(const RequestRecord& turn);
};

// Metrics of sessions, added up as they end. Only those count that arrive in the measured time.
class SessionMetrics {
 public:
  // `slos` are those of the workload's kinds.
  SessionMetrics(std::vector<Slo> slos, const Horizon& horizon)
      : slos_(std::move(slos)), horizon_(horizon), kinds_(slos_.size()) {}

  void add(const SessionRecord& session);
  // A request that is a session's turn.
  void add(const RequestRecord& turn);

  bool any() const { return all_.sessions > 0; }
  // The object "sessions" of summary.json: of all kinds together. Goodput per accelerator and, where the rent
  // is known, per US dollar.
  nlohmann::ordered_json json(std::int64_t accelerators, std::optional<double> usd_per_hour) const;
  // The same of one kind.
  nlohmann::ordered_json json(std::uint32_t kind, std::int64_t accelerators,
                              std::optional<double> usd_per_hour) const;
  // Rows of distributions.csv: kind,metric,share,value; of all kinds together, or of one.
  std::string distributions_csv() const { return all_.task_time.csv("all,task_time_s", 1); }
  std::string distributions_csv(std::uint32_t kind, const std::string& name) const {
    return kinds_[kind].task_time.csv(name + ",task_time_s", 1);
  }

 private:
  // Turns 1, 2, 3, 4, 5-8, 9-16, ...
  struct TurnGroup {
    std::int64_t requests = 0;
    TokenCount prompt_tokens = 0, cached_tokens = 0;
    double ttft = 0;  // sum, in seconds
  };
  static constexpr std::size_t kTurnGroups = 16;
  static std::size_t group_of(std::uint32_t turn);
  struct Sums {
    std::int64_t sessions = 0, finished = 0, failed = 0, unfinished = 0, cancelled = 0, turns = 0;
    std::int64_t judged = 0, good = 0;  // of the kinds with an SLO: all that ended; within it
    Distribution task_time, turns_of_session;
    SessionTime spent;  // of finished sessions
    Seconds first_arrival = kNever, last_arrival{}, last_end{};
    std::array<TurnGroup, kTurnGroups> groups;

    Seconds duration() const { return last_end > first_arrival ? last_end - first_arrival : Seconds{0}; }
  };
  void add(const SessionRecord& session, Sums& sums) const;
  nlohmann::ordered_json json(const Sums& sums, std::int64_t accelerators,
                              std::optional<double> usd_per_hour) const;

  std::vector<Slo> slos_;  // [kind]
  Horizon horizon_;
  Sums all_;
  std::vector<Sums> kinds_;
};

}  // namespace disagg
