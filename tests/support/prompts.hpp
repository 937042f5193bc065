#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/base/random.hpp"

namespace disagg::test {

// A request of a Mooncake trace. With a hash block of b tokens it has ceil(prompt_tokens / b) ids.
struct TraceRow {
  double arrival_ms = 0;
  TokenCount prompt_tokens = 0, output_tokens = 0;
  std::vector<std::uint64_t> ids;
};

// The rows as a JSONL file holds them.
std::string mooncake_trace(const std::vector<TraceRow>& rows);

// Draws the ids of prompts of at most `most_ids` hash blocks. Three in four go on where one of the last 30
// stopped, or part from it on the way, as the turns of sessions under one system prompt do.
class SharedPrompts {
 public:
  SharedPrompts(std::uint64_t seed, std::int64_t most_ids)
      : random_(random_stream(seed, "prompts")), most_ids_(most_ids) {}
  std::vector<std::uint64_t> next();
  std::int64_t whole(std::int64_t low, std::int64_t high);

 private:
  RandomEngine random_;
  std::int64_t most_ids_;
  std::uint64_t last_id_ = 0;
  std::vector<std::vector<std::uint64_t>> told_;
};

// What a prefix cache without limits must find, counted without any of its code: a map from each prefix seen
// to the next ids. A prompt finds the whole KV blocks that it shares with any one before it, its last token
// excepted, for that is computed in any case. Ids are not trusted to name their place: they count behind
// equal ids only.
class SeenPrompts {
 public:
  SeenPrompts(TokenCount hash_tokens, TokenCount block_tokens)
      : hash_tokens_(hash_tokens), block_tokens_(block_tokens) {}
  // The tokens that a prompt finds. From now on it is there for others.
  TokenCount meet(TokenCount prompt_tokens, const std::vector<std::uint64_t>& ids);

 private:
  struct Prefix {
    TokenCount kept = 0;  // tokens up to its end that were computed as whole KV blocks
    std::map<std::uint64_t, std::size_t> next;
  };
  TokenCount hash_tokens_, block_tokens_;
  std::vector<Prefix> prefixes_{1};
};

// What a prefix cache with room for `blocks` KV blocks, of as many tokens as a hash block, finds under LRU
// when prompts come one after the other: a list of the prefixes cached, the one used last in front. While a
// request runs, its own blocks leave so much less to the others. No prompt may end with a whole block.
class LeastRecentPrompts {
 public:
  LeastRecentPrompts(TokenCount block_tokens, std::int64_t blocks)
      : block_tokens_(block_tokens), blocks_(blocks) {}
  TokenCount meet(const TraceRow& row);

 private:
  using Prefix = std::vector<std::uint64_t>;  // all ids up to its end
  TokenCount block_tokens_;
  std::int64_t blocks_;
  std::vector<Prefix> cached_;
};

}  // namespace disagg::test
