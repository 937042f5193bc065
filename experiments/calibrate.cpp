#include "experiments/calibrate.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <tuple>
#include <unsupported/Eigen/NonLinearOptimization>

#include "experiments/processes.hpp"
#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/expect.hpp"
#include "sim/base/random.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

// Of one family: the others are fitted all the same.
struct TooFewRows : ConfigError {
  using ConfigError::ConfigError;
};

using nlohmann::ordered_json;

// Of the soft-L1 loss: log errors well above it count by their size, not by its square.
constexpr double kScale = 0.1;
constexpr double kNegligible = 1e-5;  // a constant below it, in the unit of its name, is 0

using SamplePointers = std::vector<const KernelSample*>;

// Rows of one family, operation and format.
template <class Constants, class Shape>
class Fit {
 public:
  struct Result {
    Constants constants{};
    std::vector<double> floors;  // by source
    double loss = 0;
  };

  Fit(const SamplePointers& samples, const std::vector<std::string>& sources)
      : samples_(samples), sources_(sources), device_(device_of(*samples.front())) {
    for (const auto& field : Constants::fields)
      if (!is_fixed(field.name)) free_.push_back(&field);
  }

  std::size_t parameters() const { return free_.size(); }
  // Fewer rows than this would not fix the parameters.
  std::size_t least_rows() const {
    return 2 * (free_.size() + (samples_.front()->floored ? sources_.size() : 0));
  }

  double time(const Result& result, const KernelSample& sample) const {
    double time = benchmark_time(result.constants, device_, std::get<Shape>(sample.shape));
    if (sample.floored) time = std::max(time, result.floors[source_of(sample)]);
    return time;
  }

  Result from(const Constants& start, const SamplePointers& training) const {
    const Result begin{.constants = start, .floors = first_floors(training)};
    const Functor functor{*this, begin, training};
    Eigen::VectorXd x = parameters_of(begin);
    double loss = minimise(functor, x);
    // Where a constant hides behind a larger term, the slope is zero: look further along each, and start
    // again from what is better.
    for (int round = 0; round < 5; ++round) {
      Eigen::VectorXd better = x;
      double least = loss;
      for (Eigen::Index j = 0; j < x.size(); ++j)
        for (const double factor : {0.125, 0.25, 0.5, 2.0, 4.0, 8.0}) {
          Eigen::VectorXd moved = x;
          moved[j] += std::log(factor);
          const double there = functor.loss(moved);
          if (there >= least) continue;
          least = there;
          better = moved;
        }
      if (least > loss * (1 - 1e-6)) break;
      loss = minimise(functor, better);
      x = better;
    }
    Result result = begin;
    set_parameters(x, result);
    for (const auto* field : free_) {
      double& value = result.constants.*field->member;
      if (value < kNegligible * field->unit) value = 0;
    }
    result.loss = loss;
    return result;
  }

 private:
  struct Functor {
    using Scalar = double;
    using InputType = Eigen::VectorXd;
    using ValueType = Eigen::VectorXd;
    using JacobianType = Eigen::MatrixXd;
    enum { InputsAtCompileTime = Eigen::Dynamic, ValuesAtCompileTime = Eigen::Dynamic };

    const Fit& fit;
    const Result& begin;
    const SamplePointers& training;

    int inputs() const { return static_cast<int>(fit.free_.size() + begin.floors.size()); }
    int values() const { return static_cast<int>(training.size()); }
    // Plain least squares of sign(r) sqrt(rho(r)) minimises the sum of rho(r).
    void residuals(const Result& result, Eigen::VectorXd& values) const {
      for (std::size_t i = 0; i < training.size(); ++i) {
        const double r = std::log(fit.time(result, *training[i]) / training[i]->seconds) / kScale;
        values[static_cast<Eigen::Index>(i)] = std::copysign(std::sqrt(2 * (std::sqrt(1 + r * r) - 1)), r);
      }
    }
    double loss(const Eigen::VectorXd& x) const {
      Eigen::VectorXd here(values());
      (*this)(x, here);
      return here.squaredNorm();
    }
    int operator()(const Eigen::VectorXd& x, Eigen::VectorXd& values) const {
      Result result = begin;
      fit.set_parameters(x, result);
      residuals(result, values);
      return 0;
    }
    int df(const Eigen::VectorXd& x, Eigen::MatrixXd& jacobian) const {
      constexpr double kStep = 1e-4;  // of logarithms
      Eigen::VectorXd here(values()), there(values());
      (*this)(x, here);
      for (Eigen::Index j = 0; j < x.size(); ++j) {
        Eigen::VectorXd moved = x;
        moved[j] += kStep;
        (*this)(moved, there);
        jacobian.col(j) = (there - here) / kStep;
      }
      return 0;
    }
  };

