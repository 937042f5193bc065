#include "sim/serving/decode_batch.hpp"

#include <algorithm>
#include <functional>

#include "sim/base/expect.hpp"

namespace disagg {

DecodeBatch::DecodeBatch(RequestTable& requests, TokenCount block_tokens)
    : requests_(requests), block_tokens_(block_tokens), residues_(static_cast<std::size_t>(block_tokens)) {}

void DecodeBatch::join(RequestRef ref, TokenCount kv_length, bool oldest) {
  Request& request = requests_[ref];
  expect(!request.decoding && request.remaining() > 0,
         "a sequence joins a batch twice or without tokens to go");
  request.decoding = true;
  ++request.membership;
  request.kv_offset = kv_length - steps_;
  request.joined_at = steps_;
  finishes_.push_back({steps_ + request.remaining(), ++joined_, ref, request.membership});
  std::push_heap(finishes_.begin(), finishes_.end(), std::greater<>{});
  if (oldest) {
    ages_.push_front({ref, request.membership});
  } else {
    ages_.push_back({ref, request.membership});
  }
  ++residues_[residue(request.kv_offset)];
  offsets_ += request.kv_offset;
  ++size_;
  if (ages_.size() > 2 * static_cast<std::size_t>(size_) + 64)
    std::erase_if(ages_, [&](const Member& m) { return !current(m.ref, m.membership); });
}

void DecodeBatch::remove(Request& request) {
  request.decoding = false;
  request.generated += steps_ - request.joined_at;
  --residues_[residue(request.kv_offset)];
  offsets_ -= request.kv_offset;
  --size_;
}

TokenCount DecodeBatch::leave(RequestRef ref) {
  Request& request = requests_[ref];
  expect(request.decoding, "a sequence leaves a batch it is not in");
  const TokenCount length = kv_length(ref);
  remove(request);
  return length;
}

RequestRef DecodeBatch::youngest() {
  expect(size_ > 0, "an empty batch has no youngest member");
  while (!current(ages_.back().ref, ages_.back().membership)) ages_.pop_back();
  return ages_.back().ref;
}

void DecodeBatch::drop_stale_finishes() {
  while (!finishes_.empty() && !current(finishes_.front().ref, finishes_.front().membership)) {
    std::pop_heap(finishes_.begin(), finishes_.end(), std::greater<>{});
    finishes_.pop_back();
  }
}

std::int64_t DecodeBatch::steps_to_finish() {
  drop_stale_finishes();
  expect(!finishes_.empty(), "a batch without a next finish");
  return finishes_.front().step - steps_;
}

std::optional<RequestRef> DecodeBatch::take_finished() {
  drop_stale_finishes();
  if (finishes_.empty() || finishes_.front().step > steps_) return std::nullopt;
  const RequestRef ref = finishes_.front().ref;
  std::pop_heap(finishes_.begin(), finishes_.end(), std::greater<>{});
  finishes_.pop_back();
  remove(requests_[ref]);
  return ref;
}

std::size_t DecodeBatch::residue(std::int64_t tokens) const {
  const std::int64_t r = tokens % block_tokens_;
  return static_cast<std::size_t>(r < 0 ? r + block_tokens_ : r);
}

// A sequence takes a block in the step that starts with its blocks full: offset + steps = 0 modulo the block
// size.
BlockCount DecodeBatch::new_blocks(std::int64_t steps) const {
  BlockCount blocks = steps / block_tokens_ * size_;
  for (std::int64_t i = 0; i < steps % block_tokens_; ++i) blocks += residues_[residue(-(steps_ + i))];
  return blocks;
}

std::int64_t DecodeBatch::steps_within(BlockCount free, std::int64_t limit) const {
  if (size_ == 0) return limit;
  // A round of block_tokens steps takes one block a member; what is left over lasts less than one more round.
  const std::int64_t rounds = std::min(free / size_, limit / block_tokens_);
  std::int64_t steps = rounds * block_tokens_;
  for (BlockCount left = free - rounds * size_; steps < limit; ++steps) {
    left -= residues_[residue(-(steps_ + steps))];
    if (left < 0) break;
  }
  return steps;
}

}  // namespace disagg
