#include "experiments/costs.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "experiments/scenario.hpp"
#include "tests/experiments/program.hpp"

using namespace disagg;

namespace {

Scenario scenario(const std::string& accelerator, const std::string& more = "",
                  const std::string& costs = "") {
  return read_scenario(
      parse_config(R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "gpu", "accelerator": )" +
                       accelerator + R"(, "replicas": 1 )" + more + R"(} ] })" + costs +
                       R"(, "workload": { "kind": "synthetic",
      "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 1, "prompt_tokens": 10, "output_tokens": 5 } })",
                   "test"),
      "test");
}

}  // namespace

TEST_CASE(
    "An H100 of 42,000 USD costs 1.80 USD an hour: 1.45 of capital, 0.25 of hosting and 0.11 of energy") {
  CostModel costs;
  costs.upkeep_share = 0;
  costs.availability = 1;
  const Watts power{1384};
  const HourlyCost hour = hourly_cost(costs, {42'000, power}, power * 0.8);
  CHECK(hour.capital == Approx(1.447).margin(0.001));
  CHECK(hour.hosting == Approx(0.246).margin(0.001));
  CHECK(hour.energy == Approx(0.111).margin(0.001));
  CHECK(hour.total() == Approx(1.80).margin(0.005));
  CHECK(hourly_cost(costs, {27'400, power}, power * 0.8).total() == Approx(1.30).margin(0.005));
}

TEST_CASE("Capital is repaid with interest: 0.302 a year at 8 % over 4 years, 0.336 at 13 %, 0.25 at none") {
  CostModel costs;
  costs.upkeep_share = 0;
  costs.availability = 1;
  const auto yearly = [&](double rate, double residual) {
    costs.cost_of_capital = rate;
    costs.residual_share = residual;
    return hourly_cost(costs, {1, Watts{0}}, Watts{0}).capital * 8760;
  };
  CHECK(yearly(0.08, 0) == Approx(0.302).margin(0.0005));
  CHECK(yearly(0.13, 0) == Approx(0.336).margin(0.0005));
  CHECK(yearly(0, 0) == Approx(0.25));
  // A third comes back after four years: its present value is 0.3 / 1.08^4.
  CHECK(yearly(0.08, 0.3) == Approx(yearly(0.08, 0) * (1 - 0.3 / std::pow(1.08, 4))));
  CHECK(yearly(0, 0.3) == Approx(0.175));
}

TEST_CASE("Provision counts all accelerators of all pools and every instance of a memory pool") {
  const Scenario one = scenario(R"("h100-sxm-80gb")", R"(, "parallelism": { "tp": 2 })");
  const auto provided = provision(one.costs, one.cluster);
  REQUIRE(provided);
  CHECK(provided->capital_usd == 84'000);
  CHECK(provided->power.si == 2768);
  const Scenario pooled = read_scenario(
      parse_config(
          R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 3,
      "prefix_cache": {}, "tiers": ["dram"] } ], "memory_pools": [ { "name": "dram", "scope": "replica", "preset": "host-dram", "capacity": "100 GB" } ] },
      "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 1, "prompt_tokens": 10, "output_tokens": 5 } })",
          "test"),
      "test");
  CHECK(provision(pooled.costs, pooled.cluster)->capital_usd == 3 * 42'000 + 3 * 100 * 7);
  CHECK(provision(pooled.costs, pooled.cluster)->power.si == Approx(3 * 1384 + 3 * 100 * 0.0625));
  // What a memory costs is its preset's, and a scenario can say more.
  const auto with_memory = [](const std::string& memory) {
    return read_scenario(
        parse_config(
            R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 3,
      "prefix_cache": {}, "tiers": ["below"] } ], "memory_pools": [ { "name": "below", "scope": "replica", "capacity": "100 GB", )" +
                memory +
                R"( } ] },
      "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 1, "prompt_tokens": 10, "output_tokens": 5 } })",
            "test"),
        "test");
  };
  const Scenario nvme = with_memory(R"("preset": "nvme")");
  CHECK(provision(nvme.costs, nvme.cluster)->capital_usd == Approx(3 * 42'000 + 3 * 100 * 0.2));
  const Scenario dear = with_memory(R"("preset": "nvme", "cost": { "usd_per_gb": 0.36 })");
  CHECK(provision(dear.costs, dear.cluster)->capital_usd == Approx(3 * 42'000 + 3 * 100 * 0.36));
  CHECK(dear.cluster.tiers[0].cost.pj_per_bit == 215);
  // Without published figures there is no cost, and a scenario can bring its own.
  const Scenario unknown = scenario(R"("l40s")");
  CHECK_FALSE(provision(unknown.costs, unknown.cluster));
  const Scenario own =
      scenario(R"({ "extends": "l40s", "all_in": { "capital": "13000 USD", "power": "900 W" } })");
  CHECK(provision(own.costs, own.cluster)->capital_usd == 13'000);
}

TEST_CASE(
    "Where its parts pay for the network, 16 accelerators save 4,246 USD and 95 W each and buy NICs and "
    "ports") {
  const std::string topology =
      R"({ "model": "llama-3.1-8b", "cluster": { "topology": { "kind": "rail-optimized" },
         "pools": [ { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 16 } ] }, "costs": { "network_from": "parts" })"
      R"(, "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 1, "prompt_tokens": 10, "output_tokens": 5 } })";
  const Scenario s = read_scenario(parse_config(topology, "test"), "test");
  REQUIRE(s.costs.bill);
  double capital = 0;
  double power = 0;
  double nics = 0;
  for (const FabricPart& part : s.costs.bill->parts) {
    capital += part.count * part.price.value_or(Dollars{}).si;
    power += part.count * part.power.value_or(Watts{}).si;
    if (part.name.starts_with("NIC")) nics = part.count;
  }
  CHECK(nics == 16);
  CHECK(capital > 16 * 1500);
  const auto provided = provision(s.costs, s.cluster);
  REQUIRE(provided);
  CHECK(provided->capital_usd == Approx(16 * (42'000 - 4246) + capital));
  CHECK(provided->power.si == Approx(16 * (1384 - 95) + power));
  CHECK(s.costs.network_power(s.cluster.pools[0].shape.accelerator).si == 0);
  // A rack's switches are in its accelerators' price, and are not paid for twice.
  const Scenario rack = read_scenario(parse_config(test::with(test::with(topology, "rail-optimized", "nvl72"),
                                                              "h100-sxm-80gb", "gb200-nvl72"),
                                                   "test"),
                                      "test");
  const auto parts = parts_of(rack.placed.fabric);
  const auto is_tray = [](const FabricPart& part) { return part.name == "NVLink switch tray"; };
  CHECK(std::ranges::count_if(parts, is_tray) == 1);
  CHECK(std::ranges::count_if(rack.costs.bill->parts, is_tray) == 0);
}

TEST_CASE("Costs that cannot be are refused with their place") {
  const auto problem = [](const std::string& costs) -> std::string {
    try {
      scenario(R"("h100-sxm-80gb")", "", R"(, "costs": )" + costs);
      return "";
    } catch (const ConfigError& error) {
      return error.what();
    }
  };
  CHECK_THAT(problem(R"({ "pue": 0.9 })"),
             Catch::Contains("costs.pue: is the facility's power over that of IT"));
  CHECK_THAT(problem(R"({ "availability": 0 })"), Catch::Contains("costs.availability"));
  CHECK_THAT(problem(R"({ "lifetime": 4 })"), Catch::Contains("costs: key 'lifetime' is unknown"));
  CHECK(problem(R"({ "pue": 1.1, "network": "100 W" })").empty());
}

TEST_CASE("Prompts and output tokens share the cost: of two pools each its own, and together all of it") {
  const test::TemporaryFolder folder;
  const auto cost_of = [&](const std::string& pools) {
    test::write_text(folder / "s.json", R"({ "model": "llama-3.1-8b", "cluster": { "pools": [)" + pools +
                                            R"(] }, "workload": { "kind": "synthetic", "requests": 50,
      "arrivals": { "kind": "constant", "requests_per_second": 1 }, "prompt_tokens": 1000, "output_tokens": 101 } })");
    const test::Ended ended = test::call(folder, {"run", "s.json", "--json"});
    REQUIRE(ended.code == 0);
    const auto summary = nlohmann::json::parse(ended.out);
    const auto& cost = summary.at("cost");
    const double input = summary.at("metrics").at("total_input_tokens").get<double>();
    const double output = summary.at("metrics").at("total_output_tokens").get<double>();
    CHECK(cost.at("split_usd_per_million_input_tokens").get<double>() * input +
              cost.at("split_usd_per_million_output_tokens").get<double>() * output ==
          Approx(cost.at("usd_per_million_tokens").get<double>() * (input + output)));
    return cost;
  };
  // 42,000 USD of prefill and 92,000 USD of decode.
  const auto apart = cost_of(
      R"({ "name": "p", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 1 },
         { "name": "d", "role": "decode", "accelerator": "h200-sxm-141gb", "replicas": 2 })");
  CHECK(apart.at("prompt_share").get<double>() == Approx(42.0 / (42 + 92)));
  // By hand, on one H100: 50 prompts of 1,000 tokens are compute-bound, 15 GFLOP a token and attention at 989
  // TFLOP/s; 5,000 steps of one sequence read 15 GB of weights at 3.35 TB/s.
  const auto mixed = cost_of(R"({ "name": "m", "accelerator": "h100-sxm-80gb", "replicas": 1 })");
  const double prefill = 50 * (1000 * 15.0e9 + 1.05e9) / 989e12;
  const double decode = 50 * 100 * 15.1e9 / 3.35e12;
  CHECK(mixed.at("prompt_share").get<double>() == Approx(prefill / (prefill + decode)).epsilon(0.1));
}
