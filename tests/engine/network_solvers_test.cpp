// Both network solvers against closed forms and against each other.
#include <array>
#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <vector>

#include "sim/base/random.hpp"
#include "sim/engine/simulation.hpp"

using namespace disagg;

namespace {

void finish(Simulation& simulation) {
  simulation.run([](Seconds) { return false; });
}

struct Demand {
  std::uint32_t route = 0;
  double limit = 0;  // bytes/s; 0: none
};

// One link after the other, with routes over them and no latency.
Platform line(const std::vector<double>& capacities, const std::vector<std::vector<std::uint32_t>>& routes) {
  Platform platform;
  for (const double capacity : capacities)
    platform.links.push_back({"link-" + std::to_string(platform.links.size()), {capacity}, {}});
  for (const auto& links : routes) {
    PlatformRoute route{.from = platform.endpoints, .to = platform.endpoints + 1, .links = {}, .latency = {}};
    platform.endpoints += 2;
    for (const std::uint32_t link : links) route.links.push_back(LinkId{link});
    platform.routes.push_back(route);
  }
  return platform;
}

// Rates of flows that start together, from what they move in 1 s.
std::vector<double> rates(const Platform& platform, const NetworkSolver& solver,
                          const std::vector<Demand>& demands) {
  const auto network = std::visit([&](const auto& s) { return s.make(platform); }, solver);
  std::vector<FlowId> flows;
  const Bytes bytes{1e15};
  flows.reserve(demands.size());
  for (const Demand& d : demands)
    flows.push_back(network->start(Seconds{0}, RouteId{d.route}, bytes, {d.limit}, [] {}, {}));
  network->next_date();
  network->advance_to(Seconds{1});
  std::vector<double> moved;
  moved.reserve(flows.size());
  for (const FlowId flow : flows) moved.push_back((bytes - network->remaining(Seconds{1}, flow)).si);
  return moved;
}

void check_rates(const Platform& platform, const std::vector<Demand>& demands,
                 const std::vector<double>& expected) {
  for (const NetworkSolver& solver : {NetworkSolver(FluidSolver{}), NetworkSolver(SimgridSolver{})}) {
    INFO((solver.index() == 0 ? "simgrid" : "fluid"));
    const std::vector<double> got = rates(platform, solver, demands);
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      INFO("flow " << i);
      CHECK(got[i] == Approx(expected[i]).epsilon(1e-8));
    }
  }
}

}  // namespace

TEST_CASE(
    "On a star, 7 senders to one sink of 10 GB/s get what they are limited to or may send, or an equal "
    "part of the rest: 0.5, 1, 1.5 and four times 1.75 GB/s") {
  // Links 0 to 6 lead from the senders, the third of which has a slow port; link 7 leads to the sink.
  std::vector<std::vector<std::uint32_t>> routes;
  for (std::uint32_t i = 0; i < 7; ++i) routes.push_back({i, 7});
  check_rates(line({10e9, 10e9, 1.5e9, 10e9, 10e9, 10e9, 10e9, 10e9}, routes),
              {{0, 0.5e9}, {1, 1e9}, {2}, {3}, {4, 2e9}, {5}, {6}},
              {0.5e9, 1e9, 1.5e9, 1.75e9, 1.75e9, 1.75e9, 1.75e9});
}

TEST_CASE(
    "On a chain of links of 10 to 40 GB/s the flow over all gets half of the narrowest, and the flow on "
    "each link alone what is left there") {
  check_rates(line({10e9, 20e9, 30e9, 40e9}, {{0, 1, 2, 3}, {0}, {1}, {2}, {3}}), {{0}, {1}, {2}, {3}, {4}},
              {5e9, 5e9, 15e9, 25e9, 35e9});
}

TEST_CASE(
    "In a parking lot of 5 links of 10 GB/s, whose entrances all lead to the one exit, all flows get 2 "
    "GB/s; a flow that leaves before the exit gets the rest of its link") {
  check_rates(
      line(std::vector<double>(5, 10e9), {{0, 1, 2, 3, 4}, {1, 2, 3, 4}, {2, 3, 4}, {3, 4}, {4}, {1}}),
      {{0}, {1}, {2}, {3}, {4}, {5}}, {2e9, 2e9, 2e9, 2e9, 2e9, 6e9});
}

