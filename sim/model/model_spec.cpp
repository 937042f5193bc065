#include "sim/model/model_spec.hpp"

#include <algorithm>

#include "sim/base/expect.hpp"

namespace disagg {
namespace {

double real(std::int64_t count) { return static_cast<double>(count); }

void expect_plain(const ModelSpec& model) {
  expect(!model.is_moe() && model.layers_with(Attention::full) == model.num_hidden_layers,
         "a model of full attention and dense layers was expected");
}

double parameters_with(const ModelSpec& m, double experts) {
  double sum = m.embedding_parameters() + (m.tie_word_embeddings ? 0 : m.head_parameters());
  for (const Attention attention : kAttentionKinds)
    sum += real(m.layers_with(attention)) * m.attention_parameters(attention);
  sum += real(m.dense_layers()) * m.dense_ffn_parameters();
  return sum + real(m.moe_layers) *
                   (experts * m.expert_parameters() + m.shared_experts_parameters() + m.router_parameters());
}

double recurrent_state_elements(const ModelSpec& m) {
  return real(m.linear_num_value_heads) * real(m.linear_key_head_dim) * real(m.linear_value_head_dim);
}

// The last tokens but one of what the convolution runs over: queries, keys and values.
double convolution_state_elements(const ModelSpec& m) {
  if (!m.has_gated_delta_rule()) return 0;
  return real(m.linear_conv_kernel_dim - 1) * real(2 * m.linear_num_key_heads * m.linear_key_head_dim +
                                                   m.linear_num_value_heads * m.linear_value_head_dim);
}

}  // namespace

std::string_view name(Attention attention) { return kAttentionNames[static_cast<std::size_t>(attention)]; }

std::optional<std::string> ModelSpec::not_modelled() const {
  const auto has = [this](Attention attention) {
    return std::ranges::count(attention_pattern, attention) > 0;
  };
  const bool latent = has(Attention::mla) || has(Attention::mla_sparse);
  if (has(Attention::sliding) && has(Attention::chunked))
    return "sliding and chunked layers in one model are not modelled";
  if (has(Attention::mla) && has(Attention::mla_sparse))
    return "latent attention with an indexer in some layers only is not modelled";
  if (latent && (has(Attention::full) || has(Attention::sliding) || has(Attention::chunked)))
    return "latent and grouped-query attention in one model are not modelled";
  return std::nullopt;
}

std::int64_t ModelSpec::layers_with(Attention attention) const {
  const auto period = static_cast<std::int64_t>(attention_pattern.size());
  if (period == 0) return 0;
  const auto rest = attention_pattern.begin() + static_cast<std::ptrdiff_t>(num_hidden_layers % period);
  return num_hidden_layers / period * std::ranges::count(attention_pattern, attention) +
         std::count(attention_pattern.begin(), rest, attention);
}

double ModelSpec::attention_parameters(Attention attention) const {
  const double hidden = real(hidden_size), heads = real(num_attention_heads);
  if (attention == Attention::linear) {
    const double key = real(linear_num_key_heads * linear_key_head_dim);
    const double value = real(linear_num_value_heads * linear_value_head_dim);
    const double projections = hidden * (2 * key + 2 * value) + value * hidden;
    if (!has_gated_delta_rule()) return projections;
    return projections + hidden * 2 * real(linear_num_value_heads) +
           (2 * key + value) * real(linear_conv_kernel_dim);
  }
  if (attention == Attention::mla || attention == Attention::mla_sparse) {
    const double query_rank = real(q_lora_rank), rank = real(kv_lora_rank);
    const double nope = real(qk_nope_head_dim), rotary = real(qk_rope_head_dim), value = real(v_head_dim);
    const double query = query_rank > 0 ? hidden * query_rank + query_rank * heads * (nope + rotary)
                                        : hidden * heads * (nope + rotary);
    const double dense =
        query + hidden * (rank + rotary) + rank * heads * (nope + value) + heads * value * hidden;
    if (attention == Attention::mla) return dense;
    const double index_heads = real(index_n_heads), index_dim = real(index_head_dim);
    return dense + query_rank * index_heads * index_dim + hidden * index_dim + hidden * index_heads;
  }
  const double gate = attention_output_gate ? heads : 0;
  return hidden * real(head_dim) * (2 * heads + gate + 2 * real(num_key_value_heads));
}

double ModelSpec::dense_ffn_parameters() const {
  return real(mlp_matrices) * real(hidden_size) * real(intermediate_size);
}

double ModelSpec::expert_parameters() const {
  return real(mlp_matrices) * real(hidden_size) * real(moe_intermediate_size);
}

double ModelSpec::shared_experts_parameters() const {
  return real(mlp_matrices) * real(hidden_size) * real(shared_expert_intermediate_size);
}

double ModelSpec::router_parameters() const { return real(hidden_size) * real(num_experts); }

double ModelSpec::embedding_parameters() const { return real(vocab_size) * real(hidden_size); }

double ModelSpec::head_parameters() const { return embedding_parameters(); }

double ModelSpec::parameters() const { return parameters_with(*this, real(num_experts)); }

double ModelSpec::active_parameters() const { return parameters_with(*this, real(num_experts_per_tok)); }

double ModelSpec::kv_elements_per_token(Attention attention) const {
  switch (attention) {
    case Attention::linear:
      return 0;
    case Attention::mla:
      return real(kv_lora_rank + qk_rope_head_dim);
    case Attention::mla_sparse:
      return real(kv_lora_rank + qk_rope_head_dim + index_head_dim);
    default:
      return real(2 * num_key_value_heads * head_dim);
  }
}

double ModelSpec::growing_kv_elements_per_token() const {
  double sum = 0;
  for (const Attention attention : {Attention::full, Attention::mla, Attention::mla_sparse})
    sum += real(layers_with(attention)) * kv_elements_per_token(attention);
  return sum;
}

double ModelSpec::state_elements(Attention attention) const {
  return attention == Attention::linear ? recurrent_state_elements(*this) + convolution_state_elements(*this)
                                        : 0;
}

Bytes ModelSpec::state_bytes(Attention attention) const {
  if (attention != Attention::linear) return Bytes{0};
  return Bytes{4 * recurrent_state_elements(*this) + 2 * convolution_state_elements(*this)};
}

std::int64_t ModelSpec::kv_elements_per_token_per_layer() const {
  expect_plain(*this);
  return 2 * num_key_value_heads * head_dim;
}

double ModelSpec::attention_parameters_per_layer() const {
  expect_plain(*this);
  return attention_parameters(Attention::full);
}

double ModelSpec::ffn_parameters_per_layer() const {
  expect_plain(*this);
  return dense_ffn_parameters();
}

}  // namespace disagg
