#include "experiments/sensitivity.hpp"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiments/figures.hpp"
#include "experiments/points_table.hpp"
#include "experiments/run.hpp"
#include "experiments/scenario.hpp"
#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/no_progress.hpp"
#include "sim/base/random.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kBootstraps = 1000;

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double variance_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return squares / static_cast<double>(values.size());
}

// Below what figures are exact to.
bool is_noise(double size, double mean) { return size <= 1e-9 * std::abs(mean); }

// Half of what lies between the 2.5 and the 97.5 percentile.
double half_width(std::vector<double> values) {
  std::ranges::sort(values);
  const auto at = [&](double q) {
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
  };
  return (at(0.975) - at(0.025)) / 2;
}

// Rows drawn again with replacement, the same for all axes.
std::vector<std::vector<std::size_t>> resamples(std::size_t rows, std::uint64_t seed) {
  RandomEngine random = random_stream(seed, "sensitivity/bootstrap");
  boost::random::uniform_int_distribution<std::size_t> row(0, rows - 1);
  std::vector<std::vector<std::size_t>> all(kBootstraps, std::vector<std::size_t>(rows));
  for (auto& one : all)
    for (std::size_t& r : one) r = row(random);
  return all;
}

// First-order and total index from rows of A, B and A with the axis of B.
struct Indices {
  double first = 0, total = 0;
};
template <class Row>
Indices indices(std::size_t rows, const std::vector<double>& a, const std::vector<double>& b,
                const std::vector<double>& ab, Row&& row) {
  double mean = 0;
  for (std::size_t k = 0; k < rows; ++k) mean += (a[row(k)] + b[row(k)]) / (2 * static_cast<double>(rows));
  double variance = 0;
  double first = 0;
  double total = 0;
  for (std::size_t k = 0; k < rows; ++k) {
    const std::size_t r = row(k);
    variance += ((a[r] - mean) * (a[r] - mean) + (b[r] - mean) * (b[r] - mean)) / 2;
    first += (b[r] - mean) * (ab[r] - a[r]);
    total += (a[r] - ab[r]) * (a[r] - ab[r]) / 2;
  }
  if (is_noise(std::sqrt(variance / static_cast<double>(rows)), mean)) return {};
  return {first / variance, total / variance};
}

// Rows of A, of B, and for each axis of A with that axis of B.
UnitPoints saltelli_points(std::size_t axes, std::size_t samples) {
  const UnitPoints both = sobol_points(samples, 2 * axes);
  UnitPoints points;
  points.reserve(samples * (axes + 2));
  const auto half = static_cast<std::ptrdiff_t>(axes);
  for (const auto& row : both) points.emplace_back(row.begin(), row.begin() + half);
  for (const auto& row : both) points.emplace_back(row.begin() + half, row.end());
  for (std::size_t i = 0; i < axes; ++i) {
    for (const auto& row : both) {
      points.emplace_back(row.begin(), row.begin() + half);
      points.back()[i] = row[axes + i];
    }
  }
  return points;
}

Sensitivity sobol(const std::vector<std::string>& paths, std::size_t samples, std::uint64_t seed,
                  const std::vector<double>& figures) {
  const auto block = [&](std::size_t n) {
    const auto begin = figures.begin() + static_cast<std::ptrdiff_t>(n * samples);
    return std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(samples));
  };
  const std::vector<double> of_a = block(0);
  const std::vector<double> of_b = block(1);
  std::vector<double> both = of_a;
  both.insert(both.end(), of_b.begin(), of_b.end());
  Sensitivity result{.method = SensitivityMethod::sobol,
                     .runs = figures.size(),
                     .mean = mean_of(both),
                     .variance = variance_of(both),
                     .effects = {},
                     .saturated = 0,
                     .middle = {}};
  const auto again = resamples(samples, seed);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::vector<double> of_ab = block(2 + i);
    const Indices all = indices(samples, of_a, of_b, of_ab, [](std::size_t k) { return k; });
    std::vector<double> firsts;
    std::vector<double> totals;
    firsts.reserve(again.size());
    totals.reserve(again.size());
    for (const auto& rows : again) {
      const Indices some = indices(samples, of_a, of_b, of_ab, [&](std::size_t k) { return rows[k]; });
      firsts.push_back(some.first);
      totals.push_back(some.total);
    }
    AxisEffect effect;
    effect.path = paths[i];
    effect.first = all.first;
    effect.first_error = half_width(firsts);
    effect.total = all.total;
    effect.total_error = half_width(totals);
    result.effects.push_back(effect);
  }
  return result;
}

