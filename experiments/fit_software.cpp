#include "experiments/fit_software.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "sim/base/config.hpp"
#include "sim/serving/software_profile.hpp"

namespace disagg {
namespace {

constexpr double kLossScale = 0.1;
constexpr int kIterations = 8;
constexpr double kStep = 0.05;  // of the finite differences, in the logarithm

struct Constant {
  std::string_view name;
  bool is_time;
  double least;  // where the profile says zero, the fit starts here
};
constexpr std::array<Constant, 9> kConstants{{{"layer", true, 5e-6},
                                              {"small_kernel", true, 0.5e-6},
                                              {"kernel_launch", true, 5e-6},
                                              {"request_latency", true, 10e-3},
                                              {"step", true, 500e-6},
                                              {"sequence", true, 5e-6},
                                              {"decode_scale", false, 1},
                                              {"prefill_scale", false, 1},
                                              {"expert_skew", false, 0.6}}};

const Constant& find_constant(const std::string& name) {
  const auto found = std::ranges::find(kConstants, name, &Constant::name);
  if (found != kConstants.end()) return *found;
  std::vector<std::string_view> known;
  known.reserve(kConstants.size());
  for (const Constant& constant : kConstants) known.push_back(constant.name);
  throw ConfigError("--fit: constant " + unknown_word(name, known));
}

double start_of(const Constant& constant, const SoftwareProfile& profile) {
  const SoftwareOverheads& o = profile.overheads;
  const std::map<std::string_view, double> values{{"layer", o.layer.si},
                                                  {"small_kernel", o.small_kernel.si},
                                                  {"kernel_launch", o.kernel_launch.si},
                                                  {"request_latency", profile.request_latency.si},
                                                  {"step", o.step.si},
                                                  {"sequence", o.sequence.si},
                                                  {"decode_scale", o.decode_scale},
                                                  {"prefill_scale", o.prefill_scale},
                                                  {"expert_skew", 0}};
  return std::max(values.at(constant.name), constant.least);
}

using Rows = std::vector<const ServingRow*>;

// Least squares of one engine's rows.
class Fit {
 public:
  Fit(Rows rows, const std::vector<std::string>& names, const SoftwareProfile& profile,
      const ValidateOptions& options)
      : rows_(std::move(rows)), names_(names), options_(options) {
    for (const std::string& name : names) logs_.push_back(std::log(start_of(find_constant(name), profile)));
  }

  void run() {
    Eigen::VectorXd residuals = evaluate(logs_);
    double damping = 1e-2;
    for (int i = 0; i < kIterations; ++i) {
      const Eigen::MatrixXd jacobian = differences(residuals);
      bool better = false;
      for (int attempt = 0; attempt < 4 && !better; ++attempt) {
        const auto size = static_cast<Eigen::Index>(logs_.size());
        const Eigen::MatrixXd normal =
            jacobian.transpose() * jacobian + damping * Eigen::MatrixXd::Identity(size, size);
        const Eigen::VectorXd change = -normal.ldlt().solve(jacobian.transpose() * residuals);
        std::vector<double> moved = logs_;
        for (std::size_t k = 0; k < moved.size(); ++k)
          moved[k] += std::clamp(change[static_cast<Eigen::Index>(k)], -0.7, 0.7);
        const Eigen::VectorXd trial = evaluate(moved);
        better = trial.squaredNorm() < residuals.squaredNorm();
        if (better) {
          const double gain = 1 - trial.squaredNorm() / residuals.squaredNorm();
          logs_ = moved;
          residuals = trial;
          damping /= 4;
          if (gain < 1e-3) return;
        } else {
          damping *= 8;
        }
      }
      if (!better) return;
    }
  }

  std::vector<FittedConstant> constants() const {
    std::vector<FittedConstant> list;
    for (std::size_t k = 0; k < names_.size(); ++k) list.push_back({names_[k], std::exp(logs_[k])});
    return list;
  }

 private:
  Eigen::VectorXd evaluate(const std::vector<double>& logs) const;

  Eigen::MatrixXd differences(const Eigen::VectorXd& at) const {
    Eigen::MatrixXd jacobian(at.size(), static_cast<Eigen::Index>(logs_.size()));
    for (std::size_t k = 0; k < logs_.size(); ++k) {
      std::vector<double> moved = logs_;
      moved[k] += kStep;
      jacobian.col(static_cast<Eigen::Index>(k)) = (evaluate(moved) - at) / kStep;
    }
    return jacobian;
  }

