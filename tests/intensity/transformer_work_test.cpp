#include "sim/intensity/transformer_work.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace disagg;

namespace {

const ModelSpec& model(std::string_view name) {
  for (const ModelSpec& m : models())
    if (m.name == name) return m;
  throw std::logic_error("the catalog has no " + std::string(name));
}
const ModelSpec& llama70b() { return model("meta-llama/Llama-3.1-70B"); }
const ModelSpec& deepseek() { return model("deepseek-ai/DeepSeek-V3"); }

// The model with this kind of attention in every layer.
ModelSpec only(Attention kind, ModelSpec m) {
  m.attention_pattern = {kind};
  return m;
}
double decode_intensity(const ModelSpec& m, double batch, double context) {
  const double within = std::min(context, static_cast<double>(limited_reach(m).tokens));
  return intensity(TransformerWork(m, {}).decode_attention({batch * context, batch * within}, batch)).si;
}

}  // namespace

TEST_CASE(
    "An 8192 x 8192 layer in fp16 does 0.99976, 63.02 and 1365.33 FLOP per byte for 1, 64 and 2048 tokens") {
  CHECK(intensity(linear_work(1, 8192, 8192, 2, 2)).si == Approx(0.99976).epsilon(1e-5));
  CHECK(intensity(linear_work(64, 8192, 8192, 2, 2)).si == Approx(63.02).epsilon(1e-4));
  CHECK(intensity(linear_work(2048, 8192, 8192, 2, 2)).si == Approx(1365.33).epsilon(1e-5));
  CHECK(intensity(linear_work(2048, 8192, 28672, 2, 2)).si == Approx(1549.84).epsilon(1e-5));
}

TEST_CASE("Attention with 64 heads of 128 meets the golden intensities of MHA, GQA-8 and MQA") {
  const auto decode = [](double context, double kv_heads, double kv_bytes) {
    return intensity(attention_work(context, 1, context, 64, kv_heads, 128, 2, kv_bytes)).si;
  };
  CHECK(decode(8192, 64, 2) == Approx(0.99988).epsilon(1e-5));
  CHECK(decode(8192, 8, 2) == Approx(7.9922).epsilon(1e-5));
  CHECK(decode(8192, 1, 2) == Approx(63.504).epsilon(1e-5));
  CHECK(decode(131072, 8, 2) == Approx(7.9995).epsilon(1e-5));
  CHECK(decode(131072, 8, 1) == Approx(15.998).epsilon(1e-4));
  const auto prefill = [](TokenCount prefix, TokenCount tokens, double kv_heads) {
    return intensity(attention_work(query_key_pairs({}, prefix, tokens), static_cast<double>(tokens),
                                    static_cast<double>(prefix + tokens), 64, kv_heads, 128, 2, 2))
        .si;
  };
  CHECK(prefill(0, 8192, 64) == Approx(2048.25).epsilon(1e-6));
  CHECK(prefill(0, 8192, 8) == Approx(3641.33).epsilon(1e-6));
  CHECK(prefill(0, 8192, 1) == Approx(4033.48).epsilon(1e-6));
  CHECK(prefill(129024, 2048, 8) == Approx(14450).epsilon(1e-4));
}

TEST_CASE(
    "A decode step of Llama-3.1-70B does 0.1605 TFLOP for one sequence of 8192 tokens and 2.568 for 16") {
  const TransformerWork work(llama70b(), {});
  const auto step = [&](double batch, double context) {
    return work.linear(batch, batch, 1) + work.decode_attention({.all = batch * context}, batch);
  };
  CHECK(step(1, 8192).flops.si == Approx(0.1605e12).epsilon(1e-3));
  CHECK(step(16, 8192).flops.si == Approx(2.568e12).epsilon(1e-3));
  CHECK(step(16, 131072).flops.si == Approx(7.722e12).epsilon(1e-3));
  // The golden bytes leave activations out; they are under 0.2 % of the traffic at batch 16.
  CHECK(step(1, 8192).bytes.si == Approx(141.68e9).epsilon(1e-3));
  CHECK(step(16, 8192).bytes.si == Approx(181.95e9).epsilon(3e-3));
  CHECK(step(16, 131072).bytes.si == Approx(826.19e9).epsilon(1e-3));
}

