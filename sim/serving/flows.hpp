#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/base/ids.hpp"
#include "sim/base/quantity.hpp"
#include "sim/engine/network.hpp"

namespace disagg {

// One of the flows that carry a KV cache between two places, each with its share of the bytes.
struct NetworkFlow {
  RouteId route;
  double share = 1;
  BytesPerSecond limit = Network::kNoLimit;  // of the ports that hold one request's part
};

// Values under small numbers that are used again, so that an Action can name one.
template <class T>
class Slots {
 public:
  std::uint32_t add(T value) {
    if (free_.empty()) {
      values_.push_back(std::move(value));
      return static_cast<std::uint32_t>(values_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    values_[slot] = std::move(value);
    return slot;
  }
  T& operator[](std::uint32_t slot) { return values_[slot]; }
  T take(std::uint32_t slot) {
    free_.push_back(slot);
    return std::exchange(values_[slot], T{});
  }
  std::size_t live() const { return values_.size() - free_.size(); }
  // All slots are below, used or not.
  std::uint32_t end() const { return static_cast<std::uint32_t>(values_.size()); }

 private:
  std::vector<T> values_;
  std::vector<std::uint32_t> free_;
};

}  // namespace disagg
