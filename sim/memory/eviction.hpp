#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "sim/base/config.hpp"
#include "sim/base/quantity.hpp"

namespace disagg {

// What is known of a cached block that nobody uses. Stamps count events of the cache.
struct BlockHistory {
  std::uint64_t created = 0;  // stamp of when it was computed
  std::uint64_t used = 0;     // stamp of when the last request that used it let go of it
  std::int64_t uses = 0;      // requests that computed or read it
  TokenCount end = 0;         // tokens of the prompt up to its end
  double age = 0;             // for recompute-cost: the floor when it was last used
};

// FLOPs that computing a token again takes: in the linear layers, and for each token of context.
struct RecomputeCost {
  double per_token = 1;
  double per_context_token = 0;

  double of_token(TokenCount context) const {
    return per_token + per_context_token * static_cast<double>(context);
  }
};

// Which block of those that nobody uses, and behind which no other is cached, goes first: the one of the
// least rank, of equal ones the one used longest ago. With a time to live, what nobody has used for so long
// is no longer found. Blocks of one prompt that the same requests use are `alike` if they will rank the same
// but for where they end, so that nobody need tell them apart.
struct LeastRecentlyUsed {
  static constexpr std::string_view kind = "lru";
  static constexpr std::string_view summary = "the prefix used longest ago goes first (vLLM, SGLang)";
  static LeastRecentlyUsed read(Reader& r);
  static double rank(const BlockHistory& block, const RecomputeCost&) {
    return static_cast<double>(block.used);
  }
  static bool alike(const BlockHistory&, const BlockHistory&) { return true; }
  Seconds ttl = kNever;
};
struct FirstInFirstOut {
  static constexpr std::string_view kind = "fifo";
  static constexpr std::string_view summary = "the prefix computed longest ago goes first";
  static FirstInFirstOut read(Reader& r);
  static double rank(const BlockHistory& block, const RecomputeCost&) {
    return static_cast<double>(block.created);
  }
  static bool alike(const BlockHistory& a, const BlockHistory& b) { return a.created == b.created; }
  Seconds ttl = kNever;
};
struct LeastFrequentlyUsed {
  static constexpr std::string_view kind = "lfu";
  static constexpr std::string_view summary = "the prefix used by the fewest requests goes first";
  static LeastFrequentlyUsed read(Reader& r);
  static double rank(const BlockHistory& block, const RecomputeCost&) {
    return static_cast<double>(block.uses);
  }
  static bool alike(const BlockHistory& a, const BlockHistory& b) { return a.uses == b.uses; }
  Seconds ttl = kNever;
};
// GreedyDual-Size (Cao and Irani, USENIX Symposium on Internet Technologies and Systems 1997): a block's rank
// is the cost of computing it again plus the floor when it was last used, and the floor rises to the rank of
// what is evicted, so that what was dear once does not stay for ever.
struct CheapestToRecompute {
  static constexpr std::string_view kind = "recompute-cost";
  static constexpr std::string_view summary =
      "the prefix cheapest to compute again goes first, with age (GreedyDual-Size)";
  static CheapestToRecompute read(Reader& r);
  static double rank(const BlockHistory& block, const RecomputeCost& cost) {
    return block.age + cost.of_token(block.end);
  }
  static bool alike(const BlockHistory&, const BlockHistory&) { return true; }
  Seconds ttl = kNever;
};

using EvictionPolicy =
    std::variant<LeastRecentlyUsed, FirstInFirstOut, LeastFrequentlyUsed, CheapestToRecompute>;

}  // namespace disagg
