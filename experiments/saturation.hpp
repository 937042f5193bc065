#pragma once

#include <optional>
#include <span>

#include "sim/base/quantity.hpp"

namespace disagg {

// State of all queues at a date.
struct QueueSample {
  Seconds time{};
  double arrived = 0;  // requests since the start
  double waiting = 0;  // of them, for their first step
};

// How fast the queue of an overloaded run grows, in requests per second; nothing where the cluster keeps up.
// Latencies of an overloaded run say how long it lasted, not how good the cluster is.
//
// `samples` are evenly spaced and in order. The mean queue of the last third of the time in which requests
// arrive is compared with that of the third before. A queue in equilibrium moves by some sqrt(n) in the
// time of n arrivals (diffusion limit of queues in heavy traffic: Whitt, Stochastic-Process Limits, 2002,
// chapter 5), so growth counts when it exceeds 3 sqrt(n) and 5 % of the n arrivals, `certainty` times.
std::optional<double> queue_growth(std::span<const QueueSample> samples, double certainty = 1);

}  // namespace disagg
