#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/service/replica_shape.hpp"

namespace disagg {

// A serving engine: what it adds to the kernels' time, and its defaults for scheduling and memory.
struct SoftwareProfile {
  std::string name;
  std::string summary;
  SoftwareOverheads overheads;
  Seconds
      request_latency{};  // front end, tokeniser, response path: once a request, outside the engine's clock
  ExpertExchangeKind exchange = ExpertExchangeKind::all_gather;
  bool assumed = false;  // no measurement stands behind the overheads
  std::string source;
};

// The profiles embedded in the program.
std::vector<SoftwareProfile> software_profiles();

// Reads "software" of a pool: the name of a profile, or an object with "extends": NAME and overheads that
// replace its own. The profile's scheduling and memory settings join the pool's object where it has none, so
// this must be read before them. Problems go to the reader.
SoftwareProfile read_software(Reader& pool);

}  // namespace disagg
