#include "workloads/json_cursor.hpp"

#include <algorithm>
#include <array>

#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

constexpr int kDeepest = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_escape(char c) { return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos; }

}  // namespace

char JsonCursor::peek() {
  skip_blanks();
  return here();
}

void JsonCursor::open_object() {
  skip_blanks();
  if (!take('{')) fail("'{'");
  opened_ = true;
}

std::optional<std::string_view> JsonCursor::next_key() {
  const bool first = opened_;
  opened_ = false;
  skip_blanks();
  if (take('}')) return std::nullopt;
  if (!first && !take(',')) fail("',' or '}'");
  if (peek() != '"') fail("a field name in double quotes");
  const std::string_view key = string();
  skip_blanks();
  if (!take(':')) fail("':'");
  skip_blanks();
  return key;
}

void JsonCursor::open_array() {
  skip_blanks();
  if (!take('[')) fail("'['");
  opened_ = true;
}

bool JsonCursor::next_item() {
  const bool first = opened_;
  opened_ = false;
  skip_blanks();
  if (first && take(']')) return false;
  if (first) return true;
  if (take(']')) return false;
  if (!take(',')) fail("',' or ']'");
  skip_blanks();
  return true;
}

std::string_view JsonCursor::number() {
  skip_blanks();
  const std::size_t start = position_;
  const bool negative = take('-');
  if (!negative && !is_digit(here())) fail("a number");
  if (take('0')) {
    if (is_digit(here())) fail("no digit after a leading 0");
  } else {
    skip_digits();
  }
  if (take('.')) skip_digits();
  if (take('e') || take('E')) {
    if (!take('+')) take('-');
    skip_digits();
  }
  return text_.substr(start, position_ - start);
}

std::string_view JsonCursor::string() {
  skip_blanks();
  if (!take('"')) fail("a string in double quotes");
  const std::size_t start = position_;
  while (!take('"')) {
    const auto byte = static_cast<unsigned char>(here());
    if (byte < 0x20) fail("a character or the end of the string");
    if (byte >= 0x80) {
      take_utf8();
      continue;
    }
    const bool escaped = take('\\');
    if (escaped && take('u')) {
      for (int digit = 0; digit < 4; ++digit, ++position_)
        if (!is_hex_digit(here())) fail("a hexadecimal digit");
      continue;
    }
    if (escaped && !is_escape(here())) fail("an escape such as \\n");
    ++position_;
  }
  return text_.substr(start, position_ - 1 - start);
}

std::string_view JsonCursor::skip() {
  skip_blanks();
  const std::size_t start = position_;
  skip_value(kDeepest);
  return text_.substr(start, position_ - start);
}

void JsonCursor::end() {
  skip_blanks();
  if (position_ < text_.size()) fail("nothing behind '}'");
}

std::size_t JsonCursor::line() const {
  const auto reached = text_.substr(0, position_);
  return 1 + static_cast<std::size_t>(std::count(reached.begin(), reached.end(), '\n'));
}

void JsonCursor::fail(std::string_view expected) const {
  const auto newline = text_.substr(0, position_).rfind('\n');
  const std::size_t column = newline == std::string_view::npos ? position_ + 1 : position_ - newline;
  const std::string what = "column " + std::to_string(column) + ": expects " + std::string(expected);
  if (position_ >= text_.size()) throw JsonLineError(what + ", but the line ends");
  throw JsonLineError(what + ", not " + in_quotes(text_.substr(position_, 1)));
}

bool JsonCursor::take(char expected) {
  if (here() != expected || position_ >= text_.size()) return false;
  ++position_;
  return true;
}

void JsonCursor::skip_blanks() {
  while (here() == ' ' || here() == '\t' || here() == '\n' || here() == '\r') ++position_;
}

void JsonCursor::skip_digits() {
  if (!is_digit(here())) fail("a digit");
  while (is_digit(here())) ++position_;
}

void JsonCursor::skip_value(int levels) {
  if (levels == 0) fail("at most 64 levels of nesting");
  switch (peek()) {
    case '"':
      string();
      return;
    case '{':
      open_object();
      while (next_key()) skip_value(levels - 1);
      return;
    case '[':
      open_array();
      while (next_item()) skip_value(levels - 1);
      return;
    default:
      for (const std::string_view literal : {"true", "false", "null"}) {
        if (!text_.substr(position_).starts_with(literal)) continue;
        position_ += literal.size();
        return;
      }
      if (here() != '-' && !is_digit(here())) fail("a value");
      number();
  }
}

void JsonCursor::take_utf8() {
  const std::size_t length = utf8_length(text_.substr(position_));
  if (length == 0) fail("UTF-8");
  position_ += length;
}

std::size_t utf8_length(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return text.empty() ? 0 : 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  bool good = lead >= 0xc2 && lead <= 0xf4;
  for (std::size_t i = 1; i < length; ++i) good = good && (byte(i) & 0xc0U) == 0x80;
  const unsigned second = byte(1);
  if (lead == 0xe0) good = good && second >= 0xa0;
  if (lead == 0xed) good = good && second < 0xa0;
  if (lead == 0xf0) good = good && second >= 0x90;
  if (lead == 0xf4) good = good && second < 0x90;
  return good ? length : 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace disagg
