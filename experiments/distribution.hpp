#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/quantity.hpp"

namespace disagg {

// A sample of positive values. Up to kExact values are kept and their quantiles are exact (linear
// interpolation between order statistics, as numpy's default); beyond that they are binned with a relative
// error of 0.14 %. Mean, maximum and count are always exact.
class Distribution {
 public:
  static constexpr std::size_t kExact = 1U << 20U;

  void add(double value);
  // `weight` copies of first, first + step, ... (`count` terms), in time proportional to the bins touched.
  void add_series(double first, double step, std::int64_t count, std::int64_t weight);

  std::int64_t count() const { return count_; }
  double mean() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }
  double max() const { return max_; }
  // 0 <= q <= 1. Precondition: not empty.
  double quantile(double q) const;
  // Rows "PREFIX,share,value" of the quantiles at 0, 1 % ... 99 %, 99.5 %, 99.9 % and 1; values times
  // `scale`. None when empty.
  std::string csv(std::string_view prefix, double scale) const;
  bool exact() const { return bins_.empty(); }

 private:
  void bin(double value, std::int64_t weight) { bins_[bin_of(value)] += weight; }
  void start_bins();
  static std::size_t bin_of(double value);
  static double bin_middle(std::size_t bin);

  mutable std::vector<double> values_;
  mutable bool sorted_ = true;
  std::vector<std::int64_t> bins_;
  std::int64_t count_ = 0;
  double sum_ = 0, max_ = 0;
};

}  // namespace disagg
