#pragma once

#include <array>
#include <string>
#include <string_view>
#include <variant>

#include "sim/base/config.hpp"
#include "sim/base/quantity.hpp"

namespace disagg {

// What happens when the KV caches of running requests outgrow their replica's memory.
struct Recompute {
  static constexpr std::string_view kind = "recompute";
  static constexpr std::string_view summary =
      "the request that came last is preempted and computed again later (vLLM)";
  static Recompute read(Reader&) { return {}; }
};
struct WaitForRoom {
  static constexpr std::string_view kind = "wait";
  static constexpr std::string_view summary =
      "it never does: a request enters only when there is room for all of its output";
  static WaitForRoom read(Reader&) { return {}; }
};
struct SwapOut {
  static constexpr std::string_view kind = "swap";
  static constexpr std::string_view summary =
      "the request that came last is written to a memory tier and read back later";
  static SwapOut read(Reader& r) { return {r.get<std::string>("tier")}; }
  std::string tier;
};
struct StreamCold {
  static constexpr std::string_view kind = "stream";
  static constexpr std::string_view summary =
      "what does not fit lies in a memory tier, from which every step reads it";
  static StreamCold read(Reader& r) {
    return {r.get<std::string>("tier"), r.get<Bytes>("share", Range::positive)};
  }
  std::string tier;
  Bytes share{};  // of the tier, for each replica
};
using SpillPolicy = std::variant<Recompute, WaitForRoom, SwapOut, StreamCold>;

// Whether what a memory tier has of a prompt is fetched or computed again.
enum class FetchRule { cheaper, always, never };
inline constexpr std::array<std::string_view, 3> kFetchRuleNames{"cheaper", "always", "never"};

}  // namespace disagg
