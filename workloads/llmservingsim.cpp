#include "workloads/llmservingsim.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/text.hpp"
#include "workloads/fields.hpp"
#include "workloads/json_cursor.hpp"
#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

constexpr std::size_t kLongestLine = 64;  // MiB
constexpr double kLatestNanoseconds = kLatestSeconds * 1e9;

enum Field : std::size_t {
  kInput,
  kOutput,
  kInputIds,
  kOutputIds,
  kArrival,
  kToolDuration,
  kSessionId,
  kSubRequests
};
constexpr std::array<std::string_view, 8> kFields{"input_toks",     "output_toks",     "input_tok_ids",
                                                  "output_tok_ids", "arrival_time_ns", "tool_duration_ns",
                                                  "session_id",     "sub_requests"};

struct Call {
  TokenCount input = 0, output = 0;
  PromptContent input_ids, output_ids;
  std::int64_t input_count = 0, output_count = 0;
  Seconds tools{};  // behind it
};

struct Line {
  Seconds arrival{};
  Call call;
  std::optional<std::vector<Call>> sub_requests;
};

void read_ids(Field field, JsonCursor& json, PromptContent& ids, std::int64_t& count) {
  json.open_array();
  for (; json.next_item(); ++count) ids.append(hash_id_field(kFields[field], json.number()));
}

void require_count(Field ids, std::int64_t count, Field tokens, TokenCount expected) {
  if (count == 0 || count == expected) return;
  throw FieldError(std::string(kFields[ids]) + " holds " + std::to_string(count) + " ids, but " +
                   std::string(kFields[tokens]) + " is " + std::to_string(expected));
}

// Reads an object whose fields, but for those of a call, `read_other` takes.
template <class ReadOther>
Call read_call(JsonCursor& json, std::array<bool, kFields.size()>& seen, const ReadOther& read_other) {
  Call call;
  json.open_object();
  while (const auto key = json.next_key()) {
    const auto found = std::find(kFields.begin(), kFields.end(), *key);
    if (found == kFields.end()) throw FieldError("field " + unknown_word(printable(*key), kFields));
    const auto field = static_cast<std::size_t>(found - kFields.begin());
    if (seen[field]) throw FieldError("field '" + std::string(*key) + "' stands twice in one object");
    seen[field] = true;
    switch (field) {
      case kInput:
        call.input = token_field(*found, json.number());
        break;
      case kOutput:
        call.output = token_field(*found, json.number());
        break;
      case kInputIds:
        read_ids(kInputIds, json, call.input_ids, call.input_count);
        break;
      case kOutputIds:
        read_ids(kOutputIds, json, call.output_ids, call.output_count);
        break;
      default:
        read_other(static_cast<Field>(field), json, call);
    }
  }
  return call;
}

void check_call(const Call& call, const std::array<bool, kFields.size()>& seen) {
  for (const Field required : {kInput, kOutput})
    if (!seen[required]) throw FieldError("field '" + std::string(kFields[required]) + "' is missing");
  require_count(kInputIds, call.input_count, kInput, call.input);
  require_count(kOutputIds, call.output_count, kOutput, call.output);
}

Seconds nanoseconds(Field field, JsonCursor& json) {
  return {number_field(kFields[field], json.number(), kLatestNanoseconds, "nanoseconds") / 1e9};
}

Call read_sub_request(JsonCursor& json) {
  std::array<bool, kFields.size()> seen{};
  Call call = read_call(json, seen, [](Field field, JsonCursor& at, Call& reading) {
    if (field != kToolDuration)
      throw FieldError("field '" + std::string(kFields[field]) + "' does not belong into a sub-request");
    reading.tools = nanoseconds(field, at);
  });
  check_call(call, seen);
  return call;
}

Line read_line(std::string_view text) {
  Line line;
  std::array<bool, kFields.size()> seen{};
  JsonCursor json(text);
  line.call = read_call(json, seen, [&](Field field, JsonCursor& at, Call&) {
    if (field == kArrival) {
      line.arrival = nanoseconds(field, at);
    } else if (field == kSessionId) {
      at.string();
    } else if (field == kSubRequests) {
      line.sub_requests.emplace();
      at.open_array();
      while (at.next_item()) line.sub_requests->push_back(read_sub_request(at));
    } else {
      throw FieldError("field '" + std::string(kFields[field]) + "' belongs into a sub-request");
    }
  });
  json.end();
  if (!seen[kArrival]) throw FieldError("field 'arrival_time_ns' is missing");
  if (!line.sub_requests) {
    check_call(line.call, seen);
    return line;
  }
  for (const Field of_a_call : {kInput, kOutput, kInputIds, kOutputIds})
    if (seen[of_a_call])
      throw FieldError("field '" + std::string(kFields[of_a_call]) + "' does not belong beside sub_requests");
  if (line.sub_requests->empty()) throw FieldError("sub_requests is empty");
  return line;
}

// Ids of tokens, of the output too where they are known.
std::shared_ptr<const PromptContent> content(Call& call) {
  if (call.input_count == 0) return nullptr;
  auto content = std::make_shared<PromptContent>(std::move(call.input_ids));
  for (const HashRange& range : call.output_ids.ranges) content->append(range);
  content->block_tokens = 1;
  content->tokens = call.input_count + call.output_count;
  return content;
}

class LlmServingSimSource : public Source {
 public:
  explicit LlmServingSimSource(const LlmServingSimTrace& trace)
      : lines_(trace.file, "an LLMServingSim JSONL workload", kLongestLine) {}

  std::optional<RequestSpec> next() override {
    const auto text = lines_.next();
    if (!text) return std::nullopt;
    try {
      Line line = read_line(*text);
      if (line.arrival < last_) throw FieldError("arrival_time_ns is earlier than that of the line before");
      last_ = line.arrival;
      return request(line);
    } catch (const FieldError& error) {
      lines_.fail(error.what());
    }
  }

  const std::vector<std::string>& kinds() const override { return kinds_; }
  double progress() const override { return lines_.progress(); }
  std::string trace_hash() const override { return lines_.provenance(); }

 private:
  static RequestSpec request(Line& line) {
    RequestSpec request;
    request.arrival = line.arrival;
    if (!line.sub_requests) {
      request.prompt_tokens = line.call.input;
      request.output_tokens = line.call.output;
      request.content = content(line.call);
      return request;
    }
    Session session;
    session.turns.reserve(line.sub_requests->size());
    Seconds tools{};
    TokenCount known = 0;  // the prompt and the output before
    for (Call& call : *line.sub_requests) {
      Turn turn;
      turn.prompt_tokens = call.input;
      turn.output_tokens = call.output;
      turn.appended_tokens = call.input > known ? call.input - known : 0;
      turn.content = content(call);
      if (!session.turns.empty()) {
        turn.parents = {static_cast<std::uint32_t>(session.turns.size() - 1)};
        turn.trigger = Trigger::tool;
      }
      turn.tool = tools;
      tools = call.tools;
      known = call.input + call.output;
      session.turns.push_back(std::move(turn));
    }
    request.session = std::make_shared<const Session>(std::move(session));
    return request;
  }

  TraceLines lines_;
  Seconds last_{};
  std::vector<std::string> kinds_{"request"};
};

}  // namespace

LlmServingSimTrace LlmServingSimTrace::read(Reader& r) { return {read_trace_file(r)}; }

std::unique_ptr<Source> LlmServingSimTrace::open(std::uint64_t /*seed*/) const {
  return std::make_unique<LlmServingSimSource>(*this);
}

}  // namespace disagg
