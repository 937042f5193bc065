// timeline.json of the scenarios of all studies against the trace-event format, as Perfetto reads it.
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/experiments/program.hpp"
#include "tests/experiments/studies.hpp"

using namespace disagg::test;
using nlohmann::json;

namespace {

struct Counts {
  int slices = 0, nested = 0, flows = 0;
  std::map<std::string, int> of;  // counters by figure, and what else is told by name
};

// Fails where an event is none of the format, a begin has no end after it, a flow does not arrive, or the
// spans of a replica overlap or go back in time.
Counts check_trace(const json& timeline) {
  Counts counts;
  std::map<std::pair<std::int64_t, std::int64_t>, double> busy_until;  // of a replica's batch, or a lane
  std::map<std::pair<std::string, std::int64_t>, double> begun, sent;
  std::map<std::int64_t, std::vector<std::pair<std::string, double>>> stages;  // of a request, that are open
  std::set<std::int64_t> named;
  int wrong = 0;
  const auto must = [&](bool holds) { wrong += holds ? 0 : 1; };
  for (const json& event : timeline.at("traceEvents")) {
    const auto phase = event.at("ph").get<std::string>();
    const auto process = event.at("pid").get<std::int64_t>();
    must(event.at("tid").is_number_integer() && event.at("name").is_string());
    if (phase == "M") {
      named.insert(process);
      continue;
    }
    must(named.contains(process));
    const auto time = event.at("ts").get<double>();
    must(std::isfinite(time) && time >= 0);
    if (phase == "X") {
      ++counts.slices;
      ++counts.of[event.at("name").get<std::string>()];
      const auto duration = event.at("dur").get<double>();
      must(duration >= 0);
      double& until = busy_until[{process, event.at("tid").get<std::int64_t>()}];
      must(time >= until - 1e-3);
      until = time + duration;
    } else if (phase == "C") {
      for (const auto& value : event.at("args")) must(value.is_number() && value.get<double>() >= 0);
      ++counts.of[event.at("args").begin().key()];
    } else {
      const std::pair key{event.at("cat").get<std::string>() + event.at("name").get<std::string>(),
                          event.at("id").get<std::int64_t>()};
      // Viewers nest what a request does by the order of the events.
      auto& stack = stages[event.at("id").get<std::int64_t>()];
      if (phase == "b") {
        must(stack.empty() || time >= stack.back().second);
        stack.emplace_back(event.at("name").get<std::string>(), time);
      } else if (phase == "e") {
        must(!stack.empty() && stack.back().first == event.at("name").get<std::string>());
        if (!stack.empty()) stack.pop_back();
      }
      auto& open = phase == "b" || phase == "e" ? begun : sent;
      if (phase == "b" || phase == "s") {
        must(open.emplace(key, time).second);
      } else {
        must(phase == "e" || phase == "f");
        const auto from = open.find(key);
        REQUIRE(from != open.end());
        must(from->second <= time);
        open.erase(from);
        ++(phase == "e" ? counts.nested : counts.flows);
        ++counts.of[event.at("cat").get<std::string>() + "/" + event.at("name").get<std::string>()];
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(begun.empty());
  CHECK(sent.empty());
  return counts;
}

}  // namespace

TEST_CASE(
    "In the timelines of all studies every begin has its end, flows arrive, and no batch overlaps the next") {
  Counts all;
  int runs = 0;
  for (const std::filesystem::path& file : study_scenarios()) {
    INFO(file);
    const TemporaryFolder folder;
    const Ended ended = call(folder, {"run", file.string(), "--set", "horizon.warm_up=0 s", "--set",
                                      "horizon.measure=3 s", "--out", "results", "--timeline", "-q"});
    if (ended.code == 2 && ended.err.find("there is no file") != std::string::npos) continue;  // its trace
    INFO(ended.err);
    CHECK(ended.code == 0);
    if (ended.code != 0) continue;
    CHECK(std::filesystem::file_size(folder / "results/timeline.json") < 50'000'000);
    const Counts counts = check_trace(json::parse(read_text(folder / "results/timeline.json")));
    all.slices += counts.slices;
    all.nested += counts.nested;
    all.flows += counts.flows;
    ++runs;
  }
  CHECK(runs > 20);
  CHECK(all.slices > 1000);
  CHECK(all.nested > 1000);
  CHECK(all.flows > 10);
}

TEST_CASE(
    "A timeline shows every fetch from a tier as a slice there, in the request's life and as an arrow to its "
    "replica, every stall, and the loads of links and tiers") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", R"({ "model": "llama-3.1-8b", "cluster": {
      "memory_pools": [{ "name": "dram", "preset": "host-dram", "capacity": "200 GB" }],
      "pools": [{ "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 2, "kv_capacity": "6 GB",
        "tiers": ["dram"], "prefix_cache": { "eviction": "lru" }, "spill": { "kind": "swap", "tier": "dram" } }] },
    "workload": { "kind": "agents", "mix": { "chat": 0.5, "reasoning": 0.5 }, "duration": "5 min",
      "arrivals": { "kind": "poisson", "sessions_per_second": 1 } } })");
  const Ended ended = call(folder, {"run", "scenario.json", "--out", "results", "--timeline", "-q"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  const Counts counts = check_trace(json::parse(read_text(folder / "results/timeline.json")));
  const auto summary = json::parse(read_text(folder / "results/summary.json"));
  const auto of = [&](const std::string& name) {
    const auto found = counts.of.find(name);
    return found == counts.of.end() ? 0 : found->second;
  };
  CHECK(of("fetch") > 50);
  CHECK(of("fetch/KV cache") == of("fetch"));
  CHECK(of("request/fetch") == of("fetch"));
  CHECK(of("request/stall") == summary.at("pools").at("gpu").at("preemptions").get<int>());
  CHECK(of("request/stall") > 0);
  CHECK(of("percent") > 100);
}
