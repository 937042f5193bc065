#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "experiments/commands.hpp"
#include "experiments/fit_profile.hpp"
#include "experiments/inspect_workload.hpp"
#include "experiments/list.hpp"
#include "experiments/processes.hpp"
#include "experiments/run_folder.hpp"
#include "experiments/scenario.hpp"
#include "sim/base/one_of.hpp"
#include "workloads/workload.hpp"

namespace disagg::commands {
namespace {

using nlohmann::ordered_json;

template <class Variant>
void append_choices(std::string_view seam, std::vector<NamedChoice>& choices) {
  for (std::size_t i = 0; i < OneOf<Variant>::names.size(); ++i)
    choices.push_back({seam, OneOf<Variant>::names[i], OneOf<Variant>::summaries[i]});
}

std::vector<NamedChoice> all_choices() {
  std::vector<NamedChoice> choices;
  append_choices<BatchPolicy>("cluster.pools[].batching", choices);
  append_choices<ServiceModel>("cluster.pools[].service", choices);
  append_choices<EvictionPolicy>("cluster.pools[].prefix_cache.eviction", choices);
  append_choices<RetentionPolicy>("cluster.pools[].prefix_cache.retention", choices);
  append_choices<SpillPolicy>("cluster.pools[].spill", choices);
  append_choices<RoutingPolicy>("cluster.router", choices);
  append_choices<AdmissionPolicy>("cluster.admission", choices);
  append_choices<HandOffPolicy>("cluster.hand_off", choices);
  append_choices<TopologyPolicy>("cluster.topology", choices);
  append_choices<PlacementPolicy>("cluster.placement", choices);
  append_choices<ReplicaFailure>("cluster.failures[]", choices);
  append_choices<NetworkSolver>("network.solver", choices);
  append_choices<LinkFailure>("network.failures[]", choices);
  append_choices<WorkloadKind>("workload", choices);
  append_choices<Arrivals>("workload.arrivals", choices);
  append_choices<Length>("workload.prompt_tokens", choices);
  append_choices<ContextPolicy>("workload.profiles[].context", choices);
  append_choices<Duration>("workload.profiles[].tool", choices);
  return choices;
}

}  // namespace

int inspect_workload(const Options& o) {
  const auto source = open_workload(o.scenarios.front(), o.trace_kind, o.overrides);
  const ordered_json inspection = inspect(*source);
  if (o.json) {
    std::cout << inspection.dump(2) << '\n';
  } else {
    print_inspection(inspection, std::cout);
  }
  return exit_code::kDone;
}

int convert_workload(const Options& o) {
  const auto source = open_workload(o.scenarios.front(), o.trace_kind, o.overrides);
  // Under another name until it is whole.
  const std::filesystem::path part = o.output + ".part";
  std::ofstream out(part);
  if (!out) throw ConfigError("-o " + o.output + ": cannot be written");
  try {
    const std::int64_t rows = write_sessions(*source, out);
    finish_writing(out, part);
    std::filesystem::rename(part, o.output);
    if (!o.quiet) std::cerr << rows << " calls are in " << o.output << '\n';
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    throw;
  }
  return exit_code::kDone;
}

int fit_workload(const Options& o) {
  const auto source = open_workload(o.scenarios.front(), o.trace_kind, o.overrides);
  const ProfileFit fit = fit_profile(
      *source,
      {.name = o.profile_name, .source = o.scenarios.front().filename().string(), .halves = o.halves});
  if (!o.output.empty()) write_file(o.output, fit.profile.dump(1) + "\n");
  if (o.json) {
    std::cout << ordered_json{{"profile", fit.profile}, {"goodness", fit.goodness}}.dump(2) << '\n';
  } else {
    print_fit(fit, std::cout);
  }
  return exit_code::kDone;
}

int list(const Options& o) {
  if (o.what != "policies") return list_command(o.what, o.json, std::cout);
  print_choices(all_choices(), o.json, std::cout);
  return exit_code::kDone;
}

}  // namespace disagg::commands
