#include "experiments/capacity.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/figures.hpp"
#include "experiments/interrupt.hpp"
#include "experiments/run.hpp"
#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/no_progress.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

constexpr double kMostScale = 1e6;  // of the workload's rate_scale
// Points that are tried at a time, so that the answer does not depend on the number of jobs.
constexpr std::size_t kProbes = 3;

// Of what arrives: sessions, where there are some.
double arriving(const ordered_json& summary) {
  if (const auto sessions = find_figure(summary, "sessions.arrivals_per_second")) return *sessions;
  return find_figure(summary, "metrics.request_rate").value_or(0);
}

// Saturation shows in time only: where most of the work is done after the last arrival, no load can be told
// from another.
bool is_too_short(const ordered_json& summary) {
  const auto rate = find_figure(summary, "metrics.request_rate");
  const auto throughput = find_figure(summary, "metrics.request_throughput");
  return rate && throughput && *throughput < *rate / 2;
}

// Of requests and of tasks, whichever are bounded: the lower.
std::optional<double> attainment(const ordered_json& summary) {
  const auto requests = find_figure(summary, "metrics.slo_attainment");
  const auto tasks = find_figure(summary, "sessions.slo_attainment");
  if (requests && tasks) return std::min(*requests, *tasks);
  return requests ? requests : tasks;
}

// One point of a search: what is laid on the scenario.
struct Candidate {
  std::vector<std::string> assignments;
  double scale = 1;
  double budget = 0;
};

std::string load_override(double rate_scale) { return "workload.rate_scale=" + show_exact(rate_scale); }

std::vector<std::string> overrides_of(const CapacityOptions& options, const Candidate& candidate,
                                      double base_scale, std::uint64_t seed) {
  std::vector<std::string> all = options.overrides;
  all.insert(all.end(), candidate.assignments.begin(), candidate.assignments.end());
  if (candidate.scale != 1) all.push_back(load_override(base_scale * candidate.scale));
  all.push_back("seed=" + std::to_string(seed));
  return all;
}

// The scenario's own rate scale and seed; and that its SLO and its workload fit the question.
struct Origin {
  double rate_scale = 1;
  std::uint64_t seed = 1;
  bool has_window = false;  // of measurement, beyond which requests go on arriving or are left to end
};
// `assignments` make it a scenario that can be read.
Origin check(const CapacityOptions& options, const std::vector<std::string>& assignments, bool scales_load) {
  std::vector<std::string> overrides = options.overrides;
  overrides.insert(overrides.end(), assignments.begin(), assignments.end());
  const Scenario scenario = load_scenario(options.scenario, overrides);
  const bool tasks =
      scenario.slos.common.task.has_value() ||
      std::ranges::any_of(scenario.slos.named, [](const auto& n) { return n.second.task || n.second.any(); });
  if (!scenario.slos.common.any() && !tasks)
    throw ConfigError(options.scenario.string() + ": has no \"slo\", without which every load is within it");
  if (scales_load && scenario.workload->open(1)->concurrency())
    throw ConfigError(
        options.scenario.string() +
        ": a closed loop offers as much load as is served; sweep workload.arrivals.concurrency");
  ConfigNode resolved = parse_config(scenario.resolved, "resolved");
  Origin origin{
      .rate_scale = 1, .seed = scenario.cluster.seed, .has_window = scenario.horizon.measure.has_value()};
  if (const ConfigNode* workload = resolved.find("workload"))
    if (const ConfigNode* scale = workload->find("rate_scale")) origin.rate_scale = scale->number;
  return origin;
}

