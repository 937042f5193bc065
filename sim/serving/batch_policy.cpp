#include "sim/serving/batch_policy.hpp"

#include <algorithm>
#include <array>

namespace disagg {
namespace {

// The limits that all policies share, with the engine's defaults.
void read_limits(Reader& r, std::string_view budget_key, std::string_view budget, std::string_view sequences,
                 std::string_view admission, BatchRules& rules) {
  rules.token_budget = r.get_or<TokenCount>(budget_key, budget, Range::positive);
  rules.max_sequences = r.get_or<std::int64_t>("max_sequences", sequences, Range::positive);
  constexpr std::array<std::string_view, 2> kAdmission{"prompt", "prompt-and-output"};
  rules.reserve_output = r.choice("admission", kAdmission, admission) == 1;
}

void require_room_for_decodes(Reader& r, const BatchRules& rules) {
  if (rules.max_sequences > rules.token_budget)
    r.fail("max_sequences", "is " + std::to_string(rules.max_sequences) + ", but a step has room for " +
                                std::to_string(rules.token_budget) + " tokens");
}

}  // namespace

ChunkedPrefill ChunkedPrefill::read(Reader& r) {
  ChunkedPrefill policy;
  read_limits(r, "chunk_tokens", "8192", "1024", "prompt", policy.rules);
  require_room_for_decodes(r, policy.rules);
  return policy;
}

PrefillFirst PrefillFirst::read(Reader& r) {
  PrefillFirst policy;
  policy.rules.prefill_first = true;
  read_limits(r, "token_budget", "16384", "256", "prompt", policy.rules);
  policy.rules.chunking = r.get_or<bool>("chunking", "true");
  policy.rules.mixing = r.get_or<bool>("mixing", "false");
  policy.rules.max_pauses = r.get_or<std::int64_t>("max_pauses", "0", Range::non_negative);
  return policy;
}

WholePrompts WholePrompts::read(Reader& r) {
  WholePrompts policy;
  policy.rules.chunking = false;
  read_limits(r, "token_budget", "8192", "2048", "prompt-and-output", policy.rules);
  policy.rules.balance_steps = r.get_or<std::int64_t>("balance_steps", "0", Range::non_negative);
  require_room_for_decodes(r, policy.rules);
  return policy;
}

BlockCount blocks_to_admit(const BatchRules& rules, const BatchView& view, const Request& request) {
  TokenCount tokens = request.prefill_target;
  // The last token's own KV is never needed, and none of the output's where only the prefill runs.
  if (rules.reserve_output && !request.leaves_after_prefill(view.replica))
    tokens = request.record.prompt_tokens + request.record.output_tokens - 1;
  return (std::max(tokens, request.prefill_target) + view.block_tokens - 1) / view.block_tokens +
         view.fixed.blocks(request.record.prompt_tokens + request.record.output_tokens);
}

void plan_batch(const BatchRules& rules, const BatchView& view, BatchPlan& plan) {
  plan.chunks.clear();
  plan.blocked_by_memory = false;
  const bool decodes_due = rules.max_pauses > 0 && view.pauses >= rules.max_pauses;
  plan.for_one_step = decodes_due;
  const bool decode_first = !rules.prefill_first || decodes_due;
  TokenCount budget = rules.token_budget;
  plan.sequences = decode_first ? std::min(view.decoding, budget) : 0;
  budget -= plan.sequences;
  if (decodes_due && !rules.mixing && view.decoding > 0) return;

  for (const RequestRef ref : view.prefilling) {
    if (budget <= 0) break;
    const Request& request = view.requests[ref];
    const TokenCount tokens = std::min(request.prefill_target - request.prefilled, budget);
    plan.chunks.push_back({.ref = ref, .tokens = tokens});
    budget -= tokens;
  }
  std::int64_t running = view.decoding + static_cast<std::int64_t>(view.prefilling.size());
  BlockCount free = view.free_blocks;
  for (std::size_t i = 0;
       view.admitting && i < view.waiting.size() && budget > 0 && running < rules.max_sequences; ++i) {
    const Request& request = view.requests[view.waiting[i]];
    if (request.swapped) {
      plan.blocked_by_memory = true;
      break;
    }
    // At least one token is computed: the next one comes out of its step.
    const PrefixHit hit = view.cache == nullptr
                              ? PrefixHit{}
                              : view.cache->find(request.content.get(), request.prefill_target - 1, view.now);
    const BlockCount blocks = blocks_to_admit(rules, view, request);
    // Cached blocks that nobody uses count as free until now.
    if (blocks - hit.locked > free) {
      plan.blocked_by_memory = true;
      break;
    }
    TokenCount tokens = request.prefill_target - hit.tokens;
    if (tokens > budget) {
      const bool oversize = tokens > rules.token_budget && plan.chunks.empty();
      if (rules.chunking) {
        tokens = budget;
      } else if (!oversize) {
        // What it finds can expire or be evicted while others decode, and then it is oversize.
        if (request.prefill_target - hit.locked * view.block_tokens > rules.token_budget)
          plan.for_one_step = true;
        break;
      }
    }
    plan.chunks.push_back({view.waiting[i], tokens, blocks - hit.blocks, hit.tokens});
    budget -= tokens;
    free -= blocks - hit.locked;
    ++running;
  }
  if (!decode_first) {
    const bool together = plan.chunks.empty() || rules.mixing;
    plan.sequences = together ? std::clamp<TokenCount>(budget, 0, view.decoding) : 0;
  }
}

}  // namespace disagg
