#include "sim/serving/decode_batch.hpp"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <catch2/catch.hpp>
#include <map>

#include "sim/base/expect.hpp"
#include "sim/base/random.hpp"

using namespace disagg;

namespace {

// What the batch claims to know in closed form, kept sequence by sequence.
struct Naive {
  struct Sequence {
    TokenCount length = 0, left = 0;
    int joined = 0;
  };
  std::map<RequestRef, Sequence> members;

  BlockCount blocks(TokenCount block, std::int64_t after) const {
    BlockCount sum = 0;
    for (const auto& [ref, s] : members) sum += (s.length + after + block - 1) / block;
    return sum;
  }
  TokenCount within(const Reach& reach) const {
    TokenCount sum = 0;
    for (const auto& [ref, s] : members)
      sum += reach.chunked ? s.length % reach.tokens + 1 : std::min(s.length + 1, reach.tokens);
    return sum;
  }
  // Steps of one token until a member's reach stops growing evenly.
  TokenCount to_edge(const Reach& reach) const {
    TokenCount least = 1000;
    for (const auto& [ref, s] : members) {
      const TokenCount edge =
          reach.chunked ? reach.tokens - s.length % reach.tokens : reach.tokens - 1 - s.length;
      if (edge > 0) least = std::min(least, edge);
    }
    return least;
  }
};

}  // namespace

TEST_CASE(
    "Over 20,000 random joins, departures and advances a decode batch agrees with one kept sequence by "
    "sequence") {
  auto random = random_stream(11, "decode batch");
  const auto whole = [&](std::int64_t low, std::int64_t high) {
    return boost::random::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  const std::vector<DecodeRules> all_rules{{.block_tokens = 1, .reach = {}},
                                           {.block_tokens = 16, .reach = {128, false}},
                                           {.block_tokens = 63, .reach = {100, true}},
                                           {.block_tokens = 16, .reach = {1, true}}};
  for (const DecodeRules& rules : all_rules) {
    const TokenCount block = rules.block_tokens;
    RequestTable requests;
    DecodeBatch batch(requests, rules);
    Naive naive;
    int joins = 0;
    for (int i = 0; i < 20'000; ++i) {
      const std::int64_t what = whole(0, 9);
      if (what < 3 && naive.members.size() < 40) {
        RequestRecord record;
        record.output_tokens = whole(2, 300);
        const RequestRef ref = requests.add(record);
        requests[ref].generated = 1;
        const TokenCount length = whole(0, 500);
        batch.join(ref, length);
        naive.members[ref] = {length, record.output_tokens - 1, ++joins};
      } else if (what == 3 && !naive.members.empty()) {
        const RequestRef youngest =
            std::ranges::max_element(naive.members, {}, [](const auto& m) { return m.second.joined; })->first;
        REQUIRE(batch.youngest() == youngest);
        const Naive::Sequence gone = naive.members.at(youngest);
        REQUIRE(batch.leave(youngest) == gone.length);
        REQUIRE(requests[youngest].remaining() == gone.left);
        naive.members.erase(youngest);
        requests.remove(youngest);
      } else if (!naive.members.empty()) {
        std::int64_t first = 1000;
        std::int64_t context = 0;
        std::int64_t longest = 0;
        for (const auto& [ref, s] : naive.members) {
          first = std::min(first, s.left);
          context += s.length + 1;
          longest = std::max(longest, s.length + 1);
        }
        const DecodeContext read = batch.context();
        REQUIRE(read.all.at == static_cast<double>(context));
        REQUIRE(read.all.per_step == static_cast<double>(naive.members.size()));
        REQUIRE(read.longest.at == static_cast<double>(longest));
        if (rules.reach.tokens > 0) {
          REQUIRE(read.within.at == static_cast<double>(naive.within(rules.reach)));
          first = std::min(first, naive.to_edge(rules.reach));
        }
        REQUIRE(batch.steps_to_change() == first);
        const std::int64_t steps = whole(1, first);
        REQUIRE(batch.new_blocks(steps) == naive.blocks(block, steps) - naive.blocks(block, 0));
        const BlockCount free = whole(0, 60);
        const std::int64_t fit = batch.steps_within(free, first);
        REQUIRE((fit == 0 || naive.blocks(block, fit) - naive.blocks(block, 0) <= free));
        REQUIRE((fit == first || naive.blocks(block, fit + 1) - naive.blocks(block, 0) > free));
        batch.advance(steps);
        for (auto& [ref, s] : naive.members) {
          s.length += steps;
          s.left -= steps;
        }
        // Up to the edge, what limited layers see grows evenly.
        if (rules.reach.tokens > 0 && steps < first) {
          REQUIRE(static_cast<double>(naive.within(rules.reach)) ==
                  read.within.after(static_cast<double>(steps)));
        }
        while (const auto done = batch.take_finished()) {
          REQUIRE(naive.members.at(*done).left == 0);
          REQUIRE(requests[*done].remaining() == 0);
          REQUIRE(batch.kv_length(*done) == naive.members.at(*done).length);
          naive.members.erase(*done);
          requests.remove(*done);
        }
        REQUIRE(std::ranges::none_of(naive.members, [](const auto& m) { return m.second.left == 0; }));
      }
      REQUIRE(batch.size() == static_cast<std::int64_t>(naive.members.size()));
    }
  }
}

TEST_CASE("A sequence joins a decode batch once") {
  RequestTable requests;
  DecodeBatch batch(requests, {.block_tokens = 16, .tokens_per_step = 1, .reach = {}});
  RequestRecord record;
  record.output_tokens = 3;
  const RequestRef ref = requests.add(record);
  batch.join(ref, 10);
  CHECK_THROWS_AS(batch.join(ref, 10), BrokenInvariant);
}

TEST_CASE("With 2.5 tokens a step, sequences of 4, 5 and 6 tokens to go finish after 2, 2 and 3 steps") {
  RequestTable requests;
  DecodeBatch batch(requests, {.block_tokens = 16, .tokens_per_step = 2.5, .reach = {}});
  std::vector<RequestRef> refs;
  for (const TokenCount tokens : {4, 5, 6}) {
    RequestRecord record;
    record.output_tokens = tokens + 1;
    refs.push_back(requests.add(record));
    requests[refs.back()].generated = 1;
    batch.join(refs.back(), 100);
  }
  CHECK(batch.context().all.at == 3 * 101);
  CHECK(batch.context().all.per_step == Approx(7.5));
  CHECK(batch.steps_to_change() == 2);
  CHECK(batch.tokens_in(1) == 2);
  CHECK(batch.tokens_in(2) == 5);
  CHECK(batch.new_blocks(2) == 0);
  CHECK(batch.new_blocks(5) == 0);  // 112 tokens fill seven blocks
  CHECK(batch.new_blocks(6) == 3);
  CHECK(batch.steps_within(0, 100) == 5);
  batch.advance(2);
  CHECK(batch.kv_length(refs[2]) == 105);
  CHECK(batch.take_finished() == refs[0]);
  CHECK(batch.take_finished() == refs[1]);
  CHECK_FALSE(batch.take_finished().has_value());
  CHECK(requests[refs[0]].remaining() == 0);
  CHECK(batch.steps_to_change() == 1);
  batch.advance(1);
  CHECK(batch.take_finished() == refs[2]);
  CHECK(requests[refs[2]].generated == 7);  // of 107 - 100 only the six that were wanted
}
