#include "sim/intensity/query_key_pairs.hpp"

#include <algorithm>
#include <cmath>

namespace disagg {
namespace {

// 1 + 2 + ... + n
double triangle(double n) { return n * (n + 1) / 2; }

// Pairs of the first `tokens` tokens of a context, by reach.
double pairs_from_start(const Reach& reach, double tokens) {
  const auto edge = static_cast<double>(reach.tokens);
  if (reach.tokens == 0 || tokens <= edge) return triangle(tokens);
  if (!reach.chunked) return triangle(edge) + edge * (tokens - edge);
  const double chunks = std::floor(tokens / edge);
  return chunks * triangle(edge) + triangle(tokens - chunks * edge);
}

}  // namespace

Reach limited_reach(const ModelSpec& model) {
  if (model.sliding_window_tokens > 0) return {model.sliding_window_tokens, false};
  if (model.attention_chunk_tokens > 0) return {model.attention_chunk_tokens, true};
  return {model.index_topk, false};
}

double query_key_pairs(const Reach& reach, TokenCount prefix, TokenCount tokens) {
  const auto p = static_cast<double>(prefix);
  const auto l = static_cast<double>(tokens);
  // Without a limit the difference of two triangles, which would cancel digits, is spelled out.
  if (reach.tokens == 0) return l * p + triangle(l);
  return pairs_from_start(reach, p + l) - pairs_from_start(reach, p);
}

double visible_context(const Reach& reach, TokenCount prefix, TokenCount tokens) {
  const TokenCount all = prefix + tokens;
  if (reach.tokens == 0) return static_cast<double>(all);
  // A window holds the token itself.
  const TokenCount before = reach.chunked ? prefix % reach.tokens : std::min(prefix, reach.tokens - 1);
  return static_cast<double>(before + tokens);
}

}  // namespace disagg
