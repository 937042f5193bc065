#include "experiments/summary.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "sim/base/one_of.hpp"
#include "sim/base/text.hpp"
#include "version.hpp"

#include "experiments/figures.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

struct PoolTotals {
  ReplicaUsage usage;
  Seconds time{};  // all replicas together
  std::size_t replicas = 0;
};

PoolTotals totals(const RunFacts& facts, PoolId pool) {
  PoolTotals t;
  for (std::size_t i = 0; i < facts.usage.size(); ++i) {
    if (facts.cluster.pool_of(ReplicaId{static_cast<std::uint32_t>(i)}) != pool) continue;
    t.usage += facts.usage[i];
    t.time += facts.measured_to - facts.measured_from;
    ++t.replicas;
  }
  return t;
}

ordered_json phase_json(const Work& work, TokenCount tokens, double peak_intensity) {
  if (tokens == 0) return nullptr;
  return {{"tokens", tokens},
          {"flops", work.flops.si},
          {"bytes", work.bytes.si},
          {"oi_flop_per_byte", intensity(work).si},
          {"oi_over_ridge", intensity(work).si / peak_intensity}};
}

ordered_json pool_json(const PoolSetup& pool, const TransformerWork& work, const PoolTotals& t) {
  const ReplicaUsage& u = t.usage;
  const Accelerator& a = pool.shape.accelerator;
  const auto per_replica = static_cast<double>(pool.shape.parallelism.accelerators());
  const FlopsPerSecond peak = *a.peak(pool.shape.precision.weights) * per_replica;
  const BytesPerSecond bandwidth = *a.memory_bandwidth * per_replica;
  const double ridge = (peak / bandwidth).si;
  ordered_json j;
  j["role"] = kRoleNames[static_cast<std::size_t>(pool.role)];
  j["accelerator"] = a.name;
  j["replicas"] = pool.replicas;
  j["accelerators"] = pool.replicas * pool.shape.parallelism.accelerators();
  j["utilization"] = ratio(u.busy.si, t.time.si);
  ordered_json regimes;
  for (std::size_t i = 0; i < kRegimeNames.size(); ++i)
    regimes[std::string(kRegimeNames[i])] = ratio(u.regimes[i].si, t.time.si);
  j["time_in_regime"] = regimes;
  j["mfu"] = ratio((u.prefill.flops + u.decode.flops).si, (peak * t.time).si);
  j["mbu"] = ratio((u.prefill.bytes + u.decode.bytes).si, (bandwidth * t.time).si);
  j["ridge_flop_per_byte"] = ridge;
  j["prefill"] = phase_json(u.prefill, u.prefill_tokens, ridge);
  // What a replica can hold: the weights and all its KV blocks.
  const Bytes room =
      work.capacity_footprint(0, 1) +
      work.resident_kv_bytes_per_token() *
          static_cast<double>(pool.kv_blocks * pool.block_tokens * pool.shape.parallelism.dp_attention);
  // Of the mean prompt, as if one were computed at a time.
  if (u.prefill_tokens > 0 && u.prompts > 0) {
    const double prompt = static_cast<double>(u.prompt_tokens) / static_cast<double>(u.prompts);
    j["prefill"]["cf_bytes_per_request"] = work.capacity_footprint(prompt, 1).si;
    j["prefill"]["memory_bytes_per_request"] = room.si;
  }
  j["decode"] = phase_json(u.decode, u.decode_tokens, ridge);
  const double batch = u.decode_steps > 0 ? u.sequence_steps / static_cast<double>(u.decode_steps) : 0;
  j["mean_batch"] = ratio(u.sequence_steps, static_cast<double>(u.decode_steps));
  j["max_sequences"] = pool.rules.max_sequences;
  if (batch > 0) {
    const double context = u.context_steps / u.sequence_steps;
    j["mean_context_tokens"] = context;
    if (u.decode_tokens > 0) {
      j["decode"]["cf_bytes_per_request"] = work.capacity_footprint(context, batch).si;
      j["decode"]["memory_bytes_per_request"] = room.si / batch;
    }
    j["cf_bytes_per_request"] = work.capacity_footprint(context, batch).si;
    j["cf_kv_bytes_per_request"] = (work.resident_kv_bytes_per_token() * context).si;
  }
  j["kv_capacity_tokens"] = pool.kv_blocks * pool.block_tokens;
  j["kv_occupancy"] = ratio(u.kv_seconds, t.time.si);
  if (pool.eviction) {
    const auto whole = static_cast<double>(pool.kv_blocks * pool.shape.parallelism.dp_attention);
    j["prefix_cache"] = {
        {"eviction", std::visit([](const auto& policy) { return policy.kind; }, *pool.eviction)},
        {"hit_rate", ratio(static_cast<double>(u.cached_tokens), static_cast<double>(u.prompt_tokens))},
        {"cached_tokens", u.cached_tokens},
        {"mean_cached_blocks",
         ratio(u.cached_seconds * whole, t.time.si)},  // of a replica, beyond those in use
        {"evicted_blocks", u.evicted_blocks}};
  } else {
    j["prefix_cache"] = false;
  }
  if (!pool.tiers.empty()) {
    j["fetched_tokens"] = u.fetched_tokens;
    j["swaps"] = u.swaps;
  }
  j["preemptions"] = u.preemptions;
  j["mean_waiting"] =
      ratio(u.waiting_seconds, (t.time / static_cast<double>(std::max<std::size_t>(t.replicas, 1))).si);
  j["kv_bytes_per_token"] = work.resident_kv_bytes_per_token().si;
  j["weight_bytes"] = work.weight_bytes().si;
  return j;
}

