#include "sim/service/kernel_forms.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace disagg {
namespace {

constexpr double kUs = 1e-6;
constexpr double kNs = 1e-9;
constexpr double kPs = 1e-12;
constexpr double kMiB = 1024 * 1024;

// Two loads that overlap in part: the longer, and the share `phi` of the shorter.
double overlapped(double a, double b, double phi) { return std::max(a, b) + phi * std::min(a, b); }

}  // namespace

constexpr std::array<ConstantField<GemmConstants>, 8> GemmConstants::fields{{
    {"t0_us", &GemmConstants::t0, kUs},
    {"ec", &GemmConstants::ec},
    {"em", &GemmConstants::em},
    {"p", &GemmConstants::p},
    {"tau_ns", &GemmConstants::tau, kNs},
    {"red_us", &GemmConstants::red, kUs},
    {"aq_ns", &GemmConstants::aq, kNs},
    {"bq_ps", &GemmConstants::bq, kPs},
}};

// A tile of tm x tn runs through k in steps, on one processor; tiles beyond the processors' number make
// further waves. Kernels choose the tile and the split of k that suit the shape: so does the minimum.
KernelForm gemm_form(const GemmConstants& c, const KernelDevice& device, const GemmShape& s) {
  constexpr std::array<double, 3> kTiles{64, 128, 256};
  constexpr std::array<double, 6> kSplits{1, 2, 4, 8, 16, 32};
  const std::size_t splits = s.split_k ? kSplits.size() : 1;

  double compute = std::numeric_limits<double>::infinity();
  std::array<double, 3> columns{};
  for (std::size_t j = 0; j < 3; ++j) columns[j] = std::ceil(s.n / kTiles[j]);
  std::array<double, 6> depth{};
  for (std::size_t i = 0; i < splits; ++i) depth[i] = std::max(64 * std::ceil(s.k / (64 * kSplits[i])), 64.0);
  const double rate = device.processors / (device.peak * c.ec);
  for (std::size_t a = 0; a < 3; ++a) {
    const double rows = std::ceil(s.m / kTiles[a]);
    for (std::size_t b = 0; b < 3; ++b) {
      const double tiles = rows * columns[b];
      const double element = std::max(2 * kTiles[a] * kTiles[b] * rate, c.tau);
      for (std::size_t i = 0; i < splits; ++i) {
        const double waves = std::ceil(tiles * kSplits[i] / device.processors);
        double time = waves * depth[i] * element;
        if (i > 0) time += c.red + 8 * s.m * s.n * kSplits[i] / (2 * device.memory);
        compute = std::min(compute, time);
      }
    }
  }
  const double memory =
      (s.weight_bytes * s.n * s.k + s.activation_bytes * s.m * s.k + 2 * s.m * s.n) / (device.memory * c.em);
  const double quantisation = s.quantises ? std::max(s.m * c.aq, s.m * s.k * c.bq) : 0;
  // (x^p + y^p)^(1/p), written so that only the ratio of the two is raised to the power.
  const double larger = std::max(compute, memory);
  const double ratio = std::min(compute, memory) / larger;
  const double both = larger * std::pow(1 + std::pow(ratio, c.p), 1 / c.p);
  KernelForm form{.launch = c.t0, .memory = quantisation};
  (compute > memory ? form.compute : form.memory) += both;
  return form;
}

constexpr std::array<ConstantField<DecodeAttentionConstants>, 10> DecodeAttentionConstants::fields{{
    {"t0_us", &DecodeAttentionConstants::t0, kUs},
    {"t1_us", &DecodeAttentionConstants::t1, kUs},
    {"dl_us", &DecodeAttentionConstants::dl, kUs},
    {"c0_us", &DecodeAttentionConstants::c0, kUs},
    {"c1_us", &DecodeAttentionConstants::c1, kUs},
    {"em", &DecodeAttentionConstants::em},
    {"eh", &DecodeAttentionConstants::eh},
    {"tau_ns", &DecodeAttentionConstants::tau, kNs},
    {"phi", &DecodeAttentionConstants::phi},
    {"f", &DecodeAttentionConstants::f},
}};

namespace {

struct DecodeAttentionTerms {
  double work_items = 0;  // sequences x KV heads
  double splits = 1;      // of one sequence's keys
  double wide = 1;        // slowdown of heads beyond 128
};

DecodeAttentionTerms terms_of(const DecodeAttentionConstants& c, const KernelDevice& device,
                              const DecodeAttentionShape& s) {
  DecodeAttentionTerms t;
  t.work_items = s.batch * s.kv_heads;
  t.splits = std::clamp(std::floor(device.processors / t.work_items), 1.0, kMostSplits);
  t.wide = 1 + c.eh * std::max(s.head_dim - 128, 0.0) / 128;
  return t;
}

}  // namespace

