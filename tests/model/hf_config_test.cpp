#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/hardware/accelerator.hpp"
#include "sim/model/model_spec.hpp"

namespace disagg {
namespace {

using Catch::Matchers::Contains;
using Json = nlohmann::json;

const ModelSpec& catalog(std::string_view name) {
  const auto row = std::ranges::find(models(), name, &ModelSpec::name);
  REQUIRE(row != models().end());
  return *row;
}

// A folder for as long as this lives.
class Folder {
 public:
  Folder() { std::filesystem::create_directories(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  // Writes a file below the folder.
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }

 private:
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("disagg-hf-config-" + std::to_string(getpid()));
};

// Throws ConfigError.
ModelSpec read_file(const std::filesystem::path& file) {
  Problems problems;
  const auto read = read_hf_file(file, problems);
  problems.throw_if_any();
  return read.value();
}

ModelSpec read(const Json& config) {
  const Folder folder;
  return read_file(folder.write("llama/config.json", config.dump()));
}

// What is wrong with a config.json, from the column on: "13: hidden_size: must be greater than zero".
std::string problem(const Json& config) {
  const Folder folder;
  try {
    read_file(folder.write("llama/config.json", config.dump()));
  } catch (const ConfigError& error) {
    const std::string text = error.what(), place = "config.json:1:";
    return text.substr(text.find(place) + place.size());
  }
  return "no problem";
}

// The same without the column.
std::string what_is_wrong(const Json& config) {
  const std::string text = problem(config);
  const std::size_t column = text.find(": ");
  return column == std::string::npos ? text : text.substr(column + 2);
}

Json with(Json config, const Json& changes) {
  config.update(changes);
  return config;
}

Json without(Json config, const char* key) {
  config.erase(key);
  return config;
}

// Everything that decides work and memory.
Json shape(const ModelSpec& m) {
  Json pattern;
  for (const Attention attention : m.attention_pattern) pattern.push_back(name(attention));
  return {{"model_type", m.model_type},
          {"num_hidden_layers", m.num_hidden_layers},
          {"hidden_size", m.hidden_size},
          {"num_attention_heads", m.num_attention_heads},
          {"num_key_value_heads", m.num_key_value_heads},
          {"head_dim", m.head_dim},
          {"vocab_size", m.vocab_size},
          {"intermediate_size", m.intermediate_size},
          {"mlp_matrices", m.mlp_matrices},
          {"max_position_embeddings", m.max_position_embeddings},
          {"tie_word_embeddings", m.tie_word_embeddings},
          {"attention_pattern", pattern},
          {"sliding_window_tokens", m.sliding_window_tokens},
          {"attention_chunk_tokens", m.attention_chunk_tokens},
          {"attention_output_gate", m.attention_output_gate},
          {"q_lora_rank", m.q_lora_rank},
          {"kv_lora_rank", m.kv_lora_rank},
          {"qk_nope_head_dim", m.qk_nope_head_dim},
          {"qk_rope_head_dim", m.qk_rope_head_dim},
          {"v_head_dim", m.v_head_dim},
          {"index_topk", m.index_topk},
          {"index_n_heads", m.index_n_heads},
          {"index_head_dim", m.index_head_dim},
          {"linear_num_key_heads", m.linear_num_key_heads},
          {"linear_num_value_heads", m.linear_num_value_heads},
          {"linear_key_head_dim", m.linear_key_head_dim},
          {"linear_value_head_dim", m.linear_value_head_dim},
          {"linear_conv_kernel_dim", m.linear_conv_kernel_dim},
          {"num_experts", m.num_experts},
          {"num_experts_per_tok", m.num_experts_per_tok},
          {"moe_intermediate_size", m.moe_intermediate_size},
          {"moe_layers", m.moe_layers},
          {"first_dense_layers", m.first_dense_layers},
          {"moe_layer_step", m.moe_layer_step},
          {"n_shared_experts", m.n_shared_experts},
          {"shared_expert_intermediate_size", m.shared_expert_intermediate_size},
          {"num_nextn_predict_layers", m.num_nextn_predict_layers},
          {"published_quantization", m.published_quantization},
          {"expert_weight_bits", m.expert_weight_bits.value_or(0)}};
}

const Json kLlama8B = Json::parse(R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 128000,
  "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
  "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32,
  "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 8.0, "rope_type": "llama3"}, "rope_theta": 500000.0,
  "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256})");

const Json kQwen3 = Json::parse(R"({
  "model_type": "qwen3", "head_dim": 128, "hidden_size": 5120, "intermediate_size": 25600,
  "max_position_embeddings": 40960, "max_window_layers": 64, "num_attention_heads": 64,
  "num_hidden_layers": 64, "num_key_value_heads": 8, "sliding_window": null, "tie_word_embeddings": false,
  "use_sliding_window": false, "vocab_size": 151936})");

const Json kQwen3Moe = Json::parse(R"({
  "model_type": "qwen3_moe", "decoder_sparse_step": 1, "head_dim": 128, "hidden_size": 4096,
  "intermediate_size": 12288, "max_position_embeddings": 40960, "max_window_layers": 94,
  "mlp_only_layers": [], "moe_intermediate_size": 1536, "num_attention_heads": 64, "num_experts": 128,
  "num_experts_per_tok": 8, "num_hidden_layers": 94, "num_key_value_heads": 4, "sliding_window": null,
  "tie_word_embeddings": false, "use_sliding_window": false, "vocab_size": 151936})");

const Json kDeepSeekV3 = Json::parse(R"({
  "model_type": "deepseek_v3", "attention_bias": false, "ep_size": 1, "first_k_dense_replace": 3,
  "hidden_size": 7168, "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840,
  "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256,
  "n_shared_experts": 1, "num_attention_heads": 128, "num_experts_per_tok": 8, "num_hidden_layers": 61,
  "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
  "qk_rope_head_dim": 64, "tie_word_embeddings": false, "topk_group": 4, "v_head_dim": 128,
  "vocab_size": 129280, "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3",
  "quant_method": "fp8", "weight_block_size": [128, 128]}})");

