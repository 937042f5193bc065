#pragma once

#include "sim/base/quantity.hpp"

namespace disagg {

// Work and the memory traffic it costs.
struct Work {
  Flops flops{};
  Bytes bytes{};

  Work& operator+=(const Work& b) {
    flops += b.flops;
    bytes += b.bytes;
    return *this;
  }
  friend Work operator+(Work a, const Work& b) { return a += b; }
  friend Work operator*(Work a, double k) { return {a.flops * k, a.bytes * k}; }
};

// Operational intensity; zero without traffic.
inline FlopsPerByte intensity(const Work& w) { return w.bytes.si > 0 ? w.flops / w.bytes : FlopsPerByte{0}; }

// Tokens that chunk-wise kernels of linear attention process at once (flash-linear-attention's default).
inline constexpr double kLinearAttentionChunk = 64;

// Bytes of one element are called weight_bytes, activation_bytes and kv_bytes in what follows.

// A product of `tokens` rows with a weight of d_in x d_out: F = 2 T d_in d_out, Q = b_w d_in d_out + b_a T
// (d_in + d_out) (oi_cf 4.1).
Work linear_work(double tokens, double d_in, double d_out, double weight_bytes, double activation_bytes);

// Core of grouped-query attention in one layer, fused (flash): F = 4 h d_h P, Q = 2 b_a h d_h T + 2 b_kv h_kv
// d_h S, for P query-key pairs of T new tokens over S tokens of context (oi_cf 4.3).
Work attention_work(double pairs, double tokens, double context, double heads, double kv_heads,
                    double head_dim, double activation_bytes, double kv_bytes);

}  // namespace disagg
