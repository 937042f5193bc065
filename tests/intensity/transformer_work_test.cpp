#include "sim/intensity/transformer_work.hpp"

#include <catch2/catch.hpp>

using namespace disagg;

namespace {

const ModelSpec& llama70b() {
  for (const ModelSpec& model : models())
    if (model.name == "meta-llama/Llama-3.1-70B") return model;
  throw std::logic_error("no Llama-3.1-70B in the catalog");
}
const ModelSpec& bloom() {
  for (const ModelSpec& model : models())
    if (model.name == "bigscience/bloom") return model;
  throw std::logic_error("no BLOOM in the catalog");
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
  CHECK(TransformerWork(bloom(), {}).kv_bytes_per_token().si == 4'014'080);
  CHECK(TransformerWork(llama70b(),
                        {.weights = Precision::fp8, .activations = Precision::bf16, .kv = Precision::fp8})
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
