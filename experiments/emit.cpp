#include "experiments/emit.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "sim/base/config.hpp"

namespace disagg {
namespace {

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && std::ranges::all_of(word, [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("-_./=:,@%+").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// "results/sweep.sqlite" -> "results/sweep-" and ".sqlite".
std::pair<std::string, std::string> around_number(const std::string& store) {
  const auto slash = store.find_last_of('/');
  const auto dot = store.find_last_of('.');
  if (dot == std::string::npos || (slash != std::string::npos && dot < slash) ||
      dot == (slash == std::string::npos ? 0 : slash + 1))
    return {store + "-", ""};
  return {store.substr(0, dot) + "-", store.substr(dot)};
}

// One shard; `number` is text that the shell replaces.
std::string command(const EmitOptions& o, const std::string& number, const std::string& shard,
                    const std::string& jobs) {
  const auto [front, back] = around_number(o.store);
  std::string text = quoted(o.program);
  for (const std::string& argument : o.arguments) text += " " + quoted(argument);
  return text + " --store " + quoted(front) + number +
         quoted(back.empty() ? "" : back).substr(back.empty() ? 2 : 0) + " --resume --shard " + shard +
         " --jobs " + jobs + " --quiet > /dev/null";
}

std::string merge(const EmitOptions& o) {
  const auto [front, back] = around_number(o.store);
  return quoted(o.program) + " merge " + quoted(o.store) + " " + quoted(front) + "*" + back;
}

std::string in_yaml(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::string emit_script(const EmitOptions& o) {
  constexpr std::array<std::string_view, 3> kCommands{"sweep", "sensitivity", "capacity"};
  if (o.arguments.empty() || std::ranges::find(kCommands, o.arguments.front()) == kCommands.end())
    throw ConfigError(
        "emit: behind -- there has to be a sweep, a sensitivity or a capacity, as in: disagg emit slurm "
        "--shards 8 --store s.sqlite -- sweep scenario.json --axis seed=1,2,3");
  for (const std::string& argument : o.arguments)
    for (const std::string_view own : {"--store", "--shard", "--resume", "--csv", "--jobs"})
      if (argument == own || argument.starts_with(std::string(own) + "="))
        throw ConfigError("emit: " + std::string(own) + " is given by the script; leave it out behind --");
  const std::string shards = std::to_string(o.shards);
  const std::string jobs = std::to_string(o.jobs);
  switch (o.launcher) {
    case Launcher::slurm:
      return "#!/bin/bash\n"
             "# Submit with sbatch. A task that fails, or whose node does, can be started again: it goes on "
             "where it was.\n"
             "# When all are done: " +
             merge(o) +
             "\n"
             "#SBATCH --job-name=disagg\n#SBATCH --array=1-" +
             shards + "\n#SBATCH --ntasks=1\n#SBATCH --cpus-per-task=" + jobs +
             "\n#SBATCH --requeue\nset -euo pipefail\nexec " +
             command(o, "\"$SLURM_ARRAY_TASK_ID\"", "auto", "\"${SLURM_CPUS_PER_TASK:-1}\"") + "\n";
    case Launcher::mpirun:
      // Bound to one core, the processes of a shard would share it.
      return "#!/bin/bash\nset -euo pipefail\nmpirun -bind-to none -np " + shards + " bash -c " +
             quoted("exec " + command(o, "\"${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-}}\"", "auto", jobs)) + "\n" +
             merge(o) + "\n";
    case Launcher::parallel:
      return "#!/bin/bash\nset -euo pipefail\n"
             "# xargs in place of GNU parallel where there is none.\n"
             "seq 1 " +
             shards + " | xargs -P " + shards + " -I {} bash -c " +
             quoted("exec " + command(o, "{}", "{}/" + shards, jobs)) + "\n" + merge(o) + "\n";
    case Launcher::kubernetes:
      break;
  }
  return "# kubectl apply -f this; when it is complete, in a pod with the claim: " + merge(o) +
         "\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: disagg-sweep\nspec:\n  completionMode: "
         "Indexed\n"
         "  completions: " +
         shards + "\n  parallelism: " + shards +
         "\n  backoffLimitPerIndex: 3\n  template:\n    spec:\n      restartPolicy: Never\n      "
         "containers:\n"
         "        - name: disagg\n          image: " +
         in_yaml(o.image) + "\n          workingDir: /data\n          command: [\"bash\", \"-c\", " +
         in_yaml("exec " + command(o, "\"$JOB_COMPLETION_INDEX\"", "auto", jobs)) +
         "]\n          env:\n            - name: DISAGG_SHARDS\n              value: \"" + shards +
         "\"\n          resources:\n            requests:\n              cpu: \"" + jobs +
         "\"\n          volumeMounts:\n            - name: data\n              mountPath: /data\n      "
         "volumes:\n"
         "        - name: data\n          persistentVolumeClaim:\n            claimName: " +
         in_yaml(o.claim) + "\n";
}

}  // namespace disagg
