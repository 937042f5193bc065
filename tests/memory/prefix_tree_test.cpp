#include "sim/memory/prefix_tree.hpp"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "sim/base/expect.hpp"
#include "sim/base/random.hpp"
#include "sim/memory/kv_cache.hpp"

using namespace disagg;

namespace {

PromptContent prompt(TokenCount block_tokens, TokenCount tokens, const std::vector<std::uint64_t>& ids) {
  PromptContent content{.block_tokens = block_tokens, .tokens = tokens, .ranges = {}};
  for (const std::uint64_t id : ids) content.append(id);
  return content;
}

// What PrefixTree does, block by block and without any cleverness: every KV block is a node of a trie, known
// by the ids of the hash blocks that it touches.
class NaiveCache {
 public:
  NaiveCache(TokenCount block_tokens, const EvictionPolicy& eviction, const RecomputeCost& cost)
      : block_tokens_(block_tokens), eviction_(eviction), cost_(cost) {}

  struct Block {
    Block* parent = nullptr;
    std::map<std::vector<std::uint64_t>, std::unique_ptr<Block>> children;
    std::vector<std::uint64_t> key;
    int locks = 0;
    BlockHistory history;
    Seconds used_at{};
  };

  PrefixHit find(const std::vector<std::uint64_t>& ids, TokenCount hash, TokenCount limit, Seconds now) {
    PrefixHit hit;
    for (const Block* b : path(ids, hash, limit, now, false)) {
      ++hit.blocks;
      hit.tokens += block_tokens_;
      hit.locked += b->locks > 0 ? 1 : 0;
    }
    return hit;
  }
  Block* lock(const std::vector<std::uint64_t>& ids, TokenCount hash, TokenCount tokens, Seconds now) {
    Block* last = &root_;
    for (Block* b : path(ids, hash, tokens, now, false)) {
      ++b->locks;
      ++b->history.uses;
      last = b;
    }
    return last;
  }
  // Returns the block now held and how many the tree had already.
  std::pair<Block*, BlockCount> insert(Block* held, const std::vector<std::uint64_t>& ids, TokenCount hash,
                                       TokenCount tokens, Seconds now) {
    BlockCount duplicates = 0;
    Block* last = held;
    const auto old = path(ids, hash, tokens, now, true);
    const auto from = static_cast<std::size_t>(depth(held));
    std::uint64_t renewed = 0;
    for (std::size_t i = from; i < old.size(); ++i) {
      Block* b = old[i];
      if (expired(*b, now)) {
        if (renewed == 0) renewed = ++clock_;
        b->history.created = renewed;
        b->history.uses = 0;
      }
      ++b->locks;
      ++b->history.uses;
      ++duplicates;
      last = b;
    }
    const TokenCount whole = tokens / block_tokens_;
    if (static_cast<TokenCount>(std::max(old.size(), from)) < whole) ++clock_;
    for (auto i = static_cast<TokenCount>(std::max(old.size(), from)); i < whole; ++i) {
      auto block = std::make_unique<Block>();
      block->parent = last;
      block->key = key(ids, hash, i);
      block->locks = 1;
      block->history = {.created = clock_, .uses = 1, .end = (i + 1) * block_tokens_};
      Block* added = block.get();
      last->children.emplace(added->key, std::move(block));
      last = added;
    }
    return {last, duplicates};
  }
  void unlock(Block* held, Seconds now) {
    if (held == &root_) return;
    ++clock_;
    for (Block* b = held; b != &root_; b = b->parent) {
      if (--b->locks > 0) continue;
      b->history.used = clock_;
      b->history.age = floor_;
      b->used_at = now;
    }
  }
  void evict_one() {
    Block* victim = nullptr;
    double least = 0;
    visit(root_, [&](Block& b) {
      if (b.locks > 0 || !b.children.empty()) return;
      const double rank =
          std::visit([&](const auto& policy) { return policy.rank(b.history, cost_); }, eviction_);
      if (victim != nullptr && std::pair(least, victim->history.used) <= std::pair(rank, b.history.used))
        return;
      victim = &b;
      least = rank;
    });
    REQUIRE(victim != nullptr);
    if (std::holds_alternative<CheapestToRecompute>(eviction_)) floor_ = std::max(floor_, least);
    const auto its_key = victim->key;
    victim->parent->children.erase(its_key);
  }
  BlockCount count(bool locked) {
    BlockCount n = 0;
    visit(root_, [&](const Block& b) { n += (b.locks > 0) == locked ? 1 : 0; });
    return n;
  }
  Block* root() { return &root_; }

