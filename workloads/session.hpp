#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/memory/prompt_content.hpp"

namespace disagg {

// What a turn waited for besides the turns before it. Where a trace does not tell them apart it is a client.
enum class Trigger { user, tool, client };

// One call of the model within a session.
struct Turn {
  TokenCount prompt_tokens = 0;     // all of it, with what is cached: at least 1
  TokenCount output_tokens = 0;     // at least 1
  TokenCount reasoning_tokens = 0;  // of the output, dropped from the context of later turns
  // What the prompt says and, as far as it is known, the output behind it: content->tokens may exceed
  // prompt_tokens by up to output_tokens. None: nothing is known.
  std::shared_ptr<const PromptContent> content{};
  std::vector<std::uint32_t> parents{};  // earlier turns that must have ended; none: the session's start
  // What passes between the end of the last parent (or the session's start) and the arrival of this turn.
  Seconds tool{};   // tools run; of parallel ones the longest
  Seconds think{};  // then a human thinks, or a client does something of its own
  // Waits for the first of its parents only. What of the session stands before it and has not ended then is
  // cancelled, and what waits for that never comes: a sibling branch has won.
  bool first_of_parents = false;
  Seconds patience = kNever;  // a user who waits longer for its end leaves, and the session with him
  Trigger trigger = Trigger::user;
  TokenCount appended_tokens = 0;  // of the prompt, that no turn or shared prefix before it had: user text,
                                   // tool results, images, summaries
  std::uint32_t agent = 0;         // 0 is the main one; sub-agents have contexts of their own
};

// A task of an agent or a conversation of a user: model calls that wait for each other. Turns stand in an
// order in which parents come before children.
struct Session {
  std::vector<Turn> turns;  // at least one
};

}  // namespace disagg
