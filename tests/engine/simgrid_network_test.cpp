#include <catch2/catch.hpp>
#include <vector>

#include "sim/base/expect.hpp"
#include "sim/engine/simulation.hpp"

using namespace disagg;

namespace {

// A parking lot: route 0 crosses links 0, 1 and 2, of 10 GB/s each, and route i crosses link i - 1 alone.
Platform parking_lot() {
  Platform platform;
  platform.endpoints = 8;
  for (int i = 0; i < 3; ++i) platform.links.push_back({"link-" + std::to_string(i), {10e9}, {}});
  platform.routes.push_back({0, 1, {LinkId{0}, LinkId{1}, LinkId{2}}, Seconds{1e-3}});
  platform.routes.push_back({2, 3, {LinkId{0}}, Seconds{1e-3}});
  platform.routes.push_back({4, 5, {LinkId{1}}, Seconds{1e-3}});
  platform.routes.push_back({6, 7, {LinkId{2}}, Seconds{1e-3}});
  return platform;
}

struct Ends {
  std::vector<double> dates;
  void transfer(Simulation& simulation, std::size_t slot, std::uint32_t route, double bytes,
                double limit = 0) {
    if (dates.size() <= slot) dates.resize(slot + 1);
    simulation.transfer(RouteId{route}, Bytes{bytes}, BytesPerSecond{limit},
                        [this, &simulation, slot] { dates[slot] = simulation.now().si; });
  }
};

void finish(Simulation& simulation) {
  simulation.run([](Seconds) { return false; });
}

}  // namespace

TEST_CASE(
    "On a parking lot of 3 links the long flow and each short one get half a link, then the long one all of "
    "it") {
  Simulation simulation(parking_lot());
  Ends ends;
  ends.transfer(simulation, 0, 0, 10e9);
  for (std::uint32_t i = 1; i < 4; ++i) ends.transfer(simulation, i, i, 5e9);
  finish(simulation);
  // 5 GB/s each until the short ones end at 1 s; then 10 GB/s for the 5 GB that the long one has left.
  for (std::size_t i = 1; i < 4; ++i) CHECK(ends.dates[i] == Approx(1.001).epsilon(1e-6));
  CHECK(ends.dates[0] == Approx(1.501).epsilon(1e-6));
  CHECK(simulation.link_usage()[1].bytes == Bytes{15e9});
  CHECK(simulation.link_usage()[1].flows == 2);
  CHECK(simulation.flows_in_flight() == 0);
}

TEST_CASE("A flow limited to 2 GB/s leaves 8 of 10 GB/s to the other on its link") {
  Simulation simulation(parking_lot());
  Ends ends;
  ends.transfer(simulation, 0, 1, 2e9, 2e9);
  ends.transfer(simulation, 1, 1, 8e9);
  finish(simulation);
  CHECK(ends.dates[0] == Approx(1.001).epsilon(1e-6));
  CHECK(ends.dates[1] == Approx(1.001).epsilon(1e-6));
}

TEST_CASE(
    "A flow that starts at 0.5 s halves the rate of the one that runs, and computing goes on meanwhile") {
  Simulation simulation(parking_lot());
  Ends ends;
  std::vector<double> ticks;
  ends.transfer(simulation, 0, 1, 10e9);
  simulation.at(Seconds{0.5}, [&ends, &simulation] { ends.transfer(simulation, 1, 1, 10e9); });
  for (int i = 0; i < 20; ++i)
    simulation.at(Seconds{0.1 * i}, [&ticks, &simulation] { ticks.push_back(simulation.now().si); });
  finish(simulation);
  // 5 GB by 0.501 s; 5 GB/s each until the first ends 1 s later; then the second's other 5 GB at 10 GB/s.
  CHECK(ends.dates[0] == Approx(1.501).epsilon(1e-6));
  CHECK(ends.dates[1] == Approx(2.001).epsilon(1e-6));
  REQUIRE(ticks.size() == 20);
  for (int i = 0; i < 20; ++i) CHECK(ticks[static_cast<std::size_t>(i)] == Approx(0.1 * i));
}

TEST_CASE("A second SimGrid network in one process is refused") {
  const auto first = make_simgrid_network(parking_lot());
  CHECK_THROWS_AS(make_simgrid_network(parking_lot()), BrokenInvariant);
}

TEST_CASE(
    "A flow that ends as another starts, 0.01 to 10 ns apart, is reported then and not with the other's "
    "end") {
  Simulation simulation(parking_lot());
  Ends ends;
  std::size_t slot = 0;
  for (const double apart : {1e-11, 1e-10, 3e-10, 5e-10, 7e-10, 9e-10, 2e-9, 1e-8}) {
    for (const double side : {-1.0, 1.0}) {
      const double start = 1 + 20.0 * static_cast<double>(slot / 2);
      simulation.at(Seconds{start}, [&, slot] { ends.transfer(simulation, slot, 1, 2e9, 2e9); });
      simulation.at(Seconds{start + 1 + side * apart},
                    [&, slot] { ends.transfer(simulation, slot + 1, 2, 100e9); });
      finish(simulation);
      INFO(apart << " s " << (side > 0 ? "after" : "before"));
      CHECK(ends.dates[slot] == Approx(start + 1.001).epsilon(1e-6));
      CHECK(ends.dates[slot + 1] == Approx(start + 11.001).epsilon(1e-6));
      slot += 2;
    }
  }
}

TEST_CASE("Flows of 0.01 to 4 ns, shorter than SimGrid can tell from its clock, end") {
  Simulation simulation(parking_lot());
  Ends ends;
  std::size_t slot = 0;
  for (const double start : {1.0, 1e3, 1e6}) {
    for (const double bytes : {0.1, 1.0, 2.0, 4.0, 6.0, 9.0, 40.0}) {
      simulation.at(Seconds{start + static_cast<double>(slot)},
                    [&, slot, bytes] { ends.transfer(simulation, slot, 1, bytes); });
      finish(simulation);
      CHECK(ends.dates[slot] == Approx(start + static_cast<double>(slot) + 0.001).margin(1e-8).epsilon(0));
      ++slot;
    }
  }
}
