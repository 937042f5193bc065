#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "experiments/link_loads.hpp"
#include "sim/record/records.hpp"

namespace disagg {

// Writes Chrome trace events (JSON array form, for Perfetto or chrome://tracing): a process for each replica
// with its spans as slices and its queue and KV cache as counters, one for each memory tier with what is
// fetched from it, requests as asynchronous slices with their stages inside, hand-offs and fetches as flow
// arrows, and a process with the loads of the busiest links as counters. Written are the events of the run's
// beginning, until `kMostEvents` have been: so the file stays below 50 MB. Whether it was cut is said in its
// metadata. The loads of links are of the whole run.
class Timeline {
 public:
  static constexpr std::int64_t kMostEvents = 250'000;
  static constexpr std::size_t kMostLinks = 50;

  explicit Timeline(std::ofstream out);

  // Precondition: called for all replicas and tiers before anything is added.
  void name_replica(ReplicaId id, const std::string& name);
  void name_tier(const std::string& name);
  void add(const SpanRecord& span);
  void add(const RequestRecord& request);
  void add(const StretchRecord& stretch);
  void counters(Seconds now, ReplicaId id, std::int64_t waiting, std::int64_t running, double kv_occupancy);
  void add_tier(Seconds now, std::uint32_t tier, double used_share);
  // Of the kMostLinks that carried the greatest share of what they can.
  void add_links(const Platform& platform, const LinkLoads& loads);
  // Ends the file. Throws ConfigError when it could not be written whole.
  void finish(const std::string& file);

 private:
  bool has_room();  // for another event; without it the timeline is cut
  std::ofstream& event();
  std::string process_of_tier(std::size_t tier) const;

  std::ofstream out_;
  std::int64_t events_ = 0;
  std::int64_t replicas_ = 0, fetches_ = 0;
  std::unordered_map<std::uint64_t, std::vector<StretchRecord>> stretches_;  // [request] until it has ended
  std::vector<std::vector<Seconds>> lanes_;  // [tier][lane] when its last fetch ended
  bool cut_ = false;
};

}  // namespace disagg
