#include "sim/serving/replica_failures.hpp"

#include <algorithm>
#include <boost/random/exponential_distribution.hpp>

#include "sim/base/expect.hpp"

namespace disagg {
namespace {

Seconds draw(RandomEngine& random, Seconds mean) {
  return Seconds{boost::random::exponential_distribution<double>(1 / mean.si)(random)};
}

}  // namespace

ScheduledReplicaFailure ScheduledReplicaFailure::read(Reader& r) {
  return {.pool = r.get<std::string>("pool"),
          .replica = r.get_or<std::int64_t>("replica", "0", Range::non_negative),
          .at = r.get<Seconds>("at", Range::non_negative),
          .duration = r.find<Seconds>("for", Range::positive).value_or(kNever)};
}

RandomReplicaFailures RandomReplicaFailures::read(Reader& r) {
  return {.pools = r.find<std::vector<std::string>>("pools").value_or(std::vector<std::string>{}),
          .mtbf = r.get<Seconds>("mtbf", Range::positive),
          .mttr = r.get<Seconds>("mttr", Range::positive)};
}

ReplicaFailures::ReplicaFailures(const std::vector<ReplicaFailure>& failures, Simulation& simulation,
                                 Cluster& cluster)
    : simulation_(simulation), cluster_(cluster), reasons_(cluster.replicas().size()) {
  std::vector<ReplicaId> first;  // [pool]
  for (std::uint32_t i = 0; i < reasons_.size(); ++i)
    if (cluster.pool_of(ReplicaId{i}).index == first.size()) first.push_back(ReplicaId{i});
  const auto& pools = cluster.pools();
  for (const ReplicaFailure& failure : failures) {
    if (const auto* scheduled = std::get_if<ScheduledReplicaFailure>(&failure)) {
      const auto pool = std::ranges::find(pools, scheduled->pool, &PoolSetup::name);
      expect(pool != pools.end() && scheduled->replica < pool->replicas,
             "a replica is to fail that there is not");
      const ReplicaId id{first[static_cast<std::size_t>(pool - pools.begin())].index +
                         static_cast<std::uint32_t>(scheduled->replica)};
      simulation_.at(scheduled->at, [this, id] { fail(id); });
      if (scheduled->duration != kNever)
        simulation_.at(scheduled->at + scheduled->duration, [this, id] { repair(id); });
    } else {
      const auto& random = std::get<RandomReplicaFailures>(failure);
      for (std::uint32_t i = 0; i < reasons_.size(); ++i) {
        const std::string& pool = pools[cluster.pool_of(ReplicaId{i}).index].name;
        if (!random.pools.empty() && std::ranges::find(random.pools, pool) == random.pools.end()) continue;
        failing_.push_back({ReplicaId{i},
                            random_stream(cluster.seed(), "failures/" + cluster.name(ReplicaId{i})),
                            random.mtbf, random.mttr});
      }
    }
  }
  for (std::uint32_t i = 0; i < failing_.size(); ++i) fail_later(i);
}

void ReplicaFailures::fail(ReplicaId id) {
  ++failures_;
  if (++reasons_[id.index] == 1) cluster_.fail(id);
}

void ReplicaFailures::repair(ReplicaId id) {
  if (--reasons_[id.index] == 0) cluster_.repair(id);
}

void ReplicaFailures::fail_later(std::uint32_t failing) {
  simulation_.after(draw(failing_[failing].random, failing_[failing].mtbf), [this, failing] {
    fail(failing_[failing].id);
    simulation_.after(draw(failing_[failing].random, failing_[failing].mttr), [this, failing] {
      repair(failing_[failing].id);
      fail_later(failing);
    });
  });
}

}  // namespace disagg
