#include "experiments/design.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "experiments/sweep.hpp"
#include "sim/base/config.hpp"
#include "tests/experiments/program.hpp"

using namespace disagg;
using Values = std::vector<std::string>;

TEST_CASE("An axis is a list, in which brackets hold commas, or a range with one unit") {
  CHECK(parse_axis("a.b=1,2,4").values == Values{"1", "2", "4"});
  CHECK(parse_axis(R"(a={"x":1,"y":[2,3]},"p,q")").values == Values{R"({"x":1,"y":[2,3]})", R"("p,q")"});
  CHECK(parse_axis("workload.file=../t.jsonl,a..b").values == Values{"../t.jsonl", "a..b"});
  CHECK(parse_axis("workload.file=../t.jsonl").values == Values{"../t.jsonl"});
  CHECK(parse_axis("a.b=1..3").at(0.25) == "1.5");
  CHECK(parse_axis("a.b=1 GB/s..100 GB/s:log").at(0.5) == "10 GB/s");
  CHECK(parse_axis("a.b=1..100 GB").at(1) == "100 GB");
  const Axis whole = parse_axis("a=2..4:int");
  CHECK(whole.at(0) == "2");
  CHECK(whole.at(0.34) == "3");
  CHECK(whole.at(0.99) == "4");
  CHECK(whole.at(1) == "4");
  const Axis list = parse_axis("a=x,y");
  CHECK(list.at(0.49) == "x");
  CHECK(list.at(0.5) == "y");
  CHECK(list.at(1) == "y");
  for (const std::string broken : {"a", "=1..2", "a=2..1", "a=1..1", "a=1 GB..2 MB", "a=0..2:log",
                                   "a=1.5..3:int", "a=1..x", "a=1,,2", "a="})
    CHECK_THROWS_AS(parse_axis(broken), ConfigError);
  CHECK_THROWS_WITH(parse_axes({"a=1", "b=2", "a=3"}), Catch::Contains("--axis a: stands twice"));
}

TEST_CASE("A grid has every value with every other, a zip the first with the first, and seeds turn fastest") {
  const std::vector<Axis> axes = parse_axes({"a=1,2", "b=7..9:int"});
  const Design grid = make_design(axes, DesignKind::grid, 0, 0);
  REQUIRE(grid.points() == 6);
  CHECK(grid.assignments(0) == Values{"a=1", "b=7"});
  CHECK(grid.assignments(1) == Values{"a=1", "b=8"});
  CHECK(grid.assignments(5) == Values{"a=2", "b=9"});
  const Design twice = replicated(grid, 2, 11);
  REQUIRE(twice.points() == 12);
  CHECK(twice.assignments(3) == Values{"a=1", "b=8", "seed=12"});
  CHECK_THROWS_AS(replicated(make_design(parse_axes({"seed=1,2"}), DesignKind::grid, 0, 0), 2, 1),
                  ConfigError);
  const Design zip = make_design(parse_axes({"a=1,2,3", "b=7..9:int"}), DesignKind::zip, 0, 0);
  REQUIRE(zip.points() == 3);
  CHECK(zip.assignments(1) == Values{"a=2", "b=8"});
  CHECK_THROWS_WITH(make_design(axes, DesignKind::zip, 0, 0), Catch::Contains("zipped axes need as many"));
  CHECK_THROWS_WITH(make_design(parse_axes({"a=1..2"}), DesignKind::grid, 0, 0),
                    Catch::Contains("a range has no values for a grid"));
  CHECK_THROWS_WITH(make_design(parse_axes({"a=1..400:int", "b=1..400:int"}), DesignKind::grid, 0, 0),
                    Catch::Contains("more than 100000 points"));
  CHECK(make_design({}, DesignKind::grid, 0, 0).points() == 1);
}

TEST_CASE("A Latin hypercube of 50 samples has one in each fiftieth of each axis, in an order of its seed") {
  constexpr std::size_t kSamples = 50;
  const UnitPoints points = latin_hypercube(kSamples, 3, 5);
  for (std::size_t a = 0; a < 3; ++a) {
    std::set<std::size_t> parts;
    for (const auto& point : points) parts.insert(static_cast<std::size_t>(point[a] * kSamples));
    CHECK(parts.size() == kSamples);
  }
  CHECK(points == latin_hypercube(kSamples, 3, 5));
  CHECK(points != latin_hypercube(kSamples, 3, 6));
}

