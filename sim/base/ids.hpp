#pragma once

#include <compare>
#include <cstdint>

namespace disagg {

// An index that cannot be mixed up with another kind of index. A default-constructed one names nothing.
template <class Tag>
struct Id {
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  std::uint32_t index = kNone;

  constexpr bool valid() const { return index != kNone; }
  constexpr auto operator<=>(const Id&) const = default;
};

using PoolId = Id<struct PoolTag>;
using ReplicaId = Id<struct ReplicaTag>;
using LinkId = Id<struct LinkTag>;
using RouteId = Id<struct RouteTag>;
// Names one live flow; its index is used again once the flow has ended.
using FlowId = Id<struct FlowTag>;
// Names one transfer of a simulation in the same way: a flow and the latency before it.
using TransferId = Id<struct TransferTag>;

}  // namespace disagg
