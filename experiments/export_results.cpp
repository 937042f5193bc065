#include "experiments/export_results.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "experiments/csv_table.hpp"
#include "experiments/distribution.hpp"
#include "experiments/report.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

// Of the requests that were finished, in the order of arrival; times in seconds.
struct FinishedRequests {
  std::vector<double> prompt_tokens, output_tokens, arrived, ttft, tpot, e2el;
  std::int64_t failed = 0;
};

FinishedRequests read_requests(const std::filesystem::path& file, double from, double to) {
  const CsvTable table = CsvTable::read(file);
  table.require({"outcome", "prompt_tokens", "output_tokens", "arrived_s", "ttft_s", "tpot_s", "e2el_s"});
  FinishedRequests all;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const double arrived = table.number(row, "arrived_s", 0);
    if (arrived < from || arrived >= to) continue;
    if (table.text(row, "outcome") != "finished") {
      ++all.failed;
      continue;
    }
    all.arrived.push_back(arrived);
    all.prompt_tokens.push_back(table.number(row, "prompt_tokens", 0));
    all.output_tokens.push_back(table.number(row, "output_tokens", 0));
    all.ttft.push_back(table.number(row, "ttft_s", 0));
    all.e2el.push_back(table.number(row, "e2el_s", 0));
    if (const auto tpot = table.find_number(row, "tpot_s", 0)) all.tpot.push_back(*tpot);
  }
  return all;
}

Distribution distribution_of(const std::vector<double>& values) {
  Distribution all;
  for (const double value : values) all.add(value);
  return all;
}

// Of all values, as numpy.std, or with `less` = 1 of a sample of them.
double deviation(const std::vector<double>& values, double mean, double less) {
  const double n = static_cast<double>(values.size()) - less;
  if (n <= 0) return 0;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / n);
}

std::vector<std::int64_t> whole(const std::vector<double>& values) {
  std::vector<std::int64_t> numbers;
  numbers.reserve(values.size());
  for (const double value : values) numbers.push_back(std::llround(value));
  return numbers;
}

ordered_json as_vllm(const ordered_json& summary, const FinishedRequests& requests) {
  const ordered_json& metrics = summary.at("metrics");
  const ordered_json& provenance = summary.at("provenance");
  ordered_json j{{"label", summary.at("name")},
                 {"backend", "disagg"},
                 {"endpoint_type", "disagg"},
                 {"model_id", provenance.at("model")},
                 {"tokenizer_id", provenance.at("model")},
                 {"num_prompts", static_cast<std::int64_t>(requests.ttft.size()) + requests.failed},
                 {"request_rate", metrics.at("request_rate")},
                 {"max_concurrency", nullptr},
                 {"duration", metrics.at("duration_s")},
                 {"completed", metrics.at("completed")},
                 {"failed", requests.failed},
                 {"total_input_tokens", metrics.at("total_input_tokens")},
                 {"total_output_tokens", metrics.at("total_output_tokens")},
                 {"request_throughput", metrics.at("request_throughput")},
                 {"request_goodput", metrics.at("request_goodput")},
                 {"output_throughput", metrics.at("output_throughput")},
                 {"total_token_throughput", metrics.at("total_throughput")},
                 {"input_lens", whole(requests.prompt_tokens)},
                 {"output_lens", whole(requests.output_tokens)},
                 {"ttfts", requests.ttft}};
  const auto add = [&](const std::string& name, const std::vector<double>& values) {
    if (values.empty()) return;
    const Distribution all = distribution_of(values);
    j["mean_" + name + "_ms"] = all.mean() * 1e3;
    j["median_" + name + "_ms"] = all.quantile(0.5) * 1e3;
    j["std_" + name + "_ms"] = deviation(values, all.mean(), 0) * 1e3;
    for (const int percent : {50, 90, 95, 99})
      j["p" + std::to_string(percent) + "_" + name + "_ms"] = all.quantile(percent / 100.0) * 1e3;
  };
  add("ttft", requests.ttft);
  add("tpot", requests.tpot);
  add("e2el", requests.e2el);
  const ordered_json& itl = metrics.at("itl_ms");
  if (itl.is_object()) {
    j["mean_itl_ms"] = itl.at("mean");
    j["median_itl_ms"] = itl.at("p50");
    for (const std::string percent : {"p50", "p90", "p95", "p99"})
      if (itl.contains(percent)) j[percent + "_itl_ms"] = itl.at(percent);
  }
  return j;
}

