#include "workloads/trace_lines.hpp"

#include <charconv>
#include <cstring>
#include <system_error>

#include "workloads/compressed_file.hpp"

namespace disagg {
namespace {

constexpr std::size_t kBlock = std::size_t{64} << 10U;
constexpr std::size_t kShownBytes = 40;

// What keeps the file from being read; empty when nothing does.
std::string unreadable(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return "there is no file '" + file.string() + "'";
  if (!std::filesystem::is_regular_file(file, error)) return "'" + file.string() + "' is not a regular file";
  return {};
}

}  // namespace

std::optional<TokenCount> parse_token_count(std::string_view text) {
  TokenCount count = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc{} || stopped != end || count < 1 || count > kMostTokens) return std::nullopt;
  return count;
}

std::string printable(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string shown;
  for (const char c : text.substr(0, kShownBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      shown += c;
    } else {
      shown += {'\\', 'x', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  return text.size() > kShownBytes ? shown + "..." : shown;
}

std::string in_quotes(std::string_view text) { return "'" + printable(text) + "'"; }

TraceLines::TraceLines(const std::filesystem::path& file, std::string_view format, std::size_t longest)
    : file_(file),
      format_(format),
      longest_(longest << 20U),
      buffer_(std::make_unique_for_overwrite<char[]>(longest_ + kBlock)) {
  if (const std::string why = unreadable(file); !why.empty()) throw ConfigError(why);
  in_ = open_decompressed(file);
  if (!*in_) throw ConfigError("cannot read '" + file.string() + "'");
  if (!fill()) fail_file("is empty; expects " + std::string(format_));
  if (compression_of(file) != Compression::none) return;
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (!error) size_ = size;
}

std::optional<std::string_view> TraceLines::next() {
  ++line_;
  std::size_t searched = 0;
  while (true) {
    const char* const unread = buffer_.get() + begin_;
    if (const void* newline = std::memchr(unread + searched, '\n', end_ - begin_ - searched))
      return take(static_cast<std::size_t>(static_cast<const char*>(newline) - unread) + 1);
    searched = end_ - begin_;
    if (searched > longest_)
      fail("line is longer than " + std::to_string(longest_ >> 20U) + " MiB; this is not " +
           std::string(format_));
    if (!fill()) break;
  }
  if (searched == 0) return std::nullopt;
  return take(searched);
}

bool TraceLines::fill() {
  std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  in_->read(buffer_.get() + end_, static_cast<std::streamsize>(kBlock));
  if (in_->bad()) fail_file("is damaged or cut off: it cannot be read to its end");
  end_ += static_cast<std::size_t>(in_->gcount());
  return in_->gcount() > 0;
}

std::string_view TraceLines::take(std::size_t length) {
  std::string_view line(buffer_.get() + begin_, length);
  begin_ += length;
  given_ += length;
  hash_.add(line);
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

void TraceLines::fail(std::string_view what) const {
  throw ConfigError(file_.string() + ":" + std::to_string(line_) + ": " + std::string(what));
}

void TraceLines::fail_file(std::string_view what) const {
  throw ConfigError(file_.string() + ": " + std::string(what));
}

std::string TraceLines::provenance() const { return file_.filename().string() + " fnv1a:" + hash_.hex(); }

std::filesystem::path read_trace_file(Reader& r) {
  std::filesystem::path file = r.file("file");
  const ConfigNode* written = r.node().find("file");
  const bool named =
      written != nullptr && written->kind == ConfigNode::Kind::string && !written->text.empty();
  if (!named) return file;
  if (const std::string why = unreadable(file); !why.empty()) r.fail("file", why);
  return file;
}

}  // namespace disagg
