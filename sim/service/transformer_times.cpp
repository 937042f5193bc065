#include "sim/service/transformer_times.hpp"

#include <algorithm>
#include <cmath>

#include "sim/intensity/query_key_pairs.hpp"

namespace disagg {
namespace {

double count(std::int64_t n) { return static_cast<double>(n); }

// DeepSeek-V3.2 keeps its index keys in fp8, with a scale of four bytes for each.
constexpr double kIndexKeyOverhead = 4;

// Of an element of a token on its way to experts in this format: DeepEP sends fp8 with a scale of four bytes
// for 128 elements, or 16 bit, which kernels of 4-bit integer weights compute in.
double dispatched_bytes(Precision experts) {
  const bool wide = bytes_per_element(experts) >= 2 || experts == Precision::int4;
  return wide ? 2 : 1 + 4.0 / 128;
}

Group group_of(std::int64_t ranks, const Accelerator& accelerator) {
  return {count(ranks), std::ceil(count(ranks) / count(accelerator.scale_up_domain))};
}

}  // namespace

TransformerTimes::TransformerTimes(const KernelTimes& kernels, const ReplicaShape& shape)
    : kernels_(kernels), shape_(shape) {
  const ModelSpec& m = shape.model;
  const double stages = count(shape.parallelism.pp);
  // The slowest stage sets the pace: it has the layers that do not divide evenly.
  layers_ = std::ceil(count(m.num_hidden_layers) / stages);
  const double share = layers_ / count(m.num_hidden_layers);
  for (std::size_t i = 0; i < kAttentionNames.size(); ++i) {
    const auto attention = static_cast<Attention>(i);
    const auto layers = m.layers_with(attention);
    if (layers > 0) kinds_.push_back({attention, count(layers) * share});
  }
  dense_layers_ = count(m.dense_layers()) * share;
  moe_layers_ = count(m.moe_layers) * share;
  hidden_ = count(m.hidden_size);
  tp_ = count(shape.parallelism.tp);
  tensor_group_ = group_of(shape.parallelism.tp, shape.accelerator);
  stage_group_ = group_of(shape.parallelism.per_stage(), shape.accelerator);
  count_kernels();
}

void TransformerTimes::count_kernels() {
  const bool quantises = bytes_per_element(shape_.precision.weights) < 2;
  const double all_reduces = tp_ > 1 ? 1 : 0;
  double timed = 0;
  double small = 0;
  const auto add = [&](double layers, double products, double others, double untimed) {
    timed += layers * (products + others);
    // Each product quantises its input.
    small += layers * (untimed + (quantises ? products : 0));
  };
  for (const Kind& kind : kinds_) {
    switch (kind.attention) {
      case Attention::full:
      case Attention::sliding:
      case Attention::chunked:
        add(kind.layers, 2, 1 + all_reduces, 3);  // norm, rotary embedding, cache write
        break;
      case Attention::mla:
      case Attention::mla_sparse:
        // Norms of input, queries and latents, split, rotary embedding, cache write, half of the absorption.
        add(kind.layers, 3, 2 + all_reduces, 7);
        if (kind.attention == Attention::mla_sparse) add(kind.layers, 2, 1, 6);
        break;
      case Attention::linear:
        add(kind.layers, 2, 1 + all_reduces, 5);  // norm, convolution, gates, normalisation, output gate
        break;
    }
  }
  add(dense_layers_, 2, all_reduces, 2);  // norm, activation
  // Router, norm, scores and top-k, all-reduce; the experts' measured time has eight launches inside.
  add(moe_layers_, 0, 2 + 8, 3);
  if (shape_.model.n_shared_experts > 0) add(moe_layers_, 2, 0, 2);
  kernels_per_layer_ = (timed + small) / layers_;
  small_kernels_per_layer_ = small / layers_;
}

AttentionHeads TransformerTimes::heads(Attention kind) const {
  const ModelSpec& m = shape_.model;
  AttentionHeads heads{.heads = count(m.num_attention_heads) / tp_,
                       .kv_heads = std::max(1.0, count(m.num_key_value_heads) / tp_),
                       .head_dim = count(m.head_dim),
                       .reach = {}};
  if (kind != Attention::full) heads.reach = shape_.reach();
  return heads;
}

LatentHeads TransformerTimes::latent_heads() const {
  const ModelSpec& m = shape_.model;
  return {.heads = count(m.num_attention_heads) / tp_,
          .kv_rank = count(m.kv_lora_rank),
          .rotary_dim = count(m.qk_rope_head_dim),
          .nope_dim = count(m.qk_nope_head_dim),
          .value_dim = count(m.v_head_dim)};
}

StepParts TransformerTimes::elementwise(Bytes bytes) const {
  return {.bandwidth =
              bytes / (*shape_.accelerator.memory_bandwidth * shape_.accelerator.efficiency.weights)};
}

StepParts TransformerTimes::all_reduce(double tokens) const {
  if (tensor_group_.ranks <= 1) return {};
  return kernels_.fast_all_reduce(Bytes{2 * tokens * hidden_}, tensor_group_);
}

StepParts TransformerTimes::projections(Attention kind, double tokens, bool prompts) const {
  const ModelSpec& m = shape_.model;
  const Precision format = shape_.precision.weights;
  StepParts parts;
  if (kind == Attention::mla || kind == Attention::mla_sparse) {
    const LatentHeads h = latent_heads();
    const double queries = h.heads * (h.nope_dim + h.rotary_dim);
    const double latent = h.kv_rank + h.rotary_dim;
    if (m.q_lora_rank > 0) {
      parts += kernels_.gemm(format, tokens, count(m.q_lora_rank) + latent, hidden_);
      parts += kernels_.gemm(format, tokens, queries, count(m.q_lora_rank));
    } else {
      parts += kernels_.gemm(format, tokens, queries + latent, hidden_);
    }
    // Prompts expand their own latents; decode absorbs the same weights into queries and outputs, in 16 bit.
    parts += kernels_.gemm(prompts ? format : Precision::bf16, tokens, h.heads * (h.nope_dim + h.value_dim),
                           h.kv_rank);
    parts += kernels_.gemm(format, tokens, hidden_, h.heads * h.value_dim);
    if (kind == Attention::mla_sparse) {
      const double index_heads = count(m.index_n_heads);
      const double index_dim = count(m.index_head_dim);
      parts += kernels_.gemm(format, tokens, index_heads * index_dim, count(m.q_lora_rank));
      parts += kernels_.gemm(format, tokens, index_dim + index_heads, hidden_);
    }
    return parts;
  }
  // What goes in follows from the parameters, so that output gates and convolutions are counted.
  const double value_width = kind == Attention::linear
                                 ? count(m.linear_num_value_heads * m.linear_value_head_dim)
                                 : count(m.num_attention_heads * m.head_dim);
  const double in_width = m.attention_parameters(kind) / hidden_ - value_width;
  double rank_width = in_width / tp_;
  if (kind != Attention::linear) {
    const double kv_width = 2 * count(m.num_key_value_heads * m.head_dim);
    rank_width = (in_width - kv_width) / tp_ + 2 * heads(kind).kv_heads * count(m.head_dim);
  }
  parts += kernels_.gemm(format, tokens, rank_width, hidden_);
  parts += kernels_.gemm(format, tokens, hidden_, value_width / tp_);
  return parts;
}

// `width` of one accelerator.
StepParts TransformerTimes::feed_forward(double tokens, double width) const {
  const Precision format = shape_.precision.weights;
  const double up = count(shape_.model.mlp_matrices) - 1;
  StepParts parts = kernels_.gemm(format, tokens, up * width, hidden_);
  parts += kernels_.gemm(format, tokens, hidden_, width);
  parts += elementwise(Bytes{2 * tokens * (up + 1) * width});
  return parts;
}

StepParts TransformerTimes::experts(double rank_tokens, double all_tokens, bool prompts) const {
  const ModelSpec& m = shape_.model;
  const Parallelism& p = shape_.parallelism;
  StepParts parts = kernels_.gemm(Precision::bf16, rank_tokens, count(m.num_experts), hidden_);
  const double shared_width = m.shared_experts_parameters() / (count(m.mlp_matrices) * hidden_);
  if (shared_width > 0) parts += feed_forward(rank_tokens, shared_width / tp_);
  const ExpertRankLoad load = slowest_rank(count(m.num_experts), count(m.num_experts_per_tok), all_tokens,
                                           count(p.ep), shape_.expert_skew);
  parts += kernels_.experts({.format = shape_.precision.expert_format(),
                             .hidden = hidden_,
                             .width = count(m.moe_intermediate_size) / count(p.expert_tp()),
                             .matrices = count(m.mlp_matrices),
                             .active_experts = load.active_experts,
                             .routed_tokens = load.routed_tokens,
                             .tokens = all_tokens,
                             .experts_per_token = count(m.num_experts_per_tok)});
  if (p.dp_attention == 1) {
    parts += all_reduce(rank_tokens);
  } else if (shape_.exchange == ExpertExchangeKind::all_gather) {
    const Bytes buffer{2 * all_tokens * hidden_};
    parts += kernels_.collective(Collective::all_gather, buffer, stage_group_);
    parts += kernels_.collective(Collective::reduce_scatter, buffer, stage_group_);
  } else {
    ExpertExchange exchange{.combine = false,
                            .tokens = rank_tokens / tp_,
                            .hidden = hidden_,
                            .experts_per_token = count(m.num_experts_per_tok),
                            .experts = count(m.num_experts),
                            .bytes_per_element = dispatched_bytes(shape_.precision.expert_format()),
                            .group = stage_group_};
    parts += kernels_.exchange(exchange, !prompts);
    exchange.combine = true;
    exchange.bytes_per_element = 2;
    parts += kernels_.exchange(exchange, !prompts);
  }
  return parts;
}

StepParts TransformerTimes::layers(double rank_tokens, double all_tokens, bool prompts) const {
  const ModelSpec& m = shape_.model;
  StepParts parts;
  for (const Kind& kind : kinds_) parts += projections(kind.attention, rank_tokens, prompts) * kind.layers;
  parts += all_reduce(rank_tokens) * layers_;
  if (dense_layers_ > 0) {
    parts += feed_forward(rank_tokens, count(m.intermediate_size) / tp_) * dense_layers_;
    parts += all_reduce(rank_tokens) * dense_layers_;
  }
  if (moe_layers_ > 0) parts += experts(rank_tokens, all_tokens, prompts) * moe_layers_;
  // Two norms a layer, each with the residual added: reads two, writes two of 16 bit.
  parts += elementwise(Bytes{16 * rank_tokens * hidden_}) * layers_;
  return parts;
}

StepParts TransformerTimes::head(double logits) const {
  if (logits <= 0) return {};
  const auto vocabulary = count(shape_.model.vocab_size);
  StepParts parts = kernels_.gemm(shape_.precision.head_format(), logits, vocabulary / tp_, hidden_);
  if (tp_ > 1)
    parts += kernels_.collective(Collective::all_gather, Bytes{2 * logits * vocabulary}, tensor_group_);
  return parts;
}

StepParts TransformerTimes::prefill_cores(std::span<const PrefillChunk> chunks) const {
  StepParts parts;
  if (chunks.empty()) return parts;
  for (const Kind& kind : kinds_) {
    switch (kind.attention) {
      case Attention::full:
      case Attention::sliding:
      case Attention::chunked:
        parts += kernels_.prefill_attention(heads(kind.attention), shape_.precision.kv, chunks) * kind.layers;
        break;
      case Attention::mla:
        parts += latent_prefill(chunks) * kind.layers;
        break;
      case Attention::mla_sparse:
        parts += sparse_prefill(chunks) * kind.layers;
        break;
      case Attention::linear:
        parts += linear_prefill(chunks) * kind.layers;
        break;
    }
  }
  return parts;
}

StepParts TransformerTimes::slower(Flops flops, Precision format, Bytes bytes) const {
  const Accelerator& a = shape_.accelerator;
  const Seconds compute = flops / (*a.peak(format) * a.efficiency.attention);
  const Seconds memory = bytes / (*a.memory_bandwidth * a.efficiency.kv_cache);
  if (compute > memory) return {.compute = compute};
  return {.bandwidth = memory};
}

// A prompt's core runs on expanded keys and values, or absorbed like decode: whichever takes fewer operations
// (the break-even of oi_cf 4.4, which makes short appends behind long prefixes stay absorbed).
StepParts TransformerTimes::latent_prefill(std::span<const PrefillChunk> chunks) const {
  const LatentHeads h = latent_heads();
  const double expanded_width = h.nope_dim + h.rotary_dim + h.value_dim;
  const double absorbed_width = 2 * h.kv_rank + h.rotary_dim;
  const double expansion = h.kv_rank * (h.nope_dim + h.value_dim);
  expanded_.clear();
  StepParts parts;
  for (const PrefillChunk& chunk : chunks) {
    const double pairs = query_key_pairs({}, chunk.prefix, chunk.tokens);
    const auto prefix = static_cast<double>(chunk.prefix);
    if (absorbed_width * pairs < expanded_width * pairs + expansion * prefix) {
      const auto tokens = static_cast<double>(chunk.tokens);
      const Bytes bytes{bytes_per_element(shape_.precision.kv) * (h.kv_rank + h.rotary_dim) *
                            (prefix + tokens) +
                        2 * h.heads * absorbed_width * tokens};
      parts += slower(Flops{2 * h.heads * absorbed_width * pairs}, Precision::bf16, bytes);
    } else {
      expanded_.push_back(chunk);
      if (prefix > 0)
        parts +=
            kernels_.gemm(shape_.precision.weights, prefix, h.heads * (h.nope_dim + h.value_dim), h.kv_rank);
    }
  }
  if (!expanded_.empty()) parts += kernels_.latent_prefill(h, shape_.precision.kv, expanded_);
  return parts;
}

// DeepSeek sparse attention: an indexer scores every pair, the absorbed core sees the best of them.
StepParts TransformerTimes::sparse_prefill(std::span<const PrefillChunk> chunks) const {
  const ModelSpec& m = shape_.model;
  const LatentHeads h = latent_heads();
  StepParts parts;
  for (const PrefillChunk& chunk : chunks) {
    const auto tokens = static_cast<double>(chunk.tokens);
    const auto context = static_cast<double>(chunk.prefix) + tokens;
    parts += slower(Flops{2 * count(m.index_n_heads * m.index_head_dim) *
                          query_key_pairs({}, chunk.prefix, chunk.tokens)},
                    Precision::fp8, Bytes{(count(m.index_head_dim) + kIndexKeyOverhead) * context});
    const double width = 2 * h.kv_rank + h.rotary_dim;
    parts += slower(Flops{2 * h.heads * width * query_key_pairs(shape_.reach(), chunk.prefix, chunk.tokens)},
                    Precision::bf16,
                    Bytes{bytes_per_element(shape_.precision.kv) * (h.kv_rank + h.rotary_dim) * context +
                          2 * h.heads * width * tokens});
  }
  return parts;
}

// Chunk-wise linear attention (oi_cf 4.6): F = 4 L h d_k d_v + L c h (d_k + d_v).
StepParts TransformerTimes::linear_prefill(std::span<const PrefillChunk> chunks) const {
  const ModelSpec& m = shape_.model;
  const double heads = count(m.linear_num_value_heads) / tp_;
  const auto key = count(m.linear_key_head_dim);
  const auto value = count(m.linear_value_head_dim);
  StepParts parts;
  for (const PrefillChunk& chunk : chunks) {
    const auto tokens = static_cast<double>(chunk.tokens);
    parts += slower(Flops{heads * tokens * (4 * key * value + kLinearAttentionChunk * (key + value))},
                    Precision::bf16, Bytes{2 * tokens * heads * 2 * (key + value)} + state_bytes());
  }
  return parts;
}

// Read and written once a step: the recurrent state of one request and layer on one accelerator.
Bytes TransformerTimes::state_bytes() const {
  return shape_.model.state_bytes(Attention::linear) * (2 / tp_);
}

std::vector<TransformerTimes::Core> TransformerTimes::decode_cores(double sequences,
                                                                   double tokens_per_sequence) const {
  std::vector<Core> cores;
  const Precision kv = shape_.precision.kv;
  for (const Kind& kind : kinds_) {
    Core core{.time = {}, .repeats = kind.layers, .limited = kind.attention != Attention::full};
    switch (kind.attention) {
      case Attention::full:
      case Attention::sliding:
      case Attention::chunked:
        core.time = kernels_.decode_attention(heads(kind.attention), kv, sequences);
        break;
      case Attention::mla:
        core.limited = false;
        core.time = kernels_.latent_decode(latent_heads(), kv, sequences);
        break;
      case Attention::mla_sparse: {
        core.time = kernels_.latent_decode(latent_heads(), kv, sequences);
        const ModelSpec& m = shape_.model;
        const Accelerator& a = shape_.accelerator;
        const Flops flops{2 * count(m.index_n_heads * m.index_head_dim)};
        const Bytes bytes{count(m.index_head_dim) + kIndexKeyOverhead};
        cores.push_back({.time = {.memory_per_token = bytes / (*a.memory_bandwidth * a.efficiency.kv_cache),
                                  .compute_per_token = flops * tokens_per_sequence /
                                                       (*a.peak(Precision::fp8) * a.efficiency.attention)},
                         .repeats = kind.layers,
                         .limited = false});
        break;
      }
      case Attention::linear:
        continue;
    }
    core.time.compute_per_token *= tokens_per_sequence;
    cores.push_back(core);
  }
  return cores;
}

StepParts TransformerTimes::state_updates(double sequences) const {
  StepParts parts;
  for (const Kind& kind : kinds_) {
    if (kind.attention != Attention::linear) continue;
    const Accelerator& a = shape_.accelerator;
    parts.bandwidth +=
        state_bytes() * (sequences * kind.layers) / (*a.memory_bandwidth * a.efficiency.kv_cache);
  }
  return parts;
}

}  // namespace disagg
