#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <unordered_map>
#include <vector>

#include "sim/memory/eviction.hpp"
#include "sim/memory/prompt_content.hpp"

namespace disagg {

// A prefix of a prompt, found in a cache.
struct PrefixHit {
  TokenCount tokens = 0;  // a whole number of KV blocks
  BlockCount blocks = 0;  // tokens in blocks
  BlockCount locked =
      0;  // of these, in use already: what is left of them would be taken out of the free ones
};

// Told of a prefix whose last blocks are about to be evicted; what is before them may stay.
using EvictionListener = std::function<void(PromptContent)>;

// The cached prefixes of prompts: a radix tree whose nodes hold a stretch of a prompt each, as ranges of hash
// ids, so that an operation costs what the number of ranges and of branches along a prompt is, never that of
// its tokens or blocks. A node is split where prompts part, or where a request uses only its beginning, and
// is one with its only child again as soon as nothing tells their blocks apart.
//
// A KV block of `block_tokens` tokens belongs to the node in which it ends. Requests lock the path to the end
// of what they use; what no request locks can be evicted, block by block from the ends of the branches.
// Evicting a + b blocks is the same as evicting a and then b.
class PrefixTree {
 public:
  using NodeIndex = std::uint32_t;
  static constexpr NodeIndex kRoot = 0;  // of the empty prefix, which need not be locked

  struct Insertion {
    NodeIndex node = kRoot;     // locked instead of the one before
    BlockCount duplicates = 0;  // blocks computed by the request that the tree had already
  };

  PrefixTree(TokenCount block_tokens, const EvictionPolicy& eviction, const RecomputeCost& cost);
  PrefixTree(PrefixTree&&) = default;
  PrefixTree& operator=(PrefixTree&&) = default;

  // The longest cached prefix of a prompt, in whole blocks and at most `limit` tokens.
  PrefixHit find(const PromptContent& prompt, TokenCount limit, Seconds now) const;
  // Locks the first `tokens` tokens of a prompt. Precondition: find() has just told that they are cached.
  NodeIndex lock(const PromptContent& prompt, TokenCount tokens, Seconds now);
  // Extends a lock to the first `tokens` tokens of the prompt, a whole number of blocks, which have all been
  // computed.
  Insertion insert(NodeIndex held, const PromptContent& prompt, TokenCount tokens, Seconds now);
  // Gives a lock back.
  void unlock(NodeIndex held, Seconds now);
  // Precondition: so many blocks are cached and not locked.
  void evict(BlockCount blocks, const EvictionListener* listener = nullptr);

  // Evicts a branch from its end, where lock() or insert() had ended that have been given back since, up to
  // where others branch off or use it. Returns the blocks evicted.
  BlockCount drop(NodeIndex end, const EvictionListener* listener = nullptr);

  BlockCount locked() const { return locked_; }        // blocks in use by requests
  BlockCount evictable() const { return evictable_; }  // cached ones that are not
  std::size_t nodes() const { return nodes_.size() - spare_nodes_.size() - 1; }

  // Throws BrokenInvariant unless counts, locks and the order of eviction agree with the nodes. O(nodes).
  void audit() const;

 private:
  static constexpr std::uint32_t kNowhere = std::numeric_limits<std::uint32_t>::max();

  struct Node {
    TokenCount begin = 0;           // history.end is where it ends
    std::vector<HashRange> ranges;  // ids of the hash blocks that it touches
    NodeIndex parent = kRoot;
    std::uint32_t children = 0;
    std::uint32_t locks = 0;            // of requests that use it, or something behind it
    std::uint32_t position = kNowhere;  // in the heap, when it can be evicted
    BlockHistory history;               // of its last block
    Seconds used_at{-std::numeric_limits<double>::infinity()};
    double rank = 0;  // in the heap
  };
  // A child is known by its parent and the id of the hash block in which it begins.
  struct Key {
    NodeIndex parent;
    std::uint64_t id;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  using Children = std::unordered_map<Key, NodeIndex, KeyHash>;
  // Where a prompt leaves the tree: in `node`, or at its end.
  struct Place {
    NodeIndex node = kRoot;
    TokenCount at = 0;
    TokenCount locked = 0;  // tokens up to the last that a request uses
  };

  // Follows a prompt from the end of a node on, up to `limit` tokens.
  Place follow(NodeIndex from, const PromptContent& prompt, TokenCount limit, Seconds oldest) const;
  BlockCount blocks(const Node& node) const {
    return node.history.end / block_tokens_ - node.begin / block_tokens_;
  }
  // Nodes that nobody has used since are not found.
  Seconds oldest(Seconds now) const { return now - ttl_; }
  bool expired(const Node& node, Seconds oldest) const { return node.locks == 0 && node.used_at <= oldest; }
  NodeIndex add(Node&& node);
  void remove(NodeIndex leaf);
  // Cuts a node in two. Returns the upper one.
  NodeIndex split(NodeIndex node, TokenCount at);
  // Makes a node one with its parent if it is the only child, the same requests use both, and both would be
  // evicted together. Then the node stays, the parent goes, and the answer is true.
  bool join_parent(NodeIndex node);
  // Appends the ids of what follows a node to those of the node.
  void append(Node& node, const std::vector<HashRange>& ranges) const;
  bool evicted_alike(const BlockHistory& a, const BlockHistory& b) const;
  // The prompt up to the end of a node.
  PromptContent path(NodeIndex node) const;
  void hold(NodeIndex node, NodeIndex until);
  std::vector<HashRange> ids(const std::vector<HashRange>& ranges, std::int64_t from, std::int64_t to);
  void relabel(const Key& from, const Key& to, NodeIndex node);
  void label(const Key& key, NodeIndex node);

  void push(NodeIndex node);
  void pull(std::uint32_t position);
  bool before(NodeIndex a, NodeIndex b) const;
  void rise(std::uint32_t position);
  void sink(std::uint32_t position);
  void put(std::uint32_t position, NodeIndex node);

  TokenCount block_tokens_;
  TokenCount hash_tokens_ = 0;  // of the prompts; known with the first one
  EvictionPolicy eviction_;
  RecomputeCost cost_;
  Seconds ttl_;
  std::vector<Node> nodes_;  // [0] is the root
  std::vector<NodeIndex> spare_nodes_;
  Children children_;
  std::vector<Children::node_type> spare_labels_;
  std::vector<NodeIndex> heap_;  // leaves without a lock, the next to be evicted first
  BlockCount locked_ = 0, evictable_ = 0;
  std::uint64_t clock_ = 0;
  double floor_ = 0;  // of recompute-cost
};

}  // namespace disagg
