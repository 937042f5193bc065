#pragma once

#include <memory>
#include <string_view>
#include <variant>

#include "sim/base/config.hpp"
#include "sim/base/ids.hpp"
#include "sim/base/quantity.hpp"
#include "sim/engine/action.hpp"
#include "sim/engine/platform.hpp"

namespace disagg {

// Simulates every byte that crosses the platform's links, with max-min fair sharing. It has its own clock,
// which only advance_to() and the calls that take `now` move; `now` is a date not before any earlier one and
// not after next_date(). Latency is not its business: the Simulation adds it before a flow starts.
class Network {
 public:
  virtual ~Network() = default;

  // Starts a flow at date `now`. `limit` caps its rate (kNoLimit: only the links do). One of the actions runs
  // inside advance_to(), and the flow's id then names nothing any more: `done` when the last byte has
  // arrived, `failed` when a link of the route fails before, or has failed already. Without `failed` a
  // failure is a broken invariant. Flows that end at the same date do so in the order of their start.
  virtual FlowId start(Seconds now, RouteId route, Bytes bytes, BytesPerSecond limit, Action done,
                       Action failed) = 0;
  // Ends a flow of which no action has run yet; none will.
  virtual void cancel(Seconds now, FlowId flow) = 0;
  // What the flow has not brought over at date `now`. It may also be asked while its `failed` runs.
  virtual Bytes remaining(Seconds now, FlowId flow) = 0;

  // From `now` on the link has another capacity, above 0, for the flows on it too.
  virtual void set_capacity(Seconds now, LinkId link, BytesPerSecond capacity) = 0;
  // Ends the flows on the link as failed, and those that start on it until its repair.
  virtual void fail(Seconds now, LinkId link) = 0;
  virtual void repair(Seconds now, LinkId link) = 0;

  // When the next flow ends if nothing changes before; kNever without flows.
  virtual Seconds next_date() = 0;
  // Moves the clock to `date`, or to the first end of a flow before it, and runs the actions of the flows
  // that ended. Returns the clock.
  virtual Seconds advance_to(Seconds date) = 0;

  static constexpr BytesPerSecond kNoLimit{0};
};

// SimGrid's max-min solver (network model CM02), without actors. SimGrid allows one engine per process: a
// second call in one process throws BrokenInvariant.
std::unique_ptr<Network> make_simgrid_network(const Platform& platform);
// Our own max-min solver. It recomputes the rates of those flows only that share links, directly or through
// others, with what has changed, and of these only from the level of the change on. It allocates nothing once
// there have been as many flows, in all and on each link, as it will hold.
std::unique_ptr<Network> make_fluid_network(const Platform& platform);

struct SimgridSolver {
  static constexpr std::string_view kind = "simgrid";
  static constexpr std::string_view summary = "SimGrid's max-min solver: the reference";
  static SimgridSolver read(Reader&) { return {}; }
  static std::unique_ptr<Network> make(const Platform& platform) { return make_simgrid_network(platform); }
};

struct FluidSolver {
  static constexpr std::string_view kind = "fluid";
  static constexpr std::string_view summary = "own max-min solver: the same dates to 1e-6, and faster";
  static FluidSolver read(Reader&) { return {}; }
  static std::unique_ptr<Network> make(const Platform& platform) { return make_fluid_network(platform); }
};

using NetworkSolver = std::variant<SimgridSolver, FluidSolver>;

}  // namespace disagg
