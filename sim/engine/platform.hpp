#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/ids.hpp"
#include "sim/base/quantity.hpp"

namespace disagg {

// One direction of a link. Flows that cross it share its capacity max-min fairly.
struct PlatformLink {
  std::string name;
  BytesPerSecond capacity{};
  std::optional<JoulesPerByte> energy;  // of a byte that crosses it, where known; times do not depend on it
};

// The way of all flows between two endpoints. The latency is that of the whole way.
struct PlatformRoute {
  std::uint32_t from = 0, to = 0;  // endpoints
  std::vector<LinkId> links;       // at least one
  Seconds latency{};
};

// What the network simulates: links, and one route per pair of endpoints in use.
struct Platform {
  std::vector<PlatformLink> links;
  std::vector<PlatformRoute> routes;
  std::uint32_t endpoints = 0;
};

}  // namespace disagg
