#include "experiments/csv_table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>

#include "sim/base/config.hpp"

namespace disagg {
namespace {

std::vector<std::string> split(const std::string& line, const std::string& where) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  if (quoted) throw ConfigError(where + ": a quoted field does not end on its line");
  return fields;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += " " + word;
  return text;
}

}  // namespace

CsvTable CsvTable::read(const std::filesystem::path& file) {
  CsvTable table;
  table.file_ = file.string();
  std::ifstream in(file);
  if (!in || std::filesystem::is_directory(file)) throw ConfigError(table.file_ + ": cannot be read");
  std::string line;
  int number = 0;
  while (std::getline(in, line)) {
    ++number;
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (number == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    if (line.empty() || line == "\r") continue;
    const std::string where = table.file_ + ":" + std::to_string(number);
    auto fields = split(line, where);
    if (table.columns_.empty()) {
      table.columns_ = std::move(fields);
      for (const std::string& column : table.columns_)
        if (std::ranges::count(table.columns_, column) > 1)
          throw ConfigError(where + ": names the column '" + column + "' twice");
      continue;
    }
    if (fields.size() != table.columns_.size())
      throw ConfigError(where + ": " + std::to_string(fields.size()) + " fields, but the header has " +
                        std::to_string(table.columns_.size()));
    table.cells_.push_back(std::move(fields));
    table.lines_.push_back(number);
  }
  if (table.columns_.empty()) throw ConfigError(table.file_ + ": is empty");
  if (table.cells_.empty()) throw ConfigError(table.file_ + ": has a header but no rows");
  return table;
}

std::optional<std::size_t> CsvTable::index(std::string_view column) const {
  const auto found = std::ranges::find(columns_, column);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns_.begin());
}

void CsvTable::require(const std::vector<std::string_view>& columns) const {
  std::string missing;
  for (const std::string_view column : columns)
    if (!has(column)) missing += std::string(missing.empty() ? "" : ", ") + "'" + std::string(column) + "'";
  if (!missing.empty())
    throw ConfigError(file_ + ":1: lacks the column " + missing + "; it has:" + joined(columns_));
}

const std::string& CsvTable::text(std::size_t row, std::string_view column) const {
  static const std::string none;
  const auto at = index(column);
  return at ? cells_[row][*at] : none;
}

std::optional<double> CsvTable::find_number(std::size_t row, std::string_view column, double least) const {
  const std::string& cell = text(row, column);
  if (cell.empty()) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  const std::string where =
      file_ + ":" + std::to_string(lines_[row]) + ": " + std::string(column) + ": '" + cell + "' ";
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value))
    throw ConfigError(where + "is not a number");
  if (value < least) throw ConfigError(where + "must be at least " + show_number(least));
  return value;
}

double CsvTable::number(std::size_t row, std::string_view column, double least) const {
  const auto value = find_number(row, column, least);
  if (!value)
    throw ConfigError(file_ + ":" + std::to_string(lines_[row]) + ": " + std::string(column) + ": is empty");
  return *value;
}

std::int64_t CsvTable::count(std::size_t row, std::string_view column, std::int64_t most) const {
  const double value = number(row, column, 1);
  const std::string where = file_ + ":" + std::to_string(lines_[row]) + ": " + std::string(column) + ": '" +
                            text(row, column) + "' ";
  if (value > static_cast<double>(most)) throw ConfigError(where + "must be at most " + std::to_string(most));
  if (value != std::floor(value)) throw ConfigError(where + "must be a whole number");
  return static_cast<std::int64_t>(value);
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

}  // namespace disagg
