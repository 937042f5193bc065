#include "sim/service/kernel_forms.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "sim/service/kernel_constants.hpp"

using namespace disagg;

namespace {

// Round numbers, so that times can be worked out on paper.
const KernelDevice kDevice{.peak = 100e12, .memory = 1e12, .scale_up = 100e9, .processors = 100, .l2 = 50e6};

constexpr GemmConstants kGemm{2e-6, 0.8, 0.8, 2, 1e-9, 3e-6, 5e-9, 2e-12};
constexpr DecodeAttentionConstants kDecode{10e-6, 1e-6, 2e-6, 2e-6, 1e-6, 0.8, 0.5, 5e-9, 0.5, 0.5};
constexpr PrefillAttentionConstants kPrefill{9e-6, 0.8, 10e-12, 2e-6, 8, 3, 0.1, 0.7, 1.5};
constexpr LatentDecodeConstants kLatentDecode{12e-6, 2e-6, 4e-6, 1e-9, 0.9, 0.8, 0.7, 0.6, 0.5};
constexpr LatentPrefillConstants kLatentPrefill{12e-6, 0.8, 2e-6, 0.9, 0.5};
constexpr ExpertsConstants kExperts{28e-6, 1.25, 0.8, 3, 0.5, 50};
constexpr CollectiveConstants kCollective{4e-6, 1e-6, 0.05, 1e-6, 0.4, 15e-6, 0.8};
constexpr AllReduceConstants kAllReduce{4e-6, 1e-7, 0.5, 4e-6, 0.8, 8e-6, 0.5, 50e-6, 0.8};

GemmShape gemm(double m, double n, double k, bool split) {
  return {.m = m, .n = n, .k = k, .split_k = split};
}

PrefillAttentionShape prompt(double length, bool packed = true) {
  PrefillAttentionShape shape{.heads = 8, .kv_heads = 2, .head_dim = 128, .packed = packed};
  add_prompt(shape, length, length * (length + 1) / 2, length);
  return shape;
}

}  // namespace

TEST_CASE("A product of 100 tiles on 100 processors takes one wave beside its memory traffic", "[forms]") {
  const double wave = 1024 * 2 * 64 * 64 * 100 / (100e12 * 0.8);  // 64 x 64 tiles, the smallest
  const double memory = 2 * (6400 * 1024 + 64 * 1024 + 64 * 6400) / (1e12 * 0.8);
  const KernelForm form = gemm_form(kGemm, kDevice, gemm(64, 6400, 1024, false));
  CHECK(form.total() == Approx(2e-6 + std::hypot(wave, memory)));
  CHECK(form.compute == 0);  // memory takes longer: it has all of the time
  // One column more needs a second wave of small tiles; larger ones take 51 of 64 x 128 in one.
  const double larger = 1024 * 2 * 64 * 128 * 100 / (100e12 * 0.8);
  const double moved = 2 * (6401 * 1024 + 64 * 1024 + 64 * 6401) / (1e12 * 0.8);
  CHECK(gemm_form(kGemm, kDevice, gemm(64, 6401, 1024, false)).total() ==
        Approx(2e-6 + std::hypot(larger, moved)));
}

TEST_CASE("Few tiles split k when their format can, at the price of a reduction", "[forms]") {
  // 64 x 64 x 65536: one tile. Split in 32: 32 processors, each 2048 deep.
  const double element = 2 * 64 * 64 * 100 / (100e12 * 0.8);
  const double memory = 2.0 * (64 * 65536 + 64 * 65536 + 64 * 64) / (1e12 * 0.8);
  const double split = 2048 * element + 3e-6 + 8.0 * 64 * 64 * 32 / 2e12;
  CHECK(gemm_form(kGemm, kDevice, gemm(64, 64, 65536, true)).total() ==
        Approx(2e-6 + std::hypot(split, memory)));
  CHECK(gemm_form(kGemm, kDevice, gemm(64, 64, 65536, false)).total() ==
        Approx(2e-6 + std::hypot(65536 * element, memory)));
}

TEST_CASE("Quantising the activation adds the larger of its cost per row and per element", "[forms]") {
  GemmShape shape = gemm(1000, 4096, 1024, false);
  const double without = gemm_form(kGemm, kDevice, shape).total();
  shape.quantises = true;
  CHECK(gemm_form(kGemm, kDevice, shape).total() == Approx(without + 1000 * 5e-9));
  shape.k = 8192;
  GemmShape plain = shape;
  plain.quantises = false;
  CHECK(gemm_form(kGemm, kDevice, shape).total() ==
        Approx(gemm_form(kGemm, kDevice, plain).total() + 1000 * 8192 * 2e-12));
}

