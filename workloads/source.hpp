#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/base/quantity.hpp"
#include "sim/memory/prompt_content.hpp"
#include "workloads/session.hpp"

namespace disagg {

// One request of a workload, or a session of them, before it meets the cluster.
struct RequestSpec {
  Seconds arrival{};             // since the start of the workload; never decreases within one source
  TokenCount prompt_tokens = 0;  // at least 1
  TokenCount output_tokens = 0;  // at least 1; the first one is produced by the prefill
  std::uint32_t kind = 0;        // index into Source::kinds()
  std::shared_ptr<const PromptContent> content{};  // none: what the prompt says is not known
  // A whole session arrives, whose turns take the place of the tokens and the content above.
  std::shared_ptr<const Session> session{};
};

// A stream of requests and sessions in order of arrival. Nothing is held but what the next few requests need.
// Bad rows throw ConfigError naming file and line.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::optional<RequestSpec> next() = 0;
  // Names of the kinds of request (agent kinds); at least one.
  virtual const std::vector<std::string>& kinds() const = 0;
  // In a closed loop: how many requests, or sessions, are in flight; arrival times do not count then. Each
  // that ends lets the next one in.
  virtual std::optional<std::int64_t> concurrency() const { return std::nullopt; }
  // The share of the workload that has been handed out, 0 to 1; below 0 when it cannot be known.
  virtual double progress() const { return -1; }
  // For provenance: what was read, with the hash of its bytes once the source is exhausted; empty for
  // generated ones. Where a workload ends before its trace does ("first", "window"), the hash covers the
  // lines read.
  virtual std::string trace_hash() const { return {}; }
  // What of the workload is not simulated, one sentence each, for the user to see.
  virtual std::vector<std::string> notes() const { return {}; }
};

// What a scenario says of its workload, read and checked, without any file opened yet for reading rows.
class Workload {
 public:
  virtual ~Workload() = default;
  // Opens the source. Throws ConfigError when a trace cannot be read.
  virtual std::unique_ptr<Source> open(std::uint64_t seed) const = 0;
};

// Reads the "workload" object of a scenario. Nothing, and problems in the reader, when it cannot be used.
std::unique_ptr<Workload> read_workload(Reader& r, std::string_view key);

}  // namespace disagg
