#include "workloads/jsonl.hpp"

namespace disagg {

std::optional<JsonField> JsonLine::next() {
  if (!opened_) cursor_.open_object();
  opened_ = true;
  const auto key = cursor_.next_key();
  if (!key) {
    cursor_.end();
    return std::nullopt;
  }
  JsonField field;
  field.key = *key;
  const char first = cursor_.peek();
  if (first == '"') {
    field.kind = JsonField::Kind::string;
    field.text = cursor_.string();
  } else if (first == '[') {
    field.kind = JsonField::Kind::numbers;
    field.text = numbers();
  } else {
    if (first != '-' && (first < '0' || first > '9'))
      cursor_.fail("a number, a string or an array of numbers");
    field.text = cursor_.number();
  }
  return field;
}

// From '[' to ']'.
std::string_view JsonLine::numbers() {
  const std::size_t start = cursor_.position();
  cursor_.open_array();
  while (cursor_.next_item()) cursor_.number();
  return line_.substr(start, cursor_.position() - start);
}

}  // namespace disagg
