#pragma once

#include <string>
#include <vector>

#include "experiments/even_samples.hpp"
#include "sim/serving/cluster.hpp"

namespace disagg {

// What every replica and memory tier did over time. There are more of them than pools, so there are fewer
// samples than in a TimeSeries; each figure is of the whole interval between two of them.
class PartSeries {
 public:
  static constexpr std::size_t kMostSamples = 128;

  Seconds next_date() const { return samples_.next_date(); }
  // Precondition: the cluster is settled at next_date().
  void sample(const Cluster& cluster) { samples_.add(state(samples_.next_date(), cluster)); }
  // Adds the state at the end of the run. Precondition: the cluster is settled at `ended`.
  void finish(Seconds ended, const Cluster& cluster) { samples_.add_last(state(ended, cluster)); }

  // Of each interval and replica: share of the time with a step running, sequences in the mean decode step
  // (empty without one), mean waiting requests, mean share of the KV cache in use.
  std::string replicas_csv(const Cluster& cluster) const;
  // Of each interval and tier: mean share and bytes in use, and what it has done since the beginning. A tier
  // whose blocks are all streamed from has no share. Precondition: there are tiers.
  std::string tiers_csv(const Cluster& cluster) const;

 private:
  struct ReplicaTotals {  // since the beginning
    double busy_seconds = 0, waiting_seconds = 0, kv_seconds = 0, sequence_steps = 0, decode_steps = 0;
  };
  struct Sample {
    Seconds time{};
    std::vector<ReplicaTotals> replicas;
    std::vector<TierUsage> tiers;
  };
  static Sample state(Seconds time, const Cluster& cluster);

  EvenSamples<Sample, kMostSamples> samples_;
};

}  // namespace disagg
