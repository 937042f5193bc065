#include "sim/hardware/accelerator.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "sim/model/model_spec.hpp"

namespace disagg {
namespace {

template <class Row>
const Row& named(std::span<const Row> rows, std::string_view name) {
  const auto row = std::ranges::find(rows, name, &Row::name);
  REQUIRE(row != rows.end());
  return *row;
}

const Accelerator& accelerator(std::string_view name) { return named(accelerators(), name); }

// An accelerator as the object of a scenario holds it under "accelerator". Throws ConfigError.
Accelerator read(std::string_view scenario) {
  ConfigNode node = parse_config(scenario, "scenario.json");
  Problems problems;
  Reader r(node, "", problems);
  const auto read = read_accelerator(r, "accelerator");
  r.done();
  problems.throw_if_any();
  return read.value();
}

std::string problem(std::string_view scenario) {
  try {
    read(scenario);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no problem";
}

double ridge(const Accelerator& a, Precision precision) {
  return (a.peak(precision).value() / a.memory_bandwidth.value()).si;
}

using Catch::Matchers::Contains;

TEST_CASE("The catalog holds 19 accelerators, 20 links, 12 memories and 10 calibrations", "[hardware]") {
  CHECK(accelerators().size() == 19);
  CHECK(links().size() == 20);
  CHECK(memories().size() == 12);
  CHECK(calibrations().size() == 10);
}

TEST_CASE("Every row of the hardware catalog has a name of its own, a title and a source", "[hardware]") {
  std::set<std::string> names;
  const auto check = [&names](const auto& row) {
    CAPTURE(row.name);
    CHECK(names.insert(row.name).second);
    CHECK_FALSE(row.title.empty());
    CHECK(row.provenance.source != "the scenario");
    CHECK(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string::npos);
  };
  std::ranges::for_each(accelerators(), check);
  std::ranges::for_each(links(), check);
  std::ranges::for_each(memories(), check);
}

TEST_CASE("A field that lacks a primary source names a field that the row has", "[hardware]") {
  for (const Link& link : links())
    for (const std::string& field : link.provenance.unverified) {
      CAPTURE(link.name, field);
      CHECK(std::ranges::any_of(link.facts,
                                [&](const CatalogFact& fact) { return fact.key.starts_with(field); }));
    }
  for (const Memory& memory : memories())
    for (const std::string& field : memory.provenance.unverified) {
      CAPTURE(memory.name, field);
      CHECK(std::ranges::any_of(memory.facts, [&](const CatalogFact& fact) { return fact.key == field; }));
    }
}

TEST_CASE("An H100 has the figures of its datasheet", "[hardware]") {
  const Accelerator& h100 = accelerator("h100-sxm-80gb");
  CHECK(h100.title == "H100-SXM-80GB");
  CHECK(h100.bf16->si == Approx(989e12));
  CHECK(h100.memory_capacity.si == Approx(80e9));
  CHECK(h100.memory_bandwidth->si == Approx(3.35e12));
  CHECK(h100.tdp->si == 700);
  CHECK(h100.scale_up_bandwidth->si == Approx(450e9));
  CHECK(h100.scale_up_domain == 8);
  CHECK(h100.nic_bandwidth->si == Approx(50e9));
  CHECK(h100.pcie_bandwidth->si == Approx(64e9));
}

// ridge = peak / memory bandwidth, in FLOP/byte
TEST_CASE("Ridges lie where the roofline's closed form puts them", "[hardware]") {
  CHECK(ridge(accelerator("h100-sxm-80gb"), Precision::bf16) == Approx(295.2238805970149).epsilon(1e-9));
  CHECK(ridge(accelerator("h100-sxm-80gb"), Precision::fp8) == Approx(590.4477611940298).epsilon(1e-9));
  CHECK(ridge(accelerator("b200-sxm"), Precision::bf16) == Approx(292.2077922077922).epsilon(1e-9));
  CHECK(ridge(accelerator("h20-sxm-96gb"), Precision::bf16) == Approx(37.0).epsilon(1e-9));
  CHECK(ridge(accelerator("mi300x"), Precision::bf16) == Approx(246.6792452830189).epsilon(1e-9));
  CHECK(ridge(accelerator("a100-sxm-80gb"), Precision::bf16) == Approx(153.01618440411966).epsilon(1e-9));

  Accelerator b200 = accelerator("b200-sxm");
  b200.memory_bandwidth = BytesPerSecond{8e12};  // the datasheet's figure, against 7.7 TB/s in the catalog
  CHECK(ridge(b200, Precision::bf16) == Approx(281.25).epsilon(1e-9));
  CHECK(ridge(b200, Precision::fp8) == Approx(562.5).epsilon(1e-9));
  CHECK(ridge(b200, Precision::fp4) == Approx(1125.0).epsilon(1e-9));
}

TEST_CASE("A format without tensor support runs at the rate of the next wider one", "[hardware]") {
  const Accelerator& a100 = accelerator("a100-sxm-80gb");
  CHECK(a100.peak(Precision::fp16)->si == Approx(312e12));
  CHECK(a100.peak(Precision::fp8)->si == Approx(312e12));
  CHECK(a100.peak(Precision::fp4)->si == Approx(312e12));
  CHECK(a100.peak(Precision::int8)->si == Approx(624e12));
  CHECK(accelerator("h100-sxm-80gb").peak(Precision::fp4)->si == Approx(1978e12));
  CHECK(accelerator("gaudi3").peak(Precision::int8)->si == Approx(1835e12));
  CHECK(accelerator("b300-sxm").peak(Precision::int8)->si == Approx(153.5e12));
}

TEST_CASE("A rate that is not published is never made up", "[hardware]") {
  const Accelerator& rubin = accelerator("rubin-r200-nvl72");
  for (const auto precision :
       {Precision::bf16, Precision::fp16, Precision::fp8, Precision::int8, Precision::fp4})
    CHECK_FALSE(rubin.peak(precision).has_value());
  CHECK(accelerator("rubin-cpx").peak(Precision::fp4)->si == Approx(20e15));
  CHECK_FALSE(accelerator("rubin-cpx").peak(Precision::fp8).has_value());
  const Accelerator& groq = accelerator("groq-lpu-v1");
  CHECK(groq.peak(Precision::fp16)->si == Approx(188e12));
  CHECK_FALSE(groq.peak(Precision::bf16).has_value());
  CHECK_FALSE(accelerator("groq-3-lpu").memory_bandwidth.has_value());
}

TEST_CASE("A price is the median of its quotations, or else the middle of their range", "[hardware]") {
  CHECK(accelerator("h100-sxm-80gb").rent->si * 3600 == Approx(2.95));
  CHECK(accelerator("a100-sxm-80gb").rent->si * 3600 == Approx(1.9));
  CHECK(accelerator("a100-sxm-80gb").price->si == Approx(11500));
  CHECK_FALSE(accelerator("mi355x").rent.has_value());
  CHECK_FALSE(accelerator("b200-sxm").price.has_value());
}

TEST_CASE("Efficiencies are shares, and those of an accelerator never measured say whose they are",
          "[hardware]") {
  std::vector<std::string> measured;
  for (const Accelerator& a : accelerators()) {
    CAPTURE(a.name);
    for (const double share : {a.efficiency.gemm, a.efficiency.attention, a.efficiency.weights,
                               a.efficiency.kv_cache, a.efficiency.scale_up}) {
      CHECK(share > 0);
      CHECK(share <= 1);
    }
    CHECK(a.efficiency.collective_latency > Seconds{0});
    if (!a.efficiency.assumed) measured.push_back(a.name);
  }
  CHECK(measured == std::vector<std::string>{"h100-sxm-80gb", "b200-sxm"});
  const Efficiency& h200 = accelerator("h200-sxm-141gb").efficiency;
  CHECK(h200.gemm == accelerator("h100-sxm-80gb").efficiency.gemm);
  CHECK_THAT(h200.source, Catch::StartsWith("assumed to be as on h100-sxm-80gb: "));
  const Efficiency& gb200 = accelerator("gb200-nvl72").efficiency;
  CHECK(gb200.collective_latency.si == Approx(9e-6));
  CHECK_THAT(gb200.source, Catch::StartsWith("assumed to be as on b200-sxm: "));
}

TEST_CASE("Elements take 2, 2, 1, 1 and half a byte", "[hardware]") {
  CHECK(bytes_per_element(Precision::bf16) == 2);
  CHECK(bytes_per_element(Precision::fp16) == 2);
  CHECK(bytes_per_element(Precision::fp8) == 1);
  CHECK(bytes_per_element(Precision::int8) == 1);
  CHECK(bytes_per_element(Precision::fp4) == 0.5);
  CHECK(name(Precision::fp8) == "fp8");
}

TEST_CASE("An accelerator is read by its name", "[hardware]") {
  CHECK(read(R"({"accelerator": "mi300x"})").memory_capacity.si == Approx(192e9));
  CHECK_THAT(problem(R"({"accelerator": "h100-sxm-80g"})"),
             Contains("scenario.json:1:17: accelerator: 'h100-sxm-80g' is unknown; known: a100-sxm-80gb ") &&
                 Contains("did you mean 'h100-sxm-80gb'?"));
  CHECK_THAT(problem("{}"), Contains("'accelerator' is missing"));
  CHECK_THAT(problem(R"({"accelerator": 100})"), Contains("expects a string"));
}

TEST_CASE("An inline accelerator needs a name and a memory, and borrows the H100's efficiency",
          "[hardware]") {
  const Accelerator a = read(R"({"accelerator": {"name": "prefill-chip", "peak": {"bf16": "2 PFLOP/s"},
      "memory": {"capacity": "128 GB", "bandwidth": "2 TB/s"}, "rent": "1.5 USD/h",
      "price": {"low": "8 kUSD", "high": "10 kUSD"}, "more": {"die_area_mm2": 800}}})");
  CHECK(a.title == "prefill-chip");
  CHECK(a.peak(Precision::fp8)->si == Approx(2e15));
  CHECK(a.scale_up_domain == 1);
  CHECK_FALSE(a.scale_up_bandwidth.has_value());
  CHECK(a.rent->si * 3600 == Approx(1.5));
  CHECK(a.price->si == Approx(9000));
  CHECK(a.efficiency.assumed);
  CHECK(a.efficiency.kv_cache == accelerator("h100-sxm-80gb").efficiency.kv_cache);
  CHECK(a.provenance.source == "the scenario");

