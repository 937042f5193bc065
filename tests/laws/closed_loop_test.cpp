#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/base/random.hpp"
#include "tests/support/harness.hpp"

using namespace disagg;
using test::ArrivingSession;

namespace {

// One replica on which a step that prefills takes `prefill` and one that decodes `decode`, whatever is in it.
std::string replica(const std::string& prefill, const std::string& decode, const std::string& more = "",
                    const std::string& cluster = "") {
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "gpu", "accelerator": "h100-sxm-80gb",
      "service": { "kind": "table", "tokens": [1, 100000], "prefill": [")" +
         prefill + R"(", ")" + prefill + R"("], "decode": [")" + decode + R"(", ")" + decode + R"("] })" +
         (more.find("replicas") == std::string::npos ? R"(, "replicas": 1)" : "") + more + " } ]" + cluster +
         R"( }, "network": { "solver": "fluid" }, "workload": { "kind": "synthetic", "arrivals": { "kind": "closed-loop", "concurrency": 1 },
      "requests": 1, "prompt_tokens": 10, "output_tokens": 10 } })";
}

Turn turn(std::vector<std::uint32_t> parents, double tool_ms, double think_ms, TokenCount output = 1,
          TokenCount prompt = 100) {
  Turn t;
  t.prompt_tokens = prompt;
  t.output_tokens = output;
  t.parents = std::move(parents);
  t.tool = Seconds{tool_ms * 1e-3};
  t.think = Seconds{think_ms * 1e-3};
  return t;
}

double ms(Seconds t) { return t.si * 1e3; }

// Tokens [0, tokens) of a context that only grows, known token by token.
std::shared_ptr<const PromptContent> context(std::uint64_t first, TokenCount tokens) {
  PromptContent content{.block_tokens = 1, .tokens = tokens, .ranges = {}};
  content.append(HashRange{first, tokens});
  return std::make_shared<const PromptContent>(std::move(content));
}

}  // namespace

TEST_CASE("With infinite compute the task time is the sum of tool and think times") {
  RandomEngine random = random_stream(3, "test/sessions");
  std::vector<ArrivingSession> sessions;
  std::vector<double> sums;
  for (int s = 0; s < 50; ++s) {
    ArrivingSession session{.arrival = Seconds{0.01 * s}, .session = {}};
    double sum = 0;
    const auto count = static_cast<std::uint32_t>(1 + random() % 20);
    for (std::uint32_t t = 0; t < count; ++t) {
      const auto tool = static_cast<double>(random() % 1000);
      const auto think = static_cast<double>(random() % 3000);
      session.session.turns.push_back(turn(t == 0 ? std::vector<std::uint32_t>{} : std::vector{t - 1}, tool,
                                           think, 1 + static_cast<TokenCount>(random() % 50)));
      sum += tool + think;
    }
    sessions.push_back(session);
    sums.push_back(sum);
  }
  const test::Facts facts = test::simulate_sessions(replica("0.001 ns", "0.001 ns"), sessions);
  REQUIRE(facts.sessions.size() == 50);
  for (std::size_t s = 0; s < 50; ++s) {
    CHECK(facts.sessions.at(s).outcome == SessionOutcome::finished);
    CHECK(ms(facts.sessions.at(s).task_time()) == Approx(sums[s]).epsilon(1e-6).margin(1e-6));
    CHECK(ms(facts.sessions.at(s).spent.tool + facts.sessions.at(s).spent.think) ==
          Approx(sums[s]).margin(1e-9));
  }
}

