#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace disagg::test {

// The scenarios of all studies but for those that others extend.
inline std::vector<std::filesystem::path> study_scenarios() {
  const std::set<std::string> incomplete{"common.json", "base.json"};
  std::vector<std::filesystem::path> files;
  for (const auto& study : std::filesystem::directory_iterator(DISAGG_SOURCE_DIR "/experiments")) {
    const std::string name = study.path().filename().string();
    if (!study.is_directory() || name == "emulate_splitwise" || name == "report") continue;
    for (const auto& entry : std::filesystem::directory_iterator(study))
      if (entry.path().extension() == ".json" && !incomplete.contains(entry.path().filename().string()))
        files.push_back(entry.path());
  }
  return files;
}

}  // namespace disagg::test
