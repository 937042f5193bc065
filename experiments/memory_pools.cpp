#include "experiments/memory_pools.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "sim/base/one_of.hpp"
#include "sim/base/text.hpp"
#include "sim/hardware/accelerator.hpp"
#include "sim/intensity/transformer_work.hpp"

namespace disagg {
namespace {

constexpr std::array<std::string_view, 2> kCopies{"one", "all"};

const MemoryTierRow* find_preset(Reader& r) {
  const auto name = r.find<std::string>("preset");
  if (!name) return nullptr;
  const auto rows = memory_tiers();
  const auto row = std::ranges::find(rows, *name, &MemoryTierRow::name);
  if (row != rows.end()) return &*row;
  std::vector<std::string_view> known;
  known.reserve(rows.size());
  for (const MemoryTierRow& other : rows) known.push_back(other.name);
  r.unknown("preset", *name, known);
  return &rows.front();  // so that what it would have given is not missed as well
}

// A quantity that the scenario gives, or else the preset.
template <class Q>
Q given_or(Reader& r, std::string_view key, const std::optional<Q>& preset, Range range) {
  if (preset && !r.has(key)) return *preset;
  return r.get<Q>(key, range);
}

template <class T>
std::optional<T> of(const MemoryTierRow* preset, T MemoryTierRow::*field) {
  return preset == nullptr ? std::nullopt : std::optional(preset->*field);
}

}  // namespace

MemoryPools read_memory_pools(Reader& cluster, std::vector<std::string>& assumptions) {
  MemoryPools memory;
  std::set<std::string> names;
  for (Reader r : cluster.objects("memory_pools", false)) {
    MemoryTierSetup tier;
    tier.name = r.name("name");
    if (!tier.name.empty() && !names.insert(tier.name).second)
      cluster.fail("memory_pools", "two memory pools are named '" + tier.name + "'");
    const MemoryTierRow* preset = find_preset(r);
    const std::optional<std::string_view> scope =
        preset == nullptr ? std::nullopt : std::optional<std::string_view>(preset->scope);
    tier.scope = static_cast<TierScope>(r.choice("scope", kTierScopeNames, scope));
    tier.capacity =
        given_or(r, "capacity", preset == nullptr ? std::nullopt : preset->capacity, Range::positive);
    tier.port_read = given_or(r, "port_read", of(preset, &MemoryTierRow::port_read), Range::positive);
    tier.port_write = given_or(r, "port_write", of(preset, &MemoryTierRow::port_write), Range::positive);
    tier.ports =
        tier.scope == TierScope::cluster
            ? r.find<std::int64_t>("ports", Range::positive).value_or(preset == nullptr ? 1 : preset->ports)
            : 1;
    if (tier.ports > 4096) r.fail("ports", "must be at most 4096");
    tier.latency = given_or(r, "latency", of(preset, &MemoryTierRow::latency), Range::non_negative);
    const auto total = [&](std::string_view key, const std::optional<BytesPerSecond>& of_preset,
                           BytesPerSecond port) {
      if (const auto given = r.find<BytesPerSecond>(key, Range::positive)) return *given;
      // A memory of a host serves several ports: how many is not known here, so that they limit it.
      const double ports = tier.scope == TierScope::cluster ? static_cast<double>(tier.ports) : 1e3;
      return of_preset.value_or(port * ports);
    };
    tier.read_rate = total("read_bandwidth", preset == nullptr ? std::nullopt : preset->read, tier.port_read);
    tier.write_rate =
        total("write_bandwidth", preset == nullptr ? std::nullopt : preset->write, tier.port_write);
    tier.cost = read_memory_cost(r, of(preset, &MemoryTierRow::cost).value_or(MemoryCost{}));
    memory.transfer_sizes.push_back(r.find<Bytes>("transfer_size", Range::positive).value_or(Bytes{}));
    memory.operations.push_back(
        r.find<double>("operations_per_second", Range::positive)
            .value_or(preset == nullptr ? 0 : preset->operations_per_second.value_or(0)));
    if (memory.transfer_sizes.back().si > 0 && memory.operations.back() <= 0)
      r.fail("transfer_size", "says nothing without operations_per_second");
    memory.all_copies.push_back(r.choice("copies", kCopies, kCopies.front()) == 1);
    tier.write = static_cast<TierWrite>(r.choice("write", kTierWriteNames, kTierWriteNames.front()));
    const auto eviction = r.variant("eviction", "lru");
    if (eviction) tier.eviction = OneOf<EvictionPolicy>::read(*eviction).value_or(LeastRecentlyUsed{});
    if (tier.scope == TierScope::cluster) tier.attached_to = r.find<std::string>("attached_to").value_or("");
    r.done();
    if (preset != nullptr && !preset->provenance.unverified.empty()) {
      std::string what;
      for (const std::string& field : preset->provenance.unverified)
        what += (what.empty() ? "" : ", ") + field;
      assumptions.push_back("memory pool " + tier.name + ": " + what + " of preset " + preset->name +
                            " without a measurement");
    }
    memory.tiers.push_back(std::move(tier));
    memory.readers.push_back(r);
  }
  return memory;
}

void read_pool_tiers(Reader& r, std::span<const MemoryTierSetup> tiers, PoolSetup& pool) {
  std::vector<std::string_view> known;
  known.reserve(tiers.size());
  for (const MemoryTierSetup& tier : tiers) known.push_back(tier.name);
  const auto names = r.find<std::vector<std::string>>("tiers").value_or(std::vector<std::string>{});
  for (const std::string& name : names) {
    const auto found = std::ranges::find(known, name);
    const auto index = static_cast<std::uint32_t>(found - known.begin());
    if (found == known.end()) {
      r.unknown("tiers", name, known);
    } else if (std::ranges::find(pool.tiers, index) != pool.tiers.end()) {
      r.fail("tiers", "names '" + name + "' twice");
    } else {
      pool.tiers.push_back(index);
    }
  }
  if (!names.empty()) {
    if (pool.eviction)
      pool.fetch = static_cast<FetchRule>(r.choice("fetch", kFetchRuleNames, kFetchRuleNames.front()));
    pool.lookahead = r.get_or<std::int64_t>("fetch_lookahead", "16", Range::positive);
  }
  const auto spill = r.variant("spill", "recompute");
  const auto policy = spill ? OneOf<SpillPolicy>::read(*spill) : std::nullopt;
  if (!policy) return;
  pool.spill = *policy;
  const auto of_pool = [&](const std::string& name) {
    return std::ranges::any_of(pool.tiers, [&](std::uint32_t t) { return tiers[t].name == name; });
  };
  const bool has_outputs = std::ranges::any_of(
      pool.tiers, [&](std::uint32_t t) { return tiers[t].write != TierWrite::write_through; });
  if (std::holds_alternative<Demote>(pool.retention) && !has_outputs)
    r.fail("prefix_cache",
           "contexts are to be demoted, but none of the pool's \"tiers\" has \"write\": \"write-back\" or "
           "\"write-on-completion\"");
  std::string spills_to;
  if (const auto* swap = std::get_if<SwapOut>(&pool.spill)) spills_to = swap->tier;
  if (const auto* stream = std::get_if<StreamCold>(&pool.spill)) spills_to = stream->tier;
  if (!spills_to.empty() && !of_pool(spills_to))
    r.fail("spill", "the pool has no tier '" + spills_to + "'; list it under \"tiers\"");
  if (spills_to.empty() && !pool.tiers.empty() && !pool.eviction && pool.role == Role::mixed)
    r.fail("tiers", "hold copies of cached prefixes, but the pool has no prefix_cache");
}

void check_tiers_of_stages(const HandOffPolicy& hand_off, std::span<const MemoryTierSetup> tiers,
                           std::span<const PoolSetup> pools, Reader& cluster) {
  const auto* pooled = std::get_if<PooledHandOff>(&hand_off);
  if (pooled == nullptr) {
    for (const PoolSetup& pool : pools)
      if (pool.role != Role::mixed && !pool.tiers.empty() && !pool.eviction &&
          !std::holds_alternative<SwapOut>(pool.spill) && !std::holds_alternative<StreamCold>(pool.spill))
        cluster.fail("pools", "pool '" + pool.name +
                                  "' has tiers, but neither a prefix_cache, nor spills to them, nor is the "
                                  "hand-off pooled");
    return;
  }
  const auto tier = std::ranges::find(tiers, pooled->tier, &MemoryTierSetup::name);
  if (tier == tiers.end() || tier->scope != TierScope::cluster)
    return cluster.fail("hand_off", "no memory pool of scope cluster is named '" + pooled->tier + "'");
  const auto index = static_cast<std::uint32_t>(tier - tiers.begin());
  for (const PoolSetup& pool : pools)
    if (pool.role != Role::mixed && std::ranges::find(pool.tiers, index) == pool.tiers.end())
      cluster.fail("hand_off", "pool '" + pool.name + "' does not list '" + pooled->tier +
                                   "' under its \"tiers\", through which its hand-offs go");
}

void fit_memory_pools(MemoryPools& memory, std::span<const PoolSetup> pools, Reader& cluster) {
  for (std::size_t t = 0; t < memory.tiers.size(); ++t) {
    MemoryTierSetup& tier = memory.tiers[t];
    Reader& r = memory.readers[t];
    const PoolSetup* user = nullptr;
    const PoolSetup* caching = nullptr;
    for (const PoolSetup& pool : pools) {
      if (std::ranges::find(pool.tiers, static_cast<std::uint32_t>(t)) == pool.tiers.end()) continue;
      if (user != nullptr && user->block_tokens != pool.block_tokens)
        cluster.fail("memory_pools", "pools '" + user->name + "' and '" + pool.name + "' share '" +
                                         tier.name + "', so they need equal block_tokens");
      if (user == nullptr) user = &pool;
      if (pool.eviction && caching == nullptr) caching = &pool;
    }
    if (user == nullptr) {
      r.fail("name", "no pool lists '" + tier.name + "' under its \"tiers\"");
      continue;
    }
    const TransformerWork work(
        user->shape.model, user->shape.precision,
        memory.all_copies[t] ? user->shape.parallelism.kv_copies(user->shape.model) : 1);
    tier.block_tokens = user->block_tokens;
    tier.bytes_per_token = work.resident_kv_bytes_per_token();
    if (caching != nullptr) tier.checkpoint = checkpoint_bytes(work, *caching);
    if (tier.bytes_per_token.si <= 0) {
      r.fail("name", user->shape.model.name + " has no KV cache that grows with the context");
      continue;
    }
    if (tier.capacity < tier.block_bytes())
      r.fail("capacity", show(tier.capacity) + " hold not even one block of " +
                             std::to_string(tier.block_tokens) + " tokens (" + show(tier.block_bytes()) +
                             ")");
    if (tier.capacity / tier.block_bytes() > 1e12) r.fail("capacity", "holds more than 1e12 KV blocks");
    if (memory.operations[t] > 0) {
      const Bytes piece = memory.transfer_sizes[t].si > 0 ? memory.transfer_sizes[t] : tier.block_bytes();
      const BytesPerSecond most{piece.si * memory.operations[t]};
      tier.read_rate = std::min(tier.read_rate, most);
      tier.write_rate = std::min(tier.write_rate, most);
    }
  }
}

void reserve_streams(MemoryPools& memory, std::span<const PoolSetup> pools, const PlacedCluster& placed) {
  // By tier and instance.
  std::map<std::pair<std::uint32_t, std::uint32_t>, Bytes> shares;
  std::size_t replica = 0;
  for (const PoolSetup& pool : pools) {
    const auto* stream = std::get_if<StreamCold>(&pool.spill);
    for (std::int64_t n = 0; n < pool.replicas; ++n, ++replica) {
      if (stream == nullptr) continue;
      for (const PlacedTier& placed_tier : placed.tiers[replica])
        if (memory.tiers[placed_tier.tier].name == stream->tier)
          shares[{placed_tier.tier, placed_tier.instance}] += stream->share;
    }
  }
  for (const auto& [where, share] : shares) {
    MemoryTierSetup& tier = memory.tiers[where.first];
    tier.reserved = std::max(tier.reserved, static_cast<BlockCount>(std::ceil(share / tier.block_bytes())));
    if (share <= tier.capacity) continue;
    memory.readers[where.first].fail("capacity", show(tier.capacity) + " are less than the " + show(share) +
                                                     " that replicas stream from it");
    return;
  }
}

}  // namespace disagg
