// Memory tiers below a replica's own memory, by hand: what is fetched, written, swapped and streamed, and
// when.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "experiments/feeder.hpp"
#include "experiments/scenario.hpp"
#include "sim/base/random.hpp"
#include "sim/base/text.hpp"
#include "tests/workloads/support.hpp"

using namespace disagg;

namespace {

struct Seen {
  std::vector<RequestRecord> requests;  // by id
  std::vector<TierUsage> tiers;
  ReplicaUsage usage;                  // of all replicas
  std::map<std::string, Bytes> links;  // bytes by name
};

struct Keeper final : RecordSink {
  std::vector<RequestRecord> requests;
  void request(const RequestRecord& r) override { requests.push_back(r); }
  void gaps(Seconds, const TokenGaps&) override {}
  void span(const SpanRecord&) override {}
};

// Simulates a scenario and audits all memory before every event.
Seen run(const std::string& text, bool single_steps = false) {
  Scenario scenario = read_scenario(parse_config(text, "test"), "test");
  const auto source = scenario.workload->open(scenario.cluster.seed);
  Keeper keeper;
  Simulation simulation(std::move(scenario.platform), FluidSolver{});
  scenario.cluster.single_steps = single_steps;
  Cluster cluster(std::move(scenario.cluster), simulation, keeper);
  const Feeder feeder(*source, scenario.horizon.end(), simulation, cluster, [](const SessionRecord&) {});
  const auto audit = [&] {
    for (const auto& replica : cluster.replicas()) replica->audit();
    if (cluster.tiers() != nullptr) cluster.tiers()->audit();
  };
  simulation.run([&](Seconds) {
    audit();
    return false;
  });
  cluster.settle();
  audit();
  cluster.expect_empty();
  Seen outcome;
  for (std::size_t t = 0; cluster.tiers() != nullptr && t < cluster.tiers()->tiers().size(); ++t)
    outcome.tiers.push_back(cluster.tiers()->usage(t));
  for (const auto& replica : cluster.replicas()) outcome.usage += replica->usage();
  for (std::size_t i = 0; i < simulation.link_usage().size(); ++i)
    outcome.links[simulation.platform().links[i].name] = simulation.link_usage()[i].bytes;
  outcome.requests = std::move(keeper.requests);
  std::ranges::sort(outcome.requests, {}, &RequestRecord::id);
  return outcome;
}

// Llama-3.1-8B keeps 131,072 bytes a token in bf16. A prefill takes 0.1 ms a token, a decode step 20 ms.
constexpr double kBytesPerToken = 131'072;
constexpr double kTokenTime = 1e-4;

std::string scenario(const std::string& pool, const std::string& memory, const std::string& workload,
                     const std::string& cluster = "") {
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "gpu", "accelerator": "h100-sxm-80gb",
    "service": { "kind": "table", "tokens": [1, 100001], "prefill": ["0.1 ms", "10000.1 ms"], "decode": ["20 ms", "20 ms"] }, )" +
         pool + R"( } ], "memory_pools": [ )" + memory + " ]" + cluster + R"( }, "workload": )" + workload +
         " }";
}

std::string dram(const std::string& more = "") {
  return R"({ "name": "dram", "scope": "replica", "capacity": "100 GB", "port_read": "50 GB/s", "port_write": "25 GB/s", "latency": "1 ms")" +
         more + " }";
}

// A prompt of whole hash blocks of 512 tokens.
struct Prompt {
  double second = 0;
  std::vector<int> ids;
  int output = 1;
};

class Trace {
 public:
  explicit Trace(const std::vector<Prompt>& prompts) : file_(text(prompts)) {}
  std::string workload() const {
    return R"({ "kind": "mooncake", "file": ")" + file_.path().string() + R"(", "spread": "0 s" })";
  }

 private:
  static std::string text(const std::vector<Prompt>& prompts) {
    std::string text;
    for (const Prompt& prompt : prompts) {
      std::string ids;
      for (const int id : prompt.ids) ids += (ids.empty() ? "" : ", ") + std::to_string(id);
      text += R"({"timestamp": )" + show_exact(prompt.second * 1e3) + R"(, "input_length": )" +
              std::to_string(512 * prompt.ids.size()) + R"(, "output_length": )" +
              std::to_string(prompt.output) + R"(, "hash_ids": [)" + ids + "]}\n";
    }
    return text;
  }
  TemporaryFile file_;
};

