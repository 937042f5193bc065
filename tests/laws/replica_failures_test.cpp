// Replicas that fail and are repaired: requests are computed again behind what their clients have got, or
// handed off to another replica, and none is lost or served twice.
#include <boost/random/uniform_int_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>

#include "experiments/scenario.hpp"
#include "sim/base/no_progress.hpp"
#include "sim/base/random.hpp"
#include "tests/support/harness.hpp"
#include "tests/support/prompts.hpp"
#include "tests/workloads/support.hpp"

using namespace disagg;

namespace {

std::string pool(const std::string& name, const std::string& role, int replicas,
                 const std::string& more = "") {
  return R"({ "name": ")" + name + R"(", "role": ")" + role +
         R"(", "accelerator": "h100-sxm-80gb", "replicas": )" + std::to_string(replicas) +
         R"(, "service": { "kind": "table", "tokens": [1, 100000], "prefill": ["10 ms", "10 ms"], "decode": ["20 ms", "20 ms"] })" +
         more + " }";
}

// One prompt of 1,000 tokens of Llama-3.1-8B with ten output tokens, at 0 s.
std::string one_request(const std::string& pools, const std::string& failures, const std::string& more = "") {
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ )" + pools + R"( ], "failures": [ )" +
         failures + R"( ], "topology": { "kind": "nvlink-hosts", "nic_efficiency": 1 })" + more +
         R"( }, "network": { "solver": "fluid" },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 1,
      "prompt_tokens": 1000, "output_tokens": 10 } })";
}

std::string whole_hand_off(const std::string& first_token = "prefill") {
  return R"(, "hand_off": { "kind": "whole", "overhead": "1 ms", "first_token": ")" + first_token + R"(" })";
}

std::string failure(const std::string& pool, int replica, const std::string& at,
                    const std::string& duration = "") {
  return R"({ "kind": "replica", "pool": ")" + pool + R"(", "replica": )" + std::to_string(replica) +
         R"(, "at": ")" + at + "\"" + (duration.empty() ? "" : R"(, "for": ")" + duration + "\"") + " }";
}

constexpr double kPrefill = 10e-3;
constexpr double kStep = 20e-3;
constexpr double kWay = 1.002e-3;             // before the first byte of a hand-off
constexpr double kPerToken = 131'072 / 50e9;  // of a hand-off
constexpr double kTransfer = 1000 * kPerToken;

// Draws clusters of all kinds whose links and replicas fail every few seconds.
class FailingClusters {
 public:
  explicit FailingClusters(std::uint64_t seed) : random_(random_stream(seed, "scenarios")), seed_(seed) {}

