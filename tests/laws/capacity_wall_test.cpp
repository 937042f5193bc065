// The capacity wall: where the KV that a step streams from a pool takes as long as what it reads from its own
// memory, the regime changes from capacity-bound to bandwidth-bound.
#include <catch2/catch.hpp>

#include "sim/base/text.hpp"
#include "sim/intensity/transformer_work.hpp"
#include "sim/model/model_spec.hpp"
#include "tests/support/harness.hpp"

using namespace disagg;

namespace {

constexpr double kMemory = 3.35e12;  // bytes/s of a chip that reaches its datasheet
constexpr std::int64_t kBatch = 32;
constexpr std::int64_t kContext = 8192;

std::string scenario(const std::string& model, double own, double port) {
  return R"({ "model": ")" + model + R"(", "cluster": { "pools": [
    { "name": "prefill", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 1, "kv_capacity": "100 TB",
      "service": { "kind": "table", "tokens": [1, 2000000], "prefill": ["1 us", "1 us"], "decode": ["1 us", "1 us"] },
      "batching": { "kind": "chunked", "chunk_tokens": 2000000 } },
    { "name": "decode", "role": "decode", "replicas": 1, "service": "roofline", "software": "ideal",
      "accelerator": { "extends": "h100-sxm-80gb", "memory": { "capacity": "1000 GB", "bandwidth": "3350 GB/s" },
        "efficiency": { "gemm": 1, "attention": 1, "weights": 1, "kv_cache": 1, "scale_up": 1, "collective_latency": "0 s" } },
      "kv_capacity": ")" +
         show_exact(own) +
         R"( B", "tiers": ["pool"], "spill": { "kind": "stream", "tier": "pool", "share": "10 TB" } } ],
    "memory_pools": [ { "name": "pool", "scope": "replica", "capacity": "10 TB", "latency": "1 us", "port_read": ")" +
         show_exact(port) + R"( B/s", "port_write": "100 GB/s" } ],
    "topology": { "kind": "nvlink-hosts", "nic_bandwidth": "1000 TB/s", "nic_latency": "0 s", "nic_efficiency": 1 },
    "hand_off": { "kind": "whole", "overhead": "0 s" } },
  "network": { "solver": "fluid" },
  "workload": { "kind": "synthetic", "arrivals": { "kind": "burst", "size": 32, "every": "1000 s" }, "requests": 32,
    "prompt_tokens": 8192, "output_tokens": 33 } })";
}

// Share of the decode replica's busy time that its memory's capacity limits.
double capacity_bound(const std::string& model, double own, double port) {
  const test::Facts facts = test::simulate(scenario(model, own, port));
  const ReplicaUsage& decode = facts.usage[1];
  return decode.regimes[static_cast<std::size_t>(Regime::capacity)].si / decode.busy.si;
}

}  // namespace

TEST_CASE("The regime changes at the pool bandwidth where streamed KV meets the time of the memory's own") {
  // Multi-head, grouped-query and hybrid-linear attention.
  for (const std::string model : {"llama-3.1-8b", "qwen3-32b", "qwen3-next-80b-a3b"}) {
    ConfigNode root = parse_config("{ \"model\": \"" + model + "\" }", "test");
    Problems problems;
    Reader reader(root, "", problems);
    const auto spec = read_model(reader, "model");
    problems.throw_if_any();
    const TransformerWork work(*spec, PrecisionPlan{}, 1, 1);  // experts as popular as the scenario has them
    // oi_cf.md 4.9, in the middle of the 32 output tokens: Q = b_w W + kv(S) B, and CF = kv(S) + state. The
    // memory holds four tenths of that.
    const double context = kContext + 17;
    const Bytes kept = work.kv_bytes(context) * kBatch;
    const Bytes read = work.linear(kBatch, kBatch, 1).bytes + work.kv_bytes_per_token() * (kBatch * context) +
                       work.state_bytes() * (2.0 * kBatch);
    const double own = 0.4 * kept.si;
    const double wall = (kept.si - own) / (read.si / kMemory);
    INFO(model << ": " << wall / 1e9 << " GB/s");
    CHECK(capacity_bound(model, own, wall * 0.95) > 0.95);
    CHECK(capacity_bound(model, own, wall * 1.05) < 0.05);
  }
}
