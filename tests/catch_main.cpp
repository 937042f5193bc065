// Apart from the tests, because Catch's own main takes long to compile.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
