#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/metrics.hpp"
#include "experiments/scenario.hpp"
#include "experiments/session_metrics.hpp"
#include "sim/serving/cluster.hpp"

namespace disagg {

// What a run has left behind when it ends.
struct RunFacts {
  const Scenario& scenario;
  const Cluster& cluster;
  const Simulation& simulation;
  const Metrics& metrics;
  std::vector<std::string> kinds;       // of request
  const std::vector<Metrics>& by_kind;  // where there are several
  const SessionMetrics& sessions;
  std::vector<ReplicaUsage> usage;                              // [replica], of the measured time
  std::vector<LinkUsage> links;                                 // [link], of the measured time
  std::vector<TierUsage> tiers;                                 // [memory tier], of the measured time
  std::optional<std::int64_t> link_failures, replica_failures;  // where the scenario has some
  Seconds measured_from{}, measured_to{};
  Seconds ended{};
  std::string trace_hash;
  std::vector<std::string> notes;
  Watts peak_power{};                  // of all accelerators, on the mean of an interval of timeseries.csv
  std::optional<double> queue_growth;  // requests per second, of an overloaded run
  bool single_steps = false;
};

// The contents of summary.json: metrics, pools, links, bottleneck, provenance.
nlohmann::ordered_json summarise(const RunFacts& facts);

// What the cluster costs to rent for an hour, where the catalog has a price for every accelerator in it.
std::optional<double> dollars_per_hour(const std::vector<PoolSetup>& pools);

}  // namespace disagg
