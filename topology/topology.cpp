#include "topology/topology.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "sim/base/expect.hpp"
#include "sim/base/hash.hpp"
#include "topology/parts.hpp"

namespace disagg {
namespace {

// Share of a stage's ports that one request's KV cache goes through: those of its data-parallel rank.
double held_share(const Parallelism& parallelism) {
  return 1 / static_cast<double>(parallelism.dp_attention);
}

bool is_drawn(const TopologyPolicy& topology) {
  return std::holds_alternative<InlineGraph>(topology) || std::holds_alternative<GraphmlFile>(topology);
}

// Accelerators that the scale-up link joins, for a pool on this topology.
std::int64_t domain_on(const TopologyPolicy& topology, const Accelerator& accelerator) {
  if (const auto* racks = std::get_if<Nvl72>(&topology)) return racks->domain;
  if (is_drawn(topology)) return std::numeric_limits<std::int64_t>::max();  // what the drawn hosts have
  return accelerator.scale_up_domain;
}

constexpr std::string_view kNic = "\"nic_bandwidth\": \"... GB/s\"";
constexpr std::string_view kScaleUp = "\"scale_up\": {\"bandwidth\": \"... GB/s\", \"domain\": 8}";

// Whether the accelerators have all links that replicas of this pool need.
bool has_links(const TopologyPolicy& topology, const PoolSetup& pool, std::int64_t domain,
               const std::string& where, Reader& r) {
  const Accelerator& accelerator = pool.shape.accelerator;
  const std::int64_t width = pool.shape.parallelism.per_stage();
  const auto nics = nics_of(topology);
  if (nics && width > domain && !accelerator.nic_bandwidth) {
    r.fail("pools", where + std::to_string(width) + " accelerators a stage exceed the scale-up domain of " +
                        std::to_string(domain) + ", and " + accelerator.name +
                        " has no published NIC bandwidth to join several; " +
                        how_to_give(accelerator, accelerator.scale_up_bandwidth ? kNic : kScaleUp));
    return false;
  }
  if (width > 1 && !accelerator.scale_up_bandwidth) {
    r.fail("pools", where + accelerator.name +
                        " has no published scale-up bandwidth, which more than one accelerator a stage "
                        "needs; " +
                        how_to_give(accelerator, kScaleUp));
    return false;
  }
  if (pool.shape.parallelism.pp > 1 && !accelerator.scale_up_bandwidth && !accelerator.nic_bandwidth) {
    r.fail("pools", where + accelerator.name +
                        " has neither a published scale-up nor NIC bandwidth, one of which the stages of a "
                        "pipeline need; " +
                        how_to_give(accelerator, kScaleUp));
    return false;
  }
  const bool hands_off = pool.role != Role::mixed || !std::holds_alternative<NvlinkHosts>(topology);
  if (nics && hands_off && !nics->bandwidth && !accelerator.nic_bandwidth) {
    r.fail("pools",
           where + accelerator.name + " has no published NIC bandwidth; give cluster.topology.nic_bandwidth");
    return false;
  }
  if (!nics && !accelerator.scale_up_bandwidth) {
    r.fail("pools", where + accelerator.name +
                        " has no published scale-up bandwidth, over which it reaches its host's port; " +
                        how_to_give(accelerator, kScaleUp));
    return false;
  }
  return true;
}

FabricDemand demand_of(const TopologyPolicy& topology, std::span<const PoolSetup> pools,
                       std::span<const std::int64_t> domains, const PlacementPolicy& placement) {
  FabricDemand demand;
  if (is_drawn(topology)) return demand;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    demand.hosts += hosts_needed(pools[i], domains[i]);
    demand.accelerators_per_host = std::max(demand.accelerators_per_host, domains[i]);
    if (const auto nic = pools[i].shape.accelerator.nic_bandwidth)
      demand.nic_bandwidth = std::max(demand.nic_bandwidth, *nic);
  }
  if (std::holds_alternative<OneRackPerPool>(placement))
    demand.racks = static_cast<std::int64_t>(pools.size());
  return demand;
}

bool touches(const TopologyGraph& graph, const TopologyEdgeId& e, TopologyVertexId host) {
  return boost::source(e, graph) == host || boost::target(e, graph) == host;
}

// Gives a host NICs of the rate that the accelerators on it have; none when they have none.
void fit_nics(Fabric& fabric, TopologyVertexId host, std::optional<BytesPerSecond> line_rate,
              double efficiency) {
  TopologyGraph& graph = fabric.graph;
  const auto is_nic = [&](const TopologyEdgeId& e) { return graph[e].sharing != Sharing::shared; };
  if (!line_rate) {
    boost::remove_out_edge_if(host, is_nic, graph);
    boost::remove_in_edge_if(host, is_nic, graph);
    return;
  }
  const auto fit = [&](auto edges) {
    for (auto [e, end] = edges; e != end; ++e) {
      if (!is_nic(*e)) continue;
      graph[*e].line_rate = *line_rate;
      graph[*e].bandwidth = *line_rate * efficiency;
    }
  };
  fit(boost::out_edges(host, graph));
  fit(boost::in_edges(host, graph));
}

// Makes the graph in which flows are routed: of the fabric without the ports that belong to accelerators, and
// the replicas with theirs.
class Assembler {
 public:
  explicit Assembler(PlacedCluster& placed)
      : placed_(placed), vertices_(boost::num_vertices(placed.fabric.graph), kNone) {
    const TopologyGraph& fabric = placed.fabric.graph;
    for (auto [v, end] = boost::vertices(fabric); v != end; ++v)
      if (fabric[*v].accelerators == 0) copy(*v);
  }

