#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "topology/fabric.hpp"

namespace disagg {

// Energy of one byte that crosses a link of this medium at full use of both directions.
struct MediumEnergy {
  std::optional<JoulesPerByte> energy;  // nothing: no figure is published
  bool assumed = false;                 // not from a datasheet or measurement
  std::string_view source;
};
const MediumEnergy& energy_of(Medium medium);

// What a fabric is bought of. A price or power that is not published is left out.
struct FabricPart {
  std::string_view name;
  double count = 0;
  std::optional<Dollars> price;  // of each
  std::optional<Watts> power;    // of each, whatever the load
  bool assumed = false;          // price or power are judgements, not published figures
  std::string_view source;
};

// Counts NICs, switch ports and modules at both ends of all links, in units of 400 Gbit/s per direction for
// InfiniBand and Ethernet, in ports for optics. NVLink inside hosts is part of the accelerators' price and
// not counted; NVLink switches of racks are. Parts that the fabric does not have are left out.
std::vector<FabricPart> parts_of(const Fabric& fabric);

}  // namespace disagg
