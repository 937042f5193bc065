#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/design.hpp"
#include "experiments/match.hpp"
#include "experiments/points.hpp"

namespace disagg {

struct CapacityOptions {
  std::filesystem::path scenario;
  std::vector<std::string> overrides;
  double attainment =
      0.9;  // share of the requests, and of the tasks where these have an SLO, that must meet it
  double tolerance = 0.02;  // of the load
  std::size_t seeds = 1;    // runs of a point, whose attainments are averaged
  std::size_t jobs = 1;
  std::function<void(const std::string&)> progress;
};

// One load, or one cluster, that was tried.
struct TriedPoint {
  std::vector<std::string> assignments;  // of the axes: "cluster.pools[0].replicas=4"
  double scale = 1;                      // times the scenario's load
  std::string load_override;             // that makes this load: "workload.rate_scale=2"
  double budget = 0;                     // of the cluster, where that is minimised
  double arriving_per_second = 0;        // requests, or sessions where there are some
  double attainment = 0;
  bool saturated = false;
  bool abandoned = false;  // too many missed the SLO for the rest to make up for it
  bool too_short = false;  // most of the work was done after the last arrival: saturation cannot be seen
  bool meets = false;
  std::optional<double> ttft_p99_ms, tpot_p99_ms;
  std::string error;    // why there is no result; such a point does not meet
  std::string summary;  // of the first seed, JSON
};

// The highest load that meets the SLO, by doubling or halving the scenario's until it is enclosed, and then
// by cutting the interval (geometrically, into as many parts as there are jobs and one more). All loads see
// the same requests in another time: common random numbers. `capacity` is nothing when no load meets it.
struct Capacity {
  std::optional<TriedPoint> capacity, next;  // next: the lowest load found that does not meet
  std::vector<TriedPoint> tried;             // by load
};
Capacity find_capacity(const CapacityOptions& options);

// The scenario at so many times its own load.
TriedPoint try_load(const CapacityOptions& options, double scale = 1);

// The summary of the run at the capacity (first seed), with "capacity": {"per_s": requests or sessions
// arriving, "load", "attainment", "next_per_s"}. Where no load meets the SLO the first three are 0, and the
// summary is that of the least load tried. "workload_hash" is that of the scenario's own load, which the
// loads share. Runs one process at a time.
nlohmann::ordered_json summary_at_capacity(const CapacityOptions& options);
// The question that it answers, for stores.
std::string capacity_question(const CapacityOptions& options);
// The same at each point of an experiment, whose scenario and changes take the place of those of `options`;
// of a point that meets the SLO at no load only "capacity".
PointResults find_capacities(const Experiment& experiment, const CapacityOptions& options,
                             const PointsOptions& points);

// The cluster of least budget (Match::count, cost, capital or power) of those given that meets the SLO under
// the scenario's load: points are tried from the cheapest on, so that the first to meet it is the answer.
struct CheapestCluster {
  std::optional<TriedPoint> best;
  std::vector<TriedPoint> tried;                     // by budget
  std::vector<std::vector<std::string>> impossible;  // assignments that make no cluster
  std::size_t points = 0;                            // that were given
};
CheapestCluster find_cheapest(const CapacityOptions& options, const Design& clusters, Match match);

void print_capacity(const Capacity& capacity, const CapacityOptions& options, std::ostream& out);
nlohmann::ordered_json capacity_json(const Capacity& capacity);
void print_cheapest(const CheapestCluster& cheapest, const CapacityOptions& options, Match match,
                    std::ostream& out);
nlohmann::ordered_json cheapest_json(const CheapestCluster& cheapest);

}  // namespace disagg
