#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "sim/base/ids.hpp"
#include "sim/base/quantity.hpp"

namespace disagg {

enum class Outcome { finished, rejected_queue_full, rejected_too_large, cancelled };

// Of a request that belongs to no session.
inline constexpr std::uint64_t kNoSession = std::numeric_limits<std::uint64_t>::max();

// The life of one request, told when it ends. Facts only; everything else derives from them.
struct RequestRecord {
  std::uint64_t id = 0;                // position in the workload
  std::uint64_t session = kNoSession;  // position of its session in the workload
  std::uint32_t turn = 0;              // of the session
  std::uint32_t kind = 0;
  Outcome outcome = Outcome::finished;
  TokenCount prompt_tokens = 0, output_tokens = 0;
  TokenCount cached_tokens = 0;   // of the prompt, that its first admission found in the prefix cache
  TokenCount fetched_tokens = 0;  // of the prompt, that came from a memory tier
  Seconds fetch_expected{}, recompute_expected{};  // when that was decided: of the two ways
  Seconds fetch_took{};
  ReplicaId prefill_replica, decode_replica;
  std::int32_t preemptions = 0;
  std::int32_t retries = 0;  // by failures of replicas: computed again, or handed off to another replica
  Seconds arrived{};
  Seconds first_scheduled{};                 // start of the first step that works on it
  Seconds prefill_end{};                     // end of the step that completes the prompt
  Seconds first_token{};                     // as the client sees it: then, or from the decode replica
  Seconds room_found{};                      // when blocks for its KV cache were taken at the decode replica
  Seconds hand_off_start{}, hand_off_end{};  // of its flows; equal when the KV cache stays where it is
  Seconds last_token{};
};

// `weight` sequences each saw `count` gaps between tokens: first, first + step, first + 2 step, ...
struct TokenGaps {
  Seconds first{};
  Seconds step{};
  std::int64_t count = 1;
  std::int64_t weight = 1;
};

enum class SpanKind { prefill, decode, mixed };

// Steps of one replica whose batch did not change but for the growing contexts.
struct SpanRecord {
  ReplicaId replica;
  SpanKind kind = SpanKind::decode;
  Seconds start{}, end{};
  std::int64_t steps = 0;
  std::int64_t sequences = 0;  // decoding
  TokenCount prefill_tokens = 0;
};

// What a request does at a replica besides being computed: its KV cache is fetched from a memory tier, or it
// was preempted and waits to be admitted again.
enum class StretchKind { fetch, stall };

// One of these, of which a request can have several, told when it has ended. One that a failure of the
// replica ends is not told.
struct StretchRecord {
  std::uint64_t request = 0;
  ReplicaId replica;
  StretchKind kind = StretchKind::fetch;
  Seconds start{}, end{};
  std::uint32_t tier = 0;  // of a fetch
};

// Receives facts as they happen. Nothing is kept by the simulation itself.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void request(const RequestRecord&) = 0;
  virtual void gaps(Seconds now, const TokenGaps&) = 0;
  virtual void span(const SpanRecord&) = 0;
  virtual void stretch(const StretchRecord&) {}
};

}  // namespace disagg
