#include "workloads/azure.hpp"

#include <vector>

#include "sim/base/hash.hpp"
#include "tests/workloads/support.hpp"

namespace disagg {
namespace {

const std::string kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
const std::string kRow = "2023-11-16 18:15:46.6805900,374,44\n";

std::vector<RequestSpec> read(const std::string& content) {
  const TemporaryFile file(content);
  return all_requests(trace_workload("azure", file.path()));
}

TEST_CASE("Azure arrivals are exact to 100 ns, counted from the first row", "[workloads]") {
  const auto requests = read(kHeader + kRow +
                             "2023-11-16 18:15:50.9951690,396,109\n"
                             "2023-11-16 18:15:50.9951691,879,55\n");
  CHECK(arrivals(requests) == std::vector<double>{0, 4.314579, 4.3145791});
  CHECK(requests[0].prompt_tokens == 374);
  CHECK(requests[0].output_tokens == 44);
  CHECK(requests[2].prompt_tokens == 879);
  CHECK(requests[2].kind == 0);
}

TEST_CASE("An Azure trace runs on through midnight, leap days and the end of a year", "[workloads]") {
  const auto requests = read(kHeader +
                             "2023-12-31 23:59:59.5,1,1\n"
                             "2024-01-01 00:00:00.25,1,1\n"
                             "2024-02-29 00:00:00,1,1\n"
                             "2024-03-01 00:00:00,1,1\n");
  CHECK(arrivals(requests) == std::vector<double>{0, 0.75, 59 * 86400 + 0.5, 60 * 86400 + 0.5});
}

TEST_CASE("Timestamps of 2023 and 2024 read alike", "[workloads]") {
  CHECK(parse_azure_timestamp("1970-01-02 00:00:01.000000001") == 86'401'000'000'001);
  CHECK(parse_azure_timestamp("2024-05-10 00:00:00.009930+00:00") == 1'715'299'200'009'930'000);
  CHECK(parse_azure_timestamp("2024-05-10 00:00:00+00:00") == 1'715'299'200'000'000'000);
  CHECK(parse_azure_timestamp("2023-11-16 18:15:46.6805900") == 1'700'158'546'680'590'000);
  for (const char* const text :
       {"", "2023-11-16", "2023-02-29 00:00:00", "2023-11-16 24:00:00", "2023-11-16 18:60:00",
        "2023-11-16 18:15:60", "2023-11-16T18:15:46", "2023-11-16 18:15:46.",
        "2023-11-16 18:15:46.1234567890", "2023-11-16 18:15:46+01:00", "2023-11-16 18:15:46 ",
        "1969-12-31 23:59:59", "2262-01-01 00:00:00", "2023-11-1 6:00:00", "-023-11-16 00:00:00"}) {
    INFO("timestamp '" << text << "'");
    CHECK_FALSE(parse_azure_timestamp(text));
  }
}

TEST_CASE("Lines may end in CR LF, and the last one in nothing", "[workloads]") {
  const auto requests = read(
      "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46,374,44\r\n2023-11-16 18:15:47,1,2");
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].output_tokens == 44);
  CHECK(requests[1].output_tokens == 2);
}

