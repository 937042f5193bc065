#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "embedded.hpp"
#include "experiments/commands.hpp"
#include "experiments/compare.hpp"
#include "experiments/compare_scenarios.hpp"
#include "experiments/processes.hpp"
#include "experiments/progress.hpp"
#include "experiments/report.hpp"
#include "experiments/run.hpp"
#include "experiments/run_folder.hpp"
#include "experiments/scenario.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"

namespace disagg::commands {
namespace {

using nlohmann::ordered_json;

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::string speed(const ordered_json& summary, double seconds) {
  const auto completed = summary.at("metrics").at("completed").get<double>();
  return show_number(completed) + " requests simulated in " + show(Seconds{seconds}) + " of CPU time";
}

}  // namespace

int run(const Options& o) {
  const double before = cpu_seconds();
  Scenario scenario = load_scenario(o.scenarios.front(), o.overrides);
  ProgressLine line(o.quiet);
  RunOptions options{
      .single_steps = o.single_steps, .folder = {}, .timeline = o.timeline, .progress = run_progress(line)};
  if (!o.folder.empty()) options.folder = o.folder;
  if (o.timeline && o.folder.empty())
    throw ConfigError("--timeline: needs --out FOLDER to write timeline.json into");
  const ordered_json summary = run_scenario(std::move(scenario), options);
  line.clear();
  if (!o.folder.empty()) report_folder(o);
  if (o.json) {
    std::cout << summary.dump(2) << '\n';
  } else {
    print_summary(summary, std::cout);
  }
  if (!o.quiet) {
    std::cerr << speed(summary, cpu_seconds() - before) << '\n';
    if (!o.folder.empty()) std::cerr << "results are in " << o.folder << '\n';
  }
  return exit_code::kDone;
}

namespace {

RunAllOptions run_all_options(const Options& o, ProgressLine& line) {
  RunAllOptions options{
      .jobs = o.jobs, .folder = {}, .timeline = o.timeline, .progress = count_progress(line, "runs")};
  if (!o.folder.empty()) options.folder = o.folder;
  return options;
}

}  // namespace

namespace {

void write_comparison(const std::filesystem::path& folder, const Comparison& comparison) {
  write_file(folder / "comparison.json", comparison_json(comparison).dump(2) + "\n");
}

}  // namespace

int compare(const Options& o) {
  CompareOptions options{.scenarios = o.scenarios,
                         .overrides = o.overrides,
                         .conditions = parse_axes(o.axes),
                         .match = match_named(o.match),
                         .seeds = o.seeds,
                         .at_capacity = o.at_capacity,
                         .best_split = o.best_split,
                         .attainment = o.attainment,
                         .tolerance = o.tolerance,
                         .jobs = o.jobs,
                         .folder = {},
                         .progress = {}};
  if (!o.folder.empty()) options.folder = o.folder;
  // A report shows the runs too, kept or not.
  std::optional<ScratchFolder> scratch;
  if (!o.report.empty() && o.folder.empty() && !o.at_capacity && o.axes.empty())
    options.folder = scratch.emplace().path();
  if (!o.folder.empty() && (o.at_capacity || !o.axes.empty()))
    throw ConfigError(
        "compare: --out belongs to one comparison of single runs, not to --at-capacity or --axis");
  require_folder_of("--csv", o.csv);
  require_report(o);
  if (!o.csv.empty() && o.axes.empty()) throw ConfigError("compare: --csv is a table of conditions (--axis)");
  if (o.at_capacity && options.match == Match::throughput)
    throw ConfigError("compare: --match throughput gives all sides one load; leave out --at-capacity");
  if (o.best_split && (options.match == Match::none || options.match == Match::throughput))
    throw ConfigError(
        "compare: --best-split needs a budget to split: --match count, cost, rent, capital or power");
  std::vector<Limit> limits;
  limits.reserve(o.limits.size());
  for (const std::string& text : o.limits) limits.push_back(parse_limit(text));
  ProgressLine line(o.quiet);
  options.progress = count_progress(line, o.at_capacity ? "capacities" : "runs");
  const std::vector<ConditionalComparison> found = compare_scenarios(options);
  line.clear();
  std::vector<std::string> paths;
  paths.reserve(options.conditions.size());
  for (const Axis& axis : options.conditions) paths.push_back(axis.path);
  const Comparison& first = found.front().comparison;
  if (o.json) {
    std::cout << (paths.empty() ? comparison_json(first) : conditions_json(paths, found)).dump(2) << '\n';
  } else if (paths.empty()) {
    print_comparison(first, std::cout);
    std::cout << '\n';
    print_verdict(first, std::cout);
  } else {
    print_conditions(paths, found, std::cout);
  }
  if (!o.csv.empty()) write_file(o.csv, conditions_csv(paths, found));
  if (options.folder) write_comparison(*options.folder, first);
  if (!o.folder.empty()) report_folder(o);
  if (!o.report.empty()) {
    if (options.folder) {
      write_report(o.report, report_of({*options.folder}), o.command);
      if (!o.quiet) std::cerr << "the report is in " << o.report << '\n';
    } else {
      report_results(o, paths.empty() ? "compare" : "conditions",
                     paths.empty() ? comparison_json(first) : conditions_json(paths, found));
    }
  }
  if (!o.folder.empty() && !o.quiet) std::cerr << "results are in " << o.folder << '\n';
  bool any = false;
  for (const ConditionalComparison& c : found) {
    for (const std::string& sentence : limits_passed(c.comparison, limits)) {
      std::cerr << "disagg: " << sentence << '\n';
      any = true;
    }
  }
  return any ? exit_code::kNo : exit_code::kDone;
}

int demo(Options o) {
  if (o.folder.empty()) o.folder = "disagg-demo";
  o.timeline = true;
  const auto files = embedded::demo_files;
  constexpr std::size_t kSeeds = 5;
  const auto load = [&](std::size_t side, std::size_t seed) {
    ConfigNode root = parse_config(files[side].text, files[side].name);
    override_config(root, "seed=" + std::to_string(seed + 1));
    return read_scenario(std::move(root), std::filesystem::path(files[side].name).stem().string());
  };
  Comparison comparison;
  ProgressLine line(o.quiet);
  for (const ordered_json& summary :
       run_all(run_all_options(o, line), files.size(), [&](std::size_t side) { return load(side, 0); }))
    comparison.sides.push_back({summary});
  Options others = o;
  others.folder.clear();
  others.timeline = false;
  const auto more = run_all(run_all_options(others, line), files.size() * (kSeeds - 1),
                            [&](std::size_t i) { return load(i % files.size(), 1 + i / files.size()); });
  for (std::size_t i = 0; i < more.size(); ++i) comparison.sides[i % files.size()].push_back(more[i]);
  line.clear();
  std::cout << "Four kinds of agents on Llama-3.1-70B: does a cluster of unequal accelerators beat one of "
               "equal ones that\n"
               "rents for the same? (scenarios: experiments/demo/; means of five seeds)\n\n";
  print_verdict(comparison, std::cout);
  std::cout << '\n';
  print_comparison(comparison, std::cout);
  write_comparison(o.folder, comparison);
  report_folder(o);
  if (can_write_reports())
    std::cout << "\nThe report is " << o.folder << "/report.html: open it in a browser.\n";
  std::cout << "Beside it " << o.folder
            << "/ has a folder for each side (first seed) with summary.json, tables, and timeline.json for "
               "ui.perfetto.dev.\n";
  return exit_code::kDone;
}

}  // namespace disagg::commands
