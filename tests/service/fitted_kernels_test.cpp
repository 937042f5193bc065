#include "sim/service/fitted_kernels.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "sim/service/service_time.hpp"

using namespace disagg;

namespace {

Accelerator named(std::string_view name) {
  const auto rows = accelerators();
  const auto row = std::ranges::find(rows, name, &Accelerator::name);
  if (row == rows.end()) FAIL("there is no " << name);
  return *row;
}

FittedKernels kernels_of(const Accelerator& a) { return {a, kernel_constants(a.name)}; }
FittedKernels kernels_of(std::string_view name) { return kernels_of(named(name)); }

// A chip of which nothing but a datasheet line is known.
Accelerator datasheet_only() {
  Accelerator a;
  a.name = "a-chip";
  a.bf16 = FlopsPerSecond{500e12};
  a.memory_bandwidth = BytesPerSecond{10e12};
  a.memory_capacity = Bytes{100e9};
  return a;
}

// The form of kernel_times.hpp for sequences of equal contexts.
double time_of(const DecodeAttention& t, double sequences, double context) {
  const double total = sequences * context;
  const double b = std::max({t.memory_at_zero.si + t.memory_per_token.si * total,
                             t.compute_per_token.si * total, t.serial_per_token.si * context});
  return t.launch.si + (context > t.deep_beyond ? t.deep.si : 0) + std::max(t.wave.si, b) +
         t.overlap * std::min(t.wave.si, b);
}

constexpr AttentionHeads kHeads{.heads = 64, .kv_heads = 8, .head_dim = 128, .reach = {}};
constexpr LatentHeads kLatent{.heads = 128};
const Group kEight{.ranks = 8, .domains = 1};

std::vector<StepParts> all_kernels(const FittedKernels& k, Precision format) {
  const std::vector<PrefillChunk> chunks{{.prefix = 0, .tokens = 500}, {.prefix = 4096, .tokens = 100}};
  std::vector<StepParts> parts{k.gemm(format, 100, 4096, 4096), k.prefill_attention(kHeads, format, chunks),
                               k.latent_prefill(kLatent, format, chunks),
                               k.experts({.format = format,
                                          .hidden = 4096,
                                          .width = 1536,
                                          .active_experts = 16,
                                          .routed_tokens = 128,
                                          .tokens = 16,
                                          .experts_per_token = 8})};
  for (const DecodeAttention& time :
       {k.decode_attention(kHeads, format, 9), k.latent_decode(kLatent, format, 9)})
    parts.push_back({.bandwidth = Seconds{time_of(time, 9, 2000)}});
  return parts;
}

}  // namespace

TEST_CASE("Every kernel has a positive, finite time in every format on every accelerator with 16-bit rates",
          "[kernels]") {
  std::size_t tried = 0;
  std::vector<Accelerator> all(accelerators().begin(), accelerators().end());
  all.push_back(datasheet_only());
  for (const Accelerator& a : all) {
    if (!a.peak(Precision::bf16) || !a.memory_bandwidth) continue;
    const FittedKernels k = kernels_of(a);
    for (std::size_t f = 0; f < kPrecisionNames.size(); ++f) {
      for (const StepParts& parts : all_kernels(k, static_cast<Precision>(f))) {
        INFO(a.name << " " << kPrecisionNames[f]);
        CHECK(parts.total().si > 1e-6);
        CHECK(parts.total().si < 1);
        CHECK(parts.compute.si >= 0);
        ++tried;
      }
    }
  }
  CHECK(tried > 15 * kPrecisionNames.size() * 6);
}

