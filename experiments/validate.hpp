#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "experiments/error_table.hpp"
#include "experiments/serving_rows.hpp"

namespace disagg {

struct ValidateOptions {
  ServingRowOptions rows;
  std::vector<std::string> overrides;  // PATH=VALUE applied to every pool: "software.layer=20 us"
  std::size_t jobs = 1;
  bool with_suspect = false;  // also rows whose recorded topology is suspect
  std::function<void(std::size_t done, std::size_t of)> progress;
};

// Mean time to first token and mean time per output token of one serving row's scenario.
struct ServingPrediction {
  double ttft_ms = 0, tpot_ms = 0;
  double busiest_prefill = 0;  // utilization of the pool that prefills
  bool short_of_kv = false;    // requests waited for KV blocks, or were preempted
  std::string error;           // why there is none
};

// "capped" when fewer sequences decode at once than are in flight, "kv-limited", "saturated" when the prefill
// pool is busy nearly all the time, else "free".
std::string serving_state(const ServingRow& row, const ServingPrediction& prediction);

// Runs each scenario in a process of its own, `jobs` at a time. `pool_overrides` are laid on every pool.
std::vector<ServingPrediction> predict_serving(const std::vector<const ServingRow*>& rows,
                                               const std::vector<std::string>& pool_overrides,
                                               std::size_t jobs,
                                               const std::function<void(std::size_t, std::size_t)>& progress);

// Predicted against measured TTFT and TPOT of a file of serving measurements. Column "state" of each row says
// whether its batch was capped, its KV cache full, its prefill saturated, or none of these.
Validation validate_serving(const CsvTable& table, const ValidateOptions& options);

// Prefill and decode times of single batches (columns model, hardware, tensor_parallel, prompt_size,
// batch_size, token_size, prompt_time_ms, token_time_ms) with a software profile.
Validation validate_phases(const CsvTable& table, const std::string& software,
                           const std::vector<std::string>& pool_overrides = {});

// Transfers of a KV cache between two replicas (columns prompt_tokens, transfer_time_ms), as in the scenario
// of Mooncake's measurement: Qwen3-8B, TP 8 to TP 8 over eight 200 Gb/s ports of RoCE.
Validation validate_transfers(const CsvTable& table);

}  // namespace disagg
