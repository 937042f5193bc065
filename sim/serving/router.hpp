#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/base/ids.hpp"
#include "sim/base/random.hpp"
#include "sim/serving/load_index.hpp"

namespace disagg {

// What the requests of a replica do there.
enum class Role { mixed, prefill, decode };
inline constexpr std::array<std::string_view, 3> kRoleNames{"mixed", "prefill", "decode"};

// What a router knows of a request. The output's length is an oracle's knowledge: only policies whose
// published form uses it may look.
struct RoutedRequest {
  TokenCount prompt_tokens = 0;
  TokenCount output_tokens = 0;
  ReplicaId previous{};  // where the turn before it in its session was prefilled; none: it is the first
  // [replica] prompt tokens that its prefix cache holds; empty where the router does not ask for them.
  std::span<const TokenCount> cached{};
  // [replica] how long the hand-off there would take, given what is on its way now; empty where the router
  // does not ask for it, and where the KV cache lies in a memory pool.
  std::span<const Seconds> hand_off{};

  // KV tokens at the end; the last token's own are never written.
  TokenCount final_tokens() const { return prompt_tokens + output_tokens - 1; }
};

// What a router knows of a replica, kept up to date by the cluster.
struct ReplicaLoad {
  std::int64_t requests = 0;  // assigned and not yet gone
  TokenCount tokens =
      0;  // prompt tokens that wait for their prefill, and one for each request that decodes here
  TokenCount kv_tokens = 0;  // prompt and output tokens of the requests whose KV cache is or will be here
  TokenCount kv_capacity = 0;
  bool queued = false;  // requests wait for their prefill
};

struct RouterReplica {
  ReplicaId id;
  Role role = Role::mixed;
  TokenCount kv_capacity = 0;  // tokens
};

// Where a request goes. Without a decode replica the router is asked again when the hand-off can start.
struct Route {
  ReplicaId prefill;
  std::optional<ReplicaId> decode;
};

// Routing among the replicas of one stage, and the same for both: a prefill on a mixed replica decodes there.
template <class Picker>
class StagedRouter {
 public:
  static constexpr std::string_view kind = Picker::kind;
  static constexpr std::string_view summary = Picker::summary;
  static StagedRouter read(Reader& r);
  static constexpr bool any_to_any = false;
  static constexpr bool knows_caches = requires(const Picker& p) { p.cost(std::size_t{}, TokenCount{}); };
  static constexpr bool knows_paths = requires(const Picker& p) { p.slack; };

  void begin(std::span<const RouterReplica> replicas, std::uint64_t seed);
  // Nothing when no replica that is up can hold the request.
  std::optional<Route> route(const RoutedRequest& request, std::span<const ReplicaLoad> loads);
  // For a request that is prefilled at `from`. Nothing when no decode replica that is up can hold it.
  std::optional<ReplicaId> decode(const RoutedRequest& request, ReplicaId from);
  // Whether the replicas can hold the request when all are up.
  bool holds(const RoutedRequest& request) const;
  // Nothing goes to a replica that is not up. All are in the beginning.
  void set_up(ReplicaId id, bool up);
  void load_changed(ReplicaId id, const ReplicaLoad& load);
  void went_idle(ReplicaId) {}

 private:
  struct Stage {
    std::vector<RouterReplica> replicas;
    Picker picker;
    std::vector<bool> up;
    std::size_t down = 0;
    TokenCount least_room = 0, most_room = 0;  // of its replicas

    void add(const RouterReplica& replica);
    // The picker's choice among the replicas that are up and for which `fits` holds; nothing without any.
    template <class Fits>
    const RouterReplica* pick(const RoutedRequest& request, bool all_fit, Fits&& fits);
  };
  struct Place {
    bool in_prefill = false, in_decode = false;
    std::uint32_t prefill = 0, decode = 0;
  };
  bool takes(const RouterReplica& replica, const RoutedRequest& request) const;
  static Route to(const RouterReplica& replica);
  // Where the turn before was prefilled, if that replica is up.
  const RouterReplica* home(const RoutedRequest& request) const;

