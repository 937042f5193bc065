#include "sim/serving/replica.hpp"

#include <algorithm>

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
  busy += other.busy;
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
  negative.busy = -negative.busy;
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
      single_steps_(single_steps),
      kv_(setup.kv_blocks, setup.block_tokens),
      decode_(requests, setup.block_tokens) {}

void Replica::enqueue(RequestRef ref) {
  settle();
  requests_[ref].queued_at = simulation_.now();
  waiting_.push_back(ref);
  // Behind another request that could not be admitted nothing changes before that one is.
  if (waiting_.size() == 1 || !span_.active) poke();
}

bool Replica::take_inbound(RequestRef ref) {
  Request& request = requests_[ref];
  TokenCount tokens = request.record.prompt_tokens;
  if (setup_.rules.reserve_output) tokens += request.record.output_tokens - 1;
  settle();
  if (preempted_waits()) return false;
  // Those that decode already come first: their next step's blocks are not given away.
  const BlockCount blocks = kv_.blocks_for(tokens);
  const BlockCount growth = setup_.rules.reserve_output ? 0 : decode_.new_blocks(1);
  if (blocks > kv_.free() - growth) return false;
  kv_.allocate(blocks);
  request.reserved_at_destination = blocks;
  ++inbound_;
  cut();  // the span was sized for the blocks that were free
  return true;
}

void Replica::await(RequestRef) {
  settle();
  ++awaited_;
}

void Replica::arrive(RequestRef ref) {
  settle();
  --inbound_;
  --awaited_;
  requests_[ref].reserved = requests_[ref].reserved_at_destination;
  ready_.push_back(ref);
  poke();
}

void Replica::release(RequestRef ref) {
  settle();
  kv_.release(requests_[ref].reserved);
  requests_[ref].reserved = 0;
  listener_.room_freed(id_);  // hand-offs that wait for this room came before the prompts that wait here
  poke();
}

void Replica::take_back(RequestRef ref) {
  settle();
  preempt(ref, requests_[ref].last_token);
  if (!span_.active) start();
}

void Replica::set_hand_offs_waiting(bool waiting) {
  if (waiting == hand_offs_waiting_) return;
  settle();
  hand_offs_waiting_ = waiting;
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
  const DecodeTime& time = setup_.service.decode(span_.sequences);
  const auto growth = static_cast<double>(span_.sequences);
  const std::int64_t left = span_.steps - span_.settled;
  const std::int64_t whole =
      time.steps_within(decode_.context(), growth, simulation_.now() - span_.settled_at, left);
  if (whole + 1 >= left) return;
  span_.steps = span_.settled + whole + 1;
  span_.end = span_.settled_at + time.span(decode_.context(), growth, whole + 1);
  schedule_end();
}

void Replica::schedule_end() {
  simulation_.at(span_.end, [this, version = ++version_] {
    if (version == version_) end_span();
  });
}

void Replica::start() {
  settle();
  resume_paused_and_ready();
  const bool preempted = !make_room();
  plan_batch(setup_.rules, view(!preempted), plan_);
  if (preempted) plan_.for_one_step = true;  // the next step admits again
  if (plan_.chunks.empty() && plan_.sequences == 0) {
    expect(decode_.empty() && prefilling_.empty() && ready_.empty(),
           "a replica with work in progress plans an empty step");
    if (waiting_.empty() && kv_.used() == 0) {
      listener_.went_idle(id_);
    } else if (is_stalled()) {
      listener_.stalled(id_);
    }
    return;
  }
  pauses_ = plan_.sequences < decode_.size() ? pauses_ + 1 : 0;
  if (plan_.sequences > 0 && plan_.sequences < decode_.size()) pause_all_but(plan_.sequences);
  const bool held_room_back = preempted_waits();
  admit(plan_);
  if (held_room_back && !preempted_waits()) listener_.room_freed(id_);

  const Seconds now = simulation_.now();
  span_ = {.kind = chunks_.empty()       ? SpanKind::decode
                   : plan_.sequences > 0 ? SpanKind::mixed
                                         : SpanKind::prefill,
           .start = now,
           .end = now,
           .steps = 1,
           .settled = 0,
           .settled_at = now,
           .sequences = plan_.sequences,
           .active = true};
  StepParts parts;
  if (span_.kind == SpanKind::decode) {
    if (!single_steps_) {
      span_.steps = decode_.steps_to_finish();
      if (!setup_.rules.reserve_output)
        span_.steps = std::max<std::int64_t>(1, decode_.steps_within(kv_.free(), span_.steps));
      if (!paused_.empty() || plan_.for_one_step) span_.steps = 1;
    }
    const DecodeTime& time = setup_.service.decode(span_.sequences);
    const auto growth = static_cast<double>(span_.sequences);
    parts = time.parts(decode_.context() + growth * static_cast<double>(span_.steps - 1) / 2);
    span_.end = now + time.span(decode_.context(), growth, span_.steps);
  } else {
    parts = setup_.service.step(chunks_, span_.sequences, span_.sequences > 0 ? decode_.context() : 0);
    span_.end = now + parts.total();
    for (const PlannedChunk& chunk : plan_.chunks)
      listener_.chunk_started(id_, chunk.ref, chunk.tokens, parts.total());
  }
  span_.limit = limiting(parts);
  span_.short_of_room = plan_.blocked_by_memory || preempted;
  schedule_end();
}

