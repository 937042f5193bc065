#pragma once

#include <boost/random/mersenne_twister.hpp>
#include <cstdint>
#include <string_view>

#include "sim/base/hash.hpp"

namespace disagg {

// Boost.Random throughout: the standard library's distributions differ from one implementation to the next.
using RandomEngine = boost::random::mt19937_64;

// An independent stream for one use site ("arrivals", "lengths/coding"). Adding a consumer never shifts the
// numbers that another one sees, because each stream depends on the seed and its own name only.
inline RandomEngine random_stream(std::uint64_t seed, std::string_view name) {
  std::uint64_t z =
      seed + Hash{}.add(name).value();  // SplitMix64 finaliser: nearby seeds give unrelated engines
  z = (z ^ (z >> 30U)) * 0xbf58'476d'1ce4'e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d0'49bb'1331'11ebULL;
  return RandomEngine{z ^ (z >> 31U)};
}

}  // namespace disagg
