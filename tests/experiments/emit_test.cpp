#include <catch2/catch.hpp>

#include "tests/experiments/program.hpp"
#include "tests/experiments/stored.hpp"

using namespace disagg;
using test::call;
using test::contents;
using test::shell;
using test::TemporaryFolder;

namespace {

const std::string kScenario = R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
    { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 1 } ] }, "network": { "solver": "fluid" },
  "workload": { "kind": "synthetic", "requests": 5, "arrivals": { "kind": "poisson", "requests_per_second": 10 },
    "prompt_tokens": 500, "output_tokens": 20 } })";

const std::vector<std::string> kSweep{
    "sweep", "a scenario.json", "--axis", "seed=1,2,3,4,5,6,7", "--axis", "workload.prompt_tokens=100,200"};

std::vector<std::string> emit(const std::string& launcher, const std::string& store) {
  std::vector<std::string> arguments{"emit", launcher, "--shards", "3", "--store", store, "--"};
  arguments.insert(arguments.end(), kSweep.begin(), kSweep.end());
  return arguments;
}

}  // namespace

TEST_CASE("Emitted scripts run a sweep in three shards, each in its store, and merged they are the whole") {
  const TemporaryFolder folder;
  test::write_text(folder / "a scenario.json", kScenario);
  auto whole = kSweep;
  whole.insert(whole.end(), {"--store", "whole.sqlite", "--csv", "whole.csv"});
  REQUIRE(call(folder, whole).code == 0);
  std::filesystem::create_directory(folder / "out");

  const test::Ended slurm = call(folder, emit("slurm", "out/slurm.sqlite"));
  REQUIRE(slurm.code == 0);
  CHECK_THAT(slurm.out, Catch::Contains("#SBATCH --array=1-3\n"));
  test::write_text(folder / "slurm.sh", slurm.out);
  // As Slurm starts the tasks; the second one twice.
  for (const std::string task : {"1", "2", "2", "3"})
    REQUIRE(shell(folder, "SLURM_ARRAY_TASK_ID=" + task +
                              " SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 bash slurm.sh") == 0);
  REQUIRE(shell(folder, "sed -n 's/^# When all are done: //p' slurm.sh | bash") == 0);
  CHECK(contents(folder / "out/slurm.sqlite") == contents(folder / "whole.sqlite"));

  const test::Ended parallel = call(folder, emit("parallel", "out/parallel"));
  REQUIRE(parallel.code == 0);
  test::write_text(folder / "parallel.sh", parallel.out);
  REQUIRE(shell(folder, "bash parallel.sh") == 0);
  CHECK(contents(folder / "out/parallel") == contents(folder / "whole.sqlite"));

  const test::Ended kubernetes = call(folder, emit("kubernetes", "out/k.sqlite"));
  CHECK_THAT(kubernetes.out, Catch::Contains("completionMode: Indexed") &&
                                 Catch::Contains("completions: 3") && Catch::Contains("value: \"3\""));
}

TEST_CASE("emit refuses what is no sweep, and options that the script gives") {
  const TemporaryFolder folder;
  CHECK_THAT(call(folder, {"emit", "slurm", "--shards", "2", "--store", "s", "--", "run", "s.json"}).err,
             Catch::Contains("there has to be a sweep, a sensitivity or a capacity"));
  CHECK_THAT(
      call(folder, {"emit", "slurm", "--shards", "2", "--store", "s", "--", "sweep", "s.json", "--resume"})
          .err,
      Catch::Contains("--resume is given by the script"));
}