TEST_CASE("Three sessions on one replica keep a schedule computed by hand, and another at half the speed") {
  // A's first prompt runs in [0, 10]; B's and C's come meanwhile and share [10, 20]; A's second comes at 15
  // and runs in [20, 30], B's second at 23, in [30, 40].
  const std::vector<ArrivingSession> sessions{
      {Seconds{0}, {{turn({}, 0, 0), turn({0}, 5, 0)}}},
      {Seconds{4e-3}, {{turn({}, 0, 0), turn({0}, 0, 3)}}},
      {Seconds{6e-3}, {{turn({}, 0, 0)}}},
  };
  const auto times = [&](const std::string& step) {
    const test::Facts facts = test::simulate_sessions(replica(step, step), sessions);
    std::vector<double> told;
    for (const SessionRecord& s : facts.sessions) {
      told.push_back(ms(s.task_time()));
      CHECK(ms(s.spent.total()) == Approx(told.back()).epsilon(1e-12));
    }
    return told;
  };
  const std::vector<double> once = times("10 ms");
  CHECK_THAT(once, Catch::Matchers::Approx(std::vector<double>{30, 36, 14}).margin(1e-9));
  // [0, 20], [20, 40], A's second from 25 in [40, 60], B's from 43 in [60, 80].
  const std::vector<double> twice = times("20 ms");
  CHECK_THAT(twice, Catch::Matchers::Approx(std::vector<double>{60, 76, 34}).margin(1e-9));
}

TEST_CASE("A fork runs its branches side by side, and the join waits for the slower one") {
  //        1 (tool 10 ms) - 2 (tool 10 ms)
  //  0 <                                   > 4 (thinks 7 ms)
  //        3 (tool 50 ms)
  const std::vector<ArrivingSession> sessions{
      {Seconds{0},
       {{turn({}, 0, 0), turn({0}, 10, 0), turn({1}, 10, 0), turn({0}, 50, 0), turn({2, 3}, 0, 7)}}}};
  const test::Facts facts = test::simulate_sessions(replica("1 ms", "1 ms"), sessions);
  REQUIRE(facts.requests.size() == 5);
  std::vector<double> arrived(5);
  for (const RequestRecord& r : facts.requests) arrived[r.turn] = ms(r.arrived);
  CHECK_THAT(arrived, Catch::Matchers::Approx(std::vector<double>{0, 11, 22, 51, 59}).margin(1e-9));
  const SessionRecord& s = facts.sessions.at(0);
  CHECK(ms(s.task_time()) == Approx(60));
  // Along 0 - 3 - 4, of which each waited for the one before.
  CHECK(ms(s.spent.tool) == Approx(50));
  CHECK(ms(s.spent.think) == Approx(7));
  CHECK(ms(s.spent.service.prefill) == Approx(3));
  CHECK(s.ended_turns == 5);
}

TEST_CASE("The next turn finds prompt and output of the one before, but not the output's last token") {
  // 160 tokens, of which 159 have been written: 9 blocks of 16.
  Turn first = turn({}, 0, 0, 60, 100);
  Turn second = turn({0}, 1000, 0, 10, 300);
  first.content = context(1000, 160);
  second.content = context(1000, 310);
  Turn third = turn({1}, 0, 0, 1, 400);
  third.content = context(1000, 401);
  const auto cached = [&](const std::string& more) {
    const test::Facts facts =
        test::simulate_sessions(replica("10 ms", "20 ms", more), {{Seconds{0}, {{first, second, third}}}});
    std::vector<TokenCount> found;
    for (const RequestRecord& r : facts.requests) found.push_back(r.cached_tokens);
    return found;
  };
  CHECK(cached(R"(, "prefix_cache": {})") == std::vector<TokenCount>{0, 144, 304});
  CHECK(cached("") == std::vector<TokenCount>{0, 0, 0});
  // Also where the output's blocks were taken in advance.
  CHECK(cached(R"(, "prefix_cache": {}, "batching": { "kind": "whole-prompts" })") ==
        std::vector<TokenCount>{0, 144, 304});
}

