#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "experiments/scenario.hpp"

namespace disagg {

// How far a run has come.
struct RunProgress {
  double share = -1;  // of the workload, 0 to 1; below 0 when it cannot be known
  Seconds simulated{};
  std::int64_t finished = 0;
};

struct RunOptions {
  bool single_steps = false;                         // reference mode: spans of one step
  std::optional<std::filesystem::path> folder;       // where the results go; none: nowhere
  bool timeline = false;                             // write timeline.json too
  std::function<void(const RunProgress&)> progress;  // called now and then
  // Ends the run early once so many requests have missed the SLO that this share of all of them cannot meet
  // it any more: the summary, of what has ended by then, has "abandoned": true. How many will come is told by
  // how far the workload is, or the measured window of a generated one; where that cannot be known the run
  // goes to its end.
  std::optional<double> attainment{};
  // Ends the run once half of the workload has come and the queue grows twice as fast as makes a run
  // saturated: the summary says "saturated" and "abandoned".
  bool end_saturated = false;
};

// Simulates a scenario to its end. Returns what summary.json holds; writes the run folder if one is asked
// for. Once in a process, because SimGrid allows one engine. Throws ConfigError (bad trace, folder),
// Interrupted, BrokenInvariant.
nlohmann::ordered_json run_scenario(Scenario scenario, const RunOptions& options);

}  // namespace disagg
