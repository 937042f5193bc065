#include "experiments/timeline.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "experiments/run_folder.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

std::string micros(Seconds t) { return show_exact(t.si * 1e6); }
// Process 0 would be hidden by some viewers, and 1 holds the requests. After them come the replicas, the
// tiers and, last, the links.
std::string process(ReplicaId id) { return std::to_string(id.index + 2); }
std::string_view name_of(StretchKind kind) { return kind == StretchKind::fetch ? "fetch" : "stall"; }

}  // namespace

Timeline::Timeline(std::ofstream out) : out_(std::move(out)) {
  out_ << "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n"
       << R"({"ph":"M","name":"process_name","pid":1,"tid":0,"args":{"name":"requests"}})";
}

bool Timeline::has_room() {
  cut_ = cut_ || events_ >= kMostEvents;
  return events_ < kMostEvents;
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
  ++replicas_;
}

void Timeline::name_tier(const std::string& name) {
  event() << R"({"ph":"M","name":"process_name","pid":)" << process_of_tier(lanes_.size())
          << R"(,"tid":0,"args":{"name":"memory )" << name << "\"}}";
  lanes_.emplace_back();
}

std::string Timeline::process_of_tier(std::size_t tier) const {
  return std::to_string(replicas_ + 2 + static_cast<std::int64_t>(tier));
}

void Timeline::add(const SpanRecord& span) {
  if (!has_room()) return;
  constexpr std::array<std::string_view, 3> kKinds{"prefill", "decode", "mixed"};
  event() << R"({"ph":"X","name":")" << kKinds[static_cast<std::size_t>(span.kind)]
          << R"(","cat":"span","pid":)" << process(span.replica) << R"(,"tid":0,"ts":)" << micros(span.start)
          << R"(,"dur":)" << micros(span.end - span.start) << R"(,"args":{"steps":)" << span.steps
          << R"(,"sequences":)" << span.sequences << R"(,"prefill_tokens":)" << span.prefill_tokens << "}}";
}

void Timeline::add(const RequestRecord& r) {
  std::vector<StretchRecord> stretches;
  if (auto node = stretches_.extract(r.id)) stretches = std::move(node.mapped());
  if (r.outcome != Outcome::finished) return;
  if (!has_room()) return;
  const std::string id = R"(,"cat":"request","id":)" + std::to_string(r.id) + R"(,"pid":1,"tid":0,"ts":)";
  const auto begin = [&](std::string_view name, Seconds at, const std::string& arguments = "") {
    event() << R"({"ph":"b","name":")" << name << '"' << id << micros(at) << arguments << '}';
  };
  const auto end = [&](std::string_view name, Seconds at) {
    event() << R"({"ph":"e","name":")" << name << '"' << id << micros(at) << '}';
  };
  const auto slice = [&](std::string_view name, Seconds from, Seconds to) {
    begin(name, from);
    end(name, to);
  };
  // In the stage in which they were; equal dates are told apart by the order of the events.
  const auto stage = [&](std::string_view name, Seconds from, Seconds to) {
    begin(name, from);
    std::erase_if(stretches, [&](const StretchRecord& stretch) {
      if (stretch.start < from || stretch.end > to) return false;
      slice(name_of(stretch.kind), stretch.start, stretch.end);
      return true;
    });
    end(name, to);
  };
  const std::string name = "request " + std::to_string(r.id);
  begin(name, r.arrived,
        R"(,"args":{"prompt_tokens":)" + std::to_string(r.prompt_tokens) + R"(,"output_tokens":)" +
            std::to_string(r.output_tokens) + "}");
  stage("queue", r.arrived, r.first_scheduled);
  stage("prefill", r.first_scheduled, r.prefill_end);
  const Seconds moved = std::max(r.hand_off_end, r.prefill_end);
  if (r.decode_replica != r.prefill_replica) {
    begin("hand-off", r.prefill_end);
    if (r.room_found > r.prefill_end && r.room_found <= r.hand_off_end)
      slice("wait for room", r.prefill_end, r.room_found);
    end("hand-off", moved);
    const std::string flow = R"(,"name":"KV cache","cat":"hand-off","id":)" + std::to_string(r.id);
    event() << R"({"ph":"s")" << flow << R"(,"pid":)" << process(r.prefill_replica) << R"(,"tid":0,"ts":)"
            << micros(r.prefill_end) << '}';
    event() << R"({"ph":"f","bp":"e")" << flow << R"(,"pid":)" << process(r.decode_replica)
            << R"(,"tid":0,"ts":)" << micros(moved) << '}';
  }
  if (r.output_tokens > 1) stage("decode", moved, r.last_token);
  // Over more than one stage, after a failure of its replica say.
  for (const StretchRecord& stretch : stretches) slice(name_of(stretch.kind), stretch.start, stretch.end);
  end(name, r.last_token);
}