// The memory tiers, by name; null when there are none.
ordered_json memory_json(const RunFacts& facts) {
  const MemoryTiers* tiers = facts.cluster.tiers();
  if (tiers == nullptr) return nullptr;
  const double seconds = (facts.measured_to - facts.measured_from).si;
  ordered_json by_name;
  for (std::size_t t = 0; t < tiers->tiers().size(); ++t) {
    const MemoryTierSetup& setup = tiers->tiers()[t];
    const TierUsage& usage = facts.tiers[t];
    by_name[setup.name] = {
        {"scope", kTierScopeNames[static_cast<std::size_t>(setup.scope)]},
        {"instances", tiers->instances(t)},
        {"capacity_bytes", setup.capacity.si},  // of each
        {"occupancy", ratio(usage.used_seconds, static_cast<double>(tiers->total_blocks(t)) * seconds)},
        {"reads", usage.reads},
        {"writes", usage.writes},
        {"bytes_read", usage.bytes_read.si},
        {"bytes_written", usage.bytes_written.si},
        {"fetched_tokens", usage.tokens_read},
        {"evicted_blocks", usage.evicted_blocks},
        {"refused_writes", usage.refused_writes}};
  }
  return by_name;
}

// Of the measured time; nothing where the power of an accelerator is not known.
std::optional<EnergyUse> energy_of(const RunFacts& facts) {
  EnergyUse energy;
  const Seconds time = facts.measured_to - facts.measured_from;
  const CostModel& costs = facts.scenario.costs;
  for (std::size_t i = 0; i < facts.usage.size(); ++i) {
    const ReplicaUsage& u = facts.usage[i];
    const PowerMeter& meter = facts.cluster.replicas()[i]->power();
    if (meter.tdp.si <= 0) return std::nullopt;
    const PoolSetup& pool =
        facts.cluster.pools()[facts.cluster.pool_of(ReplicaId{static_cast<std::uint32_t>(i)}).index];
    const auto accelerators = static_cast<double>(pool.shape.parallelism.accelerators());
    energy.busy += u.energy;
    energy.idle += meter.idle() * (time - u.busy);
    energy.hosts += (costs.host_idle * time + (costs.host_busy - costs.host_idle) * u.busy) * accelerators;
    energy.network += costs.network_power(pool.shape.accelerator) * time * accelerators;
  }
  if (costs.bill) energy.network += costs.bill->power * time;
  for (std::size_t t = 0; t < facts.tiers.size(); ++t) {
    const double gigabytes = facts.cluster.setup().tiers[t].capacity.si / 1e9 *
                             static_cast<double>(facts.cluster.tiers()->instances(t));
    const MemoryCost& cost = facts.cluster.setup().tiers[t].cost;
    const double bits = (facts.tiers[t].bytes_read + facts.tiers[t].bytes_written).si * 8;
    energy.memory += Watts{gigabytes * cost.watts_per_gb} * time;
    energy.memory += Joules{bits * cost.pj_per_bit * 1e-12};
  }
  return energy;
}

// The bounds that requests are judged by; those that are not set are left out.
ordered_json slo_json(const Slo& slo) {
  ordered_json j = ordered_json::object();
  if (slo.ttft) j["ttft_ms"] = slo.ttft->si * 1e3;
  if (slo.tpot) j["tpot_ms"] = slo.tpot->si * 1e3;
  if (slo.e2el) j["e2el_ms"] = slo.e2el->si * 1e3;
  if (slo.task) j["task_time_s"] = slo.task->si;
  return j;
}

