#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#include <boost/random/uniform_int_distribution.hpp>

#include "sim/base/hash.hpp"
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
    if (request.session != nullptr) {
      REQUIRE(!request.session->turns.empty());
      for (const Turn& turn : request.session->turns) {
        CHECK((turn.prompt_tokens >= 1 && turn.prompt_tokens <= kMostTokens));
        CHECK((turn.output_tokens >= 1 && turn.output_tokens <= kMostTokens));
        for (const std::uint32_t parent : turn.parents) CHECK(parent < request.session->turns.size());
      }
      continue;
    }
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
  const Format sessions{
      "sessions", "",
      "{\"format\": \"disagg-sessions\", \"version\": 1, \"hash_block_tokens\": 16, \"kinds\": [\"chat\"]}\n"
      "{\"session_id\": \"a\", \"request_id\": \"1\", \"timestamp\": 5, \"input_length\": 40, "
      "\"output_length\": 3, "
      "\"hash_ranges\": [7, 3]}\n"
      "{\"session_id\": \"a\", \"wait_for\": [\"1\"], \"input_length\": 50, \"output_length\": 3, \"delay\": "
      "3.5}\n"};
  const Format recorded{
      "kv-cache-tester", R"(, "arrivals": { "kind": "closed-loop", "concurrency": 1 })",
      R"({"id": "t", "models": [], "block_size": 64, "hash_id_scope": "local", "tool_tokens": 64, "system_tokens": 1, "requests": [{"t": 0, "type": "n", "in": 100, "out": 7, "hash_ids": [1, 2], "stop": "tool_use"}, {"type": "s", "in": 130, "out": 5, "hash_ids": [1, 2, 3], "think_time": 4}]})"};
  const Format turns{
      "agent-turns", "",
      "group,session,turn,model,t_submit,t_end,llm_s,input_tokens,cache_read,output_tokens,tools,tool_s\n"
      "g,a,0,m,100,102,2,1000,0,50,Bash,3\ng,a,1,m,107,108,1,1100,0,20,Read,9\n"};
  const Format burst{"burstgpt", "",
                     "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
                     "5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,24,0,24,API log\n"};
  const Format bailian{
      "bailian", "",
      R"({"chat_id": 1, "parent_chat_id": -1, "timestamp": 0.5, "input_length": 32, "output_length": 8, "type": "text", "turn": 1, "hash_ids": [1, 2]})"
      "\n"
      R"({"chat_id": 2, "parent_chat_id": 1, "timestamp": 60, "input_length": 50, "output_length": 8, "type": "text", "turn": 2, "hash_ids": [1, 2, 3, 4]})"
      "\n"};
  const Format serving{
      "llmservingsim", "",
      R"({"input_toks": 4, "output_toks": 2, "arrival_time_ns": 500, "input_tok_ids": [7, 8, 9, 3]})"
      "\n"
      R"({"session_id": "s", "arrival_time_ns": 900, "sub_requests": [{"input_toks": 5, "output_toks": 2, "tool_duration_ns": 7}, {"input_toks": 8, "output_toks": 1, "tool_duration_ns": 0}]})"
      "\n"};
  const Format mooncake{
      "mooncake", R"(, "spread": "3 s")",
      "{\"timestamp\": 0, \"input_length\": 758, \"output_length\": 500, \"hash_ids\": [0, 1]}\n"
      "{\"timestamp\": 3000, \"input_length\": 7322, \"output_length\": 490, \"hash_ids\": []}\n"};
  RandomEngine engine = random_stream(1, "damage");
  for (const Format& format : {azure, mooncake, sessions, recorded, turns, burst, bailian, serving}) {
    INFO(format.kind);
    // As it is it can be read.
    const TemporaryFile whole(format.content, ".json");
    CHECK(!all_requests(trace_workload(format.kind, whole.path(), format.more)).empty());
    int refused = 0;
    for (int round = 0; round < 1000; ++round) {
      const TemporaryFile file(damaged(format.content, engine), ".json");
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

TEST_CASE("A trace compressed with gzip or zstd is the trace, and half of one is refused", "[workloads]") {
  std::string rows;
  for (int i = 0; i < 2000; ++i)
    rows += "{\"timestamp\": " + std::to_string(i * 10) +
            ", \"input_length\": " + std::to_string(1 + i * 7919 % 1000) +
            ", \"output_length\": " + std::to_string(1 + i % 13) + "}\n";
  const auto plain = all_requests(trace_workload("mooncake", TemporaryFile(rows).path()));
  namespace io = boost::iostreams;
  for (const bool gzip : {true, false}) {
    std::string packed;
    {
      io::filtering_ostream out;
      if (gzip) {
        out.push(io::gzip_compressor());
      } else {
        out.push(io::zstd_compressor());
      }
      out.push(io::back_inserter(packed));
      out << rows;
    }
    CHECK(packed.size() < rows.size() / 2);
    const TemporaryFile whole(packed);
    const auto source = open_workload(trace_workload("mooncake", whole.path()));
    const auto unpacked = all_requests(*source);
    REQUIRE(unpacked.size() == 2000);
    for (std::size_t i = 0; i < 2000; ++i) CHECK(unpacked[i].prompt_tokens == plain[i].prompt_tokens);
    CHECK(source->trace_hash().ends_with("fnv1a:" + Hash{}.add(rows).hex()));
    // Also where only the last bytes are gone, and with them no row.
    for (const std::size_t length : {packed.size() - 3, packed.size() / 2, packed.size() / 3}) {
      const TemporaryFile cut(packed.substr(0, length));
      CHECK_THROWS_WITH(all_requests(trace_workload("mooncake", cut.path())),
                        Catch::Matchers::StartsWith(cut.path().string()) &&
                            Catch::Matchers::Contains("is damaged or cut off"));
    }
  }
}

}  // namespace
}  // namespace disagg