TEST_CASE("What was measured assumes nothing, relatives and other formats name whose constants they use",
          "[kernels]") {
  using Catch::Contains;
  const auto of = [](const FittedKernels& k, const char* model, PrecisionPlan precision,
                     Parallelism parallelism) {
    ReplicaShape shape{.model = *find_model(model),
                       .precision = precision,
                       .accelerator = {},
                       .parallelism = parallelism,
                       .drafts = {},
                       .overheads = {}};
    return k.assumption(shape);
  };
  const auto assumed = [&](const FittedKernels& k, Precision weights, Precision kv) {
    return of(k, "deepseek-v3", {.weights = weights, .kv = kv, .head = Precision::bf16}, {});
  };
  CHECK(assumed(kernels_of("h100-sxm-80gb"), Precision::bf16, Precision::bf16).empty());
  CHECK(assumed(kernels_of("h100-sxm-80gb"), Precision::fp16, Precision::fp16).empty());
  CHECK(assumed(kernels_of("h100-sxm-80gb"), Precision::fp8_block, Precision::fp8).empty());
  CHECK(assumed(kernels_of("b200-sxm"), Precision::nvfp4, Precision::fp8).empty());
  CHECK_THAT(assumed(kernels_of("h200-sxm-141gb"), Precision::bf16, Precision::bf16),
             Contains("those of h100-sxm-80gb"));
  CHECK_THAT(assumed(kernels_of("gb200-nvl72"), Precision::bf16, Precision::bf16),
             Contains("those of b200-sxm"));
  CHECK_THAT(assumed(kernels_of("mi300x"), Precision::bf16, Precision::bf16),
             Contains("those of h100-sxm-80gb"));
  CHECK_THAT(assumed(kernels_of(datasheet_only()), Precision::bf16, Precision::bf16),
             Contains("132 processors"));
  CHECK(assumed(kernels_of("h100-sxm-80gb"), Precision::nvfp4, Precision::int8) ==
        "products in nvfp4 on h100-sxm-80gb by the form of bf16 on h100-sxm-80gb; "
        "experts in nvfp4 on h100-sxm-80gb by the form of int4 on h100-sxm-80gb; "
        "KV cache in int8 on h100-sxm-80gb by the form of fp8 on h100-sxm-80gb");
  const FittedKernels h100 = kernels_of("h100-sxm-80gb");
  CHECK(of(h100, "llama-3.1-8b", {.weights = Precision::int4, .head = Precision::bf16}, {}) ==
        "products in int4 on h100-sxm-80gb by the form of bf16 on h100-sxm-80gb");
  CHECK(of(h100, "llama-3.1-8b", {.attention = Precision::fp8}, {}) == "attention cores are timed in 16 bit");
  CHECK(of(h100, "llama-3.1-70b", {}, {.tp = 8}).empty());
  CHECK_THAT(of(h100, "llama-3.1-70b", {}, {.tp = 16}), Contains("collectives between scale-up domains"));
  Accelerator changed = named("h100-sxm-80gb");
  changed.extends = changed.name;
  CHECK_THAT(of(kernels_of(changed), "llama-3.1-8b", {}, {}), Contains("those of h100-sxm-80gb"));
}

TEST_CASE("Formats without tensor cores of their own run as 16 bit with fewer bytes", "[kernels]") {
  const FittedKernels h100 = kernels_of("h100-sxm-80gb");
  const FittedKernels a100 = kernels_of("a100-sxm-80gb");
  const auto large = [](const FittedKernels& k, Precision f) {
    return k.gemm(f, 8192, 8192, 8192).total().si;
  };
  CHECK(large(h100, Precision::nvfp4) == Approx(large(h100, Precision::bf16)).epsilon(0.05));
  CHECK(large(a100, Precision::fp8) == Approx(large(a100, Precision::bf16)).epsilon(0.05));
  const auto thin = [](const FittedKernels& k, Precision f) {
    return k.gemm(f, 1, 16384, 16384).bandwidth.si;
  };
  CHECK(thin(a100, Precision::fp8) < 0.65 * thin(a100, Precision::bf16));
  const ExpertLoad load{.format = Precision::mxfp4,
                        .hidden = 2880,
                        .width = 2880,
                        .matrices = 3,
                        .active_experts = 100,
                        .routed_tokens = 1024,
                        .tokens = 256,
                        .experts_per_token = 4};
  ExpertLoad integer = load;
  integer.format = Precision::int4;
  CHECK(h100.experts(load).total().si == h100.experts(integer).total().si);
}

TEST_CASE("An accelerator that changes a row of the catalog keeps the kernels of that row", "[kernels]") {
  const auto tpot = [](const char* accelerator) {
    ConfigNode root = parse_config(std::string(R"({ "accelerator": )") + accelerator + " }", "test");
    Problems problems;
    Reader r(root, "", problems);
    const Accelerator a = read_accelerator(r, "accelerator").value();
    problems.throw_if_any();
    ReplicaShape shape{.model = *find_model("llama-3.1-8b"),
                       .precision = {},
                       .accelerator = a,
                       .parallelism = {},
                       .drafts = {},
                       .overheads = {}};
    const ServiceTime service(FittedForms{}, shape);
    const DecodeContext context{.sequences = 8,
                                .all = {8000, 8},
                                .longest = {1000, 1},
                                .within = {8000, 8},
                                .longest_within = {1000, 1}};
    DecodeCurve curve;
    service.decode(std::span(&context, 1), 1, curve);
    return curve.until(1).si;
  };
  CHECK(tpot(R"({ "extends": "b200-sxm", "rent": "5 USD/h" })") == tpot(R"("b200-sxm")"));
  CHECK(tpot(R"({ "extends": "gb200-nvl72", "name": "mine" })") == tpot(R"("gb200-nvl72")"));
  CHECK(tpot(R"({ "extends": "b200-sxm", "memory": { "bandwidth": "20 TB/s" } })") < tpot(R"("b200-sxm")"));
}

