#include "experiments/command_line.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <tuple>

#include "embedded.hpp"
#include "experiments/calibrate.hpp"
#include "experiments/capacity.hpp"
#include "experiments/compare.hpp"
#include "experiments/emit.hpp"
#include "experiments/fit_profile.hpp"
#include "experiments/fit_software.hpp"
#include "experiments/inspect_workload.hpp"
#include "experiments/interrupt.hpp"
#include "experiments/list.hpp"
#include "experiments/paper_figures.hpp"
#include "experiments/pareto.hpp"
#include "experiments/processes.hpp"
#include "experiments/progress.hpp"
#include "experiments/roofline.hpp"
#include "experiments/run.hpp"
#include "experiments/run_folder.hpp"
#include "experiments/scenario.hpp"
#include "experiments/sensitivity.hpp"
#include "experiments/store.hpp"
#include "experiments/sweep.hpp"
#include "experiments/topology_report.hpp"
#include "experiments/validate.hpp"
#include "experiments/validate_kernels.hpp"
#include "experiments/validate_power.hpp"
#include "sim/base/one_of.hpp"
#include "version.hpp"
#include "workloads/workload.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::vector<std::filesystem::path> scenarios, files;
  std::vector<std::string> overrides;
  std::vector<std::string> axes, columns;
  std::vector<std::string> by, limits, fit;
  std::string fit_mode = "agg";
  std::string folder, csv, what, trace_kind, accelerator, output, models, recipes, constants, constants_of,
      figures;
  std::string software = "eager-2023", validation_kind = "serving";
  std::size_t folds = 5;
  RooflineOptions roofline;
  std::size_t jobs = std::max(1U, std::thread::hardware_concurrency());
  std::string profile_name = "fitted", match = "none";
  std::size_t seeds = 1;
  double attainment = 0.9, tolerance = 0.02;
  std::string minimise, store, shard, metric, method = "sobol";
  std::size_t samples = 64, shards = 1;
  std::vector<std::string> arguments;
  std::string image = "disagg", claim = "disagg";
  std::string x = "metrics.output_throughput_per_accelerator", y = "min:metrics.tpot_ms.p50";
  bool resume = false;
  bool halves = false;
  bool with_suspect = false;
  bool json = false, quiet = false, timeline = false, single_steps = false;
};

template <class Variant>
void append_choices(std::string_view seam, std::vector<NamedChoice>& choices) {
  for (std::size_t i = 0; i < OneOf<Variant>::names.size(); ++i)
    choices.push_back({seam, OneOf<Variant>::names[i], OneOf<Variant>::summaries[i]});
}

std::vector<NamedChoice> all_choices() {
  std::vector<NamedChoice> choices;
  append_choices<BatchPolicy>("cluster.pools[].batching", choices);
  append_choices<ServiceModel>("cluster.pools[].service", choices);
  append_choices<EvictionPolicy>("cluster.pools[].prefix_cache.eviction", choices);
  append_choices<RetentionPolicy>("cluster.pools[].prefix_cache.retention", choices);
  append_choices<SpillPolicy>("cluster.pools[].spill", choices);
  append_choices<RoutingPolicy>("cluster.router", choices);
  append_choices<AdmissionPolicy>("cluster.admission", choices);
  append_choices<HandOffPolicy>("cluster.hand_off", choices);
  append_choices<TopologyPolicy>("cluster.topology", choices);
  append_choices<PlacementPolicy>("cluster.placement", choices);
  append_choices<ReplicaFailure>("cluster.failures[]", choices);
  append_choices<NetworkSolver>("network.solver", choices);
  append_choices<LinkFailure>("network.failures[]", choices);
  append_choices<WorkloadKind>("workload", choices);
  append_choices<Arrivals>("workload.arrivals", choices);
  append_choices<Length>("workload.prompt_tokens", choices);
  append_choices<ContextPolicy>("workload.profiles[].context", choices);
  append_choices<Duration>("workload.profiles[].tool", choices);
  return choices;
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::string speed(const ordered_json& summary, double seconds) {
  const auto completed = summary.at("metrics").at("completed").get<double>();
  return show_number(completed) + " requests simulated in " + show(Seconds{seconds}) + " of CPU time";
}

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

// Runs one process a scenario and collects the summaries in order. Throws ConfigError with the first failure.
std::vector<ordered_json> run_all(const Options& o, std::size_t count,
                                  const std::function<Scenario(std::size_t)>& load) {
  for (std::size_t i = 0; i < count; ++i) load(i);  // every problem before the first run
  std::vector<ordered_json> summaries(count);
  TaskResult failure;
  ProgressLine line(o.quiet);
  line.show(0, "running " + std::to_string(count) + " scenarios");
  run_forked(
      count, o.jobs,
      [&](std::size_t i) {
        Scenario scenario = load(i);
        RunOptions options{
            .single_steps = o.single_steps, .folder = {}, .timeline = o.timeline, .progress = {}};
        if (!o.folder.empty()) options.folder = std::filesystem::path(o.folder) / scenario.name;
        return run_scenario(std::move(scenario), options).dump();
      },
      [&](std::size_t i, const TaskResult& result) {
        if (result.code == exit_code::kDone) {
          summaries[i] = ordered_json::parse(result.output);
        } else if (failure.code == exit_code::kDone) {
          failure = result;
        }
      });
  line.clear();
  if (failure.code == exit_code::kBadInput) throw ConfigError(failure.output);
  if (failure.code != exit_code::kDone) throw std::runtime_error(failure.output);
  return summaries;
}

void make_parent_of_runs(const Options& o) {
  if (o.folder.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(o.folder, error);
  if (error) throw ConfigError(o.folder + ": cannot make this folder: " + error.message());
}

// Each scenario's results go into a folder of its name.
void require_distinct_names(std::size_t count, const std::function<Scenario(std::size_t)>& load) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = load(i).name;
    if (!names.insert(name).second)
      throw ConfigError("--out: two scenarios are named '" + name + "'; give one of them another \"name\"");
  }
}

