#pragma once

#include <boost/random/uniform_01.hpp>
#include <cstddef>
#include <vector>

#include "sim/base/random.hpp"

namespace disagg {

// Which of some parts is drawn, each with a probability in proportion to its weight. Precondition: there is
// one.
template <class Part>
std::size_t draw_weighted(const std::vector<Part>& parts, double Part::*weight, RandomEngine& engine) {
  double whole = 0;
  for (const Part& part : parts) whole += part.*weight;
  double at = whole * boost::random::uniform_01<double>()(engine);
  std::size_t drawn = 0;
  while (drawn + 1 < parts.size() && at >= parts[drawn].*weight) at -= parts[drawn++].*weight;
  return drawn;
}

}  // namespace disagg
