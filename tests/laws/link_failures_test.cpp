// Links that fail, are slower for a while, and are repaired: transfers send the rest, and no request is lost.
#include <catch2/catch.hpp>

#include "sim/base/no_progress.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/harness.hpp"
#include "tests/workloads/support.hpp"

using namespace disagg;

namespace {

// One prefill and one decode replica. A prompt of 1,000 tokens of Llama-3.1-8B is 131,072,000 bytes in bf16,
// which leave at 10 ms, after 1 ms of the software and 2 us of the network, at 50 GB/s.
std::string scenario(const std::string& failures, const std::string& solver = "fluid") {
  const auto pool = [](const std::string& name) {
    return R"({ "name": ")" + name + R"(", "role": ")" + name +
           R"(", "accelerator": "h100-sxm-80gb", "replicas": 1, "service": { "kind": "table", "tokens": [1, 100000],
             "prefill": ["10 ms", "10 ms"], "decode": ["20 ms", "20 ms"] } })";
  };
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ )" + pool("prefill") + ", " + pool("decode") +
         R"( ], "topology": { "kind": "nvlink-hosts", "nic_efficiency": 1 }, "hand_off": { "kind": "whole", "overhead": "1 ms" } },
    "network": { "solver": ")" +
         solver + R"(", "failures": [ )" + failures + R"( ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 1,
      "prompt_tokens": 1000, "output_tokens": 5 } })";
}

constexpr double kSent = 11.002e-3;               // date
constexpr double kTransfer = 131'072'000 / 50e9;  // seconds

double hand_off_end(const std::string& failures) {
  return test::simulate(scenario(failures)).requests.at(0).hand_off_end.si;
}

// Two prefill and two decode replicas of a pool in a fat tree, with prefixes fetched from memory on the
// network, whose links fail every few seconds.
std::string tree(const std::string& solver, const std::string& hand_off, int seed) {
  const auto pool = [](const std::string& name, const std::string& more) {
    return R"({ "name": ")" + name + R"(", "role": ")" + name +
           R"(", "accelerator": "h100-sxm-80gb", "replicas": 2, "kv_capacity": "3 GB", "service": { "kind": "table", "tokens": [1, 100000],
             "prefill": ["10 ms", "10 s"], "decode": ["20 ms", "20 ms"] })" +
           more + " }";
  };
  return R"({ "model": "llama-3.1-8b", "seed": )" + std::to_string(seed) + R"(, "cluster": { "pools": [ )" +
         pool("prefill", "") + ", " +
         pool("decode", R"(, "tiers": ["pool"], "spill": { "kind": "swap", "tier": "pool" })") +
         R"( ], "memory_pools": [ { "name": "pool", "scope": "cluster", "capacity": "1 TB", "port_read": "20 GB/s",
           "port_write": "10 GB/s", "latency": "1 ms", "attached_to": "spine-0" } ],
         "topology": { "kind": "leaf-spine", "hosts_per_leaf": 1 }, "hand_off": ")" +
         hand_off + R"(" },
    "network": { "solver": ")" +
         solver + R"(", "failures": [ { "kind": "random-links", "mtbf": "4 s", "mttr": "300 ms" } ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 8 }, "requests": 300,
      "prompt_tokens": { "kind": "uniform", "low": 100, "high": 3000 }, "output_tokens": { "kind": "uniform", "low": 1, "high": 200 } } })";
}

}  // namespace

TEST_CASE(
    "A hand-off that a failed link interrupts waits for the repair, pays the latency again and sends the "
    "rest") {
  CHECK(hand_off_end("") == Approx(kSent + kTransfer).epsilon(1e-9));
  const std::string link = R"({ "kind": "link", "link": "prefill[0]>switch", "at": "12 ms", )";
  // Of the transfer, 0.998 ms were done.
  CHECK(hand_off_end(link + R"("for": "1 s" })") ==
        Approx(1.012 + 1.002e-3 + kTransfer - 0.998e-3).epsilon(1e-9));
  // At a quarter of the rate for the 0.4 ms that the failure lasts, and at the whole rate again.
  CHECK(hand_off_end(link + R"("for": "0.4 ms", "capacity": 0.25 })") ==
        Approx(kSent + kTransfer + 0.75 * 0.4e-3).epsilon(1e-9));
  CHECK(hand_off_end(link + R"("capacity": 0.5 })") ==
        Approx(12e-3 + 2 * (kTransfer - 0.998e-3)).epsilon(1e-9));
  // Down in two ways at once: repaired when both are over. And a failure before the start.
  CHECK(hand_off_end(link + R"("for": "1 s" }, )" + link + R"("for": "2 s" })") ==
        Approx(2.012 + 1.002e-3 + kTransfer - 0.998e-3).epsilon(1e-9));
  CHECK(hand_off_end(R"({ "kind": "link", "link": "switch>decode[0]", "at": "1 ms", "for": "99 ms" })") ==
        Approx(0.1 + 1.002e-3 + kTransfer).epsilon(1e-9));
}

