#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/base/quantity.hpp"
#include "sim/base/random.hpp"

namespace disagg {

// Distributions of a number of tokens, or of calls. Every draw is at least 1.

struct FixedLength {
  static constexpr std::string_view kind = "fixed";
  static constexpr std::string_view summary = "always \"tokens\"; a plain number stands for it";

  TokenCount tokens = 1;

  static FixedLength read(Reader& r);
  TokenCount draw(RandomEngine& engine) const;
};

struct UniformLength {
  static constexpr std::string_view kind = "uniform";
  static constexpr std::string_view summary = "every whole number from \"low\" to \"high\" alike";

  TokenCount low = 1;
  TokenCount high = 1;

  static UniformLength read(Reader& r);
  TokenCount draw(RandomEngine& engine) const;
};

// Draws beyond the bounds become the bounds, as a context limit makes them.
struct LognormalLength {
  static constexpr std::string_view kind = "lognormal";
  static constexpr std::string_view summary =
      "\"median\" and \"sigma\" of the logarithm, or \"p50\" and \"p90\"; within \"low\" and \"high\"";

  double median = 1;
  double sigma = 0;
  TokenCount low = 1;
  TokenCount high = 1;

  static LognormalLength read(Reader& r);
  TokenCount draw(RandomEngine& engine) const;
};

// The inverse of the distribution function, linear between the points given.
struct EmpiricalLength {
  static constexpr std::string_view kind = "empirical";
  static constexpr std::string_view summary = "\"quantiles\": [[0, least], [0.5, median], ..., [1, most]]";

  struct Point {
    double quantile = 0;
    double tokens = 0;
  };
  std::vector<Point> points;  // quantiles from 0 to 1, strictly rising; tokens not falling

  static EmpiricalLength read(Reader& r);
  TokenCount draw(RandomEngine& engine) const;
};

// Lognormals, each drawn with a probability in proportion to its weight.
struct MixedLength {
  static constexpr std::string_view kind = "mixture";
  static constexpr std::string_view summary =
      "\"parts\": lognormals with \"weight\", \"median\", \"sigma\", \"low\", \"high\"";

  struct Part {
    double weight = 1;
    LognormalLength length;
  };
  std::vector<Part> parts;

  static MixedLength read(Reader& r);
  TokenCount draw(RandomEngine& engine) const;
};

using Length = std::variant<FixedLength, UniformLength, LognormalLength, EmpiricalLength, MixedLength>;

// The distribution under `key`; a problem in the reader when it cannot be used.
Length read_length(Reader& r, std::string_view key);
// The same for a number of things of which there can be at most `most`: lognormals without a bound are cut
// off there.
Length read_number(Reader& r, std::string_view key, std::int64_t most);

inline TokenCount draw(const Length& length, RandomEngine& engine) {
  return std::visit([&](const auto& l) { return l.draw(engine); }, length);
}

}  // namespace disagg
