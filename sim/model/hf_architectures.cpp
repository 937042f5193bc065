#include "sim/model/hf_architectures.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "sim/model/hf_layers.hpp"
#include "sim/model/sizes.hpp"

namespace disagg {
namespace {

const std::vector<HfArchitecture>& architectures() {
  using KV = KeyValueHeads;
  static const std::vector<std::pair<std::string_view, std::string_view>> bloom_names{
      {"num_hidden_layers", "n_layer"},
      {"num_attention_heads", "n_head"},
      {"hidden_size", "n_embed"},
      {"num_kv_heads", "n_head_kv"}};
  static const std::vector<HfArchitecture> all{
      {.model_type = "bloom",
       .attention = read_grouped,
       .kv_heads = KV::multi_head,
       .mlp_matrices = 2,
       .tied = true,
       .ffn = "",
       .other_names = bloom_names},
      {.model_type = "deepseek_v2", .attention = read_latent, .experts = read_deepseek_experts},
      {.model_type = "deepseek_v3", .attention = read_latent, .experts = read_deepseek_experts},
      {.model_type = "deepseek_v32", .attention = read_sparse_latent, .experts = read_deepseek_experts},
      {.model_type = "ernie4_5_moe", .attention = read_grouped, .experts = read_ernie_experts, .tied = true},
      {.model_type = "falcon",
       .attention = read_falcon,
       .mlp_matrices = 2,
       .tied = true,
       .ffn = "",
       .other_names = bloom_names},
      {.model_type = "gemma2",
       .attention = read_grouped,
       .head_dim_stated = true,
       .window = Window::alternating,
       .tied = true},
      {.model_type = "gemma3_text",
       .attention = read_grouped,
       .head_dim_stated = true,
       .window = Window::most,
       .tied = true,
       .other_names = {{"sliding_window_pattern", "_sliding_window_pattern"}},
       .defaults = {{"vocab_size", 262'208},
                    {"num_attention_heads", 8},
                    {"num_key_value_heads", 4},
                    {"head_dim", 256},
                    {"sliding_window", 4096},
                    {"sliding_window_pattern", 6},
                    {"max_position_embeddings", 131'072}}},
      {.model_type = "glm4_moe",
       .attention = read_grouped,
       .experts = read_deepseek_experts,
       .head_dim_stated = true},
      {.model_type = "glm_moe_dsa", .attention = read_sparse_latent, .experts = read_deepseek_experts},
      {.model_type = "gpt_neox", .attention = read_grouped, .kv_heads = KV::multi_head, .mlp_matrices = 2},
      {.model_type = "gpt_oss",
       .attention = read_grouped,
       .experts = read_mixtral_experts,
       .head_dim_stated = true,
       .window = Window::alternating},
      {.model_type = "kimi_k2", .attention = read_latent, .experts = read_deepseek_experts},
      {.model_type = "llama", .attention = read_grouped, .kv_heads = KV::grouped_or_multi},
      {.model_type = "llama4_text",
       .attention = read_chunked,
       .experts = read_llama4_experts,
       .head_dim_stated = true,
       .ffn = "intermediate_size_mlp",
       .defaults = {{"no_rope_layer_interval", 4}}},
      {.model_type = "minimax_m1",
       .attention = read_lightning,
       .experts = read_mixtral_experts,
       .head_dim_stated = true},
      {.model_type = "minimax_m2",
       .attention = read_minimax_m2,
       .experts = read_mixtral_experts,
       .head_dim_stated = true},
      {.model_type = "minimax_text_01",
       .attention = read_lightning,
       .experts = read_mixtral_experts,
       .head_dim_stated = true},
      {.model_type = "mistral", .attention = read_grouped, .window = Window::stated},
      {.model_type = "mixtral",
       .attention = read_grouped,
       .experts = read_mixtral_experts,
       .window = Window::optional},
      {.model_type = "nemotron",
       .attention = read_grouped,
       .kv_heads = KV::grouped_or_multi,
       .mlp_matrices = 2},
      {.model_type = "opt",
       .attention = read_grouped,
       .kv_heads = KV::multi_head,
       .mlp_matrices = 2,
       .tied = true,
       .ffn = "ffn_dim",
       .other_names = {{"hidden_size", "d_model"}}},
      {.model_type = "phi3",
       .attention = read_grouped,
       .kv_heads = KV::grouped_or_multi,
       .window = Window::optional},
      {.model_type = "qwen2", .attention = read_grouped, .window = Window::switched},
      {.model_type = "qwen2_moe",
       .attention = read_grouped,
       .experts = read_qwen_experts_with_shared,
       .window = Window::off},
      {.model_type = "qwen3", .attention = read_grouped, .head_dim_stated = true, .window = Window::switched},
      {.model_type = "qwen3_5_moe_text",
       .attention = read_gated_delta,
       .experts = read_qwen_experts_with_shared,
       .head_dim_stated = true,
       .defaults = {{"full_attention_interval", 4}}},
      {.model_type = "qwen3_5_text",
       .attention = read_gated_delta,
       .head_dim_stated = true,
       .defaults = {{"full_attention_interval", 4}}},
      {.model_type = "qwen3_moe",
       .attention = read_grouped,
       .experts = read_qwen_experts,
       .head_dim_stated = true,
       .window = Window::off},
      {.model_type = "qwen3_next",
       .attention = read_gated_delta,
       .experts = read_qwen_experts_with_shared,
       .head_dim_stated = true,
       .defaults = {{"full_attention_interval", 4}}},
      {.model_type = "qwen3_vl_moe_text",
       .attention = read_grouped,
       .experts = read_qwen_experts,
       .head_dim_stated = true},
      {.model_type = "qwen3_vl_text", .attention = read_grouped, .head_dim_stated = true},
  };
  return all;
}

const HfArchitecture* find_architecture(std::string_view model_type) {
  const auto found = std::ranges::find(architectures(), model_type, &HfArchitecture::model_type);
  return found == architectures().end() ? nullptr : &*found;
}

// Keys that change the work or the memory of a layer. A model that carries one that its architecture does not
// read is not the plain architecture.
constexpr std::string_view kMarkers[] = {
    "attention_chunk_size",
    "attention_k_eq_v",
    "attn_output_gate",
    "attn_type_list",
    "block_configs",
    "first_k_dense_replace",
    "hybrid_layer_pattern",
    "hybrid_override_pattern",
    "index_topk",
    "index_topk_freq",
    "indexer_types",
    "kv_lora_rank",
    "layer_types",
    "linear_conv_kernel_dim",
    "linear_num_key_heads",
    "mlp_only_layers",
    "moe_intermediate_size",
    "moe_num_experts",
    "mtp_num_hidden_layers",
    "n_routed_experts",
    "n_shared_experts",
    "num_experts",
    "num_kv_shared_layers",
    "num_local_experts",
    "num_nextn_predict_layers",
    "q_lora_rank",
    "shared_expert_intermediate_size",
    "shared_intermediate_size",
    "ssm_state_size",
    "state_size",
    "text_config",
};

// Nothing that an architecture without the key would not have either: null, 0, false, an empty list, or a
// list of layers that all attend to everything.
bool says_nothing(const ConfigNode& value) {
  using Kind = ConfigNode::Kind;
  if (value.kind == Kind::array)
    return std::ranges::all_of(value.items, [](const ConfigNode& item) {
      return item.text == "full_attention" || item.text == "full";
    });
  return value.kind == Kind::null || (value.kind == Kind::number && value.number == 0) ||
         (value.kind == Kind::boolean && !value.boolean);
}

void refuse_unread_markers(HfConfig& c) {
  for (const ConfigNode::Member& member : c.r.node().members)
    if (!member.used && std::ranges::count(kMarkers, member.key) > 0 && !says_nothing(member.value))
      c.refuse(member.key);
}

ModelSpec read_architecture(HfConfig& c) {
  ModelSpec m;
  m.model_type = c.architecture.model_type;
  m.num_hidden_layers = c.size("num_hidden_layers", kMostLayers);
  m.num_attention_heads = c.size("num_attention_heads");
  m.hidden_size = c.size("hidden_size");
  m.vocab_size = c.size("vocab_size");
  m.mlp_matrices = c.architecture.mlp_matrices;
  m.tie_word_embeddings = c.flag_or("tie_word_embeddings", c.architecture.tied);
  m.max_position_embeddings = c.size_or_none("max_position_embeddings");
  c.architecture.attention(c, m);
  if (c.architecture.experts != nullptr) {
    c.architecture.experts(c, m);
    m.moe_layers = layers_of_experts(m);
    if (m.is_moe() && m.num_hidden_layers > 0 && m.moe_layers <= 0)
      c.r.fail("", "all layers are dense, but there are experts");
  } else {
    check_heads_and_experts(c.r, m, "");
  }
  if (m.dense_layers() > 0)
    m.intermediate_size = c.architecture.ffn.empty() ? 4 * m.hidden_size : c.size(c.architecture.ffn);
  if (c.architecture.model_type == "falcon" && c.has("ffn_hidden_size"))
    m.intermediate_size = c.size("ffn_hidden_size");
  if (c.architecture.model_type == "opt" && c.count_or("word_embed_proj_dim", m.hidden_size) != m.hidden_size)
    c.r.fail("word_embed_proj_dim", "embeddings of another width than the layers are not understood");
  refuse_unread_markers(c);
  return m;
}

}  // namespace

bool is_hf_architecture(std::string_view model_type) { return find_architecture(model_type) != nullptr; }

std::optional<ModelSpec> read_hf_architecture(Reader& config) {
  const auto model_type = config.get<std::string>("model_type");
  if (model_type.empty()) return std::nullopt;
  const HfArchitecture* architecture = find_architecture(model_type);
  if (architecture == nullptr) {
    std::string known;
    for (const HfArchitecture& each : architectures()) known += " " + std::string(each.model_type);
    config.fail("model_type", "architecture '" + model_type + "' is not understood; known:" + known);
    return std::nullopt;
  }
  HfConfig c(config, *architecture);
  return read_architecture(c);
}

}  // namespace disagg
