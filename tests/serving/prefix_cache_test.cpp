// Prefix caches in whole clusters: what requests find, and what is handed off of it.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tests/support/harness.hpp"
#include "tests/support/prompts.hpp"
#include "tests/workloads/support.hpp"

using namespace disagg;
using test::Facts;
using test::simulate;

namespace {

constexpr TokenCount kHash = 512;
constexpr double kBytesPerToken = 131'072;  // Llama-3.1-8B in bf16

std::string mooncake(const std::filesystem::path& file, const std::string& more = "") {
  return R"({ "kind": "mooncake", "file": ")" + file.string() + "\"" + more + " }";
}

// One replica whose steps take a microsecond, so that requests do not overlap, with room for so many blocks.
std::string one_replica(const std::string& workload, BlockCount blocks, TokenCount block_tokens) {
  const double room =
      (static_cast<double>(blocks) + 0.5) * static_cast<double>(block_tokens) * kBytesPerToken;
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "one", "accelerator": "h100-sxm-80gb",
    "replicas": 1, "prefix_cache": { "eviction": "lru" }, "block_tokens": )" +
         std::to_string(block_tokens) + R"(, "kv_capacity": ")" + std::to_string(room / 1e6) + R"( MB",
    "service": { "kind": "table", "tokens": [1, 1000000], "prefill": ["1 us", "1 us"], "decode": ["1 us", "1 us"] } } ] },
    "workload": )" +
         workload + " }";
}

void check_one_at_a_time(const Facts& facts) {
  for (std::size_t i = 1; i < facts.requests.size(); ++i)
    REQUIRE(facts.requests[i].arrived > facts.requests[i - 1].last_token);
}

// 400 prompts of at most 16 hash blocks, one a second.
std::vector<test::TraceRow> serial_prompts() {
  test::SharedPrompts prompts(3, 16);
  std::vector<test::TraceRow> rows;
  for (int i = 0; i < 400; ++i) {
    test::TraceRow row{.arrival_ms = 1000.0 * i, .ids = prompts.next()};
    row.prompt_tokens = static_cast<TokenCount>(row.ids.size()) * kHash - prompts.whole(1, 511);
    row.output_tokens = prompts.whole(1, 100);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

TEST_CASE(
    "Of Mooncake's conversation trace a cache without limits finds 37.4 % of the tokens, each one that "
    "an independent count finds",
    "[public-data]") {
  const auto file = public_trace("mooncake_conversation.jsonl");
  if (file.empty()) return;
  // Of the trace, 54,098,293 of 144,793,823 tokens are those of an earlier prompt and not a prompt's last
  // one. Blocks of 16 tokens lose 853 of them at the ends of prompts, blocks of 512 another 34,336.
  struct Case {
    TokenCount block_tokens;
    TokenCount cached;
  };
  for (const Case& c : {Case{1, 54'098'293}, Case{16, 54'097'440}, Case{512, 54'063'104}}) {
    INFO("blocks of " << c.block_tokens << " tokens");
    test::SeenPrompts seen(kHash, c.block_tokens);
    std::vector<TokenCount> found;
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);) {
      const auto row = nlohmann::json::parse(line);
      found.push_back(seen.meet(row.at("input_length"), row.at("hash_ids")));
    }
    CHECK(std::accumulate(found.begin(), found.end(), TokenCount{0}) == c.cached);

    const Facts facts = simulate(
        one_replica(mooncake(file, R"(, "spread": "3 s")"), 200'000'000 / c.block_tokens, c.block_tokens));
    check_one_at_a_time(facts);
    REQUIRE(facts.requests.size() == found.size());
    for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(facts.requests[i].cached_tokens == found[i]);
    CHECK(facts.usage[0].cached_tokens == c.cached);
    CHECK(facts.usage[0].prompt_tokens == 144'793'823);
    CHECK(facts.usage[0].prefill_tokens == 144'793'823 - c.cached);
    CHECK(facts.usage[0].evicted_blocks == 0);
    CHECK(static_cast<double>(c.cached) / 144'793'823 == Approx(0.374).margin(0.0007).epsilon(0));
  }
}

