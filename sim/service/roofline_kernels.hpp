#pragma once

#include <optional>

#include "sim/service/kernel_times.hpp"

namespace disagg {

// Kernel times from the datasheet alone: max(FLOPs / (peak x efficiency), bytes / (bandwidth x efficiency))
// (Williams et al., CACM 2009), with the shares of the accelerator's Efficiency; collectives as alpha + bytes
// / bandwidth. Nothing is launched and nothing waits: a lower bound that real kernels approach at large
// sizes.
class RooflineKernels final : public KernelTimes {
 public:
  explicit RooflineKernels(const Accelerator& accelerator);

  StepParts gemm(Precision format, double m, double n, double k) const override;
  StepParts prefill_attention(const AttentionHeads& heads, Precision kv,
                              std::span<const PrefillChunk> chunks) const override;
  DecodeAttention decode_attention(const AttentionHeads& heads, Precision kv,
                                   double sequences) const override;
  StepParts latent_prefill(const LatentHeads& heads, Precision kv,
                           std::span<const PrefillChunk> chunks) const override;
  DecodeAttention latent_decode(const LatentHeads& heads, Precision kv, double sequences) const override;
  StepParts experts(const ExpertLoad& load) const override;
  StepParts collective(Collective kind, Bytes buffer, const Group& group) const override;
  StepParts fast_all_reduce(Bytes buffer, const Group& group) const override;
  StepParts exchange(const ExpertExchange& exchange, bool low_latency) const override;

 private:
  FlopsPerSecond peak(Precision format) const { return *accelerator_.peak(format); }
  StepParts slower(Seconds compute, Seconds memory) const;
  // Time of `bytes` leaving each rank of the group, over the link that its members share.
  Seconds wire(Bytes bytes, const Group& group) const;

  Accelerator accelerator_;
};

}  // namespace disagg
