#include "workloads/mooncake.hpp"

#include <vector>

#include "tests/workloads/support.hpp"

namespace disagg {
namespace {

std::string row(const std::string& timestamp, int input = 10, int output = 5) {
  return R"({"timestamp": )" + timestamp + R"(, "input_length": )" + std::to_string(input) +
         R"(, "output_length": )" + std::to_string(output) + "}\n";
}

std::string hashed(int input, const std::string& ids) {
  return R"({"timestamp": 0, "input_length": )" + std::to_string(input) +
         R"(, "output_length": 5, "hash_ids": )" + ids + "}\n";
}

std::vector<RequestSpec> read(const std::string& content, std::string_view more = "") {
  const TemporaryFile file(content);
  return all_requests(trace_workload("mooncake", file.path(), more));
}

TEST_CASE("Mooncake rows give arrivals in milliseconds and both lengths", "[workloads]") {
  const auto requests = read(row("0", 6758, 500) + row("3000", 7322, 490) + row("3000.5", 1, 2));
  CHECK(arrivals(requests) == std::vector<double>{0, 3, 3.0005});
  CHECK(requests[0].prompt_tokens == 6758);
  CHECK(requests[0].output_tokens == 500);
  CHECK(requests[1].prompt_tokens == 7322);
  CHECK(requests[2].output_tokens == 2);
}

TEST_CASE("Mooncake fields may stand in any order and without hash_ids", "[workloads]") {
  const auto requests = read(R"( {"output_length":5,"hash_ids":[],"input_length":10,"timestamp":7} )"
                             "\r\n"
                             R"({"output_length":6,"input_length":11,"timestamp":7})");
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].prompt_tokens == 10);
  CHECK(requests[1].output_tokens == 6);
  CHECK(requests[1].arrival.si == 0.007);
}

TEST_CASE("Requests with one timestamp are spread evenly behind it", "[workloads]") {
  const auto content =
      row("0", 1) + row("0", 2) + row("3000", 3) + row("6000", 4) + row("6000", 5) + row("6000", 6);
  const auto requests = read(content, R"(, "spread": "3 s")");
  CHECK(arrivals(requests) == std::vector<double>{0.75, 2.25, 4.5, 6.5, 7.5, 8.5});
  for (std::size_t i = 0; i < requests.size(); ++i)
    CHECK(requests[i].prompt_tokens == static_cast<TokenCount>(i + 1));
}

TEST_CASE("A spread never reaches beyond the next timestamp", "[workloads]") {
  CHECK(arrivals(read(row("0") + row("0") + row("1000") + row("1000"), R"(, "spread": "3 s")")) ==
        std::vector<double>{0.25, 0.75, 1.75, 3.25});
}

TEST_CASE("hash_ids become ranges of what a prompt says, the last block partial or without an id",
          "[workloads]") {
  const auto requests = read(hashed(2000, "[0, 1 ,2,9]") + hashed(2000, "[7,8,9]") + hashed(2000, "[ ]") +
                             hashed(512, "[9223372036854775807]"));
  REQUIRE(requests.size() == 4);
  CHECK(requests[0].content->block_tokens == 512);
  CHECK(requests[0].content->tokens == 2000);
  CHECK(requests[0].content->ranges == std::vector<HashRange>{{0, 3}, {9, 1}});
  CHECK(requests[1].content->tokens == 1536);
  CHECK(requests[1].content->ranges == std::vector<HashRange>{{7, 3}});
  CHECK(requests[2].content == nullptr);
  CHECK(requests[3].content->ranges == std::vector<HashRange>{{9'223'372'036'854'775'807U, 1}});
  CHECK(read(hashed(100, "[1, 2, 3, 4]"), R"(, "hash_block_tokens": 32)")[0].content->block_tokens == 32);
}

struct Broken {
  std::string content;
  std::string message;
};

