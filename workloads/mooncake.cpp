#include "workloads/mooncake.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/text.hpp"
#include "workloads/jsonl.hpp"
#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

enum Field : std::size_t { kTimestamp, kInputLength, kOutputLength, kHashIds };
constexpr auto kFields =
    std::to_array<std::string_view>({"timestamp", "input_length", "output_length", "hash_ids"});
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

// What a prompt of `prompt_tokens` tokens says, from "[1, 2, 3]"; nothing from an empty array.
std::shared_ptr<const PromptContent> content(std::string_view text, TokenCount prompt_tokens,
                                             TokenCount block_tokens) {
  PromptContent ids;
  std::int64_t count = 0;
  if (!text.empty()) {
    JsonCursor array(text);
    array.open_array();
    for (; array.next_item(); ++count) ids.append(hash_id_field(kFields[kHashIds], array.number()));
  }
  return content_field(std::move(ids.ranges), count, prompt_tokens, block_tokens);
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
      request.prompt_tokens = token_field(kFields[kInputLength], row[kInputLength]);
      request.output_tokens = token_field(kFields[kOutputLength], row[kOutputLength]);
      request.content = content(row[kHashIds], request.prompt_tokens, hash_block_tokens_);
      return request;
    } catch (const FieldError& error) {
      lines_.fail(error.what());
    }
  }

  Seconds arrival(std::string_view timestamp) {
    const double now = number_field(kFields[kTimestamp], timestamp, kLatestMilliseconds, "milliseconds");
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
