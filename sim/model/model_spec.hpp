#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/base/quantity.hpp"

namespace disagg {

// How a layer attends. The pattern of a model repeats over its layers.
enum class Attention { full, sliding, chunked, linear, mla, mla_sparse };
inline constexpr std::array<std::string_view, 6> kAttentionNames{"full",   "sliding", "chunked",
                                                                 "linear", "mla",     "mla_sparse"};
std::string_view name(Attention);

// A decoder-only transformer. Field names follow Hugging Face's config.json where one exists; widths in
// elements.
struct ModelSpec {
  std::string name;  // as published: "meta-llama/Llama-3.1-70B"
  std::string model_type;
  std::int64_t num_hidden_layers = 0;
  std::int64_t hidden_size = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;  // absent (0) for MLA
  std::int64_t head_dim = 0;
  std::int64_t vocab_size = 0;
  std::int64_t intermediate_size = 0;  // dense FFN width; 0 when every layer is MoE
  std::int64_t mlp_matrices = 3;       // 3 for gated (SwiGLU), 2 for plain
  std::int64_t max_position_embeddings = 0;
  bool tie_word_embeddings = false;
  std::vector<Attention> attention_pattern;

  // Absent (0) unless the kind of model has them.
  std::int64_t q_lora_rank = 0, kv_lora_rank = 0, qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
  std::int64_t num_experts = 0, num_experts_per_tok = 0, moe_intermediate_size = 0, moe_layers = 0;
  std::int64_t n_shared_experts = 0, shared_expert_intermediate_size = 0;
  std::int64_t sliding_window_tokens = 0, attention_chunk_tokens = 0;

  std::optional<double> params_total_published;
  std::string source;
  std::string note;
  std::vector<std::string> unverified;

  bool is_moe() const { return num_experts > 0; }
  // Why this program cannot simulate the model yet, by the name of what is missing; nothing if it can.
  std::optional<std::string> not_modelled() const;

  // The functions below are for models that are modelled (dense, full attention).

  // INTERIM
  std::int64_t linear_num_value_heads = 0, linear_value_head_dim = 0, linear_key_head_dim = 0;
  std::int64_t index_topk = 0, index_n_heads = 0, index_head_dim = 0;
  std::int64_t layers_with(Attention a) const { return a == Attention::full ? num_hidden_layers : 0; }
  std::int64_t dense_layers() const { return num_hidden_layers - moe_layers; }
  double attention_parameters(Attention) const { return attention_parameters_per_layer(); }
  double shared_experts_parameters() const { return 0; }
  double state_elements(Attention) const { return 0; }
  bool has_latent_attention() const { return kv_lora_rank > 0; }

  std::int64_t kv_elements_per_token_per_layer() const { return 2 * num_key_value_heads * head_dim; }
  double attention_parameters_per_layer() const;  // Q, K, V and O projections; oi_cf section 4.1
  double ffn_parameters_per_layer() const;
  double embedding_parameters() const;  // input table
  // All weights: layers, input table and, unless tied, the output table. Norms and biases are not counted.
  double parameters() const;
};

// The catalog embedded in the program, parsed once.
std::span<const ModelSpec> models();

// Reads `key` of a scenario: the name of a catalog row (full, or its last part in any case: "llama-3.1-70b"),
// or an inline object with these fields, or {"hf_config": "path/config.json"}, relative to the scenario's
// file, with an optional "name". An architecture that is not understood is refused by name. Problems go to
// the reader.
std::optional<ModelSpec> read_model(Reader& r, std::string_view key);

}  // namespace disagg
