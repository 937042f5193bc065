#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/serving/request.hpp"

namespace disagg {

// The sequences that decode together. All of them advance one token a step, so the batch counts steps and
// keeps each sequence's distance to that count: advancing by any number of steps costs O(1) plus the
// sequences that finish, and the KV blocks that k steps will need are known in closed form from the lengths
// modulo the block size.
class DecodeBatch {
 public:
  DecodeBatch(RequestTable& requests, TokenCount block_tokens);

  // A sequence with `kv_length` tokens in the cache and at least one token to go. `oldest` puts it before all
  // others in the order of age instead of behind.
  void join(RequestRef ref, TokenCount kv_length, bool oldest = false);
  // Takes a sequence out before it has finished and books the tokens it has got. Returns its KV length.
  TokenCount leave(RequestRef ref);
  // The member that joined last.
  RequestRef youngest();

  std::int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Tokens that the next step reads, all sequences together, the new tokens included.
  double context() const { return static_cast<double>(offsets_ + size_ * (steps_ + 1)); }
  TokenCount kv_length(RequestRef ref) const { return requests_[ref].kv_offset + steps_; }
  // Steps until the first member finishes. Precondition: not empty.
  std::int64_t steps_to_finish();
  // Blocks that the next `steps` steps take, and the most steps that `free` blocks allow (at most `limit`).
  BlockCount new_blocks(std::int64_t steps) const;
  std::int64_t steps_within(BlockCount free, std::int64_t limit) const;

  void advance(std::int64_t steps) { steps_ += steps; }
  // Whether the member has decoded since it joined.
  bool has_decoded(RequestRef ref) const { return requests_[ref].joined_at < steps_; }
  // A member that has produced its last token, taken out as by leave(); nothing when there is none. Oldest
  // first.
  std::optional<RequestRef> take_finished();

 private:
  struct Finish {
    std::int64_t step;
    std::uint64_t order;
    RequestRef ref;
    std::uint32_t membership;
    bool operator>(const Finish& b) const { return step != b.step ? step > b.step : order > b.order; }
  };
  struct Member {
    RequestRef ref;
    std::uint32_t membership;
  };
  bool current(RequestRef ref, std::uint32_t membership) const {
    return requests_[ref].decoding && requests_[ref].membership == membership;
  }
  void drop_stale_finishes();
  std::size_t residue(std::int64_t tokens) const;
  void remove(Request& request);

  RequestTable& requests_;
  TokenCount block_tokens_;
  std::vector<Finish> finishes_;        // min-heap; entries of former members are dropped when they surface
  std::deque<Member> ages_;             // oldest first, likewise
  std::vector<std::int64_t> residues_;  // [KV offset mod block_tokens] -> members
  std::int64_t steps_ = 0;
  std::int64_t size_ = 0;
  std::int64_t offsets_ = 0;  // sum of KV offsets
  std::uint64_t joined_ = 0;
};

}  // namespace disagg
