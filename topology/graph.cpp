#include "topology/graph.hpp"

#include <algorithm>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <boost/property_map/function_property_map.hpp>

namespace disagg {

void connect(TopologyGraph& graph, TopologyVertexId a, TopologyVertexId b, Medium medium,
             BytesPerSecond bandwidth, Seconds latency) {
  boost::add_edge(a, b, {graph[a].name + ">" + graph[b].name, medium, bandwidth, latency}, graph);
  boost::add_edge(b, a, {graph[b].name + ">" + graph[a].name, medium, bandwidth, latency}, graph);
}

WidestWays::WidestWays(const TopologyGraph& graph, TopologyVertexId from)
    : graph_(graph), from_(from), predecessors_(boost::num_vertices(graph)) {
  const auto seconds_per_byte = boost::make_function_property_map<TopologyEdgeId>(
      [&](TopologyEdgeId e) { return 1 / graph[e].bandwidth.si; });
  boost::dijkstra_shortest_paths(graph, from,
                                 boost::weight_map(seconds_per_byte)
                                     .predecessor_map(boost::make_iterator_property_map(
                                         predecessors_.begin(), boost::get(boost::vertex_index, graph))));
}

std::vector<TopologyEdgeId> WidestWays::to(TopologyVertexId target) const {
  std::vector<TopologyEdgeId> way;
  for (TopologyVertexId v = target; v != from_; v = predecessors_[v]) {
    if (predecessors_[v] == v) return {};
    way.push_back(boost::edge(predecessors_[v], v, graph_).first);
  }
  std::ranges::reverse(way);
  return way;
}

}  // namespace disagg
