#pragma once

#include <iosfwd>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/fitted_numbers.hpp"

namespace disagg {

// Statistics of |predicted / measured - 1| over rows, in percent. bias: median of predicted / measured - 1.
struct ErrorSummary {
  std::size_t rows = 0;
  double median = 0, mean = 0, p90 = 0, worst = 0, bias = 0;
};

// One comparison of a prediction with a measurement.
struct ComparedRow {
  std::string id;
  std::map<std::string, std::string> columns;  // that rows may be grouped by
  // By metric, in the metric's unit: "ttft_ms", "tpot_ms", "latency_ms" ...
  std::map<std::string, double> predicted, measured;

  // Signed error of one metric in percent; nothing when either side lacks it.
  std::optional<double> error_percent(const std::string& metric) const;
};

// A row that could not be predicted, and why.
struct UnpredictedRow {
  std::string id;
  int line = 0;
  std::string reason;
};

// The outcome of a validation.
struct Validation {
  std::vector<std::string> metrics;  // in order of display
  std::vector<ComparedRow> rows;
  std::vector<UnpredictedRow> unpredicted;
  std::vector<std::string> notes;       // what a reader must know to judge the figures
  std::vector<FittedNumbers> fitted{};  // all that stands behind the predictions
};

ErrorSummary summarise_errors(const std::vector<const ComparedRow*>& rows, const std::string& metric);
// Spearman's rank correlation of predicted and measured; nothing for fewer than three rows.
std::optional<double> rank_correlation(const std::vector<const ComparedRow*>& rows,
                                       const std::string& metric);

// Overall and grouped by the values of each list of columns together. The JSON has "overall" and "groups"
// with METRIC.{rows, median_ape_percent, mean_ape_percent, p90_ape_percent, worst_ape_percent, bias_percent},
// "rows" with id, predicted, measured, ape_percent, and "not_predicted" with id, line, reason,
// and "fitted" as fitted_numbers_json() has it.
void print_validation(const Validation& validation, const std::vector<std::string>& by, std::ostream& out);
nlohmann::ordered_json validation_json(const Validation& validation, const std::vector<std::string>& by);
std::string validation_csv(const Validation& validation);

// Limits such as "tpot=10": the metric "tpot_ms" may have a median error of 10 %. Throws ConfigError when it
// cannot be read or names no metric. Returns the sentences that say which limits do not hold.
std::vector<std::string> broken_limits(const Validation& validation, const std::vector<std::string>& limits);

}  // namespace disagg
