#pragma once

namespace disagg::test {

// Whether this is the build with sanitizers. It takes several times as long for a case, and finds in a part
// of many random ones what it would find in all: their number counts in the build for users.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace disagg::test
