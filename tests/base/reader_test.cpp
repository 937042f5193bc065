#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/config.hpp"

namespace disagg {
namespace {

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

// All problems that `read` finds in `json`.
std::string problems_of(std::string_view json, const std::function<void(Reader&)>& read) {
  ConfigNode root = parse_config(json, "s.json");
  Problems problems;
  Reader r(root, "", problems);
  read(r);
  return error_of([&] { problems.throw_if_any(); });
}

TEST_CASE("Each type refuses the 5 kinds of JSON that it is not", "[config]") {
  const auto wrong = [](auto type, const std::string& value) {
    using T = decltype(type);
    const std::string all = problems_of("{\"k\": " + value + "}", [](Reader& r) { r.get<T>("k"); });
    return all.substr(std::min(all.size(), std::string("s.json:1:7: k: ").size()));
  };
  const std::vector<std::pair<std::string, std::string>> kinds{{"null", "null"},    {"true", "a boolean"},
                                                               {"5", "a number"},   {"\"x\"", "a string"},
                                                               {"[1]", "an array"}, {"{}", "an object"}};
  for (const auto& [value, kind] : kinds) {
    CAPTURE(value);
    CHECK(wrong(bool{}, value) == (value == "true" ? "" : "expects true or false, not " + kind));
    CHECK(wrong(std::int64_t{}, value) == (value == "5" ? "" : "expects a whole number, not " + kind));
    CHECK(wrong(double{}, value) == (value == "5" ? "" : "expects a number, not " + kind));
    CHECK(wrong(std::string{}, value) == (value == "\"x\"" ? "" : "expects a string, not " + kind));
    if (value != "\"x\"")
      CHECK(wrong(Seconds{}, value) == "expects a string with a unit such as \"10 ms\", not " + kind);
    CHECK(wrong(std::vector<double>{}, value) == (value == "[1]" ? "" : "expects an array"));
  }
}

TEST_CASE("Seven problems of one file show at once, in the order in which they are read", "[config]") {
  const std::string all = problems_of(
      "{\n  \"count\": 0,\n  \"time\": \"5 parsecs\",\n  \"word\": \"\",\n  \"list\": [1, \"x\", -3],\n  "
      "\"zebra\": 1\n}",
      [](Reader& r) {
        r.get<std::int64_t>("count", Range::positive);
        r.get<Seconds>("time");
        r.get<std::string>("word");
        r.get<std::vector<double>>("list", Range::non_negative);
        r.get<bool>("flag");
        r.done();
      });
  CHECK(all ==
        "s.json:2:12: count: must be greater than zero\n"
        "s.json:3:11: time: unit 'parsecs' is unknown; known: ms ns us s min h d\n"
        "s.json:4:11: word: is empty\n"
        "s.json:5:15: list[1]: expects a number, not a string\n"
        "s.json:5:20: list[2]: must not be negative\n"
        "s.json:1:1: 'flag' is missing\n"
        "s.json:6:3: key 'zebra' is unknown; known: count flag list time word");
}

TEST_CASE("Of 60 problems the first 50 show, and how many more there are", "[config]") {
  std::string json = "{";
  for (int i = 10; i < 70; ++i) json += (i > 10 ? ",\n\"k" : "\"k") + std::to_string(i) + "\": 0";
  const std::string all = problems_of(json + "}", [](Reader& r) { r.done(); });
  CHECK(std::count(all.begin(), all.end(), '\n') == 50);
  CHECK_THAT(all, Catch::Contains("\ns.json:50:1: key 'k59' is unknown; known:\n... and 10 more problems"));
}

TEST_CASE("Paths lead through objects and arrays of objects", "[config]") {
  const std::string all = problems_of(R"({"a": {"b": [{"c": 1}, {"c": "x"}, 5]}})", [](Reader& r) {
    auto a = r.object("a");
    for (Reader& b : a->objects("b")) {
      b.get<double>("c");
      b.done();
    }
  });
  CHECK(all ==
        "s.json:1:36: a.b[2]: expects an object, not a number\n"
        "s.json:1:30: a.b[1].c: expects a number, not a string");
}

TEST_CASE("What is wrong with a default is told at the object that leaves it at that", "[config]") {
  const std::string all = problems_of("{\n  \"o\": {\"small\": 3}}", [](Reader& r) {
    auto o = r.object("o");
    if (o->get<double>("small") < o->get_or<double>("large", "10")) o->fail("large", "is too large");
  });
  CHECK(all == "s.json:2:8: o.large: is too large");
}

TEST_CASE("A choice is one of 3 words, or the fallback", "[config]") {
  constexpr std::array<std::string_view, 3> kRoles{"mixed", "prefill", "decode"};
  const auto choose = [&](std::string_view json, std::optional<std::string_view> fallback) {
    std::size_t chosen = 9;
    const std::string problem =
        problems_of(json, [&](Reader& r) { chosen = r.choice("role", kRoles, fallback); });
    return problem.empty() ? std::to_string(chosen) : problem;
  };
  CHECK(choose(R"({"role": "decode"})", {}) == "2");
  CHECK(choose("{}", "prefill") == "1");
  CHECK(choose("{}", {}) == "s.json:1:1: 'role' is missing");
  CHECK(choose(R"({"role": "decoder"})", {}) ==
        "s.json:1:10: role: 'decoder' is unknown; known: mixed prefill decode; did you mean 'decode'?");
}

TEST_CASE("An object of 100000 keys is read in time that grows with its length", "[config]") {
  std::string json = "{";
  for (int i = 0; i < 100'000; ++i) json += "\"k" + std::to_string(i) + "\":1,\n";
  json += "\"a\": 2}";
  const ConfigNode root =
      parse_config(json, "s.json");  // minutes if each key were compared with all before it
  CHECK(root.members.size() == 100'001);
  CHECK(root.members.back().value.where.text() == "s.json:100001:6");
}

TEST_CASE("A path of 60000 parts is refused", "[config]") {
  std::string path;
  for (int i = 0; i < 60'000; ++i) path += "a.";
  ConfigNode root = parse_config("{}", "s.json");
  CHECK(error_of([&] { override_config(root, path + "a=1"); }) ==
        "--set: the path is more than 64 levels deep");
}

}  // namespace
}  // namespace disagg
