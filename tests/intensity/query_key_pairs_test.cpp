#include "sim/intensity/query_key_pairs.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace disagg;

namespace {

// First token that the token at this place, counted from 0, sees.
TokenCount first_seen(const Reach& reach, TokenCount place) {
  if (reach.tokens == 0) return 0;
  if (reach.chunked) return place / reach.tokens * reach.tokens;
  return std::max<TokenCount>(0, place - reach.tokens + 1);
}

}  // namespace

TEST_CASE("Pairs and context in closed form are those counted token by token, in windows and chunks") {
  for (const Reach reach : {Reach{}, Reach{1, false}, Reach{5, false}, Reach{5, true}, Reach{64, true}})
    for (TokenCount prefix = 0; prefix < 23; ++prefix)
      for (TokenCount tokens = 1; tokens < 23; ++tokens) {
        TokenCount pairs = 0;
        for (TokenCount place = prefix; place < prefix + tokens; ++place)
          pairs += place + 1 - first_seen(reach, place);
        CAPTURE(reach.tokens, reach.chunked, prefix, tokens);
        REQUIRE(query_key_pairs(reach, prefix, tokens) == static_cast<double>(pairs));
        REQUIRE(visible_context(reach, prefix, tokens) ==
                static_cast<double>(prefix + tokens - first_seen(reach, prefix)));
      }
}

TEST_CASE("Pairs of a prompt of 8192 tokens: 33.6 million causal, 1.04 million in a window of 128") {
  CHECK(query_key_pairs({}, 0, 8192) == 33'558'528);
  CHECK(query_key_pairs({128, false}, 0, 8192) == 128.0 * 8192 - 128 * 127 / 2);
  CHECK(query_key_pairs({8192, true}, 8192, 8192) == 33'558'528);
  // Without cancellation: the last token of 2^40.
  CHECK(query_key_pairs({}, (TokenCount{1} << 40) - 1, 1) == static_cast<double>(TokenCount{1} << 40));
}