// Of bytes moved; null where a byte crossed a link whose energy is not published.
ordered_json links_energy(const RunFacts& facts) {
  Joules sum{};
  for (std::size_t i = 0; i < facts.links.size(); ++i) {
    const auto& energy = facts.simulation.platform().links[i].energy;
    if (!energy && facts.links[i].bytes.si > 0) return nullptr;
    sum += energy.value_or(JoulesPerByte{}) * facts.links[i].bytes;
  }
  return sum.si;
}

ordered_json energy_json(const RunFacts& facts, const std::optional<EnergyUse>& energy, double tasks) {
  if (!energy) return nullptr;
  const double seconds = (facts.measured_to - facts.measured_from).si;
  const auto output = static_cast<double>(facts.metrics.output_tokens());
  const double tokens = output + static_cast<double>(facts.metrics.input_tokens());
  const double accelerators = (energy->busy + energy->idle).si;
  return {{"accelerators_busy_j", energy->busy.si},
          {"accelerators_idle_j", energy->idle.si},
          {"hosts_j", energy->hosts.si},
          {"network_j", energy->network.si},
          // Of the bytes that crossed links, at each medium's figure; part of what accelerators and network
          // draw.
          {"links_moved_j", links_energy(facts)},
          {"memory_pools_j", energy->memory.si},
          {"total_j", energy->total().si},
          {"mean_power_w", ratio(energy->total().si, seconds)},
          {"mean_accelerator_power_w", ratio(accelerators, seconds)},
          {"peak_accelerator_power_w", facts.peak_power.si},
          {"facility_power_w", ratio(energy->total().si * facts.scenario.costs.pue, seconds)},
          {"accelerator_j_per_output_token", ratio(accelerators, output)},
          {"j_per_output_token", ratio(energy->total().si, output)},
          {"j_per_token", ratio(energy->total().si, tokens)},
          {"j_per_task", tasks > 0 ? ratio(energy->total().si, tasks) : ordered_json(nullptr)}};
}

// Share of the cluster's cost that prompts cause: of each pool, weighted by its capital, that of the lower
// bounds of its time (the longer of arithmetic at the peak and traffic at the memory's bandwidth) in prefill
// and decode.
std::optional<double> prompt_share(const RunFacts& facts) {
  double prompts = 0;
  double all = 0;
  for (std::uint32_t p = 0; p < facts.cluster.pools().size(); ++p) {
    const PoolSetup& pool = facts.cluster.pools()[p];
    const Accelerator& a = pool.shape.accelerator;
    const ReplicaUsage u = totals(facts, PoolId{p}).usage;
    const auto bound = [&](const Work& work) {
      return std::max((work.flops / *a.peak(pool.shape.precision.weights)).si,
                      (work.bytes / *a.memory_bandwidth).si);
    };
    const double prefill = bound(u.prefill);
    const double both = prefill + bound(u.decode);
    if (both <= 0) continue;
    const double capital = a.all_in_capital->si * static_cast<double>(pool.replicas) *
                           static_cast<double>(pool.shape.parallelism.accelerators());
    prompts += capital * prefill / both;
    all += capital;
  }
  return all > 0 ? std::optional(prompts / all) : std::nullopt;
}

// What the network is bought of; null where the accelerators' all-in prices pay for it. A price or power that
// is not published is null and counts as nothing.
ordered_json parts_json(const CostModel& costs) {
  if (!costs.bill) return nullptr;
  ordered_json list = ordered_json::array();
  for (const FabricPart& part : costs.bill->parts)
    list.push_back({{"part", part.name},
                    {"count", part.count},
                    {"price_usd", part.price ? ordered_json(part.price->si) : ordered_json(nullptr)},
                    {"power_w", part.power ? ordered_json(part.power->si) : ordered_json(nullptr)},
                    {"assumed", part.assumed},
                    {"source", part.source}});
  return list;
}

