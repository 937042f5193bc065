#include "topology/placement.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "sim/base/expect.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

// Fills hosts with the replicas of one pool: one host after the other, or with `spread` always the emptiest.
class PoolPlacer {
 public:
  PoolPlacer(const PoolSetup& pool, std::int64_t domain, std::vector<std::size_t> hosts, bool spread)
      : pool_(pool),
        domain_(domain),
        hosts_(std::move(hosts)),
        free_(hosts_.size(), domain),
        spread_(spread) {}

  // Whether all replicas have found a place.
  bool place(Placement& placement) {
    for (std::int64_t n = 0; n < pool_.replicas; ++n)
      if (!place_replica(n, placement.emplace_back())) return false;
    return true;
  }

 private:
  // A host with room for so many accelerators, as an index into hosts_.
  std::optional<std::size_t> host_with(std::int64_t accelerators) {
    if (spread_) {
      const auto emptiest = std::ranges::max_element(free_);
      if (emptiest == free_.end() || *emptiest < accelerators) return std::nullopt;
      return static_cast<std::size_t>(emptiest - free_.begin());
    }
    if (current_ && free_[*current_] >= accelerators) return current_;
    return next_host();
  }
  // A host that nobody has used.
  std::optional<std::size_t> next_host() {
    if (spread_) {
      const auto unused = std::ranges::find(free_, domain_);
      if (unused == free_.end()) return std::nullopt;
      return static_cast<std::size_t>(unused - free_.begin());
    }
    const std::size_t next = current_ ? *current_ + 1 : 0;
    if (next >= hosts_.size()) return std::nullopt;
    current_ = next;
    return next;
  }

  bool place_replica(std::int64_t number, std::vector<PlacedPart>& parts) {
    const Parallelism& parallelism = pool_.shape.parallelism;
    const auto stages = static_cast<double>(parallelism.pp);
    const std::string name = pool_.name + "[" + std::to_string(number) + "]";
    // Stages fill the hosts in order; a replica that fits into one host is never spread over two.
    const bool fits_one_host = parallelism.accelerators() <= domain_;
    for (std::int64_t stage = 0; stage < parallelism.pp;) {
      if (parallelism.per_stage() > domain_) {
        if (!place_wide_stage(name, stage++, parts)) return false;
        continue;
      }
      const auto host = host_with(fits_one_host ? parallelism.accelerators() : parallelism.per_stage());
      if (!host) return false;
      const std::int64_t here = std::min(parallelism.pp - stage, free_[*host] / parallelism.per_stage());
      add(*host, here * parallelism.per_stage(),
          fits_one_host ? name : name + "." + std::to_string(parts.size()),
          static_cast<double>(stage) / stages, static_cast<double>(stage + here) / stages, parts);
      stage += here;
    }
    return true;
  }

  // A stage wider than the scale-up domain takes whole hosts, and each holds its part of the stage's KV
  // cache.
  bool place_wide_stage(const std::string& name, std::int64_t stage, std::vector<PlacedPart>& parts) {
    const Parallelism& parallelism = pool_.shape.parallelism;
    const auto width = static_cast<double>(parallelism.per_stage());
    for (std::int64_t done = 0; done < parallelism.per_stage(); done += domain_) {
      const std::int64_t here = std::min(domain_, parallelism.per_stage() - done);
      const auto host = next_host();
      if (!host) return false;
      const auto at = [&](std::int64_t accelerators) {
        return (static_cast<double>(stage) + static_cast<double>(accelerators) / width) /
               static_cast<double>(parallelism.pp);
      };
      add(*host, here, name + "." + std::to_string(parts.size()), at(done), at(done + here), parts);
      free_[*host] = 0;
    }
    return true;
  }

  void add(std::size_t host, std::int64_t accelerators, std::string name, double begin, double end,
           std::vector<PlacedPart>& parts) {
    parts.push_back({.host = hosts_[host],
                     .first = domain_ - free_[host],
                     .accelerators = accelerators,
                     .name = std::move(name),
                     .begin = begin,
                     .end = end});
    free_[host] -= accelerators;
  }

  const PoolSetup& pool_;
  std::int64_t domain_;
  std::vector<std::size_t> hosts_;
  std::vector<std::int64_t> free_;  // accelerators of each
  bool spread_;
  std::optional<std::size_t> current_;
};

