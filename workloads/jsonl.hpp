#pragma once

#include <optional>
#include <string_view>

#include "workloads/json_cursor.hpp"

namespace disagg {

struct JsonField {
  enum class Kind { number, string, numbers /* an array of them */ };

  std::string_view key;
  Kind kind = Kind::number;
  std::string_view
      text;  // as it is written, a string without its quotes; escapes are checked but not resolved
};

// The fields of one line that holds a flat JSON object: strict JSON, except that values may only be numbers,
// strings and arrays of numbers.
class JsonLine {
 public:
  explicit JsonLine(std::string_view line) : line_(line), cursor_(line) {}

  // The next field; nothing behind the last one, after which there is no more to ask. Throws JsonLineError.
  std::optional<JsonField> next();

 private:
  std::string_view numbers();

  std::string_view line_;
  JsonCursor cursor_;
  bool opened_ = false;
};

}  // namespace disagg
