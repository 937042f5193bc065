#include <boost/random/uniform_int_distribution.hpp>

#include "sim/base/random.hpp"
#include "tests/workloads/support.hpp"
#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

std::size_t below(std::size_t limit, RandomEngine& engine) {
  return boost::random::uniform_int_distribution<std::size_t>(0, limit - 1)(engine);
}

// Changes, drops or doubles a few bytes, or cuts the end off.
std::string damaged(std::string content, RandomEngine& engine) {
  for (std::size_t changes = 1 + below(3, engine); changes > 0 && !content.empty(); --changes) {
    const std::size_t at = below(content.size(), engine);
    switch (below(4, engine)) {
      case 0:
        content[at] = static_cast<char>(below(256, engine));
        break;
      case 1:
        content.erase(at, 1 + below(4, engine));
        break;
      case 2:
        content.insert(at, content.substr(at, 1 + below(4, engine)));
        break;
      default:
        content.resize(at);
    }
  }
  return content;
}

void check_order_and_counts(const std::vector<RequestSpec>& requests) {
  Seconds last{};
  for (const RequestSpec& request : requests) {
    CHECK(request.arrival >= last);
    CHECK((request.prompt_tokens >= 1 && request.prompt_tokens <= kMostTokens));
    CHECK((request.output_tokens >= 1 && request.output_tokens <= kMostTokens));
    last = request.arrival;
  }
}

TEST_CASE("A damaged trace either still makes sense or is refused by name", "[workloads]") {
  struct Format {
    std::string kind;
    std::string more;
    std::string content;
  };
  const Format azure{"azure", "",
                     "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
                     "2023-11-16 18:15:46.6805900,374,44\r\n"
                     "2024-05-10 00:00:00.009930+00:00,4808,10\r\n"};
  const Format mooncake{
      "mooncake", R"(, "spread": "3 s")",
      "{\"timestamp\": 0, \"input_length\": 6758, \"output_length\": 500, \"hash_ids\": [0, 1]}\n"
      "{\"timestamp\": 3000, \"input_length\": 7322, \"output_length\": 490, \"hash_ids\": []}\n"};
  RandomEngine engine = random_stream(1, "damage");
  for (const Format& format : {azure, mooncake}) {
    int refused = 0;
    for (int round = 0; round < 1000; ++round) {
      const TemporaryFile file(damaged(format.content, engine));
      try {
        check_order_and_counts(all_requests(trace_workload(format.kind, file.path(), format.more)));
      } catch (const ConfigError& error) {
        CHECK(std::string(error.what()).starts_with(file.path().string() + ":"));
        ++refused;
      }
    }
    CHECK(refused > 500);
  }
}

}  // namespace
}  // namespace disagg