struct Choice {
  std::vector<std::vector<std::size_t>> hosts;  // [pool]
  bool spread = false;
};

std::string where(std::size_t index, const PoolSetup& pool) {
  return "pools[" + std::to_string(index) + "] (" + pool.name + "): ";
}

std::string hosts_text(std::int64_t hosts) {
  return std::to_string(hosts) + (hosts == 1 ? " host" : " hosts");
}

struct Asked {
  const Fabric& fabric;
  std::string_view topology;
  std::span<const PoolSetup> pools;
  std::span<const std::int64_t> domains;
  Reader& r;

  std::int64_t hosts() const { return static_cast<std::int64_t>(fabric.hosts.size()); }
};

// Consecutive hosts, as many as each pool needs.
std::optional<Choice> choose(const Packed&, const Asked& asked) {
  Choice choice;
  std::size_t next = 0;
  for (std::size_t i = 0; i < asked.pools.size(); ++i) {
    const std::int64_t needed = hosts_needed(asked.pools[i], asked.domains[i]);
    const std::int64_t left = asked.hosts() - static_cast<std::int64_t>(next);
    if (needed > left) {
      const std::string has =
          next == 0 ? " has only " + std::to_string(left)
                    : " leaves " + std::to_string(left) + " of its " + hosts_text(asked.hosts());
      asked.r.fail("pools", where(i, asked.pools[i]) + "needs " + hosts_text(needed) + ", and topology " +
                                std::string(asked.topology) + has);
      return std::nullopt;
    }
    auto& hosts = choice.hosts.emplace_back(static_cast<std::size_t>(needed));
    std::iota(hosts.begin(), hosts.end(), next);
    next += hosts.size();
  }
  return choice;
}

std::optional<Choice> choose(const Spread&, const Asked& asked) {
  const auto packed = choose(Packed{}, asked);
  if (!packed) return std::nullopt;
  // Each pool has what it needs, and its share of the rest.
  std::vector<std::int64_t> quota;
  quota.reserve(asked.pools.size());
  std::int64_t needed = 0;
  for (const auto& hosts : packed->hosts) needed += static_cast<std::int64_t>(hosts.size());
  expect(needed > 0, "pools without replicas ask for hosts");
  const std::int64_t rest = asked.hosts() - needed;
  std::int64_t dealt = 0;
  std::int64_t before = 0;
  for (const auto& hosts : packed->hosts) {
    const auto own = static_cast<std::int64_t>(hosts.size());
    before += own;
    const std::int64_t up_to = rest * before / needed;
    quota.push_back(own + up_to - std::exchange(dealt, up_to));
  }
  // In turn: the next host goes to the pool that lags most behind its share.
  Choice choice{.hosts = std::vector<std::vector<std::size_t>>(quota.size()), .spread = true};
  for (std::int64_t host = 0; host < asked.hosts(); ++host) {
    const auto lag = [&](std::size_t pool) {
      return quota[pool] * (host + 1) - static_cast<std::int64_t>(choice.hosts[pool].size()) * asked.hosts();
    };
    std::size_t chosen = 0;
    for (std::size_t pool = 1; pool < quota.size(); ++pool)
      if (lag(pool) > lag(chosen)) chosen = pool;
    choice.hosts[chosen].push_back(static_cast<std::size_t>(host));
  }
  return choice;
}

std::optional<Choice> choose(const OneRackPerPool&, const Asked& asked) {
  std::map<std::int64_t, std::vector<std::size_t>> racks;
  for (std::size_t i = 0; i < asked.fabric.hosts.size(); ++i)
    racks[asked.fabric.graph[asked.fabric.hosts[i]].rack].push_back(i);
  const auto racks_in_all = racks.size();
  Choice choice;
  for (std::size_t i = 0; i < asked.pools.size(); ++i) {
    const std::int64_t needed = hosts_needed(asked.pools[i], asked.domains[i]);
    const auto rack = std::ranges::find_if(
        racks, [&](const auto& each) { return static_cast<std::int64_t>(each.second.size()) >= needed; });
    if (rack == racks.end()) {
      asked.r.fail("placement", "one-rack-per-pool: " + where(i, asked.pools[i]) + "needs a rack with " +
                                    hosts_text(needed) + "; topology " + std::string(asked.topology) +
                                    " has " + std::to_string(racks_in_all) +
                                    (racks_in_all == 1 ? " rack" : " racks") +
                                    ", and none that is left has so many");
      return std::nullopt;
    }
    choice.hosts.push_back(std::move(rack->second));
    racks.erase(rack);
  }
  return choice;
}

