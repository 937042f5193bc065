#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "experiments/design.hpp"
#include "experiments/processes.hpp"

namespace disagg {

// Results of points as a table: one row a point, a column for each path of the design and for each number of
// a summary, "metrics.ttft_ms.p99".
struct PointsTable {
  struct Row {
    std::vector<std::string> values;  // of the paths
    int exit_code = 0;
    std::string scenario_hash, error;
    std::map<std::string, std::string> numbers;  // by column
  };
  std::vector<std::string> paths, columns;
  std::map<std::size_t, Row> rows;   // by point
  std::vector<std::string> missing;  // columns that were asked for and that no point has

  std::string csv() const;
  // [{"point", "assignments", "exit_code", "scenario_hash", "error", "figures"}]
  nlohmann::ordered_json json() const;
  // "point 3 (path=value): message" of each that failed.
  std::vector<std::string> failures() const;
};

// `columns`: which, in this order; none: all that there are.
PointsTable tabulate(const Design& design, const std::map<std::size_t, TaskResult>& results,
                     const std::vector<std::string>& columns);
// The table of a store, whole or not. Throws ConfigError when it is none.
PointsTable tabulate_store(const std::filesystem::path& store, const std::vector<std::string>& columns);

// All numbers of a summary that tables show, by their path; an unmeasured one is left out.
std::vector<std::pair<std::string, std::string>> numbers_of(const nlohmann::ordered_json& summary);

}  // namespace disagg
