// Memory pools and their use, and what is refused of them.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "experiments/csv_table.hpp"
#include "tests/experiments/program.hpp"

namespace disagg {
namespace {

const std::string kScenario = R"({
  "model": "llama-3.1-8b",
  "cluster": {
    "pools": [
      { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 2, "prefix_cache": {},
        "tiers": ["dram"] }
    ],
    "memory_pools": [
      { "name": "dram", "preset": "host-dram", "capacity": "1 TB" }
    ]
  },
  "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 10 }, "requests": 20,
    "prompt_tokens": 500, "output_tokens": 20 }
}
)";

struct Change {
  std::string name, from, to, error;
};

}  // namespace

TEST_CASE("Memory pools that cannot be: 17 of them are refused with exactly these words", "[bad-input]") {
  const std::vector<Change> changes{
      {"a tier that no memory pool has", R"("tiers": ["dram"])", R"("tiers": ["drum"])",
       R"(scenario.json:6:18: cluster.pools[0].tiers: 'drum' is unknown; known: dram; did you mean 'dram'?)"},
      {"a tier twice", R"("tiers": ["dram"])", R"("tiers": ["dram", "dram"])",
       R"(scenario.json:6:18: cluster.pools[0].tiers: names 'dram' twice)"},
      {"a preset that there is not", R"(host-dram)", R"(host-drum)",
       R"(scenario.json:9:35: cluster.memory_pools[0].preset: 'host-drum' is unknown; known: host-dram cxl nvme remote-dram ssd-pool photonic-pool; did you mean 'host-dram'?)"},
      {"no preset and nothing else", R"("preset": "host-dram", "capacity": "1 TB")", R"("scope": "host")",
       R"(scenario.json:9:7: cluster.memory_pools[0]: 'capacity' is missing
scenario.json:9:7: cluster.memory_pools[0]: 'port_read' is missing
scenario.json:9:7: cluster.memory_pools[0]: 'port_write' is missing
scenario.json:9:7: cluster.memory_pools[0]: 'latency' is missing)"},
      {"no capacity", R"("preset": "host-dram", "capacity": "1 TB")", R"("preset": "host-dram")",
       R"(scenario.json:9:7: cluster.memory_pools[0]: 'capacity' is missing)"},
      {"a pool that nobody uses", R"("prefix_cache": {},
        "tiers": ["dram"])",
       R"("prefix_cache": {})",
       R"(scenario.json:8:17: cluster.memory_pools[0].name: no pool lists 'dram' under its "tiers")"},
      {"tiers without a prefix cache", R"("prefix_cache": {},)", R"("prefix_cache": false,)",
       R"(scenario.json:6:18: cluster.pools[0].tiers: hold copies of cached prefixes, but the pool has no prefix_cache)"},
      {"less than a block", R"("1 TB")", R"("1 MB")",
       R"(scenario.json:9:60: cluster.memory_pools[0].capacity: 1 MB hold not even one block of 16 tokens (2.097 MB))"},
      {"zero bandwidth", R"("capacity": "1 TB")", R"("capacity": "1 TB", "port_read": "0 B/s")",
       R"(scenario.json:9:81: cluster.memory_pools[0].port_read: must be greater than zero)"},
      {"a spill to a tier of no pool", R"("tiers": ["dram"])",
       R"("tiers": ["dram"], "spill": { "kind": "swap", "tier": "pool" })",
       R"(scenario.json:6:37: cluster.pools[0].spill: the pool has no tier 'pool'; list it under "tiers")"},
      {"more streamed than there is", R"("tiers": ["dram"])",
       R"("tiers": ["dram"], "spill": { "kind": "stream", "tier": "dram", "share": "600 GB" })",
       R"(scenario.json:9:60: cluster.memory_pools[0].capacity: 1 TB are less than the 1.2 TB that replicas stream from it)"},
      {"two pools of one name", R"({ "name": "dram", "preset": "host-dram", "capacity": "1 TB" })",
       R"({ "name": "dram", "preset": "host-dram", "capacity": "1 TB" },
      { "name": "dram", "preset": "nvme", "capacity": "1 TB" })",
       R"(scenario.json:8:21: cluster.memory_pools: two memory pools are named 'dram')"},
      {"no such vertex", R"("preset": "host-dram", "capacity": "1 TB")",
       R"("preset": "remote-dram", "capacity": "1 TB", "attached_to": "spine-0")",
       R"(scenario.json:9:85: cluster.memory_pools[0].attached_to: 'spine-0' is unknown; known: switch)"},
      {"several switches", R"("preset": "host-dram", "capacity": "1 TB" }
    ])",
       R"("preset": "remote-dram", "capacity": "1 TB" }
    ],
    "topology": "leaf-spine")",
       R"(scenario.json:9:7: cluster.memory_pools[0].attached_to: leaf-spine has 3 switches: say at which the pool is attached; known: leaf-0 spine-0 spine-1)"},
      {"radix", R"("preset": "host-dram", "capacity": "1 TB" }
    ])",
       R"("preset": "photonic-pool" }
    ],
    "topology": "optical-star")",
       R"(scenario.json:9:7: cluster.memory_pools[0].ports: hosts and memory pools need 17 ports, but optical-star has a radix of 16)"},
      {"an eviction", R"("capacity": "1 TB")", R"("capacity": "1 TB", "eviction": "mru")",
       R"(scenario.json:9:80: cluster.memory_pools[0].eviction.kind: 'mru' is unknown; known: lru fifo lfu recompute-cost; did you mean 'lru'?)"},
      {"a write", R"("capacity": "1 TB")", R"("capacity": "1 TB", "write": "write-around")",
       R"(scenario.json:9:77: cluster.memory_pools[0].write: 'write-around' is unknown; known: write-through write-on-completion write-back; did you mean 'write-through'?)"},
  };
  for (const Change& change : changes) {
    INFO(change.name);
    const test::TemporaryFolder folder;
    test::write_text(folder / "scenario.json", test::with(kScenario, change.from, change.to));
    const test::Ended ended = test::call(folder, {"run", "scenario.json"});
    CHECK(ended.err == change.error + "\n");
    CHECK(ended.code == 2);
  }
}

