#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "workloads/source.hpp"

namespace disagg {

// The CSV format of Azure's public LLM inference traces: TIMESTAMP,ContextTokens,GeneratedTokens, in order of
// time. Arrivals count from the first row's timestamp. A count of zero tokens is an error: the traces of 2023
// have none, and a request without output would have no latency to speak of.
struct AzureTrace {
  static constexpr std::string_view kind = "azure";
  static constexpr std::string_view summary = "an Azure LLM inference trace of 2023 or 2024 (CSV)";

  std::filesystem::path file;

  static AzureTrace read(Reader& r);
  std::unique_ptr<Source> open(std::uint64_t seed) const;
};

// Nanoseconds from 1970 to a UTC time written as in the traces: "2023-11-16 18:15:46.6805900" (2023) or
// "2024-05-10 00:00:00.009930+00:00" (2024), with 0 to 9 digits behind the second. Nothing for any other
// text.
std::optional<std::int64_t> parse_azure_timestamp(std::string_view text);

}  // namespace disagg
