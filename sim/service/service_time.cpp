#include "sim/service/service_time.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/expect.hpp"
#include "sim/service/csv_columns.hpp"
#include "sim/service/fitted_kernels.hpp"
#include "sim/service/roofline_kernels.hpp"

namespace disagg {
namespace {

double count(std::int64_t n) { return static_cast<double>(n); }

KernelConstants constants_of(const FittedForms& forms, const Accelerator& accelerator) {
  const std::string& kernels = accelerator.extends.empty() ? accelerator.name : accelerator.extends;
  return forms.constants.empty() ? kernel_constants(kernels) : kernel_constants(kernels, forms.constants);
}

std::unique_ptr<KernelTimes> make_kernels(const ServiceModel& model, const Accelerator& accelerator) {
  if (const auto* forms = std::get_if<FittedForms>(&model))
    return std::make_unique<FittedKernels>(accelerator, constants_of(*forms, accelerator));
  return std::make_unique<RooflineKernels>(accelerator);
}

}  // namespace

FittedForms FittedForms::read(Reader& r) {
  FittedForms forms;
  if (!r.has("constants")) return forms;
  forms.constants = r.file("constants");
  try {
    kernel_constants("", forms.constants);
  } catch (const ConfigError& error) {
    r.fail("constants", error.what());
  }
  return forms;
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

std::string assumption(const ServiceModel& model, const ReplicaShape& shape) {
  const Accelerator& accelerator = shape.accelerator;
  if (const auto* forms = std::get_if<FittedForms>(&model))
    return FittedKernels(accelerator, constants_of(*forms, accelerator)).assumption(shape);
  if (std::holds_alternative<Roofline>(model) && accelerator.efficiency.assumed)
    return "efficiencies of " + accelerator.name + ": " + accelerator.efficiency.source;
  return {};
}

ServiceTime::ServiceTime(const ServiceModel& model, const ReplicaShape& shape)
    : model_(model),
      shape_(shape),
      work_(shape.model, shape.precision),
      kernels_(make_kernels(model, shape.accelerator)),
      times_(*kernels_, shape),
      pp_(count(shape.parallelism.pp)) {}

const StepParts& ServiceTime::layers(double rank_tokens, double all_tokens, bool prompts) const {
  const auto [entry, is_new] = layers_.try_emplace({rank_tokens, all_tokens, prompts});
  if (is_new) entry->second = times_.layers(rank_tokens, all_tokens, prompts);
  return entry->second;
}

const ServiceTime::Cores& ServiceTime::cores(std::int64_t sequences) const {
  const auto index = static_cast<std::size_t>(sequences);
  if (index >= cores_.size()) cores_.resize(index * 2 + 16);
  if (!cores_[index]) {
    const double of_launch = count(sequences) / micro_batches(count(sequences));
    cores_[index] = std::make_unique<Cores>(times_.decode_cores(of_launch, tokens_per_sequence()));
  }
  return *cores_[index];
}

const StepParts& ServiceTime::decode_fixed(std::int64_t busiest, std::int64_t all) const {
  const auto key = (static_cast<std::uint64_t>(busiest) << 32U) | static_cast<std::uint64_t>(all);
  const auto [entry, is_new] = fixed_.try_emplace(key);
  if (is_new) {
    entry->second = std::holds_alternative<MeasuredTable>(model_)
                        ? table_decode(count(all))
                        : make_decode_fixed(count(busiest), count(all));
  }
  return entry->second;
}

// Small kernels of a stage's layers; outside a CUDA graph a stage takes at least as long as its kernels take
// to launch.
void ServiceTime::add_software(StepParts& stage, bool in_graph) const {
  const SoftwareOverheads& o = shape_.overheads;
  const double layers = times_.layer_count();
  stage.overhead += (o.layer + o.small_kernel * times_.small_kernels_per_layer()) * layers;
  if (in_graph) return;
  const Seconds launches = o.kernel_launch * (times_.kernels_per_layer() * layers);
  if (stage.total() < launches) stage.overhead += launches - stage.total();
}

// Time of the hop from stage to stage.
StepParts ServiceTime::hops(double rank_tokens) const {
  if (pp_ <= 1) return {};
  const Accelerator& a = shape_.accelerator;
  const BytesPerSecond link =
      a.nic_bandwidth.value_or(a.scale_up_bandwidth.value_or(BytesPerSecond{0}) * a.efficiency.scale_up);
  const Bytes message{2 * rank_tokens * count(shape_.model.hidden_size)};
  return {.network = a.efficiency.collective_latency + message / (link * count(shape_.parallelism.tp))};
}

// With p stages the batch is cut into up to p micro-batches that follow each other through the pipeline: in
// steady state every sequence gets a token once per p stage times (GPipe, Huang et al. 2019, without the fill
// bubble).
StepParts ServiceTime::make_decode_fixed(double busiest, double all) const {
  const SoftwareOverheads& o = shape_.overheads;
  const double batches = micro_batches(busiest);
  const double rank_sequences = busiest / batches;
  const double rank_tokens = rank_sequences * tokens_per_sequence();
  const double all_tokens = all / batches * tokens_per_sequence();
  StepParts stage = times_.layers(rank_tokens, all_tokens, false) + times_.head(rank_tokens) +
                    times_.state_updates(rank_sequences);
  if (const double drafts = count(shape_.drafts.tokens); drafts > 0) {
    // Each draft is a pass through one layer and the head, for one token of each sequence.
    stage += times_.layers(rank_sequences, all / batches, false) * (drafts / times_.layer_count());
    stage += times_.head(rank_sequences) * drafts;
  }
  const Seconds network = stage.network;
  stage = stage * o.decode_scale;
  stage.network = network * o.network_scale;
  stage += hops(rank_tokens);
  add_software(stage, o.cuda_graphs);
  StepParts parts = stage * pp_;
  parts.overhead += o.step + o.sequence * busiest;
  return parts;
}

void ServiceTime::add_kernels(const DecodeContext& rank, double repeats) const {
  const double share = 1 / micro_batches(std::max(1.0, count(rank.sequences)));
  for (const TransformerTimes::Core& core : cores(rank.sequences))
    kernels_of_step_.push_back({&core.time, core.repeats * repeats, share, core.limited});
}

void ServiceTime::decode(std::span<const DecodeContext> ranks, std::int64_t steps, DecodeCurve& curve) const {
  std::int64_t busiest = 0;
  std::int64_t all = 0;
  for (const DecodeContext& rank : ranks) {
    busiest = std::max(busiest, rank.sequences);
    all += rank.sequences;
  }
  kernels_of_step_.clear();
  if (!std::holds_alternative<MeasuredTable>(model_))
    for (const DecodeContext& rank : ranks) add_kernels(rank, pp_ * shape_.overheads.decode_scale);
  curve.build(decode_fixed(busiest, all), kernels_of_step_, ranks, steps);
}

StepParts ServiceTime::step(std::span<const RankStep> ranks) const {
  double busiest = 0;
  double all = 0;
  double logits = 0;
  double all_logits = 0;
  std::int64_t decoding = 0;
  for (const RankStep& rank : ranks) {
    double tokens = count(rank.decode.sequences) * tokens_per_sequence();
    double ends = tokens;
    for (const PrefillChunk& chunk : rank.chunks) {
      tokens += count(chunk.tokens);
      ends += chunk.completes ? 1 : 0;
    }
    decoding += rank.decode.sequences;
    busiest = std::max(busiest, tokens);
    logits = std::max(logits, ends);
    all += tokens;
    all_logits += ends;
  }
  if (const auto* table = std::get_if<MeasuredTable>(&model_)) {
    const double factor = decoding > 0 ? table->mixed_factor : 1;
    return unsplit(Seconds{table_at(table->prefill, all) * factor}, all, all_logits);
  }
  const SoftwareOverheads& o = shape_.overheads;
  // The micro-batches follow each other through p stages, the pipeline filling and draining around them.
  const double batches = micro_batches(busiest);
  StepParts stage = layers(busiest / batches, all / batches, true) + times_.head(logits / batches);
  // Attention cores: the slowest rank's, prompts and decodes one after the other.
  StepParts slowest;
  for (const RankStep& rank : ranks) {
    StepParts core = times_.prefill_cores(rank.chunks);
    if (rank.decode.sequences > 0) {
      // One launch serves a micro-batch of the sequences; this step makes `batches` of them in all.
      kernels_of_step_.clear();
      add_kernels(rank.decode, micro_batches(count(rank.decode.sequences)));
      one_step_.build({}, kernels_of_step_, std::span(&rank.decode, 1), 1);
      core += one_step_.parts(0) + times_.state_updates(count(rank.decode.sequences));
    }
    if (core.total() > slowest.total()) slowest = core;
  }
  stage += slowest * (1 / batches);
  const Seconds network = stage.network;
  stage = stage * o.prefill_scale;
  stage.network = network * o.network_scale;
  stage += hops(busiest / batches);
  add_software(stage, false);
  StepParts parts = stage * (batches + pp_ - 1);
  parts.overhead += o.step + o.sequence * count(decoding);
  return parts;
}

StepParts ServiceTime::table_decode(double sequences) const {
  const auto& table = std::get<MeasuredTable>(model_);
  return unsplit(Seconds{table_at(table.decode, sequences)}, sequences, sequences);
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

// A table does not say what limits a step: its intensity against the ridge of the datasheet does.
StepParts ServiceTime::unsplit(Seconds time, double tokens, double logits) const {
  const Accelerator& a = shape_.accelerator;
  const bool computes =
      intensity(work_.linear(tokens, logits, 1)) > *a.peak(shape_.precision.weights) / *a.memory_bandwidth;
  StepParts parts;
  (computes ? parts.compute : parts.bandwidth) = time;
  return parts;
}

}  // namespace disagg
