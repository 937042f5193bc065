#include "experiments/validate_power.hpp"

#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "experiments/scenario.hpp"
#include "sim/base/text.hpp"
#include "sim/serving/replica.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

// The measurement does not tell the prompts' lengths: assumed, of a short question, of a chat and of a file
// of source code.
TokenCount prompt_tokens(const std::string& task) {
  if (task == "gpqa") return 250;
  return task == "sourcegraph-fim" ? 1500 : 300;
}

struct Sample {
  std::string model, accelerator;
  double memory = 0, tensor = 0;  // shares that are used at the measured speed
  double draw = 0;                // measured, as a share of the TDP
  double tdp = 0, watts = 0, tokens_per_second = 0;
  double accelerators = 1;
  // At the simulated speed.
  double simulated_memory = 0, simulated_tensor = 0, simulated_tokens_per_second = 0;
  std::size_t row = 0;
};

struct Fit {
  double base = 0, memory = 0, tensor = 0, links = 0;
};

double predict(const Fit& fit, double memory, double tensor, double accelerators) {
  const PowerModel model{.idle = 0,
                         .base = fit.base,
                         .links = fit.links,
                         .memory = fit.memory,
                         .tensor = fit.tensor,
                         .assumed = false,
                         .source = {}};
  return model.draw(memory, tensor, accelerators > 1);
}

// Least squares of relative errors, with no coefficient below 0.
Fit fit_draw(const std::vector<const Sample*>& samples) {
  constexpr std::size_t kTerms = 4;
  std::array<double, kTerms> solution{};
  std::array<bool, kTerms> used{true, true, true, true};
  while (true) {
    std::array<std::array<double, kTerms + 1>, kTerms> m{};
    for (const Sample* s : samples) {
      const std::array<double, kTerms> x{1, s->memory, std::cbrt(s->tensor), s->accelerators > 1 ? 1.0 : 0.0};
      for (std::size_t a = 0; a < kTerms; ++a) {
        for (std::size_t b = 0; b < kTerms; ++b) m.at(a).at(b) += x.at(a) * x.at(b) / (s->draw * s->draw);
        m.at(a).at(kTerms) += x.at(a) / s->draw;
      }
    }
    for (std::size_t a = 0; a < kTerms; ++a) {
      if (used.at(a)) continue;
      for (std::size_t b = 0; b < kTerms; ++b) m.at(a).at(b) = m.at(b).at(a) = 0;
      m.at(a).at(a) = 1;
      m.at(a).at(kTerms) = 0;
    }
    for (std::size_t i = 0; i < kTerms; ++i) {
      std::size_t pivot = i;
      for (std::size_t r = i; r < kTerms; ++r)
        if (std::abs(m.at(r).at(i)) > std::abs(m.at(pivot).at(i))) pivot = r;
      std::swap(m.at(i), m.at(pivot));
      if (std::abs(m.at(i).at(i)) < 1e-12) continue;
      for (std::size_t r = 0; r < kTerms; ++r) {
        if (r == i) continue;
        const double factor = m.at(r).at(i) / m.at(i).at(i);
        for (std::size_t c = i; c <= kTerms; ++c) m.at(r).at(c) -= factor * m.at(i).at(c);
      }
    }
    bool negative = false;
    for (std::size_t i = 0; i < kTerms; ++i) {
      solution.at(i) = std::abs(m.at(i).at(i)) < 1e-12 ? 0 : m.at(i).at(kTerms) / m.at(i).at(i);
      if (solution.at(i) >= 0) continue;
      used.at(i) = false;
      negative = true;
    }
    if (!negative) return {solution[0], solution[1], solution[2], solution[3]};
  }
}

std::string accelerator_of(const std::string& gpu) {
  if (gpu.starts_with("H100")) return "h100-sxm-80gb";
  if (gpu.starts_with("B200")) return "b200-sxm";
  return {};
}

