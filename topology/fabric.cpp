#include "topology/fabric.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "sim/base/text.hpp"

namespace disagg {
namespace {

constexpr std::int64_t kMostHosts = 65'536;
constexpr std::int64_t kMostLinks = 1'000'000;
constexpr std::array<std::string_view, 2> kNetworks{"infiniband", "ethernet"};
constexpr std::array<std::string_view, 2> kRails{"striped", "hashed"};

std::int64_t count(Reader& r, std::string_view key, std::string_view fallback) {
  const auto number = r.get_or<std::int64_t>(key, fallback, Range::positive);
  if (number > kMostHosts) r.fail(key, "must be at most " + std::to_string(kMostHosts));
  return std::clamp(number, std::int64_t{1}, kMostHosts);
}

std::optional<std::int64_t> find_count(Reader& r, std::string_view key) {
  const auto number = r.find<std::int64_t>(key, Range::positive);
  if (number && *number > kMostHosts) r.fail(key, "must be at most " + std::to_string(kMostHosts));
  return number;
}

// InfiniBand switches take 100 to 300 ns (hardware catalog).
Seconds read_switch_latency(Reader& r) {
  return r.get_or<Seconds>("switch_latency", "300 ns", Range::non_negative);
}

// As between accelerators of an NVLink host; replicas reach their host's port through it.
Seconds read_nvlink_latency(Reader& r) {
  return r.get_or<Seconds>("nvlink_latency", "10 us", Range::non_negative);
}

double read_oversubscription(Reader& r) {
  const auto ratio = r.get_or<double>("oversubscription", "1", Range::positive);
  if (ratio < 1) r.fail("oversubscription", "must be at least 1");
  return std::max(ratio, 1.0);
}

std::string numbered(std::string_view name, std::int64_t number) {
  return std::string(name) + "-" + std::to_string(number);
}

TopologyVertexId add(Fabric& fabric, VertexKind kind, std::string name) {
  return boost::add_vertex({std::move(name), kind, 0, 0}, fabric.graph);
}

TopologyVertexId add_host(Fabric& fabric, VertexKind kind, std::string name, std::int64_t accelerators,
                          std::int64_t rack) {
  fabric.hosts.push_back(boost::add_vertex({std::move(name), kind, accelerators, rack}, fabric.graph));
  return fabric.hosts.back();
}

// A fabric in which every accelerator has a NIC.
struct NicFabric {
  Fabric fabric;
  Nics nics;
  BytesPerSecond line_rate{};  // of one NIC; 0: there are none
  std::int64_t accelerators = 1;

  NicFabric(const Nics& ports, const FabricDemand& demand)
      : nics(ports),
        line_rate(ports.bandwidth.value_or(demand.nic_bandwidth)),
        accelerators(demand.accelerators_per_host) {
    fabric.scale_up_latency = nics.nvlink_latency;
    fabric.nics_of_accelerators = !nics.bandwidth;
  }

