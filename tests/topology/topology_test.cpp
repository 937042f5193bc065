#include "topology/topology.hpp"

#include <catch2/catch.hpp>
#include <numeric>

using namespace disagg;

namespace {

PoolSetup pool(const std::string& name, std::int64_t replicas, std::int64_t tp, std::int64_t pp = 1) {
  PoolSetup setup;
  setup.name = name;
  setup.role = name == "prefill" ? Role::prefill : Role::decode;
  setup.replicas = replicas;
  setup.shape.parallelism = {tp, pp};
  setup.shape.accelerator.name = "h100";
  setup.shape.accelerator.scale_up_domain = 8;
  setup.shape.accelerator.scale_up_bandwidth = BytesPerSecond{450e9};
  setup.shape.accelerator.nic_bandwidth = BytesPerSecond{50e9};
  return setup;
}

PlacedCluster placed(const std::vector<PoolSetup>& pools) {
  ConfigNode node = parse_config(R"({ "pools": [] })", "test");
  Problems problems;
  Reader reader(node, "cluster", problems);
  PlacedCluster cluster = place(NvlinkHosts{.nic_bandwidth = {},
                                            .nic_latency = Seconds{2e-6},
                                            .nvlink_latency = Seconds{10e-6},
                                            .nic_efficiency = 0.5},
                                pools, reader);
  problems.throw_if_any();
  return cluster;
}

std::vector<std::string> names(const Platform& platform, const PlatformRoute& route) {
  std::vector<std::string> all;
  for (const LinkId link : route.links) all.push_back(platform.links[link.index].name);
  return all;
}

}  // namespace

TEST_CASE("Two replicas of 4 share a host of 8, a third opens the next, and pools do not share hosts") {
  const PlacedCluster cluster = placed({pool("prefill", 3, 4), pool("decode", 1, 2)});
  CHECK(cluster.hosts == 3);
  CHECK(cluster.replicas.size() == 4);
  CHECK(boost::num_vertices(cluster.graph) == 1 + 3 + 4);  // switch, hosts, replicas
}

TEST_CASE("A hand-off goes over NVLink inside a host, and over both replicas' NICs between hosts") {
  const PlacedCluster cluster = placed({pool("prefill", 1, 4), pool("decode", 3, 4)});
  const RoutedCluster routed = route_hand_offs(cluster, std::vector{ReplicaId{0}, ReplicaId{1}},
                                               std::vector{ReplicaId{2}, ReplicaId{3}}, Seconds{1e-3});
  const auto between = routed.routes.flows(ReplicaId{0}, ReplicaId{2});
  REQUIRE(between.size() == 1);
  const PlatformRoute& nics = routed.platform.routes[between[0].route.index];
  CHECK(names(routed.platform, nics) == std::vector<std::string>{"prefill[0]>switch", "switch>decode[1]"});
  CHECK(routed.platform.links[nics.links[0].index].capacity.si == 4 * 50e9 * 0.5);
  CHECK(nics.latency.si == Approx(1e-3 + 2e-6));
  const PlatformRoute& nvlink =
      routed.platform.routes[routed.routes.flows(ReplicaId{1}, ReplicaId{2})[0].route.index];
  CHECK(names(routed.platform, nvlink) == std::vector<std::string>{"decode[0]>host-1", "host-1>decode[1]"});
  CHECK(routed.platform.links[nvlink.links[0].index].capacity.si == 4 * 450e9);
  CHECK(nvlink.latency.si == Approx(1e-3 + 10e-6));
}

TEST_CASE(
    "A pipeline of 4 stages of 4 spans two hosts and sends each half of the layers from where they are") {
  const PlacedCluster cluster = placed({pool("prefill", 1, 4, 4), pool("decode", 1, 8)});
  REQUIRE(cluster.replicas[0].size() == 2);
  const RoutedCluster routed =
      route_hand_offs(cluster, std::vector{ReplicaId{0}}, std::vector{ReplicaId{1}}, Seconds{0});
  const auto flows = routed.routes.flows(ReplicaId{0}, ReplicaId{1});
  REQUIRE(flows.size() == 2);
  CHECK(flows[0].share == 0.5);
  CHECK(flows[1].share == 0.5);
}

TEST_CASE("Pipelines of 3 and 2 hosts exchange exactly the layers that both ends hold: 1/3, 1/6, 1/6, 1/3") {
  const PlacedCluster cluster = placed({pool("prefill", 1, 8, 3), pool("decode", 1, 8, 2)});
  const RoutedCluster routed =
      route_hand_offs(cluster, std::vector{ReplicaId{0}}, std::vector{ReplicaId{1}}, Seconds{0});
  std::vector<double> shares;
  for (const NetworkFlow& flow : routed.routes.flows(ReplicaId{0}, ReplicaId{1}))
    shares.push_back(flow.share);
  REQUIRE(shares.size() == 4);
  CHECK(shares[0] == Approx(1.0 / 3));
  CHECK(shares[1] == Approx(1.0 / 6));
  CHECK(shares[2] == Approx(1.0 / 6));
  CHECK(shares[3] == Approx(1.0 / 3));
}

TEST_CASE("A stage of 16 accelerators takes two hosts of 8, each with half of the KV cache") {
  const PlacedCluster cluster = placed({pool("prefill", 1, 16), pool("decode", 1, 8)});
  CHECK(cluster.hosts == 3);
  REQUIRE(cluster.replicas[0].size() == 2);
  const RoutedCluster routed =
      route_hand_offs(cluster, std::vector{ReplicaId{0}}, std::vector{ReplicaId{1}}, Seconds{0});
  const auto flows = routed.routes.flows(ReplicaId{0}, ReplicaId{1});
  REQUIRE(flows.size() == 2);
  CHECK(flows[0].share == Approx(0.5));
  CHECK(flows[1].share == Approx(0.5));
}

TEST_CASE("A request of one of 8 data-parallel ranks leaves by one eighth of the host's ports") {
  PoolSetup ranks = pool("prefill", 1, 1);
  ranks.shape.parallelism.dp_attention = 8;
  const PlacedCluster cluster = placed({ranks, pool("decode", 1, 8)});
  const RoutedCluster routed =
      route_hand_offs(cluster, std::vector{ReplicaId{0}}, std::vector{ReplicaId{1}}, Seconds{0});
  const auto flows = routed.routes.flows(ReplicaId{0}, ReplicaId{1});
  REQUIRE(flows.size() == 1);
  const double port = ranks.shape.accelerator.nic_bandwidth->si;
  CHECK(flows[0].limit.si == Approx(port * 0.5));
}

TEST_CASE("A pool without NICs is refused, and so is one wider than its scale-up domain without them") {
  PoolSetup wide = pool("prefill", 1, 16);
  wide.shape.accelerator.nic_bandwidth.reset();
  CHECK_THROWS_WITH(placed({wide}),
                    Catch::Contains("16 accelerators a stage exceed the scale-up domain of 8"));
  PoolSetup isolated = pool("prefill", 1, 8);
  isolated.shape.accelerator.nic_bandwidth.reset();
  CHECK_THROWS_WITH(placed({isolated}), Catch::Contains("no published NIC bandwidth"));
}
