#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/experiments/program.hpp"

namespace disagg {
namespace {

using test::call;
using test::Ended;
using test::TemporaryFolder;
using test::with;
using test::write_text;

const std::string kScenario = R"({
  "model": "llama-3.1-8b",
  "cluster": {
    "pools": [
      { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 2 }
    ]
  },
  "workload": {
    "kind": "synthetic",
    "arrivals": { "kind": "constant", "requests_per_second": 10 },
    "requests": 20,
    "prompt_tokens": 500,
    "output_tokens": 20
  }
}
)";

const std::string kSynthetic = R"("kind": "synthetic",
    "arrivals": { "kind": "constant", "requests_per_second": 10 },
    "requests": 20,
    "prompt_tokens": 500,
    "output_tokens": 20)";

std::string change(std::string_view from, std::string_view to) { return with(kScenario, from, to); }

struct BadInput {
  std::string name;
  std::string scenario = kScenario;
  std::vector<std::pair<std::string, std::string>> files = {};
  std::string arguments = "run scenario.json";
  std::string error;  // all of stderr but the last newline
};

std::vector<std::string> words(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> all;
  for (std::string word; in >> word;) all.push_back(word);
  return all;
}

void check(const std::vector<BadInput>& inputs) {
  for (const BadInput& input : inputs) {
    INFO(input.name);
    const TemporaryFolder folder;
    write_text(folder / "scenario.json", input.scenario);
    for (const auto& [name, text] : input.files) write_text(folder / name, text);
    const std::vector<std::string> before = folder.names();
    const Ended ended = call(folder, words(input.arguments));
    CHECK(ended.err == input.error + "\n");
    CHECK(ended.out.empty());
    CHECK(ended.code == 2);
    CHECK(folder.names() == before);
  }
}

TEST_CASE("Keys that are unknown or missing: 13 of them are refused with exactly these words",
          "[bad-input]") {
  check({
      {.name = "a typo in a key of the root",
       .scenario = change(R"("model")", R"("modle")"),
       .error =
           "scenario.json:1:1: 'model' is missing\n"
           "scenario.json:2:3: key 'modle' is unknown; known: cluster costs description horizon model name "
           "network precision seed slo workload; did you mean 'model'?"},
      {.name = "an unknown key of the root",
       .scenario = change(R"("model":)", R"("slos": {}, "model":)"),
       .error =
           "scenario.json:2:3: key 'slos' is unknown; known: cluster costs description horizon model name "
           "network precision seed slo workload; did you mean 'slo'?"},
      {.name = "a typo in a key of the cluster",
       .scenario = change(R"("pools": [)", R"("poools": [], "pools": [)"),
       .error = "scenario.json:4:5: cluster: key 'poools' is unknown; known: admission failures hand_off "
                "memory_pools "
                "placement "
                "pools priorities router topology; did you mean 'pools'?"},
      {.name = "a typo in a key of a pool",
       .scenario = change(R"("replicas": 2)", R"("replica": 2)"),
       .error = "scenario.json:5:7: cluster.pools[0]: 'replicas' is missing\n"
                "scenario.json:5:56: cluster.pools[0]: key 'replica' is unknown; known: accelerator batching "
                "block_tokens drafts kv_capacity memory_of memory_utilisation name parallelism precision "
                "prefix_cache "
                "replicas role service software spill tiers workspace; did you mean 'replicas'?"},
      {.name = "a typo in a key of the batching",
       .scenario = change(R"("replicas": 2)",
                          R"("replicas": 2, "batching": { "kind": "chunked", "max_sequence": 8 })"),
       .error = "scenario.json:5:104: cluster.pools[0].batching: key 'max_sequence' is unknown; known: "
                "admission chunk_tokens kind max_sequences; did you mean 'max_sequences'?"},
      {.name = "a typo in a key of the workload",
       .scenario = change(R"("requests": 20)", R"("request": 20)"),
       .error = "scenario.json:8:15: workload: needs \"requests\" or \"duration\" to end\n"
                "scenario.json:11:5: workload: key 'request' is unknown; known: arrivals duration first kind "
                "kinds output_tokens prompt_tokens rate_scale requests window; did you mean 'requests'?"},
      {.name = "a typo in a key of the arrivals",
       .scenario = change(R"("requests_per_second")", R"("request_per_second")"),
       .error = "scenario.json:10:17: workload.arrivals: 'requests_per_second' is missing\n"
                "scenario.json:10:39: workload.arrivals: key 'request_per_second' is unknown; known: kind "
                "requests_per_second; did you mean 'requests_per_second'?"},
      {.name = "a typo in a key of the objectives",
       .scenario = change(R"("model":)", R"("slo": { "tttf": "1 s" }, "model":)"),
       .error = "scenario.json:2:12: slo: key 'tttf' is unknown; known: e2el kinds task tpot ttft; did you "
                "mean 'ttft'?"},
      {.name = "an unknown key of the network",
       .scenario = change(R"("cluster": {)", R"("network": { "solvr": "fluid" }, "cluster": {)"),
       .error = "scenario.json:3:16: network: key 'solvr' is unknown; known: failures solver; did you mean "
                "'solver'?"},
      {.name = "no model",
       .scenario = change(R"("model": "llama-3.1-8b",)", ""),
       .error = "scenario.json:1:1: 'model' is missing"},
      {.name = "no accelerator",
       .scenario = change(R"("accelerator": "h100-sxm-80gb", )", ""),
       .error = "scenario.json:5:7: cluster.pools[0]: 'accelerator' is missing"},
      {.name = "no cluster",
       .scenario = change(R"("cluster")", R"("clusters")"),
       .error = "scenario.json:1:1: 'cluster' is missing\n"
                "scenario.json:3:3: key 'clusters' is unknown; known: cluster costs description horizon "
                "model name "
                "network precision seed slo workload; did you mean 'cluster'?"},
      {.name = "no file for a trace",
       .scenario = change(kSynthetic, R"("kind": "azure")"),
       .error = "scenario.json:8:15: workload: 'file' is missing"},
  });
}