TEST_CASE("64 Sobol points in two axes have one in each of 64 boxes, whatever their shape") {
  const UnitPoints points = sobol_points(64, 2);
  for (const std::size_t columns : {1, 2, 4, 8, 16, 32, 64}) {
    const std::size_t rows = 64 / columns;
    std::set<std::size_t> boxes;
    for (const auto& point : points)
      boxes.insert(static_cast<std::size_t>(point[0] * static_cast<double>(columns)) * rows +
                   static_cast<std::size_t>(point[1] * static_cast<double>(rows)));
    INFO(columns << " columns");
    CHECK(boxes.size() == 64);
  }
}

namespace {

const std::string kScenario = R"({ "model": "llama-3.1-8b", "seed": 3, "cluster": { "pools": [
    { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 1 } ] }, "network": { "solver": "fluid" },
  "workload": { "kind": "synthetic", "requests": 200, "arrivals": { "kind": "poisson", "requests_per_second": 10 },
    "prompt_tokens": 500, "output_tokens": 20 } })";

}  // namespace

TEST_CASE("A sweep draws samples, runs each with several seeds, and is exported as JSON and CSV alike") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "s.json", kScenario);
  const std::vector<std::string> sweep{"sweep",     "s.json",
                                       "--axis",    "workload.prompt_tokens=100..900:int",
                                       "--axis",    "model=llama-3.1-8b,qwen3-32b",
                                       "--design",  "sobol",
                                       "--samples", "4",
                                       "--seeds",   "2",
                                       "--store",   "x",
                                       "--column",  "metrics.completed"};
  const test::Ended csv = test::call(folder, sweep);
  INFO(csv.err);
  REQUIRE(csv.code == 0);
  CHECK_THAT(csv.out,
             Catch::StartsWith(
                 "point,workload.prompt_tokens,model,seed,exit_code,scenario_hash,metrics.completed\n") &&
                 Catch::Contains("\n7,"));
  CHECK(std::count(csv.out.begin(), csv.out.end(), '\n') == 9);
  const test::Ended json = test::call(folder, {"status", "x", "--json", "--column", "metrics.completed"});
  REQUIRE(json.code == 0);
  CHECK_THAT(json.out, Catch::Contains(R"("seed": "4")") && Catch::Contains(R"("metrics.completed": 200)"));
}

TEST_CASE(
    "Points that are run side by side take the time of one, and one more than fits takes another round") {
  SweepEstimate estimate;
  estimate.points = 3;
  estimate.mean = Seconds{2};
  CHECK(estimate.total(8) == Seconds{2});
  CHECK(estimate.total(2) == Seconds{4});
  estimate.in_store = 3;
  CHECK(estimate.total(2) == Seconds{0});
}

TEST_CASE("A dry run tells points, time and memory, what a store has already, and writes nothing") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "s.json", kScenario);
  const std::vector<std::string> sweep{"sweep", "s.json", "--axis", "seed=1..12:int", "--store", "x"};
  auto dry = sweep;
  dry.emplace_back("--dry-run");
  const test::Ended before = test::call(folder, dry);
  REQUIRE(before.code == 0);
  CHECK_THAT(before.out, Catch::StartsWith("12 points.\nOne takes ") && Catch::Contains("(4 were tried: ") &&
                             Catch::Contains("12 take about "));
  CHECK(folder.names() == Values{"s.json"});
  auto shard = sweep;
  shard.insert(shard.end(), {"--shard", "1/2", "--csv", "x.csv"});
  REQUIRE(test::call(folder, shard).code == 0);
  CHECK_THAT(test::call(folder, dry).out,
             Catch::StartsWith("12 points, of which the store has 6.\n") && Catch::Contains("6 take about "));
}

TEST_CASE("A saturated point ends early if that is asked for, says so, and the others stay as they are") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "s.json", test::with(kScenario, R"("requests": 200)", R"("requests": 40000)"));
  const auto column = [&](const std::vector<std::string>& more) {
    std::vector<std::string> sweep{"sweep", "s.json", "--axis", "workload.rate_scale=1,100", "--json"};
    sweep.insert(sweep.end(), more.begin(), more.end());
    const test::Ended ended = test::call(folder, sweep);
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    std::vector<std::string> completed;
    for (auto at = ended.out.find("\"metrics.completed\": "); at != std::string::npos;
         at = ended.out.find("\"metrics.completed\": ", at + 1))
      completed.push_back(ended.out.substr(at + 21, ended.out.find(',', at) - at - 21));
    return completed;
  };
  const Values whole = column({});
  const Values early = column({"--end-saturated"});
  REQUIRE(whole == Values{"40000", "40000"});
  REQUIRE(early.size() == 2);
  CHECK(early[0] == "40000");
  CHECK(std::stoi(early[1]) < 30000);
}