TEST_CASE("The summary tells of each memory pool, and requests.csv of each fetch") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "scenario.json", kScenario);
  const test::Ended ended = test::call(folder, {"run", "scenario.json", "--out", "results", "-q"});
  CHECK(ended.code == 0);
  const std::string summary = test::read_text(folder / "results/summary.json");
  for (const char* part :
       {R"("memory_pools")", R"("occupancy")", R"("refused_writes": 0)", R"("scope": "host")"})
    CHECK_THAT(summary, Catch::Matchers::Contains(part));
  CHECK_THAT(test::read_text(folder / "results/requests.csv"),
             Catch::Matchers::Contains("fetched_tokens,fetch_expected_s,recompute_expected_s,fetch_s"));
}

TEST_CASE(
    "Over time replicas and tiers add up to what replicas.csv and the summary say of the whole run, and "
    "links to "
    "their bytes") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "scenario.json", R"({ "model": "llama-3.1-8b", "cluster": {
      "memory_pools": [{ "name": "dram", "preset": "host-dram", "capacity": "200 GB" }],
      "pools": [{ "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 2, "kv_capacity": "6 GB",
        "tiers": ["dram"], "prefix_cache": { "eviction": "lru" }, "spill": { "kind": "swap", "tier": "dram" } }] },
    "workload": { "kind": "agents", "mix": { "chat": 1 }, "duration": "5 min",
      "arrivals": { "kind": "poisson", "sessions_per_second": 0.5 } } })");
  const test::Ended ended = test::call(folder, {"run", "scenario.json", "--out", "results", "-q"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  const auto summary = nlohmann::json::parse(test::read_text(folder / "results/summary.json"));

  const CsvTable replicas = CsvTable::read(folder / "results/replicas.csv");
  const CsvTable series = CsvTable::read(folder / "results/replica_series.csv");
  for (std::size_t r = 0; r < replicas.rows(); ++r) {
    double busy = 0;
    double full = 0;
    double begin = 0;
    for (std::size_t i = 0; i < series.rows(); ++i) {
      if (series.text(i, "replica") != replicas.text(r, "replica")) continue;
      const double end = series.number(i, "time_s", 0);
      busy += series.number(i, "busy", 0) * (end - begin);
      full += series.number(i, "kv_occupancy", 0) * (end - begin);
      begin = end;
    }
    INFO(replicas.text(r, "replica"));
    REQUIRE(begin > 0);
    CHECK(busy / begin == Approx(replicas.number(r, "utilization", 0)).epsilon(1e-9));
    CHECK(full / begin == Approx(replicas.number(r, "kv_occupancy", 0)).epsilon(1e-9));
  }

  const CsvTable tiers = CsvTable::read(folder / "results/tier_series.csv");
  for (const auto& [name, tier] : summary.at("memory_pools").items()) {
    double occupancy = 0;
    double begin = 0;
    double read = -1;
    for (std::size_t i = 0; i < tiers.rows(); ++i) {
      if (tiers.text(i, "tier") != name) continue;
      const double end = tiers.number(i, "time_s", 0);
      occupancy += tiers.number(i, "used_share", 0) * (end - begin);
      read = tiers.number(i, "bytes_read", 0);
      begin = end;
    }
    INFO(name);
    REQUIRE(begin > 0);
    CHECK(occupancy / begin == Approx(tier.at("occupancy").get<double>()).epsilon(1e-9));
    CHECK(read == Approx(tier.at("bytes_read").get<double>()));
  }

  const CsvTable links = CsvTable::read(folder / "results/links.csv");
  const CsvTable loads = CsvTable::read(folder / "results/link_series.csv");
  int carried = 0;
  for (std::size_t l = 0; l < links.rows(); ++l) {
    const double bytes = links.number(l, "bytes", 0);
    double sum = 0;
    double begin = 0;
    for (std::size_t i = 0; i < loads.rows(); ++i) {
      if (loads.text(i, "link") != links.text(l, "link")) continue;
      const double end = loads.number(i, "time_s", 0);
      sum += loads.number(i, "load", 0) * links.number(l, "capacity_bytes_per_s", 0) * (end - begin);
      begin = end;
    }
    INFO(links.text(l, "link"));
    CHECK(sum == Approx(bytes).epsilon(1e-9));
    carried += bytes > 0 ? 1 : 0;
  }
  CHECK(carried > 0);
}

}  // namespace disagg