// Trajectories from a random level, on which every axis moves once.
UnitPoints morris_points(std::size_t axes, std::size_t samples, std::uint64_t seed) {
  constexpr int kLevels = 4;
  constexpr double kStep = kLevels / 2.0 / (kLevels - 1);
  RandomEngine random = random_stream(seed, "sensitivity/trajectories");
  UnitPoints points;
  points.reserve(samples * (axes + 1));
  for (std::size_t t = 0; t < samples; ++t) {
    std::vector<double> point;
    point.reserve(axes);
    for (std::size_t i = 0; i < axes; ++i)
      point.push_back(boost::random::uniform_int_distribution<int>(0, kLevels - 1)(random) /
                      static_cast<double>(kLevels - 1));
    std::vector<std::size_t> order;
    order.reserve(axes);
    for (std::size_t i = 0; i < axes; ++i) order.push_back(i);
    for (std::size_t i = axes; i > 1; --i)
      std::swap(order[i - 1], order[boost::random::uniform_int_distribution<std::size_t>(0, i - 1)(random)]);
    points.push_back(point);
    for (const std::size_t i : order) {
      point[i] += point[i] < 0.5 ? kStep : -kStep;
      points.push_back(point);
    }
  }
  return points;
}

Sensitivity morris(const std::vector<std::string>& paths, std::size_t samples, std::uint64_t seed,
                   const UnitPoints& points, const std::vector<double>& figures) {
  const std::size_t axes = paths.size();
  std::vector<std::vector<double>> effects(axes);
  for (std::size_t t = 0; t < samples; ++t) {
    for (std::size_t s = 0; s < axes; ++s) {
      const std::size_t at = t * (axes + 1) + s;
      const auto moves = std::ranges::mismatch(points[at], points[at + 1]);
      const auto i = static_cast<std::size_t>(moves.in1 - points[at].begin());
      const double moved = *moves.in2 - *moves.in1;
      effects[i].push_back((figures[at + 1] - figures[at]) / moved);
    }
  }
  Sensitivity result{.method = SensitivityMethod::morris,
                     .runs = figures.size(),
                     .mean = mean_of(figures),
                     .variance = variance_of(figures),
                     .effects = {},
                     .saturated = 0,
                     .middle = {}};
  const auto again = resamples(samples, seed);
  for (std::size_t i = 0; i < axes; ++i) {
    std::vector<double> sizes = effects[i];
    for (double& e : sizes) e = std::abs(e);
    std::vector<double> means;
    means.reserve(again.size());
    for (const auto& rows : again) {
      double sum = 0;
      for (const std::size_t r : rows) sum += sizes[r];
      means.push_back(sum / static_cast<double>(samples));
    }
    AxisEffect effect;
    effect.path = paths[i];
    effect.mu_star = mean_of(sizes);
    effect.mu_star_error = half_width(means);
    effect.sigma =
        std::sqrt(variance_of(effects[i]) * static_cast<double>(samples) / static_cast<double>(samples - 1));
    result.effects.push_back(effect);
  }
  return result;
}

// The middle, and of each axis both ends.
UnitPoints tornado_points(std::size_t axes) {
  const std::vector<double> middle(axes, 0.5);
  UnitPoints points{middle};
  for (std::size_t i = 0; i < axes; ++i) {
    for (const double end : {0.0, 1.0}) {
      points.push_back(middle);
      points.back()[i] = end;
    }
  }
  return points;
}

Sensitivity tornado(const std::vector<std::string>& paths, const std::vector<double>& figures) {
  Sensitivity result{.method = SensitivityMethod::tornado,
                     .runs = figures.size(),
                     .mean = figures[0],
                     .variance = 0,
                     .effects = {},
                     .saturated = 0,
                     .middle = {}};
  for (std::size_t i = 0; i < paths.size(); ++i) {
    AxisEffect effect;
    effect.path = paths[i];
    effect.at_low = figures[1 + 2 * i];
    effect.at_high = figures[2 + 2 * i];
    result.effects.push_back(effect);
  }
  return result;
}

// What an axis is ranked by.
double size_of(const Sensitivity& s, const AxisEffect& e) {
  if (s.method == SensitivityMethod::sobol) return e.total;
  if (s.method == SensitivityMethod::morris) return e.mu_star;
  return std::max({e.at_low, e.at_high, s.mean}) - std::min({e.at_low, e.at_high, s.mean});
}

