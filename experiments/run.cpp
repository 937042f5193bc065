#include "experiments/run.hpp"

#include <array>
#include <nlohmann/json.hpp>

#include "experiments/end_of_run.hpp"
#include "experiments/feeder.hpp"
#include "experiments/interrupt.hpp"
#include "experiments/link_loads.hpp"
#include "experiments/metrics.hpp"
#include "experiments/part_series.hpp"
#include "experiments/run_folder.hpp"
#include "experiments/summary.hpp"
#include "experiments/time_series.hpp"
#include "experiments/timeline.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

constexpr std::array<std::string_view, 4> kOutcomes{"finished", "rejected_queue_full", "rejected_too_large",
                                                    "cancelled"};

// Streams records into metrics and, if there is a folder, into its files.
class Recorder final : public RecordSink {
 public:
  Recorder(const Scenario& scenario, const std::vector<std::string>& kinds, const RunFolder* folder,
           bool with_timeline)
      : metrics_(scenario.slos.of(kinds), scenario.horizon),
        session_metrics_(scenario.slos.of(kinds), scenario.horizon),
        kinds_(kinds) {
    if (kinds.size() > 1) by_kind_.assign(kinds.size(), metrics_);
    if (folder == nullptr) return;
    folder_ = folder;
    requests_ = folder->open("requests.csv");
    *requests_
        << "id,session,turn,kind,outcome,prompt_tokens,output_tokens,prefill_replica,decode_replica,"
           "preemptions,"
           "arrived_s,first_scheduled_s,"
           "first_token_s,room_found_s,hand_off_start_s,hand_off_end_s,last_token_s,ttft_s,tpot_s,"
           "e2el_s,cached_tokens,fetched_tokens,fetch_expected_s,recompute_expected_s,fetch_s,retries\n";
    if (with_timeline) timeline_.emplace(folder->open("timeline.json"));
  }

  void request(const RequestRecord& r) override {
    ++ended_;
    metrics_.add(r);
    session_metrics_.add(r);
    if (!by_kind_.empty()) by_kind_[r.kind].add(r);
    if (requests_) write(r);
    if (timeline_) timeline_->add(r);
  }
  void gaps(Seconds now, const TokenGaps& gaps) override { metrics_.add(now, gaps); }
  void span(const SpanRecord& span) override {
    if (timeline_) timeline_->add(span);
  }
  void stretch(const StretchRecord& stretch) override {
    if (timeline_) timeline_->add(stretch);
  }

  void session(const SessionRecord& s) {
    session_metrics_.add(s);
    if (!requests_) return;
    if (!sessions_) open_sessions();
    write(s);
  }

  void name_parts(const Cluster& cluster) {
    if (!timeline_) return;
    for (std::uint32_t i = 0; i < cluster.replicas().size(); ++i)
      timeline_->name_replica(ReplicaId{i}, cluster.name(ReplicaId{i}));
    if (cluster.tiers() == nullptr) return;
    for (const MemoryTierSetup& tier : cluster.tiers()->tiers()) timeline_->name_tier(tier.name);
  }
  // Precondition: the cluster is settled at `now`.
  void sample(Seconds now, const Cluster& cluster) {
    if (!timeline_) return;
    for (std::uint32_t i = 0; i < cluster.replicas().size(); ++i) {
      const Replica& replica = *cluster.replicas()[i];
      timeline_->counters(now, ReplicaId{i}, replica.waiting(), replica.running(), replica.kv_occupancy());
    }
    if (cluster.tiers() == nullptr) return;
    for (std::uint32_t t = 0; t < cluster.tiers()->tiers().size(); ++t) {
      const auto total = static_cast<double>(cluster.tiers()->total_blocks(t));
      if (total > 0)
        timeline_->add_tier(now, t, static_cast<double>(cluster.tiers()->used_blocks(t)) / total);
    }
  }
  void links(const Platform& platform, const LinkLoads& loads) {
    if (timeline_) timeline_->add_links(platform, loads);
  }

  const Metrics& metrics() const { return metrics_; }
  const std::vector<Metrics>& by_kind() const { return by_kind_; }
  const SessionMetrics& sessions() const { return session_metrics_; }
  std::int64_t ended() const { return ended_; }
  std::string distributions_csv() const {
    std::string text = "kind,metric,share,value\n" + metrics_.distributions_csv("all");
    text += session_metrics_.distributions_csv();
    for (std::uint32_t k = 0; k < by_kind_.size(); ++k) {
      text += by_kind_[k].distributions_csv(kinds_[k]);
      text += session_metrics_.distributions_csv(k, kinds_[k]);
    }
    return text;
  }
  void finish(const RunFolder& folder) {
    finish_writing(*requests_, folder.file("requests.csv"));
    if (sessions_) finish_writing(*sessions_, folder.file("sessions.csv"));
    if (timeline_) timeline_->finish(folder.file("timeline.json").string());
  }

