#include "sim/memory/kv_cache.hpp"

#include <algorithm>

namespace disagg {

BlockCount KvCache::allocate(BlockCount blocks, const EvictionListener* listener) {
  expect(blocks >= 0 && blocks <= free(), "more KV blocks taken than there are");
  const BlockCount evicted = std::max<BlockCount>(blocks - empty(), 0);
  if (evicted > 0) tree_->evict(evicted, listener);
  taken_ += blocks;
  return evicted;
}

PrefixTree::NodeIndex KvCache::keep(PrefixTree::NodeIndex held, const PromptContent& prompt,
                                    TokenCount tokens, BlockCount computed, Seconds now) {
  release(computed);
  const PrefixTree::Insertion insertion = tree_->insert(held, prompt, tokens, now);
  expect(insertion.duplicates <= computed && empty() >= 0, "a prompt was cached that was not computed");
  return insertion.node;
}

void KvCache::audit() const {
  expect(taken_ >= 0 && empty() >= 0, "more KV blocks are in use than there are");
  if (tree_) tree_->audit();
}

}  // namespace disagg