TEST_CASE("A broken Mooncake trace is refused with file, line and reason", "[workloads]") {
  const std::string range = ", expects a whole number from 1 to 1000000000";
  const auto object = [](const std::string& members) { return "{" + members + "}\n"; };
  const std::string lengths = R"("input_length": 10, "output_length": 5)";
  const std::vector<Broken> table{
      {"", "FILE: is empty; expects a Mooncake JSONL trace"},
      {"\n", "FILE:1: column 1: expects '{', but the line ends"},
      {row("0") + "\n", "FILE:2: column 1: expects '{', but the line ends"},
      {"TIMESTAMP,ContextTokens\n", "FILE:1: column 1: expects '{', not 'T'"},
      {std::string("\0\0", 2), "FILE:1: column 1: expects '{', not '\\x00'"},
      {"\xef\xbb\xbf{}\n", "FILE:1: column 1: expects '{', not '\\xef'"},
      {"[]\n", "FILE:1: column 1: expects '{', not '['"},
      {"{}\n", "FILE:1: field 'timestamp' is missing"},
      {row("0") + R"({"timestamp": 0, "input_le)",
       "FILE:2: column 27: expects a character or the end of the string, but the line ends"},
      {row("0") + R"({"timestamp": 0, "input_length": 12)",
       "FILE:2: column 36: expects ',' or '}', but the line ends"},
      {object(R"("timestamp": 0, "input_length": 10)"), "FILE:1: field 'output_length' is missing"},
      {object(lengths), "FILE:1: field 'timestamp' is missing"},
      {object(lengths + R"(, "timestamp": 0, "timestamp": 1)"),
       "FILE:1: field 'timestamp' stands twice in one object"},
      {object(lengths + R"(, "timestamp": "0")"), "FILE:1: timestamp is '0', expects a number"},
      {object(lengths + R"(, "timestamp": 0, "hash_ids": 3)"),
       "FILE:1: hash_ids is '3', expects an array of numbers"},
      {hashed(1100, "[1, 2]") + hashed(1100, "[1]"),
       "FILE:2: hash_ids holds 1 ids, expects 3, one for each 512 of 1100 tokens"},
      {hashed(10, "[1, 2]"), "FILE:1: hash_ids holds 2 ids, expects 1, one for each 512 of 10 tokens"},
      {hashed(10, "[-1]"), "FILE:1: hash_ids holds '-1', expects whole numbers from 0 to 2^63 - 1"},
      {hashed(10, "[1.5]"), "FILE:1: hash_ids holds '1.5', expects whole numbers from 0 to 2^63 - 1"},
      {hashed(10, "[9223372036854775808]"),
       "FILE:1: hash_ids holds '9223372036854775808', expects whole numbers from 0 to 2^63 - 1"},
      {object(lengths + R"(, "timestamp": -1)"),
       "FILE:1: timestamp is '-1', expects milliseconds from 0 to 1e12"},
      {object(lengths + R"(, "timestamp": 1e400)"),
       "FILE:1: timestamp is '1e400', expects milliseconds from 0 to 1e12"},
      {object(lengths + R"(, "timestamp": 0, "session_id": "a")"),
       "FILE:1: field 'session_id' is unknown; known: timestamp input_length output_length hash_ids"},
      {object(lengths + R"(, "time_stamp": 0)"),
       "FILE:1: field 'time_stamp' is unknown; known: timestamp input_length output_length hash_ids; "
       "did you mean 'timestamp'?"},
      {row("0", 0), "FILE:1: input_length is '0'" + range},
      {row("0", 10, -1), "FILE:1: output_length is '-1'" + range},
      {object(R"("timestamp": 0, "input_length": 10.0, "output_length": 5)"),
       "FILE:1: input_length is '10.0'" + range},
      {object(R"("timestamp": 0, "input_length": 10, "output_length": 1000000001)"),
       "FILE:1: output_length is '1000000001'" + range},
      {row("0") + row("3000") + row("2999"),
       "FILE:3: timestamp 2999 is earlier than 3000 of the line before"},
      {row("0") + "{} x\n", "FILE:2: column 4: expects nothing behind '}', not 'x'"},
      {R"({"timestamp": 0, "hash_ids": [0, 1)"
       "\n",
       "FILE:1: column 35: expects ',' or ']', but the line ends"},
  };
  for (const Broken& broken : table) {
    const TemporaryFile file(broken.content);
    CHECK(error_of(trace_workload("mooncake", file.path()), file.path()) == broken.message);
  }
}

TEST_CASE("An endless hash_ids array is refused after 1 MiB", "[workloads]") {
  std::string content = R"({"timestamp": 0, "hash_ids": [1)";
  while (content.size() < 2U << 20U) content += ",1";
  const TemporaryFile file(content);
  CHECK(error_of(trace_workload("mooncake", file.path()), file.path()) ==
        "FILE:1: line is longer than 1 MiB; this is not a Mooncake JSONL trace");
}

TEST_CASE("The public Mooncake trace has its published count and means, spread or not",
          "[workloads][public-data]") {
  const auto file = public_trace("mooncake_conversation.jsonl");
  if (file.empty()) return;
  for (const char* const spread : {"0 s", "3 s"}) {
    const auto requests =
        all_requests(trace_workload("mooncake", file, R"(, "spread": ")" + std::string(spread) + "\""));
    const auto means = token_means(requests);
    CHECK(requests.size() == 12'031);
    CHECK(means.prompt == Approx(12035).margin(0.5).epsilon(0));
    CHECK(means.output == Approx(343).margin(0.5).epsilon(0));
    for (std::size_t i = 1; i < requests.size(); ++i)
      if (requests[i].arrival < requests[i - 1].arrival) FAIL("request " << i << " is out of order");
  }
}

}  // namespace
}  // namespace disagg
