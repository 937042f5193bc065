#include "workloads/agent_turns.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "sim/base/hash.hpp"
#include "sim/base/text.hpp"
#include "workloads/csv_rows.hpp"
#include "workloads/fields.hpp"

namespace disagg {
namespace {

constexpr std::string_view kFormat = "a CSV trace of agent turns";
constexpr std::string_view kHeader =
    "group,session,turn,model,t_submit,t_end,llm_s,input_tokens,cache_read,output_tokens,tools,tool_s";
enum Column : std::size_t {
  kGroup,
  kSession,
  kTurn,
  kModel,
  kSubmit,
  kEnd,
  kModelSeconds,
  kInput,
  kCacheRead,
  kOutput,
  kTools,
  kToolSeconds
};
constexpr double kLatestUnixSeconds = 1e11;  // exact to 20 us
constexpr std::array<std::string_view, 2> kContexts{"append-only", "unknown"};

struct Row {
  std::string group, session;
  TokenCount turn = 0;
  double submitted = 0, ended = 0;  // s, Unix
  TokenCount input = 0, output = 0;
  double tool_seconds = 0;
  bool has_tools = false;
};

Row read_row(const std::vector<std::string_view>& fields) {
  Row row;
  row.group = fields[kGroup];
  row.session = fields[kSession];
  row.turn = token_field("turn", fields[kTurn], 0);
  row.submitted = number_field("t_submit", fields[kSubmit], kLatestUnixSeconds, "seconds");
  row.ended = number_field("t_end", fields[kEnd], kLatestUnixSeconds, "seconds");
  row.input = token_field("input_tokens", fields[kInput]);
  row.output = token_field("output_tokens", fields[kOutput]);
  row.has_tools = !fields[kTools].empty();
  if (row.group.empty() || row.session.empty()) throw FieldError("group or session is empty");
  // Groups become names of kinds, which stand in quotes in JSON.
  if (row.group.find_first_of("\"\\") != std::string::npos)
    throw FieldError("group is " + in_quotes(row.group) + ", expects a name without quotes and escapes");
  if (row.ended < row.submitted) throw FieldError("t_end is earlier than t_submit");
  if (!fields[kToolSeconds].empty())
    row.tool_seconds = number_field("tool_s", fields[kToolSeconds], kLatestSeconds, "seconds");
  return row;
}

// Runs `read`; what it cannot read is told with the line.
template <class Read>
auto guarded(const CsvRows& rows, const Read& read) {
  try {
    return read();
  } catch (const FieldError& error) {
    rows.lines().fail(error.what());
  }
}

class AgentTurnsSource : public Source {
 public:
  AgentTurnsSource(const AgentTurnsTrace& trace, std::uint64_t seed)
      : trace_(trace), arrivals_(trace.arrivals, seed), rows_(trace.file, kFormat, kHeader) {
    find_groups();
    ahead_ = read();
    if (!ahead_) rows_.lines().fail_file("has a header but no turns");
  }

  std::optional<RequestSpec> next() override {
    while (ahead_) {
      const std::vector<Row> rows = read_session();
      const auto kind = std::find(kinds_.begin(), kinds_.end(), rows.front().group);
      if (kind == kinds_.end()) continue;
      RequestSpec request;
      request.kind = static_cast<std::uint32_t>(kind - kinds_.begin());
      request.session = std::make_shared<const Session>(session(rows));
      if (arrivals_.given()) request.arrival = arrivals_.next();
      return request;
    }
    return std::nullopt;
  }

  const std::vector<std::string>& kinds() const override { return kinds_; }
  std::optional<std::int64_t> concurrency() const override {
    return arrivals_.given() ? arrivals_.concurrency() : 1;
  }
  double progress() const override { return rows_.lines().progress(); }
  std::string trace_hash() const override { return rows_.lines().provenance(); }
  std::vector<std::string> notes() const override {
    std::vector<std::string> notes;
    if (!arrivals_.given())
      notes.emplace_back("sessions run one after another: the workload has no \"arrivals\"");
    if (trace_.append_only)
      notes.emplace_back("prompts are assumed to go on from those before: the trace does not say");
    notes.emplace_back("the trace's model, llm_s and cache_read are not used");
    return notes;
  }