  Stage prefill_, decode_;
  std::vector<Place> places_;  // [replica]
};

struct RoundRobin {
  static constexpr std::string_view kind = "round-robin";
  static constexpr std::string_view summary = "each replica in turn";
  void begin(std::size_t replicas, RandomEngine) { size = replicas; }
  std::size_t pick() { return next++ % size; }
  std::size_t pick_among(std::span<const std::size_t> some) { return some[next++ % some.size()]; }
  void load_changed(std::size_t, const ReplicaLoad&) {}
  std::size_t size = 0, next = 0;
};

struct RandomChoice {
  static constexpr std::string_view kind = "random";
  static constexpr std::string_view summary = "any replica, uniformly";
  void begin(std::size_t replicas, RandomEngine stream) {
    size = replicas;
    random = stream;
  }
  std::size_t pick();
  std::size_t pick_among(std::span<const std::size_t> some);
  void load_changed(std::size_t, const ReplicaLoad&) {}
  std::size_t size = 0;
  RandomEngine random;
};

// The three "least" routers differ in what they count.
template <class Measure>
struct Least {
  static constexpr std::string_view kind = Measure::kind;
  static constexpr std::string_view summary = Measure::summary;
  void begin(std::size_t replicas, RandomEngine) { index = LoadIndex(replicas); }
  std::size_t pick() { return index.least(); }
  std::size_t pick_among(std::span<const std::size_t> some) {
    return *std::ranges::min_element(some, {}, [this](std::size_t i) { return index.load(i); });
  }
  void load_changed(std::size_t i, const ReplicaLoad& load) { index.set(i, Measure::of(load)); }
  LoadIndex index;
};
struct Requests {
  static constexpr std::string_view kind = "least-loaded";
  static constexpr std::string_view summary = "the replica with the fewest unfinished requests";
  static std::int64_t of(const ReplicaLoad& load) { return load.requests; }
};
struct Tokens {
  static constexpr std::string_view kind = "least-tokens";
  static constexpr std::string_view summary =
      "the replica with the fewest prompt tokens to prefill, plus one per decoding request";
  static std::int64_t of(const ReplicaLoad& load) { return load.tokens; }
};

// Turns of a session follow each other to one replica, where what they share is cached.
struct SessionSticky : Least<Requests> {
  static constexpr std::string_view kind = "session-sticky";
  static constexpr std::string_view summary =
      "a session stays where its turn before was prefilled; a new one goes to the least loaded";
  static constexpr bool sticky = true;
};

struct KvRoom {
  static constexpr std::string_view kind = "most-kv-room";
  static constexpr std::string_view summary =
      "the replica with the most KV room left by the prompts and outputs of the requests assigned to it";
  static std::int64_t of(const ReplicaLoad& load) { return load.kv_tokens - load.kv_capacity; }
};

// Prompts go to the least loaded. For the decode, KV room comes first, so that no replica fills up because it
// is near; among equals within `slack` of the KV capacity the way there decides.
struct HandOffAware : Least<Requests> {
  static constexpr std::string_view kind = "hand-off-aware";
  static constexpr std::string_view summary =
      "decodes at the quickest way, given the traffic on it, to a replica whose KV load is within \"slack\" "
      "of the "
      "least; prompts go to the least loaded";
  void read_weights(Reader& r) { slack = r.get_or<double>("slack", "0.1", Range::unit); }
  void begin(std::size_t replicas, RandomEngine stream) {
    Least<Requests>::begin(replicas, stream);
    loads.resize(replicas);
  }
  void load_changed(std::size_t i, const ReplicaLoad& load) {
    Least<Requests>::load_changed(i, load);
    loads[i] = load;
  }
  // For the decode of a request, among the stage's replicas that are up.
  std::optional<std::size_t> pick_by_path(std::span<const RouterReplica> replicas,
                                          const std::vector<bool>& up, const RoutedRequest& request) const;
  // Share of its KV capacity that is or will be taken, with `tokens` more.
  double kv_load(std::size_t i, TokenCount tokens) const {
    return static_cast<double>(loads[i].kv_tokens + tokens) / static_cast<double>(loads[i].kv_capacity);
  }
  double slack = 0.1;
  std::vector<ReplicaLoad> loads;
};

// The routers that know the prefix caches differ in what they weigh: the least cost wins, of equal ones the
// fewest requests.
template <class Measure>
struct LeastCost : Measure {
  void begin(std::size_t replicas, RandomEngine) { loads.resize(replicas); }
  std::pair<double, std::int64_t> cost(std::size_t i, TokenCount cached) const {
    return {Measure::of(loads[i], static_cast<double>(cached)), loads[i].requests};
  }
  void load_changed(std::size_t i, const ReplicaLoad& load) { loads[i] = load; }
  std::vector<ReplicaLoad> loads;
};
struct PrefixAffinity {
  static constexpr std::string_view kind = "prefix-affinity";
  static constexpr std::string_view summary =
      "the replica with the longest cached prefix of the prompt, of equal ones the least loaded";
  static double of(const ReplicaLoad&, double cached) { return -cached; }
};
struct CacheAware {
  static constexpr std::string_view kind = "cache-aware";
  static constexpr std::string_view summary =
      "the most cached prompt tokens less load_weight times those that wait for a prefill";
  void read_weights(Reader& r) { load_weight = r.get_or<double>("load_weight", "1", Range::non_negative); }
  double of(const ReplicaLoad& load, double cached) const {
    return load_weight * static_cast<double>(load.tokens) - cached;
  }
  double load_weight = 1;
};

// Splitwise's cluster scheduler (Patel et al., ISCA 2024, section IV-A): prompt, token and mixed pools. A
// pool that is full lends a replica to the mixed pool, which serves both kinds until it has nothing to do.
class MixedPool {
 public:
  static constexpr std::string_view kind = "mixed-pool";
  static constexpr std::string_view summary =
      "prefill and decode pools that lend replicas to a mixed pool when full (Splitwise)";
  static MixedPool read(Reader& r);
  static constexpr bool any_to_any = true;
  static constexpr bool knows_caches = false;
  static constexpr bool knows_paths = false;

