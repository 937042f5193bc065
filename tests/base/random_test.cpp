#include "sim/base/random.hpp"

#include <array>
#include <boost/random/exponential_distribution.hpp>
#include <boost/random/gamma_distribution.hpp>
#include <boost/random/lognormal_distribution.hpp>
#include <boost/random/uniform_01.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <set>

namespace disagg {
namespace {

std::array<std::uint64_t, 3> first(std::uint64_t seed, std::string_view name) {
  RandomEngine engine = random_stream(seed, name);
  return {engine(), engine(), engine()};
}

TEST_CASE("The hash is FNV-1a of 64 bits: its published values of '', 'a' and 'foobar'", "[random]") {
  CHECK(Hash{}.value() == 0xcbf29ce484222325ULL);
  CHECK(Hash{}.add("a").value() == 0xaf63dc4c8601ec8cULL);
  CHECK(Hash{}.add("foobar").value() == 0x85944171f73967e8ULL);
  CHECK(Hash{}.add("foo").add("bar").hex() == "85944171f73967e8");
}

TEST_CASE("The first 3 numbers of 3 streams are these, on every machine", "[random]") {
  CHECK(first(1, "arrivals") ==
        std::array<std::uint64_t, 3>{3788983289748857724U, 4800880436862414111U, 1137629687694897447U});
  CHECK(first(2, "arrivals") ==
        std::array<std::uint64_t, 3>{3027086290626826337U, 18345801304799707797U, 10406690117140772951U});
  CHECK(first(1, "lengths/chat/prompt") ==
        std::array<std::uint64_t, 3>{14625666609070518294U, 12021668775533630906U, 8268043370337511559U});
}

TEST_CASE("The first draws of the distributions in use are these, on every machine", "[random]") {
  RandomEngine engine = random_stream(1, "arrivals");
  CHECK(boost::random::uniform_01<double>()(engine) == Approx(0.205401195712849).epsilon(1e-12));
  CHECK(boost::random::uniform_int_distribution<int>(1, 1000)(engine) == 261);
  CHECK(boost::random::exponential_distribution<double>(12)(engine) ==
        Approx(0.0172275399924762).epsilon(1e-12));
  CHECK(boost::random::lognormal_distribution<double>(6.5, 0.9)(engine) ==
        Approx(699.121669814316).epsilon(1e-12));
  CHECK(boost::random::gamma_distribution<double>(0.25, 0.5)(engine) ==
        Approx(8.59061433011224e-05).epsilon(1e-12));
}

TEST_CASE("Streams of another name or seed share none of their first 1000 numbers", "[random]") {
  std::set<std::uint64_t> seen;
  int streams = 0;
  for (const std::uint64_t seed : {0, 1, 2, 3}) {
    for (const std::string_view name : {"", "a", "b", "arrivals", "lengths/chat/prompt"}) {
      RandomEngine engine = random_stream(seed, name);
      for (int i = 0; i < 1000; ++i) seen.insert(engine());
      ++streams;
    }
  }
  CHECK(seen.size() == 1000U * static_cast<unsigned>(streams));
}

TEST_CASE("Neighbouring seeds give streams without correlation: below 0.03 over 10 000 draws", "[random]") {
  for (const std::uint64_t seed : {0, 1, 100}) {
    RandomEngine a = random_stream(seed, "arrivals"), b = random_stream(seed + 1, "arrivals");
    boost::random::uniform_01<double> uniform;
    double sum = 0;
    for (int i = 0; i < 10'000; ++i) sum += (uniform(a) - 0.5) * (uniform(b) - 0.5);
    CHECK(std::abs(sum / 10'000 * 12) < 0.03);
  }
}

}  // namespace
}  // namespace disagg
