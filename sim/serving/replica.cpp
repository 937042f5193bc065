#include "sim/serving/replica.hpp"

#include <algorithm>
#include <limits>

#include "sim/base/expect.hpp"

namespace disagg {
namespace {

Regime limiting(const StepParts& parts) {
  Regime regime = Regime::compute;
  Seconds most = parts.compute;
  const auto consider = [&](Seconds time, Regime candidate) {
    if (time > most) {
      most = time;
      regime = candidate;
    }
  };
  consider(parts.bandwidth, Regime::bandwidth);
  consider(parts.network, Regime::network);
  consider(parts.overhead, Regime::overhead);
  return regime;
}

}  // namespace

PowerMeter power_meter(const ReplicaShape& shape) {
  const Accelerator& a = shape.accelerator;
  const auto accelerators = static_cast<double>(shape.parallelism.accelerators());
  return {.model = a.power,
          .tdp = a.tdp.value_or(Watts{}) * accelerators,
          .tensor = a.peak(Precision::bf16).value_or(FlopsPerSecond{1}) * accelerators,
          .memory = a.memory_bandwidth.value_or(BytesPerSecond{1}) * accelerators,
          .tile_rows = expert_tile_rows(shape.precision.expert_format() == Precision::fp8),
          .linked = accelerators > 1};
}

ReplicaUsage& ReplicaUsage::operator+=(const ReplicaUsage& other) {
  for (std::size_t i = 0; i < regimes.size(); ++i) regimes[i] += other.regimes[i];
  prefill += other.prefill;
  decode += other.decode;
  prefill_tokens += other.prefill_tokens;
  decode_tokens += other.decode_tokens;
  steps += other.steps;
  sequence_steps += other.sequence_steps;
  decode_steps += other.decode_steps;
  context_steps += other.context_steps;
  preemptions += other.preemptions;
  waiting_seconds += other.waiting_seconds;
  admitted += other.admitted;
  waited_seconds += other.waited_seconds;
  kv_seconds += other.kv_seconds;
  cached_seconds += other.cached_seconds;
  prompts += other.prompts;
  prompt_tokens += other.prompt_tokens;
  cached_tokens += other.cached_tokens;
  fetched_tokens += other.fetched_tokens;
  swaps += other.swaps;
  evicted_blocks += other.evicted_blocks;
  busy += other.busy;
  energy += other.energy;
  return *this;
}

ReplicaUsage ReplicaUsage::operator-(const ReplicaUsage& earlier) const {
  ReplicaUsage negative = earlier;
  for (Seconds& time : negative.regimes) time = -time;
  negative.prefill = negative.prefill * -1;
  negative.decode = negative.decode * -1;
  negative.prefill_tokens *= -1;
  negative.decode_tokens *= -1;
  negative.steps *= -1;
  negative.sequence_steps *= -1;
  negative.decode_steps *= -1;
  negative.context_steps *= -1;
  negative.preemptions *= -1;
  negative.waiting_seconds *= -1;
  negative.admitted *= -1;
  negative.waited_seconds *= -1;
  negative.kv_seconds *= -1;
  negative.cached_seconds *= -1;
  negative.prompts *= -1;
  negative.prompt_tokens *= -1;
  negative.cached_tokens *= -1;
  negative.fetched_tokens *= -1;
  negative.swaps *= -1;
  negative.evicted_blocks *= -1;
  negative.busy = -negative.busy;
  negative.energy = -negative.energy;
  ReplicaUsage difference = *this;
  return difference += negative;
}

Replica::Replica(ReplicaId id, const ReplicaSetup& setup, Simulation& simulation, RequestTable& requests,
                 ReplicaListener& listener, RecordSink& sink, bool single_steps)
    : id_(id),
      setup_(setup),
      simulation_(simulation),
      requests_(requests),
      listener_(listener),
      sink_(sink),
      single_steps_(single_steps) {
  for (std::size_t i = 0; i < setup.ranks; ++i) ranks_.emplace_back(setup, requests);
}

void Replica::drop_inbound(RequestRef ref) {
  settle();
  Request& request = requests_[ref];
  Rank& rank = ranks_[request.rank_at_destination];
  --rank.inbound;
  if (request.prefill_done) --rank.awaited;
  rank.kv.release(request.reserved_at_destination);
}

void Replica::reconsider() {
  settle();
  listener_.room_freed(id_);
  poke();
}

void Replica::stop() {
  settle();
  const Seconds now = simulation_.now();
  if (span_.active && now >= span_.end) end_span();  // its last step is over
  if (span_.active && now > span_.start)
    sink_.span({.replica = id_,
                .kind = span_.kind,
                .start = span_.start,
                .end = now,
                .steps = span_.settled,
                .sequences = span_.sequences,
                .prefill_tokens = 0});
  // A decode step that is cut off counts as one that does nothing.
  if (span_.active && span_.kind == SpanKind::decode && now > span_.settled_at)
    usage_.energy += setup_.power.draw({}, now - span_.settled_at) * (now - span_.settled_at);
  span_.active = false;
  ++version_;
  for (Rank& rank : ranks_) {
    while (!rank.decode.empty()) {
      const RequestRef ref = rank.decode.youngest();
      if (rank.decode.has_decoded(ref)) requests_[ref].last_token = rank.last_decode_end;
      rank.decode.leave(ref);
    }
  }
}

void Replica::lose(RequestRef ref) {
  Request& request = requests_[ref];
  if (!request.swapped) return;
  setup_.tiers->give_back(id_, *setup_.swap_level,
                          ranks_.front().kv.blocks_for(request.kv_length) + fixed_blocks(request));
  request.swapped = false;
}

void Replica::clear() {
  ranks_.clear();
  for (std::size_t i = 0; i < setup_.ranks; ++i) ranks_.emplace_back(setup_, requests_);
  balanced_for_ = 0;
  hand_offs_waiting_ = false;
  cancelled_.clear();
  pins_.clear();
  expiries_.clear();
}

// The pins of a replica end in the order in which their turns did.
void Replica::pin_expires(std::uint64_t number) {
  if (expiries_.empty() || expiries_.front().number != number) return;  // the replica has failed since
  const Expiry expiry = expiries_.front();
  expiries_.pop_front();
  const auto found = pins_.find({expiry.session, expiry.turn});
  if (found != pins_.end() && found->second.number == number) unpin(expiry.session, expiry.turn);
}

void Replica::unpin(std::uint64_t session, std::uint32_t turn) {
  const auto found = pins_.find({session, turn});
  if (found == pins_.end()) return;
  settle();
  const PinnedContext pinned = found->second;
  pins_.erase(found);
  ranks_[pinned.rank].kv.unlock(pinned.prefix, simulation_.now());
  listener_.room_freed(id_);
  poke();
}

void Replica::turn_ended(std::uint64_t session, std::uint32_t turn) {
  const auto found = pins_.find({session, turn});
  if (found == pins_.end()) return;
  const std::uint64_t number = found->second.number = ++pinned_;
  expiries_.push_back({session, turn, number});
  simulation_.after(std::get<Pin>(setup_.retention).ttl, [this, number] { pin_expires(number); });
}

void Replica::end_stay(Rank& rank, Request& request, BlockCount blocks, bool turn_ended) {
  const PrefixTree::NodeIndex prefix = request.prefix;
  if (request.next_turn_in == kNever || prefix == PrefixTree::kRoot ||
      std::holds_alternative<KeepEvictable>(setup_.retention))
    return give_back(rank, request, blocks);
  if (const Pin* pin = std::get_if<Pin>(&setup_.retention)) {
    if (!pin->predicted || request.next_turn_in <= pin->ttl) {
      const std::pair key{request.record.session, request.record.turn};
      // A turn that a failure sent back ends twice.
      if (const auto before = pins_.find(key); before != pins_.end())
        ranks_[before->second.rank].kv.unlock(before->second.prefix, simulation_.now());
      pins_[key] = {request.rank, prefix, ++pinned_};
      request.prefix = PrefixTree::kRoot;  // it keeps the lock
      if (turn_ended) this->turn_ended(key.first, key.second);
    }
    return give_back(rank, request, blocks);
  }
  give_back(rank, request, blocks);
  const EvictionListener pass_on = [this](PromptContent path) {
    setup_.tiers->evicted(id_, 0, std::move(path));
  };
  const bool demotes = std::holds_alternative<Demote>(setup_.retention) && setup_.tiers != nullptr &&
                       setup_.tiers->takes_evicted(id_);
  usage_.evicted_blocks += rank.kv.drop(prefix, demotes ? &pass_on : nullptr);
}

void Replica::cancel(RequestRef ref) {
  cancelled_.push_back(ref);
  poke();
}

void Replica::drop_cancelled() {
  if (cancelled_.empty()) return;
  std::vector<RequestRef> left;
  bool dropped = false;
  for (const RequestRef ref : std::exchange(cancelled_, {})) {
    if (drop(ref)) {
      dropped = true;
      listener_.cancelled(id_, ref);
    } else {
      left.push_back(ref);
    }
  }
  cancelled_.insert(cancelled_.end(), left.begin(), left.end());
  if (dropped) listener_.room_freed(id_);
}

// Between two spans.
bool Replica::drop(RequestRef ref) {
  Rank& rank = rank_of(ref);
  Request& request = requests_[ref];
  if (request.decoding) {
    const TokenCount kv_length = rank.decode.leave(ref);
    give_back(rank, request, held(request, kv_length));
    return true;
  }
  if (const auto found = std::ranges::find(rank.waiting, ref); found != rank.waiting.end()) {
    if (request.swapped && !request.swap_written) return false;
    leave_queue(rank, static_cast<std::size_t>(found - rank.waiting.begin()));
    lose(ref);
    return true;
  }
  if (std::erase(rank.prefilling, ref) + std::erase(rank.fetched, ref) + std::erase(rank.ready, ref) +
          std::erase(rank.paused, ref) ==
      0)
    return false;
  give_back(rank, request, request.reserved);
  return true;
}

void Replica::enqueue(RequestRef ref) {
  settle();
  requests_[ref].queued_at = simulation_.now();
  const std::size_t least = next_rank();
  turn_ = (least + 1) % ranks_.size();
  requests_[ref].rank = static_cast<std::uint32_t>(least);
  Rank& rank = ranks_[least];
  // Behind its equals, and all that were in memory. What returns to its context goes first, since that takes
  // the room that others would need.
  Request& request = requests_[ref];
  request.returns = request.previous_turn && pins_.contains({request.record.session, *request.previous_turn});
  auto place = rank.waiting.end();
  while (place != rank.waiting.begin()) {
    const Request& before = requests_[*std::prev(place)];
    if (before.preempted || before.returns > request.returns ||
        (before.returns == request.returns && before.priority >= request.priority))
      break;
    --place;
  }
  const bool first = place == rank.waiting.begin();
  rank.waiting.insert(place, ref);
  if (setup_.tiers != nullptr && static_cast<std::int64_t>(rank.waiting.size()) <= setup_.lookahead &&
      span_.active) {
    const std::int64_t fetching = rank.fetching;
    start_fetches(rank);
    if (rank.fetching > fetching) cut();  // the span was sized for the blocks that were free
  }
  // Behind another request that could not be admitted nothing changes before that one is.
  if (first || !span_.active) poke();
}

// Where the next request goes: to the rank with the fewest.
std::size_t Replica::next_rank() const {
  std::size_t least = turn_;
  for (std::size_t i = 1; i < ranks_.size(); ++i) {
    const std::size_t candidate = (turn_ + i) % ranks_.size();
    if (ranks_[candidate].requests() < ranks_[least].requests()) least = candidate;
  }
  return least;
}

TokenCount Replica::find_cached(const PromptContent* prompt, TokenCount tokens) {
  const Rank& rank = ranks_[next_rank()];
  if (prompt == nullptr || !rank.kv.keeps_prefixes()) return 0;
  // Decodes of a running span may have evicted something since it was booked last.
  const bool may_evict = span_.active && span_.kind == SpanKind::decode && rank.plan.sequences > 0 &&
                         rank.decode.new_blocks(span_.steps - span_.settled) > rank.kv.empty();
  if (may_evict) settle();
  return rank.kv.find(prompt, tokens - 1, simulation_.now()).tokens;
}

bool Replica::take_inbound(RequestRef ref) {
  Request& request = requests_[ref];
  const TokenCount tokens = setup_.rules.reserve_output ? request.final_tokens() - 1 : request.prefill_target;
  settle();
  const BlockCount blocks = ranks_.front().kv.blocks_for(tokens) + fixed_blocks(request);
  Rank* chosen = nullptr;
  for (Rank& rank : ranks_) {
    if (preempted_waits(rank)) continue;
    // Those that decode already come first: their next step's blocks are not given away.
    const BlockCount growth = setup_.rules.reserve_output ? 0 : rank.decode.new_blocks(1);
    if (blocks > rank.kv.free() - growth) continue;
    if (chosen == nullptr || rank.requests() < chosen->requests()) chosen = &rank;
  }
  if (chosen == nullptr) return false;
  take(*chosen, blocks);
  request.reserved_at_destination = blocks;
  request.rank_at_destination = static_cast<std::uint32_t>(chosen - ranks_.data());
  ++chosen->inbound;
  cut();  // the span was sized for the blocks that were free
  return true;
}

void Replica::await(RequestRef ref) {
  settle();
  ++ranks_[requests_[ref].rank_at_destination].awaited;
}

void Replica::arrive(RequestRef ref) {
  settle();
  Request& request = requests_[ref];
  request.rank = request.rank_at_destination;
  Rank& rank = rank_of(ref);
  --rank.inbound;
  --rank.awaited;
  request.reserved = request.reserved_at_destination;
  request.kv_length = request.prefill_target;
  rank.ready.push_back(ref);
  poke();
}

void Replica::release(RequestRef ref) {
  settle();
  Request& request = requests_[ref];
  if (request.cancelled) {
    give_back(rank_of(ref), request, request.reserved);
  } else {
    copy_down(request, request.prefill_target, TierWrite::write_on_completion);
    // Of what waits in a memory pool nobody knows when it goes on: the time begins, and begins again at the
    // end.
    end_stay(rank_of(ref), request, request.reserved, request.in_pool > 0);
  }
  listener_.room_freed(id_);  // hand-offs that wait for this room came before the prompts that wait here
  poke();
}

void Replica::take_back(RequestRef ref) {
  settle();
  preempt(rank_of(ref), ref, requests_[ref].last_token, 0);
  if (!span_.active) start();
}

void Replica::set_hand_offs_waiting(bool waiting) {
  if (waiting == hand_offs_waiting_) return;
  settle();
  hand_offs_waiting_ = waiting;
}

bool Replica::is_stalled() const {
  return !span_.active && kv_used() > 0 && std::ranges::all_of(ranks_, [](const Rank& rank) {
    return rank.inbound == 0 && rank.fetching == 0 && rank.fetched.empty() && rank.ready.empty();
  });
}

BlockCount Replica::kv_used() const {
  BlockCount used = 0;
  for (const Rank& rank : ranks_) used += rank.kv.used();
  return used;
}

BlockCount Replica::kv_total() const {
  return ranks_.front().kv.total() * static_cast<BlockCount>(ranks_.size());
}

double Replica::kv_occupancy() const {
  return static_cast<double>(kv_used()) / static_cast<double>(kv_total());
}

std::int64_t Replica::waiting() const {
  std::int64_t waiting = 0;
  for (const Rank& rank : ranks_) waiting += static_cast<std::int64_t>(rank.waiting.size());
  return waiting;
}

std::int64_t Replica::running() const {
  std::int64_t running = 0;
  for (const Rank& rank : ranks_)
    running += rank.decode.size() + rank.fetching +
               static_cast<std::int64_t>(rank.prefilling.size() + rank.fetched.size() + rank.ready.size());
  return running;
}

void Replica::poke() {
  if (span_.active) {
    cut();
  } else {
    start();
  }
}

void Replica::cut() {
  if (!span_.active || span_.kind != SpanKind::decode || span_.steps - span_.settled <= 1) return;
  const std::int64_t whole =
      std::max(span_.settled, curve_.steps_within(simulation_.now() - span_.start, span_.steps));
  if (whole + 1 >= span_.steps) return;
  span_.steps = whole + 1;
  span_.end = span_.start + curve_.until(span_.steps);
  schedule_end();
}

void Replica::schedule_end() {
  simulation_.at(span_.end, [this, version = ++version_] {
    if (version == version_) end_span();
  });
}

void Replica::plan() {
  for (Rank& rank : ranks_) {
    resume_paused_and_ready(rank);
    const bool preempted = !make_room(rank);
    if (!preempted) start_fetches(rank);
    plan_batch(setup_.rules, view(rank, !preempted), rank.plan);
    if (!preempted) continue;
    rank.plan.for_one_step = true;  // the next step admits again
    rank.plan.blocked_by_memory = true;
  }
  if (setup_.rules.balance_steps > 0 && ranks_.size() > 1) balance();
}

// TensorRT-LLM with attention data parallelism and enable_balance: prompts start only when every rank has
// one, or after so many steps of waiting (serving engines decode meanwhile).
void Replica::balance() {
  const auto prompts = std::ranges::count_if(ranks_, [](const Rank& r) { return !r.plan.chunks.empty(); });
  const bool decodes = std::ranges::any_of(ranks_, [](const Rank& r) { return r.decode.size() > 0; });
  const bool uneven = prompts > 0 && prompts < static_cast<std::ptrdiff_t>(ranks_.size());
  if (!uneven || !decodes || balanced_for_ >= setup_.rules.balance_steps) {
    if (prompts > 0) balanced_for_ = 0;
    return;
  }
  ++balanced_for_;
  for (Rank& rank : ranks_) {
    plan_batch(setup_.rules, view(rank, false), rank.plan);
    rank.plan.for_one_step = true;
  }
}

void Replica::start() {
  settle();
  drop_cancelled();
  if (span_.active) return;  // what the listener did with the room has started one
  plan();
  std::int64_t sequences = 0;
  bool prompts = false;
  for (const Rank& rank : ranks_) {
    sequences += rank.plan.sequences;
    prompts = prompts || !rank.plan.chunks.empty();
  }
  if (!prompts && sequences == 0) {
    expect(std::ranges::all_of(ranks_,
                               [](const Rank& rank) {
                                 return rank.decode.empty() && rank.prefilling.empty() && rank.ready.empty();
                               }),
           "a replica with work in progress plans an empty step");
    if (waiting() == 0 && kv_used() == 0) {
      listener_.went_idle(id_);
    } else if (is_stalled()) {
      listener_.stalled(id_);
    }
    return;
  }
  bool room_freed = false;
  bool short_of_room = false;
  contexts_.clear();
  for (Rank& rank : ranks_) {
    const std::int64_t decoding = rank.plan.sequences;
    rank.pauses = decoding < rank.decode.size() ? rank.pauses + 1 : 0;
    if (decoding > 0 && decoding < rank.decode.size()) pause_all_but(rank, decoding);
    const bool held_room_back = preempted_waits(rank);
    admit(rank);
    room_freed = room_freed || (held_room_back && !preempted_waits(rank));
    short_of_room = short_of_room || rank.plan.blocked_by_memory;
    contexts_.push_back(decoding > 0 ? rank.decode.context() : DecodeContext{});
  }
  if (room_freed) listener_.room_freed(id_);

  const Seconds now = simulation_.now();
  span_ = {.kind = !prompts        ? SpanKind::decode
                   : sequences > 0 ? SpanKind::mixed
                                   : SpanKind::prefill,
           .start = now,
           .end = now,
           .steps = 1,
           .settled = 0,
           .settled_at = now,
           .sequences = sequences,
           .short_of_room = short_of_room,
           .active = true};
  if (prompts) {
    start_step();
  } else {
    start_decode();
  }
  if (setup_.stream_level) start_stream();
  if (!span_.streams) schedule_end();
}

// Tokens of decoding contexts for which a rank's own memory has room. What is read comes first there: the KV
// caches of requests that only wait lie in the tier.
double Replica::own_tokens(std::size_t rank) const {
  const BlockCount own = ranks_[rank].kv.total() - setup_.cold_blocks -
                         contexts_[rank].sequences * setup_.fixed.blocks(setup_.fixed.reach);
  return static_cast<double>(own * setup_.decode.block_tokens);
}

// Steps of a batch that read nothing cold, or one that does.
std::int64_t Replica::steps_before_cold(std::size_t rank) const {
  const Growing& read = contexts_[rank].all;
  const double room = own_tokens(rank) - read.at;
  return room < 0 ? 1 : 1 + static_cast<std::int64_t>(std::min(room / read.per_step, 1e15));
}

void Replica::start_stream() {
  double tokens = 0;
  for (std::size_t i = 0; i < ranks_.size(); ++i)
    if (contexts_[i].sequences > 0) tokens += std::max(contexts_[i].all.at - own_tokens(i), 0.0);
  const Bytes bytes = setup_.work.resident_kv_bytes_per_token() * tokens;
  if (bytes.si <= 0) return;
  span_.streams = true;
  computed_ = span_.end;
  span_.end = kNever;
  const Seconds alone = setup_.tiers->stream(id_, *setup_.stream_level, bytes, [this] {
    const Seconds now = simulation_.now();
    // Computed before: it has waited for the last bytes.
    if (now > computed_) span_.limit = Regime::capacity;
    span_.end = std::max(now, computed_);
    schedule_end();
  });
  if (alone > computed_ - span_.start) span_.limit = Regime::capacity;
}

void Replica::start_decode() {
  if (!single_steps_) {
    span_.steps = std::numeric_limits<std::int64_t>::max();
    for (Rank& rank : ranks_) {
      if (rank.plan.sequences == 0) continue;
      span_.steps = std::min(span_.steps, rank.decode.steps_to_change());
      if (!setup_.rules.reserve_output)
        span_.steps = std::min(span_.steps, rank.decode.steps_within(rank.kv.free(), span_.steps));
    }
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      if (!ranks_[i].paused.empty() || ranks_[i].plan.for_one_step) span_.steps = 1;
      if (setup_.stream_level && contexts_[i].sequences > 0)
        span_.steps = std::min(span_.steps, steps_before_cold(i));
    }
    span_.steps = std::max<std::int64_t>(1, span_.steps);
  }
  setup_.service.decode(contexts_, span_.steps, curve_);
  span_.limit = limiting(curve_.parts(span_.steps / 2));
  span_.end = span_.start + curve_.until(span_.steps);
}

