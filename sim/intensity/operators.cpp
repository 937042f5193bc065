#include "sim/intensity/operators.hpp"

namespace disagg {

Work linear_work(double tokens, double d_in, double d_out, double weight_bytes, double activation_bytes) {
  return {Flops{2 * tokens * d_in * d_out},
          Bytes{weight_bytes * d_in * d_out + activation_bytes * tokens * (d_in + d_out)}};
}

Work attention_work(double pairs, double tokens, double context, double heads, double kv_heads,
                    double head_dim, double activation_bytes, double kv_bytes) {
  return {Flops{4 * heads * head_dim * pairs}, Bytes{2 * activation_bytes * heads * head_dim * tokens +
                                                     2 * kv_bytes * kv_heads * head_dim * context}};
}

}  // namespace disagg
