#include "workloads/arrivals.hpp"

#include <algorithm>
#include <boost/random/exponential_distribution.hpp>
#include <boost/random/gamma_distribution.hpp>
#include <boost/random/uniform_01.hpp>
#include <cmath>
#include <numbers>

#include "sim/base/one_of.hpp"

namespace disagg {
namespace {

constexpr double kLeastInState = 1e-5;

// A number between bounds that keep every arrival time finite.
double read_between(Reader& r, std::string_view key, double low, double high, std::string_view bounds) {
  const auto value = r.get<double>(key, Range::positive);
  if (value > 0 && (value < low || value > high)) r.fail(key, bounds);
  return value;
}

// Between a millisecond and 30 years, so that dates stay exact and loops over such times short.
Seconds bounded(Reader& r, std::string_view key, Seconds time) {
  if (time > Seconds{} && (time < Seconds{1e-3} || time > Seconds{1e9}))
    r.fail(key, "must be between 1 ms and 1e9 s");
  return time;
}

// Of requests or, where the workload is one of sessions, of these.
PerSecond read_rate(Reader& r) {
  const std::string_view key = r.has("sessions_per_second") ? "sessions_per_second" : "requests_per_second";
  return {read_between(r, key, 1e-9, 1e9, "must be between 1e-9 and 1e9")};
}

}  // namespace

PoissonArrivals PoissonArrivals::read(Reader& r) { return {read_rate(r)}; }

Seconds PoissonArrivals::next(RandomEngine& engine) {
  last += Seconds{boost::random::exponential_distribution<double>(rate.si)(engine)};
  return last;
}

GammaArrivals GammaArrivals::read(Reader& r) {
  return {read_rate(r), read_between(r, "cv", 0.01, 100, "must be between 0.01 and 100")};
}

Seconds GammaArrivals::next(RandomEngine& engine) {
  const double shape = 1 / (cv * cv);
  last += Seconds{boost::random::gamma_distribution<double>(shape, 1 / (rate.si * shape))(engine)};
  return last;
}

MarkovModulatedArrivals MarkovModulatedArrivals::read(Reader& r) {
  MarkovModulatedArrivals arrivals;
  for (Reader& state : r.objects("states")) {
    const PerSecond rate = read_rate(state);
    arrivals.states.push_back(
        {rate, bounded(state, "mean_time", state.get<Seconds>("mean_time", Range::positive))});
    state.done();
  }
  if (r.has("states") && arrivals.states.size() < 2) r.fail("states", "expects two or more");
  double most = 0;
  for (const State& state : arrivals.states) most = std::max(most, state.rate.si * state.mean_time.si);
  if (!arrivals.states.empty() && most > 0 && most < kLeastInState)
    r.fail("states", "bring less than one arrival in 100,000 visits of a state");
  return arrivals;
}

Seconds MarkovModulatedArrivals::next(RandomEngine& engine) {
  const auto exponential = [&](double mean) {
    return Seconds{boost::random::exponential_distribution<double>(1 / mean)(engine)};
  };
  if (!ends) ends = exponential(states[state].mean_time.si);
  while (true) {
    const Seconds arrival = last + exponential(1 / states[state].rate.si);
    if (arrival <= *ends) return last = arrival;
    // The exponential forgets: from the next state on another one is drawn.
    last = *ends;
    state = (state + 1) % states.size();
    ends = last + exponential(states[state].mean_time.si);
  }
}

DiurnalArrivals DiurnalArrivals::read(Reader& r) {
  DiurnalArrivals arrivals;
  arrivals.rate = read_rate(r);
  arrivals.peak_to_trough = read_between(r, "peak_to_trough", 1, 1e6, "must be between 1 and 1e6");
  arrivals.period = bounded(r, "period", r.get_or<Seconds>("period", "24 h", Range::positive));
  arrivals.peak_at = bounded(r, "peak_at", r.get_or<Seconds>("peak_at", "12 h", Range::non_negative));
  return arrivals;
}

// Thinning (Lewis and Shedler, Naval Research Logistics Quarterly 26, 1979).
Seconds DiurnalArrivals::next(RandomEngine& engine) {
  const double swing = (peak_to_trough - 1) / (peak_to_trough + 1);
  const double most = rate.si * (1 + swing);
  while (true) {
    last += Seconds{boost::random::exponential_distribution<double>(most)(engine)};
    const double phase = 2 * std::numbers::pi * ((last - peak_at) / period);
    const double now = rate.si * (1 + swing * std::cos(phase));
    if (boost::random::uniform_01<double>()(engine) * most <= now) return last;
  }
}

RateTableArrivals RateTableArrivals::read(Reader& r) {
  RateTableArrivals arrivals{.rates = r.get<std::vector<double>>("per_second", Range::non_negative),
                             .every = bounded(r, "every", r.get<Seconds>("every", Range::positive)),
                             .last = {}};
  double most = 0;
  for (const double rate : arrivals.rates) most = std::max(most, rate);
  if (r.has("per_second") && (most <= 1e-9 || most > 1e9))
    r.fail("per_second", "the highest rate must be between 1e-9 and 1e9");
  return arrivals;
}

Seconds RateTableArrivals::next(RandomEngine& engine) {
  // An exponential of mean 1 is used up window by window, at the rate of each; whole rounds of the table at
  // once.
  double left = boost::random::exponential_distribution<double>(1)(engine);
  double round = 0;
  for (const double rate : rates) round += rate * every.si;
  const double rounds = std::floor(left / round);
  left -= rounds * round;
  last += every * (rounds * static_cast<double>(rates.size()));
  auto window = static_cast<std::int64_t>(std::floor(last / every));
  while (true) {
    const double rate = rates[static_cast<std::size_t>(window) % rates.size()];
    const Seconds end = every * static_cast<double>(window + 1);
    const double here = rate * (end - last).si;
    if (here > 0 && left <= here) {
      last += Seconds{left / rate};
      return last;
    }
    left -= here;
    last = end;
    ++window;
  }
}

ConstantArrivals ConstantArrivals::read(Reader& r) { return {read_rate(r)}; }

Seconds ConstantArrivals::next(RandomEngine& /*engine*/) {
  return {static_cast<double>(arrived++) / rate.si};
}

BurstArrivals BurstArrivals::read(Reader& r) {
  return {r.get<std::int64_t>("size", Range::positive), r.get<Seconds>("every", Range::positive)};
}

Seconds BurstArrivals::next(RandomEngine& /*engine*/) {
  const std::int64_t burst = arrived++ / size;
  return every * static_cast<double>(burst);
}

ClosedLoop ClosedLoop::read(Reader& r) { return {r.get<std::int64_t>("concurrency", Range::positive)}; }

std::optional<Arrivals> read_arrivals(Reader& r) {
  const auto object = r.object("arrivals");
  if (!object) return std::nullopt;
  return OneOf<Arrivals>::read(*object);
}

}  // namespace disagg
