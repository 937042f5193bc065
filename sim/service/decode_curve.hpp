#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/service/kernel_times.hpp"
#include "sim/service/step_parts.hpp"

namespace disagg {

// A quantity that grows by the same amount every step.
struct Growing {
  double at = 0;
  double per_step = 0;

  double after(double steps) const { return at + per_step * steps; }
  // Sum over `steps` steps, the first at `at`.
  double sum(double steps) const { return at * steps + per_step * steps * (steps - 1) / 2; }
};

// What the decode batch of one rank reads in the next step, in tokens, and how that grows while its members
// stay the same and none crosses the edge of a limited layer's reach.
struct DecodeContext {
  std::int64_t sequences = 0;
  Growing all;             // the contexts of all sequences together, the new tokens included
  Growing longest;         // the longest of them
  Growing within;          // what limited layers (window, chunk, top-k) see of all
  Growing longest_within;  // and of the longest
};

// One kernel of every layer of a kind whose time depends on the context: `repeats` of it in a step.
struct ContextKernel {
  const DecodeAttention* time = nullptr;
  double repeats = 0;
  double share = 1;      // of the context that one launch reads: less than 1 with micro-batches
  bool limited = false;  // reads `within` instead of `all`
};

// The times of the decode steps of a fixed batch. Every kernel's time is a maximum of lines in the context
// (kernel_times.hpp), so the step time is piecewise linear in the number of the step: sums over steps and
// their inverse are exact once split where another line takes over.
class DecodeCurve {
 public:
  enum class Limit { compute, bandwidth, overhead };
  // A candidate for the time of a kernel, in seconds.
  struct Line {
    double at = 0;
    double per_step = 0;
    Limit limit = Limit::overhead;
  };
  struct Segment {
    std::int64_t first = 0;  // step
    StepParts at;            // of that step
    StepParts per_step;      // growth
    Seconds before{};        // time of all steps before
  };

  // Step time = fixed + for each kernel the slowest rank's time. `kernels` holds the kernels of the first
  // rank, then as many of the next.
  void build(const StepParts& fixed, std::span<const ContextKernel> kernels,
             std::span<const DecodeContext> ranks, std::int64_t steps);

  std::int64_t steps() const { return steps_; }
  Seconds step(std::int64_t k) const;
  StepParts parts(std::int64_t k) const;
  // Time of the first `steps` steps.
  Seconds until(std::int64_t steps) const;
  // How many whole steps end by `elapsed`, at most `limit`.
  std::int64_t steps_within(Seconds elapsed, std::int64_t limit) const;
  std::span<const Segment> segments() const { return segments_; }

 private:
  const Segment& segment_of(std::int64_t k) const;

  std::vector<Segment> segments_;
  std::vector<Line> lines_;  // scratch
  std::int64_t steps_ = 0;
};

}  // namespace disagg
