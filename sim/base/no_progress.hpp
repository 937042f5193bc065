#pragma once

#include <stdexcept>

namespace disagg {

// The simulated cluster can do nothing more although requests are left in it; what() says which, and what
// they wait for. An answer about the scenario: ends the run with exit code 1.
struct NoProgress : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace disagg
