#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "topology/topology.hpp"

namespace disagg {

struct FabricAnalysis {
  std::vector<std::pair<VertexKind, std::int64_t>> vertices;  // by kind, those that there are
  struct Links {
    Medium medium = Medium::infiniband;
    std::int64_t ports = 0;      // of all links; a direction of a link counts half
    BytesPerSecond bandwidth{};  // what transfers reach, over all links, per direction
    // Of a byte that crosses one of them, on average by bandwidth: as edges say it, else their medium's.
    std::optional<JoulesPerByte> energy;
    bool energy_given = false;  // by at least one edge
  };
  std::vector<Links> links;  // by medium, those that there are
  std::int64_t accelerators = 0;
  // Between the two hosts that are farthest apart, on the way that flows take; without what is inside hosts.
  std::uint32_t diameter = 0;
  Seconds latency{};
  // Most that can flow from one half of the hosts to the other, by maximal flow; the least over halves of the
  // hosts in the fabric's order and in the order of distance from several hosts: exact for the topologies
  // built here, an upper bound for graphs drawn by hand. Nothing with one host.
  std::optional<BytesPerSecond> bisection;
  std::optional<BytesPerSecond> injection;  // what the ports of that half could send
  std::vector<std::string> single_points;   // vertices without which others cannot reach each other

  double oversubscription() const { return *injection / *bisection; }
};
FabricAnalysis analyse(const Fabric& fabric);

// Load of one link when every pair of replicas hands off equally often: its betweenness weighted by flows.
struct LinkLoad {
  LinkId link;
  double share = 0;        // of all bytes handed off that cross it
  std::int64_t flows = 0;  // between pairs of replicas
};
// The links that hand-offs cross, most loaded first: those that the least bytes per second would fill.
std::vector<LinkLoad> link_loads(const Platform& platform, const HandOffRoutes& routes,
                                 std::span<const ReplicaId> from, std::span<const ReplicaId> to);

}  // namespace disagg
