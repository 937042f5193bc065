#include "workloads/csv_rows.hpp"

#include <algorithm>
#include <string>

#include "workloads/json_cursor.hpp"

namespace disagg {

CsvRows::CsvRows(const std::filesystem::path& file, std::string_view format, std::string_view header)
    : lines_(file, format),
      header_(header),
      columns_(1 + static_cast<std::size_t>(std::count(header.begin(), header.end(), ','))) {
  const auto first = lines_.next();
  if (*first != header)
    lines_.fail("expects the header " + std::string(header) + ", not " + in_quotes(*first));
}

const std::vector<std::string_view>* CsvRows::next() {
  const auto line = lines_.next();
  if (!line) return nullptr;
  fields_.clear();
  std::string_view rest = *line;
  while (true) {
    const auto comma = rest.find(',');
    fields_.push_back(rest.substr(0, comma));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (fields_.size() != columns_) {
    lines_.fail("expects a row of " + std::to_string(columns_) + " fields, " + std::string(header_) +
                ", not " + in_quotes(*line));
  }
  if (!is_utf8(*line)) lines_.fail("is not UTF-8: " + in_quotes(*line));
  return &fields_;
}

}  // namespace disagg