TEST_CASE("The session-sticky router keeps a session where it began, others go to the least loaded") {
  std::vector<ArrivingSession> sessions;
  for (int s = 0; s < 6; ++s) {
    ArrivingSession session{.arrival = Seconds{1e-3 * s}, .session = {}};
    for (std::uint32_t t = 0; t < 5; ++t)
      session.session.turns.push_back(
          turn(t == 0 ? std::vector<std::uint32_t>{} : std::vector{t - 1}, 7.0 * (s + 1), 0, 3));
    sessions.push_back(session);
  }
  const auto replicas = [&](const std::string& router) {
    const test::Facts facts = test::simulate_sessions(
        replica("10 ms", "20 ms", R"(, "replicas": 3)", R"(, "router": ")" + router + "\""), sessions);
    std::vector<std::vector<std::uint32_t>> seen(6);
    for (const RequestRecord& r : facts.requests) seen.at(r.session).push_back(r.prefill_replica.index);
    return seen;
  };
  const auto sticky = replicas("session-sticky");
  for (std::uint32_t s = 0; s < 6; ++s) CHECK(sticky[s] == std::vector<std::uint32_t>(5, s % 3));
  bool moved = false;
  for (const auto& seen : replicas("least-loaded"))
    moved = moved || seen != std::vector<std::uint32_t>(5, seen[0]);
  CHECK(moved);
}

TEST_CASE("Two users at a time: a session begins when one has ended") {
  std::vector<ArrivingSession> sessions(4);
  for (ArrivingSession& s : sessions) s.session.turns = {turn({}, 0, 0), turn({0}, 90, 0)};
  sessions[1].session.turns[1].tool = Seconds{190e-3};
  const test::Facts facts = test::simulate_sessions(replica("5 ms", "5 ms"), sessions, false, 2);
  std::vector<double> arrived;
  for (const SessionRecord& s : facts.sessions) arrived.push_back(ms(s.arrived));
  CHECK_THAT(arrived, Catch::Matchers::Approx(std::vector<double>{0, 0, 100, 200}).margin(1e-9));
}

TEST_CASE("A turn that is rejected ends its session; what is under way still ends") {
  const std::vector<ArrivingSession> sessions{
      {Seconds{0},
       {{turn({}, 0, 0), turn({0}, 1, 0, 1, 50'000'000), turn({0}, 1, 0, 20), turn({1, 2}, 0, 0)}}}};
  const test::Facts facts = test::simulate_sessions(replica("5 ms", "5 ms"), sessions);
  const SessionRecord& s = facts.sessions.at(0);
  CHECK(s.outcome == SessionOutcome::failed);
  CHECK(s.turns == 4);
  CHECK(s.ended_turns == 2);
  CHECK(facts.requests.size() == 3);
}

