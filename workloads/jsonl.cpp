#include "workloads/jsonl.hpp"

#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool is_escape(char c) { return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos; }

}  // namespace

std::optional<JsonField> JsonLine::next() {
  const bool first = !opened_;
  if (first) open();
  skip_spaces();
  if (take('}')) {
    end();
    return std::nullopt;
  }
  if (!first && !take(',')) fail("',' or '}'");
  skip_spaces();
  JsonField field;
  if (peek() != '"') fail("a field name in double quotes");
  field.key = string();
  skip_spaces();
  if (!take(':')) fail("':'");
  skip_spaces();
  switch (peek()) {
    case '"':
      field.kind = JsonField::Kind::string;
      field.text = string();
      break;
    case '[':
      field.kind = JsonField::Kind::numbers;
      field.text = numbers();
      break;
    default:
      field.text = number();
  }
  return field;
}

void JsonLine::fail(std::string_view expected) const {
  const std::string what = "column " + std::to_string(position_ + 1) + ": expects " + std::string(expected);
  if (position_ >= line_.size()) throw JsonLineError(what + ", but the line ends");
  throw JsonLineError(what + ", not " + in_quotes(line_.substr(position_, 1)));
}

bool JsonLine::take(char expected) {
  if (peek() != expected || position_ >= line_.size()) return false;
  ++position_;
  return true;
}

void JsonLine::skip_spaces() {
  while (peek() == ' ' || peek() == '\t') ++position_;
}

void JsonLine::skip_digits() {
  if (!is_digit(peek())) fail("a digit");
  while (is_digit(peek())) ++position_;
}

std::string_view JsonLine::number() {
  const std::size_t start = position_;
  const bool negative = take('-');
  if (!negative && !is_digit(peek())) fail("a number, a string or an array of numbers");
  if (take('0')) {
    if (is_digit(peek())) fail("no digit after a leading 0");
  } else {
    skip_digits();
  }
  if (take('.')) skip_digits();
  if (take('e') || take('E')) {
    if (!take('+')) take('-');
    skip_digits();
  }
  return line_.substr(start, position_ - start);
}

std::string_view JsonLine::string() {
  const std::size_t start = ++position_;
  while (!take('"')) {
    if (static_cast<unsigned char>(peek()) < 0x20) fail("a character or the end of the string");
    const bool escaped = take('\\');
    if (escaped && take('u')) {
      for (int digit = 0; digit < 4; ++digit, ++position_)
        if (!is_hex_digit(peek())) fail("a hexadecimal digit");
      continue;
    }
    if (escaped && !is_escape(peek())) fail("an escape such as \\n");
    ++position_;
  }
  return line_.substr(start, position_ - 1 - start);
}

std::string_view JsonLine::numbers() {
  const std::size_t start = position_++;
  skip_spaces();
  if (!take(']')) {
    while (true) {
      if (peek() != '-' && !is_digit(peek())) fail("a number");
      number();
      skip_spaces();
      if (take(']')) break;
      if (!take(',')) fail("',' or ']'");
      skip_spaces();
    }
  }
  return line_.substr(start, position_ - start);
}

void JsonLine::open() {
  skip_spaces();
  if (!take('{')) fail("'{'");
  opened_ = true;
}

void JsonLine::end() {
  skip_spaces();
  if (position_ < line_.size()) fail("nothing behind '}'");
}

}  // namespace disagg
