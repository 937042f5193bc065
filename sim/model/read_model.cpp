#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "embedded.hpp"
#include "sim/model/model_spec.hpp"
#include "sim/model/sizes.hpp"

namespace disagg {
namespace {

std::vector<Attention> read_attention_pattern(Reader& r) {
  std::vector<Attention> pattern;
  const auto words = r.find<std::vector<std::string>>("attention_pattern");
  for (const std::string& word : words.value_or(std::vector<std::string>{"full"})) {
    const auto found = std::ranges::find(kAttentionNames, word);
    if (found == kAttentionNames.end()) {
      if (!word.empty()) r.unknown("attention_pattern", word, kAttentionNames);
    } else {
      pattern.push_back(static_cast<Attention>(found - kAttentionNames.begin()));
    }
  }
  if (words && words->empty()) r.fail("attention_pattern", "names no layer");
  return pattern;
}

// Formats in which weights are published, spelled as scenarios spell precisions.
constexpr std::array<std::string_view, 6> kPublishedFormats{"fp8",  "fp8-block", "int8",
                                                            "int4", "nvfp4",     "mxfp4"};

void read_attention(Reader& r, ModelSpec& m) {
  m.attention_pattern = read_attention_pattern(r);
  const auto has = [&m](Attention attention) {
    return std::ranges::count(m.attention_pattern, attention) > 0;
  };
  // Sizes of a kind of attention are required where a layer has it, and a contradiction elsewhere.
  const auto size_for = [&r](bool needed, std::string_view pattern, std::string_view key) {
    if (needed) return read_size(r, key);
    if (find_size(r, key) > 0) r.fail(key, "needs the attention pattern " + std::string(pattern));
    return std::int64_t{0};
  };
  const bool sparse = has(Attention::mla_sparse);
  const bool latent = has(Attention::mla) || sparse;
  const bool linear = has(Attention::linear);
  m.sliding_window_tokens = size_for(has(Attention::sliding), "\"sliding\"", "sliding_window_tokens");
  m.attention_chunk_tokens = size_for(has(Attention::chunked), "\"chunked\"", "attention_chunk_tokens");

  constexpr std::string_view kLatent = "\"mla\" or \"mla_sparse\"";
  m.kv_lora_rank = size_for(latent, kLatent, "kv_lora_rank");
  m.qk_nope_head_dim = size_for(latent, kLatent, "qk_nope_head_dim");
  m.qk_rope_head_dim = size_for(latent, kLatent, "qk_rope_head_dim");
  m.v_head_dim = size_for(latent, kLatent, "v_head_dim");
  m.q_lora_rank = latent && !sparse ? find_size(r, "q_lora_rank") : size_for(sparse, kLatent, "q_lora_rank");
  m.index_topk = size_for(sparse, "\"mla_sparse\"", "index_topk");
  m.index_n_heads = size_for(sparse, "\"mla_sparse\"", "index_n_heads");
  m.index_head_dim = size_for(sparse, "\"mla_sparse\"", "index_head_dim");

  m.linear_num_key_heads = size_for(linear, "\"linear\"", "linear_num_key_heads");
  m.linear_num_value_heads = size_for(linear, "\"linear\"", "linear_num_value_heads");
  m.linear_key_head_dim = size_for(linear, "\"linear\"", "linear_key_head_dim");
  m.linear_value_head_dim = size_for(linear, "\"linear\"", "linear_value_head_dim");
  m.linear_conv_kernel_dim = linear ? find_size(r, "linear_conv_kernel_dim")
                                    : size_for(false, "\"linear\"", "linear_conv_kernel_dim");

  m.attention_output_gate = r.find<bool>("attention_output_gate").value_or(false);
  const std::int64_t kv_heads = r.has("num_key_value_heads") ? read_size(r, "num_key_value_heads") : 0;
  const std::int64_t head_dim = r.has("head_dim") ? read_size(r, "head_dim") : 0;
  if (latent) return;
  m.num_key_value_heads = r.has("num_key_value_heads") ? kv_heads : m.num_attention_heads;
  m.head_dim = r.has("head_dim") ? head_dim : even_head_dim(r, m);
}

void read_experts(Reader& r, ModelSpec& m) {
  m.num_experts = find_size(r, "num_experts");
  const auto size_for = [&r](bool needed, std::string_view other, std::string_view key) {
    if (needed) return read_size(r, key);
    if (find_size(r, key) > 0) r.fail(key, "needs '" + std::string(other) + "'");
    return std::int64_t{0};
  };
  m.num_experts_per_tok = size_for(m.is_moe(), "num_experts", "num_experts_per_tok");
  m.moe_intermediate_size = size_for(m.is_moe(), "num_experts", "moe_intermediate_size");
  m.moe_layers = size_for(m.is_moe(), "num_experts", "moe_layers");
  m.n_shared_experts = find_size(r, "n_shared_experts");
  if (m.n_shared_experts > 0 && !m.is_moe()) r.fail("n_shared_experts", "needs 'num_experts'");
  m.shared_expert_intermediate_size =
      size_for(m.n_shared_experts > 0, "n_shared_experts", "shared_expert_intermediate_size");
  m.moe_layer_step = r.find<std::int64_t>("moe_layer_step", Range::positive).value_or(1);
  // Where silent, the dense layers come first.
  m.first_dense_layers = m.is_moe() && m.moe_layer_step == 1 ? m.dense_layers() : 0;
  if (r.has("first_dense_layers")) m.first_dense_layers = find_size(r, "first_dense_layers");
  if (m.moe_layers > m.num_hidden_layers)
    r.fail("moe_layers", "is greater than the number of layers, " + std::to_string(m.num_hidden_layers));
  else if (m.moe_layers != layers_of_experts(m))
    r.fail("moe_layers", "is " + std::to_string(m.moe_layers) +
                             ", but first_dense_layers and moe_layer_step give " +
                             std::to_string(layers_of_experts(m)));
}

// A row of the catalog, or an inline model: the same fields under the same names.
ModelSpec read_fields(Reader& r) {
  ModelSpec m;
  m.name = r.find<std::string>("name").value_or("unnamed");
  m.same_shapes = r.find<std::vector<std::string>>("same_shapes").value_or(std::vector<std::string>{});
  m.model_type = r.find<std::string>("model_type").value_or("");
  m.num_hidden_layers = read_size(r, "num_hidden_layers", kMostLayers);
  m.hidden_size = read_size(r, "hidden_size");
  m.num_attention_heads = read_size(r, "num_attention_heads");
  m.vocab_size = read_size(r, "vocab_size");
  m.mlp_matrices = r.find<std::int64_t>("mlp_matrices").value_or(3);
  if (m.mlp_matrices != 2 && m.mlp_matrices != 3) r.fail("mlp_matrices", "must be 2 (plain) or 3 (gated)");
  m.max_position_embeddings = find_size(r, "max_position_embeddings");
  m.tie_word_embeddings = r.find<bool>("tie_word_embeddings").value_or(false);
  read_attention(r, m);
  read_experts(r, m);
  m.intermediate_size =
      m.dense_layers() > 0 ? read_size(r, "intermediate_size") : find_size(r, "intermediate_size");
  m.num_nextn_predict_layers = find_size(r, "num_nextn_predict_layers");
  check_heads_and_experts(r, m, "num_experts_per_tok");

  m.published_quantization = r.find<std::string>("published_quantization").value_or("");
  if (!m.published_quantization.empty() &&
      std::ranges::count(kPublishedFormats, m.published_quantization) == 0)
    r.unknown("published_quantization", m.published_quantization, kPublishedFormats);
  m.expert_weight_bits = r.find<double>("expert_weight_bits", Range::positive);
  m.params_total_published = r.find<double>("params_total_published", Range::positive);
  m.params_active_published = r.find<double>("params_active_published", Range::positive);
  r.find_object("more");   // published figures that the program lists but does not use: any keys
  r.find_object("check");  // what the figures above must add up to: for tests
  m.source = r.find<std::string>("source").value_or("the scenario");
  m.note = r.find<std::string>("note").value_or("");
  m.unverified = r.find<std::vector<std::string>>("unverified").value_or(std::vector<std::string>{});
  return m;
}

}  // namespace

std::span<const ModelSpec> models() {
  static const std::vector<ModelSpec> rows = [] {
    ConfigNode root = parse_config(embedded::model_catalog, "sim/model/catalog.json");
    Problems problems;
    std::vector<ModelSpec> read;
    for (Reader& row : Reader(root, "", problems).objects("models")) {
      read.push_back(read_fields(row));
      row.done();
    }
    problems.throw_if_any();
    return read;
  }();
  return rows;
}

std::string short_name(std::string_view name) { return lower_case(name.substr(name.rfind('/') + 1)); }

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  names.reserve(models().size());
  for (const ModelSpec& model : models()) names.push_back(short_name(model.name));
  return names;
}

