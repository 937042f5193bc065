#include <catch2/catch.hpp>
#include <simgrid/s4u.hpp>

#include "tests/experiments/program.hpp"
#include "tests/topology/support.hpp"
#include "topology/analysis.hpp"
#include "topology/export.hpp"

using namespace disagg;
using test::placed;
using test::pool;
using test::routed;
using test::TemporaryFolder;
using test::with;
using test::write_text;

namespace {

const std::string kGraph = R"({ "kind": "graph",
  "vertices": [ { "name": "a", "kind": "host", "accelerators": 8 }, { "name": "b", "kind": "host", "accelerators": 8 },
                { "name": "s", "kind": "switch" } ],
  "edges": [ { "from": "a", "to": "s", "medium": "ethernet", "bandwidth": "50 GB/s", "latency": "1 us" },
             { "from": "b", "to": "s", "medium": "ethernet", "bandwidth": "50 GB/s", "latency": "1 us" } ] })";

std::string problem(std::string_view from, std::string_view to) {
  try {
    test::topology(with(kGraph, from, to));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

std::string graphml_problem(const std::string& text) {
  const TemporaryFolder folder;
  write_text(folder / "f.graphml", text);
  const std::string file = (folder / "f.graphml").string();
  try {
    test::topology(R"({ "kind": "graphml", "file": ")" + file + R"(" })");
  } catch (const ConfigError& error) {
    std::string what = error.what();
    for (auto at = what.find(file); at != std::string::npos; at = what.find(file))
      what.replace(at, file.size(), "FILE");
    return what;
  }
  return "";
}

}  // namespace

TEST_CASE("Drawn graphs that cannot be are refused with exactly these words") {
  CHECK(problem("\"ethernet\"", "\"carrier-pigeon\"") ==
        "test:4:50: cluster.topology.edges[0].medium: 'carrier-pigeon' is unknown; known: nvlink nvlink-c2c "
        "pcie infiniband "
        "ethernet cxl optical");
  CHECK(problem("\"50 GB/s\"", "\"0 GB/s\"") ==
        "test:4:75: cluster.topology.edges[0].bandwidth: must be greater than zero");
  CHECK(problem(R"("from": "a")", R"("from": "z")") ==
        "test:4:24: cluster.topology.edges[0].from: there is no vertex named 'z'");
  CHECK(problem(R"("from": "b", "to": "s")", R"("from": "a", "to": "s")") ==
        "test:1:15: cluster.topology: is not connected: there is no way from 'a' to 'b'");
  CHECK(problem(R"("name": "b", "kind": "host")", R"("name": "a", "kind": "host")")
            .find("vertices[1].name: two vertices are named 'a'") != std::string::npos);
  CHECK(problem(R"("kind": "switch")", R"("kind": "swich")") ==
        "test:3:40: cluster.topology.vertices[2].kind: 'swich' is unknown; known: host scale-up-switch "
        "switch leaf-switch "
        "spine-switch core-switch router nic optical-port photonic-fabric circuit-switch memory-pool; did "
        "you mean "
        "'switch'?");
  CHECK(problem(R"("latency": "1 us" },)", R"("latency": "1 us", "both_ways": false },)") ==
        "test:1:15: cluster.topology: is not connected: there is no way from 'b' to 'a'");
  CHECK(problem(R"("latency": "1 us" },)", R"("latency": "1 us", "sharing": "per-accelerator" },)") ==
        "test:4:14: cluster.topology.edges[0].ports: must be the 8 accelerators of its host where each has "
        "its own");
  CHECK(problem(R"("latency": "1 us" },)",
                R"("latency": "1 us", "sharing": "one-accelerator", "accelerator": 8 },)") ==
        "test:4:150: cluster.topology.edges[0].accelerator: its host has only 8 accelerators");
  CHECK(problem(R"("to": "s")", R"("to": "a")")
            .find("edges[0].to: an edge joins two vertices, not one with itself") != std::string::npos);
}

TEST_CASE("GraphML files that are damaged, undirected, or lack keys are refused with file and reason") {
  const std::string good = graphml_of(test::fabric(R"("leaf-spine")", 2));
  CHECK(graphml_problem(good).empty());
  CHECK(graphml_problem("no xml").find("test:1:44: cluster.topology.file: 'FILE' is not GraphML: ") == 0);
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i) deep += "<a>";
  CHECK(graphml_problem(deep) ==
        "test:1:44: cluster.topology.file: 'FILE' is not GraphML: is nested more than 100 levels deep");
  CHECK(graphml_problem(with(good, "edgedefault=\"directed\"", "edgedefault=\"undirected\"")) ==
        "test:1:44: cluster.topology.file: 'FILE' is undirected; list every direction of a link as an edge "
        "of its own "
        "(edgedefault=\"directed\")");
  CHECK(graphml_problem(with(good, "attr.name=\"kind\"", "attr.name=\"type\""))
            .find("FILE: vertices[0]: 'kind' is missing\n") == 0);
  CHECK(graphml_problem(with(good, "attr.name=\"bandwidth\"", "attr.name=\"speed\""))
            .find("edges[0]: 'bandwidth' is missing") != std::string::npos);
  CHECK(graphml_problem(with(good, ">infiniband<", ">string<"))
            .find(".medium: 'string' is unknown; known: nvlink ") != std::string::npos);
  try {
    test::topology(R"({ "kind": "graphml", "file": "/nowhere/f.graphml" })");
    FAIL("a file that does not exist was read");
  } catch (const ConfigError& error) {
    CHECK(std::string(error.what()).find("'/nowhere/f.graphml' cannot be read: ") != std::string::npos);
  }
}