// One pool as the row was measured.
ordered_json scenario_of(const CsvTable& table, std::size_t row, const PowerValidationOptions& options) {
  const std::string& model = table.text(row, "model");
  ordered_json j;
  if (find_model(model) != nullptr || options.models.empty()) {
    j["model"] = model;
  } else {
    std::string stem = model;
    if (const auto slash = stem.find('/'); slash != std::string::npos) stem.replace(slash, 1, "--");
    j["model"] = {{"hf_config", std::filesystem::absolute(options.models / (stem + ".json")).string()}};
  }
  const std::string& weights = table.text(row, "weight_precision");
  const bool mxfp4 = weights == "mxfp4";
  j["precision"] = {{"weights", weights == "fp8" ? "fp8" : "bf16"}};
  if (mxfp4) j["precision"]["experts"] = "fp4";
  const auto accelerators = table.count(row, "num_gpus", 1024);
  const bool experts = table.count(row, "ep", 1024) > 1;
  ordered_json pool{
      {"name", "gpu"},      {"accelerator", accelerator_of(table.text(row, "gpu"))},
      {"replicas", 1},      {"kv_capacity", "100 TB"},
      {"software", "vllm"}, {"parallelism", {{"tp", accelerators}, {"ep", experts ? accelerators : 1}}}};
  j["cluster"] = {{"pools", ordered_json::array({pool})}};
  j["workload"] = {{"kind", "synthetic"},
                   {"arrivals", {{"kind", "closed-loop"}, {"concurrency", 1}}},
                   {"requests", 1},
                   {"prompt_tokens", 1},
                   {"output_tokens", 1}};
  return j;
}

Sample sample_of(const CsvTable& table, std::size_t row, const PowerValidationOptions& options) {
  Sample s;
  s.row = row;
  s.model = table.text(row, "model");
  s.accelerator = accelerator_of(table.text(row, "gpu"));
  if (s.accelerator.empty()) throw ConfigError("gpu '" + table.text(row, "gpu") + "' is not known here");
  const Scenario scenario =
      read_scenario(parse_config(scenario_of(table, row, options).dump(), "power"), "power");
  const PoolSetup& pool = scenario.cluster.pools.front();
  const ReplicaShape& shape = pool.shape;
  const TransformerWork work(shape.model, shape.precision, shape.parallelism.kv_copies(shape.model),
                             shape.expert_skew);
  PowerMeter meter = power_meter(shape);
  // The checkpoints of Llama 4 are quantised in channels, not in blocks.
  if (s.model.find("Llama-4") != std::string::npos) meter.tile_rows = expert_tile_rows(false);
  s.accelerators = static_cast<double>(shape.parallelism.accelerators());
  s.tdp = shape.accelerator.tdp.value_or(Watts{}).si;
  s.watts = table.number(row, "power_per_gpu_w", 1);
  s.draw = s.watts / s.tdp;
  s.tokens_per_second = table.number(row, "output_tokens_per_s", 1e-3);
  const double batch = table.number(row, "avg_batch_size", 1e-3);
  const double output = table.number(row, "avg_output_tokens", 1);
  const auto prompt = static_cast<double>(prompt_tokens(table.text(row, "task")));

  const double context = prompt + output / 2;
  const Reach reach = shape.reach();
  const double within = reach.tokens > 0 ? std::min(context, static_cast<double>(reach.tokens)) : context;
  Work step = work.linear(batch, batch, 1) + work.decode_attention({batch * context, batch * within}, batch);
  // Prompts come as often as requests end.
  const double prompts = batch / output * prompt;
  step.flops += work.linear(prompts, 0, 0).flops + work.empty_expert_rows(batch, meter.tile_rows);
  const Seconds time{batch / s.tokens_per_second};
  s.memory = step.bytes / (meter.memory * time);
  s.tensor = step.flops / (meter.tensor * time);

  const auto sequences = std::max<std::int64_t>(1, std::llround(batch));
  const auto count = static_cast<double>(sequences);
  DecodeContext decode{.sequences = sequences,
                       .all = {count * context, 0},
                       .longest = {context, 0},
                       .within = {count * within, 0},
                       .longest_within = {within, 0}};
  const ServiceTime service(pool.service, shape);
  DecodeCurve curve;
  service.decode({&decode, 1}, 1, curve);
  const PrefillChunk chunk{.prefix = 0, .tokens = prompt_tokens(table.text(row, "task")), .completes = true};
  const RankStep with_prompt{{&chunk, 1}, decode};
  const Seconds prompt_costs = service.step({&with_prompt, 1}).total() - curve.step(0);
  // For each step its share of the prompts that come meanwhile.
  const Seconds simulated = curve.step(0) + prompt_costs * (count / output);
  s.simulated_tokens_per_second = count / simulated.si;
  s.simulated_memory = step.bytes / (meter.memory * simulated);
  s.simulated_tensor = step.flops / (meter.tensor * simulated);
  return s;
}

}  // namespace

