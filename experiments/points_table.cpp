#include "experiments/points_table.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "experiments/csv_table.hpp"
#include "experiments/store.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

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

std::vector<std::pair<std::string, std::string>> numbers_of(const ordered_json& summary) {
  std::vector<std::pair<std::string, std::string>> numbers;
  for (const char* part : {"capacity", "metrics", "cluster", "cost", "energy", "pools", "memory_pools",
                           "links", "sessions", "by_kind", "failures"})
    if (summary.contains(part)) flatten(summary.at(part), part, numbers);
  return numbers;
}

PointsTable tabulate(const Design& design, const std::map<std::size_t, TaskResult>& results,
                     const std::vector<std::string>& columns) {
  PointsTable table{.paths = design.paths, .columns = {}, .rows = {}, .missing = {}};
  // Columns are those of all points together: pools and nullable metrics may differ from point to point.
  for (const auto& [point, result] : results) {
    PointsTable::Row& row = table.rows[point];
    row.values = design.values[point];
    row.exit_code = result.code;
    if (result.code != exit_code::kDone) {
      row.error = result.output;
      continue;
    }
    const ordered_json summary = ordered_json::parse(result.output);
    row.scenario_hash = summary.at("provenance").at("scenario_hash").get<std::string>();
    for (auto& [name, number] : numbers_of(summary)) {
      if (std::ranges::find(table.columns, name) == table.columns.end()) table.columns.push_back(name);
      row.numbers[name] = std::move(number);
    }
  }
  if (!columns.empty()) {
    for (const std::string& column : columns)
      if (std::ranges::find(table.columns, column) == table.columns.end()) table.missing.push_back(column);
    table.columns = columns;
  }
  return table;
}

PointsTable tabulate_store(const std::filesystem::path& file, const std::vector<std::string>& columns) {
  const Store store(file);
  const ordered_json sweep = ordered_json::parse(store.sweep().description);
  if (!sweep.contains("paths"))
    throw ConfigError(file.string() + ": was made by version " + store.version() +
                      " of the program, which this one cannot read; run the sweep again");
  Design design{sweep.at("paths").get<std::vector<std::string>>(),
                std::vector<std::vector<std::string>>(store.sweep().points)};
  std::map<std::size_t, TaskResult> results;
  for (const std::size_t point : store.done()) {
    Store::Point read = *store.get(point);
    const ordered_json assignments = ordered_json::parse(read.assignments);
    for (const std::string& path : design.paths)
      design.values[point].push_back(assignments.value(path, std::string()));
    results[point] = std::move(read.result);
  }
  return tabulate(design, results, columns);
}

std::string PointsTable::csv() const {
  std::string text = "point";
  for (const std::string& path : paths) text += "," + csv_field(path);
  text += ",exit_code,scenario_hash";
  for (const std::string& column : columns) text += "," + csv_field(column);
  text += "\n";
  for (const auto& [point, row] : rows) {
    text += std::to_string(point);
    for (const std::string& value : row.values) text += "," + csv_field(value);
    text += "," + std::to_string(row.exit_code) + "," + row.scenario_hash;
    for (const std::string& column : columns) {
      const auto number = row.numbers.find(column);
      text += "," + (number == row.numbers.end() ? std::string() : number->second);
    }
    text += "\n";
  }
  return text;
}

ordered_json PointsTable::json() const {
  ordered_json all = ordered_json::array();
  for (const auto& [point, row] : rows) {
    ordered_json assignments = ordered_json::object();
    for (std::size_t a = 0; a < paths.size(); ++a) assignments[paths[a]] = row.values[a];
    ordered_json figures = ordered_json::object();
    for (const std::string& column : columns) {
      const auto number = row.numbers.find(column);
      figures[column] =
          number == row.numbers.end() ? ordered_json(nullptr) : ordered_json::parse(number->second);
    }
    all.push_back({{"point", point},
                   {"assignments", assignments},
                   {"exit_code", row.exit_code},
                   {"scenario_hash", row.scenario_hash},
                   {"error", row.error},
                   {"figures", figures}});
  }
  return all;
}

std::vector<std::string> PointsTable::failures() const {
  std::vector<std::string> told;
  for (const auto& [point, row] : rows) {
    if (row.exit_code == exit_code::kDone) continue;
    std::string where;
    for (std::size_t a = 0; a < paths.size(); ++a)
      where += (a > 0 ? ", " : "") + paths[a] + "=" + row.values[a];
    told.push_back("point " + std::to_string(point) + " (" + where + "): " + row.error);
  }
  return told;
}

}  // namespace disagg