  // Moves x to a minimum and returns the loss there.
  static double minimise(Functor functor, Eigen::VectorXd& x) {
    Eigen::LevenbergMarquardt<Functor> solver(functor);
    solver.parameters.ftol = solver.parameters.xtol = 1e-9;
    solver.parameters.maxfev = 2000;
    solver.minimize(x);
    return functor.loss(x);
  }

  // Constants that the measurements of a format say nothing about.
  bool is_fixed(std::string_view field) const {
    if constexpr (std::is_same_v<Constants, GemmConstants>) {
      const std::string& format = samples_.front()->format;
      if (format == "bf16") return field == "aq_ns" || field == "bq_ps";
      if (format == "fp8-block") return field == "t0_us" || field == "red_us";
      return field == "red_us";
    }
    return false;
  }

  std::size_t source_of(const KernelSample& sample) const {
    return static_cast<std::size_t>(std::ranges::find(sources_, sample.source) - sources_.begin());
  }

  // Most launches of a floored kernel take the host's time: it is near the lower quartile.
  std::vector<double> first_floors(const SamplePointers& training) const {
    std::vector<double> floors;
    if (!samples_.front()->floored) return floors;
    for (const std::string& source : sources_) {
      std::vector<double> times;
      for (const KernelSample* sample : training)
        if (sample->source == source) times.push_back(sample->seconds);
      std::ranges::sort(times);
      floors.push_back(times.empty() ? 1e-9 : times[times.size() / 4]);
    }
    return floors;
  }

  // Logarithms; phi, a share, as the logarithm of its odds.
  Eigen::VectorXd parameters_of(const Result& result) const {
    std::vector<double> x;
    for (const auto* field : free_) {
      const double value = result.constants.*field->member;
      if (field->name == "phi") {
        const double share = std::clamp(value, 0.01, 0.99);
        x.push_back(std::log(share / (1 - share)));
      } else {
        x.push_back(std::log(std::max(value, 1e-3 * field->unit)));
      }
    }
    for (const double floor : result.floors) x.push_back(std::log(floor));
    return Eigen::Map<Eigen::VectorXd>(x.data(), static_cast<Eigen::Index>(x.size()));
  }

  void set_parameters(const Eigen::VectorXd& x, Result& result) const {
    Eigen::Index i = 0;
    for (const auto* field : free_) {
      const double value = x[i++];
      const double limited =
          field->name == "phi"
              ? 1 / (1 + std::exp(-value))
              : std::exp(std::clamp(value, std::log(1e-9 * field->unit), std::log(1e9 * field->unit)));
      result.constants.*field->member = limited;
    }
    for (double& floor : result.floors) floor = std::exp(std::clamp(x[i++], -25.0, 25.0));
  }

  const SamplePointers& samples_;
  const std::vector<std::string>& sources_;
  MeasuredDevice device_;
  std::vector<const ConstantField<Constants>*> free_;
};

// The fold of each sample, so that a group's rows stay together.
std::vector<std::size_t> folds_of(const SamplePointers& samples, std::size_t folds) {
  std::map<std::string, std::size_t> groups;
  for (const KernelSample* sample : samples) groups.emplace(sample->group, 0);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < groups.size(); ++i) order.push_back(i % folds);
  RandomEngine engine = random_stream(1, "folds of a cross-validation");
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[boost::random::uniform_int_distribution<std::size_t>(0, i - 1)(engine)]);
  std::size_t next = 0;
  for (auto& [group, fold] : groups) fold = order[next++];
  std::vector<std::size_t> result;
  for (const KernelSample* sample : samples) result.push_back(groups.at(sample->group));
  return result;
}

