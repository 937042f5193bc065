#include "sim/serving/decode_batch.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "sim/base/expect.hpp"

namespace disagg {

DecodeBatch::DecodeBatch(RequestTable& requests, const DecodeRules& rules)
    : requests_(requests), rules_(rules), residues_(static_cast<std::size_t>(rules.block_tokens)) {
  expect(rules.tokens_per_step >= 1, "a decode step yields less than one token");
}

TokenCount DecodeBatch::tokens_at(std::int64_t steps) const {
  if (rules_.tokens_per_step == 1) return steps;
  return static_cast<TokenCount>(std::floor(static_cast<double>(steps) * rules_.tokens_per_step + 1e-9));
}

// The fewest steps after which the token count has reached `tokens`.
std::int64_t DecodeBatch::steps_to(TokenCount tokens) const {
  if (rules_.tokens_per_step == 1) return tokens - steps_;
  auto steps = static_cast<std::int64_t>(static_cast<double>(tokens) / rules_.tokens_per_step);
  while (tokens_at(steps) >= tokens) --steps;
  while (tokens_at(steps) < tokens) ++steps;
  return steps - steps_;
}

void DecodeBatch::join(RequestRef ref, TokenCount kv_length, bool oldest) {
  Request& request = requests_[ref];
  expect(!request.decoding && request.remaining() > 0,
         "a sequence joins a batch twice or without tokens to go");
  request.decoding = true;
  ++request.membership;
  request.kv_offset = kv_length - tokens_;
  request.joined_at = tokens_;
  const auto push = [&](std::vector<Event>& events, TokenCount tokens) {
    events.push_back({tokens, joined_, ref, request.membership});
    std::push_heap(events.begin(), events.end(), std::greater<>{});
  };
  ++joined_;
  push(finishes_, tokens_ + request.remaining());
  push(longest_, -request.kv_offset);
  if (oldest) {
    ages_.push_front({ref, request.membership});
  } else {
    ages_.push_back({ref, request.membership});
  }
  ++residues_[residue(request.kv_offset)];
  offsets_ += request.kv_offset;
  ++size_;
  if (rules_.reach.tokens > 0) enter_reach(ref);
  if (ages_.size() > 2 * static_cast<std::size_t>(size_) + 64)
    std::erase_if(ages_, [&](const Member& m) { return !current(m.ref, m.membership); });
  if (longest_.size() > 2 * static_cast<std::size_t>(size_) + 64) {
    std::erase_if(longest_, [&](const Event& e) { return !current(e.ref, e.membership); });
    std::make_heap(longest_.begin(), longest_.end(), std::greater<>{});
  }
}

// Places a member by the context that the next step reads, kv_length + 1 tokens.
void DecodeBatch::enter_reach(RequestRef ref) {
  Request& request = requests_[ref];
  const TokenCount reach = rules_.reach.tokens;
  const TokenCount context = request.kv_offset + tokens_ + 1;
  if (rules_.reach.chunked) {
    request.reach_begin = (context - 1) / reach * reach;
  } else {
    request.reach_begin = 0;
    request.beyond_reach = context >= reach;
  }
  count_within(request, 1);
  if (request.beyond_reach) return;
  // The first token count at which the context would exceed the chunk, or fill the window.
  const TokenCount edge = request.reach_begin + reach - (rules_.reach.chunked ? 0 : 1);
  crossings_.push_back({edge - request.kv_offset, ++joined_, ref, request.membership});
  std::push_heap(crossings_.begin(), crossings_.end(), std::greater<>{});
}

void DecodeBatch::count_within(const Request& request, std::int64_t sign) {
  if (request.beyond_reach) {
    saturated_ += sign;
  } else {
    growing_ += sign;
    growing_offsets_ += sign * (request.kv_offset - request.reach_begin);
  }
}

void DecodeBatch::remove(Request& request) {
  if (rules_.reach.tokens > 0) count_within(request, -1);
  request.beyond_reach = false;
  request.decoding = false;
  request.generated = std::min(request.generated + tokens_ - request.joined_at, request.record.output_tokens);
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

void DecodeBatch::drop_stale(std::vector<Event>& events) const {
  while (!events.empty() && !current(events.front().ref, events.front().membership)) {
    std::pop_heap(events.begin(), events.end(), std::greater<>{});
    events.pop_back();
  }
}

TokenCount DecodeBatch::longest_offset() {
  drop_stale(longest_);
  return -longest_.front().tokens;
}

DecodeContext DecodeBatch::context() {
  DecodeContext context;
  context.sequences = size_;
  if (size_ == 0) return context;
  const double growth = rules_.tokens_per_step;
  // The count without rounding, so that a context does not depend on where a span begins.
  const double gained = rules_.tokens_per_step == 1 ? static_cast<double>(steps_)
                                                    : static_cast<double>(steps_) * rules_.tokens_per_step;
  const auto line = [&](std::int64_t offsets, std::int64_t members) {
    return Growing{static_cast<double>(offsets) + static_cast<double>(members) * (gained + 1),
                   static_cast<double>(members) * growth};
  };
  context.all = line(offsets_, size_);
  context.longest = line(longest_offset(), 1);
  if (rules_.reach.tokens == 0) return context;
  const auto reach = static_cast<double>(rules_.reach.tokens);
  context.within = line(growing_offsets_, growing_);
  context.within.at += static_cast<double>(saturated_) * reach;
  // Of a chunk the longest member may see less than this: the longest chunk is not tracked.
  context.longest_within = context.longest;
  if (context.longest.at >= reach) context.longest_within = {reach, 0};
  return context;
}

std::int64_t DecodeBatch::steps_to_change() {
  drop_stale(finishes_);
  expect(!finishes_.empty(), "a batch without a next finish");
  std::int64_t steps = steps_to(finishes_.front().tokens);
  drop_stale(crossings_);
  if (!crossings_.empty()) steps = std::min(steps, steps_to(crossings_.front().tokens));
  return steps;
}

void DecodeBatch::advance(std::int64_t steps) {
  steps_ += steps;
  tokens_ = tokens_at(steps_);
  for (drop_stale(crossings_); !crossings_.empty() && crossings_.front().tokens <= tokens_;
       drop_stale(crossings_)) {
    const RequestRef ref = crossings_.front().ref;
    std::pop_heap(crossings_.begin(), crossings_.end(), std::greater<>{});
    crossings_.pop_back();
    count_within(requests_[ref], -1);
    enter_reach(ref);
  }
}

std::optional<RequestRef> DecodeBatch::take_finished() {
  drop_stale(finishes_);
  if (finishes_.empty() || finishes_.front().tokens > tokens_) return std::nullopt;
  const RequestRef ref = finishes_.front().ref;
  std::pop_heap(finishes_.begin(), finishes_.end(), std::greater<>{});
  finishes_.pop_back();
  remove(requests_[ref]);
  return ref;
}

std::size_t DecodeBatch::residue(std::int64_t tokens) const {
  const std::int64_t r = tokens % rules_.block_tokens;
  return static_cast<std::size_t>(r < 0 ? r + rules_.block_tokens : r);
}

// A sequence takes a block with the token that finds its blocks full: offset + tokens = 0 modulo the block
// size.
BlockCount DecodeBatch::blocks_for(TokenCount tokens) const {
  BlockCount blocks = tokens / rules_.block_tokens * size_;
  for (TokenCount i = 0; i < tokens % rules_.block_tokens; ++i) blocks += residues_[residue(-(tokens_ + i))];
  return blocks;
}

std::int64_t DecodeBatch::steps_within(BlockCount free, std::int64_t limit) const {
  if (size_ == 0) return limit;
  // A round of block_tokens tokens takes one block a member; what is left over lasts less than one more
  // round.
  const TokenCount most = tokens_in(limit);
  const std::int64_t rounds = std::min(free / size_, most / rules_.block_tokens);
  TokenCount tokens = rounds * rules_.block_tokens;
  for (BlockCount left = free - rounds * size_; tokens < most; ++tokens) {
    left -= residues_[residue(-(tokens_ + tokens))];
    if (left < 0) break;
  }
  if (rules_.tokens_per_step == 1) return tokens;
  std::int64_t steps = std::min(limit, steps_to(tokens_ + tokens));
  while (steps > 0 && tokens_in(steps) > tokens) --steps;
  return steps;
}

}  // namespace disagg
