#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/serving/cluster.hpp"
#include "topology/topology.hpp"

namespace disagg {

// The memory tiers of a cluster as the scenario lists them under "memory_pools", before the pools that use
// them are known.
struct MemoryPools {
  std::vector<MemoryTierSetup> tiers;
  std::vector<Reader> readers;        // of their objects
  std::vector<bool> all_copies;       // each rank stores its own copy of what several hold
  std::vector<Bytes> transfer_sizes;  // 0: one KV block
  std::vector<double> operations;     // transfers of that size that an instance can do in a second; 0: any
};
MemoryPools read_memory_pools(Reader& cluster, std::vector<std::string>& assumptions);

// Reads "tiers", "fetch", "lookahead" and "spill" of a pool. Problems go to its reader.
void read_pool_tiers(Reader& r, std::span<const MemoryTierSetup> tiers, PoolSetup& pool);

// A pooled hand-off needs a pool of the cluster that both sides list, and without one the tiers of prefill
// and decode pools need another use. Problems go to the reader of the cluster.
void check_tiers_of_stages(const HandOffPolicy& hand_off, std::span<const MemoryTierSetup> tiers,
                           std::span<const PoolSetup> pools, Reader& cluster);

// Fits the tiers to the pools that use them: their blocks, and what transfers of their size reach. Problems
// go to the tiers' readers and to that of the cluster.
void fit_memory_pools(MemoryPools& memory, std::span<const PoolSetup> pools, Reader& cluster);
// Sets aside what replicas stream from.
void reserve_streams(MemoryPools& memory, std::span<const PoolSetup> pools, const PlacedCluster& placed);

}  // namespace disagg
