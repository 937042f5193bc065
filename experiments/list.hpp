#pragma once

#include <iosfwd>
#include <span>
#include <string_view>

namespace disagg {

// One name that a scenario may write at some place, such as a router.
struct NamedChoice {
  std::string_view seam;  // where: "router"
  std::string_view name;
  std::string_view summary;
};

// Choices in the given order, seam by seam: a table, or {"router": [{"name": ..., "summary": ...}]}.
void print_choices(std::span<const NamedChoice> choices, bool json, std::ostream& out);

// `disagg list WHAT`: writes one catalog as a table, or as JSON with every published figure and its source.
// An accelerator of the JSON may be pasted into a scenario. An empty `what` lists the catalogs. Returns the
// exit code. Throws ConfigError when there is no such catalog.
int list_command(std::string_view what, bool json, std::ostream& out);

}  // namespace disagg