std::vector<AxisEffect> ranked(const Sensitivity& sensitivity) {
  std::vector<AxisEffect> effects = sensitivity.effects;
  std::ranges::stable_sort(effects, [&](const AxisEffect& a, const AxisEffect& b) {
    return size_of(sensitivity, a) > size_of(sensitivity, b);
  });
  return effects;
}

double error_of(const Sensitivity& s, const AxisEffect& e) {
  return s.method == SensitivityMethod::sobol    ? e.total_error
         : s.method == SensitivityMethod::morris ? e.mu_star_error
                                                 : 0;
}

// What the ranking says, as far as its intervals allow. Precondition: `effects` is ranked.
std::string finding(const Sensitivity& s, const std::vector<AxisEffect>& effects) {
  const AxisEffect& first = effects.front();
  const double size = size_of(s, first);
  if (s.method == SensitivityMethod::sobol ? size <= 0 : is_noise(size, s.mean))
    return "Nothing of this changes it.";
  if (error_of(s, first) >= size)
    return "What it hinges on these samples do not tell: take more (--samples).";
  if (effects.size() > 1) {
    const AxisEffect& second = effects[1];
    if (size - size_of(s, second) < std::hypot(error_of(s, first), error_of(s, second)))
      return "It hinges most on " + first.path + " or " + second.path +
             ", which these samples do not tell apart.";
  }
  return "It hinges most on " + first.path + ".";
}

// Figures that the words of a name that is none may mean, for the end of a message: "; there are a b".
std::string alike(const ordered_json& summary, std::string_view name) {
  constexpr std::size_t kMost = 12;
  std::vector<std::string> known;
  for (const auto& [path, number] : numbers_of(summary)) known.push_back(path);
  const std::vector<std::string_view> all(known.begin(), known.end());
  std::string some;
  std::size_t told = 0;
  for (const std::string_view path : all) {
    if (path.find(name) == std::string_view::npos || told++ >= kMost) continue;
    some += " " + std::string(path);
  }
  if (told > 0) return "; there are" + some + (told > kMost ? " ..." : "");
  const auto suggestion = nearest(name, all);
  return suggestion ? "; did you mean '" + std::string(*suggestion) + "'?" : "";
}

std::string give_or_take(double value, double error) {
  return show_number(value, 3) + " +-" + show_number(error, 2);
}

}  // namespace

UnitPoints sensitivity_points(SensitivityMethod method, std::size_t axes, std::size_t samples,
                              std::uint64_t seed) {
  if (method == SensitivityMethod::sobol) return saltelli_points(axes, samples);
  return method == SensitivityMethod::morris ? morris_points(axes, samples, seed) : tornado_points(axes);
}

Sensitivity analyse(const std::vector<std::string>& paths, SensitivityMethod method, std::size_t samples,
                    std::uint64_t seed, const UnitPoints& points, const std::vector<double>& figures) {
  if (method == SensitivityMethod::sobol) return sobol(paths, samples, seed, figures);
  if (method == SensitivityMethod::morris) return morris(paths, samples, seed, points, figures);
  return tornado(paths, figures);
}

std::optional<Sensitivity> analyse_scenario(const SensitivityOptions& options, const PointsOptions& where) {
  constexpr std::uint64_t kSeed = 1;
  for (const Axis& axis : options.axes)
    if (!axis.is_range() && axis.values.size() < 2)
      throw ConfigError("--axis " + axis.path + "=" + axis.values.front() +
                        ": is one value; give a range, LOW..HIGH, or several values");
  const std::size_t axes = options.axes.size();
  const std::size_t runs = options.method == SensitivityMethod::sobol    ? options.samples * (axes + 2)
                           : options.method == SensitivityMethod::morris ? options.samples * (axes + 1)
                                                                         : 2 * axes + 1;
  if (runs > kMostPoints)
    throw ConfigError("--samples " + std::to_string(options.samples) + ": makes " + std::to_string(runs) +
                      " runs, more than " + std::to_string(kMostPoints));
  const UnitPoints points = sensitivity_points(options.method, options.axes.size(), options.samples, kSeed);
  const Experiment experiment{.scenario = options.scenario,
                              .overrides = options.overrides,
                              .design = design_at(options.axes, points),
                              .question = ""};
  // The ends are read first, where mistakes show.
  for (const double end : {0.0, 1.0}) {
    std::vector<std::string> overrides = options.overrides;
    for (const Axis& axis : options.axes) overrides.push_back(axis.path + "=" + axis.at(end));
    load_scenario(options.scenario, overrides);
  }
  std::vector<double> figures(points.size());
  std::size_t saturated = 0;
  const PointResults found = run_points(
      experiment, where,
      [&](std::size_t point) {
        return run_scenario(load_scenario(options.scenario, experiment.overrides_at(point)), {}).dump();
      },
      [&](std::size_t point, const TaskResult& result) {
        const std::string at = experiment.design.told(point);
        if (result.code != exit_code::kDone) {
          const std::string what = "at " + at + ": " + result.output;
          if (result.code == exit_code::kBadInput) throw ConfigError(what);
          if (result.code == exit_code::kNo) throw NoProgress(what);
          throw std::runtime_error(what);
        }
        const ordered_json summary = ordered_json::parse(result.output);
        const auto figure = find_figure(summary, options.metric);
        if (!figure)
          throw ConfigError("no figure of summary.json is named '" + options.metric +
                            "', or it is empty, at " + at + alike(summary, options.metric));
        figures[point] = *figure;
        saturated += summary.at("metrics").at("saturated").get<bool>() ? 1 : 0;
      });
  if (found.results.size() < points.size()) return std::nullopt;
  Sensitivity sensitivity =
      analyse(experiment.design.paths, options.method, options.samples, kSeed, points, figures);
  sensitivity.saturated = saturated;
  if (options.method == SensitivityMethod::tornado) sensitivity.middle = experiment.design.told(0);
  return sensitivity;
}

