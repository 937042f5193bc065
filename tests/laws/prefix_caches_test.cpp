#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/harness.hpp"
#include "tests/support/prompts.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/workloads/support.hpp"

using namespace disagg;

namespace {

// Draws clusters with prefix caches and little KV, and prompts that share their beginnings.
class CacheScenarios {
 public:
  explicit CacheScenarios(std::uint64_t seed) : random_(random_stream(seed, "scenarios")), seed_(seed) {}

  struct Drawn {
    std::string scenario;
    std::string trace;  // to be written where the scenario says TRACE
    bool disaggregated = false;
  };
  Drawn next() {
    Drawn drawn;
    drawn.disaggregated = chance(0.5);
    const TokenCount hash = std::stoll(pick({"16", "64", "100", "512"}));
    drawn.trace = trace(hash);
    const bool layerwise = drawn.disaggregated && chance(0.5);
    const bool mixed_pool = drawn.disaggregated && !layerwise && chance(0.3);
    const std::string pools = drawn.disaggregated
                                  ? pool("p", "prefill") + ", " + pool("d", "decode") +
                                        (chance(0.2) && !mixed_pool ? ", " + pool("m", "mixed") : "")
                                  : pool("m", "mixed");
    drawn.scenario =
        R"({ "model": "llama-3.1-8b", "seed": )" + std::to_string(whole(1, 1 << 20)) +
        R"(, "cluster": { "pools": [ )" + pools + R"( ], "router": ")" +
        (mixed_pool
             ? "mixed-pool"
             : pick({"round-robin", "least-loaded", "least-tokens", "prefix-affinity", "cache-aware"})) +
        R"(", "hand_off": { "kind": ")" + (layerwise ? "layerwise" : "whole") + R"(", "overhead": ")" +
        pick({"0 s", "390 us"}) + R"(" }, "topology": { "kind": "nvlink-hosts", "nic_latency": ")" +
        pick({"0 s", "2 us"}) + R"(", "nvlink_latency": ")" + pick({"0 s", "10 us"}) +
        R"(" }, "admission": )" +
        (chance(0.2) ? R"({ "kind": "bounded", "max_waiting": 3 })" : R"("unbounded")") +
        R"( }, "network": { "solver": ")" + pick({"simgrid", "fluid"}) +
        R"(" }, "workload": { "kind": "mooncake", "file": "TRACE", "hash_block_tokens": )" +
        std::to_string(hash) + " } }";
    return drawn;
  }

 private:
  std::int64_t whole(std::int64_t low, std::int64_t high) {
    return boost::random::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  bool chance(double p) { return boost::random::uniform_real_distribution<double>(0, 1)(random_) < p; }
  std::string pick(std::vector<std::string> choices) {
    return choices[static_cast<std::size_t>(whole(0, static_cast<std::int64_t>(choices.size()) - 1))];
  }
  std::string trace(TokenCount hash) {
    test::SharedPrompts prompts(seed_++, std::max<std::int64_t>(2, 3000 / hash));
    std::vector<test::TraceRow> rows;
    const std::int64_t longest_gap = whole(5, 300);  // ms
    double now = 0;
    for (auto i = whole(20, 60); i > 0; --i) {
      now += static_cast<double>(whole(0, longest_gap));
      test::TraceRow row{.arrival_ms = now, .ids = prompts.next()};
      // Every other prompt ends with its last hash block.
      row.prompt_tokens =
          static_cast<TokenCount>(row.ids.size()) * hash - (chance(0.5) ? whole(0, hash - 1) : 0);
      row.output_tokens = chance(0.1) ? 1 : whole(1, 400);
      rows.push_back(std::move(row));
    }
    return test::mooncake_trace(rows);
  }
  std::string batching() {
    const std::string limits = R"(, "max_sequences": )" + std::to_string(whole(1, 24));
    switch (whole(0, 2)) {
      case 0:
        return R"({ "kind": "chunked", "chunk_tokens": )" + std::to_string(whole(24, 2000)) + limits + " }";
      case 1:
        return R"({ "kind": "prefill-first", "token_budget": )" + std::to_string(whole(8, 2000)) + limits +
               R"(, "chunking": )" + pick({"true", "false"}) + R"(, "mixing": )" + pick({"true", "false"}) +
               R"(, "max_pauses": )" + std::to_string(whole(0, 4)) + " }";
      default:
        return R"({ "kind": "whole-prompts", "token_budget": )" + std::to_string(whole(24, 4000)) + limits +
               R"(, "admission": ")" + pick({"prompt", "prompt-and-output"}) + R"(" })";
    }
  }
  // KV room for one to three of the largest requests.
  std::string pool(const std::string& name, const std::string& role) {
    const std::string cache = role == "decode"
                                  ? ""
                                  : R"(, "prefix_cache": { "eviction": { "kind": ")" +
                                        pick({"lru", "fifo", "lfu", "recompute-cost"}) + "\"" +
                                        pick({"", "", R"(, "ttl": "200 ms")", R"(, "ttl": "2 s")"}) + " } }";
    const std::string drafts = chance(0.2) ? R"(, "drafts": { "tokens": 2, "acceptance": 0.6 })" : "";
    return R"({ "name": ")" + name + R"(", "role": ")" + role +
           R"(", "accelerator": "h100-sxm-80gb", "replicas": )" + pick({"1", "1", "2"}) +
           R"(, "parallelism": { "tp": )" + pick({"1", "8"}) + R"(, "dp_attention": )" +
           pick({"1", "1", "1", "2"}) + R"( }, "service": ")" + pick({"kernels", "roofline"}) +
           R"(", "software": ")" + pick({"vllm", "trtllm", "ideal"}) + R"(", "batching": )" + batching() +
           R"(, "block_tokens": )" + pick({"1", "16", "64", "500"}) + R"(, "kv_capacity": ")" +
           std::to_string(static_cast<double>(whole(3500, 9000)) * 131'072 / 1e6) + R"( MB")" + cache +
           drafts + " }";
  }

  RandomEngine random_;
  std::uint64_t seed_;
};

