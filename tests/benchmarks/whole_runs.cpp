// Whole-process speed of the program, as a user sees it: CPU seconds and peak memory of `disagg run`, each
// row the median of several runs. Usage: benchmark_whole_runs PROGRAM [RUNS]. Rows on the Azure trace are
// skipped where it is absent.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

struct Cost {
  double cpu_seconds = 0;
  double peak_megabytes = 0;
};

Cost run_once(const std::string& program, const std::vector<std::string>& arguments) {
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (std::freopen("/dev/null", "w", stdout) == nullptr) std::_Exit(1);
    ::execv(program.c_str(), argv.data());
    std::_Exit(127);
  }
  int status = 0;
  rusage usage{};
  if (::wait4(pid, &status, 0, &usage) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::fprintf(stderr, "the run failed\n");
    std::exit(1);
  }
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return {seconds(usage.ru_utime) + seconds(usage.ru_stime), static_cast<double>(usage.ru_maxrss) / 1024};
}

void row(const char* name, double requests, const std::string& program, std::vector<std::string> arguments,
         int runs) {
  arguments.insert(arguments.begin(), "run");
  arguments.insert(arguments.end(), {"--quiet", "--json"});
  run_once(program, arguments);
  std::vector<Cost> costs;
  for (int i = 0; i < runs; ++i) costs.push_back(run_once(program, arguments));
  std::sort(costs.begin(), costs.end(),
            [](const Cost& a, const Cost& b) { return a.cpu_seconds < b.cpu_seconds; });
  const Cost& median = costs[costs.size() / 2];
  std::printf("%-52s %9.0f %9.3f %13.0f %11.2f %8.1f\n", name, requests, median.cpu_seconds,
              requests / median.cpu_seconds, median.cpu_seconds / requests * 1e6, median.peak_megabytes);
  std::fflush(stdout);
}

// `replicas` mixed replicas of Llama-3.1-8B on one H100 each, 4 requests a second to each.
std::string synthetic(const std::filesystem::path& folder, int replicas, int requests) {
  const auto file =
      folder / ("synthetic_" + std::to_string(replicas) + "_" + std::to_string(requests) + ".json");
  std::ofstream(file)
      << R"({ "model": "llama-3.1-8b", "cluster": { "router": "least-tokens", "pools": [ { "name": "mixed", "accelerator": "h100-sxm-80gb", "replicas": )"
      << replicas
      << R"( } ] }, "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": )"
      << 4 * replicas << R"( }, "requests": )" << requests
      << R"(, "prompt_tokens": { "kind": "lognormal", "median": 1000, "sigma": 0.8, "high": 20000 },
      "output_tokens": { "kind": "lognormal", "median": 150, "sigma": 0.8, "high": 2000 } } })";
  return file.string();
}

// The Mooncake conversation trace on 16 replicas with prefixes in HBM, host DRAM and a pool of the cluster.
std::string three_tiers(const std::filesystem::path& folder, const std::filesystem::path& trace) {
  const auto file = folder / "three_tiers.json";
  std::ofstream(file)
      << R"({ "model": "llama-3.1-70b", "precision": { "weights": "fp8", "kv": "fp8" }, "cluster": { "pools": [ { "name": "gpu",
      "accelerator": "h100-sxm-80gb", "replicas": 16, "parallelism": { "tp": 4 }, "kv_capacity": "20 GB", "prefix_cache": {},
      "tiers": ["dram", "pool"] } ], "memory_pools": [
        { "name": "dram", "preset": "host-dram", "scope": "replica", "capacity": "60 GB" },
        { "name": "pool", "preset": "remote-dram", "capacity": "10 TB", "write": "write-back" } ], "router": "cache-aware" },
      "network": { "solver": "fluid" }, "workload": { "kind": "mooncake", "file": ")"
      << trace.string() << R"(", "spread": "3 s", "rate_scale": 2 } })";
  return file.string();
}

// `sessions` coding agents on 64 replicas that keep prefixes, at a rate at which their contexts fit.
std::string coding_agents(const std::filesystem::path& folder, int sessions, const std::string& router) {
  const auto file = folder / ("agents_" + std::to_string(sessions) + "_" + router + ".json");
  std::ofstream(file)
      << R"({ "model": "llama-3.1-70b", "precision": { "weights": "fp8", "kv": "fp8" }, "cluster": { "router": ")"
      << router << R"(", "pools": [ { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 64,
      "parallelism": { "tp": 4 }, "prefix_cache": {} } ] }, "network": { "solver": "fluid" },
      "workload": { "kind": "agents", "mix": { "coding": 1 }, "sessions": )"
      << sessions << R"(, "arrivals": { "kind": "poisson", "sessions_per_second": 0.03 } } })";
  return file.string();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: benchmark_whole_runs PROGRAM [RUNS]\n");
    return 2;
  }
  const std::string program = argv[1];
  const int runs = argc > 2 ? std::max(1, std::atoi(argv[2])) : 5;
  const std::filesystem::path repository = DISAGG_SOURCE_DIR;
  const auto folder =
      std::filesystem::temp_directory_path() / ("disagg-benchmark-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::printf("%-52s %9s %9s %13s %11s %8s\n", "run", "requests", "CPU s", "requests/CPU s", "us/request",
              "peak MB");
  const auto peer = repository / "experiments/emulate_splitwise";
  if (std::filesystem::exists(repository / "../shared/data/traces/azure_2023_conv.csv")) {
    row("Azure conversation, 8 x H100 mixed (table)", 19366, program,
        {(peer / "baseline_h100x8.json").string()}, runs);
    row("Azure conversation, 4 + 4 with hand-off (table)", 19366, program, {(peer / "ha_4p4d.json").string()},
        runs);
    row("Azure conversation, 8 x H100 mixed (roofline)", 19366, program,
        {(peer / "baseline_h100x8_roofline.json").string()}, runs);
    row("Azure conversation, 4 + 4 with hand-off (roofline)", 19366, program,
        {(peer / "ha_4p4d_roofline.json").string()}, runs);
  } else {
    std::printf("skipped: the Azure trace is absent\n");
  }
  const auto mooncake = repository / "../shared/data/traces/mooncake_conversation.jsonl";
  if (std::filesystem::exists(mooncake)) {
    row("Mooncake conversation, 16 replicas, three tiers", 12031, program, {three_tiers(folder, mooncake)},
        runs);
  } else {
    std::printf("skipped: the Mooncake trace is absent\n");
  }
  row("synthetic, 8 replicas, 4 requests/s each", 100'000, program, {synthetic(folder, 8, 100'000)}, runs);
  row("synthetic, 64 replicas, 4 requests/s each", 100'000, program, {synthetic(folder, 64, 100'000)}, runs);
  row("synthetic, 512 replicas, 4 requests/s each", 100'000, program, {synthetic(folder, 512, 100'000)},
      runs);
  row("synthetic, 64 replicas, one million requests", 1'000'000, program, {synthetic(folder, 64, 1'000'000)},
      runs);
  row("1,500 coding agents, 64 replicas, session-sticky", 102'809, program,
      {coding_agents(folder, 1500, "session-sticky")}, 1);
  row("15,000 coding agents, 64 replicas, session-sticky", 1'025'784, program,
      {coding_agents(folder, 15'000, "session-sticky")}, 1);
  row("15,000 coding agents, 64 replicas, cache-aware", 1'025'784, program,
      {coding_agents(folder, 15'000, "cache-aware")}, 1);
  std::filesystem::remove_all(folder);
  return 0;
}
