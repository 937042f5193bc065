#include "experiments/sweep.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "experiments/interrupt.hpp"
#include "experiments/run.hpp"
#include "experiments/scenario.hpp"
#include "experiments/store.hpp"
#include "sim/base/hash.hpp"
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

namespace {

// Names and contents of the files that a value names: traces, models, constants.
void fingerprint(const ConfigNode& node, Hash& hash) {
  for (const ConfigNode& item : node.items) fingerprint(item, hash);
  for (const ConfigNode::Member& member : node.members) fingerprint(member.value, hash);
  if (node.kind != ConfigNode::Kind::string || node.text.empty()) return;
  std::error_code error;
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(node.text, error)) {
    for (const auto& entry : std::filesystem::directory_iterator(node.text, error))
      files.push_back(entry.path());
    std::ranges::sort(files);
  } else {
    files.emplace_back(node.text);
  }
  for (const std::filesystem::path& file : files) {
    if (!std::filesystem::is_regular_file(file, error)) continue;
    hash.add(file.filename().string());
    std::ifstream in(file, std::ios::binary);
    std::array<char, 1U << 16U> buffer{};
    while (in.read(buffer.data(), buffer.size()), in.gcount() > 0)
      hash.add(std::string_view(buffer.data(), static_cast<std::size_t>(in.gcount())));
  }
}

// All that decides a point's result: the scenario, the files that it names, and the axes.
std::string description(const SweepOptions& options) {
  ConfigNode root = load_config(options.scenario);
  for (const std::string& assignment : options.overrides) override_config(root, assignment);
  Hash files;
  fingerprint(parse_config(root.dump(true), "scenario"), files);
  ordered_json axes = ordered_json::array();
  for (const Axis& axis : options.axes) axes.push_back({{"path", axis.path}, {"values", axis.values}});
  return ordered_json{{"scenario", options.scenario.filename().string()},
                      {"scenario_hash", Hash{}.add(root.dump(false)).hex()},
                      {"files_hash", files.hex()},
                      {"axes", axes}}
      .dump();
}

std::string assignments_json(const std::vector<Axis>& axes, std::size_t point) {
  ordered_json j = ordered_json::object();
  for (const std::string& text : grid_assignments(axes, point))
    j[text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
  return j.dump();
}

std::vector<std::pair<std::string, std::string>> numbers_of(const ordered_json& summary) {
  std::vector<std::pair<std::string, std::string>> numbers;
  for (const char* part : {"metrics", "cluster", "cost", "energy", "pools", "memory_pools", "links",
                           "sessions", "by_kind", "failures"})
    if (summary.contains(part)) flatten(summary.at(part), part, numbers);
  return numbers;
}

Store::Point stored(const std::vector<Axis>& axes, std::size_t point, const TaskResult& result) {
  Store::Point written{
      .assignments = assignments_json(axes, point), .scenario_hash = {}, .result = result, .metrics = {}};
  if (result.code != exit_code::kDone) return written;
  const ordered_json summary = ordered_json::parse(result.output);
  written.scenario_hash = summary.at("provenance").at("scenario_hash").get<std::string>();
  for (const auto& [name, number] : numbers_of(summary))
    written.metrics.emplace_back(name, std::stod(number));
  return written;
}

// Of the points given, in order.
SweepTable table_of(const std::vector<Axis>& axes, const std::map<std::size_t, TaskResult>& results,
                    std::vector<std::string> asked) {
  SweepTable table;
  table.points = results.size();
  // Columns are those of all points together: pools and nullable metrics may differ from point to point.
  std::vector<std::string> columns;
  std::map<std::size_t, std::map<std::string, std::string>> rows;
  for (const auto& [point, result] : results) {
    std::map<std::string, std::string>& row = rows[point];
    if (result.code != exit_code::kDone) {
      std::string where;
      for (const std::string& text : grid_assignments(axes, point))
        where += (where.empty() ? "" : ", ") + text;
      table.failures.push_back("point " + std::to_string(point) + " (" + where + "): " + result.output);
      continue;
    }
    const ordered_json summary = ordered_json::parse(result.output);
    row["scenario_hash"] = summary.at("provenance").at("scenario_hash").get<std::string>();
    for (auto& [name, number] : numbers_of(summary)) {
      if (std::find(columns.begin(), columns.end(), name) == columns.end()) columns.push_back(name);
      row[name] = std::move(number);
    }
  }
  if (!asked.empty()) {
    for (const std::string& column : asked)
      if (std::ranges::find(columns, column) == columns.end()) table.missing.push_back(column);
    columns = std::move(asked);
  }
  table.csv = "point";
  for (const Axis& axis : axes) table.csv += "," + quoted(axis.path);
  table.csv += ",exit_code,scenario_hash";
  for (const std::string& column : columns) table.csv += "," + quoted(column);
  table.csv += "\n";
  for (const auto& [point, result] : results) {
    table.csv += std::to_string(point);
    for (const std::string& text : grid_assignments(axes, point))
      table.csv += "," + quoted(text.substr(text.find('=') + 1));
    table.csv += "," + std::to_string(result.code) + "," + rows[point]["scenario_hash"];
    for (const std::string& column : columns) table.csv += "," + rows[point][column];
    table.csv += "\n";
  }
  return table;
}

}  // namespace

