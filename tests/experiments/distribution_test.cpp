#include "experiments/distribution.hpp"

#include <algorithm>
#include <boost/random/exponential_distribution.hpp>
#include <boost/random/lognormal_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "sim/base/expect.hpp"
#include "sim/base/random.hpp"

namespace disagg {
namespace {

Distribution of(const std::vector<double>& values) {
  Distribution all;
  for (const double value : values) all.add(value);
  return all;
}

// numpy.quantile's default, from the definition: linear between order statistics.
double linear_quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(position));
  const auto above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (position - std::floor(position));
}

TEST_CASE("Quantiles of 5 known values are numpy's: 15, 20, 35, 40, 50 have p40 29 and p90 46",
          "[distribution]") {
  // >>> numpy.quantile([35, 20, 15, 50, 40], [0, 0.05, 0.25, 0.4, 0.5, 0.75, 0.9, 0.99, 1])
  // array([15. , 16. , 20. , 29. , 35. , 40. , 46. , 49.6, 50. ])
  const Distribution d = of({35, 20, 15, 50, 40});
  const std::vector<std::pair<double, double>> known{
      {0, 15}, {0.05, 16}, {0.25, 20}, {0.4, 29}, {0.5, 35}, {0.75, 40}, {0.9, 46}, {0.99, 49.6}, {1, 50}};
  for (const auto& [q, value] : known) CHECK(d.quantile(q) == Approx(value).epsilon(1e-12));
  CHECK(d.count() == 5);
  CHECK(d.mean() == Approx(32));
  CHECK(d.max() == 50);
  CHECK(d.exact());
}

TEST_CASE("Quantiles of 1 and of 2 values, and of values added after a question", "[distribution]") {
  Distribution d = of({4});
  for (const double q : {0.0, 0.3, 1.0}) CHECK(d.quantile(q) == 4);
  d.add(2);
  CHECK(d.quantile(0.25) == Approx(2.5));
  d.add(0);
  CHECK(d.quantile(0.5) == 2);
  CHECK(d.quantile(0) == 0);
}

