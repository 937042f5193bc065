#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "workloads/source.hpp"

namespace disagg {

// Largest distance of two empirical distribution functions (two-sample Kolmogorov-Smirnov). Precondition:
// sorted.
double kolmogorov_smirnov(const std::vector<double>& a, const std::vector<double>& b);

struct FitOptions {
  std::string name = "fitted";
  std::string source = "the trace";  // said of the profile's figures
  // Fits the sessions at even places (from 0) and compares with those at odd ones, instead of all with all.
  bool halves = false;
};

// How far what a profile draws is from the sessions that it is compared with.
struct ProfileFit {
  nlohmann::ordered_json profile;  // a profile as scenarios and the catalog hold it
  nlohmann::ordered_json
      goodness;  // "of": per quantity Kolmogorov-Smirnov distance, and p50 and p90 of both; "reuse"
};

// Fits a profile of agents to the sessions of a workload: quantile tables of what their main agents do,
// sub-agents by their number, and compactions where prompts shrink by more than 40 %. Throws ConfigError when
// there are too few.
ProfileFit fit_profile(Source& source, const FitOptions& options);

void print_fit(const ProfileFit& fit, std::ostream& out);

}  // namespace disagg
