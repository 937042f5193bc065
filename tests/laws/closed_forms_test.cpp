#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "tests/support/harness.hpp"

using namespace disagg;
using test::Facts;
using test::simulate;

namespace {

// `prefills` prefill replicas with one request each, released at once, and one decode replica; every NIC
// moves 50 GB/s. Llama-3.1-8B keeps 131,072 bytes a token in bf16, so 1,000 tokens are 131,072,000 bytes.
std::string hand_offs(int prefills, const std::string& hand_off, const std::string& prefill_time = "10 ms") {
  const auto pool = [&](const std::string& name, int replicas) {
    return R"({ "name": ")" + name + R"(", "role": ")" + name +
           R"(", "accelerator": "h100-sxm-80gb", "replicas": )" + std::to_string(replicas) +
           R"(, "service": { "kind": "table", "tokens": [1, 100000], "prefill": [")" + prefill_time +
           R"(", ")" + prefill_time + R"("], "decode": ["20 ms", "20 ms"] } })";
  };
  // Domains of one accelerator would need their own row; distinct hosts come from tp 8 instead.
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ )" + pool("prefill", prefills) + ", " +
         pool("decode", 1) + R"( ], "router": "round-robin", "hand_off": )" + hand_off +
         R"(, "topology": { "kind": "nvlink-hosts", "nic_bandwidth": "50 GB/s", "nic_latency": "2 us", "nic_efficiency": 1 } },
      "workload": { "kind": "synthetic", "arrivals": { "kind": "burst", "size": )" +
         std::to_string(prefills) + R"(, "every": "1 s" }, "requests": )" + std::to_string(prefills) +
         R"(, "prompt_tokens": 1000, "output_tokens": 5 } })";
}

constexpr double kBytes = 131'072'000;
constexpr double kBandwidth = 50e9;
constexpr double kLatency = 1e-3 + 2e-6;  // software and NICs
const std::string kWhole = R"({ "kind": "whole", "overhead": "1 ms" })";

Seconds hand_off_time(const RequestRecord& r) { return r.hand_off_end - r.hand_off_start; }

}  // namespace

TEST_CASE("A hand-off of 131 MB over 50 GB/s takes its latency plus 2.62144 ms") {
  const Facts facts = simulate(hand_offs(1, kWhole));
  REQUIRE(facts.requests.size() == 1);
  const RequestRecord& r = facts.requests[0];
  CHECK(r.first_token.si == Approx(0.010).epsilon(1e-12));
  CHECK(r.hand_off_start == r.first_token);
  CHECK(hand_off_time(r).si == Approx(kLatency + kBytes / kBandwidth).epsilon(1e-6));
  CHECK(r.last_token.si == Approx(r.hand_off_end.si + 4 * 0.020).epsilon(1e-9));
}

TEST_CASE("5 equal hand-offs into one replica share its link: each takes 5 times as long") {
  const Facts facts = simulate(hand_offs(5, kWhole));
  REQUIRE(facts.requests.size() == 5);
  for (const RequestRecord& r : facts.requests)
    CHECK(hand_off_time(r).si == Approx(kLatency + 5 * kBytes / kBandwidth).epsilon(1e-6));
  double most = 0;
  for (const LinkUsage& link : facts.links) most = std::max(most, link.bytes.si);
  CHECK(most == 5 * kBytes);
}

TEST_CASE("A rate limit of 10 GB/s holds each of 2 hand-offs to 10 GB/s on a link of 50 GB/s") {
  const Facts facts =
      simulate(hand_offs(2, R"({ "kind": "whole", "overhead": "1 ms", "rate_limit": "10 GB/s" })"));
  for (const RequestRecord& r : facts.requests)
    CHECK(hand_off_time(r).si == Approx(kLatency + kBytes / 10e9).epsilon(1e-6));
}