// Changes of the number of replicas that give each scenario what the first has; and what was done, in words.
struct Matching {
  std::vector<std::vector<std::string>> overrides;  // [scenario]
  std::vector<std::string> told;
};

Matching match_scenarios(const Options& o, Match match) {
  Matching matching{.overrides = std::vector<std::vector<std::string>>(o.scenarios.size()), .told = {}};
  if (match == Match::none) return matching;
  double target = 0;
  for (std::size_t i = 0; i < o.scenarios.size(); ++i) {
    const Scenario scenario = load_scenario(o.scenarios[i], o.overrides);
    const Budget own = budget(scenario, match);
    if (i == 0) {
      target = own.total();
      continue;
    }
    const std::vector<std::int64_t> replicas = matched_replicas(own, target);
    std::string text;
    for (std::size_t p = 0; p < replicas.size(); ++p) {
      matching.overrides[i].push_back("cluster.pools[" + std::to_string(p) +
                                      "].replicas=" + std::to_string(replicas[p]));
      text += (p > 0 ? ", " : "") + own.pool_names[p] + " " + std::to_string(own.replicas[p]) + " -> " +
              std::to_string(replicas[p]);
    }
    constexpr std::array<std::string_view, 5> kUnits{"", "accelerators", "USD an hour", "USD of capital",
                                                     "W"};
    matching.told.push_back("'" + scenario.name + "' at equal " + o.match + ": replicas of " + text + ", " +
                            show_number(own.of(replicas), 5) + " " +
                            std::string(kUnits.at(static_cast<std::size_t>(match))) + " against " +
                            show_number(target, 5) + " (" +
                            show_number((own.of(replicas) / target - 1) * 100, 2) + " %).");
  }
  return matching;
}

int compare(const Options& o) {
  const auto match =
      static_cast<Match>(std::find(kMatchNames.begin(), kMatchNames.end(), o.match) - kMatchNames.begin());
  std::vector<Limit> limits;
  limits.reserve(o.limits.size());
  for (const std::string& text : o.limits) limits.push_back(parse_limit(text));
  const Matching matching = match_scenarios(o, match);
  const std::size_t seeds = o.seeds;
  // Of each scenario all seeds, the scenario's own first: the same on all sides.
  const auto load = [&](std::size_t i) {
    std::vector<std::string> overrides = o.overrides;
    const auto& more = matching.overrides[i / seeds];
    overrides.insert(overrides.end(), more.begin(), more.end());
    if (i % seeds == 0) return load_scenario(o.scenarios[i / seeds], overrides);
    const std::uint64_t seed = load_scenario(o.scenarios[i / seeds], overrides).cluster.seed + i % seeds;
    overrides.push_back("seed=" + std::to_string(seed));
    Scenario scenario = load_scenario(o.scenarios[i / seeds], overrides);
    if (!o.folder.empty()) scenario.name += "-seed-" + std::to_string(seed);
    return scenario;
  };
  if (!o.folder.empty()) require_distinct_names(o.scenarios.size() * seeds, load);
  make_parent_of_runs(o);
  const auto summaries = run_all(o, o.scenarios.size() * seeds, load);
  Comparison comparison{.sides = {}, .match = match, .matched = matching.told};
  for (std::size_t i = 0; i < summaries.size(); ++i) {
    if (i % seeds == 0) comparison.sides.emplace_back();
    comparison.sides.back().push_back(summaries[i]);
  }
  if (o.json) {
    std::cout << comparison_json(comparison).dump(2) << '\n';
  } else {
    print_comparison(comparison, std::cout);
  }
  if (!o.folder.empty() && !o.quiet) std::cerr << "results are in " << o.folder << '\n';
  const std::vector<std::string> passed = limits_passed(comparison, limits);
  for (const std::string& sentence : passed) std::cerr << "disagg: " << sentence << '\n';
  return passed.empty() ? exit_code::kDone : exit_code::kNo;
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
  make_parent_of_runs(o);
  Comparison comparison;
  for (const ordered_json& summary :
       run_all(o, files.size(), [&](std::size_t side) { return load(side, 0); }))
    comparison.sides.push_back({summary});
  Options others = o;
  others.folder.clear();
  others.timeline = false;
  const auto more = run_all(others, files.size() * (kSeeds - 1),
                            [&](std::size_t i) { return load(i % files.size(), 1 + i / files.size()); });
  for (std::size_t i = 0; i < more.size(); ++i) comparison.sides[i % files.size()].push_back(more[i]);
  std::cout << "Four kinds of agents on Llama-3.1-70B: does a cluster of unequal accelerators beat one of "
               "equal ones that\n"
               "costs the same? (scenarios: experiments/demo/; means of five seeds)\n\n";
  print_comparison(comparison, std::cout);
  write_file(std::filesystem::path(o.folder) / "comparison.json", comparison_json(comparison).dump(2) + "\n");
  std::cout << "\nIn " << o.folder
            << "/ are for each side (first seed): summary.json, requests.csv, timeseries.csv, links.csv, "
               "replicas.csv and\n"
            << "timeline.json (open it at ui.perfetto.dev).\n";
  return exit_code::kDone;
}

int inspect_workload(const Options& o) {
  const auto source = open_workload(o.scenarios.front(), o.trace_kind, o.overrides);
  const ordered_json inspection = inspect(*source);
  if (o.json) {
    std::cout << inspection.dump(2) << '\n';
  } else {
    print_inspection(inspection, std::cout);
  }
  return exit_code::kDone;
}

