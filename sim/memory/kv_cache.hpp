#pragma once

#include <optional>

#include "sim/base/expect.hpp"
#include "sim/memory/prefix_tree.hpp"

namespace disagg {

// What a KV cache keeps of prompts when their requests have ended.
struct PrefixCacheRules {
  EvictionPolicy eviction;
  RecomputeCost cost{};
};

// The KV memory of one data-parallel rank, as equal blocks of `block_tokens` tokens. Each is free, belongs to
// one request, or holds a cached prefix. Cached ones that no request uses count as free: whoever needs a
// block evicts them.
class KvCache {
 public:
  KvCache(BlockCount total, TokenCount block_tokens, const std::optional<PrefixCacheRules>& prefixes = {})
      : total_(total), block_tokens_(block_tokens) {
    expect(total >= 0 && block_tokens > 0, "a KV cache of less than no room");
    if (prefixes) tree_.emplace(block_tokens, prefixes->eviction, prefixes->cost);
  }

  BlockCount total() const { return total_; }
  BlockCount free() const { return total_ - used(); }
  // In use by requests: their own, and prefixes that they share.
  BlockCount used() const { return taken_ + (tree_ ? tree_->locked() : 0); }
  BlockCount evictable() const { return tree_ ? tree_->evictable() : 0; }
  // Blocks that hold nothing.
  BlockCount empty() const { return free() - evictable(); }
  TokenCount block_tokens() const { return block_tokens_; }
  BlockCount blocks_for(TokenCount tokens) const { return (tokens + block_tokens_ - 1) / block_tokens_; }

  // Takes blocks for one request and returns how many cached ones were evicted for them. Precondition:
  // `blocks` are free. Callers ask first, so that a refusal leaves no trace.
  BlockCount allocate(BlockCount blocks, const EvictionListener* listener = nullptr);
  void release(BlockCount blocks) {
    expect(blocks >= 0 && blocks <= taken_, "more KV blocks returned than were taken");
    taken_ -= blocks;
  }

  bool keeps_prefixes() const { return tree_.has_value(); }
  // What of a prompt's first `limit` tokens is cached. `prompt` may be null: nothing is known of it.
  PrefixHit find(const PromptContent* prompt, TokenCount limit, Seconds now) const {
    return tree_ && prompt != nullptr ? tree_->find(*prompt, limit, now) : PrefixHit{};
  }
  // See PrefixTree. Precondition: prefixes are kept.
  PrefixTree::NodeIndex lock(const PromptContent& prompt, TokenCount tokens, Seconds now) {
    return tree_->lock(prompt, tokens, now);
  }
  // Makes blocks that a request has computed, all those behind the lock it holds up to `tokens`, cached ones
  // under its lock. They are no longer the request's own; those that were cached already are freed.
  PrefixTree::NodeIndex keep(PrefixTree::NodeIndex held, const PromptContent& prompt, TokenCount tokens,
                             BlockCount computed, Seconds now);
  void unlock(PrefixTree::NodeIndex held, Seconds now) {
    if (tree_) tree_->unlock(held, now);
  }

  // See PrefixTree. Returns the blocks evicted.
  BlockCount drop(PrefixTree::NodeIndex end, const EvictionListener* listener = nullptr) {
    return tree_ ? tree_->drop(end, listener) : 0;
  }

  // Throws BrokenInvariant unless every block is accounted for once. For tests: O(cached prefixes).
  void audit() const;

 private:
  BlockCount total_;
  TokenCount block_tokens_;
  BlockCount taken_ = 0;  // by single requests
  std::optional<PrefixTree> tree_;
};

}  // namespace disagg
