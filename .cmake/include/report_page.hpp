#pragma once

#include <string_view>

namespace disagg {

/// The page of HTML reports (experiments/report, bundled at build time), with {{DATA}} where their data goes;
/// empty when the program was built without it.
extern const std::string_view report_page;

}  // namespace disagg
