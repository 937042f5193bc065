#include "experiments/match.hpp"

#include <algorithm>
#include <cmath>

namespace disagg {
namespace {

// Of the provisioned power, that is drawn: so the published hourly costs assume.
constexpr double kLoad = 0.8;

double of_match(const CostModel& costs, const Provision& provision, Match match) {
  if (match == Match::capital) return provision.capital_usd;
  if (match == Match::power) return provision.power.si;
  return hourly_cost(costs, provision, provision.power * kLoad).total();
}

}  // namespace

Match match_named(std::string_view name) {
  return static_cast<Match>(std::ranges::find(kMatchNames, name) - kMatchNames.begin());
}

std::string_view unit_told(Match match) {
  switch (match) {
    case Match::count:
      return "accelerators";
    case Match::cost:
      return "USD an hour of owning at 80 % of the provisioned power";
    case Match::rent:
      return "USD an hour of rent";
    case Match::capital:
      return "USD of capital";
    case Match::power:
      return "W provisioned";
    case Match::none:
    case Match::throughput:
      break;
  }
  return "";
}

double Budget::of(const std::vector<std::int64_t>& counts) const {
  double sum = fixed;
  for (std::size_t p = 0; p < counts.size(); ++p) sum += static_cast<double>(counts[p]) * per_replica[p];
  return sum;
}

Budget budget(const Scenario& scenario, Match match) {
  Budget b;
  const ClusterSetup& cluster = scenario.cluster;
  double all_accelerators = 0;
  for (const PoolSetup& pool : cluster.pools)
    all_accelerators += static_cast<double>(pool.replicas * pool.shape.parallelism.accelerators());
  for (const PoolSetup& pool : cluster.pools) {
    b.replicas.push_back(pool.replicas);
    b.pool_names.push_back(pool.name);
    const Accelerator& a = pool.shape.accelerator;
    const auto accelerators = static_cast<double>(pool.shape.parallelism.accelerators());
    if (match == Match::count || match == Match::none) {
      b.per_replica.push_back(accelerators);
      continue;
    }
    const auto missing = [&](std::string_view what, const std::string& field) {
      return ConfigError("--match " + std::string(kMatchNames.at(static_cast<std::size_t>(match))) + ": '" +
                         a.name + "' has no " + std::string(what) + "; " + how_to_give(a, field));
    };
    if (match == Match::rent) {
      if (!a.rent) throw missing("rent", "\"rent\": \"... USD/h\"");
      b.per_replica.push_back(accelerators * a.rent->si * 3600);
      continue;
    }
    if (!a.all_in_capital || !a.all_in_power)
      throw missing("all-in cost", "\"all_in\": {\"capital\": \"... USD\", \"power\": \"... W\"}");
    const CostModel& costs = scenario.costs;
    Provision replica = *provision(costs, a, accelerators);
    // A network grows with the accelerators that it joins.
    if (costs.bill) {
      replica.capital_usd += costs.bill->capital_usd * accelerators / all_accelerators;
      replica.power += costs.bill->power * (accelerators / all_accelerators);
    }
    for (const std::uint32_t tier : pool.tiers) {
      if (cluster.tiers[tier].scope != TierScope::replica) continue;
      const double gigabytes = cluster.tiers[tier].capacity.si / 1e9;
      replica.capital_usd += gigabytes * cluster.tiers[tier].cost.usd_per_gb;
      replica.power += Watts{gigabytes * cluster.tiers[tier].cost.watts_per_gb};
    }
    b.per_replica.push_back(of_match(costs, replica, match));
  }
  if (match == Match::count || match == Match::rent || match == Match::none) return b;
  if (const auto whole = provision(scenario.costs, cluster))
    b.fixed = std::max(0.0, of_match(scenario.costs, *whole, match) - b.total());
  return b;
}

std::vector<std::int64_t> matched_replicas(const Budget& budget, double target) {
  const double growing = budget.total() - budget.fixed;
  const double scale = std::max(target - budget.fixed, 0.0) / growing;
  std::vector<std::int64_t> counts;
  counts.reserve(budget.replicas.size());
  for (const std::int64_t replicas : budget.replicas)
    counts.push_back(std::max<std::int64_t>(1, std::llround(static_cast<double>(replicas) * scale)));
  // Of the steps that bring it nearer, the one that leaves the proportions most alike.
  while (true) {
    const double missing = target - budget.of(counts);
    std::size_t best = counts.size();
    double least = 0;
    for (std::size_t p = 0; p < counts.size(); ++p) {
      const std::int64_t step = missing > 0 ? 1 : -1;
      if (counts[p] + step < 1) continue;
      const double left = std::abs(missing - static_cast<double>(step) * budget.per_replica[p]);
      if (left >= std::abs(missing) * (1 - 1e-12)) continue;
      const double wanted = static_cast<double>(budget.replicas[p]) * scale;
      const double distance = std::abs(static_cast<double>(counts[p] + step) - wanted) / wanted;
      if (best < counts.size() && distance >= least) continue;
      best = p;
      least = distance;
    }
    if (best == counts.size()) return counts;
    counts[best] += missing > 0 ? 1 : -1;
  }
}

}  // namespace disagg
