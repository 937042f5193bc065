#include "experiments/calibrate.hpp"

#include <algorithm>
#include <boost/random/normal_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "experiments/validate_kernels.hpp"
#include "sim/base/random.hpp"
#include "tests/experiments/program.hpp"

using namespace disagg;

namespace {

constexpr const char* kGemmHeader =
    "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\n";
constexpr const char* kGemmRow =
    "VLLM,0.24.0,NVIDIA H100 80GB HBM3,gemm,linear,bfloat16,64,4096,4096,0.0153\n";

const MeasuredDevice kH100 = device_of({.accelerator = "h100-sxm-80gb",
                                        .family = GemmConstants::family,
                                        .format = "bf16",
                                        .shape = GemmShape{}});

// Factors around 1 with a standard deviation of 3 %.
class Noise {
 public:
  double operator()() { return std::exp(0.03 * normal_(engine_)); }

 private:
  RandomEngine engine_ = random_stream(7, "measurement noise");
  boost::random::normal_distribution<double> normal_;
};

struct Made {
  std::string csv;
  std::vector<double> exact_ms;  // without the noise, in the order of rows
};

// Rows of GEMM as the benchmark writes them, from known constants.
Made made_gemm(const GemmConstants& truth) {
  Made made{kGemmHeader, {}};
  Noise noise;
  for (const double n : {512, 1536, 4096, 7168, 18432})
    for (const double k : {512, 2048, 4096, 8192, 16384})
      for (double m = 1; m <= 16384; m *= 4) {
        const GemmShape shape{.m = m, .n = n, .k = k, .split_k = true};
        made.exact_ms.push_back(benchmark_time(truth, kH100, shape) * 1e3);
        std::ostringstream row;
        row << "VLLM,1,NVIDIA H100 80GB HBM3,gemm,linear,bfloat16," << m << ',' << n << ',' << k << ','
            << made.exact_ms.back() * noise() << '\n';
        made.csv += row.str();
      }
  return made;
}

Made made_decode(const DecodeAttentionConstants& truth) {
  Made made{
      "device,op_name,kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,kv_cache_dtype,"
      "step,window_size,latency\n",
      {}};
  Noise noise;
  for (const double head_dim : {64, 128, 256})
    for (const double kv_heads : {1, 2, 8})
      for (double batch = 1; batch <= 512; batch *= 4)
        for (double context = 16; context <= 65536; context *= 2) {
          const DecodeAttentionShape shape{.batch = batch,
                                           .heads = 8 * kv_heads,
                                           .kv_heads = kv_heads,
                                           .head_dim = head_dim,
                                           .context = context};
          made.exact_ms.push_back(benchmark_time(truth, kH100, shape) * 1e3);
          std::ostringstream row;
          row << "NVIDIA H100 80GB HBM3,generation_attention,fa3," << batch << ",1," << 8 * kv_heads << ','
              << kv_heads << ',' << head_dim << ",bfloat16," << context - 1 << ",0,"
              << made.exact_ms.back() * noise() << '\n';
          made.csv += row.str();
        }
  return made;
}

Made made_all_reduce(const CollectiveConstants& truth) {
  Made made{"device,op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency\n", {}};
  Noise noise;
  for (const double ranks : {2, 4, 8})
    for (double elements = 256; elements <= 536870912; elements *= 2) {
      made.exact_ms.push_back(
          benchmark_time(truth, kH100, {.bytes = 2 * elements, .ranks = ranks, .passes = 2}) * 1e3);
      std::ostringstream row;
      row.precision(9);
      row << "NVIDIA H100 80GB HBM3,all_reduce,NCCL,half," << ranks << ',' << static_cast<long>(elements)
          << ',' << made.exact_ms.back() * noise() << '\n';
      made.csv += row.str();
    }
  return made;
}

// Fits a file and compares its predictions with the exact times: the mean error.
double error_percent(const Made& made, KernelCalibration& calibration) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "rows.csv", made.csv);
  calibration = calibrate({folder / "rows.csv"}, {.accelerator = "h100-sxm-80gb"});
  test::write_text(folder / "fitted.json", calibration_json(calibration).dump());
  const Validation validation =
      validate_kernels({folder / "rows.csv"}, {.constants = folder / "fitted.json"});
  REQUIRE(validation.rows.size() == made.exact_ms.size());
  double sum = 0;
  for (std::size_t i = 0; i < made.exact_ms.size(); ++i)
    sum += std::abs(validation.rows[i].predicted.at("latency_ms") / made.exact_ms[i] - 1);
  return 100 * sum / static_cast<double>(made.exact_ms.size());
}

double constant(const KernelCalibration& calibration, const std::string& name) {
  for (const auto& [known, value] : calibration.families.at(0).constants)
    if (known == name) return value;
  FAIL("there is no constant " << name);
  return 0;
}

}  // namespace

