#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "experiments/error_table.hpp"
#include "experiments/kernel_files.hpp"

namespace disagg {

// Constants of one family, operation and format, fitted to measured kernels.
struct CalibratedFamily {
  std::string family, operation, format;
  std::vector<std::pair<std::string, double>> constants;  // all, in the units of their names
  std::size_t fitted = 0;                                 // how many of them were fitted
  bool packed = true;                                     // of prefill attention: see PrefillAttentionShape
  // Seconds that the host needs for a launch, by kernel source; of the benchmark, not of a server.
  std::vector<std::pair<std::string, double>> host_floors;
  ErrorSummary fit{};  // on the rows that were fitted
  ErrorSummary
      cross_validated{};  // each row by a fit without the shapes of its fold; no rows: too few shapes
  ErrorSummary cold{};    // of these, the rows whose KV cache exceeds 1.5 times the L2 cache
  std::string files;      // names of the files, joined
};

struct KernelCalibration {
  std::string accelerator;
  std::vector<CalibratedFamily> families;
  std::vector<LeftOutRows> left_out;
};

struct CalibrateOptions {
  std::string accelerator;  // that all rows must have been measured on
  std::size_t folds = 5;
  std::size_t jobs = 1;
  std::function<void(std::size_t done, std::size_t of)> progress{};
};

// Least squares on log(time) with soft-L1 loss (scale 0.1), every constant positive and phi at most 1, from
// the best of the catalog's constants of the accelerator's relative, of the H100 and of the B200. Throws
// ConfigError as read_kernel_files does, and when a row was measured on another accelerator.
KernelCalibration calibrate(const std::vector<std::filesystem::path>& files, const CalibrateOptions& options);

// A table of errors in percent, and what was left out.
void print_calibration(const KernelCalibration& calibration, std::ostream& out);
// {"kernels": [...], "left_out": [...]}: the rows as sim/service/catalog.json has them, read by
// kernel_constants(accelerator, file).
nlohmann::ordered_json calibration_json(const KernelCalibration& calibration);

}  // namespace disagg
