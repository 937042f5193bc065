#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/design.hpp"
#include "experiments/processes.hpp"

namespace disagg {

// Which of an experiment's points this process runs, and where their results are kept.
struct PointsOptions {
  std::size_t jobs = 1;
  std::optional<std::filesystem::path> store;  // where each point's result goes as soon as it is there
  bool resume = false;                         // points that the store has are not run again
  // Of `shards` processes, each with a store of its own, this is number `shard`, from 0: it runs the points
  // that are that number modulo `shards`.
  std::size_t shard = 0, shards = 1;
  std::function<void(std::size_t done, std::size_t of)> progress;
};

// What an experiment is of: the scenario with its changes, and what is laid on it at each point.
struct Experiment {
  std::filesystem::path scenario;
  std::vector<std::string> overrides;
  Design design;
  std::string question;  // what is asked of each point, where it is not the summary of a run

  // The changes of the scenario at a point.
  std::vector<std::string> overrides_at(std::size_t point) const;
};

// Points of this process's shard, in order.
std::vector<std::size_t> shard_points(const Experiment& experiment, const PointsOptions& options);
// Those of them that a store which is there has an answer to. Throws ConfigError when it is another
// experiment's.
std::vector<std::size_t> kept_points(const Experiment& experiment, const PointsOptions& options);

struct PointResults {
  std::map<std::size_t, TaskResult> results;  // by point, of those of this shard
  std::size_t resumed = 0;                    // of these, found in the store
  std::size_t points = 0;                     // of the whole experiment
};

// Runs `run`, which returns what summary.json holds, at every point of the shard that the store lacks, each
// in a process of its own. A point's result depends neither on jobs nor on order. `seen` is told each result
// as it comes, and may throw to end it all. Throws ConfigError when a store cannot be used, and Interrupted.
PointResults run_points(const Experiment& experiment, const PointsOptions& options,
                        const std::function<std::string(std::size_t point)>& run,
                        const std::function<void(std::size_t point, const TaskResult&)>& seen = {});

}  // namespace disagg
