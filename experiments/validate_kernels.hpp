#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/error_table.hpp"

namespace disagg {

struct KernelValidationOptions {
  // Whose constants to use, on the datasheet's rates of the accelerator that was measured; empty: its own.
  std::string constants_of{};
  std::optional<std::filesystem::path> constants{};  // a file of `disagg calibrate`, before the catalog
};

// Predicted against measured times of kernel files (read_kernel_files), metric "latency_ms". Each row has the
// file's own columns that describe it, and "family", "operation", "format" as in the catalog, "cold" (1: the
// KV cache exceeds 1.5 times the L2 cache). As measured: activations are quantised on the fly, attention
// repeats with a warm L2 cache, and launches without a CUDA graph take at least the host's time. The notes
// say what was left out and whose constants stood in. Throws ConfigError.
Validation validate_kernels(const std::vector<std::filesystem::path>& files,
                            const KernelValidationOptions& options);

}  // namespace disagg
