#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
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
  std::optional<std::filesystem::path> store;  // where each point's result goes as soon as it is there
  bool resume = false;                         // points that the store has are not run again
  // Of `shards` processes, each with a store of its own, this is number `shard`, from 0: it runs the points
  // that are that number modulo `shards`.
  std::size_t shard = 0, shards = 1;
  std::function<void(std::size_t done, std::size_t of)> progress;
};

struct SweepTable {
  std::string csv;                    // one row a point, in grid order: the last axis turns fastest
  std::size_t points = 0;             // of the table
  std::size_t resumed = 0;            // of these, found in the store
  std::vector<std::string> missing;   // columns that were asked for and that no point has
  std::vector<std::string> failures;  // "point 3 (path=value): message"
};

// Runs every point of the grid. A point's row does not depend on jobs or order. Throws ConfigError before
// anything runs when a point cannot be read, and Interrupted.
SweepTable run_sweep(const SweepOptions& options);

// "2/8", from 1 on, or "auto": what Slurm (arrays, srun), MPI (OpenMPI, PMI) or an indexed Kubernetes job
// says in the environment. Throws ConfigError.
std::pair<std::size_t, std::size_t> parse_shard(const std::string& text);

// The table of a store, whole or not.
SweepTable read_sweep(const std::filesystem::path& store, const std::vector<std::string>& columns);

}  // namespace disagg
