#include "workloads/burstgpt.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "sim/base/text.hpp"
#include "workloads/csv_rows.hpp"
#include "workloads/fields.hpp"

namespace disagg {
namespace {

constexpr std::string_view kHeader = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type";
enum Column : std::size_t { kTimestamp, kModel, kRequest, kResponse, kTotal, kLogType };
constexpr std::array<std::string_view, 2> kLogTypes{"Conversation log", "API log"};

class BurstGptSource : public Source {
 public:
  explicit BurstGptSource(const BurstGptTrace& trace) : rows_(trace.file, "a BurstGPT CSV trace", kHeader) {}

  std::optional<RequestSpec> next() override {
    while (const auto* fields = rows_.next()) {
      RequestSpec request;
      bool failed = false;
      try {
        failed = !read(*fields, request);
      } catch (const FieldError& error) {
        rows_.lines().fail(error.what());
      }
      found_ = true;
      if (!failed) return request;
      ++failed_;
    }
    if (!found_) rows_.lines().fail_file("has a header but no requests");
    return std::nullopt;
  }

  const std::vector<std::string>& kinds() const override { return kinds_; }
  double progress() const override { return rows_.lines().progress(); }
  std::string trace_hash() const override { return rows_.lines().provenance(); }
  std::vector<std::string> notes() const override {
    if (failed_ == 0) return {};
    return {std::to_string(failed_) +
            " requests without response tokens failed in the trace and are left out"};
  }

 private:
  // Whether the request did not fail.
  bool read(const std::vector<std::string_view>& fields, RequestSpec& request) {
    const double time = number_field("Timestamp", fields[kTimestamp], kLatestSeconds, "seconds");
    const TokenCount prompt = token_field("Request tokens", fields[kRequest], 0);
    const TokenCount output = token_field("Response tokens", fields[kResponse], 0);
    const TokenCount total = token_field("Total tokens", fields[kTotal], 0);
    if (total != prompt + output) {
      throw FieldError("Total tokens is " + std::to_string(total) + ", expects " +
                       std::to_string(prompt + output) + ", the sum of request and response");
    }
    const auto type = std::find(kLogTypes.begin(), kLogTypes.end(), fields[kLogType]);
    if (type == kLogTypes.end())
      throw FieldError("Log Type " + unknown_word(printable(fields[kLogType]), kLogTypes));
    if (time < last_) {
      throw FieldError("Timestamp " + show_exact(time) + " is earlier than " + show_exact(last_) +
                       " of a row before");
    }
    last_ = time;
    if (!first_) first_ = time;
    if (output == 0) return false;
    if (prompt == 0) throw FieldError("Request tokens is 0 of a request with a response");
    request.arrival = {time - *first_};
    request.prompt_tokens = prompt;
    request.output_tokens = output;
    request.kind = static_cast<std::uint32_t>(type - kLogTypes.begin());
    return true;
  }

  CsvRows rows_;
  std::optional<double> first_;
  double last_ = 0;
  bool found_ = false;
  std::int64_t failed_ = 0;
  std::vector<std::string> kinds_{kLogTypes.begin(), kLogTypes.end()};
};

}  // namespace

BurstGptTrace BurstGptTrace::read(Reader& r) { return {read_trace_file(r)}; }

std::unique_ptr<Source> BurstGptTrace::open(std::uint64_t /*seed*/) const {
  return std::make_unique<BurstGptSource>(*this);
}

}  // namespace disagg