std::optional<Choice> choose(const ExplicitPlacement& policy, const Asked& asked) {
  std::map<std::string_view, std::size_t> numbers;
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < asked.fabric.hosts.size(); ++i) {
    names.push_back(asked.fabric.graph[asked.fabric.hosts[i]].name);
    numbers[names.back()] = i;
  }
  std::vector<std::string_view> pool_names;
  pool_names.reserve(asked.pools.size());
  for (const PoolSetup& pool : asked.pools) pool_names.push_back(pool.name);
  for (const auto& entry : policy.hosts)
    if (std::ranges::find(pool_names, entry.first) == pool_names.end())
      asked.r.fail("placement", "hosts: pool " + unknown_word(entry.first, pool_names));
  Choice choice;
  std::map<std::size_t, std::string> owners;
  for (std::size_t i = 0; i < asked.pools.size(); ++i) {
    const PoolSetup& pool = asked.pools[i];
    auto& hosts = choice.hosts.emplace_back();
    const auto listed = policy.hosts.find(pool.name);
    if (listed == policy.hosts.end()) {
      asked.r.fail("placement", "hosts: lists none for pool '" + pool.name + "'");
      continue;
    }
    for (const std::string& name : listed->second) {
      const auto number = numbers.find(name);
      if (number == numbers.end()) {
        asked.r.fail("placement", "hosts." + pool.name + ": host " + unknown_word(name, names));
        continue;
      }
      const auto [owner, is_new] = owners.emplace(number->second, pool.name);
      if (!is_new) {
        asked.r.fail("placement",
                     "hosts." + pool.name + ": '" + name + "' is listed for '" + owner->second + "' already");
        continue;
      }
      hosts.push_back(number->second);
    }
    const std::int64_t needed = hosts_needed(pool, asked.domains[i]);
    if (asked.r.problems().empty() && static_cast<std::int64_t>(hosts.size()) < needed)
      asked.r.fail("placement", "hosts." + pool.name + ": lists " +
                                    hosts_text(static_cast<std::int64_t>(hosts.size())) +
                                    " where the pool needs " + std::to_string(needed));
  }
  if (!asked.r.problems().empty()) return std::nullopt;
  return choice;
}

}  // namespace

ExplicitPlacement ExplicitPlacement::read(Reader& r) {
  ExplicitPlacement placement;
  auto hosts = r.object("hosts");
  if (!hosts) return placement;
  for (const std::string& pool : hosts->keys())
    placement.hosts[pool] = hosts->get<std::vector<std::string>>(pool);
  return placement;
}

std::int64_t hosts_needed(const PoolSetup& pool, std::int64_t domain) {
  const Parallelism& parallelism = pool.shape.parallelism;
  const auto most = static_cast<std::size_t>(pool.replicas * parallelism.pp *
                                             ((parallelism.per_stage() + domain - 1) / domain));
  std::vector<std::size_t> hosts(most);
  std::iota(hosts.begin(), hosts.end(), std::size_t{0});
  Placement placement;
  PoolPlacer(pool, domain, std::move(hosts), false).place(placement);
  return static_cast<std::int64_t>(placement.back().back().host) + 1;
}

Placement place_replicas(const PlacementPolicy& policy, const Fabric& fabric, std::string_view topology,
                         std::span<const PoolSetup> pools, std::vector<std::int64_t>& domains, Reader& r) {
  // What the smallest host offers; hosts differ only where a graph was drawn by hand.
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
  for (const TopologyVertexId host : fabric.hosts)
    smallest = std::min(smallest, fabric.graph[host].accelerators);
  for (std::int64_t& domain : domains) domain = std::min(domain, smallest);
  const Asked asked{.fabric = fabric, .topology = topology, .pools = pools, .domains = domains, .r = r};
  auto choice = std::visit([&](const auto& p) { return choose(p, asked); }, policy);
  Placement placement;
  if (!choice) return placement;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (PoolPlacer(pools[i], domains[i], std::move(choice->hosts[i]), choice->spread).place(placement))
      continue;
    r.fail("pools", where(i, pools[i]) + "a replica finds no room on topology " + std::string(topology));
    break;
  }
  return placement;
}

}  // namespace disagg
