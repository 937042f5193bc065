#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "workloads/arrivals.hpp"
#include "workloads/source.hpp"

namespace disagg {

// Sessions of coding agents as kv-cache-tester records them (callanjfox/kv-cache-tester): one JSON file a
// session, or a folder of such files, in order of their names. A call waits for the one before it, and then
// for its recorded "think_time", which holds tools where the call before ended in a tool call, and else
// people; a sub-agent's first call waits for the call before it, and the call behind it for its last one.
// Hash ids are those of one session; but the blocks of tools and system prompt are the same in all sessions
// with as many tokens of both, unless "shared_prefix" is false.
//
// Recorded dates of calls are not used but where sub-agents return, for they are of another cluster, and
// neither is when a session began: that is for "arrivals" to say.
struct KvCacheTesterTrace {
  static constexpr std::string_view kind = "kv-cache-tester";
  static constexpr std::string_view summary =
      "sessions of coding agents (a JSON file each), replayed in a closed loop";

  std::filesystem::path file;
  Arrivals arrivals;
  bool shared_prefix = true;

  static KvCacheTesterTrace read(Reader& r);
  std::unique_ptr<Source> open(std::uint64_t seed) const;
};

}  // namespace disagg
