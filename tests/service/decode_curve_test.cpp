#include "sim/service/decode_curve.hpp"

#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>

#include "sim/base/random.hpp"

using namespace disagg;

namespace {

// The form of kernel_times.hpp, evaluated as it is written.
double kernel_time(const DecodeAttention& t, double total, double longest) {
  const double b = std::max({t.memory_at_zero.si + t.memory_per_token.si * total,
                             t.compute_per_token.si * total, t.serial_per_token.si * longest});
  return t.launch.si + (longest > t.deep_beyond ? t.deep.si : 0) + std::max(t.wave.si, b) +
         t.overlap * std::min(t.wave.si, b);
}

}  // namespace

TEST_CASE(
    "The closed sum of 500 random spans over 1 to 8 ranks equals their steps evaluated one by one, and its "
    "inverse finds each boundary") {
  auto random = random_stream(3, "decode times");
  const auto real = [&](double low, double high) {
    return boost::random::uniform_real_distribution<double>(low, high)(random);
  };
  const auto whole = [&](std::int64_t low, std::int64_t high) {
    return boost::random::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  std::size_t segments = 0;
  for (int i = 0; i < 500; ++i) {
    const auto ranks = static_cast<std::size_t>(whole(1, 8));
    const auto kinds = static_cast<std::size_t>(whole(1, 3));
    std::vector<DecodeAttention> times;
    for (std::size_t k = 0; k < ranks * kinds; ++k)
      times.push_back({.launch = Seconds{real(0, 1e-5)},
                       .deep = Seconds{whole(0, 1) == 0 ? 0 : real(0, 1e-5)},
                       .deep_beyond = real(0, 400),
                       .wave = Seconds{whole(0, 3) == 0 ? 0 : real(0, 3e-5)},
                       .memory_at_zero = Seconds{real(0, 1e-5)},
                       .memory_per_token = Seconds{real(0, 1e-8)},
                       .compute_per_token = Seconds{real(0, 1e-8)},
                       .serial_per_token = Seconds{real(0, 1e-7)},
                       .overlap = real(0, 1)});
    std::vector<DecodeContext> contexts;
    std::vector<ContextKernel> kernels;
    for (std::size_t r = 0; r < ranks; ++r) {
      const std::int64_t sequences = r > 0 && whole(0, 5) == 0 ? 0 : whole(1, 64);
      const auto size = static_cast<double>(sequences);
      const double longest = real(1, 500);
      contexts.push_back({.sequences = sequences,
                          .all = {longest * size * real(0.3, 1), size},
                          .longest = {longest, 1},
                          .within = {longest * size * 0.2, std::floor(size / 2)},
                          .longest_within = {longest / 2, 1}});
      for (std::size_t k = 0; k < kinds; ++k)
        kernels.push_back({&times[r * kinds + k], 10.0 + static_cast<double>(k), 1, k == 1});
    }
    const StepParts fixed{.compute = Seconds{real(0, 1e-3)},
                          .bandwidth = Seconds{real(0, 1e-3)},
                          .network = {},
                          .overhead = Seconds{real(0, 1e-3)}};
    const std::int64_t steps = whole(1, 600);
    DecodeCurve curve;
    curve.build(fixed, kernels, contexts, steps);
    segments = std::max(segments, curve.segments().size());
    double sum = 0;
    for (std::int64_t k = 0; k < steps; ++k) {
      double step = fixed.total().si;
      const auto at = static_cast<double>(k);
      for (std::size_t kind = 0; kind < kinds; ++kind) {
        double slowest = 0;
        for (std::size_t r = 0; r < ranks; ++r) {
          if (contexts[r].sequences == 0) continue;
          const bool limited = kind == 1;
          const Growing& total = limited ? contexts[r].within : contexts[r].all;
          const Growing& longest = limited ? contexts[r].longest_within : contexts[r].longest;
          slowest =
              std::max(slowest, kernel_time(times[r * kinds + kind], total.after(at), longest.after(at)));
        }
        step += slowest * (10.0 + static_cast<double>(kind));
      }
      REQUIRE(curve.step(k).si == Approx(step).epsilon(1e-10));
      sum += step;
      const Seconds end = curve.until(k + 1);
      REQUIRE(end.si == Approx(sum).epsilon(1e-10));
      REQUIRE(curve.steps_within(end, steps) == k + 1);
      REQUIRE(curve.steps_within(end * (1 - 1e-9), steps) == k);
    }
  }
  CHECK(segments >= 4);
}

TEST_CASE("The parts of a decode step add up to the step, and a core counts for what limits it") {
  const DecodeAttention core{.launch = Seconds{1},
                             .memory_at_zero = Seconds{10},
                             .memory_per_token = Seconds{0.1},
                             .compute_per_token = Seconds{0.2}};
  const ContextKernel kernel{.time = &core, .repeats = 1};
  const DecodeContext context{
      .sequences = 1, .all = {50, 1}, .longest = {50, 1}, .within = {}, .longest_within = {}};
  const StepParts fixed{
      .compute = Seconds{1}, .bandwidth = Seconds{2}, .network = Seconds{4}, .overhead = Seconds{8}};
  DecodeCurve curve;
  curve.build(fixed, std::vector{kernel}, std::vector{context}, 200);
  CHECK(curve.parts(0).bandwidth.si == Approx(2 + 1 + 15));
  CHECK(curve.parts(0).compute == Seconds{1});
  CHECK(curve.parts(0).network == Seconds{4});
  CHECK(curve.parts(150).compute.si == Approx(1 + 1 + 40));
  CHECK(curve.parts(150).total() == curve.step(150));
  REQUIRE(curve.segments().size() == 2);
  CHECK(curve.segments()[1].first == 51);  // 0.2 x 101 > 10 + 0.1 x 101
}
