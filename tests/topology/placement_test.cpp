#include <catch2/catch.hpp>

#include "tests/topology/support.hpp"

using namespace disagg;
using test::placed;
using test::pool;
using test::routed;
using test::ways;

namespace {

// Names of the hosts of each replica's first part.
std::vector<std::string> hosts(const PlacedCluster& cluster) {
  std::vector<std::string> names;
  for (const auto& parts : cluster.replicas)
    names.push_back(cluster.fabric.graph[cluster.fabric.hosts[parts.front().host]].name);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE(
    "Packed placement fills 2 hosts with 4 replicas of 4; spread on 4 hosts deals them in turn, one each") {
  const std::vector pools{pool("prefill", 2, 4), pool("decode", 2, 4)};
  const std::string four = R"({ "kind": "leaf-spine", "hosts": 4, "hosts_per_leaf": 2 })";
  CHECK(hosts(placed(four, pools)) == Names{"host-0", "host-0", "host-1", "host-1"});
  CHECK(hosts(placed(four, pools, "\"spread\"")) == Names{"host-0", "host-2", "host-1", "host-3"});
}

TEST_CASE("Spread deals 8 hosts 6 to 2 to pools that need 3 and 1, every third or so to the smaller") {
  const std::vector pools{pool("prefill", 3, 8), pool("decode", 1, 8)};
  const PlacedCluster cluster = placed(R"({ "kind": "nvlink-hosts", "hosts": 8 })", pools, "\"spread\"");
  CHECK(hosts(cluster) == Names{"host-0", "host-1", "host-3", "host-2"});
  CHECK(cluster.hosts == 4);
}

TEST_CASE("One rack per pool: the pools' hosts hang on different leaves, and the fabric grows to have them") {
  const PlacedCluster cluster =
      placed(R"({ "kind": "leaf-spine", "hosts_per_leaf": 2 })",
             {pool("prefill", 2, 8), pool("decode", 1, 8)}, "\"one-rack-per-pool\"");
  CHECK(hosts(cluster) == Names{"host-0", "host-1", "host-2"});
  CHECK(cluster.fabric.hosts.size() == 4);
  CHECK_THROWS_WITH(placed(R"({ "kind": "leaf-spine", "hosts_per_leaf": 2 })",
                           {pool("prefill", 3, 8), pool("decode", 1, 8)}, "\"one-rack-per-pool\""),
                    "test:1:1: cluster.placement: one-rack-per-pool: pools[0] (prefill): needs a rack with 3 "
                    "hosts; topology "
                    "leaf-spine has 2 racks, and none that is left has so many");
}

TEST_CASE("Explicit placement takes the hosts listed, and says which host is unknown, taken or missing") {
  const std::vector pools{pool("prefill", 1, 8), pool("decode", 1, 8)};
  const std::string three = R"({ "kind": "nvlink-hosts", "hosts": 3 })";
  const auto on = [&](const std::string& listed) {
    return placed(three, pools, R"({ "kind": "explicit", "hosts": )" + listed + " }");
  };
  CHECK(hosts(on(R"({ "prefill": ["host-2"], "decode": ["host-0"] })")) == Names{"host-2", "host-0"});
  CHECK_THROWS_WITH(
      on(R"({ "prefill": ["host-9"], "decode": ["host-0"] })"),
      Catch::Contains(
          "cluster.placement: hosts.prefill: host 'host-9' is unknown; known: host-0 host-1 host-2"));
  CHECK_THROWS_WITH(on(R"({ "prefill": ["host-1"], "decode": ["host-1"] })"),
                    "test:1:1: cluster.placement: hosts.decode: 'host-1' is listed for 'prefill' already");
  CHECK_THROWS_WITH(on(R"({ "prefill": ["host-1"] })"),
                    "test:1:1: cluster.placement: hosts: lists none for pool 'decode'");
  CHECK_THROWS_WITH(on(R"({ "prefill": ["host-1"], "decode": [] })"),
                    "test:1:1: cluster.placement: hosts.decode: lists 0 hosts where the pool needs 1");
  CHECK_THROWS_WITH(on(R"({ "prefill": ["host-1"], "decode": ["host-0"], "decoder": [] })"),
                    Catch::Contains("hosts: pool 'decoder' is unknown; known: prefill decode"));
}

TEST_CASE("Pools that need 5 hosts of a torus of 4 are refused, and so is one that needs 5 by itself") {
  const std::string torus = R"({ "kind": "torus", "dimensions": [2, 2], "link_bandwidth": "50 GB/s" })";
  CHECK_THROWS_WITH(placed(torus, {pool("prefill", 3, 8), pool("decode", 2, 8)}),
                    "test:1:1: cluster.pools: pools[1] (decode): needs 2 hosts, and topology torus leaves 1 "
                    "of its 4 hosts");
  CHECK_THROWS_WITH(
      placed(torus, {pool("prefill", 5, 8), pool("decode", 1, 8)}),
      "test:1:1: cluster.pools: pools[0] (prefill): needs 5 hosts, and topology torus has only 4");
}

TEST_CASE("17 hosts exceed the radix of 16 of an optical star") {
  CHECK_THROWS_WITH(placed(R"("optical-star")", {pool("prefill", 9, 8), pool("decode", 8, 8)}),
                    "test:1:1: cluster.topology: optical-star: 17 hosts exceed its radix of 16");
}

TEST_CASE("An NVL72 rack is one scale-up domain: 9 replicas of 8 stand in it, and one of 16 is not cut") {
  const PlacedCluster cluster = placed(R"("nvl72")", {pool("prefill", 9, 8), pool("decode", 1, 16)});
  CHECK(hosts(cluster) == Names{"rack-0", "rack-0", "rack-0", "rack-0", "rack-0", "rack-0", "rack-0",
                                "rack-0", "rack-0", "rack-1"});
  CHECK(cluster.replicas[9].size() == 1);
  CHECK(cluster.pools[0].scale_up_domain == 72);
  CHECK(placed(R"("leaf-spine")", {pool("prefill", 1, 8), pool("decode", 1, 16)}).pools[1].scale_up_domain ==
        8);
}

TEST_CASE("A torus host's 4 links of 80 GB/s give each of its 8 accelerators 40 GB/s for collectives") {
  const PlacedCluster cluster =
      placed(R"({ "kind": "torus", "dimensions": [4, 4], "link_bandwidth": "80 GB/s" })",
             {pool("prefill", 1, 8), pool("decode", 1, 8)});
  CHECK(cluster.pools[0].nic_bandwidth->si == 40e9);
}

TEST_CASE("Pools with unlike NICs each have their own on every topology that has NICs") {
  PoolSetup fast = pool("decode", 1, 8);
  fast.shape.accelerator.nic_bandwidth = BytesPerSecond{100e9};
  for (const std::string kind : {"nvlink-hosts", "nvl72", "leaf-spine", "dragonfly"}) {
    INFO(kind);
    const PlacedCluster cluster =
        placed(R"({ "kind": ")" + kind + R"(", "nic_efficiency": 1 })", {pool("prefill", 1, 8), fast});
    const RoutedCluster routes = routed(cluster, {0}, {1});
    const PlatformRoute& way = routes.platform.routes.at(0);
    CHECK(routes.platform.links[way.links.front().index].capacity.si == 8 * 50e9);
    CHECK(routes.platform.links[way.links.back().index].capacity.si == 8 * 100e9);
  }
}

TEST_CASE("Rails: a hand-off of 8 NICs goes over 8 rails, one flow each, and over one when hashed") {
  const std::vector pools{pool("prefill", 1, 8), pool("decode", 1, 8)};
  const RoutedCluster striped =
      routed(placed(R"({ "kind": "rail-optimized", "hosts_per_unit": 2 })", pools), {0}, {1});
  const auto flows = ways(striped, 0, 1);
  REQUIRE(flows.size() == 8);
  for (std::size_t rail = 0; rail < 8; ++rail) {
    const std::string leaf = "unit-0.rail-" + std::to_string(rail);
    CHECK(flows[rail] == Names{"prefill[0]>" + leaf, leaf + ">decode[0]"});
  }
  const RoutedCluster hashed = routed(
      placed(R"({ "kind": "rail-optimized", "hosts_per_unit": 2, "rails": "hashed" })", pools), {0}, {1});
  CHECK(ways(hashed, 0, 1).size() == 1);
}

TEST_CASE("Rails of different units meet in a spine, and a replica of 2 sends over its own 2 rails") {
  const PlacedCluster cluster = placed(R"({ "kind": "rail-optimized", "hosts_per_unit": 1, "spines": 1 })",
                                       {pool("prefill", 2, 2), pool("decode", 1, 8)});
  const auto flows = ways(routed(cluster, {1}, {2}), 1, 2);
  REQUIRE(flows.size() == 2);
  CHECK(flows[0] == Names{"prefill[1]>unit-0.rail-2", "unit-0.rail-2>spine-0", "spine-0>unit-1.rail-2",
                          "unit-1.rail-2>decode[0]"});
  CHECK(flows[1].front() == "prefill[1]>unit-0.rail-3");
}

TEST_CASE(
    "Equal ways are chosen by a hash: 64 flows over 4 spines use all of them, the same ones each time") {
  const std::vector pools{pool("prefill", 8, 8), pool("decode", 8, 8)};
  const std::string text = R"({ "kind": "leaf-spine", "hosts_per_leaf": 8, "spines": 4 })";
  const std::vector<std::uint32_t> from{0, 1, 2, 3, 4, 5, 6, 7}, to{8, 9, 10, 11, 12, 13, 14, 15};
  const RoutedCluster once = routed(placed(text, pools), from, to);
  const RoutedCluster again = routed(placed(text, pools), from, to);
  std::map<std::string, int> spines;
  for (const std::uint32_t a : from) {
    for (const std::uint32_t b : to) {
      CHECK(ways(once, a, b) == ways(again, a, b));
      REQUIRE(ways(once, a, b).at(0).size() == 4);
      ++spines[ways(once, a, b).at(0).at(1)];
    }
  }
  CHECK(spines.size() == 4);
  for (const auto& [link, flows] : spines) CHECK(flows >= 6);
}

TEST_CASE("Hosts do not forward for others: two switches that only a host joins stay apart") {
  const std::string middle =
      R"({ "name": "s0", "kind": "switch" }, { "name": "s1", "kind": "switch" }, { "name": "a", "kind": "host", "accelerators": 8 },
         { "name": "b", "kind": "KIND", "accelerators": 8 }, { "name": "c", "kind": "host", "accelerators": 8 })";
  const auto graph = [&](const std::string& kind) {
    const auto edge = [](const std::string& from, const std::string& to) {
      return R"({ "from": ")" + from + R"(", "to": ")" + to +
             R"(", "medium": "ethernet", "bandwidth": "50 GB/s", "latency": "1 us" })";
    };
    std::string vertices = middle;
    vertices.replace(vertices.find("KIND"), 4, kind);
    return R"({ "kind": "graph", "vertices": [)" + vertices + R"(], "edges": [)" + edge("a", "s0") + "," +
           edge("b", "s0") + "," + edge("b", "s1") + "," + edge("c", "s1") + "] }";
  };
  CHECK_THROWS_WITH(test::topology(graph("host")),
                    "test:1:15: cluster.topology: is not connected: there is no way from 'a' to 'c'");
  CHECK_NOTHROW(test::topology(graph("router")));
}

