#include "sim/engine/link_failures.hpp"

#include <algorithm>
#include <boost/random/exponential_distribution.hpp>

#include "sim/base/expect.hpp"

namespace disagg {
namespace {

Seconds draw(RandomEngine& random, Seconds mean) {
  return Seconds{boost::random::exponential_distribution<double>(1 / mean.si)(random)};
}

}  // namespace

ScheduledFailure ScheduledFailure::read(Reader& r) {
  return {.link = r.get<std::string>("link"),
          .at = r.get<Seconds>("at", Range::non_negative),
          .duration = r.find<Seconds>("for", Range::positive).value_or(kNever),
          .capacity = r.get_or<double>("capacity", "0", Range::unit)};
}

RandomFailures RandomFailures::read(Reader& r) {
  return {.links = r.find<std::vector<std::string>>("links").value_or(std::vector<std::string>{}),
          .mtbf = r.get<Seconds>("mtbf", Range::positive),
          .mttr = r.get<Seconds>("mttr", Range::positive)};
}

LinkFailures::LinkFailures(const std::vector<LinkFailure>& failures, std::uint64_t seed,
                           Simulation& simulation)
    : simulation_(simulation), reasons_(simulation.platform().links.size()) {
  for (const LinkFailure& failure : failures) {
    if (const auto* scheduled = std::get_if<ScheduledFailure>(&failure)) {
      const LinkId link = find(scheduled->link);
      const BytesPerSecond own = simulation_.platform().links[link.index].capacity;
      const bool slower = scheduled->capacity > 0;
      simulation_.at(scheduled->at, [this, link, slower, left = own * scheduled->capacity] {
        if (slower) return simulation_.set_capacity(link, left);
        fail(link);
      });
      if (scheduled->duration == kNever) continue;
      simulation_.at(scheduled->at + scheduled->duration, [this, link, slower, own] {
        if (slower) return simulation_.set_capacity(link, own);
        repair(link);
      });
    } else {
      const auto& random = std::get<RandomFailures>(failure);
      const auto add = [&](LinkId link) {
        const std::string& name = simulation_.platform().links[link.index].name;
        links_.push_back({link, random_stream(seed, "failures/" + name), random.mtbf, random.mttr});
      };
      if (random.links.empty())
        for (std::uint32_t i = 0; i < simulation_.platform().links.size(); ++i) add(LinkId{i});
      for (const std::string& name : random.links) add(find(name));
    }
  }
  for (std::uint32_t i = 0; i < links_.size(); ++i) fail_later(i);
}

LinkId LinkFailures::find(std::string_view name) const {
  const auto& links = simulation_.platform().links;
  const auto found = std::ranges::find(links, name, &PlatformLink::name);
  expect(found != links.end(), "a link is to fail that there is not");
  return {static_cast<std::uint32_t>(found - links.begin())};
}

void LinkFailures::fail(LinkId link) {
  ++failures_;
  if (++reasons_[link.index] == 1) simulation_.fail(link);
}

void LinkFailures::repair(LinkId link) {
  if (--reasons_[link.index] == 0) simulation_.repair(link);
}

void LinkFailures::fail_later(std::uint32_t link) {
  simulation_.after(draw(links_[link].random, links_[link].mtbf), [this, link] {
    fail(links_[link].id);
    simulation_.after(draw(links_[link].random, links_[link].mttr), [this, link] {
      repair(links_[link].id);
      fail_later(link);
    });
  });
}

}  // namespace disagg
