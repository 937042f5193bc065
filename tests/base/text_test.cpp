#include "sim/base/text.hpp"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/expect.hpp"

namespace disagg {
namespace {

template <class Q>
double read(const std::string& text) {
  std::string why;
  const auto value = parse_quantity(text, unit_table<Q>(), why);
  INFO(why);
  REQUIRE(value.has_value());
  return *value;
}

template <class Q>
std::string refusal(const std::string& text) {
  std::string why;
  CHECK(parse_quantity(text, unit_table<Q>(), why) == std::nullopt);
  return why;
}

// Every unit of a table, and no other.
template <class Q>
void check_units(const std::vector<std::pair<std::string, double>>& units) {
  for (const auto& [name, si] : units) {
    INFO(name);
    CHECK(read<Q>("1 " + name) == Approx(si).epsilon(1e-15));
    CHECK(read<Q>("2.5" + name) == Approx(2.5 * si).epsilon(1e-15));
  }
  CHECK(unit_table<Q>().size() == units.size());
}

TEST_CASE("Times are written in 7 units from ns to d", "[text]") {
  check_units<Seconds>(
      {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}});
}

TEST_CASE("Sizes are written in 11 units, of which KiB to TiB are powers of 1024", "[text]") {
  check_units<Bytes>({{"B", 1},
                      {"kB", 1e3},
                      {"KB", 1e3},
                      {"MB", 1e6},
                      {"GB", 1e9},
                      {"TB", 1e12},
                      {"PB", 1e15},
                      {"KiB", 1024},
                      {"MiB", 1048576},
                      {"GiB", 1073741824},
                      {"TiB", 1099511627776}});
}

TEST_CASE("Bandwidths are written in 13 units, of which Mb/s to Tb/s count bits", "[text]") {
  check_units<BytesPerSecond>({{"B/s", 1},
                               {"kB/s", 1e3},
                               {"KB/s", 1e3},
                               {"MB/s", 1e6},
                               {"GB/s", 1e9},
                               {"TB/s", 1e12},
                               {"KiB/s", 1024},
                               {"MiB/s", 1048576},
                               {"GiB/s", 1073741824},
                               {"TiB/s", 1099511627776},
                               {"Mb/s", 125e3},
                               {"Gb/s", 125e6},
                               {"Tb/s", 125e9}});
}

TEST_CASE("Rates, prices, sums and powers have 5, 3, 2 and 3 units", "[text]") {
  check_units<FlopsPerSecond>(
      {{"GFLOP/s", 1e9}, {"TFLOP/s", 1e12}, {"PFLOP/s", 1e15}, {"TOP/s", 1e12}, {"POP/s", 1e15}});
  check_units<DollarsPerSecond>({{"USD/h", 1.0 / 3600}, {"USD/s", 1}, {"USD/year", 1.0 / 31536000}});
  check_units<Dollars>({{"USD", 1}, {"kUSD", 1000}});
  check_units<Watts>({{"W", 1}, {"kW", 1000}, {"MW", 1e6}});
}

TEST_CASE("Spaces around number and unit do not matter, and a number may have an exponent and a sign",
          "[text]") {
  CHECK(read<Seconds>("  3   ms ") == Approx(3e-3));
  CHECK(read<Seconds>("1e3\tms") == Approx(1));
  CHECK(read<Seconds>("-2 s") == -2);
  CHECK(read<Seconds>(".5 s") == 0.5);
  CHECK(read<Seconds>("0 s") == 0);
}

TEST_CASE("Units differ by case: mb/s, Gb and GB are not one", "[text]") {
  CHECK(read<BytesPerSecond>("8 Gb/s") == read<BytesPerSecond>("1 GB/s"));
  CHECK_THAT(refusal<BytesPerSecond>("8 gb/s"), Catch::StartsWith("unit 'gb/s' is unknown; known: GB/s B/s"));
  CHECK_THAT(refusal<Seconds>("8 S"), Catch::StartsWith("unit 'S' is unknown"));
}

TEST_CASE("14 texts that are no quantity are refused with their fault", "[text]") {
  const std::string how = "; write for example \"10 USD\"; known units: USD kUSD";
  for (const std::string text : {"", " ", "USD", "nan USD", "NaN USD", "inf USD", "-inf USD", "infinity USD",
                                 "+5 USD", "five USD", "$5", ", USD"})
    CHECK(refusal<Dollars>(text) == "'" + text + "' is not a number with a unit" + how);
  CHECK(refusal<Dollars>("5") == "'5' has no unit" + how);
  CHECK(refusal<Dollars>("5 EUR") == "unit 'EUR' is unknown; known: USD kUSD");
}

TEST_CASE("Quantities beyond the doubles are out of range, in their unit or in SI", "[text]") {
  CHECK(refusal<Seconds>("1e999 s") == "'1e999 s' is out of range");
  CHECK(refusal<Seconds>("1e308 d") == "'1e308 d' is out of range");
  CHECK(refusal<Bytes>("-1e300 PB") == "'-1e300 PB' is out of range");
}

TEST_CASE("The nearest word is at most 2 letters away, or a third of its length", "[text]") {
  const std::vector<std::string_view> known{"replicas", "role", "name", "least-tokens"};
  CHECK(nearest("replica", known) == "replicas");
  CHECK(nearest("relpicas", known) == "replicas");
  CHECK(nearest("rolle", known) == "role");
  CHECK(nearest("least-tok", known) == "least-tokens");
  CHECK(nearest("accelerator", known) == std::nullopt);
  CHECK(nearest("", known) == std::nullopt);
  CHECK(nearest("xyz", known) == std::nullopt);
  CHECK(nearest("replica", {}) == std::nullopt);
}

TEST_CASE("A word that was begun means the first known one that begins so, before any that is near",
          "[text]") {
  const std::vector<std::string_view> known{"h20", "h100-sxm-80gb", "h100-nvl"};
  CHECK(nearest("h100", known) == "h100-sxm-80gb");
  CHECK(nearest("h10", known) == "h100-sxm-80gb");
  CHECK(nearest("h2", known) == "h20");
}

TEST_CASE("An unknown word shows what is known, and a suggestion only when one is near", "[text]") {
  const std::vector<std::string_view> known{"fast", "faster"};
  CHECK(unknown_word("fastest", known) == "'fastest' is unknown; known: fast faster; did you mean 'faster'?");
  CHECK(unknown_word("elephants", known) == "'elephants' is unknown; known: fast faster");
}

TEST_CASE("Times, sizes and bandwidths are shown with 4 digits in the unit that suits", "[text]") {
  CHECK(show(Seconds{12.34567e-9}) == "12.35 ns");
  CHECK(show(Seconds{12.34567e-6}) == "12.35 us");
  CHECK(show(Seconds{12.34567e-3}) == "12.35 ms");
  CHECK(show(Seconds{1}) == "1 s");
  CHECK(show(Seconds{90}) == "90 s");
  CHECK(show(Seconds{150}) == "2.5 min");
  CHECK(show(Seconds{9000}) == "2.5 h");
  CHECK(show(Bytes{0}) == "0 B");
  CHECK(show(Bytes{80e9}) == "80 GB");
  CHECK(show(Bytes{141.1e9}) == "141.1 GB");
  CHECK(show(Bytes{999}) == "999 B");
  CHECK(show(Bytes{2097152}) == "2.097 MB");
  CHECK(show(BytesPerSecond{3.35e12}) == "3.35 TB/s");
}

TEST_CASE("Numbers in tables have no exponent from 1e-4 to 1e15 and no zeros at their end", "[text]") {
  CHECK(show_number(0) == "0");
  CHECK(show_number(1234567) == "1234567");
  CHECK(show_number(12.3456) == "12.35");
  CHECK(show_number(12.3) == "12.3");
  CHECK(show_number(100) == "100");
  CHECK(show_number(-0.5) == "-0.5");
  CHECK(show_number(0.00012345) == "0.0001234");
  CHECK(show_number(0.000012345) == "1.234e-05");
  CHECK(show_number(1e15) == "1e+15");
  CHECK(show_number(3.14159, 2) == "3.1");
}

TEST_CASE("10 000 random doubles read back from their exact text as the same ones", "[text]") {
  std::mt19937_64 bits(1);
  int tried = 0;
  while (tried < 10'000) {
    const double value = std::bit_cast<double>(bits());
    if (!std::isfinite(value)) continue;
    ++tried;
    if (std::strtod(show_exact(value).c_str(), nullptr) != value) FAIL(show_exact(value));
  }
  CHECK(show_exact(0.1) == "0.1");
  CHECK(show_exact(-0.0) == "0");
  CHECK(show_exact(1e22) == "1e+22");
  CHECK(show_exact(60) == "60");
}

TEST_CASE("A number that is not finite never reaches the output", "[text]") {
  CHECK_THROWS_AS(show_exact(std::nan("")), BrokenInvariant);
  CHECK_THROWS_AS(show_exact(std::numeric_limits<double>::infinity()), BrokenInvariant);
}

}  // namespace
}  // namespace disagg
