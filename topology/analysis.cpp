#include "topology/analysis.hpp"

#include <algorithm>
#include <array>
#include <boost/graph/biconnected_components.hpp>
#include <boost/graph/push_relabel_max_flow.hpp>
#include <cmath>
#include <set>

#include "topology/parts.hpp"

namespace disagg {
namespace {

constexpr std::size_t kOrders = 8;  // orders of the hosts that are cut in halves

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
using FlowGraph = boost::adjacency_list<
    boost::vecS, boost::vecS, boost::directedS, boost::no_property,
    boost::property<boost::edge_capacity_t, std::int64_t,
                    boost::property<boost::edge_residual_capacity_t, std::int64_t,
                                    boost::property<boost::edge_reverse_t, Traits::edge_descriptor>>>>;

void add_capacity(FlowGraph& graph, std::size_t from, std::size_t to, std::int64_t forth, std::int64_t back) {
  const auto a = boost::add_edge(from, to, graph).first;
  const auto b = boost::add_edge(to, from, graph).first;
  boost::put(boost::edge_capacity, graph, a, forth);
  boost::put(boost::edge_capacity, graph, b, back);
  boost::put(boost::edge_reverse, graph, a, b);
  boost::put(boost::edge_reverse, graph, b, a);
}

std::int64_t whole(BytesPerSecond bandwidth) { return std::llround(bandwidth.si); }

std::int64_t sent_by(const TopologyGraph& graph, TopologyVertexId host) {
  std::int64_t sum = 0;
  for (auto [e, end] = boost::out_edges(host, graph); e != end; ++e) sum += whole(graph[*e].capacity());
  return sum;
}

struct Cut {
  std::int64_t flow = 0, injection = 0;
};

// What the first half of `hosts` can send to the second, by push-relabel.
Cut cut_in_halves(const TopologyGraph& graph, std::span<const TopologyVertexId> hosts) {
  const std::size_t vertices = boost::num_vertices(graph);
  FlowGraph flows(vertices + 2);
  const std::size_t source = vertices;
  const std::size_t sink = vertices + 1;
  for (auto [e, end] = boost::edges(graph); e != end; ++e)
    add_capacity(flows, boost::source(*e, graph), boost::target(*e, graph), whole(graph[*e].capacity()), 0);
  Cut cut;
  std::int64_t received = 0;
  for (auto [e, end] = boost::edges(graph); e != end; ++e) received += whole(graph[*e].capacity());
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (i < hosts.size() / 2) {
      const std::int64_t sent = sent_by(graph, hosts[i]);
      cut.injection += sent;
      add_capacity(flows, source, hosts[i], sent, 0);
    } else {
      add_capacity(flows, hosts[i], sink, received, 0);
    }
  }
  cut.flow = boost::push_relabel_max_flow(flows, source, sink);
  return cut;
}

// The hosts in the order of their distance from one of them.
std::vector<TopologyVertexId> by_distance(const Fabric& fabric, TopologyVertexId from) {
  const Ways ways(fabric.graph, from);
  std::vector<TopologyVertexId> hosts = fabric.hosts;
  std::ranges::stable_sort(hosts, {}, [&](TopologyVertexId host) { return ways.hops(host); });
  return hosts;
}

std::vector<std::string> single_points(const TopologyGraph& graph) {
  boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS> links(boost::num_vertices(graph));
  std::set<std::pair<TopologyVertexId, TopologyVertexId>> joined;
  for (auto [e, end] = boost::edges(graph); e != end; ++e) {
    const TopologyVertexId from = boost::source(*e, graph);
    const TopologyVertexId to = boost::target(*e, graph);
    if (joined.emplace(std::min(from, to), std::max(from, to)).second) boost::add_edge(from, to, links);
  }
  std::vector<TopologyVertexId> points;
  boost::articulation_points(links, std::back_inserter(points));
  std::ranges::sort(points);
  std::vector<std::string> names;
  names.reserve(points.size());
  for (const TopologyVertexId v : points) names.push_back(graph[v].name);
  return names;
}

std::vector<FabricAnalysis::Links> links_by_medium(const TopologyGraph& graph) {
  struct Sum {
    std::int64_t directions = 0;
    BytesPerSecond bandwidth{};
    Watts power{};  // when all of them are full
    bool known = true, given = false;
  };
  std::array<Sum, kMediumNames.size()> sums{};
  for (auto [e, end] = boost::edges(graph); e != end; ++e) {
    const TopologyEdge& edge = graph[*e];
    Sum& sum = sums.at(static_cast<std::size_t>(edge.medium));
    sum.directions += edge.ports;
    sum.bandwidth += edge.capacity();
    const auto energy = edge.energy ? edge.energy : energy_of(edge.medium).energy;
    if (energy) sum.power += *energy * edge.capacity();
    sum.known = sum.known && energy.has_value();
    sum.given = sum.given || edge.energy.has_value();
  }
  std::vector<FabricAnalysis::Links> links;
  for (std::size_t medium = 0; medium < sums.size(); ++medium) {
    const Sum& sum = sums.at(medium);
    if (sum.directions == 0) continue;
    FabricAnalysis::Links& row = links.emplace_back();
    row.medium = static_cast<Medium>(medium);
    row.ports = (sum.directions + 1) / 2;
    row.bandwidth = sum.bandwidth / 2;
    if (sum.known) row.energy = sum.power / sum.bandwidth;
    row.energy_given = sum.given;
  }
  return links;
}

}  // namespace

