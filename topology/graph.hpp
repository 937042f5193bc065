#pragma once

#include <array>
#include <boost/graph/adjacency_list.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/base/text.hpp"

namespace disagg {

// Written "5 pJ/bit".
template <>
std::span<const Unit> unit_table<JoulesPerByte>();

// `accelerators` stand for those of one replica on one host: their ports, taken together, are its edges'
// bandwidth. Vertices of other kinds may hold accelerators on which replicas can be placed. Through a
// `memory_port` goes what a memory pool reads and writes, and nothing else.
enum class VertexKind {
  accelerators,
  host,
  scale_up_switch,
  network_switch,
  leaf_switch,
  spine_switch,
  core_switch,
  router,
  nic,
  optical_port,
  photonic_fabric,
  circuit_switch,
  memory_pool,
  memory_port
};
inline constexpr std::array<std::string_view, 14> kVertexKindNames{
    "accelerators",    "host",           "scale-up-switch", "switch",     "leaf-switch",
    "spine-switch",    "core-switch",    "router",          "nic",        "optical-port",
    "photonic-fabric", "circuit-switch", "memory-pool",     "memory-port"};

enum class Medium { nvlink, nvlink_c2c, pcie, infiniband, ethernet, cxl, optical };
inline constexpr std::array<std::string_view, 7> kMediumNames{
    "nvlink", "nvlink-c2c", "pcie", "infiniband", "ethernet", "cxl", "optical"};

// Whose an edge is that leaves a vertex with accelerators: all that are there share it; it is a bundle of one
// port for each of them; or it is the port of one, whose number `accelerator` tells.
enum class Sharing { shared, per_accelerator, one_accelerator };
inline constexpr std::array<std::string_view, 3> kSharingNames{"shared", "per-accelerator",
                                                               "one-accelerator"};

struct TopologyVertex {
  std::string name;
  VertexKind kind = VertexKind::accelerators;
  std::int64_t accelerators = 0;
  std::int64_t rack = 0;  // of vertices with accelerators: those with equal numbers stand together
};

// One direction of a link, or of a bundle of `ports` equal ones.
struct TopologyEdge {
  std::string name;
  Medium medium = Medium::infiniband;
  BytesPerSecond bandwidth{};  // of one port: what transfers reach
  Seconds latency{};
  BytesPerSecond line_rate{};  // of one port: what is bought
  std::int64_t ports = 1;
  Sharing sharing = Sharing::shared;
  std::int64_t accelerator = 0;
  std::optional<JoulesPerByte> energy;  // else its medium's
  std::uint32_t id = 0;                 // its position among all edges in the order in which they were added

  BytesPerSecond capacity() const { return bandwidth * static_cast<double>(ports); }
};

using TopologyGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, TopologyVertex, TopologyEdge>;
using TopologyVertexId = boost::graph_traits<TopologyGraph>::vertex_descriptor;
using TopologyEdgeId = boost::graph_traits<TopologyGraph>::edge_descriptor;

// Adds one direction of a link, named "FROM>TO".
void connect_one_way(TopologyGraph& graph, TopologyVertexId from, TopologyVertexId to, TopologyEdge edge);
// Adds both directions.
void connect(TopologyGraph& graph, TopologyVertexId a, TopologyVertexId b, const TopologyEdge& edge);

// The ways from one vertex to all others: of those with the fewest hops the widest, which has the least sum
// of 1/bandwidth. Accelerators and memory pools do not forward, a host only what its own accelerators send or
// receive, and a memory port what comes from or goes to its pool.
class Ways {
 public:
  static constexpr std::uint32_t kNoWay = std::numeric_limits<std::uint32_t>::max();

  // Keeps a reference to `graph`, which must not change.
  Ways(const TopologyGraph& graph, TopologyVertexId from);

  std::uint32_t hops(TopologyVertexId target) const { return hops_[target]; }
  Seconds latency(TopologyVertexId target) const { return latencies_[target]; }
  // The edges of the way in order; empty where there is none. Among ways that are equally short and wide
  // `flow` decides hop by hop, as switches do with the hash of a flow's addresses (equal-cost multi-path).
  std::vector<TopologyEdgeId> to(TopologyVertexId target, std::uint64_t flow = 0) const;

 private:
  bool forwards(TopologyVertexId through, TopologyVertexId target) const;
  bool ends_best_way(TopologyEdgeId e) const;

  const TopologyGraph& graph_;
  TopologyVertexId from_;
  std::vector<std::uint32_t> hops_;
  std::vector<double> seconds_per_byte_;
  std::vector<Seconds> latencies_;
  std::vector<TopologyEdgeId> last_;  // edge of the first way found among the best
  std::vector<std::uint32_t> ties_;   // how many edges end ways that are as good
};

}  // namespace disagg