std::vector<int> ids(int first, int count) {
  std::vector<int> list;
  for (int i = 0; i < count; ++i) list.push_back(first + i);
  return list;
}

// Four prompts of 4,096 tokens one after the other, and the first again, in room for two.
std::vector<Prompt> four_and_one_again() {
  return {{0, ids(0, 8)}, {10, ids(100, 8)}, {20, ids(200, 8)}, {30, ids(300, 8)}, {40, ids(0, 8)}};
}

std::string room_for_two(const std::string& more = "") {
  return R"("replicas": 1, "prefix_cache": {}, "kv_capacity": "1.2 GB", "tiers": ["dram"])" + more;
}

}  // namespace

TEST_CASE("A prompt that was evicted comes back from a tier in its latency plus its bytes over the port") {
  const Trace trace(four_and_one_again());
  const Seen o = run(scenario(room_for_two(), dram(), trace.workload()));
  REQUIRE(o.requests.size() == 5);
  const RequestRecord& again = o.requests[4];
  // All but the last block of 16 tokens: one token at least is computed.
  CHECK(again.cached_tokens == 0);
  CHECK(again.fetched_tokens == 4080);
  const double fetch = 1e-3 + 4080 * kBytesPerToken / 50e9;
  CHECK(again.fetch_took.si == Approx(fetch).epsilon(1e-9));
  CHECK(again.fetch_expected.si == Approx(fetch).epsilon(1e-9));
  CHECK(again.recompute_expected.si == Approx(4080 * kTokenTime).epsilon(1e-9));
  CHECK((again.first_token - again.arrived).si == Approx(fetch + 16 * kTokenTime).epsilon(1e-9));
  CHECK((o.requests[3].first_token - o.requests[3].arrived).si == Approx(4096 * kTokenTime).epsilon(1e-9));
  // Each prompt was written once, through.
  CHECK(o.tiers[0].writes == 4);
  CHECK(o.tiers[0].bytes_written.si == Approx(4 * 4096 * kBytesPerToken));
  CHECK(o.tiers[0].bytes_read.si == Approx(4080 * kBytesPerToken));
}

TEST_CASE(
    "A prompt is computed again where that is quicker than its fetch, or where the pool never fetches") {
  const Trace trace(four_and_one_again());
  // At 1 GB/s the fetch takes 0.54 s and the prefill 0.41 s.
  const std::string slow =
      R"({ "name": "dram", "scope": "replica", "capacity": "100 GB", "port_read": "1 GB/s", "port_write": "25 GB/s", "latency": "1 ms" })";
  CHECK(run(scenario(room_for_two(), slow, trace.workload())).requests[4].fetched_tokens == 0);
  CHECK(run(scenario(room_for_two(R"(, "fetch": "always")"), slow, trace.workload()))
            .requests[4]
            .fetched_tokens == 4080);
  CHECK(run(scenario(room_for_two(R"(, "fetch": "never")"), dram(), trace.workload()))
            .requests[4]
            .fetched_tokens == 0);
}

TEST_CASE("Write-back writes what is evicted, with what is before it, and nothing else") {
  const Trace trace(four_and_one_again());
  const Seen o = run(scenario(room_for_two(), dram(R"(, "write": "write-back")"), trace.workload()));
  // Room for 572 blocks, 256 a prompt: the third evicts 196 blocks of the first, whose other 60 were written
  // before with them; the fourth those 60, and 136 of the second; the first again takes 256 from the second
  // and third, again with all before.
  CHECK(o.requests[4].fetched_tokens == 4080);
  CHECK(o.tiers[0].bytes_written.si == Approx(3 * 4096 * kBytesPerToken));
}

TEST_CASE("Write-on-completion writes when the last token is out") {
  const Trace trace({{0, ids(0, 8), 51}, {0.5, ids(0, 8), 1}, {5, ids(0, 8), 1}});
  const Seen o = run(scenario(R"("replicas": 1, "prefix_cache": {}, "tiers": ["dram"])",
                              dram(R"(, "write": "write-on-completion")"), trace.workload()));
  // The second finds the prompt in the replica's own cache, is done before the first and writes it.
  CHECK(o.requests[1].cached_tokens == 4080);
  CHECK(o.tiers[0].writes == 1);
  CHECK(o.tiers[0].bytes_written.si == Approx(4096 * kBytesPerToken));
}

