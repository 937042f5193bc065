#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace disagg {

// FNV-1a, 64 bits. Names random streams and identifies scenarios and traces; not cryptographic.
class Hash {
 public:
  constexpr Hash& add(std::string_view bytes) {
    for (const char c : bytes) value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x0000'0100'0000'01b3ULL;
    return *this;
  }
  constexpr std::uint64_t value() const { return value_; }
  std::string hex() const {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text(16, '0');
    for (std::size_t i = 0; i < 16; ++i) text[i] = kDigits[(value_ >> (60 - 4 * i)) & 15U];
    return text;
  }

 private:
  std::uint64_t value_ = 0xcbf2'9ce4'8422'2325ULL;
};

}  // namespace disagg
