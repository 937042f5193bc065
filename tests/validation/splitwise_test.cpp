#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "experiments/distribution.hpp"
#include "experiments/metrics.hpp"
#include "experiments/scenario.hpp"
#include "tests/support/harness.hpp"

using namespace disagg;

namespace {

const std::filesystem::path kRepository = DISAGG_SOURCE_DIR;

// The peer's percentiles against ours: p50 and p90 within 2 %, p99 within 5 %. Its TBT is (E2E - TTFT) /
// output length.
void check_against_peer(const std::string& scenario, const std::string& peer) {
  const auto file = kRepository / "../shared/data/peers" / peer;
  if (!std::filesystem::exists(file)) {
    WARN("skipped: " << file << " is absent");
    return;
  }
  const nlohmann::json published = nlohmann::json::parse(std::ifstream(file)).at("summary");
  ConfigNode root = load_config(kRepository / "experiments/emulate_splitwise" / scenario);
  const test::Facts facts = test::simulate(std::move(root));
  REQUIRE(facts.requests.size() == 19'366);
  Distribution first;
  Distribution between;
  Distribution whole;
  for (const RequestRecord& r : facts.requests) {
    REQUIRE(r.outcome == Outcome::finished);
    first.add(ttft(r).si);
    between.add((e2el(r) - ttft(r)).si / static_cast<double>(r.output_tokens));
    whole.add(e2el(r).si);
  }
  const auto compare = [&](const char* name, const Distribution& ours) {
    for (const auto& [statistic, q, tolerance] :
         {std::tuple{"p50", 0.50, 0.02}, {"p90", 0.90, 0.02}, {"p99", 0.99, 0.05}}) {
      INFO(name << " " << statistic << ": ours " << ours.quantile(q) << ", the peer's "
                << published.at(name).at(statistic));
      CHECK(ours.quantile(q) == Approx(published.at(name).at(statistic).get<double>()).epsilon(tolerance));
    }
  };
  compare("ttft_s", first);
  compare("tbt_s", between);
  compare("e2e_s", whole);
}

}  // namespace

TEST_CASE("Splitwise-sim's 8 x H100 run is reproduced: p50 and p90 within 2 %, p99 within 5 %") {
  check_against_peer("baseline_h100x8.json", "splitwise_baseline_h100x8_azure_conv.json");
}

TEST_CASE("Splitwise-sim's 4 x H100 + 4 x A100 run is reproduced: p50 and p90 within 2 %, p99 within 5 %") {
  check_against_peer("ha_4p4d.json", "splitwise_ha_4p4d_azure_conv.json");
}
