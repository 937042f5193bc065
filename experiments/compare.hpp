#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/match.hpp"

namespace disagg {

// A run's summary as an aligned table with its bottleneck sentence.
void print_summary(const nlohmann::ordered_json& summary, std::ostream& out);

// One side of a comparison: a summary for each seed, the same seeds on all sides.
using Replications = std::vector<nlohmann::ordered_json>;

struct Comparison {
  std::vector<Replications> sides;        // at least one; changes are told against the first
  Match match = Match::none;              // what the verdict divides by; none: the rent
  std::vector<std::string> matched = {};  // how sides were made equal, a sentence each
};

// A comparison under one of several conditions.
struct ConditionalComparison {
  std::vector<std::string> condition;  // value of each path
  Comparison comparison;
};

// Every metric with its change against the first side, cost and size of each cluster, and the bottleneck of
// each. With several seeds figures are means, and changes the means of paired differences with their
// 95 % confidence intervals.
void print_comparison(const Comparison& comparison, std::ostream& out);
// One sentence: which side is better, by how much, how sure that is.
void print_verdict(const Comparison& comparison, std::ostream& out);
// Both for machines: {"baseline": [summary of each seed], "candidates": [{"summaries", "change": {metric:
// {"mean", "half_width"}}}], "matched", "verdict"}. A half width is null for one seed.
nlohmann::ordered_json comparison_json(const Comparison& comparison);

// The same under several conditions: of each what decides on all sides, what limits them, and who wins, and
// in how many conditions who does. `paths`: of the conditions.
void print_conditions(const std::vector<std::string>& paths,
                      const std::vector<ConditionalComparison>& comparisons, std::ostream& out);
nlohmann::ordered_json conditions_json(const std::vector<std::string>& paths,
                                       const std::vector<ConditionalComparison>& comparisons);
// One row a condition and side.
std::string conditions_csv(const std::vector<std::string>& paths,
                           const std::vector<ConditionalComparison>& comparisons);

// A limit such as "metrics.ttft_ms.p99 > 2000" of a candidate's mean over seeds, or
// "change(metrics.ttft_ms.p99) > 5" in percent against the first side. Throws ConfigError when it cannot be
// read.
struct Limit {
  std::string text, figure;
  bool relative = false, above = true;
  double bound = 0;
};
Limit parse_limit(const std::string& text);
// The sentences that say which hold for which candidate. Throws ConfigError when a summary lacks a figure.
std::vector<std::string> limits_passed(const Comparison& comparison, const std::vector<Limit>& limits);

}  // namespace disagg
