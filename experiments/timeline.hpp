#pragma once

#include <cstdint>
#include <fstream>
#include <string>

#include "sim/record/records.hpp"

namespace disagg {

// Writes Chrome trace events (JSON array form, for Perfetto or chrome://tracing): a process for each replica
// with its spans as slices and its queue and KV cache as counters, requests as asynchronous slices with their
// stages inside, and hand-offs as flow arrows. Written are the events of the run's beginning, until
// `kMostEvents` have been: so the file stays below 50 MB. Whether it was cut is said in its metadata.
class Timeline {
 public:
  static constexpr std::int64_t kMostEvents = 250'000;

  explicit Timeline(std::ofstream out);

  void name_replica(ReplicaId id, const std::string& name);
  void add(const SpanRecord& span);
  void add(const RequestRecord& request);
  void counters(Seconds now, ReplicaId id, std::int64_t waiting, std::int64_t running, double kv_occupancy);
  // Ends the file. Throws ConfigError when it could not be written whole.
  void finish(const std::string& file);

 private:
  bool room() { return events_ < kMostEvents; }
  std::ofstream& event();

  std::ofstream out_;
  std::int64_t events_ = 0;
  bool cut_ = false;
};

}  // namespace disagg
