#include "experiments/sensitivity.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <numbers>
#include <sstream>
#include <tuple>

#include "sim/base/config.hpp"
#include "tests/experiments/program.hpp"

using namespace disagg;

namespace {

// Of a function of the unit cube.
Sensitivity analyse_function(const std::vector<std::string>& axes, SensitivityMethod method,
                             std::size_t samples, std::uint64_t seed,
                             const std::function<double(const std::vector<double>&)>& f) {
  const UnitPoints points = sensitivity_points(method, axes.size(), samples, seed);
  std::vector<double> figures;
  for (const auto& point : points) figures.push_back(f(point));
  return analyse(axes, method, samples, seed, points, figures);
}

// sin x1 + 7 sin^2 x2 + 0.1 x3^4 sin x1, each x from -pi to pi (Ishigami and Homma, 1990).
double ishigami(const std::vector<double>& u) {
  const auto x = [&](std::size_t i) { return std::numbers::pi * (2 * u[i] - 1); };
  return std::sin(x(0)) + 7 * std::pow(std::sin(x(1)), 2) + 0.1 * std::pow(x(2), 4) * std::sin(x(0));
}

// Mean wait of an M/M/1 queue, with 0.1 to 0.6 arrivals and 1 to 2 services a second.
double mean_wait(const std::vector<double>& u) {
  const double arrivals = 0.1 + 0.5 * u[0];
  const double services = 1 + u[1];
  return arrivals / (services * (services - arrivals));
}

}  // namespace

TEST_CASE(
    "Sobol indices of the Ishigami function are the analytic ones within 2 %, and intervals hold them") {
  const Sensitivity s = analyse_function({"x1", "x2", "x3"}, SensitivityMethod::sobol, 8192, 1, ishigami);
  CHECK(s.runs == 8192 * 5);
  const double pi4 = std::pow(std::numbers::pi, 4);
  const double v1 = 0.5 * std::pow(1 + 0.1 * pi4 / 5, 2);
  const double v2 = 49.0 / 8;
  const double v13 = 0.01 * pi4 * pi4 * (1.0 / 18 - 1.0 / 50);
  const double variance = v1 + v2 + v13;
  CHECK(s.mean == Approx(3.5).epsilon(0.002));
  CHECK(s.variance == Approx(variance).epsilon(0.01));
  const std::vector<double> first{v1 / variance, v2 / variance, 0};
  const std::vector<double> total{(v1 + v13) / variance, v2 / variance, v13 / variance};
  for (std::size_t i = 0; i < 3; ++i) {
    INFO("x" << i + 1);
    CHECK(s.effects[i].first == Approx(first[i]).epsilon(0.02).margin(0.01));
    CHECK(s.effects[i].total == Approx(total[i]).epsilon(0.02));
    CHECK(std::abs(s.effects[i].first - first[i]) < s.effects[i].first_error + 1e-3);
    CHECK(std::abs(s.effects[i].total - total[i]) < s.effects[i].total_error + 1e-3);
    CHECK(s.effects[i].first_error < 0.05);
  }
}

TEST_CASE("Sobol indices of the wait of an M/M/1 queue are those of its integrals within 2 %") {
  const Sensitivity s =
      analyse_function({"arrivals", "services"}, SensitivityMethod::sobol, 8192, 1, mean_wait);
  constexpr int kCells = 1000;
  std::vector<double> by_arrivals(kCells);
  std::vector<double> by_services(kCells);
  double mean = 0;
  double square = 0;
  for (int i = 0; i < kCells; ++i) {
    for (int j = 0; j < kCells; ++j) {
      const double w = mean_wait({(i + 0.5) / kCells, (j + 0.5) / kCells});
      by_arrivals[static_cast<std::size_t>(i)] += w / kCells;
      by_services[static_cast<std::size_t>(j)] += w / kCells;
      mean += w / kCells / kCells;
      square += w * w / kCells / kCells;
    }
  }
  const double variance = square - mean * mean;
  const auto share = [&](const std::vector<double>& means) {
    double sum = 0;
    for (const double m : means) sum += (m - mean) * (m - mean) / kCells;
    return sum / variance;
  };
  CHECK(s.effects[0].first == Approx(share(by_arrivals)).epsilon(0.02));
  CHECK(s.effects[1].first == Approx(share(by_services)).epsilon(0.02));
  CHECK(s.effects[0].total == Approx(1 - share(by_services)).epsilon(0.02));
  CHECK(s.effects[1].total == Approx(1 - share(by_arrivals)).epsilon(0.02));
}

