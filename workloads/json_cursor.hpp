#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "workloads/fields.hpp"

namespace disagg {

// A text is not the JSON that its reader expects. what() says in which column and why, without file and line.
struct JsonLineError : FieldError {
  using FieldError::FieldError;
};

// Bytes of the character that a text begins with, when that is well-formed UTF-8 in its shortest form and no
// surrogate (RFC 3629); else 0.
std::size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);

// Reads strict JSON from its beginning to its end, value by value, and copies nothing: a trace's objects are
// many and their arrays long. What a reader asks for and is not there throws JsonLineError. Strings come as
// they are written: escapes and UTF-8 are checked, but not resolved.
class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text) : text_(text) {}

  // The first character of what comes next; '\0' at the end.
  char peek();

  // Enters an object, whose members next_key() then gives one by one: the key, with the cursor in front of
  // the value, which has to be read or skipped; nothing, once, behind the last.
  void open_object();
  std::optional<std::string_view> next_key();
  // The same for an array: whether there is another value.
  void open_array();
  bool next_item();

  std::string_view number();
  std::string_view string();
  // A value of any kind, as it is written. Nested at most 64 levels deep.
  std::string_view skip();
  // Requires that nothing but blanks follows.
  void end();

  // How much of the text has been read.
  std::size_t position() const { return position_; }
  // Of the place reached, from 1 on. O(text).
  std::size_t line() const;
  // "column 7: expects a digit, not '}'"
  [[noreturn]] void fail(std::string_view expected) const;

 private:
  char here() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  bool take(char expected);
  void skip_blanks();
  void skip_digits();
  void skip_value(int levels);
  void take_utf8();

  std::string_view text_;
  std::size_t position_ = 0;
  bool opened_ = false;  // an object or array, just now
};

}  // namespace disagg
