// Prefix caches of models with linear attention: with each KV block the state at its end is kept.
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "experiments/scenario.hpp"
#include "tests/support/harness.hpp"

using namespace disagg;

namespace {

std::string scenario(const std::string& more, const std::string& cluster = "") {
  return R"({ "model": "qwen3-next-80b-a3b", "cluster": { "pools": [ { "name": "gpu", "accelerator": "h200-sxm-141gb", "replicas": 1,
      "parallelism": { "tp": 2 }, "service": { "kind": "table", "tokens": [1, 100000], "prefill": ["10 ms", "10 ms"], "decode": ["20 ms", "20 ms"] })" +
         more + " } ]" + cluster +
         R"( }, "network": { "solver": "fluid" }, "workload": { "kind": "synthetic", "arrivals": { "kind": "closed-loop",
      "concurrency": 1 }, "requests": 1, "prompt_tokens": 10, "output_tokens": 10 } })";
}

Turn turn(TokenCount prompt, TokenCount output, std::vector<std::uint32_t> parents) {
  Turn t;
  t.prompt_tokens = prompt;
  t.output_tokens = output;
  t.parents = std::move(parents);
  t.tool = Seconds{1};
  PromptContent content{.block_tokens = 1, .tokens = prompt + output, .ranges = {}};
  content.append(HashRange{1'000'000, prompt + output});
  t.content = std::make_shared<const PromptContent>(std::move(content));
  return t;
}

PoolSetup pool_of(const std::string& text) {
  return read_scenario(parse_config(text, "test"), "test").cluster.pools.at(0);
}

}  // namespace

TEST_CASE(
    "A block of a hybrid model holds the KV of its tokens and one state, and by default as much of both") {
  const PoolSetup usual = pool_of(scenario(R"(, "prefix_cache": {})"));
  const TransformerWork work(usual.shape.model, usual.shape.precision,
                             usual.shape.parallelism.kv_copies(usual.shape.model));
  const double state = work.state_bytes().si;
  const double per_token = work.resident_kv_bytes_per_token().si;
  REQUIRE(state > 0);
  CHECK(usual.block_tokens % 16 == 0);
  CHECK(static_cast<double>(usual.block_tokens) * per_token >= state);
  CHECK(static_cast<double>(usual.block_tokens - 16) * per_token < state);
  const PoolSetup given =
      pool_of(scenario(R"(, "prefix_cache": {}, "block_tokens": 1024, "kv_capacity": "20 GB")"));
  CHECK(given.kv_blocks == static_cast<BlockCount>(20e9 / (1024 * per_token + state)));
  const PoolSetup none = pool_of(scenario(R"(, "block_tokens": 1024, "kv_capacity": "20 GB")"));
  CHECK(none.kv_blocks == static_cast<BlockCount>(20e9 / (1024 * per_token)));
}

TEST_CASE("A prompt goes on from the last checkpoint: 4096 of 5,000 tokens in blocks of 1,024") {
  // The first turn leaves 5,099 tokens, which is four checkpoints and some; the third turn's prompt begins
  // with 6,149.
  const std::vector<test::ArrivingSession> sessions{
      {Seconds{0}, {{turn(5000, 100, {}), turn(6000, 150, {0}), turn(7000, 1, {1})}}}};
  for (const bool steps : {false, true}) {
    const test::Facts facts = test::simulate_sessions(
        scenario(R"(, "prefix_cache": {}, "block_tokens": 1024, "kv_capacity": "20 GB")"), sessions, steps);
    REQUIRE(facts.requests.size() == 3);
    CHECK(facts.requests[0].cached_tokens == 0);
    CHECK(facts.requests[1].cached_tokens == 4096);
    CHECK(facts.requests[2].cached_tokens == 6144);
  }
}

TEST_CASE("What is fetched from a memory pool brings one state, and what is written one for each block") {
  // Room in HBM for 8 blocks: the second session's prompt evicts the first's, which is fetched when its next
  // turn comes.
  const PoolSetup pool = pool_of(scenario(R"(, "prefix_cache": {}, "block_tokens": 1024)"));
  const TransformerWork work(pool.shape.model, pool.shape.precision,
                             pool.shape.parallelism.kv_copies(pool.shape.model));
  const double block = 1024 * work.resident_kv_bytes_per_token().si + work.state_bytes().si;
  Turn other = turn(7000, 1, {});
  PromptContent content{.block_tokens = 1, .tokens = 7001, .ranges = {}};
  content.append(HashRange{9'000'000, 7001});
  other.content = std::make_shared<const PromptContent>(content);
  const std::vector<test::ArrivingSession> sessions{{Seconds{0}, {{turn(5000, 1, {}), turn(6000, 1, {0})}}},
                                                    {Seconds{0.5}, {{other}}}};
  const test::Facts facts = test::simulate_sessions(
      scenario(
          R"(, "prefix_cache": {}, "block_tokens": 1024, "tiers": ["dram"], "fetch": "always", "kv_capacity": ")" +
              std::to_string(8.5 * block / 1e9) + R"( GB")",
          R"(, "memory_pools": [ { "name": "dram", "scope": "replica", "capacity": "50 GB", "port_read": "50 GB/s",
                    "port_write": "50 GB/s", "latency": "1 us", "write": "write-through" } ])"),
      sessions);
  const RequestRecord* second = nullptr;
  for (const RequestRecord& r : facts.requests)
    if (r.turn == 1) second = &r;
  REQUIRE(second != nullptr);
  CHECK(second->cached_tokens + second->fetched_tokens == 4096);
  CHECK(second->fetched_tokens > 0);
  const double fetched = static_cast<double>(second->fetched_tokens) * work.resident_kv_bytes_per_token().si +
                         work.state_bytes().si;
  // Each of the two accelerators has a port.
  CHECK(second->fetch_took.si == Approx(1e-6 + fetched / 100e9).epsilon(0.01));
}

TEST_CASE("Streaming cannot be combined with checkpoints of states", "[bad-input]") {
  CHECK_THROWS_WITH(
      pool_of(scenario(
          R"(, "prefix_cache": {}, "tiers": ["dram"], "spill": { "kind": "stream", "tier": "dram", "share": "1 GB" })",
          R"(, "memory_pools": [ { "name": "dram", "preset": "host-dram", "scope": "replica", "capacity": "50 GB" } ])")),
      Catch::Matchers::Contains("streaming cannot be combined with checkpoints of linear attention's state"));
}
