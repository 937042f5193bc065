#include "experiments/capacity.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/experiments/program.hpp"
#include "tests/support/sanitized.hpp"

using namespace disagg;

namespace {

// Ten clusters and workloads: mixed and disaggregated, TTFT- and TPOT-bound, one that is saturated at its own
// load.
std::string scenario(int i, const std::string& replicas = "") {
  const auto pool = [&](const std::string& name, const std::string& role, int count) {
    return R"({ "name": ")" + name + R"(", "role": ")" + role +
           R"(", "accelerator": "h100-sxm-80gb", "replicas": )" + std::to_string(count) +
           (i % 3 == 2 ? R"(, "kv_capacity": "8 GB")" : "") + " }";
  };
  const std::string pools = i % 2 == 0
                                ? pool("gpu", "mixed", 1 + i / 4)
                                : pool("p", "prefill", 1 + i / 3) + ", " + pool("d", "decode", 1 + i / 5);
  return R"({ "model": "llama-3.1-8b", "seed": )" + std::to_string(i) + R"(, "cluster": { "pools": [ )" +
         pools +
         R"( ] }, "network": { "solver": "fluid" }, "workload": { "kind": "synthetic", "requests": 1500,
      "arrivals": { "kind": "poisson", "requests_per_second": )" +
         std::to_string(i == 4 ? 500 : 4 + 3 * i) +
         R"( }, "prompt_tokens": { "kind": "lognormal", "median": )" + std::to_string(500 + 300 * i) +
         R"(, "sigma": 0.7, "high": 20000 }, "output_tokens": { "kind": "uniform", "low": 1, "high": )" +
         std::to_string(50 + 30 * i) + R"( } }, "slo": { "ttft": ")" + std::to_string(300 + 100 * i) +
         R"( ms", "tpot": ")" + std::to_string(12 + 4 * (i % 4)) + R"( ms" } })" + replicas;
}

CapacityOptions options(const test::TemporaryFolder& folder) {
  return {.scenario = folder / "s.json",
          .overrides = {},
          .attainment = 0.9,
          .tolerance = 0.02,
          .seeds = 1,
          .jobs = 2,
          .progress = {}};
}

// Share of the requests within the SLO at so many times the load; 0 when the run is saturated.
double attainment_at(const test::TemporaryFolder& folder, const std::vector<std::string>& assignments) {
  std::vector<std::string> arguments{"run", "s.json", "--json"};
  for (const std::string& assignment : assignments) {
    arguments.emplace_back("--set");
    arguments.push_back(assignment);
  }
  const test::Ended ended = test::call(folder, arguments);
  REQUIRE(ended.code == 0);
  const auto metrics = nlohmann::json::parse(ended.out).at("metrics");
  return metrics.at("saturated").get<bool>() ? 0 : metrics.at("slo_attainment").get<double>();
}

}  // namespace

TEST_CASE("The capacity of ten scenarios is that of a grid of loads in steps of 10 %, within a step") {
  for (int i = 0; i < (test::kSanitized ? 3 : 10); ++i) {
    const test::TemporaryFolder folder;
    test::write_text(folder / "s.json", scenario(i));
    const Capacity found = find_capacity(options(folder));
    INFO("scenario " << i);
    REQUIRE(found.capacity);
    REQUIRE(found.next);
    CHECK(found.next->scale / found.capacity->scale <= 1.0201);
    CHECK(found.capacity->attainment >= 0.9);
    // The grid around it, and coarsely far below: what stands below the answer meets, what stands above does
    // not.
    for (const double step : {0.2, 0.5, 0.8, 0.9})
      CHECK(attainment_at(folder, {"workload.rate_scale=" + std::to_string(found.capacity->scale * step)}) >=
            0.9);
    for (const double step : {1.1, 1.2})
      CHECK(attainment_at(folder, {"workload.rate_scale=" + std::to_string(found.capacity->scale * step)}) <
            0.9);
  }
}

TEST_CASE(
    "The cheapest of all prefill and decode pools is the one that an exhaustive search finds, in ten cases") {
  for (int i = 0; i < (test::kSanitized ? 3 : 10); ++i) {
    const test::TemporaryFolder folder;
    test::write_text(
        folder / "s.json",
        R"({ "model": "llama-3.1-8b", "seed": )" + std::to_string(i) + R"(, "cluster": { "pools": [
        { "name": "p", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 1 },
        { "name": "d", "role": "decode", "accelerator": "h200-sxm-141gb", "replicas": 1 } ] }, "network": { "solver": "fluid" },
      "workload": { "kind": "synthetic", "requests": 1200, "arrivals": { "kind": "poisson", "requests_per_second": )" +
            std::to_string(15 + 2 * i) + R"( }, "prompt_tokens": { "kind": "lognormal", "median": )" +
            std::to_string(500 + 200 * i) + R"(, "sigma": 0.6, "high": 20000 }, "output_tokens": )" +
            std::to_string(400 - 30 * i) + R"( }, "slo": { "ttft": "400 ms", "tpot": "12 ms" } })");
    const std::vector<Axis> axes{parse_axis("cluster.pools[0].replicas=1,2,3"),
                                 parse_axis("cluster.pools[1].replicas=1,2,3")};
    const Design grid = make_design(axes, DesignKind::grid, 0, 0);
    const CheapestCluster found = find_cheapest(options(folder), grid, Match::cost);
    double least = 1e9;
    std::vector<std::string> best;
    for (std::size_t point = 0; point < 9; ++point) {
      const auto assignments = grid.assignments(point);
      if (attainment_at(folder, assignments) < 0.9) continue;
      const double cost = budget(load_scenario(folder / "s.json", assignments), Match::cost).total();
      if (cost < least) best = assignments;
      least = std::min(least, cost);
    }
    INFO("case " << i);
    REQUIRE(found.best.has_value() == !best.empty());
    if (found.best) CHECK(found.best->assignments == best);
  }
}