Validation validate_power(const CsvTable& table, const PowerValidationOptions& options) {
  table.require({"task", "model", "weight_precision", "gpu", "num_gpus", "ep", "avg_batch_size",
                 "avg_output_tokens", "power_per_gpu_w", "output_tokens_per_s"});
  Validation validation{.metrics = {"power_w", "j_per_token"}, .rows = {}, .unpredicted = {}, .notes = {}};
  std::vector<Sample> samples;
  std::map<std::string, std::string> refused;  // by model
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const std::string& model = table.text(row, "model");
    try {
      if (const auto known = refused.find(model); known != refused.end()) throw ConfigError(known->second);
      samples.push_back(sample_of(table, row, options));
    } catch (const ConfigError& error) {
      refused.emplace(model, error.what());
      validation.unpredicted.push_back({model, table.line(row), error.what()});
    }
  }
  std::map<std::pair<std::string, std::string>, Fit> fits;  // by accelerator and the model that is left out
  const auto fit_without = [&](const std::string& accelerator, const std::string& model) {
    const auto [found, fresh] = fits.try_emplace({accelerator, model});
    if (!fresh) return found->second;
    std::vector<const Sample*> others;
    for (const Sample& s : samples)
      if (s.accelerator == accelerator && s.model != model) others.push_back(&s);
    return found->second = fit_draw(others);
  };
  std::set<std::string> accelerators;
  for (const Sample& s : samples) {
    accelerators.insert(s.accelerator);
    const Fit fit = fit_without(s.accelerator, s.model);
    ComparedRow row{.id = s.model + " batch " + table.text(s.row, "avg_batch_size"),
                    .columns = {},
                    .predicted = {},
                    .measured = {}};
    for (const std::string& column : table.columns()) row.columns[column] = table.text(s.row, column);
    row.predicted["power_w"] = s.tdp * predict(fit, s.memory, s.tensor, s.accelerators);
    row.measured["power_w"] = s.watts;
    row.predicted["j_per_token"] = s.tdp *
                                   predict(fit, s.simulated_memory, s.simulated_tensor, s.accelerators) *
                                   s.accelerators / s.simulated_tokens_per_second;
    row.measured["j_per_token"] = s.watts * s.accelerators / s.tokens_per_second;
    validation.rows.push_back(std::move(row));
  }
  for (const std::string& accelerator : accelerators) {
    const Fit all = fit_without(accelerator, "");
    validation.notes.push_back(accelerator + ", fitted to all its rows: base " + show_number(all.base, 3) +
                               ", links " + show_number(all.links, 3) + ", memory " +
                               show_number(all.memory, 3) + ", tensor " + show_number(all.tensor, 3) +
                               " of the TDP");
  }
  validation.notes.emplace_back(
      "Each row is predicted by a fit to the other models. Assumed, since the measurement does not tell "
      "them: "
      "prompts of "
      "250 (gpqa), 300 (chat) and 1,500 tokens (code).");
  return validation;
}

}  // namespace disagg
