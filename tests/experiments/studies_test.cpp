#include "tests/experiments/studies.hpp"

#include <catch2/catch.hpp>

#include "experiments/scenario.hpp"

using namespace disagg;

TEST_CASE("Every scenario of every study can be read, but for those that others extend and those of traces") {
  int read = 0;
  for (const std::filesystem::path& file : test::study_scenarios()) {
    INFO(file);
    CHECK_NOTHROW(load_scenario(file));
    ++read;
  }
  CHECK(read > 25);
}
