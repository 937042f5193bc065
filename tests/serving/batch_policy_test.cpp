#include "sim/serving/batch_policy.hpp"

#include <catch2/catch.hpp>

using namespace disagg;

namespace {

// A replica with waiting prompts of given lengths and room for `free` blocks of 16 tokens.
struct Scene {
  RequestTable requests;
  std::vector<RequestRef> prefilling;
  std::deque<RequestRef> waiting;

  RequestRef add(TokenCount prompt, TokenCount output = 100) {
    RequestRecord record;
    record.prompt_tokens = prompt;
    record.output_tokens = output;
    record.prefill_replica = record.decode_replica = ReplicaId{0};
    return requests.add(record);
  }
  void wait(TokenCount prompt, TokenCount output = 100) { waiting.push_back(add(prompt, output)); }
  BatchPlan plan(const BatchRules& rules, std::int64_t decoding, BlockCount free = 1'000'000,
                 std::int64_t pauses = 0) const {
    BatchPlan result;
    plan_batch(rules,
               {.requests = requests,
                .prefilling = prefilling,
                .waiting = waiting,
                .decoding = decoding,
                .pauses = pauses,
                .free_blocks = free,
                .block_tokens = 16,
                .admitting = true,
                .replica = ReplicaId{0}},
               result);
    return result;
  }
};

}  // namespace

TEST_CASE(
    "Chunked prefill gives decodes their tokens first and cuts the prompt that crosses the budget of 512") {
  Scene scene;
  scene.wait(300);
  scene.wait(400);
  scene.wait(50);
  const BatchPlan plan = scene.plan({.token_budget = 512}, 100);
  CHECK(plan.sequences == 100);
  REQUIRE(plan.chunks.size() == 2);
  CHECK(plan.chunks[0].tokens == 300);
  CHECK(plan.chunks[1].tokens == 112);
  CHECK(plan.chunks[1].blocks == 25);  // room for the whole prompt is taken on admission
}

TEST_CASE("Prompts in progress go before waiting ones") {
  Scene scene;
  const RequestRef begun = scene.add(1000);
  scene.requests[begun].prefilled = 700;
  scene.prefilling.push_back(begun);
  scene.wait(300);
  const BatchPlan plan = scene.plan({.token_budget = 512}, 0);
  REQUIRE(plan.chunks.size() == 2);
  CHECK(plan.chunks[0].ref == begun);
  CHECK(plan.chunks[0].tokens == 300);
  CHECK(plan.chunks[0].blocks == 0);
  CHECK(plan.chunks[1].tokens == 212);
}

TEST_CASE(
    "Prefill-first pauses all decodes while prompts run, or fills the rest of the budget with them when "
    "mixing") {
  Scene scene;
  scene.wait(300);
  const BatchRules separate{.prefill_first = true, .mixing = false, .token_budget = 320};
  CHECK(scene.plan(separate, 100).sequences == 0);
  BatchRules mixed = separate;
  mixed.mixing = true;
  CHECK(scene.plan(mixed, 100).sequences == 20);
  scene.waiting.clear();
  CHECK(scene.plan(separate, 100).sequences == 100);
}

TEST_CASE("Decodes kept out of 4 steps in a row get a step of their own") {
  Scene scene;
  scene.wait(300);
  const BatchRules rules{.prefill_first = true, .mixing = false, .token_budget = 320, .max_pauses = 4};
  CHECK(scene.plan(rules, 100, 1000, 3).sequences == 0);
  const BatchPlan due = scene.plan(rules, 100, 1000, 4);
  CHECK(due.sequences == 100);
  CHECK(due.chunks.empty());
  CHECK(due.for_one_step);
}

TEST_CASE(
    "Without chunking a prompt that does not fit waits, unless it is larger than any budget: then it goes "
    "first or alone") {
  Scene scene;
  scene.wait(500);
  const BatchRules rules{.chunking = false, .token_budget = 512};
  CHECK(scene.plan(rules, 13).chunks.empty());
  CHECK(scene.plan(rules, 12).chunks.size() == 1);
  scene.waiting.clear();
  scene.wait(2000);
  scene.wait(10);
  const BatchPlan alone = scene.plan(rules, 13);
  REQUIRE(alone.chunks.size() == 1);
  CHECK(alone.chunks[0].tokens == 2000);
}

TEST_CASE(
    "A request is admitted when its blocks are free and not with one block less; the queue behind it waits "
    "too") {
  Scene scene;
  scene.wait(160, 33);
  scene.wait(16, 1);
  CHECK(scene.plan({}, 0, 11).chunks.size() == 2);
  CHECK(scene.plan({}, 0, 10).chunks.size() == 1);
  const BatchPlan blocked = scene.plan({}, 0, 9);
  CHECK(blocked.chunks.empty());
  CHECK(blocked.blocked_by_memory);
  // With the output reserved: 160 + 33 - 1 tokens are 12 blocks.
  CHECK(scene.plan({.reserve_output = true}, 0, 12).chunks.size() == 1);
  CHECK(scene.plan({.reserve_output = true}, 0, 11).chunks.empty());
}

TEST_CASE("At most max_sequences sequences run, whatever the budget") {
  Scene scene;
  for (int i = 0; i < 5; ++i) scene.wait(10);
  CHECK(scene.plan({.max_sequences = 8}, 6).chunks.size() == 2);
  CHECK(scene.plan({.max_sequences = 8}, 8).chunks.empty());
}
