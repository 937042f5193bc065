#pragma once

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

namespace disagg {

inline constexpr std::array<std::string_view, 2> kExportFormats{"vllm", "aiperf"};

// The results in a folder of `disagg run --out` in the shape of a benchmark's, for scripts that read those:
// "vllm" is the file of `vllm bench serve --save-result --save-detailed` (vllm/benchmarks/serve.py), without
// "itls", since single gaps are not kept; "aiperf" is profile_export_aiperf.json, whose inter_token_latency
// is vLLM's TPOT and whose inter_chunk_latency is vLLM's ITL. Of the requests that arrived in the measured
// time. Throws ConfigError when the folder does not hold what a run writes.
nlohmann::ordered_json export_results(const std::filesystem::path& folder, std::string_view format);

}  // namespace disagg
