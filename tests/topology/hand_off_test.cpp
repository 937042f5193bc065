// On an idle fabric every topology hands off in its latency plus the bytes over the narrowest link.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/experiments/program.hpp"
#include "tests/support/harness.hpp"

using namespace disagg;

namespace {

// One prefill and one decode replica of one accelerator, each on a host of its own. Llama-3.1-8B keeps
// 131,072 bytes a token in bf16, so 1,000 tokens are 131,072,000 bytes.
std::string scenario(const std::string& topology, const std::string& more = "") {
  const auto pool = [](const std::string& name) {
    return R"({ "name": ")" + name + R"(", "role": ")" + name +
           R"(", "accelerator": "h100-sxm-80gb", "replicas": 1, "service": { "kind": "table", "tokens": [1, 100000],
             "prefill": ["10 ms", "10 ms"], "decode": ["20 ms", "20 ms"] } })";
  };
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ )" + pool("prefill") + ", " + pool("decode") +
         R"( ], "topology": )" + topology + more +
         R"(, "hand_off": { "kind": "whole", "overhead": "1 ms" } }, "workload": { "kind": "synthetic",
           "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 3, "prompt_tokens": 1000, "output_tokens": 5 } })";
}

constexpr double kBytes = 131'072'000;

struct Case {
  std::string topology;
  double latency;     // of the fabric
  double bottleneck;  // bytes/s
};

void check(const Case& c, const std::string& more = "") {
  INFO(c.topology << more);
  const auto requests = test::simulate_forked(scenario(c.topology, more), false);
  REQUIRE(requests.size() == 3);
  for (const RequestRecord& r : requests)
    CHECK((r.hand_off_end - r.hand_off_start).si ==
          Approx(1e-3 + c.latency + kBytes / c.bottleneck).epsilon(1e-6));
}

const std::string kElements = R"("vertices": [ { "name": "a", "kind": "host", "accelerators": 8, "rack": 0 },
    { "name": "b", "kind": "host", "accelerators": 8, "rack": 1 }, { "name": "pool", "kind": "memory-pool" }, { "name": "s", "kind": "switch" } ],
  "edges": [ { "from": "a", "to": "s", "medium": "optical", "bandwidth": "30 GB/s", "latency": "3 us" },
    { "from": "s", "to": "b", "medium": "cxl", "bandwidth": "20 GB/s", "latency": "1 us" },
    { "from": "pool", "to": "s", "medium": "optical", "bandwidth": "30 GB/s", "latency": "1 us" } ])";

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {R"({ "kind": "nvlink-hosts", "nic_efficiency": 0.5 })", 2e-6, 25e9},
      {R"({ "kind": "nvl72", "nic_bandwidth": "100 GB/s", "nic_efficiency": 1 })", 2e-6, 100e9},
      {R"({ "kind": "leaf-spine", "hosts_per_leaf": 1, "nic_efficiency": 1 })", 2e-6 + 2 * 300e-9, 50e9},
      // A leaf's uplinks carry 8 NICs / 32, over 2 spines of which the flow uses one.
      {R"({ "kind": "leaf-spine", "hosts_per_leaf": 1, "nic_efficiency": 1, "oversubscription": 32 })",
       2.6e-6, 50e9 * 8 / 32 / 2},
      {R"({ "kind": "rail-optimized", "hosts_per_unit": 1, "spines": 1, "nic_efficiency": 1 })", 2.6e-6,
       50e9},
      {R"({ "kind": "rail-optimized", "hosts_per_unit": 1, "spines": 1, "nic_efficiency": 1, "rails": "hashed" })",
       2.6e-6, 50e9},
      {R"({ "kind": "torus", "dimensions": [2, 2], "link_bandwidth": "40 GB/s" })", 10e-6 + 1e-6, 40e9},
      {R"({ "kind": "dragonfly", "nic_efficiency": 1 })", 2e-6 + 300e-9, 50e9},
      {R"({ "kind": "optical-star", "nvlink_latency": "0 s" })", 60e-9, 450e9},
      {R"({ "kind": "optical-circuit-switch", "nvlink_latency": "0 s", "reconfiguration": "2 ms" })",
       2e-3 + 50e-9, 100e9},
      {R"({ "kind": "graph", )" + kElements + " }", 10e-6 + 4e-6, 20e9}};
  return all;
}

}  // namespace