int convert_workload(const Options& o) {
  const auto source = open_workload(o.scenarios.front(), o.trace_kind, o.overrides);
  // Under another name until it is whole.
  const std::filesystem::path part = o.output + ".part";
  std::ofstream out(part);
  if (!out) throw ConfigError("-o " + o.output + ": cannot be written");
  try {
    const std::int64_t rows = write_sessions(*source, out);
    finish_writing(out, part);
    std::filesystem::rename(part, o.output);
    if (!o.quiet) std::cerr << rows << " calls are in " << o.output << '\n';
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    throw;
  }
  return exit_code::kDone;
}

int fit_workload(const Options& o) {
  const auto source = open_workload(o.scenarios.front(), o.trace_kind, o.overrides);
  const ProfileFit fit = fit_profile(
      *source,
      {.name = o.profile_name, .source = o.scenarios.front().filename().string(), .halves = o.halves});
  if (!o.output.empty()) write_file(o.output, fit.profile.dump(1) + "\n");
  if (o.json) {
    std::cout << ordered_json{{"profile", fit.profile}, {"goodness", fit.goodness}}.dump(2) << '\n';
  } else {
    print_fit(fit, std::cout);
  }
  return exit_code::kDone;
}

int show_table(const Options& o, const SweepTable& table) {
  if (o.csv.empty()) {
    std::cout << table.csv;
  } else {
    write_file(o.csv, table.csv);
    if (!o.quiet) std::cerr << table.points << " points are in " << o.csv << '\n';
  }
  for (const std::string& column : table.missing)
    std::cerr << "disagg: no point has a column '" << column << "'\n";
  for (const std::string& failure : table.failures) std::cerr << "disagg: " << failure << '\n';
  return table.failures.empty() ? exit_code::kDone : exit_code::kSomeFailed;
}

int sweep(const Options& o) {
  SweepOptions options{.scenario = o.scenarios.front(),
                       .overrides = o.overrides,
                       .axes = {},
                       .columns = o.columns,
                       .jobs = o.jobs,
                       .store = {},
                       .resume = o.resume,
                       .shard = 0,
                       .shards = 1,
                       .progress = {}};
  if (!o.store.empty()) options.store = o.store;
  if (o.store.empty() && (o.resume || !o.shard.empty()))
    throw ConfigError("sweep: --resume and --shard need a --store");
  if (!o.shard.empty()) std::tie(options.shard, options.shards) = parse_shard(o.shard);
  for (const std::string& text : o.axes) options.axes.push_back(parse_axis(text));
  const auto csv_folder = std::filesystem::path(o.csv).parent_path();
  if (!csv_folder.empty() && !std::filesystem::is_directory(csv_folder))
    throw ConfigError("--csv " + o.csv + ": there is no folder '" + csv_folder.string() + "'");
  ProgressLine line(o.quiet);
  if (line.active())
    options.progress = [&](std::size_t done, std::size_t of) {
      line.show(static_cast<double>(done) / static_cast<double>(of),
                std::to_string(done) + " of " + std::to_string(of) + " points");
    };
  const SweepTable table = run_sweep(options);
  line.clear();
  if (!o.quiet && table.resumed > 0) {
    std::cerr << table.resumed << " points were in " << o.store << " already\n";
    if (const std::string made = Store(o.store).version(); made != version())
      std::cerr << "disagg: they may be of another version of the program: " << made << " made the store\n";
  }
  return show_table(o, table);
}

// Of the stores given, the first takes what the others have.
int merge_stores(const Options& o) {
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

int show_status(const Options& o) {
  const Store store(o.store);
  const SweepTable table = read_sweep(o.store, o.columns);
  if (!o.csv.empty() || !o.columns.empty()) return show_table(o, table);
  std::cout << store.done().size() << " of " << store.sweep().points << " points are in " << o.store << ", "
            << table.failures.size() << " of them failed\n";
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
  if (o.minimise.empty() != o.axes.empty())
    throw ConfigError(
        "capacity: --minimise and --axis belong together: what to minimise, and over which clusters");
  ProgressLine line(o.quiet);
  if (line.active()) options.progress = [&](const std::string& text) { line.show(-1, text); };
  if (o.minimise.empty()) {
    const Capacity found = find_capacity(options);
    line.clear();
    if (o.json) {
      std::cout << capacity_json(found).dump(2) << '\n';
    } else {
      print_capacity(found, options, std::cout);
    }
    return found.capacity ? exit_code::kDone : exit_code::kNo;
  }
  std::vector<Axis> axes;
  axes.reserve(o.axes.size());
  for (const std::string& text : o.axes) axes.push_back(parse_axis(text));
  const auto match =
      static_cast<Match>(std::find(kMatchNames.begin(), kMatchNames.end(), o.minimise) - kMatchNames.begin());
  const CheapestCluster found = find_cheapest(options, axes, match);
  line.clear();
  if (o.json) {
    std::cout << cheapest_json(found).dump(2) << '\n';
  } else {
    print_cheapest(found, options, match, std::cout);
  }
  return found.best ? exit_code::kDone : exit_code::kNo;
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
                            .jobs = o.jobs,
                            .image = o.image,
                            .claim = o.claim});
  return exit_code::kDone;
}

int pareto(const Options& o) {
  const Objective x = parse_objective(o.x);
  const Objective y = parse_objective(o.y);
  const std::vector<Front> fronts = compare_fronts(o.files, x, y);
  if (o.json) {
    std::cout << fronts_json(fronts, x, y).dump(2) << '\n';
  } else {
    print_fronts(fronts, x, y, std::cout);
  }
  return exit_code::kDone;
}

