#include "experiments/costs.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace disagg {
namespace {

constexpr double kHoursPerYear = 8760;
constexpr double kMonthsPerYear = 12;
constexpr BytesPerSecond kSlowNic{50e9};

}  // namespace

CostModel CostModel::read(Reader& r) {
  CostModel costs;
  const auto bounded = [&r](std::string_view key, std::string_view fallback, double most) {
    const auto value = r.get_or<double>(key, fallback, Range::non_negative);
    if (value > most) r.fail(key, "must be at most " + std::to_string(static_cast<int>(most)));
    return value;
  };
  costs.lifetime_years = r.get_or<double>("lifetime_years", "4", Range::positive);
  costs.cost_of_capital = bounded("cost_of_capital", "0.08", 1);
  costs.residual_share = r.get_or<double>("residual_share", "0", Range::unit);
  costs.upkeep_share = bounded("upkeep_share", "0.02", 1);
  costs.availability = r.get_or<double>("availability", "0.95", Range::fraction);
  costs.hosting_usd_per_kw_month = r.get_or<double>("hosting_usd_per_kw_month", "130", Range::non_negative);
  costs.electricity_usd_per_kwh = r.get_or<double>("electricity_usd_per_kwh", "0.08", Range::non_negative);
  costs.pue = r.get_or<double>("pue", "1.25", Range::positive);
  if (costs.pue > 0 && costs.pue < 1) r.fail("pue", "is the facility's power over that of IT, at least 1");
  costs.host_idle = r.get_or<Watts>("host_idle", "187.5 W", Range::non_negative);
  costs.host_busy = r.get_or<Watts>("host_busy", "287.5 W", Range::non_negative);
  costs.network = r.find<Watts>("network", Range::non_negative);
  costs.memory_usd_per_gb = r.get_or<double>("memory_usd_per_gb", "7", Range::non_negative);
  costs.memory_watts_per_gb = r.get_or<double>("memory_watts_per_gb", "0.0625", Range::non_negative);
  costs.memory_pj_per_bit = r.get_or<double>("memory_pj_per_bit", "12", Range::non_negative);
  r.done();
  return costs;
}

Watts CostModel::network_power(const Accelerator& accelerator) const {
  if (network) return *network;
  return accelerator.nic_bandwidth.value_or(kSlowNic) <= kSlowNic ? Watts{95} : Watts{215};
}

std::optional<Provision> provision(const CostModel& costs, const ClusterSetup& cluster) {
  Provision sum;
  for (const PoolSetup& pool : cluster.pools) {
    const Accelerator& a = pool.shape.accelerator;
    if (!a.all_in_capital || !a.all_in_power) return std::nullopt;
    const auto count = static_cast<double>(pool.replicas * pool.shape.parallelism.accelerators());
    sum.capital_usd += a.all_in_capital->si * count;
    sum.power += *a.all_in_power * count;
  }
  std::vector<std::uint32_t> instances(cluster.tiers.size());
  for (const std::vector<TierAccess>& of_replica : cluster.tier_access)
    for (const TierAccess& access : of_replica)
      instances[access.tier] = std::max(instances[access.tier], access.instance + 1);
  for (std::size_t t = 0; t < cluster.tiers.size(); ++t) {
    const double gigabytes = cluster.tiers[t].capacity.si / 1e9 * instances[t];
    sum.capital_usd += gigabytes * costs.memory_usd_per_gb;
    sum.power += Watts{gigabytes * costs.memory_watts_per_gb};
  }
  return sum;
}

HourlyCost hourly_cost(const CostModel& costs, const Provision& provision, Watts mean_power) {
  const double r = costs.cost_of_capital;
  const double growth = costs.lifetime_years * std::log1p(r);
  const bool interest = growth > 1e-12;
  const double recovery = interest ? r / -std::expm1(-growth) : 1 / costs.lifetime_years;
  const double sinking = interest ? r / std::expm1(growth) : 1 / costs.lifetime_years;
  const double yearly =
      provision.capital_usd * (recovery + costs.upkeep_share - costs.residual_share * sinking);
  const double kilowatts = provision.power.si / 1e3;
  return {.capital = yearly / kHoursPerYear / costs.availability,
          .hosting = kMonthsPerYear * costs.hosting_usd_per_kw_month * kilowatts / kHoursPerYear /
                     costs.availability,
          .energy = mean_power.si / 1e3 * costs.pue * costs.electricity_usd_per_kwh / costs.availability};
}

}  // namespace disagg
