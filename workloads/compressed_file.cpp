#include "workloads/compressed_file.hpp"

#include <zstd.h>

#include <array>
#include <boost/iostreams/device/file.hpp>
#include <boost/iostreams/device/mapped_file.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#include <fstream>

#include "sim/base/config.hpp"

namespace disagg {

Compression compression_of(const std::filesystem::path& file) {
  std::array<char, 4> magic{};
  std::ifstream(file, std::ios::binary).read(magic.data(), magic.size());
  // RFC 1952, section 2.3.1; RFC 8878, section 3.1.1.
  if (magic[0] == '\x1f' && magic[1] == '\x8b') return Compression::gzip;
  if (magic == std::array<char, 4>{'\x28', '\xb5', '\x2f', '\xfd'}) return Compression::zstd;
  return Compression::none;
}

namespace {

// Boost's decompressor takes a zstd file that was cut off for a shorter one.
bool has_whole_frames(const std::filesystem::path& file) {
  const boost::iostreams::mapped_file_source bytes(file.string());
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t frame = ZSTD_findFrameCompressedSize(bytes.data() + at, bytes.size() - at);
    if (ZSTD_isError(frame) != 0) return false;
    at += frame;
  }
  return true;
}

}  // namespace

std::unique_ptr<std::istream> open_decompressed(const std::filesystem::path& file) {
  namespace io = boost::iostreams;
  const Compression compression = compression_of(file);
  if (compression == Compression::none) return std::make_unique<std::ifstream>(file, std::ios::binary);
  if (compression == Compression::zstd && !has_whole_frames(file))
    throw ConfigError(file.string() + ": is damaged or cut off: it cannot be read to its end");
  auto in = std::make_unique<io::filtering_istream>();
  if (compression == Compression::gzip) in->push(io::gzip_decompressor());
  if (compression == Compression::zstd) in->push(io::zstd_decompressor());
  in->push(io::file_source(file.string(), std::ios::binary));
  return in;
}

}  // namespace disagg
