#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "sim/base/one_of.hpp"
#include "topology/topology.hpp"

namespace disagg::test {

// Pools of replicas on accelerators like H100 with NICs of 50 GB/s.
inline PoolSetup pool(const std::string& name, std::int64_t replicas, std::int64_t tp) {
  PoolSetup setup;
  setup.name = name;
  setup.role = name == "prefill" ? Role::prefill : Role::decode;
  setup.replicas = replicas;
  setup.shape.parallelism = {tp, 1};
  setup.shape.accelerator.name = "h100";
  setup.shape.accelerator.scale_up_domain = 8;
  setup.shape.accelerator.scale_up_bandwidth = BytesPerSecond{450e9};
  setup.shape.accelerator.nic_bandwidth = BytesPerSecond{50e9};
  return setup;
}

// A topology written as in a scenario. Throws ConfigError with what is wrong.
inline TopologyPolicy topology(const std::string& text) {
  ConfigNode node = parse_config(R"({ "topology": )" + text + " }", "test");
  Problems problems;
  Reader reader(node, "cluster", problems);
  const auto policy = OneOf<TopologyPolicy>::read(*reader.variant("topology"));
  problems.throw_if_any();
  return *policy;
}

inline PlacementPolicy placement(const std::string& text) {
  ConfigNode node = parse_config(R"({ "placement": )" + text + " }", "test");
  Problems problems;
  Reader reader(node, "cluster", problems);
  const auto policy = OneOf<PlacementPolicy>::read(*reader.variant("placement"));
  problems.throw_if_any();
  return *policy;
}

// The fabric alone, for so many hosts.
inline Fabric fabric(const std::string& text, std::int64_t hosts, std::int64_t accelerators_per_host = 8) {
  ConfigNode node = parse_config("{}", "test");
  Problems problems;
  Reader reader(node, "cluster", problems);
  Fabric built = build_fabric(topology(text),
                              {.hosts = hosts,
                               .racks = 1,
                               .accelerators_per_host = accelerators_per_host,
                               .nic_bandwidth = BytesPerSecond{50e9}},
                              reader);
  problems.throw_if_any();
  return built;
}

inline PlacedCluster placed(const std::string& text, const std::vector<PoolSetup>& pools,
                            const std::string& how = "\"packed\"") {
  ConfigNode node = parse_config("{}", "test");
  Problems problems;
  Reader reader(node, "cluster", problems);
  PlacedCluster cluster = place(topology(text), pools, reader, placement(how));
  problems.throw_if_any();
  return cluster;
}

// Names of the links of every flow between two replicas.
inline std::vector<std::vector<std::string>> ways(const RoutedCluster& routed, std::uint32_t from,
                                                  std::uint32_t to) {
  std::vector<std::vector<std::string>> all;
  for (const NetworkFlow& flow : routed.routes.flows(ReplicaId{from}, ReplicaId{to})) {
    auto& names = all.emplace_back();
    for (const LinkId link : routed.platform.routes[flow.route.index].links)
      names.push_back(routed.platform.links[link.index].name);
  }
  return all;
}

inline RoutedCluster routed(const PlacedCluster& cluster, std::vector<std::uint32_t> from,
                            std::vector<std::uint32_t> to) {
  std::vector<ReplicaId> a, b;
  for (const std::uint32_t i : from) a.push_back({i});
  for (const std::uint32_t i : to) b.push_back({i});
  return route_hand_offs(cluster, a, b, Seconds{0});
}

}  // namespace disagg::test