TEST_CASE(
    "Layer by layer, only the last of 32 layers travels after a prefill that is slower than the network") {
  const Facts facts = simulate(hand_offs(1, R"({ "kind": "layerwise", "overhead": "1 ms" })", "10 ms"));
  const RequestRecord& r = facts.requests[0];
  CHECK((r.hand_off_end - r.first_token).si == Approx(kLatency + kBytes / 32 / kBandwidth).epsilon(1e-6));
}

TEST_CASE("Layer by layer, a network slower than the prefill sets the end: all bytes after the first layer") {
  const Facts facts = simulate(hand_offs(1, R"({ "kind": "layerwise", "overhead": "0 s" })", "0.32 ms"));
  const RequestRecord& r = facts.requests[0];
  // The stream starts when the first of 32 layers is done, and the last layer joins it at the prefill's end.
  CHECK(r.hand_off_end.si == Approx(0.32e-3 / 32 + 2e-6 + kBytes / kBandwidth).epsilon(1e-6));
}

TEST_CASE("An M/D/1 queue at 70 % load waits 11.67 ms on average") {
  // One prompt fills a step of 10 ms, and nothing decodes.
  const Facts facts = simulate(test::flat_times(
      R"({ "kind": "prefill-first", "token_budget": 100, "chunking": false })",
      R"({ "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 70 }, "requests": 400000, "prompt_tokens": 100, "output_tokens": 1 })"));
  constexpr std::size_t kBatches = 40;
  std::vector<double> means(kBatches);
  const std::size_t size = facts.requests.size() / kBatches;
  for (std::size_t i = 0; i < size * kBatches; ++i)
    means[i / size] +=
        (facts.requests[i].first_scheduled - facts.requests[i].arrived).si / static_cast<double>(size);
  const double mean = std::accumulate(means.begin(), means.end(), 0.0) / kBatches;
  double variance = 0;
  for (const double m : means) variance += (m - mean) * (m - mean) / (kBatches - 1);
  const double half_width =
      2.02 * std::sqrt(variance / kBatches);              // Student's t, 39 degrees of freedom, 95 %
  const double expected = 0.7 * 0.010 / (2 * (1 - 0.7));  // Pollaczek and Khinchine
  INFO("measured " << mean << " +- " << half_width << ", expected " << expected);
  CHECK(std::abs(mean - expected) < half_width);
  CHECK(half_width < 0.04 * expected);
}

TEST_CASE(
    "Every queue obeys Little's law: its integral is the sum of the waits, also under preemption and "
    "hand-off") {
  const Facts facts = simulate(R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
      { "name": "prefill", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 2, "batching": { "kind": "chunked", "chunk_tokens": 512, "max_sequences": 8 } },
      { "name": "decode", "role": "decode", "accelerator": "h100-sxm-80gb", "replicas": 2, "batching": { "kind": "chunked", "max_sequences": 16 }, "kv_capacity": "900 MB" } ] },
      "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 60 }, "requests": 800,
        "prompt_tokens": { "kind": "uniform", "low": 10, "high": 1500 }, "output_tokens": { "kind": "uniform", "low": 1, "high": 500 } } })");
  std::int64_t preemptions = 0;
  for (const ReplicaUsage& usage : facts.usage) {
    CHECK(usage.waiting_seconds == Approx(usage.waited_seconds).epsilon(1e-9));
    CHECK(usage.waiting_seconds > 0);
    preemptions += usage.preemptions;
  }
  CHECK(preemptions > 20);
}

