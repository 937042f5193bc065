#include "experiments/fit_profile.hpp"

#include <nlohmann/json.hpp>

#include "tests/workloads/support.hpp"

namespace disagg {
namespace {

std::string agents(const std::string& kind, int sessions) {
  return R"({ "kind": "agents", "mix": { ")" + kind + R"(": 1 }, "sessions": )" + std::to_string(sessions) +
         R"(, "arrivals": { "kind": "poisson", "sessions_per_second": 1 } })";
}

TEST_CASE(
    "The distance of {1, 2, 3, 4} and {3, 4, 5, 6} is a half, of equal samples nothing, of disjoint ones 1") {
  CHECK(kolmogorov_smirnov({1, 2, 3, 4}, {3, 4, 5, 6}) == 0.5);
  CHECK(kolmogorov_smirnov({1, 2, 2, 3}, {1, 2, 2, 3}) == 0);
  CHECK(kolmogorov_smirnov({1, 2}, {3, 4, 5}) == 1);
}

TEST_CASE(
    "A profile fitted to drawn sessions draws sessions like them, and of the half that it has not seen") {
  for (const bool halves : {false, true}) {
    const auto source = open_workload(agents("coding", 600));
    const ProfileFit fit = fit_profile(*source, {.name = "again", .source = "a test", .halves = halves});
    for (const auto& [name, q] : fit.goodness.at("of").items()) {
      INFO(name);
      CHECK(q.at("kolmogorov_smirnov").get<double>() < 0.06);
      CHECK(q.at("p50_of_profile").get<double>() == Approx(q.at("p50").get<double>()).epsilon(0.15));
      CHECK(q.at("p90_of_profile").get<double>() == Approx(q.at("p90").get<double>()).epsilon(0.25));
    }
    const auto& reuse = fit.goodness.at("reuse");
    CHECK(reuse.at("of_profile").get<double>() ==
          Approx(reuse.at("within_sessions").get<double>()).margin(0.02));
    CHECK(fit.profile.at("user_share").get<double>() == Approx(0.155).margin(0.01));
    CHECK(fit.profile.at("shared_prefix") == 15'000);
    // It is a profile: a workload takes it as it stands.
    const auto again = all_requests(R"({ "kind": "agents", "sessions": 3, "arrivals": { "kind": "poisson",
        "sessions_per_second": 1 }, "profiles": [ )" +
                                    fit.profile.dump() + " ] }");
    CHECK(again.size() == 3);
  }
}

TEST_CASE("A profile of reasoning keeps what is dropped apart from what is said") {
  const auto source = open_workload(agents("reasoning", 3000));
  const ProfileFit fit = fit_profile(*source, {});
  REQUIRE(fit.profile.contains("reasoning"));
  const auto median = [&](const char* what) {
    for (const auto& pair : fit.profile.at(what).at("quantiles"))
      if (pair.at(0).get<double>() == 0.5) return pair.at(1).get<double>();
    return 0.0;
  };
  CHECK(median("reasoning") == Approx(1200).epsilon(0.1));
  CHECK(median("output") == Approx(350).epsilon(0.1));
}

TEST_CASE("Single requests and a handful of sessions are no ground for a profile", "[bad-input]") {
  const auto few = open_workload(agents("chat", 19));
  CHECK_THROWS_WITH(fit_profile(*few, {}), "fit: there are 19 sessions; a profile takes at least 20");
  // A session of nothing but a sub-agent's call.
  std::string rows;
  for (int i = 0; i < 20; ++i)
    rows += "{\"session_id\": \"" + std::to_string(i) +
            "\", \"timestamp\": 0, \"agent\": 1000000000, \"input_length\": 5, \"output_length\": 5}\n";
  const TemporaryFile file(rows);
  const auto headless = open_workload(trace_workload("sessions", file.path()));
  CHECK_THROWS_WITH(fit_profile(*headless, {}), "fit: a session has no call of its main agent (agent 0)");
  const auto single =
      open_workload(R"({ "kind": "synthetic", "requests": 3, "prompt_tokens": 5, "output_tokens": 5,
      "arrivals": { "kind": "poisson", "requests_per_second": 1 } })");
  CHECK_THROWS_WITH(fit_profile(*single, {}),
                    "fit: the workload has single requests; a profile is of sessions");
}

}  // namespace
}  // namespace disagg