 private:
  // Only where there are sessions.
  void open_sessions() {
    sessions_ = folder_->open("sessions.csv");
    *sessions_
        << "session,kind,outcome,turns,ended_turns,arrived_s,ended_s,task_time_s,queue_s,prefill_s,"
           "hand_off_room_s,hand_off_s,decode_s,tool_s,think_s,prompt_tokens,cached_tokens,output_tokens\n";
  }
  void write(const SessionRecord& s) {
    const TimeBreakdown& service = s.spent.service;
    line_ = std::to_string(s.id) + "," + kinds_[s.kind] + "," +
            std::string(kSessionOutcomeNames[static_cast<std::size_t>(s.outcome)]) + "," +
            std::to_string(s.turns) + "," + std::to_string(s.ended_turns);
    for (const Seconds t : {s.arrived, s.ended, s.task_time(), service.queue, service.prefill, service.room,
                            service.hand_off, service.decode, s.spent.tool, s.spent.think})
      line_ += "," + show_exact(t.si);
    for (const TokenCount tokens : {s.prompt_tokens, s.cached_tokens, s.output_tokens})
      line_ += "," + std::to_string(tokens);
    *sessions_ << line_ + "\n";
  }
  void write(const RequestRecord& r) {
    line_ = std::to_string(r.id);
    const auto add = [&](std::string_view text) { line_.append(",").append(text); };
    add(r.session == kNoSession ? "" : std::to_string(r.session));
    add(r.session == kNoSession ? "" : std::to_string(r.turn));
    const auto add_time = [&](Seconds t) { add(show_exact(t.si)); };
    add(kinds_[r.kind]);
    add(kOutcomes[static_cast<std::size_t>(r.outcome)]);
    add(std::to_string(r.prompt_tokens));
    add(std::to_string(r.output_tokens));
    if (r.outcome == Outcome::finished) {
      add(std::to_string(r.prefill_replica.index));
      add(std::to_string(r.decode_replica.index));
      add(std::to_string(r.preemptions));
      for (const Seconds t : {r.arrived, r.first_scheduled, r.first_token, r.room_found, r.hand_off_start,
                              r.hand_off_end, r.last_token, ttft(r)})
        add_time(t);
      add(tpot(r) ? show_exact(tpot(r)->si) : "");
      add_time(e2el(r));
      add(std::to_string(r.cached_tokens));
      add(std::to_string(r.fetched_tokens));
      for (const Seconds t : {r.fetch_expected, r.recompute_expected, r.fetch_took})
        add(r.fetched_tokens > 0 ? show_exact(t.si) : "");
      add(std::to_string(r.retries));
    } else {
      line_ += ",,,,";
      line_ += show_exact(r.arrived.si) + ",,,,,,,,,,,,,,,";
    }
    line_ += '\n';
    *requests_ << line_;
  }

  Metrics metrics_;
  std::vector<Metrics> by_kind_;  // [kind], where there are several
  SessionMetrics session_metrics_;
  std::vector<std::string> kinds_;
  const RunFolder* folder_ = nullptr;
  std::optional<std::ofstream> requests_, sessions_;
  std::optional<Timeline> timeline_;
  std::string line_;
  std::int64_t ended_ = 0;
};

double share_done(const Source& source, const Horizon& horizon, Seconds now) {
  if (horizon.measure) return std::max(source.progress(), std::min(1.0, now / horizon.end()));
  return source.progress();
}

constexpr std::uint32_t kSaturationCheck = 1U << 14U;  // events

// With a tenth in hand, since arrivals need not be even.
bool cannot_attain(double share, const Metrics& metrics, std::int64_t arrived, double progress) {
  if (progress <= 0 || !metrics.bounded()) return false;
  const double total = static_cast<double>(arrived) / progress * 1.1;
  return static_cast<double>(metrics.judged() - metrics.good()) > (1 - share) * total;
}

// The same of a measured window, of which the `elapsed` share is over and in which `arrived` requests have
// come. Generated sessions bring more of them the longer they have been there, so with half in hand; what is
// still to come of a trace nobody knows before the window is over.
bool cannot_attain_in_window(double share, const Metrics& metrics, std::int64_t arrived, double elapsed,
                             bool is_trace) {
  const double earliest = is_trace ? 1 : 0.2;
  if (elapsed < earliest || !metrics.bounded()) return false;
  const double total = static_cast<double>(arrived) / std::min(elapsed, 1.0) * (elapsed < 1 ? 1.5 : 1.05);
  return static_cast<double>(metrics.judged() - metrics.good()) > (1 - share) * total;
}

