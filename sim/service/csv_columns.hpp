#pragma once

#include <vector>

#include "sim/base/config.hpp"

namespace disagg {

// Reads a table of step times from the CSV file that `r` names: "file", "columns": {"tokens", "prefill",
// "decode"} (names in the header; times in milliseconds) and "where": {column: value} to select rows.
// Problems go to `r`.
void read_csv_columns(Reader& r, std::vector<double>& tokens, std::vector<Seconds>& prefill,
                      std::vector<Seconds>& decode);

}  // namespace disagg
