#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/csv_table.hpp"
#include "experiments/error_table.hpp"

namespace disagg {

struct PowerValidationOptions {
  std::filesystem::path models;  // folder of OWNER--MODEL.json for models that are not in the catalog
};

// Power per accelerator and energy per output token of servers in a steady state, cross-validated by model:
// each row is predicted by a PowerModel that was fitted to the rows of the same accelerator and all other
// models. Columns: task, model, weight_precision, gpu, num_gpus, tp, ep, avg_batch_size (requests),
// avg_output_tokens, power_per_gpu_w, output_tokens_per_s. "power_w" takes the measured tokens per second,
// "j_per_token" the simulated ones. The notes give what a fit to all rows of an accelerator has.
Validation validate_power(const CsvTable& table, const PowerValidationOptions& options);

}  // namespace disagg
