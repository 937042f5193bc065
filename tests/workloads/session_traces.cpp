#include <sstream>

#include "tests/workloads/support.hpp"
#include "workloads/session_trace.hpp"

namespace disagg {
namespace {

std::string sessions(const std::filesystem::path& file) { return trace_workload("sessions", file); }

// What opening and reading a trace of sessions fails with, behind the file's name.
std::string problem(const std::string& kind, const std::string& content, const std::string& more = "") {
  const TemporaryFile file(content, ".json");
  try {
    all_requests(trace_workload(kind, file.path(), more));
  } catch (const ConfigError& error) {
    const std::string what = error.what();
    REQUIRE(what.starts_with(file.path().string()));
    return what.substr(file.path().string().size());
  }
  return "";
}

TEST_CASE("Agents, written as a trace of sessions and read again, are the same agents", "[workloads]") {
  const std::string workload =
      R"({ "kind": "agents", "sessions": 60, "arrivals": { "kind": "poisson", "sessions_per_second": 1 },
           "mix": { "chat": 1, "coding": 1, "computer-use": 1, "reasoning": 1 } })";
  std::ostringstream out;
  const auto written = open_workload(workload);
  const std::int64_t rows = write_sessions(*written, out);
  const TemporaryFile file(out.str());
  const auto read = open_workload(sessions(file.path()));
  CHECK(read->kinds() == written->kinds());
  const auto again = all_requests(*read);
  const auto before = all_requests(workload);
  REQUIRE(again.size() == before.size());
  std::int64_t turns = 0;
  for (std::size_t s = 0; s < before.size(); ++s) {
    CHECK(again[s].kind == before[s].kind);
    CHECK(again[s].arrival.si == Approx(before[s].arrival.si).epsilon(1e-12));
    const auto& a = again[s].session->turns;
    const auto& b = before[s].session->turns;
    REQUIRE(a.size() == b.size());
    for (std::size_t t = 0; t < a.size(); ++t, ++turns) {
      CHECK(a[t].prompt_tokens == b[t].prompt_tokens);
      CHECK(a[t].output_tokens == b[t].output_tokens);
      CHECK(a[t].reasoning_tokens == b[t].reasoning_tokens);
      CHECK(a[t].appended_tokens == b[t].appended_tokens);
      CHECK(a[t].parents == b[t].parents);
      CHECK(a[t].trigger == b[t].trigger);
      CHECK(a[t].agent == b[t].agent);
      CHECK((a[t].tool + a[t].think).si == Approx((b[t].tool + b[t].think).si).epsilon(1e-12));
      CHECK(a[t].content->tokens == b[t].content->tokens);
      CHECK(a[t].content->ranges == b[t].content->ranges);
    }
  }
  CHECK(turns == rows);
}

TEST_CASE("A trace whose first calls have no hash ids is written so that it can be read again",
          "[workloads]") {
  const std::string rows =
      R"({"timestamp": 1, "input_length": 5, "output_length": 6}
{"timestamp": 2, "input_length": 40, "output_length": 6, "hash_block_tokens": 16, "hash_ids": [1, 2, 9]}
)";
  const TemporaryFile first(rows);
  std::ostringstream out;
  CHECK(write_sessions(*open_workload(sessions(first.path())), out) == 2);
  const TemporaryFile second(out.str());
  const auto again = all_requests(*open_workload(sessions(second.path())));
  REQUIRE(again.size() == 2);
  CHECK(again[0].content == nullptr);
  CHECK(again[1].content->block_tokens == 16);
  CHECK(again[1].content->ranges == std::vector<HashRange>{{1, 2}, {9, 1}});
}

TEST_CASE("Agentic Mooncake rows: waits, tools, and fields that are told but not simulated", "[workloads]") {
  const TemporaryFile file(
      R"({"session_id": "a", "request_id": "r1", "timestamp": 500, "input_length": 1000, "output_length": 10, "hash_ids": [1, 2]}
{"session_id": "a", "request_id": "r2", "wait_for": ["r1"], "delay": 20, "tool_wait_ms": 340, "input_length": 1100, "output_length": 10, "hash_ids": [1, 2, 7]}
{"session_id": "a", "request_id": "r3", "wait_for": ["r1"], "input_length": 1100, "output_length": 10, "priority": 3}
{"session_id": "a", "request_id": "r4", "wait_for": ["r2", "r3"], "input_length": 1200, "output_length": 10}
{"timestamp": 900, "input_length": 5, "output_length": 6}
)");
  const auto source = open_workload(sessions(file.path()));
  const auto requests = all_requests(*source);
  REQUIRE(requests.size() == 2);
  const auto& turns = requests[0].session->turns;
  REQUIRE(turns.size() == 4);
  CHECK(requests[0].arrival == Seconds{0.5});
  CHECK(turns[1].tool.si == Approx(0.34));
  CHECK(turns[1].think.si == Approx(0.02));
  CHECK(turns[1].content->tokens == 1100);
  CHECK(turns[2].parents == std::vector<std::uint32_t>{0});
  CHECK(turns[3].parents == std::vector<std::uint32_t>{1, 2});
  CHECK(requests[1].session == nullptr);
  CHECK(requests[1].prompt_tokens == 5);
  CHECK(source->notes() ==
        std::vector<std::string>{"of the trace's fields these are not simulated: priority"});
}

