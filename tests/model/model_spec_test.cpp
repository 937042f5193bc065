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
#include "sim/base/expect.hpp"

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

// Total over the layers.
double kv_elements(const ModelSpec& m, Attention attention) {
  return static_cast<double>(m.layers_with(attention)) * m.kv_elements_per_token(attention);
}

TEST_CASE("KV caches and states of the catalog are as published", "[model]") {
  CHECK(2 * model("meta-llama/Llama-3.1-70B").growing_kv_elements_per_token() == 327'680);
  CHECK(2 * model("deepseek-ai/DeepSeek-V3").growing_kv_elements_per_token() == 70'272);
  CHECK(2 * model("deepseek-ai/DeepSeek-V3.2").growing_kv_elements_per_token() == 70'272 + 15'616);
  CHECK(2 * model("bigscience/bloom").growing_kv_elements_per_token() == 4'014'080);

  // windows: what grows with the context, what does not, and how much the latter holds at most
  const ModelSpec& gpt_oss = model("openai/gpt-oss-120b");
  CHECK(2 * gpt_oss.growing_kv_elements_per_token() == 36'864);
  CHECK(2 * (kv_elements(gpt_oss, Attention::full) + kv_elements(gpt_oss, Attention::sliding)) == 73'728);
  CHECK(2 * kv_elements(gpt_oss, Attention::sliding) * static_cast<double>(gpt_oss.sliding_window_tokens) ==
        4'718'592);
  const ModelSpec& scout = model("meta-llama/Llama-4-Scout-17B-16E-Instruct");
  CHECK(2 * scout.growing_kv_elements_per_token() == 49'152);
  CHECK(2 * (kv_elements(scout, Attention::full) + kv_elements(scout, Attention::chunked)) == 196'608);
  CHECK(2 * kv_elements(scout, Attention::chunked) * static_cast<double>(scout.attention_chunk_tokens) ==
        1'207'959'552);

  const ModelSpec& minimax = model("MiniMaxAI/MiniMax-Text-01");
  CHECK(minimax.layers_with(Attention::linear) == 70);
  CHECK(2 * minimax.growing_kv_elements_per_token() == 40'960);
  CHECK(70 * minimax.state_bytes(Attention::linear) == Bytes{293'601'280});
  CHECK_FALSE(minimax.has_gated_delta_rule());
  const ModelSpec& next = model("Qwen/Qwen3-Next-80B-A3B");
  CHECK(next.layers_with(Attention::linear) == 36);
  CHECK(2 * next.growing_kv_elements_per_token() == 24'576);
  CHECK(36 * next.state_elements(Attention::linear) == 75'497'472 / 4 + 884'736);
  CHECK(36 * next.state_bytes(Attention::linear) == Bytes{75'497'472 + 2 * 884'736});
  CHECK(next.has_gated_delta_rule());
}

TEST_CASE("Only linear layers keep a state, and only they cache no tokens", "[model]") {
  for (const ModelSpec& m : models()) {
    CAPTURE(m.name);
    std::int64_t layers = 0;
    for (const Attention attention : kAttentionKinds) {
      if (m.layers_with(attention) == 0) continue;
      layers += m.layers_with(attention);
      CAPTURE(name(attention));
      CHECK((m.state_elements(attention) > 0) == (attention == Attention::linear));
      CHECK((m.state_bytes(attention) > Bytes{0}) == (attention == Attention::linear));
      CHECK((m.kv_elements_per_token(attention) == 0) == (attention == Attention::linear));
      CHECK(m.attention_parameters(attention) > 0);
    }
    CHECK(layers == m.num_hidden_layers);
  }
}

// With MiniMax's 8 KV heads of 128, a layer's state weighs as much as the 16-bit cache of 1,024 tokens.
TEST_CASE("Below 1,024 tokens a lightning layer keeps more than a full layer would", "[model]") {
  const ModelSpec& m = model("MiniMaxAI/MiniMax-Text-01");
  CHECK(m.state_bytes(Attention::linear) / Bytes{2 * m.kv_elements_per_token(Attention::full)} == 1024);
}

TEST_CASE("Weights of one layer follow from its sizes", "[model]") {
  const ModelSpec& llama = model("meta-llama/Llama-3.1-70B");
  CHECK(llama.attention_parameters(Attention::full) == 2.0 * 8192 * 64 * 128 + 2.0 * 8192 * 8 * 128);
  CHECK(llama.dense_ffn_parameters() == 3.0 * 8192 * 28672);
  CHECK(llama.embedding_parameters() == 128256.0 * 8192);
  CHECK(llama.head_parameters() == 128256.0 * 8192);
  CHECK(model("bigscience/bloom").dense_ffn_parameters() == 2.0 * 14336 * 57344);
  CHECK(model("bigscience/bloom").head_parameters() == 250880.0 * 14336);  // although it is the input table

  const ModelSpec& v3 = model("deepseek-ai/DeepSeek-V3");
  const double latent =
      7168.0 * 1536 + 1536.0 * 128 * 192 + 7168.0 * 576 + 512.0 * 128 * 256 + 128.0 * 128 * 7168;
  CHECK(v3.attention_parameters(Attention::mla) == latent);
  CHECK(v3.expert_parameters() == 3.0 * 7168 * 2048);
  CHECK(v3.shared_experts_parameters() == v3.expert_parameters());
  CHECK(v3.router_parameters() == 7168.0 * 256);
  CHECK(v3.dense_layers() == 3);
  CHECK(v3.num_nextn_predict_layers == 1);
  const ModelSpec& v32 = model("deepseek-ai/DeepSeek-V3.2");
  CHECK(v32.attention_parameters(Attention::mla_sparse) == latent + 1536.0 * 64 * 128 + 7168.0 * (128 + 64));
  ModelSpec lite = v3;
  lite.q_lora_rank = 0;  // queries straight from the hidden state
  CHECK(lite.attention_parameters(Attention::mla) ==
        latent - 7168.0 * 1536 - 1536.0 * 128 * 192 + 7168.0 * 128 * 192);

  const ModelSpec& next = model("Qwen/Qwen3-Next-80B-A3B");
  CHECK(next.attention_parameters(Attention::full) == 2048.0 * 256 * (3 * 16 + 2 * 2));  // with output gate
  CHECK(next.attention_parameters(Attention::linear) ==
        2048.0 * (2 * 2048 + 2 * 4096 + 2 * 32) + 4096.0 * 2048 + 8192.0 * 4);
  const ModelSpec& minimax = model("MiniMaxAI/MiniMax-Text-01");
  CHECK(minimax.attention_parameters(Attention::linear) == 5.0 * 6144 * 8192);  // Q, K, V, gate, output
}

// gpt-oss 5.71 -> 5.13e9, MiniMax 48.40 -> 45.94e9: oi_cf section 6
TEST_CASE("Published active parameters leave out one or both embedding tables", "[model]") {
  const ModelSpec& gpt_oss = model("openai/gpt-oss-120b");
  CHECK(gpt_oss.active_parameters() - gpt_oss.embedding_parameters() ==
        Approx(*gpt_oss.params_active_published).epsilon(0.01));
  const ModelSpec& minimax = model("MiniMaxAI/MiniMax-Text-01");
  CHECK(minimax.active_parameters() - 2 * minimax.embedding_parameters() ==
        Approx(*minimax.params_active_published).epsilon(0.001));
  for (const ModelSpec& m : models()) {
    CAPTURE(m.name);
    CHECK(m.active_parameters() <= m.parameters());
    CHECK((m.active_parameters() == m.parameters()) == !m.is_moe());
    if (!m.params_active_published) continue;
    CHECK(*m.params_active_published < 1.02 * m.active_parameters());
    const double tables = m.embedding_parameters() + (m.tie_word_embeddings ? 0 : m.head_parameters());
    CHECK(*m.params_active_published > 0.9 * (m.active_parameters() - tables));
  }
}

TEST_CASE("A pattern that does not divide the layers ends in its middle", "[model]") {
  ModelSpec m;
  m.num_hidden_layers = 34;
  m.attention_pattern = {Attention::sliding, Attention::sliding, Attention::full};
  CHECK(m.layers_with(Attention::full) == 11);
  CHECK(m.layers_with(Attention::sliding) == 23);
  CHECK(m.layers_with(Attention::linear) == 0);
}

TEST_CASE("Mixtures of layers that are not understood are refused by name", "[model]") {
  ModelSpec m;
  m.attention_pattern = {Attention::sliding, Attention::chunked};
  CHECK(m.not_modelled() == "sliding and chunked layers in one model are not modelled");
  m.attention_pattern = {Attention::mla, Attention::mla_sparse};
  CHECK(m.not_modelled() == "latent attention with an indexer in some layers only is not modelled");
  m.attention_pattern = {Attention::mla, Attention::full};
  CHECK(m.not_modelled() == "latent and grouped-query attention in one model are not modelled");
  m.attention_pattern = {Attention::linear, Attention::sliding, Attention::full};
  CHECK_FALSE(m.not_modelled().has_value());
}

TEST_CASE("Counts for plain models refuse others", "[model]") {
  CHECK(model("meta-llama/Llama-3.1-70B").kv_elements_per_token_per_layer() == 2048);
  CHECK_THROWS_AS(model("openai/gpt-oss-120b").kv_elements_per_token_per_layer(), BrokenInvariant);
  CHECK_THROWS_AS(model("mistralai/Mixtral-8x22B-v0.1").ffn_parameters_per_layer(), BrokenInvariant);
}

TEST_CASE("Heads are not as wide as the hidden size over the heads in six families", "[model]") {
  struct Heads {
    const char* name;
    std::int64_t head_dim, quotient;
  };
  for (const auto& [name, head_dim, quotient] :
       {Heads{"Qwen/Qwen3-32B", 128, 80}, Heads{"Qwen/Qwen3-235B-A22B", 128, 64},
        Heads{"Qwen/Qwen3-Next-80B-A3B", 256, 128}, Heads{"openai/gpt-oss-120b", 64, 45},
        Heads{"MiniMaxAI/MiniMax-Text-01", 128, 96}, Heads{"MiniMaxAI/MiniMax-M1-80k", 128, 96}}) {
    CAPTURE(name);
    const ModelSpec& m = model(name);
    CHECK(m.head_dim == head_dim);
    CHECK(m.hidden_size / m.num_attention_heads == quotient);
  }
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

TEST_CASE("Rows of the catalog hold what their kind of model needs", "[model]") {
  const ModelSpec& r1 = model("deepseek-ai/DeepSeek-R1");
  CHECK(r1.has_latent_attention());
  CHECK(r1.kv_lora_rank == 512);
  CHECK(r1.qk_rope_head_dim == 64);
  CHECK(r1.num_key_value_heads == 0);
  CHECK(r1.moe_layers == 58);
  CHECK(r1.first_dense_layers == 3);
  CHECK(r1.num_experts_per_tok == 8);
  CHECK(r1.attention_pattern == std::vector{Attention::mla});
  CHECK(r1.published_quantization == "fp8-block");
  CHECK_FALSE(r1.expert_weight_bits.has_value());
  CHECK(model("deepseek-ai/DeepSeek-V3.2").index_topk == 2048);
  CHECK(model("meta-llama/Llama-4-Maverick-17B-128E-Instruct").moe_layer_step == 2);
  CHECK(model("openai/gpt-oss-120b").published_quantization == "mxfp4");
  CHECK(model("openai/gpt-oss-120b").expert_weight_bits == 4.25);
  CHECK_FALSE(model("openai/gpt-oss-120b").has_latent_attention());
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

TEST_CASE("An inline mixture of experts with latent attention is read", "[model]") {
  const ModelSpec m = read(R"({"model": {"num_hidden_layers": 6, "hidden_size": 512,
      "num_attention_heads": 8, "vocab_size": 1000, "intermediate_size": 2048,
      "attention_pattern": ["mla"], "kv_lora_rank": 64, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16,
      "v_head_dim": 32, "num_experts": 16, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
      "moe_layers": 4, "n_shared_experts": 1, "shared_expert_intermediate_size": 128}})");
  CHECK(m.first_dense_layers == 2);  // dense layers come first unless they are said to alternate
  const double attention = 512.0 * 8 * 48 + 512 * 80 + 64 * 8 * 64 + 8 * 32 * 512;
  CHECK(m.parameters() ==
        6 * attention + 2 * 3.0 * 512 * 2048 + 4 * (17 * 3.0 * 512 * 128 + 512 * 16) + 2.0 * 1000 * 512);
  CHECK(m.active_parameters() == m.parameters() - 4 * 14 * 3.0 * 512 * 128);
  CHECK(m.growing_kv_elements_per_token() == 6 * 80);
}

TEST_CASE("Sizes of experts, windows and linear layers are required where they matter, and only there",
          "[model]") {
  const auto wrong = [](const std::string& fields) {
    return problem(R"({"model": {"num_hidden_layers": 4, "hidden_size": 512, "num_attention_heads": 8,
        "vocab_size": 1000, "intermediate_size": 2048, )" +
                   fields + "}}");
  };
  CHECK_THAT(wrong(R"("attention_pattern": ["sliding", "full"])"),
             Contains("model: 'sliding_window_tokens' is missing"));
  CHECK_THAT(wrong(R"("sliding_window_tokens": 128)"),
             Contains("model.sliding_window_tokens: needs the attention pattern \"sliding\""));
  CHECK_THAT(wrong(R"("attention_pattern": ["mla_sparse"])"),
             Contains("'q_lora_rank' is missing") && Contains("'index_topk' is missing"));
  CHECK_THAT(wrong(R"("attention_pattern": ["linear"])"), Contains("'linear_num_key_heads' is missing"));
  CHECK_THAT(wrong(R"("linear_conv_kernel_dim": 4)"), Contains("needs the attention pattern \"linear\""));
  CHECK_THAT(wrong(R"("num_experts_per_tok": 2)"), Contains("num_experts_per_tok: needs 'num_experts'"));
  CHECK_THAT(wrong(R"("num_experts": 4)"),
             Contains("'num_experts_per_tok' is missing") && Contains("'moe_layers' is missing"));
  const std::string experts = R"("num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, )";
  CHECK_THAT(wrong(experts + R"("moe_layers": 5)"),
             Contains("model.moe_layers: is greater than the number of layers, 4"));
  CHECK_THAT(wrong(experts + R"("moe_layers": 4, "moe_layer_step": 2)"),
             Contains("model.moe_layers: is 4, but first_dense_layers and moe_layer_step give 2"));
  CHECK_THAT(wrong(experts + R"("moe_layers": 4, "n_shared_experts": 1)"),
             Contains("'shared_expert_intermediate_size' is missing"));
  CHECK_THAT(wrong(R"("num_experts": 4, "num_experts_per_tok": 5, "moe_intermediate_size": 64,
                      "moe_layers": 4)"),
             Contains("model.num_experts_per_tok: is greater than the number of experts, 4"));
  CHECK_THAT(wrong(R"("published_quantization": "fp8-blok")"),
             Contains("model.published_quantization: 'fp8-blok' is unknown; known: fp8 fp8-block int8 int4 "
                      "nvfp4 mxfp4; did you mean 'fp8-block'?"));
}

TEST_CASE("A latent KV rank without latent attention is a contradiction", "[model]") {
  CHECK_THAT(problem(R"({"model": {"num_hidden_layers": 4, "hidden_size": 512, "num_attention_heads": 8,
      "vocab_size": 1000, "intermediate_size": 2048, "kv_lora_rank": 64}})"),
             Contains("model.kv_lora_rank: needs the attention pattern \"mla\""));
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

TEST_CASE("A config.json of Hugging Face is read relative to the scenario's file", "[model]") {
  const ScenarioFolder folder(R"({"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
      "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256})");
  const ModelSpec m = read_from(load_config(folder.scenario()));
  CHECK(m.parameters() == 8'029'995'008.0);
  CHECK(m.name == "llama");  // the folder that holds the file
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
