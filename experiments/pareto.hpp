#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace disagg {

// A figure of summary.json that is to be large, or with "min:" in front of it small:
// "min:metrics.ttft_ms.p99". `divide_by` of it, where it is given: "cost.usd_per_hour".
struct Objective {
  std::string figure, divide_by;
  bool smallest = false;
  std::string text;  // as it was written
};
// Reads "[min:]FIGURE[/FIGURE]". Throws ConfigError.
Objective parse_objective(const std::string& text);

struct ParetoPoint {
  std::size_t point = 0;    // of the sweep
  std::string assignments;  // "cluster.pools[0].replicas=4, ..."
  double x = 0, y = 0;
  bool dominated = false;  // another one is at least as good in both and better in one
};

// The points of a sweep's store by x from the worst to the best.
struct Front {
  std::string name;  // of the store
  std::vector<ParetoPoint> points;
  std::size_t left_out = 0;  // that failed, or have not both figures
  // Share of the rectangle between the worst and the best figures of all fronts that is covered by points at
  // least as bad as one of this front.
  double hypervolume = 0;
};

// Marks what is dominated and sorts.
void find_front(std::vector<ParetoPoint>& points, const Objective& x, const Objective& y);
// Throws ConfigError: no store, or none of its points has the figures.
std::vector<Front> compare_fronts(const std::vector<std::filesystem::path>& stores, const Objective& x,
                                  const Objective& y);

void print_fronts(const std::vector<Front>& fronts, const Objective& x, const Objective& y,
                  std::ostream& out);
nlohmann::ordered_json fronts_json(const std::vector<Front>& fronts, const Objective& x, const Objective& y);

}  // namespace disagg
