#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/ids.hpp"
#include "sim/engine/simulation.hpp"
#include "sim/intensity/transformer_work.hpp"
#include "sim/memory/kv_cache.hpp"
#include "sim/record/records.hpp"
#include "sim/service/service_time.hpp"
#include "sim/serving/batch_policy.hpp"
#include "sim/serving/decode_batch.hpp"
#include "sim/serving/memory_tiers.hpp"
#include "sim/serving/request.hpp"
#include "sim/serving/retention.hpp"
#include "sim/serving/spill.hpp"

namespace disagg {

// What limits a replica while time passes.
enum class Regime { compute, bandwidth, capacity, network, overhead, idle };
inline constexpr std::array<std::string_view, 6> kRegimeNames{"compute", "bandwidth", "capacity",
                                                              "network", "overhead",  "idle"};

// What a replica has done up to some time. Differences of two snapshots describe the time between them.
struct ReplicaUsage {
  std::array<Seconds, kRegimeNames.size()> regimes{};
  Work prefill, decode;  // work and traffic by phase
  TokenCount prefill_tokens = 0, decode_tokens = 0;
  std::int64_t steps = 0;
  double sequence_steps = 0;  // sum over decode steps of the sequences in them
  std::int64_t decode_steps = 0;
  double context_steps = 0;  // sum over decode steps of their total context, in tokens
  std::int64_t preemptions = 0;
  double waiting_seconds = 0;  // integral of the waiting queue's length
  std::int64_t admitted = 0;   // requests that left the waiting queue
  double waited_seconds = 0;   // their time in it
  double kv_seconds = 0;       // integral of the used share of the KV cache
  double cached_seconds = 0;   // integral of the share that holds prefixes which no request uses
  std::int64_t prompts = 0;    // that were admitted for the first time
  TokenCount prompt_tokens = 0,
             cached_tokens = 0,  // of prompts at their first admission: all, and in the cache
      fetched_tokens = 0;        // and fetched from memory tiers
  std::int64_t swaps = 0;        // of the preemptions, those that were written to a memory tier
  BlockCount evicted_blocks = 0;
  Seconds busy{};   // time with a step running
  Joules energy{};  // drawn by all accelerators meanwhile; none where their power is not known

  ReplicaUsage operator-(const ReplicaUsage& earlier) const;
  ReplicaUsage& operator+=(const ReplicaUsage& other);
};

// What a replica tells its cluster. Calls come in the middle of the replica's own work, so they must not call
// back into it, except where stated.
class ReplicaListener {
 public:
  virtual ~ReplicaListener() = default;
  // A step that computes `tokens` tokens of the prompt, or of its recomputation, starts now and takes
  // `duration`.
  virtual void chunk_started(ReplicaId, RequestRef, TokenCount tokens, Seconds duration) = 0;
  // The prompt is computed and its first token out. The request decodes elsewhere; its blocks stay taken
  // until Replica::release().
  virtual void prefill_ended(RequestRef) = 0;
  // Prompt tokens that no longer wait for a prefill here.
  virtual void prompt_computed(ReplicaId, RequestRef) = 0;
  // The last token is out and the blocks are free. The listener removes the request.
  virtual void finished(ReplicaId, RequestRef) = 0;
  // The request was cancelled and its blocks are free. The listener removes the request.
  virtual void cancelled(ReplicaId, RequestRef) = 0;
  // Blocks have become free, or may be given to hand-offs again. The listener may call take_inbound() of this
  // replica.
  virtual void room_freed(ReplicaId) = 0;
  // Blocks are taken, but nothing runs or is on its way. The listener may call take_back() of this replica.
  virtual void stalled(ReplicaId) = 0;
  // Nothing runs, waits or is on its way here.
  virtual void went_idle(ReplicaId) = 0;
};

// What the accelerators of a replica draw for work that they do in a time.
struct PowerMeter {
  PowerModel model;
  Watts tdp{};  // of all accelerators; 0: not known
  FlopsPerSecond tensor{};
  BytesPerSecond memory{};
  double tile_rows = 1;  // of the experts' products
  bool linked = false;   // several accelerators

