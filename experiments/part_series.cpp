#include "experiments/part_series.hpp"

#include "sim/base/text.hpp"

namespace disagg {

PartSeries::Sample PartSeries::state(Seconds time, const Cluster& cluster) {
  Sample sample{.time = time, .replicas = {}, .tiers = {}};
  sample.replicas.reserve(cluster.replicas().size());
  for (const auto& replica : cluster.replicas()) {
    const ReplicaUsage& usage = replica->usage();
    sample.replicas.push_back({.busy_seconds = usage.busy.si,
                               .waiting_seconds = usage.waiting_seconds,
                               .kv_seconds = usage.kv_seconds,
                               .sequence_steps = usage.sequence_steps,
                               .decode_steps = static_cast<double>(usage.decode_steps)});
  }
  if (const MemoryTiers* tiers = cluster.tiers()) {
    sample.tiers.reserve(tiers->tiers().size());
    for (std::size_t t = 0; t < tiers->tiers().size(); ++t) sample.tiers.push_back(tiers->usage(t));
  }
  return sample;
}

std::string PartSeries::replicas_csv(const Cluster& cluster) const {
  std::string text = "time_s,replica,pool,busy,batch,waiting,kv_occupancy\n";
  std::vector<std::string> names(cluster.replicas().size());
  for (std::uint32_t r = 0; r < names.size(); ++r) names[r] = cluster.name(ReplicaId{r});
  const std::vector<Sample>& samples = samples_.all();
  for (std::size_t i = 1; i < samples.size(); ++i) {
    const double passed = (samples[i].time - samples[i - 1].time).si;
    for (std::uint32_t r = 0; r < samples[i].replicas.size(); ++r) {
      const ReplicaTotals& before = samples[i - 1].replicas[r];
      const ReplicaTotals& now = samples[i].replicas[r];
      const auto mean = [&](double ReplicaTotals::*total) {
        return show_exact((now.*total - before.*total) / passed);
      };
      const double steps = now.decode_steps - before.decode_steps;
      text += show_exact(samples[i].time.si) + "," + names[r] + "," +
              cluster.pools()[cluster.pool_of(ReplicaId{r}).index].name + "," +
              mean(&ReplicaTotals::busy_seconds) + "," +
              (steps > 0 ? show_exact((now.sequence_steps - before.sequence_steps) / steps) : "") + "," +
              mean(&ReplicaTotals::waiting_seconds) + "," + mean(&ReplicaTotals::kv_seconds) + "\n";
    }
  }
  return text;
}

std::string PartSeries::tiers_csv(const Cluster& cluster) const {
  std::string text =
      "time_s,tier,used_share,used_bytes,bytes_read,bytes_written,tokens_read,evicted_blocks,refused_"
      "writes\n";
  const MemoryTiers* tiers = cluster.tiers();
  const std::vector<Sample>& samples = samples_.all();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    for (std::size_t t = 0; t < samples[i].tiers.size(); ++t) {
      const TierUsage& now = samples[i].tiers[t];
      const auto total = static_cast<double>(tiers->total_blocks(t));
      double blocks = 0;
      if (i > 0)
        blocks = (now.used_seconds - samples[i - 1].tiers[t].used_seconds) /
                 (samples[i].time - samples[i - 1].time).si;
      text += show_exact(samples[i].time.si) + "," + tiers->tiers()[t].name + "," +
              (total > 0 ? show_exact(blocks / total) : "") + "," +
              show_exact((tiers->tiers()[t].block_bytes() * blocks).si) + "," +
              show_exact(now.bytes_read.si) + "," + show_exact(now.bytes_written.si) + "," +
              std::to_string(now.tokens_read) + "," + std::to_string(now.evicted_blocks) + "," +
              std::to_string(now.refused_writes) + "\n";
    }
  }
  return text;
}

}  // namespace disagg