 private:
  // The kinds, in the order in which the file names them.
  void find_groups() {
    CsvRows rows(trace_.file, kFormat, kHeader);
    std::vector<std::string> groups;
    while (const auto* fields = rows.next()) {
      const std::string_view group = (*fields)[kGroup];
      if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.emplace_back(group);
      if (groups.size() > 1000) rows.lines().fail("there are more than 1000 groups");
    }
    for (const std::string& wanted : trace_.groups) {
      const std::vector<std::string_view> known(groups.begin(), groups.end());
      if (std::find(groups.begin(), groups.end(), wanted) == groups.end())
        rows.lines().fail_file("group " + unknown_word(printable(wanted), known));
    }
    kinds_ = trace_.groups.empty() ? groups : trace_.groups;
    if (kinds_.empty()) kinds_.emplace_back("session");
  }

  std::optional<Row> read() {
    const auto* fields = rows_.next();
    if (fields == nullptr) return std::nullopt;
    return guarded(rows_, [&] { return read_row(*fields); });
  }

  // The rows of the session that is ahead.
  std::vector<Row> read_session() {
    std::vector<Row> rows;
    guarded(rows_, [&] {
      if (!seen_.insert(Hash{}.add(ahead_->group).add("\n").add(ahead_->session).value()).second)
        throw FieldError("session " + in_quotes(ahead_->session) + " goes on behind rows of other sessions");
    });
    do {
      guarded(rows_, [&] {
        if (static_cast<std::size_t>(ahead_->turn) != rows.size())
          throw FieldError("turn is " + std::to_string(ahead_->turn) + ", expects " +
                           std::to_string(rows.size()));
      });
      rows.push_back(std::move(*ahead_));
      ahead_ = read();
    } while (ahead_ && ahead_->group == rows.front().group && ahead_->session == rows.front().session);
    return rows;
  }

  Session session(const std::vector<Row>& rows) {
    Session session;
    session.turns.reserve(rows.size());
    TokenCount longest = 0;  // of the contexts with ids from first_id_ on
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Row& row = rows[i];
      Turn turn;
      turn.prompt_tokens = row.input;
      turn.output_tokens = row.output;
      turn.appended_tokens = row.input;
      if (i > 0) {
        const Row& before = rows[i - 1];
        const double gap = std::max(0.0, row.submitted - before.ended);
        turn.parents = {static_cast<std::uint32_t>(i - 1)};
        turn.tool = {std::min(gap, before.tool_seconds)};
        turn.think = Seconds{gap} - turn.tool;
        turn.trigger = before.has_tools ? Trigger::tool : Trigger::client;
        if (row.input >= before.input)
          turn.appended_tokens = row.input - before.input - (holds_both(before, row) ? before.output : 0);
        if (row.input < before.input) {
          first_id_ += static_cast<std::uint64_t>(longest);
          longest = 0;
        }
      }
      if (trace_.append_only) {
        const bool goes_on = i + 1 < rows.size() && holds_both(row, rows[i + 1]);
        auto content = std::make_shared<PromptContent>();
        content->block_tokens = 1;
        content->tokens = row.input + (goes_on ? row.output : 0);
        content->ranges = {{first_id_, content->tokens}};
        longest = std::max(longest, content->tokens);
        turn.content = std::move(content);
      }
      session.turns.push_back(std::move(turn));
    }
    first_id_ += static_cast<std::uint64_t>(longest);
    return session;
  }

  // Whether a prompt is long enough to hold the one before and its output.
  static bool holds_both(const Row& before, const Row& row) {
    return row.input >= before.input + before.output;
  }

  AgentTurnsTrace trace_;
  SessionArrivals arrivals_;
  CsvRows rows_;
  std::optional<Row> ahead_;
  std::vector<std::string> kinds_;
  std::unordered_set<std::uint64_t> seen_;  // hashes of the names of sessions
  std::uint64_t first_id_ = 0;
};

}  // namespace

AgentTurnsTrace AgentTurnsTrace::read(Reader& r) {
  AgentTurnsTrace trace;
  trace.file = read_trace_file(r);
  trace.groups = r.find<std::vector<std::string>>("groups").value_or(std::vector<std::string>{});
  trace.append_only = r.choice("context", kContexts, "append-only") == 0;
  trace.arrivals = find_arrivals(r);
  return trace;
}

std::unique_ptr<Source> AgentTurnsTrace::open(std::uint64_t seed) const {
  return std::make_unique<AgentTurnsSource>(*this, seed);
}

}  // namespace disagg
