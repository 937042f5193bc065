#pragma once

#include <array>
#include <string_view>

namespace disagg {

// Closed forms of kernel times: launch + work / peak + bytes / bandwidth + quantisation into tiles and waves,
// with 4 to 11 constants per accelerator, kernel family and number format. They are fitted to measured
// kernels
// (`disagg calibrate`); what each term stands for is told in the README beside this file. All quantities are
// in SI units; constants without a unit are shares of the datasheet's rate (above 1 where terms are not
// separable).

// A constant of a family: its name and unit in files, and where it is kept.
template <class Constants>
struct ConstantField {
  std::string_view name;
  double Constants::*member;
  double unit = 1;  // of the number in files, in SI
};

// Rates of one accelerator.
struct KernelDevice {
  double peak = 0;        // FLOP/s of the format
  double memory = 0;      // byte/s
  double scale_up = 0;    // byte/s per direction; 0: none
  double processors = 0;  // streaming multiprocessors or compute units
  double l2 = 0;          // byte
};

// Where the time of a kernel goes. Where compute and memory hide each other, the longer has all of it.
struct KernelForm {
  double launch = 0;
  double compute = 0;
  double memory = 0;

  double total() const { return launch + compute + memory; }
};

// --- Products ---------------------------------------------------------------------------------------------

struct GemmConstants {
  double t0, ec, em, p, tau, red, aq, bq;
  static constexpr std::string_view family = "gemm";
  static const std::array<ConstantField<GemmConstants>, 8> fields;
};
struct GemmShape {
  double m = 0, n = 0, k = 0;
  double weight_bytes = 2, activation_bytes = 2;  // of one element
  bool split_k = false;    // kernels of 16-bit numbers split k over processors when tiles are few
  bool quantises = false;  // the activation is quantised on the fly, as in the measurements of 8 and 4 bits
};
KernelForm gemm_form(const GemmConstants& c, const KernelDevice& device, const GemmShape& shape);

// --- Attention of grouped queries -------------------------------------------------------------------------

struct DecodeAttentionConstants {
  double t0, t1, dl, c0, c1, em, eh, tau, phi, f;
  static constexpr std::string_view family = "decode_attention";
  static const std::array<ConstantField<DecodeAttentionConstants>, 10> fields;
};
struct DecodeAttentionShape {
  double batch = 0, heads = 0, kv_heads = 0, head_dim = 0;
  double context = 0;  // tokens that each sequence reads
  double kv_bytes = 2;
};
// Coefficients of one launch; see DecodeAttention in kernel_times.hpp for what they mean.
struct DecodeAttentionForm {
  double launch = 0, deep = 0, deep_beyond = 0, wave = 0;
  double memory_per_token = 0, serial_per_token = 0, overlap = 0;

