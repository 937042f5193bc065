#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "workloads/trace_lines.hpp"

namespace disagg {

// The rows of a CSV trace under a header that is known to the letter, one at a time. Fields have no quotes.
class CsvRows {
 public:
  // `format` as of TraceLines. Throws ConfigError when there is no such file or it begins otherwise.
  CsvRows(const std::filesystem::path& file, std::string_view format, std::string_view header);

  // The fields of the next row, one for each column, valid until the next call; nothing at the end. Throws
  // ConfigError at a row with more or fewer, or that is not UTF-8.
  const std::vector<std::string_view>* next();

  const TraceLines& lines() const { return lines_; }

 private:
  TraceLines lines_;
  std::string_view header_;
  std::size_t columns_;
  std::vector<std::string_view> fields_;
};

}  // namespace disagg
