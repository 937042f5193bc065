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
// A link of which less than this part is free, or lacking, is exactly full. Well above kSameRate, so that
// what is not worth a change of a rate is not worth a change of a link either.
constexpr double kSameLoad = 1e-11;
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
// rates rise together from 0, and a flow stops at its limit or when one of its links is full, its bottleneck.
//
// After a change the filling runs as it ran before, up to the level at which something differs. So only that
// part is filled again: a flow keeps its rate unless a link of its way becomes full before that rate is
// reached, or its bottleneck is not full when it is. Flows that share no link, directly or through others,
// with what has changed are never looked at, nor are those below the level of the change.
//
// Rates are brought up to date when the clock is about to move, for all that has changed since it last did.
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
                    .round = 0,
                    .hops = hops,
                    .bottleneck = kNone,
                    .rises = false};
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
    new_.push_back(slot);
    return {slot};
  }

  void cancel(Seconds now, FlowId flow) override {
    move_clock(now.si);
    if (ends_[flow.index].state == State::running) {
      detach(flow.index);
      free_.push_back(flow.index);
    }  // else it is in `ended_`, which frees it
    ends_[flow.index].state = State::cancelled;
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
    std::uint64_t round = 0;  // the last one that gave it a rate, or is about to
    Hops hops;
    std::uint32_t bottleneck = kNone;  // the link that sets its rate
    bool rises = false;                // in the present round: its rate is not known yet

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
    bool failed = false;
    std::vector<Crossing> flows;

    // What follows is of the round of filling in which the link is looked at.
    std::uint64_t round = 0;
    double kept = 0;            // rates of the flows that keep theirs, together
    double most_kept = 0;       // no less than the highest of them
    double set = 0;             // rates that this round has set, together
    std::uint32_t rising = 0;   // flows whose rate it has not set yet
    std::uint32_t bound = 0;    // flows that keep their rate and have their bottleneck here
    double bound_rate = 0;      // which is this
    std::uint32_t version = 0;  // of its event
    bool lets_go = false;       // its event: those flows rise on; else: the link is full
    bool stale = false;         // its event has to be found again
  };
  // What happens in a round at a level of the rates: something to a link, or a flow is at its limit.
  struct Event {
    double level;
    std::uint32_t index;    // of the link or flow
    std::uint32_t version;  // of the link's event; kOfFlow
  };
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  static constexpr std::uint32_t kOfFlow = 0;

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

  void share() {
    if (touched_.empty() && new_.empty()) return;
    ++round_;
    level_ = 0;
    changed_.clear();
    for (const std::uint32_t link : touched_) look_at(link);
    touched_.clear();
    for (const std::uint32_t slot : new_)
      if (ends_[slot].state == State::running && flows_[slot].round != round_) rise(slot);
    new_.clear();
    find_events();
    while (!events_.empty()) {
      const Event event = events_.front();
      std::ranges::pop_heap(events_, std::greater{}, &Event::level);
      events_.pop_back();
      level_ = std::max(level_, event.level);
      if (event.version == kOfFlow) {
        if (flows_[event.index].rises) set_rate(event.index, kNone);
      } else if (event.version == links_[event.index].version) {
        happen(event.index);
      }
      find_events();
    }
    reschedule();
  }

  void look_at(std::uint32_t index) {
    Link& link = links_[index];
    if (link.round == round_) return;
    link.round = round_;
    link.kept = link.most_kept = link.set = 0;
    link.rising = link.bound = 0;
    link.bound_rate = kUnlimited;
    for (const Crossing& crossing : link.flows) {
      const Flow& flow = flows_[crossing.flow];
      link.kept += flow.rate;
      link.most_kept = std::max(link.most_kept, flow.rate);
      if (flow.bottleneck != index) continue;
      ++link.bound;
      link.bound_rate = std::min(link.bound_rate, flow.rate);
    }
    outdate(index);
  }

  void outdate(std::uint32_t index) {
    if (std::exchange(links_[index].stale, true)) return;
    stale_.push_back(index);
  }

  // From here on the flow does not keep its rate.
  void rise(std::uint32_t slot) {
    Flow& flow = flows_[slot];
    for (std::uint32_t h = 0; h < flow.hops.count; ++h) look_at(hops_[flow.hops.first + h]);
    for (std::uint32_t h = 0; h < flow.hops.count; ++h) {
      const std::uint32_t index = hops_[flow.hops.first + h];
      Link& link = links_[index];
      link.kept -= flow.rate;
      link.bound -= flow.bottleneck == index ? 1 : 0;
      ++link.rising;
      outdate(index);
    }
    flow.round = round_;
    flow.rises = true;
    if (flow.limit < kUnlimited) add_event({std::max(level_, flow.limit), slot, kOfFlow});
  }

  // A rising flow stops at the present level.
  void set_rate(std::uint32_t slot, std::uint32_t bottleneck) {
    Flow& flow = flows_[slot];
    flow.rises = false;
    flow.bottleneck = bottleneck;
    for (std::uint32_t h = 0; h < flow.hops.count; ++h) {
      const std::uint32_t index = hops_[flow.hops.first + h];
      links_[index].set += level_;
      --links_[index].rising;
      outdate(index);
    }
    if (std::abs(level_ - flow.rate) <= kSameRate * level_) return;
    settle(flow);
    flow.rate = level_;
    changed_.push_back(slot);
  }

  // The link's event.
  void happen(std::uint32_t index) {
    const Link& link = links_[index];
    const bool lets_go = link.lets_go;
    for (const Crossing& crossing : link.flows) {
      const Flow& flow = flows_[crossing.flow];
      const bool keeps = flow.round != round_;
      if (lets_go) {
        if (keeps && flow.bottleneck == index) rise(crossing.flow);
        continue;
      }
      if (keeps && flow.rate > level_ * (1 + kSameRate)) rise(crossing.flow);
      if (flow.round == round_ && flow.rises) set_rate(crossing.flow, index);
    }
  }

  void find_events() {
    for (const std::uint32_t index : stale_) {
      Link& link = links_[index];
      link.stale = false;
      if (++link.version == kOfFlow) ++link.version;
      link.lets_go = link.bound > 0 && link.capacity - link.set - link.kept - link.rising * link.bound_rate >
                                           kSameLoad * link.capacity;
      const double level = link.lets_go ? link.bound_rate : full_at(link);
      if (level < kUnlimited) add_event({std::max(level_, level), index, link.version});
    }
    stale_.clear();
  }

  // The level at which rising flows, and flows that would keep a higher rate, fill the link; kUnlimited: none
  // does.
  double full_at(Link& link) const {
    const double room = link.capacity - link.set;
    if (link.rising == 0 && link.kept <= room + kSameLoad * link.capacity) return kUnlimited;
    if (link.rising > 0) {
      const double level = (room - link.kept) / link.rising;
      if (level * (1 + kSameRate) >= link.most_kept) return level;
    }
    // Newton's method from below, on a sum that is concave and piecewise linear in the level: exact in the
    // end.
    double level = level_;
    for (std::uint32_t before = kNone;;) {
      double lower = 0;
      double most_lower = 0;
      std::uint32_t higher = link.rising;
      for (const Crossing& crossing : link.flows) {
        const Flow& flow = flows_[crossing.flow];
        if (flow.round == round_) continue;
        if (flow.rate <= level) {
          lower += flow.rate;
          most_lower = std::max(most_lower, flow.rate);
        } else {
          ++higher;
        }
      }
      if (higher == link.rising) link.most_kept = most_lower;
      if (higher == 0) return kUnlimited;
      level = std::max(level, (room - lower) / higher);
      if (higher == before) return level;
      before = higher;
    }
  }

  void add_event(const Event& event) {
    events_.push_back(event);
    std::ranges::push_heap(events_, std::greater{}, &Event::level);
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
  std::vector<std::uint32_t> touched_;  // links of which a flow has gone, or whose capacity is another
  std::vector<std::uint32_t> new_;      // flows that have no rate yet
  std::vector<std::uint32_t> ended_, running_;  // flows whose actions have to run, and those whose actions do
  // Of a round of filling; kept so that nothing is allocated.
  std::vector<Event> events_;
  std::vector<std::uint32_t> stale_;    // links whose event has to be found again
  std::vector<std::uint32_t> changed_;  // flows with another rate
  std::uint64_t round_ = 0;
  double level_ = 0;
  std::uint64_t sequence_ = 0;
  double clock_ = 0;
};

}  // namespace

std::unique_ptr<Network> make_fluid_network(const Platform& platform) {
  return std::make_unique<FluidNetwork>(platform);
}

}  // namespace disagg
