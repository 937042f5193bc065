#include "sim/serving/cluster.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "sim/base/expect.hpp"
#include "sim/base/no_progress.hpp"

namespace disagg {
namespace {

constexpr std::array<std::string_view, 2> kFirstTokenFrom{"prefill", "decode"};
// A request that replicas cannot keep for long enough would go round for ever.
constexpr std::int32_t kMostRetries = 1000;

FixedFootprint fixed_footprint(const TransformerWork& work, const PoolSetup& pool) {
  const Bytes block = block_bytes(work, pool);
  if (block.si <= 0) return {};
  const double copies = work.resident_kv_bytes_per_token() / work.kv_bytes_per_token();
  const bool limited = work.limited_kv_bytes_per_token().si > 0;
  return {.blocks_per_token = limited ? work.limited_kv_bytes_per_token() * copies / block : 0,
          .reach = limited ? pool.shape.reach().tokens : 0,
          .state_blocks = (work.state_bytes() - checkpoint_bytes(work, pool)) / block};
}

// FLOPs of a prompt's token, from chunks of 512 tokens at the start and behind 8,192 others.
RecomputeCost recompute_cost(const TransformerWork& work) {
  constexpr TokenCount kChunk = 512;
  constexpr TokenCount kContext = 8192;
  const auto attention = [&](TokenCount prefix) {
    return work.prefill_attention(prefix, kChunk).flops.si / static_cast<double>(kChunk);
  };
  return {.per_token = work.linear(1, 0, 1).flops.si + attention(0),
          .per_context_token = (attention(kContext) - attention(0)) / static_cast<double>(kContext)};
}

std::size_t level_of(std::string_view tier, const PoolSetup& pool, std::span<const MemoryTierSetup> tiers) {
  const auto found = std::ranges::find_if(pool.tiers, [&](std::uint32_t t) { return tiers[t].name == tier; });
  expect(found != pool.tiers.end(), "a pool spills to a memory tier that it does not have");
  return static_cast<std::size_t>(found - pool.tiers.begin());
}

}  // namespace

Bytes checkpoint_bytes(const TransformerWork& work, const PoolSetup& pool) {
  return pool.eviction ? work.state_bytes() : Bytes{};
}

Bytes block_bytes(const TransformerWork& work, const PoolSetup& pool) {
  return work.resident_kv_bytes_per_token() * static_cast<double>(pool.block_tokens) +
         checkpoint_bytes(work, pool);
}

BlockCount cold_blocks(const StreamCold& stream, const TransformerWork& work, const PoolSetup& pool) {
  const Bytes block = work.resident_kv_bytes_per_token() * static_cast<double>(pool.block_tokens);
  return static_cast<BlockCount>(
      std::floor(stream.share / (block * static_cast<double>(pool.shape.parallelism.dp_attention))));
}

HandOffCosts HandOffCosts::read(Reader& r) {
  // 0.39 ms before the first byte: fitted on Mooncake's transfers between H800 hosts (hardware catalog).
  return {.overhead = r.get_or<Seconds>("overhead", "390 us", Range::non_negative),
          .rate_limit = r.find<BytesPerSecond>("rate_limit", Range::positive).value_or(Network::kNoLimit),
          .streams_from_decode = r.choice("first_token", kFirstTokenFrom, "prefill") == 1};
}

std::span<const NetworkFlow> HandOffRoutes::flows(ReplicaId from, ReplicaId to) const {
  const auto found = flows_.find(key(from, to));
  expect(found != flows_.end(), "a hand-off between replicas without a route");
  return found->second;
}

Cluster::Cluster(ClusterSetup setup, Simulation& simulation, RecordSink& sink)
    : setup_(std::move(setup)), simulation_(simulation), sink_(sink) {
  if (!setup_.tiers.empty()) {
    // Equal costs in all tiers: what counts is the order.
    const ReplicaShape& shape = setup_.pools.front().shape;
    tiers_ = std::make_unique<MemoryTiers>(setup_.tiers, setup_.tier_access,
                                           recompute_cost(TransformerWork(shape.model, shape.precision)),
                                           simulation_);
  }
  std::vector<RouterReplica> candidates;
  for (std::uint32_t p = 0; p < setup_.pools.size(); ++p) {
    const PoolSetup& pool = setup_.pools[p];
    services_.push_back(std::make_unique<ServiceTime>(pool.service, pool.shape));
    works_.push_back(std::make_unique<TransformerWork>(pool.shape.model, pool.shape.precision,
                                                       pool.shape.parallelism.kv_copies(pool.shape.model),
                                                       pool.shape.expert_skew));
    for (std::int64_t i = 0; i < pool.replicas; ++i) {
      const ReplicaId id{static_cast<std::uint32_t>(replicas_.size())};
      ReplicaSetup replica{.service = *services_.back(),
                           .work = *works_.back(),
                           .power = power_meter(pool.shape),
                           .rules = pool.rules,
                           .kv_blocks = pool.kv_blocks,
                           .decode = {.block_tokens = pool.block_tokens,
                                      .tokens_per_step = pool.shape.drafts.tokens_per_step(),
                                      .reach = pool.shape.reach()},
                           .ranks = static_cast<std::size_t>(pool.shape.parallelism.dp_attention),
                           .fixed = fixed_footprint(*works_.back(), pool),
                           .prefix_cache = {},
                           .retention = pool.retention,
                           .tiers = pool.tiers.empty() ? nullptr : tiers_.get(),
                           .fetch = pool.fetch,
                           .lookahead = pool.lookahead,
                           .swap_level = {},
                           .stream_level = {},
                           .cold_blocks = 0};
      if (const auto* swap = std::get_if<SwapOut>(&pool.spill)) {
        replica.swap_level = level_of(swap->tier, pool, setup_.tiers);
      } else if (const auto* stream = std::get_if<StreamCold>(&pool.spill)) {
        replica.stream_level = level_of(stream->tier, pool, setup_.tiers);
        replica.cold_blocks = cold_blocks(*stream, *works_.back(), pool);
        replica.kv_blocks += replica.cold_blocks;
      }
      if (pool.eviction)
        replica.prefix_cache = PrefixCacheRules{*pool.eviction, recompute_cost(*works_.back())};
      replicas_.push_back(
          std::make_unique<Replica>(id, replica, simulation_, requests_, *this, sink_, setup_.single_steps));
      pool_of_.push_back(PoolId{p});
      const BlockCount growing = replica.kv_blocks - replica.fixed.blocks(replica.fixed.reach);
      candidates.push_back({id, pool.role, std::max<BlockCount>(growing, 0) * pool.block_tokens});
    }
  }
  loads_.resize(replicas_.size());
  down_.resize(replicas_.size());
  if (std::visit([](const auto& r) { return std::remove_cvref_t<decltype(r)>::knows_caches; }, setup_.router))
    cached_.resize(replicas_.size());
  if (std::visit([](const auto& r) { return std::remove_cvref_t<decltype(r)>::knows_paths; }, setup_.router))
    hand_off_times_.resize(replicas_.size());
  inbound_.resize(replicas_.size());
  std::visit([&](auto& router) { router.begin(candidates, setup_.seed); }, setup_.router);
  for (const RouterReplica& replica : candidates) {
    loads_[replica.id.index].kv_capacity = replica.kv_capacity;
    change_load(replica.id, 0, 0, 0);
  }
}

Cluster::~Cluster() = default;

std::optional<RequestRef> Cluster::arrive(ArrivingRequest arriving) {
  ++counts_.arrived;
  RequestRecord record;
  record.id = arriving.id;
  record.session = arriving.session;
  record.turn = arriving.turn;
  record.kind = arriving.kind;
  record.prompt_tokens = arriving.prompt_tokens;
  record.output_tokens = arriving.output_tokens;
  record.arrived = simulation_.now();
  const RoutedRequest routed{.prompt_tokens = record.prompt_tokens,
                             .output_tokens = record.output_tokens,
                             .previous = arriving.previous};
  const auto way = route(routed, arriving.content.get());
  if (!way && !can_ever_hold(routed)) {
    if (arriving.previous.valid()) replica(arriving.previous).unpin(record.session, arriving.previous_turn);
    reject(record, Outcome::rejected_too_large);
    return std::nullopt;
  }
  const RequestRef ref = requests_.add(record, std::move(arriving.content));
  Request& request = requests_[ref];
  if (!setup_.priorities.empty()) request.priority = setup_.priorities[record.kind];
  request.next_turn_in = arriving.next_turn_in;
  if (arriving.previous.valid()) request.previous_turn = arriving.previous_turn;
  const std::uint32_t stay = request.stay;
  place(ref, way);
  // What was kept for it elsewhere is of no use; where it goes it is kept until it is there.
  const bool gone = requests_[ref].stay != stay;
  if (arriving.previous.valid() && (gone || requests_[ref].record.prefill_replica != arriving.previous))
    replica(arriving.previous).unpin(record.session, arriving.previous_turn);
  return requests_[ref].stay == stay ? std::optional(ref) : std::nullopt;
}

RoutedRequest Cluster::routed(const Request& request) {
  return {.prompt_tokens = request.prefill_target,
          .output_tokens = request.final_tokens() - request.prefill_target};
}

void Cluster::place(RequestRef ref, std::optional<Route> way) {
  if (!way) return unplaced_.push_back(ref);
  Request& request = requests_[ref];
  const Route chosen = *way;
  const bool stays = chosen.decode == chosen.prefill;
  request.record.prefill_replica = chosen.prefill;
  // A client that has seen the first token sees the next one when it is computed.
  request.streams_from_decode =
      !stays && request.generated == 0 && costs_of(setup_.hand_off).streams_from_decode;
  // Where the router knows the caches, only what must be computed counts as waiting.
  request.queued_tokens = request.prefill_target - (cached_.empty() ? 0 : cached_[chosen.prefill.index]);
  change_load(chosen.prefill, 1, request.queued_tokens + (stays ? 1 : 0),
              request.record.prompt_tokens + (stays ? request.record.output_tokens : 1));
  if (chosen.decode) {
    request.record.decode_replica = *chosen.decode;
    if (!stays) change_load(*chosen.decode, 1, 1, request.final_tokens());
  }
  const Seconds latency = setup_.pools[pool_of_[chosen.prefill.index].index].request_latency;
  if (latency > Seconds{0}) {
    simulation_.after(latency, [this, ref, stay = request.stay] {
      if (requests_[ref].stay == stay) enter(ref);
    });
  } else {
    enter(ref);
  }
}

void Cluster::place_again(RequestRef ref) {
  const Request& request = requests_[ref];
  const auto way = route(routed(request), request.content.get());
  if (!way && !can_ever_hold(routed(request)))
    throw NoProgress("no progress: request " + std::to_string(request.record.id) + " has got " +
                     std::to_string(request.generated) +
                     " output tokens, and no replica has room to compute its context again");
  place(ref, way);
}

void Cluster::withdraw(const Request& request) {
  const RequestRecord& record = request.record;
  const bool stays = record.decode_replica == record.prefill_replica;
  if (!request.left_prefill)
    change_load(record.prefill_replica, -1, -(request.queued_tokens + (stays ? 1 : 0)),
                -(record.prompt_tokens + (stays ? record.output_tokens : 1)));
  if (!stays && record.decode_replica.valid())
    change_load(record.decode_replica, -1, -1, -request.final_tokens());
}

void Cluster::enter(RequestRef ref) {
  Request& request = requests_[ref];
  request.entered = true;
  const RequestRecord record = request.record;
  Replica& prefill = replica(record.prefill_replica);
  const auto* bounded = std::get_if<Bounded>(&setup_.admission);
  // What has been let in once is not turned away.
  const auto previous = request.previous_turn;
  if (bounded == nullptr || record.retries > 0 || prefill.waiting() < bounded->max_waiting) {
    prefill.enqueue(ref);
    // Not before: it may take what was kept for it.
    if (previous) prefill.unpin(record.session, *previous);
    return;
  }
  if (previous) prefill.unpin(record.session, *previous);
  withdraw(request);
  requests_.remove(ref);
  reject(record, Outcome::rejected_queue_full);
}

std::optional<Route> Cluster::route(RoutedRequest request, const PromptContent* content) {
  for (std::size_t i = 0; i < cached_.size(); ++i)
    cached_[i] = replicas_[i]->find_cached(content, request.prompt_tokens);
  request.cached = cached_;
  for (std::size_t i = 0; i < replicas_.size() && std::holds_alternative<MixedPool>(setup_.router); ++i)
    loads_[i].queued = replicas_[i]->waiting() > 0;
  return std::visit([&](auto& router) { return router.route(request, loads_); }, setup_.router);
}

bool Cluster::has_timers() const {
  return std::ranges::any_of(
      setup_.pools, [](const PoolSetup& pool) { return std::holds_alternative<Pin>(pool.retention); });
}

bool Cluster::can_ever_hold(const RoutedRequest& request) const {
  return std::visit([&](const auto& router) { return router.holds(request); }, setup_.router);
}

void Cluster::reject(RequestRecord record, Outcome outcome) {
  ++counts_.rejected;
  record.outcome = outcome;
  sink_.request(record);
  if (request_ended_) request_ended_(record);
}

void Cluster::change_load(ReplicaId id, std::int64_t requests, TokenCount tokens, TokenCount kv_tokens) {
  ReplicaLoad& load = loads_[id.index];
  load.requests += requests;
  load.tokens += tokens;
  load.kv_tokens += kv_tokens;
  expect(load.requests >= 0 && load.tokens >= 0 && load.kv_tokens >= 0, "a replica's load is negative");
  std::visit([&](auto& router) { router.load_changed(id, load); }, setup_.router);
}

std::span<const Seconds> Cluster::hand_off_times(const Request& request) {
  if (hand_off_times_.empty() || request.in_pool > 0) return {};
  const ReplicaId from = request.record.prefill_replica;
  const Bytes bytes =
      works_[pool_of_[from.index].index]->kv_bytes(static_cast<double>(request.prefill_target));
  const BytesPerSecond software = costs_of(setup_.hand_off).rate_limit;
  for (std::uint32_t i = 0; i < replicas_.size(); ++i) {
    hand_off_times_[i] = kNever;
    if (!setup_.routes.contains(from, ReplicaId{i})) continue;
    Seconds last{};
    for (const NetworkFlow& flow : setup_.routes.flows(from, ReplicaId{i})) {
      BytesPerSecond limit = flow.limit;
      if (software != Network::kNoLimit)
        limit = limit == Network::kNoLimit ? software * flow.share : std::min(limit, software * flow.share);
      last = std::max(last, simulation_.would_take(flow.route, bytes * flow.share, limit));
    }
    hand_off_times_[i] = last;
  }
  return hand_off_times_;
}

bool Cluster::choose_destination(Request& request) {
  RequestRecord& record = request.record;
  if (record.decode_replica.valid()) return true;
  RoutedRequest asked = routed(request);
  asked.hand_off = hand_off_times(request);
  const auto chosen =
      std::visit([&](auto& router) { return router.decode(asked, record.prefill_replica); }, setup_.router);
  if (!chosen) return false;
  record.decode_replica = *chosen;
  change_load(record.decode_replica, 1, 1, request.final_tokens());
  return true;
}

void Cluster::chunk_started(ReplicaId id, RequestRef ref, TokenCount tokens, Seconds duration) {
  Request& request = requests_[ref];
  if (!std::holds_alternative<LayerwiseHandOff>(setup_.hand_off) || request.remaining() == 1) return;
  if (!request.leaves_after_prefill(id)) return;
  expect(!request.preempted, "a prompt was preempted while its KV cache was on its way");
  if (!choose_destination(request)) return;
  if (!request.destination_ready && !reserve(ref)) return;  // without room the whole cache goes at the end
  // What was cached, fetched or computed before there was room can go at once.
  if (const TokenCount before = request.prefilled; request.handed_off == 0 && before > 0) {
    const Bytes bytes = kv_bytes(request, before);
    request.handed_off = before;
    send(ref, bytes, Network::kNoLimit);
  }
  const auto layers = static_cast<double>(
      setup_.pools[pool_of_[request.record.prefill_replica.index].index].shape.model.num_hidden_layers);
  const Bytes last = kv_bytes(request, tokens) / layers;
  request.handed_off += tokens;
  if (last.si <= 0) return;  // beyond the windows of all layers nothing is kept
  // All layers but the last stream at the rate at which they are computed, or more slowly if the network says
  // so.
  request.scheduled += 2;
  const auto send_part = [this](RequestRef of, std::uint32_t hand_off, Bytes bytes, BytesPerSecond rate) {
    if (requests_[of].hand_off != hand_off) return;  // its replica has failed
    --requests_[of].scheduled;
    send(of, bytes, rate);
  };
  simulation_.after(duration / layers,
                    [send_part, ref, hand_off = request.hand_off, bytes = last * (layers - 1),
                     rate = last * layers / duration] { send_part(ref, hand_off, bytes, rate); });
  simulation_.after(duration, [send_part, ref, hand_off = request.hand_off, last] {
    send_part(ref, hand_off, last, Network::kNoLimit);
  });
}

void Cluster::prompt_computed(ReplicaId id, RequestRef ref) {
  const TokenCount computed = std::exchange(requests_[ref].queued_tokens, 0);
  if (computed > 0) change_load(id, 0, -computed, 0);
}

void Cluster::prefill_ended(RequestRef ref) {
  Request& request = requests_[ref];
  request.prefill_done = true;
  if (std::holds_alternative<PooledHandOff>(setup_.hand_off) && write_to_pool(ref)) return;
  seek_room(ref);
}

void Cluster::seek_room(RequestRef ref) {
  if (requests_[ref].cancelled) return end_cancelled(ref);
  if (!choose_destination(requests_[ref])) return undirected_.push_back(ref);
  if (requests_[ref].destination_ready || reserve(ref)) return send_rest(ref);
  const ReplicaId to = requests_[ref].record.decode_replica;
  inbound_[to.index].push_back(ref);
  replica(to).set_hand_offs_waiting(true);
  if (replica(to).is_stalled()) stalled(to);
}

std::size_t Cluster::pool_level(ReplicaId id) const {
  return level_of(std::get<PooledHandOff>(setup_.hand_off).tier, setup_.pools[pool_of_[id.index].index],
                  setup_.tiers);
}

bool Cluster::write_to_pool(RequestRef ref) {
  Request& request = requests_[ref];
  const ReplicaId from = request.record.prefill_replica;
  const std::size_t level = pool_level(from);
  const MemoryTierSetup& tier = setup_.tiers[setup_.tier_access[from.index][level].tier];
  const auto blocks = static_cast<BlockCount>(
      std::ceil(kv_bytes(request, request.prefill_target) / tier.block_bytes() - 1e-9));
  if (!tiers_->take(from, level, blocks)) return false;
  request.in_pool = blocks;
  request.record.hand_off_start = simulation_.now();
  tiers_->write(from, level, blocks, [this, ref] {
    Request& written = requests_[ref];
    change_load(written.record.prefill_replica, -1, 0, -(written.record.prompt_tokens + 1));
    written.left_prefill = true;
    replica(written.record.prefill_replica).release(ref);
    seek_room(ref);
  });
  return true;
}

void Cluster::read_from_pool(RequestRef ref) {
  const Request& request = requests_[ref];
  const ReplicaId to = request.record.decode_replica;
  replica(to).await(ref);
  tiers_->read(to, pool_level(to), request.in_pool, [this, ref] {
    Request& read = requests_[ref];
    const ReplicaId at = read.record.decode_replica;
    tiers_->give_back(at, pool_level(at), std::exchange(read.in_pool, 0));
    read.record.hand_off_end = simulation_.now();
    const bool cancelled = read.cancelled;
    replica(at).arrive(ref);
    if (cancelled) replica(at).cancel(ref);
  });
}

bool Cluster::reserve(RequestRef ref) {
  Request& request = requests_[ref];
  const ReplicaId to = request.record.decode_replica;
  if (!inbound_[to.index].empty() && inbound_[to.index].front() != ref)
    return false;  // first come, first served
  request.destination_ready = replica(to).take_inbound(ref);
  if (request.destination_ready) request.record.room_found = simulation_.now();
  return request.destination_ready;
}

// One request has one flow on a route at a time, whatever its number of chunks: else long prompts would get
// several fair shares of a link.
void Cluster::send(RequestRef ref, Bytes bytes, BytesPerSecond limit) {
  Request& request = requests_[ref];
  if (request.flows > 0) {
    request.queued_bytes += bytes;
    return;
  }
  const BytesPerSecond software = costs_of(setup_.hand_off).rate_limit;
  if (software != Network::kNoLimit)
    limit = limit == Network::kNoLimit ? software : std::min(limit, software);
  if (!request.way_open) request.record.hand_off_start = simulation_.now();
  if (flows_.size() <= ref) flows_.resize(ref + 1);
  flows_[ref].clear();
  const auto flows = setup_.routes.flows(request.record.prefill_replica, request.record.decode_replica);
  for (std::uint32_t i = 0; i < flows.size(); ++i) {
    const NetworkFlow& flow = flows[i];
    ++request.flows;
    BytesPerSecond most = limit == Network::kNoLimit ? limit : limit * flow.share;
    if (flow.limit != Network::kNoLimit)
      most = most == Network::kNoLimit ? flow.limit : std::min(most, flow.limit);
    flows_[ref].push_back(simulation_.transfer(
        flow.route, bytes * flow.share, most,
        [this, ref, i] {
          flows_[ref][i] = {};
          flow_ended(ref);
        },
        request.way_open));
  }
  request.way_open = true;
}

void Cluster::flow_ended(RequestRef ref) {
  Request& request = requests_[ref];
  if (--request.flows > 0) return;
  if (request.queued_bytes > Bytes{0}) {
    send(ref, std::exchange(request.queued_bytes, Bytes{0}), Network::kNoLimit);
  } else {
    hand_off_if_complete(ref);
  }
}

void Cluster::send_rest(RequestRef ref) {
  Request& request = requests_[ref];
  if (request.in_pool > 0) return read_from_pool(ref);
  const TokenCount rest = request.prefill_target - request.handed_off;
  const Bytes bytes = rest > 0 ? kv_bytes(request, rest) : Bytes{};
  request.handed_off = request.prefill_target;
  replica(request.record.decode_replica).await(ref);
  if (bytes.si > 0) send(ref, bytes, Network::kNoLimit);
  if (request.flows > 0 || request.scheduled > 0) return;
  // All of it has been sent before. Not at once: the prefill replica is in the middle of ending a step.
  if (!request.way_open) request.record.hand_off_start = simulation_.now();
  simulation_.after(Seconds{0}, [this, ref, hand_off = request.hand_off] {
    if (requests_[ref].hand_off == hand_off) hand_off_if_complete(ref);
  });
}

void Cluster::hand_off_if_complete(RequestRef ref) {
  Request& request = requests_[ref];
  if (request.flows > 0 || request.scheduled > 0 || !request.prefill_done || !request.destination_ready)
    return;
  request.record.hand_off_end = simulation_.now();
  const ReplicaId from = request.record.prefill_replica;
  change_load(from, -1, 0, -(request.record.prompt_tokens + 1));
  request.left_prefill = true;
  replica(from).release(ref);
  replica(request.record.decode_replica).arrive(ref);
}

void Cluster::fail(ReplicaId failed) {
  expect(!down_[failed.index], "a replica fails that is down");
  replica(failed).stop();
  down_[failed.index] = true;
  std::visit([&](auto& router) { router.set_up(failed, false); }, setup_.router);

  std::vector<RequestRef> restarted;
  std::vector<RequestRef> redirected;
  for (RequestRef ref = 0; ref < requests_.end(); ++ref) {
    const Request& request = requests_[ref];
    if (!request.live) continue;
    const bool decodes_there = request.record.decode_replica == failed;
    const bool is_there = request.left_prefill ? decodes_there && request.in_pool == 0
                                               : request.record.prefill_replica == failed;
    if (is_there) {
      restarted.push_back(ref);
    } else if (decodes_there) {
      redirected.push_back(ref);
    }
  }
  const auto id_of = [this](RequestRef ref) { return requests_[ref].record.id; };
  std::ranges::sort(restarted, {}, id_of);
  std::ranges::sort(redirected, {}, id_of);

  // First everything stops, and only then something starts.
  if (tiers_) tiers_->drop_transfers(failed);
  std::vector<bool> has_room(replicas_.size());
  std::vector<RequestRef> gone;  // cancelled ones
  for (const RequestRef ref : restarted) {
    Request& request = requests_[ref];
    const ReplicaId to = request.record.decode_replica;
    cancel_flows(ref);
    std::erase(undirected_, ref);
    if (to.valid() && to != failed) {
      has_room[to.index] = true;
      std::erase(inbound_[to.index], ref);
      if (request.destination_ready) replica(to).drop_inbound(ref);
    }
    if (request.in_pool > 0) tiers_->give_back(failed, pool_level(failed), request.in_pool);
    replica(failed).lose(ref);
    withdraw(request);
    if (request.left_prefill)
      unpin_soon(request.record.prefill_replica, request.record.session, request.record.turn);
    if (request.cancelled) {
      gone.push_back(ref);
      continue;
    }
    requests_.restart(ref);
    count_retry(requests_[ref]);
  }
  for (const RequestRef ref : redirected) lose_destination(ref);
  inbound_[failed.index].clear();
  if (tiers_) tiers_->clear_own(failed);
  replica(failed).clear();
  const ReplicaLoad& load = loads_[failed.index];
  expect(load.requests == 0 && load.tokens == 0 && load.kv_tokens == 0,
         "a replica that has failed still has a load");

  for (std::uint32_t i = 0; i < replicas_.size(); ++i)
    if (has_room[i]) replicas_[i]->reconsider();
  for (const RequestRef ref : redirected)
    if (requests_[ref].prefill_done) seek_room(ref);
  for (const RequestRef ref : restarted)
    if (!requests_[ref].cancelled) place_again(ref);
  for (const RequestRef ref : gone) tell_cancelled(ref);
}

void Cluster::repair(ReplicaId id) {
  down_[id.index] = false;
  std::visit([&](auto& router) { router.set_up(id, true); }, setup_.router);
  for (const RequestRef ref : std::exchange(undirected_, {})) seek_room(ref);
  for (const RequestRef ref : std::exchange(unplaced_, {})) place_again(ref);
}

void Cluster::count_retry(Request& request) {
  ++counts_.retries;
  if (++request.record.retries >= kMostRetries)
    throw NoProgress("no progress: request " + std::to_string(request.record.id) + " has been sent back " +
                     std::to_string(kMostRetries) + " times by failures of replicas");
}

void Cluster::cancel_flows(RequestRef ref) {
  if (requests_[ref].flows == 0) return;
  for (TransferId& flow : flows_[ref])
    if (flow.valid()) simulation_.cancel(std::exchange(flow, {}));
}

void Cluster::lose_destination(RequestRef ref) {
  Request& request = requests_[ref];
  cancel_flows(ref);
  if (request.destination_ready) count_retry(request);
  change_load(request.record.decode_replica, -1, -1, -request.final_tokens());
  request.record.decode_replica = {};
  ++request.hand_off;
  request.flows = request.scheduled = 0;
  request.queued_bytes = {};
  request.handed_off = 0;
  request.way_open = request.destination_ready = false;
}

void Cluster::room_freed(ReplicaId id) {
  auto& queue = inbound_[id.index];
  while (!queue.empty() && reserve(queue.front())) {
    const RequestRef ref = queue.front();
    queue.pop_front();
    send_rest(ref);
  }
  replica(id).set_hand_offs_waiting(!queue.empty());
}

// Replicas that hand off to each other can each be full of prompts that wait for room at the other. One that
// others wait for and that has nothing to run takes back the oldest prompt that it cannot get rid of, and
// decodes it itself.
void Cluster::stalled(ReplicaId id) {
  if (inbound_[id.index].empty()) return;
  std::deque<RequestRef>* from = nullptr;
  std::optional<RequestRef> oldest;
  for (auto& queue : inbound_) {
    for (const RequestRef ref : queue) {
      const RequestRecord& record = requests_[ref].record;
      const bool stuck = record.prefill_replica == id && requests_[ref].in_pool == 0 &&
                         replica(id).fits(record.prompt_tokens + record.output_tokens - 1);
      if (!stuck || (oldest && requests_[*oldest].record.id < record.id)) continue;
      oldest = ref;
      from = &queue;
    }
  }
  if (!oldest) return;
  std::erase(*from, *oldest);
  Request& request = requests_[*oldest];
  RequestRecord& record = request.record;
  replica(record.decode_replica).set_hand_offs_waiting(!from->empty());
  change_load(record.decode_replica, -1, -1, -(record.prompt_tokens + record.output_tokens));
  change_load(id, 0, 1, record.output_tokens - 1);
  record.decode_replica = id;
  request.prefill_done = false;
  replica(id).take_back(*oldest);
}

void Cluster::went_idle(ReplicaId id) {
  std::visit([&](auto& router) { router.went_idle(id); }, setup_.router);
}

void Cluster::finished(ReplicaId id, RequestRef ref) {
  Request& request = requests_[ref];
  RequestRecord& record = request.record;
  const bool stayed = record.decode_replica == record.prefill_replica;
  const bool decoded_here = id == record.decode_replica;
  if (decoded_here) {
    change_load(id, -1, -1, -(record.prompt_tokens + record.output_tokens));
  } else {
    change_load(id, -1, 0, -(record.prompt_tokens + 1));  // one output token only: it never left
    if (record.decode_replica.valid())
      change_load(record.decode_replica, -1, -1, -(record.prompt_tokens + record.output_tokens));
    record.decode_replica = id;
  }
  if (stayed || !decoded_here)
    record.room_found = record.hand_off_start = record.hand_off_end = record.prefill_end;
  if (decoded_here && !stayed) replica(record.prefill_replica).turn_ended(record.session, record.turn);
  ++counts_.finished;
  sink_.request(record);
  requests_.remove(ref);
  if (request_ended_) request_ended_(record);
}

void Cluster::cancel(RequestRef ref) {
  Request& request = requests_[ref];
  expect(request.live, "a request is cancelled that has ended");
  if (std::exchange(request.cancelled, true)) return;
  if (std::erase(unplaced_, ref) > 0) return tell_cancelled(ref);
  if (!request.entered) return end_cancelled(ref);
  if (has_moved(request)) return replica(request.record.decode_replica).cancel(ref);
  Replica& prefill = replica(request.record.prefill_replica);
  if (!request.prefill_done) return prefill.cancel(ref);
  // It is handed off. What a memory tier does for it comes to its end.
  const bool written = request.in_pool > 0 && !request.left_prefill;
  const bool read = request.in_pool > 0 && request.destination_ready;
  if (written || read) return;
  if (!request.left_prefill) prefill.release(ref);
  end_cancelled(ref);
}

void Cluster::cancelled(ReplicaId, RequestRef ref) { end_cancelled(ref); }

void Cluster::end_cancelled(RequestRef ref) {
  Request& request = requests_[ref];
  const ReplicaId from = request.record.prefill_replica;
  const ReplicaId to = request.record.decode_replica;
  cancel_flows(ref);
  std::erase(undirected_, ref);
  if (to.valid() && to != from && !has_moved(request)) {
    const bool waited = std::erase(inbound_[to.index], ref) > 0;
    if (request.destination_ready) replica(to).drop_inbound(ref);
    // Not at once: a replica may be in the middle of its work.
    if (waited || request.destination_ready)
      simulation_.after(Seconds{0}, [this, to] {
        if (!down_[to.index]) replica(to).reconsider();
      });
  }
  if (request.in_pool > 0) tiers_->give_back(from, pool_level(from), request.in_pool);
  withdraw(request);
  if (request.left_prefill) unpin_soon(from, request.record.session, request.record.turn);
  // What was kept for a request that never reached the engine.
  if (!request.entered && request.previous_turn)
    unpin_soon(from, request.record.session, *request.previous_turn);
  tell_cancelled(ref);
}

// Not at once: the replica may be in the middle of its work.
void Cluster::unpin_soon(ReplicaId id, std::uint64_t session, std::uint32_t turn) {
  if (session == kNoSession) return;
  simulation_.after(Seconds{0}, [this, id, session, turn] { replica(id).unpin(session, turn); });
}

void Cluster::tell_cancelled(RequestRef ref) {
  RequestRecord record = requests_[ref].record;
  requests_.remove(ref);
  ++counts_.cancelled;
  record.outcome = Outcome::cancelled;
  sink_.request(record);
  if (request_ended_) request_ended_(record);
}

// Of the next `tokens` tokens of a prompt, behind those handed off.
Bytes Cluster::kv_bytes(const Request& request, TokenCount tokens) const {
  const TransformerWork& sent = *works_[pool_of_[request.record.prefill_replica.index].index];
  const auto upto = static_cast<double>(request.handed_off + tokens);
  if (request.handed_off == 0) return sent.kv_bytes(upto);
  return sent.kv_bytes(upto) - sent.kv_bytes(static_cast<double>(request.handed_off));
}

void Cluster::settle() {
  for (const auto& replica : replicas_) replica->settle();
  if (tiers_) tiers_->settle();
}

std::string Cluster::name(ReplicaId id) const {
  const PoolId pool = pool_of_[id.index];
  std::uint32_t first = id.index;
  while (first > 0 && pool_of_[first - 1] == pool) --first;
  return setup_.pools[pool.index].name + "[" + std::to_string(id.index - first) + "]";
}

std::string Cluster::links_down() const {
  if (simulation_.stalled_transfers() == 0) return "";
  std::string text =
      "; " + std::to_string(simulation_.stalled_transfers()) + " transfers wait for links that are down:";
  for (std::uint32_t i = 0; i < simulation_.platform().links.size(); ++i)
    if (simulation_.is_down(LinkId{i})) text += " " + simulation_.platform().links[i].name;
  return text;
}

std::string Cluster::replicas_down() const {
  std::string names;
  for (std::uint32_t i = 0; i < replicas_.size(); ++i)
    if (down_[i]) names += " " + name(ReplicaId{i});
  return names.empty() ? names : "; replicas that are down:" + names;
}

std::string Cluster::what_holds(RequestRef ref) const {
  const Request& request = requests_[ref];
  const RequestRecord& record = request.record;
  if (!record.prefill_replica.valid()) return "waits for a replica";
  if (request.prefill_done && !record.decode_replica.valid())
    return "is prefilled at " + name(record.prefill_replica) + " and waits for a decode replica";
  const ReplicaId at = request.prefill_done && record.decode_replica.valid() && request.destination_ready &&
                               request.flows == 0 && request.scheduled == 0
                           ? record.decode_replica
                           : record.prefill_replica;
  if (request.flows > 0)
    return "is on its way from " + name(record.prefill_replica) + " to " + name(record.decode_replica);
  if (request.prefill_done && record.decode_replica.valid() && !request.destination_ready)
    return "is prefilled at " + name(record.prefill_replica) + " and waits at " +
           name(record.decode_replica) + " for " + replicas_[record.decode_replica.index]->room_for(ref);
  const std::string where = replicas_[at.index]->whereabouts(ref);
  return "at " + name(at) + " " + (where.empty() ? "is lost" : where);
}

void Cluster::expect_empty() const {
  if (requests_.live() > 0) {
    const RequestRef oldest = requests_.oldest();
    const RequestRecord& record = requests_[oldest].record;
    throw NoProgress("no progress: " + std::to_string(requests_.live()) +
                     " requests are left and nothing can happen any more. The first, number " +
                     std::to_string(record.id) + " (" + std::to_string(record.prompt_tokens) +
                     " prompt and " + std::to_string(record.output_tokens) + " output tokens), " +
                     what_holds(oldest) + links_down() + replicas_down());
  }
  expect(counts_.arrived == counts_.finished + counts_.rejected + counts_.cancelled,
         "a request was lost or served twice");
  for (const auto& replica : replicas_) replica->expect_empty();
  // Copies that wait for a link that is never repaired keep their blocks.
  if (tiers_ && simulation_.stalled_transfers() == 0) tiers_->expect_empty();
}

}  // namespace disagg
