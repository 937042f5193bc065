#include "experiments/end_of_run.hpp"

#include <utility>

namespace disagg {
namespace {

// Requests that have ended, steps and flows: what has to grow as long as anything goes on.
std::int64_t progress(const Cluster& cluster, const Simulation& simulation) {
  const RequestCounts& counts = cluster.counts();
  std::int64_t done = counts.finished + counts.rejected + counts.cancelled;
  for (const auto& replica : cluster.replicas()) done += replica->usage().steps;
  for (const LinkUsage& link : simulation.link_usage()) done += link.flows;
  return done;
}

}  // namespace

EndOfRun::EndOfRun(const Feeder& feeder, Cluster& cluster, const Simulation& simulation,
                   const std::optional<LinkFailures>& link_failures,
                   const std::optional<ReplicaFailures>& replica_failures)
    : feeder_(feeder),
      cluster_(cluster),
      simulation_(simulation),
      link_failures_(link_failures),
      replica_failures_(replica_failures),
      most_failures_(1000 + 10 * static_cast<std::int64_t>(cluster.replicas().size() +
                                                           simulation.platform().links.size())) {}

bool EndOfRun::reached() {
  const bool fails = link_failures_ || replica_failures_;
  if (!(fails || feeder_.has_timers() || cluster_.has_timers()) || !feeder_.ended()) return false;
  if (cluster_.is_empty() && simulation_.flows_in_flight() == 0) return true;
  return fails && stands_still();
}

bool EndOfRun::stands_still() {
  const std::int64_t failures = (link_failures_ ? link_failures_->failures() : 0) +
                                (replica_failures_ ? replica_failures_->failures() : 0);
  if (failures - failures_then_ < most_failures_) return false;
  failures_then_ = failures;
  cluster_.settle();
  const std::int64_t before = std::exchange(progress_then_, progress(cluster_, simulation_));
  const auto stalled = static_cast<std::int64_t>(simulation_.stalled_transfers());
  return simulation_.flows_in_flight() == stalled && progress_then_ == before;
}

}  // namespace disagg
