#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/distribution.hpp"
#include "experiments/scenario.hpp"
#include "sim/record/records.hpp"

namespace disagg {

// Metrics of single requests, with vLLM's names and definitions (vllm/benchmarks/serve.py).
inline Seconds ttft(const RequestRecord& r) { return r.first_token - r.arrived; }
inline Seconds e2el(const RequestRecord& r) { return r.last_token - r.arrived; }
// Nothing for a single token.
inline std::optional<Seconds> tpot(const RequestRecord& r) {
  if (r.output_tokens < 2) return std::nullopt;
  return (r.last_token - r.first_token) / static_cast<double>(r.output_tokens - 1);
}
bool meets(const Slo& slo, const RequestRecord& r);

// Where the time of requests went, as sums.
struct TimeBreakdown {
  Seconds queue{}, prefill{};
  Seconds room{};      // for KV blocks at the decode replica, once the prompt is computed
  Seconds hand_off{};  // for the KV cache on its way, once the prompt is computed
  Seconds decode{};
  Seconds total() const { return queue + prefill + room + hand_off + decode; }
  TimeBreakdown& operator+=(const TimeBreakdown& other);
};
// Of a request that has finished; the total is its end-to-end latency.
TimeBreakdown breakdown(const RequestRecord& r);

// Request metrics of a run, added up as the records stream in.
class Metrics {
 public:
  // `slos` are those of the workload's kinds of request.
  Metrics(std::vector<Slo> slos, const Horizon& horizon) : slos_(std::move(slos)), horizon_(horizon) {}

  void add(const RequestRecord& record);
  void add(Seconds now, const TokenGaps& gaps);

  bool measured(Seconds arrival) const { return arrival >= horizon_.warm_up && arrival < horizon_.end(); }
  // From the end of the warm-up to the last token of a measured request, or to the end of the window if
  // later.
  Seconds duration() const;
  bool bounded() const;  // by any of the objectives
  std::int64_t completed() const { return completed_; }
  // Of the measured requests that have ended, those of kinds with objectives, and of these the ones that met
  // them.
  std::int64_t judged() const { return judged_; }
  std::int64_t good() const { return good_; }
  std::int64_t ended() const { return completed_ + rejected_full_ + rejected_large_ + cancelled_; }
  TokenCount input_tokens() const { return input_tokens_; }
  TokenCount output_tokens() const { return output_tokens_; }
  const TimeBreakdown& breakdown() const { return breakdown_; }

  // The object "metrics" of summary.json. `accelerators` is the denominator of the per-accelerator figures;
  // `caching` says whether any pool keeps prefixes, without which there is no hit rate.
  nlohmann::ordered_json json(std::int64_t accelerators, std::int64_t decode_accelerators,
                              bool caching) const;

  // Rows of distributions.csv: kind,metric,share,value.
  std::string distributions_csv(const std::string& kind) const;

 private:
  std::vector<Slo> slos_;  // [kind]
  Horizon horizon_;
  Distribution ttft_, tpot_, itl_, e2el_, queue_wait_, kv_transfer_, hand_off_wait_;
  std::int64_t completed_ = 0, rejected_full_ = 0, rejected_large_ = 0, cancelled_ = 0, good_ = 0,
               judged_ = 0, preempted_ = 0;
  TokenCount input_tokens_ = 0, cached_tokens_ = 0, output_tokens_ = 0;
  TimeBreakdown breakdown_;
  std::optional<Seconds> first_arrival_;
  Seconds last_arrival_{};
  Seconds last_token_{};
};

}  // namespace disagg
