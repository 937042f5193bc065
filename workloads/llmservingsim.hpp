#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "workloads/source.hpp"

namespace disagg {

// The JSONL format of LLMServingSim's workloads, in order of time. A line is a request, with input_toks,
// output_toks and arrival_time_ns, or a session with session_id, arrival_time_ns and sub_requests: model
// calls in a chain, each with input_toks, output_toks and tool_duration_ns, what tools take behind it before
// the next starts. input_tok_ids and output_tok_ids, where they are as many as the counts say, tell what is
// said, token by token. Lines may be 64 MiB.
struct LlmServingSimTrace {
  static constexpr std::string_view kind = "llmservingsim";
  static constexpr std::string_view summary =
      "an LLMServingSim workload (JSONL): requests, and sessions with tools";

  std::filesystem::path file;

  static LlmServingSimTrace read(Reader& r);
  std::unique_ptr<Source> open(std::uint64_t seed) const;
};

}  // namespace disagg