TEST_CASE(
    "capacity asks for an SLO and an open workload, ends with 1 when nothing meets it, whatever the jobs") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "s.json", scenario(1));
  const test::Ended one = test::call(folder, {"capacity", "s.json", "--json", "--jobs", "1"});
  const test::Ended two = test::call(folder, {"capacity", "s.json", "--json", "--jobs", "2"});
  CHECK(one.code == 0);
  CHECK(one.out == two.out);
  test::write_text(folder / "never.json",
                   test::with(scenario(1), R"("ttft": "400 ms")", R"("ttft": "1 ns")"));
  const test::Ended never = test::call(folder, {"capacity", "never.json"});
  CHECK(never.code == 1);
  CHECK_THAT(never.out, Catch::Contains("No load was found at which 90 % of the requests meet the SLO"));
  const std::string text = scenario(1);
  test::write_text(folder / "free.json", text.substr(0, text.find(R"(, "slo")")) + " }");
  CHECK_THAT(test::call(folder, {"capacity", "free.json"}).err, Catch::Contains("has no \"slo\""));
  test::write_text(folder / "closed.json",
                   test::with(text, R"({ "kind": "poisson", "requests_per_second": 7 })",
                              R"({ "kind": "closed-loop", "concurrency": 7 })"));
  const test::Ended closed = test::call(folder, {"capacity", "closed.json"});
  CHECK(closed.code == 2);
  CHECK_THAT(closed.err, Catch::Contains("sweep workload.arrivals.concurrency"));
  CHECK(test::call(folder, {"capacity", "s.json", "--minimise", "cost"}).code == 2);
}

TEST_CASE("What is still to come of a trace does not end a measured window early") {
  // 900 requests at once, of which most wait too long, and then 12,000 that do not.
  const test::TemporaryFolder folder;
  std::string trace = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  const auto row = [&](double seconds) {
    const auto ticks = static_cast<std::int64_t>(std::llround(seconds * 1e7));
    std::string text = std::to_string(100'000'000 + ticks % 10'000'000).substr(2);
    trace += "2023-11-16 18:0" + std::to_string(ticks / 10'000'000 / 60) + ":" +
             std::to_string(100 + ticks / 10'000'000 % 60).substr(1) + "." + text + ",3000,20\n";
  };
  for (int i = 0; i < 900; ++i) row(0.5 + i * 1e-3);
  for (int i = 0; i < 12000; ++i) row(35 + i * 65.0 / 12000);
  test::write_text(folder / "t.csv", trace);
  test::write_text(folder / "s.json", R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
      { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 16 } ] }, "network": { "solver": "fluid" },
    "workload": { "kind": "azure", "file": "t.csv" }, "horizon": { "measure": "100 s" }, "slo": { "ttft": "1 s" } })");
  const double whole = attainment_at(folder, {});
  REQUIRE(whole > 0.92);
  REQUIRE(whole < 0.99);
  const TriedPoint tried = try_load(options(folder));
  CHECK_FALSE(tried.abandoned);
  CHECK(tried.attainment == whole);
}

TEST_CASE("The cheapest of zipped clusters is sought among them only, and idle options are refused") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "s.json", scenario(1));
  const test::Ended zip = test::call(
      folder, {"capacity", "s.json", "--minimise", "count", "--axis", "cluster.pools[0].replicas=1,2",
               "--axis", "cluster.pools[1].replicas=1,2", "--design", "zip", "--json"});
  CHECK(nlohmann::json::parse(zip.out).at("points") == 2);
  for (const auto& [budget, unit] : {std::pair{"count", "accelerators"},
                                     {"cost", "USD/h"},
                                     {"rent", "USD/h"},
                                     {"capital", "USD"},
                                     {"power", "W"}}) {
    INFO(budget);
    const test::Ended least = test::call(
        folder, {"capacity", "s.json", "--minimise", budget, "--axis", "cluster.pools[0].replicas=1,2"});
    CHECK(least.code == 0);
    CHECK_THAT(least.out, Catch::Matches("[^]*\\s" + std::string(unit) + "\\s[^]*"));
  }
  const test::Ended idle = test::call(folder, {"capacity", "s.json", "--minimise", "count", "--axis",
                                               "cluster.pools[0].replicas=1,2", "--csv", "x.csv"});
  CHECK(idle.code == 2);
  const test::Ended too_large = test::call(
      folder, {"capacity", "s.json", "--axis", "model=llama-3.1-8b,llama-3.1-405b", "--jobs", "1"});
  CHECK(too_large.code == 2);
  CHECK_THAT(too_large.err, Catch::StartsWith("at model=llama-3.1-405b: "));
  // A cluster that meets the SLO at no load has no figures.
  const test::Ended never =
      test::call(folder, {"capacity", "s.json", "--axis", "slo.ttft=1 ns,400 ms", "--column",
                          "capacity.per_s", "--column", "metrics.ttft_ms.p99"});
  CHECK_THAT(never.out, Catch::Contains(",0,\n"));
}