TEST_CASE("What one replica has computed another fetches from a pool of the cluster, through both NICs") {
  const Trace trace({{0, ids(0, 8)}, {10, ids(0, 8)}});
  const Seen o = run(scenario(
      R"("replicas": 2, "prefix_cache": {}, "tiers": ["pool"])",
      R"({ "name": "pool", "scope": "cluster", "capacity": "1 TB", "port_read": "20 GB/s", "port_write": "20 GB/s", "latency": "1 ms" })",
      trace.workload(),
      R"(, "router": "round-robin", "topology": { "kind": "nvlink-hosts", "nic_efficiency": 1 })"));
  CHECK(o.requests[1].prefill_replica.index == 1);
  CHECK(o.requests[1].fetched_tokens == 4080);
  // The pool's one port of 20 GB/s, not the NIC's 50; half of the fabric's 2 us lies on the way.
  CHECK(o.requests[1].fetch_took.si == Approx(1e-3 + 1e-6 + 4080 * kBytesPerToken / 20e9).epsilon(1e-5));
}

TEST_CASE("Two fetches at the same time share the pool's port, and each is as slow as the other") {
  std::vector<Prompt> prompts{{0, ids(0, 8)}, {1, ids(100, 8)}, {10, ids(100, 8)}, {10, ids(0, 8)}};
  const Trace trace(prompts);
  const std::string pool =
      R"({ "name": "pool", "scope": "cluster", "capacity": "1 TB", "port_read": "10 GB/s", "port_write": "20 GB/s", "latency": "0 s" })";
  const Seen o = run(scenario(R"("replicas": 2, "prefix_cache": {}, "tiers": ["pool"], "fetch": "always")",
                              pool, trace.workload(), R"(, "router": "round-robin")"));
  for (const std::size_t i : {2, 3}) {
    CHECK(o.requests[i].fetched_tokens == 4080);
    CHECK(o.requests[i].fetch_took.si == Approx(2 * 4080 * kBytesPerToken / 10e9).epsilon(1e-4));
  }
}

TEST_CASE("A hit in a far tier is promoted to the nearer ones, from where it comes the next time") {
  std::vector<Prompt> prompts = four_and_one_again();
  for (int i = 0; i < 3; ++i) prompts.push_back({50.0 + 10 * i, ids(1000 + 100 * i, 8)});
  prompts.push_back({90, ids(0, 8)});
  const Trace trace(prompts);
  // DRAM gets only what is promoted: nothing completes 1,000 tokens, so that nothing is written there.
  const std::string far =
      R"({ "name": "nvme", "scope": "replica", "capacity": "1 TB", "port_read": "10 GB/s", "port_write": "5 GB/s", "latency": "1 ms" })";
  const Seen o = run(scenario(
      R"("replicas": 1, "prefix_cache": {}, "kv_capacity": "1.2 GB", "tiers": ["dram", "nvme"])",
      R"({ "name": "dram", "scope": "replica", "capacity": "1 GB", "port_read": "50 GB/s", "port_write": "25 GB/s", "latency": "1 ms", "write": "write-back" }, )" +
          far,
      trace.workload()));
  const double first = o.requests[4].fetch_took.si;
  CHECK(o.requests[4].fetched_tokens == 4080);
  CHECK(first > 0);
  CHECK(o.tiers[0].tokens_read + o.tiers[1].tokens_read ==
        o.requests[4].fetched_tokens + o.requests[8].fetched_tokens);
  CHECK(o.usage.fetched_tokens == o.requests[4].fetched_tokens + o.requests[8].fetched_tokens);
}

TEST_CASE("A full tier evicts, and one too small for a prompt refuses it") {
  const Trace trace(four_and_one_again());
  // Room for one prompt and a half.
  const Seen small = run(scenario(
      room_for_two(),
      R"({ "name": "dram", "scope": "replica", "capacity": "800 MB", "port_read": "50 GB/s", "port_write": "25 GB/s", "latency": "1 ms" })",
      trace.workload()));
  CHECK(small.tiers[0].evicted_blocks > 0);
  CHECK(small.requests[4].fetched_tokens == 0);
  const Seen tiny = run(scenario(
      room_for_two(),
      R"({ "name": "dram", "scope": "replica", "capacity": "400 MB", "port_read": "50 GB/s", "port_write": "25 GB/s", "latency": "1 ms" })",
      trace.workload()));
  CHECK(tiny.tiers[0].refused_writes == 5);
  CHECK(tiny.tiers[0].bytes_written.si == 0);
}

