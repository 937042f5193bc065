#include "experiments/topology_report.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "experiments/run_folder.hpp"
#include "experiments/table.hpp"
#include "sim/base/text.hpp"
#include "topology/analysis.hpp"
#include "topology/export.hpp"
#include "topology/parts.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

constexpr int kSampledPrompts = 1000;
constexpr std::size_t kShownLinks = 10;
constexpr std::size_t kShownPoints = 12;
constexpr double kPicojoulePerBit = 8e-12;  // J/byte

std::string kind_in(const ordered_json& cluster, const char* seam) {
  const ordered_json& choice = cluster.at(seam);
  return choice.is_string() ? choice.get<std::string>() : choice.at("kind").get<std::string>();
}

// KV cache of a prompt, on average over the first of the workload.
struct MeanPrompt {
  int sampled = 0;
  double tokens = 0;
  Bytes kv{};
};

MeanPrompt mean_prompt(const Scenario& scenario) {
  const ReplicaShape& shape = scenario.cluster.pools.front().shape;
  const TransformerWork work(shape.model, shape.precision, 1);
  const auto source = scenario.workload->open(scenario.cluster.seed);
  MeanPrompt mean;
  while (mean.sampled < kSampledPrompts) {
    const auto request = source->next();
    if (!request) break;
    ++mean.sampled;
    mean.tokens += static_cast<double>(request->prompt_tokens);
    mean.kv += work.kv_bytes(static_cast<double>(request->prompt_tokens));
  }
  if (mean.sampled == 0) return mean;
  mean.tokens /= mean.sampled;
  mean.kv = mean.kv / mean.sampled;
  return mean;
}

template <class Q>
ordered_json or_null(const std::optional<Q>& quantity) {
  return quantity ? ordered_json(quantity->si) : ordered_json(nullptr);
}

ordered_json hand_offs_json(const Scenario& scenario) {
  const HandOffEnds& ends = scenario.hand_offs;
  const auto loads = link_loads(scenario.platform, scenario.cluster.routes, ends.from, ends.to);
  if (loads.empty()) return nullptr;
  const MeanPrompt prompt = mean_prompt(scenario);
  ordered_json links = ordered_json::array();
  for (const LinkLoad& load : loads) {
    const PlatformLink& link = scenario.platform.links[load.link.index];
    const Bytes bytes = prompt.kv * load.share;
    links.push_back({{"link", link.name},
                     {"bandwidth", link.capacity.si},
                     {"share_of_bytes", load.share},
                     {"flows", load.flows},
                     {"requests_per_second_when_full",
                      bytes.si > 0 ? ordered_json((link.capacity / bytes).si) : ordered_json(nullptr)}});
  }
  return {{"from", ends.from.size()},
          {"to", ends.to.size()},
          {"prompts_sampled", prompt.sampled},
          {"mean_prompt_tokens", prompt.tokens},
          {"mean_prompt_kv_bytes", prompt.kv.si},
          {"links", std::move(links)}};
}

ordered_json parts_json(const Fabric& fabric) {
  ordered_json rows = ordered_json::array();
  double price = 0;
  double power = 0;
  bool complete = true;
  for (const FabricPart& part : parts_of(fabric)) {
    rows.push_back({{"part", part.name},
                    {"count", part.count},
                    {"price_usd", or_null(part.price)},
                    {"power_w", or_null(part.power)},
                    {"assumed", part.assumed},
                    {"source", part.source}});
    if (part.price) price += part.price->si * part.count;
    if (part.power) power += part.power->si * part.count;
    complete = complete && part.price && part.power;
  }
  return {{"parts", std::move(rows)}, {"price_usd", price}, {"power_w", power}, {"complete", complete}};
}

std::string number(const ordered_json& value, double unit, int digits = 4) {
  return value.is_null() ? "-" : show_number(value.get<double>() / unit, digits);
}

