#pragma once

#include <string>

#include "sim/intensity/transformer_work.hpp"
#include "sim/service/kernel_constants.hpp"
#include "sim/service/kernel_times.hpp"
#include "sim/service/replica_shape.hpp"

namespace disagg {

// Kernel times by the closed forms of kernel_forms.hpp, as they are inside a server: the L2 cache is cold
// (other layers evict), activations are quantised by the kernel before, and steps of decode run in a CUDA
// graph, so that block-scaled products have no host time.
class FittedKernels final : public KernelTimes {
 public:
  FittedKernels(const Accelerator& accelerator, const KernelConstants& constants);

  // What of a replica's kernels is not fitted to this very accelerator and these formats, as a sentence;
  // empty when all is.
  std::string assumption(const ReplicaShape& shape) const;

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
  bool unpacks(Precision format) const;
  // Formats whose kernels serve products and experts with weights in `format`.
  Precision product_format(Precision format) const;
  Precision expert_kernel_format(Precision format) const;
  KernelDevice device(Precision format) const;
  double processors() const;
  // Rate at which decode reads its KV cache, byte/s. A narrow one is converted on the way: half of the time
  // of a byte scales with the processors, half with the memory's rate, from the accelerator that was
  // measured.
  double kv_bandwidth(Precision kv, const std::string& measured_on) const;
  double scale_up() const;
  double port() const;

  Accelerator accelerator_;
  KernelConstants constants_;
};

}  // namespace disagg
