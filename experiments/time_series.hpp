#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/even_samples.hpp"
#include "experiments/saturation.hpp"
#include "sim/serving/cluster.hpp"

namespace disagg {

// The state of every pool at even intervals.
class TimeSeries {
 public:
  static constexpr std::size_t kMostSamples = 500;

  Seconds next_date() const { return samples_.next_date(); }
  // Precondition: the cluster is settled at next_date().
  void sample(const Cluster& cluster, const Simulation& simulation) {
    samples_.add(state(next_date(), cluster, simulation));
  }
  // Adds the state at the end of the run.
  void finish(const Cluster& cluster, const Simulation& simulation) {
    samples_.add_last(state(simulation.now(), cluster, simulation));
  }
  std::string csv(const Cluster& cluster) const;
  std::vector<QueueSample> queue() const;  // of all pools together
  // The highest mean power of all accelerators over an interval that begins at `from` or later.
  Watts peak_power(Seconds from) const;

 private:
  struct PoolState {
    std::int64_t waiting = 0, running = 0;
    double kv_occupancy = 0;
    // Since the start:
    TokenCount prefill_tokens = 0, decode_tokens = 0;
    TokenCount cached_tokens = 0;  // of prompts, found in the replicas' own memory
    BlockCount evicted_blocks = 0;
    std::int64_t preemptions = 0;
    Joules energy{};  // of the accelerators
  };
  struct Sample {
    Seconds time{};
    std::int64_t flows = 0;
    std::int64_t arrived = 0;
    std::vector<PoolState> pools;
  };
  static Sample state(Seconds time, const Cluster& cluster, const Simulation& simulation);

  EvenSamples<Sample, kMostSamples> samples_;
};

}  // namespace disagg
