#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/config.hpp"
#include "workloads/source.hpp"

namespace disagg {

// A file with the given content, for as long as this lives.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content, std::string_view extension = ".txt") {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("disagg-" + std::to_string(getpid()) + "-" + std::to_string(count++) + std::string(extension));
    std::ofstream(path_, std::ios::binary) << content;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Opens a workload as a scenario's "workload" object holds it. Throws ConfigError.
inline std::unique_ptr<Source> open_workload(std::string_view object, std::uint64_t seed = 1) {
  ConfigNode scenario = parse_config("{\"workload\": " + std::string(object) + "}", "scenario.json");
  Problems problems;
  Reader reader(scenario, "", problems);
  const auto workload = read_workload(reader, "workload");
  reader.done();
  problems.throw_if_any();
  REQUIRE(workload != nullptr);
  return workload->open(seed);
}

// The JSON object of a trace workload; `more` is further members, each with a leading comma.
inline std::string trace_workload(std::string_view kind, const std::filesystem::path& file,
                                  std::string_view more = "") {
  return "{\"kind\": \"" + std::string(kind) + "\", \"file\": \"" + file.string() + "\"" + std::string(more) +
         "}";
}

inline std::vector<RequestSpec> all_requests(Source& source) {
  std::vector<RequestSpec> requests;
  while (const auto request = source.next()) requests.push_back(*request);
  return requests;
}

inline std::vector<RequestSpec> all_requests(std::string_view object, std::uint64_t seed = 1) {
  return all_requests(*open_workload(object, seed));
}

inline std::vector<double> arrivals(const std::vector<RequestSpec>& requests) {
  std::vector<double> seconds;
  seconds.reserve(requests.size());
  for (const RequestSpec& request : requests) seconds.push_back(request.arrival.si);
  return seconds;
}

// What reading the whole workload throws, with the trace's path as FILE; empty when nothing.
inline std::string error_of(std::string_view object, const std::filesystem::path& file = {}) {
  try {
    all_requests(object);
  } catch (const ConfigError& error) {
    std::string what = error.what();
    const auto at = file.empty() ? std::string::npos : what.find(file.string());
    return at == std::string::npos ? what : what.replace(at, file.string().size(), "FILE");
  }
  return {};
}

struct TokenMeans {
  double prompt = 0;
  double output = 0;
};

inline TokenMeans token_means(const std::vector<RequestSpec>& requests) {
  TokenMeans sum;
  for (const RequestSpec& request : requests) {
    sum.prompt += static_cast<double>(request.prompt_tokens);
    sum.output += static_cast<double>(request.output_tokens);
  }
  const auto count = static_cast<double>(requests.size());
  return {sum.prompt / count, sum.output / count};
}

// A public trace beside the checkout. Empty, with a warning, when it is not there: the test is then skipped.
inline std::filesystem::path public_trace(std::string_view name) {
  auto file = std::filesystem::path(DISAGG_SOURCE_DIR) / "../shared/data/traces" / name;
  if (std::filesystem::exists(file)) return file;
  WARN("skipped: there is no " << file.string());
  return {};
}

}  // namespace disagg
