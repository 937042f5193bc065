#include "sim/serving/router.hpp"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <catch2/catch.hpp>

#include "sim/base/one_of.hpp"

using namespace disagg;

namespace {

constexpr RoutedRequest kRequest{.prompt_tokens = 1000, .output_tokens = 100};

std::vector<RouterReplica> replicas(std::vector<Role> roles) {
  std::vector<RouterReplica> all;
  for (std::uint32_t i = 0; i < roles.size(); ++i) all.push_back({ReplicaId{i}, roles[i], 100'000});
  return all;
}

}  // namespace

TEST_CASE(
    "A load index names the first of the least loads after each of 10,000 random changes, for 1 to 100 "
    "replicas") {
  auto random = random_stream(5, "loads");
  for (const std::size_t size : {1U, 2U, 3U, 7U, 64U, 100U}) {
    LoadIndex index(size);
    std::vector<std::int64_t> loads(size);
    for (int i = 0; i < 10'000; ++i) {
      const auto who = boost::random::uniform_int_distribution<std::size_t>(0, size - 1)(random);
      loads[who] = boost::random::uniform_int_distribution<std::int64_t>(0, 20)(random);
      index.set(who, loads[who]);
      REQUIRE(index.least() ==
              static_cast<std::size_t>(std::min_element(loads.begin(), loads.end()) - loads.begin()));
    }
  }
}

TEST_CASE("Round-robin visits 3 mixed replicas in turn, and each request decodes where it prefills") {
  StagedRouter<RoundRobin> router;
  router.begin(replicas({Role::mixed, Role::mixed, Role::mixed}), 1);
  for (std::uint32_t i = 0; i < 7; ++i) {
    const Route route = router.route(kRequest, {}).value();
    CHECK(route.prefill.index == i % 3);
    CHECK(route.decode == route.prefill);
  }
}

TEST_CASE(
    "A prefill replica leaves the decode replica open, which is then the least loaded of the decode pool") {
  StagedRouter<Least<Requests>> router;
  router.begin(replicas({Role::prefill, Role::decode, Role::decode}), 1);
  const Route route = router.route(kRequest, {}).value();
  CHECK(route.prefill.index == 0);
  CHECK_FALSE(route.decode.has_value());
  router.load_changed(ReplicaId{1},
                      {.requests = 4, .tokens = 0, .kv_tokens = 0, .kv_capacity = 0, .queued = false});
  router.load_changed(ReplicaId{2},
                      {.requests = 3, .tokens = 9, .kv_tokens = 9, .kv_capacity = 0, .queued = false});
  CHECK(router.decode(kRequest, ReplicaId{0})->index == 2);
}

TEST_CASE(
    "A router that sees KV room sends to the replica with the most of it, not to the one with the least "
    "taken") {
  StagedRouter<Least<KvRoom>> router;
  router.begin(replicas({Role::prefill, Role::decode, Role::decode}), 1);
  // 60,000 of 100,000 tokens are left, and 70,000 of 200,000.
  router.load_changed(
      ReplicaId{1},
      {.requests = 1, .tokens = 1, .kv_tokens = 40'000, .kv_capacity = 100'000, .queued = false});
  router.load_changed(
      ReplicaId{2},
      {.requests = 9, .tokens = 9, .kv_tokens = 130'000, .kv_capacity = 200'000, .queued = false});
  CHECK(router.decode(kRequest, ReplicaId{0})->index == 2);
  router.load_changed(
      ReplicaId{2},
      {.requests = 9, .tokens = 9, .kv_tokens = 141'000, .kv_capacity = 200'000, .queued = false});
  CHECK(router.decode(kRequest, ReplicaId{0})->index == 1);
}

TEST_CASE("Random routing draws all of 4 replicas about equally often, and the same ones for the same seed") {
  std::vector<int> counts(4);
  StagedRouter<RandomChoice> a;
  StagedRouter<RandomChoice> b;
  a.begin(replicas(std::vector<Role>(4, Role::mixed)), 9);
  b.begin(replicas(std::vector<Role>(4, Role::mixed)), 9);
  for (int i = 0; i < 4000; ++i) {
    const ReplicaId chosen = a.route(kRequest, {})->prefill;
    REQUIRE(chosen == b.route(kRequest, {})->prefill);
    ++counts[chosen.index];
  }
  for (const int count : counts) CHECK(std::abs(count - 1000) < 120);
}

TEST_CASE(
    "Splitwise's mixed pool lends a decode replica when every prefill replica has a queue of 8192 tokens, "
    "and takes it back when idle") {
  MixedPool router;
  const auto all = replicas({Role::prefill, Role::prefill, Role::decode, Role::decode});
  router.begin(all, 1);
  std::vector<ReplicaLoad> loads(4);
  loads[0] = {.requests = 8, .tokens = 7500, .kv_tokens = 0, .kv_capacity = 0, .queued = true};
  loads[1] = {.requests = 8, .tokens = 7400, .kv_tokens = 0, .kv_capacity = 0, .queued = true};
  loads[2] = {.requests = 1, .tokens = 0, .kv_tokens = 9000, .kv_capacity = 0, .queued = false};
  loads[3] = {.requests = 1, .tokens = 1, .kv_tokens = 5000, .kv_capacity = 0, .queued = false};
  // 7,400 + 1,000 tokens are more than 8,192: replica 2, with the fewest tokens to prefill, serves the prompt
  // as well.
  const Route lent = router.route(kRequest, loads).value();
  CHECK(lent.prefill.index == 2);
  CHECK(lent.decode->index == 3);
  loads[2].tokens = 1000;
  CHECK(router.route(kRequest, loads)->prefill.index == 2);  // still in the mixed pool
  router.went_idle(ReplicaId{2});
  loads[1].queued = false;
  loads[2].tokens = 0;
  CHECK(router.route(kRequest, loads)->prefill.index == 1);
}

TEST_CASE("A decode replica without room for prompt and output is passed over") {
  MixedPool router;
  router.begin(replicas({Role::prefill, Role::decode, Role::decode}), 1);
  std::vector<ReplicaLoad> loads(3);
  loads[1].kv_tokens = 98'950;
  loads[2].kv_tokens = 98'800;
  CHECK(router.route(kRequest, loads)->decode->index == 2);
  loads[2].kv_tokens = 98'900;  // 98,900 + 1,100 = 100,000 is full: a prefill replica decodes
  CHECK(router.route(kRequest, loads)->decode->index == 0);
}

namespace {

// Loads of 3 mixed replicas with `waiting` prompt tokens and `requests` requests each.
template <class Router>
void load(Router& router, std::vector<TokenCount> waiting, std::vector<std::int64_t> requests) {
  for (std::uint32_t i = 0; i < waiting.size(); ++i)
    router.load_changed(
        ReplicaId{i},
        {.requests = requests[i], .tokens = waiting[i], .kv_tokens = 0, .kv_capacity = 0, .queued = false});
}

std::uint32_t chosen(RoutingPolicy& policy, const std::vector<TokenCount>& cached) {
  const RoutedRequest request{.prompt_tokens = 1000, .output_tokens = 100, .cached = cached};
  return std::visit([&](auto& router) { return router.route(request, {})->prefill.index; }, policy);
}

RoutingPolicy read_router(const std::string& text) {
  ConfigNode node = parse_config(R"({ "router": )" + text + " }", "test");
  Problems problems;
  Reader reader(node, "", problems);
  auto policy = OneOf<RoutingPolicy>::read(*reader.object("router"));
  problems.throw_if_any();
  std::visit(
      [](auto& router) {
        router.begin(replicas({Role::mixed, Role::mixed, Role::mixed}), 1);
      },
      *policy);
  return *policy;
}

}  // namespace

TEST_CASE(
    "Prefix-affinity goes to the longest cached prefix whatever its queue, of equal ones to the fewest "
    "requests") {
  RoutingPolicy policy = read_router(R"({ "kind": "prefix-affinity" })");
  std::visit([](auto& router) { load(router, {0, 90'000, 50}, {2, 9, 1}); }, policy);
  CHECK(chosen(policy, {0, 512, 496}) == 1);
  CHECK(chosen(policy, {512, 512, 496}) == 0);
  CHECK(chosen(policy, {0, 0, 0}) == 2);
}

TEST_CASE(
    "Cache-aware leaves 512 cached tokens once load_weight times the queue is longer than they are by more") {
  // Replica 1 has 512 tokens cached behind its queue; the others have nothing and no queue.
  const auto choice = [](const std::string& weight, TokenCount queue) {
    RoutingPolicy policy = read_router(R"({ "kind": "cache-aware", "load_weight": )" + weight + " }");
    std::visit([&](auto& router) { load(router, {0, queue, 0}, {3, 5, 4}); }, policy);
    return chosen(policy, {0, 512, 0});
  };
  CHECK(choice("1", 511) == 1);
  CHECK(choice("1", 512) == 0);  // equal: replica 0 has the fewest requests
  CHECK(choice("1", 513) == 0);
  CHECK(choice("0.5", 1023) == 1);
  CHECK(choice("0.5", 1025) == 0);
  CHECK(choice("0", 1'000'000) == 1);
}

TEST_CASE(
    "The hand-off-aware router takes the quickest way among replicas whose KV load is within 0.1 of the "
    "least") {
  StagedRouter<HandOffAware> router;
  router.begin(replicas({Role::prefill, Role::decode, Role::decode, Role::decode}), 1);
  const auto load = [&](std::uint32_t replica, TokenCount kv_tokens) {
    router.load_changed(
        ReplicaId{replica},
        {.requests = 1, .tokens = 1, .kv_tokens = kv_tokens, .kv_capacity = 100'000, .queued = false});
  };
  const std::vector<Seconds> times{kNever, Seconds{3}, Seconds{1}, Seconds{2}};
  RoutedRequest request = kRequest;  // 1,099 tokens in the end
  request.hand_off = times;
  const auto chosen = [&] { return router.decode(request, ReplicaId{0}).value().index; };
  load(1, 40'000);
  load(2, 49'000);
  load(3, 60'000);
  CHECK(chosen() == 2);
  load(2, 51'000);
  CHECK(chosen() == 1);
  load(3, 45'000);
  CHECK(chosen() == 3);
  // Of equally quick ones, or where the way is not asked for, the least loaded.
  request.hand_off = {};
  CHECK(chosen() == 1);
  // One without room is not chosen while another has some; without any, the rule is the same.
  request.hand_off = times;
  load(1, 95'000);
  load(2, 99'000);
  load(3, 99'000);
  CHECK(chosen() == 1);
  load(1, 99'500);
  CHECK(chosen() == 2);
  router.set_up(ReplicaId{2}, false);
  CHECK(chosen() == 3);
  request.output_tokens = 100'000;
  CHECK_FALSE(router.decode(request, ReplicaId{0}).has_value());
}
