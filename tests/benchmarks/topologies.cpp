// Time to build a fabric, place replicas of 8 on it and route all hand-offs between half of them and the
// other.
#include <benchmark/benchmark.h>

#include "sim/base/one_of.hpp"
#include "topology/topology.hpp"

using namespace disagg;

namespace {

void build_and_route(benchmark::State& state, const std::string& topology) {
  const std::int64_t replicas = state.range(0) / 8 / 2;
  std::vector<PoolSetup> pools(2);
  std::vector<ReplicaId> from, to;
  for (std::size_t i = 0; i < 2; ++i) {
    pools[i].name = i == 0 ? "prefill" : "decode";
    pools[i].role = i == 0 ? Role::prefill : Role::decode;
    pools[i].replicas = replicas;
    pools[i].shape.parallelism.tp = 8;
    pools[i].shape.accelerator.scale_up_domain = 8;
    pools[i].shape.accelerator.scale_up_bandwidth = BytesPerSecond{450e9};
    pools[i].shape.accelerator.nic_bandwidth = BytesPerSecond{50e9};
  }
  for (std::uint32_t i = 0; i < replicas; ++i) {
    from.push_back({i});
    to.push_back({i + static_cast<std::uint32_t>(replicas)});
  }
  for (auto step : state) {
    ConfigNode node = parse_config(R"({ "topology": )" + topology + " }", "benchmark");
    Problems problems;
    Reader reader(node, "cluster", problems);
    const auto policy = OneOf<TopologyPolicy>::read(*reader.variant("topology"));
    const PlacedCluster placed = place(*policy, pools, reader);
    problems.throw_if_any();
    benchmark::DoNotOptimize(route_hand_offs(placed, from, to, Seconds{0}));
  }
  state.counters["routes"] = static_cast<double>(replicas * replicas);
}

void nvlink_hosts(benchmark::State& state) { build_and_route(state, R"("nvlink-hosts")"); }
void leaf_spine(benchmark::State& state) {
  build_and_route(state, R"({ "kind": "leaf-spine", "hosts_per_leaf": 16, "spines": 16 })");
}
void dragonfly(benchmark::State& state) {
  build_and_route(
      state,
      state.range(0) <= 1024
          ? R"({ "kind": "dragonfly", "hosts_per_router": 2, "routers_per_group": 4, "global_links": 4 })"
          : R"({ "kind": "dragonfly", "hosts_per_router": 4, "routers_per_group": 8, "global_links": 4 })");
}
void torus(benchmark::State& state) {
  build_and_route(state,
                  state.range(0) <= 1024
                      ? R"({ "kind": "torus", "dimensions": [8, 4, 4], "link_bandwidth": "100 GB/s" })"
                      : R"({ "kind": "torus", "dimensions": [16, 8, 8], "link_bandwidth": "100 GB/s" })");
}
// 8 flows a hand-off.
void rails(benchmark::State& state) {
  build_and_route(state, R"({ "kind": "rail-optimized", "hosts_per_unit": 32, "spines": 16 })");
}

}  // namespace

BENCHMARK(nvlink_hosts)->Arg(1024)->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(leaf_spine)->Arg(1024)->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(dragonfly)->Arg(1024)->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(torus)->Arg(1024)->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(rails)->Arg(1024)->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK_MAIN();
