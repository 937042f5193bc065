#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace disagg {

// A path of the scenario and what it may be: one of a list, or any number of a range.
struct Axis {
  std::string path;
  std::vector<std::string> values;  // empty: a range
  double low = 0, high = 1;
  std::string unit;  // behind the number, with its blank: " GB/s"
  bool logarithmic = false;
  bool whole = false;  // rounded

  bool is_range() const { return values.empty(); }
  // The value at `u` from 0 to 1, as it is written in a scenario: of a range any number alike, or with
  // `logarithmic` any order of magnitude; of a list each with the same share.
  std::string at(double u) const;
};

// Reads "cluster.pools[0].replicas=1,2,4" (a value that holds commas is JSON in brackets or quotes), or
// "cluster.pools[0].kv_capacity=4 GB..16 GB" with ":log" or ":int" behind it. Throws ConfigError.
Axis parse_axis(const std::string& text);
// Of several; no path may stand twice.
std::vector<Axis> parse_axes(const std::vector<std::string>& texts);

}  // namespace disagg