int sensitivity(const Options& o) {
  SensitivityOptions options{.scenario = o.scenarios.front(),
                             .overrides = o.overrides,
                             .axes = {},
                             .metric = o.metric,
                             .method = static_cast<SensitivityMethod>(
                                 std::find(kSensitivityMethods.begin(), kSensitivityMethods.end(), o.method) -
                                 kSensitivityMethods.begin()),
                             .samples = o.samples,
                             .jobs = o.jobs,
                             .progress = {}};
  for (const std::string& text : o.axes) options.axes.push_back(parse_uncertain_axis(text));
  ProgressLine line(o.quiet);
  if (line.active())
    options.progress = [&](std::size_t done, std::size_t of) {
      line.show(static_cast<double>(done) / static_cast<double>(of),
                std::to_string(done) + " of " + std::to_string(of) + " runs");
    };
  const Sensitivity found = analyse_scenario(options);
  line.clear();
  if (o.json) {
    std::cout << sensitivity_json(found, o.metric).dump(2) << '\n';
  } else {
    print_sensitivity(found, o.metric, std::cout);
  }
  return exit_code::kDone;
}

Validation validated(const Options& o) {
  if (o.validation_kind != "kernels" && (!o.constants.empty() || !o.constants_of.empty()))
    throw ConfigError("validate: --constants and --constants-of belong to --kind kernels");
  if (o.validation_kind == "serving") {
    if (o.scenarios.size() > 1) throw ConfigError("validate: takes one file, unless --kind is kernels");
    ProgressLine line(o.quiet);
    ValidateOptions options{.rows = {.models = o.models, .recipes = o.recipes},
                            .overrides = o.overrides,
                            .jobs = o.jobs,
                            .with_suspect = o.with_suspect,
                            .progress = {}};
    if (!o.models.empty() && !std::filesystem::is_directory(o.models))
      throw ConfigError("--models " + o.models + ": there is no such folder");
    if (line.active())
      options.progress = [&](std::size_t done, std::size_t of) {
        line.show(static_cast<double>(done) / static_cast<double>(of),
                  std::to_string(done) + " of " + std::to_string(of) + " rows");
      };
    Validation validation = validate_serving(CsvTable::read(o.scenarios.front()), options);
    line.clear();
    return validation;
  }
  if (o.validation_kind == "kernels") {
    KernelValidationOptions options{.constants_of = o.constants_of};
    if (!o.constants.empty()) options.constants = o.constants;
    return validate_kernels(o.scenarios, options);
  }
  if (o.scenarios.size() > 1) throw ConfigError("validate: takes one file, unless --kind is kernels");
  if (o.validation_kind == "power")
    return validate_power(CsvTable::read(o.scenarios.front()), {.models = o.models});
  if (o.validation_kind == "phase")
    return validate_phases(CsvTable::read(o.scenarios.front()), o.software, o.overrides);
  return validate_transfers(CsvTable::read(o.scenarios.front()));
}

std::string show_constant(const FittedConstant& constant) {
  const bool is_time = !constant.name.starts_with("expert") && !constant.name.ends_with("scale");
  return constant.name + " " + (is_time ? show(Seconds{constant.value}) : show_number(constant.value));
}

// Fits constants of the software profiles and judges them on the half of the rows they were not fitted on.
Validation fitted(const Options& o) {
  const ValidateOptions options{.rows = {.models = o.models, .recipes = o.recipes},
                                .overrides = o.overrides,
                                .jobs = o.jobs,
                                .with_suspect = false,
                                .progress = {}};
  SoftwareFitResult result = fit_software(CsvTable::read(o.scenarios.front()), o.fit, o.fit_mode, options);
  for (const SoftwareFit& fit : result.fits) {
    std::string note = fit.engine + ", fitted on " + fit.fold + " (" + std::to_string(fit.rows) + " rows):";
    for (const FittedConstant& constant : fit.constants) note += " " + show_constant(constant) + ",";
    note.pop_back();
    result.validation.notes.push_back(note);
  }
  return std::move(result.validation);
}

int validate(const Options& o) {
  const Validation validation = o.fit.empty() ? validated(o) : fitted(o);
  const std::vector<std::string> broken = broken_limits(validation, o.limits);
  if (o.json) {
    std::cout << validation_json(validation, o.by).dump(2) << '\n';
  } else {
    print_validation(validation, o.by, std::cout);
  }
  if (!o.csv.empty()) write_file(o.csv, validation_csv(validation));
  for (const std::string& limit : broken) std::cerr << "disagg: " << limit << '\n';
  if (validation.rows.empty()) {
    std::cerr << "disagg: validate: no row could be predicted; the first: "
              << (validation.unpredicted.empty() ? "there is none" : validation.unpredicted.front().reason)
              << '\n';
    return exit_code::kBadInput;
  }
  return broken.empty() ? exit_code::kDone : exit_code::kNo;
}

int roofline(const Options& o) {
  if (!o.figures.empty()) {
    write_paper_figures(o.figures);
    if (!o.quiet) std::cerr << "figures are in " << o.figures << '\n';
    return exit_code::kDone;
  }
  std::ostringstream text;
  print_roofline(o.roofline, text);
  if (o.folder.empty()) {
    std::cout << text.str();
  } else {
    write_file(o.folder, text.str());
  }
  return exit_code::kDone;
}

int topology(const Options& o) {
  const Scenario scenario = load_scenario(o.scenarios.front(), o.overrides);
  if (!o.output.empty()) {
    export_topology(scenario, o.output);
    if (!o.quiet) std::cerr << "the fabric is in " << o.output << '\n';
  }
  const ordered_json facts = topology_json(scenario);
  if (o.json) {
    std::cout << facts.dump(2) << '\n';
  } else {
    print_topology(facts, std::cout);
  }
  return exit_code::kDone;
}

int list(const Options& o) {
  if (o.what != "policies") return list_command(o.what, o.json, std::cout);
  print_choices(all_choices(), o.json, std::cout);
  return exit_code::kDone;
}

