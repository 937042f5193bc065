#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/engine/platform.hpp"
#include "sim/serving/cluster.hpp"
#include "topology/fabric.hpp"
#include "topology/placement.hpp"

namespace disagg {

// One replica's accelerators on one host in the graph, and the share of the model that they hold.
struct ReplicaPart {
  TopologyVertexId vertex = 0;
  double begin = 0, end = 1;
  double held_share = 1;  // of its ports that one request's KV cache goes through
  std::size_t host = 0;   // in the order of the fabric's
};

// What the collectives of a pool's replicas find.
struct PoolLinks {
  std::int64_t scale_up_domain = 1;
  // Of one accelerator into the network and per direction, where the topology and not the accelerator
  // decides.
  std::optional<BytesPerSecond> nic_bandwidth;
};

// An instance of a memory tier that a replica reaches.
struct PlacedTier {
  std::uint32_t tier = 0, instance = 0;
  TopologyVertexId vertex = 0;
};

// The graph with all replicas placed on it: what a vertex with accelerators offered to each of them has
// become edges of the replicas' own.
struct PlacedCluster {
  TopologyGraph graph;
  std::vector<std::vector<ReplicaPart>> replicas;  // [replica], in the order of the pools
  std::int64_t hosts = 0;                          // with a replica on them
  Fabric fabric;                                   // without the replicas
  std::vector<PoolLinks> pools;                    // [pool]
  std::vector<std::vector<PlacedTier>> tiers;  // [replica], in the order of its pool's; see attach_tiers()
};

// Builds the topology and places the replicas of all pools. What cannot be built or placed becomes a problem
// of `r`, the reader of the cluster (pools[i] names the culprit).
PlacedCluster place(const TopologyPolicy& topology, std::span<const PoolSetup> pools, Reader& r,
                    const PlacementPolicy& placement = Packed{});

// Adds the memory tiers to the graph: those of replicas and hosts at a port of each accelerator, those of the
// cluster at a vertex of the topology. A tier that cannot be attached becomes a problem of the reader of its
// object, `readers[tier]`.
void attach_tiers(PlacedCluster& placed, const TopologyPolicy& topology, std::span<const PoolSetup> pools,
                  std::span<const MemoryTierSetup> tiers, std::span<Reader> readers);

// The platform that the network simulates, and the flows of hand-offs from every replica in `from` to every
// one in `to` but itself; `overhead` is what the software adds before the first byte. And the flows between
// replicas and their memory tiers.
struct RoutedCluster {
  Platform platform;  // its links are the graph's edges, vertex by vertex
  HandOffRoutes routes;
  std::vector<std::vector<TierAccess>> tier_access;  // [replica], as PlacedCluster::tiers
};
RoutedCluster route_hand_offs(const PlacedCluster& cluster, std::span<const ReplicaId> from,
                              std::span<const ReplicaId> to, Seconds overhead,
                              std::span<const MemoryTierSetup> tiers = {});

// Flows that carry one hand-off, at most: as many as the widest replica has NICs where these are striped.
std::int64_t flows_per_hand_off(const PlacedCluster& cluster);

}  // namespace disagg
