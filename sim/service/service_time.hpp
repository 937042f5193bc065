#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/hardware/accelerator.hpp"
#include "sim/intensity/transformer_work.hpp"
#include "sim/model/model_spec.hpp"
#include "sim/service/decode_time.hpp"
#include "sim/service/kernel_times.hpp"

namespace disagg {

// How one instance of the model is cut over accelerators: tensor parallel inside a stage, pipeline stages in
// a row.
struct Parallelism {
  std::int64_t tp = 1;
  std::int64_t pp = 1;

  std::int64_t accelerators() const { return tp * pp; }
  // Tensor-parallel ranks that hold the same KV head.
  double kv_copies(const ModelSpec& model) const {
    return std::max(1.0, static_cast<double>(tp) / static_cast<double>(model.num_key_value_heads));
  }
};

// All that decides the time of steps on one kind of replica.
struct ReplicaShape {
  ModelSpec model;
  PrecisionPlan precision;
  Accelerator accelerator;
  Parallelism parallelism;
};

// Analytic times: every operator takes max(FLOPs / (peak x efficiency), bytes / (bandwidth x efficiency)) on
// each accelerator (Williams et al., CACM 2009), plus collectives over the scale-up link and fixed overheads.
struct Roofline {
  static constexpr std::string_view kind = "roofline";
  static constexpr std::string_view summary =
      "sum over operators of max(compute, memory), collectives and overheads";
  static Roofline read(Reader& r);

  Seconds step_overhead{};   // once a step, whatever its size: scheduling, sampling, launch of the graph
  Seconds layer_overhead{};  // once a layer and step: small kernels between the large ones
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

using ServiceModel = std::variant<Roofline, MeasuredTable>;

// Times of steps for one kind of replica. Decode times are memoised by the number of sequences.
class ServiceTime {
 public:
  ServiceTime(ServiceModel model, const ReplicaShape& shape);

  // Decode-only steps of `sequences` >= 1 sequences.
  const DecodeTime& decode(std::int64_t sequences) const;
  // Into how many parts the pipeline cuts a step of so many tokens: at most one a stage.
  double micro_batches(double tokens) const {
    return std::min(static_cast<double>(shape_.parallelism.pp), tokens);
  }
  // One step that prefills `chunks` and decodes `sequences` sequences of `context` tokens in all, at most one
  // empty.
  StepParts step(std::span<const PrefillChunk> chunks, std::int64_t sequences, double context) const;

 private:
  DecodeTime make_decode(double sequences) const;

  // Linear layers, collectives and overheads of a step of one pipeline stage.
  StepParts stage(double tokens, double logits) const;
  // A product on one accelerator: adds its time to the side that limits it.
  void add_gemm(StepParts& parts, double tokens, double d_in, double d_out, double repeats) const;
  double table_at(const std::vector<Seconds>& column, double x) const;
  StepParts unsplit(Seconds time, const Work& work) const;

  ServiceModel model_;
  ReplicaShape shape_;
  TransformerWork work_;
  FlopsPerSecond gemm_rate_{}, attention_rate_{}, peak_{};
  BytesPerSecond weight_rate_{}, kv_rate_{}, memory_rate_{}, link_rate_{};
  mutable std::vector<DecodeTime> decode_;  // [sequences]
  mutable std::vector<char> known_;
};

}  // namespace disagg
