#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/base/quantity.hpp"
#include "sim/base/random.hpp"

namespace disagg {

// Arrival processes. Each gives the time of the next arrival; calls must come in order, and times never
// decrease.

struct PoissonArrivals {
  static constexpr std::string_view kind = "poisson";
  static constexpr std::string_view summary = "independent users: exponential gaps";

  PerSecond rate{};
  Seconds last{};

  static PoissonArrivals read(Reader& r);
  Seconds next(RandomEngine& engine);
};

struct GammaArrivals {
  static constexpr std::string_view kind = "gamma";
  static constexpr std::string_view summary =
      "gamma gaps: burstier than Poisson with \"cv\" above 1, smoother below";

  PerSecond rate{};
  double cv = 1;  // standard deviation of the gaps over their mean
  Seconds last{};

  static GammaArrivals read(Reader& r);
  Seconds next(RandomEngine& engine);
};

// Poisson at a rate that jumps between states, each of which lasts an exponential time (a Markov-modulated
// Poisson process whose states follow each other in turn).
struct MarkovModulatedArrivals {
  static constexpr std::string_view kind = "markov-modulated";
  static constexpr std::string_view summary =
      "bursts: Poisson at the rate of each of \"states\" in turn, which last their \"mean_time\"";

  struct State {
    PerSecond rate{};
    Seconds mean_time{};
  };
  std::vector<State> states;
  std::size_t state = 0;
  std::optional<Seconds> ends;  // of the state
  Seconds last{};

  static MarkovModulatedArrivals read(Reader& r);
  Seconds next(RandomEngine& engine);
};

// Poisson at the rate mean x (1 + a cos(2 pi (t - peak_at) / period)), a = (ratio - 1) / (ratio + 1).
struct DiurnalArrivals {
  static constexpr std::string_view kind = "diurnal";
  static constexpr std::string_view summary =
      "Poisson at a rate that swings over a \"period\" by \"peak_to_trough\", highest at \"peak_at\"";

  PerSecond rate{};  // mean
  double peak_to_trough = 1;
  Seconds period{}, peak_at{};
  Seconds last{};

  static DiurnalArrivals read(Reader& r);
  Seconds next(RandomEngine& engine);
};

// Poisson at the rates of a table, over and over.
struct RateTableArrivals {
  static constexpr std::string_view kind = "rates";
  static constexpr std::string_view summary =
      "Poisson at \"per_second\": [rate, rate, ...], each for \"every\" so long, and from the start again";

  std::vector<double> rates;  // per second
  Seconds every{};
  Seconds last{};

  static RateTableArrivals read(Reader& r);
  Seconds next(RandomEngine& engine);
};

struct ConstantArrivals {
  static constexpr std::string_view kind = "constant";
  static constexpr std::string_view summary = "equal gaps, the first arrival at time 0";

  PerSecond rate{};
  std::int64_t arrived = 0;

  static ConstantArrivals read(Reader& r);
  Seconds next(RandomEngine& engine);
};

struct BurstArrivals {
  static constexpr std::string_view kind = "burst";
  static constexpr std::string_view summary =
      "\"size\" requests at once at time 0, and again \"every\" so often";

  std::int64_t size = 1;
  Seconds every{};
  std::int64_t arrived = 0;

  static BurstArrivals read(Reader& r);
  Seconds next(RandomEngine& engine);
};

// A benchmark client with a fixed number of requests in flight: all of them start at time 0, and each that
// ends makes room for the next. The cluster sets the pace; see Source::concurrency().
struct ClosedLoop {
  static constexpr std::string_view kind = "closed-loop";
  static constexpr std::string_view summary =
      "\"concurrency\" requests in flight: a burst at time 0, then one in for one out";

  std::int64_t concurrency = 1;

  static ClosedLoop read(Reader& r);
  Seconds next(RandomEngine&) { return {}; }
};

using Arrivals = std::variant<PoissonArrivals, GammaArrivals, MarkovModulatedArrivals, DiurnalArrivals,
                              RateTableArrivals, ConstantArrivals, BurstArrivals, ClosedLoop>;

// The arrival process under "arrivals". Nothing, and a problem, when it cannot be used.
std::optional<Arrivals> read_arrivals(Reader& r);

}  // namespace disagg