TEST_CASE("On every topology a lone hand-off takes its latency and its bytes over the narrowest link") {
  for (const Case& c : cases()) check(c);
}

TEST_CASE("The same hand-off takes as long where the hosts are listed by hand") {
  check({R"({ "kind": "graph", )" + kElements + " }", 14e-6, 20e9},
        R"(, "placement": { "kind": "explicit", "hosts": { "prefill": ["b"], "decode": ["a"] } })");
  check({R"({ "kind": "graph", )" + kElements + " }", 14e-6, 20e9}, R"(, "placement": "one-rack-per-pool")");
  check({R"({ "kind": "leaf-spine", "hosts": 4, "hosts_per_leaf": 1, "nic_efficiency": 1 })", 2.6e-6, 50e9},
        R"(, "placement": "spread")");
}

TEST_CASE("A scenario exported as GraphML hands off in the same time") {
  const test::TemporaryFolder folder;
  for (const Case& c : cases()) {
    INFO(c.topology);
    test::write_text(folder / "s.json", scenario(c.topology));
    const test::Ended ended = test::call(folder, {"topology", "s.json", "--export", "f.graphml", "--quiet"});
    REQUIRE(ended.err.empty());
    const bool hashed = c.topology.find("hashed") != std::string::npos;
    const std::string nvlink =
        c.topology.find("nvlink_latency") == std::string::npos ? "" : R"(, "nvlink_latency": "0 s")";
    check({R"({ "kind": "graphml", "file": ")" + (folder / "f.graphml").string() + "\"" + nvlink +
               (hashed ? R"(, "rails": "hashed" })" : " }"),
           c.latency, c.bottleneck});
  }
}

TEST_CASE("The hand-off-aware router leaves a slow link alone, and a way that others use") {
  const auto run = [](const std::string& router, const std::string& failures, int per_second) {
    const auto pool = [](const std::string& name, int replicas) {
      return R"({ "name": ")" + name + R"(", "role": ")" + name + R"(", "replicas": )" +
             std::to_string(replicas) +
             R"(, "accelerator": "h100-sxm-80gb", "parallelism": { "tp": 8 }, "kv_capacity": "400 GB",
               "service": { "kind": "table", "tokens": [1, 100000],
               "prefill": ["1 ms", "1 ms"], "decode": ["20 ms", "20 ms"] } })";
    };
    return test::simulate_forked(
        R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ )" + pool("prefill", 4) + ", " +
            pool("decode", 4) + R"( ], "router": )" + router +
            R"(, "topology": { "kind": "nvlink-hosts", "nic_efficiency": 1 },
             "hand_off": { "kind": "whole", "overhead": "0 s" } }, "network": { "solver": "fluid", "failures": [ )" +
            failures + R"( ] }, "workload": { "kind": "synthetic",
             "arrivals": { "kind": "poisson", "requests_per_second": )" +
            std::to_string(per_second) +
            R"( }, "requests": 400, "prompt_tokens": 20000, "output_tokens": 10 } })",
        false);
  };
  const auto at_first = [](const std::vector<RequestRecord>& requests) {
    return std::ranges::count_if(requests,
                                 [](const RequestRecord& r) { return r.decode_replica.index == 4; });
  };
  const auto mean_time = [](const std::vector<RequestRecord>& requests) {
    double sum = 0;
    for (const RequestRecord& r : requests) sum += (r.hand_off_end - r.hand_off_start).si;
    return sum / static_cast<double>(requests.size());
  };
  const std::string slow = R"({ "kind": "link", "link": "switch>decode[0]", "at": "0 s", "capacity": 0.1 })";
  CHECK(at_first(run(R"("round-robin")", slow, 20)) == 100);
  CHECK(at_first(run(R"({ "kind": "hand-off-aware", "slack": 1 })", slow, 20)) == 0);
  // Without slack the KV load alone decides.
  CHECK(at_first(run(R"({ "kind": "hand-off-aware", "slack": 0 })", slow, 20)) > 50);
  // 2.6 GB take 6.6 ms at 400 GB/s: at 300 a second the four ports are half used, and a random choice meets
  // others.
  const double aware = mean_time(run(R"({ "kind": "hand-off-aware", "slack": 1 })", "", 300));
  const double random = mean_time(run(R"("random")", "", 300));
  CHECK(aware < 0.8 * random);
}
