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
  // Fitted on Mooncake's transfers of KV caches over 8 RoCE NICs between H800 hosts (hardware catalog), from
  // 20 MB at 0.69 of the nominal rate to 4.5 GB at 0.79.
  topology.nic_efficiency = r.get_or<double>("nic_efficiency", "0.73", Range::fraction);
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
      if (parallelism.per_stage() > accelerator.scale_up_domain) {
        place_wide_stage(pool, number, stage++);
        continue;
      }
      if (free < parallelism.per_stage()) open_host(accelerator);
      const std::int64_t here = std::min(parallelism.pp - stage, free / parallelism.per_stage());
      const std::int64_t accelerators = here * parallelism.per_stage();
      free -= accelerators;
      std::string name = pool.name + "[" + std::to_string(number) + "]";
      if (!fits_one_host) name += "." + std::to_string(parts.size());
      parts.push_back({add_accelerators(accelerator, name, accelerators), static_cast<double>(stage) / stages,
                       static_cast<double>(stage + here) / stages, held_share(parallelism)});
      stage += here;
    }
  }

  // A stage wider than the scale-up domain takes whole hosts, and each holds its part of the stage's KV
  // cache.
  void place_wide_stage(const PoolSetup& pool, std::int64_t number, std::int64_t stage) {
    const Accelerator& accelerator = pool.shape.accelerator;
    const Parallelism& parallelism = pool.shape.parallelism;
    const auto width = static_cast<double>(parallelism.per_stage());
    auto& parts = placed.replicas.back();
    for (std::int64_t done = 0; done < parallelism.per_stage(); done += accelerator.scale_up_domain) {
      const std::int64_t here = std::min(accelerator.scale_up_domain, parallelism.per_stage() - done);
      open_host(accelerator);
      free = 0;
      const auto at = [&](std::int64_t accelerators) {
        return (static_cast<double>(stage) + static_cast<double>(accelerators) / width) /
               static_cast<double>(parallelism.pp);
      };
      const std::string name = pool.name + "[" + std::to_string(number) + "]." + std::to_string(parts.size());
      parts.push_back(
          {add_accelerators(accelerator, name, here), at(done), at(done + here), held_share(parallelism)});
    }
  }

  // Share of a stage's ports that one request's KV cache goes through: those of its data-parallel rank.
  static double held_share(const Parallelism& parallelism) {
    return 1 / static_cast<double>(parallelism.dp_attention);
  }

  TopologyVertexId add_accelerators(const Accelerator& accelerator, const std::string& name,
                                    std::int64_t accelerators) {
    const auto vertex = boost::add_vertex({name, VertexKind::accelerators, accelerators}, placed.graph);
    const auto ports = static_cast<double>(accelerators);
    if (accelerator.scale_up_bandwidth)
      connect(placed.graph, vertex, host, Medium::nvlink, *accelerator.scale_up_bandwidth * ports,
              topology.nvlink_latency / 2);
    if (const auto nic = topology.nic_bandwidth ? topology.nic_bandwidth : accelerator.nic_bandwidth)
      connect(placed.graph, vertex, network, Medium::network, *nic * topology.nic_efficiency * ports,
              topology.nic_latency / 2);
    return vertex;
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
    const std::int64_t width = pool.shape.parallelism.per_stage();
    if (width > accelerator.scale_up_domain && !accelerator.nic_bandwidth) {
      r.fail("pools", where + std::to_string(width) + " accelerators a stage exceed the scale-up domain of " +
                          std::to_string(accelerator.scale_up_domain) + ", and " + accelerator.name +
                          " has no published NIC bandwidth to join several; give it inline");
      continue;
    }
    if (width > 1 && !accelerator.scale_up_bandwidth) {
      r.fail("pools", where + accelerator.name +
                          " has no published scale-up bandwidth, which more than one accelerator a stage "
                          "needs; give it inline");
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
          const auto limit = [&](const TopologyEdgeId& e, const ReplicaPart& p) {
            return p.held_share < 1 ? graph[e].bandwidth * p.held_share : Network::kNoLimit;
          };
          BytesPerSecond most = Network::kNoLimit;
          PlatformRoute route{
              .from = endpoint(part.vertex), .to = endpoint(other.vertex), .links = {}, .latency = overhead};
          for (const TopologyEdgeId e : ways.to(other.vertex)) {
            route.links.push_back(links.at({boost::source(e, graph), boost::target(e, graph)}));
            route.latency += graph[e].latency;
            for (const ReplicaPart* end_of_way : {&part, &other})
              if (const BytesPerSecond own = limit(e, *end_of_way);
                  own != Network::kNoLimit && (most == Network::kNoLimit || own < most))
                most = own;
          }
          routed.routes.append(
              source, target,
              {RouteId{static_cast<std::uint32_t>(routed.platform.routes.size())}, share, most});
          routed.platform.routes.push_back(std::move(route));
        }
      }
    }
  }
  routed.platform.endpoints = static_cast<std::uint32_t>(endpoints.size());
  return routed;
}

}  // namespace disagg