  TopologyVertexId add(const PlacedPart& part, const Accelerator& accelerator) {
    const TopologyGraph& fabric = placed_.fabric.graph;
    const TopologyVertexId host = placed_.fabric.hosts[part.host];
    if (vertices_[host] == kNone) copy(host);
    const auto vertex = boost::add_vertex(
        {part.name, VertexKind::accelerators, part.accelerators, fabric[host].rack}, placed_.graph);
    if (accelerator.scale_up_bandwidth)
      connect(placed_.graph, vertex, vertices_[host],
              {.name = {},
               .medium = Medium::nvlink,
               .bandwidth = *accelerator.scale_up_bandwidth,
               .latency = placed_.fabric.scale_up_latency / 2,
               .line_rate = *accelerator.scale_up_bandwidth,
               .ports = part.accelerators,
               .sharing = Sharing::shared,
               .accelerator = 0,
               .energy = {},
               .id = 0});
    // In the order in which the fabric lists the host's ports; both directions are there.
    for (auto [e, end] = boost::out_edges(host, fabric); e != end; ++e)
      if (const auto port = port_of(part, fabric[*e]))
        connect_one_way(placed_.graph, vertex, vertices_[boost::target(*e, fabric)], *port);
    for (auto [e, end] = boost::in_edges(host, fabric); e != end; ++e)
      if (const auto port = port_of(part, fabric[*e]))
        connect_one_way(placed_.graph, vertices_[boost::source(*e, fabric)], vertex, *port);
    return vertex;
  }

  void finish() {
    const TopologyGraph& fabric = placed_.fabric.graph;
    for (const TopologyVertexId host : placed_.fabric.hosts) {
      if (vertices_[host] != kNone) {
        ++placed_.hosts;
      } else {
        copy(host);
      }
    }
    for (auto [e, end] = boost::edges(fabric); e != end; ++e)
      if (fabric[*e].sharing == Sharing::shared)
        connect_one_way(placed_.graph, vertices_[boost::source(*e, fabric)],
                        vertices_[boost::target(*e, fabric)], fabric[*e]);
  }

 private:
  static constexpr TopologyVertexId kNone = std::numeric_limits<TopologyVertexId>::max();

  void copy(TopologyVertexId v) { vertices_[v] = boost::add_vertex(placed_.fabric.graph[v], placed_.graph); }

  // The share of a host's edge that belongs to this part of a replica.
  static std::optional<TopologyEdge> port_of(const PlacedPart& part, TopologyEdge edge) {
    switch (edge.sharing) {
      case Sharing::shared:
        return std::nullopt;
      case Sharing::per_accelerator:
        edge.ports = part.accelerators;
        return edge;
      case Sharing::one_accelerator:
        if (edge.accelerator < part.first || edge.accelerator >= part.first + part.accelerators)
          return std::nullopt;
        return edge;
    }
    return std::nullopt;
  }

