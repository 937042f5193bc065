#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "experiments/roofline.hpp"

namespace disagg {

// What stands on the command line, of all commands together; defaults are those that --help shows.
struct Options {
  std::vector<std::filesystem::path> scenarios, files;
  std::vector<std::string> overrides;
  std::vector<std::string> axes, columns;
  std::vector<std::string> by, limits, fit;
  std::string fit_mode = "agg";
  std::string folder, csv, what, trace_kind, accelerator, output, models, recipes, constants, constants_of,
      figures;
  std::string report, command;  // command: all of the command line
  std::string software = "eager-2023", validation_kind = "serving";
  std::size_t folds = 5;
  RooflineOptions roofline;
  std::size_t jobs = std::max(1U, std::thread::hardware_concurrency());
  std::string profile_name = "fitted", match = "none";
  std::size_t seeds = 1;
  double attainment = 0.9, tolerance = 0.02;
  std::string minimise, store, shard, metric, method = "sobol";
  std::string design = "grid";
  std::size_t samples = 64, shards = 1, shard_jobs = 1;
  std::vector<std::string> arguments;
  std::string image = "disagg", claim = "disagg";
  std::string x = "metrics.output_throughput_per_accelerator", y = "min:metrics.tpot_ms.p50";
  bool resume = false, dry_run = false, end_saturated = false, at_capacity = false, best_split = false;
  bool halves = false;
  bool with_suspect = false;
  bool no_color = false;
  bool json = false, quiet = false, timeline = false, single_steps = false;
};

}  // namespace disagg
