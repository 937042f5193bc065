#pragma once

#include <string_view>

namespace disagg {

/// The release, the commit it was built from, and "-dirty" when files differed from that commit.
std::string_view version();

/// The compiler, its version and the build type: results are reproducible bit by bit only with the same.
std::string_view compiler();

}  // namespace disagg