TEST_CASE("Morris' effects of a plane are its slopes without deviation, and a product's deviate") {
  const Sensitivity plane = analyse_function({"a", "b", "c"}, SensitivityMethod::morris, 10, 3,
                                             [](const auto& u) { return 5 * u[0] - 2 * u[1]; });
  CHECK(plane.runs == 40);
  CHECK(plane.effects[0].mu_star == Approx(5));
  CHECK(plane.effects[1].mu_star == Approx(2));
  CHECK(plane.effects[2].mu_star == Approx(0).margin(1e-12));
  CHECK(plane.effects[0].sigma == Approx(0).margin(1e-9));
  const Sensitivity product = analyse_function({"a", "b"}, SensitivityMethod::morris, 2000, 3,
                                               [](const auto& u) { return u[0] * u[1]; });
  CHECK(product.effects[0].mu_star == Approx(0.5).epsilon(0.05));
  CHECK(product.effects[0].sigma > 0.2);
  const Sensitivity ends = analyse_function({"a", "b"}, SensitivityMethod::tornado, 2, 3,
                                            [](const auto& u) { return 1 + u[0] * u[0] - u[1]; });
  CHECK(ends.mean == Approx(0.75));
  CHECK(ends.effects[0].at_low == Approx(0.5));
  CHECK(ends.effects[0].at_high == Approx(1.5));
  CHECK(ends.effects[1].at_high == Approx(0.25));
}

TEST_CASE(
    "The time per token hinges on the decode time of a table, not on its prefill time, whatever the method") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "s.json", R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
      { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 1, "software": { "extends": "vllm" } } ] }, "network": { "solver": "fluid" },
    "workload": { "kind": "synthetic", "requests": 40, "arrivals": { "kind": "constant", "requests_per_second": 1 },
      "prompt_tokens": 1000, "output_tokens": 50 } })");
  for (const std::string method : {"sobol", "morris", "tornado"}) {
    const test::Ended ended =
        test::call(folder, {"sensitivity", "s.json", "--metric", "metrics.tpot_ms.mean", "--method", method,
                            "--samples", "8", "--axis", "cluster.pools[0].software.decode_scale=1..2",
                            "--axis", "cluster.pools[0].software.prefill_scale=1..2", "--json"});
    INFO(method << ended.err);
    REQUIRE(ended.code == 0);
    const auto effects = nlohmann::json::parse(ended.out).at("effects");
    CHECK(effects.at(0).at("axis") == "cluster.pools[0].software.decode_scale");
    if (method == "sobol") {
      CHECK(effects.at(0).at("total").get<double>() > 0.95);
      CHECK(effects.at(1).at("total").get<double>() < 0.05);
    }
  }
  const test::Ended absent =
      test::call(folder, {"sensitivity", "s.json", "--metric", "metrics.nothing", "--axis", "seed=1..9:int"});
  CHECK(absent.code == 2);
  CHECK_THAT(absent.err, Catch::Contains("no figure of summary.json is named 'metrics.nothing'"));
  const test::Ended begun =
      test::call(folder, {"sensitivity", "s.json", "--metric", "tpot", "--axis", "seed=1..9:int"});
  CHECK_THAT(begun.err, Catch::Contains("; there are metrics.tpot_ms.mean metrics.tpot_ms.p50"));
  const test::Ended tornado =
      test::call(folder, {"sensitivity", "s.json", "--metric", "metrics.tpot_ms.mean", "--method", "tornado",
                          "--axis", "cluster.pools[0].software.decode_scale=1..2", "--axis",
                          "cluster.pools[0].accelerator.memory.bandwidth=2 TB/s..4 TB/s", "--axis",
                          "cluster.topology.nic_efficiency=0.5..1"});
  INFO(tornado.err);
  REQUIRE(tornado.code == 0);
  CHECK_THAT(tornado.out, Catch::Contains("In the middle, cluster.pools[0].software.decode_scale=1.5, "
                                          "cluster.pools[0].accelerator.memory.bandwidth=3 TB/s, "
                                          "cluster.topology.nic_efficiency=0.75, metrics.tpot_ms.mean is ") &&
                              Catch::Contains("It hinges most on cluster.pools[0].software.decode_scale."));
}

TEST_CASE("A ranking claims no more than its intervals allow, and tells of runs that were overloaded") {
  const auto told = [](double first, double first_error, double second, double second_error,
                       std::size_t saturated) {
    Sensitivity s{.method = SensitivityMethod::sobol,
                  .runs = 40,
                  .mean = 10,
                  .variance = 4,
                  .effects = {},
                  .saturated = saturated,
                  .middle = {}};
    for (const auto& [path, total, error] :
         {std::tuple{"a", first, first_error}, std::tuple{"b", second, second_error}}) {
      AxisEffect effect;
      effect.path = path;
      effect.total = total;
      effect.total_error = error;
      s.effects.push_back(effect);
    }
    std::ostringstream out;
    print_sensitivity(s, "metrics.x", out);
    return out.str();
  };
  CHECK_THAT(told(0.8, 0.1, 0.2, 0.1, 0),
             Catch::Contains("It hinges most on a.\n") && !Catch::Contains("Saturated"));
  CHECK_THAT(told(0.5, 0.2, 0.4, 0.2, 0),
             Catch::Contains("It hinges most on a or b, which these samples do not tell apart."));
  CHECK_THAT(told(0.77, 1.2, 0.1, 0.2, 0), Catch::Contains("these samples do not tell"));
  CHECK_THAT(told(0, 0, 0, 0, 0), Catch::Contains("Nothing of this changes it."));
  CHECK_THAT(told(0.8, 0.1, 0.2, 0.1, 12), Catch::Contains("Saturated are 12 of the 40 runs"));
}