const Json kQwen3Next = Json::parse(R"({
  "model_type": "qwen3_next", "decoder_sparse_step": 1, "full_attention_interval": 4, "head_dim": 256,
  "hidden_size": 2048, "intermediate_size": 5120, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128,
  "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_value_head_dim": 128,
  "max_position_embeddings": 262144, "mlp_only_layers": [], "moe_intermediate_size": 512,
  "num_attention_heads": 16, "num_experts": 512, "num_experts_per_tok": 10, "num_hidden_layers": 48,
  "num_key_value_heads": 2, "partial_rotary_factor": 0.25, "shared_expert_intermediate_size": 512,
  "tie_word_embeddings": false, "vocab_size": 151936})");

const Json kGptOss = Json::parse(R"({
  "model_type": "gpt_oss", "attention_bias": true, "experts_per_token": 4, "head_dim": 64,
  "hidden_size": 2880, "intermediate_size": 2880, "max_position_embeddings": 131072,
  "num_attention_heads": 64, "num_experts_per_tok": 4, "num_hidden_layers": 36, "num_key_value_heads": 8,
  "num_local_experts": 128, "sliding_window": 128, "swiglu_limit": 7.0, "tie_word_embeddings": false,
  "vocab_size": 201088, "quantization_config": {"modules_to_not_convert": ["model.layers.*.self_attn",
  "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"], "quant_method": "mxfp4"}})");

const Json kMixtral = Json::parse(R"({
  "model_type": "mixtral", "hidden_size": 6144, "intermediate_size": 16384,
  "max_position_embeddings": 65536, "num_attention_heads": 48, "num_experts_per_tok": 2,
  "num_hidden_layers": 56, "num_key_value_heads": 8, "num_local_experts": 8, "sliding_window": null,
  "tie_word_embeddings": false, "vocab_size": 32000})");

const Json kLlama4Text = Json::parse(R"({
  "model_type": "llama4_text", "attention_chunk_size": 8192, "head_dim": 128, "hidden_size": 5120,
  "interleave_moe_layer_step": 2, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
  "max_position_embeddings": 1048576, "no_rope_layers": [], "num_attention_heads": 40,
  "num_experts_per_tok": 1, "num_hidden_layers": 48, "num_key_value_heads": 8, "num_local_experts": 128,
  "use_qk_norm": false, "vocab_size": 202048})");

Json minimax(const char* model_type) {
  Json config = Json::parse(R"({
    "head_dim": 128, "hidden_size": 6144, "intermediate_size": 9216, "max_position_embeddings": 10240000,
    "num_attention_heads": 64, "num_experts_per_tok": 2, "num_hidden_layers": 80, "num_key_value_heads": 8,
    "num_local_experts": 32, "rotary_dim": 64, "shared_intermediate_size": 0, "shared_moe_mode": "sigmoid",
    "tie_word_embeddings": false, "vocab_size": 200064})");
  config["model_type"] = model_type;
  for (int i = 0; i < 80; ++i) config["attn_type_list"].push_back(i % 8 == 7 ? 1 : 0);
  return config;
}

// A model that also sees, around its language model.
Json vision(const char* model_type, const Json& text) {
  return {{"model_type", model_type},
          {"text_config", text},
          {"vision_config", {{"hidden_size", 1152}, {"num_hidden_layers", 27}}}};
}