  Watts draw(const Work& work, Seconds time) const {
    return tdp * model.draw(work.bytes / (memory * time), work.flops / (tensor * time), linked);
  }
  Watts idle() const { return tdp * model.idle; }
};
PowerMeter power_meter(const ReplicaShape& shape);

struct ReplicaSetup {
  const ServiceTime& service;
  const TransformerWork& work;
  PowerMeter power;
  BatchRules rules;
  BlockCount kv_blocks = 0;  // of one rank
  DecodeRules decode;
  std::size_t ranks = 1;  // data-parallel attention ranks
  FixedFootprint fixed{};
  std::optional<PrefixCacheRules> prefix_cache;
  RetentionPolicy retention;
  MemoryTiers* tiers = nullptr;  // none, or some that hold copies of prefixes
  FetchRule fetch = FetchRule::cheaper;
  std::int64_t lookahead = 1;               // waiting requests for which fetches may start early
  std::optional<std::size_t> swap_level;    // of the tiers, that takes preempted requests
  std::optional<std::size_t> stream_level;  // of the tiers, that holds the last `cold_blocks` of kv_blocks
  BlockCount cold_blocks = 0;               // of one rank
};

// One instance of the model: batches that run in spans, prompts in progress, queues, and KV caches. With
// data-parallel attention each rank has its own of all these, and all ranks step together: a step ends with
// the slowest (vLLM, SGLang and TensorRT-LLM alike, since experts are shared between the ranks).
//
// A span is a run of steps in which nothing but context lengths changes. Whatever can change the batch (an
// arrival, a hand-off, freed room) cuts the span at the next step boundary; an end of span that was overtaken
// is recognised by its version and dropped.
class Replica {
 public:
  Replica(ReplicaId id, const ReplicaSetup& setup, Simulation& simulation, RequestTable& requests,
          ReplicaListener& listener, RecordSink& sink, bool single_steps);

  // A request to prefill (and then decode, unless it hands off), behind all that wait.
  void enqueue(RequestRef ref);
  // Hand-offs: takes the blocks of a request that will come here; false, and nothing done, without room.
  // Requests that were preempted here come first: while one waits, no room is given away.
  bool take_inbound(RequestRef ref);
  // The prompt of a request taken by take_inbound() is computed; only its KV cache is still on its way.
  void await(RequestRef ref);
  // The KV cache of a request taken by take_inbound() and awaited has arrived.
  void arrive(RequestRef ref);
  // Frees the blocks of a request that was prefilled here and has left.
  void release(RequestRef ref);
  // Drops the KV cache of a request that was prefilled here and cannot leave: it is computed again and
  // decodes here.
  void take_back(RequestRef ref);
  // Gives the blocks of a request taken by take_inbound() back: it will not come. reconsider() must follow.
  void drop_inbound(RequestRef ref);
  // The client of a request that waits, is prefilled or decodes here has left: the request goes when the
  // running step is over, or what comes for it from a memory tier is here. If its last token is out by then
  // it counts as finished.
  void cancel(RequestRef ref);
  // A turn that was prefilled here has ended elsewhere: the time for which its context is pinned begins.
  void turn_ended(std::uint64_t session, std::uint32_t turn);
  // The turn after this one has come, here or elsewhere, or will not come: what is pinned for it can be
  // evicted.
  void unpin(std::uint64_t session, std::uint32_t turn);
  // Blocks have become free from outside.
  void reconsider();
  // The replica fails. Its span ends now: of a decode the whole steps count that are over, all other work in
  // it is lost. What is in its memory is lost with clear(), which follows when lose() has been called for
  // each request that was here.
  void stop();
  // Gives back what the request holds in memory tiers.
  void lose(RequestRef ref);
  void clear();
  // Whether hand-offs to this replica wait for room.
  void set_hand_offs_waiting(bool waiting);
  bool is_stalled() const;
  // Tokens of a prompt that would be found in the cache if it came now.
  TokenCount find_cached(const PromptContent* prompt, TokenCount tokens);