// Runs the candidates, each with all seeds.
std::vector<TriedPoint> try_all(const CapacityOptions& options, const std::vector<Candidate>& candidates,
                                const Origin& origin) {
  std::vector<std::vector<TaskResult>> results(candidates.size(), std::vector<TaskResult>(options.seeds));
  run_forked(
      candidates.size() * options.seeds, options.jobs,
      [&](std::size_t i) {
        const auto overrides = overrides_of(options, candidates[i / options.seeds], origin.rate_scale,
                                            origin.seed + i % options.seeds);
        RunOptions run{.single_steps = false,
                       .folder = {},
                       .timeline = false,
                       .progress = {},
                       .attainment = options.attainment,
                       .end_saturated = true};
        return run_scenario(load_scenario(options.scenario, overrides), run).dump();
      },
      [&](std::size_t i, const TaskResult& result) {
        results[i / options.seeds][i % options.seeds] = result;
      });
  std::vector<TriedPoint> points;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    TriedPoint point{.assignments = candidates[c].assignments,
                     .scale = candidates[c].scale,
                     .load_override = load_override(origin.rate_scale * candidates[c].scale),
                     .budget = candidates[c].budget,
                     .arriving_per_second = 0,
                     .attainment = 0,
                     .saturated = false,
                     .abandoned = false,
                     .too_short = false,
                     .meets = false,
                     .ttft_p99_ms = {},
                     .tpot_p99_ms = {},
                     .error = {},
                     .summary = {}};
    const auto seeds = static_cast<double>(options.seeds);
    for (const TaskResult& result : results[c]) {
      if (result.code == exit_code::kNo) {  // no progress: an answer about this cluster
        point.error = result.output;
        continue;
      }
      if (result.code == exit_code::kBadInput) throw ConfigError(result.output);
      if (result.code != exit_code::kDone) throw std::runtime_error(result.output);
      const ordered_json summary = ordered_json::parse(result.output);
      point.attainment += attainment(summary).value_or(0) / seeds;
      // Of a run that was ended early the rate would be that of its beginning.
      point.abandoned = point.abandoned || summary.value("abandoned", false);
      point.arriving_per_second += arriving(summary) / seeds;
      point.too_short = point.too_short || (!origin.has_window && is_too_short(summary));
      point.saturated = point.saturated || summary.at("metrics").at("saturated").get<bool>();
      const auto add = [&](std::optional<double>& sum, std::string_view name) {
        if (const auto value = find_figure(summary, name)) sum = sum.value_or(0) + *value / seeds;
      };
      add(point.ttft_p99_ms, "metrics.ttft_ms.p99");
      add(point.tpot_p99_ms, "metrics.tpot_ms.p99");
    }
    point.meets = point.error.empty() && !point.saturated && !point.abandoned && !point.too_short &&
                  point.attainment >= options.attainment;
    point.summary = results[c].front().output;
    points.push_back(std::move(point));
  }
  return points;
}

ordered_json point_json(const TriedPoint& point) {
  const auto number = [](const std::optional<double>& value) {
    return value ? ordered_json(*value) : ordered_json(nullptr);
  };
  ordered_json j;
  if (!point.assignments.empty()) j["assignments"] = point.assignments;
  j["load"] = point.scale;
  if (point.budget > 0) j["budget"] = point.budget;
  j["arriving_per_s"] = point.arriving_per_second;
  j["slo_attainment"] = point.attainment;
  j["saturated"] = point.saturated;
  j["ended_early"] = point.abandoned;
  j["too_short_to_tell"] = point.too_short;
  j["ttft_p99_ms"] = number(point.ttft_p99_ms);
  j["tpot_p99_ms"] = number(point.tpot_p99_ms);
  j["meets"] = point.meets;
  if (!point.error.empty()) j["error"] = point.error;
  return j;
}

std::string verdict_of(const TriedPoint& point) {
  if (point.meets) return "yes";
  if (!point.error.empty()) return "no: stands still";
  if (point.abandoned) return "no: ended early";
  if (point.saturated) return "no: saturated";
  return point.too_short ? "too short to tell" : "no";
}

std::string show_or_dash(const std::optional<double>& value) { return value ? show_number(*value, 4) : "-"; }