TEST_CASE("Swapped requests come back with all their tokens and are not computed again") {
  // Two requests of 1,024 tokens that grow by 512 each, in room for 2,560 tokens.
  const Trace trace({{0, ids(0, 2), 512}, {0, ids(100, 2), 512}});
  const auto outcome = [&](const std::string& spill) {
    return run(scenario(
        R"("replicas": 1, "kv_capacity": "336 MB", "tiers": ["dram"], "prefix_cache": {}, "spill": )" + spill,
        dram(R"(, "write": "write-on-completion")"), trace.workload()));
  };
  const Seen recompute = outcome(R"("recompute")");
  const Seen swap = outcome(R"({ "kind": "swap", "tier": "dram" })");
  REQUIRE(recompute.usage.preemptions > 0);
  CHECK(recompute.usage.swaps == 0);
  REQUIRE(swap.usage.preemptions > 0);
  CHECK(swap.usage.swaps == swap.usage.preemptions);
  CHECK(swap.usage.prefill_tokens == 2048);
  CHECK(recompute.usage.prefill_tokens > 2048);
  for (const Seen* o : {&recompute, &swap})
    for (const RequestRecord& r : o->requests) CHECK(r.output_tokens == 512);
  CHECK(swap.tiers[0].reads == swap.usage.swaps);
  CHECK(swap.requests[1].last_token < recompute.requests[1].last_token);
}

TEST_CASE(
    "A step that streams cold KV takes as long as its bytes take, or as it computes, whichever is more") {
  // One request of 2,048 tokens in room for 1,024: half of its context is cold.
  const Trace trace({{0, ids(0, 4), 11}});
  const auto tpot = [&](const std::string& port) {
    const Seen o = run(scenario(
        R"("replicas": 1, "kv_capacity": "134217728 B", "tiers": ["pool"], "spill": { "kind": "stream", "tier": "pool", "share": "1 GB" })",
        R"({ "name": "pool", "scope": "replica", "capacity": "1 GB", "port_read": ")" + port +
            R"(", "port_write": "10 GB/s", "latency": "1 ms" })",
        trace.workload()));
    const RequestRecord& r = o.requests[0];
    return std::pair((r.last_token - r.first_token).si / 10, o.usage);
  };
  // Steps read 2,049 to 2,058 tokens, of which 1,024 are the replica's own.
  const double bytes = (2053.5 - 1024) * kBytesPerToken;
  const auto [slow, capacity] = tpot("1 GB/s");
  CHECK(slow == Approx(bytes / 1e9).epsilon(1e-6));
  CHECK(slow > 0.1);
  const auto [fast, compute] = tpot("10 GB/s");
  CHECK(fast == Approx(0.02).epsilon(1e-9));
  const auto share = [](const ReplicaUsage& u, Regime r) {
    return u.regimes[static_cast<std::size_t>(r)].si / u.busy.si;
  };
  CHECK(share(capacity, Regime::capacity) > 0.8);  // the prefill takes 0.2 of 1.6 s
  CHECK(share(compute, Regime::capacity) == 0);
}

TEST_CASE("Two replicas that stream from one pool have half of its port each") {
  const Trace trace({{0, ids(0, 4), 11}, {0, ids(100, 4), 11}});
  const std::string pool =
      R"({ "name": "pool", "scope": "cluster", "capacity": "2 GB", "port_read": "2 GB/s", "port_write": "10 GB/s", "latency": "1 ms" })";
  const Seen o = run(scenario(
      R"("replicas": 2, "kv_capacity": "134217728 B", "tiers": ["pool"], "spill": { "kind": "stream", "tier": "pool", "share": "1 GB" })",
      pool, trace.workload(), R"(, "router": "round-robin")"));
  for (const RequestRecord& r : o.requests)
    CHECK((r.last_token - r.first_token).si / 10 ==
          Approx((2053.5 - 1024) * kBytesPerToken / 1e9).epsilon(1e-6));
}

