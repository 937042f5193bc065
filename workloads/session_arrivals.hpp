#pragma once

#include <cstdint>
#include <optional>

#include "sim/base/config.hpp"
#include "sim/base/random.hpp"
#include "workloads/arrivals.hpp"

namespace disagg {

// The "arrivals" of a trace whose sessions need not arrive as recorded, if the scenario gives any; a rate is
// in sessions per second. Nothing, and perhaps a problem, when it does not.
std::optional<Arrivals> find_arrivals(Reader& r);

// When the sessions of one source arrive.
class SessionArrivals {
 public:
  SessionArrivals(const std::optional<Arrivals>& arrivals, std::uint64_t seed)
      : arrivals_(arrivals), stream_(random_stream(seed, "arrivals")) {}

  // Whether the scenario says when, so that what the trace says does not count.
  bool given() const { return arrivals_.has_value(); }
  // Of the next session. Precondition: given().
  Seconds next() {
    return std::visit([this](auto& process) { return process.next(stream_); }, *arrivals_);
  }
  // For Source::concurrency().
  std::optional<std::int64_t> concurrency() const {
    const auto* loop = arrivals_ ? std::get_if<ClosedLoop>(&*arrivals_) : nullptr;
    return loop != nullptr ? std::optional(loop->concurrency) : std::nullopt;
  }

 private:
  std::optional<Arrivals> arrivals_;
  RandomEngine stream_;
};

}  // namespace disagg