std::vector<std::string> row_of(const TriedPoint& point) {
  return {show_number(point.arriving_per_second, 4), show_percent(point.attainment),
          point.saturated || point.abandoned ? "-" : show_or_dash(point.ttft_p99_ms),
          point.saturated || point.abandoned ? "-" : show_or_dash(point.tpot_p99_ms), verdict_of(point)};
}

}  // namespace

Capacity find_capacity(const CapacityOptions& options) {
  const Origin origin = check(options, {}, true);
  std::map<double, TriedPoint> tried;
  const auto try_scales = [&](const std::vector<double>& scales) {
    std::vector<Candidate> candidates;
    candidates.reserve(scales.size());
    for (const double scale : scales) candidates.push_back({.assignments = {}, .scale = scale, .budget = 0});
    if (options.progress) options.progress("loads tried: " + std::to_string(tried.size()));
    for (TriedPoint& point : try_all(options, candidates, origin))
      tried.emplace(point.scale, std::move(point));
  };
  // The highest load below which all that were tried meet the SLO, and the next.
  const auto enclosed = [&] {
    std::pair<std::optional<double>, std::optional<double>> ends;
    for (const auto& [scale, point] : tried) {
      if (!point.meets) {
        ends.second = scale;
        break;
      }
      ends.first = scale;
    }
    return ends;
  };
  try_scales({1});
  const bool up = tried.at(1).meets;
  for (double factor = 1; true;) {
    const auto [low, high] = enclosed();
    if (low && high) break;
    std::vector<double> scales;
    for (std::size_t i = 0; i < kProbes; ++i) {
      factor = up ? factor * 2 : factor / 2;
      if (const double scale = origin.rate_scale * factor; scale > 1 / kMostScale && scale < kMostScale)
        scales.push_back(factor);
    }
    if (scales.empty()) break;
    try_scales(scales);
    // Where even a fraction of the load changes nothing, the load is not what keeps it from the SLO.
    const auto same = [&](double scale) {
      const TriedPoint& point = tried.at(scale);
      return !point.saturated && !point.abandoned &&
             std::abs(point.attainment - tried.at(scales[0]).attainment) < 1e-9;
    };
    if (!up && std::ranges::all_of(scales, same) && !enclosed().first) break;
    if (up && std::ranges::all_of(scales, [&](double scale) { return tried.at(scale).too_short; })) break;
  }
  while (true) {
    const auto [low, high] = enclosed();
    if (!low || !high || *high / *low - 1 <= options.tolerance) break;
    std::vector<double> scales;
    constexpr auto kParts = static_cast<double>(kProbes + 1);
    for (std::size_t i = 1; i <= kProbes; ++i)
      scales.push_back(*low * std::pow(*high / *low, static_cast<double>(i) / kParts));
    try_scales(scales);
  }
  // Loads whose runs were ended early arrive as often as the scale says, against the nearest that was not.
  for (auto& [scale, point] : tried) {
    if (!point.abandoned) continue;
    const TriedPoint* nearest = nullptr;
    for (const auto& [other, known] : tried)
      if (!known.abandoned && known.arriving_per_second > 0 && (nearest == nullptr || other < scale))
        nearest = &known;
    if (nearest != nullptr) point.arriving_per_second = nearest->arriving_per_second * scale / nearest->scale;
  }
  Capacity capacity;
  const auto [low, high] = enclosed();
  if (low) capacity.capacity = tried.at(*low);
  if (high) capacity.next = tried.at(*high);
  for (auto& [scale, point] : tried) capacity.tried.push_back(std::move(point));
  return capacity;
}

TriedPoint try_load(const CapacityOptions& options, double scale) {
  const Candidate candidate{.assignments = {}, .scale = scale, .budget = 0};
  return try_all(options, {candidate}, check(options, {}, false)).front();
}

