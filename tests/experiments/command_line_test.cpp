#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "experiments/report.hpp"
#include "tests/experiments/program.hpp"

namespace disagg {
namespace {

using Catch::Matchers::Contains;
using nlohmann::json;
using test::call;
using test::Ended;
using test::Program;
using test::read_text;
using test::TemporaryFolder;
using test::with;
using test::write_text;
using Names = std::vector<std::string>;

// Two pools with hand-offs, so that every file of the results has something in it.
const std::string kScenario = R"({
  "model": "llama-3.1-8b",
  "cluster": {
    "pools": [
      { "name": "p", "accelerator": "h100-sxm-80gb", "replicas": 1, "role": "prefill" },
      { "name": "d", "accelerator": "h100-sxm-80gb", "replicas": 1, "role": "decode" }
    ]
  },
  "workload": {
    "kind": "synthetic",
    "arrivals": { "kind": "poisson", "requests_per_second": 20 },
    "requests": 60,
    "prompt_tokens": { "kind": "lognormal", "median": 500, "sigma": 0.8, "high": 4000 },
    "output_tokens": { "kind": "uniform", "low": 1, "high": 60 }
  },
  "slo": { "ttft": "100 ms", "tpot": "20 ms" }
}
)";

// Runs for minutes if it is let.
const std::string kEndless = with(kScenario, R"("requests": 60)", R"("requests": 100000000)");

