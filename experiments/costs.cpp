#include "experiments/costs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

namespace disagg {
namespace {

constexpr double kHoursPerYear = 8760;
constexpr double kMonthsPerYear = 12;
constexpr BytesPerSecond kSlowNic{50e9};
constexpr std::array<std::string_view, 2> kNetworkSources{"all-in", "parts"};

// A rack's all-in price contains its NVLink switches.
constexpr std::string_view kPaidWithAccelerators = "NVLink switch tray";

NetworkBill bill_of(const Fabric& fabric) {
  NetworkBill bill;
  for (const FabricPart& part : parts_of(fabric)) {
    if (part.name == kPaidWithAccelerators) continue;
    bill.parts.push_back(part);
    bill.capital_usd += part.price.value_or(Dollars{}).si * part.count;
    bill.power += part.power.value_or(Watts{}) * part.count;
  }
  return bill;
}

Watts all_in_network_power(const Accelerator& accelerator) {
  return accelerator.nic_bandwidth.value_or(kSlowNic) <= kSlowNic ? Watts{95} : Watts{215};
}

}  // namespace

CostModel CostModel::read(Reader& r, const Fabric& fabric) {
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
  costs.all_in_network_usd = r.get_or<double>("all_in_network_usd", "4246", Range::non_negative);
  if (r.choice("network_from", kNetworkSources, kNetworkSources.front()) == 1) {
    if (costs.network) r.fail("network", "says nothing where the parts of the topology are counted");
    costs.bill = bill_of(fabric);
  }
  r.done();
  return costs;
}

Watts CostModel::network_power(const Accelerator& accelerator) const {
  if (bill) return {};
  return network.value_or(all_in_network_power(accelerator));
}

std::optional<Provision> provision(const CostModel& costs, const Accelerator& accelerator, double count) {
  if (!accelerator.all_in_capital || !accelerator.all_in_power) return std::nullopt;
  Provision each{.capital_usd = accelerator.all_in_capital->si, .power = *accelerator.all_in_power};
  if (costs.bill) {
    each.capital_usd = std::max(0.0, each.capital_usd - costs.all_in_network_usd);
    each.power = std::max(Watts{}, each.power - all_in_network_power(accelerator));
  }
  return Provision{.capital_usd = each.capital_usd * count, .power = each.power * count};
}

std::optional<Provision> provision(const CostModel& costs, const ClusterSetup& cluster) {
  Provision sum;
  if (costs.bill) sum = {.capital_usd = costs.bill->capital_usd, .power = costs.bill->power};
  for (const PoolSetup& pool : cluster.pools) {
    const auto of_pool =
        provision(costs, pool.shape.accelerator,
                  static_cast<double>(pool.replicas * pool.shape.parallelism.accelerators()));
    if (!of_pool) return std::nullopt;
    sum.capital_usd += of_pool->capital_usd;
    sum.power += of_pool->power;
  }
  std::vector<std::uint32_t> instances(cluster.tiers.size());
  for (const std::vector<TierAccess>& of_replica : cluster.tier_access)
    for (const TierAccess& access : of_replica)
      instances[access.tier] = std::max(instances[access.tier], access.instance + 1);
  for (std::size_t t = 0; t < cluster.tiers.size(); ++t) {
    const double gigabytes = cluster.tiers[t].capacity.si / 1e9 * instances[t];
    sum.capital_usd += gigabytes * cluster.tiers[t].cost.usd_per_gb;
    sum.power += Watts{gigabytes * cluster.tiers[t].cost.watts_per_gb};
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
