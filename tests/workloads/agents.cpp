#include "workloads/agents.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/fit_profile.hpp"
#include "experiments/inspect_workload.hpp"
#include "tests/workloads/support.hpp"

namespace disagg {
namespace {

const std::filesystem::path kSessions =
    std::filesystem::path(DISAGG_SOURCE_DIR) / "../shared/data/traces/agent_sessions";

std::string agents(const std::string& mix, int sessions, const std::string& more = "") {
  return R"({ "kind": "agents", "mix": )" + mix + R"(, "sessions": )" + std::to_string(sessions) +
         R"(, "arrivals": { "kind": "poisson", "sessions_per_second": 1 })" + more + " }";
}

// One profile whose draws are all fixed.
std::string fixed(const std::string& context, const std::string& more = "") {
  return R"({ "kind": "agents", "sessions": 1, "arrivals": { "kind": "constant", "sessions_per_second": 1 },
    "profiles": [ { "name": "own", "shared_prefix": 1000, "first": 100, "calls": 6, "after_tool": 50, "output": 20,
      "tool": "3 s", "context": )" +
         context + more + " } ] }";
}

std::vector<Turn> turns_of(const std::string& workload) {
  return all_requests(workload).at(0).session->turns;
}

// Tokens that the next prompt and what is known of this call have in common, from the start.
std::vector<TokenCount> kept(const std::vector<Turn>& turns) {
  std::vector<TokenCount> tokens;
  const auto ids = [](const PromptContent& content, TokenCount most) {
    std::vector<std::uint64_t> all;
    for (const HashRange& range : content.ranges)
      for (std::int64_t i = 0; i < range.count && static_cast<TokenCount>(all.size()) < most; ++i)
        all.push_back(range.first + static_cast<std::uint64_t>(i));
    return all;
  };
  for (std::size_t t = 0; t + 1 < turns.size(); ++t) {
    const auto a = ids(*turns[t].content, turns[t].content->tokens);
    const auto b = ids(*turns[t + 1].content, turns[t + 1].prompt_tokens);
    tokens.push_back(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  }
  return tokens;
}

std::vector<TokenCount> prompts(const std::vector<Turn>& turns) {
  std::vector<TokenCount> tokens;
  for (const Turn& turn : turns) {
    CHECK(turn.content->tokens == turn.prompt_tokens + turn.output_tokens);
    CHECK(turn.content->block_tokens == 1);
    tokens.push_back(turn.prompt_tokens);
  }
  return tokens;
}

using Tokens = std::vector<TokenCount>;

TEST_CASE("A growing context keeps prompt and output: 1100 tokens, and 70 more with each call",
          "[workloads]") {
  const auto turns = turns_of(fixed(R"("append")"));
  CHECK(prompts(turns) == Tokens{1100, 1170, 1240, 1310, 1380, 1450});
  CHECK(kept(turns) == Tokens{1120, 1190, 1260, 1330, 1400});
  for (std::size_t t = 0; t < 6; ++t) {
    CHECK(turns[t].appended_tokens == (t == 0 ? 100 : 50));
    CHECK(turns[t].tool == Seconds{t == 0 ? 0.0 : 3.0});
    CHECK(turns[t].trigger == (t == 0 ? Trigger::user : Trigger::tool));
    CHECK(turns[t].parents ==
          (t == 0 ? std::vector<std::uint32_t>{} : std::vector{static_cast<std::uint32_t>(t - 1)}));
  }
}

TEST_CASE("Reasoning of 300 tokens is dropped: of each call only the prompt is used again", "[workloads]") {
  const auto turns = turns_of(fixed(R"("append")", R"(, "reasoning": 300)"));
  CHECK(prompts(turns) == Tokens{1100, 1170, 1240, 1310, 1380, 1450});
  CHECK(kept(turns) == Tokens{1100, 1170, 1240, 1310, 1380});
  for (const Turn& turn : turns) {
    CHECK(turn.output_tokens == 320);
    CHECK(turn.reasoning_tokens == 300);
  }
}

TEST_CASE("Beyond 1200 tokens a summary of 40 takes the place of all but the shared prefix", "[workloads]") {
  // The third call would pass 1,200: it writes the summary. The fourth holds 1000 + 40 + 50 tokens.
  const auto turns =
      turns_of(fixed(R"({ "kind": "append", "window": 5000, "compact_at": 1200, "compact_to": 40 })"));
  CHECK(prompts(turns) == Tokens{1100, 1170, 1240, 1090, 1160, 1230});
  CHECK(turns[2].output_tokens == 40);
  CHECK(kept(turns) == Tokens{1120, 1190, 1000, 1110, 1180});
}

TEST_CASE("A window of 1300 tokens without compaction ends the session when it is full", "[workloads]") {
  const auto turns = turns_of(fixed(R"({ "kind": "append", "window": 1300 })"));
  CHECK(prompts(turns) == Tokens{1100, 1170, 1240, 1280});
}

TEST_CASE("With the last page only, the page before is gone and 0.7 of the output is in the log",
          "[workloads]") {
  // Task 1,100, page 50, log 14 a call.
  const auto turns = turns_of(fixed(R"("last-page")"));
  CHECK(prompts(turns) == Tokens{1150, 1164, 1178, 1192, 1206, 1220});
  CHECK(kept(turns) == Tokens{1100, 1114, 1128, 1142, 1156});
}

TEST_CASE("Of images the last 2 stay, removed 2 at a time: what is cached ends where the first was",
          "[workloads]") {
  // Each call brings 50 tokens of text, 200 of an image, 20 of an answer. The fourth has four images, and
  // loses two.
  const auto turns = turns_of(fixed(R"({ "kind": "recent-images", "image": 200, "keep": 2, "chunk": 2 })"));
  CHECK(prompts(turns) == Tokens{1300, 1570, 1840, 1710, 1980, 1850});
  // The first image begins behind 1,100 tokens; the third, which goes with the sixth call, behind
  // 1000 + 100 + 20 + 50 + 20 + 50.
  CHECK(kept(turns) == Tokens{1320, 1590, 1100, 1730, 1240});
}

TEST_CASE("The last exchange only, and a conversation cut off in front, keep the shared prefix",
          "[workloads]") {
  const auto last = turns_of(fixed(R"({ "kind": "exchanges", "full": 0, "window": 5000 })"));
  CHECK(prompts(last) == Tokens{1100, 1170, 1120, 1120, 1120, 1120});
  CHECK(kept(last) == Tokens{1120, 1000, 1000, 1000, 1000});
  const auto window = turns_of(fixed(R"({ "kind": "exchanges", "full": 1, "window": 1200 })"));
  CHECK(prompts(window).back() <= 1180);
  CHECK(kept(window) == Tokens{1120, 1000, 1000, 1000, 1000});
}

TEST_CASE("Sub-agents start side by side behind one call, and the next waits for all", "[workloads]") {
  const auto turns = turns_of(fixed(
      R"("append")", R"(, "sub_agents": { "share": 1, "count": 2, "calls": 3, "shared_prefix": 400 })"));
  REQUIRE(turns.size() == 12);
  std::map<std::uint32_t, int> calls;
  for (const Turn& turn : turns) ++calls[turn.agent];
  CHECK(calls == std::map<std::uint32_t, int>{{0, 6}, {1, 3}, {2, 3}});
  int joins = 0;
  for (std::size_t t = 0; t < turns.size(); ++t) {
    for (const std::uint32_t parent : turns[t].parents) CHECK(parent < t);
    if (turns[t].parents.size() == 3) ++joins;
    if (turns[t].agent > 0 && turns[turns[t].parents.at(0)].agent == 0) CHECK(turns[t].prompt_tokens == 500);
  }
  CHECK(joins == 1);
}

TEST_CASE("Profiles of more calls, tools or sub-agents than there can be are refused", "[workloads]") {
  const auto problem = [](const std::string& more) { return error_of(fixed(R"("append")", more)); };
  CHECK_THAT(problem(R"(, "parallel_tools": 1000000000)"),
             Catch::Contains("parallel_tools: must be at most 1000"));
  CHECK_THAT(problem(R"(, "sub_agents": { "share": 1, "count": 101, "calls": 2 })"),
             Catch::Contains("count: must be at most 100"));
  CHECK_THAT(
      problem(R"(, "sub_agents": { "share": 1, "calls": { "kind": "uniform", "low": 1, "high": 10001 } })"),
      Catch::Contains("calls: must be at most 10000"));
  // A lognormal without a bound of its own is cut off there.
  CHECK(problem(R"(, "parallel_tools": { "kind": "lognormal", "median": 2, "sigma": 20 })").empty());
  const auto turns = turns_of(
      fixed(R"("append")", R"(, "parallel_tools": { "kind": "lognormal", "median": 2, "sigma": 20 })"));
  for (const Turn& turn : turns) CHECK(turn.appended_tokens <= 1000 * 1000);
}

TEST_CASE("Users of a profile with patience leave; tools wait as long as it takes", "[workloads]") {
  const auto turns =
      turns_of(fixed(R"("append")", R"(, "patience": "7 s", "user_share": 0.5, "think": "1 s")"));
  for (const Turn& turn : turns)
    CHECK(turn.patience == (turn.trigger == Trigger::user ? Seconds{7} : kNever));
}

// Number of arrivals in each window of a run of the process, with its mean rate.
std::vector<double> counts_of(const std::string& arrivals, double window, std::size_t windows) {
  const auto source = open_workload(
      R"({ "kind": "synthetic", "duration": ")" + std::to_string(window * static_cast<double>(windows)) +
      R"( s", "prompt_tokens": 1, "output_tokens": 1, "arrivals": )" + arrivals + " }");
  std::vector<double> counts(windows);
  Seconds last{};
  while (const auto request = source->next()) {
    CHECK(request->arrival >= last);
    last = request->arrival;
    ++counts[std::min(static_cast<std::size_t>(request->arrival.si / window), windows - 1)];
  }
  return counts;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

TEST_CASE(
    "Arrivals by day swing between 2.5 and 7.5 a second; by table they follow it; in bursts they cluster",
    "[workloads]") {
  // Over 50 days of 100 s, by quarters of a day around the highest at 50 s.
  const auto day = counts_of(
      R"({ "kind": "diurnal", "requests_per_second": 5, "peak_to_trough": 3, "period": "100 s", "peak_at": "50 s" })",
      25, 200);
  CHECK(mean_of(day) / 25 == Approx(5).epsilon(0.02));
  std::vector<double> low;
  std::vector<double> high;
  for (std::size_t i = 0; i < 200; ++i) (i % 4 == 0 || i % 4 == 3 ? low : high).push_back(day[i]);
  // The mean of the cosine over half a period around its top is 2 / pi.
  CHECK(mean_of(high) / 25 == Approx(5 * (1 + 0.5 * 2 / 3.14159265)).epsilon(0.03));
  CHECK(mean_of(low) / 25 == Approx(5 * (1 - 0.5 * 2 / 3.14159265)).epsilon(0.03));

  const auto table = counts_of(R"({ "kind": "rates", "per_second": [1, 0, 8], "every": "50 s" })", 50, 300);
  std::array<double, 3> sums{};
  for (std::size_t i = 0; i < 300; ++i) sums[i % 3] += table[i];
  CHECK(sums[0] / 5000 == Approx(1).epsilon(0.05));
  CHECK(sums[1] == 0);
  CHECK(sums[2] / 5000 == Approx(8).epsilon(0.02));
  // A table of which one arrival takes millions of rounds.
  const auto rare =
      all_requests(R"({ "kind": "synthetic", "requests": 2000, "prompt_tokens": 1, "output_tokens": 1,
      "arrivals": { "kind": "rates", "per_second": [0.002, 0], "every": "10 us" } })");
  CHECK(rare.back().arrival.si / 2000 == Approx(1000).epsilon(0.1));

  // 1 a second for 90 s and 21 for 10 s: 3 on average. Of counts in windows of 1 s the variance is that of
  // the rates plus the mean: 36 + 3, a little less for windows in which the state changes.
  const auto bursts = counts_of(
      R"({ "kind": "markov-modulated", "states": [ { "requests_per_second": 1, "mean_time": "90 s" },
                                                   { "requests_per_second": 21, "mean_time": "10 s" } ] })",
      1, 200'000);
  const double mean = mean_of(bursts);
  double variance = 0;
  for (const double c : bursts) variance += (c - mean) * (c - mean) / 200'000;
  CHECK(mean == Approx(3).epsilon(0.05));
  CHECK(variance == Approx(38).epsilon(0.1));
}

