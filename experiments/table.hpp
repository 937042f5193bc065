#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "experiments/tone.hpp"

namespace disagg {

// A table for people to read: aligned columns, at least two blanks between them, no trailing blanks. A column
// whose cells all start with a digit or a sign is numeric and aligned to the right; "-" and "" fit in any
// column, and a
// "*" behind a number stands outside the alignment.
class Table {
 public:
  struct Column {
    std::string header;
    std::string unit = "";  // below the header; the line is left out when no column has one
  };

  explicit Table(std::vector<Column> columns, std::string title = "");

  // One cell for each column, and their tones where not all are plain.
  void add(std::vector<std::string> row, std::vector<Tone> tones = {});
  bool empty() const { return rows_.empty(); }

  friend std::ostream& operator<<(std::ostream& out, const Table& table);

 private:
  std::string title_;
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::vector<Tone>> tones_;  // [row], empty where all are plain
};

}  // namespace disagg
