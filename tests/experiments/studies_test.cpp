#include <catch2/catch.hpp>
#include <filesystem>
#include <set>
#include <string>

#include "experiments/scenario.hpp"

using namespace disagg;

TEST_CASE("Every scenario of every study can be read, but for those that others extend and those of traces") {
  const std::set<std::string> incomplete{"common.json", "base.json"};
  int read = 0;
  for (const auto& study : std::filesystem::directory_iterator(DISAGG_SOURCE_DIR "/experiments")) {
    const std::string name = study.path().filename().string();
    if (!study.is_directory() || name == "emulate_splitwise" || name == "report") continue;
    for (const auto& entry : std::filesystem::directory_iterator(study)) {
      const std::filesystem::path& file = entry.path();
      if (file.extension() != ".json" || incomplete.contains(file.filename().string())) continue;
      INFO(file);
      CHECK_NOTHROW(load_scenario(file));
      ++read;
    }
  }
  CHECK(read > 25);
}
