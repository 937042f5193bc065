// What links carry over time, booked from transfers as they end.
#include "experiments/link_loads.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "experiments/report_tables.hpp"

using namespace disagg;

namespace {

// prefill[0] > switch > decode[0], and prefill[1] > switch > decode[0]; 100 B/s each.
Platform two_ways() {
  Platform platform;
  for (const char* name : {"prefill[0]>switch", "prefill[1]>switch", "switch>decode[0]", "switch>idle"})
    platform.links.push_back({name, BytesPerSecond{100}, {}});
  platform.endpoints = 3;
  platform.routes.push_back({.from = 0, .to = 2, .links = {LinkId{0}, LinkId{2}}, .latency = {}});
  platform.routes.push_back({.from = 1, .to = 2, .links = {LinkId{1}, LinkId{2}}, .latency = {}});
  return platform;
}

TransferRecord moved(std::uint32_t route, double start, double end, double bytes) {
  return {.route = RouteId{route},
          .start = Seconds{start},
          .end = Seconds{end},
          .bytes = Bytes{bytes},
          .arrived = true};
}

}  // namespace

TEST_CASE(
    "60 bytes that cross from 0.1 to 0.7 s load a link of 100 B/s by 50, 100, 100 and 50 % in 0.2 s each",
    "[links]") {
  const Platform platform = two_ways();
  LinkLoads loads(platform);
  loads.add(moved(0, 0.1, 0.7, 60));
  loads.finish(Seconds{0.8});
  const auto carried = loads.loads();
  REQUIRE(carried.size() == 2);  // not those that carried nothing
  CHECK(carried[0].link.index == 0);
  CHECK(carried[1].link.index == 2);
  REQUIRE(carried[0].loads.size() == 4);
  for (const auto& [i, share] : {std::pair{0, 0.5}, {1, 1.0}, {2, 1.0}, {3, 0.5}})
    CHECK(carried[0].loads[static_cast<std::size_t>(i)] == Approx(share));
  CHECK(loads.series_csv().find("time_s,link,load\n0.2,prefill[0]>switch,0.5") == 0);
}

TEST_CASE("Intervals double as a run grows, and every byte is still in one of at most 64 of them",
          "[links]") {
  const Platform platform = two_ways();
  LinkLoads loads(platform);
  double bytes = 0;
  for (int i = 0; i < 500; ++i) {
    loads.add(moved(0, i, i + 0.9 + i % 7, 10.0 + i % 3));
    bytes += 10.0 + i % 3;
  }
  const Seconds ended{5070};  // long after the last transfer
  loads.finish(ended);
  const std::vector<Seconds> intervals = loads.intervals();
  CHECK(intervals.size() <= LinkLoads::kMostIntervals);
  CHECK(intervals.size() > LinkLoads::kMostIntervals / 2 - 1);
  CHECK(intervals.back() == ended);
  double carried = 0;
  Seconds begin{};
  for (std::size_t i = 0; i < intervals.size(); begin = intervals[i++])
    carried += loads.loads()[0].loads[i] * 100 * (intervals[i] - begin).si;
  CHECK(carried == Approx(bytes).epsilon(1e-12));
}

TEST_CASE("A link carries no more than it can: what is spread beyond that counts in other intervals",
          "[links]") {
  const Platform platform = two_ways();
  LinkLoads loads(platform);
  // 40 and 20 bytes that share 100 B/s fairly: 50 B/s each until 0.4 s, then one alone until 0.6 s. Evenly
  // spread, they would be 116.7 B/s in the first 0.4 s.
  loads.add(moved(0, 0, 0.4, 20));
  loads.add(moved(1, 0, 0.6, 40));
  loads.finish(Seconds{0.6});
  const auto carried = loads.loads();
  REQUIRE(carried.size() == 3);
  CHECK(carried[2].link.index == 2);
  for (const double load : carried[2].loads) CHECK(load == Approx(1));
  // And at the end there is nowhere to go but back.
  LinkLoads late(platform);
  late.add(moved(0, 0, 0.2, 10));
  late.add(moved(0, 0.2, 0.4, 30));
  late.finish(Seconds{0.4});
  CHECK(late.loads()[0].loads == std::vector<double>{1, 1});
}