ErrorSummary summary_of(const SamplePointers& samples, const std::vector<double>& predicted, bool only_cold) {
  std::vector<ComparedRow> rows;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (only_cold && !samples[i]->cold) continue;
    ComparedRow row;
    row.predicted["s"] = predicted[i];
    row.measured["s"] = samples[i]->seconds;
    rows.push_back(std::move(row));
  }
  std::vector<const ComparedRow*> pointers(rows.size());
  std::ranges::transform(rows, pointers.begin(), [](const ComparedRow& row) { return &row; });
  return pointers.empty() ? ErrorSummary{} : summarise_errors(pointers, "s");
}

// Six significant digits.
double rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return std::strtod(text, nullptr);
}

template <std::size_t index>
CalibratedFamily fit_family(const SamplePointers& samples, const std::string& files,
                            const std::string& accelerator, std::size_t folds) {
  using Shape = std::variant_alternative_t<index, KernelShape>;
  using Constants = std::variant_alternative_t<index, KernelConstantsOfShape>;
  const KernelSample& first = *samples.front();
  CalibratedFamily family{.family = std::string(first.family),
                          .operation = first.operation,
                          .format = first.format,
                          .constants = {},
                          .host_floors = {},
                          .files = files};
  std::set<std::string> distinct;
  for (const KernelSample* sample : samples) distinct.insert(sample->source);
  const std::vector<std::string> sources(distinct.begin(), distinct.end());
  if constexpr (std::is_same_v<Shape, PrefillAttentionShape>)
    family.packed = std::get<Shape>(first.shape).packed;

  const Fit<Constants, Shape> fit(samples, sources);
  if (samples.size() < fit.least_rows())
    throw TooFewRows(std::to_string(samples.size()) + " rows of " + family.family +
                     (first.operation.empty() ? "" : " " + first.operation) +
                     (first.format.empty() ? "" : " " + first.format) + " are too few to fit " +
                     std::to_string(fit.parameters()) +
                     " constants; needed: " + std::to_string(fit.least_rows()));
  std::optional<typename Fit<Constants, Shape>::Result> best;
  Constants start{};
  for (const std::string& relative : {accelerator, std::string("h100-sxm-80gb"), std::string("b200-sxm")}) {
    const auto known = constants_of<Constants>(kernel_constants(relative), first.operation, first.format);
    if (!known) continue;
    auto result = fit.from(known->constants, samples);
    if (best && result.loss >= best->loss) continue;
    best = std::move(result);
    start = known->constants;
  }
  expect(best.has_value(), "the catalog lacks constants of a family");

  std::vector<double> predicted;
  for (const KernelSample* sample : samples) predicted.push_back(fit.time(*best, *sample));
  family.fit = summary_of(samples, predicted, false);
  family.fitted = fit.parameters();
  for (const auto& field : Constants::fields)
    family.constants.emplace_back(field.name, rounded(best->constants.*field.member / field.unit));
  for (std::size_t i = 0; i < best->floors.size(); ++i)
    family.host_floors.emplace_back(sources[i], best->floors[i]);

  // With too few shapes to hold some out, there is nothing to say about shapes that were not measured.
  const std::vector<std::size_t> fold_of = folds_of(samples, folds);
  bool enough = true;
  for (std::size_t fold = 0; fold < folds; ++fold) {
    const auto held_out = static_cast<std::size_t>(std::ranges::count(fold_of, fold));
    enough = enough && held_out > 0 && samples.size() - held_out >= fit.least_rows();
  }
  if (enough) {
    for (std::size_t fold = 0; fold < folds; ++fold) {
      SamplePointers training;
      for (std::size_t i = 0; i < samples.size(); ++i)
        if (fold_of[i] != fold) training.push_back(samples[i]);
      const auto result = fit.from(start, training);
      for (std::size_t i = 0; i < samples.size(); ++i)
        if (fold_of[i] == fold) predicted[i] = fit.time(result, *samples[i]);
    }
    family.cross_validated = summary_of(samples, predicted, false);
    family.cold = summary_of(samples, predicted, true);
  }
  return family;
}

template <std::size_t index = 0>
CalibratedFamily fit_any(const SamplePointers& samples, const std::string& files,
                         const std::string& accelerator, std::size_t folds) {
  if constexpr (index < std::variant_size_v<KernelShape>) {
    if (samples.front()->shape.index() == index) return fit_family<index>(samples, files, accelerator, folds);
    return fit_any<index + 1>(samples, files, accelerator, folds);
  } else {
    throw BrokenInvariant("a kernel of no family");
  }
}

