#include "experiments/saturation.hpp"

#include <algorithm>
#include <cmath>

namespace disagg {
namespace {

constexpr std::size_t kFewest = 16;  // samples while requests arrive
constexpr double kDeviations = 3;
constexpr double kShare = 0.05;  // of the arrivals

double mean_waiting(std::span<const QueueSample> samples) {
  double sum = 0;
  for (const QueueSample& sample : samples) sum += sample.waiting;
  return sum / static_cast<double>(samples.size());
}

}  // namespace

std::optional<double> queue_growth(std::span<const QueueSample> samples, double certainty) {
  const auto first = std::ranges::find_if(samples, [](const QueueSample& s) { return s.arrived > 0; });
  if (first == samples.end()) return std::nullopt;
  const auto last = std::ranges::find_if(
      samples, [&](const QueueSample& s) { return s.arrived >= samples.back().arrived; });
  if (last - first < static_cast<std::ptrdiff_t>(kFewest)) return std::nullopt;
  const auto arriving = samples.subspan(static_cast<std::size_t>(first - samples.begin()),
                                        static_cast<std::size_t>(last - first));
  const std::size_t third = arriving.size() / 3;
  const auto late = arriving.last(third);
  const auto before = arriving.last(2 * third).first(third);
  const double growth = mean_waiting(late) - mean_waiting(before);
  const double arrivals = late.front().arrived - before.front().arrived;
  if (growth <= certainty * std::max(kShare * arrivals, kDeviations * std::sqrt(arrivals)))
    return std::nullopt;
  return growth / (late.front().time - before.front().time).si;
}

}  // namespace disagg
