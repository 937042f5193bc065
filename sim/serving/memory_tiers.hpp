#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/ids.hpp"
#include "sim/engine/simulation.hpp"
#include "sim/hardware/accelerator.hpp"
#include "sim/memory/kv_cache.hpp"
#include "sim/serving/flows.hpp"

namespace disagg {

// Whose an instance of a memory tier is.
enum class TierScope { replica, host, cluster };
inline constexpr std::array<std::string_view, 3> kTierScopeNames{"replica", "host", "cluster"};

// When a tier gets a copy of a prompt's KV cache: when it has been computed, when its request has ended, or
// when the memory above evicts it.
enum class TierWrite { write_through, write_on_completion, write_back };
inline constexpr std::array<std::string_view, 3> kTierWriteNames{"write-through", "write-on-completion",
                                                                 "write-back"};

// A memory below the replicas' own: host DRAM, CXL, an optical pool, NVMe.
struct MemoryTierSetup {
  std::string name;
  TierScope scope = TierScope::cluster;
  Bytes capacity{};  // of each instance
  EvictionPolicy eviction;
  TierWrite write = TierWrite::write_through;
  // Rates that transfers reach, per direction. A port is one accelerator's into a memory of its replica or
  // host, and one of the pool's into the network else.
  BytesPerSecond port_read{}, port_write{};
  std::int64_t ports = 1;                    // of a pool in the network
  BytesPerSecond read_rate{}, write_rate{};  // of one instance, all ports together
  Seconds latency{};                         // of the software, before the first byte
  MemoryCost cost;
  std::string attached_to;       // vertex of the topology; empty: the one switch that there is
  TokenCount block_tokens = 16;  // of the pools that use it
  Bytes bytes_per_token{};       // one copy of their KV caches
  BlockCount reserved = 0;       // blocks for replicas that stream from it

  Bytes checkpoint{};  // of linear attention's state, kept with each block
  Bytes block_bytes() const { return prefix_bytes(block_tokens); }
  // Of so many tokens of a prompt, with the state at their end only.
  Bytes prefix_bytes(TokenCount tokens) const {
    return bytes_per_token * static_cast<double>(tokens) + checkpoint;
  }
  BlockCount blocks() const;  // of one instance
};

// How one replica reaches one tier.
struct TierAccess {
  std::uint32_t tier = 0;
  std::uint32_t instance = 0;
  std::vector<NetworkFlow> reads, writes;  // the flows that carry what one request reads or writes
  Seconds latency{};                       // of either
  BytesPerSecond read_rate{};              // of one request's transfer alone
  BytesPerSecond stream_rate{};            // of all ranks' together
};

// What one tier, all its instances together, has done.
struct TierUsage {
  std::int64_t reads = 0, writes = 0;  // transfers
  Bytes bytes_read{}, bytes_written{};
  TokenCount tokens_read = 0;  // of prompts, that replicas fetched instead of computing them
  BlockCount evicted_blocks = 0;
  std::int64_t refused_writes = 0;  // for want of room that could be evicted
  double used_seconds = 0;          // integral of the blocks that hold something

  TierUsage operator-(const TierUsage& earlier) const;
};

// A stretch of a prompt that a tier offers.
struct TierOffer {
  std::uint32_t level = 0;  // among the replica's tiers, 0 the nearest
  TokenCount tokens = 0;    // of the prompt, from its start
  Seconds time{};           // expected, until they are there
};

// The memory tiers below all replicas. Each instance is a KV cache of its own, shared by the replicas that
// reach it; whatever enters or leaves crosses the network and contends there with all else.
class MemoryTiers {
 public:
  // `access[replica]` lists its tiers, the nearest first.
  MemoryTiers(std::vector<MemoryTierSetup> tiers, std::vector<std::vector<TierAccess>> access,
              const RecomputeCost& cost, Simulation& simulation);

  std::span<const MemoryTierSetup> tiers() const { return setups_; }
  std::uint32_t tier_at(ReplicaId replica, std::size_t level) const { return access(replica, level).tier; }
  std::size_t levels(ReplicaId replica) const { return access_[replica.index].size(); }

