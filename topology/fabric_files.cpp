#include <boost/graph/graphml.hpp>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "topology/fabric.hpp"

namespace disagg {
namespace {

constexpr std::uintmax_t kLargestFile = 64U << 20U;
constexpr std::ptrdiff_t kDeepest = 100;  // GraphML has five levels, and one for each graph inside a node
constexpr std::array<std::string_view, 2> kRails{"striped", "hashed"};

// Reads "vertices" and "edges". `both_ways` is what an edge is that does not say.
void read_elements(Reader& r, bool both_ways, Fabric& fabric) {
  std::map<std::string, TopologyVertexId, std::less<>> known;
  constexpr auto kKinds =
      // Accelerators come with the replicas, and memory ports with the pools.
      std::span(kVertexKindNames).subspan(1, kVertexKindNames.size() - 2);
  for (Reader& vertex : r.objects("vertices")) {
    const std::string name = vertex.name("name");
    const auto kind = static_cast<VertexKind>(vertex.choice("kind", kKinds) + 1);
    const auto accelerators = vertex.get_or<std::int64_t>("accelerators", "0", Range::non_negative);
    const auto rack = vertex.get_or<std::int64_t>("rack", "0", Range::non_negative);
    vertex.done();
    const auto id = boost::add_vertex({name, kind, accelerators, rack}, fabric.graph);
    if (accelerators > 0) fabric.hosts.push_back(id);
    if (!name.empty() && !known.emplace(name, id).second)
      vertex.fail("name", "two vertices are named '" + name + "'");
  }
  const auto end_of = [&](Reader& edge, std::string_view key) -> std::optional<TopologyVertexId> {
    const auto name = edge.get<std::string>(key);
    const auto found = known.find(name);
    if (found != known.end()) return found->second;
    if (!name.empty()) edge.fail(key, "there is no vertex named '" + name + "'");
    return std::nullopt;
  };
  for (Reader& edge : r.objects("edges")) {
    const auto from = end_of(edge, "from");
    const auto to = end_of(edge, "to");
    TopologyEdge e;
    e.medium = static_cast<Medium>(edge.choice("medium", kMediumNames));
    e.bandwidth = edge.get<BytesPerSecond>("bandwidth", Range::positive);
    e.latency = edge.get<Seconds>("latency", Range::non_negative);
    e.line_rate = edge.find<BytesPerSecond>("line_rate", Range::positive).value_or(e.bandwidth);
    e.ports = edge.get_or<std::int64_t>("ports", "1", Range::positive);
    e.sharing = static_cast<Sharing>(edge.choice("sharing", kSharingNames, "shared"));
    if (e.sharing == Sharing::one_accelerator)
      e.accelerator = edge.get<std::int64_t>("accelerator", Range::non_negative);
    e.energy = edge.find<JoulesPerByte>("energy", Range::non_negative);
    const bool both = edge.get_or<bool>("both_ways", both_ways ? "true" : "false");
    edge.done();
    if (!from || !to) continue;
    if (*from == *to) edge.fail("to", "an edge joins two vertices, not one with itself");
    std::int64_t accelerators = 0;
    for (const TopologyVertexId end : {*from, *to})
      accelerators = std::max(accelerators, fabric.graph[end].accelerators);
    if (e.sharing == Sharing::per_accelerator && e.ports != accelerators)
      edge.fail("ports", "must be the " + std::to_string(accelerators) +
                             " accelerators of its host where each has its own");
    if (e.sharing == Sharing::one_accelerator && e.accelerator >= accelerators)
      edge.fail("accelerator", "its host has only " + std::to_string(accelerators) + " accelerators");
    both ? connect(fabric.graph, *from, *to, e) : connect_one_way(fabric.graph, *from, *to, e);
  }
}

// A host that cannot be reached from another, if there is one; hosts without any edge of their own too.
std::optional<std::string> flaw_of(const Fabric& fabric) {
  if (fabric.hosts.empty()) return "has no vertex with accelerators";
  const auto unreached = [&](TopologyVertexId from) -> std::optional<TopologyVertexId> {
    const Ways ways(fabric.graph, from);
    for (const TopologyVertexId host : fabric.hosts)
      if (ways.hops(host) == Ways::kNoWay) return host;
    return std::nullopt;
  };
  for (const TopologyVertexId from : fabric.hosts)
    if (const auto to = unreached(from))
      return "is not connected: there is no way from '" + fabric.graph[from].name + "' to '" +
             fabric.graph[*to].name + "'";
  return std::nullopt;
}

void read_routing(Reader& r, Fabric& fabric) {
  fabric.scale_up_latency = r.get_or<Seconds>("nvlink_latency", "10 us", Range::non_negative);
  fabric.striped = r.choice("rails", kRails, "striped") == 0;
}

// Any property of a GraphML file, as text, under the element it belongs to.
struct RawEdge {
  std::map<std::string, std::string> keys;
};
struct RawVertex {
  std::map<std::string, std::string> keys;
};
using RawGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, RawVertex, RawEdge>;

std::string text_of(const boost::any& value) {
  if (const auto* text = boost::any_cast<std::string>(&value)) return *text;
  if (const auto* number = boost::any_cast<double>(&value)) return show_exact(*number);
  if (const auto* number = boost::any_cast<float>(&value)) return show_exact(static_cast<double>(*number));
  if (const auto* number = boost::any_cast<int>(&value)) return std::to_string(*number);
  if (const auto* number = boost::any_cast<long>(&value)) return std::to_string(*number);
  if (const auto* truth = boost::any_cast<bool>(&value)) return *truth ? "true" : "false";
  throw ConfigError("a key has a type other than string, int, long, float, double and boolean");
}

class RawProperty final : public boost::dynamic_property_map {
 public:
  RawProperty(RawGraph& graph, std::string name, const std::type_info& key)
      : graph_(graph), name_(std::move(name)), key_(key) {}
  boost::any get(const boost::any&) override { return {}; }
  std::string get_string(const boost::any&) override { return {}; }
  // An empty text says that the element does not have the key.
  void put(const boost::any& at, const boost::any& value) override {
    const std::string text = text_of(value);
    if (text.empty()) return;
    if (const auto* vertex = boost::any_cast<RawGraph::vertex_descriptor>(&at))
      graph_[*vertex].keys[name_] = text;
    if (const auto* edge = boost::any_cast<RawGraph::edge_descriptor>(&at)) graph_[*edge].keys[name_] = text;
  }
  const std::type_info& key() const override { return key_; }
  const std::type_info& value() const override { return typeid(std::string); }

