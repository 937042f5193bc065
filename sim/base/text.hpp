#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/quantity.hpp"

namespace disagg {

struct Unit {
  std::string_view name;
  double si;  // how many SI units one of these is
};

// The units in which a quantity may be written; the first is the one shown in examples.
template <class Q>
std::span<const Unit> unit_table();
template <>
std::span<const Unit> unit_table<Seconds>();
template <>
std::span<const Unit> unit_table<Bytes>();
template <>
std::span<const Unit> unit_table<BytesPerSecond>();
template <>
std::span<const Unit> unit_table<FlopsPerSecond>();
template <>
std::span<const Unit> unit_table<DollarsPerSecond>();
template <>
std::span<const Unit> unit_table<Dollars>();
template <>
std::span<const Unit> unit_table<Watts>();

// With A to Z small; other bytes stay.
std::string lower_case(std::string_view text);

// "3.35 TB/s" in SI units. On failure nothing, and `why` says what is wrong.
std::optional<double> parse_quantity(std::string_view text, std::span<const Unit> units, std::string& why);

// The known word nearest to `word` by edit distance; nothing when none is near.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known);
// "'fastest' is unknown; known: a b c; did you mean 'faster'?"
std::string unknown_word(std::string_view word, std::span<const std::string_view> known);

// Four significant digits with the unit that suits: "80 GB", "3.35 TB/s", "12.4 ms".
std::string show(Seconds);
std::string show(Bytes);
std::string show(BytesPerSecond);
// The shortest text that reads back as the same double; never "-0", "nan" is a broken invariant.
std::string show_exact(double);
// A share as per cent without the sign: 0.4567 is "45.7", less than 0.05 % is "0".
std::string show_percent(double share);
// `digits` significant digits without exponent where that stays short, for tables.
std::string show_number(double, int digits = 4);

}  // namespace disagg
