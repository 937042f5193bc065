#include "experiments/sweep.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "experiments/interrupt.hpp"
#include "experiments/run.hpp"
#include "experiments/scenario.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

RunOptions run_options(const SweepOptions& options) {
  RunOptions run;
  run.end_saturated = options.end_saturated;
  return run;
}

// A typo must not show after an hour.
void read_all(const Experiment& experiment, const PointsOptions& points) {
  for (const std::size_t point : shard_points(experiment, points)) {
    if (interrupted()) throw Interrupted();
    load_scenario(experiment.scenario, experiment.overrides_at(point));
  }
}

// Thrown out of a run that has gone on long enough to tell how long it would take.
struct Enough {
  double share;
};

// Of this process, which has run one point.
Bytes peak_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return Bytes{static_cast<double>(usage.ru_maxrss) * 1024};
}

// One point in a process of its own: {"seconds", "memory", "results"}.
std::string try_point(const Experiment& experiment, const SweepOptions& options, std::size_t point,
                      Seconds longest) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const auto spent = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  RunOptions run = run_options(options);
  run.progress = [&](const RunProgress& progress) {
    if (spent() > longest.si && progress.share > 0) throw Enough{progress.share};
  };
  double seconds = 0;
  std::size_t results = 0;
  try {
    results =
        run_scenario(load_scenario(experiment.scenario, experiment.overrides_at(point)), run).dump().size();
    seconds = spent();
  } catch (const Enough& enough) {
    seconds = spent() / enough.share;
  }
  return ordered_json{{"seconds", seconds}, {"memory", peak_memory().si}, {"results", results}}.dump();
}

}  // namespace

Experiment plan_sweep(const SweepOptions& options) {
  Experiment experiment{.scenario = options.scenario,
                        .overrides = options.overrides,
                        .design = make_design(options.axes, options.design, options.samples, 1),
                        .question = options.end_saturated ? "ended when saturated" : ""};
  const Scenario first = load_scenario(options.scenario, experiment.overrides_at(0));
  experiment.design = replicated(experiment.design, options.seeds, first.cluster.seed);
  return experiment;
}

PointResults run_sweep(const Experiment& experiment, const SweepOptions& options,
                       const PointsOptions& points) {
  read_all(experiment, points);
  return run_points(experiment, points, [&](std::size_t point) {
    return run_scenario(load_scenario(experiment.scenario, experiment.overrides_at(point)),
                        run_options(options))
        .dump();
  });
}

Seconds SweepEstimate::total(std::size_t jobs) const {
  const std::size_t left = points - in_store;
  const std::size_t rounds = (left + jobs - 1) / jobs;
  return mean * static_cast<double>(rounds);
}

SweepEstimate estimate_sweep(const Experiment& experiment, const SweepOptions& options,
                             const PointsOptions& points, Seconds longest) {
  read_all(experiment, points);
  const std::vector<std::size_t> ours = shard_points(experiment, points);
  SweepEstimate estimate{.points = ours.size(),
                         .in_store = kept_points(experiment, points).size(),
                         .tried = 0,
                         .shortest = kNever,
                         .mean = {},
                         .longest = {},
                         .memory = {},
                         .results = {},
                         .failure = {}};
  const std::size_t most = std::max<std::size_t>(4, points.jobs);
  const std::size_t tries = std::min(most, ours.size());
  run_forked(
      tries, points.jobs,
      [&](std::size_t i) {
        return try_point(experiment, options,
                         ours[i * (ours.size() - 1) / std::max<std::size_t>(tries - 1, 1)], longest);
      },
      [&](std::size_t, const TaskResult& result) {
        if (result.code != exit_code::kDone) {
          if (estimate.failure.empty()) estimate.failure = result.output;
          return;
        }
        const ordered_json told = ordered_json::parse(result.output);
        const Seconds seconds{told.at("seconds").get<double>()};
        estimate.shortest = std::min(estimate.shortest, seconds);
        estimate.longest = std::max(estimate.longest, seconds);
        estimate.mean += seconds;
        estimate.memory = std::max(estimate.memory, Bytes{told.at("memory").get<double>()});
        estimate.results = std::max(estimate.results, Bytes{told.at("results").get<double>()});
        ++estimate.tried;
      });
  if (estimate.tried > 0) estimate.mean = estimate.mean / static_cast<double>(estimate.tried);
  return estimate;
}

void print_estimate(const SweepEstimate& e, std::size_t jobs, std::ostream& out) {
  out << e.points << " points";
  if (e.in_store > 0) out << ", of which the store has " << e.in_store;
  out << ".\n";
  if (!e.failure.empty()) out << "Of those that were tried one failed: " << e.failure << '\n';
  if (e.tried == 0) return;
  const std::size_t left = e.points - e.in_store;
  const auto at_once = static_cast<double>(std::min(jobs, std::max<std::size_t>(left, 1)));
  out << "One takes " << show(e.mean) << " and " << show(e.memory) << " of memory (" << e.tried
      << " were tried: " << show(e.shortest) << " to " << show(e.longest) << "). " << left << " take about "
      << show(e.total(jobs)) << " and " << show(e.memory * at_once) << ", " << jobs << " at a time.\n";
  // Each number of a summary is kept a second time, for queries.
  if (e.results > Bytes{0})
    out << "A store of all of them takes about " << show(e.results * (2.0 * static_cast<double>(e.points)))
        << ".\n";
}

}  // namespace disagg
