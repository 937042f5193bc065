#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "experiments/calibrate.hpp"
#include "experiments/commands.hpp"
#include "experiments/fit_software.hpp"
#include "experiments/paper_figures.hpp"
#include "experiments/processes.hpp"
#include "experiments/progress.hpp"
#include "experiments/run_folder.hpp"
#include "experiments/topology_report.hpp"
#include "experiments/validate.hpp"
#include "experiments/validate_kernels.hpp"
#include "experiments/validate_power.hpp"
#include "sim/base/text.hpp"

namespace disagg::commands {
namespace {

using nlohmann::ordered_json;

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

}  // namespace

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
  require_report(o);
  std::ostringstream text;
  print_roofline(o.roofline, text);
  if (!o.report.empty()) {
    RooflineOptions options = o.roofline;
    options.format = "json";
    std::ostringstream json;
    print_roofline(options, json);
    report_results(o, "roofline", ordered_json::parse(json.str()));
  }
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

int calibrate(const Options& o) {
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
      disagg::calibrate(o.files, {.accelerator = o.accelerator,
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

}  // namespace disagg::commands