  PlacedCluster& placed_;
  std::vector<TopologyVertexId> vertices_;  // of the fabric, in the placed graph
};

// What one accelerator of a host can send into the network: its own ports and its part of the shared ones.
BytesPerSecond injection(const Fabric& fabric, TopologyVertexId host) {
  BytesPerSecond sum{};
  for (auto [e, end] = boost::out_edges(host, fabric.graph); e != end; ++e)
    sum += fabric.graph[*e].line_rate * static_cast<double>(fabric.graph[*e].ports);
  return sum / static_cast<double>(fabric.graph[host].accelerators);
}

}  // namespace

PlacedCluster place(const TopologyPolicy& topology, std::span<const PoolSetup> pools, Reader& r,
                    const PlacementPolicy& policy) {
  PlacedCluster placed;
  std::vector<std::int64_t> domains;
  domains.reserve(pools.size());
  for (std::size_t i = 0; i < pools.size(); ++i) {
    domains.push_back(domain_on(topology, pools[i].shape.accelerator));
    has_links(topology, pools[i], domains[i],
              "pools[" + std::to_string(i) + "] (" + pools[i].name + "): ", r);
  }
  if (!r.problems().empty()) return placed;
  placed.fabric = build_fabric(topology, demand_of(topology, pools, domains, policy), r);
  if (!r.problems().empty()) return placed;
  const Placement placement = place_replicas(policy, placed.fabric, name_of(topology), pools, domains, r);
  if (!r.problems().empty()) return placed;

  const auto nics = nics_of(topology);
  std::size_t first = 0;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const Accelerator& accelerator = pools[i].shape.accelerator;
    PoolLinks& links = placed.pools.emplace_back();
    links.scale_up_domain = domains[i];
    const auto replicas = std::span(placement).subspan(first, static_cast<std::size_t>(pools[i].replicas));
    first += replicas.size();
    if (placed.fabric.nics_of_accelerators)
      for (const auto& parts : replicas)
        for (const PlacedPart& part : parts)
          fit_nics(placed.fabric, placed.fabric.hosts[part.host], accelerator.nic_bandwidth,
                   nics->efficiency);
    if (std::holds_alternative<NvlinkHosts>(topology)) continue;
    if (nics) {
      links.nic_bandwidth = nics->bandwidth;
    } else {
      links.nic_bandwidth = injection(placed.fabric, placed.fabric.hosts[replicas.front().front().host]);
    }
  }
  Assembler assembler(placed);
  std::size_t replica = 0;
  for (const PoolSetup& pool : pools) {
    for (std::int64_t n = 0; n < pool.replicas; ++n) {
      auto& parts = placed.replicas.emplace_back();
      for (const PlacedPart& part : placement[replica++])
        parts.push_back({.vertex = assembler.add(part, pool.shape.accelerator),
                         .begin = part.begin,
                         .end = part.end,
                         .held_share = held_share(pool.shape.parallelism),
                         .host = part.host});
    }
  }
  assembler.finish();
  return placed;
}

namespace {

bool is_switch(const TopologyVertex& vertex) {
  switch (vertex.kind) {
    case VertexKind::accelerators:
    case VertexKind::host:
    case VertexKind::nic:
    case VertexKind::optical_port:
    case VertexKind::memory_pool:
    case VertexKind::memory_port:
      return false;
    default:
      return vertex.accelerators == 0;
  }
}

// Ports that a photonic fabric or circuit switch has; nothing for other topologies.
std::optional<std::int64_t> radix_of(const TopologyPolicy& topology) {
  if (const auto* star = std::get_if<OpticalStar>(&topology)) return star->radix;
  if (const auto* circuits = std::get_if<OpticalCircuitSwitch>(&topology)) return circuits->radix;
  return std::nullopt;
}

class TierAttachment {
 public:
  TierAttachment(PlacedCluster& placed, const MemoryTierSetup& setup, std::uint32_t tier)
      : placed_(placed), setup_(setup), tier_(tier) {}

  // Of a replica: one for each of them.
  void to_replica(std::size_t replica, std::size_t number) {
    const PlacedTier instance = add(setup_.name + "[" + std::to_string(number) + "]");
    for (const ReplicaPart& part : placed_.replicas[replica]) join(part, instance.vertex);
    placed_.tiers[replica].push_back(instance);
  }

