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
};

}  // namespace

TEST_CASE(
    "Over 20,000 random joins, departures and advances a decode batch agrees with one kept sequence by "
    "sequence") {
  auto random = random_stream(11, "decode batch");
  const auto whole = [&](std::int64_t low, std::int64_t high) {
    return boost::random::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  for (const TokenCount block : {1, 16, 63}) {
    RequestTable requests;
    DecodeBatch batch(requests, block);
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
        for (const auto& [ref, s] : naive.members) {
          first = std::min(first, s.left);
          context += s.length + 1;
        }
        REQUIRE(batch.steps_to_finish() == first);
        REQUIRE(batch.context() == static_cast<double>(context));
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
  DecodeBatch batch(requests, 16);
  RequestRecord record;
  record.output_tokens = 3;
  const RequestRef ref = requests.add(record);
  batch.join(ref, 10);
  CHECK_THROWS_AS(batch.join(ref, 10), BrokenInvariant);
}
