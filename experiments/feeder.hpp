#pragma once

#include "sim/engine/simulation.hpp"
#include "sim/serving/cluster.hpp"
#include "workloads/source.hpp"

namespace disagg {

// Feeds a workload into the cluster until `end`: one arrival is on the agenda at any time, so nothing is
// held.
class Feeder {
 public:
  Feeder(Source& source, Seconds end, Simulation& simulation, Cluster& cluster)
      : source_(source), end_(end), simulation_(simulation), cluster_(cluster) {
    schedule_next();
  }
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;

 private:
  void schedule_next() {
    const auto next = source_.next();
    if (!next || next->arrival >= end_) return;
    next_ = *next;
    simulation_.at(next_.arrival, [this] {
      const RequestSpec now = next_;
      cluster_.arrive(count_++, now.kind, now.prompt_tokens, now.output_tokens);
      schedule_next();
    });
  }

  Source& source_;
  Seconds end_;
  Simulation& simulation_;
  Cluster& cluster_;
  RequestSpec next_;
  std::uint64_t count_ = 0;
};

}  // namespace disagg