  // Of the hosts: the one of the replica's first host is its own.
  void to_hosts(std::size_t replica) {
    const auto& parts = placed_.replicas[replica];
    auto known = by_host_.find(parts.front().host);
    if (known == by_host_.end())
      known =
          by_host_.emplace(parts.front().host, add(setup_.name + "[" + std::to_string(next_) + "]")).first;
    for (const ReplicaPart& part : parts) join(part, known->second.vertex);
    placed_.tiers[replica].push_back(known->second);
  }

  void to_vertex(TopologyVertexId vertex) {
    if (placed_.graph[vertex].kind == VertexKind::memory_pool) {
      shared_ = {tier_, next_++, vertex};
      return;
    }
    shared_ = add(setup_.name);
    const bool optical = placed_.graph[vertex].kind == VertexKind::photonic_fabric ||
                         placed_.graph[vertex].kind == VertexKind::circuit_switch;
    join(vertex, shared_->vertex, setup_.ports, optical ? Medium::optical : Medium::infiniband);
  }
  void to_cluster(std::size_t replica) { placed_.tiers[replica].push_back(*shared_); }

 private:
  PlacedTier add(const std::string& name) {
    TopologyGraph& graph = placed_.graph;
    const auto pool = boost::add_vertex({name, VertexKind::memory_pool, 0, 0}, graph);
    const auto port = boost::add_vertex({name + ".port", VertexKind::memory_port, 0, 0}, graph);
    ports_.emplace(pool, port);
    connect_one_way(graph, port, pool, edge(setup_.write_rate, 1, Medium::cxl));
    connect_one_way(graph, pool, port, edge(setup_.read_rate, 1, Medium::cxl));
    return {tier_, next_++, pool};
  }

  void join(const ReplicaPart& part, TopologyVertexId pool) {
    join(part.vertex, pool, placed_.graph[part.vertex].accelerators, Medium::pcie);
  }
  void join(TopologyVertexId vertex, TopologyVertexId pool, std::int64_t ports, Medium medium) {
    const auto port = ports_.at(pool);
    connect_one_way(placed_.graph, vertex, port, edge(setup_.port_write, ports, medium));
    connect_one_way(placed_.graph, port, vertex, edge(setup_.port_read, ports, medium));
  }

  static TopologyEdge edge(BytesPerSecond rate, std::int64_t ports, Medium medium) {
    return {.name = {},
            .medium = medium,
            .bandwidth = rate,
            .latency = {},
            .line_rate = rate,
            .ports = ports,
            .sharing = Sharing::shared,
            .accelerator = 0,
            .energy = {},
            .id = 0};
  }

  PlacedCluster& placed_;
  const MemoryTierSetup& setup_;
  std::uint32_t tier_;
  std::uint32_t next_ = 0;
  std::unordered_map<TopologyVertexId, TopologyVertexId> ports_;  // of pools
  std::unordered_map<std::size_t, PlacedTier> by_host_;
  std::optional<PlacedTier> shared_;
};

// The vertex at which a tier of the cluster is attached.
std::optional<TopologyVertexId> place_of(const PlacedCluster& placed, const TopologyPolicy& topology,
                                         const MemoryTierSetup& tier, Reader& r) {
  const TopologyGraph& graph = placed.graph;
  std::vector<TopologyVertexId> switches;
  std::vector<std::string_view> names;
  for (auto [v, end] = boost::vertices(graph); v != end; ++v) {
    const bool drawn = graph[*v].kind == VertexKind::memory_pool;
    if (!is_switch(graph[*v]) && !drawn) continue;
    if (!drawn) switches.push_back(*v);
    names.push_back(graph[*v].name);
    if (graph[*v].name == tier.attached_to) return *v;
  }
  if (!tier.attached_to.empty()) {
    r.unknown("attached_to", tier.attached_to, names);
    return std::nullopt;
  }
  if (switches.size() == 1) return switches.front();
  std::string known;
  for (std::size_t i = 0; i < names.size() && i < 8; ++i) known += " " + std::string(names[i]);
  if (names.size() > 8) known += " ...";
  r.fail("attached_to", std::string(name_of(topology)) + " has " + std::to_string(switches.size()) +
                            " switches: say at which the pool is attached; known:" + known);
  return std::nullopt;
}

}  // namespace

