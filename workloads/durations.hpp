#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/base/quantity.hpp"
#include "sim/base/random.hpp"

namespace disagg {

// Distributions of a time that passes outside the model: tools, users, clients. No draw is negative.

struct FixedDuration {
  static constexpr std::string_view kind = "fixed";
  static constexpr std::string_view summary = "always \"time\"; a plain time stands for it";

  Seconds time{};

  static FixedDuration read(Reader& r);
  Seconds draw(RandomEngine&) const { return time; }
};

struct ExponentialDuration {
  static constexpr std::string_view kind = "exponential";
  static constexpr std::string_view summary = "exponential with \"mean\"";

  Seconds mean{};

  static ExponentialDuration read(Reader& r);
  Seconds draw(RandomEngine& engine) const;
};

struct LognormalDuration {
  static constexpr std::string_view kind = "lognormal";
  static constexpr std::string_view summary =
      "\"median\" and \"sigma\" of the logarithm, at most \"high\", \"offset\" later";

  Seconds median{};
  double sigma = 0;
  Seconds high = kNever;
  Seconds offset{};

  static LognormalDuration read(Reader& r);
  Seconds draw(RandomEngine& engine) const;
};

// The inverse of the distribution function, linear between the points given.
struct EmpiricalDuration {
  static constexpr std::string_view kind = "empirical";
  static constexpr std::string_view summary =
      "\"seconds\": [[0, least], [0.5, median], ..., [1, most]], quantiles and seconds";

  std::vector<std::pair<double, double>>
      points;  // quantiles from 0 to 1, strictly rising; seconds not falling

  static EmpiricalDuration read(Reader& r);
  Seconds draw(RandomEngine& engine) const;
};

// Lognormals, each drawn with a probability in proportion to its weight.
struct MixedDuration {
  static constexpr std::string_view kind = "mixture";
  static constexpr std::string_view summary = "\"parts\": lognormals with \"weight\", \"median\", \"sigma\"";

  struct Part {
    double weight = 1;
    LognormalDuration time;
  };
  std::vector<Part> parts;

  static MixedDuration read(Reader& r);
  Seconds draw(RandomEngine& engine) const;
};

using Duration =
    std::variant<FixedDuration, ExponentialDuration, LognormalDuration, EmpiricalDuration, MixedDuration>;

// The distribution under `key`; zero when there is none, and a problem in the reader when it cannot be used.
Duration read_duration(Reader& r, std::string_view key);

inline Seconds draw(const Duration& duration, RandomEngine& engine) {
  return std::visit([&](const auto& d) { return d.draw(engine); }, duration);
}

}  // namespace disagg
