#include "topology/graph.hpp"

#include <algorithm>

namespace disagg {
namespace {

constexpr std::array<Unit, 1> kEnergy{{{"pJ/bit", 8e-12}}};

// Sums of 1/bandwidth that differ by less are equal: they were added in another order.
constexpr double kEqual = 1 + 1e-9;

// One step of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e37'79b9'7f4a'7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58'476d'1ce4'e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d0'49bb'1331'11ebULL;
  return x ^ (x >> 31U);
}

}  // namespace

template <>
std::span<const Unit> unit_table<JoulesPerByte>() {
  return kEnergy;
}

void connect_one_way(TopologyGraph& graph, TopologyVertexId from, TopologyVertexId to, TopologyEdge edge) {
  edge.name = graph[from].name + ">" + graph[to].name;
  edge.id = static_cast<std::uint32_t>(boost::num_edges(graph));
  boost::add_edge(from, to, edge, graph);
}

void connect(TopologyGraph& graph, TopologyVertexId a, TopologyVertexId b, const TopologyEdge& edge) {
  connect_one_way(graph, a, b, edge);
  connect_one_way(graph, b, a, edge);
}

Ways::Ways(const TopologyGraph& graph, TopologyVertexId from)
    : graph_(graph),
      from_(from),
      hops_(boost::num_vertices(graph), kNoWay),
      seconds_per_byte_(hops_.size(), std::numeric_limits<double>::infinity()),
      latencies_(hops_.size()),
      last_(hops_.size()),
      ties_(hops_.size()) {
  // Breadth first: when a vertex leaves the queue, all that are a hop nearer have done so.
  std::vector<TopologyVertexId> queue{from};
  queue.reserve(hops_.size());
  hops_[from] = 0;
  seconds_per_byte_[from] = 0;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const TopologyVertexId through = queue[i];
    for (auto [e, end] = boost::out_edges(through, graph); e != end; ++e) {
      const TopologyVertexId target = boost::target(*e, graph);
      if (!forwards(through, target)) continue;
      if (hops_[target] == kNoWay) {
        hops_[target] = hops_[through] + 1;
        queue.push_back(target);
      }
      if (hops_[target] != hops_[through] + 1) continue;
      const double sum = seconds_per_byte_[through] + 1 / graph[*e].capacity().si;
      if (sum * kEqual < seconds_per_byte_[target]) {
        seconds_per_byte_[target] = sum;
        latencies_[target] = latencies_[through] + graph[*e].latency;
        last_[target] = *e;
        ties_[target] = 1;
      } else if (sum <= seconds_per_byte_[target] * kEqual) {
        ++ties_[target];
      }
    }
  }
}

bool Ways::forwards(TopologyVertexId through, TopologyVertexId target) const {
  if (through == from_) return true;
  switch (graph_[through].kind) {
    case VertexKind::accelerators:
    case VertexKind::memory_pool:
      return false;
    case VertexKind::memory_port:
      return graph_[target].kind == VertexKind::memory_pool ||
             (hops_[through] == 1 && graph_[from_].kind == VertexKind::memory_pool);
    case VertexKind::host:
      return graph_[target].kind == VertexKind::accelerators ||
             (hops_[through] == 1 && graph_[from_].kind == VertexKind::accelerators);
    default:
      return true;
  }
}

bool Ways::ends_best_way(TopologyEdgeId e) const {
  const TopologyVertexId before = boost::source(e, graph_);
  const TopologyVertexId target = boost::target(e, graph_);
  return hops_[before] != kNoWay && hops_[before] + 1 == hops_[target] && forwards(before, target) &&
         seconds_per_byte_[before] + 1 / graph_[e].capacity().si <= seconds_per_byte_[target] * kEqual;
}

std::vector<TopologyEdgeId> Ways::to(TopologyVertexId target, std::uint64_t flow) const {
  std::vector<TopologyEdgeId> way;
  if (hops_[target] == kNoWay) return way;
  way.resize(hops_[target]);
  TopologyVertexId v = target;
  for (std::size_t hop = way.size(); hop-- > 0;) {
    way[hop] = last_[v];
    if (ties_[v] > 1) {
      std::uint64_t chosen = mixed(flow + hop) % ties_[v];
      for (auto [e, end] = boost::in_edges(v, graph_); e != end; ++e)
        if (ends_best_way(*e) && chosen-- == 0) way[hop] = *e;
    }
    v = boost::source(way[hop], graph_);
  }
  return way;
}

}  // namespace disagg
