// Energy: what is drawn by hand, at idle, in spans as step by step, and over time.
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "experiments/scenario.hpp"
#include "sim/intensity/transformer_work.hpp"
#include "sim/model/model_spec.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/harness.hpp"

using namespace disagg;

namespace {

const PowerModel& h100() {
  for (const Accelerator& a : accelerators())
    if (a.name == "h100-sxm-80gb") return a.power;
  FAIL("no H100");
  return accelerators().front().power;
}

}  // namespace

TEST_CASE("The draw of an H100 and a B200 at 60 % of the bandwidth and 2 % of the tensor rate") {
  // 0.132 + 0.359 x 0.6 + 1.08 x 0.2714 of 700 W.
  CHECK(h100().draw(0.6, 0.02, false) * 700 == Approx(448.4).margin(0.1));
  CHECK(h100().draw(0, 0, false) == 0.17);
  CHECK(h100().draw(1, 1, true) == 1);
  for (const Accelerator& a : accelerators()) {
    if (a.name == "b200-sxm") {
      CHECK(a.power.draw(0.3, 0.02, true) - a.power.draw(0.3, 0.02, false) == Approx(0.128));
      CHECK_FALSE(a.power.assumed);
    }
    if (a.name == "gb300-nvl72" || a.name == "h200-sxm-141gb") {
      CHECK(a.power.assumed);
      CHECK(a.power.tensor == (a.name == "gb300-nvl72" ? 0.904 : 1.08));
    }
  }
}

TEST_CASE(
    "A lone request draws what its prompt and its 9 decode steps do, and a replica without one nothing") {
  const std::string scenario = R"({ "model": "llama-3.1-8b", "cluster": { "router": "round-robin", "pools": [
      { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 2, "service": { "kind": "table",
        "tokens": [1, 100000], "prefill": ["50 ms", "50 ms"], "decode": ["20 ms", "20 ms"] } } ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 1,
      "prompt_tokens": 1000, "output_tokens": 10 } })";
  const test::Facts facts = test::simulate(scenario);
  const TransformerWork work(*find_model("llama-3.1-8b"), {});
  const auto power = [](const Work& w, double seconds) {
    return 700 * h100().draw(w.bytes.si / (3.35e12 * seconds), w.flops.si / (989e12 * seconds), false);
  };
  double energy = 0.05 * power(work.linear(1000, 1, 1) + work.prefill_attention(0, 1000), 0.05);
  for (int step = 0; step < 9; ++step) {
    const double context = 1001 + step;
    energy += 0.02 * power(work.linear(1, 1, 1) + work.decode_attention({context, context}, 1), 0.02);
  }
  CHECK(facts.usage.at(0).energy.si == Approx(energy).epsilon(1e-6));
  CHECK(facts.usage.at(0).busy.si == Approx(0.05 + 9 * 0.02));
  CHECK(facts.usage.at(1).energy.si == 0);
  CHECK(facts.usage.at(1).busy.si == 0);
}

TEST_CASE(
    "A mixture of experts draws more in small batches than its work alone: its tiles are computed whole") {
  const ModelSpec& model = *find_model("qwen3-235b-a22b");
  const TransformerWork work(model, {});
  // 8 tokens ask for 64 experts of 128, of which 51.5 are distinct: 64 of 824 rows are theirs.
  const double distinct = 128 * (1 - std::pow(1 - 8.0 / 128, 8));
  const double row = 2 * 94 * 3 * 4096.0 * 1536;
  CHECK(work.empty_expert_rows(8, 16).si == Approx((distinct * 16 - 64) * row));
  CHECK(work.empty_expert_rows(100'000, 16).si == 0);
  CHECK(TransformerWork(*find_model("llama-3.1-8b"), {}).empty_expert_rows(8, 16).si == 0);
}

TEST_CASE("Energy is the same in spans as step by step, whatever is preempted, and failures leave none out") {
  for (const std::string failures :
       {"", R"(, "failures": [ { "kind": "random-replicas", "mtbf": "3 s", "mttr": "500 ms" } ])"}) {
    const std::string scenario =
        R"({ "model": "deepseek-v3", "precision": { "weights": "fp8" }, "cluster": { "pools": [
        { "name": "gpu", "accelerator": "h200-sxm-141gb", "replicas": 2, "parallelism": { "tp": 8 }, "kv_capacity": "2 GB" } ])" +
        failures + R"( }, "network": { "solver": "fluid" },
      "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 6 }, "requests": 100,
        "prompt_tokens": { "kind": "uniform", "low": 10, "high": 4000 }, "output_tokens": { "kind": "uniform", "low": 1, "high": 300 } } })";
    const test::Facts spans = test::simulate(scenario);
    const test::Facts steps = test::simulate(scenario, true);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(spans.usage.at(i).energy.si == Approx(steps.usage.at(i).energy.si).epsilon(1e-4));
      const double mean = spans.usage.at(i).energy / spans.usage.at(i).busy / Watts{8 * 700};
      CHECK(mean > 0.17);
      CHECK(mean <= 1);
    }
  }
}