  struct Drawn {
    std::string scenario;
    std::string trace;  // to be written where the scenario says TRACE
    TokenCount output_tokens = 0;
    std::int64_t requests = 0;
  };
  Drawn next(const std::string& solver, int kind) {
    Drawn drawn;
    const TokenCount hash = std::stoll(pick({"16", "64", "512"}));
    test::SharedPrompts prompts(seed_++, std::max<std::int64_t>(2, 3000 / hash));
    std::vector<test::TraceRow> rows;
    const std::int64_t longest_gap = whole(20, 300);  // ms
    double now = 0;
    for (int i = 0; i < 60; ++i) {
      now += static_cast<double>(whole(0, longest_gap));
      test::TraceRow row{.arrival_ms = now, .ids = prompts.next()};
      row.prompt_tokens = static_cast<TokenCount>(row.ids.size()) * hash - whole(0, hash - 1);
      row.output_tokens = chance(10) ? 1 : whole(1, 400);
      drawn.output_tokens += row.output_tokens;
      ++drawn.requests;
      rows.push_back(std::move(row));
    }
    drawn.trace = test::mooncake_trace(rows);
    const std::string first = chance(50) ? "decode" : "prefill";
    std::string pools;
    std::string hand_off = R"({ "kind": "whole", "first_token": ")" + first + "\" }";
    std::string router = pick({"round-robin", "least-loaded", "least-tokens", "most-kv-room"});
    switch (kind % 5) {
      case 0:
        pools = drawn_pool("m", "mixed", true);
        router = pick({"random", "prefix-affinity", "cache-aware"});
        break;
      case 1:
        pools = drawn_pool("p", "prefill", false) + ", " + drawn_pool("d", "decode", false);
        router = "mixed-pool";
        break;
      case 2:
        hand_off = R"({ "kind": "layerwise", "first_token": ")" + first + "\" }";
        [[fallthrough]];
      case 3:
        pools = drawn_pool("p", "prefill", true) + ", " + drawn_pool("d", "decode", false) +
                (chance(50) ? ", " + drawn_pool("m", "mixed", true) : "");
        break;
      default:
        hand_off = R"({ "kind": "pooled", "tier": "cxl" })";
        pools = drawn_pool("p", "prefill", true) + ", " + drawn_pool("d", "decode", true);
    }
    const std::string memory =
        R"(, "memory_pools": [
          { "name": "dram", "scope": "replica", "capacity": "1.5 GB", "port_read": "2 GB/s", "port_write": "1 GB/s", "latency": "1 ms", "write": ")" +
        pick({"write-through", "write-on-completion"}) + R"(" },
          { "name": "cxl", "scope": "cluster", "capacity": "6 GB", "port_read": "4 GB/s", "port_write": "4 GB/s", "latency": "1 ms", "attached_to": "spine-0" } ])";
    drawn.scenario = R"({ "model": "llama-3.1-8b", "seed": )" + std::to_string(whole(1, 1 << 20)) +
                     R"(, "cluster": { "pools": [ )" + pools + R"( ], "router": ")" + router +
                     R"(", "hand_off": )" + hand_off + (kind % 5 == 1 ? "" : memory) +
                     R"(, "topology": { "kind": "leaf-spine", "hosts_per_leaf": 1 },
        "failures": [ { "kind": "random-replicas", "mtbf": "2 s", "mttr": "200 ms" } ] },
        "network": { "solver": ")" +
                     solver +
                     R"(", "failures": [ { "kind": "random-links", "mtbf": "4 s", "mttr": "100 ms" } ] },
        "workload": { "kind": "mooncake", "file": "TRACE", "hash_block_tokens": )" +
                     std::to_string(hash) + " } }";
    return drawn;
  }

 private:
  std::int64_t whole(std::int64_t low, std::int64_t high) {
    return boost::random::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  bool chance(int percent) { return whole(1, 100) <= percent; }
  std::string pick(std::vector<std::string> choices) {
    return choices[static_cast<std::size_t>(whole(0, static_cast<std::int64_t>(choices.size()) - 1))];
  }
  std::string drawn_pool(const std::string& name, const std::string& role, bool tiers) {
    const std::string spill = pick({R"("recompute")", R"("wait")", R"({ "kind": "swap", "tier": "dram" })",
                                    R"({ "kind": "swap", "tier": "cxl" })",
                                    R"({ "kind": "stream", "tier": "dram", "share": "300 MB" })"});
    return R"({ "name": ")" + name + R"(", "role": ")" + role +
           R"(", "accelerator": "h100-sxm-80gb", "replicas": )" + pick({"2", "3"}) +
           R"(, "parallelism": { "dp_attention": 1 }, "batching": ")" +
           pick({"chunked", "prefill-first", "whole-prompts"}) + R"(", "kv_capacity": ")" +
           std::to_string(static_cast<double>(whole(3500, 9000)) * 131'072 / 1e6) + R"( MB")" +
           (role == "decode" ? "" : R"(, "prefix_cache": { "eviction": "lru" })") +
           (tiers && role != "decode" ? R"(, "fetch": ")" + pick({"always", "cheaper"}) + "\"" : "") +
           (tiers ? R"(, "tiers": ["dram", "cxl"], "spill": )" + spill : "") + " }";
  }

  RandomEngine random_;
  std::uint64_t seed_;
};

}  // namespace

