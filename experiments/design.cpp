#include "experiments/design.hpp"

#include <algorithm>
#include <bit>
#include <boost/random/sobol.hpp>
#include <boost/random/uniform_01.hpp>
#include <boost/random/uniform_int_distribution.hpp>

#include "sim/base/config.hpp"
#include "sim/base/random.hpp"

namespace disagg {
namespace {

std::vector<std::string> paths_of(const std::vector<Axis>& axes) {
  std::vector<std::string> paths;
  paths.reserve(axes.size());
  for (const Axis& axis : axes) paths.push_back(axis.path);
  return paths;
}

void require_few(std::size_t points) {
  if (points > kMostPoints)
    throw ConfigError("the axes make more than " + std::to_string(kMostPoints) + " points");
}

// Ranges of whole numbers are lists of them.
std::vector<Axis> listed(std::vector<Axis> axes, std::string_view kind) {
  for (Axis& axis : axes) {
    if (!axis.is_range()) continue;
    const Axis range = axis;
    if (!axis.whole)
      throw ConfigError("--axis " + axis.path + ": a range has no values for a " + std::string(kind) +
                        "; list some, or draw them with --design latin-hypercube or sobol");
    const auto count = static_cast<std::size_t>(std::min(axis.high - axis.low + 1, 1e9));
    require_few(count);
    axis.values.reserve(count);
    for (std::size_t k = 0; k < count; ++k)
      axis.values.push_back(range.at((static_cast<double>(k) + 0.5) / static_cast<double>(count)));
  }
  return axes;
}

Design grid(const std::vector<Axis>& axes) {
  std::size_t points = 1;
  for (const Axis& axis : axes) require_few(points *= axis.values.size());
  Design design{paths_of(axes), std::vector<std::vector<std::string>>(points)};
  for (std::size_t point = 0; point < points; ++point) {
    std::size_t index = point;
    auto& values = design.values[point];
    values.resize(axes.size());
    for (std::size_t a = axes.size(); a-- > 0;) {
      values[a] = axes[a].values[index % axes[a].values.size()];
      index /= axes[a].values.size();
    }
  }
  return design;
}

Design zip(const std::vector<Axis>& axes) {
  const std::size_t points = axes.front().values.size();
  for (const Axis& axis : axes)
    if (axis.values.size() != points)
      throw ConfigError("--axis " + axis.path + ": has " + std::to_string(axis.values.size()) +
                        " values, and " + axes.front().path + " has " + std::to_string(points) +
                        "; zipped axes need as many");
  require_few(points);
  Design design{paths_of(axes), std::vector<std::vector<std::string>>(points)};
  for (std::size_t point = 0; point < points; ++point)
    for (const Axis& axis : axes) design.values[point].push_back(axis.values[point]);
  return design;
}

}  // namespace

DesignKind design_named(std::string_view name) {
  return static_cast<DesignKind>(std::ranges::find(kDesignNames, name) - kDesignNames.begin());
}

UnitPoints sobol_points(std::size_t samples, std::size_t axes) {
  boost::random::sobol sequence(axes);
  UnitPoints points(samples, std::vector<double>(axes));
  // The sequence of the library leaves out the point at 0, without which 2^n points are not evenly spread;
  // all are moved from the corners of the boxes that they stand for into their middle.
  const double middle = 0.5 / static_cast<double>(std::bit_ceil(samples));
  for (std::size_t k = 0; k < samples; ++k)
    for (double& u : points[k])
      u = middle +
          (k == 0 ? 0
                  : static_cast<double>(sequence()) / (static_cast<double>(boost::random::sobol::max()) + 1));
  return points;
}

UnitPoints latin_hypercube(std::size_t samples, std::size_t axes, std::uint64_t seed) {
  RandomEngine random = random_stream(seed, "design/latin-hypercube");
  UnitPoints points(samples, std::vector<double>(axes));
  std::vector<std::size_t> parts(samples);
  for (std::size_t a = 0; a < axes; ++a) {
    for (std::size_t k = 0; k < samples; ++k) parts[k] = k;
    for (std::size_t k = samples; k > 1; --k)
      std::swap(parts[k - 1], parts[boost::random::uniform_int_distribution<std::size_t>(0, k - 1)(random)]);
    for (std::size_t k = 0; k < samples; ++k)
      points[k][a] = (static_cast<double>(parts[k]) + boost::random::uniform_01<double>()(random)) /
                     static_cast<double>(samples);
  }
  return points;
}

std::vector<std::string> Design::assignments(std::size_t point) const {
  std::vector<std::string> texts(paths.size());
  for (std::size_t a = 0; a < paths.size(); ++a) texts[a] = paths[a] + "=" + values[point][a];
  return texts;
}

std::string Design::told(std::size_t point) const {
  std::string text;
  for (const std::string& assignment : assignments(point)) text += (text.empty() ? "" : ", ") + assignment;
  return text;
}

Design make_design(const std::vector<Axis>& axes, DesignKind kind, std::size_t samples, std::uint64_t seed) {
  if (kind == DesignKind::grid) return grid(listed(axes, "grid"));
  if (kind == DesignKind::zip) return zip(listed(axes, "zip"));
  require_few(samples);
  return design_at(axes, kind == DesignKind::sobol ? sobol_points(samples, axes.size())
                                                   : latin_hypercube(samples, axes.size(), seed));
}

Design design_at(const std::vector<Axis>& axes, const UnitPoints& points) {
  require_few(points.size());
  Design design{paths_of(axes), std::vector<std::vector<std::string>>(points.size())};
  for (std::size_t p = 0; p < points.size(); ++p) {
    design.values[p].reserve(axes.size());
    for (std::size_t a = 0; a < axes.size(); ++a) design.values[p].push_back(axes[a].at(points[p][a]));
  }
  return design;
}

Design replicated(const Design& design, std::size_t times, std::uint64_t first) {
  if (times <= 1) return design;
  if (std::ranges::find(design.paths, "seed") != design.paths.end())
    throw ConfigError("--axis seed: --seeds gives the seeds already");
  require_few(design.points() * times);
  Design all{design.paths, {}};
  all.paths.emplace_back("seed");
  all.values.reserve(design.points() * times);
  for (const auto& values : design.values) {
    for (std::size_t k = 0; k < times; ++k) {
      all.values.push_back(values);
      all.values.back().push_back(std::to_string(first + k));
    }
  }
  return all;
}

}  // namespace disagg