// Of owning the cluster; the rent stands under "cluster".
ordered_json cost_json(const RunFacts& facts, const std::optional<EnergyUse>& energy, double tasks) {
  const auto provided = provision(facts.scenario.costs, facts.cluster.setup());
  const double seconds = (facts.measured_to - facts.measured_from).si;
  if (!provided || !energy || seconds <= 0) return nullptr;
  const HourlyCost cost = hourly_cost(facts.scenario.costs, *provided, energy->total() / Seconds{seconds});
  const double dollars = cost.total() * seconds / 3600;
  const auto output = static_cast<double>(facts.metrics.output_tokens());
  const auto input = static_cast<double>(facts.metrics.input_tokens());
  const auto prompts = prompt_share(facts);
  const auto split = [&](double share, double tokens) {
    return prompts ? ratio(dollars * share * 1e6, tokens) : ordered_json(nullptr);
  };
  return {{"usd_per_hour", cost.total()},
          {"capital_usd_per_hour", cost.capital},
          {"hosting_usd_per_hour", cost.hosting},
          {"energy_usd_per_hour", cost.energy},
          {"network_parts", parts_json(facts.scenario.costs)},
          {"usd_per_year", cost.total() * 8760},
          {"capital_usd", provided->capital_usd},
          {"provisioned_power_w", provided->power.si},
          // All of the cost on these tokens alone.
          {"usd_per_million_output_tokens", ratio(dollars * 1e6, output)},
          {"usd_per_million_input_tokens", ratio(dollars * 1e6, input)},
          {"usd_per_million_tokens", ratio(dollars * 1e6, input + output)},
          // Each kind of token what it causes; tokens found in caches count as input.
          {"prompt_share", prompts ? ordered_json(*prompts) : ordered_json(nullptr)},
          {"split_usd_per_million_input_tokens", split(prompts.value_or(0), input)},
          {"split_usd_per_million_output_tokens", split(1 - prompts.value_or(0), output)},
          {"usd_per_task", tasks > 0 ? ratio(dollars, tasks) : ordered_json(nullptr)}};
}

std::string percent(double share) { return show_percent(share) + " %"; }

// Where requests lose their time, and what limits that place.
ordered_json bottleneck(const RunFacts& facts, const ordered_json& pools) {
  const TimeBreakdown& spent = facts.metrics.breakdown();
  const double total = spent.total().si;
  ordered_json j;
  if (total <= 0 || facts.metrics.completed() == 0) {
    j["sentence"] = facts.measured_to <= facts.measured_from
                        ? "The warm-up of " + show(facts.measured_from) +
                              " outlasts the run, which ended at " + show(facts.ended) + "."
                        : "No request that arrived in the measured time was completed.";
    return j;
  }
  const bool disaggregated = std::any_of(facts.cluster.pools().begin(), facts.cluster.pools().end(),
                                         [](const PoolSetup& p) { return p.role != Role::mixed; });
  const double prompt_time = (spent.queue + spent.prefill).si;
  const double largest = std::max({prompt_time, spent.room.si, spent.hand_off.si, spent.decode.si});
  if (spent.hand_off.si == largest) {
    j["stage"] = "hand-off";
    j["regime"] = "network";
    j["sentence"] =
        "Requests spend " + percent(spent.hand_off.si / total) +
        " of their time waiting for their KV cache on its way to the decode replica: faster links or "
        "a faster transfer engine would help most.";
    return j;
  }
  if (spent.room.si == largest) {
    j["stage"] = "hand-off";
    j["regime"] = "capacity";
    j["sentence"] =
        "Requests spend " + percent(spent.room.si / total) +
        " of their time waiting for KV cache room at the decode replicas: more KV cache room there "
        "would help most.";
    return j;
  }
  const bool at_prompt = prompt_time == largest;
  const Role role = !disaggregated ? Role::mixed : at_prompt ? Role::prefill : Role::decode;
  // Of the pools with that role (or else of the mixed ones) the busiest.
  const auto busiest = [&](Role wanted) -> std::string {
    std::string name;
    double most = -1;
    for (const PoolSetup& pool : facts.cluster.pools()) {
      const ordered_json& utilization = pools.at(pool.name).at("utilization");
      if (pool.role != wanted || !utilization.is_number() || utilization.get<double>() <= most) continue;
      most = utilization.get<double>();
      name = pool.name;
    }
    return name;
  };
  std::string name = busiest(role);
  if (name.empty()) name = busiest(Role::mixed);
  const ordered_json& pool = pools.at(name);
  std::size_t regime = 0;
  const ordered_json& regimes = pool.at("time_in_regime");
  const auto share = [&](std::size_t i) { return regimes.at(std::string(kRegimeNames[i])).get<double>(); };
  for (std::size_t i = 1; i < static_cast<std::size_t>(Regime::idle); ++i)
    if (share(i) > share(regime)) regime = i;
  constexpr std::array<std::string_view, 5> kRemedies{
      "more arithmetic there would help most", "more memory bandwidth there would help most",
      "more KV cache room there would help most", "faster links there would help most",
      "a leaner serving engine would help most"};
  j["pool"] = name;
  j["stage"] = at_prompt ? "prefill" : "decode";
  j["regime"] = kRegimeNames[regime];
  std::string sentence = "Requests spend " + percent((at_prompt ? prompt_time : spent.decode.si) / total) +
                         " of their time " + (at_prompt ? "waiting for and in the prefill" : "decoding") +
                         " in pool '" + name + "', which is " + std::string(kRegimeNames[regime]) +
                         "-bound " + percent(share(regime)) + " and idle " +
                         percent(share(static_cast<std::size_t>(Regime::idle))) + " of the time";
  if (!at_prompt && pool.at("mean_batch").is_number())
    sentence += " (mean batch " + show_number(pool.at("mean_batch").get<double>(), 3) + ", KV cache " +
                percent(pool.at("kv_occupancy").get<double>()) + " full)";
  if (spent.queue.si / total > 0.2)
    sentence += "; " + percent(spent.queue.si / total) + " of their time is queueing";
  j["sentence"] = sentence + ": " + std::string(kRemedies[regime]) + ".";
  return j;
}

