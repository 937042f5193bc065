#include "sim/service/kernel_forms.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <vector>

using namespace disagg;

namespace {

// Round numbers, so that the times below can be worked out on paper.
constexpr KernelDevice kDevice{
    .peak = 1e15, .memory = 1e12, .scale_up = 450e9, .processors = 100, .l2 = 50e6};
constexpr double kUs = 1e-6;

constexpr GemmConstants kGemm{
    .t0 = 2e-6, .ec = 0.5, .em = 0.5, .p = 1, .tau = 0, .red = 1e-6, .aq = 7e-9, .bq = 2.6e-12};
constexpr DecodeAttentionConstants kDecode{.t0 = 10e-6,
                                           .t1 = 1e-6,
                                           .dl = 2e-6,
                                           .c0 = 2e-6,
                                           .c1 = 1e-6,
                                           .em = 0.5,
                                           .eh = 0.5,
                                           .tau = 5e-9,
                                           .phi = 0.25,
                                           .f = 0.5};
constexpr PrefillAttentionConstants kPrefill{
    .t0 = 10e-6, .ec = 0.5, .cx = 10e-12, .cp = 1e-6, .k1 = 8, .k2 = 4, .phi = 0.5, .qo = 1, .e2 = 2};
constexpr LatentDecodeConstants kLatentDecode{.t0 = 12e-6,
                                              .dl = 2e-6,
                                              .cw = 4e-6,
                                              .ch = 1e-9,
                                              .e16 = 0.9,
                                              .e32 = 0.8,
                                              .e64 = 0.7,
                                              .e128 = 0.5,
                                              .phi = 0.5};
constexpr LatentPrefillConstants kLatentPrefill{.t0 = 12e-6, .ec = 0.5, .cp = 1e-6, .kv = 2, .phi = 0.5};
constexpr ExpertsConstants kExperts{.t0 = 30e-6, .ec = 0.5, .em = 0.5, .act = 3, .ag = 0.5, .ft = 64};
constexpr CollectiveConstants kRing{
    .a0 = 5e-6, .a1 = 1e-6, .e1 = 0.03, .s1 = 2e-6, .e2 = 0.3, .s2 = 15e-6, .e3 = 0.75};
constexpr AllReduceConstants kAllReduce{.a0 = 4e-6,
                                        .a1 = 0.1e-6,
                                        .e1 = 0.5,
                                        .s2 = 5e-6,
                                        .e2 = 0.8,
                                        .sa = 9e-6,
                                        .ea = 0.6,
                                        .sb = 54e-6,
                                        .eb = 0.8};

PrefillAttentionShape prompts(double batch, double length, double heads, double kv_heads, double head_dim,
                              bool packed = true) {
  PrefillAttentionShape shape{.heads = heads, .kv_heads = kv_heads, .head_dim = head_dim, .packed = packed};
  for (double i = 0; i < batch; ++i) add_prompt(shape, length, length * (length + 1) / 2, length);
  return shape;
}

LatentPrefillShape latent_prompts(double batch, double length, double heads) {
  LatentPrefillShape shape{.heads = heads};
  for (double i = 0; i < batch; ++i) add_prompt(shape, length, length * (length + 1) / 2, length);
  return shape;
}

// Never falls while its argument runs through powers of two and their neighbours up to `last`.
bool never_falls(const std::function<double(double)>& time, double last) {
  double before = 0;
  for (double x = 1; x <= last; x *= 2) {
    for (const double at : {x, 1.5 * x, 2 * x - 1}) {
      const double now = time(std::floor(at));
      if (!(now > 0) || now < before * (1 - 1e-12) || !std::isfinite(now)) return false;
      before = now;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("GEMM: 128 x 12800 x 640 in one wave of tiles takes 2 + 4.194 + 39.649 us when nothing overlaps",
          "[kernels]") {
  // 100 tiles of 128 x 128, one wave, 640 steps of 2 x 128 x 128 x 100 / 5e14 s = 4.194304 us.
  // (2 x 12800 x 640 + 2 x 128 x 640 + 2 x 128 x 12800) B / 5e11 B/s = 39.64928 us.
  const GemmShape shape{.m = 128, .n = 12800, .k = 640};
  const KernelForm form = gemm_form(kGemm, kDevice, shape);
  CHECK(form.launch == Approx(2 * kUs));
  CHECK(form.total() == Approx((2 + 4.194304 + 39.64928) * kUs));
  CHECK(form.compute == 0);  // memory takes longer: it has all of the time
  GemmConstants overlapping = kGemm;
  overlapping.p = 2;
  CHECK(gemm_form(overlapping, kDevice, shape).total() == Approx((2 + std::hypot(4.194304, 39.64928)) * kUs));
  // A 101st column of tiles costs a second wave of the smallest tiles that do not fit beside the others.
  GemmConstants no_memory = kGemm;
  no_memory.em = 1e9;
  const double one_wave = gemm_form(no_memory, kDevice, shape).compute;
  const double more = gemm_form(no_memory, kDevice, {.m = 128, .n = 12800 + 128, .k = 640}).compute;
  CHECK(one_wave == Approx(4.194304 * kUs).epsilon(1e-6));
  CHECK(more == Approx(4.194304 * 5 / 4 * kUs).epsilon(1e-6));  // five waves of 64 x 64 instead of four
}

TEST_CASE("GEMM: k = 6400 of a single tile is split over 32 processors, 1.682 us instead of 10.49",
          "[kernels]") {
  // 256 steps of 1.6384 ns, 1 us to reduce, and 8 x 64 x 64 x 32 B / 2e12 B/s = 0.524288 us of partial sums.
  GemmConstants no_memory = kGemm;
  no_memory.em = 1e9;
  GemmShape shape{.m = 64, .n = 64, .k = 6400, .split_k = true};
  CHECK(gemm_form(no_memory, kDevice, shape).compute ==
        Approx((0.4194304 + 1 + 0.524288) * kUs).epsilon(1e-6));
  shape.split_k = false;
  CHECK(gemm_form(no_memory, kDevice, shape).compute == Approx(10.48576 * kUs).epsilon(1e-6));
}

TEST_CASE("GEMM: quantising the activation takes 1.4 ms at m = 8192, k = 65536, and nothing in a server",
          "[kernels]") {
  GemmShape shape{.m = 8192, .n = 32, .k = 65536, .weight_bytes = 1, .activation_bytes = 1};
  const double fused = gemm_form(kGemm, kDevice, shape).total();
  shape.quantises = true;
  CHECK(gemm_form(kGemm, kDevice, shape).total() - fused == Approx(8192.0 * 65536 * 2.6e-12));
  shape.k = 64;  // below 2,692 elements a row it is the rows that count
  const double rows = gemm_form(kGemm, kDevice, shape).total();
  shape.quantises = false;
  CHECK(rows - gemm_form(kGemm, kDevice, shape).total() == Approx(8192 * 7e-9));
}

TEST_CASE(
    "Decode attention: 4 sequences of 1,000 tokens with 8 KV heads of 256 take 12 + 2 + 98.304 + 0.32 us",
    "[kernels]") {
  const DecodeAttentionShape shape{.batch = 4, .heads = 64, .kv_heads = 8, .head_dim = 256, .context = 1000};
  const DecodeAttentionForm form = decode_attention_form(kDecode, kDevice, shape);
  CHECK(form.launch == Approx(12 * kUs));
  CHECK(form.wave == Approx(1.28 * kUs));             // (2 + 2 x 1) us x 32 / 100
  CHECK(form.memory_per_token == Approx(2.4576e-8));  // 8192 B x 1.5 / 5e11 B/s
  CHECK(form.serial_per_token == Approx(10e-9 / 3));  // three splits
  CHECK(decode_attention_time(kDecode, kDevice, shape, false) == Approx(112.624 * kUs));
  // With 10 tokens the wave of 1.28 us covers the 0.983 us of reading but for a quarter.
  CHECK(form.time(4, 10) == Approx((12 + 1.28 + 0.25 * 0.98304) * kUs));
  CHECK(form.time(4, 129) - form.time(4, 128) == Approx(2 * kUs + 4 * 2.4576e-8));
}

TEST_CASE("Decode attention: one sequence of one head is read by 16 splits, each at the pace of its keys",
          "[kernels]") {
  KernelDevice fast = kDevice;
  fast.memory = 1e13;
  const DecodeAttentionShape shape{.batch = 1, .heads = 8, .kv_heads = 1, .head_dim = 128, .context = 65536};
  // 65536 / 16 keys x 5 ns = 20.48 us; reading 33.6 MB takes 6.7.
  CHECK(decode_attention_time(kDecode, fast, shape, false) == Approx((11 + 2 + 20.48 + 0.25 * 0.03) * kUs));
}

TEST_CASE("Decode attention: a warm L2 makes short contexts faster, and leaves those of 1.5 L2 alone",
          "[kernels]") {
  DecodeAttentionShape shape{.batch = 8, .heads = 64, .kv_heads = 8, .head_dim = 128, .context = 256};
  const auto gain = [&] {
    return decode_attention_time(kDecode, kDevice, shape, false) /
           decode_attention_time(kDecode, kDevice, shape, true);
  };
  CHECK(gain() > 1.3);
  shape.context = 2300;  // 75 MB, 3 times f L2
  CHECK(gain() == Approx(1).epsilon(0.005));
}

TEST_CASE("Prefill attention: a prompt of 256 tokens, 16 heads on 2 KV heads of 128, takes 19.48 us",
          "[kernels]") {
  // Block: 16384 x (4 x 128 x 100 / 5e14 + 10 ps) = 1.8415616 us. Packed tiles: 2 x 256 x 8 / 128 = 32;
  // blocks 16 x 32896 / 16384 + 16 = 48.125. Work 1.2062515 us, tail 1 + 2 blocks = 4.6831232 us, moved 2
  // x 2.097152.
  const KernelForm form = prefill_attention_form(kPrefill, kDevice, prompts(1, 256, 16, 2, 128));
  CHECK(form.launch == Approx(10 * kUs));
  CHECK(form.compute == Approx((4.6831232 + 0.5 * 1.2062515) * kUs));
  CHECK(form.memory == Approx(4.194304 * kUs));
  // Wide heads run at 1 / e2 of the rate; new K and V beyond 512 elements cost k2 instead of k1.
  const KernelForm wide = prefill_attention_form(kPrefill, kDevice, prompts(1, 256, 16, 4, 256));
  const double block = 16384 * (4.0 * 256 * 100 / 5e14 * 2 + 10e-12);
  const double work = (32e-6 + 48.125 * block) / 100;
  CHECK(wide.compute == Approx(1e-6 + 2 * block + 0.5 * work));
  CHECK(wide.memory == Approx(4.0 * 256 * (8 * 512 + 4 * 512) / 1e12 + 4.0 * 256 * 16 * 256 / 1e12));
}

TEST_CASE("Prefill attention: packed tiles of a group of 8 hold 16 tokens, unpacked ones 128", "[kernels]") {
  CHECK(prompts(1, 16, 64, 8, 128, true).tiles == 8);
  CHECK(prompts(1, 16, 64, 8, 128, false).tiles == 64);
  CHECK(prompts(3, 130, 64, 8, 128, false).tiles == 3 * 64 * 2);
  // A window ends the walk of the last tile: 1024 / 128 + 1 blocks instead of 64.
  PrefillAttentionShape shape = prompts(1, 8192, 1, 1, 128);
  PrefillAttentionConstants serial = kPrefill;
  serial.phi = 0;
  serial.cp = 0;
  KernelDevice many = kDevice;
  many.processors = 1e6;  // nothing but the tail counts
  const double full = prefill_attention_form(serial, many, shape).compute;
  shape.window = 1024;
  CHECK(prefill_attention_form(serial, many, shape).compute == Approx(full * 9 / 64));
}

TEST_CASE("MLA decode: 8 sequences of 1,000 tokens and 128 heads take 12 + 2 + 18.432 + 0.832 us",
          "[kernels]") {
  const LatentDecodeShape shape{.batch = 8, .heads = 128, .context = 1000};
  const DecodeAttentionForm form = latent_decode_form(kLatentDecode, kDevice, shape);
  CHECK(form.wave == Approx(1.664 * kUs));           // 4 us x 8 x 2 / 100 + 1 ns x 8 x 128
  CHECK(form.memory_per_token == Approx(2.304e-9));  // 1152 B / 5e11 B/s
  CHECK(latent_decode_time(kLatentDecode, kDevice, shape) == Approx(33.264 * kUs));
  CHECK(form.time(1, 127) - form.time(1, 126) < 0.1 * kUs);
  CHECK(form.time(1, 128) - form.time(1, 127) > 2 * kUs);  // from 128 on, not beyond it
  for (const auto& [heads, e] :
       std::vector<std::pair<double, double>>{{4, 0.9}, {16, 0.9}, {32, 0.8}, {64, 0.7}})
    CHECK(latent_decode_form(kLatentDecode, kDevice, {.batch = 1, .heads = heads}).memory_per_token ==
          Approx(1152 / (1e12 * e)));
}

TEST_CASE("MLA prefill: a prompt of 256 tokens and 16 heads takes 12 + 5.859 + 10.486 us", "[kernels]") {
  const KernelForm form = latent_prefill_form(kLatentPrefill, kDevice, latent_prompts(1, 256, 16));
  const double block = 16384 * 2 * 320 * 100 / 5e14;
  CHECK(block == Approx(2.097152 * kUs));
  const double work = (32e-6 + 48.125 * block) / 100;
  CHECK(form.compute == Approx(1e-6 + 2 * block + 0.5 * work));
  CHECK(form.memory == Approx(10.48576 * kUs));
  CHECK(form.total() == Approx(28.3447 * kUs).epsilon(1e-4));
}

TEST_CASE("Experts: 8 of them for 16 tokens in fp8 take 30 + 314.573 + 5.033 + 4.915 + 0.524 us",
          "[kernels]") {
  const ExpertsShape shape{.hidden = 4096,
                           .width = 1536,
                           .matrices = 3,
                           .weight_bytes = 1,
                           .active_experts = 8,
                           .routed_tokens = 64,
                           .tokens = 16,
                           .experts_per_token = 8};
  const KernelForm form = experts_form(kExperts, kDevice, shape);
  CHECK(form.launch == Approx(30 * kUs));
  CHECK(form.compute == Approx(5.0331648 * kUs));
  CHECK(form.memory == Approx((314.5728 + 4.9152 + 0.524288) * kUs));
}

TEST_CASE("Collectives: each of three protocols has its range of sizes, latency grows with the ranks",
          "[kernels]") {
  const auto time = [](double bytes, double ranks) {
    return collective_time(kRing, kDevice.scale_up, bytes, ranks, 2);
  };
  CHECK(time(1024, 8) == Approx((12 + 1.75 * 1024 / 450e3 / 0.03) * kUs));
  CHECK(time(1 << 20, 8) == Approx((12 + 2 + 1.75 * 1048576 / 450e3 / 0.3) * kUs));
  CHECK(time(1 << 30, 8) == Approx((12 + 17 + 1.75 * 1073741824 / 450e3 / 0.75) * kUs));
  CHECK(time(1024, 4) - time(1024, 2) == Approx(2 * kUs).epsilon(0.03));
  CHECK(time(1024, 1) == 0);
}

TEST_CASE("Custom all-reduce: one shot below 256 KiB on 8 ranks, then two, the library's kernel from 8 MiB",
          "[kernels]") {
  const auto time = [](double bytes, double ranks) {
    return all_reduce_time(kAllReduce, kDevice.scale_up, bytes, ranks);
  };
  CHECK(time(65536, 8) == Approx((4.7 + 7 * 65536 / 225e3) * kUs));
  CHECK(time(262144, 8) == Approx((4.7 + 5 + 1.75 * 262144 / 360e3) * kUs));
  CHECK(time(262144, 4) == Approx((4.3 + 3 * 262144 / 225e3) * kUs));
  CHECK(time(524288, 4) == Approx((4.3 + 5 + 1.5 * 524288 / 360e3) * kUs));
  CHECK(time(4 << 20, 2) == Approx((4.1 + 4194304 / 225e3) * kUs));
  CHECK(time(8 << 20, 8) == Approx((4.7 + 9 + 1.75 * 8388608 / 270e3) * kUs));
  CHECK(time(1 << 30, 8) == Approx((4.7 + 9 + 54 + 1.75 * 1073741824 / 360e3) * kUs));
}

TEST_CASE(
    "DeepEP: low latency waits for the link or, with few experts, for their copies; normal mode for both",
    "[kernels]") {
  const LowLatencyConstants low{.a = 10e-6, .ae = 2e-6, .e = 0.5, .ts = 1e-6};
  ExchangeShape shape{.tokens = 128, .hidden = 7168, .experts_per_token = 8, .experts = 256, .bytes = 1};
  CHECK(low_latency_time(low, 450e9, shape) == Approx((10 + 5.12 + 7.0 / 8 * 128 * 8 * 7168 / 225e3) * kUs));
  shape.experts = 8;
  CHECK(low_latency_time(low, 450e9, shape) == Approx((10 + 0.16 + 128.0 / 3) * kUs));

  const LowLatencyNetworkConstants network{.a = 17e-6, .c = 4e-6, .e = 0.95};
  CHECK(low_latency_network_time(network, 50e9, 4, shape) ==
        Approx((17 + 8 + 128 * 8 * 7168 * 0.75 / 47.5e3) * kUs));

  const NormalExchangeConstants normal{.a = 30e-6, .bs = 40e9, .e = 1, .ct = 50e-9};
  shape = {.tokens = 4096, .hidden = 7168, .experts_per_token = 8, .experts = 256};
  const double ranks = 8 * (1 - std::pow(7.0 / 8, 8));
  shape.processors = 4;  // 160 GB/s: they limit
  CHECK(normal_exchange_time(normal, 450e9, shape) ==
        Approx(30e-6 + 2 * 4096 * ranks * 7168 / 160e9 + 50e-9 * 8 * 4096 / 4));
  shape.processors = 20;  // 800 GB/s: the link limits
  shape.bytes = 1;
  CHECK(normal_exchange_time(normal, 450e9, shape) ==
        Approx(30e-6 + 4096 * ranks * 7168 / 450e9 + 50e-9 * 8 * 4096 / 20));
}

TEST_CASE("No kernel gets faster when any of its sizes grows", "[kernels]") {
  GemmConstants gemm = kGemm;
  gemm.p = 2.7;
  gemm.tau = 1e-9;
  for (const bool split : {false, true}) {
    const auto time = [&](double m, double n, double k) {
      return gemm_form(gemm, kDevice, {.m = m, .n = n, .k = k, .split_k = split, .quantises = !split})
          .total();
    };
    CHECK(never_falls([&](double m) { return time(m, 5000, 3000); }, 65536));
    CHECK(never_falls([&](double n) { return time(33, n, 3000); }, 65536));
    CHECK(never_falls([&](double k) { return time(33, 5000, k); }, 65536));
  }
  const auto decode = [](double batch, double kv_heads, double head_dim, double context) {
    const DecodeAttentionShape shape{.batch = batch,
                                     .heads = 8 * kv_heads,
                                     .kv_heads = kv_heads,
                                     .head_dim = head_dim,
                                     .context = context};
    return decode_attention_time(kDecode, kDevice, shape, false);
  };
  CHECK(never_falls([&](double x) { return decode(x, 2, 128, 3000); }, 4096));
  CHECK(never_falls([&](double x) { return decode(7, x, 128, 3000); }, 64));
  CHECK(never_falls([&](double x) { return decode(7, 2, x, 3000); }, 512));
  CHECK(never_falls([&](double x) { return decode(7, 2, 128, x); }, 1 << 20));
  const auto prefill = [](double length, double heads, double head_dim) {
    return prefill_attention_form(kPrefill, kDevice, prompts(2, length, heads, 4, head_dim)).total();
  };
  CHECK(never_falls([&](double x) { return prefill(x, 32, 128); }, 1 << 18));
  CHECK(never_falls([&](double x) { return prefill(1000, 4 * x, 128); }, 32));
  CHECK(never_falls([&](double x) { return prefill(1000, 32, x); }, 512));
  CHECK(never_falls(
      [](double x) { return latent_prefill_form(kLatentPrefill, kDevice, latent_prompts(2, x, 16)).total(); },
      1 << 18));
  CHECK(never_falls(
      [](double x) {
        return latent_decode_time(kLatentDecode, kDevice, {.batch = 9, .heads = 16, .context = x});
      },
      1 << 20));
  for (const double ranks : {2.0, 4.0, 8.0})
    CHECK(never_falls([&](double x) { return collective_time(kRing, 450e9, x, ranks, 2); }, 1 << 30));
  CHECK(never_falls([](double x) { return collective_time(kRing, 450e9, 1e5, x + 1, 1); }, 64));
  CHECK(never_falls([](double x) { return all_reduce_time(kAllReduce, 450e9, x, 2); }, 1 << 30));
}
