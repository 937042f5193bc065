#pragma once

#include "sim/engine/simulation.hpp"
#include "sim/serving/cluster.hpp"
#include "workloads/source.hpp"

namespace disagg {

// Feeds a workload into the cluster until `end`. Of an open workload one arrival is on the agenda at any
// time, so nothing is held; of a closed loop the next request enters when one ends.
class Feeder {
 public:
  Feeder(Source& source, Seconds end, Simulation& simulation, Cluster& cluster)
      : source_(source), end_(end), simulation_(simulation), cluster_(cluster) {
    const auto concurrency = source_.concurrency();
    if (!concurrency) {
      schedule_next();
      return;
    }
    cluster_.on_request_ended([this] { schedule_in_loop(); });
    for (std::int64_t i = 0; i < *concurrency; ++i) schedule_in_loop();
  }
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;

  // Whether no request will come any more, or none but those that a closed loop lets in when one ends.
  bool ended() const { return waiting_ == 0; }

 private:
  void schedule_next() {
    const auto next = source_.next();
    if (!next || next->arrival >= end_) return;
    ++waiting_;
    next_ = *next;
    simulation_.at(next_.arrival, [this] {
      --waiting_;
      arrive(next_);
      schedule_next();
    });
  }
  // Not at once: the cluster is in the middle of the event that ended a request.
  void schedule_in_loop() {
    if (simulation_.now() >= end_) return;
    ++waiting_;
    simulation_.at(simulation_.now(), [this] {
      --waiting_;
      if (const auto next = source_.next()) arrive(*next);
    });
  }
  void arrive(const RequestSpec& request) {
    cluster_.arrive(count_++, request.kind, request.prompt_tokens, request.output_tokens, request.content);
  }

  Source& source_;
  Seconds end_;
  Simulation& simulation_;
  Cluster& cluster_;
  RequestSpec next_;
  std::uint64_t count_ = 0;
  std::int64_t waiting_ = 0;  // arrivals on the agenda
};

}  // namespace disagg