DecodeAttentionForm decode_attention_form(const DecodeAttentionConstants& c, const KernelDevice& device,
                                          const DecodeAttentionShape& s) {
  const DecodeAttentionTerms t = terms_of(c, device, s);
  const double heads = s.head_dim / 128;
  return {.launch = c.t0 + c.t1 * heads,
          .deep = c.dl,
          .deep_beyond = 128,
          .wave = (c.c0 + c.c1 * heads) * t.work_items / device.processors,
          .memory_per_token = 2 * s.kv_heads * s.head_dim * s.kv_bytes * t.wide / (device.memory * c.em),
          .serial_per_token =
              c.tau * heads * std::max(1.0, t.work_items * t.splits / device.processors) / t.splits,
          .overlap = std::min(c.phi, 1.0)};
}

double DecodeAttentionForm::time(double batch, double context) const {
  const double b = std::max(memory_per_token * batch * context, serial_per_token * context);
  return launch + (context > deep_beyond ? deep : 0) + overlapped(wave, b, overlap);
}

double decode_attention_time(const DecodeAttentionConstants& c, const KernelDevice& device,
                             const DecodeAttentionShape& s, bool warm) {
  DecodeAttentionForm form = decode_attention_form(c, device, s);
  if (warm) {
    const double bytes_per_token = 2 * s.kv_heads * s.head_dim * s.kv_bytes;
    const double hit = 1 / (1 + std::pow(bytes_per_token * s.batch * s.context / (c.f * device.l2), 6));
    form.memory_per_token = form.memory_per_token * (1 - hit) + bytes_per_token * hit / (3 * device.memory);
  }
  return form.time(s.batch, s.context);
}

constexpr std::array<ConstantField<PrefillAttentionConstants>, 9> PrefillAttentionConstants::fields{{
    {"t0_us", &PrefillAttentionConstants::t0, kUs},
    {"ec", &PrefillAttentionConstants::ec},
    {"cx_ps", &PrefillAttentionConstants::cx, kPs},
    {"cp_us", &PrefillAttentionConstants::cp, kUs},
    {"k1", &PrefillAttentionConstants::k1},
    {"k2", &PrefillAttentionConstants::k2},
    {"phi", &PrefillAttentionConstants::phi},
    {"qo", &PrefillAttentionConstants::qo},
    {"e2", &PrefillAttentionConstants::e2},
}};

void add_prompt(PrefillAttentionShape& s, double tokens, double pairs, double context) {
  const double group = s.heads / s.kv_heads;
  s.tokens += tokens;
  s.pairs += pairs;
  s.tiles += s.packed ? s.kv_heads * std::ceil(tokens * group / 128) : s.heads * std::ceil(tokens / 128);
  s.longest = std::max(s.longest, context);
}

KernelForm prefill_attention_form(const PrefillAttentionConstants& c, const KernelDevice& device,
                                  const PrefillAttentionShape& s) {
  const double wide = s.head_dim > 128 ? c.e2 : 1;
  const double block = 128 * 128 * (4 * s.head_dim * device.processors / (device.peak * c.ec) * wide + c.cx);
  const double blocks = s.heads * s.pairs / (128 * 128) + s.tiles / 2;
  const double work = (s.tiles * c.cp + blocks * block) / device.processors;
  double deepest = std::ceil(s.longest / 128);
  if (s.window > 0) deepest = std::min(deepest, s.window / 128 + 1);
  const double tail = c.cp + deepest * block;
  const double width = s.kv_heads * s.head_dim;
  const double moved =
      4 * s.tokens * (c.k1 * std::min(width, 512.0) + c.k2 * std::max(width - 512, 0.0)) / device.memory +
      4 * c.qo * s.tokens * s.heads * s.head_dim / device.memory;
  return {.launch = c.t0, .compute = overlapped(work, tail, c.phi), .memory = moved};
}

constexpr std::array<ConstantField<LatentDecodeConstants>, 9> LatentDecodeConstants::fields{{
    {"t0_us", &LatentDecodeConstants::t0, kUs},
    {"dl_us", &LatentDecodeConstants::dl, kUs},
    {"cw_us", &LatentDecodeConstants::cw, kUs},
    {"ch_ns", &LatentDecodeConstants::ch, kNs},
    {"e16", &LatentDecodeConstants::e16},
    {"e32", &LatentDecodeConstants::e32},
    {"e64", &LatentDecodeConstants::e64},
    {"e128", &LatentDecodeConstants::e128},
    {"phi", &LatentDecodeConstants::phi},
}};

