#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <catch2/catch.hpp>
#include <cmath>

#include "sim/base/random.hpp"
#include "tests/support/harness.hpp"
#include "tests/support/sanitized.hpp"

using namespace disagg;

namespace {

// Models of every kind of layer, with windows and chunks short enough to be crossed.
const std::vector<std::string>& drawn_models() {
  const auto small = [](const std::string& more) {
    return R"({ "name": "small", "num_hidden_layers": 12, "hidden_size": 2048, "num_attention_heads": 16,
                "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 32000, "intermediate_size": 8192, )" +
           more + " }";
  };
  static const std::vector<std::string> models{
      R"("llama-3.1-8b")",
      R"("gpt-oss-120b")",
      R"("qwen3-next-80b-a3b")",
      R"("deepseek-v3")",
      R"("deepseek-v3.2")",
      small(R"("attention_pattern": ["sliding", "full"], "sliding_window_tokens": 200)"),
      small(R"("attention_pattern": ["chunked", "chunked", "full"], "attention_chunk_tokens": 150)"),
      small(R"("attention_pattern": ["sliding"], "sliding_window_tokens": 700)")};
  return models;
}

// Draws scenarios that press on everything that can cut or shape a span.
class ScenarioGenerator {
 public:
  explicit ScenarioGenerator(std::uint64_t seed) : random_(random_stream(seed, "scenarios")) {}

  std::string next() {
    choose_model();
    const bool disaggregated = chance(0.5);
    const bool layerwise = disaggregated && chance(0.5);
    const bool mixed_pool = disaggregated && !layerwise && chance(0.3);
    const std::string workload =
        R"({ "kind": "synthetic", "arrivals": )" + arrivals() + R"(, "requests": )" +
        std::to_string(whole(20, 60)) + R"(, "prompt_tokens": { "kind": "uniform", "low": 1, "high": )" +
        std::to_string(whole(2, 3000)) + R"( }, "output_tokens": { "kind": "uniform", "low": 1, "high": )" +
        std::to_string(whole(1, 400)) + " } }";
    std::string pools;
    if (disaggregated) {
      pools = pool("p", "prefill") + ", " + pool("d", "decode") +
              (chance(0.2) && !mixed_pool ? ", " + pool("m", "mixed") : "");
    } else {
      pools = pool("m", "mixed");
    }
    return R"({ "model": )" + model_text_ + R"(, "seed": )" + std::to_string(whole(1, 1 << 20)) +
           R"(, "cluster": { "pools": [ )" + pools + R"( ], "router": ")" +
           (mixed_pool ? "mixed-pool" : pick({"round-robin", "random", "least-loaded", "least-tokens"})) +
           R"(", "hand_off": { "kind": ")" + (layerwise ? "layerwise" : "whole") + R"(" }, "admission": )" +
           (chance(0.2) ? R"({ "kind": "bounded", "max_waiting": 3 })" : R"("unbounded")") +
           R"( }, "workload": )" + workload + " }";
  }

 private:
  std::int64_t whole(std::int64_t low, std::int64_t high) {
    return boost::random::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  bool chance(double p) { return boost::random::uniform_real_distribution<double>(0, 1)(random_) < p; }
  std::string pick(std::vector<std::string> choices) {
    return choices[static_cast<std::size_t>(whole(0, static_cast<std::int64_t>(choices.size()) - 1))];
  }

  std::string arrivals() {
    const double rate = std::pow(10.0, boost::random::uniform_real_distribution<double>(0, 2.5)(random_));
    return R"({ "kind": "poisson", "requests_per_second": )" + std::to_string(rate) + " }";
  }
  std::string batching() {
    const std::string limits = R"(, "max_sequences": )" + std::to_string(whole(1, 24));
    switch (whole(0, 2)) {
      case 0:
        return R"({ "kind": "chunked", "chunk_tokens": )" + std::to_string(whole(24, 2000)) + limits + " }";
      case 1:
        return R"({ "kind": "prefill-first", "token_budget": )" + std::to_string(whole(8, 2000)) + limits +
               R"(, "chunking": )" + pick({"true", "false"}) + R"(, "mixing": )" + pick({"true", "false"}) +
               R"(, "max_pauses": )" + std::to_string(whole(0, 4)) + " }";
      default:
        return R"({ "kind": "whole-prompts", "token_budget": )" + std::to_string(whole(24, 4000)) + limits +
               R"(, "admission": ")" + pick({"prompt", "prompt-and-output"}) + R"(" })";
    }
  }
  void choose_model() {
    // Half of the draws are of the plain kind.
    const auto last = static_cast<std::int64_t>(drawn_models().size()) - 1;
    model_text_ = drawn_models()[static_cast<std::size_t>(chance(0.5) ? 0 : whole(1, last))];
    ConfigNode node = parse_config(R"({ "model": )" + model_text_ + " }", "test");
    Problems problems;
    Reader reader(node, "", problems);
    model_ = *read_model(reader, "model");
  }
  std::string parallelism(Parallelism& p) {
    p.tp = std::stoll(pick({"1", "2", "8"}));
    p.pp = std::stoll(pick({"1", "1", "2"}));
    p.dp_attention = std::stoll(pick({"1", "1", "1", "2", "4"}));
    p.ep = model_.is_moe() && chance(0.5) ? p.per_stage() : 1;
    return R"({ "tp": )" + std::to_string(p.tp) + R"(, "pp": )" + std::to_string(p.pp) +
           R"(, "dp_attention": )" + std::to_string(p.dp_attention) + R"(, "ep": )" + std::to_string(p.ep) +
           " }";
  }
  // KV room for one to three of the largest requests: often enough there is too little.
  std::string pool(const std::string& name, const std::string& role) {
    Parallelism sizes;
    const std::string parallel = parallelism(sizes);
    const TransformerWork work(model_, {}, sizes.kv_copies(model_));
    const double room =
        static_cast<double>(whole(3500, 9000)) * work.resident_kv_bytes_per_token().si +
        static_cast<double>(whole(2, 5)) * work.kv_bytes(3000).si * sizes.kv_copies(model_) / 2;
    const std::string drafts = chance(0.25) ? R"(, "drafts": { "tokens": )" + std::to_string(whole(1, 3)) +
                                                  R"(, "acceptance": 0.6 })"
                                            : "";
    return R"({ "name": ")" + name + R"(", "role": ")" + role + R"(", "accelerator": ")" +
           pick({"h100-sxm-80gb", "a100-sxm-80gb"}) + R"(", "replicas": )" + std::to_string(whole(1, 3)) +
           R"(, "parallelism": )" + parallel + drafts + R"(, "service": ")" +
           pick({"kernels", "kernels", "roofline"}) + R"(", "software": ")" +
           pick({"vllm", "sglang", "trtllm", "ideal", "eager-2023"}) + R"(", "batching": )" + batching() +
           R"(, "block_tokens": )" + pick({"1", "16", "64"}) + R"(, "kv_capacity": ")" +
           std::to_string(room / 1e6) + R"( MB" })";
  }

  RandomEngine random_;
  std::string model_text_;
  ModelSpec model_;
};

