// Readers of agent turns, Qwen-Bailian, BurstGPT and LLMServingSim traces.
#include "tests/workloads/support.hpp"

namespace disagg {
namespace {

std::vector<RequestSpec> read(std::string_view kind, const std::string& content, std::string_view more = "") {
  const TemporaryFile file(content);
  return all_requests(trace_workload(kind, file.path(), more));
}

struct Broken {
  std::string content;
  std::string message;
};

void check_refused(std::string_view kind, const std::vector<Broken>& table) {
  for (const Broken& broken : table) {
    const TemporaryFile file(broken.content);
    CHECK(error_of(trace_workload(kind, file.path()), file.path()) == broken.message);
  }
}

using Parents = std::vector<std::uint32_t>;

const std::string kTurnsHeader =
    "group,session,turn,model,t_submit,t_end,llm_s,input_tokens,cache_read,output_tokens,tools,tool_s\n";

TEST_CASE("Agent turns follow each other after the tools' time and what else passed", "[workloads]") {
  const std::string content = kTurnsHeader +
                              "g,a,0,m,100,102,2,1000,0,50,Bash,3\n"  // 5 s pass, of which 3 are tools
                              "g,a,1,m,107,108,1,1100,0,20,Read,9\n"  // 4 s pass: no more of them are tools
                              "g,a,2,m,112,113,1,1110,0,20,,\n"       // shorter than prompt and output before
                              "g,a,3,m,120,121,1,400,0,20,Read,\n"    // shorter than the prompt before
                              "h,a,0,m,50,51,1,500,0,20,,\n";
  const auto requests = read("agent-turns", content);
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].kind == 0);
  CHECK(requests[1].kind == 1);
  const auto& turns = requests[0].session->turns;
  REQUIRE(turns.size() == 4);
  CHECK(turns[0].parents.empty());
  CHECK(turns[1].parents == Parents{0});
  CHECK(turns[1].trigger == Trigger::tool);
  CHECK(turns[1].tool.si == 3);
  CHECK(turns[1].think.si == 2);
  CHECK(turns[2].tool.si == 4);
  CHECK(turns[2].think.si == 0);
  CHECK(turns[3].trigger == Trigger::client);
  CHECK(turns[3].think.si == 7);
  CHECK(turns[0].appended_tokens == 1000);
  CHECK(turns[1].appended_tokens == 50);
  CHECK(turns[2].appended_tokens == 10);
  CHECK(turns[3].appended_tokens == 400);
  // Contexts that go on share ids; the shorter one begins anew, and so does another session.
  CHECK(turns[0].content->tokens == 1050);
  CHECK(turns[1].content->tokens == 1100);
  CHECK(turns[0].content->ranges.front().first == turns[1].content->ranges.front().first);
  CHECK(turns[2].content->ranges.front().first == turns[1].content->ranges.front().first);
  CHECK(turns[3].content->ranges.front().first >= turns[2].content->ranges.front().first + 1110);
  CHECK(requests[1].session->turns[0].content->ranges.front().first >=
        turns[3].content->ranges.front().first + 400);

  CHECK(read("agent-turns", content, R"(, "context": "unknown")")[0].session->turns[0].content == nullptr);
  const auto only = read("agent-turns", content, R"(, "groups": ["h"])");
  REQUIRE(only.size() == 1);
  CHECK(only[0].session->turns.size() == 1);
  CHECK(only[0].kind == 0);
}

TEST_CASE("Broken agent turns are refused with file, line and reason", "[workloads]") {
  const std::string row = "g,a,0,m,100,102,2,1000,0,50,Bash,3\n";
  check_refused(
      "agent-turns",
      {{"", "FILE: is empty; expects a CSV trace of agent turns"},
       {kTurnsHeader, "FILE: has a header but no turns"},
       {"turn\n",
        "FILE:1: expects the header " + kTurnsHeader.substr(0, kTurnsHeader.size() - 1) + ", not 'turn'"},
       {kTurnsHeader + row + "g,a,1,m\n", "FILE:3: expects a row of 12 fields, " +
                                              kTurnsHeader.substr(0, kTurnsHeader.size() - 1) +
                                              ", not 'g,a,1,m'"},
       {kTurnsHeader + row + "g,a,2,m,103,104,1,1,0,1,,\n", "FILE:3: turn is 2, expects 1"},
       {kTurnsHeader + row + "g,b,0,m,103,104,1,1,0,1,,\n" + "g,a,1,m,105,106,1,1,0,1,,\n",
        "FILE:4: session 'a' goes on behind rows of other sessions"},
       {kTurnsHeader + "g,a,0,m,103,102,1,1,0,1,,\n", "FILE:2: t_end is earlier than t_submit"},
       {kTurnsHeader + "g,a,0,m,1,2,1,1,0,0,,\n",
        "FILE:2: output_tokens is '0', expects a whole number from 1 to 1000000000"},
       {kTurnsHeader + "g,a,0,m,1,2,1,1,0,1,x,nan\n",
        "FILE:2: tool_s is 'nan', expects seconds from 0 to 1e09"},
       {kTurnsHeader + "g,\xff,0,m,1,2,1,1,0,1,,\n", "FILE:2: is not UTF-8: 'g,\\xff,0,m,1,2,1,1,0,1,,'"},
       {kTurnsHeader + ",a,0,m,1,2,1,1,0,1,,\n", "FILE:2: group or session is empty"}});
  const TemporaryFile file(kTurnsHeader + row);
  CHECK(error_of(trace_workload("agent-turns", file.path(), R"(, "groups": ["gg"])"), file.path()) ==
        "FILE: group 'gg' is unknown; known: g; did you mean 'g'?");
}

