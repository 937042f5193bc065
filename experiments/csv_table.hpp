#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace disagg {

// A CSV file with a header line, held as text. Messages name file and line. Fields may be quoted.
class CsvTable {
 public:
  // Throws ConfigError: missing, empty, a column named twice, a row with another number of fields than the
  // header.
  static CsvTable read(const std::filesystem::path& file);

  const std::string& file() const { return file_; }
  const std::vector<std::string>& columns() const { return columns_; }
  std::size_t rows() const { return cells_.size(); }
  int line(std::size_t row) const { return lines_[row]; }
  bool has(std::string_view column) const { return index(column).has_value(); }
  // Throws ConfigError naming the columns that are missing, with what the file has.
  void require(const std::vector<std::string_view>& columns) const;

  // Text of a cell; empty where the column is absent.
  const std::string& text(std::size_t row, std::string_view column) const;
  // A number of at least `least`, or ConfigError with file, line and column; nothing for an empty
  // cell.
  std::optional<double> find_number(std::size_t row, std::string_view column, double least) const;
  double number(std::size_t row, std::string_view column, double least) const;
  // A whole number from 1 to `most`, or ConfigError likewise.
  std::int64_t count(std::size_t row, std::string_view column, std::int64_t most) const;

 private:
  std::optional<std::size_t> index(std::string_view column) const;

  std::string file_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> cells_;
  std::vector<int> lines_;
};

// A field as it is written: in quotes where it has commas, quotes or line breaks.
std::string csv_field(const std::string& text);

}  // namespace disagg