ordered_json as_aiperf(const ordered_json& summary, const FinishedRequests& requests) {
  const ordered_json& metrics = summary.at("metrics");
  ordered_json j{{"schema_version", "1.0"}, {"aiperf_version", nullptr}};
  const auto value = [&](const char* name, const char* unit, const ordered_json& avg) {
    if (avg.is_number()) j[name] = {{"unit", unit}, {"avg", avg}};
  };
  value("request_throughput", "requests/sec", metrics.at("request_throughput"));
  value("output_token_throughput", "tokens/sec", metrics.at("output_throughput"));
  value("total_token_throughput", "tokens/sec", metrics.at("total_throughput"));
  value("goodput", "requests/sec", metrics.at("request_goodput"));
  value("good_request_fraction", "ratio", metrics.at("slo_attainment"));
  value("request_count", "requests", metrics.at("completed"));
  value("error_request_count", "requests", requests.failed);
  value("benchmark_duration", "sec", metrics.at("duration_s"));
  const auto record = [&](const char* name, const char* unit, const std::vector<double>& values,
                          double scale) {
    if (values.empty()) return;
    const Distribution all = distribution_of(values);
    ordered_json& stats = j[name];
    stats = {{"unit", unit},
             {"avg", all.mean() * scale},
             {"min", all.quantile(0) * scale},
             {"max", all.max() * scale}};
    for (const int percent : {1, 5, 10, 25, 50, 75, 90, 95, 99})
      stats["p" + std::to_string(percent)] = all.quantile(percent / 100.0) * scale;
    stats["std"] = deviation(values, all.mean(), 1) * scale;
    stats["count"] = values.size();
  };
  record("time_to_first_token", "ms", requests.ttft, 1e3);
  record("inter_token_latency", "ms", requests.tpot, 1e3);
  record("request_latency", "ms", requests.e2el, 1e3);
  record("input_sequence_length", "tokens", requests.prompt_tokens, 1);
  record("output_sequence_length", "tokens", requests.output_tokens, 1);
  std::vector<double> per_user;
  per_user.reserve(requests.tpot.size());
  for (const double tpot : requests.tpot)
    if (tpot > 0) per_user.push_back(1 / tpot);
  record("output_token_throughput_per_user", "tokens/sec/user", per_user, 1);
  if (const ordered_json& itl = metrics.at("itl_ms"); itl.is_object()) {
    ordered_json& stats = j["inter_chunk_latency"];
    stats = {{"unit", "ms"}, {"avg", itl.at("mean")}};
    for (const std::string percent : {"p50", "p90", "p95", "p99"})
      if (itl.contains(percent)) stats[percent] = itl.at(percent);
  }
  const ordered_json& provenance = summary.at("provenance");
  j["run_info"] = {{"benchmark_id", provenance.at("scenario_hash")}, {"random_seed", provenance.at("seed")}};
  j["input_config"] = {{"model_names", {provenance.at("model")}}};
  j["error_summary"] = ordered_json::array();
  return j;
}

}  // namespace

ordered_json export_results(const std::filesystem::path& folder, std::string_view format) {
  const ordered_json run = read_run_folder(folder);
  const ordered_json& summary = run.at("summary");
  const ordered_json window = summary.value("measured", ordered_json::object());
  const double to = window.contains("to_s") && window.at("to_s").is_number()
                        ? window.at("to_s").get<double>()
                        : std::numeric_limits<double>::infinity();
  const FinishedRequests requests = read_requests(folder / "requests.csv", window.value("from_s", 0.0), to);
  return format == "vllm" ? as_vllm(summary, requests) : as_aiperf(summary, requests);
}

}  // namespace disagg
