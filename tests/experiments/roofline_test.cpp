#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/experiments/program.hpp"

namespace disagg {
namespace {

using Catch::Matchers::Contains;
using nlohmann::json;
using test::call;
using test::Ended;
using test::read_text;
using test::TemporaryFolder;

json rows(std::vector<std::string> arguments) {
  const TemporaryFolder folder;
  arguments.insert(arguments.begin(), "roofline");
  arguments.insert(arguments.end(), {"--format", "json"});
  const Ended ended = call(folder, arguments);
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  return json::parse(ended.out);
}

double number(const json& row, const char* key) { return row.at(key).get<double>(); }

TEST_CASE(
    "A decode step of 16 requests of 8192 tokens of Llama-3.1-70B does 2.568 TFLOP over 182 GB, 14.1 "
    "FLOP/byte, "
    "54.4 ms at 3.35 TB/s",
    "[roofline]") {
  const json all = rows({"--model", "llama-3.1-70b", "--accelerator", "h100-sxm-80gb", "--phase", "decode",
                         "--accelerators", "1", "--batch", "1,16,64"});
  REQUIRE(all.size() == 3);
  const json& row = all[1];
  CHECK(row.at("batch") == 16);
  // 2 (70,552,387,584 - 128,256 * 8192) 16 + 4 * 8192 * 80 * 8192 * 16
  CHECK(number(row, "flop") == 2567652245504);
  // Weights and caches, 181.953 GB (181.95 in oi_cf 4.9), and 24.865 MB of activations for each request:
  // 2 * 80 * 153,600 of the layers, 2 * 136,448 of the LM head, 2 * 8192 of the embedding.
  CHECK(number(row, "traffic_bytes") == 139'003'428'864 + 16 * (8192 * 327'680.0 + 24'865'280));
  CHECK(number(row, "intensity_flop_per_byte") == Approx(14.11).epsilon(3e-3));
  CHECK(number(row, "step_time_bound_seconds") == Approx(54.31e-3).epsilon(3e-3));
  CHECK(number(row, "ridge_flop_per_byte") == Approx(989.0 / 3.35));
  CHECK(number(row, "footprint_bytes_per_request") == Approx(11.50e9).epsilon(1e-3));
  CHECK(number(all[0], "step_time_bound_seconds") == Approx(42.29e-3).epsilon(1e-3));
  CHECK(number(all[2], "step_time_bound_seconds") == Approx(92.78e-3).epsilon(6e-3));
  CHECK(row.at("regime") == "capacity");  // 141 GB of weights in 80
  CHECK(row.at("capacity_wall_tokens") == 0);
}

TEST_CASE("A prefill of 8192 tokens on eight H100 is bound by compute: 1.209 PFLOP, 152.9 ms", "[roofline]") {
  const json row = rows({"--model", "meta-llama/Llama-3.1-70B", "--accelerator", "h100-sxm-80gb", "--phase",
                         "prefill", "--batch", "1"})[0];
  CHECK(number(row, "flop") == Approx(1.2094e15).epsilon(1e-4));
  CHECK(number(row, "step_time_bound_seconds") == Approx(152.9e-3).epsilon(1e-3));
  CHECK(number(row, "peak_flop_per_second") == Approx(8 * 989e12));
  CHECK(row.at("regime") == "compute");
  CHECK(row.at("max_batch") == 185);  // (640 - 141.1048) GB / (8192 * 327,680 B)
}

TEST_CASE(
    "Llama-3.1-70B meets the capacity wall of one B200 at 155,319 tokens, so not one request of 300K fits",
    "[roofline]") {
  const json all = rows({"--model", "llama-3.1-70b", "--accelerator", "b200-sxm", "--phase", "decode",
                         "--accelerators", "1", "--batch", "1", "--context", "8192,155319,155320,300000"});
  REQUIRE(all.size() == 4);
  for (const json& row : all) CHECK(row.at("capacity_wall_tokens") == 155319);  // 50.895e9 / 327,680
  CHECK(all[0].at("regime") == "bandwidth");
  CHECK(all[1].at("max_batch") == 1);
  CHECK(all[2].at("max_batch") == 0);
  CHECK(all[3].at("regime") == "capacity");
}

TEST_CASE("DeepSeek-R1 at 300K and batch 16 needs 104.96 GB a request with bf16 weights, 63.1 with fp8",
          "[roofline]") {
  const std::vector<std::string> same{"--model", "deepseek-r1", "--accelerator", "b200-sxm", "--phase",
                                      "decode",  "--context",   "300000",        "--batch",  "16"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = same;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return rows(arguments)[0];
  };
  CHECK(number(with({}), "footprint_bytes_per_request") == Approx(104.96e9).epsilon(1e-4));
  // 671.025e9 / 16 + 21.0816e9 = 63.02e9 (oi_cf 4.9), and both embedding tables keep 16 bits: 0.116e9 more.
  const json fp8 = with({"--weights", "fp8"});
  CHECK(number(fp8, "footprint_bytes_per_request") == Approx(63.02e9 + 0.1158e9).epsilon(1e-4));
  CHECK(fp8.at("experts") == "fp8");
  // fp4 experts: 653.9e9 of 671.0e9 weights take half.
  const json fp4 = with({"--weights", "fp8", "--experts", "fp4", "--kv", "fp8"});
  CHECK(number(fp4, "footprint_bytes_per_request") ==
        Approx(63.02e9 + 0.1158e9 - 653.9e9 / 2 / 16 - 21.0816e9 / 2).epsilon(1e-3));
  CHECK(number(fp4, "peak_flop_per_second") > 8 * 2250e12);
  CHECK(number(fp4, "peak_flop_per_second") < 8 * 9000e12);
}

TEST_CASE("What an accelerator does not publish is null, empty or '-', never a number", "[roofline]") {
  const std::vector<std::string> arguments{"--accelerator", "rubin-cpx", "--model", "llama-3.1-8b",
                                           "--phase",       "decode",    "--batch", "1"};
  const json row = rows(arguments)[0];
  CHECK(row.at("ridge_flop_per_byte").is_null());
  CHECK(row.at("step_time_bound_seconds").is_null());
  CHECK(row.at("regime").is_null());
  CHECK(number(row, "intensity_flop_per_byte") > 0);
}

TEST_CASE("The table and the CSV have a row for each of 2 x 2 x 2 x 1 x 3 combinations, and -o a file",
          "[roofline]") {
  const TemporaryFolder folder;
  const Ended table = call(folder, {"roofline"});
  CHECK(table.code == 0);
  CHECK_THAT(table.out, Contains("deepseek-r1") && Contains("capacity wall") && Contains("1522507"));
  CHECK(call(folder, {"roofline", "--format", "csv", "-o", "rows.csv"}).out.empty());
  const std::string csv = read_text(folder / "rows.csv");
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 1 + 24);
  CHECK_THAT(csv, Catch::StartsWith("model,accelerator,accelerators,phase,context_tokens,batch,weights,"));
}