  Rows rows_;
  std::vector<std::string> names_;
  const ValidateOptions& options_;
  std::vector<double> logs_;
};

std::vector<std::string> overrides_of(const std::vector<FittedConstant>& constants) {
  std::vector<std::string> overrides;
  for (const FittedConstant& constant : constants) {
    const bool is_time = find_constant(constant.name).is_time;
    const std::string owner = constant.name == "expert_skew" ? "parallelism." : "software.";
    overrides.push_back(owner + constant.name + "=" +
                        (is_time ? show_exact(constant.value * 1e6) + " us" : show_exact(constant.value)));
  }
  return overrides;
}

// sqrt of the soft-L1 loss, with the residual's sign.
double softened(double residual) {
  const double z = residual / kLossScale;
  return std::copysign(kLossScale * std::sqrt(2 * (std::sqrt(1 + z * z) - 1)), residual);
}

std::vector<std::string> all_overrides(const ValidateOptions& options,
                                       const std::vector<FittedConstant>& constants) {
  std::vector<std::string> overrides = options.overrides;
  for (std::string& text : overrides_of(constants)) overrides.push_back(std::move(text));
  return overrides;
}

Eigen::VectorXd Fit::evaluate(const std::vector<double>& logs) const {
  std::vector<FittedConstant> constants;
  for (std::size_t k = 0; k < names_.size(); ++k) constants.push_back({names_[k], std::exp(logs[k])});
  const auto predictions = predict_serving(rows_, all_overrides(options_, constants), options_.jobs, {});
  Eigen::VectorXd residuals(static_cast<Eigen::Index>(2 * rows_.size()));
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const ServingPrediction& p = predictions[i];
    const auto at = static_cast<Eigen::Index>(2 * i);
    const bool usable = p.error.empty() && p.ttft_ms > 0 && p.tpot_ms > 0;
    // Time to first token of requests that queue says little about the constants.
    residuals[at] = usable ? softened(std::log(p.ttft_ms / rows_[i]->ttft_ms)) / 2 : 0;
    residuals[at + 1] = usable ? softened(std::log(p.tpot_ms / rows_[i]->tpot_ms)) : 0;
  }
  return residuals;
}

// What rows of one configuration share; rows differ in the number of requests in flight.
std::string configuration(const ServingRow& row) {
  std::string key;
  for (const auto& [column, value] : row.columns) {
    const bool varies = column == "concurrency" || column == "batch_size" || column == "prefill_batch_size" ||
                        column == "decode_batch_size" || column.starts_with("silicon") ||
                        column.starts_with("n_r") || column.find("_p90_") != std::string::npos;
    if (!varies) key += value + ",";
  }
  return key;
}

}  // namespace

SoftwareFitResult fit_software(const CsvTable& table, const std::vector<std::string>& constants,
                               const std::string& mode, const ValidateOptions& options) {
  for (const std::string& name : constants) find_constant(name);
  SoftwareFitResult result;
  result.validation.metrics = {"tpot_ms", "ttft_ms"};
  const std::vector<ServingRow> all = read_serving_rows(table, options.rows);
  std::map<std::string, std::array<Rows, 2>> halves;  // by engine
  std::map<std::string, std::map<std::string, std::size_t>> half_of;
  // The number of drafts accepted is a property of prompts: these rows are judged, not fitted.
  std::map<std::string, Rows> with_drafts;
  for (const ServingRow& row : all) {
    if (!row.reason.empty() || row.suspect) {
      result.validation.unpredicted.push_back(
          {row.id, row.line, row.reason.empty() ? "topology_suspect is 1" : row.reason});
      continue;
    }
    if (row.columns.at("mode") != mode) continue;
    auto& known = half_of[row.engine];
    if (row.scenario.find("\"drafts\"") != std::string::npos) {
      with_drafts[row.engine].push_back(&row);
      continue;
    }
    const std::size_t half = known.try_emplace(configuration(row), known.size() % 2).first->second;
    halves[row.engine][half].push_back(&row);
  }
  if (halves.empty()) throw ConfigError("--fit: no row of mode '" + mode + "' can be represented");
  const auto profiles = software_profiles();
  for (const auto& entry : halves) {
    const std::string& engine = entry.first;  // clang 14 cannot capture a structured binding
    const std::array<Rows, 2>& parts = entry.second;
    const SoftwareProfile& profile = *std::ranges::find(profiles, engine, &SoftwareProfile::name);
    const auto fit = [&](const Rows& rows, const std::string& fold) {
      Fit least_squares(rows, constants, profile, options);
      least_squares.run();
      result.fits.push_back({engine, fold, rows.size(), least_squares.constants()});
      return least_squares.constants();
    };
    Rows both = parts[0];
    both.insert(both.end(), parts[1].begin(), parts[1].end());
    const auto judge = [&](const Rows& judged, const std::vector<FittedConstant>& found) {
      const auto predictions = predict_serving(judged, all_overrides(options, found), options.jobs, {});
      for (std::size_t i = 0; i < judged.size(); ++i) {
        if (!predictions[i].error.empty()) {
          result.validation.unpredicted.push_back({judged[i]->id, judged[i]->line, predictions[i].error});
          continue;
        }
        ComparedRow row{.id = judged[i]->id, .columns = judged[i]->columns, .predicted = {}, .measured = {}};
        row.columns["state"] = serving_state(*judged[i], predictions[i]);
        row.predicted = {{"ttft_ms", predictions[i].ttft_ms}, {"tpot_ms", predictions[i].tpot_ms}};
        row.measured = {{"ttft_ms", judged[i]->ttft_ms}, {"tpot_ms", judged[i]->tpot_ms}};
        result.validation.rows.push_back(std::move(row));
      }
    };
    judge(with_drafts[engine], fit(both, "all"));
    for (std::size_t half = 0; half < 2; ++half)
      if (!parts[half].empty() && !parts[1 - half].empty())
        judge(parts[half], fit(parts[1 - half], half == 0 ? "second half" : "first half"));
  }
  return result;
}

}  // namespace disagg