bool close(Seconds a, Seconds b) { return std::abs((a - b).si) <= 1e-9 * std::max(1.0, std::abs(a.si)); }

}  // namespace

TEST_CASE(
    "400 random scenarios of all kinds of models give the same request records in spans and step by step") {
  constexpr int kScenarios = test::kSanitized ? 100 : 400;
  ScenarioGenerator generator(7);
  std::int64_t preempted = 0;
  std::int64_t handed_off = 0;
  std::int64_t rejected = 0;
  for (int i = 0; i < kScenarios; ++i) {
    const std::string scenario = generator.next();
    INFO("scenario " << i << ": " << scenario);
    const auto spans = test::simulate_forked(scenario, false);
    const auto steps = test::simulate_forked(scenario, true);
    REQUIRE(spans.size() == steps.size());
    for (std::size_t r = 0; r < spans.size(); ++r) {
      const RequestRecord& a = spans[r];
      const RequestRecord& b = steps[r];
      INFO("request " << r);
      REQUIRE(a.id == b.id);
      REQUIRE(a.outcome == b.outcome);
      REQUIRE(a.prompt_tokens == b.prompt_tokens);
      REQUIRE(a.output_tokens == b.output_tokens);
      REQUIRE(a.prefill_replica == b.prefill_replica);
      REQUIRE(a.decode_replica == b.decode_replica);
      REQUIRE(a.preemptions == b.preemptions);
      REQUIRE(close(a.arrived, b.arrived));
      REQUIRE(close(a.first_scheduled, b.first_scheduled));
      REQUIRE(close(a.first_token, b.first_token));
      REQUIRE(close(a.hand_off_start, b.hand_off_start));
      REQUIRE(close(a.hand_off_end, b.hand_off_end));
      REQUIRE(close(a.last_token, b.last_token));
      preempted += a.preemptions;
      handed_off += a.outcome == Outcome::finished && a.decode_replica != a.prefill_replica ? 1 : 0;
      rejected += a.outcome != Outcome::finished ? 1 : 0;
    }
  }
  // The draw is worth something only if the rare paths ran.
  CHECK(preempted > kScenarios / 4);
  CHECK(handed_off > kScenarios * 5 / 2);
  CHECK(rejected > kScenarios / 8);
}