TEST_CASE("Values of the wrong type, unit or range: 26 of them are refused with exactly these words",
          "[bad-input]") {
  check({
      {.name = "a network that is no object",
       .scenario = change(R"("cluster": {)", R"("network": "fluid", "cluster": {)"),
       .error = "scenario.json:3:14: network: expects an object, not a string"},
      {.name = "an unknown unit",
       .scenario = change(R"("model":)", R"("slo": { "ttft": "2 sec" }, "model":)"),
       .error = "scenario.json:2:20: slo.ttft: unit 'sec' is unknown; known: ms ns us s min h d; did you "
                "mean 's'?"},
      {.name = "a unit of another quantity",
       .scenario = change(R"("model":)", R"("slo": { "ttft": "2 GB" }, "model":)"),
       .error = "scenario.json:2:20: slo.ttft: unit 'GB' is unknown; known: ms ns us s min h d"},
      {.name = "no unit",
       .scenario = change(R"("model":)", R"("slo": { "ttft": "2" }, "model":)"),
       .error = "scenario.json:2:20: slo.ttft: '2' has no unit; write for example \"10 ms\"; known units: ms "
                "ns us s min h d"},
      {.name = "a bare number for a time",
       .scenario = change(R"("model":)", R"("slo": { "ttft": 2 }, "model":)"),
       .error =
           R"(scenario.json:2:20: slo.ttft: expects a string with a unit such as "10 ms", not a number)"},
      {.name = "a negative time",
       .scenario = change(R"("model":)", R"("slo": { "ttft": "-2 s" }, "model":)"),
       .error = "scenario.json:2:20: slo.ttft: must be greater than zero"},
      {.name = "zero time",
       .scenario = change(R"("model":)", R"("slo": { "ttft": "0 s" }, "model":)"),
       .error = "scenario.json:2:20: slo.ttft: must be greater than zero"},
      {.name = "NaN for a time",
       .scenario = change(R"("model":)", R"("slo": { "ttft": "NaN s" }, "model":)"),
       .error = "scenario.json:2:20: slo.ttft: 'NaN s' is not a number with a unit; write for example \"10 "
                "ms\"; known units: ms ns us s min h d"},
      {.name = "a time beyond the range of numbers",
       .scenario = change(R"("model":)", R"("slo": { "ttft": "1e999 s" }, "model":)"),
       .error = "scenario.json:2:20: slo.ttft: '1e999 s' is out of range"},
      {.name = "a time beyond the range once in seconds",
       .scenario = change(R"("model":)", R"("slo": { "ttft": "1e308 d" }, "model":)"),
       .error = "scenario.json:2:20: slo.ttft: '1e308 d' is out of range"},
      {.name = "a word for a time",
       .scenario = change(R"("model":)", R"("slo": { "ttft": "soon" }, "model":)"),
       .error = "scenario.json:2:20: slo.ttft: 'soon' is not a number with a unit; write for example \"10 "
                "ms\"; known units: ms ns us s min h d"},
      {.name = "an empty time",
       .scenario = change(R"("model":)", R"("slo": { "ttft": "" }, "model":)"),
       .error = "scenario.json:2:20: slo.ttft: '' is not a number with a unit; write for example \"10 ms\"; "
                "known units: ms ns us s min h d"},
      {.name = "infinite memory",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "kv_capacity": "inf GB")"),
       .error = "scenario.json:5:86: cluster.pools[0].kv_capacity: 'inf GB' is not a number with a unit; "
                "write for example \"10 GB\"; known units: GB B kB KB MB TB PB KiB MiB GiB TiB"},
      {.name = "a number beyond the range of JSON",
       .scenario = change(R"("replicas": 2)", R"("replicas": 1e999)"),
       .error = "scenario.json:5:72: number overflow parsing '1e999'"},
      {.name = "negative replicas",
       .scenario = change(R"("replicas": 2)", R"("replicas": -1)"),
       .error = "scenario.json:5:68: cluster.pools[0].replicas: must be greater than zero"},
      {.name = "zero replicas",
       .scenario = change(R"("replicas": 2)", R"("replicas": 0)"),
       .error = "scenario.json:5:68: cluster.pools[0].replicas: must be greater than zero"},
      {.name = "half a replica",
       .scenario = change(R"("replicas": 2)", R"("replicas": 1.5)"),
       .error = "scenario.json:5:68: cluster.pools[0].replicas: expects a whole number, not 1.5"},
      {.name = "too many replicas",
       .scenario = change(R"("replicas": 2)", R"("replicas": 1000000)"),
       .error = "scenario.json:5:68: cluster.pools[0].replicas: must be at most 100000"},
      {.name = "replicas as a string",
       .scenario = change(R"("replicas": 2)", R"("replicas": "2")"),
       .error = "scenario.json:5:68: cluster.pools[0].replicas: expects a whole number, not a string"},
      {.name = "replicas null",
       .scenario = change(R"("replicas": 2)", R"("replicas": null)"),
       .error = "scenario.json:5:68: cluster.pools[0].replicas: expects a whole number, not null"},
      {.name = "a utilisation of more than 1",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "memory_utilisation": 1.5)"),
       .error =
           "scenario.json:5:93: cluster.pools[0].memory_utilisation: must be greater than 0 and at most 1"},
      {.name = "a string for an object",
       .scenario = change(R"("cluster": {)", R"("precision": "fp8", "cluster": {)"),
       .error = "scenario.json:3:16: precision: expects an object, not a string"},
      {.name = "a number for a name",
       .scenario = change(R"("name": "gpu")", R"("name": 7)"),
       .error = "scenario.json:5:17: cluster.pools[0].name: expects a string, not a number"},
      {.name = "an empty name",
       .scenario = change(R"("name": "gpu")", R"("name": "")"),
       .error = "scenario.json:5:17: cluster.pools[0].name: is empty"},
      {.name = "a string for a switch",
       .scenario = change(R"("replicas": 2)",
                          R"("replicas": 2, "batching": { "kind": "prefill-first", "mixing": "yes" })"),
       .error = "scenario.json:5:120: cluster.pools[0].batching.mixing: expects true or false, not a string"},
      {.name = "an array for the seed",
       .scenario = change(R"("model":)", R"("seed": [1], "model":)"),
       .error = "scenario.json:2:11: seed: expects a whole number, not an array"},
  });
}

