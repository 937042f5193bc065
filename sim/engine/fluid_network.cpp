#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "sim/base/expect.hpp"
#include "sim/engine/network.hpp"

namespace disagg {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();
// A recomputed rate that differs by less is the same: it comes from another order of additions.
constexpr double kSameRate = 1e-12;
// Dates that differ by less, relatively, are the same: four steps of a double.
constexpr double kSameDate = 1e-15;

// When a flow ends if nothing changes before.
struct Completion {
  double date;
  std::uint64_t sequence;  // of its start
  std::uint32_t flow;
  bool operator<(const Completion& b) const { return date != b.date ? date < b.date : sequence < b.sequence; }
};

// The next completions: a 4-ary heap that knows where each flow's entry is.
class Completions {
 public:
  bool empty() const { return heap_.empty(); }
  const Completion& first() const { return heap_.front(); }

  void add(const Completion& entry) {
    if (place_.size() <= entry.flow) place_.resize(entry.flow + 1);
    heap_.push_back(entry);
    sift_up(heap_.size() - 1, entry);
  }
  void remove(std::uint32_t flow) {
    const std::size_t hole = place_[flow];
    const Completion last = heap_.back();
    heap_.pop_back();
    if (hole < heap_.size()) settle(hole, last);
  }
  void change(std::uint32_t flow, double date) {
    const std::size_t i = place_[flow];
    Completion entry = heap_[i];
    entry.date = date;
    settle(i, entry);
  }
  // For many changes at once: change without order, then put all in order.
  void change_unordered(std::uint32_t flow, double date) { heap_[place_[flow]].date = date; }
  void order() {
    if (heap_.size() < 2) return;
    for (std::size_t i = (heap_.size() - 2) / kArity + 1; i-- > 0;) sift_down(i, heap_[i]);
  }
  std::size_t size() const { return heap_.size(); }

 private:
  static constexpr std::size_t kArity = 4;

  void put(std::size_t i, const Completion& entry) {
    heap_[i] = entry;
    place_[entry.flow] = static_cast<std::uint32_t>(i);
  }
  void settle(std::size_t i, const Completion& entry) {
    if (i > 0 && entry < heap_[(i - 1) / kArity]) {
      sift_up(i, entry);
    } else {
      sift_down(i, entry);
    }
  }
  void sift_up(std::size_t i, const Completion entry) {
    while (i > 0) {
      const std::size_t parent = (i - 1) / kArity;
      if (!(entry < heap_[parent])) break;
      put(i, heap_[parent]);
      i = parent;
    }
    put(i, entry);
  }
  void sift_down(std::size_t i, const Completion entry) {
    while (true) {
      const std::size_t child = i * kArity + 1;
      if (child >= heap_.size()) break;
      std::size_t least = child;
      for (std::size_t other = child + 1; other < std::min(child + kArity, heap_.size()); ++other)
        if (heap_[other] < heap_[least]) least = other;
      if (!(heap_[least] < entry)) break;
      put(i, heap_[least]);
      i = least;
    }
    put(i, entry);
  }

  std::vector<Completion> heap_;
  std::vector<std::uint32_t> place_;  // [flow]
};

// Max-min fair rates by progressive filling (Bertsekas and Gallager, Data Networks, 1992, section 6.5.2): all
// rates rise together, a flow stops at its limit or when one of its links is full. Rates are recomputed when
// the clock is about to move, for what has changed since it last did.
class FluidNetwork final : public Network {
 public:
  explicit FluidNetwork(const Platform& platform) {
    links_.resize(platform.links.size());
    for (std::size_t i = 0; i < links_.size(); ++i) links_[i].capacity = platform.links[i].capacity.si;
    routes_.reserve(platform.routes.size());
    for (const PlatformRoute& route : platform.routes) {
      routes_.push_back(
          {static_cast<std::uint32_t>(hops_.size()), static_cast<std::uint32_t>(route.links.size())});
      for (const LinkId link : route.links) hops_.push_back(link.index);
      most_hops_ = std::max(most_hops_, route.links.size());
    }
  }

  FlowId start(Seconds now, RouteId route, Bytes bytes, BytesPerSecond limit, Action done,
               Action failed) override {
    move_clock(now.si);
    const std::uint32_t slot = take_slot();
    const Hops hops = routes_[route.index];
    flows_[slot] = {.remaining = std::max(bytes.si, 0.0),
                    .updated = clock_,
                    .rate = 0,
                    .limit = limit == kNoLimit ? kUnlimited : limit.si,
                    .mark = 0,
                    .hops = hops};
    ends_[slot] = {done, failed, ++sequence_, State::running};
    for (std::uint32_t h = 0; h < hops.count; ++h) {
      if (!links_[hops_[hops.first + h]].failed) continue;
      end(slot, State::failed);
      return {slot};
    }
    for (std::uint32_t h = 0; h < hops.count; ++h) {
      Link& link = links_[hops_[hops.first + h]];
      places_[slot * most_hops_ + h] = static_cast<std::uint32_t>(link.flows.size());
      link.flows.push_back({slot, h});
    }
    completions_.add({kUnlimited, sequence_, slot});
    touched_.push_back(hops_[hops.first]);
    return {slot};
  }

