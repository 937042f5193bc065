#include "tests/support/prompts.hpp"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>

namespace disagg::test {

std::string mooncake_trace(const std::vector<TraceRow>& rows) {
  std::string text;
  for (const TraceRow& row : rows) {
    text += R"({"timestamp": )" + std::to_string(row.arrival_ms) + R"(, "input_length": )" +
            std::to_string(row.prompt_tokens) + R"(, "output_length": )" + std::to_string(row.output_tokens) +
            R"(, "hash_ids": [)";
    for (std::size_t i = 0; i < row.ids.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(row.ids[i]);
    text += "]}\n";
  }
  return text;
}

std::int64_t SharedPrompts::whole(std::int64_t low, std::int64_t high) {
  return boost::random::uniform_int_distribution<std::int64_t>(low, high)(random_);
}

std::vector<std::uint64_t> SharedPrompts::next() {
  std::vector<std::uint64_t> ids;
  if (!told_.empty() && whole(0, 3) > 0) {
    const auto& base = told_[static_cast<std::size_t>(whole(0, static_cast<std::int64_t>(told_.size()) - 1))];
    const auto size = static_cast<std::int64_t>(base.size());
    ids.assign(base.begin(), base.begin() + whole(size / 2, size));
  }
  const std::int64_t room = most_ids_ - static_cast<std::int64_t>(ids.size());
  for (auto more = whole(ids.empty() ? 1 : 0, std::max<std::int64_t>(room / 2, ids.empty() ? 1 : 0));
       more > 0; --more) {
    last_id_ += static_cast<std::uint64_t>(whole(1, 2));  // a gap now and then: prompts of several ranges
    ids.push_back(last_id_);
  }
  told_.push_back(ids);
  if (told_.size() > 30) told_.erase(told_.begin());
  return ids;
}

TokenCount SeenPrompts::meet(TokenCount prompt_tokens, const std::vector<std::uint64_t>& ids) {
  const TokenCount kept = prompt_tokens / block_tokens_ * block_tokens_;
  TokenCount shared = 0;
  std::size_t at = 0;
  bool known = true;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const TokenCount begin = static_cast<TokenCount>(i) * hash_tokens_;
    const TokenCount end = begin + hash_tokens_;
    const auto [found, is_new] = prefixes_[at].next.try_emplace(ids[i], prefixes_.size());
    at = found->second;
    if (is_new) prefixes_.emplace_back();
    Prefix& prefix = prefixes_[at];
    known = known && prefix.kept > begin;
    if (known) shared = std::min(prefix.kept, end);
    known = known && prefix.kept >= end;
    if (kept > begin) prefix.kept = std::max(prefix.kept, std::min(kept, end));
  }
  return std::min(shared, prompt_tokens - 1) / block_tokens_ * block_tokens_;
}

TokenCount LeastRecentPrompts::meet(const TraceRow& row) {
  const TokenCount whole = row.prompt_tokens / block_tokens_;
  const TokenCount all = (row.prompt_tokens + row.output_tokens - 1 + block_tokens_ - 1) / block_tokens_;
  std::vector<Prefix> own;
  TokenCount found = 0;
  for (auto end = row.ids.begin() + 1; end <= row.ids.begin() + whole; ++end) {
    own.emplace_back(row.ids.begin(), end);
    found += std::erase(cached_, own.back()) > 0 ? block_tokens_ : 0;
  }
  cached_.resize(std::min(cached_.size(), static_cast<std::size_t>(blocks_ - all)));
  cached_.insert(cached_.begin(), own.begin(), own.end());
  return found;
}

}  // namespace disagg::test
