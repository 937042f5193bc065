#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/design.hpp"
#include "experiments/points.hpp"

namespace disagg {

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
  std::size_t saturated = 0;        // runs with more load than the cluster serves
  std::string middle;               // of tornado: where the axes stand that do not move, "a=1, b=2"
};

// Where a method wants the figure. `samples`: of sobol, rows of each of two matrices (Saltelli et al.,
// Computer Physics Communications 181, 2010: first-order estimator (b) and Jansen's total; samples x (axes +
// 2) runs on a Sobol sequence); of morris, trajectories of axes + 1 runs on four levels (Morris,
// Technometrics 33, 1991; Campolongo et al., 2007). Precondition: at least one path, at least two samples.
UnitPoints sensitivity_points(SensitivityMethod method, std::size_t axes, std::size_t samples,
                              std::uint64_t seed);
// What the figures there, [point], say.
Sensitivity analyse(const std::vector<std::string>& paths, SensitivityMethod method, std::size_t samples,
                    std::uint64_t seed, const UnitPoints& points, const std::vector<double>& figures);

struct SensitivityOptions {
  std::filesystem::path scenario;
  std::vector<std::string> overrides;
  std::vector<Axis> axes;
  std::string metric;  // path of summary.json: "metrics.ttft_ms.p99"
  SensitivityMethod method = SensitivityMethod::sobol;
  std::size_t samples = 64;
};
// The same of a scenario; nothing where this process is one shard of several, whose results are in its store.
// A store of all shards merged gives the answer without a run. Throws what a point that fails throws, and
// ConfigError when one has no such figure.
std::optional<Sensitivity> analyse_scenario(const SensitivityOptions& options, const PointsOptions& points);

void print_sensitivity(const Sensitivity& sensitivity, const std::string& metric, std::ostream& out);
nlohmann::ordered_json sensitivity_json(const Sensitivity& sensitivity, const std::string& metric);

}  // namespace disagg
