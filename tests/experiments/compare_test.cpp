#include "experiments/compare.hpp"

#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "experiments/intervals.hpp"
#include "sim/base/random.hpp"
#include "tests/experiments/program.hpp"

using namespace disagg;

namespace {

std::string pools(int prefill, int decode) {
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
      { "name": "p", "accelerator": "h100-sxm-80gb", "replicas": )" +
         std::to_string(prefill) + R"(, "role": "prefill" },
      { "name": "d", "accelerator": "h200-sxm-141gb", "replicas": )" +
         std::to_string(decode) + R"(, "role": "decode" } ] }, "network": { "solver": "fluid" },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 40 }, "requests": 200,
      "prompt_tokens": { "kind": "lognormal", "median": 2000, "sigma": 0.8, "high": 20000 }, "output_tokens": 50 },
    "slo": { "ttft": "100 ms", "tpot": "20 ms" } })";
}

// The same with enough requests, and an SLO that can be met.
std::string served(int prefill, int decode) {
  return test::with(test::with(pools(prefill, decode), "\"100 ms\"", "\"1 s\""), R"("requests": 200)",
                    R"("requests": 800)");
}

// A side whose goodput is the given one in each seed, at a rent of 1 USD/h.
Replications side(const std::string& name, const std::vector<double>& goodputs) {
  Replications runs;
  for (const double goodput : goodputs)
    runs.push_back(
        {{"name", name},
         {"metrics", {{"request_goodput", goodput}, {"slo_attainment", 0.5}, {"saturated", false}}},
         {"cluster", {{"rent_usd_per_hour", 1.0}}},
         {"pools", nlohmann::ordered_json::object()},
         {"bottleneck", {{"sentence", ""}}},
         {"provenance",
          {{"model", "m"}, {"workload_hash", "w"}, {"slo_hash", "s"}, {"horizon_hash", "h"}, {"seed", 1}}}});
  return runs;
}

}  // namespace

TEST_CASE("A 95 % interval holds the true mean in 93 to 97 % of 1,000 repetitions of 5 paired replications") {
  RandomEngine random = random_stream(11, "test/intervals");
  boost::random::normal_distribution<double> common(100, 30);  // shared by both sides of a pair
  boost::random::normal_distribution<double> noise(0, 2);
  int held = 0;
  for (int repetition = 0; repetition < 1000; ++repetition) {
    std::vector<double> differences;
    for (int seed = 0; seed < 5; ++seed) {
      const double load = common(random);
      differences.push_back(load + 3 + noise(random) - (load + noise(random)));
    }
    held += mean_interval(differences).contains(3) ? 1 : 0;
  }
  CHECK(held >= 930);
  CHECK(held <= 970);
  // Student's t of 4 degrees: 2.776 x sqrt(2.5 / 5).
  const std::vector<double> five{1, 2, 3, 4, 5};
  CHECK(mean_interval(five).half_width == Approx(2.776 * std::sqrt(0.5)).epsilon(1e-3));
  CHECK(std::isinf(mean_interval(std::vector<double>{1}).half_width));
}

TEST_CASE("Matched pools are within half a replica of the budget and in nearly their proportions") {
  RandomEngine random = random_stream(4, "test/match");
  for (int i = 0; i < 2000; ++i) {
    Budget b;
    const auto count = boost::random::uniform_int_distribution<int>(1, 4)(random);
    double least = 1e9;
    double floor = 0;
    for (int p = 0; p < count; ++p) {
      b.replicas.push_back(boost::random::uniform_int_distribution<std::int64_t>(1, 40)(random));
      b.per_replica.push_back(boost::random::uniform_real_distribution<double>(1, 10)(random));
      least = std::min(least, b.per_replica.back());
      floor += b.per_replica.back();
    }
    b.fixed = boost::random::uniform_real_distribution<double>(0, 20)(random);
    const double target = b.fixed + floor + boost::random::uniform_real_distribution<double>(10, 500)(random);
    const auto counts = matched_replicas(b, target);
    double step = 1e9;  // the smallest that can be taken towards the target
    for (std::size_t p = 0; p < counts.size(); ++p)
      if (counts[p] > 1 || b.of(counts) < target) step = std::min(step, b.per_replica[p]);
    REQUIRE(std::abs(b.of(counts) - target) <= step / 2 + 1e-9);
    const double scale = (target - b.fixed) / (b.total() - b.fixed);
    for (std::size_t p = 0; p < counts.size(); ++p) {
      REQUIRE(counts[p] >= 1);
      // Off by its rounding, by what pools of less than one replica take, and by single steps.
      REQUIRE(std::abs(static_cast<double>(counts[p]) - scale * static_cast<double>(b.replicas[p])) <
              0.5 + floor / least);
    }
  }
  const Budget same{.replicas = {3, 5}, .per_replica = {4, 7}, .pool_names = {"a", "b"}, .fixed = 2};
  CHECK(matched_replicas(same, same.total()) == same.replicas);
}

