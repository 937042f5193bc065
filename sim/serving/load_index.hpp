#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "sim/base/expect.hpp"

namespace disagg {

// The least of n loads, kept by a winner tree: a change costs O(log n), asking costs nothing. Ties go to the
// lowest index.
class LoadIndex {
 public:
  explicit LoadIndex(std::size_t size = 0) : leaves_(1) {
    while (leaves_ < size) leaves_ *= 2;
    load_.assign(size, 0);
    winner_.assign(2 * leaves_, kNobody);
    for (std::size_t i = 0; i < size; ++i) winner_[leaves_ + i] = static_cast<std::uint32_t>(i);
    for (std::size_t node = leaves_ - 1; node > 0; --node) play(node);
  }

  std::size_t size() const { return load_.size(); }
  std::int64_t load(std::size_t i) const { return load_[i]; }
  void set(std::size_t i, std::int64_t load) {
    if (load_[i] == load) return;
    load_[i] = load;
    for (std::size_t node = (leaves_ + i) / 2; node > 0; node /= 2) play(node);
  }
  std::size_t least() const {
    expect(!load_.empty(), "the least of no loads");
    return load_.size() == 1 ? 0 : winner_[1];
  }

 private:
  static constexpr std::uint32_t kNobody = std::numeric_limits<std::uint32_t>::max();

  void play(std::size_t node) {
    const std::uint32_t a = winner_[2 * node];
    const std::uint32_t b = winner_[2 * node + 1];
    winner_[node] = b == kNobody || (a != kNobody && load_[a] <= load_[b]) ? a : b;
  }

  std::size_t leaves_;
  std::vector<std::int64_t> load_;
  std::vector<std::uint32_t> winner_;  // node i has children 2i and 2i + 1; leaves from leaves_ on
};

}  // namespace disagg