ordered_json to_json(const ErrorSummary& errors) {
  return {{"mean", rounded(errors.mean)},
          {"median", rounded(errors.median)},
          {"p90", rounded(errors.p90)},
          {"rows", errors.rows}};
}

ordered_json row_of(const CalibratedFamily& family, const std::string& accelerator) {
  ordered_json row{{"accelerator", accelerator}, {"family", family.family}};
  if (!family.operation.empty()) row["operation"] = family.operation;
  if (!family.format.empty()) row["format"] = family.format;
  for (const auto& [name, value] : family.constants) row["constants"][name] = value;
  const bool validated = family.cross_validated.rows > 0;
  row["error_percent"] = to_json(validated ? family.cross_validated : family.fit);
  row["error_percent"]["cross_validated"] = validated;
  row["fit_error_percent"] = to_json(family.fit);
  if (family.cold.rows > 0) row["cold_error_percent"] = to_json(family.cold);
  if (!family.host_floors.empty())
    for (const auto& [source, floor] : family.host_floors)
      row["host_floor_us"][source] = rounded(floor * 1e6);
  row["fitted"] = family.fitted;
  row["source"] = "fitted to " + family.files;
  if (family.family == PrefillAttentionConstants::family) row["packed"] = family.packed;
  return row;
}

ErrorSummary summary_from(const ordered_json& row, const char* key) {
  ErrorSummary summary;
  if (!row.contains(key)) return summary;
  const ordered_json& errors = row.at(key);
  summary.mean = errors.at("mean");
  summary.median = errors.at("median");
  summary.p90 = errors.at("p90");
  summary.rows = errors.at("rows");
  return summary;
}

CalibratedFamily family_from(const ordered_json& row) {
  CalibratedFamily family{
      .family = row.at("family"),
      .operation = row.value("operation", ""),
      .format = row.value("format", ""),
      .constants = {},
      .fitted = row.at("fitted"),
      .packed = row.value("packed", true),
      .host_floors = {},
      .fit = summary_from(row, "fit_error_percent"),
      .cold = summary_from(row, "cold_error_percent"),
      .files = row.at("source").get<std::string>().substr(std::string("fitted to ").size())};
  if (row.at("error_percent").at("cross_validated").get<bool>())
    family.cross_validated = summary_from(row, "error_percent");
  for (const auto& [name, value] : row.at("constants").items()) family.constants.emplace_back(name, value);
  if (row.contains("host_floor_us"))
    for (const auto& [source, floor] : row.at("host_floor_us").items())
      family.host_floors.emplace_back(source, floor.get<double>() * 1e-6);
  return family;
}

double& constant_of(CalibratedFamily& family, std::string_view name) {
  return std::ranges::find(family.constants, name,
                           [](const auto& pair) { return std::string_view(pair.first); })
      ->second;
}

// Under the host's floor nothing is seen of a block-scaled product's launch: it is that of the product with
// one scale for each tensor.
void launch_as_per_tensor(std::vector<CalibratedFamily>& families) {
  const auto find = [&](std::string_view format) {
    return std::ranges::find_if(families, [&](const CalibratedFamily& family) {
      return family.family == GemmConstants::family && family.format == format;
    });
  };
  const auto tensor = find("fp8"), block = find("fp8-block");
  if (tensor != families.end() && block != families.end())
    constant_of(*block, "t0_us") = constant_of(*tensor, "t0_us");
}

}  // namespace

