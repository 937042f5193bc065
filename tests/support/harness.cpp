#include "tests/support/harness.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "experiments/end_of_run.hpp"
#include "experiments/feeder.hpp"
#include "experiments/processes.hpp"
#include "experiments/scenario.hpp"

namespace disagg::test {
namespace {

struct Keeper final : RecordSink {
  Facts facts;
  void request(const RequestRecord& r) override { facts.requests.push_back(r); }
  void gaps(Seconds, const TokenGaps& g) override {
    facts.gaps.push_back(g);
    facts.gaps_seen += g.count * g.weight;
  }
  void span(const SpanRecord& s) override { facts.spans.push_back(s); }
};

// Values as bytes behind their number, and back.
template <class T>
void append(const std::vector<T>& values, std::string& bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::size_t count = values.size();
  bytes.append(reinterpret_cast<const char*>(&count), sizeof count);
  bytes.append(reinterpret_cast<const char*>(values.data()), count * sizeof(T));
}
template <class T>
std::vector<T> take(const char*& at) {
  std::size_t count = 0;
  std::memcpy(&count, at, sizeof count);
  std::vector<T> values(count);
  if (count > 0) std::memcpy(static_cast<void*>(values.data()), at + sizeof count, count * sizeof(T));
  at += sizeof count + count * sizeof(T);
  return values;
}

}  // namespace

Facts simulate(std::string_view text, bool single_steps, bool audit) {
  return simulate(parse_config(text, "test"), single_steps, audit);
}

namespace {

class GivenSessions final : public Source {
 public:
  GivenSessions(const std::vector<ArrivingSession>& sessions, std::optional<std::int64_t> concurrency)
      : sessions_(sessions), concurrency_(concurrency) {}
  std::optional<RequestSpec> next() override {
    if (given_ == sessions_.size()) return std::nullopt;
    const ArrivingSession& next = sessions_[given_++];
    RequestSpec request;
    request.arrival = next.arrival;
    request.kind = next.kind;
    request.session = std::make_shared<const Session>(next.session);
    return request;
  }
  const std::vector<std::string>& kinds() const override { return kinds_; }
  std::optional<std::int64_t> concurrency() const override { return concurrency_; }

 private:
  const std::vector<ArrivingSession>& sessions_;
  std::optional<std::int64_t> concurrency_;
  std::size_t given_ = 0;
  std::vector<std::string> kinds_{"chat", "coding"};
};

Facts simulate(Scenario scenario, Source& source, bool single_steps, bool audit);

}  // namespace

Facts simulate(ConfigNode root, bool single_steps, bool audit) {
  Scenario scenario = read_scenario(std::move(root), "test");
  const auto source = scenario.workload->open(scenario.cluster.seed);
  return simulate(std::move(scenario), *source, single_steps, audit);
}

Facts simulate_sessions(std::string_view text, const std::vector<ArrivingSession>& sessions,
                        bool single_steps, std::optional<std::int64_t> concurrency) {
  GivenSessions source(sessions, concurrency);
  return simulate(read_scenario(parse_config(text, "test"), "test"), source, single_steps, true);
}

namespace {

Facts simulate(Scenario scenario, Source& source, bool single_steps, bool audit) {
  Keeper keeper;
  Simulation simulation(std::move(scenario.platform), scenario.network_solver);
  scenario.cluster.single_steps = single_steps;
  scenario.cluster.priorities = scenario.priorities.of(source.kinds());
  Cluster cluster(std::move(scenario.cluster), simulation, keeper);
  const Feeder feeder(source, scenario.horizon.end(), simulation, cluster,
                      [&](const SessionRecord& session) { keeper.facts.sessions.push_back(session); });
  std::optional<LinkFailures> failures;
  if (!scenario.failures.empty()) failures.emplace(scenario.failures, cluster.seed(), simulation);
  std::optional<ReplicaFailures> replica_failures;
  if (!scenario.replica_failures.empty())
    replica_failures.emplace(scenario.replica_failures, simulation, cluster);
  EndOfRun end(feeder, cluster, simulation, failures, replica_failures);
  simulation.run([&](Seconds) {
    for (std::size_t i = 0; audit && i < cluster.replicas().size(); ++i) cluster.replicas()[i]->audit();
    if (audit && cluster.tiers() != nullptr) cluster.tiers()->audit();
    return end.reached();
  });
  cluster.settle();
  cluster.expect_empty();
  for (const auto& replica : cluster.replicas()) keeper.facts.usage.push_back(replica->usage());
  keeper.facts.links = simulation.link_usage();
  keeper.facts.counts = cluster.counts();
  keeper.facts.link_failures = failures ? failures->failures() : 0;
  keeper.facts.replica_failures = replica_failures ? replica_failures->failures() : 0;
  keeper.facts.interruptions = simulation.interruptions();
  keeper.facts.end = simulation.now();
  std::ranges::sort(keeper.facts.requests, {}, &RequestRecord::id);
  std::ranges::sort(keeper.facts.sessions, {}, &SessionRecord::id);
  return std::move(keeper.facts);
}

}  // namespace

Facts simulate_in_fork(std::string_view scenario, bool single_steps, bool audit) {
  Facts facts;
  run_forked(
      1, 1,
      [&](std::size_t) {
        const Facts told = simulate(scenario, single_steps, audit);
        std::string bytes;
        append(told.requests, bytes);
        append(told.sessions, bytes);
        append(told.usage, bytes);
        append(told.links, bytes);
        append(std::vector{told.counts}, bytes);
        append(std::vector{told.end}, bytes);
        append(std::vector{told.gaps_seen, told.link_failures, told.replica_failures}, bytes);
        return bytes;
      },
      [&](std::size_t, const TaskResult& result) {
        if (result.code != exit_code::kDone) throw std::runtime_error(result.output);
        const char* at = result.output.data();
        facts.requests = take<RequestRecord>(at);
        facts.sessions = take<SessionRecord>(at);
        facts.usage = take<ReplicaUsage>(at);
        facts.links = take<LinkUsage>(at);
        facts.counts = take<RequestCounts>(at).front();
        facts.end = take<Seconds>(at).front();
        const auto numbers = take<std::int64_t>(at);
        facts.gaps_seen = numbers[0];
        facts.link_failures = numbers[1];
        facts.replica_failures = numbers[2];
      });
  return facts;
}

std::vector<RequestRecord> simulate_forked(std::string_view scenario, bool single_steps, bool audit) {
  return simulate_in_fork(scenario, single_steps, audit).requests;
}

std::string flat_times(std::string_view batching, std::string_view workload, std::string_view more) {
  return R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "mixed", "accelerator": "h100-sxm-80gb", "replicas": 1,
    "service": { "kind": "table", "tokens": [1, 100000], "prefill": ["10 ms", "10 ms"], "decode": ["20 ms", "20 ms"] },
    "batching": )" +
         std::string(batching) + (more.empty() ? "" : ", " + std::string(more)) + R"( } ] }, "workload": )" +
         std::string(workload) + " }";
}

}  // namespace disagg::test
