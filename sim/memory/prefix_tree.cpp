#include "sim/memory/prefix_tree.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/expect.hpp"

namespace disagg {
namespace {

// A place in a list of ids.
class Cursor {
 public:
  Cursor(const std::vector<HashRange>& ranges, std::int64_t index) : ranges_(ranges), offset_(index) {
    while (range_ < ranges_.size() && offset_ >= ranges_[range_].count) offset_ -= ranges_[range_++].count;
  }
  bool at_end() const { return range_ == ranges_.size(); }
  std::uint64_t id() const { return ranges_[range_].first + static_cast<std::uint64_t>(offset_); }
  std::int64_t left_in_range() const { return ranges_[range_].count - offset_; }
  // Precondition: not beyond the range.
  void advance(std::int64_t ids) {
    offset_ += ids;
    if (offset_ < ranges_[range_].count) return;
    ++range_;
    offset_ = 0;
  }
  void back() {
    if (offset_ == 0) offset_ = ranges_[--range_].count;
    --offset_;
  }

 private:
  const std::vector<HashRange>& ranges_;
  std::size_t range_ = 0;
  std::int64_t offset_;
};

// How many ids from the cursor on are those of the ranges; the cursor moves behind them.
std::int64_t match(Cursor& cursor, const std::vector<HashRange>& ranges) {
  std::int64_t same = 0;
  for (const HashRange& range : ranges) {
    std::int64_t within = 0;
    while (within < range.count && !cursor.at_end() &&
           cursor.id() == range.first + static_cast<std::uint64_t>(within)) {
      const std::int64_t ids = std::min(range.count - within, cursor.left_in_range());
      within += ids;
      cursor.advance(ids);
    }
    same += within;
    if (within < range.count) break;
  }
  return same;
}

void append(std::vector<HashRange>& ranges, HashRange ids) {
  HashRange& last = ranges.back();
  if (last.first + static_cast<std::uint64_t>(last.count) == ids.first) {
    last.count += ids.count;
  } else {
    ranges.push_back(ids);
  }
}

std::int64_t ceil_div(TokenCount a, TokenCount b) { return (a + b - 1) / b; }

}  // namespace

std::size_t PrefixTree::KeyHash::operator()(const Key& key) const {
  // The finaliser of MurmurHash3: consecutive ids must spread.
  std::uint64_t h = key.id ^ (std::uint64_t{key.parent} * 0x9e37'79b9'7f4a'7c15ULL);
  h = (h ^ (h >> 33U)) * 0xff51'afd7'ed55'8ccdULL;
  h = (h ^ (h >> 33U)) * 0xc4ce'b9fe'1a85'ec53ULL;
  return h ^ (h >> 33U);
}

PrefixTree::PrefixTree(TokenCount block_tokens, const EvictionPolicy& eviction, const RecomputeCost& cost)
    : block_tokens_(block_tokens),
      eviction_(eviction),
      cost_(cost),
      ttl_(std::visit([](const auto& policy) { return policy.ttl; }, eviction)),
      nodes_(1) {
  nodes_[kRoot].locks = 1;
}

PrefixTree::Place PrefixTree::follow(NodeIndex from, const PromptContent& prompt, TokenCount limit,
                                     Seconds oldest) const {
  const TokenCount h = prompt.block_tokens;
  Place place{from, nodes_[from].history.end, nodes_[from].history.end};
  Cursor cursor(prompt.ranges, place.at / h);
  while (place.at < limit) {
    const auto found = children_.find({place.node, cursor.id()});
    if (found == children_.end()) break;
    const Node& child = nodes_[found->second];
    if (expired(child, oldest)) break;
    const std::int64_t same = match(cursor, child.ranges);
    place.node = found->second;
    place.at = std::min({(child.begin / h + same) * h, child.history.end, limit});
    if (child.locks > 0) place.locked = place.at;
    if (place.at < child.history.end) break;
    if (child.history.end % h != 0) cursor.back();  // the next node begins in the same hash block
  }
  return place;
}

PrefixHit PrefixTree::find(const PromptContent& prompt, TokenCount limit, Seconds now) const {
  const Place place = follow(kRoot, prompt, std::min(limit, prompt.tokens), oldest(now));
  const BlockCount whole = place.at / block_tokens_;
  return {whole * block_tokens_, whole, std::min(place.locked / block_tokens_, whole)};
}

PrefixTree::NodeIndex PrefixTree::lock(const PromptContent& prompt, TokenCount tokens, Seconds now) {
  if (tokens == 0) return kRoot;
  const Place place = follow(kRoot, prompt, tokens, oldest(now));
  expect(place.at == tokens, "a prefix is locked that is not cached");
  const NodeIndex node = tokens < nodes_[place.node].history.end ? split(place.node, tokens) : place.node;
  hold(node, kRoot);
  return node;
}

PrefixTree::Insertion PrefixTree::insert(NodeIndex held, const PromptContent& prompt, TokenCount tokens,
                                         Seconds now) {
  expect(tokens % block_tokens_ == 0 && tokens <= prompt.tokens, "a part of a block is to be cached");
  expect(hash_tokens_ == 0 || hash_tokens_ == prompt.block_tokens, "prompts are hashed in unequal blocks");
  hash_tokens_ = prompt.block_tokens;
  const TokenCount from = nodes_[held].history.end;
  const Place place = follow(held, prompt, tokens, -kNever);
  const NodeIndex node = place.at < nodes_[place.node].history.end ? split(place.node, place.at) : place.node;
  // What had expired has been computed anew.
  for (NodeIndex i = node; i != held; i = nodes_[i].parent) {
    if (!expired(nodes_[i], oldest(now))) continue;
    nodes_[i].history.created = ++clock_;
    nodes_[i].history.uses = 0;
  }
  hold(node, held);
  Insertion insertion{node, place.at / block_tokens_ - from / block_tokens_};
  if (place.at == tokens) return insertion;
  const BlockHistory history{.created = ++clock_, .uses = 1, .end = tokens};
  Node& last = nodes_[node];
  if (node == held && node != kRoot && last.locks == 1 && last.children == 0 &&
      evicted_alike(last.history, history)) {
    append(last, ids(prompt.ranges, place.at / hash_tokens_, ceil_div(tokens, hash_tokens_)));
    locked_ += tokens / block_tokens_ - last.history.end / block_tokens_;
    last.history.end = tokens;
    return insertion;
  }
  Node rest;
  rest.begin = place.at;
  rest.ranges = ids(prompt.ranges, place.at / hash_tokens_, ceil_div(tokens, hash_tokens_));
  rest.parent = node;
  rest.locks = 1;
  rest.history = history;
  insertion.node = add(std::move(rest));
  const Node& added = nodes_[insertion.node];
  ++nodes_[node].children;
  label({node, added.ranges.front().first}, insertion.node);
  locked_ += blocks(added);
  return insertion;
}

void PrefixTree::hold(NodeIndex node, NodeIndex until) {
  for (; node != until; node = nodes_[node].parent) {
    Node& n = nodes_[node];
    ++n.history.uses;
    if (++n.locks > 1) continue;
    locked_ += blocks(n);
    evictable_ -= blocks(n);
    if (n.position != kNowhere) pull(n.position);
  }
}

void PrefixTree::unlock(NodeIndex held, Seconds now) {
  if (held == kRoot) return;
  ++clock_;
  NodeIndex below = kRoot;
  for (; held != kRoot; held = nodes_[held].parent) {
    Node& n = nodes_[held];
    expect(n.locks > 0, "a prefix is given back that nobody holds");
    if (--n.locks == 0) {
      locked_ -= blocks(n);
      evictable_ += blocks(n);
      n.history.used = clock_;
      n.history.age = floor_;
      n.used_at = now;
      if (n.children == 0) push(held);
    }
    if (below == kRoot || !join_parent(below)) below = held;
  }
}

bool PrefixTree::join_parent(NodeIndex node) {
  Node& lower = nodes_[node];
  const NodeIndex parent = lower.parent;
  Node& upper = nodes_[parent];
  if (upper.children != 1 || upper.locks != lower.locks || !evicted_alike(upper.history, lower.history))
    return false;
  spare_labels_.push_back(children_.extract(Key{parent, lower.ranges.front().first}));
  Children::node_type label = children_.extract(Key{upper.parent, upper.ranges.front().first});
  label.mapped() = node;
  children_.insert(std::move(label));
  append(upper, lower.ranges);
  lower.ranges = std::exchange(upper.ranges, {});
  lower.begin = upper.begin;
  lower.parent = upper.parent;
  spare_nodes_.push_back(parent);
  return true;
}

bool PrefixTree::evicted_alike(const BlockHistory& a, const BlockHistory& b) const {
  return std::visit([&](const auto& policy) { return policy.alike(a, b); }, eviction_);
}

void PrefixTree::append(Node& node, const std::vector<HashRange>& ranges) const {
  // What begins within a hash block repeats the id in which the node ends.
  std::int64_t known = node.history.end % hash_tokens_ == 0 ? 0 : 1;
  for (HashRange range : ranges) {
    range.first += static_cast<std::uint64_t>(known);
    range.count -= std::exchange(known, 0);
    if (range.count > 0) disagg::append(node.ranges, range);
  }
}

void PrefixTree::evict(BlockCount wanted, const EvictionListener* listener) {
  expect(wanted <= evictable_, "more cached blocks are to be evicted than there are");
  while (wanted > 0) {
    const NodeIndex leaf = heap_.front();
    Node& n = nodes_[leaf];
    if (std::holds_alternative<CheapestToRecompute>(eviction_)) floor_ = std::max(floor_, n.rank);
    if (listener != nullptr) (*listener)(path(leaf));
    const BlockCount all = blocks(n);
    if (all <= wanted) {
      wanted -= all;
      remove(leaf);
      continue;
    }
    n.history.end = (n.history.end / block_tokens_ - wanted) * block_tokens_;
    evictable_ -= wanted;
    wanted = 0;
    std::int64_t surplus = -(ceil_div(n.history.end, hash_tokens_) - n.begin / hash_tokens_);
    for (const HashRange& range : n.ranges) surplus += range.count;
    while (surplus > 0) {
      const std::int64_t taken = std::min(surplus, n.ranges.back().count);
      surplus -= taken;
      n.ranges.back().count -= taken;
      if (n.ranges.back().count == 0) n.ranges.pop_back();
    }
    pull(n.position);
    push(leaf);
  }
}

BlockCount PrefixTree::drop(NodeIndex end, const EvictionListener* listener) {
  const BlockCount before = evictable_;
  const auto goes = [this](NodeIndex node) {
    return node != kRoot && nodes_[node].locks == 0 && nodes_[node].children == 0;
  };
  if (listener != nullptr && goes(end)) (*listener)(path(end));
  while (goes(end)) {
    const NodeIndex parent = nodes_[end].parent;
    remove(end);
    end = parent;
  }
  return before - evictable_;
}

PromptContent PrefixTree::path(NodeIndex node) const {
  std::vector<NodeIndex> nodes;
  for (NodeIndex i = node; i != kRoot; i = nodes_[i].parent) nodes.push_back(i);
  PromptContent content{.block_tokens = hash_tokens_, .tokens = nodes_[node].history.end, .ranges = {}};
  std::reverse(nodes.begin(), nodes.end());
  for (const NodeIndex i : nodes) {
    // A node that begins within a hash block repeats the id in which the one before it ends.
    std::int64_t known = nodes_[i].begin % hash_tokens_ == 0 ? 0 : 1;
    for (HashRange range : nodes_[i].ranges) {
      range.first += static_cast<std::uint64_t>(known);
      range.count -= std::exchange(known, 0);
      if (range.count > 0) content.append(range);
    }
  }
  return content;
}

PrefixTree::NodeIndex PrefixTree::add(Node&& node) {
  if (spare_nodes_.empty()) {
    nodes_.push_back(std::move(node));
    return static_cast<NodeIndex>(nodes_.size() - 1);
  }
  const NodeIndex index = spare_nodes_.back();
  spare_nodes_.pop_back();
  nodes_[index] = std::move(node);
  return index;
}

void PrefixTree::remove(NodeIndex leaf) {
  Node& n = nodes_[leaf];
  evictable_ -= blocks(n);
  pull(n.position);
  spare_labels_.push_back(children_.extract(Key{n.parent, n.ranges.front().first}));
  n.ranges = {};
  spare_nodes_.push_back(leaf);
  Node& parent = nodes_[n.parent];
  if (--parent.children == 0 && parent.locks == 0) push(n.parent);
}

PrefixTree::NodeIndex PrefixTree::split(NodeIndex node, TokenCount at) {
  const std::int64_t first = nodes_[node].begin / hash_tokens_;
  const std::int64_t last = ceil_div(nodes_[node].history.end, hash_tokens_);
  Node upper;
  upper.begin = nodes_[node].begin;
  upper.ranges = ids(nodes_[node].ranges, 0, ceil_div(at, hash_tokens_) - first);
  upper.parent = nodes_[node].parent;
  upper.children = 1;
  upper.locks = nodes_[node].locks;
  upper.history = nodes_[node].history;
  upper.history.end = at;
  upper.used_at = nodes_[node].used_at;
  const NodeIndex index = add(std::move(upper));
  Node& lower = nodes_[node];
  const Key key{lower.parent, lower.ranges.front().first};
  lower.ranges = ids(lower.ranges, at / hash_tokens_ - first, last - first);
  lower.begin = at;
  lower.parent = index;
  relabel(key, {index, lower.ranges.front().first}, node);
  label(key, index);
  return index;
}

// The ids from one place in a list up to another.
std::vector<HashRange> PrefixTree::ids(const std::vector<HashRange>& ranges, std::int64_t from,
                                       std::int64_t to) {
  std::vector<HashRange> part;
  for (Cursor cursor(ranges, from); from < to;) {
    const std::int64_t count = std::min(to - from, cursor.left_in_range());
    part.push_back({cursor.id(), count});
    from += count;
    cursor.advance(count);
  }
  return part;
}

void PrefixTree::label(const Key& key, NodeIndex node) {
  if (spare_labels_.empty()) {
    children_.emplace(key, node);
    return;
  }
  Children::node_type spare = std::move(spare_labels_.back());
  spare_labels_.pop_back();
  spare.key() = key;
  spare.mapped() = node;
  children_.insert(std::move(spare));
}

void PrefixTree::relabel(const Key& from, const Key& to, NodeIndex node) {
  Children::node_type moved = children_.extract(from);
  expect(!moved.empty() && moved.mapped() == node, "a prefix is not where its parent has it");
  moved.key() = to;
  children_.insert(std::move(moved));
}

bool PrefixTree::before(NodeIndex a, NodeIndex b) const {
  const Node& x = nodes_[a];
  const Node& y = nodes_[b];
  return x.rank != y.rank ? x.rank < y.rank : x.history.used < y.history.used;
}

void PrefixTree::push(NodeIndex node) {
  nodes_[node].rank =
      std::visit([&](const auto& policy) { return policy.rank(nodes_[node].history, cost_); }, eviction_);
  heap_.push_back(node);
  put(static_cast<std::uint32_t>(heap_.size() - 1), node);
  rise(nodes_[node].position);
}

// Takes a node out of the heap.
void PrefixTree::pull(std::uint32_t position) {
  nodes_[heap_[position]].position = kNowhere;
  const NodeIndex last = heap_.back();
  heap_.pop_back();
  if (position == heap_.size()) return;
  put(position, last);
  rise(position);
  sink(nodes_[last].position);
}

void PrefixTree::put(std::uint32_t position, NodeIndex node) {
  heap_[position] = node;
  nodes_[node].position = position;
}

void PrefixTree::rise(std::uint32_t position) {
  const NodeIndex node = heap_[position];
  while (position > 0) {
    const std::uint32_t above = (position - 1) / 2;
    if (!before(node, heap_[above])) break;
    put(position, heap_[above]);
    position = above;
  }
  put(position, node);
}

void PrefixTree::sink(std::uint32_t position) {
  const NodeIndex node = heap_[position];
  const auto size = static_cast<std::uint32_t>(heap_.size());
  while (2 * position + 1 < size) {
    std::uint32_t below = 2 * position + 1;
    if (below + 1 < size && before(heap_[below + 1], heap_[below])) ++below;
    if (!before(heap_[below], node)) break;
    put(position, heap_[below]);
    position = below;
  }
  put(position, node);
}

void PrefixTree::audit() const {
  std::vector<bool> live(nodes_.size(), true);
  for (const NodeIndex spare : spare_nodes_) live[spare] = false;
  std::vector<std::uint32_t> children(nodes_.size());
  std::vector<std::uint64_t> locks(nodes_.size());
  BlockCount locked = 0;
  BlockCount evictable = 0;
  std::size_t leaves = 0;
  for (NodeIndex i = 1; i < nodes_.size(); ++i) {
    if (!live[i]) continue;
    const Node& n = nodes_[i];
    ++children[n.parent];
    locks[n.parent] += n.locks;
    (n.locks > 0 ? locked : evictable) += blocks(n);
    std::int64_t ids = 0;
    for (const HashRange& range : n.ranges) ids += range.count;
    expect(n.begin < n.history.end && n.begin == nodes_[n.parent].history.end,
           "a cached prefix does not begin where the one before it ends");
    expect(ids == ceil_div(n.history.end, hash_tokens_) - n.begin / hash_tokens_,
           "a cached prefix has too many or too few hash blocks");
    const auto found = children_.find({n.parent, n.ranges.front().first});
    expect(found != children_.end() && found->second == i, "a cached prefix cannot be found");
    const bool leaf = n.locks == 0 && n.children == 0;
    leaves += leaf ? 1 : 0;
    expect(leaf == (n.position != kNowhere), "a cached prefix cannot be evicted, or is in use and can");
  }
  for (NodeIndex i = 1; i < nodes_.size(); ++i) {
    expect(!live[i] || (nodes_[i].children == children[i] && nodes_[i].locks >= locks[i]),
           "a cached prefix is locked less often than those behind it");
  }
  expect(leaves == heap_.size() && children_.size() == nodes(), "a cached prefix was lost");
  expect(locked == locked_ && evictable == evictable_, "cached blocks were lost or counted twice");
}

}  // namespace disagg