void Replica::start_step() {
  steps_.clear();
  for (std::size_t i = 0; i < ranks_.size(); ++i) steps_.push_back({ranks_[i].chunks, contexts_[i]});
  const StepParts parts = setup_.service.step(steps_);
  span_.limit = limiting(parts);
  span_.end = span_.start + parts.total();
  count_step_work(parts.total());
  for (const Rank& rank : ranks_)
    for (const PlannedChunk& chunk : rank.plan.chunks)
      listener_.chunk_started(id_, chunk.ref, chunk.tokens, parts.total());
}

void Replica::count_step_work(Seconds time) {
  double tokens = 0;
  double completed = 0;
  Work attention;
  Contexts read;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    for (const PrefillChunk& chunk : ranks_[i].chunks) {
      tokens += static_cast<double>(chunk.tokens);
      completed += chunk.completes ? 1 : 0;
      attention += setup_.work.prefill_attention(chunk.prefix, chunk.tokens);
    }
    read.all += contexts_[i].all.at;
    read.within += contexts_[i].within.at;
  }
  // Each micro-batch of a mixed step reads the weights once; each phase bears its share of the tokens.
  const double computed = static_cast<double>(span_.sequences) * setup_.service.tokens_per_sequence();
  const double share = tokens / (tokens + computed);
  const double reads = setup_.service.micro_batches(tokens + computed);
  prefill_work_ = setup_.work.linear(tokens, completed, share * reads) + attention;
  decode_work_ = {};
  if (span_.sequences > 0)
    decode_work_ = setup_.work.linear(computed, computed, (1 - share) * reads) +
                   setup_.work.decode_attention(read, computed, setup_.service.tokens_per_sequence());
  span_.power = draw(prefill_work_ + decode_work_, 1, tokens + computed, time);
}

