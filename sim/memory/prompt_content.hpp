#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/quantity.hpp"

namespace disagg {

// Ids first, first + 1, ..., first + count - 1 of consecutive hash blocks.
struct HashRange {
  std::uint64_t first = 0;
  std::int64_t count = 0;

  bool operator==(const HashRange&) const = default;
};

// What the first `tokens` tokens of a prompt say, as ids of its hash blocks. Block i holds the tokens from
// i x block_tokens on, the last one perhaps fewer. Two prompts begin with the same tokens as far as their
// lists of ids are equal from the start. Precondition: the ranges hold ceil(tokens / block_tokens) ids.
struct PromptContent {
  TokenCount block_tokens = 0;
  TokenCount tokens = 0;
  std::vector<HashRange> ranges;

  // Puts ids behind all others, into the last range where they continue it.
  void append(HashRange ids) {
    if (!ranges.empty() &&
        ranges.back().first + static_cast<std::uint64_t>(ranges.back().count) == ids.first) {
      ranges.back().count += ids.count;
    } else {
      ranges.push_back(ids);
    }
  }
  void append(std::uint64_t id) { append(HashRange{id, 1}); }
};

}  // namespace disagg
