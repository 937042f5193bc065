#include "experiments/link_loads.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "sim/base/text.hpp"

namespace disagg {
namespace {

// Links are named "FROM>TO".
std::string_view from(const PlatformLink& link) {
  return std::string_view(link.name).substr(0, link.name.find('>'));
}
std::string_view to(const PlatformLink& link) {
  const std::size_t arrow = link.name.find('>');
  return std::string_view(link.name).substr(arrow == std::string::npos ? 0 : arrow + 1);
}

}  // namespace

LinkLoads::LinkLoads(const Platform& platform)
    : platform_(platform), moved_(platform.links.size() * kMostIntervals), routes_(platform.routes.size()) {}

void LinkLoads::double_interval() {
  for (std::size_t first = 0; first < moved_.size(); first += kMostIntervals) {
    for (std::size_t i = 0; i < kMostIntervals / 2; ++i)
      moved_[first + i] = moved_[first + 2 * i] + moved_[first + 2 * i + 1];
    std::fill_n(moved_.begin() + static_cast<std::ptrdiff_t>(first + kMostIntervals / 2), kMostIntervals / 2,
                Bytes{});
  }
  interval_ *= 2;
}

void LinkLoads::double_interval_until(Seconds end) {
  while (end >= interval_ * static_cast<double>(kMostIntervals)) double_interval();
}

void LinkLoads::add(const TransferRecord& transfer) {
  if (transfer.bytes <= Bytes{0}) return;
  double_interval_until(transfer.end);
  for (const LinkId link : platform_.routes[transfer.route.index].links) book(link, transfer);
  routes_[transfer.route.index].bytes += transfer.bytes;
  routes_[transfer.route.index].flows += transfer.arrived ? 1 : 0;
}

void LinkLoads::book(LinkId link, const TransferRecord& transfer) {
  const auto interval_of = [&](Seconds time) { return static_cast<std::size_t>(time / interval_); };
  const std::size_t first = interval_of(transfer.start);
  const std::size_t last = std::min(interval_of(transfer.end), kMostIntervals - 1);
  Bytes* moved = &moved_[link.index * kMostIntervals];
  if (first >= last) {
    moved[last] += transfer.bytes;
    return;
  }
  const BytesPerSecond rate = transfer.bytes / (transfer.end - transfer.start);
  for (std::size_t i = first; i <= last; ++i) {
    const Seconds begin = std::max(transfer.start, interval_ * static_cast<double>(i));
    const Seconds end = std::min(transfer.end, interval_ * static_cast<double>(i + 1));
    moved[i] += rate * (end - begin);
  }
}

void LinkLoads::finish(Seconds ended) {
  ended_ = ended;
  double_interval_until(ended);
}

std::vector<Seconds> LinkLoads::intervals() const {
  std::vector<Seconds> ends;
  for (std::size_t i = 0; i < kMostIntervals && interval_ * static_cast<double>(i) < ended_; ++i)
    ends.push_back(std::min(ended_, interval_ * static_cast<double>(i + 1)));
  return ends;
}

std::vector<LinkLoads::Load> LinkLoads::loads() const {
  const std::vector<Seconds> ends = intervals();
  std::vector<Load> carried;
  for (std::uint32_t l = 0; l < platform_.links.size(); ++l) {
    const Bytes* moved = &moved_[l * kMostIntervals];
    if (std::all_of(moved, moved + ends.size(), [](Bytes bytes) { return bytes <= Bytes{0}; })) continue;
    std::vector<double>& loads = carried.emplace_back(Load{.link = LinkId{l}, .loads = {}}).loads;
    loads.reserve(ends.size());
    std::vector<Bytes> room;  // of each interval
    room.reserve(ends.size());
    Seconds begin{};
    for (const Seconds end : ends) {
      room.push_back(platform_.links[l].capacity * (end - begin));
      begin = end;
    }
    std::vector<Bytes> bytes(moved, moved + ends.size());
    Bytes beyond{};
    const auto settle = [&](std::size_t i) {
      beyond += bytes[i];
      bytes[i] = std::min(beyond, room[i]);
      beyond -= bytes[i];
    };
    for (std::size_t i = 0; i < ends.size(); ++i) settle(i);
    for (std::size_t i = ends.size(); i-- > 0 && beyond > Bytes{0};) settle(i);
    for (std::size_t i = 0; i < ends.size(); ++i) loads.push_back(bytes[i] / room[i]);
  }
  return carried;
}

std::string LinkLoads::series_csv() const {
  std::string text = "time_s,link,load\n";
  const std::vector<Seconds> ends = intervals();
  for (const Load& load : loads())
    for (std::size_t i = 0; i < ends.size(); ++i)
      text += show_exact(ends[i].si) + "," + platform_.links[load.link.index].name + "," +
              show_exact(load.loads[i]) + "\n";
  return text;
}

std::string LinkLoads::flows_csv() const {
  using Pair = std::pair<std::string_view, std::string_view>;
  // Several routes, over other rails say, may join the same pair.
  std::vector<std::map<Pair, RouteTotals>> pairs(platform_.links.size());
  for (std::size_t r = 0; r < routes_.size(); ++r) {
    if (routes_[r].bytes <= Bytes{0}) continue;
    const std::vector<LinkId>& links = platform_.routes[r].links;
    const Pair pair{from(platform_.links[links.front().index]), to(platform_.links[links.back().index])};
    for (const LinkId link : links) {
      RouteTotals& totals = pairs[link.index][pair];
      totals.bytes += routes_[r].bytes;
      totals.flows += routes_[r].flows;
    }
  }
  std::string text = "link,from,to,flows,bytes\n";
  for (std::size_t l = 0; l < pairs.size(); ++l) {
    std::vector<std::pair<Pair, RouteTotals>> most(pairs[l].begin(), pairs[l].end());
    std::ranges::stable_sort(most, std::ranges::greater{},
                             [](const auto& pair) { return pair.second.bytes; });
    most.resize(std::min(most.size(), kMostPairs));
    for (const auto& [pair, totals] : most)
      text.append(platform_.links[l].name)
          .append(",")
          .append(pair.first)
          .append(",")
          .append(pair.second)
          .append("," + std::to_string(totals.flows) + "," + show_exact(totals.bytes.si) + "\n");
  }
  return text;
}

}  // namespace disagg