std::string replicas_csv(const Cluster& cluster, const std::vector<ReplicaUsage>& usage, Seconds time) {
  std::string text = "replica,pool,utilization";
  for (const std::string_view regime : kRegimeNames) text += "," + std::string(regime) + "_s";
  text +=
      ",prefill_tokens,decode_tokens,steps,mean_batch,kv_occupancy,preemptions,requests_admitted,mean_"
      "waiting,cached_tokens,evicted_blocks\n";
  const auto per = [](double part, double whole) { return show_exact(whole > 0 ? part / whole : 0); };
  for (std::uint32_t i = 0; i < usage.size(); ++i) {
    const ReplicaUsage& u = usage[i];
    text += cluster.name(ReplicaId{i}) + "," + cluster.pools()[cluster.pool_of(ReplicaId{i}).index].name +
            "," + per(u.busy.si, time.si);
    for (const Seconds s : u.regimes) text += "," + show_exact(s.si);
    text += "," + std::to_string(u.prefill_tokens) + "," + std::to_string(u.decode_tokens) + "," +
            std::to_string(u.steps) + "," + per(u.sequence_steps, static_cast<double>(u.decode_steps)) + "," +
            per(u.kv_seconds, time.si) + "," + std::to_string(u.preemptions) + "," +
            std::to_string(u.admitted) + "," + per(u.waiting_seconds, time.si) + "," +
            std::to_string(u.cached_tokens) + "," + std::to_string(u.evicted_blocks) + "\n";
  }
  return text;
}

// The load is the share of what the links carry when nothing is wrong with them.
std::string links_csv(const Platform& platform, const std::vector<LinkUsage>& links, Seconds time) {
  std::string text = "link,capacity_bytes_per_s,bytes,flows,mean_load\n";
  for (std::size_t i = 0; i < platform.links.size(); ++i) {
    const LinkUsage& usage = links[i];
    const double load = time.si > 0 ? usage.bytes.si / (platform.links[i].capacity.si * time.si) : 0;
    text += platform.links[i].name + "," + show_exact(platform.links[i].capacity.si) + "," +
            show_exact(usage.bytes.si) + "," + std::to_string(usage.flows) + "," + show_exact(load) + "\n";
  }
  return text;
}

}  // namespace