BatchView Replica::view(const Rank& rank, bool admitting) const {
  const BlockCount growth = setup_.rules.reserve_output ? 0 : rank.decode.new_blocks(1);
  return {.requests = requests_,
          .prefilling = rank.prefilling,
          .waiting = rank.waiting,
          .decoding = rank.decode.size(),
          .pauses = rank.pauses,
          .free_blocks = rank.kv.free() - growth,
          .block_tokens = setup_.decode.block_tokens,
          .admitting = admitting,
          .fixed = setup_.fixed,
          .replica = id_,
          .cache = &rank.kv,
          .now = simulation_.now()};
}

void Replica::resume_paused_and_ready(Rank& rank) {
  // Those that were kept out go to the old end, so that the next pause falls on others.
  for (; !rank.paused.empty(); rank.paused.pop_front())
    join(rank, rank.paused.front(), requests_[rank.paused.front()].kv_length, true);
  const auto place_left = [&] {
    return rank.decode.size() + static_cast<std::int64_t>(rank.prefilling.size()) <
           setup_.rules.max_sequences;
  };
  for (; !rank.fetched.empty() && place_left(); rank.fetched.pop_front())
    rank.prefilling.push_back(rank.fetched.front());
  while (!rank.ready.empty() && place_left()) {
    join(rank, rank.ready.front(), requests_[rank.ready.front()].kv_length, false);
    rank.ready.pop_front();
  }
}

