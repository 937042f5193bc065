#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/engine/simulation.hpp"

namespace disagg {

// What each link carried over time, and between which endpoints.
class LinkLoads {
 public:
  // Intervals that are kept at most: then two become one.
  static constexpr std::size_t kMostIntervals = 64;
  // Pairs of endpoints told of each link: those that moved the most over it.
  static constexpr std::size_t kMostPairs = 8;
  struct Load {
    LinkId link;
    std::vector<double> loads;  // [interval], shares of the link's capacity
  };

  // Keeps a reference to `platform`.
  explicit LinkLoads(const Platform& platform);

  // Books the transfer as if its bytes had crossed evenly from its start to its end.
  void add(const TransferRecord& transfer);

  // Ends of the intervals of a run that ended then; the last may be a part of one.
  std::vector<Seconds> intervals(Seconds ended) const;
  // Of the links that carried anything, in their order.
  std::vector<Load> loads(Seconds ended) const;
  std::string series_csv(Seconds ended) const;
  std::string flows_csv() const;

 private:
  struct RouteTotals {
    Bytes bytes{};
    std::int64_t flows = 0;
  };
  void double_interval();
  void book(LinkId link, const TransferRecord& transfer);

  const Platform& platform_;
  Seconds interval_{0.2};
  std::vector<Bytes> moved_;         // [link * kMostIntervals + interval]
  std::vector<RouteTotals> routes_;  // [route]
};

}  // namespace disagg
