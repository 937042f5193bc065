#pragma once

#include <cmath>

#include "sim/base/quantity.hpp"
#include "sim/hardware/accelerator.hpp"
#include "sim/model/model_spec.hpp"

namespace disagg {

// Number formats of a pool. Matrix products run at the rate of the weights' format (activations are quantised
// on the fly), attention at that of the activations.
struct PrecisionPlan {
  Precision weights = Precision::bf16;
  Precision activations = Precision::bf16;
  Precision kv = Precision::bf16;

  Precision expert_format() const { return weights; }
  Precision head_format() const { return weights; }
  Precision state_format() const { return Precision::bf16; }
};

// Work and the memory traffic it costs.
struct Work {
  Flops flops{};
  Bytes bytes{};

  Work& operator+=(const Work& b) {
    flops += b.flops;
    bytes += b.bytes;
    return *this;
  }
  friend Work operator+(Work a, const Work& b) { return a += b; }
  friend Work operator*(Work a, double k) { return {a.flops * k, a.bytes * k}; }
};

// Operational intensity; zero without traffic.
inline FlopsPerByte intensity(const Work& w) { return w.bytes.si > 0 ? w.flops / w.bytes : FlopsPerByte{0}; }

// A product of `tokens` rows with a weight of d_in x d_out: F = 2 T d_in d_out, Q = b_w d_in d_out + b_a T
// (d_in + d_out).
Work linear_work(double tokens, double d_in, double d_out, double weight_bytes, double activation_bytes);

// Query-key pairs of `tokens` new tokens on a cached prefix, causal: L p + L (L + 1) / 2.
double causal_pairs(TokenCount prefix, TokenCount tokens);

// Attention core, fused (flash): F = 4 h d_h P, Q = 2 b_a h d_h T + 2 b_kv h_kv d_h S, per layer.
Work attention_work(double pairs, double tokens, double context, double heads, double kv_heads,
                    double head_dim, double activation_bytes, double kv_bytes);

// Tokens of context, summed over sequences or steps: all of it, and what limited layers see of it.
struct Contexts {
  double all = 0;
  double within = 0;
};

// What falls to the accelerators of the busiest expert-parallel rank of one MoE layer.
struct ExpertRankLoad {
  double active_experts = 0;
  double routed_tokens = 0;
};
inline ExpertRankLoad most_loaded_rank(double experts, double per_token, double tokens, double ranks,
                                       double) {
  return {experts * (1 - std::pow(1 - per_token / experts, tokens)) / ranks, per_token * tokens / ranks};
}

// FLOPs and bytes of a whole dense transformer by phase, as linear functions of what varies. One replica, all
// layers and all its accelerators together. Formulas: Zhao and Liu, arXiv 2601.22001, and Williams et al.,
// CACM 2009.
class TransformerWork {
 public:
  // `kv_copies`: a KV head is not cut, so with more tensor-parallel ranks than KV heads each is held and read
  // that often.
  TransformerWork(const ModelSpec& model, const PrecisionPlan& precision, double kv_copies = 1);

  // New tokens through all linear layers; `logits` of them through the LM head. `weight_reads` is how often
  // the weights are read: 1 for a step, a share of it for one phase of a mixed step.
  Work linear(double tokens, double logits, double weight_reads) const;
  // Attention of `tokens` new tokens: `pairs` query-key pairs over `context` tokens read from the KV cache.
  Work attention(double pairs, double tokens, double context) const;
  Work decode_attention(const Contexts& read, double tokens) const {
    return attention(read.all, tokens, read.all);
  }
  Work prefill_attention(TokenCount prefix, TokenCount tokens) const {
    return attention(causal_pairs(prefix, tokens), static_cast<double>(tokens),
                     static_cast<double>(prefix + tokens));
  }

  Bytes dense_weight_bytes() const { return weights_; }
  Bytes weight_bytes() const { return weights_; }             // resident: all weights, input table included
  Bytes kv_bytes_per_token() const { return kv_per_token_; }  // all layers, one copy
  Bytes resident_kv_bytes_per_token() const { return kv_per_token_ * copies_; }
  // Capacity footprint of one request: its KV cache and its share of the weights in a batch of `batch`.
  Bytes capacity_footprint(double context, double batch) const {
    return kv_per_token_ * (copies_ * context) + weights_ / batch;
  }

 private:
  Bytes weights_{}, weights_read_{}, head_weights_{};
  Flops flops_per_token_{}, flops_per_logit_{}, flops_per_pair_{};
  Bytes activations_per_token_{}, activations_per_logit_{}, query_bytes_per_token_{}, kv_per_token_{};
  double copies_ = 1;
};

}  // namespace disagg
