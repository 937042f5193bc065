#include <algorithm>
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

  FlowId start(Seconds now, RouteId route, Bytes bytes, BytesPerSecond limit, Action done,
               Action failed) override {
    move_clock(now.si);
    std::size_t slot = flows_.size();
    if (free_.empty()) {
      flows_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    Flow& flow = flows_[slot];
    flow = {.comm = {},
            .transfer = nullptr,
            .route = route,
            .limit = limit,
            .left = bytes,
            .done = done,
            .failed = failed,
            .sequence = ++sequence_,
            .state = State::running};
    const PlatformRoute& way = routes_[route.index];
    const FlowId id{static_cast<std::uint32_t>(slot)};
    // A flow that SimGrid starts on a link that is off stays there for ever: links are never turned off.
    if (std::ranges::any_of(way.links, [this](LinkId link) { return links_[link.index].failed; })) {
      end(slot, State::failed);
      return id;
    }
    const sg::CommPtr comm = sg::Comm::sendto_init(hosts_[way.from], hosts_[way.to]);
    comm->set_payload_size(static_cast<std::uint64_t>(std::llround(std::max(1.0, bytes.si))));
    // SimGrid's tag is a pointer; null marks activities that are not flows of ours.
    comm->set_data(reinterpret_cast<void*>(slot + 1));  // NOLINT(performance-no-int-to-ptr)
    flow.comm = comm;
    ++live_;
    comm->vetoable_start();
    flow.transfer = &model_->get_started_action_set()->back();
    // Comm::set_rate() has no effect on flows started outside an actor, but the new action takes a bound.
    if (limit != kNoLimit) flow.transfer->set_bound(limit.si);
    peeked_ = false;
    return id;
  }

  void cancel(Seconds now, FlowId id) override {
    move_clock(now.si);
    Flow& flow = flows_[id.index];
    if (flow.state == State::running) {
      withdraw(flow);
      free_.push_back(id.index);
    } else {
      flow.state = State::cancelled;  // in `ended_`, which frees it
    }
  }

  Bytes remaining(Seconds now, FlowId id) override {
    move_clock(now.si);
    const Flow& flow = flows_[id.index];
    return flow.state == State::running ? left_of(flow) : flow.left;
  }

  void set_capacity(Seconds now, LinkId id, BytesPerSecond capacity) override {
    move_clock(now.si);
    links_[id.index].link->set_bandwidth(capacity.si);
    // SimGrid bounds a flow's rate by the narrowest link of its route as it was when the flow started.
    for (Flow& flow : flows_)
      if (flow.state == State::running && crosses(flow, id))
        flow.transfer->set_bound(flow.limit == kNoLimit ? kUnbounded : flow.limit.si);
    peeked_ = false;
  }

  void fail(Seconds now, LinkId id) override {
    move_clock(now.si);
    links_[id.index].failed = true;
    for (std::size_t slot = 0; slot < flows_.size(); ++slot) {
      Flow& flow = flows_[slot];
      if (flow.state != State::running || !crosses(flow, id)) continue;
      flow.left = left_of(flow);
      withdraw(flow);
      end(slot, State::failed);
    }
  }

  void repair(Seconds now, LinkId id) override {
    move_clock(now.si);
    links_[id.index].failed = false;
  }

  ~SimgridNetwork() override {
    // A run that ends early leaves flows behind; SimGrid complains when those are dropped, so they are not.
    for (Flow& flow : flows_)
      if (flow.comm) static_cast<void>(flow.comm.detach());
    for (sg::CommPtr& comm : withdrawn_) static_cast<void>(comm.detach());
  }

  Seconds next_date() override {
    // Flows that ended while start() moved the clock to its date: SimGrid merges dates that close.
    if (!ended_.empty()) return Seconds{sg::Engine::get_clock()};
    if (live_ == 0) return kNever;
    if (!peeked_) {
      const double clock = sg::Engine::get_clock();
      const double wait = model_->next_occurring_event(clock);
      // A date nearer than SimGrid can tell from its clock would never be reached: move_clock() is there.
      next_ = wait < 0 ? kNever : Seconds{clock + std::max(wait, kPrecision)};
      peeked_ = true;
    }
    return next_;
  }

  Seconds advance_to(Seconds date) override {
    move_clock(date.si);
    // Actions may start, cancel and fail flows: take the list first. SimGrid keeps no order at equal dates.
    std::vector<std::size_t> ended;
    ended.swap(ended_);
    std::ranges::sort(ended, {}, [this](std::size_t slot) { return flows_[slot].sequence; });
    for (const std::size_t slot : ended) {
      const Flow& flow = flows_[slot];
      if (flow.state != State::cancelled) {
        Action act = flow.state == State::arrived ? flow.done : flow.failed;
        expect(static_cast<bool>(act), "a link failed under a flow that does not expect it");
        act();
      }
      flows_[slot].comm = {};
      flows_[slot].state = State::free;
      free_.push_back(slot);
    }
    return Seconds{sg::Engine::get_clock()};
  }

 private:
  static constexpr double kUnbounded = -1;  // SimGrid's word for it

  enum class State : std::uint8_t { free, running, arrived, failed, cancelled };
  struct Flow {
    sg::CommPtr
        comm;  // SimGrid crashes when the last reference to a running flow is dropped, or in its signal
    simgrid::kernel::resource::Action* transfer = nullptr;  // the bytes on the network, while running
    RouteId route;
    BytesPerSecond limit{};
    Bytes left{};  // of all bytes at first; once ended, what was not brought over
    Action done, failed;
    std::uint64_t sequence = 0;  // of its start
    State state = State::free;
  };
  struct Link {
    sg::Link* link = nullptr;
    bool failed = false;
  };

  static sg::Engine* make_engine() {
    expect(!sg::Engine::is_initialized(), "SimGrid allows one network per process");
    // Own arguments: SimGrid reads --cfg and --log from them. Never deleted, for SimGrid cannot be set up
    // twice.
    static std::string name = "disagg";
    static std::string quiet = "--log=root.thres:critical";
    static char* arguments[] = {name.data(), quiet.data(), nullptr};
    int count = 2;
    // SimGrid takes Ctrl-C for itself and exits with 1: no signal may come before ours is back.
    sigset_t blocked;
    sigset_t before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGINT);
    ::sigprocmask(SIG_BLOCK, &blocked, &before);
    struct sigaction interrupt {};
    ::sigaction(SIGINT, nullptr, &interrupt);
    auto* engine = new sg::Engine(&count, arguments);
    ::sigaction(SIGINT, &interrupt, nullptr);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
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
    for (std::size_t i = 0; i < platform.links.size(); ++i) {
      sg::Link* link = zone->create_link("link-" + std::to_string(i), platform.links[i].capacity.si);
      link->set_latency(0)->seal();
      links_.push_back({link, false});
    }
    for (const PlatformRoute& route : routes_) {
      std::vector<sg::LinkInRoute> way;
      for (const LinkId link : route.links) way.emplace_back(links_[link.index].link);
      zone->add_route(hosts_[route.from]->get_netpoint(), hosts_[route.to]->get_netpoint(), nullptr, nullptr,
                      way, false);
    }
    zone->seal();
  }

  bool crosses(const Flow& flow, LinkId link) const {
    const std::vector<LinkId>& links = routes_[flow.route.index].links;
    return std::ranges::find(links, link) != links.end();
  }

  // Of a running flow. What is still on the network is a whole number of bytes there.
  static Bytes left_of(const Flow& flow) {
    return std::clamp(Bytes{flow.transfer->get_remains()}, Bytes{0}, std::max(flow.left, Bytes{0}));
  }

  // Takes a running flow off the network.
  void withdraw(Flow& flow) {
    flow.comm->set_data(nullptr);
    flow.transfer->suspend();  // a cancelled flow would keep its share until SimGrid's clock moves
    flow.comm->cancel();
    withdrawn_.push_back(std::move(flow.comm));
    flow.comm = {};
    flow.transfer = nullptr;
    flow.state = State::free;
    --live_;
    peeked_ = false;
  }

  void end(std::size_t slot, State state) {
    flows_[slot].state = state;
    ended_.push_back(slot);
  }

  // Stops early at the first completion. run_until() may return up to 1e-5 s before its date, hence the loop.
  void move_clock(double date) {
    // SimGrid signals the end of a cancelled flow twice, the second time when its clock moves.
    std::erase_if(withdrawn_,
                  [](const sg::CommPtr& comm) { return comm->get_state() == sg::Activity::State::FAILED; });
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
    flows_[tag - 1].left = Bytes{0};
    flows_[tag - 1].transfer = nullptr;
    --live_;
    end(tag - 1, State::arrived);
    stop_.insert(sentinel_.get());
  }

  sg::Engine* engine_;
  std::vector<PlatformRoute> routes_;
  std::vector<sg::Host*> hosts_;
  std::vector<Link> links_;
  simgrid::kernel::resource::Model* model_ = nullptr;
  std::set<sg::Activity*> stop_;  // not empty: run_until() returns
  sg::CommPtr sentinel_;
  std::vector<Flow> flows_;
  std::vector<std::size_t> free_;
  std::vector<std::size_t> ended_;      // flows whose actions have to run
  std::vector<sg::CommPtr> withdrawn_;  // that SimGrid still knows
  std::size_t live_ = 0;
  std::uint64_t sequence_ = 0;
  Seconds next_ = kNever;
  bool peeked_ = false;
};

}  // namespace

std::unique_ptr<Network> make_simgrid_network(const Platform& platform) {
  return std::make_unique<SimgridNetwork>(platform);
}

}  // namespace disagg