bool sleeps_until(const std::function<bool()>& true_at_last) {
  for (int i = 0; i < 5000; ++i) {
    if (true_at_last()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

// Processes of the group that a program was started as, itself included.
int processes_of_group(pid_t group) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = read_text(entry.path() / "stat");  // pid (name) state parent group ...
    const auto behind_name = stat.rfind(')');
    if (behind_name == std::string::npos) continue;
    std::istringstream in(stat.substr(behind_name + 1));
    char state = 0;
    pid_t parent = 0, its_group = 0;
    in >> state >> parent >> its_group;
    if (its_group == group && state != 'Z') ++count;
  }
  return count;
}

TEST_CASE("The option --help of the program and of each of its 20 commands exits with 0 and shows an example",
          "[command-line]") {
  const TemporaryFolder folder;
  const Ended program = call(folder, {"--help"});
  CHECK(program.code == 0);
  CHECK(program.err.empty());
  CHECK_THAT(program.out, Contains("First steps: disagg demo") && Contains("75 interrupted"));
  for (const std::string command :
       {"run",      "compare",     "sweep",    "merge",  "status",     "capacity",  "emit",
        "pareto",   "sensitivity", "validate", "list",   "workload",   "calibrate", "roofline",
        "topology", "demo",        "report",   "export", "completion", "manual"}) {
    INFO(command);
    CHECK_THAT(program.out, Contains("\n  " + command + " "));
    const Ended help = call(folder, {command, "--help"});
    CHECK(help.code == 0);
    CHECK(help.err.empty());
    CHECK_THAT(help.out, Contains("Example:\n  disagg " + command));
  }
}

TEST_CASE("The option --version names the program and its compiler", "[command-line]") {
  const TemporaryFolder folder;
  const Ended version = call(folder, {"--version"});
  CHECK(version.code == 0);
  CHECK_THAT(version.out, Catch::StartsWith("disagg ") && Contains("("));
}

TEST_CASE("run --out writes 10 files and a report, and timeline.json only when asked", "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kScenario);
  CHECK(call(folder, {"run", "scenario.json", "--out", "deep/results/"}).code == 0);
  Names files{"distributions.csv",  "links.csv",    "link_flows.csv", "link_series.csv", "replicas.csv",
              "replica_series.csv", "requests.csv", "scenario.json",  "summary.json",    "timeseries.csv"};
  if (disagg::can_write_reports()) files.emplace_back("report.html");
  std::sort(files.begin(), files.end());
  CHECK(TemporaryFolder::names_in(folder / "deep/results") == files);
  CHECK(TemporaryFolder::names_in(folder / "deep") == Names{"results"});
  CHECK(folder.names() == Names{"deep", "scenario.json"});

  CHECK(call(folder, {"run", "scenario.json", "--out", "deep/results", "--timeline"}).code == 0);
  files.emplace_back("timeline.json");
  std::sort(files.begin(), files.end());
  CHECK(TemporaryFolder::names_in(folder / "deep/results") == files);
  CHECK(TemporaryFolder::names_in(folder / "deep") == Names{"results"});
}

TEST_CASE("requests.csv has a line for each of 60 requests with as many fields as its header",
          "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kScenario);
  REQUIRE(call(folder, {"run", "scenario.json", "--out", "results"}).code == 0);
  for (const std::string name : {"requests.csv", "links.csv", "replicas.csv", "timeseries.csv"}) {
    INFO(name);
    std::istringstream in(read_text(folder / "results" / name));
    std::string header, line;
    std::getline(in, header);
    int lines = 0;
    for (; std::getline(in, line); ++lines)
      CHECK(std::count(line.begin(), line.end(), ',') == std::count(header.begin(), header.end(), ','));
    if (name == "requests.csv") CHECK(lines == 60);
    if (name == "replicas.csv") CHECK(lines == 2);
    CHECK(lines > 0);
  }
}

TEST_CASE("In timeline.json every slice of a request ends after it begins, and every flow arrives",
          "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kScenario);
  REQUIRE(call(folder, {"run", "scenario.json", "--out", "results", "--timeline"}).code == 0);
  const json timeline = json::parse(read_text(folder / "results/timeline.json"));
  std::map<std::pair<std::string, std::int64_t>, std::pair<double, double>> slices;  // by name and request
  std::map<std::int64_t, std::pair<double, double>> flows;
  std::map<std::string, int> phases;
  for (const json& event : timeline.at("traceEvents")) {
    const auto phase = event.at("ph").get<std::string>();
    ++phases[phase];
    if (phase == "X") CHECK(event.at("dur").get<double>() >= 0);
    if (phase == "X" || phase == "C" || phase == "M") continue;
    const auto id = event.at("id").get<std::int64_t>();
    const auto time = event.at("ts").get<double>();
    const std::pair key{event.at("name").get<std::string>(), id};
    if (phase == "b") {
      CHECK(slices.try_emplace(key, time, -1).second);
    } else if (phase == "e") {
      REQUIRE(slices.contains(key));
      CHECK(std::exchange(slices[key].second, time) == -1);
    } else if (phase == "s") {
      CHECK(flows.try_emplace(id, time, -1).second);
    } else {
      REQUIRE(phase == "f");
      REQUIRE(flows.contains(id));
      CHECK(std::exchange(flows[id].second, time) == -1);
    }
  }
  for (const auto& [key, times] : slices) {
    INFO(key.first << " of request " << key.second);
    CHECK(times.first <= times.second);
  }
  for (const auto& [id, times] : flows) CHECK(times.first <= times.second);
  CHECK(phases["b"] == phases["e"]);
  CHECK(phases["s"] == phases["f"]);
  CHECK(std::ranges::count_if(slices, [](const auto& s) { return s.first.first.starts_with("request "); }) ==
        60);
  // A request of one token has nothing to hand off.
  CHECK(flows.size() > 50);
  CHECK(flows.size() <= 60);
  CHECK(timeline.at("otherData").at("cut") == false);
}

TEST_CASE("A run of the scenario.json in a folder of results gives the same metrics", "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "base.json", kScenario);
  write_text(folder / "input/scenario.json", R"({ "extends": "../base.json", "seed": 5 })");
  REQUIRE(
      call(folder, {"run", "input/scenario.json", "--set", "cluster.pools[1].replicas=2", "--out", "first"})
          .code == 0);
  std::filesystem::remove_all(folder / "input");
  std::filesystem::remove(folder / "base.json");
  REQUIRE(call(folder, {"run", "first/scenario.json", "--out", "second"}).code == 0);
  CHECK(read_text(folder / "first/requests.csv") == read_text(folder / "second/requests.csv"));
  CHECK(read_text(folder / "first/scenario.json") == read_text(folder / "second/scenario.json"));
  const json first = json::parse(read_text(folder / "first/summary.json"));
  const json second = json::parse(read_text(folder / "second/summary.json"));
  CHECK(first.at("metrics") == second.at("metrics"));
  CHECK(first.at("provenance").at("scenario_hash") == second.at("provenance").at("scenario_hash"));
}

TEST_CASE("A run names its network solver, which is SimGrid unless the scenario chooses another",
          "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kScenario);
  for (const std::string solver : {"simgrid", "fluid"}) {
    std::vector<std::string> arguments{"run", "scenario.json", "--out", solver};
    if (solver == "fluid") arguments.insert(arguments.end(), {"--set", "network.solver=fluid"});
    REQUIRE(call(folder, arguments).code == 0);
    const json resolved = json::parse(read_text(folder / (solver + "/scenario.json")));
    CHECK(resolved.at("network").at("solver").at("kind") == solver);
    const json summary = json::parse(read_text(folder / (solver + "/summary.json")));
    CHECK(summary.at("provenance").at("network") == solver + ", max-min fair");
  }
  const json policies = json::parse(call(folder, {"list", "policies", "--json"}).out);
  CHECK(policies.at("network.solver").size() == 2);
  CHECK(policies.at("network.solver")[1].at("name") == "fluid");
}

TEST_CASE("The scenario.json of a replayed trace names it from any folder", "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "traces/two.csv",
             "TIMESTAMP,ContextTokens,GeneratedTokens\n"
             "2023-11-16 18:15:46.6805900,374,44\n"
             "2023-11-16 18:15:47.6805900,300,40\n");
  json scenario = json::parse(kScenario);
  scenario["workload"] = {{"kind", "azure"}, {"file", "two.csv"}};
  write_text(folder / "traces/scenario.json", scenario.dump());
  REQUIRE(call(folder, {"run", "traces/scenario.json", "--out", "first"}).code == 0);
  REQUIRE(call(folder, {"run", "first/scenario.json", "--out", "elsewhere/second"}).code == 0);
  CHECK(read_text(folder / "first/requests.csv") == read_text(folder / "elsewhere/second/requests.csv"));
}

