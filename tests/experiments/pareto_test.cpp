#include "experiments/pareto.hpp"

#include <boost/random/uniform_int_distribution.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "experiments/store.hpp"
#include "sim/base/config.hpp"
#include "sim/base/random.hpp"
#include "tests/experiments/program.hpp"

using namespace disagg;

namespace {

void put(Store& store, std::size_t point, double throughput, double ttft) {
  const nlohmann::json summary{{"metrics", {{"throughput", throughput}, {"ttft", ttft}}},
                               {"cost", {{"usd", 2.0}}}};
  store.put(point, {.assignments = R"({"seed": ")" + std::to_string(point) + "\"}",
                    .scenario_hash = "",
                    .result = {.code = 0, .output = summary.dump()},
                    .metrics = {}});
}

}  // namespace

TEST_CASE(
    "A point is on the front if and only if no other is as good in both and better in one, in 500 draws") {
  RandomEngine random = random_stream(3, "test/pareto");
  boost::random::uniform_int_distribution<int> small(0, 6);  // with many ties
  for (int i = 0; i < 500; ++i) {
    const Objective x = parse_objective(i % 2 == 0 ? "a" : "min:a");
    const Objective y = parse_objective(i % 3 == 0 ? "b" : "min:b");
    std::vector<ParetoPoint> points(static_cast<std::size_t>(1 + small(random) * 3));
    for (ParetoPoint& p : points) {
      p.x = small(random);
      p.y = small(random);
    }
    find_front(points, x, y);
    for (const ParetoPoint& p : points) {
      bool beaten = false;
      for (const ParetoPoint& q : points) {
        const double dx = (q.x - p.x) * (x.smallest ? -1 : 1);
        const double dy = (q.y - p.y) * (y.smallest ? -1 : 1);
        beaten = beaten || (dx >= 0 && dy >= 0 && (dx > 0 || dy > 0));
      }
      REQUIRE(p.dominated == beaten);
    }
  }
}

TEST_CASE("Fronts of two stores: what is dominated, and the share that each covers") {
  const test::TemporaryFolder folder;
  {
    Store a(folder / "a", {"{\"axes\": []}", 4}, false);
    put(a, 0, 10, 4);
    put(a, 1, 20, 8);
    put(a, 2, 5, 9);  // dominated by both
    a.put(
        3,
        {.assignments = "{}", .scenario_hash = "", .result = {.code = 1, .output = "stuck"}, .metrics = {}});
    Store b(folder / "b", {"{\"axes\": []}", 1}, false);
    put(b, 0, 10, 5);
  }
  const test::Ended ended = test::call(
      folder, {"pareto", "a", "b", "--x", "metrics.throughput", "--y", "min:metrics.ttft", "--json"});
  REQUIRE(ended.code == 0);
  const auto fronts = nlohmann::json::parse(ended.out).at("fronts");
  CHECK(fronts.at(0).at("left_out") == 1);
  std::vector<bool> dominated;
  for (const auto& p : fronts.at(0).at("points")) dominated.push_back(p.at("dominated").get<bool>());
  CHECK(dominated == std::vector<bool>{true, false, false});
  // Between 5 and 20, and 9 and 4: (10 - 5) x (9 - 4) and (20 - 10) x (9 - 8) of 15 x 5.
  CHECK(fronts.at(0).at("hypervolume").get<double>() == Approx(35.0 / 75));
  CHECK(fronts.at(1).at("hypervolume").get<double>() == Approx(5.0 * 4 / 75));
  const test::Ended per_dollar =
      test::call(folder, {"pareto", "a", "--x", "metrics.throughput/cost.usd", "--y", "min:metrics.ttft"});
  CHECK(per_dollar.code == 0);
  CHECK_THAT(per_dollar.out, Catch::Contains("2 of 3 points are on the front; 1 failed or lack a figure."));
  const test::Ended absent =
      test::call(folder, {"pareto", "a", "--x", "metrics.nothing", "--y", "min:metrics.ttft"});
  CHECK(absent.code == 2);
  CHECK_THAT(absent.err, Catch::Contains("a: no point has both 'metrics.nothing' and 'min:metrics.ttft'"));
  for (const std::string broken : {"", "min:", "a/", "/b", "a/b/c"})
    CHECK_THROWS_AS(parse_objective(broken), ConfigError);
}
