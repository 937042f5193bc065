#pragma once

#include <boost/graph/adjacency_list.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/quantity.hpp"

namespace disagg {

enum class VertexKind { accelerators, scale_up_switch, network_switch };
enum class Medium { nvlink, network };

// `accelerators` stand for those of one replica on one host: their ports, taken together, are its edges'
// bandwidth.
struct TopologyVertex {
  std::string name;
  VertexKind kind = VertexKind::accelerators;
  std::int64_t accelerators = 0;
};

// One direction of a link.
struct TopologyEdge {
  std::string name;
  Medium medium = Medium::network;
  BytesPerSecond bandwidth{};
  Seconds latency{};
};

using TopologyGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, TopologyVertex, TopologyEdge>;
using TopologyVertexId = boost::graph_traits<TopologyGraph>::vertex_descriptor;
using TopologyEdgeId = boost::graph_traits<TopologyGraph>::edge_descriptor;

// Both directions of a link between two vertices; a direction's name is "FROM>TO".
void connect(TopologyGraph& graph, TopologyVertexId a, TopologyVertexId b, Medium medium,
             BytesPerSecond bandwidth, Seconds latency);

// The widest way from one vertex to all others: the least sum of 1/bandwidth, each as the edges of the way in
// order. A way that does not exist is empty.
class WidestWays {
 public:
  WidestWays(const TopologyGraph& graph, TopologyVertexId from);
  std::vector<TopologyEdgeId> to(TopologyVertexId target) const;

 private:
  const TopologyGraph& graph_;
  TopologyVertexId from_;
  std::vector<TopologyVertexId> predecessors_;
};

}  // namespace disagg
