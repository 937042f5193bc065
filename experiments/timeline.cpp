#include "experiments/timeline.hpp"

#include <array>
#include <string_view>
#include <utility>

#include "experiments/run_folder.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

std::string micros(Seconds t) { return show_exact(t.si * 1e6); }
// Process 0 would be hidden by some viewers, and 1 holds the requests.
std::string process(ReplicaId id) { return std::to_string(id.index + 2); }

}  // namespace

Timeline::Timeline(std::ofstream out) : out_(std::move(out)) {
  out_ << "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n"
       << R"({"ph":"M","name":"process_name","pid":1,"tid":0,"args":{"name":"requests"}})";
}

std::ofstream& Timeline::event() {
  ++events_;
  out_ << ",\n";
  return out_;
}

void Timeline::name_replica(ReplicaId id, const std::string& name) {
  event() << R"({"ph":"M","name":"process_name","pid":)" << process(id) << R"(,"tid":0,"args":{"name":")"
          << name << "\"}}";
  event() << R"({"ph":"M","name":"thread_name","pid":)" << process(id)
          << R"(,"tid":0,"args":{"name":"batch"}})";
}

void Timeline::add(const SpanRecord& span) {
  if (!room()) {
    cut_ = true;
    return;
  }
  constexpr std::array<std::string_view, 3> kKinds{"prefill", "decode", "mixed"};
  event() << R"({"ph":"X","name":")" << kKinds[static_cast<std::size_t>(span.kind)]
          << R"(","cat":"span","pid":)" << process(span.replica) << R"(,"tid":0,"ts":)" << micros(span.start)
          << R"(,"dur":)" << micros(span.end - span.start) << R"(,"args":{"steps":)" << span.steps
          << R"(,"sequences":)" << span.sequences << R"(,"prefill_tokens":)" << span.prefill_tokens << "}}";
}

void Timeline::add(const RequestRecord& r) {
  if (r.outcome != Outcome::finished) return;
  if (!room()) {
    cut_ = true;
    return;
  }
  const std::string id = R"(,"cat":"request","id":)" + std::to_string(r.id) + R"(,"pid":1,"tid":0,"ts":)";
  const auto slice = [&](std::string_view name, Seconds start, Seconds end, const std::string& arguments) {
    event() << R"({"ph":"b","name":")" << name << '"' << id << micros(start) << arguments << '}';
    event() << R"({"ph":"e","name":")" << name << '"' << id << micros(end) << '}';
  };
  slice("request " + std::to_string(r.id), r.arrived, r.last_token,
        R"(,"args":{"prompt_tokens":)" + std::to_string(r.prompt_tokens) + R"(,"output_tokens":)" +
            std::to_string(r.output_tokens) + "}");
  slice("queue", r.arrived, r.first_scheduled, "");
  slice("prefill", r.first_scheduled, r.prefill_end, "");
  if (r.decode_replica != r.prefill_replica) {
    slice("hand-off", r.prefill_end, std::max(r.hand_off_end, r.prefill_end), "");
    const std::string flow = R"(,"name":"KV cache","cat":"hand-off","id":)" + std::to_string(r.id);
    event() << R"({"ph":"s")" << flow << R"(,"pid":)" << process(r.prefill_replica) << R"(,"tid":0,"ts":)"
            << micros(r.prefill_end) << '}';
    event() << R"({"ph":"f","bp":"e")" << flow << R"(,"pid":)" << process(r.decode_replica)
            << R"(,"tid":0,"ts":)" << micros(std::max(r.hand_off_end, r.prefill_end)) << '}';
  }
  if (r.output_tokens > 1) slice("decode", std::max(r.hand_off_end, r.prefill_end), r.last_token, "");
}

void Timeline::counters(Seconds now, ReplicaId id, std::int64_t waiting, std::int64_t running,
                        double kv_occupancy) {
  if (!room()) {
    cut_ = true;
    return;
  }
  event() << R"({"ph":"C","name":"requests","pid":)" << process(id) << R"(,"tid":0,"ts":)" << micros(now)
          << R"(,"args":{"waiting":)" << waiting << R"(,"running":)" << running << "}}";
  event() << R"({"ph":"C","name":"KV cache used","pid":)" << process(id) << R"(,"tid":0,"ts":)" << micros(now)
          << R"(,"args":{"percent":)" << show_exact(kv_occupancy * 100) << "}}";
}

void Timeline::finish(const std::string& file) {
  out_ << "\n], \"otherData\": {\"cut\": " << (cut_ ? "true" : "false") << ", \"rule\": \"the first "
       << kMostEvents << " events of the run\"}}\n";
  finish_writing(out_, file);
}

}  // namespace disagg
