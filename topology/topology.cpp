#include "topology/topology.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace disagg {

NvlinkHosts NvlinkHosts::read(Reader& r) {
  NvlinkHosts topology;
  topology.nic_bandwidth = r.find<BytesPerSecond>("nic_bandwidth", Range::positive);
  // RDMA from end to end on InfiniBand NDR takes 1 to 2 us (hardware catalog, unverified).
  topology.nic_latency = r.get_or<Seconds>("nic_latency", "2 us", Range::non_negative);
  // Point-to-point latency observed by aiconfigurator's authors on NVLink systems (hardware catalog).
  topology.nvlink_latency = r.get_or<Seconds>("nvlink_latency", "10 us", Range::non_negative);
  // Mooncake moved KV caches at 0.69 of the nominal rate of 8 RoCE NICs between H800 hosts (hardware
  // catalog).
  topology.nic_efficiency = r.get_or<double>("nic_efficiency", "0.69", Range::fraction);
  return topology;
}

namespace {

struct Placer {
  const NvlinkHosts& topology;
  PlacedCluster placed;
  TopologyVertexId network;
  TopologyVertexId host = 0;
  std::int64_t free = 0;  // accelerators of the current host

  explicit Placer(const NvlinkHosts& policy)
      : topology(policy),
        network(boost::add_vertex({"switch", VertexKind::network_switch, 0}, placed.graph)) {}

  void open_host(const Accelerator& accelerator) {
    host = boost::add_vertex({"host-" + std::to_string(placed.hosts++), VertexKind::scale_up_switch, 0},
                             placed.graph);
    free = accelerator.scale_up_domain;
  }

  void place_replica(const PoolSetup& pool, std::int64_t number) {
    const Accelerator& accelerator = pool.shape.accelerator;
    const Parallelism& parallelism = pool.shape.parallelism;
    const auto stages = static_cast<double>(parallelism.pp);
    // Stages fill the hosts in order; a replica that fits into one host is never spread over two.
    const bool fits_one_host = parallelism.accelerators() <= accelerator.scale_up_domain;
    if (fits_one_host && free < parallelism.accelerators()) open_host(accelerator);
    auto& parts = placed.replicas.emplace_back();
    for (std::int64_t stage = 0; stage < parallelism.pp;) {
      if (free < parallelism.tp) open_host(accelerator);
      const std::int64_t here = std::min(parallelism.pp - stage, free / parallelism.tp);
      const std::int64_t accelerators = here * parallelism.tp;
      free -= accelerators;
      std::string name = pool.name + "[" + std::to_string(number) + "]";
      if (!fits_one_host) name += "." + std::to_string(parts.size());
      const auto vertex = boost::add_vertex({name, VertexKind::accelerators, accelerators}, placed.graph);
      const auto ports = static_cast<double>(accelerators);
      if (accelerator.scale_up_bandwidth)
        connect(placed.graph, vertex, host, Medium::nvlink, *accelerator.scale_up_bandwidth * ports,
                topology.nvlink_latency / 2);
      if (const auto nic = topology.nic_bandwidth ? topology.nic_bandwidth : accelerator.nic_bandwidth)
        connect(placed.graph, vertex, network, Medium::network, *nic * topology.nic_efficiency * ports,
                topology.nic_latency / 2);
      parts.push_back(
          {vertex, static_cast<double>(stage) / stages, static_cast<double>(stage + here) / stages});
      stage += here;
    }
  }
};

}  // namespace

PlacedCluster place(const TopologyPolicy& topology, std::span<const PoolSetup> pools, Reader& r) {
  const auto& hosts = std::get<NvlinkHosts>(topology);
  Placer placer(hosts);
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const PoolSetup& pool = pools[i];
    const Accelerator& accelerator = pool.shape.accelerator;
    const std::string where = "pools[" + std::to_string(i) + "] (" + pool.name + "): ";
    if (pool.shape.parallelism.tp > accelerator.scale_up_domain) {
      r.fail("pools", where + "tp " + std::to_string(pool.shape.parallelism.tp) +
                          " exceeds the scale-up domain of " + std::to_string(accelerator.scale_up_domain) +
                          " accelerators of " + accelerator.name);
      continue;
    }
    if (pool.shape.parallelism.tp > 1 && !accelerator.scale_up_bandwidth) {
      r.fail("pools", where + accelerator.name +
                          " has no published scale-up bandwidth, which tp > 1 needs; give it inline");
      continue;
    }
    if (pool.role != Role::mixed && !hosts.nic_bandwidth && !accelerator.nic_bandwidth) {
      r.fail("pools", where + accelerator.name +
                          " has no published NIC bandwidth; give cluster.topology.nic_bandwidth");
      continue;
    }
    placer.free = 0;  // a host holds one kind of accelerator, and pools do not share hosts
    for (std::int64_t n = 0; n < pool.replicas; ++n) placer.place_replica(pool, n);
  }
  return std::move(placer.placed);
}

RoutedCluster route_hand_offs(const PlacedCluster& cluster, std::span<const ReplicaId> from,
                              std::span<const ReplicaId> to, Seconds overhead) {
  RoutedCluster routed;
  const TopologyGraph& graph = cluster.graph;
  std::map<std::pair<TopologyVertexId, TopologyVertexId>, LinkId> links;
  for (const auto [edge, end] = boost::edges(graph);
       TopologyEdgeId e : boost::make_iterator_range(edge, end)) {
    links[{boost::source(e, graph), boost::target(e, graph)}] =
        LinkId{static_cast<std::uint32_t>(routed.platform.links.size())};
    routed.platform.links.push_back({graph[e].name, graph[e].bandwidth});
  }
  std::map<TopologyVertexId, std::uint32_t> endpoints;
  const auto endpoint = [&](TopologyVertexId v) {
    return endpoints.emplace(v, static_cast<std::uint32_t>(endpoints.size())).first->second;
  };
  for (const ReplicaId source : from) {
    for (const ReplicaPart& part : cluster.replicas[source.index]) {
      const WidestWays ways(graph, part.vertex);
      for (const ReplicaId target : to) {
        if (target == source) continue;
        for (const ReplicaPart& other : cluster.replicas[target.index]) {
          // The layers that both hold travel between them.
          const double share = std::min(part.end, other.end) - std::max(part.begin, other.begin);
          if (share <= 1e-12) continue;
          PlatformRoute route{
              .from = endpoint(part.vertex), .to = endpoint(other.vertex), .links = {}, .latency = overhead};
          for (const TopologyEdgeId e : ways.to(other.vertex)) {
            route.links.push_back(links.at({boost::source(e, graph), boost::target(e, graph)}));
            route.latency += graph[e].latency;
          }
          routed.routes.append(source, target,
                               {RouteId{static_cast<std::uint32_t>(routed.platform.routes.size())}, share});
          routed.platform.routes.push_back(std::move(route));
        }
      }
    }
  }
  routed.platform.endpoints = static_cast<std::uint32_t>(endpoints.size());
  return routed;
}

}  // namespace disagg
