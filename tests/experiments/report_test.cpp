// Reports of all commands: what is in the file, and what a browser makes of it.
#include "experiments/report.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/experiments/program.hpp"
#include "tests/support/sanitized.hpp"

using namespace disagg::test;
using Catch::Matchers::Contains;

namespace {

// `name` and the number of replicas tell the sides of a comparison apart.
std::string scenario(const std::string& name, int replicas) {
  return R"({ "name": ")" + name + R"(", "model": "llama-3.1-8b", "cluster": {
    "topology": "leaf-spine", "pools": [
      { "name": "prefill", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": )" +
         std::to_string(replicas) + R"( },
      { "name": "decode", "role": "decode", "accelerator": "h200-sxm-141gb", "replicas": 1 } ] },
  "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 8 }, "requests": 200,
    "kinds": [ { "name": "chat", "share": 0.5, "prompt_tokens": 500, "output_tokens": { "kind": "lognormal", "median": 80, "sigma": 0.5 } },
               { "name": "coding", "share": 0.5, "prompt_tokens": { "kind": "lognormal", "median": 3000, "sigma": 0.5 }, "output_tokens": 60 } ] },
  "slo": { "ttft": "1 s", "tpot": "20 ms" } })";
}

nlohmann::json data_of(const std::string& html) {
  const std::string begin = R"(<script id="data" type="application/json">)";
  const std::size_t at = html.find(begin);
  if (at == std::string::npos) FAIL("the page has no data");
  const std::size_t from = at + begin.size();
  return nlohmann::json::parse(html.substr(from, html.find("</script>", from) - from));
}

bool without_page() {
  if (!disagg::can_write_reports()) WARN("skipped: this program was built without the page of reports");
  return !disagg::can_write_reports();
}

}  // namespace

TEST_CASE(
    "A report holds what was run: summary, quantiles of each kind, the command, and no name ends its "
    "script") {
  if (without_page()) return;
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", scenario("a", 1));
  REQUIRE(call(folder, {"run", "scenario.json", "--set", "description=</script>", "--out", "results", "-q"})
              .code == 0);
  const std::string html = read_text(folder / "results/report.html");
  const nlohmann::json data = data_of(html);
  CHECK(data.at("kind") == "run");
  CHECK(data.at("title") == "a");
  CHECK(data.at("command") == "disagg run scenario.json --set description=</script> --out results -q");
  REQUIRE(data.at("runs").size() == 1);
  const nlohmann::json& run = data.at("runs")[0];
  CHECK(run.at("summary") == nlohmann::json::parse(read_text(folder / "results/summary.json")));
  const auto quantiles = run.at("distributions").get<std::string>();
  CHECK_THAT(quantiles, Catch::StartsWith("kind,metric,share,value\nall,ttft_ms,0,") &&
                            Contains("\nchat,tpot_ms,0.5,") && Contains("\ncoding,e2el_ms,0.999,"));
  // The median there is that of the summary.
  const std::size_t median = quantiles.find("all,ttft_ms,0.5,") + 16;
  CHECK(std::stod(quantiles.substr(median)) ==
        Approx(run.at("summary").at("metrics").at("ttft_ms").at("p50").get<double>()));
  CHECK(html.size() < 1'500'000);
  for (const auto& [table, row] : {std::pair{"replica_series", ",prefill[0],prefill,"},
                                   {"link_series", ",prefill[0]>leaf-0,0."},
                                   {"flows", "prefill[0],decode[0],"}}) {
    INFO(table);
    CHECK_THAT(run.at(table).get<std::string>(), Contains(row));
  }
}

TEST_CASE("A folder that is none of results, and a file that is no store, are refused with exit code 2") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "empty");
  write_text(folder / "text.sqlite", "no store");
  write_text(folder / "foreign/summary.json", "[1, 2");
  for (const std::string name : {"empty", "text.sqlite", "foreign", "nowhere"}) {
    INFO(name);
    const Ended ended = call(folder, {"report", name});
    CHECK(ended.code == 2);
    CHECK_THAT(ended.err, Contains(name));
  }
  CHECK(folder.names() == std::vector<std::string>{"empty", "foreign", "text.sqlite"});
}

