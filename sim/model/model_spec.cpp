#include "sim/model/model_spec.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "embedded.hpp"
#include "sim/base/expect.hpp"

namespace disagg {
namespace {

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

// "llama-3.1-70b" of "meta-llama/Llama-3.1-70B": what a scenario usually writes.
std::string short_name(std::string_view name) { return lower_case(name.substr(name.rfind('/') + 1)); }

// Beyond any model, so that neither their products nor a list of layers can grow without bound.
constexpr std::int64_t kGreatestSize = 1'000'000'000;
constexpr std::int64_t kMostLayers = 100'000;

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

// Layers i from first_dense_layers on with (i + 1) a multiple of moe_layer_step.
std::int64_t layers_of_experts(const ModelSpec& m) {
  const std::int64_t dense = std::min(m.first_dense_layers, m.num_hidden_layers);
  return m.num_hidden_layers / m.moe_layer_step - dense / m.moe_layer_step;
}

// Laws that the sizes of any transformer obey, wherever they were read.
void check_sizes(Reader& r, const ModelSpec& m) {
  const auto at_most = [&r](std::int64_t limit, std::string_view key, std::int64_t size) {
    if (size > limit) r.fail(key, "must be at most " + std::to_string(limit));
  };
  at_most(kMostLayers, "num_hidden_layers", m.num_hidden_layers);
  for (const auto& [key, size] : std::initializer_list<std::pair<std::string_view, std::int64_t>>{
           {"hidden_size", m.hidden_size},
           {"num_attention_heads", m.num_attention_heads},
           {"head_dim", m.head_dim},
           {"intermediate_size", m.intermediate_size},
           {"vocab_size", m.vocab_size},
           {"q_lora_rank", m.q_lora_rank},
           {"kv_lora_rank", m.kv_lora_rank},
           {"qk_nope_head_dim", m.qk_nope_head_dim},
           {"qk_rope_head_dim", m.qk_rope_head_dim},
           {"v_head_dim", m.v_head_dim},
           {"index_n_heads", m.index_n_heads},
           {"index_head_dim", m.index_head_dim},
           {"linear_num_key_heads", m.linear_num_key_heads},
           {"linear_num_value_heads", m.linear_num_value_heads},
           {"linear_key_head_dim", m.linear_key_head_dim},
           {"linear_value_head_dim", m.linear_value_head_dim},
           {"linear_conv_kernel_dim", m.linear_conv_kernel_dim},
           {"num_experts", m.num_experts},
           {"moe_intermediate_size", m.moe_intermediate_size},
           {"shared_expert_intermediate_size", m.shared_expert_intermediate_size}})
    at_most(kGreatestSize, key, size);
  const bool grouped = m.num_key_value_heads > 0 && m.num_attention_heads > 0;
  if (grouped && m.num_attention_heads % m.num_key_value_heads != 0)
    r.fail("num_key_value_heads", std::to_string(m.num_key_value_heads) + " does not divide the " +
                                      std::to_string(m.num_attention_heads) + " attention heads");
  if (m.num_experts > 0 && m.num_experts_per_tok > m.num_experts)
    r.fail("num_experts_per_tok", "is greater than the number of experts, " + std::to_string(m.num_experts));
  if (m.moe_layers > m.num_hidden_layers)
    r.fail("moe_layers", "is greater than the number of layers, " + std::to_string(m.num_hidden_layers));
  else if (m.is_moe() && m.moe_layer_step > 0 && m.moe_layers != layers_of_experts(m))
    r.fail("moe_layers", "is " + std::to_string(m.moe_layers) +
                             ", but first_dense_layers and moe_layer_step give " +
                             std::to_string(layers_of_experts(m)));
}

// Width of one head where the source leaves it to the usual quotient.
std::int64_t even_head_dim(Reader& r, const ModelSpec& m) {
  if (m.num_attention_heads <= 0 || m.hidden_size <= 0) return 0;
  if (m.hidden_size % m.num_attention_heads != 0)
    r.fail("", "'head_dim' is missing, and " + std::to_string(m.num_attention_heads) +
                   " heads do not divide the hidden size " + std::to_string(m.hidden_size));
  return m.hidden_size / m.num_attention_heads;
}

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

// A row of the catalog, or an inline model: the same fields under the same names.
ModelSpec read_fields(Reader& r) {
  const auto count = [&r](std::string_view key) {
    return r.find<std::int64_t>(key, Range::non_negative).value_or(0);
  };
  ModelSpec m;
  m.name = r.find<std::string>("name").value_or("unnamed");
  m.model_type = r.find<std::string>("model_type").value_or("");
  m.num_hidden_layers = r.get<std::int64_t>("num_hidden_layers", Range::positive);
  m.hidden_size = r.get<std::int64_t>("hidden_size", Range::positive);
  m.num_attention_heads = r.get<std::int64_t>("num_attention_heads", Range::positive);
  m.vocab_size = r.get<std::int64_t>("vocab_size", Range::positive);
  m.mlp_matrices = r.find<std::int64_t>("mlp_matrices").value_or(3);
  if (m.mlp_matrices != 2 && m.mlp_matrices != 3) r.fail("mlp_matrices", "must be 2 (plain) or 3 (gated)");
  m.max_position_embeddings = count("max_position_embeddings");
  m.tie_word_embeddings = r.find<bool>("tie_word_embeddings").value_or(false);
  m.attention_pattern = read_attention_pattern(r);

  const auto has = [&m](Attention attention) {
    return std::ranges::count(m.attention_pattern, attention) > 0;
  };
  // Sizes of a kind of layer are required where the model has such layers, and a contradiction elsewhere.
  const auto size_for = [&r, &count](bool needed, std::string_view what, std::string_view key) {
    if (needed) return r.get<std::int64_t>(key, Range::positive);
    const std::int64_t size = count(key);
    if (size != 0) r.fail(key, "needs " + std::string(what));
    return std::int64_t{0};
  };
  constexpr std::string_view kLatent = "the attention pattern \"mla\" or \"mla_sparse\"";
  constexpr std::string_view kSparse = "the attention pattern \"mla_sparse\"";
  constexpr std::string_view kLinear = "the attention pattern \"linear\"";
  const bool sparse = has(Attention::mla_sparse);
  const bool latent = has(Attention::mla) || sparse;
  const bool linear = has(Attention::linear);
  m.sliding_window_tokens =
      size_for(has(Attention::sliding), "the attention pattern \"sliding\"", "sliding_window_tokens");
  m.attention_chunk_tokens =
      size_for(has(Attention::chunked), "the attention pattern \"chunked\"", "attention_chunk_tokens");
  m.kv_lora_rank = size_for(latent, kLatent, "kv_lora_rank");
  m.qk_nope_head_dim = size_for(latent, kLatent, "qk_nope_head_dim");
  m.qk_rope_head_dim = size_for(latent, kLatent, "qk_rope_head_dim");
  m.v_head_dim = size_for(latent, kLatent, "v_head_dim");
  m.q_lora_rank = latent && !sparse ? count("q_lora_rank") : size_for(sparse, kLatent, "q_lora_rank");
  m.index_topk = size_for(sparse, kSparse, "index_topk");
  m.index_n_heads = size_for(sparse, kSparse, "index_n_heads");
  m.index_head_dim = size_for(sparse, kSparse, "index_head_dim");
  m.linear_num_key_heads = size_for(linear, kLinear, "linear_num_key_heads");
  m.linear_num_value_heads = size_for(linear, kLinear, "linear_num_value_heads");
  m.linear_key_head_dim = size_for(linear, kLinear, "linear_key_head_dim");
  m.linear_value_head_dim = size_for(linear, kLinear, "linear_value_head_dim");
  m.linear_conv_kernel_dim =
      linear ? count("linear_conv_kernel_dim") : size_for(false, kLinear, "linear_conv_kernel_dim");
  const auto kv_heads = r.find<std::int64_t>("num_key_value_heads", Range::positive);
  const auto head_dim = r.find<std::int64_t>("head_dim", Range::positive);
  if (!latent) {
    m.num_key_value_heads = kv_heads.value_or(m.num_attention_heads);
    m.head_dim = head_dim ? *head_dim : even_head_dim(r, m);
  }
  m.attention_output_gate = r.find<bool>("attention_output_gate").value_or(false);

  m.num_experts = count("num_experts");
  m.num_experts_per_tok = size_for(m.is_moe(), "num_experts", "num_experts_per_tok");
  m.moe_intermediate_size = size_for(m.is_moe(), "num_experts", "moe_intermediate_size");
  m.moe_layers = size_for(m.is_moe(), "num_experts", "moe_layers");
  m.n_shared_experts = count("n_shared_experts");
  m.shared_expert_intermediate_size =
      size_for(m.n_shared_experts > 0, "n_shared_experts", "shared_expert_intermediate_size");
  m.moe_layer_step = r.find<std::int64_t>("moe_layer_step", Range::positive).value_or(1);
  m.first_dense_layers = r.find<std::int64_t>("first_dense_layers", Range::non_negative)
                             .value_or(m.moe_layer_step == 1 && m.is_moe() ? m.dense_layers() : 0);
  m.intermediate_size = m.dense_layers() > 0 ? r.get<std::int64_t>("intermediate_size", Range::positive)
                                             : count("intermediate_size");
  m.num_nextn_predict_layers = count("num_nextn_predict_layers");

  m.published_quantization = r.find<std::string>("published_quantization").value_or("");
  m.expert_weight_bits = r.find<double>("expert_weight_bits", Range::positive);
  m.params_active_published = r.find<double>("params_active_published", Range::positive);
  m.params_total_published = r.find<double>("params_total_published", Range::positive);
  r.find_object("more");   // published figures that the program lists but does not use: any keys
  r.find_object("check");  // what the figures above must add up to: for tests
  m.source = r.find<std::string>("source").value_or("the scenario");
  m.note = r.find<std::string>("note").value_or("");
  m.unverified = r.find<std::vector<std::string>>("unverified").value_or(std::vector<std::string>{});
  check_sizes(r, m);
  return m;
}

// Whether layers may attend to a window only, if the config.json does not list the kind of every layer.
enum class Window {
  none,
  stated,   // "sliding_window" holds for all layers unless it is null
  switched  // "use_sliding_window" turns it on, for the layers from "max_window_layers" on
};

// How the config.json of one Hugging Face architecture names its sizes, and what holds where it is silent: as
// in the configuration classes of the transformers library.
struct Architecture {
  std::string_view model_type;
  std::vector<std::string_view> layers, heads, hidden;  // spellings in use
  std::string_view ffn;                                 // empty: four times the hidden size
  std::int64_t mlp_matrices;                            // 3 gated, 2 plain
  bool grouped_queries;                                 // has num_key_value_heads
  bool tied_by_default;
  Window window;
};

const std::vector<Architecture>& architectures() {
  static const std::vector<std::string_view> layers{"num_hidden_layers"}, heads{"num_attention_heads"};
  static const std::vector<std::string_view> hidden{"hidden_size"};
  static const std::vector<Architecture> all{
      {"bloom",
       {"n_layer", "num_hidden_layers"},
       {"n_head", "num_attention_heads"},
       {"hidden_size", "n_embed"},
       "",
       2,
       false,
       true,
       Window::none},
      {"gpt_neox", layers, heads, hidden, "intermediate_size", 2, false, false, Window::none},
      {"llama", layers, heads, hidden, "intermediate_size", 3, true, false, Window::none},
      {"mistral", layers, heads, hidden, "intermediate_size", 3, true, false, Window::stated},
      {"opt", layers, heads, {"hidden_size", "d_model"}, "ffn_dim", 2, false, true, Window::none},
      {"qwen2", layers, heads, hidden, "intermediate_size", 3, true, false, Window::switched},
      {"qwen3", layers, heads, hidden, "intermediate_size", 3, true, false, Window::switched},
  };
  return all;
}

// Keys that change the work or the memory of a layer. A model that carries one is not the plain architecture.
constexpr auto kMarkers = std::to_array<std::string_view>(
    {"num_local_experts", "num_experts", "n_routed_experts", "moe_intermediate_size", "kv_lora_rank",
     "q_lora_rank", "attention_chunk_size", "linear_num_key_heads", "linear_conv_kernel_dim",
     "ssm_state_size", "state_size", "index_topk", "num_nextn_predict_layers", "text_config"});

// A config.json writes null for what does not apply, and holds many keys that do not matter here.
bool given(const Reader& r, std::string_view key) {
  const ConfigNode* value = r.node().find(key);
  return value != nullptr && value->kind != ConfigNode::Kind::null;
}

std::int64_t read_size(Reader& r, std::span<const std::string_view> spellings) {
  for (const std::string_view key : spellings)
    if (given(r, key)) return r.get<std::int64_t>(key, Range::positive);
  return r.get<std::int64_t>(spellings.front(), Range::positive);
}

std::vector<Attention> read_layer_types(Reader& r) {
  constexpr std::array<std::string_view, 4> kTypes{"full_attention", "sliding_attention", "chunked_attention",
                                                   "linear_attention"};
  constexpr std::array<Attention, 4> kMeaning{Attention::full, Attention::sliding, Attention::chunked,
                                              Attention::linear};
  std::vector<Attention> pattern;
  for (const std::string& type : r.get<std::vector<std::string>>("layer_types")) {
    const auto found = std::ranges::find(kTypes, type);
    if (found == kTypes.end()) {
      r.unknown("layer_types", type, kTypes);
      break;
    }
    pattern.push_back(kMeaning[static_cast<std::size_t>(found - kTypes.begin())]);
  }
  return pattern;
}

void read_hf_attention(Reader& r, const Architecture& architecture, ModelSpec& m) {
  const auto refuse = [&](std::string_view key) {
    r.fail(key, "is not understood for architecture '" + std::string(architecture.model_type) + "'");
  };
  m.attention_pattern = {Attention::full};
  if (given(r, "layer_types")) {
    m.attention_pattern = read_layer_types(r);
    if (std::ranges::count(m.attention_pattern, Attention::sliding) == 0) return;
    if (architecture.window == Window::none) return refuse("layer_types");
    m.sliding_window_tokens = r.get<std::int64_t>("sliding_window", Range::positive);
    return;
  }
  switch (architecture.window) {
    case Window::none:
      if (given(r, "sliding_window")) refuse("sliding_window");
      return;
    case Window::stated:
      if (r.has("sliding_window") && !given(r, "sliding_window")) return;
      m.attention_pattern = {Attention::sliding};
      m.sliding_window_tokens = r.get<std::int64_t>("sliding_window", Range::positive);
      return;
    case Window::switched:
      if (!given(r, "use_sliding_window") || !r.get<bool>("use_sliding_window")) return;
      m.sliding_window_tokens = r.get<std::int64_t>("sliding_window", Range::positive);
      const auto full_layers = r.get<std::int64_t>("max_window_layers", Range::non_negative);
      const auto layers = std::clamp<std::int64_t>(m.num_hidden_layers, 0, kMostLayers);
      m.attention_pattern.assign(static_cast<std::size_t>(layers), Attention::sliding);
      std::fill_n(m.attention_pattern.begin(), std::clamp<std::int64_t>(full_layers, 0, layers),
                  Attention::full);
      return;
  }
}

ModelSpec read_hf_sizes(Reader& r, const Architecture& architecture) {
  ModelSpec m;
  m.model_type = architecture.model_type;
  m.num_hidden_layers = read_size(r, architecture.layers);
  m.num_attention_heads = read_size(r, architecture.heads);
  m.hidden_size = read_size(r, architecture.hidden);
  m.vocab_size = r.get<std::int64_t>("vocab_size", Range::positive);
  m.mlp_matrices = architecture.mlp_matrices;
  m.intermediate_size =
      architecture.ffn.empty() ? 4 * m.hidden_size : r.get<std::int64_t>(architecture.ffn, Range::positive);
  m.num_key_value_heads = m.num_attention_heads;
  // null means as many as heads. So does silence in llama, but a constant of the library's in the others:
  // ask.
  const bool silent = !r.has("num_key_value_heads") && architecture.model_type != "llama";
  if (architecture.grouped_queries && (given(r, "num_key_value_heads") || silent))
    m.num_key_value_heads = r.get<std::int64_t>("num_key_value_heads", Range::positive);
  // qwen3 has wider heads than the quotient, by a constant of the library's where it is silent.
  const bool states_head_dim = given(r, "head_dim") || architecture.model_type == "qwen3";
  m.head_dim = states_head_dim ? r.get<std::int64_t>("head_dim", Range::positive) : even_head_dim(r, m);
  if (given(r, "max_position_embeddings"))
    m.max_position_embeddings = r.get<std::int64_t>("max_position_embeddings", Range::positive);
  m.tie_word_embeddings =
      given(r, "tie_word_embeddings") ? r.get<bool>("tie_word_embeddings") : architecture.tied_by_default;
  if (architecture.model_type == "opt" && given(r, "word_embed_proj_dim") &&
      r.get<std::int64_t>("word_embed_proj_dim") != m.hidden_size)
    r.fail("word_embed_proj_dim", "embeddings of another width than the layers are not understood");
  read_hf_attention(r, architecture, m);
  check_sizes(r, m);
  return m;
}

std::optional<ModelSpec> read_hf_config(const std::filesystem::path& file, Problems& problems) {
  ConfigNode node = load_config(file);
  Reader r(node, "", problems);
  const auto model_type = r.get<std::string>("model_type");
  if (model_type.empty()) return std::nullopt;
  const auto found = std::ranges::find(architectures(), model_type, &Architecture::model_type);
  if (found == architectures().end()) {
    std::string known;
    for (const Architecture& architecture : architectures())
      known += " " + std::string(architecture.model_type);
    r.fail("model_type", "architecture '" + model_type + "' is not understood; known:" + known);
    return std::nullopt;
  }
  for (const std::string_view marker : kMarkers)
    if (given(r, marker) && r.node().find(marker)->text != "0")
      r.fail(marker, "is not understood for architecture '" + model_type + "'");
  ModelSpec m = read_hf_sizes(r, *found);
  m.source = file.string();
  if (given(r, "quantization_config"))
    m.note = "Published in a quantised format; number formats are those of the scenario.";
  const std::string folder = std::filesystem::absolute(file).parent_path().filename().string();
  const ConfigNode* name = r.node().find("_name_or_path");
  m.name = name != nullptr && !name->text.empty() ? name->text : folder;
  return m;
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

std::optional<ModelSpec> read_model(Reader& r, std::string_view key) {
  const ConfigNode* value = r.node().find(key);
  if (value == nullptr || value->kind != ConfigNode::Kind::object) {
    const auto name = r.get<std::string>(key);
    std::vector<std::string> short_names;
    for (const ModelSpec& model : models()) {
      short_names.push_back(short_name(model.name));
      if (lower_case(model.name) == lower_case(name) || short_names.back() == lower_case(name)) return model;
    }
    const std::vector<std::string_view> known(short_names.begin(), short_names.end());
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
    model = read_hf_config(file, r.problems());
  } catch (const ConfigError& error) {
    written.fail("hf_config", error.what());
  }
  if (model && name) model->name = *name;
  return model;
}

}  // namespace disagg