BatchView Replica::view(bool admitting) const {
  const BlockCount growth = setup_.rules.reserve_output ? 0 : decode_.new_blocks(1);
  return {.requests = requests_,
          .prefilling = prefilling_,
          .waiting = waiting_,
          .decoding = decode_.size(),
          .pauses = pauses_,
          .free_blocks = kv_.free() - growth,
          .block_tokens = setup_.block_tokens,
          .admitting = admitting,
          .replica = id_};
}

void Replica::resume_paused_and_ready() {
  // Those that were kept out go to the old end, so that the next pause falls on others.
  for (; !paused_.empty(); paused_.pop_front())
    join(paused_.front(), requests_[paused_.front()].kv_length, true);
  while (!ready_.empty() &&
         decode_.size() + static_cast<std::int64_t>(prefilling_.size()) < setup_.rules.max_sequences) {
    join(ready_.front(), requests_[ready_.front()].record.prompt_tokens, false);
    ready_.pop_front();
  }
}

void Replica::join(RequestRef ref, TokenCount kv_length, bool oldest) {
  decode_.join(ref, kv_length, oldest);
  newcomers_.push_back({ref, requests_[ref].membership});
}

// Victims are those that came last. One that was preempted before joins the batch as its oldest member, so
// that it is not the next victim again.
bool Replica::make_room() {
  if (setup_.rules.reserve_output) return true;
  bool enough = true;
  while (!decode_.empty() && decode_.new_blocks(1) > kv_.free()) {
    enough = false;
    if (!ready_.empty()) {
      const RequestRef ref = ready_.back();
      ready_.pop_back();
      preempt(ref, requests_[ref].last_token);
    } else if (!prefilling_.empty() && requests_[prefilling_.back()].record.preemptions == 0) {
      const RequestRef ref = prefilling_.back();
      prefilling_.pop_back();
      preempt(ref, requests_[ref].last_token);
    } else {
      const RequestRef ref = decode_.youngest();
      Request& request = requests_[ref];
      const Seconds last = decode_.has_decoded(ref) ? last_decode_end_ : request.last_token;
      request.reserved = held(request, decode_.leave(ref));
      preempt(ref, last);
    }
  }
  return enough;
}

void Replica::preempt(RequestRef ref, Seconds last_token) {
  Request& request = requests_[ref];
  kv_.release(request.reserved);
  request.reserved = 0;
  request.last_token = last_token;
  request.prefilled = 0;
  request.prefill_target = request.record.prompt_tokens + request.generated;
  ++request.record.preemptions;
  ++usage_.preemptions;
  book_waiting();
  request.queued_at = simulation_.now();
  // The preempted wait in order of arrival, before all others.
  const auto later = std::find_if(waiting_.begin(), waiting_.end(), [&](RequestRef other) {
    const RequestRecord& record = requests_[other].record;
    return record.preemptions == 0 || record.id > request.record.id;
  });
  waiting_.insert(later, ref);
}

void Replica::pause_all_but(std::int64_t sequences) {
  while (decode_.size() > sequences) {
    const RequestRef ref = decode_.youngest();
    Request& request = requests_[ref];
    if (decode_.has_decoded(ref)) request.last_token = last_decode_end_;
    request.kv_length = decode_.leave(ref);
    request.reserved = held(request, request.kv_length);
    paused_.push_back(ref);
  }
}

void Replica::admit(const BatchPlan& plan) {
  chunks_.clear();
  for (const PlannedChunk& planned : plan.chunks) {
    Request& request = requests_[planned.ref];
    if (planned.blocks > 0) {
      kv_.allocate(planned.blocks);
      request.reserved = planned.blocks;
      leave_queue(planned.ref);
      prefilling_.push_back(planned.ref);
    }
    chunks_.push_back({.prefix = request.prefilled,
                       .tokens = planned.tokens,
                       .completes = request.prefilled + planned.tokens == request.prefill_target});
    if (request.prefilled == 0 && request.generated == 0 && request.record.preemptions == 0)
      request.record.first_scheduled = simulation_.now();
  }
}

