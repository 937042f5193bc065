#include "experiments/intervals.hpp"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

namespace disagg {

MeanInterval mean_interval(std::span<const double> values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0;
  for (const double v : values) mean += v / count;
  if (values.size() < 2) return {mean, std::numeric_limits<double>::infinity()};
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const double error = std::sqrt(squares / (count - 1) / count);
  return {mean, boost::math::quantile(boost::math::students_t(count - 1), 0.975) * error};
}

}  // namespace disagg
