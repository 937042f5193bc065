#pragma once

#include <cstdint>
#include <string_view>

#include "sim/base/config.hpp"
#include "sim/model/model_spec.hpp"

// What the readers of the catalog and of Hugging Face's files share. Internal to sim/model.
namespace disagg {

inline constexpr std::int64_t kMostLayers = 100'000;
inline constexpr std::int64_t kMostExperts = 65'536;
inline constexpr std::int64_t kGreatestSize = 1'000'000'000;  // of anything else

// Whether a key has a value: a config.json writes null for what does not apply.
bool given(const Reader& r, std::string_view key);

// A required size, at least 1 and at most what no model reaches, so that neither products of sizes nor a list
// of layers can grow without bound. What is wrong goes to the reader; the result is within the bounds.
std::int64_t read_size(Reader& r, std::string_view key, std::int64_t most = kGreatestSize);
// The same from 0 on; 0 where the key is missing.
std::int64_t find_size(Reader& r, std::string_view key);

// Width of one head where the source leaves it to the usual quotient, which must be whole.
std::int64_t even_head_dim(Reader& r, const ModelSpec& m);
// Layers that first_dense_layers and moe_layer_step give to the experts.
std::int64_t layers_of_experts(const ModelSpec& m);
// KV heads share the heads evenly, and a token uses at most as many experts as there are: the latter was read
// from `per_token`.
void check_heads_and_experts(Reader& r, const ModelSpec& m, std::string_view per_token);

}  // namespace disagg