std::string chat(int id, int parent, double time, int input, int output, const std::string& ids,
                 const std::string& type = "text") {
  return R"({"chat_id": )" + std::to_string(id) + R"(, "parent_chat_id": )" + std::to_string(parent) +
         R"(, "timestamp": )" + std::to_string(time) + R"(, "input_length": )" + std::to_string(input) +
         R"(, "output_length": )" + std::to_string(output) + R"(, "type": ")" + type +
         R"(", "turn": 1, "hash_ids": [)" + ids + "]}\n";
}

TEST_CASE("Bailian chats with their descendants are sessions in order of arrival", "[workloads]") {
  const auto requests =
      read("bailian", chat(1, -1, 10, 32, 8, "1,2", "search") + chat(2, -1, 11, 20, 4, "3,4") +
                          chat(3, 1, 70, 50, 8, "1,2,5,6") + chat(4, 1, 80, 60, 8, "1,2,7,8") +
                          chat(5, 3, 100, 90, 8, "1,2,5,6,9,10", "image") + chat(6, 77, 110, 16, 1, "3"));
  REQUIRE(requests.size() == 3);
  CHECK(arrivals(requests) == std::vector<double>{0, 1, 100});
  CHECK(requests[0].kind == 1);
  CHECK(requests[1].kind == 0);
  const auto& turns = requests[0].session->turns;
  REQUIRE(turns.size() == 4);
  CHECK(turns[1].parents == Parents{0});
  CHECK(turns[1].think.si == 60);
  CHECK(turns[1].appended_tokens == 10);
  CHECK(turns[2].parents == Parents{0});
  CHECK(turns[2].think.si == 70);
  CHECK(turns[3].parents == Parents{1});
  CHECK(turns[3].think.si == 30);
  CHECK(turns[1].content->block_tokens == 16);
  CHECK(turns[1].content->ranges == std::vector<HashRange>{{1, 2}, {5, 2}});
}

TEST_CASE("A Bailian session ends when nothing follows it for the session gap", "[workloads]") {
  const std::string content = chat(1, -1, 0, 16, 8, "1") + chat(2, 1, 50, 32, 8, "1,2") +
                              chat(3, 2, 150, 48, 8, "1,2,3") + chat(4, -1, 160, 16, 8, "9");
  CHECK(read("bailian", content).size() == 2);
  const TemporaryFile file(content);
  const auto source = open_workload(trace_workload("bailian", file.path(), R"(, "session_gap": "60 s")"));
  const auto requests = all_requests(*source);
  CHECK(arrivals(requests) == std::vector<double>{0, 150, 160});
  CHECK(requests[0].session->turns.size() == 2);
  REQUIRE(source->notes().size() == 2);
  CHECK(source->notes()[1] == "1 turns whose parents are not known begin sessions of their own");
}

TEST_CASE("Broken Bailian traces are refused with file, line and reason", "[workloads]") {
  const std::string good = chat(1, -1, 10, 32, 8, "1,2");
  check_refused(
      "bailian",
      {{"", "FILE: is empty; expects a Qwen-Bailian JSONL trace"},
       {"{}\n", "FILE:1: field 'chat_id' is missing"},
       {good + chat(2, -1, 9, 32, 8, "1,2"), "FILE:2: timestamp 9 is earlier than 10 of the line before"},
       {good + good, "FILE:2: chat_id 1 stands twice"},
       {good + chat(2, -2, 10, 32, 8, "1,2"),
        "FILE:2: parent_chat_id is '-2', expects a whole number from -1 on"},
       {good + chat(2, -1, 10, 32, 8, "1,2", "song"),
        "FILE:2: type 'song' is unknown; known: text search image file"},
       {good + chat(2, -1, 10, 32, 8, "1"),
        "FILE:2: hash_ids holds 1 ids, expects 2, one for each 16 of 32 tokens"},
       {good + good.substr(0, 30),
        "FILE:2: column 31: expects a character or the end of the string, but the line ends"},
       {good + "{\"chat_id\": 1, \"type\": \"\xed\xa0\x80\"}\n",
        "FILE:2: column 25: expects UTF-8, not '\\xed'"}});
}

const std::string kBurstHeader = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n";

