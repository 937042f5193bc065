#include "topology/analysis.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/topology/support.hpp"

using namespace disagg;
using test::fabric;
using test::placed;
using test::pool;
using test::routed;

namespace {

// Over all ordered pairs of different hosts.
double mean_hops(const Fabric& fabric) {
  double sum = 0;
  for (const TopologyVertexId from : fabric.hosts) {
    const Ways ways(fabric.graph, from);
    for (const TopologyVertexId to : fabric.hosts) sum += ways.hops(to);
  }
  const auto hosts = static_cast<double>(fabric.hosts.size());
  return sum / (hosts * (hosts - 1));
}

std::int64_t count(const FabricAnalysis& analysis, VertexKind kind) {
  for (const auto& [each, number] : analysis.vertices)
    if (each == kind) return number;
  return 0;
}

}  // namespace

TEST_CASE(
    "A k-ary n-cube torus has diameter n k/2, mean distance n k/4 and 2 k^(n-1) links across its middle") {
  struct Case {
    const char* dimensions;
    std::uint32_t k, n;
  };
  for (const Case& c :
       {Case{"[4, 4]", 4, 2}, Case{"[8, 8]", 8, 2}, Case{"[4, 4, 4]", 4, 3}, Case{"[6, 6, 6]", 6, 3}}) {
    INFO(c.dimensions);
    const Fabric torus = fabric(R"({ "kind": "torus", "link_bandwidth": "100 GB/s", "dimensions": )" +
                                    std::string(c.dimensions) + " }",
                                1);
    const double hosts = std::pow(c.k, c.n);
    REQUIRE(static_cast<double>(torus.hosts.size()) == hosts);
    const FabricAnalysis analysis = analyse(torus);
    CHECK(analysis.diameter == c.n * c.k / 2);
    CHECK(mean_hops(torus) == Approx(c.n * c.k / 4.0 * hosts / (hosts - 1)).epsilon(1e-12));
    CHECK(analysis.bisection->si == 2 * std::pow(c.k, c.n - 1) * 100e9);
    CHECK(static_cast<double>(analysis.links.at(0).ports) == c.n * hosts);
    CHECK(analysis.latency.si == Approx(1e-6 * c.n * c.k / 2));
    CHECK(analysis.single_points.empty());
  }
}

TEST_CASE("A torus of 8 x 4 x 2 is cut across its longest dimension: 2 x 4 x 2 links") {
  const FabricAnalysis analysis =
      analyse(fabric(R"({ "kind": "torus", "link_bandwidth": "100 GB/s", "dimensions": [8, 2, 4] })", 1));
  CHECK(analysis.bisection->si == 16 * 100e9);
  CHECK(analysis.diameter == 4 + 2 + 1);
}

TEST_CASE(
    "A fat tree of k-port switches has k^2/2 hosts 2 or 4 hops apart and full bisection; oversubscribed by "
    "3, a third") {
  for (const std::int64_t k : {4, 8, 16}) {
    INFO(k);
    const std::string half = std::to_string(k / 2);
    const auto build = [&](const std::string& oversubscription) {
      return fabric(R"({ "kind": "leaf-spine", "nic_efficiency": 1, "hosts_per_leaf": )" + half +
                        R"(, "spines": )" + half + R"(, "oversubscription": )" + oversubscription + " }",
                    k * k / 2, 1);
    };
    const Fabric tree = build("1");
    const auto hosts = static_cast<double>(k * k / 2);
    const FabricAnalysis analysis = analyse(tree);
    CHECK(count(analysis, VertexKind::leaf_switch) == k);
    CHECK(count(analysis, VertexKind::spine_switch) == k / 2);
    CHECK(analysis.links.at(0).ports == k * k / 2 + k * k / 2);
    CHECK(analysis.diameter == 4);
    const double near = static_cast<double>(k) / 2 - 1;
    CHECK(mean_hops(tree) == Approx((2 * near + 4 * (hosts - 1 - near)) / (hosts - 1)).epsilon(1e-12));
    CHECK(analysis.bisection->si == hosts / 2 * 50e9);
    CHECK(analysis.oversubscription() == 1);
    CHECK(static_cast<std::int64_t>(analysis.single_points.size()) == k);  // a host hangs on one leaf
    const FabricAnalysis thin = analyse(build("3"));
    CHECK(thin.bisection->si == Approx(hosts / 6 * 50e9).epsilon(1e-9));
    CHECK(thin.oversubscription() == Approx(3).epsilon(1e-9));
  }
}

TEST_CASE(
    "Rails of 2, 4 and 8 units: hosts 2 or 4 hops apart, bisection of all NICs over the oversubscription, no "
    "single point of failure") {
  for (const std::int64_t units : {2, 4, 8}) {
    INFO(units);
    const Fabric rails = fabric(
        R"({ "kind": "rail-optimized", "nic_efficiency": 1, "hosts_per_unit": 4, "spines": 4, "oversubscription": 2 })",
        units * 4);
    const FabricAnalysis analysis = analyse(rails);
    CHECK(count(analysis, VertexKind::leaf_switch) == units * 8);
    CHECK(analysis.diameter == 4);
    const auto hosts = static_cast<double>(units * 4);
    CHECK(mean_hops(rails) == Approx((2 * 3 + 4 * (hosts - 4)) / (hosts - 1)).epsilon(1e-12));
    CHECK(analysis.bisection->si == hosts / 2 * 8 * 50e9 / 2);
    CHECK(analysis.single_points.empty());
  }
}