void Timeline::add(const StretchRecord& stretch) {
  if (!has_room()) return;
  stretches_[stretch.request].push_back(stretch);
  if (stretch.kind != StretchKind::fetch) return;
  // Fetches overlap, and slices of one thread must not: each goes to the first lane that is free. They come
  // in the order of their ends.
  std::vector<Seconds>& lanes = lanes_[stretch.tier];
  const auto free = std::ranges::find_if(lanes, [&](Seconds ended) { return ended <= stretch.start; });
  const auto lane = static_cast<std::size_t>(free - lanes.begin());
  if (free == lanes.end()) lanes.emplace_back();
  lanes[lane] = stretch.end;
  const std::string start = micros(stretch.start);
  const std::string place = R"(,"pid":)" + process_of_tier(stretch.tier) + R"(,"tid":)" +
                            std::to_string(lane) + R"(,"ts":)" + start;
  event() << R"({"ph":"X","name":"fetch","cat":"fetch")" << place << R"(,"dur":)"
          << micros(stretch.end - stretch.start) << R"(,"args":{"request":)" << stretch.request << "}}";
  const std::string flow = R"(,"name":"KV cache","cat":"fetch","id":)" + std::to_string(++fetches_);
  event() << R"({"ph":"s")" << flow << place << '}';
  event() << R"({"ph":"f")" << flow << R"(,"pid":)" << process(stretch.replica) << R"(,"tid":0,"ts":)"
          << micros(stretch.end) << '}';
}

void Timeline::add_tier(Seconds now, std::uint32_t tier, double used_share) {
  if (!has_room()) return;
  event() << R"({"ph":"C","name":"used","pid":)" << process_of_tier(tier) << R"(,"tid":0,"ts":)"
          << micros(now) << R"(,"args":{"percent":)" << show_exact(used_share * 100) << "}}";
}

void Timeline::add_links(const Platform& platform, const LinkLoads& loads) {
  std::vector<LinkLoads::Load> busiest = loads.loads();
  if (busiest.empty()) return;
  const std::vector<Seconds> ends = loads.intervals();
  const auto busy = [&](const LinkLoads::Load& link) {
    Seconds sum{};
    Seconds begin{};
    for (std::size_t i = 0; i < ends.size(); begin = ends[i++]) sum += (ends[i] - begin) * link.loads[i];
    return sum;
  };
  std::ranges::stable_sort(busiest, std::ranges::greater{}, busy);
  busiest.resize(std::min(busiest.size(), kMostLinks));
  const std::string process_of_links = process_of_tier(lanes_.size());
  event() << R"({"ph":"M","name":"process_name","pid":)" << process_of_links
          << R"(,"tid":0,"args":{"name":"links"}})";
  for (const LinkLoads::Load& link : busiest) {
    const auto counter = [&](Seconds at, double load) {
      event() << R"({"ph":"C","name":")" << platform.links[link.link.index].name << R"(","pid":)"
              << process_of_links << R"(,"tid":0,"ts":)" << micros(at) << R"(,"args":{"percent":)"
              << show_exact(load * 100) << "}}";
    };
    Seconds begin{};
    for (std::size_t i = 0; i < ends.size(); begin = ends[i++]) counter(begin, link.loads[i]);
    counter(ends.back(), 0);
  }
}

void Timeline::counters(Seconds now, ReplicaId id, std::int64_t waiting, std::int64_t running,
                        double kv_occupancy) {
  if (!has_room()) return;
  event() << R"({"ph":"C","name":"requests","pid":)" << process(id) << R"(,"tid":0,"ts":)" << micros(now)
          << R"(,"args":{"waiting":)" << waiting << R"(,"running":)" << running << "}}";
  event() << R"({"ph":"C","name":"KV cache used","pid":)" << process(id) << R"(,"tid":0,"ts":)" << micros(now)
          << R"(,"args":{"percent":)" << show_exact(kv_occupancy * 100) << "}}";
}

void Timeline::finish(const std::string& file) {
  out_ << "\n], \"otherData\": {\"cut\": " << (cut_ ? "true" : "false") << ", \"rule\": \"the first "
       << kMostEvents << " events of the run, and the loads of the " << kMostLinks
       << " busiest links in all of it\"}}\n";
  finish_writing(out_, file);
}

}  // namespace disagg
