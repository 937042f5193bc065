#pragma once

#include <span>

namespace disagg {

// A mean of independent replications and half the width of its 95 % confidence interval (Student's t;
// infinite for a single one).
struct MeanInterval {
  double mean = 0, half_width = 0;
  bool contains(double value) const { return value >= mean - half_width && value <= mean + half_width; }
};
// Precondition: at least one value.
MeanInterval mean_interval(std::span<const double> values);

}  // namespace disagg
