#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace disagg {

// What an HTML report shows. Its page (report/) draws `results` by `kind`: "run" (none), "compare"
// (comparison_json()), "conditions" (conditions_json()), "sweep" and "capacity-table" (PointsTable::json()),
// "sensitivity", "capacity", "minimise", "pareto" or "roofline" (what these commands print with --json).
struct Report {
  std::string kind;
  std::string title;
  nlohmann::ordered_json results = nullptr;
  nlohmann::ordered_json runs = nlohmann::ordered_json::array();  // of read_run_folder()
};

// A folder of `disagg run --out`: its summary, and as text what was written of time, replicas, tiers, links
// and distributions, as far as report_tables.hpp keeps it. What older folders lack is empty. Throws
// ConfigError when it holds no summary.
nlohmann::ordered_json read_run_folder(const std::filesystem::path& folder);

// What can be told of folders of results: of one run, of one comparison, or of several runs against the
// first. A store of a sweep stands for its table. Throws ConfigError.
Report report_of(const std::vector<std::filesystem::path>& results);

// Whether this program was built with the page of reports.
bool can_write_reports();

// Writes one self-contained file. `command`: what was called. Throws ConfigError when it cannot be written or
// this program was built without its page.
void write_report(const std::filesystem::path& file, const Report& report, std::string_view command);

}  // namespace disagg
