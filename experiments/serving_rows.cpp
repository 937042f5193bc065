#include "experiments/serving_rows.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "embedded.hpp"
#include "sim/base/config.hpp"
#include "sim/hardware/accelerator.hpp"
#include "sim/model/model_spec.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

constexpr double kShortest = 0.8;       // of the nominal length
constexpr double kPromptsPerSlot = 10;  // prompts of the benchmark for each request in flight

// Why a row cannot become a scenario.
struct Unrepresentable {
  std::string reason;
};

ordered_json load_recipes(const std::filesystem::path& file) {
  const ConfigNode root =
      file.empty() ? parse_config(embedded::recipes, "experiments/recipes.json") : load_config(file);
  return ordered_json::parse(root.dump()).at("recipes");
}

bool matches(const ordered_json& match, const std::map<std::string, std::string>& columns) {
  return std::ranges::all_of(match.items(), [&](const auto& item) {
    const auto found = columns.find(item.key());
    return found != columns.end() && found->second == item.value().template get<std::string>();
  });
}

std::vector<std::string> words_of(std::string text) {
  text = lower_case(text);
  std::ranges::replace(text, '_', '-');
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, '-');) words.push_back(word);
  return words;
}

std::string number_format(const std::string& word) {
  std::string format = lower_case(word);
  if (format == "bfloat16" || format == "float16" || format == "bf16" || format == "fp16") return "bf16";
  if (format == "fp8_block") return "fp8-block";
  if (format == "fp8_static" || format == "fp8_ootb") return "fp8";
  if (format.starts_with("w4a16") || format.starts_with("int4")) return "int4";
  if (format == "w4afp8" || format.starts_with("w4a8")) return "int4";
  if (format == "int8_wo" || format == "w8a16") return "int8";
  if (format == "sq") return "int8";
  return format;
}

// Measurements name checkpoints; the catalog, shapes. Suffixes of tuning and of number formats leave the
// shapes alone, and so does the publisher of a converted checkpoint.
const ModelSpec* catalog_model(std::string_view path) {
  constexpr std::array<std::string_view, 11> kSuffixes{"-instruct", "-chat",  "-it",          "-hf",
                                                       "-bf16",     "-fp8",   "-fp8-dynamic", "-nvfp4",
                                                       "-fp4",      "-mxfp4", "-awq"};
  std::string name = lower_case(path.substr(path.rfind('/') + 1));
  while (true) {
    if (const ModelSpec* model = find_model(name)) return model;
    if (const ModelSpec* model = find_model(name + "-instruct")) return model;
    if (name.ends_with("-v2")) name.resize(name.size() - 3);  // of a converted checkpoint
    const auto suffix =
        std::ranges::find_if(kSuffixes, [&](std::string_view s) { return name.ends_with(s); });
    if (suffix == kSuffixes.end()) return nullptr;
    name.resize(name.size() - suffix->size());
  }
}

struct ResolvedModel {
  ordered_json value;  // of "model" in a scenario
  std::string published_format;
};

ResolvedModel resolve_model(const std::string& path, const ServingRowOptions& options) {
  if (!options.models.empty()) {
    std::string stem = path;
    for (std::size_t at = 0; (at = stem.find('/', at)) != std::string::npos;) stem.replace(at, 1, "--");
    const std::filesystem::path file = options.models / (stem + ".json");
    if (std::filesystem::exists(file)) {
      Problems problems;
      try {
        const auto model = read_hf_file(file, problems);
        problems.throw_if_any();
        return {{{"hf_config", std::filesystem::absolute(file).string()}, {"name", path}},
                model->published_quantization};
      } catch (const ConfigError& error) {
        const std::string text = error.what();
        throw Unrepresentable{"model " + path + ": " + text.substr(0, text.find('\n'))};
      }
    }
  }
  const ModelSpec* model = catalog_model(path);
  if (model == nullptr)
    throw Unrepresentable{"model " + path + " is not in the catalog" +
                          (options.models.empty()
                               ? "; give its config.json in a folder with --models"
                               : " and has no " + options.models.string() + "/OWNER--MODEL.json")};
  return {model->name, model->published_quantization};
}

