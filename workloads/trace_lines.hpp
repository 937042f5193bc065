#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sim/base/config.hpp"
#include "sim/base/hash.hpp"
#include "sim/base/quantity.hpp"

namespace disagg {

// Beyond this a token count is taken for a mistake.
inline constexpr TokenCount kMostTokens = 1'000'000'000;

// Whole numbers from 1 to kMostTokens; nothing for any other text.
std::optional<TokenCount> parse_token_count(std::string_view text);

// A text of unknown origin made fit for a message: shortened, and bytes that are not printable ASCII as \xNN.
std::string printable(std::string_view text);
std::string in_quotes(std::string_view text);  // the same in single quotes

// The lines of a trace file, plain, gzip or zstd, one at a time. Memory does not grow with the file, nor with
// a line.
class TraceLines {
 public:
  // `format` names what the file should be, for messages: "an Azure CSV trace". Lines may be `longest` MiB.
  // Throws ConfigError when there is no such file, or it is empty.
  TraceLines(const std::filesystem::path& file, std::string_view format, std::size_t longest = 1);

  // The next line without "\n" or "\r\n", valid until the next call; nothing at the end of the file.
  // Throws ConfigError at a line that is too long.
  std::optional<std::string_view> next();

  // Throws ConfigError "FILE:LINE: what" for the line that next() gave last.
  [[noreturn]] void fail(std::string_view what) const;
  // The same for the file as a whole.
  [[noreturn]] void fail_file(std::string_view what) const;

  // Share of the file that has been given out, 0 to 1; below 0 for a compressed one, of which it is not
  // known.
  double progress() const { return size_ ? static_cast<double>(given_) / static_cast<double>(*size_) : -1; }
  // File name, and hash of the decompressed lines read so far: of the whole file at its end.
  std::string provenance() const;

 private:
  // Reads on behind what is unread; false at the end of the file.
  bool fill();
  std::string_view take(std::size_t length);

  std::filesystem::path file_;
  std::string_view format_;
  std::unique_ptr<std::istream> in_;
  std::size_t longest_;  // bytes of a line
  std::unique_ptr<char[]> buffer_;
  std::size_t begin_ = 0;  // unread: buffer_[begin_, end_)
  std::size_t end_ = 0;
  std::int64_t line_ = 0;
  std::optional<std::uintmax_t> size_;
  std::uintmax_t given_ = 0;  // bytes of the lines given out
  Hash hash_;
};

// The "file" of a trace, with a problem in the reader when there is none.
std::filesystem::path read_trace_file(Reader& r);

}  // namespace disagg