TEST_CASE("Of two ways with as few hops the wider is taken, wherever it stands in the list") {
  const auto edge = [](const std::string& from, const std::string& to, const std::string& bandwidth) {
    return R"({ "from": ")" + from + R"(", "to": ")" + to +
           R"(", "medium": "ethernet", "latency": "1 us", "bandwidth": ")" + bandwidth + R"(" })";
  };
  const std::string vertices =
      R"("vertices": [ { "name": "a", "kind": "host", "accelerators": 8 }, { "name": "b", "kind": "host", "accelerators": 8 },
         { "name": "narrow", "kind": "switch" }, { "name": "wide", "kind": "switch" }, { "name": "far", "kind": "switch" } ], )";
  // Wider still, but a hop longer.
  const std::string far = edge("a", "far", "900 GB/s") + "," + edge("far", "wide", "900 GB/s");
  const std::string narrow = edge("a", "narrow", "40 GB/s") + "," + edge("narrow", "b", "40 GB/s");
  const std::string wide = edge("a", "wide", "50 GB/s") + "," + edge("wide", "b", "50 GB/s");
  for (const std::string& edges : {far + "," + narrow + "," + wide, wide + "," + narrow + "," + far}) {
    const PlacedCluster cluster =
        placed(R"({ "kind": "graph", )" + vertices + R"("edges": [)" + edges + "] }",
               {pool("prefill", 8, 1), pool("decode", 1, 8)});
    const RoutedCluster routes = routed(cluster, {0, 1, 2, 3, 4, 5, 6, 7}, {8});
    for (std::uint32_t from = 0; from < 8; ++from)
      CHECK(ways(routes, from, 8).at(0) ==
            Names{"prefill[" + std::to_string(from) + "]>a", "a>wide", "wide>b", "b>decode[0]"});
  }
}

TEST_CASE("The 8 stripes of a hand-off between units use several of 4 spines") {
  const PlacedCluster cluster = placed(R"({ "kind": "rail-optimized", "hosts_per_unit": 1, "spines": 4 })",
                                       {pool("prefill", 1, 8), pool("decode", 1, 8)});
  std::map<std::string, int> spines;
  for (const Names& way : ways(routed(cluster, {0}, {1}), 0, 1))
    ++spines[way.at(1).substr(way.at(1).find('>'))];
  CHECK(spines.size() >= 3);
}
