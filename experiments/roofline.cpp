#include "experiments/roofline.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>
#include <span>

#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/expect.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 2> kPhaseNames{"prefill", "decode"};
constexpr std::array<std::string_view, 3> kFormats{"table", "csv", "json"};

double real(std::int64_t count) { return static_cast<double>(count); }

std::size_t index_of(std::string_view option, std::string_view word,
                     std::span<const std::string_view> known) {
  const auto at = std::ranges::find(known, word);
  if (at == known.end()) throw ConfigError(std::string(option) + ": " + unknown_word(word, known));
  return static_cast<std::size_t>(at - known.begin());
}

Precision precision_called(std::string_view option, std::string_view word) {
  return static_cast<Precision>(index_of(option, word, kPrecisionNames));
}

PrecisionPlan plan_of(const RooflineOptions& o) {
  PrecisionPlan plan{.weights = precision_called("--weights", o.weights),
                     .kv = precision_called("--kv", o.kv)};
  if (!o.experts.empty()) plan.experts = precision_called("--experts", o.experts);
  if (plan.kv == Precision::int4) throw ConfigError("--kv: int4 is a format of weights only");
  return plan;
}

// Time of the step's products alone on one accelerator, each at the peak of its own number format.
std::optional<Seconds> arithmetic_time(const ModelSpec& model, const PrecisionPlan& precision,
                                       const Accelerator& accelerator, Flops all, Flops attention,
                                       double tokens, double logits) {
  const Flops head{2 * model.head_parameters() * logits};
  const Flops experts{2 * real(model.moe_layers) * real(model.num_experts_per_tok) *
                      (model.is_moe() ? model.expert_parameters() : 0) * tokens};
  const Flops others = all - attention - head - experts;
  Seconds time;
  for (const auto& [flops, format] :
       {std::pair{others, precision.weights}, std::pair{experts, precision.expert_format()},
        std::pair{head, precision.head_format()}, std::pair{attention, precision.attention_format()}}) {
    const auto peak = accelerator.peak(format);
    if (!peak) return std::nullopt;
    time += flops / *peak;
  }
  return time;
}

struct Step {
  Work linear, attention;
  double tokens = 0;
};

Step step_of(const TransformerWork& work, const ModelSpec& model, Phase phase, TokenCount context,
             std::int64_t batch) {
  const double requests = real(batch);
  if (phase == Phase::prefill) {
    const double tokens = requests * real(context);
    return {work.linear(tokens, requests, 1), work.prefill_attention(0, context) * requests, tokens};
  }
  const double within = query_key_pairs(limited_reach(model), context - 1, 1);
  return {work.linear(requests, requests, 1),
          work.decode_attention({.all = requests * real(context), .within = requests * within}, requests),
          requests};
}

// Greatest context whose cache is no more than `room`.
std::optional<TokenCount> wall(const TransformerWork& work, Bytes room) {
  constexpr double kLongerThanAnyMemory = 1e15;
  if (work.kv_bytes(kLongerThanAnyMemory) <= room) return std::nullopt;
  TokenCount fits = 0, above = 1;
  while (work.kv_bytes(real(above)) <= room) fits = above, above *= 2;
  while (above - fits > 1) {
    const TokenCount middle = fits + (above - fits) / 2;
    (work.kv_bytes(real(middle)) <= room ? fits : above) = middle;
  }
  return fits;
}