  void begin(std::span<const RouterReplica> replicas, std::uint64_t seed);
  std::optional<Route> route(const RoutedRequest& request, std::span<const ReplicaLoad> loads);
  // Only asked where the replica that route() chose has failed.
  std::optional<ReplicaId> decode(const RoutedRequest& request, ReplicaId from);
  bool holds(const RoutedRequest& request) const;
  void set_up(ReplicaId id, bool up);
  void load_changed(ReplicaId id, const ReplicaLoad& load);
  void went_idle(ReplicaId id);

 private:
  using Pool = std::vector<ReplicaId>;
  Pool& home(ReplicaId id) {
    const Role role = replicas_[id.index].role;
    return role == Role::mixed ? mixed_ : role == Role::prefill ? prefill_ : decode_;
  }
  void lend(ReplicaId id);

  TokenCount queue_tokens_ = 8192;  // a prefill replica with a queue is full beyond so many tokens
  std::vector<RouterReplica> replicas_;
  std::vector<TokenCount> kv_tokens_;  // [replica] see ReplicaLoad
  Pool prefill_, decode_, mixed_;      // those that are up
};

using RoutingPolicy =
    std::variant<StagedRouter<RoundRobin>, StagedRouter<RandomChoice>, StagedRouter<Least<Requests>>,
                 StagedRouter<Least<Tokens>>, StagedRouter<Least<KvRoom>>, StagedRouter<SessionSticky>,
                 StagedRouter<HandOffAware>, StagedRouter<LeastCost<PrefixAffinity>>,
                 StagedRouter<LeastCost<CacheAware>>, MixedPool>;

}  // namespace disagg