TEST_CASE(
    "compare --match cost scales the second cluster to the first's hourly cost and tells the remainder") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.json", pools(3, 2));
  test::write_text(folder / "b.json", pools(1, 5));
  for (const std::string match : {"count", "cost", "rent", "capital", "power"}) {
    INFO(match);
    const test::Ended ended =
        test::call(folder, {"compare", "a.json", "b.json", "--match", match, "--seeds", "3", "--json"});
    REQUIRE(ended.code == 0);
    const auto j = nlohmann::json::parse(ended.out);
    REQUIRE(j.at("baseline").size() == 3);
    REQUIRE(j.at("candidates").at(0).at("summaries").size() == 3);
    const auto& a = j.at("baseline").at(0);
    const auto& b = j.at("candidates").at(0).at("summaries").at(0);
    const std::string pointer = match == "count"     ? "/cluster/accelerators"
                                : match == "rent"    ? "/cluster/rent_usd_per_hour"
                                : match == "capital" ? "/cost/capital_usd"
                                : match == "power"   ? "/cost/provisioned_power_w"
                                                     : "/cost/usd_per_hour";
    const nlohmann::json::json_pointer at{pointer};
    // Within one replica of five.
    CHECK(b.at(at).get<double>() == Approx(a.at(at).get<double>()).epsilon(0.12));
    CHECK(j.at("matched").at(0).get<std::string>().starts_with("'b' at equal " + match +
                                                               ": replicas of p 1 -> "));
    // The same seeds, and with them the same requests, on both sides.
    for (std::size_t seed = 0; seed < 3; ++seed)
      CHECK(j.at("baseline").at(seed).at("metrics").at("total_input_tokens") ==
            j.at("candidates").at(0).at("summaries").at(seed).at("metrics").at("total_input_tokens"));
    CHECK(j.at("baseline").at(0).at("metrics").at("total_input_tokens") !=
          j.at("baseline").at(1).at("metrics").at("total_input_tokens"));
  }
  test::write_text(folder / "c.json", test::with(pools(1, 1), "h100-sxm-80gb", "l40s"));
  const test::Ended unpriced = test::call(folder, {"compare", "a.json", "c.json", "--match", "cost"});
  CHECK(unpriced.code == 2);
  CHECK_THAT(
      unpriced.err,
      Catch::Contains("'l40s' has no all-in cost; give it inline: {\"extends\": \"l40s\", \"all_in\""));
}

TEST_CASE("The verdict says when a difference is not significant") {
  const auto verdict = [](const std::vector<double>& a, const std::vector<double>& b) {
    Comparison comparison;
    comparison.sides = {side("a", a), side("b", b)};
    return comparison_json(comparison).at("verdict").get<std::string>();
  };
  CHECK_THAT(verdict({10, 11, 9}, {10.5, 10.8, 9.1}),
             Catch::StartsWith("No significant difference in goodput"));
  // Far apart from seed to seed, but alike in each: pairs tell.
  CHECK_THAT(verdict({10, 20, 5}, {10.5, 21.1, 5.26}),
             Catch::StartsWith(
                 "'b' wins in goodput under the SLO per dollar of rent: 5.23 % more than 'a', give or take"));
  CHECK_THAT(verdict({10}, {10.05}), Catch::Contains("are within 1 % of each other"));
  CHECK_THAT(verdict({10}, {30}),
             Catch::Contains("3 times that of 'a' (one seed each, no confidence interval)"));
}

TEST_CASE("A side without a cost takes the denominator from all, instead of winning by it") {
  Comparison comparison;
  comparison.match = Match::cost;
  comparison.sides = {side("a", {10}), side("b", {10.05})};
  comparison.sides[0][0]["cost"] = {{"usd_per_hour", 6.0}};
  CHECK_THAT(comparison_json(comparison).at("verdict").get<std::string>(),
             Catch::Contains("within 1 % of each other in goodput under the SLO (one seed each)"));
}

