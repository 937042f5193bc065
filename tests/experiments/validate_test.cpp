#include "experiments/validate.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/experiments/program.hpp"
#include "tests/support/harness.hpp"

using namespace disagg;
using namespace disagg::test;

namespace {

constexpr const char* kHeader =
    "id,backend,backend_version,model_path,system,mode,isl,osl,concurrency,gemm_quant_mode,moe_quant_mode,"
    "tp_size,pp_size,attention_dp_size,moe_tp_size,moe_ep_size,silicon_ttft_ms,silicon_tpot_ms\n";
constexpr const char* kRow =
    "one,vllm,0.10,meta-llama/Llama-3.1-8B,h100_sxm,agg,128,16,2,bfloat16,bfloat16,1,1,1,1,1,40,8\n";

Ended validate(const std::string& csv, std::vector<std::string> more = {}) {
  const TemporaryFolder folder;
  write_text(folder / "serving.csv", csv);
  std::vector<std::string> arguments{"validate", "serving.csv", "--quiet"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return call(folder, arguments);
}

}  // namespace

TEST_CASE("A measured row becomes its benchmark, and rows that cannot are told with their reason",
          "[validate]") {
  const std::string unknown = with(with(kRow, "one,", "two,"), "meta-llama/Llama-3.1-8B", "acme/none");
  const std::string engine = with(with(kRow, "one,", "three,"), "vllm", "tgi");
  const Ended ended = validate(std::string(kHeader) + kRow + unknown + engine, {"--json", "--by", "system"});
  REQUIRE(ended.err.empty());
  REQUIRE(ended.code == 0);
  const auto json = nlohmann::json::parse(ended.out);
  REQUIRE(json.at("rows").size() == 1);
  const auto& row = json.at("rows")[0];
  CHECK(row.at("id") == "one");
  const double predicted = row.at("predicted").at("tpot_ms");
  // Weights of 8e9 parameters in 16 bits take 4.8 ms to read.
  CHECK(predicted > 4.8);
  CHECK(predicted < 10);
  CHECK(row.at("ape_percent").at("tpot_ms").get<double>() ==
        Approx(100 * std::abs(predicted / 8 - 1)).epsilon(1e-9));
  CHECK(json.at("overall").at("tpot_ms").at("median_ape_percent") == row.at("ape_percent").at("tpot_ms"));
  CHECK(json.at("groups")[0].at("by").at("system") == "h100_sxm");
  // All numbers fitted to measurements that stand behind the prediction, with what they were fitted on.
  const auto& fitted = json.at("fitted");
  CHECK(fitted.at(0).at("of") == "vllm");
  CHECK(fitted.at(0).at("values").size() == fitted.at(0).at("count"));
  CHECK(fitted.at(0).at("values").at("prefill_scale").get<double>() > 1);
  CHECK(fitted.size() > 20);
  for (const auto& numbers : fitted) {
    CHECK((numbers.at("of") == "vllm" || numbers.at("of") == "h100-sxm-80gb"));
    CHECK_FALSE(numbers.at("source").get<std::string>().empty());
  }
  REQUIRE(json.at("not_predicted").size() == 2);
  CHECK(json.at("not_predicted")[0].at("line") == 3);
  CHECK_THAT(json.at("not_predicted")[0].at("reason").get<std::string>(),
             Catch::Contains("acme/none is not in the catalog"));
  CHECK(json.at("not_predicted")[1].at("reason") == "no software profile for backend 'tgi'");
}

TEST_CASE("A row's batching follows from the ranks that were launched, not from those recorded",
          "[validate]") {
  const TemporaryFolder folder;
  write_text(folder / "serving.csv",
             std::string(kHeader) +
                 "one,trtllm,1.2,deepseek-ai/DeepSeek-R1,h200_sxm,agg,1024,1024,64,fp8,fp8_block,"
                 "8,1,1,1,8,500,30\n");
  write_text(folder / "recipes.json",
             R"({ "recipes": [ { "match": { "backend": "trtllm" },
                  "set": { "mixed": { "parallelism": { "tp": 1, "dp_attention": 8, "ep": 8 } } }, "source": "test" } ] })");
  const auto read = [&](const char* recipes) {
    ServingRowOptions options;
    if (recipes != nullptr) options.recipes = folder / recipes;
    const auto rows = read_serving_rows(CsvTable::read(folder / "serving.csv"), options);
    return nlohmann::json::parse(rows.at(0).scenario).at("cluster").at("pools").at(0).at("batching");
  };
  CHECK(read("recipes.json").at("max_sequences") == 8);  // 64 in flight over 8 ranks
  CHECK(read("recipes.json").at("balance_steps") == 60);
  CHECK(read(nullptr).at("max_sequences") == 64);
  CHECK_FALSE(read(nullptr).contains("balance_steps"));
}

TEST_CASE("A byte order mark is no part of the first column's name, an empty width is told", "[validate]") {
  CHECK(validate("\xEF\xBB\xBF" + std::string(kHeader) + kRow).code == 0);
  const Ended ended = validate(std::string(kHeader) + with(kRow, ",1,1,1,1,1,", ",,1,1,1,1,"), {"--json"});
  CHECK(ended.code == 2);
  CHECK(ended.err == "disagg: validate: no row could be predicted; the first: tp_size is not given\n");
  const auto json = nlohmann::json::parse(ended.out);
  CHECK(json.at("not_predicted").at(0).at("reason") == "tp_size is not given");
  const auto one = nlohmann::json::parse(
      validate(std::string(kHeader) + with(kRow, ",128,16,2,", ",128,1,2,"), {"--json"}).out);
  CHECK(one.at("not_predicted").at(0).at("reason") == "osl leaves no second token to time");
}