TEST_CASE(
    "A replica fails in the middle of a decode: what the client has got stays, and prompt and output are "
    "computed again") {
  // Four tokens are out, at 10, 30, 50 and 70 ms. The fifth comes from the second prefill.
  const auto check = [](const test::Facts& facts, double again) {
    const RequestRecord& r = facts.requests.at(0);
    CHECK(r.retries == 1);
    CHECK(facts.counts.retries == 1);
    CHECK(r.preemptions == 0);
    CHECK(r.first_scheduled.si == 0);
    CHECK(r.first_token.si == Approx(kPrefill).epsilon(1e-9));
    CHECK(r.last_token.si == Approx(again + kPrefill + 5 * kStep).epsilon(1e-9));
    CHECK(facts.gaps_seen == 9);
    ReplicaUsage all;
    for (const ReplicaUsage& usage : facts.usage) all += usage;
    CHECK(all.prefill_tokens == 1000 + 1004);
    CHECK(all.decode_tokens == 3 + 5);
    CHECK(all.busy.si == Approx(75e-3 + kPrefill + 5 * kStep).epsilon(1e-9));
  };
  check(test::simulate(one_request(pool("gpu", "mixed", 1), failure("gpu", 0, "75 ms", "1 s"))), 1.075);
  check(test::simulate(one_request(pool("gpu", "mixed", 1), failure("gpu", 0, "75 ms", "1 s")), true), 1.075);
  const test::Facts two = test::simulate(one_request(pool("gpu", "mixed", 2), failure("gpu", 0, "75 ms")));
  check(two, 0.075);
  CHECK(two.requests[0].decode_replica.index == 1);
  // Failures that overlap: up again when both are over.
  check(test::simulate(one_request(pool("gpu", "mixed", 1), failure("gpu", 0, "75 ms", "1 s") + ", " +
                                                                failure("gpu", 0, "80 ms", "2 s"))),
        2.08);
}

TEST_CASE("A replica fails in the middle of a prefill: nothing of it counts") {
  const test::Facts facts =
      test::simulate(one_request(pool("gpu", "mixed", 1), failure("gpu", 0, "5 ms", "1 s")));
  const RequestRecord& r = facts.requests.at(0);
  CHECK(r.retries == 1);
  CHECK(r.first_token.si == Approx(1.005 + kPrefill).epsilon(1e-9));
  CHECK(r.last_token.si == Approx(1.005 + kPrefill + 9 * kStep).epsilon(1e-9));
  CHECK(facts.usage[0].prefill_tokens == 1000);
  CHECK(facts.usage[0].steps == 1 + 9);  // the end of the lost one does not come
}

TEST_CASE("A decode replica fails during a hand-off: the KV cache goes to another one, or waits for it") {
  const auto run = [](int decodes, const std::string& duration) {
    return test::simulate(
        one_request(pool("prefill", "prefill", 1) + ", " + pool("decode", "decode", decodes),
                    failure("decode", 0, "12 ms", duration), whole_hand_off()));
  };
  const test::Facts other = run(2, "");
  const RequestRecord& r = other.requests.at(0);
  CHECK(r.decode_replica.index == 2);
  CHECK(r.retries == 1);
  CHECK(r.hand_off_end.si == Approx(12e-3 + kWay + kTransfer).epsilon(1e-9));
  CHECK(r.last_token.si == Approx(12e-3 + kWay + kTransfer + 9 * kStep).epsilon(1e-9));
  CHECK(other.usage[0].prefill_tokens == 1000);
  CHECK(run(1, "1 s").requests.at(0).hand_off_end.si == Approx(1.012 + kWay + kTransfer).epsilon(1e-9));
}