TEST_CASE("A trace longer than the reader's buffer loses no row where buffers meet", "[workloads]") {
  std::string content = kHeader;
  for (int i = 0; i < 100'000; ++i) content += "2023-11-16 18:15:46.5," + std::to_string(i + 1) + ",7\n";
  const auto requests = read(content);
  REQUIRE(requests.size() == 100'000);
  for (std::size_t i = 0; i < requests.size(); ++i)
    if (requests[i].prompt_tokens != static_cast<TokenCount>(i + 1)) FAIL("row " << i << " differs");
}

TEST_CASE("The trace hash is FNV-1a of the file's bytes", "[workloads]") {
  const std::string content = kHeader + kRow + kRow;
  const TemporaryFile file(content);
  const auto source = open_workload(trace_workload("azure", file.path()));
  all_requests(*source);
  CHECK(source->trace_hash() == file.path().filename().string() + " fnv1a:" + Hash{}.add(content).hex());
}

struct Broken {
  std::string content;
  std::string message;
};

TEST_CASE("A broken Azure trace is refused with file, line and reason", "[workloads]") {
  const std::string range = ", expects a whole number from 1 to 1000000000";
  const std::string three = "expects a row of 3 fields, TIMESTAMP,ContextTokens,GeneratedTokens, not ";
  const std::string form = " is not of the form 2023-11-16 18:15:46.6805900";
  const std::string time = "2023-11-16 18:15:46,";
  const std::vector<Broken> table{
      {"", "FILE: is empty; expects an Azure CSV trace"},
      {kHeader, "FILE: has a header but no requests"},
      {"\n", "FILE:1: expects the header TIMESTAMP,ContextTokens,GeneratedTokens, not ''"},
      {kRow,
       "FILE:1: expects the header TIMESTAMP,ContextTokens,GeneratedTokens, not '2023-11-16 "
       "18:15:46.6805900,374,44'"},
      {"\x1f\x8b\x08", "FILE: is damaged or cut off: it cannot be read to its end"},
      {kHeader + kRow + "2023-11-16 18:15:46.68", "FILE:3: " + three + "'2023-11-16 18:15:46.68'"},
      {kHeader + kRow + time + "374", "FILE:3: " + three + "'2023-11-16 18:15:46,374'"},
      {kHeader + time + "374,", "FILE:2: GeneratedTokens is ''" + range},
      {kHeader + time + "1,2,3\n", "FILE:2: " + three + "'2023-11-16 18:15:46,1,2,3'"},
      {kHeader + kRow + "\n" + kRow, "FILE:3: " + three + "''"},
      {kHeader + time + "0,44\n", "FILE:2: ContextTokens is '0'" + range},
      {kHeader + time + "374,0\n", "FILE:2: GeneratedTokens is '0'" + range},
      {kHeader + time + "-5,44\n", "FILE:2: ContextTokens is '-5'" + range},
      {kHeader + time + "3.5,44\n", "FILE:2: ContextTokens is '3.5'" + range},
      {kHeader + time + "1e3,44\n", "FILE:2: ContextTokens is '1e3'" + range},
      {kHeader + time + " 374,44\n", "FILE:2: ContextTokens is ' 374'" + range},
      {kHeader + time + "many,44\n", "FILE:2: ContextTokens is 'many'" + range},
      {kHeader + time + "1000000001,44\n", "FILE:2: ContextTokens is '1000000001'" + range},
      {kHeader + time + "1,99999999999999999999\n",
       "FILE:2: GeneratedTokens is '99999999999999999999'" + range},
      {kHeader + time + std::string("37\0,44\n", 7), "FILE:2: ContextTokens is '37\\x00'" + range},
      {kHeader + time + "\xff\xfe,44\n", "FILE:2: ContextTokens is '\\xff\\xfe'" + range},
      {kHeader + time + std::string(60, 'x') + ",4\n",
       "FILE:2: ContextTokens is '" + std::string(40, 'x') + "...'" + range},
      {kHeader + "16/11/2023 18:15,374,44\n", "FILE:2: timestamp '16/11/2023 18:15'" + form},
      {kHeader + "2023-02-30 18:15:46,374,44\n", "FILE:2: timestamp '2023-02-30 18:15:46'" + form},
      {kHeader + kRow + "2023-11-16 18:15:46.6805899,1,1\n",
       "FILE:3: timestamp '2023-11-16 18:15:46.6805899' is earlier than '2023-11-16 18:15:46.6805900' of the "
       "line before"},
  };
  for (const Broken& broken : table) {
    const TemporaryFile file(broken.content);
    CHECK(error_of(trace_workload("azure", file.path()), file.path()) == broken.message);
  }
}

TEST_CASE("A gigabyte without a line end is refused after 1 MiB", "[workloads]") {
  const TemporaryFile first_line("");
  std::filesystem::resize_file(first_line.path(), std::uintmax_t{1} << 30U);
  CHECK(error_of(trace_workload("azure", first_line.path()), first_line.path()) ==
        "FILE:1: line is longer than 1 MiB; this is not an Azure CSV trace");

  const TemporaryFile third_line(kHeader + kRow);
  std::filesystem::resize_file(third_line.path(), std::uintmax_t{1} << 30U);
  CHECK(error_of(trace_workload("azure", third_line.path()), third_line.path()) ==
        "FILE:3: line is longer than 1 MiB; this is not an Azure CSV trace");
}

TEST_CASE("A trace that is not there is a problem of the scenario", "[workloads]") {
  CHECK(error_of(trace_workload("azure", "/nowhere/trace.csv")) ==
        "scenario.json:1:40: workload.file: there is no file '/nowhere/trace.csv'");
  CHECK(error_of(trace_workload("azure", "/dev")) ==
        "scenario.json:1:40: workload.file: '/dev' is not a regular file");
}

TEST_CASE("A trace that vanishes after the scenario was read is named", "[workloads]") {
  CHECK_THROWS_WITH((AzureTrace{"/nowhere/trace.csv"}.open(1)), "there is no file '/nowhere/trace.csv'");
}

TEST_CASE("The public Azure traces have their published counts and means", "[workloads][public-data]") {
  struct Published {
    std::string_view name;
    std::size_t requests;
    double prompt_mean;
    double output_mean;
    double last_arrival;
  };
  for (const Published& trace : {Published{"azure_2023_conv.csv", 19'366, 1154.697, 211.126, 3501.7219370},
                                 Published{"azure_2023_code.csv", 8'819, 2047.848, 27.883, 3435.9480560}}) {
    const auto file = public_trace(trace.name);
    if (file.empty()) continue;
    const auto requests = all_requests(trace_workload("azure", file));
    const auto means = token_means(requests);
    CHECK(requests.size() == trace.requests);
    CHECK(means.prompt == Approx(trace.prompt_mean).margin(0.0005).epsilon(0));
    CHECK(means.output == Approx(trace.output_mean).margin(0.0005).epsilon(0));
    CHECK(requests.back().arrival.si == trace.last_arrival);
  }
}

}  // namespace
}  // namespace disagg
