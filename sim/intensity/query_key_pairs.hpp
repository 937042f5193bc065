#pragma once

#include "sim/base/quantity.hpp"
#include "sim/model/model_spec.hpp"

namespace disagg {

// What a layer sees of the context before a token: all of it (tokens = 0), the last `tokens` (a sliding
// window), or what has come since the last multiple of `tokens` (chunked-local attention, Llama 4).
struct Reach {
  TokenCount tokens = 0;
  bool chunked = false;
};

// What the limited layers of a model see: its window, its chunk, or the best tokens of sparse attention;
// tokens = 0 when it has no such layers.
Reach limited_reach(const ModelSpec& model);

// Query-key pairs of `tokens` new tokens behind `prefix` cached ones, for one head (oi_cf 4.2): causal over
// all of the context, over a window of the last `reach.tokens`, or within chunks of so many.
double query_key_pairs(const Reach& reach, TokenCount prefix, TokenCount tokens);

// Tokens of context that a layer of this reach reads for them.
double visible_context(const Reach& reach, TokenCount prefix, TokenCount tokens);

}  // namespace disagg