TEST_CASE("GEMM constants are recovered from 200 rows with 3 % of noise, times within 1 %", "[calibrate]") {
  KernelCalibration fitted;
  CHECK(error_percent(made_gemm({4e-6, 0.6, 0.7, 2, 3e-9, 5e-6, 0, 0}), fitted) < 1);
  CHECK(constant(fitted, "t0_us") == Approx(4).epsilon(0.05));
  CHECK(constant(fitted, "ec") == Approx(0.6).epsilon(0.03));
  CHECK(constant(fitted, "em") == Approx(0.7).epsilon(0.03));
  CHECK(constant(fitted, "tau_ns") == Approx(3).epsilon(0.05));
  CHECK(constant(fitted, "aq_ns") == 0);
  const CalibratedFamily& family = fitted.families.at(0);
  CHECK(family.fitted == 6);
  CHECK(family.fit.rows == 200);
  // Noise of 3 % is a mean error of 2.4 %: what is held out is not much worse than what is fitted.
  CHECK(family.fit.mean == Approx(2.4).margin(0.4));
  CHECK(family.cross_validated.mean == Approx(family.fit.mean).margin(0.4));
}

TEST_CASE("Decode constants are recovered from rows with 3 % of noise, times within 1 %", "[calibrate]") {
  KernelCalibration fitted;
  CHECK(error_percent(made_decode({8e-6, 2e-6, 3e-6, 1e-6, 2e-6, 0.8, 0.3, 4e-9, 0.3, 0.5}), fitted) < 1);
  CHECK(constant(fitted, "t0_us") + constant(fitted, "t1_us") == Approx(10).epsilon(0.03));
  CHECK(constant(fitted, "dl_us") == Approx(3).epsilon(0.15));
  CHECK(constant(fitted, "em") == Approx(0.8).epsilon(0.03));
  CHECK(constant(fitted, "phi") == Approx(0.3).margin(0.1));
  CHECK(fitted.families.at(0).cold.rows > 50);
  CHECK(fitted.families.at(0).cold.rows < fitted.families.at(0).fit.rows / 2);
}

TEST_CASE("NCCL sizes count elements: the rates of an all-reduce are recovered", "[calibrate]") {
  KernelCalibration fitted;
  CHECK(error_percent(made_all_reduce({6e-6, 2e-6, 0.05, 2e-6, 0.3, 20e-6, 0.6}), fitted) < 2);
  CHECK(constant(fitted, "e3") == Approx(0.6).epsilon(0.03));
  CHECK(constant(fitted, "a0_us") == Approx(6).epsilon(0.1));
}

TEST_CASE("Balanced experts are min(E, k T) / ep, and the most loaded rank of a power law has more",
          "[calibrate]") {
  CHECK(routed_load(256, 8, 8, 4, 0).experts == 4);
  CHECK(routed_load(256, 8, 8, 4, 0).pairs == 4);
  CHECK(routed_load(256, 8, 8, 1024, 0).experts == 32);
  const RankLoad skewed = routed_load(256, 8, 8, 1024, 1.2);
  CHECK(skewed.pairs > 1.3 * 1024);
  CHECK(skewed.pairs < 4 * 1024);
  CHECK(skewed.experts <= 32);
  CHECK(routed_load(256, 8, 1, 1024, 1.2).pairs <= 8192);
  CHECK(routed_load(256, 8, 8, 1024, 1.2).pairs == skewed.pairs);
}

TEST_CASE("Artefacts are left out with a reason, and counted", "[calibrate]") {
  const test::TemporaryFolder folder;
  std::string csv = test::with(kGemmHeader, "framework,version,", "");
  for (const char* row :
       {"NVIDIA B200,gemm,Cutlass,fp8,1,4096,4096,0.02", "NVIDIA B200,gemm,Cutlass,fp8,2,4096,4096,0.01",
        "NVIDIA B200,gemm,CutlassFp8BlockScaledMMKernel,fp8_block,8,4096,4096,0.2"})
    csv += std::string(row) + "\n";
  test::write_text(folder / "rows.csv", csv);
  const KernelSamples read = read_kernel_files({folder / "rows.csv"});
  REQUIRE(read.samples.size() == 1);
  CHECK(read.samples[0].line == 3);
  REQUIRE(read.left_out.size() == 2);
  CHECK(read.left_out[0].rows + read.left_out[1].rows == 2);
}

TEST_CASE("A family with too few rows is left out and told, the others are fitted", "[calibrate]") {
  const test::TemporaryFolder folder;
  std::string csv = kGemmHeader;
  for (const int m : {1, 16, 256, 4096})
    for (const int n : {1024, 4096, 16384})
      for (const int k : {2048, 8192}) {
        const double ms = 0.003 + std::max(2.0 * m * n * k / 700e12, 2.0 * n * k / 2.8e12) * 1e3;
        csv += "VLLM,0.24.0,NVIDIA H100 80GB HBM3,gemm,linear,bfloat16," + std::to_string(m) + "," +
               std::to_string(n) + "," + std::to_string(k) + "," + std::to_string(ms) + "\n";
      }
  csv += test::with(kGemmRow, "bfloat16", "fp8");
  test::write_text(folder / "rows.csv", csv);
  const KernelCalibration fitted =
      calibrate({folder / "rows.csv"}, {.accelerator = "h100-sxm-80gb", .folds = 2, .jobs = 1});
  REQUIRE(fitted.families.size() == 1);
  CHECK(fitted.families[0].format == "bf16");
  REQUIRE(fitted.left_out.size() == 1);
  CHECK(fitted.left_out[0].rows == 1);
  CHECK_THAT(fitted.left_out[0].reason, Catch::StartsWith("1 rows of gemm fp8 are too few to fit"));
}