TEST_CASE("A link tells which endpoints moved how much over it, the most first", "[links]") {
  const Platform platform = two_ways();
  LinkLoads loads(platform);
  loads.add(moved(0, 0, 1, 10));
  loads.add(moved(1, 1, 2, 30));
  loads.add(moved(0, 2, 3, 5));
  loads.finish(Seconds{4});
  CHECK(loads.flows_csv() ==
        "link,from,to,flows,bytes\n"
        "prefill[0]>switch,prefill[0],decode[0],2,15\n"
        "prefill[1]>switch,prefill[1],decode[0],1,30\n"
        "switch>decode[0],prefill[1],decode[0],1,30\n"
        "switch>decode[0],prefill[0],decode[0],2,15\n");

  // In the measured time, and of two transfers one that failed half-way: its bytes crossed, but no flow came.
  LinkLoads measured(platform);
  measured.add(moved(0, 0, 1, 10));
  measured.begin_measuring();
  measured.add(moved(1, 3, 4, 4));
  TransferRecord failed = moved(1, 3, 4, 3);
  failed.arrived = false;
  measured.add(failed);
  measured.finish(Seconds{4});
  CHECK(measured.flows_csv() ==
        "link,from,to,flows,bytes\n"
        "prefill[1]>switch,prefill[1],decode[0],1,7\n"
        "switch>decode[0],prefill[1],decode[0],1,7\n");
}

TEST_CASE(
    "A report keeps both directions of the links that are loaded most, 1,000 in all, and the series of 300",
    "[links][report]") {
  std::string links = "link,capacity_bytes_per_s,bytes,flows,mean_load\n";
  std::string series = "time_s,link,load\n";
  for (int i = 0; i < 800; ++i) {
    const std::string n = std::to_string(i);
    links += "a" + n + ">b" + n + ",100,1,1,0." + std::to_string(1000 + i) + "\n";
    links += "b" + n + ">a" + n + ",100,0,0,0\n";
    series += "0.2,a" + n + ">b" + n + ",0.123456\n";
  }
  const std::string kept = most_loaded_links(links);
  CHECK(std::ranges::count(kept, '\n') == 1001);
  CHECK(kept.find("\na799>b799,100,1,1,0.1799\nb799>a799,100,0,0,0\na798>b798,") != std::string::npos);
  CHECK(kept.find("a299>b299") == std::string::npos);
  const std::string rows = rows_of_links(series, kept);
  CHECK(std::ranges::count(rows, '\n') == 151);  // of 300 links, one direction of each has a series
  CHECK(rows.find("\n0.2,a799>b799,0.123\n") != std::string::npos);
}

TEST_CASE("A report shows 300 replicas as 75 groups of four neighbours with their means", "[report]") {
  std::string series = "time_s,replica,pool,busy,batch,waiting,kv_occupancy\n";
  for (int r = 0; r < 300; ++r) {
    const std::string pool = r < 10 ? "prefill" : "decode";
    series += "0.2," + pool + "[" + std::to_string(r < 10 ? r : r - 10) + "]," + pool + "," +
              std::to_string(r % 4) + "," + (r % 2 == 0 ? "" : "8") + ",0,0.5\n";
  }
  const std::string grouped = grouped_replicas(series);
  CHECK(std::ranges::count(grouped, '\n') == 1 + 3 + 73);
  CHECK(grouped.find("\n0.2,prefill[0..3],prefill,1.5,8,0,0.5\n") != std::string::npos);
  CHECK(grouped.find("\n0.2,prefill[8..9],prefill,0.5,8,0,0.5\n0.2,decode[0..3],decode,") !=
        std::string::npos);
  // So few stay as they are.
  const std::string small = series.substr(0, series.find("0.2,decode[50]"));
  CHECK(std::ranges::count(grouped_replicas(small), '\n') == std::ranges::count(small, '\n'));
  CHECK(grouped_replicas(small).find("\n0.2,decode[49],decode,3,8,0,0.5\n") != std::string::npos);
}