TEST_CASE("The config.json of a catalog model gives its row, field for field", "[model][hf]") {
  std::vector<std::string> windows;
  for (int i = 0; i < 18; ++i) windows.insert(windows.end(), {"sliding_attention", "full_attention"});
  const Json scout = with(
      without(kLlama4Text, "use_qk_norm"),
      {{"interleave_moe_layer_step", 1}, {"num_local_experts", 16}, {"max_position_embeddings", 10485760}});
  const std::vector<std::pair<const char*, Json>> cases{
      {"meta-llama/Llama-2-70b-hf", with(kLlama8B, {{"hidden_size", 8192},
                                                    {"intermediate_size", 28672},
                                                    {"num_hidden_layers", 80},
                                                    {"num_attention_heads", 64},
                                                    {"max_position_embeddings", 4096},
                                                    {"vocab_size", 32000}})},
      {"meta-llama/Llama-3.1-8B", kLlama8B},
      {"meta-llama/Llama-3.1-70B", with(kLlama8B, {{"hidden_size", 8192},
                                                   {"intermediate_size", 28672},
                                                   {"num_hidden_layers", 80},
                                                   {"num_attention_heads", 64}})},
      {"meta-llama/Llama-3.1-405B", with(kLlama8B, {{"hidden_size", 16384},
                                                    {"intermediate_size", 53248},
                                                    {"num_hidden_layers", 126},
                                                    {"num_attention_heads", 128}})},
      {"meta-llama/Llama-4-Scout-17B-16E-Instruct", vision("llama4", scout)},
      {"meta-llama/Llama-4-Maverick-17B-128E-Instruct", vision("llama4", kLlama4Text)},
      {"deepseek-ai/DeepSeek-V3", kDeepSeekV3},
      {"deepseek-ai/DeepSeek-R1", kDeepSeekV3},
      {"deepseek-ai/DeepSeek-V3.2", with(kDeepSeekV3, {{"model_type", "deepseek_v32"},
                                                       {"index_topk", 2048},
                                                       {"index_n_heads", 64},
                                                       {"index_head_dim", 128}})},
      {"Qwen/Qwen3-32B", kQwen3},
      {"Qwen/Qwen3-235B-A22B", kQwen3Moe},
      {"Qwen/Qwen3-Next-80B-A3B", kQwen3Next},
      {"moonshotai/Kimi-K2-Instruct", with(kDeepSeekV3, {{"model_type", "kimi_k2"},
                                                         {"n_routed_experts", 384},
                                                         {"num_attention_heads", 64},
                                                         {"first_k_dense_replace", 1},
                                                         {"num_nextn_predict_layers", 0},
                                                         {"max_position_embeddings", 131072},
                                                         {"vocab_size", 163840}})},
      {"openai/gpt-oss-120b", with(kGptOss, {{"layer_types", windows}})},
      {"mistralai/Mixtral-8x22B-v0.1", kMixtral},
      {"MiniMaxAI/MiniMax-Text-01", minimax("minimax_text_01")},
      {"MiniMaxAI/MiniMax-M1-80k", minimax("minimax_m1")},
      {"bigscience/bloom",
       {{"model_type", "bloom"},
        {"n_layer", 70},
        {"num_attention_heads", 112},
        {"n_embed", 14336},
        {"max_position_embeddings", 2048},
        {"vocab_size", 250880}}}};
  CHECK(cases.size() == models().size());
  for (const auto& [name, config] : cases) {
    CAPTURE(name);
    const ModelSpec m = read(config);
    CHECK(shape(m) == shape(catalog(name)));
    CHECK_FALSE(m.not_modelled().has_value());
  }
}