constexpr std::int64_t kMostTokens = 100'000'000;
constexpr std::int64_t kMostInFlight = 100'000;
constexpr std::int64_t kMostRanks = 65'536;

// A size of the deployment. Files leave out, or leave empty, the kinds of parallelism that were not used.
std::int64_t size_of(const CsvTable& table, std::size_t row, const std::string& column) {
  return table.text(row, column).empty() ? 1 : table.count(row, column, kMostRanks);
}
// One without which nothing is known about the deployment.
std::int64_t needed_size(const CsvTable& table, std::size_t row, const std::string& column) {
  if (table.text(row, column).empty()) throw Unrepresentable{column + " is not given"};
  return table.count(row, column, kMostRanks);
}

ordered_json parallelism(const CsvTable& table, std::size_t row, const std::string& prefix) {
  return {{"tp", needed_size(table, row, prefix + "tp_size")},
          {"pp", size_of(table, row, prefix + "pp_size")},
          {"dp_attention", size_of(table, row, prefix + "attention_dp_size")},
          {"ep", size_of(table, row, prefix + "moe_ep_size")}};
}

std::int64_t rounded_up(double value, std::int64_t step) {
  return (static_cast<std::int64_t>(std::ceil(value)) + step - 1) / step * step;
}

// The engine's batching as benchmarks set it: room for every request in flight, the defaults otherwise.
ordered_json batching(const std::string& engine, double in_flight, double ranks, double isl) {
  const auto per_rank = static_cast<std::int64_t>(std::ceil(in_flight / ranks));
  if (engine == "vllm") return {{"kind", "chunked"}, {"token_budget", 8192}, {"max_sequences", per_rank}};
  if (engine == "sglang") return {{"kind", "prefill-first"}, {"token_budget", 16384}, {"max_sequences", 512}};
  ordered_json policy{{"kind", "whole-prompts"},
                      {"token_budget", std::max<std::int64_t>(
                                           8192, rounded_up(static_cast<double>(per_rank) + isl + 64, 64))},
                      {"max_sequences", per_rank}};
  if (ranks > 1) policy["balance_steps"] = 60;
  return policy;
}

double ranks_of(const ordered_json& pool) { return pool.at("parallelism").at("dp_attention").get<double>(); }

// Settles what recipes write as a formula, and names the keys as the policies do.
void finish_batching(ordered_json& pool, double concurrency, double isl) {
  ordered_json& policy = pool["batching"];
  if (policy.at("token_budget") == "C + ISL")
    policy["token_budget"] = rounded_up(concurrency / ranks_of(pool) + isl + 64, 64);
  const auto sequences = policy.at("max_sequences").get<std::int64_t>();
  if (policy.at("token_budget").get<std::int64_t>() < sequences) policy["token_budget"] = sequences;
  if (policy.at("kind") == "chunked") {
    policy["chunk_tokens"] = policy.at("token_budget");
    policy.erase("token_budget");
  }
}

// The software profile of an engine's version: TensorRT-LLM 1.0 has one of its own.
std::string profile_of(const std::string& engine, const std::string& version) {
  return engine == "trtllm" && version.starts_with("1.0.") ? "trtllm-1.0" : engine;
}

class RowReader {
 public:
  RowReader(const CsvTable& table, std::size_t row, const ServingRowOptions& options,
            const ordered_json& recipes)
      : table_(table), row_(row), options_(options), recipes_(recipes) {}