void Replica::join(Rank& rank, RequestRef ref, TokenCount kv_length, bool oldest) {
  rank.decode.join(ref, kv_length, oldest);
  rank.newcomers.push_back({ref, requests_[ref].membership});
}

// Victims are those that came last. One that was preempted before joins the batch as its oldest member, so
// that it is not the next victim again.
bool Replica::make_room(Rank& rank) {
  if (setup_.rules.reserve_output) return true;
  bool enough = true;
  while (!rank.decode.empty() && rank.decode.new_blocks(1) > rank.kv.free()) {
    enough = false;
    if (!rank.ready.empty()) {
      const RequestRef ref = rank.ready.back();
      rank.ready.pop_back();
      preempt(rank, ref, requests_[ref].last_token, requests_[ref].kv_length);
    } else if (!rank.fetched.empty()) {
      const RequestRef ref = rank.fetched.back();
      rank.fetched.pop_back();
      preempt(rank, ref, requests_[ref].last_token, 0);
    } else if (!rank.prefilling.empty() && !requests_[rank.prefilling.back()].preempted) {
      const RequestRef ref = rank.prefilling.back();
      rank.prefilling.pop_back();
      preempt(rank, ref, requests_[ref].last_token, 0);
    } else {
      const RequestRef ref = rank.decode.youngest();
      Request& request = requests_[ref];
      const Seconds last = rank.decode.has_decoded(ref) ? rank.last_decode_end : request.last_token;
      const TokenCount kv_length = rank.decode.leave(ref);
      request.reserved = held(request, kv_length);
      preempt(rank, ref, last, kv_length);
    }
  }
  return enough;
}