TEST_CASE(
    "Chromium draws every chart of the reports of all commands, offline, legible and without an error") {
  if (without_page()) return;
  const TemporaryFolder folder;
  if (shell(folder, "command -v chromium node > /dev/null") != 0) {
    WARN("skipped: Chromium or Node.js is not installed");
    return;
  }
  write_text(folder / "a.json", scenario("one prefill replica", 1));
  write_text(folder / "b.json", scenario("two prefill replicas", 2));
  const auto make = [&](std::vector<std::string> arguments) {
    INFO(arguments.front());
    arguments.emplace_back("-q");
    CHECK(call(folder, arguments).code == 0);
  };
  const std::string replicas = "cluster.pools[0].replicas=1,2";
  const std::string rates = "workload.arrivals.requests_per_second=4,8,12";
  make({"compare", "a.json", "b.json", "--seeds", "3", "--out", "both"});
  make({"run", "a.json", "--out", "one"});
  make({"compare", "a.json", "b.json", "--axis", rates, "--report", "conditions.html"});
  make({"sweep", "a.json", "--axis", replicas, "--axis", rates, "--axis", "seed=1,2", "--store",
        "sweep.sqlite", "--csv", "sweep.csv", "--report", "sweep.html"});
  make({"report", "one", "both/two prefill replicas", "-o", "two.html"});
  make({"pareto", "sweep.sqlite", "--report", "pareto.html"});
  make({"capacity", "a.json", "--report", "capacity.html"});
  make({"capacity", "a.json", "--axis", replicas, "--report", "capacities.html"});
  make({"capacity", "a.json", "--axis", replicas, "--minimise", "cost", "--report", "cheapest.html"});
  for (const std::string method : {"tornado", "morris", "sobol"})
    make({"sensitivity", "a.json", "--axis", "workload.arrivals.requests_per_second=4..12", "--axis",
          "cluster.pools[0].replicas=1..2:int", "--metric", "metrics.ttft_ms.p90", "--method", method,
          "--samples", "4", "--report", method + ".html"});
  make({"roofline", "--context", "8192,131072", "--batch", "1,16", "--phase", "prefill,decode", "--report",
        "roofline.html"});
  make({"run", DISAGG_SOURCE_DIR "/experiments/tool_gap_retention/pool.json", "--set", "horizon.warm_up=0 s",
        "--set", "horizon.measure=30 min", "--out", "tiers"});
  if (kSanitized) return;  // what follows tests the page, of which nothing is compiled
  const int code =
      shell(folder, "DISAGG_FIRST_PAINT_MS=10000 DISAGG_REPORT_MODULES=" DISAGG_REPORT_MODULES
                    " node " DISAGG_SOURCE_DIR
                    "/tests/report/check.mjs --charts tiers,topology,replicas-over-time,quadrants,timeline "
                    "tiers/report.html both/report.html one/report.html *.html > out 2>&1");
  INFO(read_text(folder / "out"));
  CHECK(code == 0);
}

TEST_CASE(
    "A report of a comparison whose results nobody keeps shows its runs too, and leaves nothing behind") {
  if (without_page()) return;
  const TemporaryFolder folder;
  write_text(folder / "a.json", scenario("a", 1));
  write_text(folder / "b.json", scenario("b", 2));
  std::filesystem::create_directory(folder / "tmp");
  REQUIRE(shell(folder, "TMPDIR=tmp " DISAGG_BINARY " compare a.json b.json --report both.html -q > out") ==
          0);
  const nlohmann::json data = data_of(read_text(folder / "both.html"));
  CHECK(data.at("kind") == "compare");
  REQUIRE(data.at("runs").size() == 2);
  CHECK(data.at("runs")[1].at("name") == "b");
  CHECK_THAT(data.at("runs")[1].at("timeseries").get<std::string>(), Contains(",decode,"));
  CHECK(std::filesystem::is_empty(folder / "tmp"));
}

TEST_CASE("Exports have the keys of vLLM's and AIPerf's files, and the figures of the summary") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", with(scenario("a", 1), R"("slo")",
                                            R"("horizon": { "warm_up": "5 s", "measure": "10 s" }, "slo")"));
  REQUIRE(call(folder, {"run", "scenario.json", "--out", "results", "-q"}).code == 0);
  const auto summary = nlohmann::json::parse(read_text(folder / "results/summary.json"));
  const nlohmann::json& metrics = summary.at("metrics");
  const auto completed = metrics.at("completed").get<std::size_t>();
  REQUIRE(completed > 40);
  REQUIRE(completed < 140);
  const auto vllm = nlohmann::json::parse(call(folder, {"export", "results", "--format", "vllm"}).out);
  CHECK(vllm.at("completed") == completed);
  CHECK(vllm.at("ttfts").size() == completed);
  CHECK(vllm.at("input_lens").size() == completed);
  CHECK(vllm.at("failed") == 0);
  for (const std::string metric : {"ttft", "tpot", "e2el"}) {
    INFO(metric);
    const nlohmann::json& ours = metrics.at(metric + "_ms");
    CHECK(vllm.at("mean_" + metric + "_ms").get<double>() == Approx(ours.at("mean").get<double>()));
    CHECK(vllm.at("median_" + metric + "_ms").get<double>() == Approx(ours.at("p50").get<double>()));
    CHECK(vllm.at("p99_" + metric + "_ms").get<double>() == Approx(ours.at("p99").get<double>()));
  }
  CHECK(vllm.at("request_goodput") == metrics.at("request_goodput"));
  REQUIRE(call(folder, {"export", "results", "--format", "aiperf", "-o", "aiperf.json"}).code == 0);
  const auto aiperf = nlohmann::json::parse(read_text(folder / "aiperf.json"));
  CHECK(aiperf.at("time_to_first_token").at("p99").get<double>() ==
        Approx(metrics.at("ttft_ms").at("p99").get<double>()));
  CHECK(aiperf.at("inter_token_latency").at("avg").get<double>() ==
        Approx(metrics.at("tpot_ms").at("mean").get<double>()));
  CHECK(aiperf.at("inter_chunk_latency").at("p99") == metrics.at("itl_ms").at("p99"));
  CHECK(aiperf.at("request_latency").at("count") == completed);
  CHECK(aiperf.at("output_token_throughput").at("avg") == metrics.at("output_throughput"));
  CHECK(call(folder, {"export", "nowhere", "--format", "vllm"}).code == 2);
}
