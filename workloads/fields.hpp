#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/memory/prompt_content.hpp"

namespace disagg {

// A field of a trace's row is not what it should be. what() says which and why, without file and line.
struct FieldError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline constexpr std::uint64_t kLargestHashId = 0x7fff'ffff'ffff'ffff;
inline constexpr double kLatestSeconds = 1e9;  // 31 years; exact to well below a microsecond

// A whole number of tokens from `least` to kMostTokens. Throws FieldError.
TokenCount token_field(std::string_view name, std::string_view text, TokenCount least = 1);
// A number from 0 to `most`, of whatever `unit` ("milliseconds") the message names. Throws FieldError.
double number_field(std::string_view name, std::string_view text, double most, std::string_view unit);
// From 0 to kLargestHashId, inside of the array `name`. Throws FieldError.
std::uint64_t hash_id_field(std::string_view name, std::string_view text);

// What a prompt says of which `count` hash blocks are known. There may be as many as its tokens fill, the
// last one perhaps not whole, or one fewer; else FieldError. Nothing without any.
std::shared_ptr<const PromptContent> content_field(std::vector<HashRange> ranges, std::int64_t count,
                                                   TokenCount prompt_tokens, TokenCount block_tokens);

}  // namespace disagg