  TopologyVertexId host(std::string name, std::int64_t rack) {
    return add_host(fabric, VertexKind::host, std::move(name), accelerators, rack);
  }
  // All NICs of a host into one switch.
  void attach(TopologyVertexId host, TopologyVertexId to) {
    link(host, to, line_rate, nics.latency / 2, fabric.graph[host].accelerators, Sharing::per_accelerator);
  }
  void attach_one(TopologyVertexId host, TopologyVertexId to, std::int64_t accelerator) {
    link(host, to, line_rate, nics.latency / 2, 1, Sharing::one_accelerator, accelerator);
  }
  void link(TopologyVertexId a, TopologyVertexId b, BytesPerSecond rate, Seconds latency,
            std::int64_t ports = 1, Sharing sharing = Sharing::shared, std::int64_t accelerator = 0) {
    if (rate.si <= 0) return;
    connect(fabric.graph, a, b,
            {.name = {},
             .medium = nics.medium,
             .bandwidth = rate * nics.efficiency,
             .latency = latency,
             .line_rate = rate,
             .ports = ports,
             .sharing = sharing,
             .accelerator = accelerator,
             .energy = {},
             .id = 0});
  }
};

std::int64_t hosts_for(const std::optional<std::int64_t>& given, const FabricDemand& demand,
                       std::int64_t hosts_per_rack) {
  if (given) return *given;
  return demand.racks > 1 ? demand.racks * hosts_per_rack : demand.hosts;
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

bool fits(std::int64_t links, Reader& r) {
  if (links <= kMostLinks) return true;
  r.fail("topology", "has " + std::to_string(links) + " links, more than the " + std::to_string(kMostLinks) +
                         " that are simulated");
  return false;
}

bool exceeds_radix(std::string_view kind, std::int64_t hosts, std::int64_t radix, Reader& r) {
  if (hosts <= radix) return false;
  r.fail("topology", std::string(kind) + ": " + std::to_string(hosts) + " hosts exceed its radix of " +
                         std::to_string(radix));
  return true;
}

// Every host has one port into a switch, which is named as its kind.
Fabric star_of_ports(VertexKind kind, std::int64_t hosts, const FabricDemand& demand,
                     BytesPerSecond bandwidth, Seconds latency, Seconds nvlink_latency) {
  Fabric fabric;
  fabric.scale_up_latency = nvlink_latency;
  const TopologyVertexId centre =
      add(fabric, kind, std::string(kVertexKindNames[static_cast<std::size_t>(kind)]));
  for (std::int64_t i = 0; i < hosts; ++i) {
    const auto host =
        add_host(fabric, VertexKind::host, numbered("host", i), demand.accelerators_per_host, 0);
    connect(fabric.graph, host, centre,
            {.name = {},
             .medium = Medium::optical,
             .bandwidth = bandwidth,
             .latency = latency / 2,
             .line_rate = bandwidth,
             .ports = 1,
             .sharing = Sharing::shared,
             .accelerator = 0,
             .energy = {},
             .id = 0});
  }
  return fabric;
}

Fabric build(const NvlinkHosts& t, const FabricDemand& demand, Reader&) {
  NicFabric f(t.nics(), demand);
  const auto network = add(f.fabric, VertexKind::network_switch, "switch");
  const std::int64_t hosts = t.hosts.value_or(demand.hosts);
  for (std::int64_t i = 0; i < hosts; ++i) f.attach(f.host(numbered("host", i), 0), network);
  return std::move(f.fabric);
}

Fabric build(const Nvl72& t, const FabricDemand& demand, Reader&) {
  NicFabric f(t.nic, demand);
  const auto network = add(f.fabric, VertexKind::network_switch, "switch");
  const std::int64_t racks = t.racks.value_or(std::max(demand.hosts, demand.racks));
  for (std::int64_t i = 0; i < racks; ++i)
    f.attach(add_host(f.fabric, VertexKind::scale_up_switch, numbered("rack", i), t.domain, i), network);
  return std::move(f.fabric);
}

Fabric build(const LeafSpine& t, const FabricDemand& demand, Reader& r) {
  NicFabric f(t.nic, demand);
  const std::int64_t hosts = hosts_for(t.hosts, demand, t.hosts_per_leaf);
  const std::int64_t leaves = ceil_div(hosts, t.hosts_per_leaf);
  if (!fits(leaves * t.spines + hosts, r)) return {};
  std::vector<TopologyVertexId> leaf, spine;
  for (std::int64_t i = 0; i < leaves; ++i)
    leaf.push_back(add(f.fabric, VertexKind::leaf_switch, numbered("leaf", i)));
  for (std::int64_t i = 0; i < t.spines; ++i)
    spine.push_back(add(f.fabric, VertexKind::spine_switch, numbered("spine", i)));
  for (std::int64_t i = 0; i < hosts; ++i) {
    const std::int64_t rack = i / t.hosts_per_leaf;
    f.attach(f.host(numbered("host", i), rack), leaf[static_cast<std::size_t>(rack)]);
  }
  const BytesPerSecond uplink = f.line_rate * static_cast<double>(t.hosts_per_leaf) *
                                static_cast<double>(f.accelerators) /
                                (t.oversubscription * static_cast<double>(t.spines));
  for (const auto a : leaf)
    for (const auto b : spine) f.link(a, b, uplink, t.switch_latency);
  return std::move(f.fabric);
}

Fabric build(const RailOptimized& t, const FabricDemand& demand, Reader& r) {
  NicFabric f(t.nic, demand);
  f.fabric.striped = t.striped;
  const std::int64_t hosts = hosts_for(t.hosts, demand, t.hosts_per_unit);
  const std::int64_t units = ceil_div(hosts, t.hosts_per_unit);
  const std::int64_t rails = f.accelerators;
  if (!fits(rails, r) || !fits(units * rails * t.spines + hosts * rails, r)) return {};
  std::vector<TopologyVertexId> leaf, spine;
  for (std::int64_t unit = 0; unit < units; ++unit)
    for (std::int64_t rail = 0; rail < rails; ++rail)
      leaf.push_back(
          add(f.fabric, VertexKind::leaf_switch, numbered("unit", unit) + "." + numbered("rail", rail)));
  for (std::int64_t i = 0; i < t.spines; ++i)
    spine.push_back(add(f.fabric, VertexKind::spine_switch, numbered("spine", i)));
  for (std::int64_t i = 0; i < hosts; ++i) {
    const std::int64_t unit = i / t.hosts_per_unit;
    const auto host = f.host(numbered("host", i), unit);
    for (std::int64_t rail = 0; rail < rails; ++rail)
      f.attach_one(host, leaf[static_cast<std::size_t>(unit * rails + rail)], rail);
  }
  const BytesPerSecond uplink = f.line_rate * static_cast<double>(t.hosts_per_unit) /
                                (t.oversubscription * static_cast<double>(t.spines));
  for (const auto a : leaf)
    for (const auto b : spine) f.link(a, b, uplink, t.switch_latency);
  return std::move(f.fabric);
}

Fabric build(const Torus& t, const FabricDemand& demand, Reader&) {
  Fabric fabric;
  fabric.scale_up_latency = t.nvlink_latency;
  // The longest dimension is the outermost, so that the halves of the order are those of the narrowest cut.
  std::vector<std::int64_t> sizes = t.dimensions;
  std::ranges::sort(sizes);
  std::int64_t hosts = 1;
  for (const std::int64_t size : sizes) hosts *= size;
  const std::int64_t slab = hosts / sizes.back();
  for (std::int64_t i = 0; i < hosts; ++i)
    add_host(fabric, VertexKind::router, numbered("host", i), demand.accelerators_per_host, i / slab);
  for (std::int64_t i = 0; i < hosts; ++i) {
    for (std::int64_t stride = 1; const std::int64_t size : sizes) {
      const std::int64_t at = i / stride % size;
      // Between two points one link is enough.
      if (size > 2 || at == 0) {
        const std::int64_t next = i + ((at + 1) % size - at) * stride;
        connect(fabric.graph, fabric.hosts[static_cast<std::size_t>(i)],
                fabric.hosts[static_cast<std::size_t>(next)],
                {.name = {},
                 .medium = t.medium,
                 .bandwidth = t.link_bandwidth,
                 .latency = t.link_latency,
                 .line_rate = t.link_bandwidth,
                 .ports = 1,
                 .sharing = Sharing::shared,
                 .accelerator = 0,
                 .energy = {},
                 .id = 0});
      }
      stride *= size;
    }
  }
  return fabric;
}

Fabric build(const Dragonfly& t, const FabricDemand& demand, Reader& r) {
  NicFabric f(t.nic, demand);
  const std::int64_t groups = t.groups();
  // Counted in floating point, where no product of the three can overflow.
  const double all = static_cast<double>(groups) * static_cast<double>(t.routers_per_group) *
                     static_cast<double>(t.hosts_per_router);
  if (all > static_cast<double>(kMostHosts)) {
    r.fail("topology", "has " + show_number(all) + " hosts, more than the " + std::to_string(kMostHosts) +
                           " that are simulated");
    return {};
  }
  const std::int64_t routers = groups * t.routers_per_group;
  const std::int64_t hosts = routers * t.hosts_per_router;
  if (!fits(hosts + routers * (t.routers_per_group + t.global_links), r)) return {};
  const BytesPerSecond nics_of_host = f.line_rate * static_cast<double>(f.accelerators);
  const BytesPerSecond local = t.local_bandwidth.value_or(nics_of_host);
  const BytesPerSecond global = t.global_bandwidth.value_or(nics_of_host);
  std::vector<TopologyVertexId> router;
  for (std::int64_t i = 0; i < routers; ++i)
    router.push_back(
        add(f.fabric, VertexKind::router,
            numbered("group", i / t.routers_per_group) + "." + numbered("router", i % t.routers_per_group)));
  for (std::int64_t i = 0; i < hosts; ++i) {
    const std::int64_t at = i / t.hosts_per_router;
    f.attach(f.host(numbered("host", i), at / t.routers_per_group), router[static_cast<std::size_t>(at)]);
  }
  const auto router_of = [&](std::int64_t group, std::int64_t number) {
    return router[static_cast<std::size_t>(group * t.routers_per_group + number)];
  };
  for (std::int64_t group = 0; group < groups; ++group) {
    for (std::int64_t a = 0; a < t.routers_per_group; ++a)
      for (std::int64_t b = a + 1; b < t.routers_per_group; ++b)
        f.link(router_of(group, a), router_of(group, b), local, t.switch_latency);
    // A group's global links in order lead to the groups behind it in order, round the circle.
    for (std::int64_t other = group + 1; other < groups; ++other)
      f.link(router_of(group, (other - group - 1) / t.global_links),
             router_of(other, (group - other - 1 + groups) / t.global_links), global, t.switch_latency);
  }
  return std::move(f.fabric);
}

Fabric build(const OpticalStar& t, const FabricDemand& demand, Reader& r) {
  const std::int64_t hosts = t.hosts.value_or(demand.hosts);
  if (exceeds_radix(OpticalStar::kind, hosts, t.radix, r)) return {};
  Fabric fabric = star_of_ports(VertexKind::photonic_fabric, hosts, demand, t.port_bandwidth, t.latency,
                                t.nvlink_latency);
  fabric.assumptions = t.assumptions;
  return fabric;
}

Fabric build(const OpticalCircuitSwitch& t, const FabricDemand& demand, Reader& r) {
  const std::int64_t hosts = t.hosts.value_or(demand.hosts);
  if (exceeds_radix(OpticalCircuitSwitch::kind, hosts, t.radix, r)) return {};
  Fabric fabric = star_of_ports(VertexKind::circuit_switch, hosts, demand, t.port_bandwidth,
                                t.latency + t.reconfiguration, t.nvlink_latency);
  fabric.assumptions = t.assumptions;
  return fabric;
}

Fabric build(const InlineGraph& t, const FabricDemand&, Reader&) { return t.fabric; }
Fabric build(const GraphmlFile& t, const FabricDemand&, Reader&) { return t.fabric; }

}  // namespace

Nics Nics::read(Reader& r) {
  Nics nics;
  nics.bandwidth = r.find<BytesPerSecond>("nic_bandwidth", Range::positive);
  // RDMA from end to end on InfiniBand NDR takes 1 to 2 us (hardware catalog, unverified).
  nics.latency = r.get_or<Seconds>("nic_latency", "2 us", Range::non_negative);
  // Point-to-point latency observed by aiconfigurator's authors on NVLink systems (hardware catalog).
  nics.nvlink_latency = read_nvlink_latency(r);
  // Fitted on Mooncake's transfers of KV caches over 8 RoCE NICs between H800 hosts (hardware catalog), from
  // 20 MB at 0.69 of the nominal rate to 4.5 GB at 0.79.
  nics.efficiency = r.get_or<double>("nic_efficiency", "0.73", Range::fraction);
  return nics;
}

Nics Nics::read_with_medium(Reader& r) {
  Nics nics = read(r);
  nics.medium = r.choice("network", kNetworks, "infiniband") == 0 ? Medium::infiniband : Medium::ethernet;
  return nics;
}

NvlinkHosts NvlinkHosts::read(Reader& r) {
  const Nics nics = Nics::read(r);
  return {.nic_bandwidth = nics.bandwidth,
          .nic_latency = nics.latency,
          .nvlink_latency = nics.nvlink_latency,
          .nic_efficiency = nics.efficiency,
          .hosts = find_count(r, "hosts")};
}

Nvl72 Nvl72::read(Reader& r) {
  return {.nic = Nics::read_with_medium(r),
          .domain = count(r, "accelerators_per_rack", "72"),
          .racks = find_count(r, "racks")};
}

LeafSpine LeafSpine::read(Reader& r) {
  return {.nic = Nics::read_with_medium(r),
          .hosts = find_count(r, "hosts"),
          .hosts_per_leaf = count(r, "hosts_per_leaf", "4"),
          .spines = count(r, "spines", "2"),
          .oversubscription = read_oversubscription(r),
          .switch_latency = read_switch_latency(r)};
}

RailOptimized RailOptimized::read(Reader& r) {
  return {.nic = Nics::read_with_medium(r),
          .hosts = find_count(r, "hosts"),
          .hosts_per_unit = count(r, "hosts_per_unit", "4"),
          .spines = count(r, "spines", "2"),
          .oversubscription = read_oversubscription(r),
          .switch_latency = read_switch_latency(r),
          .striped = r.choice("rails", kRails, "striped") == 0};
}

Torus Torus::read(Reader& r) {
  Torus torus;
  torus.dimensions = r.get<std::vector<std::int64_t>>("dimensions");
  const bool sized = torus.dimensions.size() == 2 || torus.dimensions.size() == 3;
  std::int64_t hosts = 1;
  for (std::size_t i = 0; sized && i < torus.dimensions.size(); ++i)
    hosts *= std::clamp(torus.dimensions[i], std::int64_t{0}, kMostHosts);
  if (!sized || std::ranges::min(torus.dimensions) < 2 || hosts > kMostHosts) {
    if (r.has("dimensions"))
      r.fail("dimensions", "expects 2 or 3 sizes of at least 2 each, and at most " +
                               std::to_string(kMostHosts) + " hosts in all");
    torus.dimensions = {2, 2};
  }
  torus.link_bandwidth = r.get<BytesPerSecond>("link_bandwidth", Range::positive);
  // Assumed to be that of one NIC; no figure for hosts that forward is published.
  torus.link_latency = r.get_or<Seconds>("link_latency", "1 us", Range::non_negative);
  torus.nvlink_latency = read_nvlink_latency(r);
  torus.medium = static_cast<Medium>(r.choice("medium", kMediumNames, "ethernet"));
  return torus;
}

Dragonfly Dragonfly::read(Reader& r) {
  return {.nic = Nics::read_with_medium(r),
          .hosts_per_router = count(r, "hosts_per_router", "1"),
          .routers_per_group = count(r, "routers_per_group", "2"),
          .global_links = count(r, "global_links", "1"),
          .local_bandwidth = r.find<BytesPerSecond>("local_bandwidth", Range::positive),
          .global_bandwidth = r.find<BytesPerSecond>("global_bandwidth", Range::positive),
          .switch_latency = read_switch_latency(r)};
}

OpticalStar OpticalStar::read(Reader& r) {
  OpticalStar star;
  if (!r.has("port_bandwidth"))
    star.assumptions.emplace_back(
        "optical-star port of 900 GB/s per direction: 115 Tbit/s over 16 ports of arXiv 2507.14000, "
        "direction not confirmed");
  if (!r.has("latency"))
    star.assumptions.emplace_back(
        "optical-star latency of 60 ns: two optical I/O chiplets of 5 ns and 10 m of fibre; that of the "
        "fabric is not published");
  star.radix = count(r, "radix", "16");  // arXiv 2507.14000
  star.port_bandwidth = r.get_or<BytesPerSecond>("port_bandwidth", "900 GB/s", Range::positive);
  star.latency = r.get_or<Seconds>("latency", "60 ns", Range::non_negative);
  star.nvlink_latency = read_nvlink_latency(r);
  star.hosts = find_count(r, "hosts");
  return star;
}

OpticalCircuitSwitch OpticalCircuitSwitch::read(Reader& r) {
  OpticalCircuitSwitch ocs;
  ocs.assumptions.emplace_back(
      "optical-circuit-switch: every hand-off waits for a reconfiguration, an upper bound");
  if (!r.has("latency"))
    ocs.assumptions.emplace_back("optical-circuit-switch latency of 50 ns: 10 m of fibre");
  ocs.radix = count(r, "radix", "136");  // Google Palomar (arXiv 2208.10041)
  // One pluggable module of 800 Gbit/s.
  ocs.port_bandwidth = r.get_or<BytesPerSecond>("port_bandwidth", "100 GB/s", Range::positive);
  ocs.latency = r.get_or<Seconds>("latency", "50 ns", Range::non_negative);
  // Median of Palomar's mirrors; whole-box changes with software take 0.2 to 0.5 s.
  ocs.reconfiguration = r.get_or<Seconds>("reconfiguration", "1.2 ms", Range::non_negative);
  ocs.nvlink_latency = read_nvlink_latency(r);
  ocs.hosts = find_count(r, "hosts");
  return ocs;
}

std::string_view name_of(const TopologyPolicy& topology) {
  return std::visit([](const auto& t) { return std::remove_cvref_t<decltype(t)>::kind; }, topology);
}

std::optional<Nics> nics_of(const TopologyPolicy& topology) {
  return std::visit(
      [](const auto& t) -> std::optional<Nics> {
        if constexpr (requires { t.nics(); }) {
          return t.nics();
        } else {
          return std::nullopt;
        }
      },
      topology);
}

Fabric build_fabric(const TopologyPolicy& topology, const FabricDemand& demand, Reader& r) {
  return std::visit([&](const auto& t) { return build(t, demand, r); }, topology);
}

}  // namespace disagg
