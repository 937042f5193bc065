#include "experiments/shard.hpp"

#include <array>
#include <cstdlib>
#include <optional>

#include "sim/base/config.hpp"

namespace disagg {

std::pair<std::size_t, std::size_t> parse_shard(const std::string& text) {
  const auto whole = [](const std::string& number) -> std::optional<std::size_t> {
    if (number.empty() || number.size() > 9 || number.find_first_not_of("0123456789") != std::string::npos)
      return std::nullopt;
    return static_cast<std::size_t>(std::stoul(number));
  };
  if (text == "auto") {
    struct Launcher {
      const char *index, *count, *first, *step;
    };
    constexpr auto kLaunchers = std::to_array<Launcher>({
        {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"},
        {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", nullptr, nullptr},
        {"PMI_RANK", "PMI_SIZE", nullptr, nullptr},
        {"SLURM_PROCID", "SLURM_NTASKS", nullptr, nullptr},
        {"JOB_COMPLETION_INDEX", "DISAGG_SHARDS", nullptr, nullptr},
    });
    for (const Launcher& launcher : kLaunchers) {
      const char* index = std::getenv(launcher.index);
      const char* count = std::getenv(launcher.count);
      if (index == nullptr || count == nullptr) continue;
      const char* first = launcher.first == nullptr ? nullptr : std::getenv(launcher.first);
      const auto i = whole(index);
      const auto n = whole(count);
      const char* step = launcher.step == nullptr ? nullptr : std::getenv(launcher.step);
      const auto from = whole(first == nullptr ? "0" : first);
      const auto by = whole(step == nullptr ? "1" : step);
      if (i && n && from && by && *by > 0 && *i >= *from && (*i - *from) / *by < *n &&
          (*i - *from) % *by == 0)
        return {(*i - *from) / *by, *n};
      throw ConfigError("--shard auto: " + std::string(launcher.index) + " is '" + index + "' and " +
                        launcher.count + " '" + count + "', which is no shard");
    }
    throw ConfigError(
        "--shard auto: the environment names no shard (SLURM_ARRAY_TASK_ID, OMPI_COMM_WORLD_RANK, PMI_RANK, "
        "SLURM_PROCID, or JOB_COMPLETION_INDEX with DISAGG_SHARDS)");
  }
  const auto slash = text.find('/');
  const auto i = whole(text.substr(0, slash));
  const auto n = slash == std::string::npos ? std::nullopt : whole(text.substr(slash + 1));
  if (!i || !n || *i < 1 || *i > *n)
    throw ConfigError("--shard " + text + ": expects I/N with I from 1 to N, or auto");
  return {*i - 1, *n};
}

}  // namespace disagg
