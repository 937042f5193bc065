#include "sim/service/decode_time.hpp"

#include <cmath>

namespace disagg {

StepParts DecodeTime::parts(double context) const {
  StepParts parts = fixed;
  const Seconds compute = attention_compute.at(context);
  const Seconds bandwidth = attention_bandwidth.at(context);
  (compute > bandwidth ? parts.compute : parts.bandwidth) += std::max(compute, bandwidth);
  return parts;
}

std::int64_t DecodeTime::steps_before_change(double context, double growth, std::int64_t steps) const {
  const ContextLine* leads = &attention_compute;
  const ContextLine* follows = &attention_bandwidth;
  if (leads->at(context) < follows->at(context)) std::swap(leads, follows);
  if (!(follows->per_token > leads->per_token) || growth <= 0) return steps;
  const double crossing = (leads->at_zero - follows->at_zero) / (follows->per_token - leads->per_token);
  return static_cast<std::int64_t>(
      std::clamp(std::floor((crossing - context) / growth) + 1, 0.0, static_cast<double>(steps)));
}

Seconds DecodeTime::span(double context, double growth, std::int64_t steps) const {
  const auto before = static_cast<double>(steps_before_change(context, growth, steps));
  const auto after = static_cast<double>(steps) - before;
  const auto attention = [&](double from, double count) {
    const double middle =
        from + growth * (count - 1) / 2;  // no change inside, so the middle tells which line leads
    const bool computes = attention_compute.at(middle) > attention_bandwidth.at(middle);
    return (computes ? attention_compute : attention_bandwidth).sum(from, growth, count);
  };
  return fixed.total() * static_cast<double>(steps) + attention(context, before) +
         attention(context + growth * before, after);
}

std::int64_t DecodeTime::steps_within(double context, double growth, Seconds elapsed,
                                      std::int64_t limit) const {
  if (elapsed >= span(context, growth, limit)) return limit;
  // Step times never fall, so the first step's time bounds the count from above; bisect on the closed sum.
  std::int64_t low = 0;
  std::int64_t high = limit;  // span(high) > elapsed
  const Seconds shortest = step(context);
  if (shortest.si > 0) high = std::min(high, static_cast<std::int64_t>(elapsed / shortest) + 1);
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (span(context, growth, middle) <= elapsed ? low : high) = middle;
  }
  return low;
}

}  // namespace disagg
