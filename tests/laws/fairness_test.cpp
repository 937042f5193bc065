#include <algorithm>
#include <catch2/catch.hpp>

#include "experiments/metrics.hpp"
#include "tests/support/harness.hpp"

using namespace disagg;
using test::Facts;
using test::simulate;

namespace {

// One prefill and one decode replica of Llama-3.1-8B on H100; the decode replica keeps some 15,000 tokens.
std::string tight_decode(const std::string& hand_off, int requests) {
  return R"({ "model": "llama-3.1-8b", "cluster": { "hand_off": ")" + hand_off + R"(", "pools": [
      { "name": "p", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 1 },
      { "name": "d", "role": "decode", "accelerator": "h100-sxm-80gb", "replicas": 1, "kv_capacity": "2 GB" } ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 8 }, "requests": )" +
         std::to_string(requests) +
         R"(, "prompt_tokens": { "kind": "uniform", "low": 200, "high": 1500 }, "output_tokens": { "kind": "uniform", "low": 500, "high": 1500 } } })";
}

// 1,000 tokens of KV cache in one replica of each role.
std::string mutual_hand_offs(int seed) {
  const auto pool = [](const std::string& name) {
    return R"({ "name": ")" + name + R"(", "role": ")" + name +
           R"(", "accelerator": "h100-sxm-80gb", "replicas": 1, "kv_capacity": "2 GB" })";
  };
  return R"({ "model": "llama-3.1-8b", "seed": )" + std::to_string(seed) +
         R"(, "cluster": { "router": "mixed-pool", "pools": [ )" + pool("prefill") + ", " + pool("decode") +
         R"( ] }, "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 60 }, "requests": 60,
      "prompt_tokens": { "kind": "lognormal", "median": 2000, "sigma": 1, "high": 8000 },
      "output_tokens": { "kind": "lognormal", "median": 200, "sigma": 0.8, "high": 1500 } } })";
}

}  // namespace

TEST_CASE(
    "In an overloaded decode pool the preempted come before newcomers: 500 requests decode within 60 s "
    "each") {
  const Facts facts = simulate(tight_decode("whole", 500));
  Seconds longest{};
  std::int64_t preempted = 0;
  for (const RequestRecord& r : facts.requests) {
    longest = std::max(longest, r.last_token - r.hand_off_end);
    preempted += r.preemptions > 0 ? 1 : 0;
  }
  INFO("longest " << longest.si << " s, run of " << facts.end.si << " s");
  CHECK(preempted > 50);
  CHECK(facts.end > Seconds{200});
  CHECK(longest < Seconds{60});
}

TEST_CASE(
    "Layer-wise hand-offs into a full pool leave no request waiting for its second token until the run "
    "ends") {
  const Facts facts = simulate(tight_decode("layerwise", 500));
  for (const RequestRecord& r : facts.requests) REQUIRE(r.last_token - r.hand_off_end < Seconds{120});
}

TEST_CASE("Mutual hand-offs between two full replicas never deadlock, over 40 seeds of the mixed pool") {
  for (int seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    const auto records = test::simulate_forked(mutual_hand_offs(seed), false);
    REQUIRE(records.size() == 60);
    REQUIRE(
        std::ranges::all_of(records, [](const RequestRecord& r) { return r.outcome == Outcome::finished; }));
  }
}

TEST_CASE("A second, smaller decode pool rejects nothing that the first can hold") {
  const auto scenario = [](const std::string& more) {
    return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
      { "name": "p", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 1 },
      { "name": "d", "role": "decode", "accelerator": "h100-sxm-80gb", "replicas": 1 })" +
           more + R"( ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 5 }, "requests": 200,
      "prompt_tokens": { "kind": "uniform", "low": 100, "high": 8000 }, "output_tokens": 50 } })";
  };
  const auto records = test::simulate_forked(
      scenario(
          R"(, { "name": "small", "role": "decode", "accelerator": "h100-sxm-80gb", "replicas": 1, "kv_capacity": "300 MB" })"),
      false);
  std::int64_t in_small = 0;
  for (const RequestRecord& r : records) {
    REQUIRE(r.outcome == Outcome::finished);
    in_small += r.decode_replica.index == 2 ? 1 : 0;
    if (r.decode_replica.index == 2) REQUIRE(r.prompt_tokens + 49 <= 300'000'000 / 131'072);
  }
  CHECK(in_small > 10);
}

