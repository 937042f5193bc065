#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/session_metrics.hpp"
#include "sim/base/config.hpp"
#include "sim/record/records.hpp"
#include "sim/serving/cluster.hpp"
#include "workloads/session.hpp"

namespace disagg::test {

// All that a run told, kept.
struct Facts {
  std::vector<RequestRecord> requests;  // by id
  std::vector<SessionRecord> sessions;  // by id
  std::vector<TokenGaps> gaps;
  std::vector<SpanRecord> spans;
  std::vector<ReplicaUsage> usage;
  std::vector<LinkUsage> links;
  RequestCounts counts;
  std::int64_t gaps_seen = 0;  // of all sequences
  std::int64_t link_failures = 0, replica_failures = 0, interruptions = 0;
  Seconds end{};
};

// Simulates a scenario given as JSON text, in this process: at most one run with hand-offs in a test case.
// The laws that hold after every run (no request lost, no block or sequence left) are checked; with `audit`
// also, before every event, that each KV block of each replica and memory tier is accounted for once.
Facts simulate(std::string_view scenario, bool single_steps = false, bool audit = false);
Facts simulate(ConfigNode scenario, bool single_steps = false, bool audit = false);

// The same with sessions instead of the scenario's workload, which may be any: they arrive at their times,
// or, with a concurrency, so many at once.
struct ArrivingSession {
  Seconds arrival{};
  Session session;
  std::uint32_t kind = 0;
};
Facts simulate_sessions(std::string_view scenario, const std::vector<ArrivingSession>& sessions,
                        bool single_steps = false, std::optional<std::int64_t> concurrency = {});

// The same in a process of its own, so that one test case can make many runs; without gaps and spans.
Facts simulate_in_fork(std::string_view scenario, bool single_steps, bool audit = false);

// The request records of such a run.
std::vector<RequestRecord> simulate_forked(std::string_view scenario, bool single_steps, bool audit = false);

// A scenario of one pool of Llama-3.1-8B on H100 with `batching` and `workload`, for tests of serving alone.
// Table times: a step that prefills takes 10 ms and one that decodes 20 ms, whatever is in it.
std::string flat_times(std::string_view batching, std::string_view workload, std::string_view more = "");

}  // namespace disagg::test