TEST_CASE("A prompt of which part was fetched is handed off whole, at once or layer by layer") {
  const Trace trace({{0, ids(0, 8), 5},
                     {10, ids(100, 8), 5},
                     {20, ids(200, 8), 5},
                     {30, ids(300, 8), 5},
                     {40, ids(0, 9), 5}});
  for (const std::string hand_off : {"whole", "layerwise"}) {
    const auto pool = [&](const std::string& role, const std::string& more) {
      return R"({ "name": ")" + role + R"(", "role": ")" + role +
             R"(", "accelerator": "h100-sxm-80gb", "replicas": 1,
        "service": { "kind": "table", "tokens": [1, 100001], "prefill": ["0.1 ms", "10000.1 ms"], "decode": ["20 ms", "20 ms"] })" +
             more + " }";
    };
    const Seen o =
        run(R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ )" +
            pool("prefill", R"(, "prefix_cache": {}, "kv_capacity": "1.2 GB", "tiers": ["dram"])") + ", " +
            pool("decode", "") + R"( ], "hand_off": ")" + hand_off + R"(", "memory_pools": [ )" + dram() +
            R"( ] }, "workload": )" + trace.workload() + " }");
    INFO(hand_off);
    CHECK(o.requests[4].fetched_tokens == 4096);
    CHECK(o.links.at("switch>decode[0]").si == Approx((4 * 4096 + 4608) * kBytesPerToken));
  }
}

TEST_CASE("A pooled hand-off writes to the pool, frees the prefill replica and reads when there is room") {
  // Two prompts of 4,096 tokens. The prefill replica has room for one, and so has the decode replica.
  const Trace trace({{0, ids(0, 8), 11}, {0, ids(100, 8), 11}});
  const auto outcome = [&](const std::string& hand_off, const std::string& tiers, const std::string& memory) {
    const auto pool = [&](const std::string& role) {
      return R"({ "name": ")" + role + R"(", "role": ")" + role +
             R"(", "accelerator": "h100-sxm-80gb", "replicas": 1, "kv_capacity": "545 MB",
        "service": { "kind": "table", "tokens": [1, 100001], "prefill": ["0.1 ms", "10000.1 ms"], "decode": ["20 ms", "20 ms"] })" +
             tiers + " }";
    };
    return run(
        R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ )" + pool("prefill") + ", " + pool("decode") +
        R"( ], "topology": { "kind": "nvlink-hosts", "nic_efficiency": 1, "nic_latency": "0 s" }, "hand_off": )" +
        hand_off + memory + R"( }, "workload": )" + trace.workload() + " }");
  };
  const auto memory = [](const std::string& capacity) {
    return R"(, "memory_pools": [ { "name": "pool", "scope": "cluster", "capacity": ")" + capacity +
           R"(", "port_read": "20 GB/s", "port_write": "10 GB/s", "latency": "1 ms" } ])";
  };
  const std::string pooled = R"({ "kind": "pooled", "tier": "pool", "overhead": "0 s" })";
  const double bytes = 4096 * kBytesPerToken;
  const double prefill = 4096 * kTokenTime;
  const Seen direct = outcome(R"({ "kind": "whole", "overhead": "0 s" })", "", "");
  const Seen through = outcome(pooled, R"(, "tiers": ["pool"])", memory("2 GB"));
  const auto& first = through.requests[0];
  CHECK(first.prefill_end.si == Approx(prefill));
  CHECK((first.hand_off_end - first.prefill_end).si ==
        Approx(1e-3 + bytes / 10e9 + 1e-3 + bytes / 20e9).epsilon(1e-9));
  // The second prompt starts when the first has left: for the pool, not for the decode replica.
  CHECK(through.requests[1].first_scheduled.si == Approx(prefill + 1e-3 + bytes / 10e9).epsilon(1e-9));
  CHECK(through.tiers[0].bytes_written.si == Approx(2 * bytes));
  CHECK(through.tiers[0].bytes_read.si == Approx(2 * bytes));
  // A pool without room is passed by.
  const Seen full = outcome(pooled, R"(, "tiers": ["pool"])", memory("300 MB"));
  CHECK(full.tiers[0].refused_writes == 2);
  CHECK(full.requests[1].last_token.si == Approx(direct.requests[1].last_token.si).epsilon(1e-9));
}