TEST_CASE(
    "A decode pool without room is capacity-bound, and its idle time while a prompt is computed elsewhere is "
    "idle") {
  const Facts full = simulate(tight_decode("whole", 300));
  const ReplicaUsage& decode = full.usage[1];
  CHECK(decode.regimes[static_cast<std::size_t>(Regime::capacity)].si > 0.5 * full.end.si);
  CHECK(decode.busy <= full.end);
  for (const ReplicaUsage& usage : full.usage) {
    Seconds sum{};
    for (const Seconds s : usage.regimes) sum += s;
    CHECK(sum.si == Approx(full.end.si).epsilon(1e-9));
  }
}

TEST_CASE(
    "A decode replica that waits for one layer-wise prefill of 20,000 tokens is idle meanwhile, not "
    "network-bound") {
  const Facts facts = simulate(R"({ "model": "llama-3.1-8b", "cluster": { "hand_off": "layerwise", "pools": [
      { "name": "p", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 1 },
      { "name": "d", "role": "decode", "accelerator": "h100-sxm-80gb", "replicas": 1 } ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 1, "prompt_tokens": 20000, "output_tokens": 2 } })");
  const ReplicaUsage& decode = facts.usage[1];
  const RequestRecord& r = facts.requests[0];
  CHECK(decode.regimes[static_cast<std::size_t>(Regime::idle)].si == Approx(r.first_token.si).epsilon(1e-9));
  CHECK(decode.regimes[static_cast<std::size_t>(Regime::network)].si ==
        Approx((r.hand_off_end - r.first_token).si).epsilon(1e-6));
  CHECK(decode.busy.si == Approx((r.last_token - r.hand_off_end).si).epsilon(1e-9));
}

TEST_CASE("Regimes and time waited are the same in spans and step by step under preemption, to 1e-6") {
  const std::string scenario =
      R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "m", "accelerator": "h100-sxm-80gb", "replicas": 1, "kv_capacity": "1 GB" } ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 6 }, "requests": 200,
      "prompt_tokens": { "kind": "uniform", "low": 100, "high": 1500 }, "output_tokens": { "kind": "uniform", "low": 100, "high": 800 } } })";
  const ReplicaUsage spans = simulate(scenario, false).usage[0];
  const ReplicaUsage steps = simulate(scenario, true).usage[0];
  CHECK(spans.preemptions > 20);
  CHECK(spans.preemptions == steps.preemptions);
  const auto capacity = static_cast<std::size_t>(Regime::capacity);
  CHECK(spans.regimes[capacity].si == Approx(steps.regimes[capacity].si).epsilon(1e-6));
  CHECK(spans.busy.si == Approx(steps.busy.si).epsilon(1e-9));
  CHECK(spans.waiting_seconds == Approx(steps.waiting_seconds).epsilon(1e-9));
  CHECK(spans.decode.bytes.si == Approx(steps.decode.bytes.si).epsilon(1e-9));
  CHECK(spans.decode.flops.si == Approx(steps.decode.flops.si).epsilon(1e-9));
}

TEST_CASE(
    "One chunked prompt has one flow on a link: two hand-offs of 4 chunks and of 1 chunk share it equally") {
  // Both prompts end at about the same time; 5 GB/s for each while both are on their way.
  const Facts facts = simulate(
      R"({ "model": "llama-3.1-8b", "cluster": { "router": "round-robin", "hand_off": { "kind": "layerwise", "overhead": "0 s" },
      "topology": { "kind": "nvlink-hosts", "nic_bandwidth": "0.1 GB/s", "nic_latency": "0 s", "nic_efficiency": 1 }, "pools": [
      { "name": "p", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 2, "batching": { "kind": "chunked", "chunk_tokens": 1000, "max_sequences": 8 },
        "service": { "kind": "table", "tokens": [1, 100000], "prefill": ["1 ms", "1 ms"], "decode": ["1 ms", "1 ms"] } },
      { "name": "d", "role": "decode", "accelerator": "h100-sxm-80gb", "replicas": 1 } ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "burst", "size": 2, "every": "1 h" }, "requests": 2,
      "prompt_tokens": { "kind": "empirical", "quantiles": [[0, 4000], [1, 4000]] }, "output_tokens": 2 } })");
  REQUIRE(facts.requests.size() == 2);
  const double bytes = 4000.0 * 131072;
  for (const RequestRecord& r : facts.requests)
    CHECK(r.hand_off_end.si == Approx(2 * bytes / 0.1e9).epsilon(1e-2));
}

TEST_CASE("Nothing completed means a duration of 0 s, not a negative one") {
  Metrics metrics({Slo{}}, {});
  RequestRecord r;
  r.outcome = Outcome::rejected_too_large;
  r.arrived = Seconds{5};
  metrics.add(r);
  CHECK(metrics.duration() == Seconds{0});
}