TEST_CASE("Names that are unknown: 15 of them are refused with exactly these words", "[bad-input]") {
  check({
      {.name = "a kind of request that the workload does not have",
       .scenario = change(R"("model":)", R"("slo": { "kinds": { "chatt": { "ttft": "1 s" } } }, "model":)"),
       .error = "scenario.json:2:21: slo.kinds: kind 'chatt' is unknown; known: request"},
      {.name = "an unknown model",
       .scenario = change(R"("llama-3.1-8b")", R"("llama-3.1-9b")"),
       .error = "scenario.json:2:12: model: 'llama-3.1-9b' is unknown; known: llama-2-70b-hf llama-3.1-8b "
                "llama-3.1-70b llama-3.1-405b llama-4-scout-17b-16e-instruct "
                "llama-4-maverick-17b-128e-instruct deepseek-v3 deepseek-r1 deepseek-v3.2 qwen3-32b "
                "qwen3-235b-a22b qwen3-next-80b-a3b kimi-k2-instruct gpt-oss-120b mixtral-8x22b-v0.1 "
                "minimax-text-01 minimax-m1-80k bloom; did you mean 'llama-3.1-8b'?"},
      {.name = "an unknown accelerator",
       .scenario = change(R"("h100-sxm-80gb")", R"("h100-sxm-80g")"),
       .error = "scenario.json:5:39: cluster.pools[0].accelerator: 'h100-sxm-80g' is unknown; known: "
                "a100-sxm-80gb h100-sxm-80gb h200-sxm-141gb h20-sxm-96gb b200-sxm gb200-nvl72 b300-sxm "
                "gb300-nvl72 rubin-r200-nvl72 rubin-cpx mi300x mi355x gaudi3 tpu-v5p tpu-v6e tpu7x l40s "
                "groq-lpu-v1 groq-3-lpu; did you mean 'h100-sxm-80gb'?"},
      {.name = "an unknown batching",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "batching": "chunkd")"),
       .error = "scenario.json:5:83: cluster.pools[0].batching.kind: 'chunkd' is unknown; known: chunked "
                "prefill-first whole-prompts; did you mean 'chunked'?"},
      {.name = "an unknown network solver",
       .scenario = change(R"("cluster": {)", R"("network": { "solver": "fluidd" }, "cluster": {)"),
       .error = "scenario.json:3:26: network.solver.kind: 'fluidd' is unknown; known: simgrid fluid; did you "
                "mean 'fluid'?"},
      {.name = "an unknown router",
       .scenario = change(R"("pools":)", R"("router": "least-load", "pools":)"),
       .error =
           "scenario.json:4:15: cluster.router.kind: 'least-load' is unknown; known: round-robin random "
           "least-loaded least-tokens most-kv-room session-sticky hand-off-aware prefix-affinity cache-aware "
           "mixed-pool; did you mean 'least-loaded'?"},
      {.name = "an unknown service",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "service": "rooflin")"),
       .error = "scenario.json:5:82: cluster.pools[0].service.kind: 'rooflin' is unknown; known: kernels "
                "roofline table; did you mean 'roofline'?"},
      {.name = "an unknown admission",
       .scenario = change(R"("pools":)", R"("admission": "bounded-queues", "pools":)"),
       .error = "scenario.json:4:18: cluster.admission.kind: 'bounded-queues' is unknown; known: unbounded "
                "bounded"},
      {.name = "an unknown hand-off",
       .scenario = change(R"("pools":)", R"("hand_off": "layer-wise", "pools":)"),
       .error = "scenario.json:4:17: cluster.hand_off.kind: 'layer-wise' is unknown; known: whole layerwise "
                "pooled; "
                "did you mean 'layerwise'?"},
      {.name = "an unknown topology",
       .scenario = change(R"("pools":)", R"("topology": "nvlink-host", "pools":)"),
       .error = "scenario.json:4:17: cluster.topology.kind: 'nvlink-host' is unknown; known: nvlink-hosts "
                "nvl72 leaf-spine rail-optimized torus dragonfly optical-star optical-circuit-switch graph "
                "graphml; did you mean 'nvlink-hosts'?"},
      {.name = "an unknown workload",
       .scenario = change(R"("synthetic")", R"("syntetic")"),
       .error = "scenario.json:9:13: workload.kind: 'syntetic' is unknown; known: azure burstgpt mooncake "
                "bailian sessions kv-cache-tester agent-turns llmservingsim synthetic agents; "
                "did you mean 'synthetic'?"},
      {.name = "an unknown arrival process",
       .scenario = change(R"("kind": "constant")", R"("kind": "poison")"),
       .error = "scenario.json:10:27: workload.arrivals.kind: 'poison' is unknown; known: poisson gamma "
                "markov-modulated diurnal rates constant burst closed-loop; did you mean 'poisson'?"},
      {.name = "an unknown distribution of lengths",
       .scenario = change(R"("prompt_tokens": 500)", R"("prompt_tokens": { "kind": "normal", "mean": 5 })"),
       .error = "scenario.json:12:32: workload.prompt_tokens.kind: 'normal' is unknown; known: fixed uniform "
                "lognormal empirical mixture"},
      {.name = "an unknown role",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "role": "prefil")"),
       .error = "scenario.json:5:79: cluster.pools[0].role: 'prefil' is unknown; known: mixed prefill "
                "decode; did you mean 'prefill'?"},
      {.name = "an unknown precision",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "precision": { "kv": "fp9" })"),
       .error = "scenario.json:5:92: cluster.pools[0].precision.kv: 'fp9' is unknown; known: bf16 fp16 fp8 "
                "int8 fp4 fp8-block int4 nvfp4 mxfp4; did you mean 'fp8'?"},
  });
}

