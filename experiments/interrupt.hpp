#pragma once

#include <stdexcept>

namespace disagg {

// The user pressed Ctrl-C (or the process was asked to end): exit code 75, nothing half-written.
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

// From here on the first SIGINT or SIGTERM sets a flag instead of ending the process; a second one ends it.
void catch_interrupts();
bool interrupted();

}  // namespace disagg
