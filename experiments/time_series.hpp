#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/saturation.hpp"
#include "sim/serving/cluster.hpp"

namespace disagg {

// The state of every pool at even intervals. When kMostSamples are kept, every other one is dropped and the
// interval doubled, so a run of any length has between half of that and all of it.
class TimeSeries {
 public:
  static constexpr std::size_t kMostSamples = 500;

  Seconds next_date() const { return next_; }
  // Precondition: the cluster is settled at next_date().
  void sample(const Cluster& cluster, const Simulation& simulation);
  // Adds the state at the end of the run.
  void finish(const Cluster& cluster, const Simulation& simulation);
  std::string csv(const Cluster& cluster) const;
  std::vector<QueueSample> queue() const;  // of all pools together
  // The highest mean power of all accelerators over an interval that begins at `from` or later.
  Watts peak_power(Seconds from) const;

 private:
  struct PoolState {
    std::int64_t waiting = 0, running = 0;
    double kv_occupancy = 0;
    TokenCount prefill_tokens = 0, decode_tokens = 0;  // since the start
    Joules energy{};                                   // of the accelerators, since the start
  };
  struct Sample {
    Seconds time{};
    std::int64_t flows = 0;
    std::int64_t arrived = 0;
    std::vector<PoolState> pools;
  };
  static Sample state(Seconds time, const Cluster& cluster, const Simulation& simulation);

  std::vector<Sample> samples_;
  Seconds interval_{0.2};
  Seconds next_{};
};

}  // namespace disagg