TEST_CASE("Decode attention: launch, waves, and the longer of bytes and one split's walk", "[forms]") {
  // 4 sequences x 2 KV heads = 8 work items on 100 processors: 12 splits each.
  DecodeAttentionShape shape{.batch = 4, .heads = 16, .kv_heads = 2, .head_dim = 128, .context = 120};
  const double wave = 3e-6 * 8 / 100;
  const double walk = 120.0 / 12 * 5e-9;  // shorter than the bytes
  const double bytes = 2.0 * 4 * 2 * 128 * 120 * 2;
  REQUIRE(bytes / 0.8e12 > walk);
  CHECK(decode_attention_time(kDecode, kDevice, shape, false) == Approx(11e-6 + bytes / 0.8e12 + 0.5 * wave));
  // Beyond 128 tokens, a further launch.
  shape.context = 12000;
  CHECK(decode_attention_time(kDecode, kDevice, shape, false) ==
        Approx(13e-6 + 100 * bytes / 0.8e12 + 0.5 * wave));
  // Heads of 256: twice the bytes, each 1.5 times as slow.
  shape.head_dim = 256;
  CHECK(decode_attention_time(kDecode, kDevice, shape, false) ==
        Approx(14e-6 + 1.5 * 200 * bytes / 0.8e12 + 0.5 * 4e-6 * 8 / 100));
  // One sequence with one KV head: 16 splits at most, whose walk is longer than the bytes.
  const DecodeAttentionShape one{.batch = 1, .heads = 8, .kv_heads = 1, .head_dim = 128, .context = 16000};
  REQUIRE(2 * 128 * 2 / 0.8e12 < 5e-9 / 16 * 4);
  CHECK(decode_attention_time(kDecode, kDevice, one, false) ==
        Approx(13e-6 + std::max(1000 * 5e-9, 2 * 128 * 16000 * 2 / 0.8e12) + 0.5 * 3e-6 / 100));
}

TEST_CASE("Decode attention is linear in the context on a cold cache, and faster on a warm one", "[forms]") {
  DecodeAttentionShape shape{.batch = 16, .heads = 32, .kv_heads = 8, .head_dim = 128, .context = 4000};
  const auto at = [&](double context, bool warm) {
    shape.context = context;
    return decode_attention_time(kDecode, kDevice, shape, warm);
  };
  CHECK(at(5000, false) == Approx((at(4000, false) + at(6000, false)) / 2));
  CHECK(at(200, true) < 0.75 * at(200, false));  // 13 MB of 50 MB
  CHECK(at(40000, true) == Approx(at(40000, false)).epsilon(1e-4));
}

TEST_CASE("Prefill attention: tiles, blocks of 128 x 128, the longest row, and the new K and V", "[forms]") {
  // 8 heads, 2 KV heads: packed, 512 tokens make 2 x 16 tiles; unpacked 8 x 4.
  CHECK(prompt(512).tiles == 32);
  CHECK(prompt(512, false).tiles == 32);
  CHECK(prompt(40).tiles == 4);
  CHECK(prompt(40, false).tiles == 8);
  const double block = 16384 * (4 * 128 * 100 / (100e12 * 0.8) + 10e-12);
  const double pairs = 512 * 513 / 2;
  const double work = (32 * 2e-6 + (8 * pairs / 16384 + 16) * block) / 100;
  const double tail = 2e-6 + 4 * block;
  const double moved = 4.0 * 512 * 8 * 256 / 1e12 + 4 * 0.7 * 512 * 8 * 128 / 1e12;
  CHECK(prefill_attention_form(kPrefill, kDevice, prompt(512)).total() ==
        Approx(9e-6 + std::max(work, tail) + 0.1 * std::min(work, tail) + moved));
  // A window of 128 limits the longest row to two blocks.
  PrefillAttentionShape window = prompt(512);
  window.window = 128;
  const double shorter = 2e-6 + 2 * block;
  CHECK(prefill_attention_form(kPrefill, kDevice, window).total() ==
        Approx(9e-6 + std::max(work, shorter) + 0.1 * std::min(work, shorter) + moved));
}

TEST_CASE("MLA decode: its efficiency is that of its number of heads, and 128 tokens launch once more",
          "[forms]") {
  LatentDecodeShape shape{.batch = 10, .heads = 16, .context = 127};
  const double narrow = 4e-6 * 10 / 100 + 1e-9 * 10 * 16;
  const double bytes = 576.0 * 2 * 10;
  const auto joined = [](double a, double b) { return std::max(a, b) + 0.5 * std::min(a, b); };
  CHECK(latent_decode_time(kLatentDecode, kDevice, shape) ==
        Approx(12e-6 + joined(narrow, bytes * 127 / 0.9e12)));
  shape.context = 128;
  CHECK(latent_decode_time(kLatentDecode, kDevice, shape) ==
        Approx(14e-6 + joined(narrow, bytes * 128 / 0.9e12)));
  shape.heads = 128;
  CHECK(latent_decode_time(kLatentDecode, kDevice, shape) ==
        Approx(14e-6 + joined(4e-6 * 10 * 2 / 100 + 1e-9 * 10 * 128, bytes * 128 / 0.6e12)));
}

