#include "experiments/points.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>

#include "experiments/points_table.hpp"
#include "experiments/scenario.hpp"
#include "experiments/store.hpp"
#include "sim/base/config.hpp"
#include "sim/base/hash.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

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

// All that decides a point's result: the scenario, the files that it names, what is laid on it, and what is
// asked.
std::string description(const Experiment& experiment) {
  ConfigNode root = load_config(experiment.scenario);
  for (const std::string& assignment : experiment.overrides) override_scenario(root, assignment);
  Hash files;
  fingerprint(parse_config(root.dump(true), "scenario"), files);
  Hash design;
  for (const auto& values : experiment.design.values)
    for (const std::string& value : values) design.add(value).add("\n");
  ordered_json j{{"scenario", experiment.scenario.filename().string()},
                 {"scenario_hash", Hash{}.add(root.dump(false)).hex()},
                 {"files_hash", files.hex()},
                 {"paths", experiment.design.paths},
                 {"design_hash", design.hex()}};
  if (!experiment.question.empty()) j["question"] = experiment.question;
  return j.dump();
}

std::string assignments_json(const Design& design, std::size_t point) {
  ordered_json j = ordered_json::object();
  for (std::size_t a = 0; a < design.paths.size(); ++a) j[design.paths[a]] = design.values[point][a];
  return j.dump();
}

Store::Point stored(const Design& design, std::size_t point, const TaskResult& result) {
  Store::Point written{
      .assignments = assignments_json(design, point), .scenario_hash = {}, .result = result, .metrics = {}};
  if (result.code != exit_code::kDone) return written;
  const ordered_json summary = ordered_json::parse(result.output);
  written.scenario_hash = summary.at("provenance").at("scenario_hash").get<std::string>();
  for (const auto& [name, number] : numbers_of(summary))
    written.metrics.emplace_back(name, std::stod(number));
  return written;
}

}  // namespace

std::vector<std::string> Experiment::overrides_at(std::size_t point) const {
  std::vector<std::string> all = overrides;
  for (std::string& text : design.assignments(point)) all.push_back(std::move(text));
  return all;
}

std::vector<std::size_t> shard_points(const Experiment& experiment, const PointsOptions& options) {
  std::vector<std::size_t> points;
  points.reserve(experiment.design.points() / options.shards + 1);
  for (std::size_t point = options.shard; point < experiment.design.points(); point += options.shards)
    points.push_back(point);
  return points;
}

std::vector<std::size_t> kept_points(const Experiment& experiment, const PointsOptions& options) {
  std::vector<std::size_t> kept;
  std::error_code ignored;
  if (!options.store || !std::filesystem::exists(*options.store, ignored)) return kept;
  const Store store(*options.store, Store::Sweep{description(experiment), experiment.design.points()}, true);
  for (const std::size_t point : shard_points(experiment, options)) {
    const auto found = store.get(point);
    if (found && Store::is_answer(found->result)) kept.push_back(point);
  }
  return kept;
}

PointResults run_points(const Experiment& experiment, const PointsOptions& options,
                        const std::function<std::string(std::size_t)>& run,
                        const std::function<void(std::size_t, const TaskResult&)>& seen) {
  PointResults found;
  found.points = experiment.design.points();
  std::optional<Store> store;
  if (options.store)
    store.emplace(*options.store, Store::Sweep{description(experiment), found.points}, options.resume);
  std::vector<std::size_t> to_run;
  for (const std::size_t point : shard_points(experiment, options)) {
    auto kept = store ? store->get(point) : std::nullopt;
    if (kept && Store::is_answer(kept->result)) {
      if (seen) seen(point, kept->result);
      found.results[point] = std::move(kept->result);
      ++found.resumed;
    } else {
      to_run.push_back(point);
    }
  }
  std::size_t done = found.resumed;
  const std::size_t all = found.resumed + to_run.size();
  run_forked(
      to_run.size(), options.jobs, [&](std::size_t i) { return run(to_run[i]); },
      [&](std::size_t i, const TaskResult& result) {
        const std::size_t point = to_run[i];
        if (store) store->put(point, stored(experiment.design, point, result));
        if (seen) seen(point, result);
        found.results[point] = result;
        if (options.progress) options.progress(++done, all);
      });
  return found;
}

}  // namespace disagg