// Published sizes of further models, so that each way of writing a config.json is checked on a real one.
TEST_CASE("Config files of other models add up to their published parameters", "[model][hf]") {
  struct Case {
    const char* name;
    double billions;  // as published
    double active;    // the same of one token; 0: dense
    const char* config;
  };
  // clang-format off
  const std::vector<Case> cases{
      {"DeepSeek-V2", 236, 21, R"({
        "model_type": "deepseek_v2", "first_k_dense_replace": 1, "hidden_size": 5120,
        "intermediate_size": 12288, "kv_lora_rank": 512, "moe_intermediate_size": 1536,
        "moe_layer_freq": 1, "n_routed_experts": 160, "n_shared_experts": 2, "num_attention_heads": 128,
        "num_experts_per_tok": 6, "num_hidden_layers": 60, "num_key_value_heads": 128, "q_lora_rank":
        1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 102400})"},
      {"DeepSeek-V2-Lite", 15.7, 2.4, R"({
        "model_type": "deepseek_v2", "first_k_dense_replace": 1, "hidden_size": 2048,
        "intermediate_size": 10944, "kv_lora_rank": 512, "moe_intermediate_size": 1408,
        "moe_layer_freq": 1, "n_routed_experts": 64, "n_shared_experts": 2, "num_attention_heads": 16,
        "num_experts_per_tok": 6, "num_hidden_layers": 27, "num_key_value_heads": 128, "q_lora_rank":
        null, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 102400})"},
      {"Qwen1.5-MoE-A2.7B", 14.3, 2.7, R"({
        "model_type": "qwen2_moe", "decoder_sparse_step": 1, "hidden_size": 2048, "intermediate_size":
        5632, "max_window_layers": 21, "moe_intermediate_size": 1408, "num_attention_heads": 16,
        "num_experts": 60, "num_experts_per_tok": 4, "num_hidden_layers": 24, "num_key_value_heads": 16,
        "shared_expert_intermediate_size": 5632, "sliding_window": 32768, "use_sliding_window": false,
        "vocab_size": 151936})"},
      {"Qwen3-VL-30B-A3B", 30.5, 3.3, R"({
        "model_type": "qwen3_vl_moe", "vision_config": {"hidden_size": 1152}, "text_config":
        {"model_type": "qwen3_vl_moe_text", "decoder_sparse_step": 1, "head_dim": 128, "hidden_size":
        2048, "intermediate_size": 6144, "mlp_only_layers": [], "moe_intermediate_size": 768,
        "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers":
        48, "num_key_value_heads": 4, "vocab_size": 151936}, "tie_word_embeddings": false})"},
      {"Qwen3-VL-2B", 1.72, 0, R"({
        "model_type": "qwen3_vl", "text_config": {"model_type": "qwen3_vl_text", "head_dim": 128,
        "hidden_size": 2048, "intermediate_size": 6144, "num_attention_heads": 16, "num_hidden_layers":
        28, "num_key_value_heads": 8, "vocab_size": 151936}, "tie_word_embeddings": true})"},
      {"Qwen3.5-397B-A17B", 397, 17, R"({
        "model_type": "qwen3_5_moe", "text_config": {"model_type": "qwen3_5_moe_text",
        "attn_output_gate": true, "full_attention_interval": 4, "head_dim": 256, "hidden_size": 4096,
        "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16,
        "linear_num_value_heads": 64, "linear_value_head_dim": 128, "moe_intermediate_size": 1024,
        "mtp_num_hidden_layers": 1, "num_attention_heads": 32, "num_experts": 512,
        "num_experts_per_tok": 10, "num_hidden_layers": 60, "num_key_value_heads": 2,
        "shared_expert_intermediate_size": 1024, "vocab_size": 248320}})"},
      {"Qwen3.5-27B", 26.9, 0, R"({
        "model_type": "qwen3_5", "text_config": {"model_type": "qwen3_5_text", "attn_output_gate": true,
        "full_attention_interval": 4, "head_dim": 256, "hidden_size": 5120, "intermediate_size": 17408,
        "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16,
        "linear_num_value_heads": 48, "linear_value_head_dim": 128, "mlp_only_layers": [],
        "mtp_num_hidden_layers": 1, "num_attention_heads": 24, "num_hidden_layers": 64,
        "num_key_value_heads": 4, "vocab_size": 248320}})"},
      {"GLM-4.5-Air", 106, 12, R"({
        "model_type": "glm4_moe", "first_k_dense_replace": 1, "head_dim": 128, "hidden_size": 4096,
        "intermediate_size": 10944, "moe_intermediate_size": 1408, "n_routed_experts": 128,
        "n_shared_experts": 1, "num_attention_heads": 96, "num_experts_per_tok": 8, "num_hidden_layers":
        46, "num_key_value_heads": 8, "num_nextn_predict_layers": 1, "vocab_size": 151552})"},
      {"GLM-5", 744, 40, R"({
        "model_type": "glm_moe_dsa", "first_k_dense_replace": 3, "head_dim": 64, "hidden_size": 6144,
        "index_head_dim": 128, "index_n_heads": 32, "index_topk": 2048, "intermediate_size": 12288,
        "kv_lora_rank": 512, "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_routed_experts":
        256, "n_shared_experts": 1, "num_attention_heads": 64, "num_experts_per_tok": 8,
        "num_hidden_layers": 78, "num_key_value_heads": 64, "num_nextn_predict_layers": 1,
        "q_lora_rank": 2048, "qk_nope_head_dim": 192, "qk_rope_head_dim": 64, "v_head_dim": 256,
        "vocab_size": 154880})"},
      {"ERNIE-4.5-21B-A3B", 21.8, 3, R"({
        "model_type": "ernie4_5_moe", "head_dim": null, "hidden_size": 2560, "intermediate_size": 12288,
        "moe_intermediate_size": 1536, "moe_k": 6, "moe_layer_end_index": 27, "moe_layer_interval": 1,
        "moe_layer_start_index": 1, "moe_num_experts": 64, "moe_num_shared_experts": 2,
        "num_attention_heads": 20, "num_hidden_layers": 28, "num_key_value_heads": 4, "vocab_size":
        103424})"},
      {"MiniMax-M2", 230, 10, R"({
        "model_type": "minimax_m2", "head_dim": 128, "hidden_size": 3072, "intermediate_size": 1536,
        "mtp_transformer_layers": 1, "num_attention_heads": 48, "num_experts_per_tok": 8,
        "num_hidden_layers": 62, "num_key_value_heads": 8, "num_local_experts": 256, "num_mtp_modules":
        3, "shared_intermediate_size": 0, "use_mtp": true, "vocab_size": 200064})"},
      {"gpt-oss-20b", 20.9, 3.6, R"({
        "model_type": "gpt_oss", "head_dim": 64, "hidden_size": 2880, "intermediate_size": 2880,
        "num_attention_heads": 64, "num_experts_per_tok": 4, "num_hidden_layers": 24,
        "num_key_value_heads": 8, "num_local_experts": 32, "sliding_window": 128, "vocab_size": 201088})"},
      {"Gemma-2-9b", 9.24, 0, R"({
        "model_type": "gemma2", "head_dim": 256, "hidden_size": 3584, "intermediate_size": 14336,
        "num_attention_heads": 16, "num_hidden_layers": 42, "num_key_value_heads": 8, "sliding_window":
        4096, "vocab_size": 256000})"},
      {"Gemma-3-12b", 11.8, 0, R"({
        "model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "hidden_size": 3840,
        "intermediate_size": 15360, "num_attention_heads": 16, "num_hidden_layers": 48,
        "num_key_value_heads": 8, "sliding_window": 1024}})"},
      {"falcon-40b", 41.3, 0, R"({
        "model_type": "falcon", "hidden_size": 8192, "new_decoder_architecture": true,
        "num_attention_heads": 128, "num_hidden_layers": 60, "num_kv_heads": 8, "vocab_size": 65024})"},
      {"falcon-7b", 6.92, 0, R"({
        "model_type": "falcon", "hidden_size": 4544, "n_head": 71, "n_layer": 32,
        "vocab_size": 65024})"},
      {"Phi-3-mini-4k", 3.82, 0, R"({
        "model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_key_value_heads": 32, "sliding_window": 2047, "vocab_size": 32064})"},
      {"Nemotron-4-340B", 341, 0, R"({
        "model_type": "nemotron", "hidden_size": 18432, "intermediate_size": 73728,
        "num_attention_heads": 96, "num_hidden_layers": 96, "num_key_value_heads": 8, "vocab_size":
        256000})"},
      {"opt-66b", 65.7, 0, R"({
        "model_type": "opt", "ffn_dim": 36864, "hidden_size": 9216, "num_attention_heads": 72,
        "num_hidden_layers": 64, "vocab_size": 50272, "word_embed_proj_dim": 9216})"},
      {"gpt-neox-20b", 20.55, 0, R"({
        "model_type": "gpt_neox", "hidden_size": 6144, "intermediate_size": 24576,
        "num_attention_heads": 64, "num_hidden_layers": 44, "vocab_size": 50432})"}};
  // clang-format on
  for (const Case& each : cases) {
    CAPTURE(each.name);
    const ModelSpec m = read(Json::parse(each.config));
    CHECK(m.parameters() / 1e9 == Approx(each.billions).epsilon(0.01));
    if (each.active > 0) {
      // Some leave out one or both embedding tables.
      const double tables = m.embedding_parameters() + (m.tie_word_embeddings ? 0 : m.head_parameters());
      CHECK(each.active * 1e9 < 1.03 * m.active_parameters());
      CHECK(each.active * 1e9 > 0.97 * (m.active_parameters() - tables));
    }
    CHECK_FALSE(m.not_modelled().has_value());
  }
}

