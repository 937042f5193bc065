#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

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

// The number at a dotted path, "pools.decode.utilization"; names may hold dots themselves. Nothing where
// there is none.
inline std::optional<double> find_figure(const nlohmann::ordered_json& node, std::string_view path) {
  if (path.empty()) return node.is_number() ? std::optional(node.get<double>()) : std::nullopt;
  if (!node.is_object()) return std::nullopt;
  for (const auto& [key, value] : node.items()) {
    if (!path.starts_with(key)) continue;
    std::string_view rest = path.substr(key.size());
    if (!rest.empty() && rest.front() != '.') continue;
    if (!rest.empty()) rest.remove_prefix(1);
    if (const auto found = find_figure(value, rest)) return found;
  }
  return std::nullopt;
}

}  // namespace disagg