void print_links(const ordered_json& topology, std::ostream& out) {
  Table table(
      {{"links"}, {"count"}, {"bandwidth of all", "GB/s"}, {"energy", "pJ/bit"}, {"source of energy"}});
  for (const ordered_json& row : topology.at("links"))
    table.add({row.at("medium"), std::to_string(row.at("count").get<std::int64_t>()),
               number(row.at("bandwidth"), 1e9),
               number(row.at("energy_pj_per_bit"), 1) + (row.at("energy_assumed").get<bool>() ? "*" : ""),
               row.at("energy_source")});
  out << table << '\n';
}

void print_hand_offs(const ordered_json& hand_offs, std::ostream& out) {
  if (hand_offs.is_null()) {
    out << "No replica hands its KV cache to another.\n\n";
    return;
  }
  out << "Most loaded links, when " << hand_offs.at("from") << " replicas hand off to " << hand_offs.at("to")
      << " equally often; a prompt has " << number(hand_offs.at("mean_prompt_tokens"), 1)
      << " tokens on average,\n"
      << show(Bytes{hand_offs.at("mean_prompt_kv_bytes").get<double>()}) << " of KV cache (first "
      << hand_offs.at("prompts_sampled") << " of the workload)\n\n";
  Table table({{"link"}, {"bandwidth", "GB/s"}, {"bytes", "%"}, {"flows"}, {"full at", "req/s"}});
  const ordered_json& links = hand_offs.at("links");
  for (std::size_t i = 0; i < std::min(kShownLinks, links.size()); ++i)
    table.add({links[i].at("link"), number(links[i].at("bandwidth"), 1e9),
               show_percent(links[i].at("share_of_bytes").get<double>()),
               std::to_string(links[i].at("flows").get<std::int64_t>()),
               number(links[i].at("requests_per_second_when_full"), 1)});
  out << table << '\n';
}

void print_parts(const ordered_json& bill, std::ostream& out) {
  Table table({{"part"}, {"count"}, {"price", "USD"}, {"power", "W"}, {"source"}});
  for (const ordered_json& row : bill.at("parts")) {
    const std::string mark = row.at("assumed").get<bool>() ? "*" : "";
    const auto cell = [&](const char* key) {
      const std::string text = number(row.at(key), 1);
      return text == "-" ? text : text + mark;
    };
    table.add(
        {row.at("part"), number(row.at("count"), 1), cell("price_usd"), cell("power_w"), row.at("source")});
  }
  out << table << "\nfabric in all: " << number(bill.at("price_usd"), 1) << " USD, "
      << number(bill.at("power_w"), 1) << " W"
      << (bill.at("complete").get<bool>() ? "" : ", without the parts that have no published figure")
      << "; NVLink inside hosts is in the accelerators' price.\n* assumed or unverified.\n";
}

// Runs Graphviz' dot on `dot`. A file that cannot be drawn is not left behind.
void draw_svg(const std::string& dot, const std::filesystem::path& file) {
  std::filesystem::path source = file;
  source += ".dot";
  write_file(source, dot);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execlp("dot", "dot", "-Tsvg", "-o", file.c_str(), source.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  if (child > 0) ::waitpid(child, &status, 0);
  std::error_code ignored;
  std::filesystem::remove(source, ignored);
  if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127)
    throw ConfigError(
        "--export " + file.string() +
        ": an .svg needs the program 'dot'; install the package graphviz, or export a .dot file");
  throw ConfigError("--export " + file.string() + ": 'dot' could not draw it");
}

}  // namespace

