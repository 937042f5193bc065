#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/scenario.hpp"

namespace disagg {

// What two clusters are given alike before they are compared: nothing, or as many accelerators, as many USD
// an hour (of owning them, at 80 % of the provisioned power, or of renting the accelerators), as much
// capital, or as much provisioned power; or the load that they have to serve.
enum class Match { none, count, cost, rent, capital, power, throughput };
inline constexpr std::array<std::string_view, 7> kMatchNames{"none",    "count", "cost",      "rent",
                                                             "capital", "power", "throughput"};
// What they are counted in.
inline constexpr std::array<std::string_view, kMatchNames.size()> kMatchUnits{
    "", "accelerators", "USD/h", "USD/h", "USD", "W", "req/s"};
// Those of them that a cluster takes, and that a search can minimise.
inline constexpr std::array<std::string_view, 5> kBudgetNames{"count", "cost", "rent", "capital", "power"};
// Precondition: one of kMatchNames.
Match match_named(std::string_view name);
// What a budget is counted in, for a sentence: "USD an hour of rent".
std::string_view unit_told(Match match);

// What a scenario's cluster takes of it: `fixed` of what does not grow with its pools (memory pools of hosts
// and of the cluster), and so much for each replica of each pool.
struct Budget {
  std::vector<std::int64_t> replicas;   // [pool]
  std::vector<double> per_replica;      // [pool]
  std::vector<std::string> pool_names;  // [pool]
  double fixed = 0;

  double of(const std::vector<std::int64_t>& counts) const;
  double total() const { return of(replicas); }
};
// Precondition: not Match::throughput. Throws ConfigError where no cost, rent or power of an accelerator is
// known.
Budget budget(const Scenario& scenario, Match match);

// Replicas in nearly the proportions of `budget`, at least one of each pool, whose budget is as near to
// `target` as one replica more or less of any pool can bring it.
std::vector<std::int64_t> matched_replicas(const Budget& budget, double target);

}  // namespace disagg
