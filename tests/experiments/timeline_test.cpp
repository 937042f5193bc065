// timeline.json of the scenarios of all studies against the trace-event format, as Perfetto reads it.
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "tests/experiments/program.hpp"
#include "tests/experiments/studies.hpp"

using namespace disagg::test;
using nlohmann::json;

namespace {

struct Counts {
  int slices = 0, nested = 0, flows = 0;
};

// Fails where an event is none of the format, a begin has no end after it, a flow does not arrive, or the
// spans of a replica overlap or go back in time.
Counts check_trace(const json& timeline) {
  Counts counts;
  std::map<std::int64_t, double> busy_until;  // of a replica's batch
  std::map<std::pair<std::string, std::int64_t>, double> begun, sent;
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
      const auto duration = event.at("dur").get<double>();
      must(duration >= 0);
      must(time >= busy_until[process] - 1e-3);
      busy_until[process] = time + duration;
    } else if (phase == "C") {
      for (const auto& value : event.at("args")) must(value.is_number() && value.get<double>() >= 0);
    } else {
      const std::pair key{event.at("cat").get<std::string>() + event.at("name").get<std::string>(),
                          event.at("id").get<std::int64_t>()};
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
