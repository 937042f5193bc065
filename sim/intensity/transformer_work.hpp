#pragma once

#include <optional>

#include "sim/hardware/accelerator.hpp"
#include "sim/intensity/experts.hpp"
#include "sim/intensity/operators.hpp"
#include "sim/intensity/query_key_pairs.hpp"
#include "sim/model/model_spec.hpp"

namespace disagg {

// Number formats of a pool. Matrix products run at the rate of the weights' format (activations are quantised
// on the fly), attention at that of `attention`. What is not given follows from the first three.
struct PrecisionPlan {
  Precision weights = Precision::bf16;
  Precision activations = Precision::bf16;
  Precision kv = Precision::bf16;
  std::optional<Precision> experts{};    // weights of routed experts
  std::optional<Precision> head{};       // both embedding tables: the LM head's and the input's
  std::optional<Precision> attention{};  // queries, outputs and products of the attention cores

  Precision expert_format() const { return experts.value_or(weights); }
  // Quantised checkpoints keep their embedding tables in 16 bits.
  Precision head_format() const {
    return head.value_or(bytes_per_element(weights) < 2 ? Precision::bf16 : weights);
  }
  Precision attention_format() const { return attention.value_or(activations); }
};

// Tokens of context, summed over sequences or steps: all of it, and what limited layers see of it.
struct Contexts {
  double all = 0;
  double within = 0;
};

// FLOPs and bytes of a whole transformer by phase. One replica, all layers and all its accelerators together;
// layers for multi-token prediction are left out. Formulas: Zhao and Liu, arXiv 2601.22001, and what follows
// from them for other kinds of layers (oi_cf 4.1 to 4.9).
class TransformerWork {
 public:
  // `kv_copies`: a KV head or a latent is not cut, so with more tensor-parallel ranks than KV heads each is
  // held and read that often. `expert_skew` is the exponent of the experts' popularity (experts.hpp).
  TransformerWork(const ModelSpec& model, const PrecisionPlan& precision, double kv_copies = 1,
                  double expert_skew = 0);

  // New tokens through all linear layers, routed experts included; `logits` of them through the LM head.
  // `weight_reads` is how often the weights are read: 1 for a step, more for one in micro-batches, a share
  // for one phase of a mixed step. Each read takes the experts that its tokens / weight_reads tokens are
  // expected to touch. The projections of latent attention are counted as an expansion
  // of the new tokens, which is the work of absorption too.
  Work linear(double tokens, double logits, double weight_reads) const;
  // What the experts' products compute besides, in rows of tiles that hold no token: each of the experts that
  // `tokens` tokens are expected to touch has at least one tile of so many rows.
  Flops empty_expert_rows(double tokens, double tile_rows) const;
  // Attention cores of decode: `tokens` new tokens over the context that was `read` for them, once for each
  // `queries` tokens (1 plus the drafts of a step). Latent attention is absorbed; linear attention reads and
  // writes its state once for each token.
  Work decode_attention(const Contexts& read, double tokens, double queries = 1) const;
  // Attention cores of one sequence's part of a prompt. Latent attention is expanded or absorbed, whichever
  // takes fewer operations; linear attention goes by chunks.
  Work prefill_attention(TokenCount prefix, TokenCount tokens) const;

  // Resident weights: all of them, those of routed experts, and all others with both embedding tables (a tied
  // table once).
  Bytes weight_bytes() const { return dense_weights_ + expert_weights_; }
  Bytes expert_weight_bytes() const { return expert_weights_; }
  Bytes dense_weight_bytes() const { return dense_weights_; }

  // KV cache of the layers that keep the whole context: one copy, and all copies. For a model none of whose
  // layers grows without limit, that of the limited layers as if it did: conservative, and never 0 where
  // there is a KV cache.
  Bytes kv_bytes_per_token() const { return growing_kv_; }
  Bytes resident_kv_bytes_per_token() const { return growing_kv_ * copies_; }
  // The same of layers with a window or chunk, as far as it is not in kv_bytes_per_token().
  Bytes limited_kv_bytes_per_token() const { return limited_is_growing_ ? Bytes{0} : limited_.per_key; }
  // What a request keeps whatever its context: states of linear attention.
  Bytes state_bytes() const { return state_; }
  // One copy of what one request of that context keeps: its KV cache, of which windows and chunks hold no
  // more than their length, and its state.
  Bytes kv_bytes(double context) const { return cache_bytes(context) + state_; }
  // Capacity footprint of one request: what it keeps, in all copies, and its share of the weights in a batch
  // of `batch`.
  Bytes capacity_footprint(double context, double batch) const {
    return cache_bytes(context) * copies_ + state_ + weight_bytes() / batch;
  }

 private:
  void add_products(double layers, double parameters, double widths, const PrecisionPlan& precision);
  void add_grouped_query_layers(const ModelSpec& model, const PrecisionPlan& precision);
  void add_latent_layers(const ModelSpec& model, const PrecisionPlan& precision);
  void add_linear_attention_layers(const ModelSpec& model, const PrecisionPlan& precision);
  void add_feed_forward_layers(const ModelSpec& model, const PrecisionPlan& precision);
  Work latent_prefill(TokenCount prefix, TokenCount tokens) const;
  Bytes cache_bytes(double context) const;

  Bytes dense_weights_{}, expert_weights_{};
  // Products: all layers without the routed experts, the LM head, the routed experts.
  Bytes layer_weights_{}, head_weights_{}, embedding_per_token_{};
  Flops flops_per_token_{}, flops_per_logit_{};
  Bytes activations_per_token_{}, activations_per_logit_{};
  double experts_ = 0, experts_per_token_ = 0, expert_skew_ = 0;
  Bytes one_expert_{};            // in each MoE layer
  Flops flops_per_expert_row_{};  // of all MoE layers
  // Cores of attention: full layers, those with a window or chunk, latent layers (absorbed), latent layers
  // with an indexer, and that indexer.
  AttentionCore full_, limited_, absorbed_, sparse_, indexer_;
  // The layers of absorbed_ with keys and values of all heads, and their expansion from cached latents.
  AttentionCore expanded_;
  Work expansion_per_token_;
  // Linear attention.
  Flops recurrent_per_token_{}, chunkwise_per_token_{};
  Bytes linear_attention_per_token_{}, state_{};
  Reach reach_;
  Bytes growing_kv_{};
  bool limited_is_growing_ = false;
  double copies_ = 1;
};

}  // namespace disagg
