#include "sim/base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "sim/base/expect.hpp"

namespace disagg {
namespace {

constexpr auto kTime = std::to_array<Unit>(
    {{"ms", 1e-3}, {"ns", 1e-9}, {"us", 1e-6}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}});
constexpr auto kBytes = std::to_array<Unit>({{"GB", 1e9},
                                             {"B", 1},
                                             {"kB", 1e3},
                                             {"KB", 1e3},
                                             {"MB", 1e6},
                                             {"TB", 1e12},
                                             {"PB", 1e15},
                                             {"KiB", 1024.0},
                                             {"MiB", 1048576.0},
                                             {"GiB", 1073741824.0},
                                             {"TiB", 1099511627776.0}});
constexpr auto kBandwidth = std::to_array<Unit>({{"GB/s", 1e9},
                                                 {"B/s", 1},
                                                 {"kB/s", 1e3},
                                                 {"KB/s", 1e3},
                                                 {"MB/s", 1e6},
                                                 {"TB/s", 1e12},
                                                 {"KiB/s", 1024.0},
                                                 {"MiB/s", 1048576.0},
                                                 {"GiB/s", 1073741824.0},
                                                 {"TiB/s", 1099511627776.0},
                                                 {"Mb/s", 1.25e5},
                                                 {"Gb/s", 1.25e8},
                                                 {"Tb/s", 1.25e11}});
constexpr auto kCompute = std::to_array<Unit>(
    {{"TFLOP/s", 1e12}, {"GFLOP/s", 1e9}, {"PFLOP/s", 1e15}, {"TOP/s", 1e12}, {"POP/s", 1e15}});
constexpr auto kPrice =
    std::to_array<Unit>({{"USD/h", 1.0 / 3600}, {"USD/s", 1}, {"USD/year", 1.0 / (8760.0 * 3600)}});
constexpr auto kMoney = std::to_array<Unit>({{"USD", 1}, {"kUSD", 1e3}});
constexpr auto kPower = std::to_array<Unit>({{"W", 1}, {"kW", 1e3}, {"MW", 1e6}});

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string unit_names(std::span<const Unit> units) {
  std::string names;
  for (const Unit& unit : units) names += (names.empty() ? "" : " ") + std::string(unit.name);
  return names;
}

std::string scaled(double value, std::span<const Unit> steps) {
  const Unit* best = &steps.front();
  for (const Unit& unit : steps)
    if (std::abs(value) >= unit.si) best = &unit;
  return show_number(value / best->si) + " " + std::string(best->name);
}

}  // namespace

template <>
std::span<const Unit> unit_table<Seconds>() {
  return kTime;
}
template <>
std::span<const Unit> unit_table<Bytes>() {
  return kBytes;
}
template <>
std::span<const Unit> unit_table<BytesPerSecond>() {
  return kBandwidth;
}
template <>
std::span<const Unit> unit_table<FlopsPerSecond>() {
  return kCompute;
}
template <>
std::span<const Unit> unit_table<DollarsPerSecond>() {
  return kPrice;
}
template <>
std::span<const Unit> unit_table<Dollars>() {
  return kMoney;
}
template <>
std::span<const Unit> unit_table<Watts>() {
  return kPower;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

std::optional<double> parse_quantity(std::string_view text, std::span<const Unit> units, std::string& why) {
  const std::string_view body = trimmed(text);
  const std::string example =
      "; write for example \"10 " + std::string(units.front().name) + "\"; known units: " + unit_names(units);
  double number = 0;
  const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), number);
  const std::string_view unit = trimmed(body.substr(static_cast<std::size_t>(end - body.data())));
  if (error == std::errc::result_out_of_range) {
    why = "'" + std::string(text) + "' is out of range";
    return std::nullopt;
  }
  if (error != std::errc{} || !std::isfinite(number)) {
    why = "'" + std::string(text) + "' is not a number with a unit" + example;
    return std::nullopt;
  }
  if (unit.empty()) {
    why = "'" + std::string(text) + "' has no unit" + example;
    return std::nullopt;
  }
  for (const Unit& known : units) {
    if (known.name != unit) continue;
    if (std::isfinite(number * known.si)) return number * known.si;
    why = "'" + std::string(text) + "' is out of range";
    return std::nullopt;
  }
  std::vector<std::string_view> names;
  for (const Unit& known : units) names.push_back(known.name);
  why = "unit " + unknown_word(unit, names);
  return std::nullopt;
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known) {
  // What somebody began to write, rather than misspelt.
  constexpr std::size_t kTelling = 3;
  if (word.size() >= kTelling)
    for (const std::string_view candidate : known)
      if (candidate.starts_with(word)) return candidate;
  std::optional<std::string_view> best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);  // Levenshtein distance, one row at a time
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t substitution = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitution});
      }
    }
    if (row.back() < best_distance && row.back() < std::max(word.size(), candidate.size())) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

std::string unknown_word(std::string_view word, std::span<const std::string_view> known) {
  constexpr std::size_t kLongest = 60;  // no known word is longer, but what was written in its place may be
  const bool cut = word.size() > kLongest;
  word = word.substr(0, kLongest);
  std::string text = "'" + std::string(word) + (cut ? "...' is unknown; known:" : "' is unknown; known:");
  for (const std::string_view name : known) text += " " + std::string(name);
  if (const auto suggestion = nearest(word, known))
    text += "; did you mean '" + std::string(*suggestion) + "'?";
  return text;
}

std::string show(Seconds t) {
  if (t.si == 0) return "0 s";
  constexpr auto kSteps =
      std::to_array<Unit>({{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"min", 120}, {"h", 7200}});
  if (t.si >= 7200) return show_number(t.si / 3600) + " h";
  if (t.si >= 120) return show_number(t.si / 60) + " min";
  return scaled(t.si, std::span(kSteps).first(4));
}
std::string show(Bytes b) {
  constexpr auto kSteps =
      std::to_array<Unit>({{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15}});
  return scaled(b.si, kSteps);
}
std::string show(BytesPerSecond b) { return show(Bytes{b.si}) + "/s"; }

std::string show_exact(double value) {
  expect(std::isfinite(value), "a number in the output is not finite");
  if (value == 0) return "0";
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

std::string show_percent(double share) {
  const double percent = share * 100;
  if (std::abs(percent) < 0.05) return "0";
  return show_number(percent, std::abs(percent) < 1 ? 1 : 3);
}

std::string show_number(double value, int digits) {
  if (value == 0) return "0";
  const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(value))));
  if (magnitude < -4 || magnitude >= 15) {
    std::array<char, 40> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%.*g", digits, value);
    return buffer.data();
  }
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.*f", std::max(0, digits - 1 - magnitude), value);
  std::string text = buffer.data();
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

}  // namespace disagg
