#include "experiments/report_tables.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "sim/base/text.hpp"

namespace disagg {
namespace {

constexpr std::size_t kMostLinks = 1000;
constexpr std::size_t kMostLinksOverTime = 300;
constexpr std::size_t kMostReplicas = 128;

// Lines and cells of a table, whose fields have neither quotes nor commas. The text must outlive them.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  lines.reserve(static_cast<std::size_t>(std::ranges::count(text, '\n')));
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
  }
  return lines;
}

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  cells.reserve(8);
  for (std::size_t begin = 0, end = 0; begin <= line.size(); begin = end + 1) {
    end = std::min(line.find(',', begin), line.size());
    cells.push_back(line.substr(begin, end - begin));
  }
  return cells;
}

std::optional<double> number(std::string_view cell) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size()) return std::nullopt;
  return value;
}

// Of the columns whose values are measured, not counted.
std::string rounded(std::string_view column, std::string_view cell) {
  const auto value = column == "load" || column == "bytes" ? number(cell) : std::nullopt;
  return value ? show_number(*value, 3) : std::string(cell);
}

// What a link joins, whichever its direction.
using Ends = std::pair<std::string_view, std::string_view>;
Ends ends_of(std::string_view link) {
  const std::size_t arrow = std::min(link.find('>'), link.size());
  const std::string_view from = link.substr(0, arrow);
  const std::string_view to = link.substr(std::min(arrow + 1, link.size()));
  return std::minmax(from, to);
}

// Names of the first links of links.csv.
std::unordered_set<std::string_view> first_links(std::string_view links) {
  std::unordered_set<std::string_view> names;
  const std::vector<std::string_view> lines = lines_of(links);
  for (std::size_t i = 1; i < lines.size() && names.size() < kMostLinksOverTime; ++i)
    names.insert(cells_of(lines[i]).front());
  return names;
}

// The mean of the cells of one column that hold a number; none without any.
struct Mean {
  double sum = 0;
  int count = 0;
  void add(std::string_view cell) {
    if (const auto value = number(cell)) {
      sum += *value;
      ++count;
    }
  }
  std::string text() const { return count == 0 ? "" : show_number(sum / count, 3); }
};

// The columns of replica_series.csv.
enum Column : std::size_t { time_s, replica, pool, first_figure };

struct ReplicaGroup {
  std::string name;
  std::string_view pool;
};

// The group of every replica in the order of the table, `size` at most of one pool in each.
std::vector<std::size_t> group_replicas(const std::vector<std::string_view>& pools, std::size_t size,
                                        std::vector<ReplicaGroup>& groups) {
  std::vector<std::size_t> group_of;
  group_of.reserve(pools.size());
  groups.clear();
  std::size_t place = 0;  // in the pool
  for (std::size_t r = 0; r < pools.size(); ++r, ++place) {
    const bool other_pool = r > 0 && pools[r] != pools[r - 1];
    if (other_pool) place = 0;
    if (place % size == 0) groups.push_back({.name = {}, .pool = pools[r]});
    const std::string first = std::to_string(place - place % size);
    const std::string last = std::to_string(place);
    groups.back().name = std::string(pools[r]) + "[" + (first == last ? first : first + ".." + last) + "]";
    group_of.push_back(groups.size() - 1);
  }
  return group_of;
}

}  // namespace

std::string most_loaded_links(const std::string& links) {
  const std::vector<std::string_view> lines = lines_of(links);
  if (lines.size() <= kMostLinks + 1) return links;
  struct Row {
    std::string_view line, link;
    double load;
    double both = 0;  // the greater load of the link's two directions
  };
  std::vector<Row> rows;
  rows.reserve(lines.size() - 1);
  std::map<Ends, double> most;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string_view> cells = cells_of(lines[i]);
    rows.push_back({.line = lines[i], .link = cells.front(), .load = number(cells.back()).value_or(0)});
    double& load = most[ends_of(rows.back().link)];
    load = std::max(load, rows.back().load);
  }
  for (Row& row : rows) row.both = most.at(ends_of(row.link));
  std::ranges::stable_sort(rows, [](const Row& a, const Row& b) {
    if (a.both != b.both) return a.both > b.both;
    const Ends ends = ends_of(a.link);
    const Ends others = ends_of(b.link);
    return ends != others ? ends < others : a.load > b.load;
  });
  std::string text = std::string(lines.front()) + "\n";
  for (std::size_t i = 0; i < kMostLinks; ++i) text.append(rows[i].line).append("\n");
  return text;
}

std::string rows_of_links(const std::string& table, const std::string& links) {
  const std::vector<std::string_view> lines = lines_of(table);
  if (lines.empty()) return {};
  const std::unordered_set<std::string_view> kept = first_links(links);
  const std::vector<std::string_view> columns = cells_of(lines.front());
  const auto link = static_cast<std::size_t>(std::ranges::find(columns, "link") - columns.begin());
  std::string text = std::string(lines.front()) + "\n";
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string_view> cells = cells_of(lines[i]);
    if (link >= cells.size() || !kept.contains(cells[link])) continue;
    for (std::size_t c = 0; c < cells.size(); ++c)
      text.append(c > 0 ? "," : "").append(rounded(columns[c], cells[c]));
    text += "\n";
  }
  return text;
}

std::string grouped_replicas(const std::string& series) {
  const std::vector<std::string_view> lines = lines_of(series);
  if (lines.size() < 2) return series;
  std::vector<std::string_view> pools;  // [replica], of the first date
  const std::string_view first_date = cells_of(lines[1])[time_s];
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string_view> cells = cells_of(lines[i]);
    if (cells[time_s] != first_date) break;
    pools.push_back(cells[pool]);
  }
  std::vector<ReplicaGroup> groups;
  std::size_t size = 1;
  std::vector<std::size_t> group_of = group_replicas(pools, size, groups);
  while (groups.size() > kMostReplicas && size < pools.size())
    group_of = group_replicas(pools, size *= 2, groups);

  const std::size_t columns = cells_of(lines.front()).size();
  std::string text = std::string(lines.front()) + "\n";
  for (std::size_t begin = 1; begin + pools.size() <= lines.size(); begin += pools.size()) {
    std::vector<std::vector<Mean>> means(groups.size(), std::vector<Mean>(columns));
    for (std::size_t r = 0; r < pools.size(); ++r) {
      const std::vector<std::string_view> cells = cells_of(lines[begin + r]);
      for (std::size_t c = first_figure; c < cells.size(); ++c) means[group_of[r]][c].add(cells[c]);
    }
    const std::string time(cells_of(lines[begin])[time_s]);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      text.append(time).append(",").append(groups[g].name).append(",").append(groups[g].pool);
      for (std::size_t c = first_figure; c < columns; ++c) text.append(",").append(means[g][c].text());
      text += "\n";
    }
  }
  return text;
}

}  // namespace disagg
