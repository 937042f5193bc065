#pragma once

#include "sim/base/quantity.hpp"

namespace disagg {

// Where the time of a step goes. `compute` and `bandwidth` hold the operators that each of them limits,
// `overhead` what neither does: launches, waves of short kernels, the engine's own time.
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
  friend StepParts operator+(StepParts a, const StepParts& b) { return a += b; }
  friend StepParts operator*(StepParts a, double k) {
    return {a.compute * k, a.bandwidth * k, a.network * k, a.overhead * k};
  }
};

}  // namespace disagg