TEST_CASE("A config.json is named after its file, what it says, or its folder", "[model][hf]") {
  const Folder folder;
  const std::string text = with(kLlama8B, {{"_name_or_path", "meta-llama/Llama-3.1-8B"}}).dump();
  CHECK(read_file(folder.write("llama/config.json", kLlama8B.dump())).name == "llama");
  CHECK(read_file(folder.write("llama/config.json", text)).name == "meta-llama/Llama-3.1-8B");
  CHECK(read_file(folder.write("acme--Big-Llama-v1.5.json", text)).name == "acme/Big-Llama-v1.5");
  const Json local = with(kLlama8B, {{"_name_or_path", "/data/checkpoints/step-9000"}});
  CHECK(read_file(folder.write("llama/config.json", local.dump())).name == "llama");
  CHECK_THROWS_AS(read_file(folder.write("cut.json", "{\"model_type\": ")), ConfigError);
  CHECK(read_file(folder.write("somewhere/own-14b.json", kLlama8B.dump())).name == "own-14b");
}

TEST_CASE("Silence and null in a config.json mean what they mean to the transformers library",
          "[model][hf]") {
  const ModelSpec mha = read(without(without(kLlama8B, "num_key_value_heads"), "tie_word_embeddings"));
  CHECK(mha.num_key_value_heads == 32);
  CHECK_FALSE(mha.tie_word_embeddings);
  CHECK(read(with(kLlama8B, {{"head_dim", nullptr}})).head_dim == 128);
  CHECK(read(with(kLlama8B, {{"head_dim", 64}})).head_dim == 64);
  CHECK(what_is_wrong(without(kQwen3, "num_key_value_heads")) == "'num_key_value_heads' is missing");
  CHECK(what_is_wrong(without(kQwen3, "head_dim")) == "'head_dim' is missing");
  CHECK(what_is_wrong(without(kDeepSeekV3, "q_lora_rank")) == "'q_lora_rank' is missing");
  CHECK(what_is_wrong(without(kDeepSeekV3, "first_k_dense_replace")) == "'first_k_dense_replace' is missing");
  CHECK(read(with(kDeepSeekV3, {{"n_shared_experts", nullptr}})).shared_experts_parameters() == 0);
}

TEST_CASE("Gemma 3 relies on the library's values where its text_config is silent", "[model][hf]") {
  const Json text{{"model_type", "gemma3_text"},
                  {"hidden_size", 2560},
                  {"intermediate_size", 10240},
                  {"num_hidden_layers", 34},
                  {"sliding_window", 1024}};
  const ModelSpec m = read(vision("gemma3", text));
  CHECK(m.vocab_size == 262208);
  CHECK(m.num_attention_heads == 8);
  CHECK(m.num_key_value_heads == 4);
  CHECK(m.head_dim == 256);
  CHECK(m.tie_word_embeddings);
  CHECK(m.layers_with(Attention::full) == 5);  // the 6th, 12th, ... of 34
  CHECK(m.layers_with(Attention::sliding) == 29);
  CHECK(m.sliding_window_tokens == 1024);
  CHECK(m.note ==
        "The language model of 'gemma3' alone: what turns images or sound into tokens is not "
        "modelled.");
}

TEST_CASE("A wrapper decides about tied tables where its language model is silent", "[model][hf]") {
  const Json text = without(kLlama8B, "tie_word_embeddings");
  CHECK(read(with(vision("llava", text), {{"tie_word_embeddings", true}})).tie_word_embeddings);
  CHECK_FALSE(read(vision("llava", text)).tie_word_embeddings);
  CHECK_FALSE(read(with(vision("llava", kLlama8B), {{"tie_word_embeddings", true}})).tie_word_embeddings);
}

TEST_CASE("Sliding windows of a config.json reach the model", "[model][hf]") {
  const Json mistral = with(kLlama8B, {{"model_type", "mistral"}, {"sliding_window", 4096}});
  CHECK(read(mistral).sliding_window_tokens == 4096);
  CHECK(read(mistral).layers_with(Attention::sliding) == 32);
  CHECK(read(with(mistral, {{"sliding_window", nullptr}})).layers_with(Attention::full) == 32);
  CHECK(what_is_wrong(without(mistral, "sliding_window")) == "'sliding_window' is missing");
  CHECK(read(without(kMixtral, "sliding_window")).layers_with(Attention::full) == 56);
  CHECK(read(with(kMixtral, {{"sliding_window", 4096}})).layers_with(Attention::sliding) == 56);

  const ModelSpec upper =
      read(with(kQwen3, {{"use_sliding_window", true}, {"sliding_window", 4096}, {"max_window_layers", 48}}));
  CHECK(upper.attention_pattern.size() == 64);
  CHECK(upper.layers_with(Attention::sliding) == 16);
  CHECK(upper.attention_pattern[47] == Attention::full);
  CHECK(upper.attention_pattern[48] == Attention::sliding);

  std::vector<std::string> types(64, "full_attention");
  CHECK(read(with(kQwen3, {{"layer_types", types}})).attention_pattern == std::vector{Attention::full});
  CHECK(read(with(kLlama8B, {{"layer_types", std::vector(types.begin(), types.begin() + 32)}}))
            .layers_with(Attention::full) == 32);
  types[1] = "sliding_attention";
  CHECK(
      read(with(kQwen3, {{"layer_types", types}, {"sliding_window", 128}})).layers_with(Attention::sliding) ==
      1);
}

