#pragma once

#include <cstdint>
#include <optional>

#include "experiments/feeder.hpp"
#include "sim/engine/link_failures.hpp"
#include "sim/engine/simulation.hpp"
#include "sim/serving/cluster.hpp"
#include "sim/serving/replica_failures.hpp"

namespace disagg {

// Knows when a run is over although there are still events: links and replicas would fail for ever, users'
// patience and pins may outlast the work, and failures can go on while what is left in the cluster waits for
// something else. In the last case requests are left: Cluster::expect_empty() says which, and why.
class EndOfRun {
 public:
  EndOfRun(const Feeder& feeder, Cluster& cluster, const Simulation& simulation,
           const std::optional<LinkFailures>& link_failures,
           const std::optional<ReplicaFailures>& replica_failures);

  // To be asked before each event.
  bool reached();

 private:
  bool stands_still();

  const Feeder& feeder_;
  Cluster& cluster_;
  const Simulation& simulation_;
  const std::optional<LinkFailures>& link_failures_;
  const std::optional<ReplicaFailures>& replica_failures_;
  std::int64_t most_failures_;  // without progress
  std::int64_t failures_then_ = 0, progress_then_ = -1;
};

}  // namespace disagg
