#include "sim/intensity/transformer_work.hpp"

#include <algorithm>

namespace disagg {
namespace {

double real(std::int64_t count) { return static_cast<double>(count); }

// Activations that a feed-forward network of this width reads and writes for a token: one product that widens
// (two matrices in one when gated), one that narrows.
double feed_forward_widths(const ModelSpec& m, double width) {
  return (real(m.hidden_size) + (real(m.mlp_matrices) - 1) * width) + (width + real(m.hidden_size));
}

}  // namespace

TransformerWork::TransformerWork(const ModelSpec& m, const PrecisionPlan& precision, double kv_copies,
                                 double expert_skew)
    : expert_skew_(expert_skew), reach_(limited_reach(m)), copies_(kv_copies) {
  const double activation = bytes_per_element(precision.activations);
  const double head = bytes_per_element(precision.head_format());
  const double hidden = real(m.hidden_size);
  const double vocabulary = real(m.vocab_size);
  head_weights_ = Bytes{head * m.head_parameters()};
  embedding_per_token_ = Bytes{head * hidden};
  flops_per_logit_ = Flops{2 * m.head_parameters()};
  activations_per_logit_ = Bytes{activation * (hidden + vocabulary)};

  add_grouped_query_layers(m, precision);
  add_latent_layers(m, precision);
  add_linear_attention_layers(m, precision);
  add_feed_forward_layers(m, precision);

  const double tables = m.head_parameters() + (m.tie_word_embeddings ? 0 : m.embedding_parameters());
  dense_weights_ = layer_weights_ + Bytes{head * tables};
  growing_kv_ = Bytes{bytes_per_element(precision.kv) * m.growing_kv_elements_per_token()};
  limited_is_growing_ = growing_kv_ == Bytes{0};
  if (limited_is_growing_) growing_kv_ = limited_.per_key;
}

// Products of `layers` layers with `parameters` weights each, which read and write `widths` activations for a
// token.
void TransformerWork::add_products(double layers, double parameters, double widths,
                                   const PrecisionPlan& precision) {
  layer_weights_ += Bytes{bytes_per_element(precision.weights) * layers * parameters};
  flops_per_token_ += Flops{2 * layers * parameters};
  activations_per_token_ += Bytes{bytes_per_element(precision.activations) * layers * widths};
}

void TransformerWork::add_grouped_query_layers(const ModelSpec& m, const PrecisionPlan& precision) {
  const double hidden = real(m.hidden_size);
  const double query = real(m.num_attention_heads * m.head_dim);
  const double kv = real(2 * m.num_key_value_heads * m.head_dim);
  const double projected = query * (m.attention_output_gate ? 2 : 1) + kv;
  for (const Attention kind : {Attention::full, Attention::sliding, Attention::chunked}) {
    const double layers = real(m.layers_with(kind));
    add_products(layers, m.attention_parameters(kind), (hidden + projected) + (query + hidden), precision);
    (kind == Attention::full ? full_ : limited_) +=
        grouped_query_core(real(m.num_attention_heads), real(m.num_key_value_heads), real(m.head_dim),
                           bytes_per_element(precision.attention_format()), bytes_per_element(precision.kv)) *
        layers;
  }
}

void TransformerWork::add_latent_layers(const ModelSpec& m, const PrecisionPlan& precision) {
  if (!m.has_latent_attention()) return;
  const double hidden = real(m.hidden_size), heads = real(m.num_attention_heads);
  const double query_rank = real(m.q_lora_rank), rank = real(m.kv_lora_rank);
  const double nope = real(m.qk_nope_head_dim), rotary = real(m.qk_rope_head_dim), value = real(m.v_head_dim);
  const double attention = bytes_per_element(precision.attention_format());
  const double kv = bytes_per_element(precision.kv);
  const double index_heads = real(m.index_n_heads), index_dim = real(m.index_head_dim);
  const double query = heads * (nope + rotary);
  const double inputs = query_rank > 0 ? (hidden + query_rank + rank + rotary) + (query_rank + query)
                                       : hidden + query + rank + rotary;
  const double widths = inputs + (rank + heads * (nope + value)) + (heads * value + hidden);
  const double index_widths = (query_rank + index_heads * index_dim) + (hidden + index_dim + index_heads);
  const double plain = real(m.layers_with(Attention::mla));
  const double sparse = real(m.layers_with(Attention::mla_sparse));
  add_products(plain, m.attention_parameters(Attention::mla), widths, precision);
  add_products(sparse, m.attention_parameters(Attention::mla_sparse), widths + index_widths, precision);

  const LatentWidths w{.heads = heads, .rank = rank, .rotary = rotary, .nope = nope, .value = value};
  absorbed_ = absorbed_core(w, attention, kv) * plain;
  sparse_ = absorbed_core(w, attention, kv) * sparse;
  indexer_ = indexer_core(index_heads, index_dim, attention, kv) * sparse;
  // Expanded keys and values are activations; the cache holds the latents, in each of its copies.
  expanded_ = expanded_core(w, attention) * plain;
  expansion_per_token_ = expansion_work(w, attention, kv * copies_) * plain;
}

void TransformerWork::add_linear_attention_layers(const ModelSpec& m, const PrecisionPlan& precision) {
  const double layers = real(m.layers_with(Attention::linear));
  if (layers == 0) return;
  const double hidden = real(m.hidden_size), heads = real(m.linear_num_value_heads);
  const double key = real(m.linear_key_head_dim), value = real(m.linear_value_head_dim);
  const double keys = real(m.linear_num_key_heads) * key, values = heads * value;
  double widths = (hidden + 2 * keys + 2 * values) + (values + hidden);
  // Decay and update gates, and the convolution over queries, keys and values.
  if (m.has_gated_delta_rule()) widths += 2 * heads + 2 * (2 * keys + values);
  add_products(layers, m.attention_parameters(Attention::linear), widths, precision);

  const bool delta_rule = m.has_gated_delta_rule();
  recurrent_per_token_ = recurrent_flops(heads, key, value, delta_rule) * layers;
  chunkwise_per_token_ = chunkwise_flops(heads, key, value, delta_rule) * layers;
  linear_attention_per_token_ =
      Bytes{layers * bytes_per_element(precision.attention_format()) * (2 * keys + 2 * values)};
  state_ = m.state_bytes(Attention::linear) * layers;
}

void TransformerWork::add_feed_forward_layers(const ModelSpec& m, const PrecisionPlan& precision) {
  add_products(real(m.dense_layers()), m.dense_ffn_parameters(),
               feed_forward_widths(m, real(m.intermediate_size)), precision);
  if (!m.is_moe()) return;
  const double layers = real(m.moe_layers);
  add_products(layers, m.router_parameters(), real(m.hidden_size + m.num_experts), precision);
  if (m.n_shared_experts > 0)
    add_products(layers, m.shared_experts_parameters(),
                 feed_forward_widths(m, real(m.shared_expert_intermediate_size)), precision);

  experts_ = real(m.num_experts);
  experts_per_token_ = real(m.num_experts_per_tok);
  one_expert_ = Bytes{layers * bytes_per_element(precision.expert_format()) * m.expert_parameters()};
  expert_weights_ = one_expert_ * experts_;
  flops_per_expert_row_ = Flops{2 * layers * m.expert_parameters()};
  flops_per_token_ += flops_per_expert_row_ * experts_per_token_;
  activations_per_token_ += Bytes{layers * experts_per_token_ * bytes_per_element(precision.activations) *
                                  feed_forward_widths(m, real(m.moe_intermediate_size))};
}

Flops TransformerWork::empty_expert_rows(double tokens, double tile_rows) const {
  if (experts_ <= 0) return {};
  const double touched = distinct_experts(experts_, experts_per_token_, tokens, expert_skew_);
  return flops_per_expert_row_ * std::max(touched * tile_rows - tokens * experts_per_token_, 0.0);
}

Work TransformerWork::linear(double tokens, double logits, double weight_reads) const {
  Work work{flops_per_token_ * tokens + flops_per_logit_ * logits,
            layer_weights_ * weight_reads + (activations_per_token_ + embedding_per_token_) * tokens +
                activations_per_logit_ * logits};
  if (logits > 0) work.bytes += head_weights_ * weight_reads;
  if (experts_ > 0 && weight_reads > 0)
    work.bytes +=
        one_expert_ *
        (distinct_experts(experts_, experts_per_token_, tokens / weight_reads, expert_skew_) * weight_reads);
  return work;
}

Work TransformerWork::decode_attention(const Contexts& read, double tokens, double queries) const {
  return full_.at(read.all * queries, tokens, read.all * copies_) +
         limited_.at(read.within * queries, tokens, read.within * copies_) +
         absorbed_.at(read.all * queries, tokens, read.all * copies_) +
         indexer_.at(read.all * queries, tokens, read.all * copies_) +
         sparse_.at(read.within * queries, tokens, read.within * copies_) +
         Work{recurrent_per_token_, state_ * 2 + linear_attention_per_token_} * tokens;
}

Work TransformerWork::prefill_attention(TokenCount prefix, TokenCount tokens) const {
  const double count = real(tokens);
  const double context = real(prefix + tokens);
  const double pairs = query_key_pairs({}, prefix, tokens);
  const double limited_pairs = query_key_pairs(reach_, prefix, tokens);
  return full_.at(pairs, count, context * copies_) +
         limited_.at(limited_pairs, count, visible_context(reach_, prefix, tokens) * copies_) +
         latent_prefill(prefix, tokens) + indexer_.at(pairs, count, context * copies_) +
         // Each query reads latents of its own choice, all together no more than there are.
         sparse_.at(limited_pairs, count, std::min(limited_pairs, context) * copies_) +
         Work{chunkwise_per_token_ * count, state_ * 2 + linear_attention_per_token_ * count};
}

// Absorption takes more operations for a pair, expansion does all cached latents again (oi_cf 4.4).
Work TransformerWork::latent_prefill(TokenCount prefix, TokenCount tokens) const {
  const double pairs = query_key_pairs({}, prefix, tokens);
  const double context = real(prefix + tokens);
  const Work absorbed = absorbed_.at(pairs, real(tokens), context * copies_);
  const Work expanded = expanded_.at(pairs, real(tokens), context) + expansion_per_token_ * real(prefix);
  return absorbed.flops < expanded.flops ? absorbed : expanded;
}

Bytes TransformerWork::cache_bytes(double context) const {
  const Bytes growing = limited_is_growing_ ? Bytes{0} : growing_kv_ * context;
  return growing + limited_.per_key * std::min(context, real(reach_.tokens));
}

}  // namespace disagg
