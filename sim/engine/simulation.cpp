#include "sim/engine/simulation.hpp"

#include <algorithm>
#include <utility>

namespace disagg {

Simulation::Simulation(Platform platform, NetworkSolver solver)
    : platform_(std::move(platform)),
      solver_(solver),
      usage_(platform_.links.size()),
      down_(platform_.links.size()),
      crossing_(platform_.links.size()) {
  capacities_.reserve(platform_.links.size());
  for (const PlatformLink& link : platform_.links) capacities_.push_back(link.capacity);
}

Network& Simulation::network() {
  if (!network_)
    network_ = std::visit([this](const auto& solver) { return solver.make(platform_); }, solver_);
  return *network_;
}

TransferId Simulation::transfer(RouteId route, Bytes bytes, BytesPerSecond limit, Action done, bool open,
                                Action failed) {
  network();
  TransferId id{static_cast<std::uint32_t>(transfers_.size())};
  if (free_transfers_.empty()) {
    transfers_.emplace_back();
  } else {
    id = free_transfers_.back();
    free_transfers_.pop_back();
  }
  transfers_[id.index] = {.route = route,
                          .bytes = bytes,
                          .limit = limit,
                          .done = done,
                          .failed = failed,
                          .left = bytes,
                          .started = kNever,
                          .flow = {},
                          .cancelled = false};
  ++in_flight_;
  for (const LinkId link : platform_.routes[route.index].links) ++crossing_[link.index];
  after(open ? Seconds{0} : platform_.routes[route.index].latency, [this, id] { latency_over(id); });
  return id;
}

void Simulation::latency_over(TransferId transfer) {
  Transfer& t = transfers_[transfer.index];
  t.started = std::min(t.started, now_);
  if (t.cancelled) return end(transfer, t.left, false);
  t.flow = network_->start(
      now_, t.route, t.left, t.limit,
      [this, transfer] {
        Action done = transfers_[transfer.index].done;
        end(transfer, Bytes{0}, true);
        done();
      },
      [this, transfer] { failed(transfer); });
}

void Simulation::failed(TransferId transfer) {
  Transfer& t = transfers_[transfer.index];
  const Bytes left = remaining(transfer);
  if (!t.failed) {
    t.left = left;
    t.flow = {};
    stalled_.push_back(transfer);
    ++interruptions_;
    return;
  }
  Action failed = t.failed;
  failed();
  end(transfer, left, false);
}

void Simulation::cancel(TransferId transfer) {
  Transfer& t = transfers_[transfer.index];
  if (std::erase(stalled_, transfer) > 0) return end(transfer, t.left, false);
  if (!t.flow.valid()) {
    t.cancelled = true;  // its id is free when the latency is over
    return;
  }
  const Bytes left = remaining(transfer);
  network_->cancel(now_, t.flow);
  end(transfer, left, false);
}

Bytes Simulation::remaining(TransferId transfer) {
  const Transfer& t = transfers_[transfer.index];
  return t.flow.valid() ? network_->remaining(now_, t.flow) : t.left;
}

void Simulation::end(TransferId transfer, Bytes left, bool arrived) {
  const Transfer& t = transfers_[transfer.index];
  free_transfers_.push_back(transfer);
  --in_flight_;
  for (const LinkId link : platform_.routes[t.route.index].links) {
    --crossing_[link.index];
    usage_[link.index].bytes += t.bytes - left;
    usage_[link.index].flows += arrived ? 1 : 0;
  }
  if (transfer_ended_) transfer_ended_({t.route, t.started, now_, t.bytes - left, arrived});
}

void Simulation::set_capacity(LinkId link, BytesPerSecond capacity) {
  expect(capacity > BytesPerSecond{0}, "a link has no capacity");
  capacities_[link.index] = capacity;
  network().set_capacity(now_, link, capacity);
}

Seconds Simulation::would_take(RouteId route, Bytes bytes, BytesPerSecond limit) const {
  BytesPerSecond rate = limit;
  for (const LinkId link : platform_.routes[route.index].links) {
    if (down_[link.index]) return kNever;
    const BytesPerSecond share = capacities_[link.index] / (1.0 + crossing_[link.index]);
    rate = rate == Network::kNoLimit ? share : std::min(rate, share);
  }
  return platform_.routes[route.index].latency + bytes / rate;
}

void Simulation::fail(LinkId link) {
  down_[link.index] = true;
  network().fail(now_, link);
}

bool Simulation::works(RouteId route) const {
  return std::ranges::none_of(platform_.routes[route.index].links,
                              [&](LinkId link) { return down_[link.index]; });
}

void Simulation::repair(LinkId link) {
  down_[link.index] = false;
  network().repair(now_, link);
  std::erase_if(stalled_, [&](TransferId id) {
    const RouteId route = transfers_[id.index].route;
    if (!works(route)) return false;
    after(platform_.routes[route.index].latency, [this, id] { latency_over(id); });
    return true;
  });
}

void Simulation::advance_network(Seconds date) {
  // The actions of ended flows run inside advance_to() and see this clock.
  now_ = std::max(now_, date);
  network_->advance_to(date);
}

}  // namespace disagg