TEST_CASE(
    "A prefill replica fails during a hand-off: another one computes the prompt and the first token's KV") {
  for (const std::string first_token : {"prefill", "decode"}) {
    const test::Facts facts =
        test::simulate(one_request(pool("prefill", "prefill", 2) + ", " + pool("decode", "decode", 1),
                                   failure("prefill", 0, "12 ms"), whole_hand_off(first_token)));
    const RequestRecord& r = facts.requests.at(0);
    CHECK(r.prefill_replica.index == 1);
    CHECK(r.retries == 1);
    // The client has the first token, or it has not yet seen any.
    const bool seen = first_token == "prefill";
    const double arrived = 12e-3 + kPrefill + kWay + (seen ? 1001 : 1000) * kPerToken;
    CHECK(r.hand_off_end.si == Approx(arrived).epsilon(1e-9));
    CHECK(r.first_token.si == Approx(seen ? kPrefill : arrived + kStep).epsilon(1e-9));
    CHECK(r.last_token.si == Approx(arrived + (seen ? 8 : 9) * kStep).epsilon(1e-9));
    CHECK(facts.gaps_seen == (seen ? 9 : 8));
  }
}

TEST_CASE("Room that was taken for a hand-off from a replica that fails goes to the next in line at once") {
  // Two prompts prefilled at the same time, and room for one at the decode replica.
  const TemporaryFile trace(
      test::mooncake_trace({{.arrival_ms = 0, .prompt_tokens = 1000, .output_tokens = 10, .ids = {1, 2}},
                            {.arrival_ms = 0, .prompt_tokens = 1000, .output_tokens = 10, .ids = {3, 4}}}));
  const test::Facts facts = test::simulate(
      R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ )" + pool("prefill", "prefill", 2) + ", " +
      pool("decode", "decode", 1, R"(, "kv_capacity": "140 MB")") + R"( ], "failures": [ )" +
      failure("prefill", 0, "12 ms") + R"( ], "topology": { "kind": "nvlink-hosts", "nic_efficiency": 1 })" +
      whole_hand_off() +
      R"( }, "network": { "solver": "fluid" }, "workload": { "kind": "mooncake", "file": ")" +
      trace.path().string() + R"(", "spread": "0 s" } })");
  CHECK(facts.requests.at(0).retries == 1);
  CHECK(facts.requests.at(1).retries == 0);
  CHECK(facts.requests.at(1).room_found.si == Approx(12e-3).epsilon(1e-9));
  CHECK(facts.requests.at(1).hand_off_end.si == Approx(12e-3 + kWay + kTransfer).epsilon(1e-9));
}

TEST_CASE("A replica that fails loses its prefix cache and its own tier, and not a tier of the cluster") {
  const TemporaryFile trace(test::mooncake_trace(
      {{.arrival_ms = 0, .prompt_tokens = 1024, .output_tokens = 2, .ids = {1, 2}},
       {.arrival_ms = 10'000, .prompt_tokens = 1024, .output_tokens = 2, .ids = {1, 2}}}));
  const auto second = [&](const std::string& scope, const std::string& failures) {
    return test::simulate(
               R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ )" +
                   pool("gpu", "mixed", 1, R"(, "prefix_cache": {}, "tiers": ["far"], "fetch": "always")") +
                   R"( ], "memory_pools": [ { "name": "far", "scope": ")" + scope +
                   R"(", "capacity": "10 GB", "port_read": "20 GB/s", "port_write": "10 GB/s", "latency": "1 ms" } ],
          "failures": [ )" +
                   failures +
                   R"( ] }, "network": { "solver": "fluid" }, "workload": { "kind": "mooncake", "file": ")" +
                   trace.path().string() + R"(", "spread": "0 s" } })",
               false, true)
        .requests.at(1);
  };
  const RequestRecord kept = second("replica", "");
  CHECK(kept.cached_tokens == 1008);
  CHECK(kept.fetched_tokens == 0);
  const std::string fails = failure("gpu", 0, "5 s", "1 s");
  const RequestRecord own = second("replica", fails);
  CHECK(own.cached_tokens == 0);
  CHECK(own.fetched_tokens == 0);
  const RequestRecord shared = second("cluster", fails);
  CHECK(shared.cached_tokens == 0);
  CHECK(shared.fetched_tokens == 1008);
}

