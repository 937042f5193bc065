#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/arrivals.hpp"
#include "workloads/profile.hpp"
#include "workloads/source.hpp"

namespace disagg {

// Sessions drawn from the profiles of agent kinds. What a prompt says is known token by token (hash blocks of
// one token): sessions of a kind share their prefix, and each says things of its own behind it. The sessions
// do not depend on what the cluster makes of them.
struct AgentsWorkload {
  static constexpr std::string_view kind = "agents";
  static constexpr std::string_view summary =
      "generated sessions of agents: \"mix\": {\"coding\": 0.5, \"chat\": 0.5}, or \"profiles\" of your own";

  struct Share {
    AgentProfile profile;
    double share = 1;
  };
  Arrivals arrivals;
  std::optional<std::int64_t> sessions;
  Seconds duration = kNever;
  std::vector<Share> mix;

  static AgentsWorkload read(Reader& r);
  std::unique_ptr<Source> open(std::uint64_t seed) const;
};

}  // namespace disagg
