#include "sim/base/config.hpp"

#include <unistd.h>

#include <boost/random/uniform_int_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "sim/base/random.hpp"

namespace disagg {
namespace {

using Catch::Matchers::Message;
using nlohmann::json;

struct Files {
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("disagg-config-test-" + std::to_string(::getpid()));

  Files() { std::filesystem::create_directories(folder); }
  ~Files() { std::filesystem::remove_all(folder); }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << text;
    return folder / name;
  }
};

ConfigNode parse(const std::string& text) { return parse_config(text, "s.json"); }
json value_of(const ConfigNode& node) { return json::parse(node.dump()); }
std::string place(const ConfigNode* node) {
  REQUIRE(node != nullptr);
  return node->where.text();
}

// `base` with one assignment, or the message why it does not apply.
std::string overridden(const std::string& base, const std::string& assignment) {
  ConfigNode node = parse(base);
  try {
    override_config(node, assignment);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return value_of(node).dump();
}

TEST_CASE("Every value knows its line and column behind comments, strings with braces and 2-byte letters",
          "[config]") {
  const ConfigNode root = parse(
      "// { \"a\": 1 }\n"
      "{ /* [1,\n"
      "     2] */ \"text\": \"{ // \\\" [\", \"number\": -1.5e3,\n"
      "\t\"list\": [true, /* here */ null, [ \"x\" ]],\n"
      "  \"last\": { \"deep\": { } } } // end\n");
  CHECK(root.where.text() == "s.json:2:1");
  CHECK(place(root.find("text")) == "s.json:3:20");
  CHECK(root.find("text")->text == "{ // \" [");
  CHECK(place(root.find("number")) == "s.json:3:43");
  CHECK(root.find("number")->number == -1500);
  CHECK(root.find("number")->text == "-1.5e3");
  const ConfigNode& list = *root.find("list");
  REQUIRE(list.items.size() == 3);
  CHECK(list.where.text() == "s.json:4:10");
  CHECK(list.items[0].where.text() == "s.json:4:11");
  CHECK(list.items[1].where.text() == "s.json:4:28");
  CHECK(list.items[2].items[0].where.text() == "s.json:4:36");
  CHECK(place(root.find("last")->find("deep")) == "s.json:5:21");
  CHECK(root.members.back().where.text() == "s.json:5:3");
}

TEST_CASE("A byte order mark is not a column, and a carriage return is not a line", "[config]") {
  const ConfigNode root = parse("\xEF\xBB\xBF{\r\n \"a\": 1 }");
  CHECK(root.where.text() == "s.json:1:1");
  CHECK(place(root.find("a")) == "s.json:2:7");
}

TEST_CASE("Members keep the order of the file, and numbers the way they are written", "[config]") {
  const ConfigNode root = parse(R"({ "b": 1.50, "a": 1e3, "c": 12345678901234567890 })");
  CHECK(root.dump() == "{\n  \"b\": 1.50,\n  \"a\": 1e3,\n  \"c\": 12345678901234567890\n}\n");
  CHECK_FALSE(root.find("a")->integral);
  CHECK(root.find("c")->integral);
}

TEST_CASE("A key that stands twice is refused at its second place, but may stand in two objects",
          "[config]") {
  CHECK_THROWS_MATCHES(parse("{\"a\": 1,\n \"b\": { \"a\": 2,\n  \"a\": 3 } }"), ConfigError,
                       Message("s.json:3:3: key 'a' stands twice in one object"));
  CHECK_THROWS_MATCHES(parse(R"({ "ab": 1, "\u0061b": 3 })"), ConfigError,
                       Message("s.json:1:12: key 'ab' stands twice in one object"));
  CHECK(value_of(parse(R"([{ "a": 1 }, { "a": 2 }])")).size() == 2);
}

TEST_CASE("64 levels are read and the 65th is refused", "[config]") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(parse(nested(64)).items.size() == 1);
  CHECK_THROWS_MATCHES(parse(nested(65)), ConfigError,
                       Message("s.json:1:65: is nested more than 64 levels deep"));
  CHECK_THROWS_AS(parse(nested(1'000'000)), ConfigError);
}

TEST_CASE("Extending merges objects member by member and replaces arrays and numbers", "[config]") {
  const Files files;
  files.write("base/base.json", R"({ "a": { "x": 1, "y": 2 }, "list": [1, 2, 3], "n": 1 })");
  files.write("middle.json", R"({ "extends": "base/base.json", "a": { "y": 3 }, "n": "one" })");
  const auto top =
      files.write("top.json", R"({ "list": [9], "extends": "middle.json", "a": { "z": 4 }, "new": null })");
  const ConfigNode root = load_config(top);
  CHECK(value_of(root) ==
        json::parse(R"({ "a": { "x": 1, "y": 3, "z": 4 }, "list": [9], "n": "one", "new": null })"));
  CHECK(place(root.find("a")->find("x")) == (files.folder / "base/base.json").string() + ":1:15");
  CHECK(place(root.find("a")->find("y")) == (files.folder / "middle.json").string() + ":1:44");
  CHECK(place(root.find("list")) == top.string() + ":1:11");
}

TEST_CASE("An object of another kind replaces the one it extends; of the same or no kind it merges",
          "[config]") {
  const auto merged = [](const std::string& base, const std::string& over) {
    ConfigNode node = parse(base);
    merge_config(node, parse(over));
    return value_of(node);
  };
  const std::string base = R"({ "w": { "kind": "a", "x": 1 } })";
  CHECK(merged(base, R"({ "w": { "kind": "b", "y": 2 } })") ==
        json::parse(R"({"w": {"kind": "b", "y": 2}})"));
  CHECK(merged(base, R"({ "w": { "kind": "a", "y": 2 } })") ==
        json::parse(R"({"w": {"kind": "a", "x": 1, "y": 2}})"));
  CHECK(merged(base, R"({ "w": { "y": 2 } })") == json::parse(R"({"w": {"kind": "a", "x": 1, "y": 2}})"));
  CHECK(merged(base, R"({ "w": "b" })") == json::parse(R"({"w": "b"})"));
  CHECK(merged(R"({ "w": "b" })", base) == json::parse(base));
}

TEST_CASE("A loop of 3 files that extend each other is named, and a diamond is none", "[config]") {
  const Files files;
  const auto a = files.write("a.json", R"({ "extends": "b.json" })");
  files.write("b.json", R"({ "extends": "c.json" })");
  const auto c = files.write("c.json", R"({ "extends": "a.json" })");
  CHECK_THROWS_MATCHES(
      load_config(a), ConfigError,
      Message(c.string() + ":1:14: extends: \"extends\" is cyclic: a.json -> b.json -> c.json -> a.json"));
  files.write("c.json", R"({ "n": 1 })");
  CHECK(value_of(load_config(a)) == json{{"n", 1}});
}

TEST_CASE("An assignment sets what a path names, making the objects on its way", "[config]") {
  const std::string base = R"({ "a": { "b": [1, { "c": 2 }] }, "word": "kind-of", "none": null })";
  CHECK(overridden(base, "a.b[1].c=7") == R"({"a":{"b":[1,{"c":7}]},"none":null,"word":"kind-of"})");
  CHECK(overridden(base, "a.b=[]") == R"({"a":{"b":[]},"none":null,"word":"kind-of"})");
  CHECK(overridden(base, "a.new.deep=true") ==
        R"({"a":{"b":[1,{"c":2}],"new":{"deep":true}},"none":null,"word":"kind-of"})");
  CHECK(overridden(base, "none.x=1") == R"({"a":{"b":[1,{"c":2}]},"none":{"x":1},"word":"kind-of"})");
  CHECK(overridden("{}", "a=2 s") == R"({"a":"2 s"})");
  CHECK(overridden("{}", "a=") == R"({"a":""})");
  CHECK(overridden("{}", "a=x=y") == R"({"a":"x=y"})");
  CHECK(overridden("{}", "a=\"7\"") == R"({"a":"7"})");
  CHECK(overridden("{}", R"(a={"k": [1, "x"]})") == R"({"a":{"k":[1,"x"]}})");
}

TEST_CASE("A word that stands for its kind becomes an object when a member of it is set", "[config]") {
  CHECK(overridden(R"({ "router": "random" })", "router.x=1") == R"({"router":{"kind":"random","x":1}})");
}

TEST_CASE("Shorthands say which member a word stands for, or that an object replaces it", "[config]") {
  const std::vector<Shorthand> shorthands{{"accelerator", "extends"}, {"model", ""}};
  const auto lengthened = [&](const std::string& text, const std::string& assignment) {
    ConfigNode node = parse_config(text, "test.json");
    override_config(node, assignment, shorthands);
    return value_of(node).dump();
  };
  CHECK(lengthened(R"({ "pools": [{ "accelerator": "h100" }] })",
                   "pools[0].accelerator.memory.bandwidth=6 TB/s") ==
        R"({"pools":[{"accelerator":{"extends":"h100","memory":{"bandwidth":"6 TB/s"}}}]})");
  CHECK(lengthened(R"({ "model": "llama" })", "model.hf_config=own.json") ==
        R"({"model":{"hf_config":"own.json"}})");
  CHECK(lengthened(R"({ "router": "random" })", "router.x=1") == R"({"router":{"kind":"random","x":1}})");
}

TEST_CASE("11 assignments that do not apply say why", "[config]") {
  const std::string base = R"({ "a": { "b": [1, 2] }, "n": 1, "w": "x" })";
  const auto why = [&](const std::string& assignment) {
    const std::string message = overridden(base, assignment), prefix = "--set " + assignment + ": ";
    CHECK_THAT(message, Catch::StartsWith(prefix));
    return message.substr(std::min(prefix.size(), message.size()));
  };
  CHECK(why("a") == "expects PATH=VALUE, for example cluster.pools[1].replicas=4");
  CHECK(why("=1") == "expects PATH=VALUE, for example cluster.pools[1].replicas=4");
  CHECK(why("a.b[2]=1") == "a.b has no element 2; its length is 2");
  CHECK(why("a.b[-1]=1") == "'[-1]' is not an index such as [1]");
  CHECK(why("a.b[]=1") == "'[]' is not an index such as [1]");
  CHECK(why("a.b[1=1") == "'[1' is not an index such as [1]");
  CHECK(why("a.b[99999999999999999999]=1") == "'[99999999999999999999]' is not an index such as [1]");
  CHECK(why("a[0]=1") == "a is an object, not an array");
  CHECK(why("a.b[0]x=1") == "expects '.' or '[' behind 'a.b[0]'");
  CHECK(why("a..b=1") == "the path has an empty part");
  CHECK(why("[0]=1") == "the scenario is an object, not an array");
}

TEST_CASE("A member of a number or of an array cannot be set", "[config]") {
  CHECK_THAT(overridden(R"({ "n": 1 })", "n.x=1"), Catch::EndsWith("n is a number, not an object"));
  CHECK_THAT(overridden(R"({ "n": [1] })", "n.x=1"), Catch::EndsWith("n is an array, not an object"));
}

TEST_CASE("What is wrong with an assignment is reported by the assignment", "[config]") {
  ConfigNode root = parse(R"({ "n": 1 })");
  override_config(root, "n=many");
  Problems problems;
  Reader(root, "", problems).get<std::int64_t>("n");
  CHECK_THROWS_MATCHES(problems.throw_if_any(), ConfigError,
                       Message("--set n=many: n: expects a whole number, not a string"));
}

TEST_CASE("Defaults join the dump, as the user would have written them, and what was written stays",
          "[config]") {
  ConfigNode root = parse(R"({ "given": "3 ms", "pool": {} })");
  Problems problems;
  Reader r(root, "", problems);
  CHECK(r.get_or<Seconds>("given", "1 s").si == Approx(0.003));
  CHECK(r.get_or<Seconds>("latency", "2 us").si == Approx(2e-6));
  CHECK(r.get_or<std::int64_t>("count", "8192") == 8192);
  CHECK(r.get_or<bool>("flag", "true"));
  CHECK(r.find<double>("optional") == std::nullopt);
  auto pool = r.object("pool");
  REQUIRE(pool.has_value());
  CHECK(pool->get_or<std::string>("role", "mixed") == "mixed");
  const auto router = r.variant("router", "least-loaded");
  REQUIRE(router.has_value());
  r.done();
  CHECK(problems.empty());
  CHECK(value_of(root) == json::parse(R"({ "given": "3 ms", "pool": { "role": "mixed" }, "latency": "2 us",
                                           "count": 8192, "flag": true, "router": { "kind": "least-loaded" } })"));
  const std::string once = root.dump();
  ConfigNode again = parse(once);
  Reader second(again, "", problems);
  second.get_or<std::int64_t>("count", "1");
  CHECK(again.dump() == once);
}

TEST_CASE("A file name is relative to the file that holds it, and absolute in the dump of a run",
          "[config]") {
  const Files files;
  const auto scenario = files.write("deep/s.json", R"({ "file": "../t.csv", "name": "../t.csv" })");
  ConfigNode root = load_config(scenario);
  Problems problems;
  Reader r(root, "", problems);
  CHECK(r.file("file") == files.folder / "deep/../t.csv");
  const json dumped = json::parse(root.dump(true));
  CHECK(dumped.at("file") == (files.folder / "t.csv").lexically_normal().string());
  CHECK(dumped.at("name") == "../t.csv");
  CHECK(json::parse(root.dump()).at("file") == "../t.csv");
}

TEST_CASE("Keys that nobody asked for are problems, with those that somebody did as the known ones",
          "[config]") {
  ConfigNode root = parse(R"({ "replica": 1, "name": "x" })");
  Problems problems;
  Reader r(root, "pool", problems);
  r.get<std::string>("name");
  r.find<std::int64_t>("replicas");
  r.done();
  CHECK_THROWS_MATCHES(
      problems.throw_if_any(), ConfigError,
      Message("s.json:1:3: pool: key 'replica' is unknown; known: name replicas; did you mean "
              "'replicas'?"));
}

TEST_CASE("Ranges hold their bounds: 0, 1 and what lies beside them", "[config]") {
  const auto fits = [](const std::string& number, Range range) {
    ConfigNode root = parse("{ \"n\": " + number + " }");
    Problems problems;
    Reader(root, "", problems).get<double>("n", range);
    return problems.empty();
  };
  CHECK(fits("-1", Range::any));
  CHECK((fits("0", Range::non_negative) && !fits("-1e-9", Range::non_negative)));
  CHECK((fits("1e-9", Range::positive) && !fits("0", Range::positive)));
  CHECK((fits("1", Range::fraction) && !fits("0", Range::fraction) && !fits("1.01", Range::fraction)));
  CHECK((fits("1", Range::unit) && fits("0", Range::unit) && !fits("-0.1", Range::unit) &&
         !fits("1.01", Range::unit)));
}

TEST_CASE("A whole number may be written 2e3 or 2.0, but not 2.5, 1e16 or as a string", "[config]") {
  const auto read = [](const std::string& number) -> std::optional<std::int64_t> {
    ConfigNode root = parse("{ \"n\": " + number + " }");
    Problems problems;
    const auto value = Reader(root, "", problems).get<std::int64_t>("n");
    return problems.empty() ? std::optional(value) : std::nullopt;
  };
  CHECK(read("2e3") == 2000);
  CHECK(read("2.0") == 2);
  CHECK(read("-7") == -7);
  CHECK(read("9007199254740991") == std::nullopt);  // 9e15 and above would not be exact
  CHECK(read("8999999999999999") == 8999999999999999);
  for (const std::string wrong : {"2.5", "1e16", "\"2\"", "true", "null", "[2]"})
    CHECK(read(wrong) == std::nullopt);
}

// A random value of every kind, as text written in some way or other.
json random_value(RandomEngine& engine, int depth) {
  const auto below = [&](int n) { return boost::random::uniform_int_distribution<int>(0, n - 1)(engine); };
  switch (below(depth > 0 ? 8 : 6)) {
    case 0:
      return nullptr;
    case 1:
      return below(2) == 1;
    case 2:
      return boost::random::uniform_int_distribution<std::int64_t>()(engine) - (std::int64_t{1} << 62);
    case 3:
      return static_cast<double>(below(1'000'000)) / (1 + below(1000)) * std::pow(10, below(40) - 20);
    case 4:
    case 5: {
      std::string text;
      for (int i = below(8); i > 0; --i) {
        const char* const pieces[] = {"a",  "\"", "\\", "\n",     "{",    "]",
                                      "//", "/*", "\t", "\u00e9", "\x01", ","};
        text += pieces[below(12)];
      }
      return text;
    }
    case 6: {
      json list = json::array();
      for (int i = below(5); i > 0; --i) list.push_back(random_value(engine, depth - 1));
      return list;
    }
    default: {
      json object = json::object();
      for (int i = below(5); i > 0; --i)
        object["k\"" + std::to_string(below(50))] = random_value(engine, depth - 1);
      return object;
    }
  }
}

TEST_CASE("Of 2000 random values the dump reads back as the same value, and its dump as the same text",
          "[config]") {
  RandomEngine engine = random_stream(1, "config");
  for (int i = 0; i < 2000; ++i) {
    const json value = random_value(engine, 5);
    const std::string text = value.dump(i % 4 - 1);
    INFO(text);
    const ConfigNode node = parse(text);
    const std::string dumped = node.dump();
    CHECK(json::parse(dumped) == value);
    CHECK(parse(dumped).dump() == dumped);
  }
}

}  // namespace
}  // namespace disagg