  ServingRow read() {
    ServingRow result;
    result.id = table_.text(row_, "id");
    result.line = table_.line(row_);
    for (const std::string& column : table_.columns())
      if (column != "id" && column != "silicon_data_source")
        result.columns[column] = table_.text(row_, column);
    result.ttft_ms = positive("silicon_ttft_ms");
    result.tpot_ms = positive("silicon_tpot_ms");
    isl_ = static_cast<double>(table_.count(row_, "isl", kMostTokens));
    osl_ = static_cast<double>(table_.count(row_, "osl", kMostTokens));
    concurrency_ = static_cast<double>(table_.count(row_, "concurrency", kMostInFlight));
    result.concurrency = concurrency_;
    result.suspect = table_.find_number(row_, "topology_suspect", 0).value_or(0) != 0;
    try {
      write_scenario(result);
    } catch (const Unrepresentable& problem) {
      result.reason = problem.reason;
    }
    return result;
  }

 private:
  double positive(std::string_view column) const {
    const double value = table_.number(row_, column, 0);
    if (value <= 0)
      throw ConfigError(table_.file() + ":" + std::to_string(table_.line(row_)) + ": " + std::string(column) +
                        ": must be positive");
    return value;
  }

  void write_scenario(ServingRow& result) const {
    if (osl_ * kShortest < 2) throw Unrepresentable{"osl leaves no second token to time"};
    const std::string engine = lower_case(table_.text(row_, "backend"));
    if (engine != "vllm" && engine != "sglang" && engine != "trtllm")
      throw Unrepresentable{"no software profile for backend '" + table_.text(row_, "backend") + "'"};
    result.engine = profile_of(engine, table_.text(row_, "backend_version"));
    const Accelerator* accelerator = find_system(table_.text(row_, "system"));
    if (accelerator == nullptr)
      throw Unrepresentable{"system '" + table_.text(row_, "system") + "' is not in the catalog"};
    result.accelerator = accelerator->name;
    const std::string mode = table_.text(row_, "mode");
    if (mode != "agg" && mode != "disagg")
      throw Unrepresentable{"mode '" + mode + "' is neither agg nor disagg"};

    const ordered_json launched = recipe(result.columns);
    ordered_json draft = common();
    if (mode == "agg") {
      draft["mixed"] = pool("mixed", engine, result.engine, *accelerator, "", 1, launched);
    } else {
      for (const std::string role : {"prefill", "decode"}) {
        const std::int64_t workers = needed_size(table_, row_, role + "_num_workers");
        draft[role] = pool(role, engine, result.engine, *accelerator, role + "_", workers, launched);
      }
      draft["hand_off"] = {{"kind", "whole"}, {"first_token", "decode"}};
    }
    draft.merge_patch(launched);
    ordered_json cluster{{"pools", ordered_json::array()}};
    for (const std::string role : {"mixed", "prefill", "decode"}) {
      if (!draft.contains(role)) continue;
      ordered_json& described = draft[role];
      finish_batching(described, concurrency_, isl_);
      if (role != "prefill")
        result.slots = described.at("batching").at("max_sequences").get<double>() * ranks_of(described) *
                       described.at("replicas").get<double>();
      cluster["pools"].push_back(described);
      draft.erase(role);
    }
    if (draft.contains("hand_off")) {
      cluster["hand_off"] = draft["hand_off"];
      draft.erase("hand_off");
    }
    draft["cluster"] = cluster;
    result.scenario = draft.dump();
  }

  // What the recipes that apply say of the launch, later ones laid over earlier ones.
  ordered_json recipe(const std::map<std::string, std::string>& columns) const {
    ordered_json launched = ordered_json::object();
    for (const ordered_json& recipe : recipes_) {
      if (!matches(recipe.at("match"), columns)) continue;
      if (recipe.contains("exclude")) throw Unrepresentable{recipe.at("exclude").get<std::string>()};
      launched.merge_patch(recipe.at("set"));
    }
    return launched;
  }