namespace {

struct Change {
  enum class Kind { capacity, fail, repair };
  Seconds date;
  Kind kind = Kind::capacity;
  LinkId link;
  BytesPerSecond capacity{};
};

struct PlannedFlow {
  Seconds start;
  RouteId route;
  Bytes bytes{};
  BytesPerSecond limit{};
  Seconds cancel = kNever;
};

struct Plan {
  Platform platform;
  std::vector<PlannedFlow> flows;
  std::vector<std::size_t> first_flow;  // [graph], and the number of flows
  std::vector<Change> changes;
};

// Random graphs side by side in one platform, so that one SimGrid engine simulates all of them, each with its
// own traffic and troubles, a second after the one before.
class PlanGenerator {
 public:
  explicit PlanGenerator(std::uint64_t seed) : random_(random_stream(seed, "networks")) {}

  Plan plan(int graphs) {
    plan_.platform.endpoints = kEndpoints;
    for (int i = 0; i < graphs; ++i) add_graph(i);
    plan_.first_flow.push_back(plan_.flows.size());
    return std::move(plan_);
  }

 private:
  static constexpr std::uint32_t kEndpoints = 100;  // whose pairs suffice for all routes

  std::uint32_t whole(std::uint32_t low, std::uint32_t high) {
    return boost::random::uniform_int_distribution<std::uint32_t>(low, high)(random_);
  }
  double real(double low, double high) {
    return boost::random::uniform_real_distribution<double>(low, high)(random_);
  }
  double log_real(double low, double high) { return std::exp(real(std::log(low), std::log(high))); }
  bool chance(double p) { return real(0, 1) < p; }

  void add_graph(int number) {
    Platform& platform = plan_.platform;
    const double begin = number;
    const auto first_link = static_cast<std::uint32_t>(platform.links.size());
    const auto first_route = static_cast<std::uint32_t>(platform.routes.size());
    plan_.first_flow.push_back(plan_.flows.size());

    const std::uint32_t vertices = whole(2, 8);
    std::vector<std::vector<std::pair<std::uint32_t, LinkId>>> ways(vertices);  // where to, over what
    const std::uint32_t edges = vertices + whole(0, 2 * vertices);
    for (std::uint32_t e = 0; e < edges; ++e) {
      // A ring first, so that every vertex is left by some edge.
      const std::uint32_t from = e < vertices ? e : whole(0, vertices - 1);
      const std::uint32_t to = e < vertices ? (e + 1) % vertices : whole(0, vertices - 1);
      ways[from].emplace_back(to, LinkId{static_cast<std::uint32_t>(platform.links.size())});
      platform.links.push_back({"link-" + std::to_string(platform.links.size()), {log_real(1e9, 100e9)}, {}});
    }
    const std::uint32_t routes = whole(2, 8);
    for (std::uint32_t r = 0; r < routes; ++r) {
      const auto n = static_cast<std::uint32_t>(platform.routes.size());
      const std::uint32_t from = n / (kEndpoints - 1);
      const std::uint32_t other = n % (kEndpoints - 1);
      PlatformRoute route{.from = from,
                          .to = other < from ? other : other + 1,
                          .links = {},
                          .latency = Seconds{chance(0.5) ? real(0, 1e-3) : 0}};
      std::uint32_t at = whole(0, vertices - 1);
      std::vector<bool> seen(vertices);
      const std::uint32_t most = whole(1, 5);
      while (route.links.size() < most && !seen[at]) {
        seen[at] = true;
        const auto [to, link] = ways[at][whole(0, static_cast<std::uint32_t>(ways[at].size()) - 1)];
        route.links.push_back(link);
        at = to;
      }
      platform.routes.push_back(route);
    }
    const std::uint32_t flows = whole(5, 40);
    for (std::uint32_t f = 0; f < flows; ++f) {
      PlannedFlow flow{.start = Seconds{begin + real(0, 2)},
                       .route = RouteId{first_route + whole(0, routes - 1)},
                       .bytes = Bytes{std::round(log_real(1e6, 20e9))},
                       .limit = BytesPerSecond{chance(0.3) ? log_real(0.1e9, 50e9) : 0}};
      if (chance(0.2)) flow.cancel = flow.start + Seconds{real(0, 1)};
      plan_.flows.push_back(flow);
    }
    const auto some_link = [&] { return LinkId{first_link + whole(0, edges - 1)}; };
    for (std::uint32_t c = whole(0, 6); c > 0; --c) {
      const LinkId link = some_link();
      const BytesPerSecond capacity = platform.links[link.index].capacity * log_real(0.1, 10);
      plan_.changes.push_back({Seconds{begin + real(0, 4)}, Change::Kind::capacity, link, capacity});
    }
    for (std::uint32_t c = chance(0.5) ? whole(1, 2) : 0; c > 0; --c) {
      const LinkId link = some_link();
      const Seconds date{begin + real(0, 3)};
      plan_.changes.push_back({date, Change::Kind::fail, link});
      if (chance(0.8))
        plan_.changes.push_back({date + Seconds{log_real(1e-3, 1)}, Change::Kind::repair, link});
    }
  }