TEST_CASE("BurstGPT rows are requests of two kinds, and failed ones are left out and counted",
          "[workloads]") {
  const TemporaryFile file(kBurstHeader +
                           "5,ChatGPT,472,18,490,Conversation log\n"
                           "45,GPT-4,100,0,100,API log\n"
                           "118.5,GPT-4,30,7,37,API log\n");
  const auto source = open_workload(trace_workload("burstgpt", file.path()));
  const auto requests = all_requests(*source);
  REQUIRE(requests.size() == 2);
  CHECK(arrivals(requests) == std::vector<double>{0, 113.5});
  CHECK(requests[0].prompt_tokens == 472);
  CHECK(requests[0].output_tokens == 18);
  CHECK(requests[1].kind == 1);
  CHECK(source->notes() ==
        std::vector<std::string>{"1 requests without response tokens failed in the trace and are left out"});
}

TEST_CASE("Broken BurstGPT traces are refused with file, line and reason", "[workloads]") {
  const std::string good = "5,ChatGPT,472,18,490,Conversation log\n";
  check_refused(
      "burstgpt",
      {{kBurstHeader, "FILE: has a header but no requests"},
       {kBurstHeader + good + "4,ChatGPT,1,1,2,API log\n",
        "FILE:3: Timestamp 4 is earlier than 5 of a row before"},
       {kBurstHeader + "5,ChatGPT,472,18,491,API log\n",
        "FILE:2: Total tokens is 491, expects 490, the sum of request and response"},
       {kBurstHeader + "5,ChatGPT,0,18,18,API log\n",
        "FILE:2: Request tokens is 0 of a request with a response"},
       {kBurstHeader + "5,ChatGPT,1,1,2,API\n",
        "FILE:2: Log Type 'API' is unknown; known: Conversation log API log; did you mean 'API log'?"},
       {kBurstHeader + "-5,ChatGPT,1,1,2,API log\n",
        "FILE:2: Timestamp is '-5', expects seconds from 0 to 1e09"}});
}

TEST_CASE("LLMServingSim lines are requests, or sessions whose tools run behind each call", "[workloads]") {
  const auto requests = read(
      "llmservingsim",
      R"({"input_toks": 4, "output_toks": 2, "arrival_time_ns": 500, "input_tok_ids": [7, 8, 9, 3], "output_tok_ids": [4, 5]})"
      "\n"
      R"({"session_id": "t", "arrival_time_ns": 2000000000, "sub_requests": [)"
      R"({"input_toks": 1472, "output_toks": 133, "tool_duration_ns": 1500000000},)"
      R"({"input_toks": 1700, "output_toks": 125, "tool_duration_ns": 0}]})"
      "\n");
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].arrival.si == Approx(5e-7));
  CHECK(requests[0].content->block_tokens == 1);
  CHECK(requests[0].content->tokens == 6);
  CHECK(requests[0].content->ranges == std::vector<HashRange>{{7, 3}, {3, 3}});
  const auto& turns = requests[1].session->turns;
  REQUIRE(turns.size() == 2);
  CHECK(turns[0].tool.si == 0);
  CHECK(turns[1].tool.si == 1.5);
  CHECK(turns[1].parents == Parents{0});
  CHECK(turns[1].trigger == Trigger::tool);
  CHECK(turns[1].appended_tokens == 1700 - 1472 - 133);
}

TEST_CASE("Broken LLMServingSim workloads are refused with file, line and reason", "[workloads]") {
  const std::string good = R"({"input_toks": 4, "output_toks": 2, "arrival_time_ns": 500})"
                           "\n";
  const auto session = [](const std::string& calls) {
    return R"({"session_id": "t", "arrival_time_ns": 500, "sub_requests": [)" + calls + "]}\n";
  };
  check_refused(
      "llmservingsim",
      {{"", "FILE: is empty; expects an LLMServingSim JSONL workload"},
       {good + R"({"input_toks": 4, "output_toks": 2})", "FILE:2: field 'arrival_time_ns' is missing"},
       {good + R"({"input_toks": 4, "arrival_time_ns": 500})", "FILE:2: field 'output_toks' is missing"},
       {good + R"({"input_toks": 4, "output_toks": 2, "arrival_time_ns": 499})",
        "FILE:2: arrival_time_ns is earlier than that of the line before"},
       {good + R"({"input_toks": 4, "output_toks": 2, "arrival_time_ns": 500, "input_tok_ids": [1]})",
        "FILE:2: input_tok_ids holds 1 ids, but input_toks is 4"},
       {good + session(""), "FILE:2: sub_requests is empty"},
       {good + session(R"({"input_toks": 4, "output_toks": 2, "arrival_time_ns": 1})"),
        "FILE:2: field 'arrival_time_ns' does not belong into a sub-request"},
       {R"({"input_toks": 4, "output_toks": 2, "arrival_time_ns": 1, "tool_duration_ns": 1})",
        "FILE:1: field 'tool_duration_ns' belongs into a sub-request"},
       {good + "{\"\xff\": 1}", "FILE:2: column 3: expects UTF-8, not '\\xff'"}});
}

}  // namespace
}  // namespace disagg
