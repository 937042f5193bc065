#include "workloads/mooncake.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <system_error>
#include <vector>

#include "sim/base/text.hpp"
#include "workloads/jsonl.hpp"
#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

enum Field : std::size_t { kTimestamp, kInputLength, kOutputLength, kHashIds };
constexpr auto kFields =
    std::to_array<std::string_view>({"timestamp", "input_length", "output_length", "hash_ids"});
constexpr std::uint64_t kLargestHashId = 0x7fff'ffff'ffff'ffff;
constexpr double kLatestMilliseconds = 1e12;  // 31 years; exact to well below a microsecond

// The values of the known fields, as written; empty where a field is not there.
using Row = std::array<std::string_view, kFields.size()>;

Row parse_row(std::string_view line) {
  Row row;
  JsonLine fields(line);
  while (const auto field = fields.next()) {
    const auto found = std::find(kFields.begin(), kFields.end(), field->key);
    if (found == kFields.end()) throw JsonLineError("field " + unknown_word(printable(field->key), kFields));
    const auto index = static_cast<std::size_t>(found - kFields.begin());
    const bool wants_array = index == kHashIds;
    if (field->kind != (wants_array ? JsonField::Kind::numbers : JsonField::Kind::number)) {
      throw JsonLineError(std::string(*found) + " is " + in_quotes(field->text) + ", expects " +
                          (wants_array ? "an array of numbers" : "a number"));
    }
    if (!row[index].empty())
      throw JsonLineError("field '" + std::string(*found) + "' stands twice in one object");
    row[index] = field->text;
  }
  for (const Field required : {kTimestamp, kInputLength, kOutputLength})
    if (row[required].empty())
      throw JsonLineError("field '" + std::string(kFields[required]) + "' is missing");
  return row;
}

double milliseconds(std::string_view text) {
  double value = 0;
  const auto error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
  if (error != std::errc{} || value < 0 || value > kLatestMilliseconds)
    throw JsonLineError("timestamp is " + in_quotes(text) + ", expects milliseconds from 0 to 1e12");
  return value;
}

TokenCount tokens(std::string_view field, std::string_view text) {
  const auto count = parse_token_count(text);
  if (!count) {
    throw JsonLineError(std::string(field) + " is " + in_quotes(text) +
                        ", expects a whole number from 1 to " + std::to_string(kMostTokens));
  }
  return *count;
}

// What a prompt of `prompt_tokens` tokens says, from "[1, 2, 3]"; nothing from an empty array.
std::shared_ptr<const PromptContent> content(std::string_view text, TokenCount prompt_tokens,
                                             TokenCount block_tokens) {
  const auto content = std::make_shared<PromptContent>();
  std::int64_t count = 0;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    at = std::find_if(at, end, [](char c) { return c != '[' && c != ',' && c != ' ' && c != '\t'; });
    if (at == end || *at == ']') break;
    const char* const begin = at;
    at = std::find_if(at, end, [](char c) { return c == ',' || c == ']' || c == ' ' || c == '\t'; });
    std::uint64_t id = 0;
    const auto [stopped, error] = std::from_chars(begin, at, id);
    if (error != std::errc{} || stopped != at || id > kLargestHashId) {
      throw JsonLineError("hash_ids holds " + in_quotes({begin, static_cast<std::size_t>(at - begin)}) +
                          ", expects whole numbers from 0 to 2^63 - 1");
    }
    content->append(id);
    ++count;
  }
  if (count == 0) return nullptr;
  const std::int64_t whole = prompt_tokens / block_tokens;
  const std::int64_t all = (prompt_tokens + block_tokens - 1) / block_tokens;
  if (count != whole && count != all) {
    throw JsonLineError("hash_ids holds " + std::to_string(count) + " ids, expects " + std::to_string(all) +
                        ", one for each " + std::to_string(block_tokens) + " of " +
                        std::to_string(prompt_tokens) + " tokens");
  }
  content->block_tokens = block_tokens;
  content->tokens = std::min(prompt_tokens, count * block_tokens);
  return content;
}

class MooncakeSource : public Source {
 public:
  explicit MooncakeSource(const MooncakeTrace& trace)
      : lines_(trace.file, "a Mooncake JSONL trace"),
        spread_(trace.spread),
        hash_block_tokens_(trace.hash_block_tokens),
        ahead_(read_request()) {}

  std::optional<RequestSpec> next() override {
    if (given_ == group_.size()) read_group();
    if (group_.empty()) return std::nullopt;
    return group_[given_++];
  }

  const std::vector<std::string>& kinds() const override { return kinds_; }
  double progress() const override { return lines_.progress(); }
  std::string trace_hash() const override { return lines_.provenance(); }

 private:
  std::optional<RequestSpec> read_request() {
    const auto line = lines_.next();
    if (!line) return std::nullopt;
    try {
      const Row row = parse_row(*line);
      RequestSpec request;
      request.arrival = arrival(row[kTimestamp]);
      request.prompt_tokens = tokens(kFields[kInputLength], row[kInputLength]);
      request.output_tokens = tokens(kFields[kOutputLength], row[kOutputLength]);
      request.content = content(row[kHashIds], request.prompt_tokens, hash_block_tokens_);
      return request;
    } catch (const JsonLineError& error) {
      lines_.fail(error.what());
    }
  }

  Seconds arrival(std::string_view timestamp) {
    const double now = milliseconds(timestamp);
    if (now < last_milliseconds_) {
      throw JsonLineError("timestamp " + std::string(timestamp) + " is earlier than " +
                          show_exact(last_milliseconds_) + " of the line before");
    }
    last_milliseconds_ = now;
    return {now / 1e3};
  }

  // The next requests with one timestamp, if they are to be spread; else the next request alone.
  void read_group() {
    group_.clear();
    given_ = 0;
    if (!ahead_) return;
    const Seconds start = ahead_->arrival;
    do {
      group_.push_back(*ahead_);
      ahead_ = read_request();
    } while (spread_ > Seconds{} && ahead_ && ahead_->arrival == start);
    const Seconds room = ahead_ ? std::min(spread_, ahead_->arrival - start) : spread_;
    for (std::size_t i = 0; i < group_.size(); ++i)
      group_[i].arrival += room * ((static_cast<double>(i) + 0.5) / static_cast<double>(group_.size()));
  }

  TraceLines lines_;
  Seconds spread_;
  TokenCount hash_block_tokens_;
  double last_milliseconds_ = 0;
  std::vector<std::string> kinds_{"request"};
  std::optional<RequestSpec> ahead_;
  std::vector<RequestSpec> group_;
  std::size_t given_ = 0;  // requests of the group that next() has returned
};

}  // namespace

MooncakeTrace MooncakeTrace::read(Reader& r) {
  return {.file = read_trace_file(r),
          .spread = r.get_or<Seconds>("spread", "0 s", Range::non_negative),
          .hash_block_tokens = r.get_or<TokenCount>("hash_block_tokens", "512", Range::positive)};
}

std::unique_ptr<Source> MooncakeTrace::open(std::uint64_t /*seed*/) const {
  return std::make_unique<MooncakeSource>(*this);
}

}  // namespace disagg