TEST_CASE(
    "Every topology comes back from GraphML with the same vertices, edges, distances and hand-off routes") {
  const TemporaryFolder folder;
  const std::string file = (folder / "f.graphml").string();
  const std::vector pools{pool("prefill", 3, 4), pool("decode", 1, 8)};
  for (const std::string text :
       {R"("nvlink-hosts")", R"({ "kind": "nvl72", "racks": 2 })",
        R"({ "kind": "leaf-spine", "hosts_per_leaf": 1 })",
        R"({ "kind": "rail-optimized", "hosts_per_unit": 1 })",
        R"({ "kind": "torus", "dimensions": [3, 2], "link_bandwidth": "50 GB/s" })", R"("dragonfly")",
        R"("optical-star")", R"("optical-circuit-switch")", kGraph.c_str()}) {
    INFO(text);
    const bool two_hosts_only = text == kGraph;
    const std::vector used =
        two_hosts_only ? std::vector{pool("prefill", 1, 4), pool("decode", 1, 8)} : pools;
    const PlacedCluster cluster = placed(text, used);
    write_text(file, graphml_of(cluster.fabric));
    const PlacedCluster again = placed(R"({ "kind": "graphml", "file": ")" + file + R"(" })", used);
    const FabricAnalysis a = analyse(cluster.fabric), b = analyse(again.fabric);
    CHECK(a.vertices == b.vertices);
    CHECK(a.diameter == b.diameter);
    CHECK(a.latency == b.latency);
    CHECK(a.bisection == b.bisection);
    const auto last = static_cast<std::uint32_t>(used[0].replicas);
    const RoutedCluster x = routed(cluster, {0}, {last}), y = routed(again, {0}, {last});
    CHECK(test::ways(x, 0, last) == test::ways(y, 0, last));
    CHECK(x.platform.routes.at(0).latency.si == Approx(y.platform.routes.at(0).latency.si).epsilon(1e-12));
    for (std::size_t i = 0; i < x.platform.routes.size(); ++i)
      for (std::size_t hop = 0; hop < x.platform.routes[i].links.size(); ++hop)
        CHECK(x.platform.links[x.platform.routes[i].links[hop].index].capacity ==
              y.platform.links[y.platform.routes[i].links[hop].index].capacity);
  }
}

TEST_CASE("SimGrid loads the exported platform and finds the same way with the same bandwidths and latency") {
  const PlacedCluster cluster = placed(R"({ "kind": "leaf-spine", "hosts_per_leaf": 1, "spines": 1 })",
                                       {pool("prefill", 1, 8), pool("decode", 1, 8)});
  const TemporaryFolder folder;
  const std::string file = (folder / "f.xml").string();
  write_text(file, simgrid_platform_of(cluster));
  std::string name = "test", quiet = "--log=root.thres:critical";
  char* arguments[] = {name.data(), quiet.data(), nullptr};
  int count = 2;
  auto* engine = new simgrid::s4u::Engine(&count, arguments);  // cannot be deleted and made anew
  engine->load_platform(file);
  engine->seal_platform();
  CHECK(engine->get_link_count() >= boost::num_edges(cluster.graph));
  std::vector<simgrid::s4u::Link*> links;
  double latency = 0;
  engine->host_by_name("prefill[0]")->route_to(engine->host_by_name("decode[0]"), links, &latency);
  const RoutedCluster routes = routed(cluster, {0}, {1});
  const PlatformRoute& way = routes.platform.routes.at(0);
  REQUIRE(links.size() == way.links.size());
  for (std::size_t i = 0; i < links.size(); ++i)
    CHECK(links[i]->get_bandwidth() == routes.platform.links[way.links[i].index].capacity.si);
  CHECK(latency == Approx(way.latency.si).epsilon(1e-12));
}

TEST_CASE("A drawing names every host and switch, and every replica on its host") {
  const std::string drawing =
      dot_of(placed(R"("leaf-spine")", {pool("prefill", 2, 4), pool("decode", 1, 8)}));
  CHECK(drawing.find("digraph fabric {") == 0);
  CHECK(drawing.find(R"([label="leaf-0"])") != std::string::npos);
  CHECK(drawing.find(R"([label="host-0\n8 accelerators\nprefill[0]\nprefill[1]")") != std::string::npos);
  CHECK(drawing.find(R"([color=royalblue, dir=both, label="8 x 36.5 GB/s"])") != std::string::npos);
}