void attach_tiers(PlacedCluster& placed, const TopologyPolicy& topology, std::span<const PoolSetup> pools,
                  std::span<const MemoryTierSetup> tiers, std::span<Reader> readers) {
  placed.tiers.resize(placed.replicas.size());
  std::vector<TierAttachment> attachments;
  attachments.reserve(tiers.size());
  std::int64_t ports = static_cast<std::int64_t>(placed.fabric.hosts.size());
  for (std::uint32_t t = 0; t < tiers.size(); ++t) {
    attachments.emplace_back(placed, tiers[t], t);
    if (tiers[t].scope != TierScope::cluster) continue;
    const auto vertex = place_of(placed, topology, tiers[t], readers[t]);
    if (!vertex) continue;
    attachments.back().to_vertex(*vertex);
    ports += tiers[t].ports;
    const auto radix = radix_of(topology);
    if (radix && ports > *radix)
      readers[t].fail("ports", "hosts and memory pools need " + std::to_string(ports) + " ports, but " +
                                   std::string(name_of(topology)) + " has a radix of " +
                                   std::to_string(*radix));
  }
  if (std::ranges::any_of(readers, [](const Reader& r) { return !r.problems().empty(); })) return;
  std::size_t replica = 0;
  for (const PoolSetup& pool : pools) {
    for (std::int64_t n = 0; n < pool.replicas; ++n, ++replica) {
      for (const std::uint32_t t : pool.tiers) {
        switch (tiers[t].scope) {
          case TierScope::replica:
            attachments[t].to_replica(replica, replica);
            break;
          case TierScope::host:
            attachments[t].to_hosts(replica);
            break;
          case TierScope::cluster:
            attachments[t].to_cluster(replica);
            break;
        }
      }
    }
  }
}

namespace {

class Router {
 public:
  explicit Router(const PlacedCluster& cluster)
      : cluster_(cluster),
        graph_(cluster.graph),
        links_(boost::num_edges(graph_)),
        hashes_(boost::num_vertices(graph_)),
        sends_(hashes_.size()),
        receives_(hashes_.size()),
        endpoints_(hashes_.size()) {
    for (auto [v, last] = boost::vertices(graph_); v != last; ++v) {
      hashes_[*v] = Hash{}.add(graph_[*v].name).value();
      for (auto [e, end] = boost::out_edges(*v, graph_); e != end; ++e) {
        links_[graph_[*e].id] = LinkId{static_cast<std::uint32_t>(routed_.platform.links.size())};
        const TopologyEdge& edge = graph_[*e];
        routed_.platform.links.push_back(
            {edge.name, edge.capacity(), edge.energy ? edge.energy : energy_of(edge.medium).energy});
        if (graph_[*e].sharing != Sharing::one_accelerator) continue;
        sends_[*v].push_back(*e);
        receives_[boost::target(*e, graph_)].push_back(*e);
      }
    }
  }

  void route(ReplicaId source, std::span<const ReplicaId> to, Seconds overhead) {
    for (const ReplicaPart& part : cluster_.replicas[source.index]) {
      const Ways ways(graph_, part.vertex);
      for (const ReplicaId target : to) {
        if (target == source) continue;
        for (const ReplicaPart& other : cluster_.replicas[target.index]) {
          // The layers that both hold travel between them.
          const double share = std::min(part.end, other.end) - std::max(part.begin, other.begin);
          if (share <= 1e-12) continue;
          const bool striped = cluster_.fabric.striped && part.host != other.host;
          const auto& sends = sends_[part.vertex];
          const auto& receives = receives_[other.vertex];
          const std::uint64_t flow = hashes_[part.vertex] * 31 + hashes_[other.vertex];
          if (!striped || sends.empty() || receives.empty()) {
            const auto way = ways.to(other.vertex, flow);
            if (way.empty())
              throw ConfigError("cluster.topology: there is no way for hand-offs from " +
                                graph_[part.vertex].name + " to " + graph_[other.vertex].name +
                                "; give cluster.topology.nic_bandwidth");
            add(source, target, part, other, way, share, overhead, 0);
          } else {
            stripe(source, target, part, other, pair_up(sends, receives), share, overhead, flow);
          }
        }
      }
    }
  }