TEST_CASE("Layers that rotate in Llama 4 attend to their chunk, the others to everything", "[model][hf]") {
  std::vector<int> rotates(48, 1);
  rotates[5] = 0;
  CHECK(read(with(kLlama4Text, {{"no_rope_layers", rotates}})).layers_with(Attention::full) == 1);
  std::vector<std::string> types(48, "chunked_attention");
  CHECK(read(with(kLlama4Text, {{"layer_types", types}})).layers_with(Attention::chunked) == 48);
  CHECK(read(with(kLlama4Text, {{"moe_layers", {1, 3}}, {"num_hidden_layers", 4}})).moe_layers == 2);
  CHECK(what_is_wrong(with(kLlama4Text, {{"moe_layers", {0, 2}}, {"num_hidden_layers", 4}})) ==
        "moe_layers: lists other layers than \"interleave_moe_layer_step\" gives");
}

TEST_CASE("Dense layers of Qwen's experts may come first, and every second layer may be MoE", "[model][hf]") {
  const ModelSpec first = read(with(kQwen3Moe, {{"mlp_only_layers", {0, 1}}}));
  CHECK(first.first_dense_layers == 2);
  CHECK(first.moe_layers == 92);
  CHECK(first.intermediate_size == 12288);
  const ModelSpec second = read(with(kQwen3Moe, {{"decoder_sparse_step", 2}}));
  CHECK(second.moe_layers == 47);
  CHECK(second.dense_layers() == 47);
  CHECK(what_is_wrong(with(kQwen3Moe, {{"mlp_only_layers", {7}}})) ==
        "mlp_only_layers: is not understood for architecture 'qwen3_moe'");
}

TEST_CASE("The format of the published weights is read, with the experts' where only they are in it",
          "[model][hf]") {
  const auto format = [](const Json& config, const Json& quantization) {
    return read(with(config, {{"quantization_config", quantization}})).published_quantization;
  };
  CHECK(read(kLlama8B).published_quantization.empty());
  CHECK(format(kLlama8B, {{"quant_method", "fp8"}}) == "fp8");
  CHECK(format(kLlama8B, {{"quant_method", "fbgemm_fp8"}}) == "fp8");
  CHECK(format(kQwen3, {{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}}) == "fp8-block");
  CHECK(format(kLlama8B, {{"quant_method", "awq"}, {"bits", 4}, {"group_size", 128}}) == "int4");
  CHECK(format(kLlama8B, {{"quant_method", "gptq"}, {"bits", 8}}) == "int8");
  CHECK(format(kLlama8B, {{"quant_method", "modelopt"}, {"quant_algo", "FP8"}}) == "fp8");
  CHECK(format(kLlama8B, {{"quant_algo", "NVFP4"}}) == "nvfp4");
  CHECK(format(kLlama8B, {{"quantization", {{"quant_algo", "W4A16_AWQ"}}}}) == "int4");
  const auto compressed = [](const Json& weights) {
    return Json{{"quant_method", "compressed-tensors"},
                {"config_groups", {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}}}}}};
  };
  CHECK(format(kLlama8B, compressed({{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}})) == "fp8");
  CHECK(format(kLlama8B, compressed({{"num_bits", 8}, {"type", "float"}, {"strategy", "block"}})) ==
        "fp8-block");
  CHECK(format(kLlama8B, compressed({{"num_bits", 8}, {"type", "int"}})) == "int8");
  CHECK(format(kLlama8B, compressed({{"num_bits", 4}, {"type", "int"}, {"group_size", 128}})) == "int4");
  CHECK(format(kLlama8B, compressed({{"num_bits", 4}, {"type", "float"}, {"group_size", 16}})) == "nvfp4");
  CHECK(format(kLlama8B, compressed({{"num_bits", 4}, {"type", "float"}, {"group_size", 32}})) == "mxfp4");
  CHECK(read(with(kLlama8B, {{"quantization_config", {{"quant_method", "fp8"}}}})).note ==
        "Weights published in fp8.");

  // Kimi-K2-Thinking: experts in groups of 32 four-bit integers, the rest in 16 bits
  Json experts = compressed({{"num_bits", 4}, {"type", "int"}, {"group_size", 32}, {"strategy", "group"}});
  experts["ignore"] = {"lm_head", "re:.*self_attn.*", "re:.*shared_experts.*"};
  const ModelSpec kimi = read(with(kDeepSeekV3, {{"quantization_config", experts}}));
  CHECK(kimi.published_quantization == "int4");
  CHECK(kimi.expert_weight_bits == 4.5);
  CHECK(kimi.note == "Weights published in int4, those of the routed experts only.");
  const Json norms{{"quant_method", "fp8"},
                   {"modules_to_not_convert", {"lm_head", "model.layers.0.self_attn.q_norm"}}};
  CHECK_FALSE(read(with(kQwen3Moe, {{"quantization_config", norms}})).expert_weight_bits.has_value());
  CHECK_FALSE(read(kDeepSeekV3).expert_weight_bits.has_value());
  CHECK_THAT(read(with(kLlama8B, {{"quantization_config", experts}})).note,
             Contains("Attention layers are published in 16 bits"));
}

