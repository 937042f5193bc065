#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "workloads/source.hpp"

namespace disagg {

// What any workload may do to its requests, in this order:
//   "window": ["10 min", "20 min"]  only arrivals in [a, b), with a as the new time 0
//   "first": 1000                   only so many of them
//   "rate_scale": 2                 arrival times divided by it
struct Transforms {
  struct Window {
    Seconds from{};
    Seconds to{};
  };

  std::optional<Window> window;
  std::optional<std::int64_t> first;
  double rate_scale = 1;
  std::string window_origin;  // where the window is written, for messages

  static Transforms read(Reader& r);
  // A source that throws ConfigError at its end when the window was empty.
  std::unique_ptr<Source> apply(std::unique_ptr<Source> source) const;
};

}  // namespace disagg