const ModelSpec* find_model(std::string_view name) {
  const std::string wanted = lower_case(name);
  const auto is_called = [&](const std::string& published) {
    return lower_case(published) == wanted || short_name(published) == wanted;
  };
  for (const ModelSpec& model : models())
    if (is_called(model.name) || std::ranges::any_of(model.same_shapes, is_called)) return &model;
  return nullptr;
}

std::optional<ModelSpec> read_model(Reader& r, std::string_view key) {
  const ConfigNode* value = r.node().find(key);
  if (value == nullptr || value->kind != ConfigNode::Kind::object) {
    const auto name = r.get<std::string>(key);
    if (const ModelSpec* model = find_model(name)) return *model;
    const std::vector<std::string> names = model_names();
    const std::vector<std::string_view> known(names.begin(), names.end());
    if (!name.empty()) r.unknown(key, short_name(name), known);
    return std::nullopt;
  }
  Reader written = *r.object(key);
  if (!written.has("hf_config")) {
    ModelSpec model = read_fields(written);
    written.done();
    return model;
  }
  const std::filesystem::path file = written.file("hf_config");
  const auto name = written.find<std::string>("name");
  written.done();
  std::optional<ModelSpec> model;
  if (!file.has_filename()) return model;
  try {
    model = read_hf_file(file, r.problems());
  } catch (const ConfigError& error) {
    written.fail("hf_config", error.what());
  }
  if (model && name) model->name = *name;
  return model;
}

}  // namespace disagg
