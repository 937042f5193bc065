#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/serving/cluster.hpp"
#include "topology/fabric.hpp"

namespace disagg {

// Host after host is filled, pool after pool.
struct Packed {
  static constexpr std::string_view kind = "packed";
  static constexpr std::string_view summary = "fills host after host, pool after pool";
  static Packed read(Reader&) { return {}; }
};
// Hosts are dealt to the pools in turn, by the hosts that each needs, and a pool's replicas go to its
// emptiest host.
struct Spread {
  static constexpr std::string_view kind = "spread";
  static constexpr std::string_view summary =
      "deals hosts to the pools in turn; a replica goes to its pool's emptiest host";
  static Spread read(Reader&) { return {}; }
};
struct OneRackPerPool {
  static constexpr std::string_view kind = "one-rack-per-pool";
  static constexpr std::string_view summary = "every pool has a rack (leaf, unit, group, slab) of its own";
  static OneRackPerPool read(Reader&) { return {}; }
};
struct ExplicitPlacement {
  static constexpr std::string_view kind = "explicit";
  static constexpr std::string_view summary = "every pool fills the hosts that the scenario lists for it";
  static ExplicitPlacement read(Reader& r);
  std::map<std::string, std::vector<std::string>> hosts;  // by pool
};
using PlacementPolicy = std::variant<Packed, Spread, OneRackPerPool, ExplicitPlacement>;

// One replica's accelerators on one host, and the share of the model that they hold: [begin, end) of [0, 1),
// stage by stage.
struct PlacedPart {
  std::size_t host = 0;    // in the order of the fabric's
  std::int64_t first = 0;  // accelerator of the host
  std::int64_t accelerators = 0;
  std::string name;
  double begin = 0, end = 1;
};
using Placement = std::vector<std::vector<PlacedPart>>;  // [replica], in the order of the pools

// Hosts that a packed placement of a pool fills, when each offers it `domain` accelerators.
std::int64_t hosts_needed(const PoolSetup& pool, std::int64_t domain);

// Places the replicas of all pools, each of which may use `domains[pool]` accelerators of a host; hosts that
// have fewer offer fewer. A stage of a pipeline leaves its host only if it is wider than that. Pools do not
// share hosts. What cannot be placed becomes a problem of `r`, the reader of the cluster.
// `domains` become those that the pools really have.
Placement place_replicas(const PlacementPolicy& policy, const Fabric& fabric, std::string_view topology,
                         std::span<const PoolSetup> pools, std::vector<std::int64_t>& domains, Reader& r);

}  // namespace disagg