TEST_CASE("MLA prefill counts 2 x 320 operations for a pair, and K, V, Q and O once", "[forms]") {
  LatentPrefillShape shape{.heads = 16};
  add_prompt(shape, 1000, 1000.0 * 1001 / 2, 1000);
  const double block = 16384 * 640.0 * 100 / (100e12 * 0.8);
  const double tiles = 16 * 8;
  const double work = (tiles * 2e-6 + (16 * 500500.0 / 16384 + tiles / 2) * block) / 100;
  const double tail = 2e-6 + 8 * block;
  CHECK(latent_prefill_form(kLatentPrefill, kDevice, shape).total() ==
        Approx(12e-6 + std::max(work, tail) + 0.5 * std::min(work, tail) + 0.9 * 1280 * 1000 * 16 / 1e12));
}

TEST_CASE("Experts: weights read, products, activations and routing add up", "[forms]") {
  const ExpertsShape shape{.hidden = 4096,
                           .width = 950,
                           .matrices = 3,
                           .weight_bytes = 1,
                           .active_experts = 20,
                           .routed_tokens = 64,
                           .tokens = 32,
                           .experts_per_token = 8};
  const double weights = 3.0 * 4096 * 1000;  // 950 and 50 of padding
  CHECK(experts_form(kExperts, kDevice, shape).total() ==
        Approx(28e-6 + weights * 20 / 0.8e12 + 2 * weights * 64 / 125e12 +
               3 * 64 * (4.0 * 4096 + 6.0 * 950) / 1e12 + 0.5 * 2 * 32 * 8 * 4096 / 1e12));
}

TEST_CASE("A collective runs the fastest of three protocols", "[forms]") {
  const auto time = [](double bytes) { return collective_time(kCollective, 100e9, bytes, 8, 2); };
  const double launch = 4e-6 + 7e-6;
  const double share = 2 * 7.0 / 8 / 100e9;  // s per byte at the full rate
  CHECK(time(1024) == Approx(launch + share * 1024 / 0.05));
  CHECK(time(1e5) == Approx(launch + 1e-6 + share * 1e5 / 0.4));
  CHECK(time(1e9) == Approx(launch + 16e-6 + share * 1e9 / 0.8));
  CHECK(collective_time(kCollective, 100e9, 1e9, 1, 2) == 0);
}

TEST_CASE("The custom all-reduce takes one shot, then two, then the library's way from 8 MiB", "[forms]") {
  const auto time = [](double bytes, double ranks) {
    return all_reduce_time(kAllReduce, 100e9, bytes, ranks);
  };
  CHECK(time(1e5, 8) == Approx(4.7e-6 + 7e5 / 50e9));
  CHECK(time(262144, 8) == Approx(8.7e-6 + 1.75 * 262144 / 80e9));
  CHECK(time(262144, 4) == Approx(4.3e-6 + 3 * 262144 / 50e9));
  CHECK(time(4e6, 2) == Approx(4.1e-6 + 4e6 / 50e9));
  CHECK(time(8388608, 8) == Approx(12.7e-6 + std::min(1.75 * 8388608 / 50e9, 50e-6 + 1.75 * 8388608 / 80e9)));
  CHECK(time(1e9, 8) == Approx(62.7e-6 + 1.75e9 / 80e9));
}

TEST_CASE("DeepEP: low latency by bytes or by few experts' copies, normal by processors or link", "[forms]") {
  const ExchangeShape shape{
      .tokens = 128, .hidden = 7168, .experts_per_token = 8, .experts = 256, .ranks = 8, .bytes = 2};
  const LowLatencyConstants low{10e-6, 1e-6, 0.5, 1e-6};
  CHECK(low_latency_time(low, 100e9, shape) == Approx(12.56e-6 + 7.0 / 8 * 128 * 8 * 7168 * 2 / 50e9));
  ExchangeShape few = shape;
  few.experts = 8;
  few.experts_per_token = 1;
  CHECK(low_latency_time(low, 100e9, few) ==
        Approx(10.08e-6 + std::max(7.0 / 8 * 128 * 7168 * 2 / 50e9, 128e-6 / 3)));
  CHECK(low_latency_network_time({17e-6, 4e-6, 0.9}, 50e9, 4, shape) ==
        Approx(25e-6 + 128.0 * 8 * 7168 * 2 * 3 / (4 * 45e9)));
  const double ranks = 8 * (1 - std::pow(7.0 / 8, 8));
  const double bytes = 2 * 128 * ranks * 7168;
  CHECK(normal_exchange_time({30e-6, 4e9, 0.9, 50e-9}, 100e9, shape) ==
        Approx(30e-6 + bytes / 80e9 + 50e-9 * 8 * 128 / 20));
  CHECK(normal_exchange_time({30e-6, 40e9, 0.9, 50e-9}, 100e9, shape) ==
        Approx(30e-6 + bytes / 90e9 + 50e-9 * 8 * 128 / 20));
}