TEST_CASE("compare --fail-if exits with 1 and says which limit, and refuses figures that are not there") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.json", pools(2, 2));
  test::write_text(folder / "b.json", pools(1, 2));
  const auto with_limit = [&](const std::string& limit) {
    return test::call(folder, {"compare", "a.json", "b.json", "--fail-if", limit, "--quiet"});
  };
  CHECK(with_limit("change(metrics.ttft_ms.p99) < -50").code == 0);
  const test::Ended failed = with_limit("change(metrics.ttft_ms.p99) > 5");
  CHECK(failed.code == 1);
  CHECK_THAT(failed.err, Catch::Contains("'b' has a change of metrics.ttft_ms.p99 of"));
  CHECK(with_limit("metrics.completed < 1e9").code == 1);
  CHECK(with_limit("metrics.completed > 1e9").code == 0);
  for (const std::string broken : {"metrics.nothing > 5", "metrics.completed = 5", "metrics.completed > x",
                                   "metrics.completed > nan", "metrics~x > 3", "metrics.completed > 5 6"}) {
    const test::Ended refused = with_limit(broken);
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, Catch::Contains("--fail-if '" + broken + "'"));
  }
}

TEST_CASE("A seed under which the baseline serves nothing does not make a worse side better") {
  Comparison comparison;
  comparison.sides = {side("a", {3.46, 0.36, 0.93, 1.48, 0}), side("b", {0.73, 0, 0, 0, 0})};
  const std::string csv = conditions_csv({"x"}, {{.condition = {"1"}, .comparison = comparison}});
  CHECK_THAT(csv, !Catch::Contains(",better,"));
  CHECK_THAT(comparison_json(comparison).at("verdict").get<std::string>(), !Catch::Contains("has none"));
  // Differences over the mean of 1.246: -2.73, -0.36, -0.93, -1.48 and 0, in the mean -1.1 of 1.246.
  const auto change = comparison_json(comparison).at("candidates").at(0).at("change");
  CHECK(change.at("metrics/request_goodput").at("mean").get<double>() == Approx(-1.1 / 1.246));
  comparison.sides = {side("a", {0, 0}), side("b", {1, 2})};
  CHECK_THAT(conditions_csv({"x"}, {{.condition = {"1"}, .comparison = comparison}}),
             Catch::Contains(",better,"));
  CHECK_THAT(comparison_json(comparison).at("verdict").get<std::string>(), Catch::Contains("'a' has none"));
}