  // The flows between a replica and one of its tiers, and their rates when nothing else moves.
  TierAccess reach(ReplicaId replica, const PlacedTier& placed, const MemoryTierSetup& tier) {
    TierAccess access{.tier = placed.tier,
                      .instance = placed.instance,
                      .reads = {},
                      .writes = {},
                      .latency = {},
                      .read_rate = {},
                      .stream_rate = {}};
    const ReplicaPart memory{.vertex = placed.vertex, .begin = 0, .end = 1, .held_share = 1, .host = 0};
    const Ways reads(graph_, placed.vertex);
    for (const ReplicaPart& part : cluster_.replicas[replica.index]) {
      const Ways writes(graph_, part.vertex);
      const double share = part.end - part.begin;
      const std::uint64_t flow = hashes_[part.vertex] * 31 + hashes_[placed.vertex];
      const auto in = reads.to(part.vertex, flow);
      const auto out = writes.to(placed.vertex, flow);
      if (in.empty() || out.empty())
        throw ConfigError("cluster.topology: there is no way between " + graph_[part.vertex].name +
                          " and memory pool '" + tier.name + "'");
      access.reads.push_back(flow_on(memory, part, in, share, tier.latency));
      access.writes.push_back(flow_on(part, memory, out, share, tier.latency));
      access.latency =
          std::max(access.latency, routed_.platform.routes[access.reads.back().route.index].latency);
      // All parts move their shares at the same time; what they have in common is shared.
      BytesPerSecond most = access.reads.back().limit;
      BytesPerSecond all = Network::kNoLimit;
      for (const TopologyEdgeId& e : in)
        if (all == Network::kNoLimit || graph_[e].capacity() < all) all = graph_[e].capacity();
      if (most == Network::kNoLimit || all < most) most = all;
      const auto lower = [](BytesPerSecond& rate, BytesPerSecond other) {
        if (rate == BytesPerSecond{} || other < rate) rate = other;
      };
      lower(access.read_rate, most / share);
      lower(access.stream_rate, all / share);
    }
    return access;
  }

  RoutedCluster take() { return std::move(routed_); }

 private:
  using PortPair = std::pair<TopologyEdgeId, TopologyEdgeId>;

  // One pair for each port of the side with fewer: those on a common switch first, then those of equal
  // accelerators, whose rails are the same in all units, and the others in order.
  std::vector<PortPair> pair_up(std::vector<TopologyEdgeId> sends,
                                std::vector<TopologyEdgeId> receives) const {
    const std::size_t stripes = std::min(sends.size(), receives.size());
    std::vector<PortPair> pairs;
    pairs.reserve(stripes);
    const auto pair_where = [&](auto fit_together) {
      for (auto send = sends.begin(); send != sends.end() && pairs.size() < stripes;) {
        const auto receive =
            std::ranges::find_if(receives, [&](const TopologyEdgeId& e) { return fit_together(*send, e); });
        if (receive == receives.end()) {
          ++send;
          continue;
        }
        pairs.emplace_back(*send, *receive);
        receives.erase(receive);
        send = sends.erase(send);
      }
    };
    pair_where([&](const TopologyEdgeId& send, const TopologyEdgeId& receive) {
      return boost::target(send, graph_) == boost::source(receive, graph_);
    });
    pair_where([&](const TopologyEdgeId& send, const TopologyEdgeId& receive) {
      return graph_[send].accelerator == graph_[receive].accelerator;
    });
    for (std::size_t i = 0; pairs.size() < stripes; ++i) pairs.emplace_back(sends[i], receives[i]);
    return pairs;
  }

  void stripe(ReplicaId source, ReplicaId target, const ReplicaPart& part, const ReplicaPart& other,
              const std::vector<PortPair>& pairs, double share, Seconds overhead, std::uint64_t flow) {
    std::vector<TopologyEdgeId> way;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const TopologyVertexId first = boost::target(pairs[i].first, graph_);
      const TopologyVertexId last = boost::source(pairs[i].second, graph_);
      way.assign(1, pairs[i].first);
      if (first != last) {
        const auto between = ways_from(first).to(last, flow + i);
        expect(!between.empty(), "a rail has no way to another");
        way.insert(way.end(), between.begin(), between.end());
      }
      way.push_back(pairs[i].second);
      add(source, target, part, other, way, share / static_cast<double>(pairs.size()), overhead, i);
    }
  }

