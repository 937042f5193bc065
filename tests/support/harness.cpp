#include "tests/support/harness.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "experiments/feeder.hpp"
#include "experiments/processes.hpp"
#include "experiments/scenario.hpp"

namespace disagg::test {
namespace {

struct Keeper final : RecordSink {
  Facts facts;
  void request(const RequestRecord& r) override { facts.requests.push_back(r); }
  void gaps(Seconds, const TokenGaps& g) override { facts.gaps.push_back(g); }
  void span(const SpanRecord& s) override { facts.spans.push_back(s); }
};

}  // namespace

Facts simulate(std::string_view text, bool single_steps) {
  return simulate(parse_config(text, "test"), single_steps);
}

Facts simulate(ConfigNode root, bool single_steps) {
  Scenario scenario = read_scenario(std::move(root), "test");
  const auto source = scenario.workload->open(scenario.cluster.seed);
  Keeper keeper;
  Simulation simulation(std::move(scenario.platform), scenario.network_solver);
  scenario.cluster.single_steps = single_steps;
  Cluster cluster(std::move(scenario.cluster), simulation, keeper);
  const Feeder feeder(*source, scenario.horizon.end(), simulation, cluster);
  simulation.run([](Seconds) { return false; });
  cluster.settle();
  cluster.expect_empty();
  for (const auto& replica : cluster.replicas()) keeper.facts.usage.push_back(replica->usage());
  keeper.facts.links = simulation.link_usage();
  keeper.facts.counts = cluster.counts();
  keeper.facts.end = simulation.now();
  std::ranges::sort(keeper.facts.requests, {}, &RequestRecord::id);
  return std::move(keeper.facts);
}

std::vector<RequestRecord> simulate_forked(std::string_view scenario, bool single_steps) {
  std::vector<RequestRecord> records;
  run_forked(
      1, 1,
      [&](std::size_t) {
        const Facts facts = simulate(scenario, single_steps);
        std::string bytes(facts.requests.size() * sizeof(RequestRecord), '\0');
        if (!bytes.empty()) std::memcpy(bytes.data(), facts.requests.data(), bytes.size());
        return bytes;
      },
      [&](std::size_t, const TaskResult& result) {
        if (result.code != exit_code::kDone) throw std::runtime_error(result.output);
        records.resize(result.output.size() / sizeof(RequestRecord));
        if (!records.empty()) std::memcpy(records.data(), result.output.data(), result.output.size());
      });
  return records;
}

std::string flat_times(std::string_view batching, std::string_view workload, std::string_view more) {
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "mixed", "accelerator": "h100-sxm-80gb", "replicas": 1,
    "service": { "kind": "table", "tokens": [1, 100000], "prefill": ["10 ms", "10 ms"], "decode": ["20 ms", "20 ms"] },
    "batching": )" +
         std::string(batching) + (more.empty() ? "" : ", " + std::string(more)) + R"( } ] }, "workload": )" +
         std::string(workload) + " }";
}

}  // namespace disagg::test