TEST_CASE("Beyond 8 ranks of one domain a collective's latency grows with the logarithm of the ranks",
          "[kernels]") {
  CHECK(latency_hops(2) == 1);
  CHECK(latency_hops(8) == 7);
  CHECK(latency_hops(64) == Approx(14));
  // All ranks in one domain are never slower than the same ranks in domains of 8 that ports join.
  const FittedKernels k = kernels_of("gb200-nvl72");
  for (const double ranks : {16.0, 32.0, 64.0})
    for (const double bytes : {1e4, 1e6, 1e8})
      CHECK(k.fast_all_reduce(Bytes{bytes}, {ranks, 1}).total() <=
            k.fast_all_reduce(Bytes{bytes}, {ranks, ranks / 8}).total());
}

TEST_CASE("On H100 a large product is within 15 % of 0.8 of the peak, a thin one within 15 % of 0.86 of HBM",
          "[kernels]") {
  const FittedKernels k = kernels_of("h100-sxm-80gb");
  const StepParts large = k.gemm(Precision::bf16, 8192, 8192, 8192);
  CHECK(large.compute > large.overhead * 100);
  CHECK(2 * std::pow(8192.0, 3) / large.total().si == Approx(0.8 * 989e12).epsilon(0.15));
  const StepParts thin = k.gemm(Precision::bf16, 1, 16384, 16384);
  CHECK(thin.bandwidth > thin.overhead * 10);
  CHECK(2 * std::pow(16384.0, 2) / thin.total().si == Approx(0.86 * 3350e9).epsilon(0.15));
  // A tiny one is all launch.
  const StepParts tiny = k.gemm(Precision::bf16, 1, 64, 64);
  CHECK(tiny.total() < tiny.overhead * 1.1);
}

TEST_CASE("Weights of 8 and 4 bits take 0.5 and 0.3 of the time to stream; blocks have no host floor",
          "[kernels]") {
  const FittedKernels k = kernels_of("h100-sxm-80gb");
  const auto streaming = [&](Precision format) { return k.gemm(format, 1, 16384, 16384).bandwidth; };
  CHECK(streaming(Precision::fp8) / streaming(Precision::bf16) == Approx(0.5).epsilon(0.1));
  // 0.258 of the bytes, whose products with padded tiles of 64 rows show beside them.
  CHECK(streaming(Precision::int4) / streaming(Precision::bf16) == Approx(0.3).epsilon(0.1));
  CHECK(k.gemm(Precision::fp8_block, 1, 64, 64).total() < Seconds{15e-6});
  // The kernel without dynamic quantisation: (8192, 32, 65536) took 1.5 ms with it.
  CHECK(k.gemm(Precision::fp8, 8192, 32, 65536).total() < Seconds{0.4e-3});
}

TEST_CASE("Decode attention is exactly linear in the context between kinks, and slower with more of it",
          "[kernels]") {
  const FittedKernels k = kernels_of("h100-sxm-80gb");
  for (const double sequences : {1.0, 7.0, 64.0, 500.0}) {
    for (const DecodeAttention& t : {k.decode_attention(kHeads, Precision::bf16, sequences),
                                     k.decode_attention(kHeads, Precision::fp8, sequences),
                                     k.latent_decode(kLatent, Precision::bf16, sequences)}) {
      const double low = time_of(t, sequences, 100e3);
      const double middle = time_of(t, sequences, 110e3);
      const double high = time_of(t, sequences, 120e3);
      CHECK(high - middle == Approx(middle - low).epsilon(1e-9));
      CHECK(middle > low);
      double before = 0;
      for (double context = 1; context < 1e6; context *= 1.3) {
        const double now = time_of(t, sequences, context);
        CHECK(now >= before);
        before = now;
      }
    }
  }
}

