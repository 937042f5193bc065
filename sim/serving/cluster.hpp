#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "sim/serving/flows.hpp"
#include "sim/serving/memory_tiers.hpp"
#include "sim/serving/replica.hpp"
#include "sim/serving/router.hpp"

namespace disagg {

// Equal replicas.
struct PoolSetup {
  std::string name;
  Role role = Role::mixed;
  ServiceModel service;
  ReplicaShape shape;
  BatchRules rules;
  BlockCount kv_blocks = 0;  // of one data-parallel attention rank
  TokenCount block_tokens = 16;
  std::optional<EvictionPolicy> eviction;  // of cached prefixes; none: nothing is cached
  std::vector<std::uint32_t> tiers;        // below its memory, of the cluster's, the nearest first
  RetentionPolicy retention;
  FetchRule fetch = FetchRule::cheaper;
  std::int64_t lookahead = 16;
  SpillPolicy spill;
  Seconds request_latency{};  // of front end, tokeniser and response path: once a request, before the engine
  std::int64_t replicas = 1;
};

// What one KV block takes: the KV cache of its tokens and, where prefixes are kept of a model with linear
// attention, the state at its end (a checkpoint), without which what follows cannot be computed. So does
// vLLM.
Bytes block_bytes(const TransformerWork& work, const PoolSetup& pool);
// The state that is kept with each block; nothing for other models, and where no prefixes are kept.
Bytes checkpoint_bytes(const TransformerWork& work, const PoolSetup& pool);

// Every request enters.
struct Unbounded {
  static constexpr std::string_view kind = "unbounded";
  static constexpr std::string_view summary = "every request enters and waits as long as it must";
  static Unbounded read(Reader&) { return {}; }
};
// A request is turned away when the replica chosen for it already has so many waiting.
struct Bounded {
  static constexpr std::string_view kind = "bounded";
  static constexpr std::string_view summary = "a request is rejected when its replica's queue is full";
  static Bounded read(Reader& r) { return {r.get<std::int64_t>("max_waiting", Range::positive)}; }
  std::int64_t max_waiting = 0;
};
using AdmissionPolicy = std::variant<Unbounded, Bounded>;

// What a hand-off costs besides its bytes.
struct HandOffCosts {
  Seconds overhead{};                             // of the transfer software, before the first byte
  BytesPerSecond rate_limit = Network::kNoLimit;  // what it reaches at most, whatever the links offer
  // Whether the client sees the first token when the decode replica has made its first step, as with Dynamo,
  // instead of when the prefill ends.
  bool streams_from_decode = false;
  static HandOffCosts read(Reader& r);
};
// How the KV cache goes from the prefill to the decode replica.
struct WholeHandOff {
  static constexpr std::string_view kind = "whole";
  static constexpr std::string_view summary = "the KV cache is sent when the prefill has ended";
  static WholeHandOff read(Reader& r) { return {HandOffCosts::read(r)}; }
  HandOffCosts costs;
};
// Layer by layer while the prefill runs: when layer l of n is computed its KV is sent, so that only the last
// layer's can start after the prefill (Patel et al., Splitwise, ISCA 2024, section IV-C).
struct LayerwiseHandOff {
  static constexpr std::string_view kind = "layerwise";
  static constexpr std::string_view summary =
      "each layer's KV cache is sent while the prefill computes the next ones";
  static LayerwiseHandOff read(Reader& r) { return {HandOffCosts::read(r)}; }
  HandOffCosts costs;
};
// Through a memory pool (Mooncake's store): the KV cache is written there when the prefill has ended, which
// frees the prefill replica, and read when the decode replica has room. Without room in the pool it goes
// directly.
struct PooledHandOff {
  static constexpr std::string_view kind = "pooled";
  static constexpr std::string_view summary =
      "the KV cache is written to a memory pool and read from there when there is room (Mooncake)";
  static PooledHandOff read(Reader& r) { return {HandOffCosts::read(r), r.get<std::string>("tier")}; }
  HandOffCosts costs;
  std::string tier;
};
using HandOffPolicy = std::variant<WholeHandOff, LayerwiseHandOff, PooledHandOff>;
inline const HandOffCosts& costs_of(const HandOffPolicy& policy) {
  return std::visit([](const auto& p) -> const HandOffCosts& { return p.costs; }, policy);
}

// The flows that carry one replica's KV cache to another.
class HandOffRoutes {
 public:
  void append(ReplicaId from, ReplicaId to, NetworkFlow flow) { flows_[key(from, to)].push_back(flow); }
  std::span<const NetworkFlow> flows(ReplicaId from, ReplicaId to) const;
  bool contains(ReplicaId from, ReplicaId to) const { return flows_.contains(key(from, to)); }

