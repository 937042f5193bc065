#pragma once

#include <nlohmann/json.hpp>

#include "experiments/distribution.hpp"

namespace disagg {

// Figures as JSON: null where nothing was measured, for a zero would be a number that nobody observed.

inline nlohmann::ordered_json ratio(double part, double whole) {
  return whole > 0 ? nlohmann::ordered_json(part / whole) : nlohmann::ordered_json(nullptr);
}

// Mean, p50, p90, p95, p99 and maximum, in the unit of which `scale` make one of the distribution's.
inline nlohmann::ordered_json statistics(const Distribution& d, double scale = 1) {
  if (d.count() == 0) return nullptr;
  return {{"mean", d.mean() * scale},        {"p50", d.quantile(0.50) * scale},
          {"p90", d.quantile(0.90) * scale}, {"p95", d.quantile(0.95) * scale},
          {"p99", d.quantile(0.99) * scale}, {"max", d.max() * scale}};
}

}  // namespace disagg
