#include "experiments/scenario.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "experiments/memory_pools.hpp"
#include "sim/base/hash.hpp"
#include "sim/base/one_of.hpp"
#include "sim/serving/software_profile.hpp"

namespace disagg {
namespace {

constexpr double kMostKvBlocks = 1e12;
// Beyond this the bookkeeping of blocks would cost more than the tokens in them.
constexpr TokenCount kMostBlockTokens = 65'536;
constexpr TokenCount kUsualBlockTokens = 16;
// A route takes some 200 bytes here and in SimGrid.
constexpr std::size_t kMostHandOffPairs = 1'000'000;

// One accelerator's memory as its makers state it, less what the engine leaves free, the weights and the
// workspace.
struct MemoryBudget {
  double utilisation = 0.9;
  bool of_free = false;  // share of what weights and workspace leave, instead of the whole
  Bytes workspace{};     // of each accelerator
};
constexpr std::array<std::string_view, 2> kMemoryBases{"total", "free"};

PrecisionPlan read_precision(Reader& r, std::string_view key, const PrecisionPlan& fallback) {
  PrecisionPlan plan = fallback;
  auto object = r.find_object(key);
  if (!object) return plan;
  const auto format = [&](std::string_view name, Precision current) {
    return static_cast<Precision>(
        object->choice(name, kPrecisionNames, kPrecisionNames[static_cast<std::size_t>(current)]));
  };
  plan.weights = format("weights", plan.weights);
  plan.activations = format("activations", plan.activations);
  plan.kv = format("kv", plan.kv);
  const auto find_format = [&](std::string_view name, std::optional<Precision>& current) {
    if (object->has(name)) current = static_cast<Precision>(object->choice(name, kPrecisionNames));
  };
  find_format("experts", plan.experts);
  find_format("head", plan.head);
  find_format("attention", plan.attention);
  object->done();
  return plan;
}

std::optional<ModelSpec> read_modelled(Reader& r, std::string_view key) {
  auto model = read_model(r, key);
  if (!model) return std::nullopt;
  if (const auto missing = model->not_modelled()) {
    r.fail(key, "'" + model->name + "' cannot be simulated: " + *missing);
    return std::nullopt;
  }
  return model;
}

bool has_rates(Reader& r, const Accelerator& accelerator, const PrecisionPlan& precision) {
  std::string missing;
  if (!accelerator.peak(precision.weights) || !accelerator.peak(precision.activations))
    missing = "tensor rate";
  else if (!accelerator.peak(Precision::bf16))
    missing = "bf16 tensor rate (attention runs at it)";
  if (!accelerator.memory_bandwidth)
    missing += std::string(missing.empty() ? "" : " and ") + "memory bandwidth";
  if (missing.empty()) return true;
  const std::string rate = accelerator.memory_bandwidth ? "\"peak\": {\"bf16\": \"... TFLOP/s\"}"
                                                        : "\"memory\": {\"bandwidth\": \"... TB/s\"}";
  r.fail("accelerator",
         "'" + accelerator.name + "' has no published " + missing + "; " + how_to_give(accelerator, rate));
  return false;
}

void assume(const std::string& what, std::vector<std::string>& assumptions) {
  if (!what.empty() && std::ranges::find(assumptions, what) == assumptions.end()) assumptions.push_back(what);
}

// KV blocks of one data-parallel attention rank; 0, and a problem, when the model does not fit.
BlockCount kv_blocks(Reader& r, const PoolSetup& pool, const MemoryBudget& budget,
                     std::optional<Bytes> given) {
  const Parallelism& p = pool.shape.parallelism;
  const TransformerWork work(pool.shape.model, pool.shape.precision, p.kv_copies(pool.shape.model));
  const auto accelerators = static_cast<double>(p.accelerators());
  const auto ranks = static_cast<double>(p.dp_attention);
  // Every rank holds all weights but the routed experts', which all ranks share.
  const Bytes weights = work.weight_bytes() + work.dense_weight_bytes() * (ranks - 1);
  const Accelerator& one = pool.shape.accelerator;
  const Bytes memory = one.visible_memory.value_or(one.memory_capacity) * accelerators;
  const Bytes workspace = budget.workspace * accelerators;
  const Bytes usable = budget.of_free ? memory - workspace : memory * budget.utilisation - workspace;
  Bytes room = usable - weights;
  if (budget.of_free) room = room * budget.utilisation;
  room = given ? *given : room / ranks;
  const Bytes block = block_bytes(work, pool);
  if (!given && room < block) {
    r.fail("accelerator", pool.shape.model.name + " does not fit: its weights take " + show(weights) +
                              ", and " + std::to_string(p.accelerators()) + " x " +
                              pool.shape.accelerator.name + " leave " + show(std::max(usable, Bytes{0})) +
                              " (memory_utilisation " + show_number(budget.utilisation) + ", workspace " +
                              show(budget.workspace) + " each); raise tp or pp");
    return 0;
  }
  const auto blocks = static_cast<BlockCount>(std::floor(std::min(room / block, kMostKvBlocks)));
  if (blocks < 1)
    r.fail("kv_capacity", "holds not even one block of " + std::to_string(pool.block_tokens) + " tokens (" +
                              show(block) + ")");
  return blocks;
}

void check_parallelism(Reader& r, const ReplicaShape& shape) {
  const Parallelism& p = shape.parallelism;
  if (p.per_stage() % p.ep != 0)
    r.fail("parallelism", "ep " + std::to_string(p.ep) +
                              " does not divide tp x dp_attention = " + std::to_string(p.per_stage()));
  if (p.ep > 1 && !shape.model.is_moe())
    r.fail("parallelism", "ep needs a model with experts; " + shape.model.name + " has none");
  if (shape.model.is_moe() && shape.model.num_experts % p.ep != 0)
    r.fail("parallelism", "ep " + std::to_string(p.ep) + " does not divide the " +
                              std::to_string(shape.model.num_experts) + " experts of " + shape.model.name);
}

std::size_t kind_index(const std::vector<std::string>& kinds, const std::string& name,
                       const std::string& origin) {
  const auto found = std::ranges::find(kinds, name);
  if (found == kinds.end()) {
    const std::vector<std::string_view> known(kinds.begin(), kinds.end());
    throw ConfigError(origin + "kind " + unknown_word(name, known));
  }
  return static_cast<std::size_t>(found - kinds.begin());
}

void read_priorities(Reader& cluster, Priorities& priorities) {
  auto kinds = cluster.find_object("priorities");
  if (!kinds) return;
  priorities.origin = cluster.node().find("priorities")->where.text() + ": " + kinds->path() + ": ";
  for (const std::string& name : kinds->keys())
    priorities.named.emplace_back(name, kinds->get<std::int64_t>(name));
  kinds->done();
}

void read_slo(Reader& r, Slo& slo) {
  const auto read = [&](std::string_view key, std::optional<Seconds>& bound) {
    if (const auto given = r.find<Seconds>(key, Range::positive)) bound = given;
  };
  read("ttft", slo.ttft);
  read("tpot", slo.tpot);
  read("e2el", slo.e2el);
  read("task", slo.task);
}

void read_slos(Reader& r, Slos& slos) {
  read_slo(r, slos.common);
  if (auto kinds = r.find_object("kinds")) {
    slos.origin = r.node().find("kinds")->where.text() + ": " + kinds->path() + ": ";
    for (const std::string& name : kinds->keys()) {
      auto kind = kinds->object(name);
      if (!kind) continue;
      Slo slo = slos.common;
      read_slo(*kind, slo);
      kind->done();
      slos.named.emplace_back(name, slo);
    }
    kinds->done();
  }
  r.done();
}

// Of `"prefix_cache": { "eviction": "lru" }`; nothing where it is false, as by default.
void read_prefix_cache(Reader& r, PoolSetup& pool) {
  constexpr std::string_view kKey = "prefix_cache";
  const ConfigNode* written = r.node().find(kKey);
  if (written == nullptr || written->kind == ConfigNode::Kind::boolean) {
    if (r.get_or<bool>(kKey, "false"))
      r.fail(kKey, R"(expects false, or an object such as { "eviction": "lru" })");
    return;
  }
  auto object = r.object(kKey);
  if (!object) return;
  const auto eviction = object->variant("eviction", "lru");
  if (eviction) pool.eviction = OneOf<EvictionPolicy>::read(*eviction);
  const auto retention = object->variant("retention", "evictable");
  if (auto policy = retention ? OneOf<RetentionPolicy>::read(*retention) : std::nullopt)
    pool.retention = *policy;
  object->done();
}

// As vLLM has it: blocks of 16 tokens or, where each holds a checkpoint of linear attention's state, so many
// that their KV cache is as large as the state.
TokenCount usual_block_tokens(const PoolSetup& pool, const std::optional<ModelSpec>& model) {
  if (!pool.eviction || !model) return kUsualBlockTokens;
  const TransformerWork work(*model, pool.shape.precision, pool.shape.parallelism.kv_copies(*model));
  if (work.state_bytes().si <= 0 || work.resident_kv_bytes_per_token().si <= 0) return kUsualBlockTokens;
  const double tokens = work.state_bytes() / work.resident_kv_bytes_per_token();
  return kUsualBlockTokens *
         std::max<TokenCount>(1, std::llround(std::ceil(tokens / static_cast<double>(kUsualBlockTokens))));
}

// Whether the KV caches of prompts can be used again by others.
void check_prefix_cache(Reader& r, const PoolSetup& pool) {
  if (!pool.eviction) return;
  const TransformerWork work(pool.shape.model, pool.shape.precision);
  if (work.state_bytes().si > 0 && std::holds_alternative<StreamCold>(pool.spill))
    r.fail("spill", "streaming cannot be combined with checkpoints of linear attention's state");
  if (pool.shape.reach().tokens > 0)
    r.fail("prefix_cache",
           pool.shape.model.name + " has layers with a window or chunk: prefixes of those are not modelled");
  if (pool.role == Role::decode)
    r.fail("prefix_cache", "a decode pool gets its KV caches by hand-off and keeps none of them afterwards");
}

std::optional<PoolSetup> read_pool(Reader r, const std::optional<ModelSpec>& model,
                                   const PrecisionPlan& precision, std::span<const MemoryTierSetup> tiers,
                                   std::vector<std::string>& assumptions) {
  PoolSetup pool;
  pool.name = r.name("name");
  pool.role = static_cast<Role>(r.choice("role", kRoleNames, "mixed"));
  pool.replicas = r.get<std::int64_t>("replicas", Range::positive);
  if (pool.replicas > 100'000) r.fail("replicas", "must be at most 100000");
  pool.shape.precision = read_precision(r, "precision", precision);
  if (auto parallelism = r.find_object("parallelism")) {
    pool.shape.parallelism.tp = parallelism->get_or<std::int64_t>("tp", "1", Range::positive);
    pool.shape.parallelism.pp = parallelism->get_or<std::int64_t>("pp", "1", Range::positive);
    pool.shape.parallelism.dp_attention =
        parallelism->get_or<std::int64_t>("dp_attention", "1", Range::positive);
    pool.shape.parallelism.ep = parallelism->get_or<std::int64_t>("ep", "1", Range::positive);
    pool.shape.expert_skew = parallelism->get_or<double>("expert_skew", "1", Range::non_negative);
    parallelism->done();
  }
  if (auto drafts = r.find_object("drafts")) {
    pool.shape.drafts.tokens = drafts->get<std::int64_t>("tokens", Range::positive);
    pool.shape.drafts.acceptance = drafts->get<double>("acceptance", Range::unit);
    if (pool.shape.drafts.tokens > 64) drafts->fail("tokens", "must be at most 64");
    drafts->done();
  }
  const bool names_software = r.has("software");
  const SoftwareProfile software = read_software(r);
  pool.shape.overheads = software.overheads;
  pool.shape.exchange = software.exchange;
  pool.request_latency = software.request_latency;
  const auto accelerator = read_accelerator(r, "accelerator");
  const auto batching = r.variant("batching", "chunked");
  const auto policy = batching ? OneOf<BatchPolicy>::read(*batching) : std::nullopt;
  const auto times = r.variant("service", "kernels");
  auto service = times ? OneOf<ServiceModel>::read(*times) : std::nullopt;
  // A measured table holds the engine's share already, unless the scenario adds to it.
  if (service && std::holds_alternative<MeasuredTable>(*service) && !names_software)
    pool.request_latency = Seconds{};
  // vLLM's defaults: 0.9 of the memory, of which weights, activations and graphs take their share first.
  const MemoryBudget budget{.utilisation = r.get_or<double>("memory_utilisation", "0.9", Range::fraction),
                            .of_free = r.choice("memory_of", kMemoryBases, "total") == 1,
                            .workspace = r.get_or<Bytes>("workspace", "3 GB", Range::non_negative)};
  const auto capacity = r.find<Bytes>("kv_capacity", Range::positive);
  read_prefix_cache(r, pool);
  pool.block_tokens = r.get_or<TokenCount>(
      "block_tokens",
      std::to_string(r.problems().empty() ? usual_block_tokens(pool, model) : kUsualBlockTokens),
      Range::positive);
  if (pool.block_tokens > kMostBlockTokens)
    r.fail("block_tokens", "must be at most " + std::to_string(kMostBlockTokens));
  read_pool_tiers(r, tiers, pool);
  r.done();
  if (!model || !accelerator || !policy || !service || !r.problems().empty()) return std::nullopt;

  pool.shape.model = *model;
  pool.shape.accelerator = *accelerator;
  pool.service = std::move(*service);
  pool.rules = rules_of(*policy);
  if (std::holds_alternative<WaitForRoom>(pool.spill)) pool.rules.reserve_output = true;
  if (pool.shape.parallelism.pp > model->num_hidden_layers)
    r.fail("parallelism", "pp " + std::to_string(pool.shape.parallelism.pp) + " exceeds the " +
                              std::to_string(model->num_hidden_layers) + " layers of " + model->name);
  if (model->num_attention_heads % pool.shape.parallelism.tp != 0)
    r.fail("parallelism", "tp " + std::to_string(pool.shape.parallelism.tp) + " does not divide the " +
                              std::to_string(model->num_attention_heads) + " heads of " + model->name);
  check_parallelism(r, pool.shape);
  check_prefix_cache(r, pool);
  if (!has_rates(r, *accelerator, pool.shape.precision) || !r.problems().empty()) return std::nullopt;
  pool.kv_blocks = kv_blocks(r, pool, budget, capacity);
  assume(assumption(pool.service, pool.shape), assumptions);
  if (const auto wider = accelerator->stand_in(pool.shape.precision.weights))
    assume("'" + accelerator->name + "' has no rate of its own for " +
               std::string(name(pool.shape.precision.weights)) + ": products are computed at that of " +
               std::string(name(*wider)),
           assumptions);
  if (software.assumed) assume("software profile " + software.name + ": " + software.source, assumptions);
  return pool;
}

// Roles must make a cluster that can serve.
void check_roles(Reader& cluster, const std::vector<PoolSetup>& pools) {
  const auto has = [&](Role role) {
    return std::any_of(pools.begin(), pools.end(), [&](const PoolSetup& p) { return p.role == role; });
  };
  if (has(Role::prefill) != has(Role::decode))
    cluster.fail("pools", has(Role::prefill) ? "there are prefill pools but no decode pool"
                                             : "there are decode pools but no prefill pool");
  std::set<std::string> names;
  for (const PoolSetup& pool : pools) {
    if (!names.insert(pool.name).second) cluster.fail("pools", "two pools are named '" + pool.name + "'");
    if (pool.shape.precision.kv != pools.front().shape.precision.kv) {
      cluster.fail("pools",
                   "all pools need the same KV precision: a conversion at the hand-off is not modelled");
      break;
    }
  }
}

HandOffEnds hand_off_ends(const std::vector<PoolSetup>& pools, const RoutingPolicy& router) {
  const bool any_to_any =
      std::visit([](const auto& r) { return std::remove_cvref_t<decltype(r)>::any_to_any; }, router);
  HandOffEnds ends;
  std::uint32_t next = 0;
  for (const PoolSetup& pool : pools) {
    for (std::int64_t i = 0; i < pool.replicas; ++i, ++next) {
      if (any_to_any || pool.role == Role::prefill) ends.from.push_back({next});
      if (any_to_any || pool.role == Role::decode) ends.to.push_back({next});
    }
  }
  return ends;
}

// Reads "failures" of the cluster. The pools and replicas that are to fail must be there.
void read_replica_failures(Reader& cluster, Scenario& scenario) {
  const auto& pools = scenario.cluster.pools;
  std::vector<std::string_view> known;
  known.reserve(pools.size());
  for (const PoolSetup& pool : pools) known.push_back(pool.name);
  for (Reader& reader : cluster.objects("failures", false)) {
    auto failure = OneOf<ReplicaFailure>::read(reader);
    if (!failure || !cluster.problems().empty()) continue;
    if (const auto* scheduled = std::get_if<ScheduledReplicaFailure>(&*failure)) {
      const auto pool = std::ranges::find(pools, scheduled->pool, &PoolSetup::name);
      if (pool == pools.end()) {
        reader.unknown("pool", scheduled->pool, known);
      } else if (scheduled->replica >= pool->replicas) {
        reader.fail("replica", "is " + std::to_string(scheduled->replica) + ", but the " +
                                   std::to_string(pool->replicas) + " replicas of '" + pool->name +
                                   "' are counted from 0");
      }
    } else {
      for (const std::string& name : std::get<RandomReplicaFailures>(*failure).pools)
        if (std::ranges::find(known, name) == known.end()) reader.unknown("pools", name, known);
    }
    scenario.replica_failures.push_back(std::move(*failure));
  }
}

void read_cluster(Reader cluster, const std::optional<ModelSpec>& model, const PrecisionPlan& precision,
                  Scenario& scenario) {
  MemoryPools memory = read_memory_pools(cluster, scenario.assumptions);
  std::vector<Reader> pool_readers = cluster.objects("pools");
  if (pool_readers.empty() && cluster.has("pools") &&
      cluster.node().find("pools")->kind == ConfigNode::Kind::array)
    cluster.fail("pools", "is empty");
  for (const Reader& reader : pool_readers)
    if (auto pool = read_pool(reader, model, precision, memory.tiers, scenario.assumptions))
      scenario.cluster.pools.push_back(std::move(*pool));

  const auto topology_reader = cluster.variant("topology", "nvlink-hosts");
  const auto topology = topology_reader ? OneOf<TopologyPolicy>::read(*topology_reader) : std::nullopt;
  const auto placement_reader = cluster.variant("placement", "packed");
  const auto placement = placement_reader ? OneOf<PlacementPolicy>::read(*placement_reader) : std::nullopt;
  const auto router_reader = cluster.variant("router", "least-loaded");
  auto router = router_reader ? OneOf<RoutingPolicy>::read(*router_reader) : std::nullopt;
  const auto admission_reader = cluster.variant("admission", "unbounded");
  const auto admission = admission_reader ? OneOf<AdmissionPolicy>::read(*admission_reader) : std::nullopt;
  const auto hand_off_reader = cluster.variant("hand_off", "whole");
  const auto hand_off = hand_off_reader ? OneOf<HandOffPolicy>::read(*hand_off_reader) : std::nullopt;
  read_replica_failures(cluster, scenario);
  read_priorities(cluster, scenario.priorities);
  cluster.done();
  if (!cluster.problems().empty()) return;

  check_roles(cluster, scenario.cluster.pools);
  if (std::holds_alternative<MixedPool>(*router) && !std::holds_alternative<WholeHandOff>(*hand_off))
    cluster.fail(
        "hand_off",
        std::string(OneOf<HandOffPolicy>::names[hand_off->index()]) +
            " cannot be combined with the mixed-pool router, whose replicas may preempt a prompt on its "
            "way");
  if (std::visit([](const auto& known) { return std::remove_cvref_t<decltype(known)>::knows_caches; },
                 *router) &&
      std::ranges::none_of(scenario.cluster.pools, [](const PoolSetup& p) { return p.eviction.has_value(); }))
    cluster.fail("router", "looks into prefix caches, but no pool has a prefix_cache");
  if (std::visit([](const auto& known) { return std::remove_cvref_t<decltype(known)>::knows_paths; },
                 *router) &&
      std::ranges::none_of(scenario.cluster.pools, [](const PoolSetup& p) { return p.role == Role::decode; }))
    cluster.fail("router", "weighs the ways of hand-offs, but no pool has the role decode");
  check_tiers_of_stages(*hand_off, memory.tiers, scenario.cluster.pools, cluster);
  fit_memory_pools(memory, scenario.cluster.pools, cluster);
  PlacedCluster placed = place(*topology, scenario.cluster.pools, cluster, *placement);
  if (!cluster.problems().empty()) return;
  attach_tiers(placed, *topology, scenario.cluster.pools, memory.tiers, memory.readers);
  if (!cluster.problems().empty()) return;
  reserve_streams(memory, scenario.cluster.pools, placed);
  if (!cluster.problems().empty()) return;
  for (std::size_t i = 0; i < placed.pools.size(); ++i) {
    Accelerator& accelerator = scenario.cluster.pools[i].shape.accelerator;
    accelerator.scale_up_domain = placed.pools[i].scale_up_domain;
    if (placed.pools[i].nic_bandwidth) accelerator.nic_bandwidth = placed.pools[i].nic_bandwidth;
  }
  for (const std::string& assumption : placed.fabric.assumptions) assume(assumption, scenario.assumptions);
  HandOffEnds ends = hand_off_ends(scenario.cluster.pools, *router);
  const auto flows = static_cast<std::size_t>(flows_per_hand_off(placed));
  if (ends.from.size() * ends.to.size() * flows > kMostHandOffPairs) {
    cluster.fail("pools", "hand-offs between " + std::to_string(ends.from.size()) + " and " +
                              std::to_string(ends.to.size()) + " replicas are more pairs than the " +
                              std::to_string(kMostHandOffPairs / flows) + " whose routes are kept");
    return;
  }
  RoutedCluster routed =
      route_hand_offs(placed, ends.from, ends.to, costs_of(*hand_off).overhead, memory.tiers);
  scenario.cluster.router = std::move(*router);
  scenario.cluster.admission = *admission;
  scenario.cluster.hand_off = *hand_off;
  scenario.cluster.routes = std::move(routed.routes);
  scenario.cluster.tiers = std::move(memory.tiers);
  scenario.cluster.tier_access = std::move(routed.tier_access);
  scenario.platform = std::move(routed.platform);
  scenario.placed = std::move(placed);
  scenario.hand_offs = std::move(ends);
}

// The links that are to fail must be there.
void check_failures(const Scenario& scenario, std::vector<Reader>& readers) {
  std::vector<std::string_view> known;
  known.reserve(scenario.platform.links.size());
  for (const PlatformLink& link : scenario.platform.links) known.push_back(link.name);
  for (std::size_t i = 0; i < readers.size(); ++i) {
    const auto check = [&](std::string_view key, const std::string& name) {
      if (std::ranges::find(known, name) == known.end()) readers[i].unknown(key, name, known);
    };
    if (const auto* scheduled = std::get_if<ScheduledFailure>(&scenario.failures[i])) {
      check("link", scheduled->link);
    } else {
      for (const std::string& name : std::get<RandomFailures>(scenario.failures[i]).links)
        check("links", name);
    }
  }
}

}  // namespace

Scenario read_scenario(ConfigNode root, const std::string& name) {
  Scenario scenario;
  Problems problems;
  Reader r(root, "", problems);
  scenario.name = r.name("name", name);
  r.find<std::string>("description");
  scenario.cluster.seed =
      static_cast<std::uint64_t>(r.get_or<std::int64_t>("seed", "1", Range::non_negative));
  const auto model = read_modelled(r, "model");
  const PrecisionPlan precision = read_precision(r, "precision", {});
  if (model && find_model(model->name) == nullptr && !model->published_quantization.empty())
    if (const std::string_view format = disagg::name(precision.expert_format());
        !format.starts_with(model->published_quantization))
      assume("weights of '" + model->name + "' in " + std::string(format) +
                 ", as \"precision\" has it: its config.json has them in " + model->published_quantization,
             scenario.assumptions);
  if (auto slo = r.find_object("slo")) read_slos(*slo, scenario.slos);
  if (auto horizon = r.find_object("horizon")) {
    scenario.horizon.warm_up = horizon->get_or<Seconds>("warm_up", "0 s", Range::non_negative);
    scenario.horizon.measure = horizon->find<Seconds>("measure", Range::positive);
    horizon->done();
  }
  scenario.workload = read_workload(r, "workload");
  auto network = r.object_or_empty("network");
  std::vector<Reader> failures;
  if (network) {
    if (const auto solver = network->variant("solver", "simgrid"))
      scenario.network_solver = OneOf<NetworkSolver>::read(*solver).value_or(SimgridSolver{});
    failures = network->objects("failures", false);
    for (const Reader& failure : failures)
      if (auto read = OneOf<LinkFailure>::read(failure)) scenario.failures.push_back(std::move(*read));
    network->done();
  }
  if (auto cluster = r.object("cluster")) read_cluster(*cluster, model, precision, scenario);
  if (auto costs = r.object_or_empty("costs"))
    scenario.costs = CostModel::read(*costs, scenario.placed.fabric);
  if (problems.empty()) check_failures(scenario, failures);
  r.done();
  problems.throw_if_any();
  const auto hash_of = [&](std::string_view key) {
    const ConfigNode* part = root.find(key);
    return part == nullptr ? std::string() : Hash{}.add(part->dump(true)).hex();
  };
  scenario.workload_hash = hash_of("workload");
  scenario.slo_hash = hash_of("slo");
  scenario.horizon_hash = hash_of("horizon");
  scenario.resolved = root.dump(true);
  scenario.hash = Hash{}.add(root.dump(false)).hex();
  return scenario;
}

std::vector<Slo> Slos::of(const std::vector<std::string>& kinds) const {
  std::vector<Slo> slos(kinds.size(), common);
  for (const auto& [name, slo] : named) slos[kind_index(kinds, name, origin)] = slo;
  return slos;
}

std::vector<std::int64_t> Priorities::of(const std::vector<std::string>& kinds) const {
  if (named.empty()) return {};
  std::vector<std::int64_t> priorities(kinds.size());
  for (const auto& [name, priority] : named) priorities[kind_index(kinds, name, origin)] = priority;
  return priorities;
}

void override_scenario(ConfigNode& root, std::string_view assignment) {
  constexpr std::array<Shorthand, 3> kShorthands{
      {{"accelerator", "extends"}, {"software", "extends"}, {"model", ""}}};
  override_config(root, assignment, kShorthands);
}

Scenario load_scenario(const std::filesystem::path& file, std::span<const std::string> overrides) {
  ConfigNode root = load_config(file);
  for (const std::string& assignment : overrides) override_scenario(root, assignment);
  return read_scenario(std::move(root), file.stem().string());
}

}  // namespace disagg