void print_sensitivity(const Sensitivity& s, const std::string& metric, std::ostream& out) {
  std::vector<Table::Column> header{{"axis"}};
  if (s.method == SensitivityMethod::sobol) {
    header.insert(header.end(), {{"alone", "share of variance"}, {"in all", "share of variance"}});
  } else if (s.method == SensitivityMethod::morris) {
    header.insert(header.end(), {{"mu*", "over the range"}, {"sigma", "over the range"}});
  } else {
    header.insert(header.end(), {{"at the low end"}, {"at the high end"}, {"change", "% of the middle"}});
  }
  Table table(header, metric);
  const std::vector<AxisEffect> effects = ranked(s);
  for (const AxisEffect& e : effects) {
    if (s.method == SensitivityMethod::sobol) {
      table.add({e.path, give_or_take(e.first, e.first_error), give_or_take(e.total, e.total_error)});
    } else if (s.method == SensitivityMethod::morris) {
      table.add({e.path, give_or_take(e.mu_star, e.mu_star_error), show_number(e.sigma, 3)});
    } else {
      table.add({e.path, show_number(e.at_low), show_number(e.at_high),
                 s.mean != 0 ? show_number((e.at_high - e.at_low) / std::abs(s.mean) * 100, 3) : "-"});
    }
  }
  out << table << '\n' << "From " << s.runs << " runs. ";
  if (s.method != SensitivityMethod::tornado)
    out << metric << " has a mean of " << show_number(s.mean) << " and a standard deviation of "
        << show_number(is_noise(std::sqrt(s.variance), s.mean) ? 0 : std::sqrt(s.variance))
        << " over the ranges. ";
  else if (!s.middle.empty())
    out << "In the middle, " << s.middle << ", " << metric << " is " << show_number(s.mean) << ". ";
  out << finding(s, effects) << '\n';
  if (s.saturated > 0)
    out << "Saturated are " << s.saturated << " of the " << s.runs
        << " runs: there the figure tells how long the run was, not how the cluster serves. Lower the load, "
           "or "
           "narrow the ranges.\n";
}

ordered_json sensitivity_json(const Sensitivity& s, const std::string& metric) {
  ordered_json j{{"schema_version", 1},
                 {"metric", metric},
                 {"method", kSensitivityMethods.at(static_cast<std::size_t>(s.method))},
                 {"runs", s.runs},
                 {"mean", s.mean},
                 {"variance", s.variance},
                 {"saturated_runs", s.saturated},
                 {"effects", ordered_json::array()}};
  for (const AxisEffect& e : ranked(s)) {
    if (s.method == SensitivityMethod::sobol) {
      j["effects"].push_back({{"axis", e.path},
                              {"first", e.first},
                              {"first_half_width", e.first_error},
                              {"total", e.total},
                              {"total_half_width", e.total_error}});
    } else if (s.method == SensitivityMethod::morris) {
      j["effects"].push_back({{"axis", e.path},
                              {"mu_star", e.mu_star},
                              {"mu_star_half_width", e.mu_star_error},
                              {"sigma", e.sigma}});
    } else {
      j["effects"].push_back({{"axis", e.path}, {"at_low", e.at_low}, {"at_high", e.at_high}});
    }
  }
  return j;
}

}  // namespace disagg
