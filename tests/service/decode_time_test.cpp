#include "sim/service/decode_time.hpp"

#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <catch2/catch.hpp>

#include "sim/base/random.hpp"

using namespace disagg;

TEST_CASE(
    "The closed sum of 1,000 random spans equals their steps added one by one, and its inverse finds each "
    "boundary") {
  auto random = random_stream(3, "decode times");
  const auto real = [&](double low, double high) {
    return boost::random::uniform_real_distribution<double>(low, high)(random);
  };
  const auto whole = [&](std::int64_t low, std::int64_t high) {
    return boost::random::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  int changes = 0;
  for (int i = 0; i < 1000; ++i) {
    const DecodeTime time{.fixed = {.compute = Seconds{real(0, 1e-2)},
                                    .bandwidth = Seconds{real(0, 1e-2)},
                                    .network = {},
                                    .overhead = Seconds{real(0, 1e-3)}},
                          .attention_compute = {Seconds{0}, Seconds{real(0, 1e-7)}},
                          .attention_bandwidth = {Seconds{real(0, 1e-2)}, Seconds{real(0, 1e-7)}}};
    const double context = real(1, 1e6);
    const auto growth = static_cast<double>(whole(1, 512));
    const std::int64_t steps = whole(1, 500);
    Seconds sum{};
    for (std::int64_t k = 0; k < steps; ++k) {
      sum += time.step(context + growth * static_cast<double>(k));
      const Seconds span = time.span(context, growth, k + 1);
      REQUIRE(span.si == Approx(sum.si).epsilon(1e-12));
      CHECK(time.steps_within(context, growth, span, steps) == k + 1);
      CHECK(time.steps_within(context, growth, span * (1 - 1e-9), steps) == k);
    }
    const std::int64_t before = time.steps_before_change(context, growth, steps);
    if (before > 0 && before < steps) ++changes;
  }
  CHECK(changes > 10);
}

TEST_CASE("The parts of a decode step add up to the step, and attention counts for the side that limits it") {
  const DecodeTime time{.fixed = {.compute = Seconds{1},
                                  .bandwidth = Seconds{2},
                                  .network = Seconds{4},
                                  .overhead = Seconds{8}},
                        .attention_compute = {Seconds{0}, Seconds{0.2}},
                        .attention_bandwidth = {Seconds{10}, Seconds{0.1}}};
  CHECK(time.parts(50).bandwidth == Seconds{2 + 15});
  CHECK(time.parts(50).compute == Seconds{1});
  CHECK(time.parts(200).compute == Seconds{1 + 40});
  CHECK(time.parts(200).total() == time.step(200));
}
