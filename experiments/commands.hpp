#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "experiments/options.hpp"

// What each command of the program does: data to stdout, remarks to stderr. All return the exit code and
// throw what guarded() knows.
namespace disagg::commands {

// Of --report: require_report() throws ConfigError when it is asked for and cannot be had, before anything
// runs; report_results() writes it (kinds: report.hpp). Precondition of that: it is asked for.
void require_report(const Options& o);
void report_results(const Options& o, std::string_view kind, nlohmann::ordered_json results);
// Writes report.html into the folder of --out.
void report_folder(const Options& o);

int run(const Options& o);
int compare(const Options& o);
int demo(Options o);
int sweep(const Options& o);
int merge(const Options& o);
int status(const Options& o);
int capacity(const Options& o);
int sensitivity(const Options& o);
int pareto(const Options& o);
int emit(const Options& o);
int report(const Options& o);
int export_run(const Options& o);
int validate(const Options& o);
int calibrate(const Options& o);
int roofline(const Options& o);
int topology(const Options& o);
int list(const Options& o);
int inspect_workload(const Options& o);
int convert_workload(const Options& o);
int fit_workload(const Options& o);

}  // namespace disagg::commands
