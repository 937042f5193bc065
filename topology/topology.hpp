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

// The graph with all replicas placed on it: what a vertex with accelerators offered to each of them has
// become edges of the replicas' own.
struct PlacedCluster {
  TopologyGraph graph;
  std::vector<std::vector<ReplicaPart>> replicas;  // [replica], in the order of the pools
  std::int64_t hosts = 0;                          // with a replica on them
  Fabric fabric;                                   // without the replicas
  std::vector<PoolLinks> pools;                    // [pool]
};

// Builds the topology and places the replicas of all pools. What cannot be built or placed becomes a problem
// of `r`, the reader of the cluster (pools[i] names the culprit).
PlacedCluster place(const TopologyPolicy& topology, std::span<const PoolSetup> pools, Reader& r,
                    const PlacementPolicy& placement = Packed{});

// The platform that the network simulates, and the flows of hand-offs from every replica in `from` to every
// one in `to` but itself. `overhead` is what the software adds before the first byte.
struct RoutedCluster {
  Platform platform;  // its links are the graph's edges, vertex by vertex
  HandOffRoutes routes;
};
RoutedCluster route_hand_offs(const PlacedCluster& cluster, std::span<const ReplicaId> from,
                              std::span<const ReplicaId> to, Seconds overhead);

// Flows that carry one hand-off, at most: as many as the widest replica has NICs where these are striped.
std::int64_t flows_per_hand_off(const PlacedCluster& cluster);

}  // namespace disagg
