#include "experiments/store.hpp"

#include <boost/random/uniform_int_distribution.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>

#include "experiments/shard.hpp"
#include "sim/base/config.hpp"
#include "sim/base/random.hpp"
#include "tests/experiments/program.hpp"
#include "tests/experiments/stored.hpp"

using namespace disagg;
using test::call;
using test::contents;
using test::TemporaryFolder;

namespace {

constexpr std::size_t kPoints = 200;

const std::string kScenario = R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
    { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 1 } ] }, "network": { "solver": "fluid" },
  "workload": { "kind": "synthetic", "requests": 20, "arrivals": { "kind": "poisson", "requests_per_second": 10 },
    "prompt_tokens": 500, "output_tokens": 20 } })";

// 200 points, of which one in 40 fails for want of room.
std::vector<std::string> sweep(const std::string& store, const std::vector<std::string>& more = {}) {
  std::string seeds;
  for (int i = 1; i <= 40; ++i) seeds += (i > 1 ? "," : "") + std::to_string(i);
  std::vector<std::string> arguments{
      "sweep",  "s.json",        "--axis",  "workload.output_tokens=5,10,20,40,80",
      "--axis", "seed=" + seeds, "--store", store,
      "--csv",  store + ".csv",  "--quiet"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace

TEST_CASE("A sweep of 200 points that is killed 30 times and resumed has the store of an undisturbed one") {
  const TemporaryFolder folder;
  test::write_text(folder / "s.json", kScenario);
  REQUIRE(call(folder, sweep("whole")).code == 0);
  RandomEngine random = random_stream(7, "test/kills");
  int killed_while_running = 0;
  for (int i = 0; i < 30; ++i) {
    test::Program program(folder, sweep("torn", {"--resume", "--jobs", "2"}));
    std::this_thread::sleep_for(
        std::chrono::milliseconds(boost::random::uniform_int_distribution<int>(5, 120)(random)));
    if (program.running()) ++killed_while_running;
    ::kill(-program.pid(), SIGKILL);
    program.wait();
  }
  CHECK(killed_while_running > 10);
  const test::Ended ended = call(folder, sweep("torn", {"--resume"}));
  REQUIRE(ended.code == 0);
  CHECK(Store(folder / "torn").done().size() == kPoints);
  CHECK(contents(folder / "torn") == contents(folder / "whole"));
  CHECK(test::read_text(folder / "torn.csv") == test::read_text(folder / "whole.csv"));
}

TEST_CASE("Four shards merged are one sweep, and merged twice the same") {
  const TemporaryFolder folder;
  test::write_text(folder / "s.json", kScenario);
  REQUIRE(call(folder, sweep("whole")).code == 0);
  std::vector<std::string> merge{"merge", "all"};
  for (int shard = 1; shard <= 4; ++shard) {
    const std::string store = "shard-" + std::to_string(shard);
    REQUIRE(call(folder, sweep(store, {"--shard", std::to_string(shard) + "/4"})).code == 0);
    CHECK(Store(folder / store).done().size() == kPoints / 4);
    merge.push_back(store);
  }
  for (int times = 0; times < 2; ++times) {
    REQUIRE(call(folder, merge).code == 0);
    CHECK(contents(folder / "all") == contents(folder / "whole"));
  }
  const test::Ended status = call(folder, {"status", "all", "--csv", "all.csv"});
  CHECK(status.code == 0);
  CHECK(test::read_text(folder / "all.csv") == test::read_text(folder / "whole.csv"));
  CHECK_THAT(call(folder, {"status", "shard-2"}).out,
             Catch::StartsWith("50 of 200 points are in shard-2, 0 of them failed"));
  CHECK_THAT(call(folder, {"status", "shard-2", "--column", "metrics.completed"}).out,
             Catch::StartsWith(
                 "point,workload.output_tokens,seed,exit_code,scenario_hash,metrics.completed\n1,5,2,0,"));
  // What belongs to another sweep is refused, and so is going on with it.
  test::write_text(folder / "s.json", test::with(kScenario, "500", "600"));
  const test::Ended other = call(folder, sweep("whole", {"--resume"}));
  CHECK(other.code == 2);
  CHECK_THAT(other.err, Catch::Contains("whole: belongs to another sweep"));
  REQUIRE(call(folder, sweep("changed", {"--shard", "1/100"})).code == 0);
  CHECK_THAT(call(folder, {"merge", "all", "changed"}).err, Catch::Contains("are of different sweeps"));
}

TEST_CASE("A sensitivity and capacities of clusters in two shards, merged, are those of one process") {
  const TemporaryFolder folder;
  test::write_text(folder / "s.json",
                   test::with(kScenario, R"("workload")", R"("slo": { "ttft": "40 ms" }, "workload")"));
  const std::vector<std::vector<std::string>> commands{
      {"sensitivity", "s.json", "--metric", "metrics.ttft_ms.mean", "--samples", "8", "--axis",
       "workload.prompt_tokens=100..900:int", "--axis",
       "cluster.pools[0].accelerator=h100-sxm-80gb,b200-sxm"},
      {"capacity", "s.json", "--set", "workload.requests=600", "--axis",
       "cluster.pools[0].replicas=1..3:int"}};
  for (std::size_t c = 0; c < commands.size(); ++c) {
    const auto with = [&](const std::vector<std::string>& more) {
      std::vector<std::string> arguments = commands[c];
      arguments.insert(arguments.end(), more.begin(), more.end());
      return call(folder, arguments);
    };
    INFO(commands[c][0]);
    const std::string name = std::to_string(c);
    const test::Ended whole = with({"--json"});
    INFO(whole.err);
    REQUIRE(whole.code == 0);
    for (const std::string shard : {"1", "2"})
      REQUIRE(with({"--store", name + "-" + shard, "--shard", shard + "/2"}).code == 0);
    REQUIRE(call(folder, {"merge", name + "-all", name + "-1", name + "-2"}).code == 0);
    const test::Ended merged = with({"--store", name + "-all", "--resume", "--json", "--quiet"});
    CHECK(merged.code == 0);
    CHECK(merged.out == whole.out);
    CHECK(with({"--store", name + "-all"}).code == 2);
    // What is asked belongs to the store.
    if (c == 1) CHECK(with({"--store", name + "-all", "--resume", "--attainment", "0.5"}).code == 2);
  }
  const test::Ended none = call(folder, {"capacity", "s.json", "--store", "x"});
  CHECK(none.code == 2);
  CHECK_THAT(none.err, Catch::Contains("--store keeps the capacities of several clusters"));
}

TEST_CASE("Points that fail are kept with their message, and the sweep says so again when resumed") {
  const TemporaryFolder folder;
  test::write_text(folder / "s.json",
                   test::with(kScenario, R"("replicas": 1)", R"("replicas": 1, "kv_capacity": "1 GB")"));
  const std::vector<std::string> arguments{
      "sweep", "s.json", "--axis", "horizon.warm_up=0 s,1 s", "--axis", "workload.kind=synthetic", "--store",
      "f",     "--csv",  "f.csv"};
  REQUIRE(call(folder, arguments).code == 0);
  const test::Ended again = call(folder, arguments);
  CHECK(again.code == 2);
  CHECK_THAT(again.err, Catch::Contains("f: is there already; go on with it with --resume, or remove it"));
  auto resumed = arguments;
  resumed.emplace_back("--resume");
  const test::Ended third = call(folder, resumed);
  CHECK(third.code == 0);
  CHECK_THAT(third.err, Catch::Contains("2 points were in f already"));
  Store store(folder / "f");
  store.put(
      0,
      {.assignments = "{}", .scenario_hash = "", .result = {.code = 70, .output = "killed"}, .metrics = {}});
  store.put(
      1, {.assignments = "{}", .scenario_hash = "", .result = {.code = 1, .output = "stuck"}, .metrics = {}});
  const test::Ended failed = call(folder, resumed);
  CHECK(failed.code == 3);
  CHECK_THAT(failed.err, Catch::Contains("stuck"));
  // What was killed is run again.
  CHECK_THAT(failed.err, Catch::Contains("1 points were in f already") && !Catch::Contains("killed"));
  CHECK(store.get(0)->result.code == 0);
}

TEST_CASE("A store that cannot be written is a clear error, and what was written before still opens") {
  const TemporaryFolder folder;
  test::write_text(folder / "s.json", kScenario);
  CHECK_THAT(call(folder, {"sweep", "s.json", "--axis", "seed=1", "--store", "nowhere/s.sqlite"}).err,
             Catch::Contains("nowhere/s.sqlite: unable to open database file"));
  test::write_text(folder / "text",
                   "this is no database, but long enough to be taken for one at first sight");
  CHECK_THAT(call(folder, {"status", "text"}).err, Catch::Contains("text: file is not a database"));
  CHECK_THAT(call(folder, {"status", "absent"}).err, Catch::Contains("absent: there is no such store"));
  // A file may grow to 1 MB only: as on a full disk.
  std::string command =
      "cd " + folder.path().string() + " && trap '' XFSZ && ulimit -f 2000 && '" DISAGG_BINARY "'";
  for (const std::string& argument : sweep("small")) command += " '" + argument + "'";
  command += " 2> err";
  CHECK(WEXITSTATUS(std::system(command.c_str())) == 2);
  CHECK_THAT(test::read_text(folder / "err"), Catch::Contains("small: "));
  const std::size_t kept = Store(folder / "small").done().size();
  CHECK(kept > 10);
  CHECK(kept < kPoints);
  REQUIRE(call(folder, sweep("small", {"--resume"})).code == 0);
  REQUIRE(call(folder, sweep("whole")).code == 0);
  CHECK(contents(folder / "small") == contents(folder / "whole"));
}

TEST_CASE(
    "A sweep whose trace has changed since is another sweep, and one that needs its axes to be read has a "
    "store") {
  const TemporaryFolder folder;
  test::write_text(folder / "t.jsonl", R"({"timestamp": 0, "input_length": 500, "output_length": 5})"
                                       "\n");
  const std::string text = kScenario.substr(0, kScenario.find(R"("workload")")) +
                           R"("workload": { "kind": "mooncake", "file": "t.jsonl" } })";
  test::write_text(folder / "s.json", text);
  const std::vector<std::string> arguments{"sweep",   "s.json", "--axis", "seed=1,2",
                                           "--store", "t",      "--csv",  "t.csv"};
  REQUIRE(call(folder, arguments).code == 0);
  auto resumed = arguments;
  resumed.emplace_back("--resume");
  CHECK(call(folder, resumed).code == 0);
  test::write_text(folder / "t.jsonl", R"({"timestamp": 0, "input_length": 501, "output_length": 5})"
                                       "\n");
  CHECK_THAT(call(folder, resumed).err, Catch::Contains("t: belongs to another sweep"));
  CHECK(call(folder, {"sweep", "s.json", "--set", "cluster.pools[0].accelerator=none", "--axis",
                      "cluster.pools[0].accelerator=h100-sxm-80gb", "--store", "u", "--csv", "u.csv"})
            .code == 0);
}

TEST_CASE("Shards are told by hand, or by Slurm, MPI and Kubernetes") {
  using Shard = std::pair<std::size_t, std::size_t>;
  CHECK(parse_shard("1/4") == Shard{0, 4});
  CHECK(parse_shard("4/4") == Shard{3, 4});
  for (const std::string broken : {"0/4", "5/4", "1", "1/", "/4", "a/4", "-1/4", ""})
    CHECK_THROWS_AS(parse_shard(broken), ConfigError);
  CHECK_THROWS_WITH(parse_shard("auto"), Catch::Contains("the environment names no shard"));
  const auto with = [](const std::vector<std::pair<const char*, const char*>>& variables) {
    for (const auto& [name, value] : variables) ::setenv(name, value, 1);
    const Shard shard = parse_shard("auto");
    for (const auto& [name, value] : variables) ::unsetenv(name);
    return shard;
  };
  CHECK(with({{"SLURM_ARRAY_TASK_ID", "12"},
              {"SLURM_ARRAY_TASK_COUNT", "8"},
              {"SLURM_ARRAY_TASK_MIN", "10"}}) == Shard{2, 8});
  CHECK(with({{"SLURM_ARRAY_TASK_ID", "4"},
              {"SLURM_ARRAY_TASK_COUNT", "3"},
              {"SLURM_ARRAY_TASK_MIN", "0"},
              {"SLURM_ARRAY_TASK_STEP", "2"}}) == Shard{2, 3});
  CHECK(with({{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "4"}}) == Shard{3, 4});
  CHECK(with({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}) == Shard{0, 2});
  CHECK(with({{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}}) == Shard{1, 2});
  CHECK(with({{"JOB_COMPLETION_INDEX", "5"}, {"DISAGG_SHARDS", "6"}}) == Shard{5, 6});
}
