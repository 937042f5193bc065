#include "workloads/bailian.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/base/text.hpp"
#include "workloads/fields.hpp"
#include "workloads/json_cursor.hpp"
#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

enum Field : std::size_t { kChat, kParent, kTimestamp, kInput, kOutput, kType, kTurn, kHashIds };
constexpr std::array<std::string_view, 8> kFields{
    "chat_id", "parent_chat_id", "timestamp", "input_length", "output_length", "type", "turn", "hash_ids"};
constexpr std::array<std::string_view, 4> kTypes{"text", "search", "image", "file"};

struct Row {
  std::int64_t chat = 0, parent = 0;  // parent -1: none
  Seconds time{};
  std::uint32_t type = 0;
  Turn turn;
};

std::int64_t whole_number(std::string_view name, std::string_view text, std::int64_t least) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end || value < least) {
    throw FieldError(std::string(name) + " is " + in_quotes(text) + ", expects a whole number from " +
                     std::to_string(least) + " on");
  }
  return value;
}

Row read_row(std::string_view text, TokenCount block_tokens) {
  Row row;
  std::array<bool, kFields.size()> seen{};
  PromptContent ids;
  std::int64_t id_count = 0;
  JsonCursor json(text);
  json.open_object();
  while (const auto key = json.next_key()) {
    const auto found = std::find(kFields.begin(), kFields.end(), *key);
    if (found == kFields.end()) throw FieldError("field " + unknown_word(printable(*key), kFields));
    const auto field = static_cast<std::size_t>(found - kFields.begin());
    if (seen[field]) throw FieldError("field '" + std::string(*key) + "' stands twice in one object");
    seen[field] = true;
    switch (field) {
      case kChat:
        row.chat = whole_number(*found, json.number(), 0);
        break;
      case kParent:
        row.parent = whole_number(*found, json.number(), -1);
        break;
      case kTimestamp:
        row.time = {number_field(*found, json.number(), kLatestSeconds, "seconds")};
        break;
      case kInput:
        row.turn.prompt_tokens = token_field(*found, json.number());
        break;
      case kOutput:
        row.turn.output_tokens = token_field(*found, json.number());
        break;
      case kType: {
        const std::string_view type = json.string();
        const auto known = std::find(kTypes.begin(), kTypes.end(), type);
        if (known == kTypes.end()) throw FieldError("type " + unknown_word(printable(type), kTypes));
        row.type = static_cast<std::uint32_t>(known - kTypes.begin());
        break;
      }
      case kTurn:
        whole_number(*found, json.number(), 0);
        break;
      default:
        json.open_array();
        for (; json.next_item(); ++id_count) ids.append(hash_id_field(*found, json.number()));
    }
  }
  json.end();
  for (std::size_t field = 0; field < kHashIds; ++field)
    if (!seen[field]) throw FieldError("field '" + std::string(kFields[field]) + "' is missing");
  row.turn.content = content_field(std::move(ids.ranges), id_count, row.turn.prompt_tokens, block_tokens);
  return row;
}

class BailianSource : public Source {
 public:
  explicit BailianSource(const BailianTrace& trace)
      : lines_(trace.file, "a Qwen-Bailian JSONL trace"),
        hash_block_tokens_(trace.hash_block_tokens),
        gap_(trace.session_gap) {}

  std::optional<RequestSpec> next() override {
    while (!ended_ && (open_.empty() || open_.front().last + gap_ >= now_)) {
      const auto line = lines_.next();
      if (!line) {
        ended_ = true;
        break;
      }
      try {
        take(read_row(*line, hash_block_tokens_));
      } catch (const FieldError& error) {
        lines_.fail(error.what());
      }
    }
    if (open_.empty()) return std::nullopt;
    OpenSession& first = open_.front();
    RequestSpec request;
    request.arrival = first.times.front() - *start_;
    request.kind = first.kind;
    request.session = std::make_shared<const Session>(std::move(first.session));
    for (const std::int64_t chat : first.chats) places_.erase(chat);
    open_.pop_front();
    ++closed_;
    return request;
  }

  const std::vector<std::string>& kinds() const override { return kinds_; }
  double progress() const override { return lines_.progress(); }
  std::string trace_hash() const override { return lines_.provenance(); }
  std::vector<std::string> notes() const override {
    std::vector<std::string> notes{
        "gaps between turns hold the time to serve the turn before: the trace does not tell it"};
    if (orphans_ > 0)
      notes.push_back(std::to_string(orphans_) +
                      " turns whose parents are not known begin sessions of their own");
    return notes;
  }

 private:
  struct OpenSession {
    std::uint32_t kind = 0;
    Seconds last{};
    Session session;
    std::vector<Seconds> times;       // of the turns
    std::vector<std::int64_t> chats;  // likewise
  };
  struct Place {
    std::uint64_t session = 0;  // number among all sessions
    std::uint32_t turn = 0;
  };

  void take(Row row) {
    if (row.time < now_) {
      throw FieldError("timestamp " + show_exact(row.time.si) + " is earlier than " + show_exact(now_.si) +
                       " of the line before");
    }
    now_ = row.time;
    if (!start_) start_ = row.time;
    if (places_.contains(row.chat)) throw FieldError("chat_id " + std::to_string(row.chat) + " stands twice");
    const auto parent = row.parent >= 0 ? places_.find(row.parent) : places_.end();
    const bool follows = parent != places_.end() && open(parent->second.session).last + gap_ >= now_;
    if (!follows) {
      if (row.parent >= 0) ++orphans_;
      open_.push_back({.kind = row.type, .last = {}, .session = {}, .times = {}, .chats = {}});
    }
    const std::uint64_t number = follows ? parent->second.session : closed_ + open_.size() - 1;
    OpenSession& session = open(number);
    Turn turn = std::move(row.turn);
    turn.appended_tokens = turn.prompt_tokens;
    if (follows) {
      const std::uint32_t before = parent->second.turn;
      const Turn& known = session.session.turns[before];
      turn.parents = {before};
      turn.think = row.time - session.times[before];
      turn.appended_tokens =
          std::max<TokenCount>(0, turn.prompt_tokens - known.prompt_tokens - known.output_tokens);
    }
    places_.emplace(row.chat, Place{number, static_cast<std::uint32_t>(session.session.turns.size())});
    session.last = row.time;
    session.times.push_back(row.time);
    session.chats.push_back(row.chat);
    session.session.turns.push_back(std::move(turn));
  }

  OpenSession& open(std::uint64_t number) { return open_[number - closed_]; }

  TraceLines lines_;
  TokenCount hash_block_tokens_;
  Seconds gap_;
  Seconds now_{};
  std::optional<Seconds> start_;
  bool ended_ = false;
  std::deque<OpenSession> open_;                    // in order of arrival
  std::uint64_t closed_ = 0;                        // sessions given out
  std::unordered_map<std::int64_t, Place> places_;  // of the chats of open sessions
  std::int64_t orphans_ = 0;
  std::vector<std::string> kinds_{kTypes.begin(), kTypes.end()};
};

}  // namespace

BailianTrace BailianTrace::read(Reader& r) {
  return {.file = read_trace_file(r),
          .hash_block_tokens = r.get_or<TokenCount>("hash_block_tokens", "16", Range::positive),
          .session_gap = r.get_or<Seconds>("session_gap", "30 min", Range::positive)};
}

std::unique_ptr<Source> BailianTrace::open(std::uint64_t /*seed*/) const {
  return std::make_unique<BailianSource>(*this);
}

}  // namespace disagg