void Replica::preempt(Rank& rank, RequestRef ref, Seconds last_token, TokenCount kv_length) {
  Request& request = requests_[ref];
  request.examined = false;
  if (kv_length > 0 && setup_.swap_level) swap_out(rank, ref, kv_length);
  give_back(rank, request, request.reserved);
  request.last_token = last_token;
  request.prefilled = 0;
  request.prefill_target = request.record.prompt_tokens + request.generated;
  request.preempted = true;
  ++request.record.preemptions;
  ++usage_.preemptions;
  book_waiting();
  request.queued_at = simulation_.now();
  // The preempted wait in order of arrival, before all others.
  const auto later = std::find_if(rank.waiting.begin(), rank.waiting.end(), [&](RequestRef other) {
    return !requests_[other].preempted || requests_[other].record.id > request.record.id;
  });
  rank.waiting.insert(later, ref);
}

void Replica::pause_all_but(Rank& rank, std::int64_t sequences) {
  while (rank.decode.size() > sequences) {
    const RequestRef ref = rank.decode.youngest();
    Request& request = requests_[ref];
    if (rank.decode.has_decoded(ref)) request.last_token = rank.last_decode_end;
    request.kv_length = rank.decode.leave(ref);
    request.reserved = held(request, request.kv_length);
    rank.paused.push_back(ref);
  }
}

void Replica::admit(Rank& rank) {
  rank.chunks.clear();
  // All find what the plan has seen before any takes blocks, for which others are evicted.
  for (const PlannedChunk& planned : rank.plan.chunks) {
    if (planned.cached == 0) continue;
    Request& request = requests_[planned.ref];
    request.prefix = rank.kv.lock(*request.content, planned.cached, simulation_.now());
    request.shared = planned.cached / rank.kv.block_tokens();
    request.prefilled = planned.cached;
  }
  for (const PlannedChunk& planned : rank.plan.chunks) {
    Request& request = requests_[planned.ref];
    if (planned.blocks > 0) {
      take(rank, planned.blocks);
      request.reserved = planned.blocks;
      expect(rank.waiting.front() == planned.ref, "requests are admitted out of order");
      leave_queue(rank, 0);
      rank.prefilling.push_back(planned.ref);
      book_admission(request, planned.cached);
    }
    rank.chunks.push_back({.prefix = request.prefilled,
                           .tokens = planned.tokens,
                           .completes = request.prefilled + planned.tokens == request.prefill_target});
  }
}

void Replica::book_admission(Request& request, TokenCount cached) {
  if (request.admitted) return;
  request.admitted = true;
  request.record.first_scheduled = simulation_.now();
  request.record.cached_tokens = cached;
  ++usage_.prompts;
  usage_.prompt_tokens += request.record.prompt_tokens;
  usage_.cached_tokens += cached;
}

void Replica::take(Rank& rank, BlockCount blocks) {
  if (setup_.tiers == nullptr || !setup_.tiers->takes_evicted(id_)) {
    usage_.evicted_blocks += rank.kv.allocate(blocks);
    return;
  }
  const EvictionListener pass_on = [this](PromptContent path) {
    setup_.tiers->evicted(id_, 0, std::move(path));
  };
  usage_.evicted_blocks += rank.kv.allocate(blocks, &pass_on);
}

// Waiting requests of which a memory tier has more than this replica's cache: they take their blocks and wait
// for the KV cache beside the queue, while others are computed.
void Replica::start_fetches(Rank& rank) {
  if (setup_.tiers == nullptr) return;
  const BatchView seen = view(rank, true);
  BlockCount free = seen.free_blocks;
  std::int64_t looked_at = 0;
  for (std::size_t i = 0; i < rank.waiting.size() && looked_at < setup_.lookahead; ++looked_at) {
    Request& request = requests_[rank.waiting[i]];
    if (request.swapped) {
      // Nobody overtakes it: it came before all that have not been preempted.
      const BlockCount blocks = rank.kv.blocks_for(request.kv_length) + fixed_blocks(request);
      if (!request.swap_written || blocks > free) return;
      free -= blocks;
      swap_in(rank, i, blocks);
      continue;
    }
    const PrefixHit hit = rank.kv.find(request.content.get(), request.prefill_target - 1, simulation_.now());
    const BlockCount blocks = blocks_to_admit(setup_.rules, seen, request);
    if (blocks - hit.locked > free) return;
    free -= blocks - hit.locked;
    const auto offer = request.examined ? std::nullopt : best_offer(request, hit.tokens);
    request.examined = true;
    if (!offer) {
      ++i;
      continue;
    }
    const RequestRef ref = rank.waiting[i];
    const Seconds now = simulation_.now();
    if (hit.tokens > 0) request.prefix = rank.kv.lock(*request.content, hit.tokens, now);
    request.shared = hit.blocks;
    request.prefilled = hit.tokens;
    // First of all: what is evicted for its blocks may push out of the tiers what is to be fetched.
    setup_.tiers->fetch(id_, request.content, hit.tokens, *offer,
                        [this, ref, level = offer->level, tokens = offer->tokens, started = now] {
                          fetched(ref, level, tokens, started);
                        });
    take(rank, blocks - hit.blocks);
    request.reserved = blocks - hit.blocks;
    leave_queue(rank, i);
    book_admission(request, hit.tokens);
    request.record.fetch_expected = offer->time;
    request.record.recompute_expected = computing_takes(hit.tokens, offer->tokens);
    ++rank.fetching;
  }
}