  const Ways& ways_from(TopologyVertexId v) {
    const auto known = switch_ways_.find(v);
    if (known != switch_ways_.end()) return known->second;
    return switch_ways_.emplace(v, Ways(graph_, v)).first->second;
  }

  // Between two endpoints there is one way only, so that each stripe needs its own.
  std::uint32_t endpoint(TopologyVertexId v, std::size_t stripe) {
    while (endpoints_[v].size() <= stripe) endpoints_[v].push_back(routed_.platform.endpoints++);
    return endpoints_[v][stripe];
  }

  void add(ReplicaId source, ReplicaId target, const ReplicaPart& part, const ReplicaPart& other,
           const std::vector<TopologyEdgeId>& way, double share, Seconds overhead, std::size_t stripe) {
    routed_.routes.append(source, target, flow_on(part, other, way, share, overhead, stripe));
  }

  // Adds the route of a flow.
  NetworkFlow flow_on(const ReplicaPart& part, const ReplicaPart& other,
                      const std::vector<TopologyEdgeId>& way, double share, Seconds overhead,
                      std::size_t stripe = 0) {
    BytesPerSecond most = Network::kNoLimit;
    const auto limit = [&](const TopologyEdgeId& e, const ReplicaPart& p) {
      if (p.held_share >= 1) return;
      const BytesPerSecond own = graph_[e].capacity() * p.held_share;
      if (most == Network::kNoLimit || own < most) most = own;
    };
    PlatformRoute route{.from = endpoint(part.vertex, stripe),
                        .to = endpoint(other.vertex, stripe),
                        .links = {},
                        .latency = overhead};
    route.links.reserve(way.size());
    for (const TopologyEdgeId& e : way) {
      route.links.push_back(links_[graph_[e].id]);
      route.latency += graph_[e].latency;
      // Ports of the replicas only: what lies between serves all ranks.
      if (!touches(graph_, e, part.vertex) && !touches(graph_, e, other.vertex)) continue;
      limit(e, part);
      limit(e, other);
    }
    routed_.platform.routes.push_back(std::move(route));
    return {RouteId{static_cast<std::uint32_t>(routed_.platform.routes.size() - 1)}, share, most};
  }

  const PlacedCluster& cluster_;
  const TopologyGraph& graph_;
  RoutedCluster routed_;
  std::vector<LinkId> links_;          // by edge id
  std::vector<std::uint64_t> hashes_;  // of the vertices' names
  // By vertex: the ports that belong to single accelerators.
  std::vector<std::vector<TopologyEdgeId>> sends_, receives_;
  std::vector<std::vector<std::uint32_t>> endpoints_;  // by vertex and stripe
  std::unordered_map<TopologyVertexId, Ways> switch_ways_;
};

}  // namespace

RoutedCluster route_hand_offs(const PlacedCluster& cluster, std::span<const ReplicaId> from,
                              std::span<const ReplicaId> to, Seconds overhead,
                              std::span<const MemoryTierSetup> tiers) {
  Router router(cluster);
  for (const ReplicaId source : from) router.route(source, to, overhead);
  std::vector<std::vector<TierAccess>> access(cluster.tiers.size());
  for (std::uint32_t i = 0; i < access.size(); ++i)
    for (const PlacedTier& tier : cluster.tiers[i])
      access[i].push_back(router.reach(ReplicaId{i}, tier, tiers[tier.tier]));
  RoutedCluster routed = router.take();
  routed.tier_access = std::move(access);
  return routed;
}

std::int64_t flows_per_hand_off(const PlacedCluster& cluster) {
  if (!cluster.fabric.striped) return 1;
  std::int64_t most = 1;
  for (const auto& parts : cluster.replicas) {
    for (const ReplicaPart& part : parts) {
      const auto [begin, end] = boost::out_edges(part.vertex, cluster.graph);
      most = std::max<std::int64_t>(most, std::count_if(begin, end, [&](const TopologyEdgeId& e) {
                                      return cluster.graph[e].sharing == Sharing::one_accelerator;
                                    }));
    }
  }
  return most;
}

}  // namespace disagg
