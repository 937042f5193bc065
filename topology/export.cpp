#include "topology/export.hpp"

#include <algorithm>
#include <array>
#include <boost/graph/graphml.hpp>
#include <boost/property_map/function_property_map.hpp>
#include <map>
#include <set>
#include <sstream>

#include "sim/base/text.hpp"

namespace disagg {
namespace {

constexpr std::array<std::string_view, kMediumNames.size()> kColours{
    "forestgreen", "darkolivegreen", "gray40", "royalblue", "darkorange", "firebrick", "purple"};

std::string_view name(VertexKind kind) { return kVertexKindNames.at(static_cast<std::size_t>(kind)); }
std::string_view name(Medium medium) { return kMediumNames.at(static_cast<std::size_t>(medium)); }

std::string escaped_xml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

// Edges of both directions between two vertices that are alike are drawn as one.
struct Drawn {
  TopologyEdgeId edge;
  bool both = false;
};

bool alike(const TopologyEdge& a, const TopologyEdge& b) {
  return a.medium == b.medium && a.bandwidth == b.bandwidth && a.ports == b.ports && a.sharing == b.sharing &&
         a.accelerator == b.accelerator;
}

std::vector<Drawn> drawn_edges(const TopologyGraph& graph) {
  std::map<std::pair<TopologyVertexId, TopologyVertexId>, std::vector<std::size_t>> waiting;
  std::vector<Drawn> drawn;
  for (auto [e, end] = boost::edges(graph); e != end; ++e) {
    const TopologyEdgeId edge = *e;
    const TopologyVertexId from = boost::source(edge, graph);
    const TopologyVertexId to = boost::target(edge, graph);
    auto& opposite = waiting[{to, from}];
    const auto partner = std::ranges::find_if(
        opposite, [&](std::size_t i) { return alike(graph[drawn[i].edge], graph[edge]); });
    if (partner != opposite.end()) {
      drawn[*partner].both = true;
      opposite.erase(partner);
      continue;
    }
    waiting[{from, to}].push_back(drawn.size());
    drawn.push_back({edge, false});
  }
  return drawn;
}

}  // namespace

std::string dot_of(const PlacedCluster& cluster) {
  const TopologyGraph& graph = cluster.fabric.graph;
  std::vector<std::string> labels;
  labels.reserve(boost::num_vertices(graph));
  for (auto [v, end] = boost::vertices(graph); v != end; ++v) {
    std::string& label = labels.emplace_back(graph[*v].name);
    if (graph[*v].accelerators > 0) label += "\\n" + std::to_string(graph[*v].accelerators) + " accelerators";
  }
  for (const auto& parts : cluster.replicas)
    for (const ReplicaPart& part : parts)
      labels[cluster.fabric.hosts[part.host]] += "\\n" + cluster.graph[part.vertex].name;
  std::string text = "digraph fabric {\n  rankdir=BT;\n  node [shape=box, style=rounded];\n";
  for (auto [v, end] = boost::vertices(graph); v != end; ++v)
    text += "  v" + std::to_string(*v) + " [label=\"" + labels[*v] + "\"" +
            (graph[*v].accelerators > 0 ? ", style=filled, fillcolor=lightyellow" : "") + "];\n";
  for (const Drawn& drawn : drawn_edges(graph)) {
    const TopologyEdge& edge = graph[drawn.edge];
    text += "  v" + std::to_string(boost::source(drawn.edge, graph)) + " -> v" +
            std::to_string(boost::target(drawn.edge, graph)) +
            " [color=" + std::string(kColours.at(static_cast<std::size_t>(edge.medium))) +
            (drawn.both ? ", dir=both" : "") + ", label=\"" +
            (edge.ports > 1 ? std::to_string(edge.ports) + " x " : "") + show(edge.bandwidth) + "\"];\n";
  }
  return text + "}\n";
}

std::string graphml_of(const Fabric& fabric) {
  const TopologyGraph& graph = fabric.graph;
  boost::dynamic_properties properties;
  const auto of_vertices = [&](const char* key, auto value) {
    properties.property(key, boost::make_function_property_map<TopologyVertexId>(
                                 [&graph, value](TopologyVertexId v) { return value(graph[v]); }));
  };
  const auto of_edges = [&](const char* key, auto value) {
    properties.property(key, boost::make_function_property_map<TopologyEdgeId>(
                                 [&graph, value](TopologyEdgeId e) { return value(graph[e]); }));
  };
  using Vertex = TopologyVertex;
  using Edge = TopologyEdge;
  of_vertices("name", [](const Vertex& v) { return v.name; });
  of_vertices("kind", [](const Vertex& v) { return std::string(name(v.kind)); });
  of_vertices("accelerators", [](const Vertex& v) { return static_cast<int>(v.accelerators); });
  of_vertices("rack", [](const Vertex& v) { return static_cast<int>(v.rack); });
  of_edges("medium", [](const Edge& e) { return std::string(name(e.medium)); });
  of_edges("bandwidth", [](const Edge& e) { return show_exact(e.bandwidth.si) + " B/s"; });
  of_edges("line_rate", [](const Edge& e) { return show_exact(e.line_rate.si) + " B/s"; });
  of_edges("latency", [](const Edge& e) { return show_exact(e.latency.si) + " s"; });
  of_edges("ports", [](const Edge& e) { return static_cast<int>(e.ports); });
  of_edges("sharing",
           [](const Edge& e) { return std::string(kSharingNames.at(static_cast<std::size_t>(e.sharing))); });
  // An empty text says that an edge does not have the key.
  of_edges("accelerator", [](const Edge& e) {
    return e.sharing == Sharing::one_accelerator ? std::to_string(e.accelerator) : std::string();
  });
  of_edges("energy", [](const Edge& e) {
    return e.energy ? show_exact(e.energy->si / 8e-12) + " pJ/bit" : std::string();
  });
  std::ostringstream out;
  boost::write_graphml(out, graph, boost::get(boost::vertex_index, graph), properties, true);
  return out.str();
}

std::string simgrid_platform_of(const PlacedCluster& cluster) {
  const TopologyGraph& graph = cluster.graph;
  std::string text =
      "<?xml version=\"1.0\"?>\n<!DOCTYPE platform SYSTEM \"https://simgrid.org/simgrid.dtd\">\n"
      "<platform version=\"4.1\">\n  <zone id=\"fabric\" routing=\"Dijkstra\">\n";
  for (auto [v, end] = boost::vertices(graph); v != end; ++v) {
    const std::string id = escaped_xml(graph[*v].name);
    // SimGrid asks for a speed; no flow depends on it.
    text += graph[*v].kind == VertexKind::accelerators ? "    <host id=\"" + id + "\" speed=\"1Gf\"/>\n"
                                                       : "    <router id=\"" + id + "\"/>\n";
  }
  // Links between the same two vertices share a name.
  const auto id_of = [](const TopologyEdge& e) { return std::to_string(e.id) + ":" + escaped_xml(e.name); };
  for (auto [e, end] = boost::edges(graph); e != end; ++e)
    text += "    <link id=\"" + id_of(graph[*e]) + "\" bandwidth=\"" + show_exact(graph[*e].capacity().si) +
            "Bps\" latency=\"" + show_exact(graph[*e].latency.si) + "s\"/>\n";
  std::set<std::pair<TopologyVertexId, TopologyVertexId>> routed;
  for (auto [e, end] = boost::edges(graph); e != end; ++e) {
    const TopologyVertexId from = boost::source(*e, graph);
    const TopologyVertexId to = boost::target(*e, graph);
    // SimGrid takes one route between two netpoints: the first of parallel links.
    if (!routed.emplace(from, to).second) continue;
    text += "    <route src=\"" + escaped_xml(graph[from].name) + "\" dst=\"" + escaped_xml(graph[to].name) +
            "\" symmetrical=\"NO\"><link_ctn id=\"" + id_of(graph[*e]) + "\"/></route>\n";
  }
  return text + "  </zone>\n</platform>\n";
}

}  // namespace disagg
