#pragma once

#include <bit>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/service/decode_curve.hpp"
#include "sim/service/replica_shape.hpp"
#include "sim/service/transformer_times.hpp"

namespace disagg {

// Kernel times by closed forms fitted to measured kernels (fitted_kernels.hpp).
struct FittedForms {
  static constexpr std::string_view kind = "kernels";
  static constexpr std::string_view summary =
      "sum over kernels by closed forms fitted to measurements, and the software's overheads";
  static FittedForms read(Reader& r);

  std::filesystem::path constants;  // file of `disagg calibrate`; empty: those in the program
};

// Datasheet times: every kernel takes max(FLOPs / (peak x efficiency), bytes / (bandwidth x efficiency)).
struct Roofline {
  static constexpr std::string_view kind = "roofline";
  static constexpr std::string_view summary =
      "sum over kernels of max(compute, memory) at the datasheet's rates, and the software's overheads";
  static Roofline read(Reader&) { return {}; }
};

// Measured times, interpolated on straight lines over the number of tokens.
struct MeasuredTable {
  static constexpr std::string_view kind = "table";
  static constexpr std::string_view summary = "measured step times, interpolated over the tokens in a step";
  static MeasuredTable read(Reader& r);

  std::vector<double> tokens;    // increasing
  std::vector<Seconds> prefill;  // time of a step that prefills so many tokens
  std::vector<Seconds> decode;   // time of a step that decodes so many sequences
  double mixed_factor = 1;       // a step with both takes the prefill time of all its tokens times this
  bool extrapolate = false;      // outside the table: extend the first and last line, or hold its ends
};

using ServiceModel = std::variant<FittedForms, Roofline, MeasuredTable>;

// What of a service model was neither measured on this accelerator nor is on its datasheet, in words; empty
// when nothing.
std::string assumption(const ServiceModel& model, const ReplicaShape& shape);

// What one data-parallel attention rank does in a step.
struct RankStep {
  std::span<const PrefillChunk> chunks;
  DecodeContext decode;  // of its sequences that decode in the same step; only the first step counts
};

// Times of steps for one kind of replica. What depends on the number of tokens or sequences alone is
// memoised.
class ServiceTime {
 public:
  ServiceTime(const ServiceModel& model, const ReplicaShape& shape);

  // Decode-only steps of a fixed batch, one context for each rank, at least one of them not empty.
  void decode(std::span<const DecodeContext> ranks, std::int64_t steps, DecodeCurve& curve) const;
  // One step with prompts.
  StepParts step(std::span<const RankStep> ranks) const;

  // Tokens that a decoding sequence has computed in a step: one, and its drafts.
  double tokens_per_sequence() const { return 1 + static_cast<double>(shape_.drafts.tokens); }
  // Into how many parts the pipeline cuts a step of so many tokens: at most one a stage.
  double micro_batches(double tokens) const {
    return std::min(static_cast<double>(shape_.parallelism.pp), tokens);
  }

 private:
  using Cores = std::vector<TransformerTimes::Core>;
  struct LayersKey {
    double rank_tokens = 0, all_tokens = 0;
    bool prompts = false;
    bool operator==(const LayersKey&) const = default;
  };
  struct LayersHash {
    std::size_t operator()(const LayersKey& key) const {
      const auto bits = std::bit_cast<std::uint64_t>(key.rank_tokens) * 0x9E3779B97F4A7C15U;
      return (bits ^ std::bit_cast<std::uint64_t>(key.all_tokens)) * 0x9E3779B97F4A7C15U +
             std::size_t{key.prompts};
    }
  };

  // Products, FFNs and collectives of a stage; memoised.
  const StepParts& layers(double rank_tokens, double all_tokens, bool prompts) const;
  const StepParts& decode_fixed(std::int64_t busiest, std::int64_t all) const;
  const Cores& cores(std::int64_t sequences) const;
  StepParts make_decode_fixed(double busiest, double all) const;
  // Appends the kernels of a rank; `share` of its context is read by one launch.
  void add_kernels(const DecodeContext& rank, double repeats) const;
  void add_software(StepParts& stage, bool in_graph) const;
  StepParts hops(double rank_tokens) const;
  double table_at(const std::vector<Seconds>& column, double x) const;
  StepParts table_decode(double sequences) const;
  StepParts unsplit(Seconds time, double tokens, double logits) const;

  ServiceModel model_;
  ReplicaShape shape_;
  TransformerWork work_;
  std::unique_ptr<KernelTimes> kernels_;
  TransformerTimes times_;
  double pp_ = 1;
  mutable std::unordered_map<LayersKey, StepParts, LayersHash> layers_;
  mutable std::unordered_map<std::uint64_t, StepParts> fixed_;  // likewise, in sequences
  mutable std::vector<std::unique_ptr<Cores>> cores_;           // [sequences]
  mutable std::vector<ContextKernel> kernels_of_step_;          // scratch
  mutable DecodeCurve one_step_;                                // scratch
};

}  // namespace disagg
