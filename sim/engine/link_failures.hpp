#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/base/random.hpp"
#include "sim/engine/simulation.hpp"

namespace disagg {

// A link that fails, or loses a part of its capacity, at a date of the simulation.
struct ScheduledFailure {
  static constexpr std::string_view kind = "link";
  static constexpr std::string_view summary = "a link fails \"at\" a time \"for\" a while, or is slower then";
  static ScheduledFailure read(Reader& r);

  std::string link;
  Seconds at{};
  Seconds duration = kNever;
  double capacity = 0;  // share of the link's own that is left
};

// Links that fail and are repaired again and again, each on its own, after exponential times.
struct RandomFailures {
  static constexpr std::string_view kind = "random-links";
  static constexpr std::string_view summary =
      "links fail and are repaired after exponential times of mean \"mtbf\" and \"mttr\"";
  static RandomFailures read(Reader& r);

  std::vector<std::string> links;  // none: all
  Seconds mtbf{}, mttr{};
};

using LinkFailure = std::variant<ScheduledFailure, RandomFailures>;

// Lets links fail and be repaired while a simulation runs. Hand-offs and transfers of memory tiers wait for
// the repair and then send the rest (Simulation::transfer); a flow keeps its route.
class LinkFailures {
 public:
  // Each link's random failures have a stream of their own.
  LinkFailures(const std::vector<LinkFailure>& failures, std::uint64_t seed, Simulation& simulation);
  LinkFailures(const LinkFailures&) = delete;
  LinkFailures& operator=(const LinkFailures&) = delete;

  std::int64_t failures() const { return failures_; }

 private:
  struct Link {
    LinkId id;
    RandomEngine random;
    Seconds mtbf{}, mttr{};
  };
  LinkId find(std::string_view name) const;
  void fail(LinkId link);
  void repair(LinkId link);
  void fail_later(std::uint32_t link);

  Simulation& simulation_;
  std::vector<Link> links_;            // with random failures
  std::vector<std::int32_t> reasons_;  // [link] failures that keep it down
  std::int64_t failures_ = 0;
};

}  // namespace disagg
