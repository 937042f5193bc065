#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/memory/prefix_tree.hpp"
#include "sim/memory/prompt_content.hpp"
#include "sim/record/records.hpp"

namespace disagg {

// Index of a live request in the RequestTable; used again once the request has ended.
using RequestRef = std::uint32_t;

// A request while it lives in the cluster.
struct Request {
  RequestRecord record;
  std::int64_t priority = 0;                     // the greater goes first
  std::optional<std::uint32_t> previous_turn;    // of its session, that ended last before it
  bool returns = false;                          // to a context that is pinned for it
  Seconds next_turn_in = kNever;                 // after its end, as the workload has it; kNever: none comes
  std::shared_ptr<const PromptContent> content;  // none: what the prompt says is not known
  TokenCount generated = 0;  // output tokens produced before its current stay in a DecodeBatch
  TokenCount prefill_target =
      0;  // tokens the prefill must compute: the prompt, after a preemption with the output so far
  TokenCount prefilled = 0;               // of these, computed
  std::uint32_t rank = 0;                 // data-parallel attention rank of the replica it is in
  std::uint32_t rank_at_destination = 0;  // of the hand-off: rank that holds its blocks at the decode replica
  BlockCount reserved = 0;  // KV blocks taken in advance; the blocks in use may grow beyond them
  PrefixTree::NodeIndex prefix = PrefixTree::kRoot;  // lock on the cached prefix that it uses
  BlockCount shared = 0;                             // blocks of that prefix, which are not its own
  TokenCount queued_tokens = 0;                      // of the prompt, as counted in its replica's load
  Seconds last_token{};       // when its latest token came, before its current stay in a DecodeBatch
  Seconds queued_at{};        // when it joined the waiting queue it is in
  bool examined = false;      // it has been decided that nothing is fetched for it
  bool swapped = false;       // its KV cache is in a memory tier, or on its way there
  bool swap_written = false;  // and has arrived
  BlockCount in_pool = 0;     // of the hand-off: blocks of a memory pool that hold its KV cache
  BlockCount reserved_at_destination = 0;  // of the hand-off: blocks taken at the decode replica
  TokenCount kv_length = 0;                // while paused, ready or swapped out: tokens in the KV cache
  std::int64_t kv_offset = 0;              // in a DecodeBatch: KV length minus the batch's token count
  std::int64_t joined_at = 0;              // in a DecodeBatch: the batch's token count when it joined
  TokenCount reach_begin = 0;              // in a DecodeBatch: where what limited layers see begins
  bool beyond_reach = false;               // in a DecodeBatch: the context has outgrown the window
  std::uint32_t membership = 0;            // stamp of its current stay in a DecodeBatch; never reset
  std::int32_t flows = 0;                  // hand-off flows under way
  std::int32_t scheduled = 0;              // parts of the hand-off that will be sent when a layer is computed
  Bytes queued_bytes{};                    // of the hand-off: to be sent when the flows under way have ended
  bool way_open = false;                   // of the hand-off: its latency has been paid
  bool streams_from_decode = false;        // the client sees its first token when its decode has begun
  bool decoding = false;                   // member of a DecodeBatch
  bool live = false;                       // in the RequestTable
  bool entered = false;                    // the latency in front of the engine is over
  bool cancelled = false;                  // its client has left; it goes as soon as it can
  bool admitted = false;                   // its first admission has been booked
  bool preempted = false;                  // where it is now
  bool left_prefill = false;               // its prefill replica has nothing of it any more
  // Stamps of its current assignment to replicas and of its current hand-off, for actions that may come too
  // late; never reset.
  std::uint32_t stay = 0, hand_off = 0;
  bool prefill_done = false;       // of the hand-off: the last chunk has been computed
  bool destination_ready = false;  // of the hand-off: blocks are reserved at the decode replica
  TokenCount handed_off = 0;       // tokens whose KV has been sent or is on its way

  TokenCount remaining() const { return record.output_tokens - generated; }
  TokenCount final_tokens() const { return record.prompt_tokens + record.output_tokens; }
  bool hands_off() const { return record.decode_replica != record.prefill_replica; }
  bool leaves_after_prefill(ReplicaId at) const { return hands_off() && record.prefill_replica == at; }
};

// The live requests. References stay valid until the request is removed.
class RequestTable {
 public:
  RequestRef add(const RequestRecord& record, std::shared_ptr<const PromptContent> content = {}) {
    RequestRef ref = 0;
    if (free_.empty()) {
      ref = static_cast<RequestRef>(requests_.size());
      requests_.emplace_back();
    } else {
      ref = free_.back();
      free_.pop_back();
    }
    Request& request = requests_[ref];
    renew(request);
    request.record = record;
    request.content = std::move(content);
    request.prefill_target = record.prompt_tokens;
    return ref;
  }
  // A request begins again, as after its arrival but behind the output tokens that the client has got.
  void restart(RequestRef ref) {
    Request& request = requests_[ref];
    const Request before = request;
    renew(request);
    request.record = before.record;
    request.record.prefill_replica = request.record.decode_replica = {};
    request.content = before.content;
    request.priority = before.priority;
    request.previous_turn = before.previous_turn;
    request.next_turn_in = before.next_turn_in;
    request.admitted = before.admitted;
    request.last_token = before.last_token;
    request.generated = before.streams_from_decode ? 0 : before.generated;
    request.prefill_target = request.record.prompt_tokens + request.generated;
  }
  void remove(RequestRef ref) {
    Request& request = requests_[ref];
    request.content.reset();
    request.live = false;
    ++request.stay;  // what still comes for it comes too late
    ++request.hand_off;
    free_.push_back(ref);
  }
  Request& operator[](RequestRef ref) { return requests_[ref]; }
  const Request& operator[](RequestRef ref) const { return requests_[ref]; }
  std::size_t live() const { return requests_.size() - free_.size(); }
  // All references are below.
  RequestRef end() const { return static_cast<RequestRef>(requests_.size()); }
  // The live one that came first. Precondition: there is one.
  RequestRef oldest() const {
    RequestRef oldest = 0;
    for (RequestRef i = 0; i < requests_.size(); ++i)
      if (requests_[i].live &&
          (!requests_[oldest].live || requests_[i].record.id < requests_[oldest].record.id))
        oldest = i;
    return oldest;
  }

 private:
  static void renew(Request& request) {
    const std::uint32_t membership = request.membership;
    const std::uint32_t stay = request.stay;
    const std::uint32_t hand_off = request.hand_off;
    request = Request{};
    request.membership = membership;
    request.stay = stay + 1;
    request.hand_off = hand_off + 1;
    request.live = true;
  }

  std::vector<Request> requests_;
  std::vector<RequestRef> free_;
};

}  // namespace disagg
