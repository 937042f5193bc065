#include "topology/parts.hpp"

#include <algorithm>
#include <array>

namespace disagg {
namespace {

constexpr double kBytesPerUnit = 50e9;  // 400 Gbit/s
constexpr double kGbitPerSecond = 1e9 / 8;

constexpr JoulesPerByte picojoules_per_bit(double figure) { return {figure * 8e-12}; }

// By medium.
constexpr std::array<MediumEnergy, 7> kEnergies{{
    {picojoules_per_bit(5.5), true, "long-reach SerDes as an upper proxy; none is published for NVLink"},
    {picojoules_per_bit(1.3), false, "NVIDIA, NVLink-C2C"},
    {picojoules_per_bit(5.5), true, "PCIe Gen5, 5 to 6 pJ/bit, unverified"},
    {picojoules_per_bit(22.5), true, "400G DSP modules of 9 W at both ends, watts unverified"},
    {picojoules_per_bit(22.5), true, "400G DSP modules of 9 W at both ends, watts unverified"},
    {std::nullopt, false, "not published"},
    {picojoules_per_bit(5), false, "Ayar Labs TeraPHY, below 5 pJ/bit"},
}};

// One row for each part in the order in which it is reported; `count` is filled in.
enum class Part {
  nic,
  infiniband_port,
  ethernet_port,
  module,
  nvlink_tray,
  optical_io,
  photonic_port,
  circuit_module,
  circuit_port,
  unpriced
};
constexpr std::size_t kParts = 10;

std::array<FabricPart, kParts> price_list() {
  return {{
      {"NIC, 400 Gbit/s", 0, Dollars{1500}, Watts{25}, true,
       "ConnectX-7: 10 for 10,908 to 12,000 USD a node (SemiAnalysis 2023, infra-economics 2025); 25 W "
       "unverified"},
      {"InfiniBand switch port, 400 Gbit/s", 0, Dollars{563}, Watts{1100.0 / 64}, true,
       "Quantum-2 QM9700: 36,000 USD (cluster price list, 2024-08); 1,100 W unverified"},
      {"Ethernet switch port, 400 Gbit/s", 0, Dollars{547}, Watts{913.0 / 128}, true,
       "51.2 Tbit/s switch: 913 W without optics (UfiSpace S9321-64E); 70,000 USD assumed"},
      {"optical module, 400 Gbit/s", 0, Dollars{600}, Watts{9}, true,
       "DSP module: 600 to 800 USD (luxoptx.com, 2025); 9 W assumed"},
      {"NVLink switch tray", 0, Dollars{250'000.0 / 9}, Watts{1000}, true,
       "NVL72: assumed 250,000 USD and 1,000 W a tray (0.4 to 2 kW); a rack's price contains it"},
      {"optical I/O port of a host", 0, std::nullopt, std::nullopt, true,
       "TeraPHY class: below 5 pJ/bit (Ayar Labs); 0.4 USD per Gbit/s assumed, no price is public"},
      {"photonic fabric port", 0, std::nullopt, std::nullopt, false, "neither price nor power is published"},
      {"optical module, 800 Gbit/s", 0, Dollars{950}, Watts{16}, false,
       "DSP module: 1,100 to 1,400 USD (luxoptx.com), 950 in the GB300 model; 12 to 17 W"},
      {"circuit switch port", 0, Dollars{350}, Watts{0.8}, true,
       "Google Palomar (arXiv 2208.10041): 150 to 800 USD, 0.8 W, unverified"},
      {"PCIe, CXL or NVLink port", 0, std::nullopt, std::nullopt, false,
       "no price is public; NVLink is in the accelerators' price"},
  }};
}

}  // namespace

const MediumEnergy& energy_of(Medium medium) { return kEnergies.at(static_cast<std::size_t>(medium)); }

std::vector<FabricPart> parts_of(const Fabric& fabric) {
  std::array<FabricPart, kParts> parts = price_list();
  const auto part = [&](Part which) -> FabricPart& { return parts.at(static_cast<std::size_t>(which)); };
  const TopologyGraph& graph = fabric.graph;
  // A full-duplex end of a link is counted by the direction that leaves it.
  for (auto [e, end] = boost::edges(graph); e != end; ++e) {
    const TopologyEdge& edge = graph[*e];
    const TopologyVertex& from = graph[boost::source(*e, graph)];
    const TopologyVertex& to = graph[boost::target(*e, graph)];
    const auto ports = static_cast<double>(edge.ports);
    const double rate = edge.line_rate.si * ports;
    const bool is_host =
        from.accelerators > 0 || from.kind == VertexKind::host || from.kind == VertexKind::nic;
    switch (edge.medium) {
      case Medium::infiniband:
      case Medium::ethernet: {
        const Part port = edge.medium == Medium::infiniband ? Part::infiniband_port : Part::ethernet_port;
        part(is_host ? Part::nic : port).count += rate / kBytesPerUnit;
        part(Part::module).count += rate / kBytesPerUnit;
        break;
      }
      case Medium::optical:
        if (from.kind == VertexKind::circuit_switch) {
          part(Part::circuit_port).count += ports;
        } else if (to.kind == VertexKind::circuit_switch) {
          part(Part::circuit_module).count += rate / (2 * kBytesPerUnit);
        } else if (from.kind == VertexKind::photonic_fabric) {
          part(Part::photonic_port).count += ports;
        } else {
          FabricPart& io = part(Part::optical_io);
          const double total = io.count + ports;
          // Ports of several rates are averaged.
          io.price = (io.price.value_or(Dollars{}) * io.count + Dollars{0.4 * rate / kGbitPerSecond}) / total;
          io.power = (io.power.value_or(Watts{}) * io.count +
                      *energy_of(Medium::optical).energy * BytesPerSecond{rate}) /
                     total;
          io.count = total;
        }
        break;
      case Medium::nvlink:
      case Medium::nvlink_c2c:
      case Medium::pcie:
      case Medium::cxl:
        part(Part::unpriced).count += ports;
        break;
    }
  }
  for (auto [v, end] = boost::vertices(graph); v != end; ++v)
    if (graph[*v].kind == VertexKind::scale_up_switch)
      part(Part::nvlink_tray).count += 9 * static_cast<double>(graph[*v].accelerators) / 72;
  std::vector<FabricPart> used;
  std::ranges::copy_if(parts, std::back_inserter(used), [](const FabricPart& p) { return p.count > 0; });
  return used;
}

}  // namespace disagg
