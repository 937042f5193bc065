#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "workloads/durations.hpp"
#include "workloads/lengths.hpp"

namespace disagg {

// What of a session's past is in the prompt of its next call.

// All of it, until the context outgrows "compact_at": then one call writes a summary of "compact_to" tokens,
// which takes the place of everything behind the shared prefix. Without compaction a session ends when the
// window is full.
struct GrowingContext {
  static constexpr std::string_view kind = "append";
  static constexpr std::string_view summary =
      "everything, up to \"window\"; beyond \"compact_at\" a summary of \"compact_to\" tokens replaces it";
  static GrowingContext read(Reader& r);
  TokenCount window = 0;
  std::optional<TokenCount> compact_at;
  Length compact_to;
};
// The task, a log of what was done, and the page seen last, which the next one replaces.
struct LastPage {
  static constexpr std::string_view kind = "last-page";
  static constexpr std::string_view summary =
      "task, log (\"kept_output\" of each output) and the last page only (browser agents)";
  static LastPage read(Reader& r);
  double kept_output = 0.7;
};
// Everything, but of the screenshots only the last ones: when "chunk" more than "keep" have gathered, so many
// of the oldest are removed, and with them the use of what is cached behind.
struct RecentImages {
  static constexpr std::string_view kind = "recent-images";
  static constexpr std::string_view summary =
      "everything, with the last \"keep\" images of \"image\" tokens, removed \"chunk\" at a time";
  static RecentImages read(Reader& r);
  TokenCount image = 0;
  std::int64_t keep = 3, chunk = 3;
};
// A share of the sessions sends all of the conversation each time, the others the last exchange only. What
// exceeds the window is cut off in front, which leaves of the cache only the shared prefix.
struct Exchanges {
  static constexpr std::string_view kind = "exchanges";
  static constexpr std::string_view summary =
      "the conversation up to \"window\"; but \"full\" of the sessions, the last exchange only";
  static Exchanges read(Reader& r);
  double full = 1;
  TokenCount window = 0;
};
using ContextPolicy = std::variant<GrowingContext, LastPage, RecentImages, Exchanges>;

// Agents that a call starts side by side, and for the slowest of which the next call waits.
struct SubAgents {
  double share = 0;              // of the sessions have some
  Length count;                  // at a time
  Length calls;                  // of each
  TokenCount shared_prefix = 0;  // its own, the same in all sessions
  bool inherits = false;         // the context of the call that starts it follows the prefix
};

// An agent kind, from which sessions are drawn. Every draw is independent of the others.
struct AgentProfile {
  std::string name, summary, source;
  std::vector<std::string> assumed;  // fields that no measurement stands behind
  TokenCount shared_prefix = 0;      // system prompt and tools, the same in all sessions; 0: none
  Length first;                      // of the first prompt, behind the shared prefix
  Length calls;                      // of the model, in a session
  double user_share = 0;          // of the calls behind the first that follow a user; the others follow tools
  Length after_tool, after_user;  // tokens that join the prompt
  Length parallel_tools;          // of a call: their results add up, and the longest counts
  Length output;                  // without reasoning
  std::optional<Length> reasoning;  // before the output, and dropped from the context
  Duration tool, think;
  std::optional<Duration> patience;  // of a user who waits for the end of a call and then leaves
  Duration client;                   // passes before every call but the first, as well
  ContextPolicy context;
  std::optional<SubAgents> sub_agents;

  static AgentProfile read(Reader& r);
};

// The profiles of the catalog.
const std::vector<AgentProfile>& agent_profiles();

}  // namespace disagg
