#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "workloads/source.hpp"

namespace disagg {

// The CSV format of the BurstGPT trace: Timestamp (s), Model, Request tokens, Response tokens, Total tokens
// (their sum), Log Type, in order of time. The log types are the kinds. Requests that failed, whose response
// has no tokens, are left out and counted in notes(); models do nothing.
struct BurstGptTrace {
  static constexpr std::string_view kind = "burstgpt";
  static constexpr std::string_view summary = "the BurstGPT trace (CSV): chat and API requests";

  std::filesystem::path file;

  static BurstGptTrace read(Reader& r);
  std::unique_ptr<Source> open(std::uint64_t seed) const;
};

}  // namespace disagg
