#pragma once

#include <memory>

#include "sim/base/ids.hpp"
#include "sim/base/quantity.hpp"
#include "sim/engine/action.hpp"
#include "sim/engine/platform.hpp"

namespace disagg {

// Simulates every byte that crosses the platform's links, with max-min fair sharing. It has its own clock,
// which only advance_to() and start() move. Latency is not its business: the Simulation adds it before a flow
// starts.
class Network {
 public:
  virtual ~Network() = default;

  // Starts a flow at date `now`, which is not before any earlier date given. `limit` caps its rate (kNoLimit:
  // only the links do). `done` runs inside advance_to(), when the last byte has arrived.
  virtual void start(Seconds now, RouteId route, Bytes bytes, BytesPerSecond limit, Action done) = 0;
  // When the next flow ends if nothing changes before; kNever without flows.
  virtual Seconds next_date() = 0;
  // Moves the clock to `date`, or to the first completion before it, and runs the actions of the flows that
  // ended. Returns the clock.
  virtual Seconds advance_to(Seconds date) = 0;

  static constexpr BytesPerSecond kNoLimit{0};
};

// SimGrid's max-min solver (network model CM02), without actors. SimGrid allows one engine per process: a
// second call in one process throws BrokenInvariant.
std::unique_ptr<Network> make_simgrid_network(const Platform& platform);

}  // namespace disagg
