#include "experiments/error_table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <ostream>

#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;
using Rows = std::vector<const ComparedRow*>;

// Linear between order statistics; `sorted` is not empty.
double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - static_cast<double>(below));
}

// Ranks from 0, ties sharing their mean.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> result(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i + 1;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (std::size_t k = i; k < end; ++k) result[order[k]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return result;
}

Rows all_rows(const Validation& validation) {
  Rows rows;
  for (const ComparedRow& row : validation.rows) rows.push_back(&row);
  return rows;
}

struct Grouped {
  std::map<std::string, std::string> by;
  Rows rows;
};

std::vector<Grouped> grouped(const Validation& validation, const std::vector<std::string>& by) {
  std::map<std::string, Grouped> groups;
  for (const ComparedRow& row : validation.rows) {
    std::string key;
    Grouped group;
    for (const std::string& column : by) {
      const auto found = row.columns.find(column);
      if (found == row.columns.end()) {
        std::vector<std::string_view> known;
        known.reserve(row.columns.size());
        for (const auto& [name, value] : row.columns) known.push_back(name);
        throw ConfigError("--by: column " + unknown_word(column, known));
      }
      key += found->second + '\n';
      group.by[column] = found->second;
    }
    groups.try_emplace(key, group).first->second.rows.push_back(&row);
  }
  std::vector<Grouped> list;
  list.reserve(groups.size());
  for (auto& [key, group] : groups) list.push_back(std::move(group));
  return list;
}

ordered_json errors_json(const Validation& validation, const Rows& rows) {
  ordered_json j = ordered_json::object();
  for (const std::string& metric : validation.metrics) {
    const ErrorSummary e = summarise_errors(rows, metric);
    if (e.rows == 0) continue;
    j[metric] = {{"rows", e.rows},           {"median_ape_percent", e.median}, {"mean_ape_percent", e.mean},
                 {"p90_ape_percent", e.p90}, {"worst_ape_percent", e.worst},   {"bias_percent", e.bias}};
    if (const auto rho = rank_correlation(rows, metric)) j[metric]["rank_correlation"] = *rho;
  }
  return j;
}

std::string fixed(double value, int digits) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string percent(double value) { return fixed(value, 1); }

void add_rows(Table& table, const Validation& validation, const std::string& label, const Rows& rows) {
  for (const std::string& metric : validation.metrics) {
    const ErrorSummary e = summarise_errors(rows, metric);
    if (e.rows == 0) continue;
    table.add({label, metric, std::to_string(e.rows), percent(e.median), percent(e.mean), percent(e.p90),
               percent(e.worst), percent(e.bias)});
  }
}

}  // namespace

std::optional<double> ComparedRow::error_percent(const std::string& metric) const {
  const auto p = predicted.find(metric);
  const auto m = measured.find(metric);
  if (p == predicted.end() || m == measured.end()) return std::nullopt;
  return 100 * (p->second / m->second - 1);
}

ErrorSummary summarise_errors(const Rows& rows, const std::string& metric) {
  std::vector<double> signed_errors;
  std::vector<double> errors;
  for (const ComparedRow* row : rows) {
    const auto error = row->error_percent(metric);
    if (!error) continue;
    signed_errors.push_back(*error);
    errors.push_back(std::abs(*error));
  }
  ErrorSummary summary;
  summary.rows = errors.size();
  if (errors.empty()) return summary;
  std::ranges::sort(errors);
  std::ranges::sort(signed_errors);
  summary.median = quantile(errors, 0.5);
  summary.p90 = quantile(errors, 0.9);
  summary.worst = errors.back();
  summary.mean = std::accumulate(errors.begin(), errors.end(), 0.0) / static_cast<double>(errors.size());
  summary.bias = quantile(signed_errors, 0.5);
  return summary;
}

std::optional<double> rank_correlation(const Rows& rows, const std::string& metric) {
  std::vector<double> predicted;
  std::vector<double> measured;
  for (const ComparedRow* row : rows) {
    if (!row->error_percent(metric)) continue;
    predicted.push_back(row->predicted.at(metric));
    measured.push_back(row->measured.at(metric));
  }
  if (predicted.size() < 3) return std::nullopt;
  const std::vector<double> a = ranks(predicted);
  const std::vector<double> b = ranks(measured);
  const double mean = static_cast<double>(a.size() - 1) / 2;
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean) * (b[i] - mean);
    aa += (a[i] - mean) * (a[i] - mean);
    bb += (b[i] - mean) * (b[i] - mean);
  }
  if (aa == 0 || bb == 0) return std::nullopt;
  return ab / std::sqrt(aa * bb);
}