 private:
  static std::uint64_t key(ReplicaId from, ReplicaId to) {
    return (std::uint64_t{from.index} << 32U) | to.index;
  }
  std::unordered_map<std::uint64_t, std::vector<NetworkFlow>> flows_;
};

// Blocks of one rank's share of the tier that it streams from.
BlockCount cold_blocks(const StreamCold& stream, const TransformerWork& work, const PoolSetup& pool);

struct ClusterSetup {
  std::vector<PoolSetup> pools;
  RoutingPolicy router;
  AdmissionPolicy admission;
  HandOffPolicy hand_off;
  HandOffRoutes routes;
  std::vector<MemoryTierSetup> tiers;
  std::vector<std::vector<TierAccess>> tier_access;  // [replica], in the order of its pool's tiers
  std::vector<std::int64_t> priorities;              // [kind of request]; empty: all alike
  std::uint64_t seed = 1;
  bool single_steps = false;  // reference mode: spans of one step
};

// Requests that have arrived and ended, for the law that none is lost, and how often failures of replicas
// sent one back.
struct RequestCounts {
  std::int64_t arrived = 0, finished = 0, rejected = 0, cancelled = 0, retries = 0;
};

// A request as it reaches the cluster.
struct ArrivingRequest {
  std::uint64_t id = 0;  // position in the workload
  std::uint32_t kind = 0;
  TokenCount prompt_tokens = 0, output_tokens = 0;
  // What the prompt says and, where that is known, the output behind it. None: nothing is known.
  std::shared_ptr<const PromptContent> content{};
  std::uint64_t session = kNoSession;
  std::uint32_t turn = 0;
  ReplicaId previous{};  // where the turn before was prefilled
  std::uint32_t previous_turn = 0;
  Seconds next_turn_in = kNever;  // after its end, at the earliest; kNever: none comes
};

// Replicas of all pools, the router in front of them, and the hand-offs between them.
class Cluster final : public ReplicaListener {
 public:
  Cluster(ClusterSetup setup, Simulation& simulation, RecordSink& sink);
  ~Cluster() override;

  // A request arrives now. Returns it while it lives; nothing when it is turned away at once.
  std::optional<RequestRef> arrive(ArrivingRequest request);
  // The client of a live request leaves. Its blocks are free when the step that it is in is over, or, where a
  // memory tier is being read or written for it, when that has ended. May end the request at once.
  void cancel(RequestRef ref);

  // A replica fails: what it computes and holds is lost, and what was there or on its way from there goes
  // back to the router, to be computed again at a replica that is up, behind the output tokens that the
  // client has got. What was on its way to it is handed off to another decode replica. What no replica that
  // is up can hold waits for a repair. Memory tiers keep what they have, but for those of scope replica.
  // Precondition: it is up. Throws NoProgress when a request can be held by no replica any more, or has been
  // sent back a thousand times.
  void fail(ReplicaId id);
  // It is up again, with nothing in it. Precondition: it is down.
  void repair(ReplicaId id);

  // Calls `ended` whenever a request has finished or is rejected; it must not call back into the cluster.
  void on_request_ended(std::function<void(const RequestRecord&)> ended) {
    request_ended_ = std::move(ended);
  }

  const ClusterSetup& setup() const { return setup_; }
  const std::vector<PoolSetup>& pools() const { return setup_.pools; }
  std::uint64_t seed() const { return setup_.seed; }
  const TransformerWork& work(PoolId pool) const { return *works_[pool.index]; }
  std::span<const std::unique_ptr<Replica>> replicas() const { return replicas_; }
  MemoryTiers* tiers() const { return tiers_.get(); }  // none when there are none
  PoolId pool_of(ReplicaId id) const { return pool_of_[id.index]; }
  // Books everything up to now in all replicas.
  void settle();
  std::string name(ReplicaId id) const;  // "decode[2]"
  const RequestCounts& counts() const { return counts_; }
  bool is_empty() const { return requests_.live() == 0; }
  // Whether what is left on the agenda may be the ends of pins.
  bool has_timers() const;
  // Throws NoProgress when requests are left although no event is, and BrokenInvariant unless every block is
  // free.
  void expect_empty() const;

