#include "sim/service/roofline_kernels.hpp"

#include <algorithm>

#include "sim/base/expect.hpp"
#include "sim/intensity/operators.hpp"
#include "sim/intensity/query_key_pairs.hpp"

namespace disagg {

RooflineKernels::RooflineKernels(const Accelerator& accelerator) : accelerator_(accelerator) {
  expect(accelerator.bf16.has_value() && accelerator.memory_bandwidth.has_value(),
         "an accelerator without rates was accepted");
}

StepParts RooflineKernels::slower(Seconds compute, Seconds memory) const {
  if (compute > memory) return {.compute = compute};
  return {.bandwidth = memory};
}

StepParts RooflineKernels::gemm(Precision format, double m, double n, double k) const {
  const Efficiency& e = accelerator_.efficiency;
  const Work work = linear_work(m, k, n, bytes_per_element(format), bytes_per_element(Precision::bf16));
  return slower(work.flops / (peak(format) * e.gemm),
                work.bytes / (*accelerator_.memory_bandwidth * e.weights));
}

StepParts RooflineKernels::prefill_attention(const AttentionHeads& heads, Precision kv,
                                             std::span<const PrefillChunk> chunks) const {
  const Efficiency& e = accelerator_.efficiency;
  StepParts parts;
  for (const PrefillChunk& chunk : chunks) {
    const Work work = attention_work(query_key_pairs(heads.reach, chunk.prefix, chunk.tokens),
                                     static_cast<double>(chunk.tokens),
                                     visible_context(heads.reach, chunk.prefix, chunk.tokens), heads.heads,
                                     heads.kv_heads, heads.head_dim, 2, bytes_per_element(kv));
    parts += slower(work.flops / (peak(Precision::bf16) * e.attention),
                    work.bytes / (*accelerator_.memory_bandwidth * e.kv_cache));
  }
  return parts;
}

DecodeAttention RooflineKernels::decode_attention(const AttentionHeads& heads, Precision kv,
                                                  double sequences) const {
  const Efficiency& e = accelerator_.efficiency;
  const BytesPerSecond memory = *accelerator_.memory_bandwidth * e.kv_cache;
  const Work zero =
      attention_work(0, sequences, 0, heads.heads, heads.kv_heads, heads.head_dim, 2, bytes_per_element(kv));
  const Work token =
      attention_work(1, 0, 1, heads.heads, heads.kv_heads, heads.head_dim, 2, bytes_per_element(kv));
  return {.memory_at_zero = zero.bytes / memory,
          .memory_per_token = token.bytes / memory,
          .compute_per_token = token.flops / (peak(Precision::bf16) * e.attention)};
}

StepParts RooflineKernels::latent_prefill(const LatentHeads& heads, Precision,
                                          std::span<const PrefillChunk> chunks) const {
  const Efficiency& e = accelerator_.efficiency;
  StepParts parts;
  const double width = heads.nope_dim + heads.rotary_dim + heads.value_dim;
  for (const PrefillChunk& chunk : chunks) {
    const auto tokens = static_cast<double>(chunk.tokens);
    const auto context = static_cast<double>(chunk.prefix) + tokens;
    const Flops flops{2 * heads.heads * width * query_key_pairs({}, chunk.prefix, chunk.tokens)};
    const Bytes bytes{2 * heads.heads * width * (tokens + context)};
    parts += slower(flops / (peak(Precision::bf16) * e.attention),
                    bytes / (*accelerator_.memory_bandwidth * e.kv_cache));
  }
  return parts;
}

DecodeAttention RooflineKernels::latent_decode(const LatentHeads& heads, Precision kv,
                                               double sequences) const {
  const Efficiency& e = accelerator_.efficiency;
  const BytesPerSecond memory = *accelerator_.memory_bandwidth * e.kv_cache;
  const double width = 2 * heads.kv_rank + heads.rotary_dim;
  return {.memory_at_zero = Bytes{2 * heads.heads * width * sequences} / memory,
          .memory_per_token = Bytes{bytes_per_element(kv) * (heads.kv_rank + heads.rotary_dim)} / memory,
          .compute_per_token = Flops{2 * heads.heads * width} / (peak(Precision::bf16) * e.attention)};
}

StepParts RooflineKernels::experts(const ExpertLoad& load) const {
  const Efficiency& e = accelerator_.efficiency;
  const double weights = load.matrices * load.hidden * load.width;
  const Bytes bytes{bytes_per_element(load.format) * weights * load.active_experts +
                    2 * load.routed_tokens * (2 * load.hidden + load.matrices * load.width)};
  return slower(Flops{2 * weights * load.routed_tokens} / (peak(load.format) * e.gemm),
                bytes / (*accelerator_.memory_bandwidth * e.weights));
}

Seconds RooflineKernels::wire(Bytes bytes, const Group& group) const {
  const BytesPerSecond inside =
      accelerator_.scale_up_bandwidth.value_or(BytesPerSecond{0}) * accelerator_.efficiency.scale_up;
  const BytesPerSecond outside =
      accelerator_.nic_bandwidth.value_or(BytesPerSecond{0}) * accelerator_.efficiency.scale_up;
  const BytesPerSecond rate = group.domains > 1 ? outside : inside;
  expect(rate.si > 0, "a collective over a link that the accelerator does not have");
  return bytes / rate;
}

StepParts RooflineKernels::collective(Collective kind, Bytes buffer, const Group& group) const {
  if (group.ranks <= 1) return {};
  // A ring moves (n - 1) / n of the buffer over each link, twice for an all-reduce.
  const double passes = kind == Collective::all_reduce ? 2 : 1;
  return {.network = accelerator_.efficiency.collective_latency +
                     wire(buffer * (passes * (group.ranks - 1) / group.ranks), group)};
}

StepParts RooflineKernels::fast_all_reduce(Bytes buffer, const Group& group) const {
  return collective(Collective::all_reduce, buffer, group);
}

StepParts RooflineKernels::exchange(const ExpertExchange& x, bool) const {
  if (x.group.ranks <= 1) return {};
  const Bytes bytes{x.bytes_per_element * x.tokens * x.experts_per_token * x.hidden * (x.group.ranks - 1) /
                    x.group.ranks};
  return {.network = accelerator_.efficiency.collective_latency + wire(bytes, x.group)};
}

}  // namespace disagg
