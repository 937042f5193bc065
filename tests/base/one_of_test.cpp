#include "sim/base/one_of.hpp"

#include <catch2/catch.hpp>
#include <optional>
#include <string>

namespace disagg {
namespace {

struct Circle {
  static constexpr std::string_view kind = "circle";
  static constexpr std::string_view summary = "all points at one distance";
  double radius = 0;
  static Circle read(Reader& r) { return {r.get<double>("radius", Range::positive)}; }
};

struct Square {
  static constexpr std::string_view kind = "square";
  static constexpr std::string_view summary = "four equal sides";
  double side = 0;
  static Square read(Reader& r) { return {r.get_or<double>("side", "1", Range::positive)}; }
};

using Shape = std::variant<Circle, Square>;

struct Outcome {
  std::optional<Shape> shape;
  std::string problems;
};

// Reads "shape" of a scenario, which may be a plain word.
Outcome read_shape(std::string_view json) {
  ConfigNode root = parse_config(json, "shapes.json");
  Problems problems;
  Reader r(root, "", problems);
  Outcome outcome;
  if (const auto object = r.variant("shape", "square")) outcome.shape = OneOf<Shape>::read(*object);
  r.done();
  try {
    problems.throw_if_any();
  } catch (const ConfigError& error) {
    outcome.problems = error.what();
  }
  return outcome;
}

static_assert(OneOf<Shape>::names == std::array<std::string_view, 2>{"circle", "square"});
static_assert(OneOf<Shape>::summaries[1] == "four equal sides");

TEST_CASE("\"kind\" chooses the second of two alternatives, with its own keys and defaults", "[one_of]") {
  const Outcome square = read_shape(R"({"shape": {"kind": "square", "side": 3}})");
  CHECK(square.problems.empty());
  REQUIRE(square.shape.has_value());
  CHECK(std::get<Square>(*square.shape).side == 3);
  CHECK(std::get<Circle>(*read_shape(R"({"shape": {"kind": "circle", "radius": 2}})").shape).radius == 2);
}

TEST_CASE("A plain word is short for an object of that kind, and nothing for the fallback", "[one_of]") {
  CHECK(std::get<Square>(*read_shape(R"({"shape": "square"})").shape).side == 1);
  CHECK(std::get<Square>(*read_shape("{}").shape).side == 1);
  CHECK(read_shape(R"({"shape": "circle"})").problems == "shapes.json:1:11: shape: 'radius' is missing");
}

TEST_CASE("An unknown kind lists the 2 known ones and makes nothing", "[one_of]") {
  const Outcome outcome = read_shape(R"({"shape": {"kind": "circel", "radius": 2}})");
  CHECK_FALSE(outcome.shape.has_value());
  CHECK(outcome.problems ==
        "shapes.json:1:20: shape.kind: 'circel' is unknown; known: circle square; did you mean 'circle'?");
}

TEST_CASE("An object without \"kind\" is of the fallback's, and keeps what it says", "[one_of]") {
  CHECK(std::get<Square>(*read_shape(R"({"shape": {"side": 7}})").shape).side == 7);
  CHECK(std::get<Square>(*read_shape(R"({"shape": {}})").shape).side == 1);
  CHECK(read_shape(R"({"shape": {"radius": 7}})").problems ==
        "shapes.json:1:12: shape: key 'radius' is unknown; known: kind side");
}

TEST_CASE("A key of another alternative is unknown", "[one_of]") {
  CHECK(read_shape(R"({"shape": {"kind": "circle", "radius": 2, "side": 1}})").problems ==
        "shapes.json:1:43: shape: key 'side' is unknown; known: kind radius");
}

}  // namespace
}  // namespace disagg
