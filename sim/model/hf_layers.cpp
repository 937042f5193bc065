#include "sim/model/hf_layers.hpp"

#include <array>

namespace disagg {
namespace {

// The shortest beginning of a list of layers that, repeated, gives the list.
std::vector<Attention> shortest_period(std::vector<Attention> layers) {
  for (std::size_t period = 1; period < layers.size(); ++period) {
    if (!std::equal(layers.begin() + static_cast<std::ptrdiff_t>(period), layers.end(), layers.begin()))
      continue;
    layers.resize(period);
    break;
  }
  return layers;
}

template <class KindOfLayer>
std::vector<Attention> pattern_of(const ModelSpec& m, KindOfLayer&& kind_of_layer) {
  std::vector<Attention> layers;
  for (std::int64_t i = 0; i < m.num_hidden_layers; ++i) layers.push_back(kind_of_layer(i));
  return shortest_period(std::move(layers));
}

// A list with one entry for each layer: problems if it has another length.
template <class T>
std::vector<T> read_list(HfConfig& c, const ModelSpec& m, std::string_view key) {
  auto list = c.r.get<std::vector<T>>(key);
  if (static_cast<std::int64_t>(list.size()) == m.num_hidden_layers) return list;
  c.r.fail(key, "has " + std::to_string(list.size()) + " entries for " + std::to_string(m.num_hidden_layers) +
                    " layers");
  return {};
}

// "layer_types", of which the architecture has full layers and those of kind `other`.
std::vector<Attention> read_layer_types(HfConfig& c, const ModelSpec& m, Attention other) {
  const std::string other_type = std::string(name(other)) + "_attention";
  const std::array<std::string_view, 2> known{"full_attention", other_type};
  std::vector<Attention> layers;
  for (const std::string& type : read_list<std::string>(c, m, "layer_types")) {
    if (std::ranges::count(known, type) == 0) {
      c.r.unknown("layer_types", type, known);
      break;
    }
    layers.push_back(type == other_type ? other : Attention::full);
  }
  return shortest_period(std::move(layers));
}

std::vector<Attention> read_windows(HfConfig& c, const ModelSpec& m) {
  std::vector<Attention> full{Attention::full}, sliding{Attention::sliding};
  const Window window = c.architecture.window;
  if (c.has("layer_types") && window != Window::none) return read_layer_types(c, m, Attention::sliding);
  switch (window) {
    case Window::none:
      if (c.has("sliding_window")) c.refuse("sliding_window");
      return full;
    case Window::optional:
      return c.has("sliding_window") ? sliding : full;
    case Window::stated:
      return c.has("sliding_window") || !c.r.has("sliding_window") ? sliding : full;
    case Window::off:
      if (c.flag_or("use_sliding_window", false)) c.refuse("use_sliding_window");
      return full;
    case Window::switched: {
      if (!c.flag_or("use_sliding_window", false)) return full;
      const auto full_layers = c.r.get<std::int64_t>("max_window_layers", Range::non_negative);
      return pattern_of(
          m, [&](std::int64_t i) { return i < full_layers ? Attention::full : Attention::sliding; });
    }
    case Window::alternating:
      return {Attention::sliding, Attention::full};
    case Window::most: {
      const std::int64_t interval = std::max<std::int64_t>(c.size("sliding_window_pattern"), 1);
      return pattern_of(
          m, [&](std::int64_t i) { return (i + 1) % interval == 0 ? Attention::full : Attention::sliding; });
    }
  }
  return full;
}

void read_grouped_heads(HfConfig& c, ModelSpec& m) {
  const KeyValueHeads meaning = c.architecture.kv_heads;
  m.num_key_value_heads = m.num_attention_heads;
  const bool silent_multi = meaning == KeyValueHeads::grouped_or_multi && !c.r.has("num_key_value_heads");
  const bool null = c.r.has("num_key_value_heads") && !c.has("num_key_value_heads");
  if (meaning != KeyValueHeads::multi_head && !silent_multi && !null)
    m.num_key_value_heads = c.size("num_key_value_heads");
  m.head_dim =
      c.has("head_dim") || c.architecture.head_dim_stated ? c.size("head_dim") : even_head_dim(c.r, m);
}

// Sizes of routed experts under the names given, and where their layers lie.
void read_routed(HfConfig& c, ModelSpec& m, std::string_view number, std::string_view per_token,
                 std::string_view width) {
  m.num_experts = c.size(number);
  m.num_experts_per_tok = c.size(per_token);
  m.moe_intermediate_size = c.size(width);
  check_heads_and_experts(c.r, m, c.spelled(per_token));
}

}  // namespace

void read_grouped(HfConfig& c, ModelSpec& m) {
  read_grouped_heads(c, m);
  m.attention_pattern = read_windows(c, m);
  if (std::ranges::count(m.attention_pattern, Attention::sliding) > 0)
    m.sliding_window_tokens = c.size("sliding_window");
}

void read_latent(HfConfig& c, ModelSpec& m) {
  m.attention_pattern = {Attention::mla};
  m.kv_lora_rank = c.size("kv_lora_rank");
  m.qk_nope_head_dim = c.size("qk_nope_head_dim");
  m.qk_rope_head_dim = c.size("qk_rope_head_dim");
  m.v_head_dim = c.size("v_head_dim");
  if (c.has("q_lora_rank") || !c.r.has("q_lora_rank")) m.q_lora_rank = c.size("q_lora_rank");
}

void read_sparse_latent(HfConfig& c, ModelSpec& m) {
  read_latent(c, m);
  m.attention_pattern = {Attention::mla_sparse};
  m.q_lora_rank = c.size("q_lora_rank");  // the indexer starts from the same vector
  m.index_topk = c.size("index_topk");
  m.index_n_heads = c.size("index_n_heads");
  m.index_head_dim = c.size("index_head_dim");
}

// Llama 4: layers with rotary positions see their chunk, the others everything.
void read_chunked(HfConfig& c, ModelSpec& m) {
  read_grouped_heads(c, m);
  const ConfigNode* rotary = c.r.node().find("no_rope_layers");
  if (c.has("layer_types")) {
    m.attention_pattern = read_layer_types(c, m, Attention::chunked);
  } else if (rotary != nullptr && !rotary->items.empty()) {
    for (const std::int64_t rotates : read_list<std::int64_t>(c, m, "no_rope_layers"))
      m.attention_pattern.push_back(rotates != 0 ? Attention::chunked : Attention::full);
    m.attention_pattern = shortest_period(m.attention_pattern);
  } else {
    const std::int64_t interval = std::max<std::int64_t>(c.size("no_rope_layer_interval"), 1);
    m.attention_pattern = pattern_of(
        m, [&](std::int64_t i) { return (i + 1) % interval == 0 ? Attention::full : Attention::chunked; });
  }
  m.attention_chunk_tokens = c.size("attention_chunk_size");
}

// Qwen3-Next and Qwen3.5: Gated DeltaNet, and full attention with an output gate.
void read_gated_delta(HfConfig& c, ModelSpec& m) {
  read_grouped_heads(c, m);
  m.attention_output_gate = c.flag_or("attn_output_gate", true);
  if (c.has("layer_types")) {
    m.attention_pattern = read_layer_types(c, m, Attention::linear);
  } else {
    const std::int64_t interval = std::max<std::int64_t>(c.size("full_attention_interval"), 1);
    m.attention_pattern = pattern_of(
        m, [&](std::int64_t i) { return (i + 1) % interval == 0 ? Attention::full : Attention::linear; });
  }
  m.linear_num_key_heads = c.size("linear_num_key_heads");
  m.linear_num_value_heads = c.size("linear_num_value_heads");
  m.linear_key_head_dim = c.size("linear_key_head_dim");
  m.linear_value_head_dim = c.size("linear_value_head_dim");
  m.linear_conv_kernel_dim = c.size("linear_conv_kernel_dim");
  m.num_nextn_predict_layers = c.count_or("mtp_num_hidden_layers", 0);
}

// MiniMax: lightning attention (0) keeps a state of head_dim x head_dim for each head.
void read_lightning(HfConfig& c, ModelSpec& m) {
  read_grouped_heads(c, m);
  if (c.has("layer_types")) {
    m.attention_pattern = read_layer_types(c, m, Attention::linear);
  } else {
    for (const std::int64_t full : read_list<std::int64_t>(c, m, "attn_type_list"))
      m.attention_pattern.push_back(full != 0 ? Attention::full : Attention::linear);
    m.attention_pattern = shortest_period(m.attention_pattern);
  }
  if (std::ranges::count(m.attention_pattern, Attention::linear) == 0) return;
  m.linear_num_key_heads = m.linear_num_value_heads = m.num_attention_heads;
  m.linear_key_head_dim = m.linear_value_head_dim = m.head_dim;
}

// MiniMax-M2: full attention only; older files say so layer by layer.
void read_minimax_m2(HfConfig& c, ModelSpec& m) {
  read_grouped_heads(c, m);
  m.attention_pattern = {Attention::full};
  if (c.has("attn_type_list") &&
      std::ranges::count(read_list<std::int64_t>(c, m, "attn_type_list"), 1) != m.num_hidden_layers)
    c.refuse("attn_type_list");
  if (c.flag_or("use_mtp", false))
    m.num_nextn_predict_layers = c.size("num_mtp_modules") * c.size("mtp_transformer_layers");
}

void read_falcon(HfConfig& c, ModelSpec& m) {
  m.attention_pattern = {Attention::full};
  m.num_key_value_heads = m.num_attention_heads;
  if (c.flag_or("new_decoder_architecture", false))
    m.num_key_value_heads = c.size("num_kv_heads");
  else if (c.flag_or("multi_query", true))
    m.num_key_value_heads = 1;
  m.head_dim = even_head_dim(c.r, m);
}

void read_deepseek_experts(HfConfig& c, ModelSpec& m) {
  read_routed(c, m, "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size");
  m.n_shared_experts =
      c.r.has("n_shared_experts") ? c.count_or("n_shared_experts", 0) : c.size("n_shared_experts");
  m.shared_expert_intermediate_size = m.n_shared_experts * m.moe_intermediate_size;
  m.first_dense_layers = c.r.get<std::int64_t>("first_k_dense_replace", Range::non_negative);
  if (c.count_or("moe_layer_freq", 1) != 1) c.refuse("moe_layer_freq");
  m.num_nextn_predict_layers = c.count_or("num_nextn_predict_layers", 0);
}

void read_qwen_experts(HfConfig& c, ModelSpec& m) {
  read_routed(c, m, "num_experts", "num_experts_per_tok", "moe_intermediate_size");
  m.moe_layer_step = std::max<std::int64_t>(c.count_or("decoder_sparse_step", 1), 1);
  if (!c.has("mlp_only_layers")) return;
  // Dense layers that come first are understood, others are not.
  const auto dense = c.r.get<std::vector<std::int64_t>>("mlp_only_layers");
  for (std::size_t i = 0; i < dense.size(); ++i)
    if (dense[i] != static_cast<std::int64_t>(i)) return c.refuse("mlp_only_layers");
  m.first_dense_layers = static_cast<std::int64_t>(dense.size());
}

void read_qwen_experts_with_shared(HfConfig& c, ModelSpec& m) {
  read_qwen_experts(c, m);
  m.n_shared_experts = 1;
  m.shared_expert_intermediate_size = c.size("shared_expert_intermediate_size");
}

// "intermediate_size" is the width of an expert, as all layers are MoE.
void read_mixtral_experts(HfConfig& c, ModelSpec& m) {
  read_routed(c, m, "num_local_experts", "num_experts_per_tok", "intermediate_size");
}

void read_llama4_experts(HfConfig& c, ModelSpec& m) {
  read_routed(c, m, "num_local_experts", "num_experts_per_tok", "intermediate_size");
  m.n_shared_experts = 1;
  m.shared_expert_intermediate_size = m.moe_intermediate_size;
  m.moe_layer_step = c.size("interleave_moe_layer_step");
  if (!c.has("moe_layers")) return;
  std::vector<std::int64_t> expected;
  for (std::int64_t i = m.moe_layer_step - 1; m.moe_layer_step > 0 && i < m.num_hidden_layers;
       i += m.moe_layer_step)
    expected.push_back(i);
  const auto layers = c.r.get<std::vector<std::int64_t>>("moe_layers");
  if (layers != expected)
    c.r.fail("moe_layers", "lists other layers than \"interleave_moe_layer_step\" gives");
}

void read_ernie_experts(HfConfig& c, ModelSpec& m) {
  read_routed(c, m, "moe_num_experts", "moe_k", "moe_intermediate_size");
  m.n_shared_experts = c.size("moe_num_shared_experts");
  m.shared_expert_intermediate_size = m.n_shared_experts * m.moe_intermediate_size;
  m.first_dense_layers = c.r.get<std::int64_t>("moe_layer_start_index", Range::non_negative);
  m.moe_layer_step = std::max<std::int64_t>(c.count_or("moe_layer_interval", 1), 1);
  if (c.has("moe_layer_end_index")) {
    const auto last = c.r.get<std::int64_t>("moe_layer_end_index");
    if (last != -1 && last != m.num_hidden_layers - 1) c.refuse("moe_layer_end_index");
  }
  m.num_nextn_predict_layers = c.count_or("num_nextn_predict_layers", 0);
}

}  // namespace disagg