TEST_CASE("The power over time adds up to the energy, and all parts to the total") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "s.json", R"({ "model": "llama-3.1-70b", "cluster": { "pools": [
      { "name": "p", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 2, "parallelism": { "tp": 4 } },
      { "name": "d", "role": "decode", "accelerator": "h200-sxm-141gb", "replicas": 1, "parallelism": { "tp": 4 } } ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 3 }, "duration": "5 min",
      "prompt_tokens": { "kind": "lognormal", "median": 4000, "sigma": 1, "high": 60000 }, "output_tokens": 200 } })");
  const test::Ended ended = test::call(folder, {"run", "s.json", "--out", "r"});
  REQUIRE(ended.code == 0);
  const auto summary = nlohmann::json::parse(test::read_text(folder / "r/summary.json"));
  const auto& energy = summary.at("energy");
  const auto joules = [&](const char* key) { return energy.at(key).get<double>(); };
  CHECK(joules("accelerators_busy_j") + joules("accelerators_idle_j") + joules("hosts_j") +
            joules("network_j") + joules("memory_pools_j") ==
        Approx(joules("total_j")).epsilon(1e-12));
  // The H100's draw was measured, the H200's is taken from it.
  const std::string assumed = summary.at("provenance").at("assumed").dump();
  CHECK_THAT(assumed, Catch::Contains("power of h200-sxm-141gb: assumed to be as on h100-sxm-80gb") &&
                          !Catch::Contains("power of h100"));
  std::istringstream lines(test::read_text(folder / "r/timeseries.csv"));
  std::string line;
  std::getline(lines, line);
  const auto column =
      std::count(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(line.find("power_w")), ',');
  double sum = 0;
  double peak = 0;
  double of_sample = 0;
  double before = 0;
  double time = 0;
  while (std::getline(lines, line)) {
    const double now = std::stod(line);
    if (now > time) {
      before = time;
      time = now;
      of_sample = 0;
    }
    std::size_t place = 0;
    for (std::ptrdiff_t c = 0; c < column; ++c) place = line.find(',', place) + 1;
    const double power = std::stod(line.substr(place));
    sum += power * (time - before);
    peak = std::max(peak, of_sample += power);
  }
  CHECK(sum == Approx(joules("accelerators_busy_j") + joules("accelerators_idle_j")).epsilon(1e-9));
  CHECK(peak == Approx(joules("peak_accelerator_power_w")).epsilon(1e-9));
  CHECK(peak <= 12 * 700);
}

TEST_CASE("Links take the energy of the bytes that crossed them: 5.5 pJ/bit on NVLink, 22.5 on InfiniBand") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "scenario.json", R"({ "model": "llama-3.1-8b", "cluster": {
      "topology": { "kind": "leaf-spine" }, "pools": [
        { "name": "prefill", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 8 },
        { "name": "decode", "role": "decode", "accelerator": "h100-sxm-80gb", "replicas": 8 } ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 20,
      "prompt_tokens": 1000, "output_tokens": 10 } })");
  const test::Ended ended = test::call(folder, {"run", "scenario.json", "--out", "results", "--json", "-q"});
  REQUIRE(ended.code == 0);
  const Scenario scenario = load_scenario(folder / "scenario.json");
  std::istringstream links(test::read_text(folder / "results/links.csv"));
  std::string line;
  std::getline(links, line);
  double energy = 0;
  double bytes = 0;
  for (const PlatformLink& link : scenario.platform.links) {
    REQUIRE(std::getline(links, line));
    REQUIRE(line.starts_with(link.name + ","));
    const double crossed = std::stod(line.substr(line.find(',', line.find(',') + 1) + 1));
    bytes += crossed;
    energy += crossed * link.energy.value().si;
  }
  // One hand-off is 131,072 bytes a token, and crosses two links at least.
  CHECK(bytes >= 2 * 20 * 1000 * 131'072.0);
  CHECK(energy >= bytes * 8 * 1.3e-12);
  CHECK(energy <= bytes * 8 * 22.5e-12 * (1 + 1e-12));
  CHECK(nlohmann::json::parse(ended.out)["energy"]["links_moved_j"].get<double>() == Approx(energy));
}