TEST_CASE("A link that is never repaired ends the run with what waits for it") {
  CHECK_THROWS_WITH(
      test::simulate(scenario(R"({ "kind": "link", "link": "prefill[0]>switch", "at": "12 ms" })")),
      "no progress: 1 requests are left and nothing can happen any more. The first, number 0 (1000 prompt "
      "and 5 output "
      "tokens), is on its way from prefill[0] to decode[0]; 1 transfers wait for links that are down: "
      "prefill[0]>switch");
}

TEST_CASE("What waits for ever is told although other links go on failing") {
  CHECK_THROWS_WITH(test::simulate(scenario(R"({ "kind": "link", "link": "prefill[0]>switch", "at": "12 ms" },
                                 { "kind": "random-links", "links": ["switch>prefill[0]"], "mtbf": "1 s", "mttr": "1 ms" })")),
                    Catch::Contains("1 requests are left") &&
                        Catch::Contains("is on its way from prefill[0] to decode[0]"));
}

TEST_CASE("A copy into a memory tier that waits for a link for ever does not keep the run from its end") {
  const std::string text =
      R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 1,
      "prefix_cache": {}, "tiers": ["dram"] } ], "memory_pools": [ { "name": "dram", "preset": "host-dram", "capacity": "1 TB" } ] },
    "network": { "solver": "fluid", "failures": [ { "kind": "link", "link": "gpu[0]>dram[0].port", "at": "0 s" } ] },
    "workload": { "kind": "mooncake", "file": ")";
  const TemporaryFile trace(R"({"timestamp": 0, "input_length": 512, "output_length": 5, "hash_ids": [1]})"
                            "\n");
  const test::Facts facts = test::simulate(text + trace.path().string() + "\" } }");
  CHECK(facts.counts.finished == 1);
  CHECK(facts.interruptions == 1);
}

TEST_CASE("Through a thousand random failures of links every request finishes once, on both solvers alike") {
  std::int64_t failures = 0;
  for (const std::string hand_off : {"whole", "layerwise"}) {
    for (int seed = 1; seed <= 3; ++seed) {
      INFO(hand_off << ", seed " << seed);
      const test::Facts fluid = test::simulate(tree("fluid", hand_off, seed));
      failures += fluid.link_failures;
      REQUIRE(fluid.counts.finished == 300);
      CHECK(fluid.interruptions > 0);
      for (std::size_t i = 0; i < 300; ++i) CHECK(fluid.requests[i].id == i);
      const auto simgrid = test::simulate_forked(tree("simgrid", hand_off, seed), false);
      REQUIRE(simgrid.size() == 300);
      double apart = 0;
      for (std::size_t i = 0; i < 300; ++i)
        apart = std::max(apart, std::abs(simgrid[i].last_token.si / fluid.requests[i].last_token.si - 1));
      CHECK(apart < 1e-5);
      const test::Facts again = test::simulate(tree("fluid", hand_off, seed));
      for (std::size_t i = 0; i < 300; ++i)
        CHECK(again.requests[i].last_token.si == fluid.requests[i].last_token.si);
    }
  }
  CHECK(failures > 1000);
}

TEST_CASE("Failures of links that are not there are refused with the links that are", "[bad-input]") {
  const auto problem = [](const std::string& failure) {
    try {
      test::simulate(scenario(failure));
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(problem(R"({ "kind": "link", "link": "prefill[0]>swich", "at": "1 s" })"),
             Catch::Matchers::Contains("network.failures[0].link: 'prefill[0]>swich' is unknown; known: ") &&
                 Catch::Matchers::EndsWith("did you mean 'prefill[0]>switch'?"));
  CHECK_THAT(problem(R"({ "kind": "random-links", "mttr": "1 s" })"),
             Catch::Matchers::Contains("network.failures[0]: 'mtbf' is missing"));
  CHECK_THAT(problem(R"({ "kind": "link", "link": "prefill[0]>switch", "at": "1 s", "capacity": 2 })"),
             Catch::Matchers::Contains("network.failures[0].capacity"));
}