TEST_CASE("A model from a config.json of its own has the roofline of the same shape in the catalog",
          "[roofline]") {
  const TemporaryFolder folder;
  disagg::test::write_text(folder / "own.json",
                           R"({ "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    "tie_word_embeddings": false })");
  const Ended ended =
      call(folder, {"roofline", "--model", "own.json,llama-3.1-8b", "--accelerator", "h100-sxm-80gb",
                    "--phase", "decode", "--batch", "16", "--format", "json"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  const json both = json::parse(ended.out);
  REQUIRE(both.size() == 2);
  CHECK(both[0].at("model") == "own");
  for (const char* figure : {"intensity_flop_per_byte", "step_time_bound_seconds", "capacity_wall_tokens"})
    CHECK(both[0].at(figure) == both[1].at(figure));
}

TEST_CASE("An unknown name of the roofline exits with 2 and says what is known", "[roofline]") {
  const TemporaryFolder folder;
  const auto complaint = [&](const std::vector<std::string>& arguments) {
    std::vector<std::string> all{"roofline"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Ended ended = call(folder, all);
    CHECK(ended.code == 2);
    CHECK(ended.out.empty());
    return ended.err;
  };
  CHECK_THAT(complaint({"--model", "lama-3.1-70b"}),
             Catch::StartsWith("--model: 'lama-3.1-70b' is unknown; known: llama-2-70b-hf ") &&
                 Contains("did you mean 'llama-3.1-70b'?"));
  CHECK_THAT(complaint({"--accelerator", "h100"}), Contains("--accelerator: 'h100' is unknown; known: "));
  CHECK_THAT(complaint({"--phase", "decod"}), Contains("known: prefill decode; did you mean 'decode'?"));
  CHECK_THAT(complaint({"--weights", "fp9"}), Contains("--weights: 'fp9' is unknown") && Contains("fp8"));
  CHECK_THAT(complaint({"--kv", "int4"}), Contains("--kv: int4 is a format of weights only"));
  CHECK_THAT(complaint({"--format", "jsn"}), Contains("did you mean 'json'?"));
  CHECK_THAT(complaint({"--context", "0"}), Contains("--context"));
  CHECK_THAT(complaint({"--batch", "1.5"}), Contains("--batch"));
}

}  // namespace
}  // namespace disagg