  // Books everything up to now. Needed before usage() or kv() is read between events.
  void settle();
  const ReplicaUsage& usage() const { return usage_; }
  const PowerMeter& power() const { return setup_.power; }
  // Drawn by the accelerators since the beginning, in steps and between them. Precondition: settled.
  Joules energy() const { return usage_.energy + setup_.power.idle() * (simulation_.now() - usage_.busy); }
  double kv_occupancy() const;  // share of the blocks that are taken
  BlockCount kv_used() const;
  BlockCount kv_total() const;
  const BatchRules& rules() const { return setup_.rules; }
  std::int64_t waiting() const;
  std::int64_t running() const;
  bool fits(TokenCount tokens) const {
    return ranks_.front().kv.blocks_for(tokens) + setup_.fixed.blocks(tokens) <= ranks_.front().kv.total();
  }
  // Where a request is that does not end, and what it waits for, in words: "waits for 80 KV blocks, of which
  // 12 are free". Empty when it is not here.
  std::string whereabouts(RequestRef ref) const;
  // The same of one that waits for take_inbound().
  std::string room_for(RequestRef ref) const;
  // Throws BrokenInvariant unless every block and sequence has been given back.
  void expect_empty() const;
  // Throws BrokenInvariant unless every block of every rank is accounted for once. For tests: O(cached
  // prefixes).
  void audit() const;

 private:
  struct Span {
    SpanKind kind = SpanKind::decode;
    Seconds start{};
    Seconds end{};
    std::int64_t steps = 0;
    std::int64_t settled = 0;     // of these, booked
    Seconds settled_at{};         // date of the last booked boundary
    std::int64_t sequences = 0;   // decoding
    Regime limit = Regime::idle;  // what its steps are limited by
    bool short_of_room = false;   // requests wait for KV blocks
    bool streams = false;         // one step that also waits for cold KV
    bool active = false;
    Watts power{};  // with prompts; else it is booked step by step
  };
  struct Newcomer {
    RequestRef ref;
    std::uint32_t membership;
  };
  struct Rank {
    Rank(const ReplicaSetup& setup, RequestTable& requests)
        : kv(setup.kv_blocks, setup.decode.block_tokens, setup.prefix_cache),
          decode(requests, setup.decode) {}

    KvCache kv;
    std::deque<RequestRef> waiting;
    std::vector<RequestRef> prefilling;
    std::deque<RequestRef> fetched;  // the beginning of the prompt is here, waiting for a place among these
    std::deque<RequestRef> ready;    // KV is here, waiting for a place in the batch
    std::deque<RequestRef> paused;   // kept out of one step by prompts
    DecodeBatch decode;
    std::vector<Newcomer> newcomers;  // joined since the last decode step
    Seconds last_decode_end{};
    std::int64_t fetching = 0;  // requests whose KV cache is on its way from a memory tier
    std::int64_t inbound = 0;   // requests whose blocks are taken and whose KV cache is not here yet
    std::int64_t awaited = 0;   // of these, the ones whose prompt is computed
    std::int64_t pauses = 0;
    // Of the running span:
    BatchPlan plan;
    std::vector<PrefillChunk> chunks;

    std::int64_t requests() const {
      return decode.size() + inbound + fetching +
             static_cast<std::int64_t>(waiting.size() + prefilling.size() + fetched.size() + ready.size() +
                                       paused.size());
    }
  };

