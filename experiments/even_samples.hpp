#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "sim/base/quantity.hpp"

namespace disagg {

// Snapshots (with a `time`) at even intervals, the first at 0. When `kMost` are kept, every other one is
// dropped and the interval doubled, so a run of any length has between half of that and all of it.
template <class Sample, std::size_t kMost>
class EvenSamples {
 public:
  static_assert(kMost % 2 == 0);
  // When the next one is due: a multiple of the interval, to the last bit, so that the dates of a series with
  // fewer samples are among those of one with more.
  Seconds next_date() const { return interval_ * static_cast<double>(samples_.size()); }
  // Precondition: it is of next_date().
  void add(Sample sample) {
    samples_.push_back(std::move(sample));
    if (samples_.size() < kMost) return;
    for (std::size_t i = 1; 2 * i < samples_.size(); ++i) samples_[i] = std::move(samples_[2 * i]);
    samples_.resize(samples_.size() / 2);
    interval_ *= 2;
  }
  // The state at the end of a run, unless that has just been taken.
  void add_last(Sample sample) {
    if (samples_.empty() || samples_.back().time < sample.time) samples_.push_back(std::move(sample));
  }
  const std::vector<Sample>& all() const { return samples_; }

 private:
  std::vector<Sample> samples_;
  Seconds interval_{0.2};
};

}  // namespace disagg
