#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "sim/hardware/accelerator.hpp"
#include "sim/intensity/transformer_work.hpp"
#include "sim/model/model_spec.hpp"
#include "sim/service/kernel_times.hpp"

namespace disagg {

// How one instance of the model is cut over accelerators. A pipeline stage has tp x dp_attention of them:
// attention, dense FFNs and shared experts are tensor parallel over tp and repeated by each data-parallel
// rank, which has requests and a KV cache of its own; routed experts are spread over all accelerators of the
// stage, expert parallel over ep groups and tensor parallel inside a group.
struct Parallelism {
  std::int64_t tp = 1;
  std::int64_t pp = 1;
  std::int64_t ep = 1;
  std::int64_t dp_attention = 1;

  std::int64_t per_stage() const { return tp * dp_attention; }
  std::int64_t accelerators() const { return per_stage() * pp; }
  std::int64_t expert_tp() const { return per_stage() / ep; }
  // Tensor-parallel ranks that hold the same KV: a KV head is not cut, nor is a latent cache.
  double kv_copies(const ModelSpec& model) const {
    if (model.has_latent_attention()) return static_cast<double>(tp);
    return std::max(1.0, static_cast<double>(tp) / static_cast<double>(model.num_key_value_heads));
  }
};

// Speculative decoding: `tokens` drafts a step by the model's own prediction layers (DeepSeek-V3's MTP) or a
// draft model of that size, each accepted with probability `acceptance` if those before it were (Leviathan et
// al., ICML 2023, equation 1).
struct Drafts {
  std::int64_t tokens = 0;
  double acceptance = 0;

  // Tokens that a sequence gains in a step on average: 1 + a + a^2 + ... + a^tokens.
  double tokens_per_step() const {
    double sum = 1;
    double power = 1;
    for (std::int64_t i = 0; i < tokens; ++i) sum += power *= acceptance;
    return sum;
  }
};

// How ranks exchange the tokens of routed experts under data-parallel attention.
enum class ExpertExchangeKind { all_gather, all_to_all };
inline constexpr std::array<std::string_view, 2> kExpertExchangeNames{"all-gather", "all-to-all"};

// What a serving engine adds to the time of the kernels.
struct SoftwareOverheads {
  Seconds step{};          // once a step: scheduling, sampling, launch of the graph
  Seconds sequence{};      // for each decoding sequence of a step
  Seconds layer{};         // once a layer and step, whatever the layer
  Seconds small_kernel{};  // for each kernel beside products, attention cores, experts and collectives
  // Of the host, for each kernel of a step that runs outside a CUDA graph: a layer of it takes at least as
  // long as all of its launches.
  Seconds kernel_launch{};
  bool cuda_graphs = true;   // steps of decode alone run as one graph
  double decode_scale = 1;   // on the kernels of decode-only steps
  double prefill_scale = 1;  // on those of all others
  double network_scale = 1;  // on collectives
};

// All that decides the time of steps on one kind of replica.
struct ReplicaShape {
  ModelSpec model;
  PrecisionPlan precision;
  Accelerator accelerator;
  Parallelism parallelism;
  Drafts drafts;
  ExpertExchangeKind exchange = ExpertExchangeKind::all_gather;
  double expert_skew = 1;  // exponent of the power law of the experts' popularity; 0: all alike
  SoftwareOverheads overheads;

  // What limited layers of the model see; tokens = 0 when it has none.
  Reach reach() const { return limited_reach(model); }
};

}  // namespace disagg
