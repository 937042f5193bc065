#include "sim/service/csv_columns.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>
#include <string>

namespace disagg {
namespace {

constexpr std::size_t kLongestLine = 1U << 16U;

std::vector<std::string> split(std::string line) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
  std::vector<std::string> fields(1);
  for (const char c : line) c == ',' ? void(fields.emplace_back()) : fields.back().push_back(c);
  return fields;
}

std::optional<double> positive_number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) || value <= 0)
    return std::nullopt;
  return value;
}

// getline that gives up on lines no table has.
bool read_line(std::istream& in, std::string& line) {
  line.clear();
  for (char c = 0; in.get(c) && c != '\n';) {
    line.push_back(c);
    if (line.size() > kLongestLine) return true;
  }
  return !line.empty() || in.good();
}

}  // namespace

void read_csv_columns(Reader& r, std::vector<double>& tokens, std::vector<Seconds>& prefill,
                      std::vector<Seconds>& decode) {
  const std::filesystem::path file = r.file("file");
  std::array<std::string, 3> wanted;
  if (auto columns = r.object("columns")) {
    wanted = {columns->get<std::string>("tokens"), columns->get<std::string>("prefill"),
              columns->get<std::string>("decode")};
    columns->done();
  }
  std::vector<std::pair<std::string, std::string>> where;
  if (auto filter = r.find_object("where")) {
    for (const std::string& key : filter->keys()) where.emplace_back(key, filter->get<std::string>(key));
    filter->done();
  }
  if (!r.problems().empty()) return;

  std::ifstream in(file);
  if (!in || std::filesystem::is_directory(file))
    return r.fail("file", "cannot read '" + file.string() + "'");
  std::string line;
  if (!read_line(in, line)) return r.fail("file", file.string() + " is empty");
  const std::vector<std::string> header = split(line.substr(0, kLongestLine));
  const std::vector<std::string_view> known(header.begin(), header.end());
  const auto column = [&](const std::string& name) -> std::optional<std::size_t> {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found != header.end()) return static_cast<std::size_t>(found - header.begin());
    r.fail("file", file.string() + ":1: column " + unknown_word(name, known));
    return std::nullopt;
  };
  std::array<std::optional<std::size_t>, 3> at{column(wanted[0]), column(wanted[1]), column(wanted[2])};
  std::vector<std::pair<std::size_t, std::string>> filter;
  for (const auto& [key, value] : where)
    if (const auto index = column(key)) filter.emplace_back(*index, value);
  if (!at[0] || !at[1] || !at[2] || filter.size() != where.size()) return;

  for (int number = 2; read_line(in, line); ++number) {
    if (line.empty()) continue;
    const std::vector<std::string> fields = split(line);
    const std::string place = file.string() + ":" + std::to_string(number) + ": ";
    if (line.size() > kLongestLine)
      return r.fail("file", place + "is longer than 64 KiB; this is not a table of step times");
    if (fields.size() != header.size())
      return r.fail("file", place + "has " + std::to_string(fields.size()) + " fields, the header " +
                                std::to_string(header.size()));
    if (!std::all_of(filter.begin(), filter.end(),
                     [&](const auto& f) { return fields[f.first] == f.second; }))
      continue;
    std::array<double, 3> values{};
    for (std::size_t i = 0; i < 3; ++i) {
      const auto value = positive_number(fields[*at[i]]);
      if (!value)
        return r.fail("file", place + "'" + fields[*at[i]].substr(0, 40) + "' in column " + wanted[i] +
                                  " is not a positive number");
      values[i] = *value;
    }
    tokens.push_back(values[0]);
    prefill.push_back(Seconds{values[1] * 1e-3});
    decode.push_back(Seconds{values[2] * 1e-3});
  }
  if (tokens.empty()) r.fail("file", file.string() + ": no row matches \"where\"");
}

}  // namespace disagg