TEST_CASE("Adding a kind to the mix leaves the others' sessions as they were", "[workloads]") {
  const auto of_chat = [](const std::string& mix) {
    std::vector<std::vector<TokenCount>> sessions;
    for (const RequestSpec& request : all_requests(agents(mix, 400), 5)) {
      if (request.kind != 0) continue;
      sessions.emplace_back();
      for (const Turn& turn : request.session->turns) sessions.back().push_back(turn.prompt_tokens);
    }
    sessions.resize(50);
    return sessions;
  };
  CHECK(of_chat(R"({ "chat": 1 })") == of_chat(R"({ "chat": 0.5, "coding": 0.5 })"));
}

TEST_CASE("The kinds meet what is published of them, with an unlimited cache", "[workloads]") {
  const auto source = open_workload(
      agents(R"({ "chat": 30, "coding": 2, "web-use": 5, "computer-use": 5, "reasoning": 30 })", 20'000));
  const auto kinds = inspect(*source).at("kinds");
  const auto number = [&](const char* kind, const char* what, const char* statistic = nullptr) {
    const auto& value = kinds.at(kind).at(what);
    return (statistic == nullptr ? value : value.at(statistic)).get<double>();
  };
  // shared/reference/agents.md, section 8, says where each range is from.
  const auto within = [](double value, double low, double high) {
    CHECK(value >= low);
    CHECK(value <= high);
  };
  within(number("chat", "input_per_output"), 2, 15);
  within(number("chat", "reuse"), 0.37, 0.62);
  within(number("chat", "turns", "p90"), 7, 9);
  within(number("chat", "think_s", "p50"), 85, 310);
  within(number("coding", "input_per_output"), 100, 330);
  within(number("coding", "new_per_output"), 4, 18);
  within(number("coding", "reuse"), 0.86, 0.98);
  within(number("coding", "output_tokens", "p50"), 180, 260);
  within(number("coding", "appended_tokens", "p50"), 650, 1050);
  within(number("web-use", "input_per_output"), 30, 300);
  within(number("web-use", "turns", "p50"), 6, 15);
  within(number("web-use", "input_tokens", "mean"), 5e3, 5e4);
  within(number("computer-use", "input_per_output"), 50, 150);
  within(number("computer-use", "input_tokens", "mean"), 5e3, 5e4);
  within(number("computer-use", "turns", "mean") / 16.3, 1.3, 4.3);
  within(number("reasoning", "output_tokens", "mean"), 1500, 3900);
  within(number("reasoning", "output_tokens", "p99"), 12e3, 35e3);
}

TEST_CASE("Generated coding sessions are like 150 recorded ones: appended, output, turns, gaps, reuse",
          "[workloads]") {
  if (!std::filesystem::exists(kSessions)) {
    WARN("skipped: there is no " << kSessions.string());
    return;
  }
  struct Sample {
    std::vector<double> appended, output, turns, gaps;
  };
  const auto sample = [](const std::string& workload) {
    Sample s;
    for (const RequestSpec& request : all_requests(workload)) {
      double main = 0;
      for (const Turn& turn : request.session->turns) {
        if (turn.agent > 0) continue;
        ++main;
        s.output.push_back(static_cast<double>(turn.output_tokens));
        if (turn.parents.empty()) continue;
        s.appended.push_back(static_cast<double>(turn.appended_tokens));
        s.gaps.push_back((turn.tool + turn.think).si);
      }
      s.turns.push_back(main);
    }
    for (auto* values : {&s.appended, &s.output, &s.turns, &s.gaps}) std::ranges::sort(*values);
    return s;
  };
  const std::string recorded_workload = trace_workload(
      "kv-cache-tester", kSessions, R"(, "arrivals": { "kind": "closed-loop", "concurrency": 1 })");
  const Sample recorded = sample(recorded_workload);
  const Sample generated = sample(agents(R"({ "coding": 1 })", 1500));
  CHECK(kolmogorov_smirnov(recorded.appended, generated.appended) <= 0.08);
  CHECK(kolmogorov_smirnov(recorded.output, generated.output) <= 0.08);
  CHECK(kolmogorov_smirnov(recorded.turns, generated.turns) <= 0.08);
  CHECK(kolmogorov_smirnov(recorded.gaps, generated.gaps) <= 0.08);
  const auto reuse = [](const std::string& workload) {
    const auto source = open_workload(workload);
    return inspect(*source).at("kinds").at("coding").at("reuse_within_sessions").get<double>();
  };
  CHECK(std::abs(reuse(recorded_workload) - reuse(agents(R"({ "coding": 1 })", 1500))) <= 0.02);
}

TEST_CASE("150 recorded sessions of 10,397 calls of which 96 % of the prompts are reused", "[workloads]") {
  if (!std::filesystem::exists(kSessions)) {
    WARN("skipped: there is no " << kSessions.string());
    return;
  }
  const auto source = open_workload(trace_workload(
      "kv-cache-tester", kSessions, R"(, "arrivals": { "kind": "closed-loop", "concurrency": 1 })"));
  const auto coding = inspect(*source).at("kinds").at("coding");
  CHECK(coding.at("sessions") == 150);
  CHECK(coding.at("requests") == 10'397);
  CHECK(coding.at("sub_agents") == 21);
  // conventions.md has 96.2 % of 681 sessions, of which these are a part.
  CHECK(coding.at("reuse_within_sessions").get<double>() == Approx(0.962).margin(0.003));
  CHECK(coding.at("output_tokens").at("p50").get<double>() == Approx(221).epsilon(0.01));
  CHECK(coding.at("output_tokens").at("p90").get<double>() == Approx(913).epsilon(0.01));
  CHECK(coding.at("turns").at("p50").get<double>() == Approx(44).epsilon(0.02));
}

TEST_CASE("Statistics of the published traces: counts exactly, percentiles within 1 %", "[workloads]") {
  const std::filesystem::path traces = kSessions.parent_path();
  if (!std::filesystem::exists(traces)) {
    WARN("skipped: there is no " << traces.string());
    return;
  }
  struct Published {
    const char* file;
    std::string kind, more;
    int requests;
    std::vector<double> input, output;  // mean, p50, p90, p99
  };
  const Published azure_code{"azure_2023_code.csv", "azure", "", 8819, {2048, 1469, 5188, 7436},
                             {27.9, 13, 55, 251}};
  const Published azure_conversation{"azure_2023_conv.csv", "azure", "", 19'366, {1155, 1020, 2734, 4142},
                                     {211, 129, 424, 601}};
  const Published mooncake{"mooncake_conversation.jsonl",  "mooncake",
                           R"(, "spread": "3 s")",         12'031,
                           {12'035, 6909, 27'367, 85'400}, {343, 350, 597, 1119}};
  for (const Published& trace : {azure_code, azure_conversation, mooncake}) {
    INFO(trace.file);
    const auto source = open_workload(trace_workload(trace.kind, traces / trace.file, trace.more));
    const auto kind = inspect(*source).at("kinds").at("request");
    CHECK(kind.at("requests") == trace.requests);
    constexpr std::array<const char*, 4> kOf{"mean", "p50", "p90", "p99"};
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(kind.at("input_tokens").at(kOf[i]).get<double>() == Approx(trace.input[i]).epsilon(0.01));
      CHECK(kind.at("output_tokens").at(kOf[i]).get<double>() == Approx(trace.output[i]).epsilon(0.01));
    }
    if (trace.kind == "mooncake") {
      CHECK(kind.at("reuse").get<double>() > 0.366);
      CHECK(kind.at("reuse").get<double>() < 0.3745);
    }
  }
}

TEST_CASE("Agent runs in containers: 5,641 calls of 111 sessions, with their tools' times", "[workloads]") {
  const std::filesystem::path file = kSessions.parent_path() / "agent_turns_derived.csv";
  if (!std::filesystem::exists(file)) {
    WARN("skipped: there is no " << file.string());
    return;
  }
  const auto source = open_workload(trace_workload("agent-turns", file));
  const auto kinds = inspect(*source).at("kinds");
  const auto& local = kinds.at("all_images_local");
  CHECK(local.at("requests") == 5641);
  CHECK(local.at("sessions") == 111);
  CHECK(kinds.at("batch_swebench_18tasks").at("requests") == 1296);
  CHECK(kinds.at("batch_swebench_18tasks").at("sessions") == 23);
  const auto near = [&](const char* what, const char* statistic, double published) {
    INFO(what << " " << statistic);
    CHECK(local.at(what).at(statistic).get<double>() == Approx(published).epsilon(0.01));
  };
  near("input_tokens", "mean", 44'790);
  near("input_tokens", "p50", 42'140);
  near("input_tokens", "p90", 73'072);
  near("input_tokens", "p99", 100'926);
  near("output_tokens", "mean", 258);
  near("output_tokens", "p50", 144);
  near("output_tokens", "p90", 602);
  near("output_tokens", "p99", 1404);
}

}  // namespace
}  // namespace disagg
