#include "workloads/azure.hpp"

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

constexpr std::string_view kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens";

// The next `count` characters of `text`, which are digits, as a number; -1 when they are not.
int take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return -1;
  int number = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return -1;
    number = number * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return number;
}

bool take(std::string_view& text, char expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::chrono::sys_days> take_date(std::string_view& text) {
  const int year = take_digits(text, 4);
  if (year < 1970 || year > 2261 || !take(text, '-')) return std::nullopt;  // fits 64 bits of nanoseconds
  const int month = take_digits(text, 2);
  if (month < 0 || !take(text, '-')) return std::nullopt;
  const int day = take_digits(text, 2);
  if (day < 0) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date};
}

std::optional<std::int64_t> take_second_of_day(std::string_view& text) {
  const int hour = take_digits(text, 2);
  if (hour < 0 || hour > 23 || !take(text, ':')) return std::nullopt;
  const int minute = take_digits(text, 2);
  if (minute < 0 || minute > 59 || !take(text, ':')) return std::nullopt;
  const int second = take_digits(text, 2);
  if (second < 0 || second > 59) return std::nullopt;
  return (hour * 60 + minute) * 60 + second;
}

std::optional<std::int64_t> take_fraction(std::string_view& text) {
  if (!take(text, '.')) return 0;
  std::int64_t nanoseconds = 0;
  std::int64_t unit = 1'000'000'000;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    if (unit == 1) return std::nullopt;
    unit /= 10;
    nanoseconds += unit * (text.front() - '0');
    text.remove_prefix(1);
  }
  if (unit == 1'000'000'000) return std::nullopt;
  return nanoseconds;
}

// The three fields of a row; nothing when there are more or fewer.
std::optional<std::array<std::string_view, 3>> split(std::string_view row) {
  const auto first = row.find(',');
  if (first == std::string_view::npos) return std::nullopt;
  const auto second = row.find(',', first + 1);
  if (second == std::string_view::npos || row.find(',', second + 1) != std::string_view::npos)
    return std::nullopt;
  return std::array{row.substr(0, first), row.substr(first + 1, second - first - 1), row.substr(second + 1)};
}

class AzureSource : public Source {
 public:
  explicit AzureSource(const std::filesystem::path& file) : lines_(file, "an Azure CSV trace") {
    const auto header = lines_.next();
    if (*header != kHeader)
      lines_.fail("expects the header " + std::string(kHeader) + ", not " + in_quotes(*header));
  }

  std::optional<RequestSpec> next() override {
    const auto row = lines_.next();
    if (!row) {
      if (!first_) lines_.fail_file("has a header but no requests");
      return std::nullopt;
    }
    const auto fields = split(*row);
    if (!fields)
      lines_.fail("expects a row of 3 fields, " + std::string(kHeader) + ", not " + in_quotes(*row));
    RequestSpec request;
    request.arrival = arrival((*fields)[0]);
    request.prompt_tokens = tokens("ContextTokens", (*fields)[1]);
    request.output_tokens = tokens("GeneratedTokens", (*fields)[2]);
    return request;
  }

  const std::vector<std::string>& kinds() const override { return kinds_; }
  double progress() const override { return lines_.progress(); }
  std::string trace_hash() const override { return lines_.provenance(); }

 private:
  Seconds arrival(std::string_view text) {
    const auto time = parse_azure_timestamp(text);
    if (!time)
      lines_.fail("timestamp " + in_quotes(text) + " is not of the form 2023-11-16 18:15:46.6805900");
    if (!first_) {
      first_ = time;
    } else if (*time < last_) {
      lines_.fail("timestamp " + in_quotes(text) + " is earlier than " + in_quotes(last_text_) +
                  " of the line before");
    }
    last_ = *time;
    last_text_ = text;
    return {static_cast<double>(*time - *first_) / 1e9};
  }

  TokenCount tokens(std::string_view column, std::string_view text) const {
    const auto count = parse_token_count(text);
    if (!count) {
      lines_.fail(std::string(column) + " is " + in_quotes(text) + ", expects a whole number from 1 to " +
                  std::to_string(kMostTokens));
    }
    return *count;
  }

  TraceLines lines_;
  std::optional<std::int64_t> first_;
  std::int64_t last_ = 0;
  std::string last_text_;
  std::vector<std::string> kinds_{"request"};
};

}  // namespace

std::optional<std::int64_t> parse_azure_timestamp(std::string_view text) {
  const auto date = take_date(text);
  if (!date || !take(text, ' ')) return std::nullopt;
  const auto second = take_second_of_day(text);
  if (!second) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction || (!text.empty() && text != "+00:00")) return std::nullopt;
  return (date->time_since_epoch().count() * std::int64_t{86'400} + *second) * 1'000'000'000 + *fraction;
}

AzureTrace AzureTrace::read(Reader& r) { return {read_trace_file(r)}; }

std::unique_ptr<Source> AzureTrace::open(std::uint64_t /*seed*/) const {
  return std::make_unique<AzureSource>(file);
}

}  // namespace disagg
