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

TEST_CASE(
    "DeepEP normal mode over nodes: the port limits from 4 nodes, few processors between 2, 8 nodes get half",
    "[kernels]") {
  constexpr NormalNetworkConstants c{.a = 30e-6, .c = 20e-6, .bs = 10e9, .e = 0.9, .far = 0.45};
  const auto time = [&](double domains, double processors) {
    const ExchangeShape shape{.tokens = 4096,
                              .hidden = 7168,
                              .experts_per_token = 8,
                              .experts = 256,
                              .ranks = 8 * domains,
                              .bytes = 1,
                              .processors = processors};
    return normal_network_time(c, 50e9, domains, shape);
  };
  // A token goes to 3 x (1 - (3/4)^8) = 2.6997 of three other nodes: 29.36 MB x 2.6997 / 45 GB/s.
  CHECK(time(4, 24) == Approx(30e-6 + 40e-6 + 29'360'128 * 2.69966 / 45e9).epsilon(1e-5));
  // 0.99609 copies to the other node and 16 x (1 - (15/16)^8) = 6.4525 to ranks, by 4 x 10 GB/s.
  CHECK(time(2, 4) == Approx(30e-6 + 20e-6 + 29'360'128 * (0.99609 + 6.45250) / 40e9).epsilon(1e-5));
  CHECK(time(8, 24) == Approx(30e-6 + 60e-6 + 29'360'128 * 7 * (1 - std::pow(7.0 / 8, 8)) / 22.5e9));
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