// What is best fetched, if anything: of all offers and of none, what has the whole prompt ready first.
std::optional<TierOffer> Replica::best_offer(const Request& request, TokenCount cached) {
  // Only a prefix cache can hold what comes.
  if (request.content == nullptr || !setup_.prefix_cache || setup_.fetch == FetchRule::never)
    return std::nullopt;
  const TokenCount limit = std::min(request.prefill_target - 1, request.content->tokens);
  offers_.clear();
  setup_.tiers->offers(id_, *request.content, cached, limit, offers_);
  if (offers_.empty()) return std::nullopt;
  if (setup_.fetch == FetchRule::always) return offers_.back();
  std::optional<TierOffer> best;
  Seconds least = computing_takes(cached, request.prefill_target);
  for (const TierOffer& offer : offers_) {
    const Seconds time = offer.time + computing_takes(offer.tokens, request.prefill_target);
    if (time >= least) continue;
    least = time;
    best = offer;
  }
  return best;
}

// A step that computes these tokens of a prompt and nothing else.
Seconds Replica::computing_takes(TokenCount prefix, TokenCount end) {
  const PrefillChunk chunk{.prefix = prefix, .tokens = end - prefix, .completes = false};
  steps_.assign(ranks_.size(), {});
  steps_.front().chunks = std::span(&chunk, 1);
  return setup_.service.step(steps_).total();
}

void Replica::fetched(RequestRef ref, std::uint32_t level, TokenCount tokens, Seconds started) {
  settle();
  Request& request = requests_[ref];
  Rank& rank = rank_of(ref);
  --rank.fetching;
  const TokenCount fetched = tokens - request.prefilled;
  request.record.fetched_tokens += fetched;
  request.record.fetch_took += simulation_.now() - started;
  tell_stretch(StretchKind::fetch, request, started, level);
  usage_.fetched_tokens += fetched;
  request.prefilled = tokens;
  const BlockCount whole = tokens / rank.kv.block_tokens();
  const BlockCount computed = whole - request.shared;
  request.prefix = rank.kv.keep(request.prefix, *request.content, tokens, computed, simulation_.now());
  request.reserved -= computed;
  request.shared = whole;
  rank.fetched.push_back(ref);
  setup_.tiers->promote(id_, request.content, tokens, level);
  poke();
}

void Replica::swap_out(Rank& rank, RequestRef ref, TokenCount kv_length) {
  Request& request = requests_[ref];
  const BlockCount blocks = rank.kv.blocks_for(kv_length) + fixed_blocks(request);
  if (!setup_.tiers->take(id_, *setup_.swap_level, blocks)) return;
  request.swapped = true;
  request.swap_written = false;
  request.kv_length = kv_length;
  ++usage_.swaps;
  setup_.tiers->write(id_, *setup_.swap_level, blocks, [this, ref] {
    requests_[ref].swap_written = true;
    poke();
  });
}

void Replica::swap_in(Rank& rank, std::size_t position, BlockCount blocks) {
  const RequestRef ref = rank.waiting[position];
  Request& request = requests_[ref];
  take(rank, blocks);
  request.reserved = blocks;
  leave_queue(rank, position);
  ++rank.fetching;
  setup_.tiers->read(id_, *setup_.swap_level, blocks, [this, ref, blocks, started = simulation_.now()] {
    settle();
    tell_stretch(StretchKind::fetch, requests_[ref], started, *setup_.swap_level);
    setup_.tiers->give_back(id_, *setup_.swap_level, blocks);
    requests_[ref].swapped = false;
    Rank& home = rank_of(ref);
    --home.fetching;
    home.ready.push_back(ref);
    poke();
  });
}

void Replica::copy_down(const Request& request, TokenCount computed, TierWrite when) {
  if (setup_.tiers != nullptr && setup_.prefix_cache)
    setup_.tiers->copy(id_, request.content, computed, when);
}

// Ends a request's stay: its own blocks are free, and the prefix that it used can be evicted.
void Replica::give_back(Rank& rank, Request& request, BlockCount blocks) {
  rank.kv.release(blocks);
  rank.kv.unlock(request.prefix, simulation_.now());
  request.reserved = 0;
  request.prefix = PrefixTree::kRoot;
  request.shared = 0;
}

// What has been computed of a request stays in the cache for others, in whole blocks.
bool Replica::keep(Rank& rank, Request& request, TokenCount tokens) {
  if (!rank.kv.keeps_prefixes() || request.content == nullptr) return false;
  const BlockCount whole = std::min(request.content->tokens, tokens) / rank.kv.block_tokens();
  const BlockCount computed = whole - request.shared;
  if (computed <= 0) return false;
  const BlockCount before = rank.kv.free();
  request.prefix = rank.kv.keep(request.prefix, *request.content, whole * rank.kv.block_tokens(), computed,
                                simulation_.now());
  request.reserved -= computed;
  request.shared = whole;
  return rank.kv.free() > before;
}

void Replica::leave_queue(Rank& rank, std::size_t position) {
  book_waiting();
  ++usage_.admitted;
  const Request& request = requests_[rank.waiting[position]];
  usage_.waited_seconds += (simulation_.now() - request.queued_at).si;
  if (request.preempted) tell_stretch(StretchKind::stall, request, request.queued_at);
  rank.waiting.erase(rank.waiting.begin() + static_cast<std::ptrdiff_t>(position));
}

void Replica::tell_stretch(StretchKind kind, const Request& request, Seconds start, std::size_t level) const {
  sink_.stretch({.request = request.record.id,
                 .replica = id_,
                 .kind = kind,
                 .start = start,
                 .end = simulation_.now(),
                 .tier = kind == StretchKind::fetch ? setup_.tiers->tier_at(id_, level) : 0});
}

void Replica::settle() {
  const Seconds now = simulation_.now();
  if (span_.active && span_.kind == SpanKind::decode && span_.settled < span_.steps) {
    const std::int64_t whole =
        now >= span_.end ? span_.steps : curve_.steps_within(now - span_.start, span_.steps - 1);
    if (whole > span_.settled) book_decode(whole - span_.settled);
  }
  book_time(now);
  book_waiting();
}

