#include "experiments/command_line.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <optional>

#include "experiments/command_documents.hpp"
#include "experiments/commands.hpp"
#include "experiments/design.hpp"
#include "experiments/emit.hpp"
#include "experiments/export_results.hpp"
#include "experiments/interrupt.hpp"
#include "experiments/match.hpp"
#include "experiments/processes.hpp"
#include "experiments/sensitivity.hpp"
#include "experiments/tone.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"
#include "version.hpp"

namespace disagg {
namespace {

struct Command {
  CLI::App* app;
  std::function<int()> act;
};

std::vector<Command> describe(CLI::App& app, Options& o) {
  app.name("disagg");
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
  const auto add_no_color = [&](CLI::App* command) {
    command->add_flag("--no-color", o.no_color, "No colours, even on a terminal (as NO_COLOR=1)");
  };
  const auto add = [&](const char* name, const char* what, const char* example) {
    CLI::App* command = app.add_subcommand(name, what);
    command->footer(std::string("Example:\n  ") + example);
    add_no_color(command);
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

  const auto add_report = [&](CLI::App* command) {
    command->add_option("--report", o.report,
                        "Also write an HTML report of it here (one file, for any browser)");
  };
  const auto add_jobs = [&](CLI::App* command) {
    command->add_option("-j,--jobs", o.jobs, "Processes at a time")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
  };
  const auto add_axes = [&](CLI::App* command, const char* what) {
    return command->add_option("--axis", o.axes, what)->take_all()->expected(1)->allow_extra_args(false);
  };
  const auto add_store = [&](CLI::App* command) {
    command->add_option("--store", o.store,
                        "Also write each point into this SQLite file as soon as it is there (schema: "
                        "experiments/store.hpp)");
    command->add_flag("--resume", o.resume, "Do not run again what the store has");
    command->add_option(
        "--shard", o.shard,
        "I/N: run every Nth point only, from the Ith on, into a store of its own; auto: as Slurm, MPI or "
        "an indexed Kubernetes job says");
  };
  const auto add_columns = [&](CLI::App* command) {
    command
        ->add_option("--column", o.columns,
                     "Only this column of the table, e.g. metrics.ttft_ms.p90; several keep their order")
        ->type_name("TEXT");
  };
  const auto add_attainment = [&](CLI::App* command) {
    command->add_option("--attainment", o.attainment, "Share of the requests that must meet the SLO")
        ->check(CLI::Range(0.01, 1.0))
        ->capture_default_str();
    command->add_option("--tolerance", o.tolerance, "How closely the load is enclosed, as a share of it")
        ->check(CLI::Range(1e-4, 1.0))
        ->capture_default_str();
  };

  CLI::App* run_app = add("run", "Simulate one scenario",
                          "disagg run scenario.json --set cluster.pools[0].replicas=4 --out results/four");
  run_app->add_option("scenario", o.scenarios, "Scenario file (JSON, comments allowed)")
      ->required()
      ->expected(1);
  add_set(run_app);
  run_app->add_option(
      "-o,--out", o.folder,
      "Write report.html, summary.json, requests.csv, distributions.csv, timeseries.csv, links.csv, "
      "replicas.csv into this folder");
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
          "owning it), rent, capital, power (provisioned) or throughput (the load that it serves within the "
          "SLO)")
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
  compare_app->add_flag("--at-capacity", o.at_capacity,
                        "Compare at the highest load that each side and seed serves within the SLO");
  compare_app->add_flag("--best-split", o.best_split,
                        "With --match: also move replicas between a side's two pools to where its capacity "
                        "is highest");
  add_attainment(compare_app);
  add_axes(compare_app,
           "Compare under conditions: PATH=VALUE,VALUE,... of all scenarios; several make a grid");
  compare_app->add_option("--csv", o.csv, "Write the table of conditions here");
  compare_app->add_option("-o,--out", o.folder,
                          "Write report.html and one folder of results a scenario into this folder");
  add_report(compare_app);
  add_jobs(compare_app);
  add_common(compare_app);

  CLI::App* sweep_app = add("sweep", "Simulate every point of a grid, or samples of ranges, and write a CSV",
                            "disagg sweep scenario.json --axis cluster.pools[0].replicas=1,2,4 --axis "
                            "workload.rate_scale=1,2 --csv sweep.csv");
  sweep_app->add_option("scenario", o.scenarios, "Scenario file")->required()->expected(1);
  add_axes(sweep_app,
           "PATH=VALUE,VALUE,... or PATH=LOW..HIGH, with :log behind it any order of magnitude, with :int "
           "whole numbers")
      ->required();
  sweep_app
      ->add_option("--design", o.design,
                   "grid: every value with every other, the last axis turning fastest; zip: first with "
                   "first, second with second; latin-hypercube or sobol: --samples drawn from ranges and "
                   "lists")
      ->check(CLI::IsMember(std::vector<std::string>(kDesignNames.begin(), kDesignNames.end())))
      ->capture_default_str();
  sweep_app->add_option("--samples", o.samples, "Of latin-hypercube and sobol")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  sweep_app->add_option("--seeds", o.seeds, "Runs of each point, a row each")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  add_set(sweep_app);
  sweep_app->add_flag("--dry-run", o.dry_run,
                      "Run a few points only, and tell the time and memory that all would take");
  sweep_app->add_flag("--end-saturated", o.end_saturated,
                      "End a point as soon as it is clear that requests arrive faster than they are served");
  sweep_app->add_option("--csv", o.csv, "Write here instead of to stdout");
  sweep_app->add_flag("--json", o.json, "Print JSON instead of CSV");
  add_report(sweep_app);
  add_columns(sweep_app);
  add_store(sweep_app);
  add_jobs(sweep_app);
  sweep_app->add_flag("-q,--quiet", o.quiet, "No progress and no remarks on stderr");

  CLI::App* merge_app = add("merge", "Merge the stores of a sweep's shards",
                            "disagg merge all.sqlite shard-1.sqlite shard-2.sqlite");
  merge_app->add_option("store", o.store, "Store that takes the points; made if it is not there")->required();
  merge_app->add_option("shards", o.files, "Stores to take them from")->required()->expected(1, 100'000);
  merge_app->add_flag("-q,--quiet", o.quiet, "No remarks on stderr");

  CLI::App* status_app =
      add("status", "Show how many points of a sweep are in a store, or (--csv, --json, --column) its table",
          "disagg status all.sqlite --csv all.csv");
  status_app->add_option("store", o.store, "Store of a sweep")->required();
  status_app->add_option("--csv", o.csv, "Write the table of its points here");
  status_app->add_flag("--json", o.json, "Print the table as JSON");
  add_columns(status_app);
  status_app->add_flag("-q,--quiet", o.quiet, "No remarks on stderr");

  CLI::App* capacity_app =
      add("capacity", "Find the highest load that meets the SLO, or the cheapest cluster for a load",
          "disagg capacity scenario.json --attainment 0.95\n"
          "  disagg capacity scenario.json --axis cluster.pools[0].replicas=1..4:int\n"
          "  disagg capacity scenario.json --minimise cost --axis cluster.pools[0].replicas=1,2,3,4 --axis "
          "cluster.pools[1].replicas=1,2,3,4");
  capacity_app->add_option("scenario", o.scenarios, "Scenario file with an \"slo\"")->required()->expected(1);
  add_set(capacity_app);
  add_attainment(capacity_app);
  capacity_app
      ->add_option("--minimise", o.minimise,
                   "Instead, find the cluster of least count (of accelerators), cost (of owning), rent, "
                   "capital or power among those of the axes")
      ->check(CLI::IsMember(std::vector<std::string>(kBudgetNames.begin(), kBudgetNames.end())));
  add_axes(capacity_app,
           "PATH=VALUE,VALUE,... or PATH=LOW..HIGH:int; several make a grid: the capacity of each of these "
           "clusters, or of --minimise those to choose from");
  capacity_app
      ->add_option(
          "--design", o.design,
          "grid: every value of each axis with every other; zip: first with first, second with second")
      ->check(CLI::IsMember(std::vector<std::string>(kDesignNames.begin(), kDesignNames.begin() + 2)))
      ->capture_default_str();
  capacity_app->add_option("--csv", o.csv, "Write the table of --axis here");
  add_report(capacity_app);
  add_columns(capacity_app);
  add_store(capacity_app);
  capacity_app->add_option("--seeds", o.seeds, "Runs of each point, whose attainments are averaged")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  add_jobs(capacity_app);
  add_common(capacity_app);

  CLI::App* emit_app =
      add("emit", "Write the script that runs a sweep, sensitivity or capacity in shards on many machines",
          "disagg emit slurm --shards 16 --store results/sweep.sqlite -- sweep scenario.json --axis "
          "seed=1,2,3,4 > job.sh");
  emit_app->add_option("launcher", o.what, "slurm, mpirun, parallel or kubernetes")
      ->required()
      ->check(CLI::IsMember(std::vector<std::string>(kLaunchers.begin(), kLaunchers.end())));
  emit_app->add_option("--shards", o.shards, "How many")->required()->check(CLI::Range(1, 100'000));
  emit_app->add_option("--store", o.store, "Store of all shards together; each has one of its own next to it")
      ->required();
  emit_app->add_option("-j,--jobs", o.shard_jobs, "Processes at a time in a shard: cores of a task")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  emit_app->add_option("--image", o.image, "Of kubernetes: container image with disagg in it")
      ->capture_default_str();
  emit_app->add_option("--claim", o.claim, "Of kubernetes: persistent volume claim with the scenario")
      ->capture_default_str();
  emit_app->add_option("command", o.arguments, "Behind --: the command as it would be run here")
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
  add_report(pareto_app);
  pareto_app->add_flag("-q,--quiet", o.quiet, "No remarks on stderr");

  CLI::App* report_app = add("report", "Write an HTML report of results that are there already",
                             "disagg report results/homogeneous results/heterogeneous -o report.html");
  report_app
      ->add_option("results", o.files,
                   "Folders of disagg run or compare --out (several runs are compared with the first), or "
                   "the store of a sweep")
      ->required()
      ->expected(1, 64);
  report_app->add_option("-o,--output", o.output,
                         "The file to write (report.html in the folder; NAME.html beside a store)");
  report_app->add_flag("-q,--quiet", o.quiet, "No remarks on stderr");

  CLI::App* sensitivity_app =
      add("sensitivity", "Tell which uncertain figures of a scenario a result hinges on",
          "disagg sensitivity scenario.json --metric metrics.ttft_ms.p99 --axis "
          "'cluster.topology.nic_efficiency=0.3..1' \\\n      --axis cluster.pools[0].replicas=2..8:int");
  sensitivity_app->add_option("scenario", o.scenarios, "Scenario file")->required()->expected(1);
  add_set(sensitivity_app);
  add_axes(sensitivity_app,
           "PATH=LOW..HIGH, any value between them alike; :log behind it, any order of magnitude; :int, "
           "whole numbers; PATH=VALUE,VALUE,..., each alike")
      ->required();
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
  add_report(sensitivity_app);
  add_store(sensitivity_app);
  add_jobs(sensitivity_app);
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
  add_jobs(validate_app);
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
    add_no_color(command);
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
  add_jobs(calibrate_app);
  add_common(calibrate_app);

  CLI::App* roofline_app =
      add("roofline", "Bound steps by datasheets: intensity, footprint, regime, the wall of capacity",
          "disagg roofline --model llama-3.1-70b --accelerator h100-sxm-80gb --phase decode --context "
          "8192,131072 --batch 1,16,64");
  RooflineOptions& r = o.roofline;
  const auto add_list = [&](const char* option, auto& values, const char* what) {
    return roofline_app->add_option(option, values, what)->delimiter(',')->capture_default_str();
  };
  add_list("--model", r.models,
           "Models of the catalog (disagg list models), or files config.json of Hugging Face");
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
  add_report(roofline_app);
  roofline_app
      ->add_option("--paper-figures", o.figures,
                   "Instead, write figures 1 to 4 of arXiv 2601.22001 (CSV and SVG) into this folder; they "
                   "take no other option")
      ->excludes("--model", "--accelerator", "--phase", "--context", "--batch", "--accelerators", "--weights",
                 "--experts", "--kv", "--format", "--out", "--report");
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
      add("demo", "Compare two clusters of equal rent on agents; needs no input", "disagg demo");
  demo_app->add_option("-o,--out", o.folder, "Folder for the results (disagg-demo)");
  add_jobs(demo_app);
  demo_app->add_flag("-q,--quiet", o.quiet, "No progress on stderr");

  CLI::App* export_app = add("export", "Print the results of a run as vLLM's or AIPerf's benchmark would",
                             "disagg export results/four --format vllm -o vllm.json");
  export_app->add_option("results", o.files, "Folder of disagg run --out")->required()->expected(1);
  export_app
      ->add_option("--format", o.what,
                   "vllm: the file of vllm bench serve --save-result; aiperf: profile_export_aiperf.json")
      ->required()
      ->check(CLI::IsMember(std::vector<std::string>(kExportFormats.begin(), kExportFormats.end())));
  export_app->add_option("-o,--output", o.output, "Write here instead of to stdout");

  CLI::App* completion_app =
      add("completion", "Print the completion of a shell",
          "disagg completion bash > ~/.local/share/bash-completion/completions/disagg");
  completion_app->add_option("shell", o.what, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember(std::vector<std::string>(kShells.begin(), kShells.end())));
  CLI::App* manual_app =
      add("manual", "Print the manual page disagg(1)", "disagg manual > disagg.1 && man ./disagg.1");

  return {{run_app, [&] { return commands::run(o); }},
          {compare_app, [&] { return commands::compare(o); }},
          {sweep_app, [&] { return commands::sweep(o); }},
          {merge_app, [&] { return commands::merge(o); }},
          {status_app, [&] { return commands::status(o); }},
          {capacity_app, [&] { return commands::capacity(o); }},
          {emit_app, [&] { return commands::emit(o); }},
          {pareto_app, [&] { return commands::pareto(o); }},
          {report_app, [&] { return commands::report(o); }},
          {sensitivity_app, [&] { return commands::sensitivity(o); }},
          {validate_app, [&] { return commands::validate(o); }},
          {list_app, [&] { return commands::list(o); }},
          {workload_app,
           [&, inspect_app, convert_app] {
             if (inspect_app->parsed()) return commands::inspect_workload(o);
             return convert_app->parsed() ? commands::convert_workload(o) : commands::fit_workload(o);
           }},
          {calibrate_app, [&] { return commands::calibrate(o); }},
          {roofline_app, [&] { return commands::roofline(o); }},
          {topology_app, [&] { return commands::topology(o); }},
          {demo_app, [&] { return commands::demo(o); }},
          {export_app, [&] { return commands::export_run(o); }},
          {completion_app,
           [&] {
             std::cout << completion_script(app, o.what);
             return exit_code::kDone;
           }},
          {manual_app, [&] {
             std::cout << manual_page(app);
             return exit_code::kDone;
           }}};
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
  set_coloured(std::cout, !options.no_color && terminal_takes_colour());
  for (int i = 0; i < argc; ++i)
    options.command += (i > 0 ? " " : "") + (i > 0 ? std::string(argv[i]) : std::string("disagg"));
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