TEST_CASE("Clusters that cannot serve: 18 of them are refused with exactly these words", "[bad-input]") {
  check({
      {.name = "expert parallelism without experts",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "parallelism": { "tp": 2, "ep": 2 })"),
       .error = "scenario.json:5:86: cluster.pools[0].parallelism: ep needs a model with experts; "
                "meta-llama/Llama-3.1-8B has none"},
      {.name = "expert parallelism that does not divide the accelerators",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "parallelism": { "tp": 8, "ep": 3 })"),
       .error = "scenario.json:5:86: cluster.pools[0].parallelism: ep 3 does not divide tp x dp_attention = "
                "8\nscenario.json:5:86: cluster.pools[0].parallelism: ep needs a model with experts; "
                "meta-llama/Llama-3.1-8B has none"},
      {.name = "an unknown software profile",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "software": "vlm")"),
       .error = "scenario.json:5:83: cluster.pools[0].software: 'vlm' is unknown; known: vllm sglang trtllm "
                "trtllm-1.0 ideal eager-2023; did you mean 'vllm'?"},
      {.name = "drafts that are never wrong more than once",
       .scenario =
           change(R"("replicas": 2)", R"("replicas": 2, "drafts": { "tokens": 2, "acceptance": 1.5 })"),
       .error = "scenario.json:5:110: cluster.pools[0].drafts.acceptance: must be between 0 and 1"},
      {.name = "a model that does not fit",
       .scenario = change(R"("llama-3.1-8b")", R"("llama-3.1-70b")"),
       .error = "scenario.json:5:39: cluster.pools[0].accelerator: meta-llama/Llama-3.1-70B does not fit: "
                "its weights take 141.1 GB, and 1 x h100-sxm-80gb leave 73.5 GB (memory_utilisation 0.9, "
                "workspace 3 GB each); raise tp or pp"},
      {.name = "a KV cache of less than a block",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "kv_capacity": "1 kB")"),
       .error = "scenario.json:5:86: cluster.pools[0].kv_capacity: holds not even one block of 16 tokens "
                "(2.097 MB)"},
      {.name = "tp that does not divide the heads",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "parallelism": { "tp": 3 })"),
       .error = "scenario.json:5:86: cluster.pools[0].parallelism: tp 3 does not divide the 32 heads of "
                "meta-llama/Llama-3.1-8B"},
      {.name = "tp beyond the scale-up domain of an accelerator without NICs",
       .scenario = change(R"("h100-sxm-80gb", "replicas": 2)",
                          R"("h20-sxm-96gb", "replicas": 2, "parallelism": { "tp": 16 })"),
       .error =
           "scenario.json:4:14: cluster.pools: pools[0] (gpu): 16 accelerators a stage exceed the scale-up "
           "domain of 8, and h20-sxm-96gb has no published NIC bandwidth to join several; give it inline: "
           "{\"extends\": \"h20-sxm-96gb\", \"nic_bandwidth\": \"... GB/s\"}"},
      {.name = "more pipeline stages than layers",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "parallelism": { "pp": 33 })"),
       .error = "scenario.json:5:86: cluster.pools[0].parallelism: pp 33 exceeds the 32 layers of "
                "meta-llama/Llama-3.1-8B"},
      {.name = "an accelerator without published rates",
       .scenario = change(R"("h100-sxm-80gb")", R"("rubin-cpx")"),
       .error = "scenario.json:5:39: cluster.pools[0].accelerator: 'rubin-cpx' has no published tensor rate; "
                "give it inline: {\"extends\": \"rubin-cpx\", \"peak\": {\"bf16\": \"... TFLOP/s\"}}"},
      {.name = "an accelerator that publishes only the rate of its weights' format",
       .scenario = change(R"("h100-sxm-80gb")",
                          R"("rubin-cpx", "precision": { "weights": "nvfp4", "activations": "nvfp4" })"),
       .error = "scenario.json:5:39: cluster.pools[0].accelerator: 'rubin-cpx' has no published bf16 tensor "
                "rate (attention runs at it); give it inline: {\"extends\": \"rubin-cpx\", \"peak\": "
                "{\"bf16\": \"... TFLOP/s\"}}"},
      {.name = "prefill without decode",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "role": "prefill")"),
       .error = "scenario.json:4:14: cluster.pools: there are prefill pools but no decode pool"},
      {.name = "decode without prefill",
       .scenario = change(R"("replicas": 2)", R"("replicas": 2, "role": "decode")"),
       .error = "scenario.json:4:14: cluster.pools: there are decode pools but no prefill pool"},
      {.name = "two pools of one name",
       .scenario =
           change(R"("replicas": 2 })",
                  R"("replicas": 2 }, { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 1 })"),
       .error = "scenario.json:4:14: cluster.pools: two pools are named 'gpu'"},
      {.name = "two KV precisions",
       .scenario = change(R"("replicas": 2 })",
                          "\"replicas\": 2, \"role\": \"prefill\" },\n"
                          "      { \"name\": \"d\", \"accelerator\": \"h100-sxm-80gb\", \"replicas\": 1, "
                          "\"role\": \"decode\",\n"
                          R"(        "precision": { "kv": "fp8" } })"),
       .error = "scenario.json:4:14: cluster.pools: all pools need the same KV precision: a conversion at "
                "the hand-off is not modelled"},
      {.name = "no pools",
       .scenario = change("\n"
                          "      { \"name\": \"gpu\", \"accelerator\": \"h100-sxm-80gb\", \"replicas\": 2 }\n"
                          "    ",
                          ""),
       .error = "scenario.json:4:14: cluster.pools: is empty"},
      {.name = "pools that are no array",
       .scenario = change("[\n"
                          "      { \"name\": \"gpu\", \"accelerator\": \"h100-sxm-80gb\", \"replicas\": 2 }\n"
                          "    ]",
                          R"({ "name": "gpu" })"),
       .error = "scenario.json:4:14: cluster.pools: expects an array of objects, not an object"},
      {.name = "a pool that is no object",
       .scenario = change(R"({ "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 2 })", R"("gpu")"),
       .error = "scenario.json:5:7: cluster.pools[0]: expects an object, not a string"},
      {.name = "an accelerator that extends nothing known",
       .scenario = change(R"("h100-sxm-80gb")", R"({ "extends": "h100" })"),
       .error = "scenario.json:5:52: cluster.pools[0].accelerator.extends: 'h100' is unknown; known: "
                "a100-sxm-80gb h100-sxm-80gb h200-sxm-141gb h20-sxm-96gb b200-sxm gb200-nvl72 b300-sxm "
                "gb300-nvl72 rubin-r200-nvl72 rubin-cpx mi300x mi355x gaudi3 tpu-v5p tpu-v6e tpu7x l40s "
                "groq-lpu-v1 groq-3-lpu; did you mean 'h100-sxm-80gb'?"},
      {.name = "a model from a config.json of an unknown architecture",
       .scenario = change(R"("llama-3.1-8b")", R"({ "hf_config": "config.json" })"),
       .files = {{"config.json", "{ \"model_type\": \"gpt2\" }\n"}},
       .error =
           "config.json:1:17: model_type: architecture 'gpt2' is not understood; known: bloom "
           "deepseek_v2 deepseek_v3 deepseek_v32 ernie4_5_moe falcon gemma2 gemma3_text glm4_moe "
           "glm_moe_dsa gpt_neox gpt_oss kimi_k2 llama llama4_text minimax_m1 minimax_m2 minimax_text_01 "
           "mistral mixtral nemotron opt phi3 qwen2 qwen2_moe qwen3 qwen3_5_moe_text qwen3_5_text "
           "qwen3_moe qwen3_next qwen3_vl_moe_text qwen3_vl_text"},
      {.name = "a model from a config.json that is not there",
       .scenario = change(R"("llama-3.1-8b")", R"({ "hf_config": "config.json" })"),
       .error = "scenario.json:2:27: model.hf_config: there is no file 'config.json'"},
  });
}