bool close(Seconds a, Seconds b) { return std::abs((a - b).si) <= 1e-9 * std::max(1.0, std::abs(a.si)); }

}  // namespace

TEST_CASE(
    "400 random clusters with prefix caches: the same records in spans and step by step, every block "
    "accounted for before every event, and nothing lost") {
  CacheScenarios scenarios(11);
  std::int64_t preempted = 0;
  std::int64_t handed_off = 0;
  TokenCount cached = 0;
  BlockCount evicted = 0;
  for (int i = 0; i < (test::kSanitized ? 100 : 400); ++i) {
    auto [scenario, trace, disaggregated] = scenarios.next();
    const TemporaryFile file(trace);
    scenario.replace(scenario.find("TRACE"), 5, file.path().string());
    INFO("scenario " << i << ": " << scenario);
    const test::Facts spans = test::simulate_in_fork(scenario, false, true);
    const test::Facts steps = test::simulate_in_fork(scenario, true, true);
    REQUIRE(spans.requests.size() == steps.requests.size());
    TokenCount found = 0;
    TokenCount computed = 0;
    std::int64_t again = 0;
    for (std::size_t r = 0; r < spans.requests.size(); ++r) {
      const RequestRecord& a = spans.requests[r];
      const RequestRecord& b = steps.requests[r];
      INFO("request " << r);
      REQUIRE(a.id == b.id);
      REQUIRE(a.outcome == b.outcome);
      REQUIRE(a.cached_tokens == b.cached_tokens);
      REQUIRE(a.cached_tokens < a.prompt_tokens);
      REQUIRE(a.prefill_replica == b.prefill_replica);
      REQUIRE(a.decode_replica == b.decode_replica);
      REQUIRE(a.preemptions == b.preemptions);
      REQUIRE(close(a.first_scheduled, b.first_scheduled));
      REQUIRE(close(a.first_token, b.first_token));
      REQUIRE(close(a.hand_off_start, b.hand_off_start));
      REQUIRE(close(a.hand_off_end, b.hand_off_end));
      REQUIRE(close(a.last_token, b.last_token));
      if (a.outcome != Outcome::finished) continue;
      found += a.cached_tokens;
      computed += a.prompt_tokens - a.cached_tokens;
      again += a.preemptions;
      handed_off += a.decode_replica != a.prefill_replica ? 1 : 0;
    }
    ReplicaUsage all;
    for (const ReplicaUsage& usage : spans.usage) all += usage;
    BlockCount evicted_by_steps = 0;
    for (const ReplicaUsage& usage : steps.usage) evicted_by_steps += usage.evicted_blocks;
    REQUIRE(all.evicted_blocks == evicted_by_steps);
    // Each prompt token was found or computed, and only what was preempted is computed again.
    REQUIRE(all.cached_tokens == found);
    REQUIRE((again > 0 ? all.prefill_tokens >= computed : all.prefill_tokens == computed));
    REQUIRE(all.preemptions == again);
    preempted += again;
    cached += found;
    evicted += all.evicted_blocks;
  }
  // The draw is worth something only if the rare paths ran.
  CHECK(preempted > 50);
  CHECK(handed_off > 500);
  CHECK(cached > 100'000);
  CHECK(evicted > 10'000);
}