FabricAnalysis analyse(const Fabric& fabric) {
  const TopologyGraph& graph = fabric.graph;
  FabricAnalysis result;
  std::array<std::int64_t, kVertexKindNames.size()> kinds{};
  for (auto [v, end] = boost::vertices(graph); v != end; ++v) {
    ++kinds.at(static_cast<std::size_t>(graph[*v].kind));
    result.accelerators += graph[*v].accelerators;
  }
  for (std::size_t kind = 0; kind < kinds.size(); ++kind)
    if (kinds.at(kind) > 0) result.vertices.emplace_back(static_cast<VertexKind>(kind), kinds.at(kind));

  result.links = links_by_medium(graph);

  for (const TopologyVertexId from : fabric.hosts) {
    const Ways ways(graph, from);
    for (const TopologyVertexId to : fabric.hosts) {
      if (ways.hops(to) == Ways::kNoWay) continue;
      result.diameter = std::max(result.diameter, ways.hops(to));
      result.latency = std::max(result.latency, ways.latency(to));
    }
  }
  if (fabric.hosts.size() > 1) {
    Cut least = cut_in_halves(graph, fabric.hosts);
    const std::size_t orders = std::min(kOrders, fabric.hosts.size());
    for (std::size_t i = 0; i < orders; ++i) {
      const auto hosts = by_distance(fabric, fabric.hosts[i * fabric.hosts.size() / orders]);
      const Cut cut = cut_in_halves(graph, hosts);
      if (cut.flow < least.flow) least = cut;
    }
    result.bisection = BytesPerSecond{static_cast<double>(least.flow)};
    result.injection = BytesPerSecond{static_cast<double>(least.injection)};
  }
  result.single_points = single_points(graph);
  return result;
}

std::vector<LinkLoad> link_loads(const Platform& platform, const HandOffRoutes& routes,
                                 std::span<const ReplicaId> from, std::span<const ReplicaId> to) {
  std::vector<LinkLoad> loads(platform.links.size());
  for (std::size_t i = 0; i < loads.size(); ++i) loads[i].link = LinkId{static_cast<std::uint32_t>(i)};
  std::int64_t pairs = 0;
  for (const ReplicaId source : from) {
    for (const ReplicaId target : to) {
      if (source == target) continue;
      ++pairs;
      for (const NetworkFlow& flow : routes.flows(source, target)) {
        for (const LinkId link : platform.routes[flow.route.index].links) {
          loads[link.index].share += flow.share;
          ++loads[link.index].flows;
        }
      }
    }
  }
  std::erase_if(loads, [](const LinkLoad& load) { return load.flows == 0; });
  for (LinkLoad& load : loads) load.share /= static_cast<double>(pairs);
  std::ranges::stable_sort(loads, std::greater{}, [&](const LinkLoad& load) {
    return load.share / platform.links[load.link.index].capacity.si;
  });
  return loads;
}

}  // namespace disagg
