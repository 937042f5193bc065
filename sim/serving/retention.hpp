#pragma once

#include <array>
#include <string_view>
#include <variant>

#include "sim/base/config.hpp"
#include "sim/base/quantity.hpp"

namespace disagg {

// What becomes of the cached context of a session's turn that has ended, when another turn will come: until
// then tools run, or a user thinks.
struct KeepEvictable {
  static constexpr std::string_view kind = "evictable";
  static constexpr std::string_view summary = "it can be evicted like any other prefix (vLLM, SGLang)";
  static KeepEvictable read(Reader&) { return {}; }
};
// As Continuum does (Li et al., "Continuum: Efficient and Robust Multi-Turn LLM Agent Scheduling with KV
// Cache Time-to-Live", arXiv 2511.02230).
struct Pin {
  static constexpr std::string_view kind = "pin";
  static constexpr std::string_view summary =
      "it stays for up to \"ttl\", or only \"when\": \"predicted\" to be needed by then, and what returns to "
      "it goes first (Continuum)";
  static Pin read(Reader& r) {
    constexpr std::array<std::string_view, 2> kWhen{"always", "predicted"};
    return {r.get<Seconds>("ttl", Range::positive), r.choice("when", kWhen, "always") == 1};
  }
  Seconds ttl{};
  bool predicted = false;  // by an oracle: the workload's own tool and think times
};
struct Demote {
  static constexpr std::string_view kind = "demote";
  static constexpr std::string_view summary =
      "it makes room at once; memory tiers that are written back or on completion have it";
  static Demote read(Reader&) { return {}; }
};
struct Drop {
  static constexpr std::string_view kind = "drop";
  static constexpr std::string_view summary =
      "it makes room at once, and is not written back to any memory tier";
  static Drop read(Reader&) { return {}; }
};
using RetentionPolicy = std::variant<KeepEvictable, Pin, Demote, Drop>;

}  // namespace disagg