DecodeAttentionForm latent_decode_form(const LatentDecodeConstants& c, const KernelDevice& device,
                                       const LatentDecodeShape& s) {
  const double efficiency = s.heads <= 16 ? c.e16 : s.heads <= 32 ? c.e32 : s.heads <= 64 ? c.e64 : c.e128;
  return {.launch = c.t0,
          .deep = c.dl,
          .deep_beyond = 127,
          .wave = c.cw * s.batch * std::ceil(s.heads / 64) / device.processors + c.ch * s.batch * s.heads,
          .memory_per_token = s.width * s.kv_bytes / (device.memory * efficiency),
          .serial_per_token = 0,
          .overlap = std::min(c.phi, 1.0)};
}

double latent_decode_time(const LatentDecodeConstants& c, const KernelDevice& device,
                          const LatentDecodeShape& s) {
  return latent_decode_form(c, device, s).time(s.batch, s.context);
}

constexpr std::array<ConstantField<LatentPrefillConstants>, 5> LatentPrefillConstants::fields{{
    {"t0_us", &LatentPrefillConstants::t0, kUs},
    {"ec", &LatentPrefillConstants::ec},
    {"cp_us", &LatentPrefillConstants::cp, kUs},
    {"kv", &LatentPrefillConstants::kv},
    {"phi", &LatentPrefillConstants::phi},
}};

void add_prompt(LatentPrefillShape& s, double tokens, double pairs, double context) {
  s.tokens += tokens;
  s.pairs += pairs;
  s.tiles += s.heads * std::ceil(tokens / 128);
  s.longest = std::max(s.longest, context);
}

KernelForm latent_prefill_form(const LatentPrefillConstants& c, const KernelDevice& device,
                               const LatentPrefillShape& s) {
  const double block = 128 * 128 * 2 * s.width * device.processors / (device.peak * c.ec);
  const double blocks = s.heads * s.pairs / (128 * 128) + s.tiles / 2;
  const double work = (s.tiles * c.cp + blocks * block) / device.processors;
  const double tail = c.cp + std::ceil(s.longest / 128) * block;
  const double moved = c.kv * s.bytes * s.tokens * s.heads / device.memory;
  return {.launch = c.t0, .compute = overlapped(work, tail, c.phi), .memory = moved};
}

constexpr std::array<ConstantField<ExpertsConstants>, 6> ExpertsConstants::fields{{
    {"t0_us", &ExpertsConstants::t0, kUs},
    {"ec", &ExpertsConstants::ec},
    {"em", &ExpertsConstants::em},
    {"act", &ExpertsConstants::act},
    {"ag", &ExpertsConstants::ag},
    {"ft", &ExpertsConstants::ft},
}};

KernelForm experts_form(const ExpertsConstants& c, const KernelDevice& device, const ExpertsShape& s) {
  const double weights = s.matrices * s.hidden * (s.width + c.ft);
  const double read = weights * s.weight_bytes * s.active_experts / (device.memory * c.em);
  const double products = 2 * weights * s.routed_tokens / (device.peak * c.ec);
  const double activations =
      c.act * s.routed_tokens * (4 * s.hidden + 2 * s.matrices * s.width) / device.memory;
  const double routing = c.ag * 2 * s.tokens * s.experts_per_token * s.hidden / device.memory;
  return {.launch = c.t0, .compute = products, .memory = read + activations + routing};
}

constexpr std::array<ConstantField<CollectiveConstants>, 7> CollectiveConstants::fields{{
    {"a0_us", &CollectiveConstants::a0, kUs},
    {"a1_us", &CollectiveConstants::a1, kUs},
    {"e1", &CollectiveConstants::e1},
    {"s1_us", &CollectiveConstants::s1, kUs},
    {"e2", &CollectiveConstants::e2},
    {"s2_us", &CollectiveConstants::s2, kUs},
    {"e3", &CollectiveConstants::e3},
}};

double latency_hops(double ranks) {
  if (ranks <= kMeasuredRanks) return ranks - 1;
  return (kMeasuredRanks - 1) * std::log2(ranks) / std::log2(kMeasuredRanks);
}

double collective_time(const CollectiveConstants& c, double scale_up, double bytes, double ranks,
                       double passes) {
  if (ranks <= 1) return 0;
  const double wire = passes * (ranks - 1) / ranks * bytes / scale_up;
  return c.a0 + c.a1 * latency_hops(ranks) +
         std::min({wire / c.e1, c.s1 + wire / c.e2, c.s1 + c.s2 + wire / c.e3});
}