TEST_CASE("Quantiles of 10 001 random values are those of the definition", "[distribution]") {
  RandomEngine engine = random_stream(1, "distribution");
  std::vector<double> values(10'001);
  for (double& v : values) v = boost::random::lognormal_distribution<double>(-3, 2)(engine);
  const Distribution d = of(values);
  for (const double q : {0.001, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999})
    CHECK(d.quantile(q) == Approx(linear_quantile(values, q)).epsilon(1e-12));
}

TEST_CASE("Beyond 2^20 values quantiles keep within 0.15 %, and count, mean and maximum are exact",
          "[distribution]") {
  RandomEngine engine = random_stream(2, "distribution");
  std::vector<double> values(Distribution::kExact + 100'000);
  for (double& v : values) v = boost::random::exponential_distribution<double>(20)(engine);
  const Distribution d = of(values);
  CHECK_FALSE(d.exact());
  CHECK(d.count() == static_cast<std::int64_t>(values.size()));
  double sum = 0;
  for (const double v : values) sum += v;
  CHECK(d.mean() == Approx(sum / static_cast<double>(values.size())).epsilon(1e-12));
  CHECK(d.max() == *std::max_element(values.begin(), values.end()));
  for (const double q : {0.01, 0.5, 0.9, 0.99, 0.999})
    CHECK(d.quantile(q) == Approx(linear_quantile(values, q)).epsilon(0.0015));
  CHECK(d.quantile(1) <= d.max());
}

struct Series {
  double first, step;
  std::int64_t count, weight;
};

void check_same(const std::vector<Series>& all) {
  Distribution series;
  std::vector<double> terms;
  double sum = 0;
  for (const Series& s : all) {
    series.add_series(s.first, s.step, s.count, s.weight);
    for (std::int64_t i = 0; i < s.count; ++i)
      for (std::int64_t w = 0; w < s.weight; ++w) terms.push_back(s.first + s.step * static_cast<double>(i));
  }
  for (const double t : terms) sum += t;
  REQUIRE(series.count() == static_cast<std::int64_t>(terms.size()));
  CHECK(series.mean() == Approx(sum / static_cast<double>(terms.size())).epsilon(1e-12));
  CHECK(series.max() == Approx(*std::max_element(terms.begin(), terms.end())).epsilon(1e-12));
  std::sort(terms.begin(), terms.end());
  for (const double q : {0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0}) {
    CAPTURE(q);
    // The order statistic at or below: bins do not interpolate between terms that lie far apart.
    const auto rank = static_cast<std::size_t>(q * static_cast<double>(terms.size() - 1));
    CHECK(series.quantile(q) == Approx(terms[rank]).epsilon(0.003));
  }
}

TEST_CASE("A series equals its terms: 1000 of 20 ms rising by 1 us, 8 times each", "[distribution]") {
  check_same({{0.02, 1e-6, 1000, 8}});
}

TEST_CASE("A series equals its terms when it is constant, of one term, wide, or starts at zero",
          "[distribution]") {
  check_same({{0.02, 0, 500, 3}});
  check_same({{0.02, 1, 1, 1}});
  check_same({{1e-6, 0.37, 2000, 2}});
  check_same({{0, 0.001, 3000, 1}});
  check_same({{1e-9, 1e-9, 50'000, 1}});
}

TEST_CASE("Random series together equal their terms", "[distribution]") {
  RandomEngine engine = random_stream(3, "distribution");
  const auto draw = [&](double median, double sigma) {
    return boost::random::lognormal_distribution<double>(std::log(median), sigma)(engine);
  };
  for (int round = 0; round < 5; ++round) {
    std::vector<Series> all;
    for (int i = 0; i < 40; ++i)
      all.push_back({draw(0.02, 1), draw(1e-5, 3), 1 + static_cast<std::int64_t>(draw(50, 1)),
                     1 + static_cast<std::int64_t>(draw(4, 1))});
    check_same(all);
  }
}

TEST_CASE("Single values before and after a series count as they do without it", "[distribution]") {
  Distribution d;
  for (const double v : {0.5, 1.0, 2.0}) d.add(v);
  d.add_series(4, 0, 1, 1);
  d.add(8);
  CHECK(d.count() == 5);
  CHECK(d.mean() == Approx(3.1));
  CHECK(d.max() == 8);
  CHECK(d.quantile(0) == Approx(0.5).epsilon(0.0015));
  CHECK(d.quantile(0.5) == Approx(2).epsilon(0.0015));
  CHECK(d.quantile(1) == Approx(8).epsilon(0.0015));
}

TEST_CASE("A series of 10^12 terms takes no longer than the bins it touches", "[distribution]") {
  Distribution d;
  d.add_series(1, 1e-12, 1'000'000'000'000, 1);
  CHECK(d.count() == 1'000'000'000'000);
  CHECK(d.mean() == Approx(1.5));
  CHECK(d.quantile(0.5) == Approx(1.5).epsilon(0.003));
  CHECK(d.quantile(0.99) == Approx(1.99).epsilon(0.003));
}

TEST_CASE("Rounding below zero counts as zero; what is negative or not finite is a bug", "[distribution]") {
  Distribution d;
  d.add(-1e-12);
  CHECK(d.quantile(0.5) == 0);
  CHECK_THROWS_AS(d.add(-1e-3), BrokenInvariant);
  CHECK_THROWS_AS(d.add(std::nan("")), BrokenInvariant);
  CHECK_THROWS_AS(d.add(std::numeric_limits<double>::infinity()), BrokenInvariant);
  CHECK_THROWS_AS(d.add_series(1, -1, 2, 1), BrokenInvariant);
  CHECK_THROWS_AS(d.add_series(1, 1, 0, 1), BrokenInvariant);
  CHECK_THROWS_AS(Distribution{}.quantile(0.5), BrokenInvariant);
  CHECK(d.count() == 1);
}

}  // namespace
}  // namespace disagg