TEST_CASE("A prefill of 8192 tokens of Llama-3.1-70B without LM head is 1.2094 PFLOP") {
  const TransformerWork work(llama70b(), {});
  CHECK((work.linear(8192, 0, 1) + work.prefill_attention(0, 8192)).flops.si ==
        Approx(1.2094e15).epsilon(1e-4));
}

TEST_CASE(
    "Llama-3.1-70B keeps 327,680 bytes a token, and its footprint at batch 16 is 11.50, 107.12 and 336.50 GB "
    "at 8K, 300K and 1M") {
  const TransformerWork work(llama70b(), {});
  CHECK(work.kv_bytes_per_token().si == 327680);
  CHECK(work.capacity_footprint(8192, 16).si == Approx(11.50e9).epsilon(1e-3));
  CHECK(work.capacity_footprint(300000, 16).si == Approx(107.12e9).epsilon(1e-4));
  CHECK(work.capacity_footprint(1e6, 16).si == Approx(336.50e9).epsilon(1e-4));
  CHECK(TransformerWork(model("bigscience/bloom"), {}).kv_bytes_per_token().si == 4'014'080);
  CHECK(TransformerWork(llama70b(), {.weights = Precision::fp8, .kv = Precision::fp8})
            .kv_bytes_per_token()
            .si == 163840);
}

TEST_CASE(
    "Batching never raises the intensity of decode attention, and it does raise that of the linear layers") {
  const TransformerWork work(llama70b(), {});
  CHECK(intensity(work.decode_attention({.all = 64 * 8192.0}, 64)).si ==
        Approx(intensity(work.decode_attention({.all = 8192}, 1)).si).epsilon(1e-9));
  CHECK(intensity(work.linear(64, 64, 1)).si > 50 * intensity(work.linear(1, 1, 1)).si);
}

TEST_CASE(
    "In 16 bits every model of the catalog weighs twice its parameters and does twice its active ones") {
  for (const ModelSpec& m : models()) {
    CAPTURE(m.name);
    const TransformerWork work(m, {});
    CHECK(work.weight_bytes().si == Approx(2 * m.parameters()).epsilon(1e-12));
    CHECK(work.weight_bytes() == work.dense_weight_bytes() + work.expert_weight_bytes());
    // The input table is looked up, not multiplied by; a tied one serves as LM head.
    const double multiplied = m.active_parameters() - (m.tie_word_embeddings ? 0 : m.embedding_parameters());
    CHECK(work.linear(1, 1, 1).flops.si == Approx(2 * multiplied).epsilon(1e-12));
    CHECK(work.linear(1, 0, 1).flops.si == Approx(2 * (multiplied - m.head_parameters())).epsilon(1e-12));
  }
}

TEST_CASE("Active weights: 5.13e9 for gpt-oss-120b and 47.2e9 for MiniMax, without the input embedding") {
  const auto billions = [](std::string_view name) {
    return TransformerWork(model(name), {}).linear(1, 1, 1).flops.si / 2e9;
  };
  CHECK(billions("openai/gpt-oss-120b") == Approx(5.13).epsilon(1e-3));
  CHECK(billions("MiniMaxAI/MiniMax-Text-01") == Approx(48.40 - 1.23).epsilon(1e-3));
}