TEST_CASE("At equal throughput a cluster gets the fewest replicas in its proportions that serve the load") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.json", served(3, 2));
  test::write_text(folder / "b.json", served(2, 1));
  const test::Ended ended =
      test::call(folder, {"compare", "a.json", "b.json", "--match", "throughput", "--json"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  const auto j = nlohmann::json::parse(ended.out);
  const auto& baseline = j.at("baseline").at(0);
  const auto& candidate = j.at("candidates").at(0).at("summaries").at(0);
  CHECK(baseline.at("provenance").at("workload_hash") == candidate.at("provenance").at("workload_hash"));
  CHECK(baseline.at("metrics").at("slo_attainment").get<double>() >= 0.9);
  CHECK(candidate.at("metrics").at("slo_attainment").get<double>() >= 0.9);
  const auto replicas = [&](const char* pool) {
    return candidate.at("pools").at(pool).at("replicas").get<int>();
  };
  // One replica fewer, of the pool that has the most for its share, does not serve it.
  const std::string sentence = j.at("matched").at(0).get<std::string>();
  CHECK_THAT(sentence, Catch::StartsWith("'b' at equal throughput (") &&
                           Catch::Contains("p 2 -> " + std::to_string(replicas("p"))));
  const std::string load =
      "workload.arrivals.requests_per_second=" +
      std::to_string(40 * baseline.at("metrics").at("request_rate").get<double>() /
                     nlohmann::json::parse(test::call(folder, {"run", "a.json", "--json"}).out)
                         .at("metrics")
                         .at("request_rate")
                         .get<double>());
  const auto attainment = [&](int p, int d) {
    const test::Ended run = test::call(folder, {"run", "b.json", "--json", "--set", load, "--set",
                                                "cluster.pools[0].replicas=" + std::to_string(p), "--set",
                                                "cluster.pools[1].replicas=" + std::to_string(d)});
    REQUIRE(run.code == 0);
    return nlohmann::json::parse(run.out).at("metrics").at("slo_attainment").get<double>();
  };
  CHECK(attainment(replicas("p"), replicas("d")) >= 0.9);
  CHECK(attainment(replicas("p") - 1, replicas("d")) < 0.9);
}

TEST_CASE("Capacities of both sides are those that capacity finds, seed by seed, under each condition") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.json", served(1, 1));
  test::write_text(folder / "b.json", served(2, 1));
  const test::Ended ended =
      test::call(folder, {"compare", "a.json", "b.json", "--at-capacity", "--seeds", "2", "--axis",
                          "workload.output_tokens=20,300", "--json", "--csv", "c.csv"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  const auto conditions = nlohmann::json::parse(ended.out).at("conditions");
  REQUIRE(conditions.size() == 2);
  for (const auto& c : conditions) {
    const std::string tokens = c.at("condition").at("workload.output_tokens").get<std::string>();
    for (const int seed : {1, 2}) {
      for (const std::string file : {"a.json", "b.json"}) {
        const auto& side = file == "a.json" ? c.at("baseline") : c.at("candidates").at(0).at("summaries");
        const test::Ended capacity =
            test::call(folder, {"capacity", file, "--json", "--set", "workload.output_tokens=" + tokens,
                                "--set", "seed=" + std::to_string(seed)});
        REQUIRE(capacity.code == 0);
        CHECK(side.at(static_cast<std::size_t>(seed - 1)).at("capacity").at("per_s") ==
              nlohmann::json::parse(capacity.out).at("capacity").at("arriving_per_s"));
      }
    }
    CHECK_THAT(c.at("verdict").get<std::string>(), Catch::Contains("capacity within the SLO"));
  }
  CHECK_THAT(test::read_text(folder / "c.csv"),
             Catch::StartsWith("workload.output_tokens,scenario,measure,score,change,half_width,"));
  // What the table says is what the capacities say.
  int better = 0;
  for (const auto& c : conditions) {
    const auto& change = c.at("candidates").at(0).at("change").at("capacity/per_s");
    // Per dollar of rent: the second prefill replica costs 2.95 USD beside 7.49.
    const double rents = 7.49 / (7.49 + 2.95);
    const double mean = (1 + change.at("mean").get<double>()) * rents - 1;
    if (mean > change.at("half_width").get<double>() * rents) ++better;
  }
  const test::Ended text = test::call(folder, {"compare", "a.json", "b.json", "--at-capacity", "--seeds", "2",
                                               "--axis", "workload.output_tokens=20,300"});
  CHECK_THAT(text.out, Catch::Contains("'b' is better than 'a' in capacity within the SLO per dollar of rent "
                                       "under " +
                                       std::to_string(better) + " of 2 conditions"));
  for (const std::vector<std::string>& refused :
       {std::vector<std::string>{"--match", "throughput", "--at-capacity"},
        {"--csv", "x.csv"},
        {"--at-capacity", "--out", "x"},
        {"--axis", "seed=1", "--csv", "nowhere/x.csv"},
        {"--axis", "model=llama-3.1-8b,typo"}}) {
    std::vector<std::string> arguments{"compare", "a.json", "b.json"};
    arguments.insert(arguments.end(), refused.begin(), refused.end());
    CHECK(test::call(folder, arguments).code == 2);
  }
}

TEST_CASE("The best split of a budget between two pools is that of an exhaustive search over five splits") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.json", served(3, 3));
  test::write_text(folder / "b.json", served(1, 5));
  const test::Ended ended =
      test::call(folder, {"compare", "a.json", "b.json", "--match", "count", "--best-split", "--json"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  const auto j = nlohmann::json::parse(ended.out);
  double highest = 0;
  int best = 0;
  for (int p = 1; p <= 5; ++p) {
    const test::Ended capacity = test::call(
        folder, {"capacity", "b.json", "--json", "--set", "cluster.pools[0].replicas=" + std::to_string(p),
                 "--set", "cluster.pools[1].replicas=" + std::to_string(6 - p)});
    if (capacity.code != 0) continue;
    const double found =
        nlohmann::json::parse(capacity.out).at("capacity").at("arriving_per_s").get<double>();
    if (found > highest) best = p;
    highest = std::max(highest, found);
  }
  const auto& pools = j.at("candidates").at(0).at("summaries").at(0).at("pools");
  CHECK(pools.at("p").at("replicas") == best);
  CHECK(pools.at("d").at("replicas") == 6 - best);
  CHECK_THAT(j.at("matched").at(0).get<std::string>(), Catch::Contains(", the best of "));
  CHECK(test::call(folder, {"compare", "a.json", "b.json", "--best-split"}).code == 2);
}
