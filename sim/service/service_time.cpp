#include "sim/service/service_time.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/expect.hpp"
#include "sim/service/csv_columns.hpp"

namespace disagg {
namespace {

double count(std::int64_t n) { return static_cast<double>(n); }

}  // namespace

Roofline Roofline::read(Reader& r) {
  // 50 us a layer: fitted on vLLM serving measurements of Llama-3.3-70B on H100 (InferenceX), where it takes
  // the error of TPOT from 34 % to 3 %. It stands for norms, rotary embedding, cache writes and launches.
  return {.step_overhead = r.get_or<Seconds>("step_overhead", "0 us", Range::non_negative),
          .layer_overhead = r.get_or<Seconds>("layer_overhead", "50 us", Range::non_negative)};
}

MeasuredTable MeasuredTable::read(Reader& r) {
  MeasuredTable table;
  if (r.has("file")) {
    read_csv_columns(r, table.tokens, table.prefill, table.decode);
  } else {
    table.tokens = r.get<std::vector<double>>("tokens", Range::positive);
    table.prefill = r.get<std::vector<Seconds>>("prefill", Range::positive);
    table.decode = r.get<std::vector<Seconds>>("decode", Range::positive);
  }
  table.mixed_factor = r.get_or<double>("mixed_factor", "1", Range::positive);
  constexpr std::array<std::string_view, 2> kOutside{"hold", "extrapolate"};
  table.extrapolate = r.choice("outside", kOutside, "hold") == 1;
  if (!r.problems().empty()) return table;
  const std::size_t rows = table.tokens.size();
  if (rows != table.prefill.size() || rows != table.decode.size())
    r.fail("tokens", "tokens, prefill and decode need the same number of entries");
  else if (rows < 2)
    r.fail("tokens", "needs at least two rows");
  else if (std::adjacent_find(table.tokens.begin(), table.tokens.end(), std::greater_equal<>{}) !=
           table.tokens.end())
    r.fail("tokens", "must increase from row to row");
  else if (table.extrapolate) {
    // Step times must stay positive down to one token or sequence.
    const auto first = [&](const std::vector<Seconds>& t) {
      return t[0] - (t[1] - t[0]) * ((table.tokens[0] - 1) / (table.tokens[1] - table.tokens[0]));
    };
    if (first(table.prefill) <= Seconds{0} || first(table.decode) <= Seconds{0})
      r.fail("outside", "the first line reaches zero before one token; use \"hold\"");
  }
  return table;
}

ServiceTime::ServiceTime(ServiceModel model, const ReplicaShape& shape)
    : model_(std::move(model)), shape_(shape), work_(shape.model, shape.precision) {
  const Accelerator& a = shape.accelerator;
  expect(a.peak(shape.precision.weights).has_value() && a.memory_bandwidth.has_value(),
         "an accelerator without rates was accepted");
  peak_ = *a.peak(shape.precision.weights);
  gemm_rate_ = peak_ * a.efficiency.gemm;
  attention_rate_ = *a.peak(shape.precision.activations) * a.efficiency.attention;
  memory_rate_ = *a.memory_bandwidth;
  weight_rate_ = memory_rate_ * a.efficiency.weights;
  kv_rate_ = memory_rate_ * a.efficiency.kv_cache;
  link_rate_ = a.scale_up_bandwidth.value_or(BytesPerSecond{0}) * a.efficiency.scale_up;
}

void ServiceTime::add_gemm(StepParts& parts, double tokens, double d_in, double d_out, double repeats) const {
  const Work work = linear_work(tokens, d_in, d_out, bytes_per_element(shape_.precision.weights),
                                bytes_per_element(shape_.precision.activations));
  const Seconds compute = work.flops / gemm_rate_;
  const Seconds memory = work.bytes / weight_rate_;
  (compute > memory ? parts.compute : parts.bandwidth) += std::max(compute, memory) * repeats;
}

StepParts ServiceTime::stage(double tokens, double logits) const {
  const ModelSpec& m = shape_.model;
  const auto tp = count(shape_.parallelism.tp);
  const double layers = std::ceil(count(m.num_hidden_layers) / count(shape_.parallelism.pp));
  const auto hidden = count(m.hidden_size);
  const double heads = count(m.num_attention_heads * m.head_dim) / tp;
  // A KV head is not cut: with more ranks than KV heads each rank holds a whole one.
  const double kv = std::max(count(m.num_key_value_heads) / tp, 1.0) * count(m.head_dim);
  const double ffn = count(m.intermediate_size) / tp;
  StepParts parts;
  add_gemm(parts, tokens, hidden, heads + 2 * kv, layers);
  add_gemm(parts, tokens, heads, hidden, layers);
  add_gemm(parts, tokens, hidden, (count(m.mlp_matrices) - 1) * ffn, layers);
  add_gemm(parts, tokens, ffn, hidden, layers);
  // Only the last stage has the LM head, but the slowest stage sets the pace of all.
  if (logits > 0) add_gemm(parts, logits, hidden, count(m.vocab_size) / tp, 1);

  const double activation = bytes_per_element(shape_.precision.activations);
  const Bytes message{activation * tokens * hidden};
  if (shape_.parallelism.tp > 1) {
    // Two all-reduces a layer; a ring moves 2 (n - 1) / n of the message over each link.
    const Seconds all_reduce =
        shape_.accelerator.efficiency.collective_latency + message * (2 * (tp - 1) / tp) / link_rate_;
    parts.network += all_reduce * (2 * layers);
  }
  if (shape_.parallelism.pp > 1) {
    const BytesPerSecond hop = shape_.accelerator.nic_bandwidth.value_or(link_rate_);
    parts.network += shape_.accelerator.efficiency.collective_latency + message / (hop * tp);
  }
  const auto& roofline = std::get<Roofline>(model_);
  parts.overhead = roofline.layer_overhead * layers + roofline.step_overhead / count(shape_.parallelism.pp);
  return parts;
}

DecodeTime ServiceTime::make_decode(double sequences) const {
  if (const auto* table = std::get_if<MeasuredTable>(&model_)) {
    const Work work = work_.linear(sequences, sequences, 1);
    return {.fixed = unsplit(Seconds{table_at(table->decode, sequences)}, work),
            .attention_compute = {},
            .attention_bandwidth = {}};
  }
  // With p stages the batch is cut into up to p micro-batches that follow each other through the pipeline: in
  // steady state every sequence gets a token once per p stage times (GPipe, Huang et al. 2019, without the
  // fill bubble).
  const ModelSpec& m = shape_.model;
  const auto pp = count(shape_.parallelism.pp);
  const double parts_of_batch = micro_batches(sequences);
  const auto tp = count(shape_.parallelism.tp);
  const double kv_heads = std::max(count(m.num_key_value_heads) / tp, 1.0);
  const double layers = std::ceil(count(m.num_hidden_layers) / pp);
  const double activation = bytes_per_element(shape_.precision.activations);
  const double kv = bytes_per_element(shape_.precision.kv);
  const auto attention = [&](double context) {
    return attention_work(context, sequences / parts_of_batch, context, count(m.num_attention_heads) / tp,
                          kv_heads, count(m.head_dim), activation, kv);
  };
  const Work at_zero = attention(0) * (pp * layers);
  const Work per_token = attention(1) * (pp * layers);
  return {.fixed = stage(sequences / parts_of_batch, sequences / parts_of_batch) * pp,
          .attention_compute = {{}, per_token.flops / attention_rate_ / parts_of_batch},
          .attention_bandwidth = {at_zero.bytes / kv_rate_,
                                  (per_token.bytes - at_zero.bytes) / kv_rate_ / parts_of_batch}};
}

const DecodeTime& ServiceTime::decode(std::int64_t sequences) const {
  const auto index = static_cast<std::size_t>(sequences);
  if (index >= decode_.size()) {
    decode_.resize(index * 2 + 16);
    known_.resize(decode_.size());
  }
  if (known_[index] == 0) {
    decode_[index] = make_decode(count(sequences));
    known_[index] = 1;
  }
  return decode_[index];
}

StepParts ServiceTime::step(std::span<const PrefillChunk> chunks, std::int64_t sequences,
                            double context) const {
  if (chunks.empty()) return decode(sequences).parts(context);
  double tokens = 0;
  double logits = count(sequences);
  for (const PrefillChunk& chunk : chunks) {
    tokens += count(chunk.tokens);
    logits += chunk.completes ? 1 : 0;
  }
  if (const auto* table = std::get_if<MeasuredTable>(&model_)) {
    const double all = tokens + count(sequences);
    const double factor = sequences > 0 ? table->mixed_factor : 1;
    return unsplit(Seconds{table_at(table->prefill, all) * factor}, work_.linear(all, logits, 1));
  }
  const ModelSpec& m = shape_.model;
  const auto tp = count(shape_.parallelism.tp);
  const auto pp = count(shape_.parallelism.pp);
  const double kv_heads = std::max(count(m.num_key_value_heads) / tp, 1.0);
  const double layers = std::ceil(count(m.num_hidden_layers) / pp);
  const double activation = bytes_per_element(shape_.precision.activations);
  const double kv = bytes_per_element(shape_.precision.kv);
  // The micro-batches follow each other through p stages, the pipeline filling and draining around them.
  const double batches = micro_batches(tokens + count(sequences));
  StepParts parts = stage((tokens + count(sequences)) / batches, logits / batches);
  for (const PrefillChunk& chunk : chunks) {
    const Work work = attention_work(causal_pairs(chunk.prefix, chunk.tokens), count(chunk.tokens),
                                     count(chunk.prefix + chunk.tokens), count(m.num_attention_heads) / tp,
                                     kv_heads, count(m.head_dim), activation, kv);
    const Seconds compute = work.flops / attention_rate_ * (layers / batches);
    const Seconds memory = work.bytes / kv_rate_ * (layers / batches);
    (compute > memory ? parts.compute : parts.bandwidth) += std::max(compute, memory);
  }
  if (sequences > 0) {
    // DecodeTime holds p stages of one of its own micro-batches.
    const DecodeTime& alone = decode(sequences);
    const double share = micro_batches(count(sequences)) / (pp * batches);
    const Seconds compute = alone.attention_compute.at(context) * share;
    const Seconds memory = alone.attention_bandwidth.at(context) * share;
    (compute > memory ? parts.compute : parts.bandwidth) += std::max(compute, memory);
  }
  return parts * (batches + pp - 1);
}

double ServiceTime::table_at(const std::vector<Seconds>& column, double x) const {
  const auto& table = std::get<MeasuredTable>(model_);
  const auto& at = table.tokens;
  if (!table.extrapolate) x = std::clamp(x, at.front(), at.back());
  auto right = static_cast<std::size_t>(std::upper_bound(at.begin(), at.end(), x) - at.begin());
  right = std::clamp<std::size_t>(right, 1, at.size() - 1);
  const double share = (x - at[right - 1]) / (at[right] - at[right - 1]);
  return column[right - 1].si + (column[right] - column[right - 1]).si * share;
}

StepParts ServiceTime::unsplit(Seconds time, const Work& work) const {
  // A table does not say what limits a step: its intensity against the ridge of the datasheet does.
  const bool computes = intensity(work) > peak_ / memory_rate_;
  StepParts parts;
  (computes ? parts.compute : parts.bandwidth) = time;
  return parts;
}

}  // namespace disagg
