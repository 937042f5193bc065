#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace disagg {

// A path of the scenario that is not known exactly: any value from low to high alike, or any order of
// magnitude.
struct UncertainAxis {
  std::string path;
  double low = 0, high = 1;
  std::string unit;  // behind the number, with its blank: " GB/s"
  bool logarithmic = false;
  bool whole = false;  // rounded

  // The value at `u` from 0 to 1, as it is written in a scenario.
  std::string at(double u) const;
};

// Reads "cluster.pools[0].kv_capacity=4 GB..16 GB", with ":log" or ":int" behind it. Throws ConfigError.
UncertainAxis parse_uncertain_axis(const std::string& text);

enum class SensitivityMethod { tornado, morris, sobol };
inline constexpr std::array<std::string_view, 3> kSensitivityMethods{"tornado", "morris", "sobol"};

// What one axis does to the figure. Of sobol: the shares of its variance that vanish on average when the axis
// is fixed (first), and that stay when all others are (total), with half the width of the 95 % interval of a
// bootstrap over the samples. Of morris: mean of the absolute elementary effects (mu_star), their standard
// deviation, and the interval of mu_star. Of tornado: the figure at both ends, the other axes in their
// middle.
struct AxisEffect {
  std::string path;
  double first = 0, first_error = 0, total = 0, total_error = 0;
  double mu_star = 0, mu_star_error = 0, sigma = 0;
  double at_low = 0, at_high = 0;
};

struct Sensitivity {
  SensitivityMethod method = SensitivityMethod::sobol;
  std::size_t runs = 0;
  double mean = 0, variance = 0;    // of the figure over the samples; of tornado: the middle, 0
  std::vector<AxisEffect> effects;  // [axis]
};

// Figures at points of the unit cube, [point][axis].
using Model = std::function<std::vector<double>(const std::vector<std::vector<double>>&)>;

// `samples`: of sobol, rows of each of two matrices (Saltelli et al., Computer Physics Communications 181,
// 2010: first-order estimator (b) and Jansen's total; samples x (axes + 2) runs on a Sobol sequence); of
// morris, trajectories of axes + 1 runs on four levels (Morris, Technometrics 33, 1991; Campolongo et al.,
// 2007). Precondition: at least one path, at least two samples.
Sensitivity analyse(const std::vector<std::string>& paths, SensitivityMethod method, std::size_t samples,
                    std::uint64_t seed, const Model& model);

struct SensitivityOptions {
  std::filesystem::path scenario;
  std::vector<std::string> overrides;
  std::vector<UncertainAxis> axes;
  std::string metric;  // path of summary.json: "metrics.ttft_ms.p99"
  SensitivityMethod method = SensitivityMethod::sobol;
  std::size_t samples = 64;
  std::size_t jobs = 1;
  std::function<void(std::size_t done, std::size_t of)> progress;
};
// The same of a scenario. Throws what a point that fails throws, and ConfigError when one has no such figure.
Sensitivity analyse_scenario(const SensitivityOptions& options);

void print_sensitivity(const Sensitivity& sensitivity, const std::string& metric, std::ostream& out);
nlohmann::ordered_json sensitivity_json(const Sensitivity& sensitivity, const std::string& metric);

}  // namespace disagg
