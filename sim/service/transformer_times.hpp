#pragma once

#include <span>
#include <vector>

#include "sim/service/kernel_times.hpp"
#include "sim/service/replica_shape.hpp"

namespace disagg {

// Times of the parts of a forward pass on one accelerator of one pipeline stage, composed of kernels: which
// products, cores and collectives a layer has follows from the model's attention and FFN kinds and from how
// they are sharded.
class TransformerTimes {
 public:
  TransformerTimes(const KernelTimes& kernels, const ReplicaShape& shape);

  double layer_count() const { return layers_; }  // of a stage
  // All layers' products, FFNs, experts, element-wise kernels and collectives for `rank_tokens` new tokens on
  // the busiest data-parallel rank and `all_tokens` on all. `prompts` selects the kernels of prefill steps.
  StepParts layers(double rank_tokens, double all_tokens, bool prompts) const;
  // Kernels of a layer, on average over the stage's layers: all that are launched, and those of them that
  // `layers` and the cores do not time (norms, rotary embedding and cache writes, quantisation of
  // activations, gating, routing). Counted from the layers' structure as vLLM, SGLang and TensorRT-LLM run it
  // in 2025: assumed, since fusion differs between engines and versions.
  double kernels_per_layer() const { return kernels_per_layer_; }
  double small_kernels_per_layer() const { return small_kernels_per_layer_; }
  // The LM head for `logits` tokens of a rank.
  StepParts head(double logits) const;
  // Attention cores of one rank's prompts, all layers.
  StepParts prefill_cores(std::span<const PrefillChunk> chunks) const;

  // Kernels of a decode step whose time depends on the context: one entry for each kind of layer, and how
  // often it runs. `limited` ones see the reach only.
  struct Core {
    DecodeAttention time;
    double repeats = 0;
    bool limited = false;
  };
  std::vector<Core> decode_cores(double sequences, double tokens_per_sequence) const;
  // Decode of linear-attention layers, whose time does not depend on the context.
  StepParts state_updates(double sequences) const;

 private:
  StepParts projections(Attention kind, double tokens, bool prompts) const;
  StepParts feed_forward(double tokens, double width) const;
  StepParts experts(double rank_tokens, double all_tokens, bool prompts) const;
  void count_kernels();
  StepParts latent_prefill(std::span<const PrefillChunk> chunks) const;
  StepParts sparse_prefill(std::span<const PrefillChunk> chunks) const;
  StepParts linear_prefill(std::span<const PrefillChunk> chunks) const;
  // For cores without a measured form: the slower of compute and memory at the accelerator's efficiencies.
  StepParts slower(Flops flops, Precision format, Bytes bytes) const;
  Bytes state_bytes() const;
  StepParts elementwise(Bytes bytes) const;
  StepParts all_reduce(double tokens) const;
  AttentionHeads heads(Attention kind) const;
  LatentHeads latent_heads() const;

  const KernelTimes& kernels_;
  ReplicaShape shape_;
  struct Kind {
    Attention attention;
    double layers = 0;  // of one stage
  };
  std::vector<Kind> kinds_;
  double layers_ = 0, dense_layers_ = 0, moe_layers_ = 0;  // of one stage
  double kernels_per_layer_ = 0, small_kernels_per_layer_ = 0;
  double hidden_ = 0, tp_ = 1;
  Group tensor_group_, stage_group_;
  mutable std::vector<PrefillChunk> expanded_;  // scratch
};

}  // namespace disagg