KernelCalibration calibrate(const std::vector<std::filesystem::path>& files,
                            const CalibrateOptions& options) {
  KernelSamples measured = read_kernel_files(files);
  KernelCalibration calibration{.accelerator = options.accelerator, .families = {}, .left_out = {}};
  using Key = std::tuple<std::size_t, std::string, std::string>;
  std::map<Key, SamplePointers> families;
  for (const KernelSample& sample : measured.samples) {
    if (sample.accelerator != options.accelerator)
      throw ConfigError(measured.files[sample.file] + ":" + std::to_string(sample.line) +
                        ": device: was measured on " + sample.accelerator + ", not on " +
                        options.accelerator);
    families[{sample.shape.index(), sample.operation, sample.format}].push_back(&sample);
  }
  std::vector<const SamplePointers*> tasks;
  tasks.reserve(families.size());
  for (const auto& [key, samples] : families) tasks.push_back(&samples);

  std::vector<std::optional<CalibratedFamily>> fitted(tasks.size());
  std::vector<LeftOutRows> too_few;
  std::size_t done = 0;
  run_forked(
      tasks.size(), options.jobs,
      [&](std::size_t i) {
        std::set<std::size_t> from;
        for (const KernelSample* sample : *tasks[i]) from.insert(sample->file);
        std::string names;
        for (const std::size_t file : from)
          names +=
              (names.empty() ? "" : ", ") + std::filesystem::path(measured.files[file]).filename().string();
        try {
          return row_of(fit_any(*tasks[i], names, options.accelerator, options.folds), options.accelerator)
              .dump();
        } catch (const TooFewRows& problem) {
          return ordered_json{{"too_few", problem.what()}, {"files", names}}.dump();
        }
      },
      [&](std::size_t i, const TaskResult& result) {
        if (result.code != exit_code::kDone) throw ConfigError(result.output);
        const ordered_json told = ordered_json::parse(result.output);
        if (told.contains("too_few")) {
          too_few.push_back(
              {told.at("files").get<std::string>(), told.at("too_few").get<std::string>(), tasks[i]->size()});
        } else {
          fitted[i] = family_from(told);
        }
        if (options.progress) options.progress(++done, tasks.size());
      });
  for (auto& family : fitted)
    if (family) calibration.families.push_back(std::move(*family));
  if (calibration.families.empty() && !too_few.empty())
    throw ConfigError(too_few.front().file + ": " + too_few.front().reason);
  launch_as_per_tensor(calibration.families);
  calibration.left_out = std::move(measured.left_out);
  calibration.left_out.insert(calibration.left_out.end(), too_few.begin(), too_few.end());
  return calibration;
}

void print_calibration(const KernelCalibration& calibration, std::ostream& out) {
  Table table({{"family"},
               {"operation"},
               {"format"},
               {"constants"},
               {"rows"},
               {"fit mean", "%"},
               {"median", "%"},
               {"p90", "%"},
               {"held out mean", "%"},
               {"median", "%"},
               {"p90", "%"},
               {"cold mean", "%"}},
              "Kernels of " + calibration.accelerator + ": |predicted / measured - 1|");
  const auto percent = [](double value, std::size_t rows) {
    if (rows == 0) return std::string("-");
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    return std::string(text);
  };
  for (const CalibratedFamily& f : calibration.families) {
    std::vector<std::string> row{f.family, f.operation.empty() ? "-" : f.operation,
                                 f.format.empty() ? "-" : f.format, std::to_string(f.fitted),
                                 std::to_string(f.fit.rows)};
    for (const ErrorSummary* errors : {&f.fit, &f.cross_validated})
      for (const double value : {errors->mean, errors->median, errors->p90})
        row.push_back(percent(value, errors->rows));
    row.push_back(percent(f.cold.mean, f.cold.rows));
    table.add(std::move(row));
  }
  out << table;
  for (const CalibratedFamily& f : calibration.families)
    for (const auto& [source, floor] : f.host_floors)
      out << "\n"
          << f.family << " " << f.format << ", " << source << ": no launch takes less than "
          << show(Seconds{floor}) << " of the host, without a CUDA graph; not part of the constants";
  if (!calibration.left_out.empty()) out << "\n\nLeft out:\n";
  for (const LeftOutRows& left : calibration.left_out)
    out << "  " << std::filesystem::path(left.file).filename().string() << ": " << left.rows
        << " rows: " << left.reason << '\n';
}

ordered_json calibration_json(const KernelCalibration& calibration) {
  ordered_json json{{"kernels", ordered_json::array()}, {"left_out", ordered_json::array()}};
  for (const CalibratedFamily& family : calibration.families)
    json["kernels"].push_back(row_of(family, calibration.accelerator));
  for (const LeftOutRows& left : calibration.left_out)
    json["left_out"].push_back({{"file", std::filesystem::path(left.file).filename().string()},
                                {"reason", left.reason},
                                {"rows", left.rows}});
  return json;
}

}  // namespace disagg