TEST_CASE("Sessions are the same in spans as step by step") {
  RandomEngine random = random_stream(9, "test/sessions");
  std::vector<ArrivingSession> sessions;
  for (int s = 0; s < 40; ++s) {
    ArrivingSession session{.arrival = Seconds{0.0137e-3 + 0.02 * s}, .session = {}};
    TokenCount length = 40;
    const auto count = static_cast<std::uint32_t>(1 + random() % 6);
    for (std::uint32_t t = 0; t < count; ++t) {
      Turn next =
          turn(t == 0 ? std::vector<std::uint32_t>{} : std::vector{t - 1},
               static_cast<double>(random() % 100'000) / 1e3, 0, 1 + static_cast<TokenCount>(random() % 40),
               length += static_cast<TokenCount>(random() % 300));
      next.content = context(static_cast<std::uint64_t>(s) << 32U, next.prompt_tokens + next.output_tokens);
      length += next.output_tokens;
      session.session.turns.push_back(next);
    }
    sessions.push_back(session);
  }
  const std::string scenario =
      replica("4 ms", "3 ms", R"(, "replicas": 2, "prefix_cache": {}, "kv_capacity": "400 MB")");
  const test::Facts spans = test::simulate_sessions(scenario, sessions);
  const test::Facts steps = test::simulate_sessions(scenario, sessions, true);
  TokenCount cached = 0;
  for (std::size_t s = 0; s < 40; ++s) {
    CHECK(spans.sessions.at(s).task_time().si == Approx(steps.sessions.at(s).task_time().si).epsilon(1e-9));
    CHECK(spans.sessions.at(s).cached_tokens == steps.sessions.at(s).cached_tokens);
    cached += spans.sessions.at(s).cached_tokens;
  }
  CHECK(cached > 1000);
}

TEST_CASE("A user who leaves frees his memory at the end of the step, and the next request takes it") {
  // Room for 128 blocks of 16 tokens. A's prompt takes 1,920 tokens, B's 1,000. A leaves at 105 ms, in the
  // middle of its fifth decode step.
  Turn impatient = turn({}, 0, 0, 100, 1920);
  impatient.patience = Seconds{105e-3};
  const std::vector<ArrivingSession> sessions{{Seconds{0}, {{impatient, turn({0}, 1, 0)}}},
                                              {Seconds{50e-3}, {{turn({}, 0, 0, 1, 1000)}}}};
  for (const bool steps : {false, true}) {
    const test::Facts facts = test::simulate_sessions(
        replica("10 ms", "20 ms", R"(, "kv_capacity": "268.435456 MB")"), sessions, steps);
    REQUIRE(facts.requests.size() == 2);
    CHECK(facts.requests[0].outcome == Outcome::cancelled);
    CHECK(ms(facts.requests[1].first_scheduled) == Approx(110));
    CHECK(facts.counts.cancelled == 1);
    CHECK(facts.sessions[0].outcome == SessionOutcome::cancelled);
    CHECK(ms(facts.sessions[0].ended) == Approx(110));
    CHECK(facts.sessions[1].outcome == SessionOutcome::finished);
  }
}

TEST_CASE("A sibling branch wins: the join follows it, and the other branch is cancelled") {
  //  0 < 1 (50 output tokens)         > 4, which follows the first
  //      2 (3 ms) - 3 (planned behind)
  Turn join = turn({1, 2}, 0, 2);
  join.first_of_parents = true;
  Turn slow_tool = turn({0}, 500, 0);
  const std::vector<ArrivingSession> sessions{
      {Seconds{0}, {{turn({}, 0, 0), turn({0}, 0, 0, 50), turn({0}, 3, 0), slow_tool, join}}}};
  const test::Facts facts = test::simulate_sessions(replica("1 ms", "1 ms"), sessions);
  // 1 is in the middle of its output, 3's tool still runs.
  REQUIRE(facts.requests.size() == 4);
  CHECK(facts.counts.cancelled == 1);
  CHECK(facts.counts.finished == 3);
  const SessionRecord& s = facts.sessions.at(0);
  CHECK(s.outcome == SessionOutcome::finished);
  CHECK(s.ended_turns == 3);
  CHECK(ms(s.spent.tool + s.spent.think) == Approx(5));
  CHECK(s.task_time().si < 10e-3);
}

TEST_CASE("Nothing waits for the tools of a session whose user has left") {
  // Its second branch would arrive after a million seconds.
  Turn impatient = turn({}, 0, 0, 100);
  impatient.patience = Seconds{15e-3};
  const std::vector<ArrivingSession> sessions{{Seconds{0}, {{impatient, turn({}, 1e9, 0)}}}};
  const test::Facts facts = test::simulate_sessions(replica("10 ms", "20 ms"), sessions);
  CHECK(facts.sessions.at(0).outcome == SessionOutcome::cancelled);
  CHECK(ms(facts.sessions.at(0).ended) == Approx(30));
  CHECK(ms(facts.end) == Approx(30));
}

TEST_CASE("A closed loop whose users are turned away the moment they come ends with a diagnosis") {
  std::vector<ArrivingSession> sessions(1'000'100);
  for (ArrivingSession& s : sessions) s.session.turns = {turn({}, 0, 0, 1, 50'000'000)};
  // Those of a trace end with it.
  const std::vector<ArrivingSession> few(sessions.begin(), sessions.begin() + 1000);
  CHECK(test::simulate_sessions(replica("1 ms", "1 ms"), few, false, 2).sessions.size() == 1000);
  CHECK_THROWS_WITH(test::simulate_sessions(replica("1 ms", "1 ms"), sessions, false, 2),
                    Catch::Contains("1000000 users of the closed loop in a row were turned away"));
}

TEST_CASE("Interactive requests pass background ones that wait, and never each other") {
  // One prompt a step. Four of the background come first; the two users' requests go before the three that
  // wait.
  std::vector<ArrivingSession> sessions;
  for (int i = 0; i < 6; ++i)
    sessions.push_back({Seconds{1e-3 * i}, {{turn({}, 0, 0, 1, 4000)}}, i < 4 ? 1U : 0U});
  const auto order = [&](const std::string& priorities) {
    const test::Facts facts = test::simulate_sessions(
        replica("10 ms", "20 ms", R"(, "batching": { "kind": "chunked", "chunk_tokens": 4000 })", priorities),
        sessions);
    std::vector<std::uint64_t> ids(6);
    for (const RequestRecord& r : facts.requests)
      ids.at(static_cast<std::size_t>(std::lround(ms(r.first_scheduled) / 10))) = r.id;
    return ids;
  };
  CHECK(order("") == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5});
  CHECK(order(R"(, "priorities": { "chat": 1 })") == std::vector<std::uint64_t>{0, 4, 5, 1, 2, 3});
  CHECK(order(R"(, "priorities": { "coding": -3 })") == std::vector<std::uint64_t>{0, 4, 5, 1, 2, 3});
}