  RandomEngine random_;
  Plan plan_;
};

enum class Outcome { none, arrived, failed, cancelled };

struct FlowResult {
  Outcome outcome = Outcome::none;
  Seconds date{};
  Bytes left{};
};

struct PlanResult {
  std::vector<FlowResult> flows;
  std::vector<LinkUsage> links;
};

PlanResult simulate(const Plan& plan, const NetworkSolver& solver) {
  Simulation simulation(plan.platform, solver);
  PlanResult result;
  result.flows.resize(plan.flows.size());
  std::vector<TransferId> ids(plan.flows.size());
  for (std::size_t i = 0; i < plan.flows.size(); ++i) {
    const PlannedFlow* flow = &plan.flows[i];
    FlowResult* end = &result.flows[i];
    TransferId* id = &ids[i];
    simulation.at(flow->start, [&simulation, flow, end, id] {
      *id = simulation.transfer(
          flow->route, flow->bytes, flow->limit,
          [&simulation, end] {
            *end = {Outcome::arrived, simulation.now(), {}};
          },
          false,
          [&simulation, end, id] {
            *end = {Outcome::failed, simulation.now(), simulation.remaining(*id)};
          });
    });
    if (flow->cancel == kNever) continue;
    simulation.at(flow->cancel, [&simulation, end, id] {
      if (end->outcome != Outcome::none) return;
      *end = {Outcome::cancelled, simulation.now(), simulation.remaining(*id)};
      simulation.cancel(*id);
    });
  }
  for (const Change& change : plan.changes) {
    simulation.at(change.date, [&simulation, c = &change] {
      if (c->kind == Change::Kind::capacity) simulation.set_capacity(c->link, c->capacity);
      if (c->kind == Change::Kind::fail) simulation.fail(c->link);
      if (c->kind == Change::Kind::repair) simulation.repair(c->link);
    });
  }
  finish(simulation);
  CHECK(simulation.flows_in_flight() == 0);
  result.links = simulation.link_usage();
  return result;
}

}  // namespace

TEST_CASE(
    "Fluid and SimGrid agree to 1e-6 on what becomes of every flow, when, and on the bytes of every link, "
    "on 500 random graphs with limits, cancellations, capacity changes, failures and repairs") {
  const Plan plan = PlanGenerator(11).plan(500);
  const PlanResult fluid = simulate(plan, FluidSolver{});
  const PlanResult simgrid = simulate(plan, SimgridSolver{});

  std::array<int, 4> outcomes{};
  for (std::size_t graph = 0; graph < 500; ++graph) {
    for (std::size_t i = plan.first_flow[graph]; i < plan.first_flow[graph + 1]; ++i) {
      const FlowResult& a = fluid.flows[i];
      const FlowResult& b = simgrid.flows[i];
      ++outcomes[static_cast<std::size_t>(a.outcome)];
      INFO("graph " << graph << ", flow " << i - plan.first_flow[graph] << ", route "
                    << plan.flows[i].route.index << ": started " << plan.flows[i].start.si << ", "
                    << plan.flows[i].bytes.si << " bytes, ended " << a.date.si << " and " << b.date.si);
      REQUIRE(a.outcome == b.outcome);
      // SimGrid's dates are good to 1e-9 s; the flow's own time counts, not the date.
      const double took = (a.date - plan.flows[i].start).si;
      REQUIRE(std::abs((a.date - b.date).si) <= 1e-6 * took + 4e-9);
      REQUIRE(std::abs((a.left - b.left).si) <= 1e-6 * plan.flows[i].bytes.si + 1000);
    }
  }
  INFO("arrived " << outcomes[1] << ", failed " << outcomes[2] << ", cancelled " << outcomes[3]);
  CHECK(outcomes[0] == 0);
  CHECK(outcomes[1] > 5000);
  CHECK(outcomes[2] > 200);
  CHECK(outcomes[3] > 500);

  // What flows say that they moved is what links say that they carried.
  std::vector<double> carried(plan.platform.links.size());
  std::vector<std::int64_t> arrivals(plan.platform.links.size());
  for (std::size_t i = 0; i < plan.flows.size(); ++i) {
    for (const LinkId link : plan.platform.routes[plan.flows[i].route.index].links) {
      carried[link.index] += (plan.flows[i].bytes - fluid.flows[i].left).si;
      arrivals[link.index] += fluid.flows[i].outcome == Outcome::arrived ? 1 : 0;
    }
  }
  for (std::size_t i = 0; i < carried.size(); ++i) {
    INFO("link " << i);
    REQUIRE(fluid.links[i].bytes.si == Approx(carried[i]).epsilon(1e-12));
    REQUIRE(fluid.links[i].bytes.si == Approx(simgrid.links[i].bytes.si).epsilon(1e-6).margin(1e4));
    REQUIRE(fluid.links[i].flows == arrivals[i]);
    REQUIRE(simgrid.links[i].flows == arrivals[i]);
  }
}

