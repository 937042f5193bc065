#include "workloads/fields.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "sim/base/text.hpp"
#include "workloads/trace_lines.hpp"

namespace disagg {

TokenCount token_field(std::string_view name, std::string_view text, TokenCount least) {
  if (least == 0 && text == "0") return 0;
  const auto count = parse_token_count(text);
  if (!count) {
    throw FieldError(std::string(name) + " is " + in_quotes(text) + ", expects a whole number from " +
                     std::to_string(least) + " to " + std::to_string(kMostTokens));
  }
  return *count;
}

double number_field(std::string_view name, std::string_view text, double most, std::string_view unit) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end || !(value >= 0 && value <= most)) {
    std::string bound = show_exact(most);
    std::erase(bound, '+');  // 1e12, not 1e+12
    throw FieldError(std::string(name) + " is " + in_quotes(text) + ", expects " + std::string(unit) +
                     " from 0 to " + bound);
  }
  return value;
}

std::uint64_t hash_id_field(std::string_view name, std::string_view text) {
  std::uint64_t id = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, id);
  if (error != std::errc{} || stopped != end || id > kLargestHashId) {
    throw FieldError(std::string(name) + " holds " + in_quotes(text) +
                     ", expects whole numbers from 0 to 2^63 - 1");
  }
  return id;
}

std::shared_ptr<const PromptContent> content_field(std::vector<HashRange> ranges, std::int64_t count,
                                                   TokenCount prompt_tokens, TokenCount block_tokens) {
  if (count == 0) return nullptr;
  const std::int64_t whole = prompt_tokens / block_tokens;
  const std::int64_t all = (prompt_tokens + block_tokens - 1) / block_tokens;
  if (count != whole && count != all) {
    throw FieldError("hash_ids holds " + std::to_string(count) + " ids, expects " + std::to_string(all) +
                     ", one for each " + std::to_string(block_tokens) + " of " +
                     std::to_string(prompt_tokens) + " tokens");
  }
  auto content = std::make_shared<PromptContent>();
  content->block_tokens = block_tokens;
  content->tokens = std::min(prompt_tokens, count * block_tokens);
  content->ranges = std::move(ranges);
  return content;
}

}  // namespace disagg
