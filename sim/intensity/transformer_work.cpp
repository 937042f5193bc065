#include "sim/intensity/transformer_work.hpp"

namespace disagg {

Work linear_work(double tokens, double d_in, double d_out, double weight_bytes, double activation_bytes) {
  return {Flops{2 * tokens * d_in * d_out},
          Bytes{weight_bytes * d_in * d_out + activation_bytes * tokens * (d_in + d_out)}};
}

double causal_pairs(TokenCount prefix, TokenCount tokens) {
  const auto p = static_cast<double>(prefix);
  const auto l = static_cast<double>(tokens);
  return l * p + l * (l + 1) / 2;
}

Work attention_work(double pairs, double tokens, double context, double heads, double kv_heads,
                    double head_dim, double activation_bytes, double kv_bytes) {
  return {Flops{4 * heads * head_dim * pairs}, Bytes{2 * activation_bytes * heads * head_dim * tokens +
                                                     2 * kv_bytes * kv_heads * head_dim * context}};
}

TransformerWork::TransformerWork(const ModelSpec& model, const PrecisionPlan& precision, double kv_copies)
    : copies_(kv_copies) {
  const double weight = bytes_per_element(precision.weights);
  const double activation = bytes_per_element(precision.activations);
  const double kv = bytes_per_element(precision.kv);
  const auto layers = static_cast<double>(model.num_hidden_layers);
  const auto hidden = static_cast<double>(model.hidden_size);
  const auto heads = static_cast<double>(model.num_attention_heads * model.head_dim);
  const auto kv_heads = static_cast<double>(model.num_key_value_heads * model.head_dim);
  const auto ffn = static_cast<double>(model.intermediate_size);
  const auto vocabulary = static_cast<double>(model.vocab_size);
  const double up = static_cast<double>(model.mlp_matrices) - 1;  // matrices that widen; one narrows

  const double layer_parameters = model.attention_parameters_per_layer() + model.ffn_parameters_per_layer();
  const double layer_widths =
      (hidden + heads + 2 * kv_heads) + (heads + hidden) + (hidden + up * ffn) + (ffn + hidden);
  weights_ = Bytes{weight * model.parameters()};
  weights_read_ = Bytes{weight * layers * layer_parameters};
  head_weights_ = Bytes{weight * hidden * vocabulary};
  flops_per_token_ = Flops{2 * layers * layer_parameters};
  flops_per_logit_ = Flops{2 * hidden * vocabulary};
  activations_per_token_ = Bytes{activation * layers * layer_widths};
  activations_per_logit_ = Bytes{activation * (hidden + vocabulary)};
  flops_per_pair_ = Flops{4 * heads * layers};
  query_bytes_per_token_ = Bytes{2 * activation * heads * layers};
  kv_per_token_ = Bytes{2 * kv * kv_heads * layers};
}

Work TransformerWork::linear(double tokens, double logits, double weight_reads) const {
  return {flops_per_token_ * tokens + flops_per_logit_ * logits,
          (weights_read_ + head_weights_) * weight_reads + activations_per_token_ * tokens +
              activations_per_logit_ * logits};
}

Work TransformerWork::attention(double pairs, double tokens, double context) const {
  return {flops_per_pair_ * pairs, query_bytes_per_token_ * tokens + kv_per_token_ * (copies_ * context)};
}

}  // namespace disagg
