// Reads a trace of the kind DISAGG_FUZZ_KIND: whatever the bytes are, the reader gives requests that can be
// simulated or throws ConfigError with the file's name in front. Anything else stops the fuzzer.
//   cmake -B build/fuzz -DDISAGG_FUZZ=ON -DCMAKE_CXX_COMPILER=clang++ && cmake --build build/fuzz --target
//   fuzz_sessions mkdir -p build/corpus && build/fuzz/fuzz_sessions -max_total_time=300 build/corpus
//   tests/fuzz/corpus/sessions
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "sim/base/config.hpp"
#include "workloads/source.hpp"
#include "workloads/trace_lines.hpp"

namespace {

using namespace disagg;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(TokenCount prompt, TokenCount output, const PromptContent* content) {
  require(prompt >= 1 && prompt <= kMostTokens && output >= 1 && output <= kMostTokens);
  if (content == nullptr) return;
  require(content->block_tokens >= 1 && content->tokens >= 0 && content->tokens <= prompt + output);
  std::int64_t blocks = 0;
  for (const HashRange& range : content->ranges) {
    require(range.count >= 1);
    blocks += range.count;
  }
  require(blocks == (content->tokens + content->block_tokens - 1) / content->block_tokens);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("disagg-fuzz-" + std::to_string(getpid()) + ".json");
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const std::string kind = DISAGG_FUZZ_KIND;
  const std::string arrivals =
      kind == "kv-cache-tester" ? R"(, "arrivals": { "kind": "closed-loop", "concurrency": 1 })" : "";
  ConfigNode root = parse_config(
      R"({ "workload": { "kind": ")" + kind + R"(", "file": ")" + file.string() + "\"" + arrivals + " } }",
      "fuzz");
  Problems problems;
  Reader reader(root, "", problems);
  const auto workload = read_workload(reader, "workload");
  problems.throw_if_any();
  try {
    const auto source = workload->open(1);
    Seconds last{};
    while (const auto request = source->next()) {
      require(request->arrival >= last && request->kind < source->kinds().size());
      last = request->arrival;
      if (request->session == nullptr) {
        check(request->prompt_tokens, request->output_tokens, request->content.get());
        continue;
      }
      const auto& turns = request->session->turns;
      require(!turns.empty());
      for (std::size_t t = 0; t < turns.size(); ++t) {
        check(turns[t].prompt_tokens, turns[t].output_tokens, turns[t].content.get());
        require(turns[t].tool >= Seconds{} && turns[t].think >= Seconds{});
        for (const std::uint32_t parent : turns[t].parents) require(parent < t);
      }
    }
  } catch (const ConfigError& error) {
    require(std::string(error.what()).starts_with(file.string()));
  }
  return 0;
}
