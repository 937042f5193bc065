#include "sim/model/model_spec.hpp"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "embedded.hpp"

namespace disagg {
namespace {

using Catch::Matchers::Contains;

const ModelSpec& model(std::string_view name) {
  const auto row = std::ranges::find(models(), name, &ModelSpec::name);
  REQUIRE(row != models().end());
  return *row;
}

// A model as the object of a scenario holds it under "model". Throws ConfigError.
ModelSpec read_from(ConfigNode scenario) {
  Problems problems;
  Reader r(scenario, "", problems);
  const auto read = read_model(r, "model");
  r.done();
  problems.throw_if_any();
  return read.value();
}

ModelSpec read(std::string_view scenario) { return read_from(parse_config(scenario, "scenario.json")); }

std::string problem(std::string_view scenario) {
  try {
    read(scenario);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no problem";
}

// A folder with a scenario that refers to models/llama/config.json below it, for as long as this lives.
class ScenarioFolder {
 public:
  explicit ScenarioFolder(std::string_view hf_config) {
    std::filesystem::create_directories(folder_ / "models/llama");
    std::ofstream(folder_ / "models/llama/config.json") << hf_config;
    std::ofstream(scenario()) << R"({"model": {"hf_config": "models/llama/config.json"}})";
  }
  ScenarioFolder(const ScenarioFolder&) = delete;
  ScenarioFolder& operator=(const ScenarioFolder&) = delete;
  ~ScenarioFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::filesystem::path scenario() const { return folder_ / "scenario.json"; }

 private:
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("disagg-model-" + std::to_string(getpid()));
};

ModelSpec read_hf(const nlohmann::json& config) {
  const ScenarioFolder folder(config.dump());
  return read_from(load_config(folder.scenario()));
}

std::string hf_problem(const nlohmann::json& config) {
  try {
    read_hf(config);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no problem";
}

nlohmann::json with(nlohmann::json config, const nlohmann::json& changes) {
  config.update(changes);
  return config;
}

nlohmann::json without(nlohmann::json config, const char* key) {
  config.erase(key);
  return config;
}

const nlohmann::json kLlama8B = nlohmann::json::parse(R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 128000,
  "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
  "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32,
  "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 8.0, "rope_type": "llama3"}, "rope_theta": 500000.0,
  "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256})");

const nlohmann::json kQwen3 = nlohmann::json::parse(R"({
  "model_type": "qwen3", "head_dim": 128, "hidden_size": 5120, "intermediate_size": 25600,
  "max_position_embeddings": 40960, "max_window_layers": 64, "num_attention_heads": 64,
  "num_hidden_layers": 64, "num_key_value_heads": 8, "sliding_window": null, "tie_word_embeddings": false,
  "use_sliding_window": false, "vocab_size": 151936})");

TEST_CASE("The catalog holds 18 models, each with a source", "[model]") {
  CHECK(models().size() == 18);
  for (const ModelSpec& m : models()) {
    CAPTURE(m.name);
    CHECK(m.source != "the scenario");
    CHECK(m.num_hidden_layers % static_cast<std::int64_t>(m.attention_pattern.size()) == 0);
  }
}

TEST_CASE("Parameters of dense models are counted exactly", "[model]") {
  CHECK(model("meta-llama/Llama-2-70b-hf").parameters() == 68'975'329'280.0);
  CHECK(model("meta-llama/Llama-3.1-8B").parameters() == 8'029'995'008.0);
  CHECK(model("meta-llama/Llama-3.1-70B").parameters() == 70'552'387'584.0);
  CHECK(model("meta-llama/Llama-3.1-405B").parameters() == 405'849'243'648.0);
  CHECK(model("Qwen/Qwen3-32B").parameters() == 32'761'446'400.0);
  CHECK(model("bigscience/bloom").parameters() == 176'234'168'320.0);
}

TEST_CASE("Computed parameters lie within 0.1 % of the published ones, or the row says why not", "[model]") {
  int explained = 0;
  for (const ModelSpec& m : models()) {
    if (!m.params_total_published) continue;
    CAPTURE(m.name);
    const double difference = m.parameters() / *m.params_total_published - 1;
    CHECK(std::abs(difference) < 0.027);
    if (std::abs(difference) <= 0.001) continue;
    CHECK_THAT(m.note, Contains("Published total"));
    ++explained;
  }
  CHECK(explained == 7);
}

TEST_CASE("Every model adds up to what its catalog row says", "[model]") {
  const auto rows = nlohmann::json::parse(embedded::model_catalog).at("models");
  REQUIRE(rows.size() == models().size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const ModelSpec& m = models()[i];
    const nlohmann::json& check = rows[i].at("check");
    CAPTURE(m.name);
    CHECK_FALSE(m.not_modelled().has_value());
    CHECK(m.parameters() == check.at("params_total_computed").get<double>());
    CHECK(m.active_parameters() == check.at("params_active_computed_with_embeddings").get<double>());
    CHECK(2 * m.growing_kv_elements_per_token() == check.at("kv_bytes_per_token_16bit").get<double>());
  }
}

TEST_CASE("One Llama-70B layer has 151 million attention and 705 million FFN weights", "[model]") {
  const ModelSpec& m = model("meta-llama/Llama-3.1-70B");
  CHECK(m.attention_parameters_per_layer() == 2.0 * 8192 * 64 * 128 + 2.0 * 8192 * 8 * 128);
  CHECK(m.ffn_parameters_per_layer() == 3.0 * 8192 * 28672);
  CHECK(m.embedding_parameters() == 128256.0 * 8192);
  CHECK(m.kv_elements_per_token_per_layer() == 2048);
}

TEST_CASE("Heads of Qwen3-32B are wider than its hidden size over its heads", "[model]") {
  const ModelSpec& m = model("Qwen/Qwen3-32B");
  CHECK(m.head_dim == 128);
  CHECK(m.hidden_size / m.num_attention_heads == 80);
}

// bytes per token = layers x 2 x KV heads x head width x bytes per element
TEST_CASE("48 layers of 64 heads keep 1,572,864, 196,608 and 24,576 B a token with 64, 8 and 1 KV heads",
          "[model]") {
  ModelSpec m;
  m.num_hidden_layers = 48;
  m.attention_pattern = {Attention::full};
  m.head_dim = 128;
  const auto bytes_per_token = [&m](std::int64_t kv_heads) {
    m.num_key_value_heads = kv_heads;
    return m.num_hidden_layers * m.kv_elements_per_token_per_layer() * 2;
  };
  CHECK(bytes_per_token(64) == 1'572'864);
  CHECK(bytes_per_token(8) == 196'608);
  CHECK(bytes_per_token(1) == 24'576);
}

TEST_CASE("Fields of models that are not modelled are read all the same", "[model]") {
  const ModelSpec& r1 = model("deepseek-ai/DeepSeek-R1");
  CHECK(r1.kv_lora_rank == 512);
  CHECK(r1.qk_rope_head_dim == 64);
  CHECK(r1.num_key_value_heads == 0);
  CHECK(r1.moe_layers == 58);
  CHECK(r1.num_experts_per_tok == 8);
  CHECK(r1.attention_pattern == std::vector{Attention::mla});
  CHECK(model("openai/gpt-oss-120b").sliding_window_tokens == 128);
  CHECK(model("meta-llama/Llama-4-Scout-17B-16E-Instruct").attention_chunk_tokens == 8192);
  CHECK(model("Qwen/Qwen3-Next-80B-A3B").attention_pattern.size() == 4);
}

TEST_CASE("A model is read by its full name or the last part of it, in any case", "[model]") {
  CHECK(read(R"({"model": "meta-llama/Llama-3.1-70B"})").num_hidden_layers == 80);
  CHECK(read(R"({"model": "llama-3.1-70b"})").name == "meta-llama/Llama-3.1-70B");
  CHECK(read(R"({"model": "BLOOM"})").name == "bigscience/bloom");
  CHECK_THAT(problem(R"({"model": "Llama-3.1-71B"})"),
             Contains("scenario.json:1:11: model: 'llama-3.1-71b' is unknown; known: llama-2-70b-hf ") &&
                 Contains("did you mean 'llama-3.1-70b'?"));
  CHECK_THAT(problem("{}"), Contains("'model' is missing"));
}

TEST_CASE("An inline model derives its head width and KV heads unless it states them", "[model]") {
  const ModelSpec m = read(R"({"model": {"name": "tiny", "num_hidden_layers": 4, "hidden_size": 512,
      "num_attention_heads": 8, "vocab_size": 1000, "intermediate_size": 2048}})");
  CHECK(m.head_dim == 64);
  CHECK(m.num_key_value_heads == 8);
  CHECK(m.mlp_matrices == 3);
  CHECK(m.parameters() == 4.0 * (4 * 512 * 512 + 3 * 512 * 2048) + 2.0 * 1000 * 512);
  CHECK_FALSE(m.not_modelled().has_value());

  const ModelSpec wide =
      read(R"({"model": {"num_hidden_layers": 4, "hidden_size": 512, "num_attention_heads": 8,
      "num_key_value_heads": 2, "head_dim": 128, "vocab_size": 1000, "intermediate_size": 2048,
      "mlp_matrices": 2, "tie_word_embeddings": true}})");
  CHECK(wide.kv_elements_per_token_per_layer() == 512);
  CHECK(wide.parameters() == 4.0 * (2 * 512 * 10 * 128 + 2 * 512 * 2048) + 1000.0 * 512);
}

TEST_CASE("Mistakes in an inline model are found all at once", "[model]") {
  const std::string problems = problem(R"({"model": {"num_hidden_layer": 4, "hidden_size": 500,
      "num_attention_heads": 8, "num_key_value_heads": 3, "vocab_size": 0, "intermediate_size": 2048,
      "mlp_matrices": 4, "attention_pattern": ["ful"]}})");
  CHECK_THAT(problems, Contains("model: 'num_hidden_layers' is missing"));
  CHECK_THAT(problems,
             Contains("key 'num_hidden_layer' is unknown") && Contains("did you mean 'num_hidden_layers'?"));
  CHECK_THAT(problems,
             Contains("model: 'head_dim' is missing, and 8 heads do not divide the hidden size 500"));
  CHECK_THAT(problems, Contains("model.num_key_value_heads: 3 does not divide the 8 attention heads"));
  CHECK_THAT(problems, Contains("model.vocab_size: must be greater than zero"));
  CHECK_THAT(problems, Contains("model.mlp_matrices: must be 2 (plain) or 3 (gated)"));
  CHECK_THAT(problems,
             Contains("model.attention_pattern: 'ful' is unknown") && Contains("did you mean 'full'?"));
  CHECK_THAT(problem(R"({"model": {"num_hidden_layers": 200000, "hidden_size": 512, "num_attention_heads": 8,
      "vocab_size": 1000, "intermediate_size": 4000000000}})"),
             Contains("model.num_hidden_layers: must be at most 100000") &&
                 Contains("model.intermediate_size: must be at most 1000000000"));
}

TEST_CASE("A latent KV rank without latent attention is a contradiction", "[model]") {
  CHECK_THAT(problem(R"({"model": {"num_hidden_layers": 4, "hidden_size": 512, "num_attention_heads": 8,
      "vocab_size": 1000, "intermediate_size": 2048, "kv_lora_rank": 64}})"),
             Contains("model.kv_lora_rank: needs the attention pattern \"mla\""));
}

TEST_CASE("A config.json of Hugging Face is read relative to the scenario's file", "[model]") {
  const ModelSpec m = read_hf(kLlama8B);
  CHECK(m.parameters() == 8'029'995'008.0);
  CHECK(m.head_dim == 128);
  CHECK(m.max_position_embeddings == 131072);
  CHECK(m.name == "llama");  // the folder that holds the file
  CHECK_FALSE(m.not_modelled().has_value());
  CHECK(read_hf(with(kLlama8B, {{"_name_or_path", "meta-llama/Llama-3.1-8B"}})).name ==
        "meta-llama/Llama-3.1-8B");
}

TEST_CASE("Silence and null in a config.json mean what they mean to the transformers library", "[model]") {
  const ModelSpec mha = read_hf(without(without(kLlama8B, "num_key_value_heads"), "tie_word_embeddings"));
  CHECK(mha.num_key_value_heads == 32);
  CHECK_FALSE(mha.tie_word_embeddings);
  CHECK(read_hf(with(kLlama8B, {{"head_dim", nullptr}})).head_dim == 128);
  CHECK(read_hf(with(kLlama8B, {{"head_dim", 64}})).head_dim == 64);
  CHECK_THAT(hf_problem(without(kQwen3, "num_key_value_heads")),
             Contains("'num_key_value_heads' is missing"));
  CHECK_THAT(hf_problem(without(kQwen3, "head_dim")), Contains("'head_dim' is missing"));
  CHECK(read_hf(with(kLlama8B, {{"quantization_config", {{"quant_method", "fp8"}}}}))
            .note.starts_with("Published"));
}

TEST_CASE("Config files of Qwen, BLOOM, OPT, GPT-NeoX and Mistral are understood", "[model]") {
  const ModelSpec qwen = read_hf(kQwen3);
  CHECK(qwen.parameters() == 32'761'446'400.0);
  CHECK_FALSE(qwen.not_modelled().has_value());

  const ModelSpec bloom = read_hf({{"model_type", "bloom"},
                                   {"n_layer", 70},
                                   {"num_attention_heads", 112},
                                   {"n_embed", 14336},
                                   {"vocab_size", 250880},
                                   {"n_inner", nullptr}});
  CHECK(bloom.parameters() == 176'234'168'320.0);
  CHECK(bloom.tie_word_embeddings);

  const nlohmann::json opt{{"model_type", "opt"},
                           {"num_hidden_layers", 48},
                           {"num_attention_heads", 72},
                           {"hidden_size", 9216},
                           {"ffn_dim", 36864},
                           {"vocab_size", 50272},
                           {"word_embed_proj_dim", 9216},
                           {"max_position_embeddings", 2048}};
  CHECK(read_hf(opt).parameters() == 48 * 12.0 * 9216 * 9216 + 50272.0 * 9216);
  CHECK_THAT(hf_problem(with(opt, {{"word_embed_proj_dim", 512}})), Contains("word_embed_proj_dim: "));

  const ModelSpec neox = read_hf({{"model_type", "gpt_neox"},
                                  {"num_hidden_layers", 44},
                                  {"num_attention_heads", 64},
                                  {"hidden_size", 6144},
                                  {"intermediate_size", 24576},
                                  {"vocab_size", 50432}});
  CHECK(neox.parameters() == 44 * 12.0 * 6144 * 6144 + 2 * 50432.0 * 6144);

  const nlohmann::json mistral = with(kLlama8B, {{"model_type", "mistral"}, {"sliding_window", nullptr}});
  CHECK_FALSE(read_hf(mistral).not_modelled().has_value());
}

TEST_CASE("Sliding windows of a config.json reach the model", "[model]") {
  const nlohmann::json mistral = with(kLlama8B, {{"model_type", "mistral"}, {"sliding_window", 4096}});
  CHECK(read_hf(mistral).sliding_window_tokens == 4096);
  CHECK(read_hf(mistral).layers_with(Attention::sliding) == 32);
  CHECK_THAT(hf_problem(without(mistral, "sliding_window")), Contains("'sliding_window' is missing"));

  const ModelSpec upper = read_hf(
      with(kQwen3, {{"use_sliding_window", true}, {"sliding_window", 4096}, {"max_window_layers", 48}}));
  CHECK(upper.attention_pattern.size() == 64);
  CHECK(std::ranges::count(upper.attention_pattern, Attention::sliding) == 16);
  CHECK(upper.attention_pattern[47] == Attention::full);
  CHECK(upper.attention_pattern[48] == Attention::sliding);

  std::vector<std::string> types(64, "full_attention");
  CHECK_FALSE(read_hf(with(kQwen3, {{"layer_types", types}})).not_modelled().has_value());
  types[1] = "sliding_attention";
  CHECK(read_hf(with(kQwen3, {{"layer_types", types}, {"sliding_window", 128}}))
            .layers_with(Attention::sliding) == 1);
  types[1] = "mamba";
  CHECK_THAT(hf_problem(with(kQwen3, {{"layer_types", types}})), Contains("layer_types: 'mamba' is unknown"));
  CHECK_THAT(hf_problem(with(kLlama8B, {{"sliding_window", 4096}})),
             Contains("sliding_window: is not understood for architecture 'llama'"));
}

TEST_CASE("An architecture or a key that is not understood is refused by name", "[model]") {
  CHECK_THAT(
      hf_problem({{"model_type", "mamba2"}, {"hidden_size", 4096}}),
      Contains("models/llama/config.json:1:") &&
          Contains("model_type: architecture 'mamba2' is not understood; known: bloom gpt_neox llama mistral "
                   "opt qwen2 qwen3"));
  CHECK_THAT(hf_problem({{"hidden_size", 4096}}), Contains("'model_type' is missing"));
  CHECK_THAT(hf_problem(with(kLlama8B, {{"num_local_experts", 8}})),
             Contains("num_local_experts: is not understood for architecture 'llama'"));
  CHECK_THAT(hf_problem(with(kLlama8B, {{"kv_lora_rank", 512}})),
             Contains("kv_lora_rank: is not understood"));
  CHECK_THAT(hf_problem(with(kLlama8B, {{"text_config", {{"hidden_size", 1}}}})),
             Contains("text_config: is not"));
  CHECK(hf_problem(with(kLlama8B, {{"num_local_experts", 0}})) == "no problem");
}

TEST_CASE("A config.json that cannot be read is a problem of the scenario", "[model]") {
  CHECK_THAT(problem(R"({"model": {"hf_config": "no-such-folder/config.json"}})"),
             Contains("scenario.json:1:25: model.hf_config: ") && Contains("no-such-folder/config.json"));
  CHECK_THAT(problem(R"({"model": {"hf_config": 7}})"), Contains("model.hf_config: expects a string"));
  CHECK_THAT(problem(R"({"model": {"hf_config": "x.json", "layers": 3}})"),
             Contains("key 'layers' is unknown"));
  const ScenarioFolder folder("{ not JSON");
  CHECK_THROWS_WITH(read_from(load_config(folder.scenario())),
                    Contains("models/llama/config.json:1:4: syntax error"));
}

}  // namespace
}  // namespace disagg
