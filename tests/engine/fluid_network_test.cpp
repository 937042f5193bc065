// Laws of our own solver.
#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <deque>
#include <memory>
#include <vector>

#include "sim/base/random.hpp"
#include "sim/engine/simulation.hpp"

using namespace disagg;

namespace {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : random_(random_stream(seed, "fluid")) {}
  std::uint32_t whole(std::uint32_t low, std::uint32_t high) {
    return boost::random::uniform_int_distribution<std::uint32_t>(low, high)(random_);
  }
  double log_real(double low, double high) {
    return std::exp(boost::random::uniform_real_distribution<double>(std::log(low), std::log(high))(random_));
  }
  bool chance(double p) { return boost::random::uniform_real_distribution<double>(0, 1)(random_) < p; }

 private:
  RandomEngine random_;
};

Platform random_platform(Draw& draw, std::uint32_t links, std::uint32_t routes) {
  Platform platform;
  for (std::uint32_t i = 0; i < links; ++i)
    platform.links.push_back({"link-" + std::to_string(i), {draw.log_real(1e9, 100e9)}, {}});
  for (std::uint32_t i = 0; i < routes; ++i) {
    PlatformRoute route{.from = 2 * i, .to = 2 * i + 1, .links = {}, .latency = {}};
    const std::uint32_t hops = draw.whole(1, std::min(4U, links));
    while (route.links.size() < hops) {
      const LinkId link{draw.whole(0, links - 1)};
      if (std::ranges::find(route.links, link) == route.links.end()) route.links.push_back(link);
    }
    platform.routes.push_back(route);
  }
  platform.endpoints = 2 * routes;
  return platform;
}

// A network and what its flows should look like.
struct Watched {
  struct Flow {
    FlowId id;
    std::uint32_t route = 0;
    double limit = 0;
    bool over = false;
  };

  Platform platform;
  std::unique_ptr<Network> network;
  Seconds now{};
  std::deque<Flow> flows;  // actions point into it

  explicit Watched(Platform p) : platform(std::move(p)), network(make_fluid_network(platform)) {}

  void start(std::uint32_t route, Bytes bytes, double limit) {
    Flow* flow = &flows.emplace_back(Flow{.id = {}, .route = route, .limit = limit, .over = false});
    const auto over = [flow] { flow->over = true; };
    flow->id = network->start(now, RouteId{route}, bytes, {limit}, over, over);
  }
  std::vector<Flow*> live() {
    std::vector<Flow*> list;
    for (Flow& flow : flows)
      if (!flow.over) list.push_back(&flow);
    return list;
  }
  // Passes half of the time to the next end and checks the rates in it.
  void check_fair() {
    const Seconds next = network->next_date();
    if (next == kNever) return;
    const Seconds half = (next - now) * 0.5;
    if (half < Seconds{1e-5}) return;  // too short to measure rates
    const std::vector<Flow*> all = live();
    std::vector<double> rates(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) rates[i] = network->remaining(now, all[i]->id).si;
    now += half;
    for (std::size_t i = 0; i < all.size(); ++i)
      rates[i] = (rates[i] - network->remaining(now, all[i]->id).si) / half.si;
    std::vector<double> load(platform.links.size());
    std::vector<double> fastest(platform.links.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (const LinkId link : platform.routes[all[i]->route].links) {
        load[link.index] += rates[i];
        fastest[link.index] = std::max(fastest[link.index], rates[i]);
      }
    }
    for (std::size_t i = 0; i < load.size(); ++i)
      REQUIRE(load[i] <= platform.links[i].capacity.si * (1 + 1e-6));
    for (std::size_t i = 0; i < all.size(); ++i) {
      bool bound = all[i]->limit > 0 && rates[i] >= all[i]->limit * (1 - 1e-6);
      for (const LinkId link : platform.routes[all[i]->route].links)
        bound = bound || (load[link.index] >= platform.links[link.index].capacity.si * (1 - 1e-6) &&
                          rates[i] >= fastest[link.index] * (1 - 1e-6));
      REQUIRE(bound);
      if (all[i]->limit > 0) REQUIRE(rates[i] <= all[i]->limit * (1 + 1e-6));
    }
    ++checked;
  }
  int checked = 0;
};

}  // namespace

TEST_CASE(
    "After each of 12,000 starts, ends, cancellations, capacity changes and failures rates are max-min "
    "fair: no link is over its capacity, and a flow is at its limit or has a full link where no other is "
    "faster") {
  Draw draw(3);
  int checked = 0;
  for (int graph = 0; graph < 60; ++graph) {
    INFO("graph " << graph);
    const std::uint32_t links = draw.whole(1, 12);
    const std::uint32_t routes = draw.whole(1, 12);
    Watched w(random_platform(draw, links, routes));
    for (int event = 0; event < 200; ++event) {
      INFO("event " << event);
      const std::uint32_t kind = draw.whole(0, 99);
      const LinkId link{draw.whole(0, links - 1)};
      const auto live = w.live();
      if (kind < 50 || live.empty()) {
        w.start(draw.whole(0, routes - 1), Bytes{draw.log_real(1e6, 1e10)},
                draw.chance(0.3) ? draw.log_real(0.1e9, 50e9) : 0);
      } else if (kind < 60) {
        Watched::Flow* victim = live[draw.whole(0, static_cast<std::uint32_t>(live.size()) - 1)];
        w.network->cancel(w.now, victim->id);
        victim->over = true;
      } else if (kind < 75) {
        w.platform.links[link.index].capacity = BytesPerSecond{draw.log_real(1e9, 100e9)};
        w.network->set_capacity(w.now, link, w.platform.links[link.index].capacity);
      } else if (kind < 77) {
        w.network->fail(w.now, link);
        w.network->repair(w.now, link);
        w.network->advance_to(w.now);
      } else {
        w.now = w.network->next_date();
        w.network->advance_to(w.now);
      }
      w.check_fair();
    }
    checked += w.checked;
  }
  CHECK(checked > 8000);
}

