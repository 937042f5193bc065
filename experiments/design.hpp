#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/axis.hpp"

namespace disagg {

// How the points of an experiment are laid out.
//   grid             every value of each axis with every one of the others, the last axis turning fastest
//   zip              the first values of all axes, then the second, ...
//   latin-hypercube  each axis cut into as many parts as there are samples, one sample in each (McKay et al.,
//                    Technometrics 21, 1979)
//   sobol            a Sobol sequence: evenly filled whatever the number of samples (best a power of two)
enum class DesignKind { grid, zip, latin_hypercube, sobol };
inline constexpr std::array<std::string_view, 4> kDesignNames{"grid", "zip", "latin-hypercube", "sobol"};

// Precondition: one of kDesignNames.
DesignKind design_named(std::string_view name);

// [point][axis], from 0 to 1.
using UnitPoints = std::vector<std::vector<double>>;
UnitPoints sobol_points(std::size_t samples, std::size_t axes);
UnitPoints latin_hypercube(std::size_t samples, std::size_t axes, std::uint64_t seed);

inline constexpr std::size_t kMostPoints = 100'000;  // of an experiment

// What is laid on the scenario at each point.
struct Design {
  std::vector<std::string> paths;
  std::vector<std::vector<std::string>> values;  // [point][path]

  std::size_t points() const { return values.size(); }
  // "PATH=VALUE" of each path.
  std::vector<std::string> assignments(std::size_t point) const;
  // The same in one line, for messages.
  std::string told(std::size_t point) const;
};

// `samples`: of latin-hypercube and sobol, of which `seed` draws the first. Throws ConfigError: a range in a
// grid or a zip, zipped axes of unequal lengths, too many points.
Design make_design(const std::vector<Axis>& axes, DesignKind kind, std::size_t samples, std::uint64_t seed);
// At points of the unit cube.
Design design_at(const std::vector<Axis>& axes, const UnitPoints& points);
// Each point so many times, with the seeds first, first + 1, ...; the seed turns fastest. Throws ConfigError
// when an axis is the seed already.
Design replicated(const Design& design, std::size_t times, std::uint64_t first);

}  // namespace disagg
