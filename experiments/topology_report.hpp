#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <ostream>

#include "experiments/scenario.hpp"

namespace disagg {

// What `disagg topology` tells of a scenario's fabric: size, distances, bisection, single points of failure,
// links loaded by hand-offs, parts with price and power. Figures in SI units; null where none is published.
nlohmann::ordered_json topology_json(const Scenario& scenario);
// The same as tables.
void print_topology(const nlohmann::ordered_json& topology, std::ostream& out);

// Writes a drawing (.dot, .svg), the graph (.graphml) or a SimGrid platform (.xml). Throws ConfigError:
// another ending, a file that cannot be written, an .svg without Graphviz.
void export_topology(const Scenario& scenario, const std::filesystem::path& file);

}  // namespace disagg