Regime Replica::regime() const {
  if (span_.active) return span_.short_of_room || hand_offs_waiting_ ? Regime::capacity : span_.limit;
  std::int64_t awaited = 0;
  for (const Rank& rank : ranks_) {
    if (rank.fetching > 0) return Regime::network;
    if (!rank.waiting.empty()) return Regime::capacity;
    awaited += rank.awaited;
  }
  if (hand_offs_waiting_) return Regime::capacity;
  return awaited > 0 ? Regime::network : Regime::idle;
}

void Replica::book_decode(std::int64_t steps) {
  const auto count = static_cast<double>(steps);
  const Seconds from = span_.settled_at;
  const Seconds until =
      span_.settled + steps == span_.steps ? span_.end : span_.start + curve_.until(span_.settled + steps);
  const Seconds first_end = steps == 1 ? until : span_.start + curve_.until(span_.settled + 1);

  Contexts contexts;
  TokenCount tokens = 0;
  BlockCount blocks = 0;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    if (contexts_[i].sequences == 0) continue;
    Rank& rank = ranks_[i];
    book_gaps(rank, steps, from, first_end);
    const auto read = [&](const Growing& g) {
      return Growing{g.after(static_cast<double>(span_.settled)), g.per_step}.sum(count);
    };
    contexts.all += read(contexts_[i].all);
    contexts.within += read(contexts_[i].within);
    tokens += contexts_[i].sequences * rank.decode.tokens_in(steps);
    if (!setup_.rules.reserve_output) blocks += rank.decode.new_blocks(steps);
  }
  const auto sequences = static_cast<double>(span_.sequences);
  const double computed = sequences * setup_.service.tokens_per_sequence();
  Work done = setup_.work.linear(computed, computed, setup_.service.micro_batches(computed)) * count;
  done += setup_.work.decode_attention(contexts, computed * count, setup_.service.tokens_per_sequence());
  usage_.decode += done;
  usage_.energy += draw(done, count, computed, until - from) * (until - from);
  usage_.decode_tokens += tokens;
  usage_.sequence_steps += sequences * count;
  usage_.context_steps += contexts.all;
  usage_.decode_steps += steps;
  usage_.steps += steps;
  if (!setup_.rules.reserve_output) {
    book_time(from);
    // Blocks are taken evenly over the span: book half of them for its whole length.
    usage_.kv_seconds +=
        static_cast<double>(blocks) / static_cast<double>(kv_total()) / 2 * (until - from).si;
    book_time(until);
  }
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    if (contexts_[i].sequences == 0) continue;
    Rank& rank = ranks_[i];
    if (!setup_.rules.reserve_output) take(rank, rank.decode.new_blocks(steps));
    rank.decode.advance(steps);
    rank.last_decode_end = until;
  }
  span_.settled += steps;
  span_.settled_at = until;
}

Watts Replica::draw(Work work, double steps, double tokens, Seconds time) const {
  if (setup_.power.tdp.si <= 0 || time <= Seconds{0}) return {};
  const double micro_batches = setup_.service.micro_batches(tokens);
  work.flops +=
      setup_.work.empty_expert_rows(tokens / micro_batches, setup_.power.tile_rows) * (micro_batches * steps);
  return setup_.power.draw(work, time);
}

void Replica::book_gaps(Rank& rank, std::int64_t steps, Seconds from, Seconds first_end) {
  const std::int64_t members = rank.decode.size();
  const std::int64_t fresh = book_newcomers(rank, first_end);
  const std::int64_t old = members - fresh;
  std::int64_t done = span_.settled;
  if (fresh > 0 || from != rank.last_decode_end || span_.streams) {
    if (old > 0)
      sink_.gaps(first_end,
                 {.first = first_end - rank.last_decode_end, .step = {}, .count = 1, .weight = old});
    ++done;
  }
  const std::int64_t last = span_.settled + steps;
  for (std::size_t i = 0; i < curve_.segments().size() && done < last; ++i) {
    const std::int64_t end =
        i + 1 < curve_.segments().size() ? std::min(curve_.segments()[i + 1].first, last) : last;
    if (end <= done) continue;
    sink_.gaps(first_end, {.first = curve_.step(done),
                           .step = curve_.segments()[i].per_step.total(),
                           .count = end - done,
                           .weight = members});
    done = end;
  }
}

// The first gap of those that joined since the last decode step runs from their own last token. Returns their
// number.
std::int64_t Replica::book_newcomers(Rank& rank, Seconds first_end) {
  std::int64_t fresh = 0;
  for (const Newcomer& newcomer : rank.newcomers) {
    Request& request = requests_[newcomer.ref];
    if (!request.decoding || request.membership != newcomer.membership) continue;
    ++fresh;
    book_gap(request, first_end);
  }
  rank.newcomers.clear();
  return fresh;
}

void Replica::show_first_token(Request& request, Seconds now) {
  request.streams_from_decode = false;
  request.record.first_token = now;
}

// The gap before a token that comes now, unless it is the first that the client sees.
void Replica::book_gap(Request& request, Seconds now) {
  if (request.streams_from_decode) return show_first_token(request, now);
  sink_.gaps(now, {.first = now - request.last_token, .step = {}, .count = 1, .weight = 1});
}

void Replica::end_span() {
  settle();
  if (span_.kind != SpanKind::decode) book_prefill_step();
  span_.active = false;
  TokenCount prefill_tokens = 0;
  for (const Rank& rank : ranks_)
    for (const PrefillChunk& chunk : rank.chunks) prefill_tokens += chunk.tokens;
  sink_.span({.replica = id_,
              .kind = span_.kind,
              .start = span_.start,
              .end = span_.end,
              .steps = span_.steps,
              .sequences = span_.sequences,
              .prefill_tokens = prefill_tokens});
  bool freed = false;
  for (Rank& rank : ranks_) {
    freed = finish_members(rank) || freed;
    freed = finish_prompts(rank) || freed;
  }
  if (freed) listener_.room_freed(id_);
  if (!span_.active) start();
}