TEST_CASE("Measurements call accelerators and models by many names", "[validate]") {
  const auto system = [](const char* name) {
    const Accelerator* found = find_system(name);
    return found != nullptr ? found->name : std::string("none");
  };
  CHECK(system("h100_sxm") == "h100-sxm-80gb");
  CHECK(system("H100") == "h100-sxm-80gb");
  CHECK(system("a100-80gb") == "a100-sxm-80gb");
  CHECK(system("gb200_sxm") == "gb200-nvl72");
  CHECK(system("h100_pcie") == "none");
  CHECK(system("a100_sxm_40gb") == "none");
  CHECK(system("") == "none");
  const auto predicted = [](const char* model) {
    return validate(std::string(kHeader) + with(kRow, "meta-llama/Llama-3.1-8B", model), {"--json"});
  };
  const std::string base = predicted("meta-llama/Llama-3.1-8B").out;
  for (const char* name :
       {"meta-llama/Meta-Llama-3.1-8B", "nvidia/Llama-3.1-8B-Instruct-FP8", "llama-3.1-8b-instruct-hf"})
    CHECK(nlohmann::json::parse(predicted(name).out).at("rows").at(0).at("predicted") ==
          nlohmann::json::parse(base).at("rows").at(0).at("predicted"));
}

TEST_CASE("A limit on the median error that does not hold ends with 1, one that holds with 0", "[validate]") {
  const Ended broken = validate(std::string(kHeader) + kRow, {"--max-median-ape", "tpot=0.0001"});
  CHECK(broken.code == 1);
  const Ended misplaced = validate(std::string(kHeader) + kRow, {"--constants", "none.json"});
  CHECK(misplaced.code == 2);
  CHECK(misplaced.err == "validate: --constants and --constants-of belong to --kind kernels\n");
  CHECK_THAT(broken.err, Catch::Contains("tpot_ms: the median error is"));
  CHECK(validate(std::string(kHeader) + kRow, {"--max-median-ape", "tpot=500,ttft=500"}).code == 0);
  CHECK(validate(std::string(kHeader) + kRow, {"--max-median-ape", "tpot=nan"}).code == 2);
  const Ended unknown = validate(std::string(kHeader) + kRow, {"--max-median-ape", "tpt=5"});
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.err, Catch::Contains("'tpt' is unknown; known: tpot_ms ttft_ms"));
}

TEST_CASE("Damaged serving files: 11 of them are refused with their place", "[validate]") {
  struct Damage {
    std::string csv, error;
  };
  const std::string good = std::string(kHeader) + kRow;
  const std::vector<Damage> all{
      {"", "serving.csv: is empty\n"},
      {kHeader, "serving.csv: has a header but no rows\n"},
      {with(good, "silicon_tpot_ms", "tpot"), "serving.csv:1: lacks the column 'silicon_tpot_ms'; it has: "},
      {with(good, ",40,8", ",nan,8"), "serving.csv:2: silicon_ttft_ms: 'nan' is not a number\n"},
      {with(good, ",40,8", ",-40,8"), "serving.csv:2: silicon_ttft_ms: '-40' must be at least 0\n"},
      {with(good, ",40,8", ",40"), "serving.csv:2: 17 fields, but the header has 18\n"},
      {with(good, ",128,16,2,", ",128,16,,"), "serving.csv:2: concurrency: is empty\n"},
      {with(good, ",128,16,2,", ",128.5,16,2,"), "serving.csv:2: isl: '128.5' must be a whole number\n"},
      {with(good, ",128,16,2,", ",128,16,1e9,"),
       "serving.csv:2: concurrency: '1e9' must be at most 100000\n"},
      {with(good, ",1,1,1,1,1,", ",0,1,1,1,1,"), "serving.csv:2: tp_size: '0' must be at least 1\n"},
      {with(good, "isl,osl", "isl,isl"), "serving.csv:1: names the column 'isl' twice\n"}};
  for (const Damage& damage : all) {
    const Ended ended = validate(damage.csv);
    CHECK(ended.code == 2);
    CHECK_THAT(ended.err, Catch::StartsWith(damage.error));
    CHECK(ended.out.empty());
  }
}

TEST_CASE("A closed loop of 4 starts with a burst of 4 and never has more in flight", "[validate]") {
  const Facts facts = simulate(flat_times(
      R"("chunked")", R"({ "kind": "synthetic", "arrivals": { "kind": "closed-loop", "concurrency": 4 },
        "requests": 40, "prompt_tokens": 100, "output_tokens": { "kind": "uniform", "low": 2, "high": 30 } })"));
  REQUIRE(facts.requests.size() == 40);
  for (std::size_t i = 0; i < 4; ++i) CHECK(facts.requests[i].arrived == Seconds{0});
  for (const RequestRecord& request : facts.requests) {
    const auto in_flight = std::ranges::count_if(facts.requests, [&](const RequestRecord& other) {
      return other.arrived <= request.arrived && other.last_token > request.arrived;
    });
    CHECK(in_flight <= 4);
  }
  // Each of the others arrives the moment an earlier one ends.
  for (std::size_t i = 4; i < facts.requests.size(); ++i)
    CHECK(std::ranges::any_of(facts.requests, [&](const RequestRecord& other) {
      return other.last_token == facts.requests[i].arrived;
    }));
}
