#include "sim/base/quantity.hpp"

#include <catch2/catch.hpp>
#include <concepts>

namespace disagg {
namespace {

using namespace literals;

template <class A, class B>
concept CanBeAdded = requires(A a, B b) {
  a + b;
};
template <class A, class B>
concept CanBeSubtracted = requires(A a, B b) {
  a - b;
};
template <class A, class B>
concept CanBeCompared = requires(A a, B b) {
  a < b;
};

static_assert(CanBeAdded<Seconds, Seconds> && CanBeSubtracted<Bytes, Bytes> && CanBeCompared<Watts, Watts>);
static_assert(!CanBeAdded<Bytes, Seconds> && !CanBeSubtracted<Bytes, Seconds> &&
              !CanBeCompared<Bytes, Seconds>);
static_assert(!CanBeAdded<Bytes, BytesPerSecond> && !CanBeAdded<Seconds, double> &&
              !CanBeAdded<double, Bytes>);
static_assert(!std::convertible_to<Seconds, Bytes> && !std::convertible_to<Seconds, double>);
static_assert(!std::convertible_to<double, Seconds>);

static_assert(std::same_as<decltype(Bytes{} / BytesPerSecond{}), Seconds>);
static_assert(std::same_as<decltype(Bytes{} / Seconds{}), BytesPerSecond>);
static_assert(std::same_as<decltype(BytesPerSecond{} * Seconds{}), Bytes>);
static_assert(std::same_as<decltype(Flops{} / FlopsPerSecond{}), Seconds>);
static_assert(std::same_as<decltype(FlopsPerSecond{} / BytesPerSecond{}), FlopsPerByte>);
static_assert(std::same_as<decltype(DollarsPerSecond{} * Seconds{}), Dollars>);
static_assert(std::same_as<decltype(Watts{} * Seconds{}), Joules>);
static_assert(std::same_as<decltype(Seconds{} / Seconds{}), double>);

TEST_CASE("80 GB at 3350 GB/s take 23.88 ms, and 90 ms of that rate carry 301.5 GB", "[quantity]") {
  CHECK((80_GB / 3350_GBps).si == Approx(0.0238806).epsilon(1e-6));
  CHECK((3350_GBps * 90_ms).si == Approx(301.5e9));
}

TEST_CASE("989 TFLOP/s over 3.35 TB/s is a ridge of 295.2 FLOP a byte", "[quantity]") {
  const FlopsPerByte ridge = 989_TFLOPs / 3350_GBps;
  CHECK(ridge.si == Approx(295.2239).epsilon(1e-6));
}

TEST_CASE("Sums, differences, multiples and quotients of times are those of their seconds", "[quantity]") {
  Seconds t = 2_s + 500_ms - 250_us;
  CHECK(t.si == Approx(2.49975));
  CHECK((t * 2).si == Approx(4.9995));
  CHECK((2 * t) == (t * 2));
  CHECK((t / 4).si == Approx(0.6249375));
  CHECK(6_s / 1.5_s == 4);
  t += 1_s;
  t -= 500_ms;
  t *= 2;
  CHECK(t.si == Approx(5.9995));
  CHECK((-t).si == Approx(-5.9995));
}

TEST_CASE("Every date is before never", "[quantity]") {
  CHECK(Seconds{1e300} < kNever);
  CHECK(Seconds{} == 0_s);
  CHECK_FALSE(kNever < kNever);
}

}  // namespace
}  // namespace disagg