  ordered_json common() const {
    const ResolvedModel model = resolve_model(table_.text(row_, "model_path"), options_);
    std::string weights = number_format(table_.text(row_, "gemm_quant_mode"));
    std::string experts = number_format(table_.text(row_, "moe_quant_mode"));
    if (weights.empty()) weights = number_format(table_.text(row_, "precision"));
    if (weights.empty()) weights = "bf16";
    // "fp8" of a checkpoint whose fp8 has scales for blocks means these.
    if (model.published_format == "fp8-block") {
      if (weights == "fp8") weights = "fp8-block";
      if (experts == "fp8") experts = "fp8-block";
    }
    for (const std::string& format : {weights, experts}) {
      if (!format.empty() && std::ranges::find(kPrecisionNames, format) == kPrecisionNames.end())
        throw Unrepresentable{"number format '" + format + "' is not known"};
    }
    ordered_json precision{{"weights", weights}, {"kv", "bf16"}};
    if (!experts.empty() && experts != weights) precision["experts"] = experts;
    const auto lengths = [](double nominal) -> ordered_json {
      return {{"kind", "uniform"},
              {"low", std::max<std::int64_t>(1, static_cast<std::int64_t>(nominal * kShortest))},
              {"high", static_cast<std::int64_t>(nominal)}};
    };
    return {{"model", model.value},
            {"precision", precision},
            {"workload",
             {{"kind", "synthetic"},
              {"arrivals", {{"kind", "closed-loop"}, {"concurrency", concurrency_as_integer()}}},
              {"requests", static_cast<std::int64_t>(concurrency_ * kPromptsPerSlot)},
              {"prompt_tokens", lengths(isl_)},
              {"output_tokens", lengths(osl_)}}}};
  }

  std::int64_t concurrency_as_integer() const {
    return static_cast<std::int64_t>(std::llround(concurrency_));
  }

  ordered_json pool(const std::string& role, const std::string& engine, const std::string& profile,
                    const Accelerator& accelerator, const std::string& prefix, std::int64_t replicas,
                    const ordered_json& launched) const {
    ordered_json described{{"name", role},
                           {"role", role},
                           {"accelerator", accelerator.name},
                           {"replicas", replicas},
                           {"software", {{"extends", profile}}},
                           {"parallelism", parallelism(table_, row_, prefix)}};
    // The engine's batching follows from the sizes that were launched, not from those recorded.
    if (launched.contains(role) && launched.at(role).contains("parallelism"))
      described["parallelism"].merge_patch(launched.at(role).at("parallelism"));
    const double in_flight = std::ceil(concurrency_ / static_cast<double>(replicas));
    described["batching"] = batching(engine, in_flight, ranks_of(described), isl_);
    return described;
  }

  const CsvTable& table_;
  std::size_t row_;
  const ServingRowOptions& options_;
  const ordered_json& recipes_;
  double isl_ = 0, osl_ = 0, concurrency_ = 0;
};

}  // namespace

const Accelerator* find_system(const std::string& system) {
  std::vector<std::string> wanted = words_of(system);
  if (wanted.size() > 1) std::erase(wanted, "sxm");
  for (const Accelerator& accelerator : accelerators()) {
    const std::vector<std::string> words = words_of(accelerator.name);
    const auto has = [&](const std::string& word) { return std::ranges::count(words, word) > 0; };
    if (!wanted.empty() && wanted.front() == words.front() && std::ranges::all_of(wanted, has))
      return &accelerator;
  }
  return nullptr;
}

std::vector<ServingRow> read_serving_rows(const CsvTable& table, const ServingRowOptions& options) {
  table.require({"id", "backend", "model_path", "system", "mode", "isl", "osl", "concurrency",
                 "silicon_ttft_ms", "silicon_tpot_ms"});
  const ordered_json recipes = load_recipes(options.recipes);
  std::vector<ServingRow> rows;
  for (std::size_t i = 0; i < table.rows(); ++i) rows.push_back(RowReader(table, i, options, recipes).read());
  return rows;
}

}  // namespace disagg