TEST_CASE("Tables of step times that make no sense: 8 of them are refused with exactly these words",
          "[bad-input]") {
  check({
      {.name = "step times whose tokens do not increase",
       .scenario = change(R"("replicas": 2)",
                          "\"replicas\": 2, \"service\": { \"kind\": \"table\", \"tokens\": [2, 1], "
                          "\"prefill\": [\"1 ms\", \"2 ms\"], \"decode\": [\"1 ms\", \"2 ms\"] }"),
       .error = "scenario.json:5:111: cluster.pools[0].service.tokens: must increase from row to row"},
      {.name = "step times with columns of two lengths",
       .scenario = change(R"("replicas": 2)",
                          "\"replicas\": 2, \"service\": { \"kind\": \"table\", \"tokens\": [1, 2], "
                          "\"prefill\": [\"1 ms\"], \"decode\": [\"1 ms\", \"2 ms\"] }"),
       .error = "scenario.json:5:111: cluster.pools[0].service.tokens: tokens, prefill and decode need the "
                "same number of entries"},
      {.name = "one row of step times",
       .scenario = change(R"("replicas": 2)",
                          "\"replicas\": 2, \"service\": { \"kind\": \"table\", \"tokens\": [1], "
                          "\"prefill\": [\"1 ms\"], \"decode\": [\"1 ms\"] }"),
       .error = "scenario.json:5:111: cluster.pools[0].service.tokens: needs at least two rows"},
      {.name = "step times from an unknown column",
       .scenario = change(R"("replicas": 2)",
                          "\"replicas\": 2, \"service\": { \"kind\": \"table\", \"file\": \"times.csv\", "
                          "\"columns\": { \"tokens\": \"n\", \"prefill\": \"p\", \"decode\": \"dd\" } }"),
       .files = {{"times.csv",
                  "gpu,n,p,d\n"
                  "h100,1,5,6\n"
                  "h100,2,7,8\n"}},
       .error = "scenario.json:5:109: cluster.pools[0].service.file: times.csv:1: column 'dd' is unknown; "
                "known: gpu n p d; did you mean 'd'?"},
      {.name = "step times where nothing matches",
       .scenario = change(
           R"("replicas": 2)",
           "\"replicas\": 2, \"service\": { \"kind\": \"table\", \"file\": \"times.csv\", \"columns\": { "
           "\"tokens\": \"n\", \"prefill\": \"p\", \"decode\": \"d\" }, \"where\": { \"gpu\": \"a100\" } }"),
       .files = {{"times.csv",
                  "gpu,n,p,d\n"
                  "h100,1,5,6\n"
                  "h100,2,7,8\n"}},
       .error = R"(scenario.json:5:109: cluster.pools[0].service.file: times.csv: no row matches "where")"},
      {.name = "a condition on an unknown column",
       .scenario = change(
           R"("replicas": 2)",
           "\"replicas\": 2, \"service\": { \"kind\": \"table\", \"file\": \"times.csv\", \"columns\": { "
           "\"tokens\": \"n\", \"prefill\": \"p\", \"decode\": \"d\" }, \"where\": { \"cpu\": \"a100\" } }"),
       .files = {{"times.csv",
                  "gpu,n,p,d\n"
                  "h100,1,5,6\n"
                  "h100,2,7,8\n"}},
       .error = "scenario.json:5:109: cluster.pools[0].service.file: times.csv:1: column 'cpu' is unknown; "
                "known: gpu n p d; did you mean 'gpu'?"},
      {.name = "step times that are no numbers",
       .scenario = change(R"("replicas": 2)",
                          "\"replicas\": 2, \"service\": { \"kind\": \"table\", \"file\": \"times.csv\", "
                          "\"columns\": { \"tokens\": \"n\", \"prefill\": \"p\", \"decode\": \"d\" } }"),
       .files = {{"times.csv",
                  "gpu,n,p,d\n"
                  "h100,1,5,6\n"
                  "h100,2,fast,8\n"}},
       .error = "scenario.json:5:109: cluster.pools[0].service.file: times.csv:3: 'fast' in column p is not "
                "a positive number"},
      {.name = "step times in a missing file",
       .scenario = change(R"("replicas": 2)",
                          "\"replicas\": 2, \"service\": { \"kind\": \"table\", \"file\": \"times.csv\", "
                          "\"columns\": { \"tokens\": \"n\", \"prefill\": \"p\", \"decode\": \"d\" } }"),
       .error = "scenario.json:5:109: cluster.pools[0].service.file: cannot read 'times.csv'"},
  });
}

TEST_CASE("Files that are no scenarios: 17 of them are refused with exactly these words", "[bad-input]") {
  check({
      {.name = "an empty file",
       .scenario = "",
       .error = "scenario.json: is empty; a scenario is a JSON object"},
      {.name = "only white space",
       .scenario = " \n"
                   "\n",
       .error = "scenario.json: is empty; a scenario is a JSON object"},
      {.name = "no JSON",
       .scenario = "replicas = 4\n",
       .error = "scenario.json:1:1: syntax error while parsing value - invalid literal"},
      {.name = "an array", .scenario = "[1, 2]\n", .error = "scenario.json:1:1: a scenario is a JSON object"},
      {.name = "trailing garbage",
       .scenario = with(kScenario, "}\n}\n", "}\n}\n}\n"),
       .error =
           "scenario.json:16:1: syntax error while parsing value - unexpected '}'; expected end of input"},
      {.name = "an unterminated comment",
       .scenario = "{ /* \"model\": 1 }\n",
       .error = "scenario.json:2:1: syntax error while parsing object key - invalid comment; missing closing "
                "'*/'; expected string literal"},
      {.name = "an unterminated string",
       .scenario = "{ \"model\": \"llama\n",
       .error = "scenario.json:1:18: syntax error while parsing value - invalid string: control character "
                "U+000A (LF) must be escaped to \\u000A or \\n"},
      {.name = "a comma before a closing brace",
       .scenario = "{ \"model\": \"llama-3.1-8b\", }\n",
       .error = "scenario.json:1:28: syntax error while parsing object key - unexpected '}'; expected string "
                "literal"},
      {.name = "a key that stands twice",
       .scenario = change(R"("requests": 20,)", R"("requests": 20, "requests": 30,)"),
       .error = "scenario.json:11:21: key 'requests' stands twice in one object"},
      {.name = "65 levels",
       .scenario = std::string(65, '[') + std::string(65, ']') + "\n",
       .error = "scenario.json:1:65: is nested more than 64 levels deep"},
      {.name = "a file that extends itself",
       .scenario = "{ \"extends\": \"scenario.json\" }\n",
       .error = R"(scenario.json:1:14: extends: "extends" is cyclic: scenario.json -> scenario.json)"},
      {.name = "two files that extend each other",
       .scenario = "{ \"extends\": \"other.json\" }\n",
       .files = {{"other.json",
                  "{\n"
                  "  \"extends\": \"scenario.json\"\n"
                  "}\n"}},
       .error =
           "other.json:2:14: extends: \"extends\" is cyclic: scenario.json -> other.json -> scenario.json"},
      {.name = "a missing file to extend",
       .scenario = "{\n"
                   "  \"extends\": \"base.json\"\n"
                   "}\n",
       .error = "scenario.json:2:14: extends: there is no file 'base.json'"},
      {.name = "a number to extend",
       .scenario = "{ \"extends\": 7 }\n",
       .error = "scenario.json:1:14: extends: expects a file name"},
      {.name = "an error in the file it extends",
       .scenario = "{ \"extends\": \"base.json\" }\n",
       .files = {{"base.json", change(R"("replicas": 2)", R"("replicas": -1)")}},
       .error = "base.json:5:68: cluster.pools[0].replicas: must be greater than zero"},
      {.name = "a missing scenario",
       .arguments = "run nowhere.json",
       .error = "there is no file 'nowhere.json'"},
      {.name = "a folder for a scenario", .arguments = "run .", .error = "'.' is not a regular file"},
  });
}

