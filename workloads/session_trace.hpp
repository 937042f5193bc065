#pragma once

#include <filesystem>
#include <iosfwd>
#include <memory>
#include <string_view>

#include "workloads/source.hpp"

namespace disagg {

// The session format: JSON lines, one a call of the model, those of a session next to each other and sessions
// in order of arrival. It holds what agentic extensions of Mooncake's format hold, and reads them.
//
//   session_id         string; without it a row is a request by itself
//   request_id         string, unique in its session; for others to wait for
//   wait_for           strings: the calls of the session, on rows before, that must have ended. Without the
//                      field a call waits for the row before it; [] starts with the session
//   timestamp          ms: when the session, or the single request, arrives; on its first row
//   tool_wait_ms, delay    ms that tools run, and then a user thinks, behind the calls waited for
//   input_length, output_length, reasoning_length, appended_length
//                      tokens; reasoning is part of the output
//   kind, agent        agent kind, as the header names them; 0 or the number of a sub-agent
//   trigger            "user", "tool" or "client"
//   patience_ms        a user who waits longer for the end of this call leaves
//   first_of_parents   true: waits for the first of wait_for only, and cancels the rest of the rows before,
//                      and with them what waits for these
//   hash_ids           one for each hash block of the prompt and, where it is known, of the output behind it
//   hash_ranges        the same as [first, count, first, count, ...]
//   hash_block_tokens  on the first row with either, where the header does not say it
//
// A header may stand before all rows: {"format": "disagg-sessions", "version": 1, "hash_block_tokens": 16,
// "kinds": ["chat", "coding"]}. Documented fields of such extensions that are not simulated (branches,
// prefix_reset, priority, tool_events) are told as notes; others are errors.
struct SessionTrace {
  static constexpr std::string_view kind = "sessions";
  static constexpr std::string_view summary =
      "sessions as JSON lines, one a call (agentic Mooncake, or written by `disagg workload convert`)";

  std::filesystem::path file;
  TokenCount hash_block_tokens = 512;  // where there is no header

  static SessionTrace read(Reader& r);
  std::unique_ptr<Source> open(std::uint64_t seed) const;
};

// Writes a source in that format, header first. Returns how many rows. In a closed loop all arrivals are at
// 0.
std::int64_t write_sessions(Source& source, std::ostream& out);

}  // namespace disagg