TEST_CASE("What becomes of a context while its tool runs: evicted by others, pinned, demoted or dropped") {
  // Room for 256 blocks. A's context of 2,400 tokens would be evicted by B's prompt of 3,200, which comes
  // while A's tool runs for a second.
  Turn first = turn({}, 0, 0, 1, 2400);
  Turn second = turn({0}, 1000, 0, 1, 2480);
  first.content = context(1'000'000, 2401);
  second.content = context(1'000'000, 2481);
  Turn other = turn({}, 0, 0, 1, 3200);
  other.content = context(9'000'000, 3201);
  const std::vector<ArrivingSession> sessions{{Seconds{0}, {{first, second}}}, {Seconds{0.5}, {{other}}}};
  const auto run = [&](const std::string& retention, const std::string& tiers = "",
                       const std::string& memory = "") {
    return test::simulate_sessions(
        replica(
            "10 ms", "20 ms",
            R"(, "kv_capacity": "536.870912 MB", "prefix_cache": { "retention": )" + retention + " }" + tiers,
            memory),
        sessions);
  };
  const auto second_of = [](const test::Facts& facts) {
    for (const RequestRecord& r : facts.requests)
      if (r.turn == 1) return r;
    throw std::logic_error("no second turn");
  };
  const auto other_of = [](const test::Facts& facts) {
    for (const RequestRecord& r : facts.requests)
      if (r.session == 1) return r;
    throw std::logic_error("no other session");
  };
  // B takes 200 blocks, for which 94 of A's 150 are evicted: 56 of them stay.
  const test::Facts evictable = run(R"("evictable")");
  CHECK(second_of(evictable).cached_tokens == 56 * 16);
  CHECK(ms(other_of(evictable).first_scheduled) == Approx(500));
  // Pinned, B waits until A's second turn has come, or the time is over.
  const test::Facts pinned = run(R"({ "kind": "pin", "ttl": "5 s" })");
  CHECK(second_of(pinned).cached_tokens == 2400);
  CHECK(ms(other_of(pinned).first_scheduled) == Approx(1020));
  const test::Facts brief = run(R"({ "kind": "pin", "ttl": "700 ms" })");
  CHECK(second_of(brief).cached_tokens == 56 * 16);
  CHECK(ms(other_of(brief).first_scheduled) == Approx(710));
  // An oracle does not even try.
  const test::Facts predicted = run(R"({ "kind": "pin", "ttl": "700 ms", "when": "predicted" })");
  CHECK(ms(other_of(predicted).first_scheduled) == Approx(500));
  const test::Facts dropped = run(R"("drop")");
  CHECK(second_of(dropped).cached_tokens == 0);
  const std::string tiers = R"(, "tiers": ["dram"], "fetch": "always")";
  const std::string memory =
      R"(, "memory_pools": [ { "name": "dram", "scope": "replica", "capacity": "2 GB", "port_read": "64 GB/s",
        "port_write": "64 GB/s", "latency": "1 ms", "write": "write-back" } ])";
  const test::Facts demoted = run(R"("demote")", tiers, memory);
  CHECK(second_of(demoted).cached_tokens == 0);
  CHECK(second_of(demoted).fetched_tokens == 2400);
  CHECK(second_of(run(R"("drop")", tiers, memory)).fetched_tokens == 0);
}

