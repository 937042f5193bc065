#pragma once

#include <string>
#include <vector>

#include "experiments/validate.hpp"

namespace disagg {

// One constant of a software profile while it is fitted.
struct FittedConstant {
  std::string name;  // key of "software": "layer"
  double value = 0;  // seconds, or a plain factor
};

struct SoftwareFit {
  std::string engine;
  std::string fold;  // "all", or the half of the configurations that it was fitted on
  std::size_t rows = 0;
  std::vector<FittedConstant> constants;
};

struct SoftwareFitResult {
  Validation validation;  // every row predicted with the constants of the half that it is not in
  std::vector<SoftwareFit> fits;
};

// Fits `constants` of the profiles in `table`, engine by engine: least squares on the logarithms of predicted
// over measured TTFT and TPOT with a soft-L1 loss of scale 0.1 (Gauss-Newton with step control on the
// logarithms of the constants). Configurations (model, system, sizes, lengths) are dealt to two halves; each
// half is predicted with the constants of the other, rows with drafts with those of all others. Only rows
// with `mode` are used. Throws ConfigError: unknown constant, nothing to fit.
SoftwareFitResult fit_software(const CsvTable& table, const std::vector<std::string>& constants,
                               const std::string& mode, const ValidateOptions& options);

}  // namespace disagg
