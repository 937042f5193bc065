#pragma once

#include <filesystem>

#include "sim/base/config.hpp"
#include "sim/model/model_spec.hpp"

namespace disagg {

// The format of the published weights, as "quantization_config" of `config` gives it. A format that is not
// understood is a problem of the reader. Internal to sim/model.
void read_hf_quantization(Reader& config, ModelSpec& m);
// The same from the hf_quant_config.json that NVIDIA's Model Optimizer writes beside a config.json.
void read_hf_quantization_file(const std::filesystem::path& file, ModelSpec& m, Problems& problems);

}  // namespace disagg
