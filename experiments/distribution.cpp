#include "experiments/distribution.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/expect.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

// 512 bins an octave from 2^-34 (0.06 ns) to 2^30 (34 years, in seconds); bin 0 holds zeros.
constexpr int kBinsPerOctave = 512;
constexpr int kLowest = -34;
constexpr int kHighest = 30;
constexpr std::size_t kBins = static_cast<std::size_t>((kHighest - kLowest) * kBinsPerOctave) + 1;

}  // namespace

std::size_t Distribution::bin_of(double value) {
  if (value <= std::ldexp(1.0, kLowest)) return 0;
  const double octaves = std::log2(value) - kLowest;
  return std::min(static_cast<std::size_t>(octaves * kBinsPerOctave) + 1, kBins - 1);
}

double Distribution::bin_middle(std::size_t bin) {
  if (bin == 0) return 0;
  return std::exp2(kLowest + (static_cast<double>(bin) - 0.5) / kBinsPerOctave);
}

void Distribution::start_bins() {
  bins_.assign(kBins, 0);
  for (const double value : values_) bin(value, 1);
  values_ = {};
}

void Distribution::add(double value) {
  expect(std::isfinite(value) && value >= -1e-9, "a measured time is negative or not finite");
  value = std::max(value, 0.0);
  ++count_;
  sum_ += value;
  max_ = std::max(max_, value);
  if (bins_.empty()) {
    values_.push_back(value);
    sorted_ = false;
    if (values_.size() > kExact) start_bins();
  } else {
    bin(value, 1);
  }
}

void Distribution::add_series(double first, double step, std::int64_t count, std::int64_t weight) {
  expect(std::isfinite(first) && first >= -1e-9 && step >= 0 && count > 0 && weight > 0,
         "a series of times is not one");
  first = std::max(first, 0.0);
  if (bins_.empty()) start_bins();
  const auto n = static_cast<double>(count);
  count_ += count * weight;
  sum_ += static_cast<double>(weight) * (first * n + step * n * (n - 1) / 2);
  max_ = std::max(max_, first + step * (n - 1));
  for (std::int64_t done = 0; done < count;) {
    const double value = first + step * static_cast<double>(done);
    const std::size_t here = bin_of(value);
    std::int64_t run = count - done;
    if (step > 0 && here + 1 < kBins) {
      const double edge =
          std::exp2(kLowest + static_cast<double>(here) / kBinsPerOctave);  // upper end of this bin
      run = static_cast<std::int64_t>(
          std::clamp(std::ceil((edge - value) / step), 1.0, static_cast<double>(run)));
    }
    bins_[here] += run * weight;
    done += run;
  }
}

double Distribution::quantile(double q) const {
  expect(count_ > 0, "a quantile of nothing");
  if (bins_.empty()) {
    if (!sorted_) std::sort(values_.begin(), values_.end());
    sorted_ = true;
    const double position = q * static_cast<double>(values_.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const auto above = std::min(below + 1, values_.size() - 1);
    return values_[below] + (values_[above] - values_[below]) * (position - static_cast<double>(below));
  }
  const auto rank = static_cast<std::int64_t>(q * static_cast<double>(count_ - 1));
  std::int64_t seen = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    seen += bins_[bin];
    if (seen > rank) return std::min(bin_middle(bin), max_);
  }
  return max_;
}

std::string Distribution::csv(std::string_view prefix, double scale) const {
  if (count_ == 0) return {};
  std::string text;
  const auto add = [&](double share) {
    text.append(prefix).append("," + show_exact(share) + "," + show_exact(quantile(share) * scale) + "\n");
  };
  for (int percent = 0; percent < 100; ++percent) add(percent / 100.0);
  for (const double share : {0.995, 0.999, 1.0}) add(share);
  return text;
}

}  // namespace disagg
