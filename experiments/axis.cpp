#include "experiments/axis.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "sim/base/config.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

[[noreturn]] void fail(const std::string& axis, const std::string& what) {
  throw ConfigError("--axis " + axis + ": " + what);
}

struct NumberWithUnit {
  double number = 0;
  std::string unit;
};
std::optional<NumberWithUnit> leading_number(const std::string& text) {
  try {
    std::size_t read = 0;
    const double number = std::stod(text, &read);
    return NumberWithUnit{number, text.substr(read)};
  } catch (const std::logic_error&) {
    return std::nullopt;
  }
}

// "LOW..HIGH", in which a number stands before the dots: not "../trace.jsonl".
bool looks_like_range(const std::string& text) {
  const auto dots = text.find("..");
  if (dots == std::string::npos || text.find_first_of(",[{\"") != std::string::npos) return false;
  const auto low = leading_number(text.substr(0, dots));
  return low && low->unit.find('/') == low->unit.rfind('/') && low->unit.find('.') == std::string::npos;
}

Axis parse_range(const std::string& text, std::string path, std::string range) {
  Axis axis;
  axis.path = std::move(path);
  for (const auto& [ending, flag] : {std::pair{":log", &axis.logarithmic}, {":int", &axis.whole}}) {
    if (!range.ends_with(ending)) continue;
    *flag = true;
    range.resize(range.size() - std::string_view(ending).size());
  }
  const auto dots = range.find("..");
  std::array<std::string, 2> units;
  const auto number = [&](const std::string& end, std::string& unit) {
    const auto read = leading_number(end);
    if (!read) fail(text, "'" + end + "' is no number, with a unit behind it or none");
    if (!std::isfinite(read->number)) fail(text, "expects finite numbers");
    unit = read->unit;
    return read->number;
  };
  axis.low = number(range.substr(0, dots), units[0]);
  axis.high = number(range.substr(dots + 2), units[1]);
  if (units[0].empty()) units[0] = units[1];
  if (units[0] != units[1]) fail(text, "both ends need the same unit");
  axis.unit = units[0];
  if (axis.low >= axis.high) fail(text, "the first end must be below the second");
  if (axis.logarithmic && axis.low <= 0) fail(text, ":log needs ends above 0");
  if (axis.whole &&
      (axis.logarithmic || axis.low != std::floor(axis.low) || axis.high != std::floor(axis.high)))
    fail(text, ":int needs whole ends, and no :log");
  return axis;
}

// At commas outside of brackets and quotes.
std::vector<std::string> split_values(const std::string& text) {
  std::vector<std::string> values(1);
  int depth = 0;
  bool in_string = false;
  for (const char c : text) {
    if (c == '"') in_string = !in_string;
    if (!in_string && (c == '[' || c == '{')) ++depth;
    if (!in_string && (c == ']' || c == '}')) --depth;
    if (c == ',' && depth == 0 && !in_string) {
      values.emplace_back();
    } else {
      values.back() += c;
    }
  }
  return values;
}

}  // namespace

std::string Axis::at(double u) const {
  if (!is_range()) {
    const auto n = static_cast<double>(values.size());
    return values[static_cast<std::size_t>(std::clamp(std::floor(u * n), 0.0, n - 1))];
  }
  double value = logarithmic ? low * std::pow(high / low, u) : std::lerp(low, high, u);
  if (whole) value = std::clamp(std::floor(low + u * (high - low + 1)), low, high);
  return show_exact(value) + unit;
}

Axis parse_axis(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    fail(text,
         "expects PATH=VALUE,VALUE,..., for example cluster.pools[0].replicas=1,2,4, or PATH=LOW..HIGH, for "
         "example cluster.pools[0].kv_capacity='4 GB..16 GB', with :log or :int behind it if you like");
  std::string path = text.substr(0, equals);
  std::string values = text.substr(equals + 1);
  if (looks_like_range(values)) return parse_range(text, std::move(path), std::move(values));
  Axis axis;
  axis.path = std::move(path);
  axis.values = split_values(values);
  if (std::ranges::any_of(axis.values, &std::string::empty)) fail(text, "one of the values is empty");
  return axis;
}

std::vector<Axis> parse_axes(const std::vector<std::string>& texts) {
  std::vector<Axis> axes;
  axes.reserve(texts.size());
  for (const std::string& text : texts) {
    axes.push_back(parse_axis(text));
    if (std::ranges::count(axes, axes.back().path, &Axis::path) > 1)
      throw ConfigError("--axis " + axes.back().path + ": stands twice; give all its values in one");
  }
  return axes;
}

}  // namespace disagg
