#include "experiments/table.hpp"

#include <algorithm>
#include <ostream>
#include <utility>

#include "sim/base/expect.hpp"

namespace disagg {
namespace {

constexpr std::string_view kGap = "  ";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_blank(std::string_view cell) { return cell.empty() || cell == "-"; }

bool is_number(std::string_view cell) {
  if (cell.size() > 1 && (cell.front() == '-' || cell.front() == '+')) cell.remove_prefix(1);
  return !cell.empty() && is_digit(cell.front());
}

struct Layout {
  std::size_t width = 0;
  bool numeric = false;
  bool marked = false;  // room for a "*" to the right of the numbers
};

Layout layout_of(const Table::Column& column, std::size_t index,
                 const std::vector<std::vector<std::string>>& rows) {
  Layout layout;
  bool numbers = false, words = false;
  for (const auto& row : rows) {
    const std::string& cell = row[index];
    if (is_blank(cell)) continue;
    (is_number(cell) ? numbers : words) = true;
    layout.marked |= cell.ends_with('*');
  }
  layout.numeric = numbers && !words;
  layout.marked &= layout.numeric;
  layout.width = std::max(column.header.size(), column.unit.size());
  for (const auto& row : rows) {
    const bool leaves_room = layout.marked && !row[index].ends_with('*');
    layout.width = std::max(layout.width, row[index].size() + (leaves_room ? 1 : 0));
  }
  return layout;
}

std::string aligned(std::string cell, const Layout& layout, bool is_header) {
  if (layout.marked && !is_header && !cell.ends_with('*')) cell += ' ';
  const std::string padding(layout.width - cell.size(), ' ');
  return layout.numeric ? padding + cell : cell + padding;
}

// Cells beside each other, without the blanks behind the last.
void write_line(std::ostream& out, std::vector<std::string> cells, const std::vector<Tone>& tones) {
  while (!cells.empty() && cells.back().find_first_not_of(' ') == std::string::npos) cells.pop_back();
  if (!cells.empty()) cells.back().erase(cells.back().find_last_not_of(' ') + 1);
  for (std::size_t i = 0; i < cells.size(); ++i)
    out << (i > 0 ? kGap : "") << Toned{cells[i], i < tones.size() ? tones[i] : Tone::plain};
  out << '\n';
}

}  // namespace

Table::Table(std::vector<Column> columns, std::string title)
    : title_(std::move(title)), columns_(std::move(columns)) {}

void Table::add(std::vector<std::string> row, std::vector<Tone> tones) {
  expect(row.size() == columns_.size(),
         "a row of a table has another number of cells than the table has columns");
  rows_.push_back(std::move(row));
  tones_.push_back(std::move(tones));
}

std::ostream& operator<<(std::ostream& out, const Table& table) {
  std::vector<Layout> layouts;
  for (std::size_t i = 0; i < table.columns_.size(); ++i)
    layouts.push_back(layout_of(table.columns_[i], i, table.rows_));
  const auto write_row = [&](bool is_header, const std::vector<Tone>& tones, auto cell_of) {
    std::vector<std::string> cells;
    cells.reserve(layouts.size());
    for (std::size_t i = 0; i < layouts.size(); ++i)
      cells.push_back(aligned(cell_of(i), layouts[i], is_header));
    write_line(out, std::move(cells), tones);
  };
  if (!table.title_.empty()) out << Toned{table.title_, Tone::strong} << "\n\n";
  const std::vector<Tone> strong(layouts.size(), Tone::strong);
  const std::vector<Tone> faint(layouts.size(), Tone::faint);
  write_row(true, strong, [&](std::size_t i) { return table.columns_[i].header; });
  if (std::ranges::any_of(table.columns_, [](const Table::Column& column) { return !column.unit.empty(); }))
    write_row(true, faint, [&](std::size_t i) { return table.columns_[i].unit; });
  for (std::size_t r = 0; r < table.rows_.size(); ++r)
    write_row(false, table.tones_[r], [&](std::size_t i) { return table.rows_[r][i]; });
  return out;
}

}  // namespace disagg
