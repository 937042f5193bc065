#include "sim/intensity/operators.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/intensity/experts.hpp"
#include "sim/intensity/query_key_pairs.hpp"

namespace disagg {

double published_intensity(double d_in, double d_out, double tokens) {
  return 2 * d_in * d_out * tokens / (d_in * d_out + tokens * (d_in + d_out));
}

double published_footprint(double kv_width, double context, double d_in, double d_out, double batch) {
  return 2 * kv_width * context + d_in * d_out / batch;
}

Work linear_work(double tokens, double d_in, double d_out, double weight_bytes, double activation_bytes) {
  return {Flops{2 * tokens * d_in * d_out},
          Bytes{weight_bytes * d_in * d_out + activation_bytes * tokens * (d_in + d_out)}};
}

double critical_tokens(FlopsPerByte ridge, double d_in, double d_out, double weight_bytes,
                       double activation_bytes) {
  const double gained = 2 * d_in * d_out - ridge.si * activation_bytes * (d_in + d_out);  // by each token
  if (gained <= 0) return std::numeric_limits<double>::infinity();
  return ridge.si * weight_bytes * d_in * d_out / gained;
}

AttentionCore grouped_query_core(double heads, double kv_heads, double head_dim, double activation_bytes,
                                 double kv_bytes) {
  return {Flops{4 * heads * head_dim}, Bytes{2 * activation_bytes * heads * head_dim},
          Bytes{2 * kv_bytes * kv_heads * head_dim}};
}

Work attention_work(double pairs, double tokens, double context, double heads, double kv_heads,
                    double head_dim, double activation_bytes, double kv_bytes) {
  return grouped_query_core(heads, kv_heads, head_dim, activation_bytes, kv_bytes).at(pairs, tokens, context);
}

Work unfused_attention_work(double tokens, double context, double heads, double kv_heads, double head_dim,
                            double activation_bytes, double kv_bytes, double score_bytes) {
  Work work = attention_work(tokens * context, tokens, context, heads, kv_heads, head_dim, activation_bytes,
                             kv_bytes);
  work.bytes += Bytes{4 * score_bytes * heads * tokens * context};
  return work;
}

double key_value_passes(double group, double tokens, double query_tile) {
  return std::ceil(group * tokens / query_tile);
}

Flops softmax_operations(double pairs, double heads) { return Flops{5 * heads * pairs}; }

FlopsPerByte decode_attention_limit(double group, double kv_bytes, double drafts) {
  return {2 * group / kv_bytes * (1 + drafts)};
}

AttentionCore absorbed_core(const LatentWidths& w, double activation_bytes, double kv_bytes) {
  const double width = w.heads * (2 * w.rank + w.rotary);
  return {Flops{2 * width}, Bytes{activation_bytes * width}, Bytes{kv_bytes * (w.rank + w.rotary)}};
}

AttentionCore expanded_core(const LatentWidths& w, double activation_bytes) {
  const double width = w.heads * (w.nope + w.rotary + w.value);
  return {Flops{2 * width}, Bytes{activation_bytes * width}, Bytes{activation_bytes * width}};
}

Work expansion_work(const LatentWidths& w, double activation_bytes, double kv_bytes) {
  const double expanded = w.heads * (w.nope + w.value);
  return {Flops{2 * w.rank * expanded}, Bytes{kv_bytes * (w.rank + w.rotary) + activation_bytes * expanded}};
}

FlopsPerByte absorbed_decode_limit(const LatentWidths& w, double kv_bytes) {
  const AttentionCore core = absorbed_core(w, 0, kv_bytes);
  return core.per_pair / core.per_key;
}

double absorbed_over_expanded(const LatentWidths& w) {
  return (2 * w.rank + w.rotary) / (w.nope + w.rotary + w.value);
}

double break_even_append(const LatentWidths& w) {
  const double saved = (2 * w.rank + w.rotary) - (w.nope + w.rotary + w.value);  // by expansion, for a pair
  if (saved <= 0) return std::numeric_limits<double>::infinity();
  return w.rank * (w.nope + w.value) / saved;
}

AttentionCore indexer_core(double heads, double head_dim, double activation_bytes, double kv_bytes) {
  return {Flops{2 * heads * head_dim}, Bytes{activation_bytes * heads * head_dim},
          Bytes{kv_bytes * head_dim}};
}

Flops recurrent_flops(double heads, double key_dim, double value_dim, bool delta_rule) {
  return Flops{(delta_rule ? 6 : 4) * heads * key_dim * value_dim};
}

Flops chunkwise_flops(double heads, double key_dim, double value_dim, bool delta_rule, double chunk) {
  return recurrent_flops(heads, key_dim, value_dim, delta_rule) +
         Flops{chunk * heads * (key_dim + value_dim)};
}

FlopsPerByte recurrent_decode_intensity(double state_bytes, bool delta_rule) {
  return recurrent_flops(1, 1, 1, delta_rule) / Bytes{2 * state_bytes};
}

double state_break_even_context(double heads, double key_dim, double value_dim, double state_bytes,
                                double kv_heads, double head_dim, double kv_bytes) {
  return heads * key_dim * value_dim * state_bytes / (2 * kv_heads * head_dim * kv_bytes);
}

Work experts_work(double tokens, double hidden, double width, double matrices, double experts,
                  double experts_per_token, double weight_bytes, double activation_bytes) {
  const double weights = matrices * hidden * width;  // of one expert
  return {Flops{2 * weights * experts_per_token * tokens},
          Bytes{weight_bytes * weights * distinct_experts(experts, experts_per_token, tokens) +
                2 * activation_bytes * hidden * tokens}};
}

double expert_tokens_for_ridge(FlopsPerByte ridge, double experts, double experts_per_token,
                               double weight_bytes) {
  return ridge.si * weight_bytes * experts / (2 * experts_per_token);
}

Bytes dispatch_bytes(double tokens, double experts_per_token, double hidden, double bytes_per_element,
                     double ranks) {
  return Bytes{bytes_per_element * tokens * experts_per_token * hidden * (ranks - 1) / ranks};
}

Work decode_step_work(double weights, double weight_bytes, double layers, double heads, double head_dim,
                      Bytes kv_per_token, double batch, double context) {
  return {Flops{2 * weights * batch + 4 * heads * head_dim * layers * context * batch},
          Bytes{weight_bytes * weights} + kv_per_token * (context * batch)};
}

Flops prefill_flops(double weights, double layers, double heads, double head_dim, TokenCount tokens) {
  return Flops{2 * weights * static_cast<double>(tokens) +
               4 * heads * head_dim * layers * query_key_pairs({}, 0, tokens)};
}

Bytes capacity_footprint(Bytes weights, double batch, Bytes kv_per_token, double context, Bytes state,
                         Bytes workspace) {
  return (weights + workspace) / batch + kv_per_token * context + state;
}

double largest_batch(Bytes capacity, Bytes weights, Bytes workspace, Bytes per_request) {
  return std::max(0.0, (capacity - weights - workspace) / per_request);
}

Seconds capacity_full_step(Bytes capacity, BytesPerSecond bandwidth) { return capacity / bandwidth; }

Seconds hand_off_time(Bytes kv_per_token, double tokens, BytesPerSecond bandwidth, Seconds latency) {
  return latency + kv_per_token * tokens / bandwidth;
}

bool hand_off_is_hidden(Bytes kv_of_layer, BytesPerSecond bandwidth, Seconds prefill_of_layer) {
  return kv_of_layer / bandwidth < prefill_of_layer;
}

}  // namespace disagg