TEST_CASE("With the catalog's constants a tiny kernel costs its launch, a large one its bandwidth",
          "[forms]") {
  const KernelDevice h100{.peak = 989.4e12, .memory = 3.35e12, .processors = 132, .l2 = 50e6};
  const KernelConstants k = kernel_constants("h100-sxm-80gb");
  const GemmConstants& gemms = k.gemm[0]->constants;
  CHECK(gemm_form(gemms, h100, gemm(1, 64, 64, true)).total() < 1.1 * gemms.t0);
  // 1 x 65536 x 65536: the weights' 8.6 GB at the share em of 3.35 TB/s.
  const double read = 2 * 65536.0 * 65536 / (3.35e12 * gemms.em);
  CHECK(gemm_form(gemms, h100, gemm(1, 65536, 65536, true)).total() == Approx(read).epsilon(0.1));
  // 8192^3 runs at between half of the peak and the share ec of it.
  const double ideal = 2 * std::pow(8192.0, 3) / 989.4e12;
  CHECK(gemm_form(gemms, h100, gemm(8192, 8192, 8192, true)).total() > ideal / gemms.ec);
  CHECK(gemm_form(gemms, h100, gemm(8192, 8192, 8192, true)).total() < 2 * ideal);

  const DecodeAttentionConstants& decode = k.decode_attention[0]->constants;
  DecodeAttentionShape shape{.batch = 1, .heads = 8, .kv_heads = 1, .head_dim = 128, .context = 1};
  CHECK(decode_attention_time(decode, h100, shape, false) == Approx(decode.t0 + decode.t1).epsilon(0.01));
  shape = {.batch = 64, .heads = 64, .kv_heads = 8, .head_dim = 128, .context = 32768};
  CHECK(decode_attention_time(decode, h100, shape, false) ==
        Approx(4.0 * 64 * 8 * 128 * 32768 / (3.35e12 * decode.em)).epsilon(0.02));
}

TEST_CASE("Times grow with every dimension, for every row of the catalog", "[forms]") {
  for (const char* accelerator : {"h100-sxm-80gb", "b200-sxm"}) {
    const KernelConstants k = kernel_constants(accelerator);
    for (std::size_t format = 0; format < kPrecisionNames.size(); ++format) {
      INFO(accelerator << " " << kPrecisionNames[format]);
      double last_gemm = 0, last_decode = 0, last_prefill = 0, last_latent = 0, last_experts = 0;
      for (double size = 1; size <= 16384; size *= 2) {
        const double product =
            gemm_form(k.gemm[format]->constants, kDevice, gemm(size, 4096, 4096, true)).total();
        const double decode = decode_attention_time(
            k.decode_attention[format]->constants, kDevice,
            {.batch = 8, .heads = 32, .kv_heads = 8, .head_dim = 128, .context = size}, false);
        const double prefill =
            prefill_attention_form(k.prefill_attention[format]->constants, kDevice, prompt(size)).total();
        const double latent = latent_decode_time(k.latent_decode[format]->constants, kDevice,
                                                 {.batch = 8, .heads = 16, .context = size});
        const double experts = experts_form(k.experts[format]->constants, kDevice,
                                            {.hidden = 4096,
                                             .width = 1536,
                                             .active_experts = std::min(size * 8, 128.0),
                                             .routed_tokens = size * 8,
                                             .tokens = size,
                                             .experts_per_token = 8})
                                   .total();
        CHECK(product >= last_gemm);
        CHECK(decode > last_decode);
        CHECK(prefill > last_prefill);
        CHECK(latent > last_latent);
        CHECK(experts > last_experts);
        last_gemm = product, last_decode = decode, last_prefill = prefill;
        last_latent = latent, last_experts = experts;
        CHECK(std::min({product, decode, prefill, latent, experts}) > 1e-6);
      }
    }
  }
}