ordered_json summary_at_capacity(const CapacityOptions& options) {
  const Capacity found = find_capacity(options);
  const TriedPoint& shown = found.capacity ? *found.capacity : found.tried.front();
  if (!shown.error.empty()) throw NoProgress(shown.error);
  ordered_json summary = ordered_json::parse(shown.summary);
  const TriedPoint none;
  const TriedPoint& at = found.capacity ? *found.capacity : none;
  summary["capacity"] = {
      {"per_s", at.arriving_per_second},
      {"load", found.capacity ? at.scale : 0},
      {"attainment", at.attainment},
      {"next_per_s", found.next ? ordered_json(found.next->arriving_per_second) : ordered_json(nullptr)}};
  summary["provenance"]["workload_hash"] = load_scenario(options.scenario, options.overrides).workload_hash;
  return summary;
}

std::string capacity_question(const CapacityOptions& options) {
  return "capacity at an attainment of " + show_exact(options.attainment) + " within " +
         show_exact(options.tolerance) + ", seeds " + std::to_string(options.seeds);
}

PointResults find_capacities(const Experiment& experiment, const CapacityOptions& options,
                             const PointsOptions& points) {
  const auto at = [&](std::size_t point) {
    CapacityOptions one = options;
    one.scenario = experiment.scenario;
    one.overrides = experiment.overrides_at(point);
    one.jobs = 1;
    one.progress = {};
    return one;
  };
  for (const std::size_t point : shard_points(experiment, points)) {
    if (interrupted()) throw Interrupted();
    try {
      check(at(point), {}, true);
    } catch (const ConfigError& error) {
      throw ConfigError("at " + experiment.design.told(point) + ": " + error.what());
    }
  }
  return run_points(experiment, points, [&](std::size_t point) {
    ordered_json summary = summary_at_capacity(at(point));
    if (summary.at("capacity").at("per_s") == 0)
      summary = {{"name", summary.at("name")},
                 {"provenance", summary.at("provenance")},
                 {"capacity", summary.at("capacity")}};
    return summary.dump();
  });
}

CheapestCluster find_cheapest(const CapacityOptions& options, const Design& clusters, Match match) {
  std::vector<Candidate> candidates;
  CheapestCluster cheapest;
  cheapest.points = clusters.points();
  std::optional<Origin> origin;
  std::string first_problem;
  for (std::size_t point = 0; point < cheapest.points; ++point) {
    if (interrupted()) throw Interrupted();
    Candidate candidate{.assignments = clusters.assignments(point), .scale = 1, .budget = 0};
    // Not every combination need be a cluster: a model may not fit.
    try {
      if (!origin) origin = check(options, candidate.assignments, false);
      const auto overrides = overrides_of(options, candidate, origin->rate_scale, origin->seed);
      candidate.budget = budget(load_scenario(options.scenario, overrides), match).total();
      candidates.push_back(std::move(candidate));
    } catch (const ConfigError& error) {
      if (first_problem.empty()) first_problem = error.what();
      cheapest.impossible.push_back(std::move(candidate.assignments));
    }
  }
  if (candidates.empty()) throw ConfigError(first_problem);
  std::ranges::stable_sort(candidates, {}, &Candidate::budget);
  for (std::size_t first = 0; first < candidates.size() && !cheapest.best; first += kProbes) {
    const std::size_t end = std::min(first + kProbes, candidates.size());
    if (options.progress)
      options.progress(std::to_string(first) + " of " + std::to_string(candidates.size()) +
                       " clusters tried");
    const std::vector<Candidate> some(candidates.begin() + static_cast<std::ptrdiff_t>(first),
                                      candidates.begin() + static_cast<std::ptrdiff_t>(end));
    for (TriedPoint& point : try_all(options, some, *origin)) {
      if (point.meets && !cheapest.best) cheapest.best = point;
      cheapest.tried.push_back(std::move(point));
    }
  }
  return cheapest;
}