constexpr std::array<ConstantField<AllReduceConstants>, 9> AllReduceConstants::fields{{
    {"a0_us", &AllReduceConstants::a0, kUs},
    {"a1_us", &AllReduceConstants::a1, kUs},
    {"e1", &AllReduceConstants::e1},
    {"s2_us", &AllReduceConstants::s2, kUs},
    {"e2", &AllReduceConstants::e2},
    {"sa_us", &AllReduceConstants::sa, kUs},
    {"ea", &AllReduceConstants::ea},
    {"sb_us", &AllReduceConstants::sb, kUs},
    {"eb", &AllReduceConstants::eb},
}};

// vLLM's custom_all_reduce switches from one shot to two at 512 KiB for four ranks and 256 KiB for eight.
double all_reduce_time(const AllReduceConstants& c, double scale_up, double bytes, double ranks) {
  if (ranks <= 1) return 0;
  const double launch = c.a0 + c.a1 * (ranks - 1);
  const double wire = 2 * (ranks - 1) / ranks * bytes / scale_up;
  if (bytes >= 8 * kMiB) return launch + std::min(c.sa + wire / c.ea, c.sa + c.sb + wire / c.eb);
  const double limit = ranks <= 2 ? 8 * kMiB : ranks <= 4 ? kMiB / 2 : kMiB / 4;
  if (bytes < limit) return launch + (ranks - 1) * bytes / (scale_up * c.e1);
  return launch + c.s2 + wire / c.e2;
}

constexpr std::array<ConstantField<LowLatencyConstants>, 4> LowLatencyConstants::fields{{
    {"a_us", &LowLatencyConstants::a, kUs},
    {"ae_us", &LowLatencyConstants::ae, kUs},
    {"e", &LowLatencyConstants::e},
    {"ts_us", &LowLatencyConstants::ts, kUs},
}};

double low_latency_time(const LowLatencyConstants& c, double scale_up, const ExchangeShape& s) {
  const double share = (s.ranks - 1) / s.ranks;
  const double wire = share * s.tokens * s.experts_per_token * s.hidden * s.bytes / (scale_up * c.e);
  // With few experts a kernel has few processors to copy with.
  const double copies = c.ts * s.tokens / std::ceil(s.experts / 3);
  return c.a + c.ae * s.experts / 100 + std::max(wire, copies);
}

constexpr std::array<ConstantField<LowLatencyNetworkConstants>, 3> LowLatencyNetworkConstants::fields{{
    {"a_us", &LowLatencyNetworkConstants::a, kUs},
    {"c_us", &LowLatencyNetworkConstants::c, kUs},
    {"e", &LowLatencyNetworkConstants::e},
}};

double low_latency_network_time(const LowLatencyNetworkConstants& c, double port, double domains,
                                const ExchangeShape& s) {
  return c.a + c.c * std::log2(domains) +
         s.tokens * s.experts_per_token * s.hidden * s.bytes * (domains - 1) / (domains * port * c.e);
}

constexpr std::array<ConstantField<NormalExchangeConstants>, 4> NormalExchangeConstants::fields{{
    {"a_us", &NormalExchangeConstants::a, kUs},
    {"bs_gb_s", &NormalExchangeConstants::bs, 1e9},
    {"e", &NormalExchangeConstants::e},
    {"ct_ns", &NormalExchangeConstants::ct, kNs},
}};

namespace {

// How many of `places` hold one of a token's experts, which are spread evenly over them.
double distinct(double places, double experts_per_token) {
  return places * (1 - std::pow(1 - 1 / places, experts_per_token));
}

}  // namespace

double normal_exchange_time(const NormalExchangeConstants& c, double scale_up, const ExchangeShape& s) {
  const double ranks = distinct(s.ranks, s.experts_per_token);
  const double bytes = s.bytes * s.tokens * ranks * s.hidden;
  return c.a + std::max(bytes / (s.processors * c.bs), bytes / (scale_up * c.e)) +
         c.ct * s.ranks * s.tokens / s.processors;
}

constexpr std::array<ConstantField<NormalNetworkConstants>, 5> NormalNetworkConstants::fields{{
    {"a_us", &NormalNetworkConstants::a, kUs},
    {"c_us", &NormalNetworkConstants::c, kUs},
    {"bs_gb_s", &NormalNetworkConstants::bs, 1e9},
    {"e", &NormalNetworkConstants::e},
    {"far", &NormalNetworkConstants::far},
}};

double normal_network_time(const NormalNetworkConstants& c, double port, double domains,
                           const ExchangeShape& s) {
  const double others = distinct(domains, s.experts_per_token) * (domains - 1) / domains;
  const double copies = others + distinct(s.ranks, s.experts_per_token);
  const double bytes = s.bytes * s.tokens * s.hidden;
  return c.a + c.c * std::log2(domains) +
         bytes * std::max(others / (port * (domains > 4 ? c.far : c.e)), copies / (s.processors * c.bs));
}

}  // namespace disagg
