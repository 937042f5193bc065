#pragma once

#include <optional>
#include <string_view>

#include "sim/base/config.hpp"
#include "sim/model/model_spec.hpp"

// The language models whose config.json is understood. Internal to sim/model.
namespace disagg {

bool is_hf_architecture(std::string_view model_type);
// The sizes in `config`, the whole config.json or its "text_config", as the architecture that "model_type"
// names means them. Name, source and number format are left empty. Problems go to the reader; none, if the
// architecture is not understood.
std::optional<ModelSpec> read_hf_architecture(Reader& config);

}  // namespace disagg
