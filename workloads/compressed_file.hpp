#pragma once

#include <filesystem>
#include <istream>
#include <memory>

namespace disagg {

enum class Compression { none, gzip, zstd };

// What a file is compressed with, by its first bytes. A file that cannot be read is not compressed.
Compression compression_of(const std::filesystem::path& file);

// The decompressed bytes of a file. Where it is damaged, reading sets badbit, or this throws ConfigError.
std::unique_ptr<std::istream> open_decompressed(const std::filesystem::path& file);

}  // namespace disagg
