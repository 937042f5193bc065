#include "experiments/metrics.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "experiments/figures.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

}  // namespace

bool meets(const Slo& slo, const RequestRecord& r) {
  if (slo.ttft && ttft(r) > *slo.ttft) return false;
  if (slo.tpot && tpot(r).value_or(Seconds{0}) > *slo.tpot) return false;
  return !slo.e2el || e2el(r) <= *slo.e2el;
}

TimeBreakdown& TimeBreakdown::operator+=(const TimeBreakdown& other) {
  queue += other.queue;
  prefill += other.prefill;
  room += other.room;
  hand_off += other.hand_off;
  decode += other.decode;
  return *this;
}

TimeBreakdown breakdown(const RequestRecord& r) {
  const Seconds sendable = std::max(r.room_found, r.prefill_end);
  const Seconds arrived = std::max(r.hand_off_end, sendable);
  return {.queue = r.first_scheduled - r.arrived,
          .prefill = r.prefill_end - r.first_scheduled,
          .room = sendable - r.prefill_end,
          .hand_off = arrived - sendable,
          .decode = r.last_token - arrived};
}

bool Metrics::bounded() const {
  return std::ranges::any_of(slos_, [](const Slo& slo) { return slo.any(); });
}

void Metrics::add(const RequestRecord& r) {
  if (!measured(r.arrived)) return;
  first_arrival_ = std::min(first_arrival_.value_or(r.arrived), r.arrived);
  last_arrival_ = std::max(last_arrival_, r.arrived);
  const Slo& slo = slos_[r.kind];
  if (slo.any()) ++judged_;
  if (r.outcome == Outcome::rejected_queue_full) ++rejected_full_;
  if (r.outcome == Outcome::rejected_too_large) ++rejected_large_;
  if (r.outcome == Outcome::cancelled) ++cancelled_;
  if (r.outcome != Outcome::finished) return;
  ++completed_;
  input_tokens_ += r.prompt_tokens;
  cached_tokens_ += r.cached_tokens;
  output_tokens_ += r.output_tokens;
  last_token_ = std::max(last_token_, r.last_token);
  ttft_.add(ttft(r).si);
  e2el_.add(e2el(r).si);
  if (const auto t = tpot(r)) tpot_.add(t->si);
  queue_wait_.add((r.first_scheduled - r.arrived).si);
  const TimeBreakdown spent = disagg::breakdown(r);
  breakdown_ += spent;
  if (r.hand_off_end > r.hand_off_start) {
    kv_transfer_.add((r.hand_off_end - r.hand_off_start).si);
    hand_off_wait_.add((spent.room + spent.hand_off).si);
  }
  if (r.preemptions > 0) ++preempted_;
  if (slo.any() && meets(slo, r)) ++good_;
}

void Metrics::add(Seconds now, const TokenGaps& gaps) {
  if (now < horizon_.warm_up) return;
  itl_.add_series(gaps.first.si, std::max(gaps.step.si, 0.0), gaps.count, gaps.weight);
}

Seconds Metrics::duration() const {
  if (completed_ == 0) return Seconds{0};
  if (horizon_.measure) return std::max(last_token_ - horizon_.warm_up, *horizon_.measure);
  return first_arrival_ ? last_token_ - std::max(*first_arrival_, horizon_.warm_up) : Seconds{0};
}

ordered_json Metrics::json(std::int64_t accelerators, std::int64_t decode_accelerators, bool caching) const {
  const double seconds = duration().si;
  const auto rate = [&](double amount) -> ordered_json {
    return seconds > 0 ? ordered_json(amount / seconds) : ordered_json(nullptr);
  };
  const auto output = static_cast<double>(output_tokens_);
  const double total = output + static_cast<double>(input_tokens_);
  ordered_json j;
  j["completed"] = completed_;
  j["rejected_queue_full"] = rejected_full_;
  j["rejected_too_large"] = rejected_large_;
  j["cancelled"] = cancelled_;
  j["preempted_requests"] = preempted_;
  j["total_input_tokens"] = input_tokens_;
  j["total_output_tokens"] = output_tokens_;
  j["total_cached_tokens"] = cached_tokens_;
  j["prefix_cache_hit_rate"] =
      caching && input_tokens_ > 0
          ? ordered_json(static_cast<double>(cached_tokens_) / static_cast<double>(input_tokens_))
          : ordered_json(nullptr);
  j["duration_s"] = seconds;
  j["ttft_ms"] = statistics(ttft_, 1e3);
  j["tpot_ms"] = statistics(tpot_, 1e3);
  j["itl_ms"] = statistics(itl_, 1e3);
  j["e2el_ms"] = statistics(e2el_, 1e3);
  j["queue_wait_ms"] = statistics(queue_wait_, 1e3);
  j["kv_transfer_ms"] =
      statistics(kv_transfer_, 1e3);  // first to last flow; runs under the prefill if layerwise
  j["hand_off_wait_ms"] =
      statistics(hand_off_wait_, 1e3);  // what of it, and of the wait for room, a request feels
  if (completed_ > 0) {
    const double per_request = 1e3 / static_cast<double>(completed_);
    j["mean_time_in_ms"] = {{"queue", breakdown_.queue.si * per_request},
                            {"prefill", breakdown_.prefill.si * per_request},
                            {"hand_off_room", breakdown_.room.si * per_request},
                            {"hand_off", breakdown_.hand_off.si * per_request},
                            {"decode", breakdown_.decode.si * per_request}};
  }
  // Of arrivals, while there are some.
  const Seconds arriving = first_arrival_ ? last_arrival_ - *first_arrival_ : Seconds{};
  j["request_rate"] = ratio(static_cast<double>(ended() - 1), arriving.si);
  j["request_throughput"] = rate(static_cast<double>(completed_));
  j["output_throughput"] = rate(output);
  j["total_throughput"] = rate(total);
  j["request_goodput"] = bounded() ? rate(static_cast<double>(good_)) : ordered_json(nullptr);
  j["slo_attainment"] = judged_ > 0 ? ordered_json(static_cast<double>(good_) / static_cast<double>(judged_))
                                    : ordered_json(nullptr);
  j["output_throughput_per_accelerator"] = rate(output / static_cast<double>(accelerators));
  j["total_throughput_per_accelerator"] = rate(total / static_cast<double>(accelerators));
  j["output_throughput_per_decode_accelerator"] = rate(output / static_cast<double>(decode_accelerators));
  j["itl_covers"] = "gaps that end after the warm-up, of all requests";
  j["quantiles"] = ttft_.exact() ? "exact; itl within 0.14 %" : "within 0.14 %";
  return j;
}

std::string Metrics::distributions_csv(const std::string& kind) const {
  return ttft_.csv(kind + ",ttft_ms", 1e3) + tpot_.csv(kind + ",tpot_ms", 1e3) +
         itl_.csv(kind + ",itl_ms", 1e3) + e2el_.csv(kind + ",e2el_ms", 1e3);
}

}  // namespace disagg
