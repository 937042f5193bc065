#pragma once

#include <algorithm>
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
  // What has moved until now does not count in flows_csv().
  void begin_measuring() { std::ranges::fill(routes_, RouteTotals{}); }
  // Nothing is added any more.
  void finish(Seconds ended);

  // Of all below: precondition: finish().

  // Ends of the intervals; the last may be a part of one.
  std::vector<Seconds> intervals() const;
  // Of the links that carried anything, in their order. Bytes beyond what a link can carry in an interval,
  // which come of spreading them evenly, count in the next ones, or where there are none in those before.
  std::vector<Load> loads() const;
  std::string series_csv() const;
  // By link and pair of endpoints: flows and bytes since begin_measuring(), as links.csv counts them.
  std::string flows_csv() const;

 private:
  struct RouteTotals {
    Bytes bytes{};
    std::int64_t flows = 0;
  };
  void double_interval();
  void double_interval_until(Seconds end);
  void book(LinkId link, const TransferRecord& transfer);

  const Platform& platform_;
  Seconds interval_{0.2};
  Seconds ended_{};
  std::vector<Bytes> moved_;         // [link * kMostIntervals + interval]
  std::vector<RouteTotals> routes_;  // [route]
};

}  // namespace disagg