  const std::string missing = problem(R"({"accelerator": {"peak": {}}})");
  CHECK_THAT(missing, Contains("'name' is missing") && Contains("'memory' is missing"));
}

TEST_CASE("An accelerator that extends a row changes only what it states", "[hardware]") {
  const Accelerator a =
      read(R"({"accelerator": {"extends": "h200-sxm-141gb", "memory": {"bandwidth": "6 TB/s"},
      "efficiency": {"kv_cache": 0.9}}})");
  CHECK(a.name == "h200-sxm-141gb (changed)");
  CHECK(a.memory_bandwidth->si == Approx(6e12));
  CHECK(a.memory_capacity.si == Approx(141e9));
  CHECK(a.bf16->si == Approx(989e12));
  CHECK(a.efficiency.kv_cache == 0.9);
  CHECK(a.efficiency.gemm == accelerator("h100-sxm-80gb").efficiency.gemm);
  CHECK(a.efficiency.source == "the scenario, otherwise as h200-sxm-141gb");
  CHECK(accelerator("h200-sxm-141gb").memory_bandwidth->si == Approx(4.8e12));

  // Memory of another size is not the one that was measured.
  CHECK(read(R"({"accelerator": {"extends": "h100-sxm-80gb", "memory": {"bandwidth": "5 TB/s"}}})")
            .visible_memory == Bytes{85e9});
  const Accelerator larger =
      read(R"({"accelerator": {"extends": "h100-sxm-80gb", "memory": {"capacity": "120 GB"}}})");
  CHECK(larger.memory_capacity == Bytes{120e9});
  CHECK_FALSE(larger.visible_memory);
  CHECK(read(R"({"accelerator": {"extends": "tpu7x", "name": "tpu-next"}})").title == "tpu-next");
  const Accelerator lent = read(R"({"accelerator": {"extends": "rubin-cpx", "efficiency": "b200-sxm"}})");
  CHECK(lent.efficiency.gemm == accelerator("b200-sxm").efficiency.gemm);
  CHECK(lent.efficiency.assumed);
}