nlohmann::ordered_json run_scenario(Scenario scenario, const RunOptions& options) {
  const std::unique_ptr<Source> source = scenario.workload->open(scenario.cluster.seed);
  std::optional<RunFolder> folder;
  if (options.folder) folder.emplace(*options.folder);
  Recorder recorder(scenario, source->kinds(), folder ? &*folder : nullptr, options.timeline);

  Simulation simulation(std::move(scenario.platform), scenario.network_solver);
  scenario.cluster.single_steps = options.single_steps;
  scenario.cluster.priorities = scenario.priorities.of(source->kinds());
  Cluster cluster(std::move(scenario.cluster), simulation, recorder);
  scenario.cluster.seed = cluster.seed();
  recorder.name_parts(cluster);
  const Feeder feeder(*source, scenario.horizon.end(), simulation, cluster,
                      [&](const SessionRecord& session) { recorder.session(session); });
  std::optional<LinkFailures> failures;
  if (!scenario.failures.empty()) failures.emplace(scenario.failures, cluster.seed(), simulation);
  std::optional<ReplicaFailures> replica_failures;
  if (!scenario.replica_failures.empty())
    replica_failures.emplace(scenario.replica_failures, simulation, cluster);

  const std::size_t replicas = cluster.replicas().size();
  std::vector<ReplicaUsage> at_warm_up(replicas);
  std::vector<LinkUsage> links_at_warm_up(simulation.link_usage().size());
  const std::size_t tiers = cluster.tiers() == nullptr ? 0 : cluster.tiers()->tiers().size();
  std::vector<TierUsage> tiers_at_warm_up(tiers);
  bool warm = scenario.horizon.warm_up == Seconds{0};
  TimeSeries series;
  // Of what is only told in a folder.
  std::optional<PartSeries> parts;
  std::optional<LinkLoads> link_loads;
  if (folder) {
    parts.emplace();
    link_loads.emplace(simulation.platform());
    simulation.on_transfer_ended([&](const TransferRecord& transfer) { link_loads->add(transfer); });
  }
  std::uint32_t events = 0;
  std::int64_t arrived_at_warm_up = 0;
  bool abandoned = false;
  // Turns of sessions come later than their sessions, and a window measures a part of the workload only.
  const bool may_abandon =
      options.attainment && scenario.horizon.warm_up == Seconds{0} && !scenario.horizon.measure;
  EndOfRun end(feeder, cluster, simulation, failures, replica_failures);
  simulation.run([&](Seconds next) {
    if (end.reached()) return true;
    if (!warm && next >= scenario.horizon.warm_up) {
      simulation.pass_to(scenario.horizon.warm_up);
      cluster.settle();
      for (std::size_t i = 0; i < replicas; ++i) at_warm_up[i] = cluster.replicas()[i]->usage();
      links_at_warm_up = simulation.link_usage();
      if (link_loads) link_loads->begin_measuring();
      arrived_at_warm_up = cluster.counts().arrived;
      for (std::size_t t = 0; t < tiers; ++t) tiers_at_warm_up[t] = cluster.tiers()->usage(t);
      warm = true;
    }
    while (true) {
      const Seconds due = parts ? std::min(series.next_date(), parts->next_date()) : series.next_date();
      if (due > next) break;
      simulation.pass_to(due);
      cluster.settle();
      if (parts && parts->next_date() <= due) parts->sample(cluster);
      if (series.next_date() > due) continue;
      recorder.sample(simulation.now(), cluster);
      series.sample(cluster, simulation);
    }
    if (++events % 1024 != 0) return false;
    if (may_abandon && !recorder.sessions().any() && feeder.live_sessions() == 0 &&
        cannot_attain(*options.attainment, recorder.metrics(), cluster.counts().arrived, source->progress()))
      return abandoned = true;
    if (options.attainment && scenario.horizon.measure && warm &&
        cannot_attain_in_window(*options.attainment, recorder.metrics(),
                                cluster.counts().arrived - arrived_at_warm_up,
                                (simulation.now() - scenario.horizon.warm_up) / *scenario.horizon.measure,
                                !source->trace_hash().empty()))
      return abandoned = true;
    if (options.end_saturated && warm && !source->concurrency() && events % kSaturationCheck == 0 &&
        share_done(*source, scenario.horizon, simulation.now()) >= 0.5 && queue_growth(series.queue(), 2))
      return abandoned = true;
    if (options.progress)
      options.progress(
          {share_done(*source, scenario.horizon, simulation.now()), simulation.now(), recorder.ended()});
    return interrupted();
  });
  if (interrupted()) throw Interrupted();
  cluster.settle();
  if (!abandoned) cluster.expect_empty();
  series.finish(cluster, simulation);
  if (parts) parts->finish(simulation.now(), cluster);
  if (link_loads) {
    link_loads->finish(simulation.now());
    recorder.links(simulation.platform(), *link_loads);
  }

  RunFacts facts{
      .scenario = scenario,
      .cluster = cluster,
      .simulation = simulation,
      .metrics = recorder.metrics(),
      .kinds = source->kinds(),
      .by_kind = recorder.by_kind(),
      .sessions = recorder.sessions(),
      .usage = {},
      .links = simulation.link_usage(),
      .tiers = {},
      .link_failures = failures ? std::optional(failures->failures()) : std::nullopt,
      .replica_failures = replica_failures ? std::optional(replica_failures->failures()) : std::nullopt,
      .measured_from = scenario.horizon.warm_up,
      .measured_to = std::max(simulation.now(), scenario.horizon.warm_up),
      .ended = simulation.now(),
      .trace_hash = source->trace_hash(),
      .notes = source->notes(),
      .peak_power = series.peak_power(scenario.horizon.warm_up),
      .queue_growth = source->concurrency() ? std::nullopt : queue_growth(series.queue()),
      .single_steps = options.single_steps};
  for (std::size_t i = 0; i < replicas; ++i)
    facts.usage.push_back(warm ? cluster.replicas()[i]->usage() - at_warm_up[i] : ReplicaUsage{});
  for (std::size_t t = 0; t < tiers; ++t)
    facts.tiers.push_back(warm ? cluster.tiers()->usage(t) - tiers_at_warm_up[t] : TierUsage{});
  for (std::size_t i = 0; i < facts.links.size(); ++i) {
    facts.links[i].bytes -= warm ? links_at_warm_up[i].bytes : facts.links[i].bytes;
    facts.links[i].flows -= warm ? links_at_warm_up[i].flows : facts.links[i].flows;
  }
  nlohmann::ordered_json summary = summarise(facts);
  if (abandoned) summary["abandoned"] = true;
  if (folder) {
    recorder.finish(*folder);
    folder->write("scenario.json", scenario.resolved);
    folder->write("distributions.csv", recorder.distributions_csv());
    folder->write("timeseries.csv", series.csv(cluster));
    folder->write("replicas.csv",
                  replicas_csv(cluster, facts.usage, facts.measured_to - facts.measured_from));
    folder->write("links.csv",
                  links_csv(simulation.platform(), facts.links, facts.measured_to - facts.measured_from));
    folder->write("replica_series.csv", parts->replicas_csv(cluster));
    if (cluster.tiers() != nullptr) folder->write("tier_series.csv", parts->tiers_csv(cluster));
    folder->write("link_series.csv", link_loads->series_csv());
    folder->write("link_flows.csv", link_loads->flows_csv());
    folder->write("summary.json", summary.dump(2) + "\n");
    folder->commit();
  }
  return summary;
}

}  // namespace disagg