TEST_CASE("Replicas that are never repaired end the run with what waits for them") {
  CHECK_THROWS_WITH(
      test::simulate(one_request(pool("gpu", "mixed", 1), failure("gpu", 0, "75 ms"))),
      "no progress: 1 requests are left and nothing can happen any more. The first, number 0 (1000 prompt "
      "and 10 output tokens), waits for a replica; replicas that are down: gpu[0]");
  CHECK_THROWS_WITH(
      test::simulate(one_request(pool("prefill", "prefill", 1) + ", " + pool("decode", "decode", 1),
                                 failure("decode", 0, "5 ms"), whole_hand_off())),
      "no progress: 1 requests are left and nothing can happen any more. The first, number 0 (1000 prompt "
      "and 10 output tokens), is prefilled at prefill[0] and waits for a decode replica; replicas that are "
      "down: decode[0]");
  // A step takes 20 ms, and no replica lives that long.
  CHECK_THROWS_WITH(
      test::simulate(one_request(pool("gpu", "mixed", 1),
                                 R"({ "kind": "random-replicas", "mtbf": "0.1 ms", "mttr": "1 us" })")),
      "no progress: request 0 has been sent back 1000 times by failures of replicas");
}

TEST_CASE(
    "Through a thousand random failures of links and replicas every request finishes once with all its "
    "tokens, with caches, tiers, swaps and streams, in spans as step by step") {
  FailingClusters clusters(3);
  std::int64_t link_failures = 0;
  std::int64_t replica_failures = 0;
  std::int64_t retries = 0;
  std::int64_t handed_off = 0;
  ReplicaUsage all;
  for (int i = 0; i < 60; ++i) {
    const std::string solver = i % 4 == 3 ? "simgrid" : "fluid";
    auto [scenario, trace, output_tokens, requests] = clusters.next(solver, i);
    const TemporaryFile file(trace);
    scenario.replace(scenario.find("TRACE"), 5, file.path().string());
    INFO("scenario " << i << ": " << scenario);
    const test::Facts spans = test::simulate_in_fork(scenario, false, true);
    link_failures += spans.link_failures;
    replica_failures += spans.replica_failures;
    retries += spans.counts.retries;
    REQUIRE(spans.counts.finished == requests);
    REQUIRE(spans.requests.size() == static_cast<std::size_t>(requests));
    std::int64_t hidden = 0;  // tokens that the client gets together with the second one
    std::int64_t retried = 0;
    for (std::size_t r = 0; r < spans.requests.size(); ++r) {
      const RequestRecord& a = spans.requests[r];
      REQUIRE(a.id == r);
      REQUIRE(a.arrived <= a.first_scheduled);
      REQUIRE(a.first_scheduled < a.first_token);
      REQUIRE((a.output_tokens == 1 ? a.first_token == a.last_token : a.first_token <= a.last_token));
      hidden += a.first_token > a.prefill_end ? 1 : 0;
      retried += a.retries;
      handed_off += a.decode_replica != a.prefill_replica ? 1 : 0;
    }
    CHECK(retried == spans.counts.retries);
    // A gap for each token but the first that a client sees.
    CHECK(spans.gaps_seen == output_tokens - requests - hidden);
    for (const ReplicaUsage& usage : spans.usage) all += usage;
    const test::Facts again = test::simulate_in_fork(scenario, false);
    for (std::size_t r = 0; r < spans.requests.size(); ++r)
      REQUIRE(again.requests[r].last_token.si == spans.requests[r].last_token.si);
    const test::Facts steps = test::simulate_in_fork(scenario, true, true);
    REQUIRE(steps.requests.size() == spans.requests.size());
    for (std::size_t r = 0; r < spans.requests.size(); ++r) {
      INFO("request " << r);
      REQUIRE(steps.requests[r].retries == spans.requests[r].retries);
      REQUIRE(std::abs((steps.requests[r].last_token - spans.requests[r].last_token).si) < 1e-6);
    }
  }
  CHECK(link_failures > 1000);
  CHECK(replica_failures > 1000);
  CHECK(retries > 1000);
  // The draw is worth something only if the rare paths ran.
  CHECK(all.preemptions > 100);
  CHECK(all.swaps > 50);
  CHECK(all.fetched_tokens > 100'000);
  CHECK(handed_off > 1000);
}

TEST_CASE(
    "Users leave in the middle of everything: each request ends once, finished or cancelled, and nothing of "
    "it stays, in spans as step by step") {
  std::int64_t cancelled = 0;
  std::int64_t finished = 0;
  std::int64_t retries = 0;
  ReplicaUsage all;
  RandomEngine random = random_stream(11, "patience");
  FailingClusters clusters(5);
  for (int round = 0; round < 200; ++round) {
    INFO("round " << round);
    const FailingClusters::Drawn drawn = clusters.next("fluid", round);
    const TemporaryFile trace(drawn.trace);
    std::string scenario = drawn.scenario;
    scenario.replace(scenario.find("TRACE"), 5, trace.path().string());
    INFO(scenario);
    std::vector<test::ArrivingSession> sessions;
    const auto source = read_scenario(parse_config(scenario, "test"), "test").workload->open(1);
    while (const auto request = source->next()) {
      Turn turn;
      turn.prompt_tokens = request->prompt_tokens;
      turn.output_tokens = request->output_tokens;
      turn.content = request->content;
      // No date may be that of a step's end.
      turn.patience = Seconds{std::exp(static_cast<double>(random() % 100'000) / 12'000) * 20e-3 + 0.137e-7};
      sessions.push_back({.arrival = request->arrival, .session = {{turn}}});
    }
    const test::Facts spans = test::simulate_sessions(scenario, sessions);
    REQUIRE(spans.requests.size() == 60);
    std::vector<int> seen(60);
    for (const RequestRecord& r : spans.requests) ++seen.at(r.session);
    CHECK(seen == std::vector<int>(60, 1));
    cancelled += spans.counts.cancelled;
    finished += spans.counts.finished;
    retries += spans.counts.retries;
    for (const ReplicaUsage& usage : spans.usage) all += usage;
    const test::Facts steps = test::simulate_sessions(scenario, sessions, true);
    REQUIRE(steps.requests.size() == 60);
    for (std::size_t s = 0; s < 60; ++s) {
      INFO("session " << s);
      REQUIRE(steps.sessions[s].outcome == spans.sessions[s].outcome);
      REQUIRE(std::abs((steps.sessions[s].ended - spans.sessions[s].ended).si) < 1e-6);
    }
  }
  CHECK(cancelled > 1000);
  CHECK(finished > 1000);
  CHECK(retries > 100);
  CHECK(all.preemptions > 50);
  CHECK(all.swaps > 20);
}

TEST_CASE("Failures of replicas that are not there are refused with those that are", "[bad-input]") {
  const auto problem = [](const std::string& failure) {
    try {
      test::simulate(one_request(pool("gpu", "mixed", 2), failure));
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(problem(failure("gpuu", 0, "1 s")),
             Catch::Matchers::Contains(
                 "cluster.failures[0].pool: 'gpuu' is unknown; known: gpu; did you mean 'gpu'?"));
  CHECK_THAT(problem(failure("gpu", 2, "1 s")),
             Catch::Matchers::Contains(
                 "cluster.failures[0].replica: is 2, but the 2 replicas of 'gpu' are counted from 0"));
  CHECK_THAT(problem(R"({ "kind": "random-replicas", "mttr": "1 s" })"),
             Catch::Matchers::Contains("cluster.failures[0]: 'mtbf' is missing"));
  CHECK_THAT(problem(R"({ "kind": "random-replicas", "pools": ["cpu"], "mtbf": "1 s", "mttr": "1 s" })"),
             Catch::Matchers::Contains("cluster.failures[0].pools: 'cpu' is unknown; known: gpu"));
}