// A row as JSON: plain units, null where it is not published or without bound.
Json row_json(const RooflineOptions& o, const PrecisionPlan& precision, const ModelSpec& model,
              const Accelerator& accelerator, Phase phase, TokenCount context, std::int64_t batch) {
  const RooflinePoint p = roofline_point(model, precision, accelerator, o.machine, phase, context, batch);
  const auto si = [](const auto& quantity) { return quantity ? Json(quantity->si) : Json(); };
  return {{"model", short_name(model.name)},
          {"accelerator", accelerator.name},
          {"accelerators", o.machine},
          {"phase", name(phase)},
          {"context_tokens", context},
          {"batch", batch},
          {"weights", name(precision.weights)},
          {"experts", model.is_moe() ? Json(name(precision.expert_format())) : Json()},
          {"kv", name(precision.kv)},
          {"flop", p.work.flops.si},
          {"traffic_bytes", p.work.bytes.si},
          {"intensity_flop_per_byte", intensity(p.work).si},
          {"ridge_flop_per_byte", si(p.ridge())},
          {"footprint_bytes_per_request", p.footprint.si},
          {"peak_flop_per_second", si(p.peak)},
          {"bandwidth_bytes_per_second", si(p.bandwidth)},
          {"regime", p.regime().empty() ? Json() : Json(p.regime())},
          {"step_time_bound_seconds", si(p.bound())},
          {"max_batch", p.max_batch},
          {"capacity_wall_tokens", p.capacity_wall ? Json(*p.capacity_wall) : Json()}};
}

// Of a Hugging Face config.json.
ModelSpec model_of_file(const std::filesystem::path& file) {
  Problems problems;
  std::optional<ModelSpec> model = read_hf_file(file, problems);
  problems.throw_if_any();
  if (const auto missing = model->not_modelled())
    throw ConfigError("--model: " + file.string() + ": " + *missing);
  return *model;
}

Json rows_json(const RooflineOptions& o) {
  const PrecisionPlan precision = plan_of(o);
  std::vector<ModelSpec> models;
  std::vector<const Accelerator*> accelerator_rows;
  std::vector<Phase> phases;
  for (const std::string& word : o.models)
    models.push_back(word.ends_with(".json") ? model_of_file(word) : model_called("--model", word));
  for (const std::string& word : o.accelerators)
    accelerator_rows.push_back(&accelerator_called("--accelerator", word));
  for (const std::string& word : o.phases)
    phases.push_back(static_cast<Phase>(index_of("--phase", word, kPhaseNames)));
  Json rows = Json::array();
  for (const ModelSpec& model : models)
    for (const Accelerator* accelerator : accelerator_rows)
      for (const Phase phase : phases)
        for (const TokenCount context : o.contexts)
          for (const std::int64_t batch : o.batches)
            rows.push_back(row_json(o, precision, model, *accelerator, phase, context, batch));
  return rows;
}

// Text of a value for people, in units of `unit` of its own.
std::string cell(const Json& value, double unit = 1) {
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
  return show_number(value.get<double>() / unit);
}

void print_table(const RooflineOptions& o, const Json& rows, std::ostream& out) {
  Table table({{"model"},
               {"accelerator"},
               {"phase"},
               {"context", "tokens"},
               {"batch"},
               {"work", "TFLOP"},
               {"traffic", "GB"},
               {"OI", "FLOP/B"},
               {"ridge", "FLOP/B"},
               {"CF", "GB/request"},
               {"peak", "TFLOP/s"},
               {"bandwidth", "TB/s"},
               {"regime"},
               {"step bound", "ms"},
               {"max batch"},
               {"capacity wall", "tokens"}});
  for (const Json& row : rows)
    table.add({cell(row.at("model")), cell(row.at("accelerator")), cell(row.at("phase")),
               cell(row.at("context_tokens")), cell(row.at("batch")), cell(row.at("flop"), 1e12),
               cell(row.at("traffic_bytes"), 1e9), cell(row.at("intensity_flop_per_byte")),
               cell(row.at("ridge_flop_per_byte")), cell(row.at("footprint_bytes_per_request"), 1e9),
               cell(row.at("peak_flop_per_second"), 1e12), cell(row.at("bandwidth_bytes_per_second"), 1e12),
               cell(row.at("regime")), cell(row.at("step_time_bound_seconds"), 1e-3),
               cell(row.at("max_batch")), cell(row.at("capacity_wall_tokens"))});
  out << table << "\n- is not published, or without bound. Accelerators working as one: " << o.machine
      << "; weights " << o.weights << ", routed experts " << (o.experts.empty() ? o.weights : o.experts)
      << ", KV cache " << o.kv << ", activations bf16.\n"
      << "OI: operational intensity; CF: capacity footprint. Datasheet peaks and memory, evenly shared,\n"
         "nothing for links, kernels or workspace: a bound that no system reaches. Regime 'capacity': "
         "memory\n"
         "does not hold the batch, which the bound leaves out. Capacity wall: the greatest context of which\n"
         "one request fits beside the weights (0: not even they fit).\n";
}