void Replica::leave_queue(RequestRef ref) {
  expect(waiting_.front() == ref, "requests are admitted out of order");
  book_waiting();
  ++usage_.admitted;
  usage_.waited_seconds += (simulation_.now() - requests_[ref].queued_at).si;
  waiting_.pop_front();
}

void Replica::settle() {
  const Seconds now = simulation_.now();
  if (span_.active && span_.kind == SpanKind::decode && span_.settled < span_.steps) {
    const std::int64_t left = span_.steps - span_.settled;
    const DecodeTime& time = setup_.service.decode(span_.sequences);
    const std::int64_t whole =
        now >= span_.end ? left
                         : time.steps_within(decode_.context(), static_cast<double>(span_.sequences),
                                             now - span_.settled_at, left - 1);
    if (whole > 0) book_decode(whole);
  }
  book_time(now);
  book_waiting();
}

Regime Replica::regime() const {
  if (span_.active) return span_.short_of_room || hand_offs_waiting_ ? Regime::capacity : span_.limit;
  if (!waiting_.empty() || hand_offs_waiting_) return Regime::capacity;
  return awaited_ > 0 ? Regime::network : Regime::idle;
}

void Replica::book_decode(std::int64_t steps) {
  const DecodeTime& time = setup_.service.decode(span_.sequences);
  const auto sequences = static_cast<double>(span_.sequences);
  const double context = decode_.context();
  const auto count = static_cast<double>(steps);
  const Seconds until = span_.settled + steps == span_.steps
                            ? span_.end
                            : span_.settled_at + time.span(context, sequences, steps);
  const Seconds first_end = steps == 1 ? until : span_.settled_at + time.step(context);
  book_gaps(time, context, steps, span_.settled_at, first_end);

  const double contexts = context * count + sequences * count * (count - 1) / 2;
  usage_.decode += setup_.work.linear(sequences, sequences, setup_.service.micro_batches(sequences)) * count;
  usage_.decode += setup_.work.attention(contexts, sequences * count, contexts);
  usage_.decode_tokens += span_.sequences * steps;
  usage_.sequence_steps += sequences * count;
  usage_.context_steps += contexts;
  usage_.decode_steps += steps;
  usage_.steps += steps;
  if (!setup_.rules.reserve_output) {
    book_time(span_.settled_at);
    const BlockCount blocks = decode_.new_blocks(steps);
    // Blocks are taken evenly over the span: book half of them for its whole length.
    usage_.kv_seconds +=
        static_cast<double>(blocks) / static_cast<double>(kv_.total()) / 2 * (until - span_.settled_at).si;
    book_time(until);
    kv_.allocate(blocks);
  }
  decode_.advance(steps);
  span_.settled += steps;
  span_.settled_at = until;
  last_decode_end_ = until;
}

void Replica::book_gaps(const DecodeTime& time, double context, std::int64_t steps, Seconds from,
                        Seconds first_end) {
  const std::int64_t fresh = book_newcomers(first_end);
  const std::int64_t old = span_.sequences - fresh;
  std::int64_t done = 0;
  if (fresh > 0 || from != last_decode_end_) {
    if (old > 0)
      sink_.gaps(first_end, {.first = first_end - last_decode_end_, .step = {}, .count = 1, .weight = old});
    done = 1;
  }
  const auto growth = static_cast<double>(span_.sequences);
  while (done < steps) {
    const double at = context + growth * static_cast<double>(done);
    const std::int64_t run = std::max<std::int64_t>(1, time.steps_before_change(at, growth, steps - done));
    const Seconds first = time.step(at);
    const Seconds rise = run > 1 ? time.step(at + growth) - first : Seconds{0};
    sink_.gaps(first_end, {.first = first, .step = rise, .count = run, .weight = span_.sequences});
    done += run;
  }
}

// The first gap of those that joined since the last decode step runs from their own last token. Returns their
// number.
std::int64_t Replica::book_newcomers(Seconds first_end) {
  std::int64_t fresh = 0;
  for (const Newcomer& newcomer : newcomers_) {
    const Request& request = requests_[newcomer.ref];
    if (!request.decoding || request.membership != newcomer.membership) continue;
    ++fresh;
    sink_.gaps(first_end, {.first = first_end - request.last_token, .step = {}, .count = 1, .weight = 1});
  }
  newcomers_.clear();
  return fresh;
}

void Replica::end_span() {
  settle();
  if (span_.kind != SpanKind::decode) book_prefill_step();
  span_.active = false;
  TokenCount prefill_tokens = 0;
  for (const PrefillChunk& chunk : chunks_) prefill_tokens += chunk.tokens;
  sink_.span({.replica = id_,
              .kind = span_.kind,
              .start = span_.start,
              .end = span_.end,
              .steps = span_.steps,
              .sequences = span_.sequences,
              .prefill_tokens = prefill_tokens});
  const bool members_finished = finish_members();
  const bool prompts_finished = finish_prompts();
  if (members_finished || prompts_finished) listener_.room_freed(id_);
  if (!span_.active) start();
}

