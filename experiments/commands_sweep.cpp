#include <algorithm>
#include <array>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <tuple>

#include "experiments/capacity.hpp"
#include "experiments/commands.hpp"
#include "experiments/emit.hpp"
#include "experiments/interrupt.hpp"
#include "experiments/match.hpp"
#include "experiments/pareto.hpp"
#include "experiments/points_table.hpp"
#include "experiments/progress.hpp"
#include "experiments/run_folder.hpp"
#include "experiments/scenario.hpp"
#include "experiments/sensitivity.hpp"
#include "experiments/shard.hpp"
#include "experiments/store.hpp"
#include "experiments/sweep.hpp"
#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"
#include "version.hpp"

namespace disagg::commands {
namespace {

PointsOptions points_options(const Options& o, ProgressLine& line, const std::string& what) {
  if (o.store.empty() && (o.resume || !o.shard.empty()))
    throw ConfigError(what + ": --resume and --shard need a --store");
  PointsOptions options{.jobs = o.jobs,
                        .store = {},
                        .resume = o.resume,
                        .shard = 0,
                        .shards = 1,
                        .progress = count_progress(line, what == "sensitivity" ? "runs" : "points")};
  if (!o.store.empty()) options.store = o.store;
  if (!o.shard.empty()) std::tie(options.shard, options.shards) = parse_shard(o.shard);
  return options;
}

void tell_resumed(const Options& o, std::size_t resumed) {
  if (o.quiet || resumed == 0) return;
  std::cerr << resumed << " points were in " << o.store << " already\n";
  if (const std::string made = Store(o.store).version(); made != version())
    std::cerr << "disagg: they may be of another version of the program: " << made << " made the store\n";
}

// `kind`: of the report.
int show_table(const Options& o, const PointsTable& table, std::string_view kind) {
  if (o.json) {
    std::cout << table.json().dump(1) << '\n';
  } else if (o.csv.empty()) {
    std::cout << table.csv();
  }
  if (!o.csv.empty()) {
    write_file(o.csv, table.csv());
    if (!o.quiet) std::cerr << table.rows.size() << " points are in " << o.csv << '\n';
  }
  if (!o.report.empty()) report_results(o, kind, table.json());
  for (const std::string& column : table.missing)
    std::cerr << "disagg: no point has a column '" << column << "'\n";
  const std::vector<std::string> failures = table.failures();
  for (const std::string& failure : failures) std::cerr << "disagg: " << failure << '\n';
  return failures.empty() ? exit_code::kDone : exit_code::kSomeFailed;
}

// Of a search at each point of a grid of clusters.
int show_capacities(const Options& o, const Experiment& experiment, const PointResults& found) {
  const PointsTable table = tabulate(experiment.design, found.results, o.columns);
  if (o.json || !o.csv.empty() || !o.columns.empty()) return show_table(o, table, "capacity-table");
  if (!o.report.empty()) report_results(o, "capacity-table", table.json());
  std::vector<Table::Column> header;
  header.reserve(table.paths.size());
  for (const std::string& path : table.paths) header.push_back({path});
  constexpr auto kColumns = std::to_array<std::array<std::string_view, 3>>({
      {"capacity.per_s", "capacity", "per s"},
      {"metrics.ttft_ms.p99", "TTFT p99", "ms"},
      {"metrics.tpot_ms.p99", "TPOT p99", "ms"},
      {"metrics.output_throughput_per_accelerator", "output", "tok/s/accelerator"},
      {"cost.usd_per_hour", "cost", "USD/h"},
      {"cost.usd_per_million_tokens", "per 1M tokens", "USD"},
      {"energy.j_per_output_token", "per output token", "J"},
  });
  for (const auto& column : kColumns) header.push_back({std::string(column[1]), std::string(column[2])});
  Table shown(header);
  const PointsTable::Row* most = nullptr;
  double highest = 0;
  for (const auto& [point, row] : table.rows) {
    std::vector<std::string> cells = row.values;
    for (const auto& column : kColumns) {
      const auto number = row.numbers.find(std::string(column[0]));
      cells.push_back(number == row.numbers.end() ? "-" : show_number(std::stod(number->second), 4));
    }
    shown.add(cells);
    const auto capacity = row.numbers.find("capacity.per_s");
    if (capacity == row.numbers.end() || std::stod(capacity->second) <= highest) continue;
    highest = std::stod(capacity->second);
    most = &row;
  }
  std::cout << shown << '\n';
  if (table.rows.empty()) {
    std::cout << "This shard has no points.\n";
  } else if (most == nullptr) {
    std::cout << "None of them meets the SLO at any load.\n";
  } else {
    std::cout << "Highest capacity: " << show_number(highest, 4) << " a second, with ";
    for (std::size_t a = 0; a < table.paths.size(); ++a)
      std::cout << (a > 0 ? ", " : "") << table.paths[a] << "=" << most->values[a];
    std::cout << ".\n";
  }
  const std::vector<std::string> failures = table.failures();
  for (const std::string& failure : failures) std::cerr << "disagg: " << failure << '\n';
  return failures.empty() ? exit_code::kDone : exit_code::kSomeFailed;
}

nlohmann::ordered_json with_target(nlohmann::ordered_json json, const Options& o) {
  json["target"] = o.attainment;
  return json;
}

}  // namespace

int sweep(const Options& o) {
  const SweepOptions options{.scenario = o.scenarios.front(),
                             .overrides = o.overrides,
                             .axes = parse_axes(o.axes),
                             .design = design_named(o.design),
                             .samples = o.samples,
                             .seeds = o.seeds,
                             .end_saturated = o.end_saturated};
  ProgressLine line(o.quiet);
  const PointsOptions points = points_options(o, line, "sweep");
  require_folder_of("--csv", o.csv);
  require_report(o);
  if (o.dry_run && !o.report.empty())
    throw ConfigError("sweep: --dry-run has no results for --report; leave one of them out");
  const Experiment experiment = plan_sweep(options);
  if (o.dry_run) {
    constexpr Seconds kLongest{10};
    print_estimate(estimate_sweep(experiment, options, points, kLongest), o.jobs, std::cout);
    return exit_code::kDone;
  }
  const PointResults found = run_sweep(experiment, options, points);
  line.clear();
  tell_resumed(o, found.resumed);
  return show_table(o, tabulate(experiment.design, found.results, o.columns), "sweep");
}

// Of the stores given, the first takes what the others have.
int merge(const Options& o) {
  if (o.files.empty()) throw ConfigError("merge: needs at least one store to merge into " + o.store);
  std::error_code ignored;
  if (!std::filesystem::exists(o.store, ignored)) Store(o.store, Store(o.files.front()).sweep(), true);
  Store merged(o.store);
  for (const std::filesystem::path& file : o.files) merged.merge(Store(file));
  if (!o.quiet)
    std::cerr << merged.done().size() << " of " << merged.sweep().points << " points are in " << o.store
              << '\n';
  return exit_code::kDone;
}

int status(const Options& o) {
  const PointsTable table = tabulate_store(o.store, o.columns);
  if (o.json || !o.csv.empty() || !o.columns.empty()) return show_table(o, table, "sweep");
  std::cout << table.rows.size() << " of " << Store(o.store).sweep().points << " points are in " << o.store
            << ", " << table.failures().size() << " of them failed\n";
  return exit_code::kDone;
}

int capacity(const Options& o) {
  CapacityOptions options{.scenario = o.scenarios.front(),
                          .overrides = o.overrides,
                          .attainment = o.attainment,
                          .tolerance = o.tolerance,
                          .seeds = o.seeds,
                          .jobs = o.jobs,
                          .progress = {}};
  if (o.axes.empty() && !o.minimise.empty())
    throw ConfigError("capacity: --minimise needs the clusters to choose from: --axis");
  const bool one_answer = o.axes.empty() || !o.minimise.empty();
  if (one_answer && (!o.csv.empty() || !o.columns.empty()))
    throw ConfigError(
        "capacity: --csv and --column show the capacities of several clusters: --axis, and no --minimise");
  if (!o.store.empty() && one_answer)
    throw ConfigError(
        "capacity: --store keeps the capacities of several clusters: --axis, and no --minimise");
  require_report(o);
  ProgressLine line(o.quiet);
  const PointsOptions points = points_options(o, line, "capacity");
  if (line.active()) options.progress = [&](const std::string& text) { line.show(-1, text); };
  const std::vector<Axis> axes = parse_axes(o.axes);
  if (axes.empty()) {
    const Capacity found = find_capacity(options);
    line.clear();
    if (!o.report.empty()) report_results(o, "capacity", with_target(capacity_json(found), o));
    if (o.json) {
      std::cout << capacity_json(found).dump(2) << '\n';
    } else {
      print_capacity(found, options, std::cout);
    }
    return found.capacity ? exit_code::kDone : exit_code::kNo;
  }
  if (o.minimise.empty()) {
    require_folder_of("--csv", o.csv);
    const Experiment experiment{.scenario = options.scenario,
                                .overrides = options.overrides,
                                .design = make_design(axes, design_named(o.design), 0, 0),
                                .question = capacity_question(options)};
    const PointResults found = find_capacities(experiment, options, points);
    line.clear();
    tell_resumed(o, found.resumed);
    return show_capacities(o, experiment, found);
  }
  const Match match = match_named(o.minimise);
  const CheapestCluster found =
      find_cheapest(options, make_design(axes, design_named(o.design), 0, 0), match);
  line.clear();
  if (!o.report.empty()) report_results(o, "minimise", with_target(cheapest_json(found), o));
  if (o.json) {
    std::cout << cheapest_json(found).dump(2) << '\n';
  } else {
    print_cheapest(found, options, match, std::cout);
  }
  return found.best ? exit_code::kDone : exit_code::kNo;
}

int sensitivity(const Options& o) {
  const SensitivityOptions options{
      .scenario = o.scenarios.front(),
      .overrides = o.overrides,
      .axes = parse_axes(o.axes),
      .metric = o.metric,
      .method = static_cast<SensitivityMethod>(std::ranges::find(kSensitivityMethods, o.method) -
                                               kSensitivityMethods.begin()),
      .samples = o.samples};
  require_report(o);
  ProgressLine line(o.quiet);
  const std::optional<Sensitivity> found = analyse_scenario(options, points_options(o, line, "sensitivity"));
  line.clear();
  if (!found) {
    if (!o.quiet)
      std::cerr << "this shard's runs are in " << o.store
                << "; merge all shards' stores (disagg merge), and ask again with that --store and --resume"
                << (o.report.empty() ? "\n" : ": then --report has something to show\n");
    return exit_code::kDone;
  }
  if (!o.report.empty()) report_results(o, "sensitivity", sensitivity_json(*found, o.metric));
  if (o.json) {
    std::cout << sensitivity_json(*found, o.metric).dump(2) << '\n';
  } else {
    print_sensitivity(*found, o.metric, std::cout);
  }
  return exit_code::kDone;
}

int emit(const Options& o) {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  std::cout << emit_script({.launcher = static_cast<Launcher>(
                                std::find(kLaunchers.begin(), kLaunchers.end(), o.what) - kLaunchers.begin()),
                            .program = error ? "disagg" : program.string(),
                            .arguments = o.arguments,
                            .store = o.store,
                            .shards = o.shards,
                            .jobs = o.shard_jobs,
                            .image = o.image,
                            .claim = o.claim});
  return exit_code::kDone;
}

int pareto(const Options& o) {
  const Objective x = parse_objective(o.x);
  const Objective y = parse_objective(o.y);
  require_report(o);
  const std::vector<Front> fronts = compare_fronts(o.files, x, y);
  if (!o.report.empty()) report_results(o, "pareto", fronts_json(fronts, x, y));
  if (o.json) {
    std::cout << fronts_json(fronts, x, y).dump(2) << '\n';
  } else {
    print_fronts(fronts, x, y, std::cout);
  }
  return exit_code::kDone;
}

}  // namespace disagg::commands
