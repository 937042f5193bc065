#include "experiments/validate.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "experiments/processes.hpp"
#include "experiments/run.hpp"
#include "experiments/scenario.hpp"
#include "sim/base/config.hpp"
#include "sim/service/kernel_constants.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

constexpr std::int64_t kMostTokens = 10'000'000;
constexpr std::int64_t kMostSequences = 65'536;
constexpr double kSaturated = 0.9;  // utilization above which queues, not service times, set the latency

ServingPrediction predict(const ServingRow& row, const std::vector<std::string>& pool_overrides) {
  ConfigNode root = parse_config(row.scenario, row.id);
  const std::size_t pools = root.find("cluster")->find("pools")->items.size();
  for (const std::string& assignment : pool_overrides)
    for (std::size_t i = 0; i < pools; ++i)
      override_scenario(root, "cluster.pools[" + std::to_string(i) + "]." + assignment);
  const ordered_json summary = run_scenario(read_scenario(std::move(root), row.id), {});
  ServingPrediction prediction;
  const ordered_json& metrics = summary.at("metrics");
  if (metrics.at("completed").get<double>() <= 0) {
    prediction.error = "no request was completed";
    return prediction;
  }
  prediction.ttft_ms = metrics.at("ttft_ms").at("mean").get<double>();
  prediction.tpot_ms = metrics.at("tpot_ms").at("mean").get<double>();
  for (const auto& [name, pool] : summary.at("pools").items()) {
    const auto number = [](const ordered_json& value) { return value.is_number() ? value.get<double>() : 0; };
    if (pool.at("role") == "prefill") prediction.busiest_prefill = number(pool.at("utilization"));
    if (number(pool.at("time_in_regime").at("capacity")) > 0.05 || pool.at("preemptions").get<double>() > 0)
      prediction.short_of_kv = true;
  }
  return prediction;
}

// Whose fitted kernels serve an accelerator: its own, or its nearest relative's.
std::string kernels_of(const std::string& accelerator) {
  return kernel_constants(accelerator).gemm[static_cast<std::size_t>(Precision::bf16)]->accelerator;
}

}  // namespace

std::string serving_state(const ServingRow& row, const ServingPrediction& prediction) {
  if (row.slots < row.concurrency) return "capped";
  if (prediction.short_of_kv) return "kv-limited";
  return prediction.busiest_prefill > kSaturated ? "saturated" : "free";
}

std::vector<ServingPrediction> predict_serving(
    const std::vector<const ServingRow*>& rows, const std::vector<std::string>& pool_overrides,
    std::size_t jobs, const std::function<void(std::size_t, std::size_t)>& progress) {
  std::vector<ServingPrediction> predictions(rows.size());
  std::size_t done = 0;
  run_forked(
      rows.size(), jobs,
      [&](std::size_t i) {
        const ServingPrediction p = predict(*rows[i], pool_overrides);
        return ordered_json{{"ttft", p.ttft_ms},
                            {"tpot", p.tpot_ms},
                            {"prefill", p.busiest_prefill},
                            {"kv", p.short_of_kv},
                            {"error", p.error}}
            .dump();
      },
      [&](std::size_t i, const TaskResult& result) {
        if (result.code == exit_code::kDone) {
          const ordered_json told = ordered_json::parse(result.output);
          predictions[i] = {told.at("ttft"), told.at("tpot"), told.at("prefill"), told.at("kv"),
                            told.at("error")};
        } else {
          predictions[i].error = result.output.substr(0, result.output.find('\n'));
        }
        if (progress) progress(++done, rows.size());
      });
  return predictions;
}

