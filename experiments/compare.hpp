#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <span>

namespace disagg {

// A run's summary as an aligned table with its bottleneck sentence.
void print_summary(const nlohmann::ordered_json& summary, std::ostream& out);

// Runs side by side: every metric with its change against the first, cost and size of each cluster, the
// bottleneck of each, and a verdict. Precondition: at least one summary.
void print_comparison(std::span<const nlohmann::ordered_json> summaries, std::ostream& out);
// The same for machines: {"baseline", "candidates": [{"summary", "change": {metric: share}}], "verdict"}.
nlohmann::ordered_json comparison_json(std::span<const nlohmann::ordered_json> summaries);

}  // namespace disagg