ordered_json links_json(const RunFacts& facts) {
  const double seconds = (facts.measured_to - facts.measured_from).si;
  const Platform& platform = facts.simulation.platform();
  std::size_t most = 0;
  double most_load = 0;
  Bytes bytes{};
  for (std::size_t i = 0; i < facts.links.size(); ++i) {
    const double load = seconds > 0 ? facts.links[i].bytes.si / (platform.links[i].capacity.si * seconds) : 0;
    bytes += facts.links[i].bytes;
    if (load <= most_load) continue;
    most_load = load;
    most = i;
  }
  ordered_json j;
  j["count"] = facts.links.size();
  j["bytes_over_all_links"] = bytes.si;  // a byte counts on every link that it crosses
  j["most_loaded"] = most_load > 0
                         ? ordered_json{{"name", platform.links[most].name}, {"mean_load", most_load}}
                         : ordered_json(nullptr);
  if (facts.link_failures) {
    j["failures"] = *facts.link_failures;
    j["interrupted_transfers"] = facts.simulation.interruptions();
  }
  return j;
}

// Of the workload, and of what is not told because something is not known of an accelerator.
std::vector<std::string> notes_of(const RunFacts& facts) {
  std::vector<std::string> notes = facts.notes;
  const auto note = [&](const std::string& text) {
    if (std::ranges::find(notes, text) == notes.end()) notes.push_back(text);
  };
  for (const PoolSetup& pool : facts.cluster.pools()) {
    const Accelerator& a = pool.shape.accelerator;
    const auto lacks = [&](const std::string& field, const std::string& untold) {
      note("'" + a.name + "' has no " + field + ", so no " + untold + " is told.");
    };
    if (!a.rent) lacks("\"rent\"", "rent");
    if (!a.all_in_capital || !a.all_in_power) lacks("\"all_in\" capital and power", "cost of ownership");
    if (!a.tdp) lacks("\"power\" with \"tdp\"", "energy");
  }
  return notes;
}

}  // namespace

std::optional<double> dollars_per_hour(const std::vector<PoolSetup>& pools) {
  double sum = 0;
  for (const PoolSetup& pool : pools) {
    if (!pool.shape.accelerator.rent) return std::nullopt;
    sum += pool.shape.accelerator.rent->si * 3600 *
           static_cast<double>(pool.replicas * pool.shape.parallelism.accelerators());
  }
  return sum;
}

