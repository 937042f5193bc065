#include "workloads/lengths.hpp"

#include <algorithm>
#include <boost/random/lognormal_distribution.hpp>
#include <boost/random/uniform_01.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <cstdint>
#include <string>

#include "sim/base/one_of.hpp"
#include "workloads/trace_lines.hpp"
#include "workloads/weighted.hpp"

namespace disagg {
namespace {

constexpr double kNormalP90 = 1.2815515655446004;  // 90th percentile of the standard normal distribution

void check_most(Reader& r, std::string_view key, double tokens) {
  if (tokens > static_cast<double>(kMostTokens))
    r.fail(key, "must be at most " + std::to_string(kMostTokens));
}

TokenCount read_tokens(Reader& r, std::string_view key) {
  const auto tokens = r.get<std::int64_t>(key, Range::positive);
  check_most(r, key, static_cast<double>(tokens));
  return tokens;
}

// Why `points` are no quantiles; empty when they are.
std::string_view fault(const std::vector<EmpiricalLength::Point>& points) {
  if (points.size() < 2 || points.front().quantile != 0 || points.back().quantile != 1)
    return "must begin at quantile 0 and end at quantile 1";
  for (std::size_t i = 1; i < points.size(); ++i) {
    if (points[i].quantile <= points[i - 1].quantile) return "quantiles must rise from pair to pair";
    if (points[i].tokens < points[i - 1].tokens) return "tokens must not fall from pair to pair";
  }
  if (points.front().tokens < 1 || points.back().tokens > static_cast<double>(kMostTokens))
    return "tokens must be from 1 to 1000000000";
  return {};
}

}  // namespace

FixedLength FixedLength::read(Reader& r) { return {read_tokens(r, "tokens")}; }

TokenCount FixedLength::draw(RandomEngine& /*engine*/) const { return tokens; }

UniformLength UniformLength::read(Reader& r) {
  const UniformLength length{read_tokens(r, "low"), read_tokens(r, "high")};
  if (length.low > length.high) r.fail("high", "must not be below 'low'");
  return length;
}

TokenCount UniformLength::draw(RandomEngine& engine) const {
  return boost::random::uniform_int_distribution<TokenCount>(low, high)(engine);
}

LognormalLength LognormalLength::read(Reader& r) {
  LognormalLength length;
  if (r.has("p50") || r.has("p90")) {
    length.median = r.get<double>("p50", Range::positive);
    const auto p90 = r.get<double>("p90", Range::positive);
    if (p90 < length.median) r.fail("p90", "must not be below 'p50'");
    length.sigma = std::log(p90 / length.median) / kNormalP90;
  } else {
    length.median = r.get<double>("median", Range::positive);
    length.sigma = r.get<double>("sigma", Range::non_negative);
  }
  check_most(r, r.has("p50") ? "p50" : "median", length.median);
  length.low = r.get_or<std::int64_t>("low", "1", Range::positive);
  length.high = r.get_or<std::int64_t>("high", std::to_string(kMostTokens), Range::positive);
  check_most(r, "high", static_cast<double>(length.high));
  if (length.low > length.high) r.fail("high", "must not be below 'low'");
  return length;
}

TokenCount LognormalLength::draw(RandomEngine& engine) const {
  const double tokens = boost::random::lognormal_distribution<double>(std::log(median), sigma)(engine);
  return std::llround(std::clamp(tokens, static_cast<double>(low), static_cast<double>(high)));
}

EmpiricalLength EmpiricalLength::read(Reader& r) {
  EmpiricalLength length;
  const auto pairs = r.get<std::vector<std::vector<double>>>("quantiles");
  for (const auto& pair : pairs)
    if (pair.size() == 2) length.points.push_back({pair[0], pair[1]});
  if (!r.has("quantiles")) return length;
  if (length.points.size() < pairs.size()) {
    r.fail("quantiles", "expects pairs of a quantile and a number of tokens");
  } else if (const std::string_view why = fault(length.points); !why.empty()) {
    r.fail("quantiles", why);
  }
  return length;
}

TokenCount EmpiricalLength::draw(RandomEngine& engine) const {
  const double u = boost::random::uniform_01<double>()(engine);
  const auto above =
      std::upper_bound(points.begin() + 1, points.end() - 1, u,
                       [](double value, const Point& point) { return value < point.quantile; });
  const Point& high = *above;
  const Point& low = *(above - 1);
  const double part = (u - low.quantile) / (high.quantile - low.quantile);
  return std::llround(low.tokens + part * (high.tokens - low.tokens));
}

MixedLength MixedLength::read(Reader& r) {
  MixedLength length;
  for (Reader& part : r.objects("parts")) {
    const auto weight = part.get<double>("weight", Range::positive);
    length.parts.push_back({weight, LognormalLength::read(part)});
    part.done();
  }
  if (r.has("parts") && length.parts.empty()) r.fail("parts", "is empty");
  return length;
}

TokenCount MixedLength::draw(RandomEngine& engine) const {
  return parts[draw_weighted(parts, &Part::weight, engine)].length.draw(engine);
}

Length read_length(Reader& r, std::string_view key) {
  const ConfigNode* value = r.node().find(key);
  if (value != nullptr && value->kind == ConfigNode::Kind::number) return FixedLength{read_tokens(r, key)};
  const auto object = r.object(key);
  if (!object) return {};
  return OneOf<Length>::read(*object).value_or(FixedLength{});
}

Length read_number(Reader& r, std::string_view key, std::int64_t most) {
  Length number = read_length(r, key);
  struct Bound {
    std::int64_t most;
    TokenCount operator()(const FixedLength& l) const { return l.tokens; }
    TokenCount operator()(const UniformLength& l) const { return l.high; }
    TokenCount operator()(LognormalLength& l) const {
      if (l.high == kMostTokens) l.high = std::max(most, l.low);
      return l.high;
    }
    TokenCount operator()(const EmpiricalLength& l) const {
      return l.points.empty() ? 1 : std::llround(l.points.back().tokens);
    }
    TokenCount operator()(MixedLength& l) const {
      TokenCount largest = 1;
      for (MixedLength::Part& part : l.parts) largest = std::max(largest, (*this)(part.length));
      return largest;
    }
  };
  if (std::visit(Bound{most}, number) > most) r.fail(key, "must be at most " + std::to_string(most));
  return number;
}

}  // namespace disagg
