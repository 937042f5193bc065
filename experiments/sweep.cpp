#include "experiments/sweep.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "experiments/interrupt.hpp"
#include "experiments/run.hpp"
#include "experiments/scenario.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kMostPoints = 100'000;

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\n") == std::string::npos) return field;
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + "\"";
}

// All numbers of a summary by their path, "metrics.ttft_ms.p99"; an unmeasured one is an empty field.
void flatten(const ordered_json& node, const std::string& path,
             std::vector<std::pair<std::string, std::string>>& out) {
  if (node.is_object()) {
    for (const auto& [key, value] : node.items()) flatten(value, path.empty() ? key : path + "." + key, out);
  } else if (node.is_number_integer()) {
    out.emplace_back(path, std::to_string(node.get<std::int64_t>()));
  } else if (node.is_number()) {
    out.emplace_back(path, show_exact(node.get<double>()));
  }
}

}  // namespace

Axis parse_axis(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw ConfigError("--axis " + text +
                      ": expects PATH=VALUE,VALUE,..., for example cluster.pools[0].replicas=1,2,4");
  Axis axis{.path = text.substr(0, equals), .values = {}};
  std::string value;
  int depth = 0;
  bool in_string = false;
  for (const char c : text.substr(equals + 1)) {
    if (c == '"') in_string = !in_string;
    if (!in_string && (c == '[' || c == '{')) ++depth;
    if (!in_string && (c == ']' || c == '}')) --depth;
    if (c == ',' && depth == 0 && !in_string) {
      axis.values.push_back(std::move(value));
      value.clear();
    } else {
      value += c;
    }
  }
  axis.values.push_back(std::move(value));
  if (std::any_of(axis.values.begin(), axis.values.end(), [](const std::string& v) { return v.empty(); }))
    throw ConfigError("--axis " + text + ": one of the values is empty");
  return axis;
}

std::size_t grid_points(const std::vector<Axis>& axes) {
  std::size_t points = 1;
  for (const Axis& axis : axes) {
    if (std::ranges::count(axes, axis.path, &Axis::path) > 1)
      throw ConfigError("--axis " + axis.path + ": stands twice; give all its values in one");
    points *= axis.values.size();
    if (points > kMostPoints)
      throw ConfigError("the grid has more than " + std::to_string(kMostPoints) + " points");
  }
  return points;
}

std::vector<std::string> grid_assignments(const std::vector<Axis>& axes, std::size_t index) {
  std::vector<std::string> texts(axes.size());
  for (std::size_t a = axes.size(); a-- > 0;) {
    texts[a] = axes[a].path + "=" + axes[a].values[index % axes[a].values.size()];
    index /= axes[a].values.size();
  }
  return texts;
}

SweepTable run_sweep(const SweepOptions& options) {
  SweepTable table;
  table.points = grid_points(options.axes);
  const auto overrides = [&](std::size_t point) {
    std::vector<std::string> all = options.overrides;
    for (std::string& text : grid_assignments(options.axes, point)) all.push_back(std::move(text));
    return all;
  };
  // A typo must not show after an hour: read every point first.
  for (std::size_t point = 0; point < table.points; ++point) {
    if (interrupted()) throw Interrupted();
    load_scenario(options.scenario, overrides(point));
  }

  std::vector<TaskResult> results(table.points);
  std::size_t done = 0;
  run_forked(
      table.points, options.jobs,
      [&](std::size_t point) {
        return run_scenario(load_scenario(options.scenario, overrides(point)), {}).dump();
      },
      [&](std::size_t point, const TaskResult& result) {
        results[point] = result;
        if (options.progress) options.progress(++done, table.points);
      });

  // Columns are those of all points together: pools and nullable metrics may differ from point to point.
  std::vector<std::string> columns;
  std::vector<std::map<std::string, std::string>> rows(table.points);
  for (std::size_t point = 0; point < table.points; ++point) {
    if (results[point].code != exit_code::kDone) {
      std::string where;
      for (const std::string& text : grid_assignments(options.axes, point))
        where += (where.empty() ? "" : ", ") + text;
      table.failures.push_back("point " + std::to_string(point) + " (" + where +
                               "): " + results[point].output);
      continue;
    }
    const ordered_json summary = ordered_json::parse(results[point].output);
    rows[point]["scenario_hash"] = summary.at("provenance").at("scenario_hash").get<std::string>();
    std::vector<std::pair<std::string, std::string>> numbers;
    for (const char* part : {"metrics", "cluster", "cost", "energy", "pools", "memory_pools", "links"})
      flatten(summary.at(part), part, numbers);
    for (auto& [name, number] : numbers) {
      if (std::find(columns.begin(), columns.end(), name) == columns.end()) columns.push_back(name);
      rows[point][name] = std::move(number);
    }
  }
  if (!options.columns.empty()) {
    for (const std::string& column : options.columns)
      if (std::ranges::find(columns, column) == columns.end()) table.missing.push_back(column);
    columns = options.columns;
  }
  table.csv = "point";
  for (const Axis& axis : options.axes) table.csv += "," + quoted(axis.path);
  table.csv += ",exit_code,scenario_hash";
  for (const std::string& column : columns) table.csv += "," + quoted(column);
  table.csv += "\n";
  for (std::size_t point = 0; point < table.points; ++point) {
    table.csv += std::to_string(point);
    for (const std::string& text : grid_assignments(options.axes, point))
      table.csv += "," + quoted(text.substr(text.find('=') + 1));
    table.csv += "," + std::to_string(results[point].code) + "," + rows[point]["scenario_hash"];
    for (const std::string& column : columns) table.csv += "," + rows[point][column];
    table.csv += "\n";
  }
  return table;
}

}  // namespace disagg
