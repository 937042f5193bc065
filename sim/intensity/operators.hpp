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

// Formulas of single operators and of whole steps, as oi_cf sections 2 and 4 derive them. Widths are in
// elements, and `weight_bytes`, `activation_bytes`, `kv_bytes` and the like are the bytes of one element.

// The two formulas that arXiv 2601.22001 prints, which count elements, not bytes: FLOPs for each element of
// weight, input and output of a d_in x d_out product of `tokens` rows, and elements that a request keeps in
// one layer, 2 d L + m d / B. To be compared with a ridge in FLOP/byte only after division by the bytes of an
// element.
double published_intensity(double d_in, double d_out, double tokens);
double published_footprint(double kv_width, double context, double d_in, double d_out, double batch);

// A product of `tokens` rows with a weight of d_in x d_out: F = 2 T d_in d_out, Q = b_w d_in d_out + b_a T
// (d_in + d_out) (4.1).
Work linear_work(double tokens, double d_in, double d_out, double weight_bytes, double activation_bytes);
// Rows from which on that product is limited by compute on a machine with this ridge (peak / bandwidth);
// infinite where its intensity never gets there (4.1).
double critical_tokens(FlopsPerByte ridge, double d_in, double d_out, double weight_bytes,
                       double activation_bytes);

// Core of attention over one sequence or many: work for each query-key pair, traffic for each new token and
// for each token of context. Writing new keys and values belongs to the projections. Fused (flash), every key
// read once (4.3).
struct AttentionCore {
  Flops per_pair{};
  Bytes per_query{};  // queries and outputs
  Bytes per_key{};    // keys and values

  Work at(double pairs, double tokens, double context) const {
    return {per_pair * pairs, per_query * tokens + per_key * context};
  }
  AttentionCore& operator+=(const AttentionCore& b) {
    per_pair += b.per_pair;
    per_query += b.per_query;
    per_key += b.per_key;
    return *this;
  }
  friend AttentionCore operator*(const AttentionCore& a, double k) {
    return {a.per_pair * k, a.per_query * k, a.per_key * k};
  }
};

// Grouped queries: F = 4 h d_h P, Q = 2 b_a h d_h T + 2 b_kv h_kv d_h S (4.3).
AttentionCore grouped_query_core(double heads, double kv_heads, double head_dim, double activation_bytes,
                                 double kv_bytes);
// The same for P pairs of T new tokens over S tokens of context.
Work attention_work(double pairs, double tokens, double context, double heads, double kv_heads,
                    double head_dim, double activation_bytes, double kv_bytes);
// Unfused: the whole square of tokens x context is computed, and its scores and probabilities are written and
// read again, 4 b_s h T S bytes (4.3).
Work unfused_attention_work(double tokens, double context, double heads, double kv_heads, double head_dim,
                            double activation_bytes, double kv_bytes, double score_bytes);
// How often a fused kernel reads keys and values if no cache keeps them from one tile of queries to the next:
// ceil(g L / tile) for g queries per KV head (4.3).
double key_value_passes(double group, double tokens, double query_tile);
// Vector operations of the softmax, which tensor cores do not do: about 5 for each head and pair (4.3).
Flops softmax_operations(double pairs, double heads);
// What the intensity of decode nears on long contexts, at any batch: 2 g / b_kv, times 1 + drafts (4.3).
FlopsPerByte decode_attention_limit(double group, double kv_bytes, double drafts = 0);

// Multi-head latent attention: widths as in DeepSeek-V2 (arXiv 2405.04434), section 2.1.
struct LatentWidths {
  double heads = 0;   // h
  double rank = 0;    // r, of keys and values
  double rotary = 0;  // d_r
  double nope = 0;    // d_n
  double value = 0;   // d_v
};
// Queries and outputs are brought to the latents, which all heads share: F = 2 h (2 r + d_r) P, Q = b_a h T
// (2 r + d_r) + b_kv (r + d_r) S (4.4).
AttentionCore absorbed_core(const LatentWidths& w, double activation_bytes, double kv_bytes);
// Latents are expanded to keys and values of all heads: F = 2 h (d_n + d_r + d_v) P, traffic as with as many
// KV heads as heads, of activations (4.4).
AttentionCore expanded_core(const LatentWidths& w, double activation_bytes);
// Expansion of one cached token before that, weights not counted: F = 2 r h (d_n + d_v).
Work expansion_work(const LatentWidths& w, double activation_bytes, double kv_bytes);
// What the intensity of absorbed decode nears: 2 h (2 r + d_r) / (b_kv (r + d_r)) (4.4).
FlopsPerByte absorbed_decode_limit(const LatentWidths& w, double kv_bytes);
// Operations of a pair, absorbed over expanded (4.4).
double absorbed_over_expanded(const LatentWidths& w);
// New tokens behind a much longer prefix below which absorption takes fewer operations than expansion; real
// kernels differ (4.4).
double break_even_append(const LatentWidths& w);