TEST_CASE("A decode replica computes again what it preempted, whatever prefixes its pool holds") {
  const Trace trace({{0, ids(0, 2), 512}, {0, ids(100, 2), 512}});
  const auto pool = [](const std::string& role, const std::string& more) {
    return R"({ "name": ")" + role + R"(", "role": ")" + role +
           R"(", "accelerator": "h100-sxm-80gb", "replicas": 1, "tiers": ["pool"],
      "service": { "kind": "table", "tokens": [1, 100001], "prefill": ["0.1 ms", "10000.1 ms"], "decode": ["20 ms", "20 ms"] })" +
           more + " }";
  };
  const Seen o =
      run(R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ )" +
          pool("prefill", R"(, "prefix_cache": {})") + ", " + pool("decode", R"(, "kv_capacity": "336 MB")") +
          R"( ], "hand_off": { "kind": "pooled", "tier": "pool" }, "memory_pools": [
        { "name": "pool", "scope": "cluster", "capacity": "1 TB", "port_read": "20 GB/s", "port_write": "10 GB/s", "latency": "1 ms" } ] },
      "workload": )" +
          trace.workload() + " }");
  CHECK(o.usage.preemptions > 0);
  CHECK(o.usage.fetched_tokens == 0);
  CHECK(o.usage.prefill_tokens > 2048);
}

TEST_CASE("Spans equal steps with tiers, swaps and streams, and every byte is accounted for at every event") {
  RandomEngine random = random_stream(7, "test/tiers");
  double written_back = 0;  // mean distance over the rounds that write back
  for (int round = 0; round < 24; ++round) {
    std::vector<Prompt> prompts;
    double now = 0;
    for (int i = 0; i < 60; ++i) {
      // No arrival at the very date of a step's end: which of the two comes first is not the same.
      now += static_cast<double>(random() % 600'000) / 1e6 + 0.137e-6;
      std::vector<int> said = ids(static_cast<int>(random() % 4) * 1000, 1 + static_cast<int>(random() % 4));
      for (int own = 0; own < static_cast<int>(random() % 3); ++own) said.push_back(10'000 + 10 * i + own);
      prompts.push_back({now, said, 1 + static_cast<int>(random() % 120)});
    }
    const Trace trace(prompts);
    const std::string_view write = kTierWriteNames[static_cast<std::size_t>(round) % 3];
    const std::vector<std::string> spills{R"("recompute")", R"({ "kind": "swap", "tier": "dram" })",
                                          R"({ "kind": "stream", "tier": "dram", "share": "300 MB" })",
                                          R"("wait")"};
    const std::string text = scenario(
        R"("replicas": 2, "prefix_cache": { "eviction": "lru" }, "kv_capacity": "600 MB", "tiers": ["dram", "nvme"], "batching": ")" +
            std::string(round % 2 == 0 ? "chunked" : "prefill-first") + R"(", "spill": )" +
            spills[static_cast<std::size_t>(round) / 6],
        R"({ "name": "dram", "scope": "host", "capacity": "1.5 GB", "port_read": "2 GB/s", "port_write": "1 GB/s", "latency": "1 ms", "write": ")" +
            std::string(write) +
            R"(" }, { "name": "nvme", "scope": "cluster", "capacity": "4 GB", "port_read": "1 GB/s", "port_write": "1 GB/s", "latency": "1 ms", "write": "write-on-completion" })",
        trace.workload());
    INFO("round " << round);
    const Seen spans = run(text);
    const Seen steps = run(text, true);
    REQUIRE(spans.requests.size() == 60);
    REQUIRE(steps.requests.size() == 60);
    CHECK(spans.tiers[0].reads + spans.tiers[0].writes + spans.tiers[1].writes > 0);
    double apart = 0;
    double whole = 0;
    for (std::size_t i = 0; i < 60; ++i) {
      apart += std::abs((spans.requests[i].last_token - steps.requests[i].last_token).si);
      whole += (steps.requests[i].last_token - steps.requests[i].arrived).si;
    }
    // What decodes evict is written back at the end of a span instead of a step, and others then find less.
    if (write == "write-back") {
      written_back += apart / whole / 8;
      continue;
    }
    CHECK(apart < 1e-9 * whole);
    CHECK(spans.usage.preemptions == steps.usage.preemptions);
    CHECK(spans.usage.swaps == steps.usage.swaps);
    CHECK(spans.usage.fetched_tokens == steps.usage.fetched_tokens);
    for (std::size_t t = 0; t < 2; ++t) {
      CHECK(spans.tiers[t].bytes_read.si == Approx(steps.tiers[t].bytes_read.si));
      CHECK(spans.tiers[t].bytes_written.si == Approx(steps.tiers[t].bytes_written.si));
    }
  }
  CHECK(written_back < 0.1);
}
