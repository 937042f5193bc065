#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "experiments/costs.hpp"
#include "sim/engine/link_failures.hpp"
#include "sim/serving/cluster.hpp"
#include "sim/serving/replica_failures.hpp"
#include "topology/topology.hpp"
#include "workloads/source.hpp"

namespace disagg {

// Upper bounds that a request must meet, all of them, to count as good; `task` is one for a whole session.
struct Slo {
  std::optional<Seconds> ttft, tpot, e2el, task;

  bool any() const { return ttft || tpot || e2el; }
};

// The bounds of all kinds of request, and those that replace them for single kinds.
struct Slos {
  Slo common;
  std::vector<std::pair<std::string, Slo>> named;  // as written, with what they have of the common ones
  std::string origin;                              // where the named ones are written, for messages

  // [kind], for the kinds of a workload. Throws ConfigError for a name that is none of them.
  std::vector<Slo> of(const std::vector<std::string>& kinds) const;
};

// Of kinds of request, 0 for those not named: the greater is served first.
struct Priorities {
  std::vector<std::pair<std::string, std::int64_t>> named;
  std::string origin;

  // [kind], for the kinds of a workload; empty when all are alike. Throws ConfigError for a name that is none
  // of them.
  std::vector<std::int64_t> of(const std::vector<std::string>& kinds) const;
};

// Which requests are measured: those that arrive in [warm_up, warm_up + measure). Without `measure`: all
// after the warm-up. The workload ends with the measured window, and the run when the last request has left.
struct Horizon {
  Seconds warm_up{};
  std::optional<Seconds> measure;

  Seconds end() const { return measure ? warm_up + *measure : kNever; }
};

// Replicas whose KV cache may travel, by where from and where to.
struct HandOffEnds {
  std::vector<ReplicaId> from, to;
};

// A scenario, checked: everything that a run needs.
struct Scenario {
  std::string name;
  std::string hash;                                   // of the resolved text; paths as written
  std::string workload_hash, slo_hash, horizon_hash;  // of these parts: what runs must share to be compared
  std::string resolved;                               // JSON with all defaults, valid from any folder
  ClusterSetup cluster;
  Platform platform;
  PlacedCluster placed;
  HandOffEnds hand_offs;
  NetworkSolver network_solver;
  std::vector<LinkFailure> failures;
  std::vector<ReplicaFailure> replica_failures;
  std::unique_ptr<Workload> workload;
  Slos slos;
  Priorities priorities;
  Horizon horizon;
  CostModel costs;
  std::vector<std::string> assumptions;  // constants that no measurement or datasheet stands behind
};

// override_config() with the words that scenarios know: an accelerator and an engine are named by what they
// extend, and a model that is described is another than the one that was named.
void override_scenario(ConfigNode& root, std::string_view assignment);
// Reads and checks a scenario file with overrides ("path=value") on top. Throws ConfigError with every
// problem.
Scenario load_scenario(const std::filesystem::path& file, std::span<const std::string> overrides = {});
// The same for a configuration that is in memory already.
Scenario read_scenario(ConfigNode root, const std::string& name);

}  // namespace disagg
