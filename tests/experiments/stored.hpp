#pragma once

#include <filesystem>
#include <string>

#include "experiments/store.hpp"

namespace disagg::test {

// All that a store holds, in order.
inline std::string contents(const std::filesystem::path& file) {
  const Store store(file);
  std::string text = store.sweep().description + "\n";
  for (const std::size_t point : store.done()) {
    const Store::Point read = *store.get(point);
    text += std::to_string(point) + " " + read.assignments + " " + read.scenario_hash + " " +
            std::to_string(read.result.code) + " " + read.result.output + "\n";
  }
  return text;
}

}  // namespace disagg::test
