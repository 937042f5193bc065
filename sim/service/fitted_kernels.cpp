#include "sim/service/fitted_kernels.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/expect.hpp"
#include "sim/intensity/query_key_pairs.hpp"

namespace disagg {
namespace {

// Of the H100, for accelerators whose makers do not publish them.
constexpr std::int64_t kProcessors = 132;
constexpr double kL2 = 50e6;
// Share of a byte's time in decode with 8-bit KV that conversion takes on the H100: with all of it scaled by
// the memory's rate, kernels of the H200 come out 16 to 22 % too fast, and so 12 to 20 % too slow with none
// of it.
constexpr double kConversion = 0.5;
// Share of a network port's rate that collectives between scale-up domains reach: assumed, as measured for
// DeepEP's messages (0.93 to 0.96).
constexpr double kPortShare = 0.93;
// Processors that the exchange of experts is given in normal mode: DeepEP's default.
constexpr double kExchangeProcessors = 20;

std::size_t index(Precision format) { return static_cast<std::size_t>(format); }

StepParts parts_of(const KernelForm& form) {
  return {
      .compute = Seconds{form.compute}, .bandwidth = Seconds{form.memory}, .overhead = Seconds{form.launch}};
}

DecodeAttention coefficients(const DecodeAttentionForm& form) {
  return {.launch = Seconds{form.launch},
          .deep = Seconds{form.deep},
          .deep_beyond = form.deep_beyond,
          .wave = Seconds{form.wave},
          .memory_per_token = Seconds{form.memory_per_token},
          .serial_per_token = Seconds{form.serial_per_token},
          .overlap = form.overlap};
}

const Accelerator* find_accelerator(const std::string& name) {
  const auto found = std::ranges::find(accelerators(), name, &Accelerator::name);
  return found == accelerators().end() ? nullptr : &*found;
}

}  // namespace

FittedKernels::FittedKernels(const Accelerator& accelerator, const KernelConstants& constants)
    : accelerator_(accelerator), constants_(constants) {
  expect(accelerator.bf16.has_value() && accelerator.memory_bandwidth.has_value(),
         "an accelerator without rates was accepted");
}

std::string FittedKernels::assumption(const ReplicaShape& shape) const {
  const PrecisionPlan& precision = shape.precision;
  std::string text;
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  // An accelerator is measured as a whole or not at all, but for formats that its kernels lack.
  const std::string& measured = constants_.gemm[index(Precision::bf16)]->accelerator;
  if (measured != accelerator_.name || !accelerator_.extends.empty())
    add("kernel constants of " + accelerator_.name + ": those of " + measured +
        " with the rates of its own datasheet");
  if (!accelerator_.processors) add("132 processors, as the H100");
  const auto borrowed = [&](const char* kernels, Precision format, const auto& fitted) {
    const std::string own(format == Precision::fp16 ? name(Precision::bf16) : name(format));
    if (fitted.format == own && fitted.accelerator == measured) return;
    add(std::string(kernels) + " in " + std::string(name(format)) + " on " + accelerator_.name +
        " by the form of " + fitted.format + " on " + fitted.accelerator);
  };
  borrowed("products", precision.weights, *constants_.gemm[index(product_format(precision.weights))]);
  if (precision.head_format() != precision.weights)
    borrowed("head", precision.head_format(),
             *constants_.gemm[index(product_format(precision.head_format()))]);
  const bool experts = shape.model.is_moe();
  if (experts)
    borrowed("experts", precision.expert_format(),
             *constants_.experts[index(expert_kernel_format(precision.expert_format()))]);
  borrowed("KV cache", precision.kv, *constants_.decode_attention[index(precision.kv)]);
  if (bytes_per_element(precision.attention_format()) < 2) add("attention cores are timed in 16 bit");
  const Parallelism& p = shape.parallelism;
  const std::int64_t widest = std::max(p.tp, experts || p.dp_attention > 1 ? p.per_stage() : 1);
  if (widest > accelerator_.scale_up_domain) {
    add("collectives between scale-up domains are hierarchical, at 0.93 of the network port's rate");
    if (experts && shape.exchange == ExpertExchangeKind::all_to_all &&
        constants_.normal_network[0]->accelerator != accelerator_.name)
      add("exchange of experts between domains by the form of " + constants_.normal_network[0]->accelerator);
  } else if (static_cast<double>(widest) > kMeasuredRanks) {
    add("latencies of collectives beyond 8 ranks grow with the logarithm of the ranks");
  }
  return text;
}

// Formats that an accelerator's tensor cores lack are unpacked to 16 bit on the way in, by kernels for 4-bit
// integers (Marlin and its kin) or by those for 16 bit.
bool FittedKernels::unpacks(Precision format) const {
  switch (format) {
    case Precision::int4:
      return true;
    case Precision::fp4:
    case Precision::nvfp4:
    case Precision::mxfp4:
      return !accelerator_.fp4;
    case Precision::fp8:
    case Precision::fp8_block:
      return !accelerator_.fp8;
    default:
      return false;
  }
}

Precision FittedKernels::product_format(Precision format) const {
  return unpacks(format) ? Precision::bf16 : format;
}

Precision FittedKernels::expert_kernel_format(Precision format) const {
  if (!unpacks(format)) return format;
  return bytes_per_element(format) < 1 ? Precision::int4 : Precision::bf16;
}

double FittedKernels::processors() const {
  return static_cast<double>(accelerator_.processors.value_or(kProcessors));
}

KernelDevice FittedKernels::device(Precision format) const {
  return {.peak = accelerator_.peak(format)->si,
          .memory = accelerator_.memory_bandwidth->si,
          .scale_up = 0,
          .processors = processors(),
          .l2 = accelerator_.l2_capacity ? accelerator_.l2_capacity->si : kL2};
}

double FittedKernels::kv_bandwidth(Precision kv, const std::string& measured_on) const {
  const double own = accelerator_.memory_bandwidth->si;
  const Accelerator* measured = find_accelerator(measured_on);
  if (bytes_per_element(kv) >= 2 || measured == nullptr ||
      (measured->name == accelerator_.name && accelerator_.extends.empty()))
    return own;
  const double converting = measured->memory_bandwidth->si * processors() /
                            static_cast<double>(measured->processors.value_or(kProcessors));
  return std::min(own, 1 / (kConversion / converting + (1 - kConversion) / own));
}

double FittedKernels::scale_up() const {
  expect(accelerator_.scale_up_bandwidth.has_value(),
         "a collective on an accelerator without a scale-up link");
  return accelerator_.scale_up_bandwidth->si;
}

double FittedKernels::port() const {
  expect(accelerator_.nic_bandwidth.has_value(),
         "a collective between scale-up domains of an accelerator without a network port");
  return accelerator_.nic_bandwidth->si;
}

StepParts FittedKernels::gemm(Precision format, double m, double n, double k) const {
  const Precision kernel = product_format(format);
  const GemmConstants& c = constants_.gemm[index(kernel)]->constants;
  const bool wide = bytes_per_element(kernel) >= 2;
  return parts_of(gemm_form(c, device(kernel),
                            {.m = m,
                             .n = n,
                             .k = k,
                             .weight_bytes = bytes_per_element(format),
                             .activation_bytes = wide ? 2 : bytes_per_element(format),
                             .split_k = wide}));
}

StepParts FittedKernels::prefill_attention(const AttentionHeads& heads, Precision kv,
                                           std::span<const PrefillChunk> chunks) const {
  const auto& fitted = *constants_.prefill_attention[index(kv)];
  PrefillAttentionShape shape{.heads = heads.heads,
                              .kv_heads = heads.kv_heads,
                              .head_dim = heads.head_dim,
                              .window = static_cast<double>(heads.reach.tokens),
                              .packed = fitted.packed};
  for (const PrefillChunk& chunk : chunks)
    add_prompt(shape, static_cast<double>(chunk.tokens),
               query_key_pairs(heads.reach, chunk.prefix, chunk.tokens),
               static_cast<double>(chunk.prefix + chunk.tokens));
  return parts_of(prefill_attention_form(fitted.constants, device(Precision::bf16), shape));
}

DecodeAttention FittedKernels::decode_attention(const AttentionHeads& heads, Precision kv,
                                                double sequences) const {
  const auto& fitted = *constants_.decode_attention[index(kv)];
  KernelDevice here = device(Precision::bf16);
  here.memory = kv_bandwidth(kv, fitted.accelerator);
  DecodeAttention time = coefficients(decode_attention_form(fitted.constants, here,
                                                            {.batch = sequences,
                                                             .heads = heads.heads,
                                                             .kv_heads = heads.kv_heads,
                                                             .head_dim = heads.head_dim,
                                                             .kv_bytes = bytes_per_element(kv)}));
  // The form walks one split's keys with all sequences equally long, as in the measurements. Of unequal ones
  // serving kernels split the long more (dynamic splits of FlashAttention 3 and FlashInfer), so that
  // processors share the walk of all keys, and the longest sequence alone is bound by the greatest number of
  // splits.
  time.memory_per_token = std::max(time.memory_per_token, time.serial_per_token / sequences);
  time.serial_per_token = Seconds{fitted.constants.tau * heads.head_dim / 128 / kMostSplits};
  // The measured kernels wait for memory. Drafts, or an accelerator with less compute for its bandwidth, can
  // make them wait for the tensor cores instead: at the share of the peak that prefill reaches (assumed).
  const double share = std::min(1.0, constants_.prefill_attention[index(kv)]->constants.ec);
  time.compute_per_token = Seconds{4 * heads.heads * heads.head_dim / (here.peak * share)};
  return time;
}

StepParts FittedKernels::latent_prefill(const LatentHeads& heads, Precision kv,
                                        std::span<const PrefillChunk> chunks) const {
  const double width = heads.nope_dim + heads.rotary_dim + heads.value_dim;
  LatentPrefillShape shape{.heads = heads.heads, .width = width, .bytes = 4 * width};
  for (const PrefillChunk& chunk : chunks)
    add_prompt(shape, static_cast<double>(chunk.tokens), query_key_pairs({}, chunk.prefix, chunk.tokens),
               static_cast<double>(chunk.prefix + chunk.tokens));
  return parts_of(
      latent_prefill_form(constants_.latent_prefill[index(kv)]->constants, device(Precision::bf16), shape));
}

DecodeAttention FittedKernels::latent_decode(const LatentHeads& heads, Precision kv, double sequences) const {
  const auto& fitted = *constants_.latent_decode[index(kv)];
  KernelDevice here = device(Precision::bf16);
  here.memory = kv_bandwidth(kv, fitted.accelerator);
  const double width = heads.kv_rank + heads.rotary_dim;
  const double kv_bytes = bytes_per_element(kv);
  DecodeAttention time = coefficients(
      latent_decode_form(fitted.constants, here,
                         {.batch = sequences, .heads = heads.heads, .width = width, .kv_bytes = kv_bytes}));
  // As in decode_attention: at the share of the peak that products reach, or at what the measured kernel is
  // known to reach with 128 heads if that is more (assumed).
  const double flops_per_head = 2 * (width + heads.kv_rank);
  double share = constants_.gemm[index(Precision::bf16)]->constants.ec;
  if (const Accelerator* measured = find_accelerator(fitted.accelerator)) {
    const double rate =
        128 * flops_per_head * measured->memory_bandwidth->si * fitted.constants.e128 / (width * kv_bytes);
    share = std::max(share, rate / measured->peak(Precision::bf16)->si);
  }
  time.compute_per_token = Seconds{flops_per_head * heads.heads / (here.peak * share)};
  return time;
}

StepParts FittedKernels::experts(const ExpertLoad& load) const {
  const Precision kernel = expert_kernel_format(load.format);
  const ExpertsShape shape{
      .hidden = load.hidden,
      .width = load.width,
      .matrices = load.matrices,
      .weight_bytes = bytes_per_element(kernel == Precision::int4 ? kernel : load.format),
      .active_experts = load.active_experts,
      .routed_tokens = load.routed_tokens,
      .tokens = load.tokens,
      .experts_per_token = load.experts_per_token};
  const KernelDevice here = device(kernel);
  const KernelForm form = experts_form(constants_.experts[index(kernel)]->constants, here, shape);
  const auto& alternative = constants_.experts_min_latency[index(kernel)];
  if (!alternative) return parts_of(form);
  const KernelForm other = experts_form(alternative->constants, here, shape);
  return parts_of(other.total() < form.total() ? other : form);
}

// Between domains: reduce-scatter inside, a ring of each rank's share over its network port, all-gather
// inside (NCCL's hierarchical algorithms). Of an all-to-all, each rank sends to every other its own part, to
// those of other domains over its port, one after the other. All of it is assumed, not measured.
StepParts FittedKernels::collective(Collective kind, Bytes buffer, const Group& group) const {
  if (group.ranks <= 1) return {};
  const CollectiveConstants& c = constants_.collectives[static_cast<std::size_t>(kind)]->constants;
  const double passes = kind == Collective::all_reduce ? 2 : 1;
  const double inside = group.ranks / group.domains;
  const bool personal = kind == Collective::all_to_all;
  double time = 0;
  if (inside > 1)
    time += collective_time(c, scale_up(), personal ? buffer.si / group.domains : buffer.si, inside, passes);
  if (group.domains > 1) {
    const double share = personal ? buffer.si : buffer.si / inside;
    time += c.a0 + c.a1 * latency_hops(group.domains) + c.s1 +
            passes * (group.domains - 1) / group.domains * share / (port() * kPortShare);
  }
  return {.network = Seconds{time}};
}

StepParts FittedKernels::fast_all_reduce(Bytes buffer, const Group& group) const {
  if (group.ranks <= 1) return {};
  // The custom kernels reach up to eight ranks of one domain; beyond, engines call the library.
  if (group.domains > 1 || group.ranks > 8) return collective(Collective::all_reduce, buffer, group);
  return {.network =
              Seconds{all_reduce_time(constants_.all_reduce->constants, scale_up(), buffer.si, group.ranks)}};
}

StepParts FittedKernels::exchange(const ExpertExchange& x, bool low_latency) const {
  if (x.group.ranks <= 1) return {};
  const std::size_t leg = x.combine ? 1 : 0;
  const ExchangeShape shape{.tokens = x.tokens,
                            .hidden = x.hidden,
                            .experts_per_token = x.experts_per_token,
                            .experts = x.experts,
                            .ranks = x.group.ranks,
                            .bytes = x.bytes_per_element,
                            .processors = kExchangeProcessors};
  const bool several = x.group.domains > 1;
  double time = 0;
  if (low_latency) {
    time = several ? low_latency_network_time(constants_.low_latency_network[leg]->constants, port(),
                                              x.group.domains, shape)
                   : low_latency_time(constants_.low_latency[leg]->constants, scale_up(), shape);
  } else {
    time = several ? normal_network_time(constants_.normal_network[leg]->constants, port(), x.group.domains,
                                         shape)
                   : normal_exchange_time(constants_.normal_exchange[leg]->constants, scale_up(), shape);
  }
  return {.network = Seconds{time}};
}

}  // namespace disagg
