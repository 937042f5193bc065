#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
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
inline constexpr std::array<Attention, 6> kAttentionKinds{Attention::full,    Attention::sliding,
                                                          Attention::chunked, Attention::linear,
                                                          Attention::mla,     Attention::mla_sparse};

// A decoder-only transformer. Field names follow Hugging Face's config.json where one exists; widths in
// elements.
struct ModelSpec {
  std::string name;                      // as published: "meta-llama/Llama-3.1-70B"
  std::vector<std::string> same_shapes;  // names of other models with these fields, by their model cards
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
  std::int64_t sliding_window_tokens = 0, attention_chunk_tokens = 0;
  bool attention_output_gate = false;  // full attention projects a gate as wide as its queries (Qwen3-Next)
  // Latent attention, and the indexer that picks index_topk tokens of the context for each query.
  std::int64_t q_lora_rank = 0, kv_lora_rank = 0, qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
  std::int64_t index_topk = 0, index_n_heads = 0, index_head_dim = 0;
  // Linear attention: Gated DeltaNet has a convolution over linear_conv_kernel_dim tokens, lightning
  // attention has none.
  std::int64_t linear_num_key_heads = 0, linear_num_value_heads = 0;
  std::int64_t linear_key_head_dim = 0, linear_value_head_dim = 0, linear_conv_kernel_dim = 0;
  // Layer i is MoE when i >= first_dense_layers and (i + 1) is a multiple of moe_layer_step.
  std::int64_t num_experts = 0, num_experts_per_tok = 0, moe_intermediate_size = 0, moe_layers = 0;
  std::int64_t first_dense_layers = 0, moe_layer_step = 1;
  std::int64_t n_shared_experts = 0;
  std::int64_t shared_expert_intermediate_size = 0;  // of all shared experts of a layer together
  std::int64_t num_nextn_predict_layers = 0;         // layers for multi-token prediction, beyond the others

  // Number format in which the weights are published, as a scenario spells it ("fp8-block"); empty: 16 bits.
  std::string published_quantization;
  // Bits of one weight of a routed expert with its scale factors, when only these are in that format.
  std::optional<double> expert_weight_bits;
  std::optional<double> params_total_published, params_active_published;
  std::string source;
  std::string note;
  std::vector<std::string> unverified;

  bool is_moe() const { return num_experts > 0; }
  bool has_latent_attention() const { return kv_lora_rank > 0; }
  bool has_gated_delta_rule() const { return linear_conv_kernel_dim > 0; }  // Gated DeltaNet
  // Why this program cannot simulate the model, by the name of what is missing; nothing if it can.
  std::optional<std::string> not_modelled() const;

  std::int64_t layers_with(Attention) const;
  std::int64_t dense_layers() const { return num_hidden_layers - moe_layers; }

  // Counts of weights. Formulas: oi_cf sections 4.1, 4.4, 4.6 to 4.8. Norms, biases, attention sinks, decay
  // constants and the gates of shared experts are not counted: below 0.1 % of every model in the catalog.

  // Projections of one layer: queries, keys, values, output and output gate; of sparse attention also the
  // indexer's; of Gated DeltaNet also its decay and update gates and its convolution.
  double attention_parameters(Attention) const;
  double dense_ffn_parameters() const;       // of one dense layer
  double expert_parameters() const;          // one routed expert
  double shared_experts_parameters() const;  // all shared experts of one MoE layer
  double router_parameters() const;          // of one MoE layer
  double embedding_parameters() const;       // input table
  double head_parameters() const;            // output table, also when it is the input table
  double parameters() const;         // all; a tied table once; layers for multi-token prediction are left out
  double active_parameters() const;  // that one token uses, with both embedding tables (a tied table once)

  // Elements of KV cache that one layer adds for each token: K and V of grouped queries, the latent and
  // rotary key of MLA, with the indexer's key when sparse. Windows limit how long they stay. None when
  // linear.
  double kv_elements_per_token(Attention) const;
  // The same over all layers whose cache grows with the whole context, which windows and linear ones do not.
  double growing_kv_elements_per_token() const;
  // State that a request keeps in one layer whatever its context: recurrent and convolution state of linear
  // attention, else none.
  double state_elements(Attention) const;
  // The same in bytes: the recurrent state in 32 bits, the convolution state in 16, as serving engines keep
  // them.
  Bytes state_bytes(Attention) const;

  // Of one layer, for models with full attention and dense layers only: others break an invariant.
  std::int64_t kv_elements_per_token_per_layer() const;
  double attention_parameters_per_layer() const;
  double ffn_parameters_per_layer() const;
};

// A config.json of Hugging Face. The model is named after the file if that is called "owner--model.json",
// else as the file says ("_name_or_path"), else after its folder. Of a model that also sees or hears, the
// language model alone is read, and the note says so. Problems that `problems` gets: an architecture, a key
// that changes the work of a layer, or a number format that is not understood, all by name; sizes that are
// missing or contradict each other. Throws ConfigError where the file cannot be read or is not JSON.
std::optional<ModelSpec> read_hf_file(const std::filesystem::path& file, Problems& problems);

// The catalog embedded in the program, parsed once.
std::span<const ModelSpec> models();

// "llama-3.1-70b" of "meta-llama/Llama-3.1-70B": what a scenario usually writes.
std::string short_name(std::string_view name);
// The row of that name or with the shapes of the model of that name; full, or its last part, in any case
// ("llama-3.1-70b"). Null when there is none.
const ModelSpec* find_model(std::string_view name);
// Short names of the rows, for messages.
std::vector<std::string> model_names();

// Reads `key` of a scenario: a name that find_model() knows,
// or an inline object with these fields, or {"hf_config": "path/config.json"}, relative to the scenario's
// file, with an optional "name". An architecture that is not understood is refused by name. Problems go to
// the reader.
std::optional<ModelSpec> read_model(Reader& r, std::string_view key);

}  // namespace disagg