TEST_CASE(
    "Gaps between tokens add up: one for each token after the first, and in sum the time from first to "
    "last") {
  const Facts facts = simulate(R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
      { "name": "prefill", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 1 },
      { "name": "decode", "role": "decode", "accelerator": "h100-sxm-80gb", "replicas": 1, "batching": { "kind": "chunked", "max_sequences": 16 }, "kv_capacity": "600 MB" },
      { "name": "mixed", "accelerator": "h100-sxm-80gb", "replicas": 1, "batching": { "kind": "prefill-first", "token_budget": 600, "mixing": true, "chunking": false, "max_pauses": 3 },
        "kv_capacity": "600 MB" } ] },
      "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 40 }, "requests": 500,
        "prompt_tokens": { "kind": "uniform", "low": 10, "high": 900 }, "output_tokens": { "kind": "uniform", "low": 1, "high": 400 } } })");
  std::int64_t tokens = 0;
  std::int64_t preemptions = 0;
  double time = 0;
  for (const RequestRecord& r : facts.requests) {
    REQUIRE(r.outcome == Outcome::finished);
    tokens += r.output_tokens - 1;
    time += (r.last_token - r.first_token).si;
    preemptions += r.preemptions;
    CHECK(r.arrived <= r.first_scheduled);
    CHECK(r.first_scheduled < r.first_token);
    CHECK(r.hand_off_start <= r.hand_off_end);
    CHECK(r.hand_off_end <= r.last_token);
  }
  std::int64_t gaps = 0;
  double gap_time = 0;
  for (const TokenGaps& g : facts.gaps) {
    const auto n = static_cast<double>(g.count);
    gaps += g.count * g.weight;
    gap_time += static_cast<double>(g.weight) * (g.first.si * n + g.step.si * n * (n - 1) / 2);
  }
  CHECK(preemptions > 20);
  CHECK(gaps == tokens);
  CHECK(gap_time == Approx(time).epsilon(1e-9));
}

TEST_CASE(
    "Tokens are conserved: without preemption every prompt token is prefilled once and every other token "
    "decoded once") {
  const Facts facts = simulate(
      R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "mixed", "accelerator": "h100-sxm-80gb", "replicas": 3,
      "batching": { "kind": "chunked", "chunk_tokens": 300, "max_sequences": 20 } } ], "router": "least-tokens" },
      "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 50 }, "requests": 1000,
        "prompt_tokens": { "kind": "lognormal", "median": 400, "sigma": 1, "high": 5000 }, "output_tokens": { "kind": "uniform", "low": 1, "high": 300 } } })");
  TokenCount prompts = 0;
  TokenCount outputs = 0;
  for (const RequestRecord& r : facts.requests) {
    prompts += r.prompt_tokens;
    outputs += r.output_tokens - 1;
  }
  ReplicaUsage all;
  for (const ReplicaUsage& usage : facts.usage) all += usage;
  CHECK(all.prefill_tokens == prompts);
  CHECK(all.decode_tokens == outputs);
  CHECK(facts.counts.arrived == 1000);
  CHECK(facts.counts.finished == 1000);
}

TEST_CASE(
    "A queue bounded at 2 rejects what finds 2 waiting, and a request beyond the KV cache is turned away by "
    "name") {
  const Facts facts = simulate(
      R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "mixed", "accelerator": "h100-sxm-80gb", "replicas": 1,
      "batching": { "kind": "chunked", "max_sequences": 1 }, "kv_capacity": "131.072 MB", "block_tokens": 10 } ], "admission": { "kind": "bounded", "max_waiting": 2 } },
      "workload": { "kind": "synthetic", "arrivals": { "kind": "burst", "size": 10, "every": "1 h" }, "requests": 11, "prompt_tokens": 500, "output_tokens": 501 } })");
  // 1,000 tokens of room: 500 + 501 - 1 just fit. One runs, two wait, seven are rejected; the eleventh comes
  // an hour later.
  CHECK(facts.counts.finished == 4);
  CHECK(facts.counts.rejected == 7);
  const Facts* f = &facts;
  CHECK(std::count_if(f->requests.begin(), f->requests.end(),
                      [](const RequestRecord& r) { return r.outcome == Outcome::rejected_queue_full; }) == 7);
  const auto one_more = test::simulate_forked(
      R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "mixed", "accelerator": "h100-sxm-80gb", "replicas": 1,
      "kv_capacity": "131.072 MB", "block_tokens": 10 } ] },
      "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 1, "prompt_tokens": 500, "output_tokens": 502 } })",
      false);
  REQUIRE(one_more.size() == 1);
  CHECK(one_more[0].outcome == Outcome::rejected_too_large);
}
