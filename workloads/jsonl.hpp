#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace disagg {

// One line of JSONL is not what a JsonLine can read. what() says where and why, without file and line.
struct JsonLineError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct JsonField {
  enum class Kind { number, string, numbers /* an array of them */ };

  std::string_view key;
  Kind kind = Kind::number;
  std::string_view
      text;  // as it is written, a string without its quotes; escapes are checked but not resolved
};

// The fields of one line that holds a flat JSON object: strict JSON, except that values may only be numbers,
// strings and arrays of numbers. Nothing is copied: a trace's rows are many and its arrays long.
class JsonLine {
 public:
  explicit JsonLine(std::string_view line) : line_(line) {}

  // The next field; nothing behind the last one, after which there is no more to ask. Throws JsonLineError.
  std::optional<JsonField> next();

 private:
  [[noreturn]] void fail(std::string_view expected) const;
  char peek() const { return position_ < line_.size() ? line_[position_] : '\0'; }
  bool take(char expected);
  void skip_spaces();
  void skip_digits();
  std::string_view number();
  std::string_view string();
  std::string_view numbers();
  void open();
  void end();

  std::string_view line_;
  std::size_t position_ = 0;
  bool opened_ = false;
};

}  // namespace disagg
