#pragma once

#include "sim/service/kernel_times.hpp"

namespace disagg {

// Query-key pairs of `tokens` new tokens behind `prefix` cached ones, for one head (oi_cf 4.2): causal over
// all of the context, over a window of the last `reach.tokens`, or within chunks of so many.
double query_key_pairs(const Reach& reach, TokenCount prefix, TokenCount tokens);

// Tokens of context that a layer of this reach reads for them.
double visible_context(const Reach& reach, TokenCount prefix, TokenCount tokens);

}  // namespace disagg