TEST_CASE("Changes by --set and --axis that do not apply: 9 of them are refused with exactly these words",
          "[bad-input]") {
  check({
      {.name = "--set without =",
       .arguments = "run scenario.json --set cluster",
       .error = "--set cluster: expects PATH=VALUE, for example cluster.pools[1].replicas=4"},
      {.name = "--set with an index out of range",
       .arguments = "run scenario.json --set cluster.pools[1].replicas=4",
       .error = "--set cluster.pools[1].replicas=4: cluster.pools has no element 1; its length is 1"},
      {.name = "--set with no index",
       .arguments = "run scenario.json --set cluster.pools[x].replicas=4",
       .error = "--set cluster.pools[x].replicas=4: '[x].replicas' is not an index such as [1]"},
      {.name = "--set through a number",
       .arguments = "run scenario.json --set workload.requests.a=4",
       .error = "--set workload.requests.a=4: workload.requests is a number, not an object"},
      {.name = "--set into an object as if an array",
       .arguments = "run scenario.json --set cluster[0]=4",
       .error = "--set cluster[0]=4: cluster is an object, not an array"},
      {.name = "--set with an empty part",
       .arguments = "run scenario.json --set cluster..pools=4",
       .error = "--set cluster..pools=4: the path has an empty part"},
      {.name = "--set of an unknown key",
       .arguments = "run scenario.json --set cluster.pools[0].replica=4",
       .error = "--set cluster.pools[0].replica=4: cluster.pools[0]: key 'replica' is unknown; known: "
                "accelerator batching block_tokens drafts kv_capacity memory_of memory_utilisation name "
                "parallelism precision prefix_cache replicas role service software spill tiers workspace; "
                "did you mean "
                "'replicas'?"},
      {.name = "--set of a wrong value",
       .arguments = "run scenario.json --set cluster.pools[0].replicas=four",
       .error = "--set cluster.pools[0].replicas=four: cluster.pools[0].replicas: expects a whole number, "
                "not a string"},
      {.name = "a sweep over a wrong value",
       .arguments = "sweep scenario.json --axis cluster.pools[0].replicas=1,0",
       .error = "--set cluster.pools[0].replicas=0: cluster.pools[0].replicas: must be greater than zero"},
  });
}