 private:
  template <class Do>
  void visit(Block& b, const Do& act) {
    for (auto& [k, child] : b.children) {
      visit(*child, act);
      act(*child);
    }
  }
  TokenCount depth(const Block* b) const {
    TokenCount n = 0;
    for (; b != &root_; b = b->parent) ++n;
    return n;
  }
  std::vector<std::uint64_t> key(const std::vector<std::uint64_t>& ids, TokenCount hash, TokenCount i) const {
    std::vector<std::uint64_t> k;
    for (TokenCount t = i * block_tokens_ / hash; t <= ((i + 1) * block_tokens_ - 1) / hash; ++t)
      k.push_back(ids[static_cast<std::size_t>(t)]);
    return k;
  }
  bool expired(const Block& b, Seconds now) const {
    const Seconds ttl = std::visit([](const auto& policy) { return policy.ttl; }, eviction_);
    return b.locks == 0 && b.used_at <= now - ttl;
  }
  std::vector<Block*> path(const std::vector<std::uint64_t>& ids, TokenCount hash, TokenCount limit,
                           Seconds now, bool through_expired) {
    std::vector<Block*> blocks;
    Block* at = &root_;
    for (TokenCount i = 0; (i + 1) * block_tokens_ <= limit; ++i) {
      const auto found = at->children.find(key(ids, hash, i));
      if (found == at->children.end()) break;
      at = found->second.get();
      if (!through_expired && expired(*at, now)) break;
      blocks.push_back(at);
    }
    return blocks;
  }

