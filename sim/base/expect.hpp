#pragma once

#include <stdexcept>
#include <string>

namespace disagg {

// A law of the simulator does not hold: a bug of ours, never the user's. Ends the run with exit code 70.
struct BrokenInvariant : std::logic_error {
  using std::logic_error::logic_error;
};

// Checks a law that must hold whatever the input. `what` says what would be wrong.
inline void expect(bool holds, const char* what) {
  if (!holds) [[unlikely]]
    throw BrokenInvariant(std::string("broken invariant: ") + what);
}

}  // namespace disagg