void print_capacity(const Capacity& capacity, const CapacityOptions& options, std::ostream& out) {
  Table table({{"load", "x"},
               {"arriving", "per s"},
               {"attainment", "%"},
               {"TTFT p99", "ms"},
               {"TPOT p99", "ms"},
               {"meets"}});
  for (const TriedPoint& point : capacity.tried) {
    std::vector<std::string> row = row_of(point);
    row.insert(row.begin(), show_number(point.scale, 4));
    table.add(row);
  }
  out << table << '\n';
  const std::string share = show_percent(options.attainment) + " % of the requests";
  if (!capacity.capacity) {
    out << "No load was found at which " << share << " meet the SLO.\n";
  } else if (!capacity.next) {
    out << "At every load that was tried " << share << " meet the SLO.\n";
  } else {
    out << "Capacity: " << show_number(capacity.capacity->arriving_per_second, 4) << " a second arrive, "
        << show_number(capacity.capacity->scale, 4) << " times the scenario's load, at which "
        << show_percent(capacity.capacity->attainment) << " % meet the SLO; at "
        << show_number(capacity.next->arriving_per_second, 4)
        << (capacity.next->too_short ? " the workload is too short to tell (give it more requests)"
                                     : " it is ")
        << (capacity.next->too_short ? ""
            : capacity.next->saturated || capacity.next->abandoned
                ? "overloaded"
                : show_percent(capacity.next->attainment) + " %")
        << ".\n";
  }
}

ordered_json capacity_json(const Capacity& capacity) {
  ordered_json j{{"schema_version", 1}};
  j["capacity"] = capacity.capacity ? point_json(*capacity.capacity) : ordered_json(nullptr);
  j["next"] = capacity.next ? point_json(*capacity.next) : ordered_json(nullptr);
  j["tried"] = ordered_json::array();
  for (const TriedPoint& point : capacity.tried) j["tried"].push_back(point_json(point));
  return j;
}

namespace {

std::string text_of(const std::vector<std::string>& assignments) {
  std::string text;
  for (const std::string& assignment : assignments) text += (text.empty() ? "" : ", ") + assignment;
  return text;
}

}  // namespace

void print_cheapest(const CheapestCluster& cheapest, const CapacityOptions& options, Match match,
                    std::ostream& out) {
  const std::string unit(kMatchUnits.at(static_cast<std::size_t>(match)));
  Table table({{"cluster"},
               {unit},
               {"arriving", "per s"},
               {"attainment", "%"},
               {"TTFT p99", "ms"},
               {"TPOT p99", "ms"},
               {"meets"}});
  for (const TriedPoint& point : cheapest.tried) {
    std::vector<std::string> row = row_of(point);
    row.insert(row.begin(), {text_of(point.assignments), show_number(point.budget, 5)});
    table.add(row);
  }
  out << table << '\n';
  const std::size_t left = cheapest.points - cheapest.tried.size() - cheapest.impossible.size();
  for (const auto& assignments : cheapest.impossible)
    out << "Cannot be built: " << text_of(assignments) << '\n';
  if (!cheapest.best) {
    out << "None of " << cheapest.points << " clusters serves " << show_percent(options.attainment)
        << " % of the requests within the SLO.\n";
    return;
  }
  out << "Least: " << text_of(cheapest.best->assignments) << ", " << show_number(cheapest.best->budget, 5)
      << " " << unit << ", serves " << show_percent(cheapest.best->attainment) << " % within the SLO. "
      << left
      << (left == 1 ? " cluster takes more and was not tried.\n"
                    : " clusters take more and were not tried.\n");
}

ordered_json cheapest_json(const CheapestCluster& cheapest) {
  ordered_json j{{"schema_version", 1}};
  j["best"] = cheapest.best ? point_json(*cheapest.best) : ordered_json(nullptr);
  j["points"] = cheapest.points;
  j["impossible"] = cheapest.impossible;
  j["tried"] = ordered_json::array();
  for (const TriedPoint& point : cheapest.tried) j["tried"].push_back(point_json(point));
  return j;
}

}  // namespace disagg