void Replica::book_prefill_step() {
  double tokens = 0;
  double completed = 0;
  Work attention;
  for (const PrefillChunk& chunk : chunks_) {
    const auto length = static_cast<double>(chunk.tokens);
    tokens += length;
    completed += chunk.completes ? 1 : 0;
    attention += setup_.work.attention(causal_pairs(chunk.prefix, chunk.tokens), length,
                                       static_cast<double>(chunk.prefix) + length);
    usage_.prefill_tokens += chunk.tokens;
  }
  // Each micro-batch of a mixed step reads the weights once; each phase bears its share of the tokens.
  const auto sequences = static_cast<double>(span_.sequences);
  const double share = tokens / (tokens + sequences);
  const double reads = setup_.service.micro_batches(tokens + sequences);
  usage_.prefill += setup_.work.linear(tokens, completed, share * reads) + attention;
  ++usage_.steps;
  if (span_.sequences == 0) return;
  const Seconds end = span_.end;
  const std::int64_t fresh = book_newcomers(end);
  if (span_.sequences > fresh)
    sink_.gaps(end,
               {.first = end - last_decode_end_, .step = {}, .count = 1, .weight = span_.sequences - fresh});
  usage_.decode += setup_.work.linear(sequences, sequences, (1 - share) * reads) +
                   setup_.work.attention(decode_.context(), sequences, decode_.context());
  usage_.decode_tokens += span_.sequences;
  usage_.sequence_steps += sequences;
  usage_.context_steps += decode_.context();
  ++usage_.decode_steps;
  if (!setup_.rules.reserve_output) kv_.allocate(decode_.new_blocks(1));
  decode_.advance(1);
  last_decode_end_ = end;
}

bool Replica::finish_members() {
  bool freed = false;
  while (const auto ref = decode_.take_finished()) {
    Request& request = requests_[*ref];
    kv_.release(held(request, decode_.kv_length(*ref)));
    request.reserved = 0;
    request.record.last_token = last_decode_end_;
    freed = true;
    listener_.finished(id_, *ref);
  }
  return freed;
}

bool Replica::finish_prompts() {
  bool freed = false;
  if (chunks_.empty()) return freed;
  const Seconds now = simulation_.now();
  std::size_t kept = 0;
  for (const PlannedChunk& chunk : plan_.chunks) {
    const RequestRef ref = chunk.ref;
    Request& request = requests_[ref];
    request.prefilled += chunk.tokens;
    if (request.prefilled < request.prefill_target) {
      prefilling_[kept++] = ref;
      continue;
    }
    if (request.generated == 0) {
      request.record.first_token = now;
      listener_.prompt_computed(id_, ref);
    } else {
      sink_.gaps(now, {.first = now - request.last_token, .step = {}, .count = 1, .weight = 1});
    }
    ++request.generated;
    request.last_token = now;
    if (request.remaining() == 0) {
      kv_.release(request.reserved);
      request.reserved = 0;
      request.record.last_token = now;
      freed = true;
      listener_.finished(id_, ref);
    } else if (request.leaves_after_prefill(id_)) {
      listener_.prefill_ended(ref);
    } else {
      join(ref, request.prefill_target, request.record.preemptions > 0);
    }
  }
  // Chunks are planned for a prefix of the prompts in progress; the rest keeps its order behind those
  // unfinished.
  for (std::size_t i = plan_.chunks.size(); i < prefilling_.size(); ++i) prefilling_[kept++] = prefilling_[i];
  prefilling_.resize(kept);
  chunks_.clear();
  return freed;
}

BlockCount Replica::held(const Request& request, TokenCount kv_length) const {
  return setup_.rules.reserve_output ? request.reserved : kv_.blocks_for(kv_length);
}

void Replica::book_waiting() {
  const Seconds now = simulation_.now();
  usage_.waiting_seconds += static_cast<double>(waiting_.size()) * (now - waiting_booked_).si;
  waiting_booked_ = now;
}

void Replica::book_time(Seconds until) {
  if (until <= booked_) return;
  const Seconds passed = until - booked_;
  usage_.regimes[static_cast<std::size_t>(regime())] += passed;
  if (span_.active) usage_.busy += passed;
  usage_.kv_seconds += kv_.occupancy() * passed.si;
  booked_ = until;
}

void Replica::expect_empty() const {
  expect(kv_.used() == 0, "KV blocks are held after the last request");
  expect(waiting_.empty() && prefilling_.empty() && ready_.empty() && paused_.empty() && decode_.empty() &&
             inbound_ == 0 && awaited_ == 0,
         "requests are left in a replica after the last event");
}

}  // namespace disagg
