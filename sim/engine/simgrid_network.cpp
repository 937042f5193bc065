#include <cmath>
#include <csignal>
#include <simgrid/kernel/resource/Action.hpp>
#include <simgrid/kernel/resource/Model.hpp>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

#include "sim/base/expect.hpp"
#include "sim/engine/network.hpp"

namespace disagg {
namespace {

namespace sg = simgrid::s4u;

// SimGrid merges dates closer than this (surf/precision); smaller values livelock after some 500 s.
constexpr double kPrecision = 1e-9;

class SimgridNetwork final : public Network {
 public:
  explicit SimgridNetwork(const Platform& platform) : engine_(make_engine()), routes_(platform.routes) {
    build(platform);
    for (auto* model : engine_->get_all_models())
      if (model->get_name().find("Network") != std::string::npos) model_ = model;
    expect(model_ != nullptr, "SimGrid has no network model");
    engine_->track_vetoed_activities(&stop_);
    sentinel_ = sg::Comm::sendto_init();
    sg::Activity::on_completion_cb([this](const sg::Activity& activity) { completed(activity); });
  }

  void start(Seconds now, RouteId route, Bytes bytes, BytesPerSecond limit, Action done) override {
    move_clock(now.si);
    std::size_t slot = flows_.size();
    if (free_.empty()) {
      flows_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    const PlatformRoute& way = routes_[route.index];
    const sg::CommPtr comm = sg::Comm::sendto_init(hosts_[way.from], hosts_[way.to]);
    comm->set_payload_size(static_cast<std::uint64_t>(std::llround(std::max(1.0, bytes.si))));
    // SimGrid's tag is a pointer; null marks activities that are not flows of ours.
    comm->set_data(reinterpret_cast<void*>(slot + 1));  // NOLINT(performance-no-int-to-ptr)
    flows_[slot] = {comm, done};
    ++live_;
    comm->vetoable_start();
    if (limit != kNoLimit) {
      // Comm::set_rate() has no effect on flows started outside an actor, but the new action takes a bound.
      model_->get_started_action_set()->back().set_bound(limit.si);
    }
    peeked_ = false;
  }

  ~SimgridNetwork() override {
    // A run that ends early leaves flows behind; SimGrid complains when those are dropped, so they are not.
    for (Flow& flow : flows_)
      if (flow.comm) static_cast<void>(flow.comm.detach());
  }

  Seconds next_date() override {
    // Flows that ended while start() moved the clock to its date: SimGrid merges dates that close.
    if (!ended_.empty()) return Seconds{sg::Engine::get_clock()};
    if (live_ == 0) return kNever;
    if (!peeked_) {
      const double clock = sg::Engine::get_clock();
      const double wait = model_->next_occurring_event(clock);
      next_ = wait < 0 ? kNever : Seconds{clock + wait};
      peeked_ = true;
    }
    return next_;
  }

  Seconds advance_to(Seconds date) override {
    move_clock(date.si);
    // A finished flow must outlive SimGrid's signal, and its action may start new flows: take the list first.
    std::vector<Flow> ended;
    ended.swap(ended_);
    for (Flow& flow : ended) flow.done();
    return Seconds{sg::Engine::get_clock()};
  }

 private:
  struct Flow {
    sg::CommPtr comm;  // SimGrid crashes when the last reference to a running flow is dropped
    Action done;
  };

  static sg::Engine* make_engine() {
    expect(!sg::Engine::is_initialized(), "SimGrid allows one network per process");
    // Own arguments: SimGrid reads --cfg and --log from them. Never deleted, for SimGrid cannot be set up
    // twice.
    static std::string name = "disagg";
    static std::string quiet = "--log=root.thres:critical";
    static char* arguments[] = {name.data(), quiet.data(), nullptr};
    int count = 2;
    struct sigaction interrupt {};
    ::sigaction(SIGINT, nullptr, &interrupt);
    auto* engine = new sg::Engine(&count, arguments);
    ::sigaction(SIGINT, &interrupt, nullptr);  // SimGrid takes Ctrl-C for itself and exits with 1
    // Pure max-min sharing: no cross-traffic, no TCP window, no latency-dependent weights.
    for (const char* setting :
         {"network/model:CM02", "network/crosstraffic:0", "network/TCP-gamma:1e20", "surf/precision:1e-9"})
      sg::Engine::set_config(setting);
    return engine;
  }

  void build(const Platform& platform) {
    auto* zone = sg::create_full_zone("cluster");
    for (std::uint32_t i = 0; i < platform.endpoints; ++i)
      hosts_.push_back(zone->create_host("endpoint-" + std::to_string(i), 1e9)->seal());
    std::vector<const sg::Link*> links;
    for (std::size_t i = 0; i < platform.links.size(); ++i)
      links.push_back(zone->create_link("link-" + std::to_string(i), platform.links[i].capacity.si)
                          ->set_latency(0)
                          ->seal());
    for (const PlatformRoute& route : routes_) {
      std::vector<sg::LinkInRoute> way;
      for (const LinkId link : route.links) way.emplace_back(links[link.index]);
      zone->add_route(hosts_[route.from]->get_netpoint(), hosts_[route.to]->get_netpoint(), nullptr, nullptr,
                      way, false);
    }
    zone->seal();
  }

  // Stops early at the first completion. run_until() may return up to 1e-5 s before its date, hence the loop.
  void move_clock(double date) {
    while (sg::Engine::get_clock() < date - kPrecision / 2 && ended_.empty()) {
      stop_.clear();
      engine_->run_until(date);
      peeked_ = false;
    }
  }

  void completed(const sg::Activity& activity) {
    const auto* comm = dynamic_cast<const sg::Comm*>(&activity);
    const std::size_t tag = comm == nullptr ? 0 : reinterpret_cast<std::size_t>(comm->get_data<void>());
    if (tag == 0 || tag > flows_.size() || flows_[tag - 1].comm.get() != comm) return;
    expect(comm->get_state() == sg::Activity::State::FINISHED, "a flow ended without arriving");
    ended_.push_back(std::move(flows_[tag - 1]));
    flows_[tag - 1] = {};
    free_.push_back(tag - 1);
    --live_;
    stop_.insert(sentinel_.get());
  }

  sg::Engine* engine_;
  std::vector<PlatformRoute> routes_;
  std::vector<sg::Host*> hosts_;
  simgrid::kernel::resource::Model* model_ = nullptr;
  std::set<sg::Activity*> stop_;  // not empty: run_until() returns
  sg::CommPtr sentinel_;
  std::vector<Flow> flows_;
  std::vector<std::size_t> free_;
  std::vector<Flow> ended_;
  std::size_t live_ = 0;
  Seconds next_ = kNever;
  bool peeked_ = false;
};

}  // namespace

std::unique_ptr<Network> make_simgrid_network(const Platform& platform) {
  return std::make_unique<SimgridNetwork>(platform);
}

}  // namespace disagg
