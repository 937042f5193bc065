#include "experiments/pareto.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "experiments/figures.hpp"
#include "experiments/store.hpp"
#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

std::optional<double> value_of(const ordered_json& summary, const Objective& objective) {
  const auto value = find_figure(summary, objective.figure);
  if (!value || objective.divide_by.empty()) return value;
  const auto divisor = find_figure(summary, objective.divide_by);
  if (!divisor || *divisor == 0) return std::nullopt;
  return *value / *divisor;
}

// So that more is better.
double merit(double value, const Objective& objective) { return objective.smallest ? -value : value; }

std::string show_assignments(const std::string& json) {
  std::string text;
  const ordered_json assignments = ordered_json::parse(json);
  for (const auto& [path, value] : assignments.items())
    text += (text.empty() ? "" : ", ") + path + "=" + value.get<std::string>();
  return text;
}

}  // namespace

Objective parse_objective(const std::string& text) {
  Objective objective{.figure = text, .divide_by = {}, .smallest = text.starts_with("min:"), .text = text};
  if (objective.smallest) objective.figure = text.substr(4);
  if (const auto slash = objective.figure.find('/'); slash != std::string::npos) {
    objective.divide_by = objective.figure.substr(slash + 1);
    objective.figure.resize(slash);
    if (objective.divide_by.empty()) objective.figure.clear();
  }
  if (objective.figure.empty() || objective.divide_by.find('/') != std::string::npos)
    throw ConfigError("'" + text + "': expects [min:]FIGURE[/FIGURE], for example min:metrics.ttft_ms.p99");
  return objective;
}

void find_front(std::vector<ParetoPoint>& points, const Objective& x, const Objective& y) {
  // The best x first: what is not better in y than all before is dominated, unless it equals the best of
  // them.
  std::ranges::stable_sort(points, [&](const ParetoPoint& a, const ParetoPoint& b) {
    return std::pair(merit(a.x, x), merit(a.y, y)) > std::pair(merit(b.x, x), merit(b.y, y));
  });
  double best = -std::numeric_limits<double>::infinity();
  double x_of_best = 0;
  for (ParetoPoint& p : points) {
    const double here = merit(p.y, y);
    p.dominated = here < best || (here == best && p.x != x_of_best);
    if (here <= best) continue;
    best = here;
    x_of_best = p.x;
  }
  std::ranges::reverse(points);
}

std::vector<Front> compare_fronts(const std::vector<std::filesystem::path>& stores, const Objective& x,
                                  const Objective& y) {
  std::vector<Front> fronts;
  double worst_x = std::numeric_limits<double>::infinity();
  double worst_y = worst_x;
  double best_x = -worst_x;
  double best_y = -worst_x;
  for (const std::filesystem::path& file : stores) {
    const Store store(file);
    Front front{.name = file.filename().string(), .points = {}, .left_out = 0, .hypervolume = 0};
    for (const std::size_t point : store.done()) {
      const Store::Point read = *store.get(point);
      const bool ran = read.result.code == exit_code::kDone;
      const ordered_json summary = ran ? ordered_json::parse(read.result.output) : ordered_json();
      const auto at_x = ran ? value_of(summary, x) : std::nullopt;
      const auto at_y = ran ? value_of(summary, y) : std::nullopt;
      if (!at_x || !at_y) {
        ++front.left_out;
        continue;
      }
      front.points.push_back({point, show_assignments(read.assignments), *at_x, *at_y, false});
      worst_x = std::min(worst_x, merit(*at_x, x));
      worst_y = std::min(worst_y, merit(*at_y, y));
      best_x = std::max(best_x, merit(*at_x, x));
      best_y = std::max(best_y, merit(*at_y, y));
    }
    if (front.points.empty())
      throw ConfigError(file.string() + ": no point has both '" + x.text + "' and '" + y.text + "'");
    find_front(front.points, x, y);
    fronts.push_back(std::move(front));
  }
  const double area = (best_x - worst_x) * (best_y - worst_y);
  for (Front& front : fronts) {
    double before = worst_x;
    double covered = 0;
    for (const ParetoPoint& p : front.points) {
      if (p.dominated) continue;
      covered += (merit(p.x, x) - before) * (merit(p.y, y) - worst_y);
      before = merit(p.x, x);
    }
    front.hypervolume = area > 0 ? covered / area : 1;
  }
  return fronts;
}

void print_fronts(const std::vector<Front>& fronts, const Objective& x, const Objective& y,
                  std::ostream& out) {
  for (const Front& front : fronts) {
    Table table({{"point"}, {x.text}, {y.text}, {"on the front"}, {"axes"}}, front.name);
    for (const ParetoPoint& p : front.points)
      table.add({std::to_string(p.point), show_number(p.x, 4), show_number(p.y, 4), p.dominated ? "" : "*",
                 p.assignments});
    out << table;
    const auto best = std::ranges::count(front.points, false, &ParetoPoint::dominated);
    out << best << " of " << front.points.size() << " points are on the front";
    if (front.left_out > 0) out << "; " << front.left_out << " failed or lack a figure";
    out << ".\n\n";
  }
  const auto leader = std::ranges::max_element(fronts, {}, &Front::hypervolume);
  for (const Front& front : fronts)
    out << "Hypervolume of " << front.name << ": " << show_number(front.hypervolume, 3) << '\n';
  if (fronts.size() > 1)
    out << leader->name << " covers most of what lies between the worst and the best of all.\n";
}

ordered_json fronts_json(const std::vector<Front>& fronts, const Objective& x, const Objective& y) {
  ordered_json j{{"schema_version", 1}, {"x", x.text}, {"y", y.text}, {"fronts", ordered_json::array()}};
  for (const Front& front : fronts) {
    ordered_json points = ordered_json::array();
    for (const ParetoPoint& p : front.points)
      points.push_back({{"point", p.point},
                        {"assignments", p.assignments},
                        {"x", p.x},
                        {"y", p.y},
                        {"dominated", p.dominated}});
    j["fronts"].push_back({{"store", front.name},
                           {"points", points},
                           {"left_out", front.left_out},
                           {"hypervolume", front.hypervolume}});
  }
  return j;
}

}  // namespace disagg