void print_validation(const Validation& validation, const std::vector<std::string>& by, std::ostream& out) {
  Table table({{"rows"},
               {"metric"},
               {"count"},
               {"median APE", "%"},
               {"mean APE", "%"},
               {"p90", "%"},
               {"worst", "%"},
               {"bias", "%"}});
  add_rows(table, validation, "all", all_rows(validation));
  if (!by.empty()) {
    for (const Grouped& group : grouped(validation, by)) {
      std::string label;
      for (const auto& [column, value] : group.by)
        label += (label.empty() ? "" : ", ") + column + " " + (value.empty() ? "-" : value);
      add_rows(table, validation, label, group.rows);
    }
  }
  out << table;
  for (const std::string& metric : validation.metrics)
    if (const auto rho = rank_correlation(all_rows(validation), metric))
      out << "rank correlation of " << metric << ": " << fixed(*rho, 3) << '\n';
  std::map<std::string, std::size_t> reasons;
  for (const UnpredictedRow& row : validation.unpredicted) ++reasons[row.reason];
  if (!reasons.empty()) {
    out << validation.unpredicted.size() << " rows are not predicted:\n";
    for (const auto& [reason, count] : reasons) out << "  " << count << " x " << reason << '\n';
  }
  for (const std::string& note : validation.notes) out << note << '\n';
  if (!validation.fitted.empty())
    out << "Fitted numbers behind the predictions: " << fitted_numbers_sentence(validation.fitted) << ".\n";
}

ordered_json validation_json(const Validation& validation, const std::vector<std::string>& by) {
  ordered_json j;
  j["overall"] = errors_json(validation, all_rows(validation));
  ordered_json groups = ordered_json::array();
  if (!by.empty()) {
    for (const Grouped& group : grouped(validation, by)) {
      ordered_json errors = errors_json(validation, group.rows);
      errors["by"] = group.by;
      groups.push_back(errors);
    }
  }
  j["groups"] = groups;
  ordered_json rows = ordered_json::array();
  for (const ComparedRow& row : validation.rows) {
    ordered_json apes = ordered_json::object();
    for (const std::string& metric : validation.metrics)
      if (const auto error = row.error_percent(metric)) apes[metric] = std::abs(*error);
    rows.push_back({{"id", row.id},
                    {"predicted", row.predicted},
                    {"measured", row.measured},
                    {"ape_percent", apes},
                    {"columns", row.columns}});
  }
  j["rows"] = rows;
  ordered_json missing = ordered_json::array();
  for (const UnpredictedRow& row : validation.unpredicted)
    missing.push_back({{"id", row.id}, {"line", row.line}, {"reason", row.reason}});
  j["not_predicted"] = missing;
  j["notes"] = validation.notes;
  j["fitted"] = fitted_numbers_json(validation.fitted);
  return j;
}

std::string validation_csv(const Validation& validation) {
  std::string text = "id";
  for (const std::string& metric : validation.metrics)
    text += ",predicted_" + metric + ",measured_" + metric + ",error_percent_" + metric;
  text += '\n';
  for (const ComparedRow& row : validation.rows) {
    text += row.id;
    for (const std::string& metric : validation.metrics) {
      const auto error = row.error_percent(metric);
      const auto cell = [&](const std::map<std::string, double>& values) {
        const auto found = values.find(metric);
        return found == values.end() ? std::string() : show_exact(found->second);
      };
      text += "," + cell(row.predicted) + "," + cell(row.measured) + "," + (error ? show_exact(*error) : "");
    }
    text += '\n';
  }
  return text;
}

std::vector<std::string> broken_limits(const Validation& validation, const std::vector<std::string>& limits) {
  std::vector<std::string> broken;
  for (const std::string& limit : limits) {
    const std::size_t equals = limit.find('=');
    const std::string name = limit.substr(0, equals);
    const auto metric = std::ranges::find_if(validation.metrics, [&](const std::string& m) {
      return m == name || m.substr(0, m.rfind('_')) == name;
    });
    double most = -1;
    try {
      if (equals != std::string::npos) most = std::stod(limit.substr(equals + 1));
    } catch (const std::exception&) {
      most = -1;
    }
    if (metric == validation.metrics.end()) {
      const std::vector<std::string_view> known(validation.metrics.begin(), validation.metrics.end());
      throw ConfigError("--max-median-ape: metric " + unknown_word(name, known));
    }
    if (!(most >= 0))
      throw ConfigError("--max-median-ape: '" + limit + "' is not METRIC=PERCENT, as in tpot=10");
    const ErrorSummary errors = summarise_errors(all_rows(validation), *metric);
    if (errors.rows == 0) {
      broken.push_back(*metric + ": no row was predicted");
    } else if (errors.median > most) {
      broken.push_back(*metric + ": the median error is " + percent(errors.median) + " %, above " +
                       show_number(most) + " %");
    }
  }
  return broken;
}

}  // namespace disagg
