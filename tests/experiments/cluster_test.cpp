#include <sqlite3.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>

#include "experiments/store.hpp"
#include "sim/base/config.hpp"
#include "tests/experiments/program.hpp"
#include "tests/experiments/stored.hpp"

using namespace disagg;
using namespace std::chrono_literals;
using test::call;
using test::contents;
using test::shell;
using test::TemporaryFolder;

namespace {

const std::string kScenario = R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
    { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 1 } ] }, "network": { "solver": "fluid" },
  "workload": { "kind": "synthetic", "requests": REQUESTS, "arrivals": { "kind": "poisson", "requests_per_second": 10 },
    "prompt_tokens": 500, "output_tokens": 200 } })";

// 48 points.
std::vector<std::string> sweep(const std::vector<std::string>& more) {
  std::string seeds;
  for (int i = 1; i <= 24; ++i) seeds += (i > 1 ? "," : "") + std::to_string(i);
  std::vector<std::string> arguments{"sweep",  "s.json",       "--axis", "workload.prompt_tokens=100,200",
                                     "--axis", "seed=" + seeds};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// While another process may be about to make the store.
std::size_t points_in(const std::filesystem::path& file) {
  try {
    return Store(file).done().size();
  } catch (const ConfigError&) {
    return 0;
  }
}

bool within_seconds(int seconds, std::chrono::milliseconds pause, const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

// How many rows of a store the statement changed.
int change(const std::filesystem::path& file, const std::string& statement) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  sqlite3_busy_timeout(database, 10'000);
  const int code = sqlite3_exec(database, statement.c_str(), nullptr, nullptr, nullptr);
  const int rows = sqlite3_changes(database);
  sqlite3_close(database);
  REQUIRE(code == SQLITE_OK);
  return rows;
}

// The scenario, and script.sh, which runs the sweep in shards that together are out/all.sqlite.
void prepare(const TemporaryFolder& folder, const std::string& launcher, int shards, int requests) {
  test::write_text(folder / "s.json", test::with(kScenario, "REQUESTS", std::to_string(requests)));
  std::filesystem::create_directory(folder / "out");
  std::vector<std::string> arguments{
      "emit", launcher, "--shards", std::to_string(shards), "--jobs", "1", "--store", "out/all.sqlite", "--"};
  for (const std::string& argument : sweep({})) arguments.push_back(argument);
  const test::Ended script = call(folder, arguments);
  INFO(script.err);
  REQUIRE(script.code == 0);
  test::write_text(folder / "script.sh", script.out);
}

// That out/all.sqlite is what one process makes of the sweep.
void check_whole(const TemporaryFolder& folder) {
  const test::Ended ended =
      call(folder, sweep({"--store", "whole.sqlite", "--csv", "whole.csv", "--jobs", "2", "--quiet"}));
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  CHECK(points_in(folder / "out/all.sqlite") == 48);
  // Not shown when they differ: they are long.
  CHECK((contents(folder / "out/all.sqlite") == contents(folder / "whole.sqlite")));
}

// Slurm on this machine, with the nodes n1 and n2.
class Cluster {
 public:
  explicit Cluster(const TemporaryFolder& folder)
      : folder_(folder),
        code_(shell(folder, script("start") + " " + std::to_string(::getpid()) + " > conf 2> cluster.err")) {}
  ~Cluster() { stop(); }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  int code() const { return code_; }
  std::string error() const { return test::read_text(folder_ / "cluster.err"); }
  int kill(const std::string& node) const { return shell(folder_, script("kill") + " " + node); }
  int stop() const { return shell(folder_, script("stop")); }
  // What one of Slurm's commands says.
  std::string ask(const std::string& command) const {
    const int code =
        shell(folder_, "export SLURM_CONF=$PWD/cluster/slurm.conf && { " + command + "; } > answer");
    const std::string answer = test::read_text(folder_ / "answer");
    return code != 0 ? "" : answer.substr(0, answer.find_last_not_of('\n') + 1);
  }
  // For the message of a failure.
  std::string logs() const {
    shell(folder_, "tail -v -n 40 cluster/log/slurm* slurm-*.out > logs 2>&1");
    return test::read_text(folder_ / "logs");
  }

 private:
  static std::string script(const std::string& command) {
    return "'" DISAGG_SOURCE_DIR "/tests/experiments/slurm_cluster.sh' " + command + " cluster";
  }

  const TemporaryFolder& folder_;
  int code_;
};

}  // namespace

TEST_CASE(
    "A Slurm array of 3 tasks on 2 nodes, one of which is killed mid-way, finishes with all 48 points") {
  const TemporaryFolder folder;
  const Cluster slurm(folder);
  if (slurm.code() == 77) {
    WARN("skipped: " << slurm.error());
    return;
  }
  INFO(slurm.error());
  REQUIRE(slurm.code() == 0);
  prepare(folder, "slurm", 3, 10000);  // a task takes about a second
  const std::string job = slurm.ask("sbatch --parsable script.sh");
  INFO("job " << job);
  REQUIRE_FALSE(job.empty());
  const std::string task = job + "_2";
  const auto store = folder / "out/all-2.sqlite";
  std::string node;
  const auto runs = [&] {
    node = slurm.ask("squeue --noheader --states=R --format=%N --job=" + task);
    return !node.empty();
  };
  if (!within_seconds(30, 100ms, runs)) FAIL(slurm.logs());
  if (!within_seconds(60, 5ms, [&] { return points_in(store) >= 2; })) FAIL(slurm.logs());
  INFO("node " << node);
  REQUIRE(slurm.kill(node) == 0);
  // Marked, to tell them from those of a second run.
  const int kept = change(store, "UPDATE points SET summary = summary || ' '");
  CHECK(kept >= 2);
  CHECK(kept < 16);

  if (!within_seconds(80, 500ms, [&] { return slurm.ask("squeue --noheader || echo unknown").empty(); }))
    FAIL(slurm.logs());
  INFO(slurm.logs());
  const std::string ended = slurm.ask("scontrol --oneliner show job " + task);
  CHECK_THAT(ended, Catch::Contains("Restarts=1 ") &&
                        Catch::Contains(std::string("BatchHost=") + (node == "n1" ? "n2 " : "n1 ")));
  CHECK(slurm.ask("sinfo --noheader --Node --format=%T --nodes=" + node) == "down*");
  CHECK(slurm.ask("scontrol --oneliner show job | grep -c JobState=COMPLETED") == "3");
  CHECK(slurm.stop() == 0);

  CHECK(points_in(store) == 16);
  CHECK(change(store, "UPDATE points SET summary = rtrim(summary) WHERE summary LIKE '% '") == kept);
  REQUIRE(shell(folder, "sed -n 's/^# When all are done: //p' script.sh | bash 2> merge.err") == 0);
  check_whole(folder);
}

TEST_CASE("4 processes of mpirun, each with its share of 48 points, have the store of one process") {
  if (std::system("command -v mpirun > /dev/null") != 0) {
    WARN("skipped: there is no mpirun; Debian has it in openmpi-bin");
    return;
  }
  const TemporaryFolder folder;
  prepare(folder, "mpirun", 4, 50);
  // mpirun wants a program to reach other machines, ssh, even where it starts none there.
  const int code =
      shell(folder,
            "OMPI_MCA_plm_rsh_agent=false OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
            "OMPI_MCA_rmaps_base_oversubscribe=1 bash script.sh 2> mpi.err");
  INFO(test::read_text(folder / "mpi.err"));
  REQUIRE(code == 0);
  for (const std::string rank : {"0", "1", "2", "3"})
    CHECK(points_in(folder / ("out/all-" + rank + ".sqlite")) == 12);
  check_whole(folder);
}