  // Appends what the replica's tiers hold of a prompt beyond its first `cached` tokens, up to `limit`.
  void offers(ReplicaId replica, const PromptContent& prompt, TokenCount cached, TokenCount limit,
              std::vector<TierOffer>& offers) const;
  // Brings the tokens [cached, offer.tokens) of a prompt to the replica and then runs `done`. Precondition:
  // offers() has just told of it.
  void fetch(ReplicaId replica, const std::shared_ptr<const PromptContent>& prompt, TokenCount cached,
             const TierOffer& offer, Action done);
  // Copies the KV cache of a prompt's first `tokens` tokens, as far as they are known, from the replica into
  // those of its tiers that are written `when`.
  void copy(ReplicaId replica, const std::shared_ptr<const PromptContent>& prompt, TokenCount tokens,
            TierWrite when);
  // The same into the tiers above `level`, from which it came.
  void promote(ReplicaId replica, const std::shared_ptr<const PromptContent>& prompt, TokenCount tokens,
               std::uint32_t level);
  // What ends with `path` has been evicted above the replica's tier `level`: see TierWrite::write_back.
  void evicted(ReplicaId replica, std::size_t level, PromptContent path);
  bool takes_evicted(ReplicaId replica) const;

  // Blocks without content, for what belongs to one request; false, and nothing done, without room.
  bool take(ReplicaId replica, std::size_t level, BlockCount blocks);
  void give_back(ReplicaId replica, std::size_t level, BlockCount blocks);
  void write(ReplicaId replica, std::size_t level, BlockCount blocks, Action done);
  void read(ReplicaId replica, std::size_t level, BlockCount blocks, Action done);
  // A read by all ranks at once that has been prefetched all along, so that it pays no latency. Returns how
  // long it takes alone.
  Seconds stream(ReplicaId replica, std::size_t level, Bytes bytes, Action done);

  // A replica fails: its transfers end here and now, and none of their actions runs. What others read or
  // wrote goes on. Blocks that were taken for the replica's requests are still theirs.
  void drop_transfers(ReplicaId replica);
  // Forgets what the tiers hold that are this replica's alone. Precondition: nothing of it is in use.
  void clear_own(ReplicaId replica);

  // Books everything up to now. Needed before usage() is read between events.
  void settle();
  const TierUsage& usage(std::size_t tier) const { return tiers_[tier].usage; }
  std::size_t instances(std::size_t tier) const { return tiers_[tier].instances.size(); }
  BlockCount used_blocks(std::size_t tier) const { return tiers_[tier].occupied; }
  BlockCount total_blocks(std::size_t tier) const;  // of all instances
  // Throws BrokenInvariant unless every block that requests took has been given back.
  void expect_empty() const;
  // Throws BrokenInvariant unless every block of every instance is accounted for once. For tests.
  void audit() const;

 private:
  enum class Direction { read, write };
  struct Instance {
    KvCache kv;
    std::int64_t reads = 0;  // under way
  };
  struct Tier {
    std::vector<Instance> instances;
    TierUsage usage;
    BlockCount occupied = 0;  // that hold something
    Seconds booked{};
  };
  // Its flows end one by one.
  struct Transfer {
    std::int32_t flows = 0;  // under way
    std::uint32_t tier = 0, instance = 0;
    ReplicaId replica;
    bool reads = false;
    Action done, dropped;
  };
  // A prefix on its way into a tier; `held` is the part of it that was there before.
  struct Copy {
    std::shared_ptr<const PromptContent> prompt;
    TokenCount tokens = 0;
    BlockCount blocks = 0;
    PrefixTree::NodeIndex held = PrefixTree::kRoot;
    std::uint32_t tier = 0, instance = 0;
  };
  struct Fetch {
    PrefixTree::NodeIndex held = PrefixTree::kRoot;
    std::uint32_t tier = 0, instance = 0;
    Action done;
  };

  const TierAccess& access(ReplicaId replica, std::size_t level) const {
    return access_[replica.index][level];
  }
  Instance& instance(const TierAccess& a) { return tiers_[a.tier].instances[a.instance]; }
  void store(ReplicaId replica, std::size_t level, const std::shared_ptr<const PromptContent>& prompt,
             TokenCount tokens);
  void allocate(ReplicaId replica, std::size_t level, BlockCount blocks);
  // `dropped` runs instead of `done` when the replica fails before.
  void start(ReplicaId replica, const TierAccess& a, Direction direction, Bytes bytes, bool streams,
             Action done, Action dropped = {});
  void flow_ended(std::uint32_t transfer);
  void stored(std::uint32_t copy);
  void copy_dropped(std::uint32_t copy);
  void fetched(std::uint32_t fetch);
  void fetch_dropped(std::uint32_t fetch);
  void book(std::size_t tier);

  std::vector<MemoryTierSetup> setups_;
  std::vector<std::vector<TierAccess>> access_;  // [replica][level]
  Simulation& simulation_;
  std::vector<Tier> tiers_;
  Slots<Transfer> transfers_;
  std::vector<std::vector<TransferId>> flows_;  // [transfer] of those that have not ended
  Slots<Copy> copies_;
  Slots<Fetch> fetches_;
};

}  // namespace disagg