TEST_CASE(
    "Under LRU a larger cache never finds fewer tokens, each finds what a list of the prefixes used last "
    "does, "
    "and one with room for all prompts finds all") {
  const auto rows = serial_prompts();
  const TemporaryFile file(test::mooncake_trace(rows));
  test::SeenPrompts seen(kHash, kHash);
  TokenCount all = 0;
  for (const test::TraceRow& row : rows) all += seen.meet(row.prompt_tokens, row.ids);
  TokenCount last = 0;
  std::int64_t grew = 0;
  for (const BlockCount blocks : {20, 24, 32, 48, 64, 96, 128, 192, 256, 4096}) {
    INFO(blocks << " blocks");
    const Facts facts = simulate(one_replica(mooncake(file.path()), blocks, kHash), false, true);
    check_one_at_a_time(facts);
    CHECK(facts.counts.finished == 400);
    test::LeastRecentPrompts recent(kHash, blocks);
    for (std::size_t i = 0; i < rows.size(); ++i)
      REQUIRE(facts.requests[i].cached_tokens == recent.meet(rows[i]));
    CHECK((facts.usage[0].evicted_blocks > 0) == (blocks < 4096));
    CHECK(facts.usage[0].cached_tokens >= last);
    grew += facts.usage[0].cached_tokens > last ? 1 : 0;
    last = facts.usage[0].cached_tokens;
  }
  CHECK(grew >= 8);
  CHECK(last == all);
}

TEST_CASE("A prompt whose start was cached is handed off whole, at once or layer by layer") {
  // Prompts that repeat, grow, part from each other, fill their blocks exactly, and want one token only.
  const std::vector<test::TraceRow> rows{
      {0, 1025, 5, {1, 2, 3}},   {100, 1025, 5, {1, 2, 3}},          {200, 1536, 5, {1, 2, 4}},
      {300, 1536, 7, {1, 2, 4}}, {300, 2000, 3, {1, 2, 4, 5}},       {301, 1536, 1, {1, 2, 4}},
      {302, 1024, 9, {1, 2}},    {303, 3000, 4, {1, 2, 4, 5, 6, 7}}, {2000, 3000, 2, {1, 2, 4, 5, 6, 7}}};
  const TemporaryFile file(test::mooncake_trace(rows));
  TokenCount prompts = 0;
  for (const test::TraceRow& row : rows) prompts += row.output_tokens > 1 ? row.prompt_tokens : 0;
  // With 12 layers of one small head a layer's share of one token is 128 bytes: 0.3 ns over a port of the
  // optical star, less than SimGrid can tell from its clock.
  const std::string small = R"({ "name": "small", "num_hidden_layers": 12, "hidden_size": 2048,
    "num_attention_heads": 16, "num_key_value_heads": 1, "head_dim": 64, "vocab_size": 32000, "intermediate_size": 8192 }, "precision": { "kv": "fp8" })";
  struct Case {
    std::string model;
    double bytes_per_token;
    std::string topology;
  };
  const std::vector<Case> cases{
      {R"("llama-3.1-8b")", kBytesPerToken, R"({ "kind": "nvlink-hosts" })"},
      {R"("llama-3.1-8b")", kBytesPerToken,
       R"({ "kind": "nvlink-hosts", "nic_latency": "0 s", "nvlink_latency": "0 s" })"},
      {small, 12 * 128, R"({ "kind": "optical-star", "nvlink_latency": "0 s" })"}};
  for (const Case& c : cases) {
    for (const std::string hand_off : {"whole", "layerwise"}) {
      for (const std::string overhead : {"0 s", "390 us"}) {
        for (const std::string solver : {"simgrid", "fluid"}) {
          const auto pool = [](const std::string& name, const std::string& more) {
            return R"({ "name": ")" + name + R"(", "role": ")" + name + R"(", "accelerator": "h200-sxm-141gb",
              "replicas": 1, "service": { "kind": "table", "tokens": [1, 100000], "prefill": ["10 ms", "10 ms"],
              "decode": ["20 ms", "20 ms"] })" +
                   more + " }";
          };
          const std::string scenario = R"({ "model": )" + c.model + R"(, "cluster": { "pools": [ )" +
                                       pool("prefill", R"(, "prefix_cache": { "eviction": "lru" })") + ", " +
                                       pool("decode", "") + R"( ], "hand_off": { "kind": ")" + hand_off +
                                       R"(", "overhead": ")" + overhead + R"(" }, "topology": )" +
                                       c.topology + R"( }, "network": { "solver": ")" + solver +
                                       R"(" }, "workload": )" + mooncake(file.path()) + " }";
          INFO(scenario);
          const Facts facts = test::simulate_in_fork(scenario, false, true);
          CHECK(facts.counts.finished == static_cast<std::int64_t>(rows.size()));
          CHECK(facts.usage[0].cached_tokens > 6000);
          double most = 0;
          for (const LinkUsage& link : facts.links) most = std::max(most, link.bytes.si);
          CHECK(most == Approx(static_cast<double>(prompts) * c.bytes_per_token).epsilon(1e-12));
        }
      }
    }
  }
}