TEST_CASE("Reading an inline accelerator leaves the scenario as it was written", "[hardware]") {
  ConfigNode node =
      parse_config(R"({"accelerator": {"extends": "mi300x", "nic_bandwidth": "100 GB/s"}})", "s.json");
  const std::string before = node.dump();
  Problems problems;
  Reader r(node, "", problems);
  CHECK(read_accelerator(r, "accelerator").has_value());
  CHECK(problems.empty());
  CHECK(node.dump() == before);
}

TEST_CASE("Typos in an inline accelerator are found where they stand, all at once", "[hardware]") {
  const std::string problems = problem(R"({"accelerator": {"extends": "h100-sxm-80gb",
      "memory": {"bandwith": "6 TB/s"},
      "peak": {"bf16": "900 TFLOPS"},
      "efficiency": {"gemm": 1.2},
      "nic_bandwidth": 50,
      "rent": {"low": "3 USD/h", "high": "2 USD/h"}}})");
  CHECK_THAT(problems, Contains("scenario.json:2:18: accelerator.memory: key 'bandwith' is unknown") &&
                           Contains("did you mean 'bandwidth'?"));
  CHECK_THAT(problems, Contains("scenario.json:3:24: accelerator.peak.bf16: ") && Contains("TFLOP/s"));
  CHECK_THAT(problems, Contains("scenario.json:4:30: accelerator.efficiency.gemm: must be greater than 0"));
  CHECK_THAT(problems,
             Contains("scenario.json:5:24: accelerator.nic_bandwidth: expects a string with a unit"));
  CHECK_THAT(problems, Contains("accelerator.rent.low: is greater than 'high'"));

  CHECK_THAT(problem(R"({"accelerator": {"extends": "h100"}})"),
             Contains("accelerator.extends: 'h100' is unknown; known: "));
  CHECK_THAT(
      problem(R"({"accelerator": {"extends": "h100-sxm-80gb", "efficiency": "b100-sxm"}})"),
      Contains("accelerator.efficiency: 'b100-sxm' is unknown") && Contains("did you mean 'b200-sxm'?"));
}