namespace {

// A prefill and a decode replica: steps of 10 ms and 20 ms, hand-offs that take no time worth naming. Room
// for 256 blocks at the prefill replica.
std::string disaggregated(const std::string& retention, const std::string& more = "") {
  const std::string table =
      R"("replicas": 1, "accelerator": "h100-sxm-80gb", "service": { "kind": "table", "tokens": [1, 100000],
         "prefill": ["10 ms", "10 ms"], "decode": ["20 ms", "20 ms"] })";
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
      { "name": "prefill", "role": "prefill", "kv_capacity": "536.870912 MB",
        "prefix_cache": { "retention": )" +
         retention + " }, " + table + R"( }, { "name": "decode", "role": "decode", )" + table + R"( } ],
      "hand_off": { "kind": "whole", "overhead": "0 s" })" +
         more + R"( }, "network": { "solver": "fluid" }, "workload": { "kind": "synthetic",
      "arrivals": { "kind": "closed-loop", "concurrency": 1 }, "requests": 1, "prompt_tokens": 10,
      "output_tokens": 10 } })";
}

// A's context of 2,400 tokens is pinned at the prefill replica, and B's prompt of 3,200 has no room beside
// it. When B is prefilled first.
double other_begins_after(const std::string& scenario, Turn first, Turn second) {
  first.content = context(1'000'000, first.prompt_tokens + first.output_tokens);
  second.content = context(1'000'000, second.prompt_tokens + second.output_tokens);
  Turn other = turn({}, 0, 0, 1, 3200);
  other.content = context(9'000'000, 3201);
  const test::Facts facts =
      test::simulate_sessions(scenario, {{Seconds{0}, {{first, second}}}, {Seconds{50e-3}, {{other}}}});
  for (const RequestRecord& r : facts.requests)
    if (r.session == 1) return ms(r.first_scheduled);
  throw std::logic_error("no other session");
}

}  // namespace

TEST_CASE("The time of a pin begins when the turn has ended, wherever it decoded") {
  // A decodes 100 tokens until about 2,000 ms; its tool runs for longer than the pin lasts.
  const double ended = other_begins_after(disaggregated(R"({ "kind": "pin", "ttl": "700 ms" })"),
                                          turn({}, 0, 0, 101, 2400), turn({0}, 60'000, 0, 1, 2600));
  CHECK(ended == Approx(10 + 100 * 20 + 700).margin(20));
}

TEST_CASE("A pin ends when its session does: the next turn is too large, or the user has left") {
  const std::string scenario = disaggregated(R"({ "kind": "pin", "ttl": "60 s" })");
  const double rejected =
      other_begins_after(scenario, turn({}, 0, 0, 1, 2400), turn({0}, 500, 0, 1, 50'000'000));
  CHECK(rejected == Approx(10 + 500).margin(20));
  Turn impatient = turn({}, 0, 0, 101, 2400);
  impatient.patience = Seconds{900e-3};
  CHECK(other_begins_after(scenario, impatient, turn({0}, 10, 0, 1, 2600)) == Approx(900).margin(21));
}
