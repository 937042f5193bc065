#pragma once

#include <cstddef>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/design.hpp"
#include "experiments/points.hpp"
#include "sim/base/quantity.hpp"

namespace disagg {

struct SweepOptions {
  std::filesystem::path scenario;
  std::vector<std::string> overrides;
  std::vector<Axis> axes;
  DesignKind design = DesignKind::grid;
  std::size_t samples = 64;    // of the designs that draw
  std::size_t seeds = 1;       // runs of each point
  bool end_saturated = false;  // RunOptions::end_saturated
};

// The points of a sweep. Throws ConfigError when the axes make none, or the first cannot be read.
Experiment plan_sweep(const SweepOptions& options);

// Runs the points of this shard. Throws ConfigError before anything runs when one of them cannot be read, and
// Interrupted.
PointResults run_sweep(const Experiment& experiment, const SweepOptions& options,
                       const PointsOptions& points);

// What a sweep would take, told by a few of its points, each of which runs for `longest` at most: the time
// that it would take is then told by how far it came.
struct SweepEstimate {
  std::size_t points = 0, in_store = 0, tried = 0;
  Seconds shortest{}, mean{}, longest{};  // of a point, on one core
  Bytes memory{};                         // the most of a point
  Bytes results{};                        // of a point, in a store
  std::string failure;                    // of the first point that failed
  // Of those that are left. Precondition: at least one job.
  Seconds total(std::size_t jobs) const;
};
SweepEstimate estimate_sweep(const Experiment& experiment, const SweepOptions& options,
                             const PointsOptions& points, Seconds longest);
void print_estimate(const SweepEstimate& estimate, std::size_t jobs, std::ostream& out);

}  // namespace disagg