TEST_CASE(
    "A canonical dragonfly of g groups has routers at most 3 hops apart and (g/2)^2 links between its "
    "halves") {
  struct Case {
    std::int64_t p, a, h;
  };
  for (const Case& c : {Case{1, 3, 1}, Case{1, 5, 1}, Case{2, 3, 3}}) {
    INFO(c.p << " " << c.a << " " << c.h);
    const Fabric dragonfly = fabric(
        R"({ "kind": "dragonfly", "nic_efficiency": 1, "global_bandwidth": "1 GB/s", "local_bandwidth": "100 TB/s", "hosts_per_router": )" +
            std::to_string(c.p) + R"(, "routers_per_group": )" + std::to_string(c.a) +
            R"(, "global_links": )" + std::to_string(c.h) + " }",
        1);
    const std::int64_t groups = c.a * c.h + 1;
    const FabricAnalysis analysis = analyse(dragonfly);
    CHECK(count(analysis, VertexKind::router) == groups * c.a);
    CHECK(count(analysis, VertexKind::host) == groups * c.a * c.p);
    CHECK(analysis.diameter == 1 + 3 + 1);
    CHECK(analysis.bisection->si == static_cast<double>(groups / 2 * (groups / 2)) * 1e9);
    // Every router has links to the others of its group, `h` to other groups, and its hosts.
    for (auto [v, end] = boost::vertices(dragonfly.graph); v != end; ++v)
      if (dragonfly.graph[*v].kind == VertexKind::router)
        CHECK(static_cast<std::int64_t>(boost::out_degree(*v, dragonfly.graph)) == c.a - 1 + c.h + c.p);
  }
}

TEST_CASE("A star fails with its switch, and bisection is half the hosts' ports") {
  const FabricAnalysis analysis = analyse(fabric(R"({ "kind": "nvlink-hosts", "nic_efficiency": 0.5 })", 6));
  CHECK(analysis.single_points == std::vector<std::string>{"switch"});
  CHECK(analysis.diameter == 2);
  CHECK(analysis.bisection->si == 3 * 8 * 25e9);
  CHECK(analysis.accelerators == 48);
  CHECK_FALSE(analyse(fabric(R"("nvlink-hosts")", 1)).bisection);
}

TEST_CASE(
    "3 prefill replicas that hand off to 1 load its NICs with all bytes and their own with a third each") {
  const PlacedCluster cluster = placed(R"({ "kind": "nvlink-hosts", "nic_efficiency": 1 })",
                                       {pool("prefill", 3, 8), pool("decode", 1, 8)});
  const RoutedCluster routes = routed(cluster, {0, 1, 2}, {3});
  const std::vector<ReplicaId> from{{0}, {1}, {2}}, to{{3}};
  const auto loads = link_loads(routes.platform, routes.routes, from, to);
  REQUIRE(loads.size() == 4);
  CHECK(routes.platform.links[loads[0].link.index].name == "switch>decode[0]");
  CHECK(loads[0].share == Approx(1));
  CHECK(loads[0].flows == 3);
  for (std::size_t i = 1; i < 4; ++i) CHECK(loads[i].share == Approx(1.0 / 3));
}

TEST_CASE("The energy of a link is its edge's own, else its medium's, and none where none is published") {
  const auto energy = [](const std::string& edge) {
    return analyse(
               fabric(R"({ "kind": "graph", "vertices": [ { "name": "a", "kind": "host", "accelerators": 1 },
        { "name": "b", "kind": "host", "accelerators": 1 } ], "edges": [ { "from": "a", "to": "b", "bandwidth": "1 GB/s", "latency": "0 s", )" +
                          edge + " } ] }",
                      2))
        .links.at(0);
  };
  CHECK(energy(R"("medium": "optical", "energy": "2 pJ/bit")").energy->si == Approx(16e-12));
  CHECK(energy(R"("medium": "optical", "energy": "2 pJ/bit")").energy_given);
  CHECK(energy(R"("medium": "optical")").energy->si == Approx(40e-12));
  CHECK_FALSE(energy(R"("medium": "cxl")").energy);
}

TEST_CASE("Rings of two have one link: a torus of 2 x 2 x 2 is a cube of 12 links with 4 across its middle") {
  const FabricAnalysis analysis =
      analyse(fabric(R"({ "kind": "torus", "link_bandwidth": "100 GB/s", "dimensions": [2, 2, 2] })", 1));
  CHECK(analysis.links.at(0).ports == 12);
  CHECK(analysis.bisection->si == 4 * 100e9);
  CHECK(analysis.diameter == 3);
}
