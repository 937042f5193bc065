#include "workloads/arrivals.hpp"

#include <boost/random/exponential_distribution.hpp>
#include <boost/random/gamma_distribution.hpp>

#include "sim/base/one_of.hpp"

namespace disagg {
namespace {

// A number between bounds that keep every arrival time finite.
double read_between(Reader& r, std::string_view key, double low, double high, std::string_view bounds) {
  const auto value = r.get<double>(key, Range::positive);
  if (value > 0 && (value < low || value > high)) r.fail(key, bounds);
  return value;
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
