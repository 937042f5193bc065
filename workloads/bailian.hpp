#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "workloads/source.hpp"

namespace disagg {

// The JSONL format of the Qwen-Bailian traces, in order of time: chat_id, parent_chat_id (-1: none),
// timestamp (s), input_length, output_length (tokens), type (text, search, image or file), turn, and hash_ids
// of 16 tokens each. A chat and all that descend from it are a session, of the kind of its first type: each
// turn waits for its parent and then as long as their timestamps differ, which is too long by the time that
// the parent took to serve and which the trace does not tell.
//
// A session is taken for ended when nothing has followed it for "session_gap"; what follows later, or a
// parent that is not in the trace, begins one of its own and is counted in notes().
struct BailianTrace {
  static constexpr std::string_view kind = "bailian";
  static constexpr std::string_view summary = "a Qwen-Bailian trace (JSONL): chats whose turns have parents";

  std::filesystem::path file;
  TokenCount hash_block_tokens = 16;
  Seconds session_gap{};

  static BailianTrace read(Reader& r);
  std::unique_ptr<Source> open(std::uint64_t seed) const;
};

}  // namespace disagg