TEST_CASE("Traces that are damaged: 21 of them are refused with exactly these words", "[bad-input]") {
  check({
      {.name = "a missing trace",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .error = "scenario.json:9:30: workload.file: there is no file 'trace'"},
      {.name = "an empty trace",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .files = {{"trace", ""}},
       .error = "trace: is empty; expects an Azure CSV trace"},
      {.name = "a trace of a header alone",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .files = {{"trace", "TIMESTAMP,ContextTokens,GeneratedTokens\n"}},
       .error = "trace: has a header but no requests"},
      {.name = "a trace with another header",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .files = {{"trace",
                  "time,in,out\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"}},
       .error = "trace:1: expects the header TIMESTAMP,ContextTokens,GeneratedTokens, not 'time,in,out'"},
      {.name = "a trace whose last line is cut",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .files = {{"trace",
                  "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"
                  "2023-11-16 18:15:50.99"}},
       .error = "trace:3: expects a row of 3 fields, TIMESTAMP,ContextTokens,GeneratedTokens, not "
                "'2023-11-16 18:15:50.99'"},
      {.name = "a trace out of order",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .files = {{"trace",
                  "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"
                  "2023-11-16 18:15:45.0,374,44\n"}},
       .error = "trace:3: timestamp '2023-11-16 18:15:45.0' is earlier than '2023-11-16 18:15:46.6805900' of "
                "the line before"},
      {.name = "a trace with zero tokens",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .files = {{"trace",
                  "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"
                  "2023-11-16 18:15:46.6805900,374,0\n"}},
       .error = "trace:3: GeneratedTokens is '0', expects a whole number from 1 to 1000000000"},
      {.name = "a trace with a negative number",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .files = {{"trace",
                  "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"
                  "2023-11-16 18:15:46.6805900,-374,44\n"}},
       .error = "trace:3: ContextTokens is '-374', expects a whole number from 1 to 1000000000"},
      {.name = "a trace with a word for a number",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .files = {{"trace",
                  "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"
                  "2023-11-16 18:15:46.6805900,many,44\n"}},
       .error = "trace:3: ContextTokens is 'many', expects a whole number from 1 to 1000000000"},
      {.name = "a trace with a date that is none",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .files = {{"trace",
                  "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"
                  "2023-02-30 18:15:46.6805900,374,44\n"}},
       .error =
           "trace:3: timestamp '2023-02-30 18:15:46.6805900' is not of the form 2023-11-16 18:15:46.6805900"},
      {.name = "an empty line in a trace",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace")"),
       .files = {{"trace",
                  "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                  "\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"}},
       .error = "trace:2: expects a row of 3 fields, TIMESTAMP,ContextTokens,GeneratedTokens, not ''"},
      {.name = "a Mooncake trace with an unknown field",
       .scenario = change(kSynthetic, R"("kind": "mooncake", "file": "trace")"),
       .files = {{"trace",
                  "{\"timestamp\": 0, \"input_length\": 5, \"output_lenght\": 5, \"hash_ids\": []}\n"}},
       .error = "trace:1: field 'output_lenght' is unknown; known: timestamp input_length output_length "
                "hash_ids; did you mean 'output_length'?"},
      {.name = "a Mooncake trace with a missing field",
       .scenario = change(kSynthetic, R"("kind": "mooncake", "file": "trace")"),
       .files = {{"trace", "{\"timestamp\": 0, \"input_length\": 5, \"hash_ids\": []}\n"}},
       .error = "trace:1: field 'output_length' is missing"},
      {.name = "a Mooncake trace with a string for a number",
       .scenario = change(kSynthetic, R"("kind": "mooncake", "file": "trace")"),
       .files = {{"trace",
                  "{\"timestamp\": 0, \"input_length\": \"5\", \"output_length\": 5, \"hash_ids\": []}\n"}},
       .error = "trace:1: input_length is '5', expects a number"},
      {.name = "a Mooncake trace with a fraction of a token",
       .scenario = change(kSynthetic, R"("kind": "mooncake", "file": "trace")"),
       .files = {{"trace",
                  "{\"timestamp\": 0, \"input_length\": 5.5, \"output_length\": 5, \"hash_ids\": []}\n"}},
       .error = "trace:1: input_length is '5.5', expects a whole number from 1 to 1000000000"},
      {.name = "a Mooncake trace whose last line is cut",
       .scenario = change(kSynthetic, R"("kind": "mooncake", "file": "trace")"),
       .files = {{"trace", R"({"timestamp": 0, "input_length": 5, "output_len)"}},
       .error = "trace:1: column 48: expects a character or the end of the string, but the line ends"},
      {.name = "a Mooncake trace out of order",
       .scenario = change(kSynthetic, R"("kind": "mooncake", "file": "trace")"),
       .files = {{"trace",
                  "{\"timestamp\": 9, \"input_length\": 5, \"output_length\": 5}\n"
                  "{\"timestamp\": 8, \"input_length\": 5, \"output_length\": 5}\n"}},
       .error = "trace:2: timestamp 8 is earlier than 9 of the line before"},
      {.name = "an empty Mooncake trace",
       .scenario = change(kSynthetic, R"("kind": "mooncake", "file": "trace")"),
       .files = {{"trace", ""}},
       .error = "trace: is empty; expects a Mooncake JSONL trace"},
      {.name = "a window that ends before it starts",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace", "window": ["20 s", "10 s"])"),
       .files = {{"trace",
                  "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"}},
       .error = "scenario.json:9:49: workload.window: expects two times, the earlier first, such as [\"10 "
                "min\", \"20 min\"]"},
      {.name = "a window of one time",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace", "window": ["20 s"])"),
       .files = {{"trace",
                  "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"}},
       .error = "scenario.json:9:49: workload.window: expects two times, the earlier first, such as [\"10 "
                "min\", \"20 min\"]"},
      {.name = "a window without requests",
       .scenario = change(kSynthetic, R"("kind": "azure", "file": "trace", "window": ["20 s", "30 s"])"),
       .files = {{"trace",
                  "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                  "2023-11-16 18:15:46.6805900,374,44\n"}},
       .error = "scenario.json:9:49: workload.window: no request arrives from 20 s to 30 s; the nearest seen "
                "arrives at 0 s"},
  });
}

TEST_CASE("Synthetic workloads that make no sense: 10 of them are refused with exactly these words",
          "[bad-input]") {
  check({
      {.name = "a share of zero",
       .scenario =
           change("\"prompt_tokens\": 500,\n"
                  R"(    "output_tokens": 20)",
                  R"("kinds": [{ "name": "a", "share": 0, "prompt_tokens": 5, "output_tokens": 5 }])"),
       .error = "scenario.json:12:39: workload.kinds[0].share: must be greater than zero"},
      {.name = "two kinds of one name",
       .scenario = change("\"prompt_tokens\": 500,\n"
                          R"(    "output_tokens": 20)",
                          "\"kinds\": [\n"
                          "      { \"name\": \"a\", \"prompt_tokens\": 5, \"output_tokens\": 5 },\n"
                          "      { \"name\": \"a\", \"prompt_tokens\": 5, \"output_tokens\": 5 }\n"
                          "    ]"),
       .error = "scenario.json:14:17: workload.kinds[1].name: 'a' stands twice"},
      {.name = "no kinds of requests",
       .scenario = change("\"prompt_tokens\": 500,\n"
                          R"(    "output_tokens": 20)",
                          R"("kinds": [])"),
       .error = "scenario.json:12:14: workload.kinds: needs at least one kind of request"},
      {.name = "a rate of zero",
       .scenario = change(R"("requests_per_second": 10)", R"("requests_per_second": 0)"),
       .error = "scenario.json:10:62: workload.arrivals.requests_per_second: must be greater than zero"},
      {.name = "a rate beyond bounds",
       .scenario = change(R"("requests_per_second": 10)", R"("requests_per_second": 1e10)"),
       .error = "scenario.json:10:62: workload.arrivals.requests_per_second: must be between 1e-9 and 1e9"},
      {.name = "neither requests nor a duration",
       .scenario = change("\"requests\": 20,\n"
                          "    ",
                          ""),
       .error = R"(scenario.json:8:15: workload: needs "requests" or "duration" to end)"},
      {.name = "prompts of zero tokens",
       .scenario = change(R"("prompt_tokens": 500)", R"("prompt_tokens": 0)"),
       .error = "scenario.json:12:22: workload.prompt_tokens: must be greater than zero"},
      {.name = "a uniform length upside down",
       .scenario = change(R"("prompt_tokens": 500)",
                          R"("prompt_tokens": { "kind": "uniform", "low": 5, "high": 4 })"),
       .error = "scenario.json:12:61: workload.prompt_tokens.high: must not be below 'low'"},
      {.name = "quantiles that do not end at 1",
       .scenario = change(R"("prompt_tokens": 500)",
                          R"("prompt_tokens": { "kind": "empirical", "quantiles": [[0, 1], [0.9, 4]] })"),
       .error = "scenario.json:12:58: workload.prompt_tokens.quantiles: must begin at quantile 0 and end at "
                "quantile 1"},
      {.name = "a rate scale of zero",
       .scenario = change(R"("requests": 20)", R"("rate_scale": 0, "requests": 20)"),
       .error = "scenario.json:11:19: workload.rate_scale: must be greater than zero"},
  });
}

TEST_CASE("Command lines that are not understood: 19 of them are refused with exactly these words",
          "[bad-input]") {
  check({
      {.name = "an unknown command",
       .arguments = "rum scenario.json",
       .error =
           "disagg: command 'rum' is unknown; known: run compare sweep merge status capacity emit pareto "
           "report sensitivity validate list workload calibrate roofline topology demo export completion "
           "manual; did you mean 'run'?"},
      {.name = "an unknown option",
       .arguments = "run scenario.json --fast",
       .error = "The following argument was not expected: --fast\n"
                "Run with --help for more information."},
      {.name = "an option without its value",
       .arguments = "run scenario.json --out",
       .error = "--out: 1 required TEXT missing\n"
                "Run with --help for more information."},
      {.name = "no scenario",
       .arguments = "run",
       .error = "scenario is required\n"
                "Run with --help for more information."},
      {.name = "no command",
       .arguments = "",
       .error = "A subcommand is required\n"
                "Run with --help for more information."},
      {.name = "one scenario to compare",
       .arguments = "compare scenario.json",
       .error = "scenarios: At least 2 required but received 1\n"
                "Run with --help for more information."},
      {.name = "a report of a sweep that is not run",
       .arguments = "sweep scenario.json --axis seed=1,2 --dry-run --report report.html",
       .error = "sweep: --dry-run has no results for --report; leave one of them out"},
      {.name = "an axis without values",
       .arguments = "sweep scenario.json --axis cluster.pools[0].replicas",
       .error = "--axis cluster.pools[0].replicas: expects PATH=VALUE,VALUE,..., for example "
                "cluster.pools[0].replicas=1,2,4, or PATH=LOW..HIGH, for example "
                "cluster.pools[0].kv_capacity='4 GB..16 GB', with :log or :int behind it if you like"},
      {.name = "an axis with an empty value",
       .arguments = "sweep scenario.json --axis seed=1,,2",
       .error = "--axis seed=1,,2: one of the values is empty"},
      {.name = "an axis with no index",
       .arguments = "sweep scenario.json --axis cluster.pools[7].replicas=1",
       .error = "--set cluster.pools[7].replicas=1: cluster.pools has no element 7; its length is 1"},
      {.name = "an axis that stands twice",
       .arguments = "sweep scenario.json --axis seed=1 --axis seed=2",
       .error = "--axis seed: stands twice; give all its values in one"},
      {.name = "a sweep without an axis",
       .arguments = "sweep scenario.json",
       .error = "--axis is required\n"
                "Run with --help for more information."},
      {.name = "zero jobs",
       .arguments = "sweep scenario.json --axis seed=1 --jobs 0",
       .error = "--jobs: Value 0 not in range 1 to 1024\n"
                "Run with --help for more information."},
      {.name = "a timeline without a folder",
       .arguments = "run scenario.json --timeline",
       .error = "--timeline: needs --out FOLDER to write timeline.json into"},
      {.name = "an unknown list",
       .arguments = "list acelerators",
       .error =
           "list: 'acelerators' is unknown; known: accelerators models links tiers memory agents calibration "
           "constants "
           "precisions; did you mean 'accelerators'?"},
      {.name = "--out onto a folder that holds something else",
       .files = {{"mine/thesis.txt", "precious\n"}},
       .arguments = "run scenario.json --out mine",
       .error = "mine: exists and is no folder of results; nothing was written. Choose another with --out"},
      {.name = "--out onto a file",
       .files = {{"mine", "precious\n"}},
       .arguments = "run scenario.json --out mine",
       .error = "mine: exists and is no folder of results; nothing was written. Choose another with --out"},
      {.name = "--out into a file",
       .files = {{"mine", "precious\n"}},
       .arguments = "run scenario.json --out mine/results",
       .error = "mine/results: cannot make this folder: Not a directory"},
      {.name = "--csv into a missing folder",
       .arguments = "sweep scenario.json --axis seed=1 --csv nowhere/sweep.csv",
       .error = "--csv nowhere/sweep.csv: there is no folder 'nowhere'"},
  });
}

TEST_CASE("Five errors in one scenario show at once, in the order of the reading, each with its place",
          "[bad-input]") {
  check({{.name = "five errors",
          .scenario = R"({
  "model": "llama-3.1-8",
  "slo": { "ttft": "2" },
  "cluster": {
    "pools": [ { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 0 } ],
    "router": "least-loadd"
  },
  "workload": {
    "kind": "synthetic",
    "arrivals": { "kind": "constant", "requests_per_second": -1 },
    "requests": 20, "prompt_tokens": 500, "output_tokens": 20
  }
}
)",
          .error = "scenario.json:2:12: model: 'llama-3.1-8' is unknown; known: llama-2-70b-hf llama-3.1-8b "
                   "llama-3.1-70b llama-3.1-405b llama-4-scout-17b-16e-instruct "
                   "llama-4-maverick-17b-128e-instruct deepseek-v3 deepseek-r1 deepseek-v3.2 qwen3-32b "
                   "qwen3-235b-a22b qwen3-next-80b-a3b kimi-k2-instruct gpt-oss-120b mixtral-8x22b-v0.1 "
                   "minimax-text-01 minimax-m1-80k bloom; did you mean 'llama-3.1-8b'?\n"
                   "scenario.json:3:20: slo.ttft: '2' has no unit; write for example \"10 ms\"; known units: "
                   "ms ns us s min h d\n"
                   "scenario.json:10:62: workload.arrivals.requests_per_second: must be greater than zero\n"
                   "scenario.json:5:77: cluster.pools[0].replicas: must be greater than zero\n"
                   "scenario.json:6:15: cluster.router.kind: 'least-loadd' is unknown; known: round-robin "
                   "random least-loaded least-tokens most-kv-room session-sticky hand-off-aware "
                   "prefix-affinity cache-aware "
                   "mixed-pool; did you mean 'least-loaded'?"}});
}

