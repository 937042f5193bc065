#include "experiments/saturation.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/experiments/program.hpp"
#include "tests/support/harness.hpp"

using namespace disagg;
using namespace disagg::test;

namespace {

// 100 requests arrive every second for 100 s, and `growth` of them stay in the queue.
std::vector<QueueSample> queue(double growth, double start = 0) {
  std::vector<QueueSample> samples;
  for (int i = 0; i <= 120; ++i) {
    const double t = std::min(i, 100);
    samples.push_back(
        {.time = Seconds{static_cast<double>(i)}, .arrived = 100 * t, .waiting = start + growth * t});
  }
  return samples;
}

// One replica that decodes 16 sequences of 100 tokens at a time in steps of 10 ms serves 16 requests a
// second.
nlohmann::json run(double rate) {
  const TemporaryFolder folder;
  write_text(
      folder / "s.json",
      R"({ "model": "llama-3.1-8b", "cluster": { "pools": [ { "name": "one", "accelerator": "h100-sxm-80gb",
                  "replicas": 1, "software": "ideal", "batching": { "kind": "chunked", "max_sequences": 16 },
                  "service": { "kind": "table", "tokens": [1, 2], "prefill": ["10 ms", "10 ms"], "decode": ["10 ms", "10 ms"] } } ] },
                  "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": )" +
          std::to_string(rate) + R"( }, "requests": 3000, "prompt_tokens": 1, "output_tokens": 101 } })");
  const Ended ended = call(folder, {"run", "s.json", "--json"});
  REQUIRE(ended.code == 0);
  return nlohmann::json::parse(ended.out);
}

}  // namespace

TEST_CASE("A queue that grows by 20 requests a second is found to, one that stands at 5000 is not",
          "[saturation]") {
  CHECK(queue_growth(queue(20)).value() == Approx(20));
  CHECK_FALSE(queue_growth(queue(0, 5000)));
  CHECK_FALSE(queue_growth(queue(-20, 5000)));
  CHECK_FALSE(queue_growth(queue(4)));  // 4 % of the arrivals
  CHECK_FALSE(queue_growth({}));
}

TEST_CASE("Growth within 3 standard deviations of a queue in equilibrium is no saturation", "[saturation]") {
  auto few = queue(20);
  for (QueueSample& sample : few) {
    sample.arrived /= 100;  // 33 a third, of which 7 stay
    sample.waiting /= 100;
  }
  CHECK_FALSE(queue_growth(few));
}

TEST_CASE("A replica that can serve 16 requests a second is saturated by 20 and keeps up with 14",
          "[saturation]") {
  const auto over = run(20).at("metrics");
  CHECK(over.at("saturated") == true);
  CHECK(over.at("queue_growth_requests_per_s").get<double>() == Approx(20 - 16 / 1.01).margin(0.2));
  const auto below = run(14).at("metrics");
  CHECK(below.at("saturated") == false);
  CHECK(below.at("queue_growth_requests_per_s").is_null());
}
