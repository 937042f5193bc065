#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/engine/platform.hpp"
#include "sim/serving/cluster.hpp"
#include "topology/graph.hpp"

namespace disagg {

// Hosts with an NVLink switch inside; every accelerator has a NIC into one non-blocking network switch.
struct NvlinkHosts {
  static constexpr std::string_view kind = "nvlink-hosts";
  static constexpr std::string_view summary =
      "hosts with NVLink inside, one NIC per accelerator into a non-blocking switch";
  static NvlinkHosts read(Reader& r);

  std::optional<BytesPerSecond> nic_bandwidth;  // per accelerator and direction; else the accelerator's own
  Seconds nic_latency{};                        // from NIC to NIC
  Seconds nvlink_latency{};
  double nic_efficiency = 1;  // share of a NIC's rate that transfers reach
};
using TopologyPolicy = std::variant<NvlinkHosts>;

// One replica's accelerators on one host, and the share of the model that they hold: [begin, end) of [0, 1),
// stage by stage.
struct ReplicaPart {
  TopologyVertexId vertex = 0;
  double begin = 0, end = 1;
  double held_share = 1;  // of its ports that one request's KV cache goes through
};

// The graph with all replicas placed on it.
struct PlacedCluster {
  TopologyGraph graph;
  std::vector<std::vector<ReplicaPart>> replicas;  // [replica], in the order of the pools
  std::int64_t hosts = 0;
};

// Places the replicas of all pools host by host, packed; a stage of a pipeline leaves its
// host only if it is wider than the scale-up domain. What
// cannot be placed becomes a problem of `r`, the reader of the cluster (pools[i] names the culprit).
PlacedCluster place(const TopologyPolicy& topology, std::span<const PoolSetup> pools, Reader& r);

// The platform that the network simulates, and the flows of hand-offs from every replica in `from` to every
// one in `to` but itself. `overhead` is what the software adds before the first byte.
struct RoutedCluster {
  Platform platform;
  HandOffRoutes routes;
};
RoutedCluster route_hand_offs(const PlacedCluster& cluster, std::span<const ReplicaId> from,
                              std::span<const ReplicaId> to, Seconds overhead);

}  // namespace disagg
