#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/base/random.hpp"
#include "sim/serving/cluster.hpp"

namespace disagg {

// A replica that fails at a date of the simulation.
struct ScheduledReplicaFailure {
  static constexpr std::string_view kind = "replica";
  static constexpr std::string_view summary = "a replica of a pool fails \"at\" a time \"for\" a while";
  static ScheduledReplicaFailure read(Reader& r);

  std::string pool;
  std::int64_t replica = 0;  // of the pool
  Seconds at{};
  Seconds duration = kNever;
};

// Replicas that fail and are repaired again and again, each on its own, after exponential times.
struct RandomReplicaFailures {
  static constexpr std::string_view kind = "random-replicas";
  static constexpr std::string_view summary =
      "replicas fail and are repaired after exponential times of mean \"mtbf\" and \"mttr\"";
  static RandomReplicaFailures read(Reader& r);

  std::vector<std::string> pools;  // none: all
  Seconds mtbf{}, mttr{};
};

using ReplicaFailure = std::variant<ScheduledReplicaFailure, RandomReplicaFailures>;

// Lets replicas fail and be repaired while a simulation runs: see Cluster::fail(). Failures that overlap keep
// a replica down until the last is over.
class ReplicaFailures {
 public:
  // Each replica's random failures have a stream of their own. Precondition: the pools and replicas are
  // there.
  ReplicaFailures(const std::vector<ReplicaFailure>& failures, Simulation& simulation, Cluster& cluster);
  ReplicaFailures(const ReplicaFailures&) = delete;
  ReplicaFailures& operator=(const ReplicaFailures&) = delete;

  std::int64_t failures() const { return failures_; }

 private:
  struct Failing {
    ReplicaId id;
    RandomEngine random;
    Seconds mtbf{}, mttr{};
  };
  void fail(ReplicaId id);
  void repair(ReplicaId id);
  void fail_later(std::uint32_t failing);

  Simulation& simulation_;
  Cluster& cluster_;
  std::vector<Failing> failing_;       // at random
  std::vector<std::int32_t> reasons_;  // [replica] failures that keep it down
  std::int64_t failures_ = 0;
};

}  // namespace disagg
