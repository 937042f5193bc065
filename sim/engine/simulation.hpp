#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/engine/agenda.hpp"
#include "sim/engine/network.hpp"

namespace disagg {

// What one direction of a link carried.
struct LinkUsage {
  Bytes bytes{};           // also of transfers that were cancelled or failed, as far as they came
  std::int64_t flows = 0;  // that brought all their bytes over
};

// What one transfer has moved over its route, told when it ends in whatever way. `start` is when its latency
// was over; between the two it may also have waited for repairs.
struct TransferRecord {
  RouteId route;
  Seconds start{}, end{};
  Bytes bytes{};
  bool arrived = false;  // all that it should bring
};

// The clock, the agenda of compute events and the network, advanced together. With SimGrid, one per process.
class Simulation {
 public:
  explicit Simulation(Platform platform, NetworkSolver solver = SimgridSolver{});

  Seconds now() const { return now_; }
  void at(Seconds time, Action act) { agenda_.at(std::max(time, now_), act); }
  void after(Seconds delay, Action act) { agenda_.at(now_ + delay, act); }

  // Sends `bytes` over a route: the route's latency first, then the flow, then `done`. On a way that is
  // `open` already, because an earlier transfer of the same stream has just ended, there is no latency.
  // If a link of the route fails on the way, or has failed when the latency is over, `failed` runs instead of
  // `done`; without `failed` the transfer waits until all links of its route work and then sends what is
  // left, after the latency. The id is used again once an action has run.
  TransferId transfer(RouteId route, Bytes bytes, BytesPerSecond limit, Action done, bool open = false,
                      Action failed = {});
  // Ends a transfer of which no action has run yet; none will.
  void cancel(TransferId transfer);
  // What the transfer has not brought over yet. It may also be asked while its `failed` runs.
  Bytes remaining(TransferId transfer);

  // See Network. Link usage counts the bytes that moved, whatever the capacity was.
  void set_capacity(LinkId link, BytesPerSecond capacity);
  void fail(LinkId link);
  void repair(LinkId link);

  // Runs events until none is left or `stop` returns true; `stop` is asked before each event with its date.
  template <class Stop>
  void run(Stop&& stop) {
    while (true) {
      const Seconds due = agenda_.next_date();
      const Seconds flow = network_ ? network_->next_date() : kNever;
      const Seconds next = std::min(due, flow);
      if (next == kNever || stop(next)) return;
      if (flow <= due) {
        advance_network(flow);
      } else {
        now_ = due;
        agenda_.pop()();
      }
    }
  }

  // Moves the clock forward in an empty stretch. Precondition: no event is due before `date`.
  void pass_to(Seconds date) { now_ = std::max(now_, date); }

  // Transfers that wait for the repair of a link, and how often one had to since the beginning.
  std::size_t stalled_transfers() const { return stalled_.size(); }
  std::int64_t interruptions() const { return interruptions_; }
  bool is_down(LinkId link) const { return down_[link.index]; }
  // How long a transfer of `bytes` over the route would take if it had its fair share of each link among the
  // transfers that cross it now: an estimate, since these end and others come. kNever where a link is down.
  Seconds would_take(RouteId route, Bytes bytes, BytesPerSecond limit) const;

  // Calls `ended` for every transfer that ends; it must not call back into the simulation.
  void on_transfer_ended(std::function<void(const TransferRecord&)> ended) {
    transfer_ended_ = std::move(ended);
  }

  const Platform& platform() const { return platform_; }
  const std::vector<LinkUsage>& link_usage() const { return usage_; }
  std::int64_t flows_in_flight() const { return in_flight_; }

 private:
  struct Transfer {
    RouteId route;
    Bytes bytes;
    BytesPerSecond limit;
    Action done, failed;
    Bytes left;  // when the flow starts
    Seconds started;
    FlowId flow;  // none during the latency, and while a link is down
    bool cancelled = false;
  };

  Network& network();
  void advance_network(Seconds date);
  void latency_over(TransferId transfer);
  void failed(TransferId transfer);
  bool works(RouteId route) const;
  // Counts what the transfer has moved and frees its id.
  void end(TransferId transfer, Bytes left, bool arrived);

  Platform platform_;
  NetworkSolver solver_;
  Agenda agenda_;
  std::unique_ptr<Network> network_;  // made with the first flow: most runs of one pool have none
  std::vector<Transfer> transfers_;
  std::vector<TransferId> free_transfers_;
  std::vector<LinkUsage> usage_;
  std::vector<bool> down_;                  // [link]
  std::vector<BytesPerSecond> capacities_;  // [link] now
  std::vector<std::int32_t> crossing_;      // [link] transfers that have not ended
  std::vector<TransferId> stalled_;         // in the order in which they were interrupted
  std::function<void(const TransferRecord&)> transfer_ended_;
  std::int64_t interruptions_ = 0;
  std::int64_t in_flight_ = 0;
  Seconds now_{};
};

}  // namespace disagg