  Rank& rank_of(RequestRef ref) { return ranks_[requests_[ref].rank]; }
  void poke();   // something may be able to start
  void start();  // plans and starts the next span, or goes idle
  void drop_cancelled();
  bool drop(RequestRef ref);  // false: not now
  void plan();                // what each rank does in the next step
  void balance();
  void cut();  // ends the running span at the next step boundary
  void schedule_end();
  void end_span();
  void start_fetches(Rank& rank);
  std::optional<TierOffer> best_offer(const Request& request, TokenCount cached);
  Seconds computing_takes(TokenCount prefix, TokenCount end);
  void fetched(RequestRef ref, std::uint32_t level, TokenCount tokens, Seconds started);
  void swap_out(Rank& rank, RequestRef ref, TokenCount kv_length);
  void swap_in(Rank& rank, std::size_t position, BlockCount blocks);
  void copy_down(const Request& request, TokenCount computed, TierWrite when);
  double own_tokens(std::size_t rank) const;
  std::int64_t steps_before_cold(std::size_t rank) const;
  void start_stream();
  bool make_room(Rank& rank);  // preempts until the next step's decodes find their blocks
  // `kv_length`: tokens in the KV cache of one that decodes, 0 for one whose prompt is not complete.
  void preempt(Rank& rank, RequestRef ref, Seconds last_token, TokenCount kv_length);
  void resume_paused_and_ready(Rank& rank);
  void pause_all_but(Rank& rank, std::int64_t sequences);
  void admit(Rank& rank);
  std::size_t next_rank() const;
  void take(Rank& rank, BlockCount blocks);
  void give_back(Rank& rank, Request& request, BlockCount blocks);
  // The same at the end of a turn, or of its prefill here, of whose context the retention policy decides.
  void end_stay(Rank& rank, Request& request, BlockCount blocks, bool turn_ended);
  void pin_expires(std::uint64_t number);
  bool keep(Rank& rank, Request& request, TokenCount tokens);  // whether blocks became free
  void start_decode();
  void start_step();
  void count_step_work(Seconds time);
  void book_decode(std::int64_t steps);
  // Of `steps` equal steps of so many tokens each.
  Watts draw(Work work, double steps, double tokens, Seconds time) const;
  void book_gaps(Rank& rank, std::int64_t steps, Seconds from, Seconds first_end);
  void book_prefill_step();
  static void show_first_token(Request& request, Seconds now);
  void book_gap(Request& request, Seconds now);
  std::int64_t book_newcomers(Rank& rank, Seconds first_end);
  bool finish_members(Rank& rank);  // both: whether blocks became free
  bool finish_prompts(Rank& rank);
  void join(Rank& rank, RequestRef ref, TokenCount kv_length, bool oldest);
  // `level`: of the tiers, of a fetch.
  void tell_stretch(StretchKind kind, const Request& request, Seconds start, std::size_t level = 0) const;
  void leave_queue(Rank& rank, std::size_t position);
  void book_admission(Request& request, TokenCount cached);
  void book_waiting();
  void book_time(Seconds until);  // regimes and KV occupancy
  BlockCount held(const Request& request, TokenCount kv_length) const;
  BlockCount fixed_blocks(const Request& request) const {
    return setup_.fixed.blocks(request.record.prompt_tokens + request.record.output_tokens);
  }
  bool preempted_waits(const Rank& rank) const {
    return !rank.waiting.empty() && requests_[rank.waiting.front()].preempted;
  }
  Regime regime() const;
  BatchView view(const Rank& rank, bool admitting) const;

  ReplicaId id_;
  ReplicaSetup setup_;
  Simulation& simulation_;
  RequestTable& requests_;
  ReplicaListener& listener_;
  RecordSink& sink_;
  bool single_steps_;

  std::vector<Rank> ranks_;
  std::size_t turn_ = 0;           // rank that comes first of those with equally many requests
  std::int64_t balanced_for_ = 0;  // steps in a row in which prompts waited for those of other ranks
  bool hand_offs_waiting_ = false;
  std::vector<RequestRef> cancelled_;  // that are still here
  struct PinnedContext {
    std::size_t rank;
    PrefixTree::NodeIndex prefix;
    std::uint64_t number;
  };
  struct Expiry {
    std::uint64_t session;
    std::uint32_t turn;
    std::uint64_t number;  // of the pin
  };
  std::map<std::pair<std::uint64_t, std::uint32_t>, PinnedContext> pins_;  // by session and turn
  std::deque<Expiry> expiries_;
  std::uint64_t pinned_ = 0;

  Span span_;
  Seconds computed_{};                   // the running span, if it streams; it ends when all KV is there too
  DecodeCurve curve_;                    // of the running span, if it decodes only
  Work prefill_work_, decode_work_;      // of the running span, if it is a step with prompts
  std::vector<DecodeContext> contexts_;  // [rank] at the span's first step
  std::vector<RankStep> steps_;          // [rank] scratch
  std::vector<TierOffer> offers_;        // scratch
  Seconds booked_{};                     // regimes and occupancy are booked up to here
  Seconds waiting_booked_{};
  std::uint64_t version_ = 0;
  ReplicaUsage usage_;
};

}  // namespace disagg