ordered_json summarise(const RunFacts& facts) {
  const auto& pools = facts.cluster.pools();
  std::int64_t accelerators = 0;
  std::int64_t decode_accelerators = 0;
  for (const PoolSetup& pool : pools) {
    accelerators += pool.replicas * pool.shape.parallelism.accelerators();
    if (pool.role != Role::prefill)
      decode_accelerators += pool.replicas * pool.shape.parallelism.accelerators();
  }
  ordered_json j;
  j["schema_version"] = 1;
  j["name"] = facts.scenario.name;
  const bool caching =
      std::ranges::any_of(pools, [](const PoolSetup& pool) { return pool.eviction.has_value(); });
  j["metrics"] = facts.metrics.json(accelerators, decode_accelerators, caching);
  j["metrics"]["saturated"] = facts.queue_growth.has_value();
  j["metrics"]["queue_growth_requests_per_s"] =
      facts.queue_growth ? ordered_json(*facts.queue_growth) : ordered_json(nullptr);
  const auto cost = dollars_per_hour(pools);
  j["sessions"] = facts.sessions.any() ? facts.sessions.json(accelerators, cost) : ordered_json(nullptr);
  const std::vector<Slo> slos = facts.scenario.slos.of(facts.kinds);
  j["slo"] = slo_json(facts.scenario.slos.common);
  if (!facts.by_kind.empty()) {
    ordered_json by_kind;
    for (std::uint32_t k = 0; k < facts.kinds.size(); ++k) {
      ordered_json& kind = by_kind[facts.kinds[k]];
      kind["slo"] = slo_json(slos[k]);
      kind["metrics"] = facts.by_kind[k].json(accelerators, decode_accelerators, caching);
      if (facts.sessions.any()) kind["sessions"] = facts.sessions.json(k, accelerators, cost);
    }
    j["by_kind"] = by_kind;
  }
  ordered_json by_pool;
  for (std::uint32_t p = 0; p < pools.size(); ++p)
    by_pool[pools[p].name] = pool_json(pools[p], facts.cluster.work(PoolId{p}), totals(facts, PoolId{p}));
  j["pools"] = by_pool;
  j["memory_pools"] = memory_json(facts);
  j["links"] = links_json(facts);
  if (facts.replica_failures)
    j["failures"] = {{"replica_failures", *facts.replica_failures},
                     {"retries", facts.cluster.counts().retries}};
  const double output_rate =
      facts.metrics.duration().si > 0
          ? static_cast<double>(facts.metrics.output_tokens()) / facts.metrics.duration().si
          : 0;
  j["cluster"] = {
      {"accelerators", accelerators},
      {"decode_accelerators", decode_accelerators},
      {"hosts", facts.scenario.placed.hosts},
      {"rent_usd_per_hour", cost ? ordered_json(*cost) : ordered_json(nullptr)},
      {"usd_per_million_output_tokens",
       cost && output_rate > 0 ? ordered_json(*cost / 3600 / output_rate * 1e6) : ordered_json(nullptr)}};
  const Horizon& horizon = facts.scenario.horizon;
  j["measured"] = {{"from_s", horizon.warm_up.si},  // of arrivals that are measured
                   {"to_s", horizon.measure ? ordered_json(horizon.end().si) : ordered_json(nullptr)}};
  const auto energy = energy_of(facts);
  const double tasks = facts.sessions.any() ? j["sessions"].at("finished").get<double>() : 0;
  j["energy"] = energy_json(facts, energy, tasks);
  j["cost"] = cost_json(facts, energy, tasks);
  j["bottleneck"] = bottleneck(facts, by_pool);
  std::vector<std::string> sources;
  std::vector<std::string> assumed = facts.scenario.assumptions;
  for (const PoolSetup& pool : pools) {
    const Accelerator& a = pool.shape.accelerator;
    if (const std::string what = "power of " + a.name + ": " + a.power.source;
        a.tdp && a.power.assumed && std::ranges::find(assumed, what) == assumed.end())
      assumed.push_back(what);
    sources.push_back(a.name + ": " + a.provenance.source);
    sources.push_back(a.name + ", power: " + a.power.source);
    if (!a.all_in_source.empty()) sources.push_back(a.name + ", all-in cost: " + a.all_in_source);
  }
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  const std::string solver(OneOf<NetworkSolver>::names[facts.scenario.network_solver.index()]);
  j["provenance"] = {{"version", version()},
                     {"scenario_hash", facts.scenario.hash},
                     {"trace_hash", facts.trace_hash},
                     {"seed", facts.scenario.cluster.seed},
                     {"model", pools.front().shape.model.name},
                     {"workload_hash", facts.scenario.workload_hash},
                     {"slo_hash", facts.scenario.slo_hash},
                     {"horizon_hash", facts.scenario.horizon_hash},
                     {"mode", facts.single_steps ? "steps" : "spans"},
                     {"network", solver + ", max-min fair"},
                     {"first_token", "emitted when the prefill ends, before the KV hand-off"},
                     {"datasheets", sources},
                     {"assumed", assumed},
                     {"notes", notes_of(facts)}};
  return j;
}

}  // namespace disagg