int calibrate_kernels(const Options& o) {
  const auto known = [](const Accelerator& a) {
    return a.bf16.has_value() && a.memory_bandwidth.has_value();
  };
  std::vector<std::string_view> names;
  for (const Accelerator& accelerator : accelerators())
    if (known(accelerator)) names.push_back(accelerator.name);
  if (std::ranges::find(names, o.accelerator) == names.end())
    throw ConfigError("--accelerator: " + unknown_word(o.accelerator, names));
  ProgressLine line(o.quiet);
  line.show(0, "reading measurements");
  const KernelCalibration calibration =
      calibrate(o.files, {.accelerator = o.accelerator,
                          .folds = o.folds,
                          .jobs = o.jobs,
                          .progress = [&](std::size_t done, std::size_t of) {
                            line.show(static_cast<double>(done) / static_cast<double>(of),
                                      std::to_string(of) + " families of kernels");
                          }});
  line.clear();
  const ordered_json json = calibration_json(calibration);
  if (!o.output.empty()) write_file(o.output, json.dump(2) + "\n");
  if (o.json) {
    std::cout << json.dump(2) << '\n';
  } else {
    print_calibration(calibration, std::cout);
  }
  if (!o.quiet && !o.output.empty()) std::cerr << "constants are in " << o.output << '\n';
  return exit_code::kDone;
}

struct Command {
  CLI::App* app;
  std::function<int()> act;
};

