#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/compare.hpp"
#include "experiments/design.hpp"
#include "experiments/match.hpp"
#include "experiments/scenario.hpp"

namespace disagg {

struct CompareOptions {
  std::vector<std::filesystem::path> scenarios;  // changes are told against the first
  std::vector<std::string> overrides;            // of all of them
  std::vector<Axis> conditions;                  // a comparison for each point of their grid
  Match match = Match::none;
  std::size_t seeds = 1;  // the scenario's own and those after it, the same on all sides
  // Each side and seed at the highest load that meets the SLO, instead of at the scenario's.
  bool at_capacity = false;
  // First moves replicas between the pools of sides that have two, within what they are matched to, as long
  // as that raises their capacity under the first seed by more than the tolerance. Needs a match of budgets.
  bool best_split = false;
  double attainment = 0.9;  // of capacities, and of the loads that Match::throughput tries
  double tolerance = 0.02;
  std::size_t jobs = 1;
  std::optional<std::filesystem::path> folder;  // for the results of each run, without conditions only
  std::function<void(std::size_t done, std::size_t of)> progress;
};

// Runs every side with every seed under every condition. Match::throughput first finds the highest load that
// the first side serves within the SLO, and of every other side the fewest replicas, in its own proportions,
// that serve it too; all sides then run at that load. Throws ConfigError, before anything runs when a
// scenario cannot be read.
std::vector<ConditionalComparison> compare_scenarios(const CompareOptions& options);

// Runs `count` scenarios, each in a process of its own; their summaries in order. Throws ConfigError, before
// anything runs when one cannot be read, and what the first that fails throws.
struct RunAllOptions {
  std::size_t jobs = 1;
  std::optional<std::filesystem::path> folder;  // holds one folder a run, of its scenario's name
  bool timeline = false;
  std::function<void(std::size_t done, std::size_t of)> progress;
};
std::vector<nlohmann::ordered_json> run_all(const RunAllOptions& options, std::size_t count,
                                            const std::function<Scenario(std::size_t)>& load);

}  // namespace disagg