TEST_CASE("Rows of sessions that cannot be are refused with their line", "[workloads]") {
  const std::string first =
      R"({"session_id": "a", "request_id": "1", "timestamp": 5, "input_length": 10, "output_length": 3})"
      "\n";
  const auto second = [&](const std::string& row) { return problem("sessions", first + row + "\n"); };
  CHECK(second(R"({"session_id": "a", "input_length": 10})") == ":2: field 'output_length' is missing");
  CHECK(second(R"({"session_id": "a", "input_length": 10, "output_length": 0})") ==
        ":2: output_length is 0, expects a whole number from 1 to 1000000000");
  CHECK(second(R"({"session_id": "a", "input_lenght": 10, "output_length": 1})")
            .starts_with(":2: field 'input_lenght' is unknown; known: "));
  CHECK(second(R"({"session_id": "a", "wait_for": ["2"], "input_length": 10, "output_length": 1})") ==
        ":2: wait_for names '2', which is no request_id on an earlier row of the session");
  CHECK(second(R"({"session_id": "a", "request_id": "1", "input_length": 10, "output_length": 1})") ==
        ":2: request_id '1' stands twice in one session");
  CHECK(second(R"({"session_id": "b", "input_length": 10, "output_length": 1})") ==
        ":2: field 'timestamp' is missing, which says when the session arrives");
  CHECK(second(R"({"session_id": "b", "timestamp": 4, "input_length": 10, "output_length": 1})") ==
        ":2: timestamp is earlier than that of the session before");
  CHECK(second(R"({"timestamp": 6, "input_length": 1, "output_length": 1})"
               "\n" +
               first)
            .starts_with(":3: session 'a'"));
  CHECK(second(R"({"session_id": "a", "input_length": 10, "output_length": 1, "hash_ranges": [1]})") ==
        ":2: hash_ranges expects pairs of a first id and a count");
  CHECK(second(R"({"session_id": "a", "input_length": 1000, "output_length": 1, "hash_ids": []})").empty());
  CHECK(second(R"({"session_id": "a", "input_length": 2000, "output_length": 1, "hash_ids": [1]})")
            .starts_with(":2: there are 1 hash blocks of 512 tokens for a prompt of 2000"));
  CHECK(second("{\"session_id\": \"\xff\xfe\"}").starts_with(":2: is not JSON: "));
  CHECK(second(R"({"session_id": )").starts_with(":2: is not JSON: "));
  CHECK(second(R"({"session_id": "a", "reasoning_length": 2, "input_length": 10, "output_length": 1})") ==
        ":2: reasoning_length is larger than output_length, of which it is a part");
  const std::string header = R"({"format": "disagg-sessions", "version": 1, "kinds": ["a", "b", "a"]})";
  CHECK(problem("sessions", header + "\n" + first) == ":1: kinds names 'a' twice");
  CHECK(
      problem(
          "sessions",
          R"({"timestamp": 1, "input_length": 600, "output_length": 6, "hash_ids": [1, 2]})"
          "\n"
          R"({"timestamp": 1, "input_length": 20, "output_length": 6, "hash_block_tokens": 16, "hash_ids": [1, 2]})"
          "\n") ==
      ":2: hash_block_tokens is 16, but 512 on the rows before, whose hash ids cannot be "
      "compared with these");
}

