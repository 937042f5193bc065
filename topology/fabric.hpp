#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "topology/graph.hpp"

namespace disagg {

// What the pools ask of a fabric that may choose its own size.
struct FabricDemand {
  std::int64_t hosts = 0;  // that a packed placement needs
  std::int64_t racks = 1;  // at least
  std::int64_t accelerators_per_host = 1;
  BytesPerSecond nic_bandwidth{};  // of the fastest accelerator's NIC; 0: none has one
};

// Hosts and what joins them, before replicas are placed. Vertices with accelerators are the places where
// replicas can run: hosts, or whole racks where the scale-up switch joins these.
struct Fabric {
  TopologyGraph graph;
  std::vector<TopologyVertexId> hosts;  // vertices with accelerators, in the order in which they are filled
  Seconds scale_up_latency{};           // from accelerator to accelerator inside a host
  // The host's own edges are NICs of the rate that the accelerators on it have.
  bool nics_of_accelerators = false;
  bool striped = false;  // a hand-off goes over all NICs at once, each with its share
  std::vector<std::string> assumptions;
};

// One NIC for each accelerator.
struct Nics {
  std::optional<BytesPerSecond> bandwidth;  // per direction; else the accelerator's own
  Seconds latency{};                        // from NIC to NIC through one switch
  Seconds nvlink_latency{};
  double efficiency = 1;  // share of the network's rates that transfers reach
  Medium medium = Medium::infiniband;
  // "nic_bandwidth", "nic_latency", "nvlink_latency", "nic_efficiency".
  static Nics read(Reader& r);
  // The same, and "network": infiniband or ethernet.
  static Nics read_with_medium(Reader& r);
};

// Hosts with an NVLink switch inside; every accelerator has a NIC into one non-blocking network switch.
struct NvlinkHosts {
  static constexpr std::string_view kind = "nvlink-hosts";
  static constexpr std::string_view summary =
      "hosts with NVLink inside, one NIC per accelerator into a non-blocking switch";
  static NvlinkHosts read(Reader& r);
  Nics nics() const { return {nic_bandwidth, nic_latency, nvlink_latency, nic_efficiency}; }

  std::optional<BytesPerSecond> nic_bandwidth;
  Seconds nic_latency{};
  Seconds nvlink_latency{};
  double nic_efficiency = 1;
  std::optional<std::int64_t> hosts = std::nullopt;
};

// Racks whose accelerators one NVLink switch joins; NICs into one non-blocking network switch.
struct Nvl72 {
  static constexpr std::string_view kind = "nvl72";
  static constexpr std::string_view summary =
      "racks of 72 accelerators in one NVLink domain, one NIC per accelerator into a non-blocking switch";
  static Nvl72 read(Reader& r);
  Nics nics() const { return nic; }

  Nics nic;
  std::int64_t domain = 72;
  std::optional<std::int64_t> racks;
};

// Two-tier fat tree: all NICs of a host go to one leaf switch, and every leaf to all spines. A leaf's uplinks
// together carry its hosts' NICs divided by `oversubscription`.
struct LeafSpine {
  static constexpr std::string_view kind = "leaf-spine";
  static constexpr std::string_view summary =
      "two-tier fat tree: the NICs of a host go to one leaf switch, every leaf to all spines";
  static LeafSpine read(Reader& r);
  Nics nics() const { return nic; }

  Nics nic;
  std::optional<std::int64_t> hosts;
  std::int64_t hosts_per_leaf = 4, spines = 2;
  double oversubscription = 1;
  Seconds switch_latency{};  // of each switch beyond the first
};

// Two-tier fat tree with one rail for each accelerator of a host: accelerator i of all hosts of a unit goes
// to the unit's leaf switch i, and every leaf to all spines.
struct RailOptimized {
  static constexpr std::string_view kind = "rail-optimized";
  static constexpr std::string_view summary =
      "fat tree of rails: accelerator i of every host goes to leaf switch i of its unit, every leaf to all "
      "spines";
  static RailOptimized read(Reader& r);
  Nics nics() const { return nic; }