std::vector<Command> describe(CLI::App& app, Options& o) {
  app.description("disagg simulates clusters that serve large language models to agents.");
  app.set_version_flag("--version",
                       "disagg " + std::string(version()) + " (" + std::string(compiler()) + ")");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 a validation out of bounds or a cluster that is stuck, 2 bad input, 3 some "
      "points of a sweep failed, 70 a "
      "broken invariant, 75 "
      "interrupted.\n"
      "First steps: disagg demo; disagg COMMAND --help shows an example of each.");
  const auto add = [&](const char* name, const char* what, const char* example) {
    CLI::App* command = app.add_subcommand(name, what);
    command->footer(std::string("Example:\n  ") + example);
    return command;
  };
  const auto add_set = [&](CLI::App* command) {
    command
        ->add_option("--set", o.overrides,
                     "Change the scenario: PATH=VALUE, e.g. cluster.pools[0].replicas=4")
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false);
  };
  const auto add_common = [&](CLI::App* command) {
    command->add_flag("--json", o.json, "Print JSON instead of tables");
    command->add_flag("-q,--quiet", o.quiet, "No progress and no remarks on stderr");
  };

  CLI::App* run_app = add("run", "Simulate one scenario",
                          "disagg run scenario.json --set cluster.pools[0].replicas=4 --out results/four");
  run_app->add_option("scenario", o.scenarios, "Scenario file (JSON, comments allowed)")
      ->required()
      ->expected(1);
  add_set(run_app);
  run_app->add_option(
      "-o,--out", o.folder,
      "Write summary.json, requests.csv, timeseries.csv, links.csv, replicas.csv into this folder");
  run_app->add_flag("--timeline", o.timeline, "With --out: also write timeline.json for Perfetto");
  run_app->add_flag("--step", o.single_steps, "Reference mode: simulate token by token (slow, same results)");
  add_common(run_app);

  CLI::App* compare_app = add("compare", "Simulate scenarios and show them side by side",
                              "disagg compare homogeneous.json heterogeneous.json");
  compare_app->add_option("scenarios", o.scenarios, "Scenario files; changes are shown against the first")
      ->required()
      ->expected(2, 64);
  add_set(compare_app);
  compare_app
      ->add_option(
          "--match", o.match,
          "First scale the pools of each scenario to the first's count of accelerators, cost (USD an hour of "
          "owning it), capital or power (provisioned)")
      ->check(CLI::IsMember(std::vector<std::string>(kMatchNames.begin(), kMatchNames.end())))
      ->capture_default_str();
  compare_app
      ->add_option("--seeds", o.seeds,
                   "Runs of each scenario, with the same seeds on all sides: paired differences and "
                   "confidence intervals")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  compare_app
      ->add_option(
          "--fail-if", o.limits,
          "Exit with 1 if this holds for any scenario but the first: 'metrics.ttft_ms.p99 > 2000', or in "
          "percent against the first 'change(metrics.ttft_ms.p99) > 5'")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  compare_app->add_option("-o,--out", o.folder, "Write one folder of results a scenario into this folder");
  compare_app->add_option("-j,--jobs", o.jobs, "Processes at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  add_common(compare_app);

  CLI::App* sweep_app = add("sweep", "Simulate every point of a grid and write a CSV",
                            "disagg sweep scenario.json --axis cluster.pools[0].replicas=1,2,4 --axis "
                            "workload.rate_scale=1,2 --csv sweep.csv");
  sweep_app->add_option("scenario", o.scenarios, "Scenario file")->required()->expected(1);
  sweep_app
      ->add_option("--axis", o.axes, "PATH=VALUE,VALUE,...; several make a grid, the last turning fastest")
      ->required()
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  add_set(sweep_app);
  sweep_app->add_option("--csv", o.csv, "Write here instead of to stdout");
  sweep_app
      ->add_option("--column", o.columns,
                   "Write this column of the table only, e.g. metrics.ttft_ms.p90; several keep their order")
      ->type_name("TEXT");
  sweep_app->add_option("--store", o.store,
                        "Also write each point into this SQLite file as soon as it is there (schema: "
                        "experiments/store.hpp)");
  sweep_app->add_flag("--resume", o.resume, "Do not run again what the store has");
  sweep_app->add_option(
      "--shard", o.shard,
      "I/N: run every Nth point only, from the Ith on, into a store of its own; auto: as Slurm, MPI or "
      "an indexed Kubernetes job says");
  sweep_app->add_option("-j,--jobs", o.jobs, "Processes at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  sweep_app->add_flag("-q,--quiet", o.quiet, "No progress and no remarks on stderr");

  CLI::App* merge_app = add("merge", "Merge the stores of a sweep's shards",
                            "disagg merge all.sqlite shard-1.sqlite shard-2.sqlite");
  merge_app->add_option("store", o.store, "Store that takes the points; made if it is not there")->required();
  merge_app->add_option("shards", o.files, "Stores to take them from")->required()->expected(1, 100'000);
  merge_app->add_flag("-q,--quiet", o.quiet, "No remarks on stderr");

  CLI::App* status_app =
      add("status", "Show how many points of a sweep are in a store, or (--csv, --column) its table",
          "disagg status all.sqlite --csv all.csv");
  status_app->add_option("store", o.store, "Store of a sweep")->required();
  status_app->add_option("--csv", o.csv, "Write the table of its points here");
  status_app->add_option("--column", o.columns, "Only this column of the table; several keep their order")
      ->type_name("TEXT");
  status_app->add_flag("-q,--quiet", o.quiet, "No remarks on stderr");

  CLI::App* capacity_app =
      add("capacity", "Find the highest load that meets the SLO, or the cheapest cluster for a load",
          "disagg capacity scenario.json --attainment 0.95\n"
          "  disagg capacity scenario.json --minimise cost --axis cluster.pools[0].replicas=1,2,3,4 --axis "
          "cluster.pools[1].replicas=1,2,3,4");
  capacity_app->add_option("scenario", o.scenarios, "Scenario file with an \"slo\"")->required()->expected(1);
  add_set(capacity_app);
  capacity_app->add_option("--attainment", o.attainment, "Share of the requests that must meet the SLO")
      ->check(CLI::Range(0.01, 1.0))
      ->capture_default_str();
  capacity_app->add_option("--tolerance", o.tolerance, "How closely the load is enclosed, as a share of it")
      ->check(CLI::Range(1e-4, 1.0))
      ->capture_default_str();
  capacity_app
      ->add_option("--minimise", o.minimise,
                   "Instead, find the cluster of least count (of accelerators), cost, "
                   "capital or power among those of the axes")
      ->check(CLI::IsMember(std::vector<std::string>(kMatchNames.begin() + 1, kMatchNames.end())));
  capacity_app->add_option("--axis", o.axes, "Of --minimise: PATH=VALUE,VALUE,...; several make a grid")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  capacity_app->add_option("--seeds", o.seeds, "Runs of each point, whose attainments are averaged")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  capacity_app->add_option("-j,--jobs", o.jobs, "Processes at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  add_common(capacity_app);

  CLI::App* emit_app =
      add("emit", "Write the script that runs a sweep in shards on many machines",
          "disagg emit slurm --shards 16 --store results/sweep.sqlite -- sweep scenario.json --axis "
          "seed=1,2,3,4 > job.sh");
  emit_app->add_option("launcher", o.what, "slurm, mpirun, parallel or kubernetes")
      ->required()
      ->check(CLI::IsMember(std::vector<std::string>(kLaunchers.begin(), kLaunchers.end())));
  emit_app->add_option("--shards", o.shards, "How many")->required()->check(CLI::Range(1, 100'000));
  emit_app->add_option("--store", o.store, "Store of all shards together; each has one of its own next to it")
      ->required();
  emit_app->add_option("-j,--jobs", o.jobs, "Processes at a time in a shard")->check(CLI::Range(1, 1024));
  emit_app->add_option("--image", o.image, "Of kubernetes: container image with disagg in it")
      ->capture_default_str();
  emit_app->add_option("--claim", o.claim, "Of kubernetes: persistent volume claim with the scenario")
      ->capture_default_str();
  emit_app->add_option("sweep", o.arguments, "Behind --: the sweep as it would be run here")
      ->required()
      ->expected(-1);

  CLI::App* pareto_app =
      add("pareto", "Show the best trade-offs among the points of sweeps, and compare their fronts",
          "disagg pareto h100.sqlite b200.sqlite --x metrics.output_throughput/cost.usd_per_hour --y "
          "min:metrics.ttft_ms.p99");
  pareto_app->add_option("stores", o.files, "Stores of sweeps (disagg sweep --store)")
      ->required()
      ->expected(1, 100);
  pareto_app
      ->add_option(
          "--x", o.x,
          "Figure of summary.json that is to be large, or with min: small; /FIGURE behind it divides")
      ->capture_default_str();
  pareto_app->add_option("--y", o.y, "The other, likewise")->capture_default_str();
  pareto_app->add_flag("--json", o.json, "Print JSON instead of tables");

  CLI::App* sensitivity_app =
      add("sensitivity", "Tell which uncertain figures of a scenario a result hinges on",
          "disagg sensitivity scenario.json --metric metrics.ttft_ms.p99 --axis "
          "'cluster.topology.nic_efficiency=0.3..1' \\\n      --axis cluster.pools[0].replicas=2..8:int");
  sensitivity_app->add_option("scenario", o.scenarios, "Scenario file")->required()->expected(1);
  add_set(sensitivity_app);
  sensitivity_app
      ->add_option("--axis", o.axes,
                   "PATH=LOW..HIGH, any value between them alike; :log behind it, any order of "
                   "magnitude; :int, whole numbers")
      ->required()
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  sensitivity_app->add_option("--metric", o.metric, "Figure of summary.json: metrics.ttft_ms.p99")
      ->required();
  sensitivity_app
      ->add_option("--method", o.method,
                   "sobol: shares of the variance, samples x (axes + 2) runs; morris: screening, samples x "
                   "(axes + 1); "
                   "tornado: one axis at a time, 2 x axes + 1")
      ->check(CLI::IsMember(std::vector<std::string>(kSensitivityMethods.begin(), kSensitivityMethods.end())))
      ->capture_default_str();
  sensitivity_app->add_option("--samples", o.samples, "Of sobol (best a power of two) and morris")
      ->check(CLI::Range(2, 1'000'000))
      ->capture_default_str();
  sensitivity_app->add_option("-j,--jobs", o.jobs, "Processes at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  add_common(sensitivity_app);

  CLI::App* validate_app =
      add("validate", "Predict measured servers, phases or transfers and show the errors",
          "disagg validate serving.csv --by system,model_path --max-median-ape tpot=10");
  validate_app->add_option("file", o.scenarios, "CSV of measurements; several of --kind kernels")
      ->required()
      ->expected(1, 1000);
  validate_app
      ->add_option("--kind", o.validation_kind,
                   "What the file holds: serving, kernels, phase, transfer or power")
      ->check(CLI::IsMember({"serving", "kernels", "phase", "transfer", "power"}))
      ->capture_default_str();
  validate_app->add_option("--by", o.by, "Also group the errors by these columns")->delimiter(',');
  validate_app->add_option(
      "--models", o.models,
      "Folder of config.json files named OWNER--MODEL.json for models that are not in the "
      "catalog");
  validate_app->add_option("--recipes", o.recipes,
                           "How the benchmarks were launched (JSON), instead of the built-in");
  validate_app->add_option("--constants", o.constants, "Of --kind kernels: file of `disagg calibrate`");
  validate_app->add_option(
      "--constants-of", o.constants_of,
      "Of --kind kernels: accelerator whose constants to use with the datasheet's rates");
  validate_app->add_option("--software", o.software, "Software profile of --kind phase")
      ->capture_default_str();
  validate_app->add_option("--set", o.overrides, "Change every pool: PATH=VALUE, e.g. software.layer='20 us'")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  validate_app
      ->add_option("--max-median-ape", o.limits, "METRIC=PERCENT: exit with 1 if the median error is above")
      ->take_all()
      ->delimiter(',');
  validate_app
      ->add_option(
          "--fit", o.fit,
          "Fit these constants of the software profiles on half of the configurations, judge them on the "
          "other: layer, small_kernel, kernel_launch, request_latency, step, sequence, decode_scale, "
          "prefill_scale")
      ->delimiter(',');
  validate_app->add_option("--fit-mode", o.fit_mode, "Rows to fit on: agg or disagg")->capture_default_str();
  validate_app->add_option("--csv", o.csv, "Write predicted and measured values of every row here");
  validate_app->add_flag("--with-suspect", o.with_suspect, "Also rows whose recorded topology is suspect");
  validate_app->add_option("-j,--jobs", o.jobs, "Processes at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  add_common(validate_app);

  CLI::App* workload_app = add("workload", "Look into workloads and traces, and write them as one format",
                               "disagg workload inspect scenario.json");
  workload_app->require_subcommand(1);
  const auto add_workload = [&](const char* name, const char* what, const char* example) {
    CLI::App* command = workload_app->add_subcommand(name, what);
    command->footer(std::string("Example:\n  ") + example);
    command->add_option("file", o.scenarios, "A scenario, for its workload, or with --kind a trace")
        ->required()
        ->expected(1);
    command->add_option("--kind", o.trace_kind,
                        "What the file is, if no scenario: the \"kind\" of a workload");
    add_set(command);
    command->add_flag("-q,--quiet", o.quiet, "No remarks on stderr");
    return command;
  };
  CLI::App* inspect_app =
      add_workload("inspect", "Statistics: turns, tokens, gaps, reuse with an unlimited cache, offered load",
                   "disagg workload inspect sessions/ --kind kv-cache-tester \\\n"
                   "      --set workload.arrivals.kind=closed-loop --set workload.arrivals.concurrency=1");
  inspect_app->add_flag("--json", o.json, "Print JSON instead of tables");
  CLI::App* convert_app =
      add_workload("convert", "Write any workload as sessions in JSON lines (also: generate)",
                   "disagg workload convert scenario.json -o sessions.jsonl");
  convert_app->alias("generate");
  convert_app->add_option("-o,--output", o.output, "The file to write")->required();
  CLI::App* fit_app =
      add_workload("fit", "Fit a profile of agents to sessions, and tell how well it fits",
                   "disagg workload fit sessions.jsonl --kind sessions -o profile.json\n"
                   "and in a scenario: \"workload\": {\"kind\": \"agents\", \"profiles\": [ ... ]}");
  fit_app->add_option("-o,--output", o.output, "Write the profile to this file");
  fit_app->add_option("--name", o.profile_name, "Name of the agent kind")->capture_default_str();
  fit_app->add_flag("--halves", o.halves, "Fit every other session and compare with the rest");
  fit_app->add_flag("--json", o.json, "Print JSON instead of a table");

  CLI::App* list_app =
      add("list", "Show what scenarios can name, and all fitted numbers", "disagg list models --json");
  list_app->add_option(
      "what", o.what,
      "accelerators, models, links, memory, tiers, agents, policies, constants, calibration or precisions");
  list_app->add_flag("--json", o.json, "Print JSON instead of a table");

  CLI::App* calibrate_app =
      add("calibrate", "Fit the constants of kernel times to measured kernels",
          "disagg calibrate h100_*.csv --accelerator h100-sxm-80gb --output h100.json\n"
          "and in a scenario: \"service\": {\"kind\": \"kernels\", \"constants\": \"h100.json\"}");
  calibrate_app
      ->add_option("files", o.files, "Measured kernels, in the columns of aiconfigurator's *_perf.csv")
      ->required()
      ->expected(1, 1024);
  calibrate_app->add_option("--accelerator", o.accelerator, "Catalog name of what was measured")->required();
  calibrate_app->add_option("-o,--output", o.output, "Write the constants to this file");
  calibrate_app->add_option("--folds", o.folds, "Parts of the cross-validation, whole shapes held out")
      ->check(CLI::Range(2, 100))
      ->capture_default_str();
  calibrate_app->add_option("-j,--jobs", o.jobs, "Processes at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  add_common(calibrate_app);

  CLI::App* roofline_app =
      add("roofline", "Bound steps by datasheets: intensity, footprint, regime, the wall of capacity",
          "disagg roofline --model llama-3.1-70b --accelerator h100-sxm-80gb --phase decode --context "
          "8192,131072 --batch 1,16,64");
  RooflineOptions& r = o.roofline;
  const auto add_list = [&](const char* option, auto& values, const char* what) {
    return roofline_app->add_option(option, values, what)->delimiter(',')->capture_default_str();
  };
  add_list("--model", r.models, "Models of the catalog (disagg list models)");
  add_list("--accelerator", r.accelerators, "Accelerators of the catalog (disagg list accelerators)");
  add_list("--phase", r.phases, "prefill, decode");
  add_list("--context", r.contexts, "Tokens of context of each request; of a prefill all of them are new")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}));
  add_list("--batch", r.batches, "Requests in a step")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}));
  roofline_app->add_option("--accelerators", r.machine, "How many accelerators work as one")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
      ->capture_default_str();
  roofline_app->add_option("--weights", r.weights, "Number format of weights")->capture_default_str();
  roofline_app->add_option("--experts", r.experts, "Number format of routed experts, if not that of weights");
  roofline_app->add_option("--kv", r.kv, "Number format of the KV cache")->capture_default_str();
  roofline_app->add_option("--format", r.format, "table, csv or json")->capture_default_str();
  roofline_app->add_option("-o,--out", o.folder, "Write into this file instead of stdout");
  roofline_app
      ->add_option("--paper-figures", o.figures,
                   "Instead, write figures 1 to 4 of arXiv 2601.22001 (CSV and SVG) into this folder; they "
                   "take no other option")
      ->excludes("--model", "--accelerator", "--phase", "--context", "--batch", "--accelerators", "--weights",
                 "--experts", "--kv", "--format", "--out");
  roofline_app->add_flag("-q,--quiet", o.quiet, "No remarks on stderr");

  CLI::App* topology_app =
      add("topology", "Show a scenario's fabric: distances, bisection, loaded links, parts; export drawings",
          "disagg topology scenario.json --set cluster.topology=rail-optimized --export fabric.svg");
  topology_app->add_option("scenario", o.scenarios, "Scenario file")->required()->expected(1);
  add_set(topology_app);
  topology_app->add_option(
      "--export", o.output,
      "Also write FILE.dot or FILE.svg (a drawing; .svg needs Graphviz), FILE.graphml (for "
      "the topology 'graphml') or FILE.xml (a SimGrid platform)");
  add_common(topology_app);

  CLI::App* demo_app =
      add("demo", "Compare two clusters of equal cost on agents; needs no input", "disagg demo");
  demo_app->add_option("-o,--out", o.folder, "Folder for the results (disagg-demo)");
  demo_app->add_option("-j,--jobs", o.jobs, "Processes at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  demo_app->add_flag("-q,--quiet", o.quiet, "No progress on stderr");

  return {{run_app, [&] { return run(o); }},
          {compare_app, [&] { return compare(o); }},
          {sweep_app, [&] { return sweep(o); }},
          {merge_app, [&] { return merge_stores(o); }},
          {status_app, [&] { return show_status(o); }},
          {capacity_app, [&] { return capacity(o); }},
          {emit_app, [&] { return emit(o); }},
          {pareto_app, [&] { return pareto(o); }},
          {sensitivity_app, [&] { return sensitivity(o); }},
          {validate_app, [&] { return validate(o); }},
          {list_app, [&] { return list(o); }},
          {workload_app,
           [&, inspect_app, convert_app] {
             if (inspect_app->parsed()) return inspect_workload(o);
             return convert_app->parsed() ? convert_workload(o) : fit_workload(o);
           }},
          {calibrate_app, [&] { return calibrate_kernels(o); }},
          {roofline_app, [&] { return roofline(o); }},
          {topology_app, [&] { return topology(o); }},
          {demo_app, [&] { return demo(o); }}};
}

// A word in the place of the command that is none: say which there are.
std::optional<std::string> unknown_command(const std::vector<Command>& commands, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return std::nullopt;
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const Command& command : commands) names.push_back(command.app->get_name());
  if (std::find(names.begin(), names.end(), argv[1]) != names.end()) return std::nullopt;
  const std::vector<std::string_view> known(names.begin(), names.end());
  return "command " + unknown_word(argv[1], known);
}

}  // namespace

int run_program(int argc, char** argv) {
  CLI::App app;
  Options options;
  const std::vector<Command> commands = describe(app, options);
  if (const auto problem = unknown_command(commands, argc, argv)) {
    std::cerr << "disagg: " << *problem << '\n';
    return exit_code::kBadInput;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success);
    app.exit(error, std::cout, std::cerr);
    return asked_for_help ? exit_code::kDone : exit_code::kBadInput;
  }
  catch_interrupts();
  int code = exit_code::kDone;
  const TaskResult result = guarded([&] {
    for (const Command& command : commands)
      if (command.app->parsed()) code = command.act();
    std::cout.flush();
    if (!std::cout) throw ConfigError("stdout: could not be written whole");
    return std::string();
  });
  if (result.code == exit_code::kDone) return code;
  // Every problem on a line of its own, with the program's name where the line names no file.
  std::cerr << (result.code == exit_code::kBadInput ? "" : "disagg: ") << result.output << '\n';
  return result.code;
}

}  // namespace disagg