TEST_CASE("One seed gives the same bytes twice, and another seed gives others", "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kScenario);
  const auto run = [&](const std::string& seed, const std::string& out) {
    const Ended ended =
        call(folder, {"run", "scenario.json", "--json", "--set", "seed=" + seed, "--out", out});
    CHECK(ended.code == 0);
    CHECK(json::parse(ended.out).at("metrics").at("completed") == 60);
    return ended.out;
  };
  const std::string first = run("7", "a"), again = run("7", "b"), other = run("8", "c");
  CHECK(first == again);
  CHECK(read_text(folder / "a/requests.csv") == read_text(folder / "b/requests.csv"));
  CHECK(read_text(folder / "a/timeseries.csv") == read_text(folder / "b/timeseries.csv"));
  CHECK(json::parse(first).at("metrics") != json::parse(other).at("metrics"));
  CHECK(read_text(folder / "a/requests.csv") != read_text(folder / "c/requests.csv"));
}

TEST_CASE("A sweep of 6 points writes the same CSV with 1 job and with 2, the last axis turning fastest",
          "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kScenario);
  const auto sweep = [&](const std::string& jobs) {
    const Ended ended = call(folder, {"sweep", "scenario.json", "--axis", "cluster.pools[1].replicas=1,2",
                                      "--axis", "seed=1,2,3", "--jobs", jobs});
    CHECK(ended.code == 0);
    CHECK(ended.err.empty());
    return ended.out;
  };
  const std::string one = sweep("1");
  CHECK(one == sweep("2"));
  CHECK_THAT(one, Catch::StartsWith("point,cluster.pools[1].replicas,seed,exit_code,scenario_hash,"));
  CHECK_THAT(one, Contains("\n0,1,1,0,") && Contains("\n2,1,3,0,") && Contains("\n3,2,1,0,") &&
                      Contains("\n5,2,3,0,"));
  CHECK(std::count(one.begin(), one.end(), '\n') == 7);

  REQUIRE(call(folder, {"sweep", "scenario.json", "--axis", "cluster.pools[1].replicas=1,2", "--axis",
                        "seed=1,2,3", "--csv", "sweep.csv"})
              .code == 0);
  CHECK(read_text(folder / "sweep.csv") == one);
  CHECK(folder.names() == Names{"scenario.json", "sweep.csv"});
}

TEST_CASE("SIGINT during a run exits with 75 and leaves no folder, whole or partial", "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kEndless);
  Program program(folder, {"run", "scenario.json", "--out", "results", "--timeline"});
  REQUIRE(sleeps_until([&] { return folder.names().size() > 1; }));  // results.partial-PID
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  REQUIRE(program.running());
  program.interrupt();
  const Ended ended = program.wait();
  CHECK(ended.code == 75);
  CHECK(ended.out.empty());
  CHECK_THAT(ended.err, Catch::EndsWith("disagg: interrupted; nothing half-written is left behind\n"));
  CHECK(folder.names() == Names{"scenario.json"});
}

TEST_CASE("SIGINT during a run leaves the results of an earlier one as they were", "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "short.json", kScenario);
  write_text(folder / "scenario.json", kEndless);
  REQUIRE(call(folder, {"run", "short.json", "--out", "results"}).code == 0);
  const std::string before = read_text(folder / "results/summary.json");
  Program program(folder, {"run", "scenario.json", "--out", "results"});
  REQUIRE(sleeps_until([&] { return folder.names().size() > 3; }));
  program.interrupt();
  CHECK(program.wait().code == 75);
  CHECK(read_text(folder / "results/summary.json") == before);
  CHECK(folder.names() == Names{"results", "scenario.json", "short.json"});
}

TEST_CASE("SIGINT during a sweep exits with 75 and leaves neither a file nor a process", "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kEndless);
  Program program(folder,
                  {"sweep", "scenario.json", "--axis", "seed=1,2,3,4", "--jobs", "2", "--csv", "sweep.csv"});
  REQUIRE(sleeps_until([&] { return processes_of_group(program.pid()) == 3; }));
  program.interrupt();
  const Ended ended = program.wait();
  CHECK(ended.code == 75);
  CHECK(ended.out.empty());
  CHECK(folder.names() == Names{"scenario.json"});
  CHECK(processes_of_group(program.pid()) == 0);
}