  Nics nic;
  std::optional<std::int64_t> hosts;
  std::int64_t hosts_per_unit = 4, spines = 2;
  double oversubscription = 1;
  Seconds switch_latency{};
  bool striped = true;
};

// Hosts at the points of a 2D or 3D grid that is closed in every dimension; hosts forward.
struct Torus {
  static constexpr std::string_view kind = "torus";
  static constexpr std::string_view summary =
      "2D or 3D torus of hosts, each linked to its neighbours and forwarding for others";
  static Torus read(Reader& r);

  std::vector<std::int64_t> dimensions;
  BytesPerSecond link_bandwidth{};
  Seconds link_latency{}, nvlink_latency{};
  Medium medium = Medium::ethernet;
};

// Canonical dragonfly (Kim et al., ISCA 2008): routers of a group are joined all to all, and so are groups,
// by one link for each pair, `global_links` of which each router has.
struct Dragonfly {
  static constexpr std::string_view kind = "dragonfly";
  static constexpr std::string_view summary =
      "groups of routers joined all to all, with one link between each pair of groups";
  static Dragonfly read(Reader& r);
  Nics nics() const { return nic; }
  std::int64_t groups() const { return routers_per_group * global_links + 1; }

  Nics nic;
  std::int64_t hosts_per_router = 1, routers_per_group = 2, global_links = 1;
  std::optional<BytesPerSecond> local_bandwidth, global_bandwidth;  // else that of all NICs of one host
  Seconds switch_latency{};
};

// Every host has one port into a central photonic fabric, which does not block and has `radix` ports.
struct OpticalStar {
  static constexpr std::string_view kind = "optical-star";
  static constexpr std::string_view summary =
      "one optical port per host into a central non-blocking photonic fabric of limited radix";
  static OpticalStar read(Reader& r);

  std::int64_t radix = 16;
  BytesPerSecond port_bandwidth{};
  Seconds latency{}, nvlink_latency{};
  std::optional<std::int64_t> hosts;
  std::vector<std::string> assumptions;
};

// The same through an optical circuit switch. Every flow waits for its circuit to be set up: an upper bound,
// for one between the same hosts as the last would find it standing.
struct OpticalCircuitSwitch {
  static constexpr std::string_view kind = "optical-circuit-switch";
  static constexpr std::string_view summary =
      "one optical port per host into a circuit switch; every hand-off waits for its reconfiguration";
  static OpticalCircuitSwitch read(Reader& r);

  std::int64_t radix = 136;
  BytesPerSecond port_bandwidth{};
  Seconds latency{}, reconfiguration{}, nvlink_latency{};
  std::optional<std::int64_t> hosts;
  std::vector<std::string> assumptions;
};

// Vertices and edges as the scenario lists them.
struct InlineGraph {
  static constexpr std::string_view kind = "graph";
  static constexpr std::string_view summary = "vertices and edges listed in the scenario";
  static InlineGraph read(Reader& r);

  Fabric fabric;
};

// Vertices and edges from a GraphML file, as `disagg topology --export FILE.graphml` writes it.
struct GraphmlFile {
  static constexpr std::string_view kind = "graphml";
  static constexpr std::string_view summary = "vertices and edges from a GraphML file";
  static GraphmlFile read(Reader& r);

  Fabric fabric;
};

// Every topology that a scenario may name. A new one joins here.
using TopologyPolicy = std::variant<NvlinkHosts, Nvl72, LeafSpine, RailOptimized, Torus, Dragonfly,
                                    OpticalStar, OpticalCircuitSwitch, InlineGraph, GraphmlFile>;

std::string_view name_of(const TopologyPolicy& topology);
// The NICs of topologies that have one for each accelerator.
std::optional<Nics> nics_of(const TopologyPolicy& topology);

// Builds the fabric. What cannot be built becomes a problem of `r`, the reader of the cluster.
Fabric build_fabric(const TopologyPolicy& topology, const FabricDemand& demand, Reader& r);

}  // namespace disagg