void print_csv(const Json& rows, std::ostream& out) {
  expect(!rows.empty(), "a roofline without rows");
  std::string header;
  for (const auto& column : rows.front().items()) header += (header.empty() ? "" : ",") + column.key();
  out << header << '\n';
  for (const Json& row : rows) {
    std::string line;
    for (const auto& column : row.items()) {
      const Json& value = column.value();
      if (!line.empty()) line += ',';
      if (value.is_number_float()) {
        line += show_exact(value.get<double>());
      } else if (!value.is_null()) {
        line += cell(value);
      }
    }
    out << line << '\n';
  }
}

}  // namespace

std::string_view name(Phase phase) { return kPhaseNames[static_cast<std::size_t>(phase)]; }

std::optional<FlopsPerByte> RooflinePoint::ridge() const {
  if (!peak || !bandwidth) return std::nullopt;
  return *peak / *bandwidth;
}

std::optional<Seconds> RooflinePoint::bound() const {
  if (!peak || !bandwidth) return std::nullopt;
  return std::max(work.flops / *peak, work.bytes / *bandwidth);
}

std::string_view RooflinePoint::regime() const {
  if (!fits) return "capacity";
  if (!ridge()) return "";
  return intensity(work) >= *ridge() ? "compute" : "bandwidth";
}

Work step_work(const ModelSpec& model, const PrecisionPlan& precision, Phase phase, TokenCount context,
               std::int64_t batch) {
  const Step step = step_of(TransformerWork(model, precision), model, phase, context, batch);
  return step.linear + step.attention;
}

RooflinePoint roofline_point(const ModelSpec& model, const PrecisionPlan& precision,
                             const Accelerator& accelerator, std::int64_t machine, Phase phase,
                             TokenCount context, std::int64_t batch) {
  const TransformerWork work(model, precision);
  const Step step = step_of(work, model, phase, context, batch);
  RooflinePoint point{.work = step.linear + step.attention,
                      .footprint = work.capacity_footprint(real(context), real(batch))};
  if (const auto time = arithmetic_time(model, precision, accelerator, point.work.flops, step.attention.flops,
                                        step.tokens, real(batch)))
    point.peak = point.work.flops / *time * real(machine);
  if (accelerator.memory_bandwidth) point.bandwidth = *accelerator.memory_bandwidth * real(machine);

  const Bytes room = accelerator.memory_capacity * real(machine) - work.weight_bytes();
  const Bytes request = work.kv_bytes(real(context));
  if (room >= request) point.max_batch = static_cast<std::int64_t>(std::floor(room / request));
  point.fits = batch <= point.max_batch;
  point.capacity_wall = wall(work, room);
  return point;
}

const ModelSpec& model_called(std::string_view option, std::string_view word) {
  const ModelSpec* model = find_model(word);
  if (model == nullptr) {
    const std::vector<std::string> names = model_names();
    const std::vector<std::string_view> known(names.begin(), names.end());
    throw ConfigError(std::string(option) + ": " + unknown_word(word, known));
  }
  if (const auto missing = model->not_modelled())
    throw ConfigError(std::string(option) + ": " + model->name + ": " + *missing);
  return *model;
}

const Accelerator& accelerator_called(std::string_view option, std::string_view word) {
  std::vector<std::string_view> known;
  for (const Accelerator& accelerator : accelerators()) known.push_back(accelerator.name);
  return accelerators()[index_of(option, word, known)];
}

void print_roofline(const RooflineOptions& options, std::ostream& out) {
  const std::size_t format = index_of("--format", options.format, kFormats);
  const Json rows = rows_json(options);
  if (kFormats[format] == "json") {
    out << rows.dump(2) << '\n';
  } else if (kFormats[format] == "csv") {
    print_csv(rows, out);
  } else {
    print_table(options, rows, out);
  }
}

}  // namespace disagg