 private:
  RawGraph& graph_;
  std::string name_;
  const std::type_info& key_;
};

ConfigNode node_of(const std::map<std::string, std::string>& keys, const Location& where) {
  ConfigNode object;
  object.kind = ConfigNode::Kind::object;
  object.where = where;
  for (const auto& [key, text] : keys) {
    ConfigNode value;
    value.where = where;
    value.text = text;
    value.kind = ConfigNode::Kind::string;
    char* end = nullptr;
    value.number = std::strtod(text.c_str(), &end);
    if (key != "name" && key != "from" && key != "to" && !text.empty() && *end == '\0')
      value.kind = ConfigNode::Kind::number;
    if (text == "true" || text == "false") {
      value.kind = ConfigNode::Kind::boolean;
      value.boolean = text == "true";
    }
    object.members.push_back({key, where, std::move(value), false});
  }
  return object;
}

// The same object that a scenario would list: {"vertices": [...], "edges": [...]}.
ConfigNode tree_of(const RawGraph& graph, const Location& where) {
  ConfigNode root;
  root.kind = ConfigNode::Kind::object;
  root.where = where;
  ConfigNode list;
  list.kind = ConfigNode::Kind::array;
  list.where = where;
  for (auto [v, end] = boost::vertices(graph); v != end; ++v)
    list.items.push_back(node_of(graph[*v].keys, where));
  root.members.push_back({"vertices", where, list, false});
  list.items.clear();
  const auto name_of_vertex = [&](RawGraph::vertex_descriptor v) {
    const auto name = graph[v].keys.find("name");
    return name == graph[v].keys.end() ? std::string("?") : name->second;
  };
  for (auto [e, end] = boost::edges(graph); e != end; ++e) {
    std::map<std::string, std::string> keys = graph[*e].keys;
    keys["from"] = name_of_vertex(boost::source(*e, graph));
    keys["to"] = name_of_vertex(boost::target(*e, graph));
    list.items.push_back(node_of(keys, where));
  }
  root.members.push_back({"edges", where, std::move(list), false});
  return root;
}

// The XML parser descends once a level, and its stack ends.
bool is_nested_too_deep(std::string_view text) {
  std::ptrdiff_t depth = 0;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const char next = text[i + 1];
    if ((text[i] == '<' && next == '/') || (text[i] == '/' && next == '>')) {
      --depth;
    } else if (text[i] == '<' && next != '?' && next != '!' && ++depth > kDeepest) {
      return true;
    }
  }
  return false;
}

// Nothing, and `why`, when the file cannot be read at all.
std::optional<RawGraph> read_raw(const std::filesystem::path& file, std::string& why) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (error) {
    why = "cannot be read: " + error.message();
    return std::nullopt;
  }
  if (size > kLargestFile) {
    why = "is larger than 64 MiB";
    return std::nullopt;
  }
  std::ifstream in(file, std::ios::binary);
  std::istringstream text(std::string(std::istreambuf_iterator<char>(in), {}));
  if (is_nested_too_deep(text.view())) {
    why = "is not GraphML: is nested more than " + std::to_string(kDeepest) + " levels deep";
    return std::nullopt;
  }
  RawGraph graph;
  boost::dynamic_properties properties(
      [&](const std::string& name, const boost::any& key,
          const boost::any&) -> boost::shared_ptr<boost::dynamic_property_map> {
        return boost::make_shared<RawProperty>(graph, name, key.type());
      });
  try {
    boost::read_graphml(text, graph, properties);
  } catch (const boost::undirected_graph_error&) {
    why = "is undirected; list every direction of a link as an edge of its own (edgedefault=\"directed\")";
    return std::nullopt;
  } catch (const std::exception& e) {
    why = std::string("is not GraphML: ") + e.what();
    return std::nullopt;
  }
  return graph;
}

}  // namespace

InlineGraph InlineGraph::read(Reader& r) {
  InlineGraph topology;
  const bool clean = r.problems().empty();
  read_routing(r, topology.fabric);
  read_elements(r, true, topology.fabric);
  if (clean && r.problems().empty())
    if (const auto flaw = flaw_of(topology.fabric)) r.fail("", *flaw);
  return topology;
}

GraphmlFile GraphmlFile::read(Reader& r) {
  GraphmlFile topology;
  read_routing(r, topology.fabric);
  const std::filesystem::path file = r.file("file");
  if (file.empty()) return topology;
  std::string why;
  const auto graph = read_raw(file, why);
  const Location where{std::make_shared<const std::string>(file.string()), 0, 0};
  if (!graph) {
    r.fail("file", "'" + file.string() + "' " + why);
    return topology;
  }
  const bool clean = r.problems().empty();
  ConfigNode root = tree_of(*graph, where);
  Reader elements(root, "", r.problems());
  read_elements(elements, false, topology.fabric);
  if (clean && r.problems().empty())
    if (const auto flaw = flaw_of(topology.fabric)) r.problems().add(where, "", *flaw);
  return topology;
}

}  // namespace disagg
