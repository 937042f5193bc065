#include "sim/intensity/experts.hpp"

#include <algorithm>
#include <array>
#include <boost/math/distributions/normal.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "sim/base/expect.hpp"
#include "sim/base/random.hpp"

namespace disagg {
namespace {

// Probability that a token asks for each expert, the most popular first.
std::vector<double> popularities(std::size_t experts, double per_token, double skew) {
  std::vector<double> asked(experts);
  for (std::size_t i = 0; i < experts; ++i) asked[i] = std::pow(static_cast<double>(i + 1), -skew);
  std::vector<double> rest(experts);  // sums from i on, smallest terms first: nothing cancels
  std::partial_sum(asked.rbegin(), asked.rend(), rest.rbegin());
  // Experts that every token would ask more than once are asked once; the others share what is left.
  double left = per_token;
  std::size_t certain = 0;
  while (left > 0 && certain < experts && asked[certain] * left >= rest[certain]) {
    asked[certain++] = 1;
    left -= 1;
  }
  const double scale = left > 0 ? left / rest[certain] : 0;
  for (std::size_t i = certain; i < experts; ++i) asked[i] *= scale;
  return asked;
}

// Popularities of the experts of the rank that has most to do; with one rank, of all.
std::vector<double> busiest_rank(std::size_t experts, double per_token, std::size_t ranks, double skew) {
  std::vector<double> asked = popularities(experts, per_token, skew);
  if (ranks == 1) return asked;
  RandomEngine engine = random_stream(0, "experts/placement");
  for (std::size_t i = experts - 1; i > 0; --i)
    std::swap(asked[i], asked[boost::random::uniform_int_distribution<std::size_t>(0, i)(engine)]);
  std::vector<double> busiest;
  double most = 0;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    std::vector<double> own;
    for (std::size_t i = rank; i < experts; i += ranks) own.push_back(asked[i]);
    const double routed = std::accumulate(own.begin(), own.end(), 0.0);
    if (routed <= most) continue;
    most = routed;
    busiest = std::move(own);
  }
  return busiest;
}

// What a rank's experts are asked for, and how many of them so many tokens touch. The same numbers of tokens
// come again at every step, and a sum over hundreds of experts is dear.
class RankExperts {
 public:
  explicit RankExperts(const std::vector<double>& asked)
      : routed_(std::accumulate(asked.begin(), asked.end(), 0.0)), known_(kKnown, kUnknown) {
    log_missed_.reserve(asked.size());
    for (const double p : asked) log_missed_.push_back(std::log1p(-p));
  }

  double routed() const { return routed_; }  // of one token
  double distinct(double tokens) {
    if (tokens < 0 || tokens >= static_cast<double>(kKnown) || tokens != std::floor(tokens))
      return sum(tokens);
    double& known = known_[static_cast<std::size_t>(tokens)];
    if (known == kUnknown) known = sum(tokens);
    return known;
  }

 private:
  static constexpr std::size_t kKnown = 1U << 15U;
  static constexpr double kUnknown = -1;

  double sum(double tokens) const {
    if (tokens == 0) return 0;  // where an expert is asked for certain, 0 times minus infinity
    double sum = 0;
    for (const double log_missed : log_missed_) sum -= std::expm1(tokens * log_missed);
    return sum;
  }

  double routed_;
  std::vector<double> log_missed_;  // ln of the probability that a token does not ask for it
  std::vector<double> known_;       // [tokens]
};

RankExperts& memoised_busiest_rank(double experts, double per_token, double ranks, double skew) {
  thread_local std::map<std::array<double, 4>, RankExperts> memo;
  const std::array<double, 4> key{experts, per_token, ranks, skew};
  const auto found = memo.find(key);
  if (found != memo.end()) return found->second;
  return memo
      .emplace(key, RankExperts(busiest_rank(static_cast<std::size_t>(experts), per_token,
                                             static_cast<std::size_t>(ranks), skew)))
      .first->second;
}

double normal_quantile(double probability) {
  return boost::math::quantile(boost::math::normal_distribution<double>(), probability);
}

}  // namespace

double distinct_experts(double experts, double per_token, double tokens, double skew) {
  expect(per_token <= experts, "a token asks for more experts than there are");
  if (skew == 0) return experts * (1 - std::pow(1 - per_token / experts, tokens));
  return memoised_busiest_rank(experts, per_token, 1, skew).distinct(tokens);
}

ExpertRankLoad most_loaded_rank(double experts, double per_token, double tokens, double ranks, double skew) {
  if (skew == 0) return {distinct_experts(experts, per_token, tokens) / ranks, per_token * tokens / ranks};
  RankExperts& rank = memoised_busiest_rank(experts, per_token, ranks, skew);
  return {rank.distinct(tokens), tokens * rank.routed()};
}

ExpertRankLoad slowest_rank(double experts, double per_token, double tokens, double ranks, double skew) {
  ExpertRankLoad load = most_loaded_rank(experts, per_token, tokens, ranks, skew);
  if (ranks <= 1) return load;
  // Expected largest of n normal variables, in standard deviations (Blom 1958).
  const double deviations = normal_quantile((ranks - 0.375) / (ranks + 0.25));
  const double held = experts / ranks;
  const double touched = std::min(1.0, load.active_experts / held);
  const double spread = deviations * std::sqrt(held * touched * (1 - touched));
  load.active_experts = std::min({load.active_experts + spread, held, per_token * tokens});
  const double share = load.routed_tokens / (per_token * tokens);
  load.routed_tokens += deviations * std::sqrt(per_token * tokens * share * (1 - share));
  load.routed_tokens = std::min(load.routed_tokens, per_token * tokens);
  return load;
}

}  // namespace disagg