Validation validate_serving(const CsvTable& table, const ValidateOptions& options) {
  Validation validation;
  validation.metrics = {"tpot_ms", "ttft_ms"};
  const std::vector<ServingRow> all = read_serving_rows(table, options.rows);
  std::vector<const ServingRow*> rows;
  for (const ServingRow& row : all) {
    if (!row.reason.empty()) {
      validation.unpredicted.push_back({row.id, row.line, row.reason});
    } else if (row.suspect && !options.with_suspect) {
      validation.unpredicted.push_back({row.id, row.line, "topology_suspect is 1 (see --with-suspect)"});
    } else {
      rows.push_back(&row);
    }
  }
  const auto predictions = predict_serving(rows, options.overrides, options.jobs, options.progress);
  std::set<std::string> fitted;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const ServingRow& row = *rows[i];
    fitted.insert(row.engine);
    fitted.insert(kernels_of(row.accelerator));
    if (!predictions[i].error.empty()) {
      validation.unpredicted.push_back({row.id, row.line, predictions[i].error});
      continue;
    }
    ComparedRow compared{.id = row.id, .columns = row.columns, .predicted = {}, .measured = {}};
    compared.columns["state"] = serving_state(row, predictions[i]);
    compared.predicted = {{"ttft_ms", predictions[i].ttft_ms}, {"tpot_ms", predictions[i].tpot_ms}};
    compared.measured = {{"ttft_ms", row.ttft_ms}, {"tpot_ms", row.tpot_ms}};
    validation.rows.push_back(std::move(compared));
  }
  validation.fitted = fitted_numbers(fitted);
  return validation;
}

Validation validate_phases(const CsvTable& table, const std::string& software,
                           const std::vector<std::string>& pool_overrides) {
  table.require({"model", "hardware", "tensor_parallel", "prompt_size", "batch_size", "token_size",
                 "prompt_time_ms", "token_time_ms"});
  Validation validation;
  validation.metrics = {"prefill_ms", "decode_ms"};
  std::set<std::string> fitted;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const std::string id = table.text(i, "model") + "/" + table.text(i, "hardware") + "/tp" +
                           table.text(i, "tensor_parallel") + "/" + table.text(i, "prompt_size") + "x" +
                           table.text(i, "batch_size") + "+" + table.text(i, "token_size");
    const TokenCount prompt = table.count(i, "prompt_size", kMostTokens);
    const std::int64_t batch = table.count(i, "batch_size", kMostSequences);
    const TokenCount tokens = table.count(i, "token_size", kMostTokens);
    const double prompt_ms = table.number(i, "prompt_time_ms", 1e-9);
    const double token_ms = table.number(i, "token_time_ms", 1e-9);
    const Accelerator* accelerator = find_system(table.text(i, "hardware"));
    if (accelerator == nullptr) {
      validation.unpredicted.push_back(
          {id, table.line(i), "hardware '" + table.text(i, "hardware") + "' is not in the catalog"});
      continue;
    }
    fitted.insert(kernels_of(accelerator->name));
    const ordered_json scenario{
        {"model", table.text(i, "model")},
        {"cluster",
         {{"pools",
           {{{"name", "one"},
             {"accelerator", accelerator->name},
             {"replicas", 1},
             {"kv_capacity", "1 PB"},
             {"software", {{"extends", software}}},
             {"parallelism", {{"tp", table.count(i, "tensor_parallel", kMostSequences)}}}}}}}},
        {"workload",
         {{"kind", "synthetic"},
          {"arrivals", {{"kind", "closed-loop"}, {"concurrency", 1}}},
          {"requests", 1},
          {"prompt_tokens", 1},
          {"output_tokens", 1}}}};
    try {
      ConfigNode root = parse_config(scenario.dump(), id);
      for (const std::string& assignment : pool_overrides)
        override_scenario(root, "cluster.pools[0]." + assignment);
      const Scenario read = read_scenario(std::move(root), "phases");
      const ServiceTime service(read.cluster.pools[0].service, read.cluster.pools[0].shape);
      const std::vector<PrefillChunk> prompts(static_cast<std::size_t>(batch),
                                              {.prefix = 0, .tokens = prompt, .completes = true});
      const RankStep step{.chunks = prompts, .decode = {}};
      const auto sequences = static_cast<double>(batch);
      const auto start = static_cast<double>(prompt + 1);
      const DecodeContext context{.sequences = batch,
                                  .all = {start * sequences, sequences},
                                  .longest = {start, 1},
                                  .within = {start * sequences, sequences},
                                  .longest_within = {start, 1}};
      DecodeCurve curve;
      const std::int64_t steps = std::max<std::int64_t>(1, tokens - 1);
      service.decode(std::span(&context, 1), steps, curve);
      ComparedRow row{.id = id, .columns = {}, .predicted = {}, .measured = {}};
      for (const std::string& column : table.columns()) row.columns[column] = table.text(i, column);
      row.predicted = {{"prefill_ms", 1e3 * service.step(std::span(&step, 1)).total().si},
                       {"decode_ms", 1e3 * curve.until(steps).si / static_cast<double>(steps)}};
      row.measured = {{"prefill_ms", prompt_ms}, {"decode_ms", token_ms}};
      validation.rows.push_back(std::move(row));
    } catch (const ConfigError& error) {
      const std::string text = error.what();
      validation.unpredicted.push_back({id, table.line(i), text.substr(0, text.find('\n'))});
    }
  }
  fitted.insert(software);
  validation.fitted = fitted_numbers(fitted);
  validation.notes.push_back("Software profile: " + software + ".");
  return validation;
}