TEST_CASE("The Model Optimizer's hf_quant_config.json beside a config.json is read", "[model][hf]") {
  const Folder folder;
  const auto config = folder.write("llama/config.json", kLlama8B.dump());
  folder.write("llama/hf_quant_config.json",
               R"({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4"}})");
  CHECK(read_file(config).published_quantization == "nvfp4");
  folder.write("llama/hf_quant_config.json", R"({"quantization": {"quant_algo": "W4A8"}})");
  CHECK_THROWS_WITH(read_file(config),
                    Contains("hf_quant_config.json:1:33: quantization.quant_algo: 'W4A8' is not understood"));
}

TEST_CASE("Published formats are spelled as scenarios spell precisions", "[model][hf]") {
  int published = 0;
  for (const ModelSpec& m : models()) {
    if (m.published_quantization.empty()) continue;
    CAPTURE(m.name);
    CHECK(std::ranges::count(kPrecisionNames, m.published_quantization) == 1);
    ++published;
  }
  CHECK(published == 5);
  // and their scale factors weigh the same
  CHECK(*read(kGptOss).expert_weight_bits == 8 * bytes_per_element(Precision::mxfp4));
  const auto bits = [](const Json& quantization) {
    return *read(with(kMixtral, {{"quantization_config", quantization}})).expert_weight_bits;
  };
  const Json spared{"model.layers.*.self_attn"};
  CHECK(bits({{"quant_algo", "NVFP4"}, {"exclude_modules", spared}}) ==
        8 * bytes_per_element(Precision::nvfp4));
  CHECK(bits({{"quant_method", "gptq"}, {"bits", 4}, {"modules_to_not_convert", spared}}) ==
        8 * bytes_per_element(Precision::int4));
  CHECK(bits({{"quant_method", "fp8"},
              {"weight_block_size", {128, 128}},
              {"modules_to_not_convert", spared}}) == 8 * bytes_per_element(Precision::fp8_block));
}

TEST_CASE("Layers for multi-token prediction are counted apart from the others", "[model][hf]") {
  CHECK(read(kDeepSeekV3).num_nextn_predict_layers == 1);
  CHECK(read(kDeepSeekV3).num_hidden_layers == 61);
  const Json m2{{"model_type", "minimax_m2"},  {"head_dim", 128},
                {"hidden_size", 3072},         {"intermediate_size", 1536},
                {"mtp_transformer_layers", 2}, {"num_attention_heads", 48},
                {"num_experts_per_tok", 8},    {"num_hidden_layers", 62},
                {"num_key_value_heads", 8},    {"num_local_experts", 256},
                {"num_mtp_modules", 3},        {"use_mtp", true},
                {"vocab_size", 200064}};
  CHECK(read(m2).num_nextn_predict_layers == 6);
  CHECK(read(with(m2, {{"use_mtp", false}})).num_nextn_predict_layers == 0);
  CHECK(what_is_wrong(with(m2, {{"attn_type_list", std::vector<int>(62, 0)}})) ==
        "attn_type_list: is not understood for architecture 'minimax_m2'");
}

TEST_CASE("Experts of ERNIE must reach to the last layer", "[model][hf]") {
  const Json ernie = Json::parse(R"({"model_type": "ernie4_5_moe", "hidden_size": 2560,
      "intermediate_size": 12288, "moe_intermediate_size": 1536, "moe_k": 6, "moe_layer_end_index": -1,
      "moe_layer_interval": 1, "moe_layer_start_index": 1, "moe_num_experts": 64,
      "moe_num_shared_experts": 2, "num_attention_heads": 20, "num_hidden_layers": 28,
      "num_key_value_heads": 4, "vocab_size": 103424})");
  CHECK(read(ernie).moe_layers == 27);
  CHECK(read(ernie).shared_expert_intermediate_size == 3072);
  CHECK(what_is_wrong(with(ernie, {{"moe_layer_end_index", 20}})) ==
        "moe_layer_end_index: is not understood for architecture 'ernie4_5_moe'");
  CHECK(what_is_wrong(with(ernie, {{"moe_k", 65}})) == "moe_k: is greater than the number of experts, 64");
}

