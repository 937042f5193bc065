#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/service/decode_curve.hpp"
#include "sim/serving/request.hpp"

namespace disagg {

// How a batch advances: the tokens that a sequence gains in a step on average (more than one with speculative
// drafts), and what limited layers see of a context.
struct DecodeRules {
  TokenCount block_tokens = 16;
  double tokens_per_step = 1;
  Reach reach;  // of limited layers; tokens = 0 when the model has none
};

// The sequences that decode together. All of them gain the same number of tokens in a step, so the batch
// counts steps and keeps each sequence's distance to that count: advancing by any number of steps costs O(1)
// plus the sequences that finish or reach the edge of a window, and the KV blocks that k steps will need are
// known in closed form from the lengths modulo the block size.
//
// With drafts the tokens gained by step s are floor(s x tokens_per_step), the same for all.
class DecodeBatch {
 public:
  DecodeBatch(RequestTable& requests, const DecodeRules& rules);

  // A sequence with `kv_length` tokens in the cache and at least one token to go. `oldest` puts it before all
  // others in the order of age instead of behind.
  void join(RequestRef ref, TokenCount kv_length, bool oldest = false);
  // Takes a sequence out before it has finished and books the tokens it has got. Returns its KV length.
  TokenCount leave(RequestRef ref);
  // The member that joined last.
  RequestRef youngest();

  std::int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // What the next step reads, the new tokens included, and how it grows up to steps_to_change().
  DecodeContext context();
  TokenCount kv_length(RequestRef ref) const { return requests_[ref].kv_offset + tokens_; }
  // Steps until the first member finishes, or one crosses the edge of its reach. Precondition: not empty.
  std::int64_t steps_to_change();
  // Tokens that each member gains in the next `steps` steps.
  TokenCount tokens_in(std::int64_t steps) const { return tokens_at(steps_ + steps) - tokens_; }
  // Blocks that the next `steps` steps take, and the most steps that `free` blocks allow (at most `limit`).
  BlockCount new_blocks(std::int64_t steps) const { return blocks_for(tokens_in(steps)); }
  std::int64_t steps_within(BlockCount free, std::int64_t limit) const;

  void advance(std::int64_t steps);
  // Whether the member has decoded since it joined.
  bool has_decoded(RequestRef ref) const { return requests_[ref].joined_at < tokens_; }
  // A member that has produced its last token, taken out as by leave(); nothing when there is none. Oldest
  // first. Tokens beyond the last one, which drafts may bring, do not count.
  std::optional<RequestRef> take_finished();

 private:
  // Something that happens to a member when the token count reaches `tokens`.
  struct Event {
    TokenCount tokens;
    std::uint64_t order;
    RequestRef ref;
    std::uint32_t membership;
    bool operator>(const Event& b) const { return tokens != b.tokens ? tokens > b.tokens : order > b.order; }
  };
  struct Member {
    RequestRef ref;
    std::uint32_t membership;
  };
  bool current(RequestRef ref, std::uint32_t membership) const {
    return requests_[ref].decoding && requests_[ref].membership == membership;
  }
  void drop_stale(std::vector<Event>& events) const;
  TokenCount tokens_at(std::int64_t steps) const;
  std::int64_t steps_to(TokenCount tokens) const;
  BlockCount blocks_for(TokenCount tokens) const;
  std::size_t residue(std::int64_t tokens) const;
  void remove(Request& request);
  TokenCount longest_offset();
  // Adds a member to, or takes it out of, the sums over what limited layers see.
  void count_within(const Request& request, std::int64_t sign);
  void enter_reach(RequestRef ref);

  RequestTable& requests_;
  DecodeRules rules_;
  std::vector<Event> finishes_;         // min-heaps; entries of former members are dropped when they surface
  std::vector<Event> crossings_;        // of the edge of the reach
  std::vector<Event> longest_;          // `tokens`: minus the KV offset
  std::deque<Member> ages_;             // oldest first, likewise
  std::vector<std::int64_t> residues_;  // [KV offset mod block_tokens] -> members
  std::int64_t steps_ = 0;
  TokenCount tokens_ = 0;  // gained by each sequence in these steps
  std::int64_t size_ = 0;
  std::int64_t offsets_ = 0;  // sum of KV offsets
  // Of members within their reach: number, and sum of KV offsets from where the reach begins. Beyond it:
  // number.
  std::int64_t growing_ = 0, growing_offsets_ = 0, saturated_ = 0;
  std::uint64_t joined_ = 0;
};

}  // namespace disagg
