#pragma once

#include "experiments/options.hpp"

// What each command of the program does: data to stdout, remarks to stderr. All return the exit code and
// throw what guarded() knows.
namespace disagg::commands {

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
int validate(const Options& o);
int calibrate(const Options& o);
int roofline(const Options& o);
int topology(const Options& o);
int list(const Options& o);
int inspect_workload(const Options& o);
int convert_workload(const Options& o);
int fit_workload(const Options& o);

}  // namespace disagg::commands