  void cancel(Seconds now, FlowId flow) override {
    move_clock(now.si);
    if (ends_[flow.index].state == State::running) {
      detach(flow.index);
      free_.push_back(flow.index);
    } else {
      ends_[flow.index].state = State::cancelled;  // in `ended_`, which frees it
    }
  }

  Bytes remaining(Seconds now, FlowId flow) override {
    move_clock(now.si);
    const Flow& f = flows_[flow.index];
    return {ends_[flow.index].state == State::running ? f.remaining_at(clock_) : f.remaining};
  }

  void set_capacity(Seconds now, LinkId link, BytesPerSecond capacity) override {
    move_clock(now.si);
    links_[link.index].capacity = capacity.si;
    touched_.push_back(link.index);
  }

  void fail(Seconds now, LinkId link) override {
    move_clock(now.si);
    Link& failed = links_[link.index];
    failed.failed = true;
    while (!failed.flows.empty()) {
      const std::uint32_t slot = failed.flows.back().flow;
      settle(flows_[slot]);
      detach(slot);
      end(slot, State::failed);
    }
  }

  void repair(Seconds now, LinkId link) override {
    move_clock(now.si);
    links_[link.index].failed = false;
  }

  Seconds next_date() override {
    if (!ended_.empty()) return {clock_};
    share();
    return completions_.empty() ? kNever : Seconds{std::max(clock_, completions_.first().date)};
  }

  Seconds advance_to(Seconds date) override {
    if (ended_.empty()) {
      const Seconds first = next_date();
      clock_ = std::max(clock_, std::min(first, date).si);
      if (first > date) return {clock_};
      const double last = clock_ + clock_ * kSameDate;
      while (!completions_.empty() && completions_.first().date <= last) {
        const std::uint32_t slot = completions_.first().flow;
        flows_[slot].remaining = 0;
        detach(slot);
        end(slot, State::arrived);
      }
    }
    run_actions();
    return {clock_};
  }

 private:
  enum class State : std::uint8_t { running, arrived, failed, cancelled };
  // The links of a route, in `hops_`.
  struct Hops {
    std::uint32_t first = 0, count = 0;
  };
  // What sharing needs of a flow, apart from what its end needs.
  struct Flow {
    double remaining = 0;  // bytes, at date `updated`
    double updated = 0;
    double rate = 0;
    double limit = kUnlimited;
    std::uint64_t mark = 0;  // see share()
    Hops hops;

    double remaining_at(double date) const { return std::max(0.0, remaining - rate * (date - updated)); }
  };
  struct FlowEnd {
    Action done, failed;
    std::uint64_t sequence = 0;  // of its start
    State state = State::running;
  };
  // A flow that crosses a link at the given place of its route.
  struct Crossing {
    std::uint32_t flow, hop;
  };
  struct Link {
    double capacity = 0;
    double left = 0;         // of the capacity, while rates are filled
    std::uint32_t open = 0;  // crossings of flows that have no rate yet
    bool failed = false;
    std::uint64_t mark = 0;
    std::vector<Crossing> flows;
  };
  // The rate at which a link would be full.
  struct Level {
    double rate;
    std::uint32_t link;
  };
  struct Limited {
    double limit;
    std::uint32_t flow;
  };

  std::uint32_t take_slot() {
    if (!free_.empty()) {
      const std::uint32_t slot = free_.back();
      free_.pop_back();
      return slot;
    }
    flows_.emplace_back();
    ends_.emplace_back();
    places_.resize(flows_.size() * most_hops_);
    return static_cast<std::uint32_t>(flows_.size() - 1);
  }

  void move_clock(double now) {
    if (now <= clock_) return;
    expect(now <= next_date().si, "the network's clock passes the end of a flow");
    clock_ = now;
  }

  void settle(Flow& flow) const {
    flow.remaining = flow.remaining_at(clock_);
    flow.updated = clock_;
  }

  // Takes a running flow off its links.
  void detach(std::uint32_t slot) {
    const Hops hops = flows_[slot].hops;
    for (std::uint32_t h = 0; h < hops.count; ++h) {
      const std::uint32_t index = hops_[hops.first + h];
      Link& link = links_[index];
      const std::uint32_t place = places_[slot * most_hops_ + h];
      link.flows[place] = link.flows.back();
      places_[link.flows[place].flow * most_hops_ + link.flows[place].hop] = place;
      link.flows.pop_back();
      if (!link.flows.empty()) touched_.push_back(index);
    }
    completions_.remove(slot);
  }

  void end(std::uint32_t slot, State state) {
    ends_[slot].state = state;
    ended_.push_back(slot);
  }

  // Actions may start, cancel and fail flows; what fails meanwhile is told by the next call.
  void run_actions() {
    running_.swap(ended_);
    std::ranges::sort(running_, {}, [this](std::uint32_t slot) { return ends_[slot].sequence; });
    for (const std::uint32_t slot : running_) {
      const FlowEnd& flow_end = ends_[slot];
      if (flow_end.state != State::cancelled) {
        Action act = flow_end.state == State::arrived ? flow_end.done : flow_end.failed;
        expect(static_cast<bool>(act), "a link failed under a flow that does not expect it");
        act();
      }
      free_.push_back(slot);
    }
    running_.clear();
  }