namespace {

// Two links of 10 GB/s, alone (routes 0 and 1) and one after the other (route 2).
Platform two_links() { return line({10e9, 10e9}, {{0}, {1}, {0, 1}}); }

struct Told {
  std::vector<std::string> what;
  std::vector<double> dates;
};

// The same story on both solvers: `tell` plans it, and what the actions log, with dates, has to be
// `expected`.
template <class Tell>
void check_story(Tell&& tell, const std::vector<std::string>& expected, const std::vector<double>& dates) {
  for (const NetworkSolver& solver : {NetworkSolver(FluidSolver{}), NetworkSolver(SimgridSolver{})}) {
    INFO((solver.index() == 0 ? "simgrid" : "fluid"));
    Simulation simulation(two_links(), solver);
    Told told;
    tell(simulation, told);
    finish(simulation);
    CHECK(told.what == expected);
    REQUIRE(told.dates.size() == dates.size());
    for (std::size_t i = 0; i < dates.size(); ++i)
      CHECK(told.dates[i] == Approx(dates[i]).epsilon(0).margin(2e-9));
    CHECK(simulation.flows_in_flight() == 0);
  }
}

TransferId send(Simulation& simulation, Told& told, std::uint32_t route, double bytes, const char* name) {
  return simulation.transfer(
      RouteId{route}, Bytes{bytes}, Network::kNoLimit,
      [&simulation, &told, name] {
        told.what.push_back(name);
        told.dates.push_back(simulation.now().si);
      },
      false,
      [&simulation, &told, name] {
        told.what.push_back(std::string(name) + " failed");
        told.dates.push_back(simulation.now().si);
      });
}

}  // namespace

TEST_CASE("20 equal flows end at the same date, and are told in the order of their start, on either solver") {
  static const std::array<const char*, 20> kNames{"0",  "1",  "2",  "3",  "4",  "5",  "6",  "7",  "8",  "9",
                                                  "10", "11", "12", "13", "14", "15", "16", "17", "18", "19"};
  check_story(
      [](Simulation& simulation, Told& told) {
        for (const char* name : kNames) send(simulation, told, 2, 1e9, name);
      },
      {kNames.begin(), kNames.end()}, std::vector<double>(20, 2.0));
}

TEST_CASE(
    "A capacity that rises from 10 to 20 and falls to 5 GB/s applies to the flow on its way: 30 GB take 1 "
    "+ 0.5 + 2 s") {
  check_story(
      [](Simulation& simulation, Told& told) {
        simulation.set_capacity(LinkId{1}, BytesPerSecond{40e9});
        send(simulation, told, 2, 30e9, "flow");
        simulation.at(Seconds{1}, [&simulation] { simulation.set_capacity(LinkId{0}, {20e9}); });
        simulation.at(Seconds{1.5}, [&simulation] { simulation.set_capacity(LinkId{0}, {5e9}); });
      },
      {"flow"}, {3.5});
}

TEST_CASE(
    "A capacity that rises from 10 GB/s by 5 parts in a million counts: after 1 s of 100 GB, the rest "
    "take 45 us less than 9 s") {
  check_story(
      [](Simulation& simulation, Told& told) {
        send(simulation, told, 0, 100e9, "flow");
        simulation.at(Seconds{1}, [&simulation] { simulation.set_capacity(LinkId{0}, {10e9 * (1 + 5e-6)}); });
      },
      {"flow"}, {1 + 9 / (1 + 5e-6)});
}

TEST_CASE(
    "A failed link ends its flows as failed in the order of their start, fails those that start before "
    "the repair at once, and leaves others alone") {
  check_story(
      [](Simulation& simulation, Told& told) {
        send(simulation, told, 2, 10e9, "both links");
        send(simulation, told, 0, 10e9, "first link");
        send(simulation, told, 1, 12.5e9, "second link");
        simulation.at(Seconds{0.5}, [&simulation] { simulation.fail(LinkId{0}); });
        simulation.at(Seconds{0.75}, [&] { send(simulation, told, 2, 1e9, "too early"); });
        simulation.at(Seconds{2}, [&simulation] { simulation.repair(LinkId{0}); });
        simulation.at(Seconds{2}, [&] { send(simulation, told, 0, 10e9, "after the repair"); });
      },
      // 2.5 GB of the second link's flow are over at the failure, 10 GB more take 1 s.
      {"both links failed", "first link failed", "too early failed", "second link", "after the repair"},
      {0.5, 0.5, 0.75, 1.5, 3});
}

