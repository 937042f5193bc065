#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace disagg {

enum class Launcher { slurm, mpirun, parallel, kubernetes };
inline constexpr std::array<std::string_view, 4> kLaunchers{"slurm", "mpirun", "parallel", "kubernetes"};

struct EmitOptions {
  Launcher launcher = Launcher::slurm;
  std::string program;                 // how it is called on the machines
  std::vector<std::string> arguments;  // "sweep", the scenario, its axes
  std::string store;                   // of all shards together: "results/sweep.sqlite"
  std::size_t shards = 1;
  std::size_t jobs = 1;      // processes of a shard
  std::string image, claim;  // of kubernetes: container and persistent volume claim
};

// A script that runs a sweep in shards on an engine that is there already, each with a store of its own next
// to the one of all, and says how to merge them. A shard that is started again goes on where it was. Throws
// ConfigError when it is no sweep, or says --store, --shard or --resume itself.
std::string emit_script(const EmitOptions& options);

}  // namespace disagg
