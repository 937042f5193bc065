#include "workloads/transforms.hpp"

#include <vector>

#include "sim/base/hash.hpp"
#include "tests/workloads/support.hpp"

namespace disagg {
namespace {

// One request a second from time 0, 60 in all.
std::string every_second(const std::string& more) {
  return R"({"kind": "synthetic", "arrivals": {"kind": "constant", "requests_per_second": 1}, "requests": 60,
             "prompt_tokens": 10, "output_tokens": 5)" +
         more + "}";
}

TEST_CASE("\"rate_scale\" divides the arrival times", "[workloads]") {
  const auto requests = all_requests(every_second(R"(, "rate_scale": 4)"));
  CHECK(requests.size() == 60);
  CHECK(requests[1].arrival.si == 0.25);
  CHECK(requests[59].arrival.si == 14.75);
}

TEST_CASE("\"first\" keeps so many requests, and all of a shorter workload", "[workloads]") {
  CHECK(all_requests(every_second(R"(, "first": 7)")).size() == 7);
  CHECK(all_requests(every_second(R"(, "first": 1000)")).size() == 60);
}

TEST_CASE("\"window\" keeps its start, leaves out its end and begins at time 0", "[workloads]") {
  CHECK(arrivals(all_requests(every_second(R"(, "window": ["10 s", "13 s"])"))) ==
        std::vector<double>{0, 1, 2});
  CHECK(arrivals(all_requests(every_second(R"(, "window": ["9.5 s", "12 s"])"))) ==
        std::vector<double>{0.5, 1.5});
}

TEST_CASE("The window comes before the count, and both before the rate", "[workloads]") {
  const auto object = every_second(R"(, "rate_scale": 2, "first": 3, "window": ["0.5 min", "1 min"])");
  CHECK(arrivals(all_requests(object)) == std::vector<double>{0, 0.5, 1});
}

TEST_CASE("A source that has ended stays ended", "[workloads]") {
  const auto source = open_workload(every_second(R"(, "window": ["10 s", "12 s"])"));
  CHECK(all_requests(*source).size() == 2);
  CHECK_FALSE(source->next());
  CHECK_FALSE(source->next());
}

TEST_CASE("A window without requests is an error that says where the nearest is", "[workloads]") {
  CHECK(error_of(every_second(R"(, "window": ["2 min", "3 min"])")) ==
        "scenario.json:2:65: workload.window: no request arrives from 2 min to 3 min; the nearest seen "
        "arrives at 59 s");
}

TEST_CASE("A trace cut short hashes the lines read, the same every time", "[workloads]") {
  const std::string head = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,1\n";
  const TemporaryFile file(head + "2023-11-16 18:15:47,1,1\n");
  const auto source = open_workload(trace_workload("azure", file.path(), R"(, "first": 1)"));
  CHECK(all_requests(*source).size() == 1);
  CHECK(source->trace_hash() == file.path().filename().string() + " fnv1a:" + Hash{}.add(head).hex());
}

TEST_CASE("Workload keys that cannot be are refused with their place", "[workloads]") {
  struct Broken {
    std::string more;
    std::string message;
  };
  const std::string window =
      "workload.window: expects two times, the earlier first, such as [\"10 min\", \"20 min\"]";
  for (const Broken& broken : {
           Broken{R"(, "window": ["10 s"])", window},
           Broken{R"(, "window": ["10 s", "10 s"])", window},
           Broken{R"(, "window": ["10 s", 20])",
                  "workload.window[1]: expects a string with a unit such as \"10 ms\", not a number"},
           Broken{R"(, "first": 0)", "workload.first: must be greater than zero"},
           Broken{R"(, "first": 2.5)", "workload.first: expects a whole number, not 2.5"},
           Broken{R"(, "rate_scale": 0)", "workload.rate_scale: must be greater than zero"},
           Broken{R"(, "rate_scale": 1e300)", "workload.rate_scale: must be between 1e-6 and 1e6"},
           Broken{R"(, "rate_scael": 2)",
                  "workload: key 'rate_scael' is unknown; known: arrivals duration first kind kinds "
                  "output_tokens "
                  "prompt_tokens rate_scale requests window; did you mean 'rate_scale'?"},
       }) {
    const std::string error = error_of(every_second(broken.more));
    CHECK(error.substr(error.find(": ") + 2, broken.message.size()) == broken.message);
  }
  CHECK(error_of(R"({"kind": "azur", "file": "x"})")
            .find("known: azure burstgpt mooncake bailian sessions kv-cache-tester agent-turns llmservingsim "
                  "synthetic agents; did you mean 'azure'?") != std::string::npos);
  CHECK(error_of("3") == "scenario.json:1:14: workload: expects an object, not a number");
}

}  // namespace
}  // namespace disagg