  // Of one launch for `batch` sequences of `context` tokens each.
  double time(double batch, double context) const;
};
DecodeAttentionForm decode_attention_form(const DecodeAttentionConstants& c, const KernelDevice& device,
                                          const DecodeAttentionShape& shape);
inline constexpr double kMostSplits = 16;  // of one sequence's keys
// With the benchmark's warm L2 when `warm`, which a server never has.
double decode_attention_time(const DecodeAttentionConstants& c, const KernelDevice& device,
                             const DecodeAttentionShape& shape, bool warm);

struct PrefillAttentionConstants {
  double t0, ec, cx, cp, k1, k2, phi, qo, e2;
  static constexpr std::string_view family = "prefill_attention";
  static const std::array<ConstantField<PrefillAttentionConstants>, 9> fields;
};
// One launch; several prompts may be added up.
struct PrefillAttentionShape {
  double heads = 0, kv_heads = 0, head_dim = 0;
  double window = 0;   // tokens; 0: none
  bool packed = true;  // the queries of a group share tiles (FlashAttention 3)
  double tokens = 0;   // new ones of all prompts
  double pairs = 0;    // query-key pairs of all prompts, for one head
  double tiles = 0;    // of 128 rows, all prompts and heads
  double longest = 0;  // context of the longest prompt
};
// Adds a prompt of `tokens` new tokens, `pairs` pairs and `context` tokens to a launch.
void add_prompt(PrefillAttentionShape& shape, double tokens, double pairs, double context);
KernelForm prefill_attention_form(const PrefillAttentionConstants& c, const KernelDevice& device,
                                  const PrefillAttentionShape& shape);

// --- Multi-head latent attention --------------------------------------------------------------------------

struct LatentDecodeConstants {
  double t0, dl, cw, ch, e16, e32, e64, e128, phi;
  static constexpr std::string_view family = "mla_decode";
  static const std::array<ConstantField<LatentDecodeConstants>, 9> fields;
};
struct LatentDecodeShape {
  double batch = 0, heads = 0, context = 0;
  double width = 576;  // of the cached latent and its rotary key
  double kv_bytes = 2;
};
DecodeAttentionForm latent_decode_form(const LatentDecodeConstants& c, const KernelDevice& device,
                                       const LatentDecodeShape& shape);
double latent_decode_time(const LatentDecodeConstants& c, const KernelDevice& device,
                          const LatentDecodeShape& shape);

struct LatentPrefillConstants {
  double t0, ec, cp, kv, phi;
  static constexpr std::string_view family = "mla_prefill";
  static const std::array<ConstantField<LatentPrefillConstants>, 5> fields;
};
struct LatentPrefillShape {
  double heads = 0;
  double width = 320;                                    // of a head's query, key and value: d_n + d_r + d_v
  double bytes = 1280;                                   // of a head's expanded K, V, Q and O per token
  double tokens = 0, pairs = 0, tiles = 0, longest = 0;  // as in PrefillAttentionShape
};
void add_prompt(LatentPrefillShape& shape, double tokens, double pairs, double context);
KernelForm latent_prefill_form(const LatentPrefillConstants& c, const KernelDevice& device,
                               const LatentPrefillShape& shape);

// --- Experts ----------------------------------------------------------------------------------------------

struct ExpertsConstants {
  double t0, ec, em, act, ag, ft;
  static constexpr std::string_view family = "moe";
  static const std::array<ConstantField<ExpertsConstants>, 6> fields;
};
// Of the most loaded rank, but for `tokens`, which are all.
struct ExpertsShape {
  double hidden = 0, width = 0, matrices = 3, weight_bytes = 2;
  double active_experts = 0, routed_tokens = 0;
  double tokens = 0, experts_per_token = 0;
};
KernelForm experts_form(const ExpertsConstants& c, const KernelDevice& device, const ExpertsShape& shape);

// --- Collectives ------------------------------------------------------------------------------------------

// Latencies of a collective in steps of a ring: n - 1 up to the 8 ranks that were measured. More ranks go in
// trees, whose depth is the logarithm of n (NCCL's tree algorithm; assumed, and continuous at 8).
inline constexpr double kMeasuredRanks = 8;
double latency_hops(double ranks);

// NCCL: three protocols, of which the fastest runs, each a line in the size.
struct CollectiveConstants {
  double a0, a1, e1, s1, e2, s2, e3;
  static constexpr std::string_view family = "nccl";
  static const std::array<ConstantField<CollectiveConstants>, 7> fields;
};
// `passes`: 2 for an all-reduce, which sends everything twice, else 1. `bytes` of the full buffer.
double collective_time(const CollectiveConstants& c, double scale_up, double bytes, double ranks,
                       double passes);

// All-reduce kernels of serving engines under a CUDA graph: one shot, two shots, and the library's from 8
// MiB.
struct AllReduceConstants {
  double a0, a1, e1, s2, e2, sa, ea, sb, eb;
  static constexpr std::string_view family = "all_reduce";
  static const std::array<ConstantField<AllReduceConstants>, 9> fields;
};
double all_reduce_time(const AllReduceConstants& c, double scale_up, double bytes, double ranks);

// DeepEP's kernels for decode, one leg inside a scale-up domain.
struct LowLatencyConstants {
  double a, ae, e, ts;
  static constexpr std::string_view family = "deepep_low_latency";
  static const std::array<ConstantField<LowLatencyConstants>, 4> fields;
};
struct ExchangeShape {
  double tokens = 0;  // of one rank
  double hidden = 0, experts_per_token = 0, experts = 0, ranks = 8;
  double bytes = 2;        // of an element on the wire
  double processors = 20;  // given to the exchange, in normal mode
};
double low_latency_time(const LowLatencyConstants& c, double scale_up, const ExchangeShape& shape);

// The same over several domains, limited by each rank's network port.
struct LowLatencyNetworkConstants {
  double a, c, e;
  static constexpr std::string_view family = "deepep_low_latency_network";
  static const std::array<ConstantField<LowLatencyNetworkConstants>, 3> fields;
};
double low_latency_network_time(const LowLatencyNetworkConstants& c, double port, double domains,
                                const ExchangeShape& shape);

// DeepEP's kernels for prefill.
struct NormalExchangeConstants {
  double a, bs, e, ct;
  static constexpr std::string_view family = "deepep_normal";
  static const std::array<ConstantField<NormalExchangeConstants>, 4> fields;
};
double normal_exchange_time(const NormalExchangeConstants& c, double scale_up, const ExchangeShape& shape);

// The same over several domains: each token goes once over the port to every other domain that holds one of
// its experts, and from there over the link to its ranks. `far` is the share of the port with more than four
// domains.
struct NormalNetworkConstants {
  double a, c, bs, e, far;
  static constexpr std::string_view family = "deepep_normal_network";
  static const std::array<ConstantField<NormalNetworkConstants>, 5> fields;
};
double normal_network_time(const NormalNetworkConstants& c, double port, double domains,
                           const ExchangeShape& shape);

}  // namespace disagg