TEST_CASE("Ctrl-C, which the processes of a sweep get too, exits with 75 and leaves none of them",
          "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kEndless);
  Program program(folder, {"sweep", "scenario.json", "--axis", "seed=1,2,3,4", "--jobs", "2"});
  REQUIRE(sleeps_until([&] { return processes_of_group(program.pid()) == 3; }));
  ::kill(-program.pid(), SIGINT);
  const Ended ended = program.wait();
  CHECK(ended.code == 75);
  CHECK(ended.out.empty());
  CHECK(processes_of_group(program.pid()) == 0);
}

TEST_CASE("A sweep of which 1 point of 2 fails exits with 3, keeps the other and says which and why",
          "[command-line]") {
  const TemporaryFolder folder;
  const std::string good =
      "TIMESTAMP,ContextTokens,GeneratedTokens\n"
      "2023-11-16 18:15:46.6805900,374,44\n";
  write_text(folder / "good.csv", good);
  write_text(folder / "bad.csv", good + "2023-11-16 18:15:47,37");
  json scenario = json::parse(kScenario);
  scenario["workload"] = {{"kind", "azure"}};
  write_text(folder / "scenario.json", scenario.dump());
  const Ended ended = call(folder, {"sweep", "scenario.json", "--axis", "workload.file=bad.csv,good.csv"});
  CHECK(ended.code == 3);
  CHECK(ended.err ==
        "disagg: point 0 (workload.file=bad.csv): bad.csv:3: expects a row of 3 fields, "
        "TIMESTAMP,ContextTokens,GeneratedTokens, not '2023-11-16 18:15:47,37'\n");
  CHECK_THAT(ended.out, Contains("\n0,bad.csv,2,,,") && Contains("\n1,good.csv,0,"));
}

TEST_CASE("The option --quiet leaves stderr empty, and without it there are remarks", "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kScenario);
  const Ended loud = call(folder, {"run", "scenario.json", "--out", "results"});
  const Ended quiet = call(folder, {"run", "scenario.json", "--out", "results", "--quiet"});
  CHECK_THAT(loud.err, Contains("60 requests simulated in") && Contains("results are in results\n"));
  CHECK(quiet.err.empty());
  CHECK(quiet.out == loud.out);
  CHECK(call(folder, {"sweep", "scenario.json", "--axis", "seed=1,2", "--csv", "s.csv", "-q"}).err.empty());
  CHECK(call(folder, {"compare", "scenario.json", "scenario.json", "-q"}).err.empty());
}

TEST_CASE("A full disk behind stdout is an error of every command", "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kScenario);
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run", "scenario.json", "--quiet"},
        {"run", "scenario.json", "--json", "--quiet"},
        {"list", "models"},
        {"list", "policies"},
        {"topology", "scenario.json"},
        {"compare", "scenario.json", "scenario.json", "--quiet"},
        {"sweep", "scenario.json", "--axis", "seed=1,2", "--quiet"}}) {
    CAPTURE(arguments);
    const Ended ended = Program(folder, arguments, "/dev/full").wait();
    CHECK(ended.code == 2);
    CHECK(ended.err == "stdout: could not be written whole\n");
  }
}

TEST_CASE("The option --csv /dev/full is an error, and --csv /dev/stdout is stdout", "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kScenario);
  const std::vector<std::string> sweep{"sweep", "scenario.json", "--axis", "seed=1", "-q"};
  std::vector<std::string> arguments = sweep;
  arguments.insert(arguments.end(), {"--csv", "/dev/full"});
  const Ended full = call(folder, arguments);
  CHECK(full.code == 2);
  CHECK(full.err == "/dev/full: could not be written whole (is the disk full?)\n");
  arguments.back() = "/dev/stdout";
  CHECK(call(folder, arguments).out == call(folder, sweep).out);
  CHECK(std::filesystem::is_character_file("/dev/full"));
}

TEST_CASE("compare shows 2 scenarios of one name side by side, and keeps the results of both",
          "[command-line]") {
  const TemporaryFolder folder;
  write_text(folder / "one.json", kScenario);
  write_text(folder / "two.json", R"({ "extends": "one.json", "cluster": { "router": "random" } })");
  const Ended ended = call(folder, {"compare", "one.json", "two.json", "--out", "both", "--json"});
  CHECK(ended.code == 0);
  CHECK(json::accept(ended.out));
  Names both{"comparison.json", "one", "two"};
  if (disagg::can_write_reports()) both.insert(both.begin() + 2, "report.html");
  CHECK(TemporaryFolder::names_in(folder / "both") == both);
  CHECK(std::filesystem::exists(folder / "both/two/summary.json"));
}

}  // namespace
}  // namespace disagg