TEST_CASE("A file of constants must hold kernels of known families", "[calibrate]") {
  const test::TemporaryFolder folder;
  const auto error = [&](const char* text) {
    test::write_text(folder / "c.json", text);
    try {
      kernel_constants("h100-sxm-80gb", folder / "c.json");
    } catch (const ConfigError& problem) {
      const std::string what = problem.what();
      return what.substr(what.find("c.json"));
    }
    return std::string("none");
  };
  CHECK(error(R"({ "kernels": [] })") == "c.json: \"kernels\" is empty");
  CHECK(error(R"({ "kernels": [ 1, 2 ] })") == "c.json:1: kernels: a row must be an object");
  CHECK_THAT(error(R"({ "kernels": [ { "family": "gem" } ] })"),
             Catch::StartsWith("c.json:1: kernels: family 'gem' is unknown; known: gemm"));
}

TEST_CASE("Damaged kernel files are refused with file, line and column, exit code 2", "[calibrate]") {
  const std::string header = kGemmHeader, row = kGemmRow;
  struct Damage {
    std::string text, message;
  };
  const std::vector<Damage> damages{
      {"", "rows.csv: is empty"},
      {header, "rows.csv: has a header but no rows"},
      {header + row + row, "rows.csv: 2 rows of gemm bf16 are too few to fit 6 constants; needed: 12"},
      {test::with(header, ",latency", "") + test::with(row, ",0.0153", ""),
       "rows.csv:1: lacks the column 'latency'; it has:"},
      {header + row + test::with(row, "0.0153", "nan"), "rows.csv:3: latency: 'nan' is not a number"},
      {header + test::with(row, "0.0153", "-0.1"), "rows.csv:2: latency: '-0.1' must be at least 1e-06"},
      {header + test::with(row, "0.0153", ""), "rows.csv:2: latency: is empty"},
      {header + test::with(row, ",64,", ",0,"), "rows.csv:2: m: '0' must be at least 1"},
      {header + test::with(row, "bfloat16", "bfloat61"),
       "rows.csv:2: gemm_dtype: 'bfloat61' is unknown; known: bfloat16 fp8 fp8_block nvfp4; did you mean "
       "'bfloat16'?"},
      {header + test::with(row, "H100 80GB HBM3", "H1000"),
       "rows.csv:2: device: 'NVIDIA H1000' is unknown; known: "},
      {header + test::with(row, ",gemm,", ",gem,"), "rows.csv:2: op_name: 'gem' is unknown; known: "},
      {header + row + test::with(row, ",gemm,", ",moe,"),
       "rows.csv:3: op_name: 'moe' is unknown; known: gemm"},
      {header + test::with(row, "H100 80GB HBM3", "B200"),
       "rows.csv:2: device: was measured on b200-sxm, not on h100-sxm-80gb"},
      {header + test::with(row, "linear,", "linear,,"), "rows.csv:2: 11 fields, but the header has 10"},
  };
  const test::TemporaryFolder folder;
  REQUIRE(damages.size() == 14);
  for (const Damage& damage : damages) {
    INFO(damage.text);
    test::write_text(folder / "rows.csv", damage.text);
    const test::Ended ended = test::call(
        folder, {"calibrate", "rows.csv", "--accelerator", "h100-sxm-80gb", "--output", "out.json"});
    INFO(ended.err);
    CHECK(ended.code == 2);
    CHECK(ended.err.starts_with(damage.message));
    CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
    CHECK_FALSE(std::filesystem::exists(folder / "out.json"));
  }
  const test::Ended unknown = test::call(folder, {"calibrate", "rows.csv", "--accelerator", "h100"});
  CHECK(unknown.code == 2);
  CHECK(unknown.err.find("--accelerator: 'h100' is unknown; known: ") != std::string::npos);
}

TEST_CASE("disagg calibrate writes constants that a scenario's service can name", "[calibrate]") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "rows.csv", made_gemm({50e-6, 0.5, 0.5, 2, 1e-9, 3e-6, 0, 0}).csv);
  const test::Ended ended = test::call(folder, {"calibrate", "rows.csv", "--accelerator", "h100-sxm-80gb",
                                                "--output", "slow.json", "-j", "1", "-q"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  CHECK(ended.err.empty());
  CHECK(ended.out.find("gemm") != std::string::npos);
  const KernelConstants slow = kernel_constants("h100-sxm-80gb", folder / "slow.json");
  CHECK(slow.gemm[0]->constants.t0 == Approx(50e-6).epsilon(0.02));
  // What the file does not hold is the catalog's.
  CHECK(slow.decode_attention[0]->constants.t0 ==
        kernel_constants("h100-sxm-80gb").decode_attention[0]->constants.t0);
}
