#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "workloads/source.hpp"

namespace disagg {

// The JSONL format of Mooncake's traces, one object a line: timestamp (ms since the start of the trace),
// input_length, output_length (tokens) and hash_ids, in order of time. Of hash_ids there is one for each
// "hash_block_tokens" tokens of the prompt, the last of which may be fewer (and may lack its id); equal ids
// behind equal ids mean equal tokens. Without hash_ids nothing is known of a prompt.
//
// The published timestamps are in steps of 3 s, which would make every step a burst. "spread" undoes that:
// the n requests with one timestamp are placed evenly over the spread behind it, request i at (i + 0.5) / n
// of it, or over the time to the next timestamp where that is shorter, so that order is kept.
struct MooncakeTrace {
  static constexpr std::string_view kind = "mooncake";
  static constexpr std::string_view summary =
      "a Mooncake trace (JSONL); \"spread\" undoes its 3 s time steps";

  std::filesystem::path file;
  Seconds spread{};
  TokenCount hash_block_tokens = 512;

  static MooncakeTrace read(Reader& r);
  std::unique_ptr<Source> open(std::uint64_t seed) const;
};

}  // namespace disagg