TEST_CASE("A step of 128 tokens of DeepSeek-V3 reads 251.6 of 256 experts in each of 58 layers: 1.3221 TB") {
  const TransformerWork work(deepseek(), {});
  CHECK(work.expert_weight_bytes().si == 1'307'817'541'632);
  CHECK(work.dense_weight_bytes().si == 34'233'253'888);
  CHECK(work.linear(1, 1, 1).flops.si == 73'249'193'984);
  // By hand: dense weights but the input table, 58 x 251.60 experts, activations of 61 layers, head, table.
  CHECK(work.linear(128, 128, 1).bytes.si == Approx(1'322'102'605'763.8).epsilon(1e-12));
  // One token touches 8 experts: 3.5 % of all bytes.
  CHECK(work.linear(1, 1, 1).bytes.si == Approx(2 * 36.62e9).epsilon(1e-2));
}

TEST_CASE("Latent attention: 576 elements a token and layer whatever the ranks, each rank with a copy") {
  const TransformerWork one(deepseek(), {});
  const TransformerWork eight(deepseek(), {}, 8);
  CHECK(one.kv_bytes_per_token().si == 61 * 576 * 2);
  CHECK(eight.kv_bytes_per_token() == one.kv_bytes_per_token());
  CHECK(eight.resident_kv_bytes_per_token() == one.kv_bytes_per_token() * 8);
  CHECK(decode_intensity(deepseek(), 1, 131072) == Approx(241.33).epsilon(1e-4));
  CHECK(one.decode_attention({.all = 1000}, 0).flops.si == 61 * 2 * 128 * (512 + 64 + 512) * 1000.0);
  // Keys and values of all heads are expanded once, however many ranks hold the latents.
  CHECK(eight.prefill_attention(0, 1000).bytes == one.prefill_attention(0, 1000).bytes);
}

TEST_CASE("Behind 100,000 tokens latent attention absorbs an append of 100 tokens and expands for 1000") {
  const TransformerWork work(deepseek(), {});
  CHECK(work.prefill_attention(100000, 100).flops.si == Approx(169'987'880'550'400).epsilon(1e-12));
  CHECK(work.prefill_attention(100000, 1000).flops.si == Approx(706'895'093'760'000).epsilon(1e-12));
}

TEST_CASE(
    "Sparse attention of DeepSeek-V3.2 lowers the traffic of decode at 128K 4.2-fold, but not what is kept") {
  const ModelSpec& sparse = model("deepseek-ai/DeepSeek-V3.2");
  const TransformerWork with(sparse, {});
  const TransformerWork without(deepseek(), {});
  CHECK(with.capacity_footprint(131072, 16) > without.capacity_footprint(131072, 16));
  CHECK(with.kv_bytes_per_token().si == 70272 + 61 * 128 * 2);
  const Contexts read{.all = 131072, .within = 2048};
  CHECK(with.decode_attention(read, 0).bytes.si == 61 * (1152 * 2048 + 256 * 131072.0));
  CHECK(without.decode_attention(read, 0).bytes / with.decode_attention(read, 0).bytes ==
        Approx(4.2).epsilon(0.01));
  // A prompt reads each latent once at most; its last token, like one of decode, the best 2048.
  CHECK(with.prefill_attention(131071, 1).bytes == with.decode_attention(read, 1).bytes);
  CHECK(with.prefill_attention(0, 8192).bytes <
        with.decode_attention({8192.0 * 8192, 8192.0 * 2048}, 8192).bytes);
}

TEST_CASE(
    "gpt-oss-120b with experts in MXFP4 and the rest in 16 bits weighs the 60.8 GiB of its checkpoint") {
  PrecisionPlan plan;
  plan.experts = Precision::mxfp4;
  const TransformerWork work(model("openai/gpt-oss-120b"), plan);
  CHECK(work.weight_bytes().si / (1 << 30) == Approx(60.8).epsilon(3e-3));
  CHECK(work.expert_weight_bytes().si == 114'661'785'600 * 0.53125);
  CHECK(TransformerWork(model("openai/gpt-oss-120b"), {}).weight_bytes().si == Approx(233.6e9).epsilon(1e-3));
}

TEST_CASE("gpt-oss-120b keeps 36,864 bytes a token in 18 layers and 128 tokens in the other 18") {
  const TransformerWork work(model("openai/gpt-oss-120b"), {});
  CHECK(work.kv_bytes_per_token().si == 36864);
  CHECK(work.limited_kv_bytes_per_token().si == 36864);
  CHECK(work.kv_bytes(100).si == 73728 * 100);
  CHECK(work.kv_bytes(1e5).si == 36864 * 1e5 + 4'718'592);
  CHECK(work.decode_attention({.all = 1e5, .within = 128}, 0).bytes.si == 36864 * (1e5 + 128));
  CHECK(work.prefill_attention(1000, 1).bytes ==
        work.decode_attention({.all = 1001, .within = 128}, 1).bytes);
}

TEST_CASE("Llama 4 keeps a chunk of 8192 tokens in 36 layers, and sees no more in a prompt") {
  const TransformerWork work(model("meta-llama/Llama-4-Maverick-17B-128E-Instruct"), {});
  CHECK(work.kv_bytes(1e6).si == 49152 * 1e6 + 1'207'959'552);
  const double full = 16384.0 * 16385 / 2;
  const double chunked = 2 * (8192.0 * 8193 / 2);
  CHECK(work.prefill_attention(0, 16384).flops.si == 4.0 * 40 * 128 * (12 * full + 36 * chunked));
}

TEST_CASE(
    "A model with nothing but windows is taken to grow where tokens are counted, but not where it is known") {
  const TransformerWork work(only(Attention::sliding, model("openai/gpt-oss-120b")), {});
  CHECK(work.kv_bytes_per_token().si == 73728);
  CHECK(work.limited_kv_bytes_per_token().si == 0);
  CHECK(work.kv_bytes(1e5).si == 73728 * 128);
}

TEST_CASE("Linear attention: MiniMax keeps 293.6 MB and Qwen3-Next 77.3 MB at any context") {
  const TransformerWork minimax(model("MiniMaxAI/MiniMax-Text-01"), {});
  CHECK(minimax.state_bytes().si == 293'601'280);
  CHECK(minimax.kv_bytes(1e6).si == 40960e6 + 293'601'280);
  const TransformerWork qwen(model("Qwen/Qwen3-Next-80B-A3B"), {});
  // 36 layers: 32 x 128 x 128 in 32 bits, and three tokens of the convolution over 8192 in 16 bits.
  CHECK(qwen.state_bytes().si == 75'497'472 + 1'769'472);
  CHECK(qwen.kv_bytes(0) == qwen.state_bytes());
  CHECK(qwen.kv_bytes_per_token().si == 24576);

  const ModelSpec linear = only(Attention::linear, model("MiniMaxAI/MiniMax-Text-01"));
  const TransformerWork work(linear, {});
  CHECK(work.capacity_footprint(1e6, 16) == work.capacity_footprint(10, 16));
  // Reads and writes 4 bytes for 4 FLOPs, beside queries, keys, values and outputs: 0.8 % of the traffic.
  CHECK(decode_intensity(linear, 1, 1e6) == Approx(0.5).epsilon(0.01));
  CHECK(decode_intensity(linear, 1, 1e6) == decode_intensity(linear, 64, 10));
  // A prompt reads and writes the state once, not for each token: 4 h d_k d_v + 64 h (d_k + d_v) FLOPs over 4
  // activations of h d in 16 bits and 1/8192 of the state, twice.
  CHECK(intensity(work.prefill_attention(0, 8192)).si == Approx(81920 / (1024 + 16.0)));
}

TEST_CASE("Mixtral: one token reads 2 of 8 experts, four micro-batches of 4 tokens each 5.47") {
  const ModelSpec& m = model("mistralai/Mixtral-8x22B-v0.1");
  const TransformerWork work(m, {});
  const double expert = 56 * 2 * 3 * 6144.0 * 16384;
  // Another token costs its experts and activations; these cancel in the second difference.
  const auto read = [&](double tokens, double reads) { return work.linear(tokens, 0, reads).bytes.si; };
  CHECK(read(2, 1) - 2 * read(1, 1) + read(0, 1) == Approx(expert * (3.5 - 2 * 2)).epsilon(1e-9));
  const double dense = read(0, 1);
  CHECK(read(16, 4) - read(16, 1) == Approx(3 * dense + expert * (4 * 5.46875 - 7.919819233939052)));
  // The phases of a mixed step bear together what the step costs.
  CHECK(read(12, 0.75) + read(4, 0.25) == Approx(read(16, 1)).epsilon(1e-12));
  CHECK(TransformerWork(m, {}, 1, 2).linear(16, 16, 1).bytes < work.linear(16, 16, 1).bytes);
}

TEST_CASE(
    "The footprint grows with the context in every model that has a growing cache, and falls with the "
    "batch") {
  for (const ModelSpec& m : models()) {
    CAPTURE(m.name);
    const TransformerWork work(m, {});
    const Bytes grown = work.capacity_footprint(200000, 16) - work.capacity_footprint(100000, 16);
    CHECK(grown.si == Approx(2 * m.growing_kv_elements_per_token() * 1e5).epsilon(1e-6));
    CHECK(grown.si > 0);
    CHECK(work.capacity_footprint(1000, 32) < work.capacity_footprint(1000, 16));
    CHECK(work.kv_bytes(50) <= work.kv_bytes(51));
  }
}

TEST_CASE("The intensity of decode attention does not depend on the batch, in any model") {
  for (const ModelSpec& m : models()) {
    CAPTURE(m.name);
    CHECK(decode_intensity(m, 64, 8192) == Approx(decode_intensity(m, 1, 8192)).epsilon(1e-9));
  }
}

TEST_CASE("Heads are as wide as stated, not the hidden size over their number") {
  CHECK(TransformerWork(model("Qwen/Qwen3-32B"), {}).kv_bytes_per_token().si == 64 * 2 * 8 * 128 * 2);
  CHECK(TransformerWork(model("Qwen/Qwen3-235B-A22B"), {}).kv_bytes_per_token().si == 94 * 2 * 4 * 128 * 2);
}

TEST_CASE("Quantised weights leave the embedding tables in 16 bits unless the plan says otherwise") {
  PrecisionPlan plan{.weights = Precision::fp8};
  const double tables = 2 * 128256 * 8192.0;
  CHECK(TransformerWork(llama70b(), plan).weight_bytes().si == llama70b().parameters() + tables);
  plan.head = Precision::fp8;
  CHECK(TransformerWork(llama70b(), plan).weight_bytes().si == llama70b().parameters());
  CHECK(PrecisionPlan{}.head_format() == Precision::bf16);
  CHECK(PrecisionPlan{.weights = Precision::fp16}.head_format() == Precision::fp16);
  CHECK(PrecisionPlan{.weights = Precision::fp4}.expert_format() == Precision::fp4);
  CHECK(PrecisionPlan{.activations = Precision::fp8}.attention_format() == Precision::fp8);
}

TEST_CASE("A step without logits does not read the LM head, and drafts share one read of the context") {
  const TransformerWork work(llama70b(), {});
  const Work last = work.linear(100, 1, 1) + work.linear(100, 0, 1) * -1;
  CHECK(last.bytes.si == 2 * (128256 * 8192.0 + 8192 + 128256));
  const Work plain = work.decode_attention({.all = 8192}, 1);
  const Work drafted = work.decode_attention({.all = 8192}, 3, 3);
  CHECK(drafted.flops == plain.flops * 3);
  CHECK(intensity(drafted).si == Approx(3 * 7.9922).epsilon(2e-3));
}
