#include "experiments/validate_kernels.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "experiments/kernel_files.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

struct Prediction {
  double seconds = 0;
  std::string fitted_to;  // accelerator of the constants; empty: there are none
};

template <std::size_t index = 0>
Prediction predict(const KernelConstants& constants, const KernelSample& sample) {
  if constexpr (index < std::variant_size_v<KernelShape>) {
    if (sample.shape.index() != index) return predict<index + 1>(constants, sample);
    using Constants = std::variant_alternative_t<index, KernelConstantsOfShape>;
    const auto fitted = constants_of<Constants>(constants, sample.operation, sample.format);
    if (!fitted) return {};
    auto shape = std::get<index>(sample.shape);
    if constexpr (std::is_same_v<Constants, PrefillAttentionConstants>)
      shape = repacked(shape, fitted->packed);
    return {benchmark_time(fitted->constants, device_of(sample), shape), fitted->accelerator};
  } else {
    return {};
  }
}

// The host's time for a launch without a CUDA graph, by kernel source: the median of the launches that took
// more than twice what the form gives. The benchmark's, not the kernel's, so it is read off the measurements.
std::map<std::string, double> host_floors(const std::vector<KernelSample>& samples,
                                          const std::vector<Prediction>& predictions,
                                          std::vector<std::string>& notes) {
  constexpr std::size_t kEnough = 5;
  std::map<std::string, std::vector<double>> launches;
  for (std::size_t i = 0; i < samples.size(); ++i)
    if (samples[i].floored && samples[i].seconds > 2 * predictions[i].seconds)
      launches[samples[i].source].push_back(samples[i].seconds);
  std::map<std::string, double> floors;
  for (auto& [source, times] : launches) {
    if (times.size() < kEnough) continue;
    std::ranges::sort(times);
    floors[source] = times[times.size() / 2];
    notes.push_back(source + ": launched without a CUDA graph, no row is predicted below " +
                    show(Seconds{floors[source]}) + ", the median of the " + std::to_string(times.size()) +
                    " rows that took more than twice the form's time");
  }
  return floors;
}

}  // namespace

Validation validate_kernels(const std::vector<std::filesystem::path>& files,
                            const KernelValidationOptions& options) {
  const auto known = [](const std::string& name) {
    return std::ranges::find(accelerators(), name, &Accelerator::name) != accelerators().end();
  };
  if (!options.constants_of.empty() && !known(options.constants_of)) {
    std::vector<std::string_view> names;
    for (const Accelerator& accelerator : accelerators()) names.push_back(accelerator.name);
    throw ConfigError("constants of " + unknown_word(options.constants_of, names));
  }
  const KernelSamples measured = read_kernel_files(files);
  Validation validation{.metrics = {"latency_ms"}, .rows = {}, .unpredicted = {}, .notes = {}};

  std::map<std::string, KernelConstants> constants;  // by accelerator of the samples
  std::vector<Prediction> predictions;
  std::map<std::pair<std::string, std::string>, std::size_t> borrowed;
  std::set<std::string> used;
  for (const KernelSample& sample : measured.samples) {
    const std::string& name = options.constants_of.empty() ? sample.accelerator : options.constants_of;
    auto found = constants.find(name);
    if (found == constants.end())
      found = constants
                  .emplace(name, options.constants ? kernel_constants(name, *options.constants)
                                                   : kernel_constants(name))
                  .first;
    predictions.push_back(predict(found->second, sample));
    const std::string& fitted_to = predictions.back().fitted_to;
    used.insert(fitted_to);
    if (!fitted_to.empty() && (fitted_to != sample.accelerator || fitted_to != name))
      ++borrowed[{std::string(sample.family) + " " +
                      (sample.format.empty() ? sample.operation : sample.format) + " on " +
                      sample.accelerator,
                  fitted_to}];
  }
  if (!options.constants) validation.fitted = fitted_numbers(used);
  const auto floors = host_floors(measured.samples, predictions, validation.notes);
  for (const auto& [what, rows] : borrowed)
    validation.notes.push_back(what.first + ": constants of " + what.second +
                               " with the rates of the datasheet (" + std::to_string(rows) + " rows)");
  for (const LeftOutRows& left : measured.left_out)
    validation.notes.push_back(std::filesystem::path(left.file).filename().string() + ": " +
                               std::to_string(left.rows) + " rows left out: " + left.reason);

  for (std::size_t i = 0; i < measured.samples.size(); ++i) {
    const KernelSample& sample = measured.samples[i];
    const std::string id = std::filesystem::path(measured.files[sample.file]).filename().string() + ":" +
                           std::to_string(sample.line) +
                           (sample.operation.empty() ? "" : " " + sample.operation);
    if (predictions[i].fitted_to.empty()) {
      validation.unpredicted.push_back({id, sample.line, "no accelerator has constants of this kind"});
      continue;
    }
    double seconds = predictions[i].seconds;
    if (const auto floor = floors.find(sample.source); sample.floored && floor != floors.end())
      seconds = std::max(seconds, floor->second);
    ComparedRow row{.id = id, .columns = sample.columns, .predicted = {}, .measured = {}};
    row.columns["family"] = sample.family;
    row.columns["operation"] = sample.operation;
    row.columns["format"] = sample.format;
    row.columns["cold"] = sample.cold ? "1" : "0";
    row.predicted["latency_ms"] = seconds * 1e3;
    row.measured["latency_ms"] = sample.seconds * 1e3;
    validation.rows.push_back(std::move(row));
  }
  return validation;
}

}  // namespace disagg
