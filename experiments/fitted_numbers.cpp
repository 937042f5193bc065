#include "experiments/fitted_numbers.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "sim/service/kernel_constants.hpp"
#include "sim/serving/software_profile.hpp"

namespace disagg {
namespace {

constexpr std::string_view kSoftware = "software profile";

FittedNumbers of_profile(const SoftwareProfile& profile) {
  FittedNumbers numbers{
      .of = profile.name, .what = std::string(kSoftware), .values = {}, .source = profile.source};
  const auto time = [&](const char* name, Seconds value) {
    if (value > Seconds{0}) numbers.values.emplace_back(name, value.si * 1e6);
  };
  const auto factor = [&](const char* name, double value) {
    if (value != 1) numbers.values.emplace_back(name, value);
  };
  const SoftwareOverheads& o = profile.overheads;
  time("step_us", o.step);
  time("sequence_us", o.sequence);
  time("layer_us", o.layer);
  time("small_kernel_us", o.small_kernel);
  time("kernel_launch_us", o.kernel_launch);
  time("request_latency_us", profile.request_latency);
  factor("decode_scale", o.decode_scale);
  factor("prefill_scale", o.prefill_scale);
  factor("network_scale", o.network_scale);
  return numbers;
}

}  // namespace

std::vector<FittedNumbers> fitted_numbers() {
  std::vector<FittedNumbers> all;
  for (const SoftwareProfile& profile : software_profiles())
    if (FittedNumbers numbers = of_profile(profile); !numbers.values.empty())
      all.push_back(std::move(numbers));
  for (KernelRow& row : kernel_rows()) {
    std::string what = row.family;
    for (const std::string& more : {row.operation, row.format})
      if (!more.empty()) what += " " + more;
    std::erase_if(row.constants, [](const auto& constant) { return constant.second == 0; });
    all.push_back(
        {std::move(row.accelerator), std::move(what), std::move(row.constants), std::move(row.source)});
  }
  return all;
}

std::vector<FittedNumbers> fitted_numbers(const std::set<std::string>& of) {
  std::vector<FittedNumbers> numbers = fitted_numbers();
  std::erase_if(numbers, [&](const FittedNumbers& n) { return !of.contains(n.of); });
  return numbers;
}

nlohmann::ordered_json fitted_numbers_json(const std::vector<FittedNumbers>& numbers) {
  auto list = nlohmann::ordered_json::array();
  for (const FittedNumbers& n : numbers) {
    auto values = nlohmann::ordered_json::object();
    for (const auto& [name, value] : n.values) values[name] = value;
    list.push_back({{"of", n.of},
                    {"what", n.what},
                    {"count", n.values.size()},
                    {"values", values},
                    {"source", n.source}});
  }
  return list;
}

std::string fitted_numbers_sentence(const std::vector<FittedNumbers>& numbers) {
  std::map<std::pair<bool, std::string>, std::size_t> counts;
  std::size_t all = 0;
  for (const FittedNumbers& n : numbers) {
    counts[{n.what != kSoftware, n.of}] += n.values.size();
    all += n.values.size();
  }
  std::string text;
  for (const auto& [key, count] : counts)
    text += key.second + ": " + std::to_string(count) +
            (key.first ? " of kernels; " : " of the software profile; ");
  return text + std::to_string(all) + " in all (`disagg list constants`)";
}

}  // namespace disagg
