#include "experiments/report.hpp"

#include <fstream>
#include <iterator>

#include "experiments/compare.hpp"
#include "experiments/points_table.hpp"
#include "experiments/report_tables.hpp"
#include "experiments/run_folder.hpp"
#include "report_page.hpp"
#include "sim/base/config.hpp"
#include "version.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kPlaceholder = "{{DATA}}";

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

ordered_json read_json(const std::filesystem::path& file) {
  try {
    return ordered_json::parse(read_file(file));
  } catch (const ordered_json::parse_error& error) {
    throw ConfigError(file.string() + ": is not the JSON that disagg wrote: " + error.what());
  }
}

bool is_run(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(folder / "summary.json", ignored);
}

Report report_of_runs(const std::vector<std::filesystem::path>& folders) {
  Report report{.kind = "compare", .title = ""};
  Comparison comparison;
  for (const std::filesystem::path& folder : folders) {
    ordered_json run = read_run_folder(folder);
    report.title += (report.title.empty() ? "" : " against ") + run.at("name").get<std::string>();
    comparison.sides.push_back({run.at("summary")});
    report.runs.push_back(std::move(run));
  }
  report.results = comparison_json(comparison);
  return report;
}

// A folder with comparison.json, and a folder of results for each side in it.
Report report_of_comparison(const std::filesystem::path& folder) {
  Report report{.kind = "compare", .title = "", .results = read_json(folder / "comparison.json")};
  const auto add = [&](const ordered_json& summaries) {
    const auto name = summaries.at(0).at("name").get<std::string>();
    report.title += (report.title.empty() ? "" : " against ") + name;
    if (is_run(folder / name)) report.runs.push_back(read_run_folder(folder / name));
  };
  add(report.results.at("baseline"));
  for (const ordered_json& candidate : report.results.at("candidates")) add(candidate.at("summaries"));
  return report;
}

}  // namespace

ordered_json read_run_folder(const std::filesystem::path& folder) {
  if (!is_run(folder))
    throw ConfigError(folder.string() +
                      ": is no folder of results (disagg run --out): it has no summary.json");
  ordered_json run;
  ordered_json summary = read_json(folder / "summary.json");
  if (!summary.contains("name") || !summary.contains("metrics"))
    throw ConfigError((folder / "summary.json").string() + ": is not a summary that disagg wrote");
  run["name"] = summary.at("name");
  run["summary"] = std::move(summary);
  run["timeseries"] = read_file(folder / "timeseries.csv");
  run["replicas"] = read_file(folder / "replicas.csv");
  const std::string links = most_loaded_links(read_file(folder / "links.csv"));
  run["links"] = links;
  run["link_series"] = rows_of_links(read_file(folder / "link_series.csv"), links);
  run["flows"] = rows_of_links(read_file(folder / "link_flows.csv"), links);
  run["replica_series"] = grouped_replicas(read_file(folder / "replica_series.csv"));
  run["tier_series"] = read_file(folder / "tier_series.csv");
  run["distributions"] = read_file(folder / "distributions.csv");
  return run;
}

Report report_of(const std::vector<std::filesystem::path>& results) {
  if (results.size() > 1) return report_of_runs(results);
  const std::filesystem::path& one = results.front();
  std::error_code ignored;
  if (std::filesystem::is_regular_file(one, ignored)) {
    const PointsTable table = tabulate_store(one, {});
    return {.kind = "sweep", .title = one.stem().string(), .results = table.json()};
  }
  if (std::filesystem::is_regular_file(one / "comparison.json", ignored)) return report_of_comparison(one);
  ordered_json run = read_run_folder(one);
  Report report{.kind = "run", .title = run.at("name").get<std::string>()};
  report.runs.push_back(std::move(run));
  return report;
}

bool can_write_reports() { return !report_page.empty(); }

void write_report(const std::filesystem::path& file, const Report& report, std::string_view command) {
  if (!can_write_reports())
    throw ConfigError(
        "report: this program was built without the page of reports, which takes Node.js, npm and the "
        "network");
  const ordered_json data{{"schema", 1},          {"kind", report.kind}, {"title", report.title},
                          {"version", version()}, {"command", command},  {"results", report.results},
                          {"runs", report.runs}};
  std::string json = data.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  // "</script>" in a name would end the element that holds it.
  for (std::size_t at = 0; (at = json.find('<', at)) != std::string::npos; at += 6)
    json.replace(at, 1, "\\u003c");
  const std::size_t place = report_page.find(kPlaceholder);
  std::string text(report_page.substr(0, place));
  text += json;
  text += report_page.substr(place + kPlaceholder.size());
  write_file(file, text);
}

}  // namespace disagg
