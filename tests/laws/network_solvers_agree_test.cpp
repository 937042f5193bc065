#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/harness.hpp"

using namespace disagg;

namespace {

// Three prefill replicas send KV caches to two decode replicas over ports that are too slow for them.
std::string crowded(std::string_view solver, std::string_view hand_off, int seed) {
  const auto pool = [](const std::string& name, int replicas) {
    return R"({ "name": ")" + name + R"(", "role": ")" + name +
           R"(", "accelerator": "h100-sxm-80gb", "replicas": )" + std::to_string(replicas) + " }";
  };
  return R"({ "model": "llama-3.1-8b", "seed": )" + std::to_string(seed) + R"(, "network": { "solver": ")" +
         std::string(solver) + R"(" }, "cluster": { "router": "least-tokens", "hand_off": ")" +
         std::string(hand_off) +
         R"(", "topology": { "kind": "nvlink-hosts", "nic_bandwidth": "2 GB/s" }, "pools": [ )" +
         pool("prefill", 3) + ", " + pool("decode", 2) +
         R"( ] }, "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 25 }, "requests": 300,
      "prompt_tokens": { "kind": "lognormal", "median": 1500, "sigma": 1, "high": 8000 },
      "output_tokens": { "kind": "lognormal", "median": 60, "sigma": 0.8, "high": 500 } } })";
}

bool close(Seconds a, Seconds b) { return std::abs((a - b).si) <= 1e-6 * std::max(1.0, std::abs(a.si)); }

}  // namespace

TEST_CASE(
    "20 whole runs with crowded hand-offs give the same request records on SimGrid and on the fluid solver, "
    "times within 1e-6") {
  Seconds hand_offs{};
  for (int run = 0; run < 20; ++run) {
    const std::string_view hand_off = run % 2 == 0 ? "whole" : "layerwise";
    INFO("run " << run << ", " << hand_off);
    const auto simgrid = test::simulate_forked(crowded("simgrid", hand_off, run), false);
    const auto fluid = test::simulate_forked(crowded("fluid", hand_off, run), false);
    REQUIRE(simgrid.size() == 300);
    REQUIRE(fluid.size() == 300);
    for (std::size_t i = 0; i < fluid.size(); ++i) {
      const RequestRecord& a = simgrid[i];
      const RequestRecord& b = fluid[i];
      INFO("request " << i);
      REQUIRE(a.id == b.id);
      REQUIRE(a.outcome == b.outcome);
      REQUIRE(a.prefill_replica == b.prefill_replica);
      REQUIRE(a.decode_replica == b.decode_replica);
      REQUIRE(a.preemptions == b.preemptions);
      REQUIRE(close(a.first_token, b.first_token));
      REQUIRE(close(a.room_found, b.room_found));
      REQUIRE(close(a.hand_off_start, b.hand_off_start));
      REQUIRE(close(a.hand_off_end, b.hand_off_end));
      REQUIRE(close(a.last_token, b.last_token));
      hand_offs += a.hand_off_end - a.hand_off_start;
    }
  }
  CHECK(hand_offs.si / (20 * 300) > 0.2);  // alone on the network a hand-off takes some 0.1 s
}
