#include "sim/intensity/experts.hpp"

#include <boost/random/uniform_01.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/base/random.hpp"

using namespace disagg;

namespace {

// Popularities by bisection on the scale of the power law: another way than the program's.
std::vector<double> popularities(std::size_t experts, double per_token, double skew) {
  const auto at = [&](double scale, std::size_t i) {
    return std::min(1.0, scale * std::pow(static_cast<double>(i + 1), -skew));
  };
  double low = 0;
  double high = 1e12;
  for (int i = 0; i < 200; ++i) {
    const double middle = std::sqrt((low + 1e-12) * high);
    double sum = 0;
    for (std::size_t e = 0; e < experts; ++e) sum += at(middle, e);
    (sum < per_token ? low : high) = middle;
  }
  std::vector<double> p(experts);
  for (std::size_t e = 0; e < experts; ++e) p[e] = at(high, e);
  return p;
}

// Mean number of distinct experts over samples in which each token draws exactly k experts, expert e with
// probability p_e (systematic sampling).
double sampled_distinct(const std::vector<double>& p, int tokens, int samples) {
  RandomEngine engine = random_stream(1, "test/experts");
  boost::random::uniform_01<double> uniform;
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  double touched = 0;
  for (int s = 0; s < samples; ++s) {
    std::vector<char> hit(p.size(), 0);
    for (int t = 0; t < tokens; ++t) {
      for (std::size_t i = order.size() - 1; i > 0; --i)
        std::swap(order[i], order[boost::random::uniform_int_distribution<std::size_t>(0, i)(engine)]);
      double next = uniform(engine);
      double sum = 0;
      for (const std::size_t e : order) {
        sum += p[e];
        if (sum <= next) continue;
        hit[e] = 1;
        next += 1;
      }
    }
    touched += static_cast<double>(std::accumulate(hit.begin(), hit.end(), 0));
  }
  return touched / samples;
}

}  // namespace

TEST_CASE(
    "16 uniform tokens touch 101.96 of DeepSeek's 256 experts, 50.5 of Llama 4's 128 are touched by 64") {
  CHECK(distinct_experts(256, 8, 16) == Approx(101.96).epsilon(1e-4));
  CHECK(distinct_experts(128, 1, 64) == Approx(50.52).epsilon(1e-4));
  CHECK(distinct_experts(8, 2, 1) == 2);
  CHECK(distinct_experts(8, 8, 1) == 8);
  CHECK(distinct_experts(256, 8, 0) == 0);
}

TEST_CASE("Sampling agrees with the expected distinct experts within 3 %, uniform and skewed") {
  for (const double skew : {0.0, 0.5, 1.0, 2.0})
    for (const int tokens : {1, 16, 128}) {
      CAPTURE(skew, tokens);
      CHECK(sampled_distinct(popularities(256, 8, skew), tokens, 100) ==
            Approx(distinct_experts(256, 8, tokens, skew)).epsilon(0.03));
    }
}

TEST_CASE("However skewed, a token asks 8 experts, all tokens together 8 each, and no expert more than all") {
  for (const double skew : {0.0, 0.3, 1.0, 3.0, 60.0, 1000.0}) {
    CAPTURE(skew);
    CHECK(distinct_experts(256, 8, 1, skew) == Approx(8).epsilon(1e-12));
    CHECK(most_loaded_rank(256, 8, 100, 1, skew).routed_tokens == Approx(800).epsilon(1e-12));
    // The rank with one expert is asked by all tokens at most.
    CHECK(most_loaded_rank(256, 8, 100, 256, skew).routed_tokens <= Approx(100).epsilon(1e-12));
  }
  CHECK(distinct_experts(8, 8, 3, 1.5) == Approx(8));
}

TEST_CASE("Skew concentrates tokens: fewer distinct experts, and a busiest rank further above the mean") {
  double distinct = 257;
  double load = 0;
  for (const double skew : {0.0, 0.25, 0.5, 1.0, 2.0}) {
    CAPTURE(skew);
    const ExpertRankLoad busiest = most_loaded_rank(256, 8, 64, 8, skew);
    CHECK(distinct_experts(256, 8, 64, skew) < distinct);
    CHECK(busiest.routed_tokens > load);
    CHECK(busiest.routed_tokens >= 8 * 64 / 8.0);
    CHECK(busiest.active_experts <= 256 / 8.0);
    CHECK(busiest.active_experts <= busiest.routed_tokens);
    distinct = distinct_experts(256, 8, 64, skew);
    load = busiest.routed_tokens;
  }
}

TEST_CASE("Without skew every rank has exactly its share of experts and tokens") {
  const ExpertRankLoad rank = most_loaded_rank(256, 8, 64, 16, 0);
  CHECK(rank.active_experts == distinct_experts(256, 8, 64) / 16);
  CHECK(rank.routed_tokens == 8 * 64 / 16.0);
}

TEST_CASE("The placement is the same whenever it is asked for, and experts of like popularity part") {
  const ExpertRankLoad first = most_loaded_rank(256, 8, 64, 8, 1);
  most_loaded_rank(256, 8, 64, 4, 1);
  const ExpertRankLoad again = most_loaded_rank(256, 8, 64, 8, 1);
  CHECK(first.active_experts == again.active_experts);
  CHECK(first.routed_tokens == again.routed_tokens);
  // The 32 most popular on one rank would get 65 % of the tokens; dealt out, the busiest gets 12.5 % to 25 %.
  CHECK(first.routed_tokens < 0.25 * 8 * 64);
}
