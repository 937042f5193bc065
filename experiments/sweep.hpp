#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "experiments/processes.hpp"

namespace disagg {

// One path of the scenario and the values it takes.
struct Axis {
  std::string path;
  std::vector<std::string> values;
};

// Reads "cluster.pools[0].replicas=1,2,4". A value that holds commas is JSON in brackets or quotes. Throws
// ConfigError.
Axis parse_axis(const std::string& text);

// Points of the grid of the axes, the last turning fastest. Throws ConfigError: an axis twice, too many
// points.
std::size_t grid_points(const std::vector<Axis>& axes);
// "PATH=VALUE" of each axis at a point.
std::vector<std::string> grid_assignments(const std::vector<Axis>& axes, std::size_t point);

struct SweepOptions {
  std::filesystem::path scenario;
  std::vector<std::string> overrides;
  std::vector<Axis> axes;
  std::vector<std::string> columns;  // of the table, behind the axes; none: all that there are
  std::size_t jobs = 1;
  std::function<void(std::size_t done, std::size_t of)> progress;
};

struct SweepTable {
  std::string csv;  // one row a point, in grid order: the last axis turns fastest
  std::size_t points = 0;
  std::vector<std::string> missing;   // columns that were asked for and that no point has
  std::vector<std::string> failures;  // "point 3 (path=value): message"
};

// Runs every point of the grid. A point's row does not depend on jobs or order. Throws ConfigError before
// anything runs when a point cannot be read, and Interrupted.
SweepTable run_sweep(const SweepOptions& options);

}  // namespace disagg