TEST_CASE("Damaged config files are refused with exactly these words", "[model][hf]") {
  struct Case {
    const char* what;
    Json config;
    const char* error;
  };
  const std::vector<std::string> mamba(64, "mamba"), three(3, "full_attention");
  const std::vector<Case> cases{
      {"no model type", without(kLlama8B, "model_type"), "'model_type' is missing"},
      {"a size is missing", without(kDeepSeekV3, "kv_lora_rank"), "'kv_lora_rank' is missing"},
      {"a size of the experts is missing", without(kQwen3Moe, "moe_intermediate_size"),
       "'moe_intermediate_size' is missing"},
      {"a negative size", with(kQwen3Moe, {{"hidden_size", -4096}}),
       "hidden_size: must be greater than zero"},
      {"no experts", with(kMixtral, {{"num_local_experts", 0}}),
       "num_local_experts: must be greater than zero"},
      {"a word for a number", with(kGptOss, {{"num_local_experts", "128"}}),
       "num_local_experts: expects a whole number, not a string"},
      {"a fraction", with(kQwen3Next, {{"linear_num_key_heads", 16.5}}),
       "linear_num_key_heads: expects a whole number, not 16.5"},
      {"far too many layers", with(kDeepSeekV3, {{"num_hidden_layers", 1000000}}),
       "num_hidden_layers: must be at most 100000"},
      {"a token uses more experts than there are", with(kDeepSeekV3, {{"num_experts_per_tok", 300}}),
       "num_experts_per_tok: is greater than the number of experts, 256"},
      {"KV heads that do not share the heads", with(kMixtral, {{"num_key_value_heads", 5}}),
       "num_key_value_heads: 5 does not divide the 48 attention heads"},
      {"dense layers only", with(kDeepSeekV3, {{"first_k_dense_replace", 61}}),
       "all layers are dense, but there are experts"},
      {"an unknown kind of layer", with(kQwen3, {{"layer_types", mamba}}),
       "layer_types: 'mamba' is unknown; known: full_attention sliding_attention"},
      {"kinds of other layers", with(kQwen3, {{"layer_types", three}}),
       "layer_types: has 3 entries for 64 layers"},
      {"linear layers in a model of windows",
       with(kGptOss, {{"layer_types", std::vector<std::string>(36, "linear_attention")}}),
       "layer_types: 'linear_attention' is unknown; known: full_attention sliding_attention; "
       "did you mean 'sliding_attention'?"},
      {"a window in a model without", with(kLlama8B, {{"sliding_window", 4096}}),
       "sliding_window: is not understood for architecture 'llama'"},
      {"experts in a dense model", with(kLlama8B, {{"num_local_experts", 8}}),
       "num_local_experts: is not understood for architecture 'llama'"},
      {"latent attention in a plain model", with(kLlama8B, {{"kv_lora_rank", 512}}),
       "kv_lora_rank: is not understood for architecture 'llama'"},
      {"sparse attention in a dense model", with(kDeepSeekV3, {{"index_topk", 2048}}),
       "index_topk: is not understood for architecture 'deepseek_v3'"},
      {"a model around a model", with(kLlama8B, {{"text_config", {{"hidden_size", 1}}}}),
       "text_config: is not understood for architecture 'llama'"},
      {"experts in every second layer of DeepSeek", with(kDeepSeekV3, {{"moe_layer_freq", 2}}),
       "moe_layer_freq: is not understood for architecture 'deepseek_v3'"},
      {"shared experts of MiniMax", with(minimax("minimax_m1"), {{"shared_intermediate_size", 9216}}),
       "shared_intermediate_size: is not understood for architecture 'minimax_m1'"},
      {"a window whose layers are not known", with(kQwen3Moe, {{"use_sliding_window", true}}),
       "use_sliding_window: is not understood for architecture 'qwen3_moe'"},
      {"embeddings of another width",
       {{"model_type", "opt"},
        {"ffn_dim", 2048},
        {"hidden_size", 1024},
        {"num_attention_heads", 16},
        {"num_hidden_layers", 24},
        {"vocab_size", 50272},
        {"word_embed_proj_dim", 512}},
       "word_embed_proj_dim: embeddings of another width than the layers are not understood"},
      {"an unknown quantisation",
       with(kLlama8B, {{"quantization_config", {{"quant_method", "bitsandbytes"}}}}),
       "quantization_config.quant_method: 'bitsandbytes' is unknown; known: fp8 fbgemm_fp8 mxfp4 "
       "compressed-tensors awq gptq modelopt"},
      {"three-bit weights",
       with(kLlama8B, {{"quantization_config", {{"quant_method", "gptq"}, {"bits", 3}}}}),
       "quantization_config.bits: '3' is not understood; without \"quantization_config\" the weights have 16 "
       "bits"},
      {"a mixture of formats",
       with(kLlama8B,
            {{"quantization_config", {{"quant_method", "modelopt"}, {"quant_algo", "MIXED_PRECISION"}}}}),
       "quantization_config.quant_algo: 'MIXED_PRECISION' is not understood; without "
       "\"quantization_config\" the weights have 16 bits"}};
  for (const Case& each : cases) {
    CAPTURE(each.what);
    CHECK(what_is_wrong(each.config) == each.error);
  }
}

TEST_CASE("An architecture that is not understood is refused by name, with those that are", "[model][hf]") {
  CHECK(what_is_wrong({{"model_type", "mamba2"}, {"hidden_size", 4096}}) ==
        "model_type: architecture 'mamba2' is not understood; known: bloom deepseek_v2 deepseek_v3 "
        "deepseek_v32 ernie4_5_moe falcon gemma2 gemma3_text glm4_moe glm_moe_dsa gpt_neox gpt_oss kimi_k2 "
        "llama llama4_text minimax_m1 minimax_m2 minimax_text_01 mistral mixtral nemotron opt phi3 qwen2 "
        "qwen2_moe qwen3 qwen3_5_moe_text qwen3_5_text qwen3_moe qwen3_next qwen3_vl_moe_text qwen3_vl_text");
  CHECK_THAT(what_is_wrong(vision("mllama", {{"model_type", "mllama_text_model"}})),
             Catch::StartsWith("text_config.model_type: architecture 'mllama_text_model' is not understood"));
  CHECK(what_is_wrong(with(kLlama8B, {{"num_local_experts", 0}})) == "no problem");
}

}  // namespace
}  // namespace disagg