Validation validate_transfers(const CsvTable& table) {
  table.require({"prompt_tokens", "transfer_time_ms"});
  Validation validation;
  validation.metrics = {"transfer_ms"};
  std::vector<double> predicted(table.rows());
  std::vector<double> measured;
  std::vector<TokenCount> tokens;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    tokens.push_back(table.count(i, "prompt_tokens", kMostTokens));
    measured.push_back(table.number(i, "transfer_time_ms", 1e-9));
  }
  run_forked(
      table.rows(), 1,
      [&](std::size_t i) {
        const ordered_json model{{"name", "Qwen/Qwen3-8B"},  {"num_hidden_layers", 36},
                                 {"hidden_size", 4096},      {"num_attention_heads", 32},
                                 {"num_key_value_heads", 8}, {"head_dim", 128},
                                 {"vocab_size", 151936},     {"intermediate_size", 12288}};
        ordered_json pools = ordered_json::array();
        for (const char* role : {"prefill", "decode"})
          pools.push_back({{"name", role},
                           {"role", role},
                           {"accelerator",
                            {{"extends", "h100-sxm-80gb"}, {"name", "h800"}, {"nic_bandwidth", "25 GB/s"}}},
                           {"replicas", 1},
                           {"kv_capacity", "1 TB"},
                           {"parallelism", {{"tp", 8}}}});
        const ordered_json scenario{{"model", model},
                                    {"cluster", {{"pools", pools}}},
                                    {"workload",
                                     {{"kind", "synthetic"},
                                      {"arrivals", {{"kind", "closed-loop"}, {"concurrency", 1}}},
                                      {"requests", 1},
                                      // The last token's block is sent whole: 16 tokens more.
                                      {"prompt_tokens", tokens[i] + 16},
                                      {"output_tokens", 2}}}};
        const ordered_json summary =
            run_scenario(read_scenario(parse_config(scenario.dump(), "transfer"), "transfer"), {});
        return std::to_string(summary.at("metrics").at("kv_transfer_ms").at("mean").get<double>());
      },
      [&](std::size_t i, const TaskResult& result) {
        if (result.code != exit_code::kDone) throw ConfigError(result.output);
        predicted[i] = std::stod(result.output);
      });
  for (std::size_t i = 0; i < table.rows(); ++i) {
    ComparedRow row{
        .id = std::to_string(tokens[i]) + " tokens", .columns = {}, .predicted = {}, .measured = {}};
    row.columns["prompt_tokens"] = std::to_string(tokens[i]);
    row.predicted["transfer_ms"] = predicted[i];
    row.measured["transfer_ms"] = measured[i];
    validation.rows.push_back(std::move(row));
  }
  validation.notes.emplace_back(
      "Every row is taken as Qwen3-8B between two replicas of TP 8 on H800 (one 200 Gb/s port each "
      "accelerator); fitted "
      "on such rows: hand_off.overhead and topology.nic_efficiency (`disagg list calibration`).");
  return validation;
}

}  // namespace disagg
