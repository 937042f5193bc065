#pragma once

#include <filesystem>
#include <iosfwd>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "workloads/source.hpp"

namespace disagg {

// The workload of a scenario file, of which nothing else is looked at; or, with a `kind`, a bare trace file
// of that kind. Throws ConfigError with every problem.
std::unique_ptr<Source> open_workload(const std::filesystem::path& file, const std::string& kind,
                                      std::span<const std::string> overrides);

// Statistics of a workload by kind of request: counts, token and time percentiles, arrivals, reuse with an
// unlimited prefix cache, and what it asks of a cluster. Reads the source to its end.
nlohmann::ordered_json inspect(Source& source);

void print_inspection(const nlohmann::ordered_json& inspection, std::ostream& out);

}  // namespace disagg
