#include "experiments/time_series.hpp"

#include <algorithm>

#include "sim/base/text.hpp"

namespace disagg {

TimeSeries::Sample TimeSeries::state(Seconds time, const Cluster& cluster, const Simulation& simulation) {
  Sample sample{.time = time,
                .flows = simulation.flows_in_flight(),
                .arrived = cluster.counts().arrived,
                .pools = std::vector<PoolState>(cluster.pools().size())};
  for (std::uint32_t i = 0; i < cluster.replicas().size(); ++i) {
    const Replica& replica = *cluster.replicas()[i];
    const std::uint32_t pool = cluster.pool_of(ReplicaId{i}).index;
    PoolState& state = sample.pools[pool];
    state.waiting += replica.waiting();
    state.running += replica.running();
    state.kv_occupancy += replica.kv_occupancy() / static_cast<double>(cluster.pools()[pool].replicas);
    state.prefill_tokens += replica.usage().prefill_tokens;
    state.decode_tokens += replica.usage().decode_tokens;
    state.cached_tokens += replica.usage().cached_tokens;
    state.evicted_blocks += replica.usage().evicted_blocks;
    state.preemptions += replica.usage().preemptions;
    state.energy += replica.energy();
  }
  return sample;
}

std::vector<QueueSample> TimeSeries::queue() const {
  std::vector<QueueSample> queue;
  queue.reserve(samples_.all().size());
  for (const Sample& sample : samples_.all()) {
    std::int64_t waiting = 0;
    for (const PoolState& pool : sample.pools) waiting += pool.waiting;
    queue.push_back({.time = sample.time,
                     .arrived = static_cast<double>(sample.arrived),
                     .waiting = static_cast<double>(waiting)});
  }
  return queue;
}

Watts TimeSeries::peak_power(Seconds from) const {
  const std::vector<Sample>& samples = samples_.all();
  Watts peak{};
  for (std::size_t i = 1; i < samples.size(); ++i) {
    const Seconds passed = samples[i].time - samples[i - 1].time;
    if (samples[i - 1].time < from || passed <= Seconds{0}) continue;
    Joules drawn{};
    for (std::size_t p = 0; p < samples[i].pools.size(); ++p)
      drawn += samples[i].pools[p].energy - samples[i - 1].pools[p].energy;
    peak = std::max(peak, drawn / passed);
  }
  return peak;
}

std::string TimeSeries::csv(const Cluster& cluster) const {
  std::string text =
      "time_s,pool,waiting,running,kv_occupancy,prefill_tokens,decode_tokens,kv_flows,power_w,cached_tokens,"
      "evicted_blocks,preemptions\n";
  const std::vector<Sample>& samples = samples_.all();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Sample& sample = samples[i];
    for (std::size_t p = 0; p < sample.pools.size(); ++p) {
      const PoolState& s = sample.pools[p];
      // Of the accelerators, on the mean since the sample before.
      const Seconds passed = i > 0 ? sample.time - samples[i - 1].time : Seconds{};
      const Watts power = passed > Seconds{} ? (s.energy - samples[i - 1].pools[p].energy) / passed : Watts{};
      text += show_exact(sample.time.si) + "," + cluster.pools()[p].name + "," + std::to_string(s.waiting) +
              "," + std::to_string(s.running) + "," + show_exact(s.kv_occupancy) + "," +
              std::to_string(s.prefill_tokens) + "," + std::to_string(s.decode_tokens) + "," +
              std::to_string(sample.flows) + "," + show_exact(power.si) + "," +
              std::to_string(s.cached_tokens) + "," + std::to_string(s.evicted_blocks) + "," +
              std::to_string(s.preemptions) + "\n";
    }
  }
  return text;
}

}  // namespace disagg
