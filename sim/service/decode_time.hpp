#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/base/quantity.hpp"

namespace disagg {

// Where the time of a step goes. `compute` and `bandwidth` hold the operators that each of them limits.
struct StepParts {
  Seconds compute{}, bandwidth{}, network{}, overhead{};

  Seconds total() const { return compute + bandwidth + network + overhead; }
  StepParts& operator+=(const StepParts& b) {
    compute += b.compute;
    bandwidth += b.bandwidth;
    network += b.network;
    overhead += b.overhead;
    return *this;
  }
  friend StepParts operator*(StepParts a, double k) {
    return {a.compute * k, a.bandwidth * k, a.network * k, a.overhead * k};
  }
};

// A time linear in the tokens of context that a step reads.
struct ContextLine {
  Seconds at_zero{};
  Seconds per_token{};

  Seconds at(double context) const { return at_zero + per_token * context; }
  // Sum over `steps` steps whose context starts at `context` and grows by `growth` each.
  Seconds sum(double context, double growth, double steps) const {
    return at_zero * steps + per_token * (context * steps + growth * steps * (steps - 1) / 2);
  }
};

// Time of a decode step of a fixed set of sequences as a function of their total context: what does not
// depend on it, plus the attention core, which is limited by compute or by bandwidth, whichever takes longer.
// Convex and piecewise linear, so sums over spans are exact once split where the limit changes.
struct DecodeTime {
  StepParts fixed;
  ContextLine attention_compute;
  ContextLine attention_bandwidth;

  Seconds step(double context) const {
    return fixed.total() + std::max(attention_compute.at(context), attention_bandwidth.at(context));
  }
  StepParts parts(double context) const;
  // How many of `steps` steps come before the attention core's limit changes; `steps` when it does not.
  std::int64_t steps_before_change(double context, double growth, std::int64_t steps) const;
  // Duration of `steps` steps from total context `context`, which grows by `growth` tokens a step.
  Seconds span(double context, double growth, std::int64_t steps) const;
  // How many whole steps end by `elapsed`, at most `limit`.
  std::int64_t steps_within(double context, double growth, Seconds elapsed, std::int64_t limit) const;
};

}  // namespace disagg
