// CPU time and allocations per completed flow of both network solvers, against the number of flows at a time:
// each flow that ends starts another between two random hosts of 1,024, of 10 to 100 MB.
#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "experiments/processes.hpp"
#include "sim/base/random.hpp"
#include "sim/engine/network.hpp"

namespace {

std::size_t allocations = 0;

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace disagg;

namespace {

constexpr std::uint32_t kHosts = 1024;
constexpr std::uint32_t kHostsOfLeaf = 32;
constexpr std::uint32_t kLeaves = kHosts / kHostsOfLeaf;
constexpr std::uint32_t kSpines = 32;  // as many as hosts of a leaf: not oversubscribed
constexpr std::size_t kRoutes = 8192;
constexpr BytesPerSecond kPort{50e9};

// Links 0 to 1023 lead from the hosts, the next 1,024 to them; in the fat tree then those from each leaf to
// each spine, then back.
Platform platform(bool fat_tree) {
  Platform p;
  p.endpoints = kHosts;
  const std::uint32_t links = 2 * kHosts + (fat_tree ? 2 * kLeaves * kSpines : 0);
  for (std::uint32_t i = 0; i < links; ++i) p.links.push_back({"link-" + std::to_string(i), kPort, {}});
  auto random = random_stream(1, "routes");
  boost::random::uniform_int_distribution<std::uint32_t> host(0, kHosts - 1);
  std::set<std::pair<std::uint32_t, std::uint32_t>> pairs;
  while (p.routes.size() < kRoutes) {
    const std::uint32_t from = host(random);
    const std::uint32_t to = host(random);
    if (from == to || !pairs.emplace(from, to).second) continue;
    PlatformRoute route{.from = from, .to = to, .links = {LinkId{from}}, .latency = {}};
    const std::uint32_t leaf = from / kHostsOfLeaf;
    const std::uint32_t other = to / kHostsOfLeaf;
    if (fat_tree && leaf != other) {
      const std::uint32_t spine = to % kSpines;
      route.links.push_back(LinkId{2 * kHosts + leaf * kSpines + spine});
      route.links.push_back(LinkId{2 * kHosts + (kLeaves + other) * kSpines + spine});
    }
    route.links.push_back(LinkId{kHosts + to});
    p.routes.push_back(std::move(route));
  }
  return p;
}

struct Traffic {
  std::unique_ptr<Network> network;
  RandomEngine random = random_stream(1, "traffic");
  Seconds now{};
  std::int64_t completed = 0;

  void start() {
    boost::random::uniform_int_distribution<std::uint32_t> route(0, kRoutes - 1);
    boost::random::uniform_real_distribution<double> megabytes(10, 100);
    const RouteId r{route(random)};
    const Bytes bytes{megabytes(random) * 1e6};
    network->start(now, r, bytes, Network::kNoLimit,
                   [this] {
                     ++completed;
                     start();
                   },
                   {});
  }
  void complete(std::int64_t number) {
    while (completed < number) {
      now = std::max(now, network->next_date());
      network->advance_to(now);
    }
  }
};

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// "microseconds allocations" of a completion.
std::string measure(bool fat_tree, const NetworkSolver& solver, int flows) {
  const Platform hosts = platform(fat_tree);
  Traffic traffic;
  traffic.network = std::visit([&](const auto& s) { return s.make(hosts); }, solver);
  for (int i = 0; i < flows; ++i) traffic.start();
  traffic.complete(flows < 1000 ? 2000 : 300);  // warm up
  const std::int64_t before = traffic.completed;
  const std::size_t allocated = allocations;
  const double from = cpu_seconds();
  while (cpu_seconds() < from + 1) traffic.complete(traffic.completed + 50);
  const double seconds = cpu_seconds() - from;
  const auto completions = static_cast<double>(traffic.completed - before);
  return std::to_string(seconds / completions * 1e6) + " " +
         std::to_string(static_cast<double>(allocations - allocated) / completions);
}

}  // namespace

int main() {
  std::printf("%-10s %6s %14s %14s %8s %22s %20s\n", "network", "flows", "SimGrid us", "fluid us", "ratio",
              "SimGrid allocations", "fluid allocations");
  for (const bool fat_tree : {false, true}) {
    for (const int flows : {1, 10, 100, 1000, 5000}) {
      double micros[2] = {};
      double allocated[2] = {};
      // A process for each: SimGrid allows one engine in a process.
      run_forked(
          2, 1,
          [&](std::size_t i) {
            return measure(fat_tree, i == 0 ? NetworkSolver(SimgridSolver{}) : NetworkSolver(FluidSolver{}),
                           flows);
          },
          [&](std::size_t i, const TaskResult& result) {
            if (result.code != exit_code::kDone ||
                std::sscanf(result.output.c_str(), "%lf %lf", &micros[i], &allocated[i]) != 2) {
              std::fprintf(stderr, "%s\n", result.output.c_str());
              std::exit(1);
            }
          });
      std::printf("%-10s %6d %14.2f %14.2f %8.1f %22.2f %20.3f\n", fat_tree ? "fat tree" : "star", flows,
                  micros[0], micros[1], micros[0] / micros[1], allocated[0], allocated[1]);
      std::fflush(stdout);
    }
  }
  return 0;
}