void Replica::book_prefill_step() {
  usage_.prefill += prefill_work_;
  usage_.decode += decode_work_;
  for (const Rank& rank : ranks_)
    for (const PrefillChunk& chunk : rank.chunks) usage_.prefill_tokens += chunk.tokens;
  ++usage_.steps;
  if (span_.sequences == 0) return;
  usage_.sequence_steps += static_cast<double>(span_.sequences);
  for (const DecodeContext& context : contexts_) usage_.context_steps += context.all.at;
  ++usage_.decode_steps;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    if (contexts_[i].sequences == 0) continue;
    Rank& rank = ranks_[i];
    const std::int64_t fresh = book_newcomers(rank, span_.end);
    if (rank.decode.size() > fresh)
      sink_.gaps(span_.end, {.first = span_.end - rank.last_decode_end,
                             .step = {},
                             .count = 1,
                             .weight = rank.decode.size() - fresh});
    usage_.decode_tokens += rank.decode.size() * rank.decode.tokens_in(1);
    if (!setup_.rules.reserve_output) take(rank, rank.decode.new_blocks(1));
    rank.decode.advance(1);
    rank.last_decode_end = span_.end;
  }
}

bool Replica::finish_members(Rank& rank) {
  bool freed = false;
  while (const auto ref = rank.decode.take_finished()) {
    Request& request = requests_[*ref];
    const TokenCount computed = rank.decode.kv_length(*ref);
    keep(rank, request, computed);
    copy_down(request, computed, TierWrite::write_on_completion);
    end_stay(rank, request, held(request, computed), true);
    request.record.last_token = rank.last_decode_end;
    freed = true;
    if (request.cancelled) std::erase(cancelled_, *ref);
    listener_.finished(id_, *ref);
  }
  return freed;
}

bool Replica::finish_prompts(Rank& rank) {
  bool freed = false;
  if (rank.chunks.empty()) return freed;
  const Seconds now = simulation_.now();
  std::size_t kept = 0;
  for (const PlannedChunk& chunk : rank.plan.chunks) {
    const RequestRef ref = chunk.ref;
    Request& request = requests_[ref];
    request.prefilled += chunk.tokens;
    if (request.prefilled < request.prefill_target) {
      rank.prefilling[kept++] = ref;
      continue;
    }
    freed = keep(rank, request, request.prefill_target) || freed;
    copy_down(request, request.prefill_target, TierWrite::write_through);
    if (request.generated == 0) {
      request.record.prefill_end = now;
      if (!request.streams_from_decode || request.remaining() == 1) show_first_token(request, now);
    } else {
      book_gap(request, now);
    }
    listener_.prompt_computed(id_, ref);
    ++request.generated;
    request.last_token = now;
    if (request.remaining() == 0) {
      copy_down(request, request.prefill_target, TierWrite::write_on_completion);
      end_stay(rank, request, request.reserved, true);
      request.record.last_token = now;
      freed = true;
      if (request.cancelled) std::erase(cancelled_, ref);
      listener_.finished(id_, ref);
    } else if (request.cancelled) {
      give_back(rank, request, request.reserved);
      freed = true;
      std::erase(cancelled_, ref);
      listener_.cancelled(id_, ref);
    } else if (request.leaves_after_prefill(id_)) {
      listener_.prefill_ended(ref);
    } else {
      join(rank, ref, request.prefill_target, request.preempted);
    }
  }
  // Chunks are planned for a prefix of the prompts in progress; the rest keeps its order behind those
  // unfinished.
  for (std::size_t i = rank.plan.chunks.size(); i < rank.prefilling.size(); ++i)
    rank.prefilling[kept++] = rank.prefilling[i];
  rank.prefilling.resize(kept);
  rank.chunks.clear();
  return freed;
}

BlockCount Replica::held(const Request& request, TokenCount kv_length) const {
  if (setup_.rules.reserve_output) return request.reserved;
  return ranks_.front().kv.blocks_for(kv_length) - request.shared + fixed_blocks(request);
}

void Replica::book_waiting() {
  const Seconds now = simulation_.now();
  usage_.waiting_seconds += static_cast<double>(waiting()) * (now - waiting_booked_).si;
  waiting_booked_ = now;
}

void Replica::book_time(Seconds until) {
  if (until <= booked_) return;
  const Seconds passed = until - booked_;
  usage_.regimes[static_cast<std::size_t>(regime())] += passed;
  if (span_.active) usage_.busy += passed;
  if (span_.active && span_.kind != SpanKind::decode) usage_.energy += span_.power * passed;
  usage_.kv_seconds += kv_occupancy() * passed.si;
  if (setup_.prefix_cache) {
    BlockCount cached = 0;
    for (const Rank& rank : ranks_) cached += rank.kv.evictable();
    usage_.cached_seconds += static_cast<double>(cached) / static_cast<double>(kv_total()) * passed.si;
  }
  booked_ = until;
}

void Replica::audit() const {
  for (const Rank& rank : ranks_) rank.kv.audit();
}

std::string Replica::whereabouts(RequestRef ref) const {
  const Request& request = requests_[ref];
  const Rank& rank = ranks_[request.rank];
  const auto in = [&](const auto& queue) { return std::ranges::find(queue, ref) != queue.end(); };
  const std::string room =
      std::to_string(rank.kv.free()) + " of " + std::to_string(rank.kv.total()) + " are free";
  if (in(rank.waiting)) {
    if (request.swapped && !request.swap_written) return "is on its way to a memory tier";
    const BlockCount blocks = request.swapped ? rank.kv.blocks_for(request.kv_length) + fixed_blocks(request)
                                              : blocks_to_admit(setup_.rules, view(rank, true), request);
    return std::string(request.swapped ? "was swapped out and waits for " : "waits for ") +
           std::to_string(blocks) + " KV blocks, of which " + room;
  }
  if (in(rank.prefilling) || in(rank.fetched)) return "is being prefilled";
  if (in(rank.ready) || in(rank.paused) || request.decoding) return "decodes";
  return rank.fetching > 0 ? "fetches its KV cache from a memory tier" : "";
}

std::string Replica::room_for(RequestRef ref) const {
  const Request& request = requests_[ref];
  const TokenCount tokens = setup_.rules.reserve_output ? request.final_tokens() - 1 : request.prefill_target;
  const Rank& rank = ranks_.front();
  return std::to_string(rank.kv.blocks_for(tokens) + fixed_blocks(request)) + " KV blocks, of which " +
         std::to_string(rank.kv.free()) + " of " + std::to_string(rank.kv.total()) + " are free";
}

void Replica::expect_empty() const {
  expect(kv_used() == 0 || !pins_.empty(), "KV blocks are held after the last request");
  expect(std::ranges::all_of(ranks_, [](const Rank& r) { return r.requests() == 0 && r.awaited == 0; }),
         "requests are left in a replica after the last event");
}

}  // namespace disagg
