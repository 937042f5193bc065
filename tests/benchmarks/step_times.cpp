// Cost of evaluating one decode step once warm, and of a prompt of a length not seen before.
#include <benchmark/benchmark.h>

#include <vector>

#include "sim/service/service_time.hpp"

using namespace disagg;

namespace {

ServiceTime service(std::string_view model, const Parallelism& parallelism, Precision weights) {
  ReplicaShape shape;
  for (const ModelSpec& m : models())
    if (m.name == model) shape.model = m;
  for (const Accelerator& a : accelerators())
    if (a.name == "h200-sxm-141gb") shape.accelerator = a;
  shape.parallelism = parallelism;
  shape.precision.weights = weights;
  return ServiceTime(FittedForms{}, shape);
}

void decode_step(benchmark::State& state, const ServiceTime& time) {
  std::vector<DecodeContext> ranks(1);
  DecodeCurve curve;
  double context = 1000;
  for (auto step : state) {
    ranks[0] = {.sequences = 64,
                .all = {context * 64, 64},
                .longest = {context * 2, 1},
                .within = {},
                .longest_within = {}};
    time.decode(ranks, 1, curve);
    benchmark::DoNotOptimize(curve.until(1));
    context += 1;
  }
}

void dense_decode(benchmark::State& state) {
  static const ServiceTime time = service("meta-llama/Llama-3.1-70B", {.tp = 8}, Precision::fp8);
  decode_step(state, time);
}
void deepseek_decode(benchmark::State& state) {
  static const ServiceTime time =
      service("deepseek-ai/DeepSeek-V3", {.tp = 8, .ep = 8}, Precision::fp8_block);
  decode_step(state, time);
}
void dense_prompt(benchmark::State& state) {
  static const ServiceTime time = service("meta-llama/Llama-3.1-70B", {.tp = 8}, Precision::fp8);
  TokenCount tokens = 100;
  for (auto step : state) {
    const std::vector chunks{PrefillChunk{.prefix = 0, .tokens = tokens, .completes = true}};
    const RankStep rank{.chunks = chunks, .decode = {}};
    benchmark::DoNotOptimize(time.step(std::span(&rank, 1)));
    tokens = tokens < 8000 ? tokens + 1 : 100;
  }
}

BENCHMARK(dense_decode);
BENCHMARK(deepseek_decode);
BENCHMARK(dense_prompt);

}  // namespace

BENCHMARK_MAIN();