  TokenCount block_tokens_;
  EvictionPolicy eviction_;
  RecomputeCost cost_;
  Block root_;
  std::uint64_t clock_ = 0;
  double floor_ = 0;
};

struct Held {
  PromptContent content;
  std::vector<std::uint64_t> ids;
  PrefixTree::NodeIndex node = PrefixTree::kRoot;
  NaiveCache::Block* block = nullptr;
  TokenCount tokens = 0;
  bool inserted = false;
};

// Random prompts that share prefixes, through both.
void compare_with_naive(TokenCount block_tokens, TokenCount hash, const EvictionPolicy& eviction,
                        std::uint64_t seed, int operations) {
  const RecomputeCost cost{.per_token = 100, .per_context_token = 1};
  PrefixTree tree(block_tokens, eviction, cost);
  NaiveCache naive(block_tokens, eviction, cost);
  auto random = random_stream(seed, "prefixes");
  const auto whole = [&](std::int64_t low, std::int64_t high) {
    return boost::random::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  std::vector<std::vector<std::uint64_t>> told;  // complete id lists of earlier prompts
  std::vector<Held> held;
  std::uint64_t next_id = 0;
  Seconds now{};
  std::int64_t hits = 0;
  std::int64_t evicted = 0;
  for (int i = 0; i < operations; ++i) {
    now += Seconds{static_cast<double>(whole(0, 3))};
    const auto what = whole(0, 9);
    if (what <= 3) {
      Held h;
      if (!told.empty() && whole(0, 9) < 8) {
        const auto& base =
            told[static_cast<std::size_t>(whole(0, static_cast<std::int64_t>(told.size()) - 1))];
        h.ids.assign(base.begin(), base.begin() + whole(0, static_cast<std::int64_t>(base.size())));
      }
      // Some gaps between ids, so that a prompt is several ranges.
      for (auto more = whole(h.ids.empty() ? 1 : 0, 6); more > 0; --more) {
        next_id += static_cast<std::uint64_t>(whole(1, 2));
        h.ids.push_back(next_id);
      }
      told.push_back(h.ids);
      if (told.size() > 40) told.erase(told.begin());
      const auto blocks = static_cast<TokenCount>(h.ids.size());
      h.content = prompt(hash, blocks * hash - whole(0, hash - 1), h.ids);
      const TokenCount limit = h.content.tokens - 1;
      const PrefixHit a = tree.find(h.content, limit, now);
      const PrefixHit b = naive.find(h.ids, hash, limit, now);
      REQUIRE(a.tokens == b.tokens);
      REQUIRE(a.blocks == b.blocks);
      REQUIRE(a.locked == b.locked);
      hits += a.blocks;
      h.node = tree.lock(h.content, a.tokens, now);
      h.block = naive.lock(h.ids, hash, a.tokens, now);
      h.tokens = a.tokens;
      held.push_back(std::move(h));
    } else if (what <= 6 && !held.empty()) {
      Held& h = held[static_cast<std::size_t>(whole(0, static_cast<std::int64_t>(held.size()) - 1))];
      if (h.inserted) continue;
      h.inserted = true;
      h.tokens = h.content.tokens / block_tokens * block_tokens;
      const auto a = tree.insert(h.node, h.content, h.tokens, now);
      const auto [block, duplicates] = naive.insert(h.block, h.ids, hash, h.tokens, now);
      REQUIRE(a.duplicates == duplicates);
      h.node = a.node;
      h.block = block;
    } else if (what <= 8 && !held.empty()) {
      const auto who = whole(0, static_cast<std::int64_t>(held.size()) - 1);
      tree.unlock(held[static_cast<std::size_t>(who)].node, now);
      naive.unlock(held[static_cast<std::size_t>(who)].block, now);
      held.erase(held.begin() + who);
    } else if (tree.evictable() > 0) {
      const BlockCount n = whole(1, std::min<BlockCount>(tree.evictable(), 12));
      tree.evict(n);
      for (BlockCount k = 0; k < n; ++k) naive.evict_one();
      evicted += n;
    }
    REQUIRE(tree.locked() == naive.count(true));
    REQUIRE(tree.evictable() == naive.count(false));
    tree.audit();
  }
  CHECK(hits > operations / 50);
  CHECK(evicted > operations / 50);
  for (const Held& h : held) tree.unlock(h.node, now);
  CHECK(tree.locked() == 0);
  tree.evict(tree.evictable());
  CHECK(tree.evictable() == 0);
}

// A tree of blocks of 1 token, hashed one by one.
struct Small {
  PrefixTree tree;
  double time = 0;

  explicit Small(const EvictionPolicy& eviction, const RecomputeCost& cost = {}) : tree(1, eviction, cost) {}
  // One request from start to end. Returns how many tokens it found.
  TokenCount serve(const std::vector<std::uint64_t>& ids) {
    const Seconds now{time++};
    const auto content = prompt(1, static_cast<TokenCount>(ids.size()), ids);
    const PrefixHit hit = tree.find(content, content.tokens, now);
    const auto locked = tree.lock(content, hit.tokens, now);
    tree.unlock(tree.insert(locked, content, content.tokens, now).node, now);
    tree.audit();
    return hit.tokens;
  }
  TokenCount cached(const std::vector<std::uint64_t>& ids) const {
    const auto content = prompt(1, static_cast<TokenCount>(ids.size()), ids);
    return tree.find(content, content.tokens, Seconds{time}).tokens;
  }
};

}  // namespace

TEST_CASE("Ids that follow each other become one range: 3 ranges of 4 + 1 + 2 ids") {
  const PromptContent content = prompt(512, 3500, {0, 1, 2, 3, 9, 11, 12});
  CHECK(content.ranges == std::vector<HashRange>{{0, 4}, {9, 1}, {11, 2}});
}

TEST_CASE("A prompt finds the whole blocks that it shares with an earlier one, and never its last token") {
  // 2 hash blocks of 512 tokens are shared; KV blocks have 16.
  PrefixTree tree(16, LeastRecentlyUsed{}, {});
  const auto first = prompt(512, 1400, {1, 2, 3});
  const auto node = tree.insert(PrefixTree::kRoot, first, 1392, Seconds{0}).node;
  CHECK(tree.locked() == 87);
  const auto second = prompt(512, 1100, {1, 2, 4});
  CHECK(tree.find(second, 1099, Seconds{1}).tokens == 1024);
  CHECK(tree.find(second, 1099, Seconds{1}).locked == 64);
  CHECK(tree.find(first, 1399, Seconds{1}).tokens == 1392);
  CHECK(tree.find(first, 1391, Seconds{1}).tokens == 1376);
  tree.unlock(node, Seconds{2});
  CHECK(tree.find(second, 1099, Seconds{3}).locked == 0);
  CHECK(tree.evictable() == 87);
}

TEST_CASE(
    "Two requests that compute the same prompt at once keep it once: the second's 4 blocks are duplicates") {
  PrefixTree tree(16, LeastRecentlyUsed{}, {});
  const auto content = prompt(64, 70, {5, 6});
  const auto a = tree.insert(PrefixTree::kRoot, content, 64, Seconds{0});
  const auto b = tree.insert(PrefixTree::kRoot, content, 64, Seconds{0});
  CHECK(a.duplicates == 0);
  CHECK(b.duplicates == 4);
  CHECK(tree.locked() == 4);
  tree.unlock(a.node, Seconds{1});
  CHECK(tree.locked() == 4);
  tree.unlock(b.node, Seconds{1});
  CHECK(tree.evictable() == 4);
}

TEST_CASE("LRU evicts the branch used longest ago, from its end, and the shared stem last") {
  Small s{LeastRecentlyUsed{}};
  s.serve({1, 2, 10, 11});
  s.serve({1, 2, 20, 21});
  CHECK(s.serve({1, 2, 10, 11}) == 4);  // now 20, 21 are the oldest
  s.tree.evict(1);
  CHECK(s.cached({1, 2, 20, 21}) == 3);
  s.tree.evict(2);
  CHECK(s.cached({1, 2, 20, 21}) == 2);
  CHECK(s.cached({1, 2, 10, 11}) == 3);
  s.tree.evict(2);
  CHECK(s.cached({1, 2, 10, 11}) == 1);
}

TEST_CASE("FIFO evicts what was computed first, however recently it was used") {
  Small s{FirstInFirstOut{}};
  s.serve({10, 11});
  s.serve({20, 21});
  s.serve({10, 11});
  s.tree.evict(2);
  CHECK(s.cached({10, 11}) == 0);
  CHECK(s.cached({20, 21}) == 2);
}

TEST_CASE("LFU evicts what the fewest requests have used, of equal ones the one used longest ago") {
  Small s{LeastFrequentlyUsed{}};
  for (int i = 0; i < 3; ++i) s.serve({10, 11});
  s.serve({20, 21});
  s.serve({30, 31});
  s.tree.evict(2);
  CHECK(s.cached({20, 21}) == 0);
  s.tree.evict(2);
  CHECK(s.cached({30, 31}) == 0);
  CHECK(s.cached({10, 11}) == 2);
}

TEST_CASE("By recompute cost a short prefix goes before a long one, until age has made up for its cost") {
  Small s{CheapestToRecompute{}, {.per_token = 10, .per_context_token = 1}};
  s.serve({10, 11, 12, 13});  // ranks 11, 12, 13, 14 from its start
  s.serve({20});              // 11
  s.tree.evict(1);            // 20 goes; the floor is 11
  CHECK(s.cached({20}) == 0);
  CHECK(s.cached({10, 11, 12, 13}) == 4);
  s.serve({30});    // 11 + 11
  s.tree.evict(1);  // 13, at rank 14, is cheaper than 30 at 22
  CHECK(s.cached({30}) == 1);
  CHECK(s.cached({10, 11, 12, 13}) == 3);
}

TEST_CASE("With a time to live of 10 s a prefix is found 9 s after its last use and not after 10 s") {
  Small s{LeastRecentlyUsed{.ttl = Seconds{10}}};
  s.serve({1, 2, 3});  // at 0 s
  s.time = 9;
  CHECK(s.serve({1, 2, 4}) == 2);  // the stem lives on from here
  s.time = 10;
  CHECK(s.cached({1, 2, 3}) == 2);
  s.time = 19;
  CHECK(s.cached({1, 2, 3}) == 0);
  CHECK(s.serve({1, 2, 3}) == 0);
  CHECK(s.cached({1, 2, 3}) == 3);
  CHECK(s.tree.evictable() == 4);  // nothing twice
}

TEST_CASE(
    "A prompt in ten chunks is one node, two while another uses only its beginning, and then one again") {
  const auto nodes = [](const EvictionPolicy& eviction) {
    PrefixTree tree(16, eviction, {});
    std::vector<std::uint64_t> ids(10);
    for (std::size_t i = 0; i < 10; ++i) ids[i] = 100 + 7 * i;  // ranges of one id each
    const PromptContent whole = prompt(24, 240, ids);
    PrefixTree::NodeIndex held = PrefixTree::kRoot;
    for (TokenCount end = 16; end <= 240; end += 16) held = tree.insert(held, whole, end, Seconds{0}).node;
    std::vector<std::size_t> seen{tree.nodes()};
    const PrefixTree::NodeIndex half = tree.lock(whole, 128, Seconds{1});
    seen.push_back(tree.nodes());
    tree.unlock(half, Seconds{2});
    tree.audit();
    tree.unlock(held, Seconds{3});
    tree.audit();
    seen.push_back(tree.nodes());
    CHECK(tree.find(whole, 240, Seconds{4}).tokens == 240);
    tree.evict(5);
    tree.audit();
    CHECK(tree.find(whole, 240, Seconds{4}).tokens == 160);
    return seen;
  };
  CHECK(nodes(LeastRecentlyUsed{}) == std::vector<std::size_t>{1, 2, 1});
  CHECK(nodes(CheapestToRecompute{}) == std::vector<std::size_t>{1, 2, 1});
  // Half of it has been used once more, and stays longer.
  CHECK(nodes(LeastFrequentlyUsed{}) == std::vector<std::size_t>{1, 2, 2});
  // Chunks were computed at 15 times.
  CHECK(nodes(FirstInFirstOut{}) == std::vector<std::size_t>{15, 15, 15});
}

TEST_CASE("What is in use cannot be evicted") {
  PrefixTree tree(16, LeastRecentlyUsed{}, {});
  const auto content = prompt(64, 128, {5, 6});
  const auto a = tree.insert(PrefixTree::kRoot, content, 128, Seconds{0}).node;
  const auto b = tree.lock(content, 64, Seconds{0});
  tree.unlock(a, Seconds{1});
  CHECK(tree.locked() == 4);
  CHECK(tree.evictable() == 4);
  CHECK_THROWS_AS(tree.evict(5), BrokenInvariant);
  tree.evict(4);
  CHECK(tree.find(content, 128, Seconds{2}).tokens == 64);
  tree.unlock(b, Seconds{3});
  CHECK(tree.evictable() == 4);
}

TEST_CASE("The tree agrees with a cache that keeps every block by itself, over 40,000 random operations") {
  const std::vector<EvictionPolicy> policies{LeastRecentlyUsed{},   LeastRecentlyUsed{Seconds{25}},
                                             FirstInFirstOut{},     FirstInFirstOut{Seconds{25}},
                                             LeastFrequentlyUsed{}, LeastFrequentlyUsed{Seconds{25}},
                                             CheapestToRecompute{}, CheapestToRecompute{Seconds{25}}};
  // Blocks that divide the hash blocks, are the same, hold several, or neither.
  const std::vector<std::pair<TokenCount, TokenCount>> sizes{{4, 16}, {8, 8}, {12, 4}, {6, 16}, {1, 5}};
  std::uint64_t seed = 1;
  for (const EvictionPolicy& policy : policies) {
    for (const auto& [block, hash] : sizes) {
      INFO("policy " << policy.index() << ", blocks of " << block << " tokens, hashed by " << hash
                     << ", seed " << seed);
      compare_with_naive(block, hash, policy, seed++, 1000);
    }
  }
}

TEST_CASE("A KV cache counts cached blocks as free and evicts them when a request needs them") {
  KvCache cache(10, 16, PrefixCacheRules{LeastRecentlyUsed{}});
  const auto content = prompt(16, 96, {1, 2, 3, 4, 5, 6});
  CHECK(cache.allocate(6) == 0);
  const auto node = cache.keep(PrefixTree::kRoot, content, 96, 6, Seconds{0});
  CHECK(cache.used() == 6);
  cache.unlock(node, Seconds{1});
  CHECK(cache.used() == 0);
  CHECK(cache.free() == 10);
  CHECK(cache.empty() == 4);
  CHECK(cache.allocate(7) == 3);
  CHECK(cache.evictable() == 3);
  CHECK(cache.find(&content, 96, Seconds{2}).tokens == 48);
  cache.audit();
  CHECK_THROWS_AS(cache.allocate(4), BrokenInvariant);
}