TEST_CASE(
    "A cancelled transfer is never told and frees its share, be it in its latency, on its way, or at the "
    "date at which it would have ended") {
  check_story(
      [](Simulation& simulation, Told& told) {
        const TransferId early = send(simulation, told, 0, 10e9, "early");
        simulation.cancel(early);
        const TransferId late = send(simulation, told, 0, 10e9, "late");
        send(simulation, told, 0, 10e9, "stays");
        simulation.at(Seconds{1}, [&simulation, late] {
          CHECK(simulation.remaining(late).si == Approx(5e9));
          simulation.cancel(late);
        });
        // The first of two that end together cancels the second.
        static TransferId second;
        simulation.at(Seconds{2}, [&] {
          simulation.transfer(RouteId{1}, Bytes{5e9}, Network::kNoLimit,
                              [&simulation] { simulation.cancel(second); });
          second = send(simulation, told, 1, 5e9, "second");
        });
      },
      {"stays"}, {1.5});
}

TEST_CASE("A failed flow that its neighbour's failure action cancels is not told") {
  check_story(
      [](Simulation& simulation, Told& told) {
        static TransferId second;
        simulation.transfer(
            RouteId{0}, Bytes{5e9}, Network::kNoLimit, [] {}, false,
            [&simulation] { simulation.cancel(second); });
        second = send(simulation, told, 0, 5e9, "second");
        simulation.at(Seconds{0.25}, [&simulation] { simulation.fail(LinkId{0}); });
      },
      {}, {});
}

TEST_CASE(
    "Flows that are cancelled at the date of their start, with a limit and without, take nothing from "
    "others and nothing from one that starts in their place") {
  const Bytes bytes{1e15};
  for (const NetworkSolver& solver : {NetworkSolver(FluidSolver{}), NetworkSolver(SimgridSolver{})}) {
    INFO((solver.index() == 0 ? "simgrid" : "fluid"));
    const auto network = std::visit([&](const auto& s) { return s.make(two_links()); }, solver);
    const auto start = [&](std::uint32_t route, double limit) {
      return network->start(Seconds{0}, RouteId{route}, bytes, {limit}, [] {}, {});
    };
    const FlowId stays = start(0, 0);
    for (const double limit : {0.0, 1e9, 2e9}) network->cancel(Seconds{0}, start(2, limit));
    const FlowId later = start(1, 0);
    network->cancel(Seconds{0}, start(2, 1e9));
    network->next_date();
    network->advance_to(Seconds{1});
    CHECK((bytes - network->remaining(Seconds{1}, stays)).si == Approx(10e9));
    CHECK((bytes - network->remaining(Seconds{1}, later)).si == Approx(10e9));
  }
}

TEST_CASE("A transfer without a failure action waits until all links of its way work and sends the rest") {
  for (const NetworkSolver& solver : {NetworkSolver(FluidSolver{}), NetworkSolver(SimgridSolver{})}) {
    INFO((solver.index() == 0 ? "simgrid" : "fluid"));
    Simulation simulation(two_links(), solver);
    // 4 GB over both links take 0.4 s: 0.25 before the first fails, 0.15 after the second is repaired.
    double done = 0;
    simulation.transfer(RouteId{2}, Bytes{4e9}, Network::kNoLimit, [&] { done = simulation.now().si; });
    const TransferId given_up = simulation.transfer(RouteId{0}, Bytes{5e9}, {1}, [&] { done = -1; });
    const auto at = [&](double date, auto act) { simulation.at(Seconds{date}, act); };
    at(0.25, [&simulation] { simulation.fail(LinkId{0}); });
    at(0.5, [&simulation] { simulation.fail(LinkId{1}); });
    at(0.75, [&simulation, given_up] { simulation.cancel(given_up); });
    at(1, [&simulation] { simulation.repair(LinkId{0}); });
    at(2, [&simulation] { simulation.repair(LinkId{1}); });
    finish(simulation);
    CHECK(done == Approx(2.15).margin(1e-6));
    CHECK(simulation.interruptions() == 2);
    CHECK(simulation.stalled_transfers() == 0);
    CHECK(simulation.flows_in_flight() == 0);
    CHECK(simulation.link_usage()[1].bytes.si == Approx(4e9));
  }
}
