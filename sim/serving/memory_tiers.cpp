#include "sim/serving/memory_tiers.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/base/expect.hpp"

namespace disagg {

BlockCount MemoryTierSetup::blocks() const {
  return std::max<BlockCount>(static_cast<BlockCount>(std::floor(capacity / block_bytes())) - reserved, 0);
}

TierUsage TierUsage::operator-(const TierUsage& earlier) const {
  return {.reads = reads - earlier.reads,
          .writes = writes - earlier.writes,
          .bytes_read = bytes_read - earlier.bytes_read,
          .bytes_written = bytes_written - earlier.bytes_written,
          .tokens_read = tokens_read - earlier.tokens_read,
          .evicted_blocks = evicted_blocks - earlier.evicted_blocks,
          .refused_writes = refused_writes - earlier.refused_writes,
          .used_seconds = used_seconds - earlier.used_seconds};
}

MemoryTiers::MemoryTiers(std::vector<MemoryTierSetup> tiers, std::vector<std::vector<TierAccess>> access,
                         const RecomputeCost& cost, Simulation& simulation)
    : setups_(std::move(tiers)), access_(std::move(access)), simulation_(simulation) {
  std::vector<std::uint32_t> instances(setups_.size());
  for (const auto& of_replica : access_)
    for (const TierAccess& a : of_replica) instances[a.tier] = std::max(instances[a.tier], a.instance + 1);
  tiers_.resize(setups_.size());
  for (std::size_t t = 0; t < setups_.size(); ++t) {
    const MemoryTierSetup& setup = setups_[t];
    tiers_[t].instances.reserve(instances[t]);
    for (std::uint32_t i = 0; i < instances[t]; ++i)
      tiers_[t].instances.push_back(
          {KvCache(setup.blocks(), setup.block_tokens, PrefixCacheRules{setup.eviction, cost})});
  }
}

BlockCount MemoryTiers::total_blocks(std::size_t tier) const {
  return setups_[tier].blocks() * static_cast<BlockCount>(tiers_[tier].instances.size());
}

void MemoryTiers::offers(ReplicaId replica, const PromptContent& prompt, TokenCount cached, TokenCount limit,
                         std::vector<TierOffer>& offers) const {
  const auto& levels = access_[replica.index];
  TokenCount longest = cached;
  for (std::uint32_t level = 0; level < levels.size(); ++level) {
    const TierAccess& a = levels[level];
    const Instance& instance = tiers_[a.tier].instances[a.instance];
    const PrefixHit hit = instance.kv.find(&prompt, limit, simulation_.now());
    // A farther tier is of use only where it has more.
    if (hit.tokens <= longest) continue;
    longest = hit.tokens;
    const Bytes bytes = setups_[a.tier].prefix_bytes(hit.tokens - cached);
    // Transfers share a tier evenly, as far as it can be known now.
    const auto sharing = static_cast<double>(instance.reads + 1);
    offers.push_back({level, hit.tokens, a.latency + bytes / a.read_rate * sharing});
  }
}

void MemoryTiers::fetch(ReplicaId replica, const std::shared_ptr<const PromptContent>& prompt,
                        TokenCount cached, const TierOffer& offer, Action done) {
  const TierAccess& a = access(replica, offer.level);
  const auto held = instance(a).kv.lock(*prompt, offer.tokens, simulation_.now());
  const TokenCount tokens = offer.tokens - cached;
  tiers_[a.tier].usage.tokens_read += tokens;
  const std::uint32_t fetch = fetches_.add({held, a.tier, a.instance, done});
  start(
      replica, a, Direction::read, setups_[a.tier].prefix_bytes(tokens), false,
      [this, fetch] { fetched(fetch); }, [this, fetch] { fetch_dropped(fetch); });
}

void MemoryTiers::fetch_dropped(std::uint32_t fetch) {
  const Fetch ended = fetches_.take(fetch);
  tiers_[ended.tier].instances[ended.instance].kv.unlock(ended.held, simulation_.now());
}

void MemoryTiers::fetched(std::uint32_t fetch) {
  Fetch ended = fetches_.take(fetch);
  tiers_[ended.tier].instances[ended.instance].kv.unlock(ended.held, simulation_.now());
  ended.done();
}

void MemoryTiers::copy(ReplicaId replica, const std::shared_ptr<const PromptContent>& prompt,
                       TokenCount tokens, TierWrite when) {
  if (!prompt) return;
  for (std::size_t level = 0; level < levels(replica); ++level)
    if (setups_[access(replica, level).tier].write == when)
      store(replica, level, prompt, std::min(tokens, prompt->tokens));
}

void MemoryTiers::promote(ReplicaId replica, const std::shared_ptr<const PromptContent>& prompt,
                          TokenCount tokens, std::uint32_t level) {
  for (std::size_t above = 0; above < level; ++above) store(replica, above, prompt, tokens);
}

bool MemoryTiers::takes_evicted(ReplicaId replica) const {
  return std::ranges::any_of(access_[replica.index], [&](const TierAccess& a) {
    return setups_[a.tier].write == TierWrite::write_back;
  });
}

// What a replica evicts goes to its first tier that is written back, and what that one evicts to the next.
void MemoryTiers::evicted(ReplicaId replica, std::size_t from_level, PromptContent path) {
  for (std::size_t level = from_level; level < levels(replica); ++level) {
    if (setups_[access(replica, level).tier].write != TierWrite::write_back) continue;
    const TokenCount tokens = path.tokens;
    return store(replica, level, std::make_shared<const PromptContent>(std::move(path)), tokens);
  }
}

// Copies the first `tokens` tokens of a prompt, as far as the tier does not have them, in whole blocks.
void MemoryTiers::store(ReplicaId replica, std::size_t level,
                        const std::shared_ptr<const PromptContent>& prompt, TokenCount tokens) {
  const TierAccess& a = access(replica, level);
  KvCache& kv = instance(a).kv;
  const Seconds now = simulation_.now();
  const PrefixHit hit = kv.find(prompt.get(), tokens, now);
  const BlockCount blocks = tokens / kv.block_tokens() - hit.blocks;
  const auto held = kv.lock(*prompt, hit.tokens, now);
  if (blocks <= 0) return kv.unlock(held, now);  // it has been used just now
  if (blocks > kv.free()) {
    ++tiers_[a.tier].usage.refused_writes;
    return kv.unlock(held, now);
  }
  allocate(replica, level, blocks);
  const std::uint32_t copy =
      copies_.add({prompt, (hit.blocks + blocks) * kv.block_tokens(), blocks, held, a.tier, a.instance});
  start(
      replica, a, Direction::write, setups_[a.tier].block_bytes() * static_cast<double>(blocks), false,
      [this, copy] { stored(copy); }, [this, copy] { copy_dropped(copy); });
}

void MemoryTiers::copy_dropped(std::uint32_t copy) {
  const Copy ended = copies_.take(copy);
  book(ended.tier);
  KvCache& kv = tiers_[ended.tier].instances[ended.instance].kv;
  kv.release(ended.blocks);
  kv.unlock(ended.held, simulation_.now());
  tiers_[ended.tier].occupied -= ended.blocks;
}

void MemoryTiers::stored(std::uint32_t copy) {
  const Copy ended = copies_.take(copy);
  book(ended.tier);
  KvCache& kv = tiers_[ended.tier].instances[ended.instance].kv;
  const BlockCount empty = kv.empty();
  const Seconds now = simulation_.now();
  kv.unlock(kv.keep(ended.held, *ended.prompt, ended.tokens, ended.blocks, now), now);
  tiers_[ended.tier].occupied -= kv.empty() - empty;
}

void MemoryTiers::allocate(ReplicaId replica, std::size_t level, BlockCount blocks) {
  const TierAccess& a = access(replica, level);
  book(a.tier);
  KvCache& kv = instance(a).kv;
  const BlockCount empty = kv.empty();
  const EvictionListener pass_on = [&](PromptContent path) { evicted(replica, level + 1, std::move(path)); };
  tiers_[a.tier].usage.evicted_blocks +=
      kv.allocate(blocks, level + 1 < levels(replica) ? &pass_on : nullptr);
  tiers_[a.tier].occupied += empty - kv.empty();
}

bool MemoryTiers::take(ReplicaId replica, std::size_t level, BlockCount blocks) {
  const TierAccess& a = access(replica, level);
  if (blocks > instance(a).kv.free()) {
    ++tiers_[a.tier].usage.refused_writes;
    return false;
  }
  allocate(replica, level, blocks);
  return true;
}

void MemoryTiers::give_back(ReplicaId replica, std::size_t level, BlockCount blocks) {
  const TierAccess& a = access(replica, level);
  book(a.tier);
  instance(a).kv.release(blocks);
  tiers_[a.tier].occupied -= blocks;
}

void MemoryTiers::write(ReplicaId replica, std::size_t level, BlockCount blocks, Action done) {
  const TierAccess& a = access(replica, level);
  start(replica, a, Direction::write, setups_[a.tier].block_bytes() * static_cast<double>(blocks), false,
        done);
}

void MemoryTiers::read(ReplicaId replica, std::size_t level, BlockCount blocks, Action done) {
  const TierAccess& a = access(replica, level);
  start(replica, a, Direction::read, setups_[a.tier].block_bytes() * static_cast<double>(blocks), false,
        done);
}

Seconds MemoryTiers::stream(ReplicaId replica, std::size_t level, Bytes bytes, Action done) {
  const TierAccess& a = access(replica, level);
  start(replica, a, Direction::read, bytes, true, done);
  return bytes / a.stream_rate;
}

void MemoryTiers::start(ReplicaId replica, const TierAccess& a, Direction direction, Bytes bytes,
                        bool streams, Action done, Action dropped) {
  const bool reads = direction == Direction::read;
  TierUsage& usage = tiers_[a.tier].usage;
  ++(reads ? usage.reads : usage.writes);
  (reads ? usage.bytes_read : usage.bytes_written) += bytes;
  if (reads) ++instance(a).reads;
  const auto& flows = reads ? a.reads : a.writes;
  const std::uint32_t transfer = transfers_.add(
      {static_cast<std::int32_t>(flows.size()), a.tier, a.instance, replica, reads, done, dropped});
  if (flows_.size() <= transfer) flows_.resize(transfer + 1);
  flows_[transfer].clear();
  for (std::uint32_t i = 0; i < flows.size(); ++i) {
    const NetworkFlow& flow = flows[i];
    flows_[transfer].push_back(simulation_.transfer(
        flow.route, bytes * flow.share, streams ? Network::kNoLimit : flow.limit,
        [this, transfer, i] {
          flows_[transfer][i] = {};
          flow_ended(transfer);
        },
        streams));
  }
}

void MemoryTiers::drop_transfers(ReplicaId replica) {
  for (std::uint32_t i = 0; i < transfers_.end(); ++i) {
    if (transfers_[i].flows == 0 || transfers_[i].replica != replica) continue;
    Transfer ended = transfers_.take(i);
    TierUsage& usage = tiers_[ended.tier].usage;
    for (const TransferId flow : flows_[i]) {
      if (!flow.valid()) continue;
      (ended.reads ? usage.bytes_read : usage.bytes_written) -= simulation_.remaining(flow);
      simulation_.cancel(flow);
    }
    if (ended.reads) --tiers_[ended.tier].instances[ended.instance].reads;
    if (ended.dropped) ended.dropped();
  }
}

void MemoryTiers::clear_own(ReplicaId replica) {
  for (const TierAccess& a : access_[replica.index]) {
    if (setups_[a.tier].scope != TierScope::replica) continue;
    book(a.tier);
    KvCache& kv = instance(a).kv;
    tiers_[a.tier].occupied -= kv.total() - kv.empty();
    kv.allocate(kv.total());
    kv.release(kv.total());
  }
}

void MemoryTiers::flow_ended(std::uint32_t transfer) {
  if (--transfers_[transfer].flows > 0) return;
  Transfer ended = transfers_.take(transfer);
  if (ended.reads) --tiers_[ended.tier].instances[ended.instance].reads;
  ended.done();
}

void MemoryTiers::book(std::size_t tier) {
  Tier& t = tiers_[tier];
  const Seconds now = simulation_.now();
  t.usage.used_seconds += static_cast<double>(t.occupied) * (now - t.booked).si;
  t.booked = now;
}

void MemoryTiers::settle() {
  for (std::size_t t = 0; t < tiers_.size(); ++t) book(t);
}

void MemoryTiers::expect_empty() const {
  for (const Tier& tier : tiers_)
    for (const Instance& instance : tier.instances)
      expect(instance.kv.used() == 0, "blocks of a memory tier are held after the last request");
  expect(transfers_.live() == 0, "a transfer of a memory tier never ended");
}

void MemoryTiers::audit() const {
  for (const Tier& tier : tiers_) {
    BlockCount occupied = 0;
    for (const Instance& instance : tier.instances) {
      instance.kv.audit();
      occupied += instance.kv.total() - instance.kv.empty();
    }
    expect(occupied == tier.occupied, "blocks of a memory tier were lost or counted twice");
  }
}

}  // namespace disagg
