#include "sim/engine/simulation.hpp"

#include <utility>

namespace disagg {

Simulation::Simulation(Platform platform) : platform_(std::move(platform)), usage_(platform_.links.size()) {}

void Simulation::transfer(RouteId route, Bytes bytes, BytesPerSecond limit, Action done, bool open) {
  if (!network_) network_ = make_simgrid_network(platform_);
  std::uint32_t id = 0;
  if (free_transfers_.empty()) {
    id = static_cast<std::uint32_t>(transfers_.size());
    transfers_.push_back({route, bytes, limit, done});
  } else {
    id = free_transfers_.back();
    free_transfers_.pop_back();
    transfers_[id] = {route, bytes, limit, done};
  }
  ++in_flight_;
  after(open ? Seconds{0} : platform_.routes[route.index].latency, [this, id] {
    const Transfer& t = transfers_[id];
    network_->start(now_, t.route, t.bytes, t.limit, [this, id] { arrived(id); });
  });
}

void Simulation::arrived(std::uint32_t transfer) {
  const Transfer ended = transfers_[transfer];
  free_transfers_.push_back(transfer);
  --in_flight_;
  for (const LinkId link : platform_.routes[ended.route.index].links) {
    usage_[link.index].bytes += ended.bytes;
    ++usage_[link.index].flows;
  }
  Action done = ended.done;
  done();
}

void Simulation::advance_network(Seconds date) {
  // The actions of ended flows run inside advance_to() and see this clock.
  now_ = std::max(now_, date);
  network_->advance_to(date);
}

}  // namespace disagg
