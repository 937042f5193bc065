#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/session_arrivals.hpp"
#include "workloads/source.hpp"

namespace disagg {

// Sessions of agents with their tools' times: CSV of group, session, turn, model, t_submit, t_end, llm_s,
// input_tokens, cache_read, output_tokens, tools, tool_s; the turns of a session in order and together.
// Groups are the kinds; "groups" keeps only some. A turn follows the one before after what passed in the
// recording, t_submit - t_end of it, of which the "tool_s" of the turn before are tools and the rest a
// client. When sessions arrived is not used: they arrive as "arrivals" says, and one after another without.
//
// What prompts say is not in the trace. "context" is "append-only" (the default, assumed): each prompt of a
// session goes on from the one before, and from its output if it is long enough for both; a shorter one
// begins anew. Or it is "unknown".
struct AgentTurnsTrace {
  static constexpr std::string_view kind = "agent-turns";
  static constexpr std::string_view summary =
      "agent sessions with measured tool times (CSV, agent_turns_derived)";

  std::filesystem::path file;
  std::vector<std::string> groups;  // none: all
  bool append_only = true;
  std::optional<Arrivals> arrivals;

  static AgentTurnsTrace read(Reader& r);
  std::unique_ptr<Source> open(std::uint64_t seed) const;
};

}  // namespace disagg
