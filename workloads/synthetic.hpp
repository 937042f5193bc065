#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/arrivals.hpp"
#include "workloads/lengths.hpp"
#include "workloads/source.hpp"

namespace disagg {

// One kind of request of a synthetic workload.
struct RequestKind {
  std::string name = "request";
  double share = 1;  // of the requests, relative to the other kinds' shares
  Length prompt_tokens;
  Length output_tokens;
};

// Generated requests: independent draws of arrival, kind and lengths, each from a random stream of its own.
// Ends after "requests" of them or before the first arrival at "duration", whichever comes first.
struct SyntheticWorkload {
  static constexpr std::string_view kind = "synthetic";
  static constexpr std::string_view summary =
      "generated: an arrival process, and lengths drawn for each kind of request";

  Arrivals arrivals;
  std::optional<std::int64_t> requests;
  Seconds duration = kNever;
  std::vector<RequestKind> request_kinds;

  static SyntheticWorkload read(Reader& r);
  std::unique_ptr<Source> open(std::uint64_t seed) const;
};

}  // namespace disagg