TEST_CASE("Of 80 problems the first 50 show, and how many more there are", "[bad-input]") {
  std::string keys;
  for (int i = 0; i < 80; ++i) keys += "\"wrong" + std::to_string(i) + "\": 1, ";
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", change(R"("requests": 20)", keys + R"("requests": 20)"));
  const Ended ended = call(folder, {"run", "scenario.json"});
  CHECK(ended.code == 2);
  CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 51);
  CHECK_THAT(ended.err, Catch::EndsWith("\n... and 30 more problems\n"));
}

TEST_CASE("A scenario of more than 16 MiB is refused unread", "[bad-input]") {
  const TemporaryFolder folder;
  write_text(folder / "large.json", "{}");
  std::filesystem::resize_file(folder / "large.json", (16U << 20U) + 1);
  const Ended ended = call(folder, {"run", "large.json"});
  CHECK(ended.err == "large.json: is larger than 16 MiB; that is no scenario\n");
  CHECK(ended.code == 2);
}

TEST_CASE("A trace that is one line of 1 GiB is refused within 2 s", "[bad-input]") {
  for (const std::string kind : {"azure", "mooncake"}) {
    const TemporaryFolder folder;
    write_text(folder / "scenario.json",
               change(kSynthetic, "\"kind\": \"" + kind + "\", \"file\": \"trace\""));
    write_text(folder / "trace", "x");
    std::filesystem::resize_file(folder / "trace", std::uintmax_t{1} << 30U);
    const Ended ended = call(folder, {"run", "scenario.json"});
    CHECK(ended.err == "trace:1: line is longer than 1 MiB; this is not " +
                           std::string(kind == "azure" ? "an Azure CSV" : "a Mooncake JSONL") + " trace\n");
    CHECK(ended.code == 2);
    CHECK(ended.seconds < 2);
  }
}

TEST_CASE("A scenario of bytes that are no text is refused with a message that is text", "[bad-input]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", "{ \"model\": \"\xff\xfe\" }\n");
  const Ended ended = call(folder, {"run", "scenario.json"});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.err, Catch::StartsWith("scenario.json:1:"));
  for (const char c : ended.err) CHECK((c == '\n' || (c >= 0x20 && c < 0x7f)));
}

TEST_CASE("The option --out onto a folder that is none of results leaves what is in it", "[bad-input]") {
  const TemporaryFolder folder;
  write_text(folder / "scenario.json", kScenario);
  write_text(folder / "mine/thesis.txt", "precious");
  CHECK(call(folder, {"run", "scenario.json", "--out", "mine"}).code == 2);
  CHECK(test::read_text(folder / "mine/thesis.txt") == "precious");
  CHECK(TemporaryFolder::names_in(folder / "mine") == std::vector<std::string>{"thesis.txt"});
}

}  // namespace
}  // namespace disagg