ordered_json topology_json(const Scenario& scenario) {
  const PlacedCluster& placed = scenario.placed;
  const FabricAnalysis analysis = analyse(placed.fabric);
  const ordered_json cluster = ordered_json::parse(scenario.resolved).at("cluster");
  std::int64_t used = 0;
  for (const PoolSetup& pool : scenario.cluster.pools)
    used += pool.replicas * pool.shape.parallelism.accelerators();
  ordered_json vertices = ordered_json::object();
  for (const auto& [kind, count] : analysis.vertices)
    vertices[std::string(kVertexKindNames.at(static_cast<std::size_t>(kind)))] = count;
  ordered_json links = ordered_json::array();
  for (const FabricAnalysis::Links& row : analysis.links) {
    const MediumEnergy& energy = energy_of(row.medium);
    links.push_back({{"medium", kMediumNames.at(static_cast<std::size_t>(row.medium))},
                     {"count", row.ports},
                     {"bandwidth", row.bandwidth.si},
                     {"energy_pj_per_bit",
                      row.energy ? ordered_json(row.energy->si / kPicojoulePerBit) : ordered_json(nullptr)},
                     {"energy_assumed", energy.assumed && !row.energy_given},
                     {"energy_source", row.energy_given ? "edges of the scenario" : energy.source}});
  }
  return {{"scenario", scenario.name},
          {"topology", kind_in(cluster, "topology")},
          {"placement", kind_in(cluster, "placement")},
          {"hosts", placed.fabric.hosts.size()},
          {"hosts_used", placed.hosts},
          {"accelerators", analysis.accelerators},
          {"accelerators_used", used},
          {"vertices", std::move(vertices)},
          {"links", std::move(links)},
          {"diameter_hops", analysis.diameter},
          {"diameter_latency_s", analysis.latency.si},
          {"bisection_bandwidth", or_null(analysis.bisection)},
          {"injection_bandwidth", or_null(analysis.injection)},
          {"oversubscription", analysis.bisection ? ordered_json(analysis.oversubscription()) : nullptr},
          {"single_points_of_failure", analysis.single_points},
          {"hand_offs", hand_offs_json(scenario)},
          {"bill", parts_json(placed.fabric)},
          {"assumptions", scenario.placed.fabric.assumptions}};
}

void print_topology(const ordered_json& topology, std::ostream& out) {
  out << topology.at("topology").get<std::string>() << " with " << topology.at("placement").get<std::string>()
      << " placement: " << topology.at("hosts_used") << " of " << topology.at("hosts") << " hosts and "
      << topology.at("accelerators_used") << " of " << topology.at("accelerators")
      << " accelerators in use\n\n";
  Table vertices({{"vertices"}, {"count"}});
  for (const auto& [kind, count] : topology.at("vertices").items())
    vertices.add({kind, std::to_string(count.get<std::int64_t>())});
  out << vertices << '\n';
  print_links(topology, out);

  std::string points;
  const ordered_json& single = topology.at("single_points_of_failure");
  for (std::size_t i = 0; i < std::min(kShownPoints, single.size()); ++i)
    points += (i > 0 ? " " : "") + single[i].get<std::string>();
  if (single.size() > kShownPoints)
    points += " and " + std::to_string(single.size() - kShownPoints) + " more";
  out << "diameter                  " << topology.at("diameter_hops") << " hops, "
      << show(Seconds{topology.at("diameter_latency_s").get<double>()}) << " between hosts\n";
  if (!topology.at("bisection_bandwidth").is_null())
    out << "bisection bandwidth       "
        << show(BytesPerSecond{topology.at("bisection_bandwidth").get<double>()})
        << " per direction; the ports of half "
        << "the hosts could send " << show(BytesPerSecond{topology.at("injection_bandwidth").get<double>()})
        << '\n'
        << "oversubscription          " << number(topology.at("oversubscription"), 1) << '\n';
  out << "single points of failure  " << (points.empty() ? "none" : points) << "\n\n";
  print_hand_offs(topology.at("hand_offs"), out);
  print_parts(topology.at("bill"), out);
  for (const ordered_json& assumption : topology.at("assumptions"))
    out << "assumed: " << assumption.get<std::string>() << '\n';
}

void export_topology(const Scenario& scenario, const std::filesystem::path& file) {
  constexpr std::array<std::string_view, 4> kEndings{".dot", ".svg", ".graphml", ".xml"};
  const std::string ending = file.extension().string();
  if (ending == ".dot") return write_file(file, dot_of(scenario.placed));
  if (ending == ".svg") return draw_svg(dot_of(scenario.placed), file);
  if (ending == ".graphml") return write_file(file, graphml_of(scenario.placed.fabric));
  if (ending == ".xml") return write_file(file, simgrid_platform_of(scenario.placed));
  throw ConfigError("--export " + file.string() + ": ending " + unknown_word(ending, kEndings));
}

}  // namespace disagg