TEST_CASE("A link is read by its name, and only one with a bandwidth will do", "[hardware]") {
  const auto read_scale_out = [](std::string_view scenario, Problems& problems) {
    ConfigNode node = parse_config(scenario, "scenario.json");
    Reader r(node, "", problems);
    return read_link(r, "scale_out", "infiniband-ndr-400g");
  };
  Problems none;
  const auto fallback = read_scale_out("{}", none);
  REQUIRE(fallback.has_value());
  CHECK(fallback->bandwidth->si == Approx(50e9));
  CHECK(fallback->latency->si == Approx(1.5e-6));
  CHECK(none.empty());

  Problems dark, typo;
  CHECK_FALSE(read_scale_out(R"({"scale_out": "passage-l200"})", dark).has_value());
  CHECK_THROWS_WITH(dark.throw_if_any(), Contains("the bandwidth of 'passage-l200' is not published"));
  CHECK_FALSE(read_scale_out(R"({"scale_out": "nvlink7"})", typo).has_value());
  CHECK_THROWS_WITH(typo.throw_if_any(), Contains("'nvlink7' is unknown; known: nvlink4 "));
}

// t = bytes per token x tokens / bandwidth, in ms
TEST_CASE("Handing over 32,768 tokens of Llama-3.1-70B takes 214.7 ms on NDR and 11.9 ms on NVLink 5",
          "[hardware]") {
  const ModelSpec& model = named(models(), "meta-llama/Llama-3.1-70B");
  const Bytes cache{
      static_cast<double>(model.num_hidden_layers * model.kv_elements_per_token_per_layer() * 32768) *
      bytes_per_element(Precision::bf16)};
  const auto milliseconds = [&](std::string_view link) {
    return (cache / named(links(), link).bandwidth.value()).si * 1e3;
  };
  CHECK(milliseconds("infiniband-ndr-400g") == Approx(214.74836480000002).epsilon(1e-9));
  CHECK(milliseconds("infiniband-xdr-800g") == Approx(107.37418240000001).epsilon(1e-9));
  CHECK(milliseconds("nvlink4") == Approx(23.86092942222222).epsilon(1e-9));
  CHECK(milliseconds("nvlink5") == Approx(11.93046471111111).epsilon(1e-9));
}

TEST_CASE("Facts keep what was published, as it was written", "[hardware]") {
  const auto fact = [](const auto& row, std::string_view key) {
    const auto found = std::ranges::find(row.facts, key, &CatalogFact::key);
    return found == row.facts.end() ? std::string("absent") : found->value;
  };
  const Link& nvlink = named(links(), "nvlink4");
  CHECK(fact(nvlink, "bandwidth") == "450 GB/s");
  CHECK(fact(nvlink, "more.energy_upper_bound") == "5.5 pJ/bit");
  CHECK(fact(nvlink, "source") == "absent");
  CHECK(fact(named(links(), "nvlink5"), "more.max_domain_accelerators") == "576");
  CHECK(fact(named(memories(), "nvme-pcie6-tlc"), "more.random_reads_per_second") == "5500000");
  CHECK(fact(named(calibrations(), "other_memory_reserve"), "figures.value") == "3758096384 B");
}

}  // namespace
}  // namespace disagg
