#include "workloads/durations.hpp"

#include <algorithm>
#include <boost/random/exponential_distribution.hpp>
#include <boost/random/lognormal_distribution.hpp>
#include <boost/random/uniform_01.hpp>
#include <cmath>
#include <string>

#include "sim/base/one_of.hpp"
#include "workloads/weighted.hpp"

namespace disagg {
namespace {

// Why the points are no quantiles; empty when they are.
std::string_view fault(const std::vector<std::pair<double, double>>& points) {
  if (points.size() < 2 || points.front().first != 0 || points.back().first != 1)
    return "must begin at quantile 0 and end at quantile 1";
  for (std::size_t i = 1; i < points.size(); ++i) {
    if (points[i].first <= points[i - 1].first) return "quantiles must rise from pair to pair";
    if (points[i].second < points[i - 1].second) return "seconds must not fall from pair to pair";
  }
  if (points.front().second < 0) return "seconds must not be negative";
  return {};
}

}  // namespace

FixedDuration FixedDuration::read(Reader& r) { return {r.get<Seconds>("time", Range::non_negative)}; }

ExponentialDuration ExponentialDuration::read(Reader& r) { return {r.get<Seconds>("mean", Range::positive)}; }

Seconds ExponentialDuration::draw(RandomEngine& engine) const {
  return Seconds{boost::random::exponential_distribution<double>(1 / mean.si)(engine)};
}

LognormalDuration LognormalDuration::read(Reader& r) {
  LognormalDuration duration{.median = r.get<Seconds>("median", Range::positive),
                             .sigma = r.get<double>("sigma", Range::non_negative),
                             .high = r.find<Seconds>("high", Range::positive).value_or(kNever),
                             .offset = r.get_or<Seconds>("offset", "0 s", Range::non_negative)};
  if (duration.sigma > 10) r.fail("sigma", "must be at most 10");
  return duration;
}

Seconds LognormalDuration::draw(RandomEngine& engine) const {
  const double drawn = boost::random::lognormal_distribution<double>(std::log(median.si), sigma)(engine);
  return offset + std::min(Seconds{drawn}, high);
}

EmpiricalDuration EmpiricalDuration::read(Reader& r) {
  EmpiricalDuration duration;
  const auto pairs = r.get<std::vector<std::vector<double>>>("seconds");
  for (const auto& pair : pairs)
    if (pair.size() == 2) duration.points.emplace_back(pair[0], pair[1]);
  if (!r.has("seconds")) return duration;
  if (duration.points.size() < pairs.size()) {
    r.fail("seconds", "expects pairs of a quantile and a number of seconds");
  } else if (const std::string_view why = fault(duration.points); !why.empty()) {
    r.fail("seconds", why);
  }
  return duration;
}

Seconds EmpiricalDuration::draw(RandomEngine& engine) const {
  const double u = boost::random::uniform_01<double>()(engine);
  const auto above = std::upper_bound(points.begin() + 1, points.end() - 1, u,
                                      [](double value, const auto& point) { return value < point.first; });
  const auto& [high, most] = *above;
  const auto& [low, least] = *(above - 1);
  return Seconds{least + (u - low) / (high - low) * (most - least)};
}

MixedDuration MixedDuration::read(Reader& r) {
  MixedDuration duration;
  for (Reader& part : r.objects("parts")) {
    const auto weight = part.get<double>("weight", Range::positive);
    duration.parts.push_back({weight, LognormalDuration::read(part)});
    part.done();
  }
  if (r.has("parts") && duration.parts.empty()) r.fail("parts", "is empty");
  return duration;
}

Seconds MixedDuration::draw(RandomEngine& engine) const {
  return parts[draw_weighted(parts, &Part::weight, engine)].time.draw(engine);
}

Duration read_duration(Reader& r, std::string_view key) {
  const ConfigNode* value = r.node().find(key);
  if (value == nullptr) {
    r.has(key);
    return FixedDuration{r.get_or<Seconds>(key, "0 s")};
  }
  if (value->kind == ConfigNode::Kind::string) return FixedDuration{r.get<Seconds>(key, Range::non_negative)};
  const auto object = r.object(key);
  if (!object) return {};
  return OneOf<Duration>::read(*object).value_or(FixedDuration{});
}

}  // namespace disagg
