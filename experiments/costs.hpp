#pragma once

#include <optional>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/serving/cluster.hpp"
#include "topology/parts.hpp"

namespace disagg {

// What the parts of a network cost and draw, whatever the load.
struct NetworkBill {
  double capital_usd = 0;
  Watts power{};
  std::vector<FabricPart> parts;
};

// What it takes to own and run a cluster. Defaults and their ranges: 4 years (3 to 6) is the underwriting
// life of the published hourly costs, 8 % (6 to 13) a large operator's cost of capital, 130 USD/kW-month (100
// to 217) hosting in large blocks, 0.08 USD/kWh (0.05 to 0.12) the US industrial price, PUE 1.25 (1.09
// to 1.54) colocation; upkeep and availability are assumed.
struct CostModel {
  double lifetime_years = 4;
  double cost_of_capital = 0.08;  // a year
  double residual_share = 0;      // of the capital at the end
  double upkeep_share = 0.02;     // of the capital, a year
  double availability = 0.95;
  double hosting_usd_per_kw_month = 130;  // on provisioned power
  double electricity_usd_per_kwh = 0.08;  // on drawn power
  double pue = 1.25;
  // Drawn beside each accelerator: 1.5 kW idle and 2.3 kW busy of a host of eight (assumed, between MLPerf's
  // wall power of servers and their GPUs'), and NICs, switches and optics, which draw the same under any
  // load.
  Watts host_idle{187.5}, host_busy{287.5};
  std::optional<Watts> network;  // none: 95 W at up to 400 Gb/s an accelerator, else 215 W
  // Of an accelerator's all-in price: a two-tier InfiniBand network of 400 Gb/s (cluster price list,
  // 2024-08).
  double all_in_network_usd = 4246;
  // The parts of the scenario's own topology, where these and not the all-in figures pay for the network.
  std::optional<NetworkBill> bill;

  static CostModel read(Reader& r, const Fabric& fabric);
  Watts network_power(const Accelerator& accelerator) const;
};

// Capital and provisioned power.
struct Provision {
  double capital_usd = 0;
  Watts power{};
};
// Of so many accelerators with their hosts and, where no bill pays for it, their share of a network; nothing
// where the catalog has no all-in figures.
std::optional<Provision> provision(const CostModel& costs, const Accelerator& accelerator, double count);
// Of a whole cluster; nothing where that of an accelerator is not known.
std::optional<Provision> provision(const CostModel& costs, const ClusterSetup& cluster);

// USD per hour of wall clock: capital over the lifetime with interest and upkeep, hosting on provisioned
// power, energy on drawn power, all over the availability. CRF = r / (1 - (1 + r)^-n).
struct HourlyCost {
  double capital = 0, hosting = 0, energy = 0;
  double total() const { return capital + hosting + energy; }
};
HourlyCost hourly_cost(const CostModel& costs, const Provision& provision, Watts mean_power);

// Energy of a run by part.
struct EnergyUse {
  Joules busy{}, idle{};  // of accelerators: while a step runs, and else
  Joules hosts{}, network{}, memory{};
  Joules total() const { return busy + idle + hosts + network + memory; }
};

}  // namespace disagg