TEST_CASE("Decode attention of 64 sequences of 16,384 tokens reads bf16 KV at 0.85 to 1 of HBM's rate",
          "[kernels]") {
  for (const char* name : {"h100-sxm-80gb", "b200-sxm"}) {
    const double time = time_of(kernels_of(name).decode_attention(kHeads, Precision::bf16, 64), 64, 16384);
    const double bytes = 2.0 * 8 * 128 * 2 * 64 * 16384;
    CHECK(bytes / time / named(name).memory_bandwidth->si > 0.85);
    CHECK(bytes / time / named(name).memory_bandwidth->si < 1);
  }
  // What one launch reads at once: no context is free, yet 128 tokens cost hardly more than one.
  const DecodeAttention t = kernels_of("h100-sxm-80gb").decode_attention(kHeads, Precision::bf16, 1);
  CHECK(time_of(t, 1, 128) < 1.1 * time_of(t, 1, 1));
}

TEST_CASE("An 8-bit KV cache gains half of a faster memory's rate: its conversion stays", "[kernels]") {
  const auto per_token = [](std::string_view name, Precision kv) {
    return kernels_of(name).decode_attention(kHeads, kv, 64).memory_per_token;
  };
  CHECK(per_token("h100-sxm-80gb", Precision::bf16) / per_token("h200-sxm-141gb", Precision::bf16) ==
        Approx(4800.0 / 3350));
  CHECK(per_token("h100-sxm-80gb", Precision::fp8) / per_token("h200-sxm-141gb", Precision::fp8) ==
        Approx(1 / (0.5 + 0.5 * 3350 / 4800)));
  // A slow memory limits it alone.
  CHECK(per_token("l40s", Precision::fp8) / per_token("h100-sxm-80gb", Precision::fp8) ==
        Approx(3350.0 / 864));
}

TEST_CASE(
    "Decode attention waits for the tensor cores only where they are few: MLA on H20, not on H100 or B200",
    "[kernels]") {
  for (const char* name : {"h100-sxm-80gb", "b200-sxm"}) {
    const FittedKernels k = kernels_of(name);
    for (const Precision kv : {Precision::bf16, Precision::fp8}) {
      const DecodeAttention latent = k.latent_decode(kLatent, kv, 64);
      CHECK(latent.compute_per_token <= latent.memory_per_token * (1 + 1e-12));
      const DecodeAttention grouped = k.decode_attention(kHeads, kv, 64);
      CHECK(grouped.compute_per_token < grouped.memory_per_token);
    }
  }
  const DecodeAttention h20 = kernels_of("h20-sxm-96gb").latent_decode(kLatent, Precision::bf16, 64);
  CHECK(h20.compute_per_token > h20.memory_per_token * 2);
  // 2 x 128 x 1088 FLOP a token at most at the peak of 148 TFLOP/s.
  CHECK(h20.compute_per_token.si > 2 * 128 * 1088 / 148e12);
}

