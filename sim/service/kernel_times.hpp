#pragma once

#include <array>
#include <span>
#include <string_view>

#include "sim/hardware/accelerator.hpp"
#include "sim/intensity/query_key_pairs.hpp"
#include "sim/service/step_parts.hpp"

namespace disagg {

// Part of a prompt that one step computes, behind `prefix` tokens that are already in the KV cache.
struct PrefillChunk {
  TokenCount prefix = 0;
  TokenCount tokens = 0;
  bool completes = false;  // the prompt ends here: its last token goes through the LM head
};

// An attention layer as one accelerator computes it. `kv_heads` may be less than a head's worth of one rank
// only through replication: it is at least 1.
struct AttentionHeads {
  double heads = 0;
  double kv_heads = 0;
  double head_dim = 0;
  Reach reach;
};

// Multi-head latent attention on one accelerator: widths as in DeepSeek-V2 (arXiv 2405.04434), section 2.1.
struct LatentHeads {
  double heads = 0;
  double kv_rank = 512;    // r
  double rotary_dim = 64;  // d_r
  double nope_dim = 128;   // d_n
  double value_dim = 128;  // d_v
};

// Experts of one MoE layer on the accelerator that has most to do.
struct ExpertLoad {
  Precision format = Precision::bf16;
  double hidden = 0;          // d
  double width = 0;           // of an expert on one accelerator, after tensor parallelism
  double matrices = 3;        // 3 for gated, 2 for plain experts
  double active_experts = 0;  // distinct experts with tokens, on this accelerator
  double routed_tokens = 0;   // (token, expert) pairs, on this accelerator
  double tokens = 0;          // tokens of the step over all ranks that exchange them
  double experts_per_token = 0;
};

// Accelerators that take part in a collective, and over how many scale-up domains they are spread.
struct Group {
  double ranks = 1;
  double domains = 1;
};

enum class Collective { all_reduce, all_gather, reduce_scatter, all_to_all };
inline constexpr std::array<std::string_view, 4> kCollectiveNames{"all_reduce", "all_gather",
                                                                  "reduce_scatter", "all_to_all"};

// One leg of the expert exchange: dispatch of tokens to the ranks of their experts, or combine back.
struct ExpertExchange {
  bool combine = false;
  double tokens = 0;  // of one rank
  double hidden = 0;
  double experts_per_token = 0;
  double experts = 0;
  double bytes_per_element = 2;
  Group group;
};

// Attention core of a decode step of a fixed set of sequences, in one layer on one accelerator, as a function
// of what its kernel reads: `total` tokens of context over all sequences, the longest of them `longest`.
//   time = launch + [longest > deep_beyond] deep + max(wave, b) + overlap min(wave, b)
//   b = max(memory_at_zero + memory_per_token total, compute_per_token total, serial_per_token longest)
// overlap is 0 when wave and b hide each other, 1 when they add.
struct DecodeAttention {
  Seconds launch{};
  Seconds deep{};
  double deep_beyond = 0;
  Seconds wave{};
  Seconds memory_at_zero{}, memory_per_token{};
  Seconds compute_per_token{};
  Seconds serial_per_token{};
  double overlap = 0;
};

// Times of single kernels on one accelerator. StepParts say what limits them: a kernel's launch counts as
// overhead. Shapes are those that one accelerator computes, after sharding.
class KernelTimes {
 public:
  virtual ~KernelTimes() = default;
  // A product of m rows with a weight of k x n, weights in `format`, activations in 16 bit.
  virtual StepParts gemm(Precision format, double m, double n, double k) const = 0;
  // Attention of one step's prompts, all in one launch.
  virtual StepParts prefill_attention(const AttentionHeads& heads, Precision kv,
                                      std::span<const PrefillChunk> chunks) const = 0;
  virtual DecodeAttention decode_attention(const AttentionHeads& heads, Precision kv,
                                           double sequences) const = 0;
  // Cores of MLA without the projections: unabsorbed for prompts, absorbed for decode.
  virtual StepParts latent_prefill(const LatentHeads& heads, Precision kv,
                                   std::span<const PrefillChunk> chunks) const = 0;
  virtual DecodeAttention latent_decode(const LatentHeads& heads, Precision kv, double sequences) const = 0;
  virtual StepParts experts(const ExpertLoad& load) const = 0;
  // `buffer`: bytes of the full (reduced, gathered or to-be-scattered) buffer. Zero for a group of one.
  virtual StepParts collective(Collective kind, Bytes buffer, const Group& group) const = 0;
  // All-reduce as serving engines do it inside a step: custom kernels under a CUDA graph where they exist.
  virtual StepParts fast_all_reduce(Bytes buffer, const Group& group) const = 0;
  // `low_latency`: the kernels of decode steps (DeepEP low latency), else those of prefill (DeepEP normal).
  virtual StepParts exchange(const ExpertExchange& exchange, bool low_latency) const = 0;
};

}  // namespace disagg