SweepTable run_sweep(const SweepOptions& options) {
  const std::size_t points = grid_points(options.axes);
  const auto overrides = [&](std::size_t point) {
    std::vector<std::string> all = options.overrides;
    for (std::string& text : grid_assignments(options.axes, point)) all.push_back(std::move(text));
    return all;
  };
  // A typo must not show after an hour: read every point first.
  for (std::size_t point = 0; point < points; ++point) {
    if (interrupted()) throw Interrupted();
    load_scenario(options.scenario, overrides(point));
  }
  std::optional<Store> store;
  if (options.store)
    store.emplace(*options.store, Store::Sweep{description(options), points}, options.resume);
  std::map<std::size_t, TaskResult> results;
  std::vector<std::size_t> to_run;
  std::size_t resumed = 0;
  for (std::size_t point = options.shard; point < points; point += options.shards) {
    auto found = store ? store->get(point) : std::nullopt;
    if (found && Store::is_answer(found->result)) {
      results[point] = std::move(found->result);
      ++resumed;
    } else {
      to_run.push_back(point);
    }
  }
  std::size_t done = resumed;
  const std::size_t all = resumed + to_run.size();
  run_forked(
      to_run.size(), options.jobs,
      [&](std::size_t i) {
        return run_scenario(load_scenario(options.scenario, overrides(to_run[i])), {}).dump();
      },
      [&](std::size_t i, const TaskResult& result) {
        if (store) store->put(to_run[i], stored(options.axes, to_run[i], result));
        results[to_run[i]] = result;
        if (options.progress) options.progress(++done, all);
      });
  SweepTable table = table_of(options.axes, results, options.columns);
  table.resumed = resumed;
  return table;
}

std::pair<std::size_t, std::size_t> parse_shard(const std::string& text) {
  const auto whole = [](const std::string& number) -> std::optional<std::size_t> {
    if (number.empty() || number.size() > 9 || number.find_first_not_of("0123456789") != std::string::npos)
      return std::nullopt;
    return static_cast<std::size_t>(std::stoul(number));
  };
  if (text == "auto") {
    struct Launcher {
      const char *index, *count, *first, *step;
    };
    constexpr auto kLaunchers = std::to_array<Launcher>({
        {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"},
        {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", nullptr, nullptr},
        {"PMI_RANK", "PMI_SIZE", nullptr, nullptr},
        {"SLURM_PROCID", "SLURM_NTASKS", nullptr, nullptr},
        {"JOB_COMPLETION_INDEX", "DISAGG_SHARDS", nullptr, nullptr},
    });
    for (const Launcher& launcher : kLaunchers) {
      const char* index = std::getenv(launcher.index);
      const char* count = std::getenv(launcher.count);
      if (index == nullptr || count == nullptr) continue;
      const char* first = launcher.first == nullptr ? nullptr : std::getenv(launcher.first);
      const auto i = whole(index);
      const auto n = whole(count);
      const char* step = launcher.step == nullptr ? nullptr : std::getenv(launcher.step);
      const auto from = whole(first == nullptr ? "0" : first);
      const auto by = whole(step == nullptr ? "1" : step);
      if (i && n && from && by && *by > 0 && *i >= *from && (*i - *from) / *by < *n &&
          (*i - *from) % *by == 0)
        return {(*i - *from) / *by, *n};
      throw ConfigError("--shard auto: " + std::string(launcher.index) + " is '" + index + "' and " +
                        launcher.count + " '" + count + "', which is no shard");
    }
    throw ConfigError(
        "--shard auto: the environment names no shard (SLURM_ARRAY_TASK_ID, OMPI_COMM_WORLD_RANK, PMI_RANK, "
        "SLURM_PROCID, or JOB_COMPLETION_INDEX with DISAGG_SHARDS)");
  }
  const auto slash = text.find('/');
  const auto i = whole(text.substr(0, slash));
  const auto n = slash == std::string::npos ? std::nullopt : whole(text.substr(slash + 1));
  if (!i || !n || *i < 1 || *i > *n)
    throw ConfigError("--shard " + text + ": expects I/N with I from 1 to N, or auto");
  return {*i - 1, *n};
}

SweepTable read_sweep(const std::filesystem::path& file, const std::vector<std::string>& columns) {
  const Store store(file);
  std::vector<Axis> axes;
  const ordered_json sweep = ordered_json::parse(store.sweep().description);
  axes.reserve(sweep.at("axes").size());
  for (const ordered_json& axis : sweep.at("axes"))
    axes.push_back({axis.at("path").get<std::string>(), axis.at("values").get<std::vector<std::string>>()});
  std::map<std::size_t, TaskResult> results;
  for (const std::size_t point : store.done()) results[point] = store.get(point)->result;
  return table_of(axes, results, columns);
}

}  // namespace disagg