TEST_CASE("Prompts of one launch share its fixed time, a prefix costs compute only, a window bounds it",
          "[kernels]") {
  const FittedKernels k = kernels_of("h100-sxm-80gb");
  const auto prefill = [&](const AttentionHeads& heads, std::vector<PrefillChunk> chunks) {
    return k.prefill_attention(heads, Precision::bf16, chunks);
  };
  const StepParts one = prefill(kHeads, {{.prefix = 0, .tokens = 2048}});
  const StepParts two = prefill(kHeads, {{.prefix = 0, .tokens = 2048}, {.prefix = 0, .tokens = 2048}});
  CHECK(two.overhead == one.overhead);
  CHECK(two.bandwidth.si == Approx(2 * one.bandwidth.si));
  CHECK(two.compute > one.compute);
  CHECK(two.compute < one.compute * 2.001);
  const StepParts behind = prefill(kHeads, {{.prefix = 30'000, .tokens = 2048}});
  CHECK(behind.bandwidth.si == Approx(one.bandwidth.si));
  // 2048 x 30000 pairs more than 2048 x 2049 / 2.
  CHECK(behind.compute / one.compute == Approx(1 + 2.0 * 30'000 / 2049).epsilon(0.25));
  AttentionHeads windowed = kHeads;
  windowed.reach = {.tokens = 1024, .chunked = false};
  const StepParts near = prefill(windowed, {{.prefix = 5'000, .tokens = 2048}});
  CHECK(prefill(windowed, {{.prefix = 90'000, .tokens = 2048}}).total().si == Approx(near.total().si));
  CHECK(near.total() < behind.total());
  // A prompt cut in two behind itself takes at least as long as whole.
  CHECK(prefill(kHeads, {{.prefix = 0, .tokens = 1024}}).total() +
            prefill(kHeads, {{.prefix = 1024, .tokens = 1024}}).total() >
        one.total());
}

TEST_CASE("Twice the bandwidth or the peak of a datasheet never makes a kernel slower", "[kernels]") {
  for (const char* name : {"h100-sxm-80gb", "b200-sxm", "h20-sxm-96gb"}) {
    const Accelerator plain = named(name);
    Accelerator wide = plain;
    wide.memory_bandwidth = *plain.memory_bandwidth * 2;
    Accelerator fast = plain;
    for (auto* peak : {&fast.bf16, &fast.fp8, &fast.int8, &fast.fp4})
      if (*peak) *peak = **peak * 2;
    for (const Precision format : {Precision::bf16, Precision::fp8}) {
      const auto before = all_kernels(kernels_of(plain), format);
      for (const Accelerator& better : {wide, fast}) {
        const auto after = all_kernels(kernels_of(better), format);
        for (std::size_t i = 0; i < before.size(); ++i) CHECK(after[i].total() <= before[i].total());
      }
    }
  }
}

TEST_CASE("Experts in nvfp4 on B200 run on the faster of two kernels", "[kernels]") {
  const Accelerator b200 = named("b200-sxm");
  const KernelConstants both = kernel_constants(b200.name);
  KernelConstants one = both;
  one.experts_min_latency = {};
  const auto time = [&](const KernelConstants& constants, double tokens) {
    return FittedKernels(b200, constants)
        .experts({.format = Precision::nvfp4,
                  .hidden = 7168,
                  .width = 2048,
                  .active_experts = std::min(32.0, tokens),
                  .routed_tokens = tokens,
                  .tokens = tokens * 8,
                  .experts_per_token = 8})
        .total();
  };
  CHECK(time(both, 1) < time(one, 1) * 0.9);
  for (const double tokens : {1.0, 100.0, 10'000.0}) CHECK(time(both, tokens) <= time(one, tokens));
}

TEST_CASE("Collectives: nothing alone, the link inside a domain, the network port between domains",
          "[kernels]") {
  const FittedKernels k = kernels_of("h100-sxm-80gb");
  const Bytes buffer{256e6};
  for (const Collective kind :
       {Collective::all_reduce, Collective::all_gather, Collective::reduce_scatter, Collective::all_to_all}) {
    CHECK(k.collective(kind, buffer, {.ranks = 1, .domains = 1}).total() == Seconds{0});
    const Seconds inside = k.collective(kind, buffer, kEight).network;
    const Seconds between = k.collective(kind, buffer, {.ranks = 16, .domains = 2}).network;
    CHECK(between > inside * (kind == Collective::all_to_all ? 0.5 : 1.0));
    // What each port has to carry, at its full 50 GB/s.
    const double port_bytes = kind == Collective::all_reduce   ? buffer.si / 8
                              : kind == Collective::all_to_all ? buffer.si / 2
                                                               : buffer.si / 16;
    CHECK(between.si > port_bytes / 50e9);
    CHECK(between.si < port_bytes / 50e9 * 1.2 + inside.si + 100e-6);
  }
  CHECK(k.fast_all_reduce(Bytes{16384}, kEight).total() < Seconds{8e-6});
  CHECK(k.fast_all_reduce(Bytes{16384}, {.ranks = 16, .domains = 2}).total() ==
        k.collective(Collective::all_reduce, Bytes{16384}, {.ranks = 16, .domains = 2}).total());
  CHECK_THROWS_AS(kernels_of(datasheet_only()).collective(Collective::all_reduce, buffer, kEight),
                  std::logic_error);
}

TEST_CASE("The exchange of experts: 8-bit tokens take half of the wire, more domains take longer",
          "[kernels]") {
  const FittedKernels k = kernels_of("h100-sxm-80gb");
  ExpertExchange x{.combine = false,
                   .tokens = 4096,
                   .hidden = 7168,
                   .experts_per_token = 8,
                   .experts = 256,
                   .bytes_per_element = 2,
                   .group = kEight};
  for (const bool low_latency : {false, true}) {
    x.group = kEight;
    x.bytes_per_element = 2;
    const Seconds wide = k.exchange(x, low_latency).network;
    x.bytes_per_element = 1;
    const Seconds narrow = k.exchange(x, low_latency).network;
    CHECK(narrow < wide * 0.75);
    CHECK(narrow > wide * 0.45);
    Seconds before = narrow;
    for (const double domains : {2.0, 4.0, 8.0}) {
      x.group = {.ranks = 8 * domains, .domains = domains};
      const Seconds now = k.exchange(x, low_latency).network;
      CHECK(now > before);
      before = now;
    }
  }
  x.group = {.ranks = 1, .domains = 1};
  CHECK(k.exchange(x, true).total() == Seconds{0});
}