 private:
  void chunk_started(ReplicaId id, RequestRef ref, TokenCount tokens, Seconds duration) override;
  void prefill_ended(RequestRef ref) override;
  void prompt_computed(ReplicaId id, RequestRef ref) override;
  void finished(ReplicaId id, RequestRef ref) override;
  void cancelled(ReplicaId id, RequestRef ref) override;
  void room_freed(ReplicaId id) override;
  void stalled(ReplicaId id) override;
  void went_idle(ReplicaId id) override;

  void enter(RequestRef ref);  // reaches the engine
  std::optional<Route> route(RoutedRequest request, const PromptContent* content);
  bool can_ever_hold(const RoutedRequest& request) const;
  // What is to be computed for a request, and the output behind it.
  static RoutedRequest routed(const Request& request);
  // Sends a request to a replica, or lets it wait until there is one.
  void place(RequestRef ref, std::optional<Route> way);
  void place_again(RequestRef ref);
  // Takes it out of the loads of its replicas.
  void withdraw(const Request& request);
  void count_retry(Request& request);
  // Its decode replica has failed; all of the KV cache is still at the prefill replica, or in a pool.
  void lose_destination(RequestRef ref);
  void cancel_flows(RequestRef ref);
  // Whether its KV cache has left the prefill replica and any memory pool.
  static bool has_moved(const Request& request) { return request.left_prefill && request.in_pool == 0; }
  // Ends a cancelled request that holds nothing any more at the replica where it was.
  void end_cancelled(RequestRef ref);
  void tell_cancelled(RequestRef ref);  // and removes it
  // The turn does not end as it should, or the one that follows it does not come: nothing is kept for that.
  void unpin_soon(ReplicaId id, std::uint64_t session, std::uint32_t turn);
  // [replica] see RoutedRequest::hand_off.
  std::span<const Seconds> hand_off_times(const Request& request);
  bool choose_destination(Request& request);  // false: no decode replica that is up can hold it
  bool reserve(RequestRef ref);
  // Starts the flows of `bytes` of a request's KV cache; `limit` caps the rate of all of them together.
  void send(RequestRef ref, Bytes bytes, BytesPerSecond limit);
  void send_rest(RequestRef ref);
  bool write_to_pool(RequestRef ref);
  void read_from_pool(RequestRef ref);
  // A decode replica, if there is none yet, and the room there, or the last place in line for either.
  void seek_room(RequestRef ref);
  std::size_t pool_level(ReplicaId id) const;  // of the pool that hand-offs go through
  void flow_ended(RequestRef ref);
  void hand_off_if_complete(RequestRef ref);
  Bytes kv_bytes(const Request& request, TokenCount tokens) const;
  void change_load(ReplicaId id, std::int64_t requests, TokenCount tokens, TokenCount kv_tokens);
  void reject(RequestRecord record, Outcome outcome);
  std::string what_holds(RequestRef ref) const;
  std::string links_down() const;
  std::string replicas_down() const;
  Replica& replica(ReplicaId id) { return *replicas_[id.index]; }

  ClusterSetup setup_;
  Simulation& simulation_;
  RecordSink& sink_;
  RequestTable requests_;
  std::vector<std::unique_ptr<ServiceTime>> services_;   // [pool]
  std::vector<std::unique_ptr<TransformerWork>> works_;  // [pool]
  std::unique_ptr<MemoryTiers> tiers_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<PoolId> pool_of_;                  // [replica]
  std::vector<ReplicaLoad> loads_;               // [replica]
  std::vector<TokenCount> cached_;               // [replica] of the prompt to be routed
  std::vector<Seconds> hand_off_times_;          // [replica] of the request to be handed off
  std::vector<std::deque<RequestRef>> inbound_;  // [replica] hand-offs that found no room, in order
  std::vector<std::vector<TransferId>> flows_;   // [request] of its hand-off, those that have not ended
  std::vector<bool> down_;                       // [replica]
  std::deque<RequestRef> unplaced_;              // no replica that is up can hold them
  std::deque<RequestRef> undirected_;            // prefilled, and no decode replica that is up can hold them
  RequestCounts counts_;
  std::function<void(const RequestRecord&)> request_ended_;
};

}  // namespace disagg
