#include "sim/base/hash.hpp"

#include <catch2/catch.hpp>

namespace disagg {
namespace {

// Values of the FNV authors' test suite, isthe.com/chongo/src/fnv/test_fnv.c.
static_assert(Hash{}.value() == 0xcbf2'9ce4'8422'2325);
static_assert(Hash{}.add("a").value() == 0xaf63'dc4c'8601'ec8c);
static_assert(Hash{}.add("foobar").value() == 0x8594'4171'f739'67e8);

TEST_CASE("FNV-1a of 'foobar' is 85944171f73967e8, and of nothing cbf29ce484222325", "[hash]") {
  CHECK(Hash{}.add("foobar").hex() == "85944171f73967e8");
  CHECK(Hash{}.hex() == "cbf29ce484222325");
}

TEST_CASE("A hash has 16 digits even when the first three are 0", "[hash]") {
  CHECK(Hash{}.add("zeros-37300").hex() == "000240b0d482ea16");
}

TEST_CASE("Text added in two parts has the hash of the whole, bytes above 127 count as unsigned", "[hash]") {
  CHECK(Hash{}.add("foo").add("").add("bar").value() == Hash{}.add("foobar").value());
  CHECK(Hash{}.add("ab").value() != Hash{}.add("ba").value());
  CHECK(Hash{}.add("\xff").hex() == "af64724c8602eb6e");
}

}  // namespace
}  // namespace disagg
