#pragma once

#include "sim/base/expect.hpp"
#include "sim/base/quantity.hpp"

namespace disagg {

// The KV cache of one replica as a count of equal blocks of `block_tokens` tokens.
class KvBlocks {
 public:
  KvBlocks(BlockCount total, TokenCount block_tokens)
      : total_(total), free_(total), block_tokens_(block_tokens) {
    expect(total > 0 && block_tokens > 0, "a KV cache without room");
  }

  BlockCount total() const { return total_; }
  BlockCount free() const { return free_; }
  BlockCount used() const { return total_ - free_; }
  TokenCount block_tokens() const { return block_tokens_; }
  BlockCount blocks_for(TokenCount tokens) const { return (tokens + block_tokens_ - 1) / block_tokens_; }
  double occupancy() const { return static_cast<double>(used()) / static_cast<double>(total_); }

  // Precondition: `blocks` are free. Callers ask first, so that a refusal leaves no trace.
  void allocate(BlockCount blocks) {
    expect(blocks >= 0 && blocks <= free_, "more KV blocks taken than there are");
    free_ -= blocks;
  }
  void release(BlockCount blocks) {
    expect(blocks >= 0 && blocks <= used(), "more KV blocks returned than were taken");
    free_ += blocks;
  }

 private:
  BlockCount total_;
  BlockCount free_;
  TokenCount block_tokens_;
};

}  // namespace disagg
