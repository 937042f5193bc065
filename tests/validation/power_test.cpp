#include <catch2/catch.hpp>

#include "experiments/validate_power.hpp"

using namespace disagg;

TEST_CASE("Power of H100 and B200 servers of models that were left out of the fit: mean error within 12 %") {
  const auto file =
      std::filesystem::path(DISAGG_SOURCE_DIR) / "../shared/data/measured/power_mlenergy_2026.csv";
  if (!std::filesystem::exists(file)) {
    WARN("skipped: " << file << " is absent");
    return;
  }
  const Validation validation = validate_power(CsvTable::read(file), {});
  REQUIRE(validation.rows.size() == 182);
  for (const std::string gpu : {"H100", "B200"}) {
    std::vector<const ComparedRow*> rows;
    for (const ComparedRow& row : validation.rows)
      if (row.columns.at("gpu") == gpu) rows.push_back(&row);
    INFO(gpu);
    CHECK(summarise_errors(rows, "power_w").mean < 12);
    CHECK(*rank_correlation(rows, "j_per_token") > 0.95);
  }
}
