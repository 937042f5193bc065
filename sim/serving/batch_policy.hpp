#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/memory/kv_cache.hpp"
#include "sim/serving/request.hpp"

namespace disagg {

// What a request keeps besides the blocks that grow with its context: KV of layers with a limited reach, and
// state. It is taken whole on admission, as large as the request will need it.
struct FixedFootprint {
  double blocks_per_token = 0;  // of layers with a limited reach
  TokenCount reach = 0;
  double state_blocks = 0;

  BlockCount blocks(TokenCount final_context) const {
    const auto within = static_cast<double>(std::min(final_context, reach));
    return static_cast<BlockCount>(std::ceil(blocks_per_token * within + state_blocks - 1e-9));
  }
};

// What a step may contain, on each data-parallel attention rank. Every batch policy is a choice of these
// rules.
struct BatchRules {
  bool prefill_first = false;  // prompts take the budget before decodes, else after them
  bool chunking = true;        // a prompt may be cut to fit the budget
  bool mixing = true;          // decodes may share a step with prompts
  TokenCount token_budget =
      8192;  // tokens in a step; a decode counts one. A prompt larger than it runs alone if uncut
  std::int64_t max_sequences = 256;  // sequences that prefill or decode
  bool reserve_output = false;       // a request enters only when blocks for prompt and output are free
  std::int64_t max_pauses = 0;       // steps in a row that prompts may keep decodes out; 0: any number
  // With data-parallel attention: steps that a prompt waits for every rank to have one (TensorRT-LLM's
  // enable_balance with timeout_iters); 0: not at all.
  std::int64_t balance_steps = 0;
};

// What a policy sees of its replica.
struct BatchView {
  const RequestTable& requests;
  const std::vector<RequestRef>& prefilling;  // partly computed prompts, in order of admission
  const std::deque<RequestRef>& waiting;      // in order of service
  std::int64_t decoding = 0;
  std::int64_t pauses = 0;     // steps in a row in which decodes were kept out
  BlockCount free_blocks = 0;  // that no decoding sequence needs in this step
  TokenCount block_tokens = 1;
  bool admitting = true;  // false in a step that had to preempt
  FixedFootprint fixed{};
  ReplicaId replica;
  const KvCache* cache = nullptr;  // where prompts may find their prefixes
  Seconds now{};
};

struct PlannedChunk {
  RequestRef ref = 0;
  TokenCount tokens = 0;
  BlockCount blocks = 0;  // to take on admission; 0 for prompts in progress
  TokenCount cached = 0;  // on admission: tokens before the chunk that are in the prefix cache
};

// The next step.
struct BatchPlan {
  std::vector<PlannedChunk> chunks;  // prompts in progress first, then waiting ones, in order
  std::int64_t sequences = 0;        // decoding ones that take part
  bool blocked_by_memory = false;    // the next waiting request found too few blocks
  bool for_one_step = false;         // the same view one step later would give another plan
};

// Decides the next step: pure, and writes to nothing but `plan`, whose memory is used again.
void plan_batch(const BatchRules& rules, const BatchView& view, BatchPlan& plan);

// Blocks that a request holds when it has been admitted, cached ones included.
BlockCount blocks_to_admit(const BatchRules& rules, const BatchView& view, const Request& request);

// Continuous batching as in vLLM V1: running decodes first, then prompts, cut to the budget that is left.
struct ChunkedPrefill {
  static constexpr std::string_view kind = "chunked";
  static constexpr std::string_view summary =
      "decodes first, prompts cut to what is left of the token budget (vLLM V1)";
  static ChunkedPrefill read(Reader& r);
  BatchRules rules;
};

// Prompts before decodes, as in SGLang (separate steps) or Orca and Splitwise (mixed steps).
struct PrefillFirst {
  static constexpr std::string_view kind = "prefill-first";
  static constexpr std::string_view summary =
      "prompts first, decodes pause or fill the rest of the budget (SGLang, Orca)";
  static PrefillFirst read(Reader& r);
  BatchRules rules;
};

// Decodes first and whole prompts only, with room for the output reserved, as in TensorRT-LLM.
struct WholePrompts {
  static constexpr std::string_view kind = "whole-prompts";
  static constexpr std::string_view summary =
      "decodes first, whole prompts, blocks for the output reserved (TensorRT-LLM)";
  static WholePrompts read(Reader& r);
  BatchRules rules;
};

using BatchPolicy = std::variant<ChunkedPrefill, PrefillFirst, WholePrompts>;

inline const BatchRules& rules_of(const BatchPolicy& policy) {
  return std::visit([](const auto& p) -> const BatchRules& { return p.rules; }, policy);
}

}  // namespace disagg