  // Recomputes the rates of all flows that are connected with a touched link. In a round that has number n,
  // links and flows that were found are marked 2n, and flows whose rate is known 2n + 1.
  void share() {
    if (touched_.empty()) return;
    mark_ += 2;
    changed_.clear();
    for (const std::uint32_t link : touched_) {
      if (links_[link].mark == mark_) continue;
      find_connected(link);
      fill();
    }
    touched_.clear();
    reschedule();
  }

  void find_connected(std::uint32_t from) {
    found_links_.assign(1, from);
    found_flows_.clear();
    links_[from].mark = mark_;
    for (std::size_t i = 0; i < found_links_.size(); ++i) {
      for (const Crossing& crossing : links_[found_links_[i]].flows) {
        Flow& flow = flows_[crossing.flow];
        if (flow.mark == mark_) continue;
        flow.mark = mark_;
        found_flows_.push_back(crossing.flow);
        for (std::uint32_t h = 0; h < flow.hops.count; ++h) {
          const std::uint32_t link = hops_[flow.hops.first + h];
          if (links_[link].mark == mark_) continue;
          links_[link].mark = mark_;
          found_links_.push_back(link);
        }
      }
    }
  }

  void fill() {
    levels_.clear();
    for (const std::uint32_t index : found_links_) {
      Link& link = links_[index];
      if (link.flows.empty()) continue;
      link.left = link.capacity;
      link.open = static_cast<std::uint32_t>(link.flows.size());
      levels_.push_back({link.left / link.open, index});
    }
    std::ranges::make_heap(levels_, std::greater{}, &Level::rate);
    limited_.clear();
    for (const std::uint32_t slot : found_flows_)
      if (flows_[slot].limit < kUnlimited) limited_.push_back({flows_[slot].limit, slot});
    std::ranges::sort(limited_, {}, &Limited::limit);

    auto limited = limited_.begin();
    double level = 0;
    while (!levels_.empty()) {
      const Level next = levels_.front();
      while (limited != limited_.end() && flows_[limited->flow].mark != mark_) ++limited;
      if (limited != limited_.end() && limited->limit <= next.rate) {
        level = limited->limit;
        set_rate(limited->flow, level);
        continue;
      }
      std::ranges::pop_heap(levels_, std::greater{}, &Level::rate);
      levels_.pop_back();
      const Link& link = links_[next.link];
      if (link.open == 0) continue;
      // Since the level was noted, flows of the link may have stopped at lower rates and left more to the
      // rest.
      const double now = std::max(level, link.left / link.open);
      if (now > next.rate) {
        levels_.push_back({now, next.link});
        std::ranges::push_heap(levels_, std::greater{}, &Level::rate);
        continue;
      }
      level = now;
      for (const Crossing& crossing : link.flows)
        if (flows_[crossing.flow].mark == mark_) set_rate(crossing.flow, level);
    }
  }

  void set_rate(std::uint32_t slot, double rate) {
    Flow& flow = flows_[slot];
    flow.mark = mark_ + 1;
    for (std::uint32_t h = 0; h < flow.hops.count; ++h) {
      Link& link = links_[hops_[flow.hops.first + h]];
      link.left -= rate;
      --link.open;
    }
    if (std::abs(rate - flow.rate) <= kSameRate * rate) return;
    settle(flow);
    flow.rate = rate;
    changed_.push_back(slot);
  }

  void reschedule() {
    const auto date = [this](std::uint32_t slot) {
      return clock_ + flows_[slot].remaining / flows_[slot].rate;
    };
    if (changed_.size() * 4 < completions_.size()) {
      for (const std::uint32_t slot : changed_) completions_.change(slot, date(slot));
    } else {
      for (const std::uint32_t slot : changed_) completions_.change_unordered(slot, date(slot));
      completions_.order();
    }
  }

  std::vector<Hops> routes_;
  std::vector<std::uint32_t> hops_;  // links of all routes
  std::size_t most_hops_ = 0;
  std::vector<Link> links_;
  std::vector<Flow> flows_;
  std::vector<FlowEnd> ends_;          // [flow]
  std::vector<std::uint32_t> places_;  // [flow * most_hops_ + hop]: where the link's list has the flow
  std::vector<std::uint32_t> free_;
  Completions completions_;
  std::vector<std::uint32_t> touched_;          // links whose flows need new rates
  std::vector<std::uint32_t> ended_, running_;  // flows whose actions have to run, and those whose actions do
  // Scratch of share(), kept so that nothing is allocated.
  std::vector<std::uint32_t> found_links_, found_flows_, changed_;
  std::vector<Level> levels_;
  std::vector<Limited> limited_;
  std::uint64_t mark_ = 0;
  std::uint64_t sequence_ = 0;
  double clock_ = 0;
};

}  // namespace

std::unique_ptr<Network> make_fluid_network(const Platform& platform) {
  return std::make_unique<FluidNetwork>(platform);
}

}  // namespace disagg