TEST_CASE("A faster link never delays the end of a flow on it, over 300 random loads") {
  Draw draw(5);
  for (int load = 0; load < 300; ++load) {
    struct Sent {
      double start, bytes, limit;
    };
    std::vector<Sent> sent;
    double date = 0;
    for (std::uint32_t i = draw.whole(2, 30); i > 0; --i) {
      date += draw.log_real(1e-3, 0.3);
      sent.push_back({date, draw.log_real(1, 5e9), draw.chance(0.4) ? draw.log_real(0.1e9, 20e9) : 0});
    }
    std::vector<double> before(sent.size(), 1e300);
    for (const double capacity : {1e9, 1.1e9, 3e9, 30e9}) {
      Platform platform;
      platform.links = {{"link", {capacity}, {}}};
      platform.routes = {{.from = 0, .to = 1, .links = {LinkId{0}}, .latency = {}}};
      Simulation simulation(platform, FluidSolver{});
      std::vector<double> ends(sent.size());
      for (std::size_t i = 0; i < sent.size(); ++i) {
        simulation.at(Seconds{sent[i].start}, [&simulation, s = &sent[i], end = &ends[i]] {
          simulation.transfer(RouteId{0}, Bytes{s->bytes}, {s->limit},
                              [&simulation, end] { *end = simulation.now().si; });
        });
      }
      simulation.run([](Seconds) { return false; });
      for (std::size_t i = 0; i < sent.size(); ++i) {
        INFO("load " << load << ", flow " << i << ", capacity " << capacity);
        REQUIRE(ends[i] >= sent[i].start + sent[i].bytes / capacity * (1 - 1e-9));
        REQUIRE(ends[i] <= before[i] * (1 + 1e-12));
        before[i] = ends[i];
      }
    }
  }
}

TEST_CASE(
    "Flows of 1 byte to 1e15 bytes over links of 1 MB/s to 1 TB/s around date 1e6 s all end, each in one "
    "step, and every link carries every byte") {
  Draw draw(9);
  Platform platform = random_platform(draw, 20, 40);
  for (PlatformLink& link : platform.links) link.capacity = BytesPerSecond{draw.log_real(1e6, 1e12)};
  Simulation simulation(platform, FluidSolver{});
  std::vector<double> carried(platform.links.size());
  int ended = 0;
  for (int i = 0; i < 2000; ++i) {
    const RouteId route{draw.whole(0, 39)};
    // Small and large ones alike; the largest take 1e9 s.
    const Bytes bytes{std::floor(draw.chance(0.02) ? draw.log_real(1e9, 1e15) : draw.log_real(1, 1e9))};
    for (const LinkId link : platform.routes[route.index].links) carried[link.index] += bytes.si;
    simulation.at(Seconds{1e6 + draw.log_real(1e-9, 1e3)}, [&simulation, &ended, route, bytes] {
      simulation.transfer(route, bytes, Network::kNoLimit, [&ended] { ++ended; });
    });
  }
  int events = 0;
  simulation.run([&events](Seconds) { return ++events > 10'000; });
  CHECK(ended == 2000);
  CHECK(events <= 3 * 2000);  // the plan, the latency of 0 s and the end of each
  for (std::size_t i = 0; i < carried.size(); ++i)
    CHECK(simulation.link_usage()[i].bytes.si == Approx(carried[i]).epsilon(1e-12));
}

TEST_CASE("Flows that share nothing with what happens keep their dates to the last bit") {
  const auto end_of_first = [](int others) {
    Platform platform;
    platform.links = {{"a", {3e9}, {}}, {"b", {7e9}, {}}};
    platform.routes = {{.from = 0, .to = 1, .links = {LinkId{0}}, .latency = {}},
                       {.from = 2, .to = 3, .links = {LinkId{1}}, .latency = {}}};
    Simulation simulation(platform, FluidSolver{});
    double end = 0;
    simulation.transfer(RouteId{0}, Bytes{1e10}, Network::kNoLimit,
                        [&simulation, &end] { end = simulation.now().si; });
    for (int i = 0; i < others; ++i)
      simulation.at(Seconds{0.001 * i},
                    [&simulation] { simulation.transfer(RouteId{1}, Bytes{1e7}, Network::kNoLimit, [] {}); });
    simulation.run([](Seconds) { return false; });
    return end;
  };
  CHECK(end_of_first(0) == end_of_first(3000));
  CHECK(end_of_first(0) == Approx(10.0 / 3));
}