TEST_CASE("A recorded session: chains, a sub-agent that the next call waits for, gaps of tools and people",
          "[workloads]") {
  // Blocks of 64 tokens; two of tools and system prompt.
  const std::string session = R"({"id": "t", "models": ["m"], "block_size": 64, "hash_id_scope": "local",
    "tool_tokens": 100, "system_tokens": 30, "requests": [
      {"t": 0, "type": "n", "model": "m", "in": 200, "out": 70, "hash_ids": [1, 2, 3, 4], "stop": "tool_use", "api_time": 1},
      {"t": 5, "type": "s", "model": "m", "in": 320, "out": 5, "hash_ids": [1, 2, 3, 5, 6], "stop": "end_turn", "think_time": 4},
      {"t": 6, "type": "nested", "agent_id": "x", "requests": [
         {"t": 6, "type": "n", "model": "m", "in": 64, "out": 0, "hash_ids": [9], "stop": "tool_use"},
         {"t": 7, "type": "n", "model": "m", "in": 128, "out": 2, "hash_ids": [9, 10], "stop": "end_turn", "think_time": 1}]},
      {"t": 16, "type": "n", "model": "m", "in": 400, "out": 9, "hash_ids": [1, 2, 3, 5, 6, 7, 8], "think_time": 50}]})";
  const TemporaryFile a(session, ".json");
  const std::string loop = R"(, "arrivals": { "kind": "closed-loop", "concurrency": 1 })";
  const auto turns = all_requests(trace_workload("kv-cache-tester", a.path(), loop)).at(0).session->turns;
  REQUIRE(turns.size() == 5);
  using Parents = std::vector<std::uint32_t>;
  CHECK(turns[0].parents.empty());
  CHECK(turns[1].parents == Parents{0});
  CHECK(turns[2].parents == Parents{1});
  CHECK(turns[3].parents == Parents{2});
  CHECK(turns[4].parents == Parents{1, 3});
  CHECK(turns[1].tool == Seconds{4});
  // The sub-agent has ended at 6 s; what is left until 16 s is the gap.
  CHECK(turns[4].think == Seconds{10});
  CHECK(turns[4].tool == Seconds{0});
  CHECK(turns[2].agent == 1);
  CHECK(turns[2].output_tokens == 1);  // of none
  // 320 tokens, of which the first three blocks were there.
  CHECK(turns[1].appended_tokens == 320 - 192);
  // The second prompt goes on behind three whole blocks of the first, and shows one block of its output.
  CHECK(turns[0].content->tokens == 256);
  CHECK(turns[0].content->ranges.back().first == turns[1].content->ranges.back().first);
  CHECK(turns[0].content->ranges.back().count == 1);
  // Two sessions share the two whole blocks of tools and system prompt, and nothing else.
  const auto folder =
      std::filesystem::temp_directory_path() / ("disagg-sessions-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "1.json") << session;
  std::ofstream(folder / "2.json") << session;
  const auto both = all_requests(trace_workload("kv-cache-tester", folder, loop));
  std::filesystem::remove_all(folder);
  REQUIRE(both.size() == 2);
  const auto& x = both[0].session->turns[0].content->ranges;
  const auto& y = both[1].session->turns[0].content->ranges;
  CHECK(x[0] == y[0]);
  CHECK(x[0].count == 2);
  CHECK(x[1].first != y[1].first);
}

TEST_CASE("Recorded sessions that are damaged are refused by name", "[workloads]") {
  const std::string loop = R"(, "arrivals": { "kind": "closed-loop", "concurrency": 1 })";
  const auto why = [&](const std::string& content) { return problem("kv-cache-tester", content, loop); };
  const std::string head =
      R"({"id": "t", "models": [], "block_size": 64, "hash_id_scope": "local", "tool_tokens": 1, "system_tokens": 1, "requests": )";
  CHECK(why(" ") != "");
  CHECK(why("{\"id\": \"t\"").starts_with(": is not the JSON of a kv-cache-tester session: "));
  CHECK(why("[]") == ": expects an object");
  CHECK(why(head + "[]}") == ": requests: is empty");
  CHECK(why(head + "7}") == ": requests: expects an array");
  CHECK(why(head + R"([{"type": "q"}]})") ==
        R"(: requests[0]: type is "q", expects "n", "s", or the requests of a sub-agent)");
  CHECK(why(head + R"([{"type": "n", "out": 1, "hash_ids": []}]})") ==
        ": requests[0]: field 'in' is missing");
  CHECK(why(head + R"([{"type": "n", "in": 1, "out": 1, "hash_ids": [], "inn": 2}]})")
            .starts_with(": requests[0]: field 'inn' is unknown; known: "));
  CHECK(why(head + R"([{"type": "n", "in": 640, "out": 1, "hash_ids": [1]}]})")
            .starts_with(": requests[0]: hash_ids holds 1 ids"));
  CHECK(why(head + R"([{"type": "n", "in": 1, "out": -1, "hash_ids": []}]})")
            .starts_with(": requests[0]: out is -1"));
  std::string nested;
  for (int level = 0; level < 20'000; ++level) nested += R"([{"type": "x", "requests": )";
  CHECK(why(head + nested) != "");
  for (int level = 0; level < 20'000; ++level) nested += level == 0 ? "[]}]" : "}]";
  CHECK(why(head + nested + "}") == ": sub-agents are nested more than 16 deep");
  CHECK(why("\x28\xb5\x2f\xfd garbage").ends_with("is damaged or cut off: it cannot be read to its end"));
}

}  // namespace
}  // namespace disagg