// Indexer of sparse attention, with one key head: F = 2 n_I d_I P, b_kv d_I for each token of context (4.7).
AttentionCore indexer_core(double heads, double head_dim, double activation_bytes, double kv_bytes);

// Tokens that chunk-wise kernels of linear attention process at once (flash-linear-attention's default).
inline constexpr double kLinearAttentionChunk = 64;
// Operations of linear attention for one token of one layer, token by token: update and output of a state of
// h d_k d_v, 4 h d_k d_v; the delta rule reads from the state too, 2 h d_k d_v more (4.6).
Flops recurrent_flops(double heads, double key_dim, double value_dim, bool delta_rule);
// The same by chunks of c tokens: c h (d_k + d_v) more.
Flops chunkwise_flops(double heads, double key_dim, double value_dim, bool delta_rule,
                      double chunk = kLinearAttentionChunk);
// Intensity of decode, which reads and writes the state: without the delta rule 2 / b_s at any context (4.6).
FlopsPerByte recurrent_decode_intensity(double state_bytes, bool delta_rule);
// Context from which on a KV cache is larger than the state: h d_k d_v b_s / (2 h_kv d_h b_kv) (4.6).
double state_break_even_context(double heads, double key_dim, double value_dim, double state_bytes,
                                double kv_heads, double head_dim, double kv_bytes);

// Routed experts of one layer under uniform routing, fused so that only what goes in and out of the layer
// moves: F = 2 matrices d f k T, Q = b_w matrices d f E_act + 2 b_a d T (4.8). Kernels that keep dispatched
// tokens and intermediates in memory move more; TransformerWork counts those.
Work experts_work(double tokens, double hidden, double width, double matrices, double experts,
                  double experts_per_token, double weight_bytes, double activation_bytes);
// Tokens in a step from which on experts are limited by compute, activations neglected: R b_w E / (2 k)
// (4.8).
double expert_tokens_for_ridge(FlopsPerByte ridge, double experts, double experts_per_token,
                               double weight_bytes);
// Bytes that leave all of `ranks` expert-parallel ranks in one MoE layer to dispatch `tokens` tokens; combine
// sends as many elements back: b T k d (N - 1) / N (4.8).
Bytes dispatch_bytes(double tokens, double experts_per_token, double hidden, double bytes_per_element,
                     double ranks);

// Decode step of a dense grouped-query model in the simplest form, activations neglected: F = 2 W B + 4 h d_h
// n S B, Q = b_w W + kv S B, for W weights that are read, the input embedding left out (4.9).
Work decode_step_work(double weights, double weight_bytes, double layers, double heads, double head_dim,
                      Bytes kv_per_token, double batch, double context);
// Prefill from empty likewise, without LM head when `weights` leaves it out: F = 2 W L + 4 h d_h n P (4.9).
Flops prefill_flops(double weights, double layers, double heads, double head_dim, TokenCount tokens);
// What one request keeps, with its share of what a batch of B shares: weights / B + workspace / B + kv S +
// state (4.9).
Bytes capacity_footprint(Bytes weights, double batch, Bytes kv_per_token, double context, Bytes state = {},
                         Bytes workspace = {});
// Requests that fit at once: (capacity - weights - workspace) / per request, not rounded; 0 when not even the
// weights fit. The capacity wall is where this stays below critical_tokens or expert_tokens_for_ridge (4.9).
double largest_batch(Bytes capacity, Bytes weights, Bytes workspace, Bytes per_request);
// Least time of a decode step that reads all of a full memory (4.9).
Seconds capacity_full_step(Bytes capacity, BytesPerSecond bandwidth);

// Hand-off of a KV cache (4.10).
Seconds hand_off_time(Bytes kv_per_token, double tokens, BytesPerSecond bandwidth, Seconds latency = {});
// Whether sending a layer's cache while the next layer computes hides the hand-off.
bool hand_off_is_hidden(Bytes kv_of_layer, BytesPerSecond bandwidth, Seconds prefill_of_layer);

}  // namespace disagg
