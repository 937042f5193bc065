#include "experiments/list.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "embedded.hpp"
#include "experiments/fitted_numbers.hpp"
#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/one_of.hpp"
#include "sim/hardware/accelerator.hpp"
#include "sim/model/model_spec.hpp"
#include "workloads/profile.hpp"

namespace disagg {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kLegend = "\n- does not apply or is not published   * without a primary source\n";

bool is_unverified(const std::vector<std::string>& unverified, std::string_view field) {
  return std::ranges::any_of(unverified, [&](const std::string& path) {
    return path == field || path.starts_with(std::string(field) + ".") ||
           field.starts_with(std::string(path) + ".");
  });
}

std::string marked(const std::string& cell, bool unverified) {
  return cell + (unverified && cell != "-" ? "*" : "");
}

std::string count(std::int64_t number) { return number > 0 ? std::to_string(number) : "-"; }

// Cells of one catalog row, marked where the row says that a field is unverified.
struct Cells {
  const std::vector<std::string>& unverified;

  // In units of `unit` SI units.
  template <class Q>
  std::string operator()(const std::optional<Q>& quantity, double unit, std::string_view field) const {
    return marked(quantity ? show_number(quantity->si / unit) : "-", is_unverified(unverified, field));
  }
};

void list_accelerators(std::ostream& out) {
  Table table({{"name"},
               {"bf16", "TFLOP/s"},
               {"fp8", "TFLOP/s"},
               {"int8", "TOP/s"},
               {"fp4", "TFLOP/s"},
               {"memory", "GB"},
               {"bandwidth", "GB/s"},
               {"scale-up", "GB/s"},
               {"domain"},
               {"NIC", "GB/s"},
               {"TDP", "W"},
               {"price", "USD"},
               {"rent", "USD/h"},
               {"efficiency"}});
  for (const Accelerator& a : accelerators()) {
    const Cells cell{a.provenance.unverified};
    table.add({a.name, cell(a.bf16, 1e12, "peak.bf16"), cell(a.fp8, 1e12, "peak.fp8"),
               cell(a.int8, 1e12, "peak.int8"), cell(a.fp4, 1e12, "peak.fp4"),
               cell(std::optional(a.memory_capacity), 1e9, "memory.capacity"),
               cell(a.memory_bandwidth, 1e9, "memory.bandwidth"),
               cell(a.scale_up_bandwidth, 1e9, "scale_up.bandwidth"), std::to_string(a.scale_up_domain),
               cell(a.nic_bandwidth, 1e9, "nic_bandwidth"), cell(a.tdp, 1, "power"),
               cell(a.price, 1, "price"), cell(a.rent, 1.0 / 3600, "rent"),
               a.efficiency.assumed ? "assumed" : "measured"});
  }
  out << table << kLegend
      << "Dense tensor rates; bandwidths in one direction. Prices and rents: the median, or else the middle "
         "of the range.\n";
}

std::string attention_of(const ModelSpec& model) {
  std::string text;
  for (std::size_t i = 0; i < kAttentionNames.size(); ++i) {
    const auto layers = std::ranges::count(model.attention_pattern, static_cast<Attention>(i));
    if (layers == 0) continue;
    if (!text.empty()) text += " + ";
    if (model.attention_pattern.size() > 1) text += std::to_string(layers) + " ";
    text += kAttentionNames[i];
  }
  return text;
}

void list_models(std::ostream& out) {
  Table table({{"name"},
               {"layers"},
               {"hidden"},
               {"heads"},
               {"KV heads"},
               {"head dim"},
               {"FFN"},
               {"experts"},
               {"attention"},
               {"context", "tokens"},
               {"parameters", "1e9"},
               {"KV, 16 bits", "kB/token"},
               {"modelled"}});
  for (const ModelSpec& m : models()) {
    const auto star = [&](const std::string& cell, std::string_view field) {
      return marked(cell, is_unverified(m.unverified, field));
    };
    const bool modelled = !m.not_modelled();
    const std::string published =
        star(m.params_total_published ? show_number(*m.params_total_published / 1e9) : "-",
             "params_total_published");
    table.add({m.name.substr(m.name.rfind('/') + 1), count(m.num_hidden_layers), count(m.hidden_size),
               count(m.num_attention_heads), star(count(m.num_key_value_heads), "num_key_value_heads"),
               count(m.head_dim), star(count(m.intermediate_size), "intermediate_size"),
               star(count(m.num_experts), "num_experts"), star(attention_of(m), "attention_pattern"),
               count(m.max_position_embeddings), modelled ? show_number(m.parameters() / 1e9) : published,
               modelled ? show_number(m.growing_kv_elements_per_token() * 2 / 1e3) : "-",
               modelled ? "yes" : "not yet"});
  }
  out << table << kLegend
      << "Parameters and KV cache are computed where the model is modelled; else parameters as published. KV "
         "cache of the layers that keep the whole context.\n";
}

const std::string* find_fact(const std::vector<CatalogFact>& facts, std::string_view key) {
  const auto fact = std::ranges::find(facts, key, &CatalogFact::key);
  return fact == facts.end() ? nullptr : &fact->value;
}

// "7-9", "<9" or "5.5": what a link or memory publishes about energy, in pJ/bit.
std::string energy_of(const std::vector<CatalogFact>& facts, const std::vector<std::string>& unverified,
                      const std::string& key) {
  const auto number = [](const std::string& quantity) { return quantity.substr(0, quantity.find(' ')); };
  const std::string* low = find_fact(facts, key + "_low");
  const std::string* high = find_fact(facts, key + "_high");
  const std::string* single = find_fact(facts, key);
  std::string text = "-";
  if (single != nullptr) text = number(*single);
  if (low != nullptr && high != nullptr) text = number(*low) + "-" + number(*high);
  if (low == nullptr && high != nullptr) text = "<" + number(*high);
  return marked(text, is_unverified(unverified, key) || is_unverified(unverified, key + "_high"));
}

void list_links(std::ostream& out) {
  Table table({{"name"},
               {"kind"},
               {"bandwidth", "GB/s"},
               {"latency", "us"},
               {"of"},
               {"energy", "pJ/bit"},
               {"title"}});
  for (const Link& link : links()) {
    const Cells cell{link.provenance.unverified};
    const std::string* meaning = find_fact(link.facts, "more.latency_of");
    table.add({link.name, link.kind, cell(link.bandwidth, 1e9, "bandwidth"),
               cell(link.latency, 1e-6, "latency"), meaning != nullptr ? *meaning : "-",
               energy_of(link.facts, link.provenance.unverified, "more.energy"), link.title});
  }
  out << table << kLegend << "Bandwidths in one direction. Latencies: the middle of the published range.\n";
}

void list_tiers(std::ostream& out) {
  Table table({{"name"},
               {"scope"},
               {"ports"},
               {"port reads", "GB/s"},
               {"port writes", "GB/s"},
               {"reads", "GB/s"},
               {"writes", "GB/s"},
               {"latency", "us"},
               {"capacity", "TB"},
               {"what"}});
  for (const MemoryTierRow& tier : memory_tiers()) {
    const Cells cell{tier.provenance.unverified};
    table.add({tier.name, tier.scope, tier.scope == "cluster" ? std::to_string(tier.ports) : "one a GPU",
               cell(std::optional(tier.port_read), 1e9, "port.read"),
               cell(std::optional(tier.port_write), 1e9, "port.write"), cell(tier.read, 1e9, "total.read"),
               cell(tier.write, 1e9, "total.write"), cell(std::optional(tier.latency), 1e-6, "latency"),
               cell(tier.capacity, 1e12, "capacity"), tier.title});
  }
  out << table << kLegend
      << "Memory below the accelerators', as the \"preset\" of a memory pool. Rates that transfers reach, in "
         "one direction; of a port, and of an instance with all its ports.\n";
}

void list_memory(std::ostream& out) {
  Table table({{"name"},
               {"kind"},
               {"bandwidth", "GB/s"},
               {"of"},
               {"capacity", "GB"},
               {"energy", "pJ/bit"},
               {"device energy", "pJ/bit"},
               {"title"}});
  for (const Memory& memory : memories()) {
    const std::vector<std::string>& unverified = memory.provenance.unverified;
    const Cells cell{unverified};
    const std::string* meaning = find_fact(memory.facts, "more.bandwidth_of");
    table.add({memory.name, memory.kind, cell(memory.bandwidth, 1e9, "bandwidth"),
               meaning != nullptr ? *meaning : "-", cell(memory.capacity, 1e9, "capacity"),
               energy_of(memory.facts, unverified, "more.energy"),
               energy_of(memory.facts, unverified, "more.device_energy"), memory.title});
  }
  out << table << kLegend;
}

void list_agents(std::ostream& out) {
  Table table({{"name"}, {"shared prefix", "tokens"}, {"users begin", "%"}, {"context"}, {"what"}});
  for (const AgentProfile& profile : agent_profiles())
    table.add({profile.name, std::to_string(profile.shared_prefix), show_percent(profile.user_share),
               std::string(OneOf<ContextPolicy>::names[profile.context.index()]), profile.summary});
  out << table
      << "Of the calls behind a session's first, the share that users begin; the others follow tools. --json "
         "shows the\n"
         "distributions, their sources and what of them is assumed; `disagg workload inspect` what comes out "
         "of them.\n";
}

void list_calibration(std::ostream& out) {
  Table table({{"name"}, {"figures"}, {"source"}});
  for (const Calibration& row : calibrations()) {
    std::string figures;
    for (const CatalogFact& fact : row.facts) {
      const std::string name = fact.key.substr(fact.key.find('.') + 1);
      figures += (figures.empty() ? "" : ", ") + (name == "value" ? "" : name + " ") + fact.value;
    }
    table.add({row.name, figures, row.provenance.source});
  }
  out << table;
}

void list_precisions(std::ostream& out) {
  Table table({{"name"}, {"bytes per element"}});
  for (std::size_t i = 0; i < kPrecisionNames.size(); ++i)
    table.add({std::string(kPrecisionNames[i]), show_number(bytes_per_element(static_cast<Precision>(i)))});
  out << table;
}

Json catalog_json(std::string_view text, const char* table) { return Json::parse(text).at(table); }

// As in the catalog, with the efficiency that holds also where another accelerator lends it.
Json accelerators_json() {
  Json rows = catalog_json(embedded::hardware_catalog, "accelerators");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Efficiency& e = accelerators()[i].efficiency;
    rows[i]["efficiency"] = {{"gemm", e.gemm},         {"attention", e.attention},
                             {"weights", e.weights},   {"kv_cache", e.kv_cache},
                             {"scale_up", e.scale_up}, {"collective_latency", show(e.collective_latency)},
                             {"assumed", e.assumed},   {"source", e.source}};
  }
  return rows;
}

Json models_json() {
  Json rows = catalog_json(embedded::model_catalog, "models");
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (const auto missing = models()[i].not_modelled()) rows[i]["not_modelled"] = *missing;
  return rows;
}

Json precisions_json() {
  Json rows = Json::array();
  for (std::size_t i = 0; i < kPrecisionNames.size(); ++i)
    rows.push_back(
        {{"name", kPrecisionNames[i]}, {"bytes_per_element", bytes_per_element(static_cast<Precision>(i))}});
  return rows;
}

void list_constants(std::ostream& out) {
  Table table({{"of"}, {"what"}, {"numbers"}, {"fitted on"}});
  std::size_t all = 0;
  for (const FittedNumbers& numbers : fitted_numbers()) {
    table.add({numbers.of, numbers.what, std::to_string(numbers.values.size()),
               numbers.source.substr(0, numbers.source.find(": on the half"))});
    all += numbers.values.size();
  }
  out << table << '\n' << all << " numbers in all; --json shows each with its value.\n";
}

struct Listing {
  std::string_view name;
  std::string_view summary;
  void (*print)(std::ostream&);
  Json (*json)();
};

constexpr auto kListings = std::to_array<Listing>({
    {"accelerators", "GPUs and other accelerators: rates, memory, links, prices", list_accelerators,
     accelerators_json},
    {"models", "language models: sizes, attention, parameters", list_models, models_json},
    {"links", "scale-up, scale-out and optical links", list_links,
     [] { return catalog_json(embedded::hardware_catalog, "links"); }},
    {"tiers", "memory tiers for KV caches: presets of memory pools", list_tiers,
     [] { return catalog_json(embedded::hardware_catalog, "tiers"); }},
    {"memory", "memory technologies and pools", list_memory,
     [] { return catalog_json(embedded::hardware_catalog, "memory"); }},
    {"agents", "kinds of agents that sessions are drawn from", list_agents,
     [] { return catalog_json(embedded::workloads_catalog, "agents"); }},
    {"calibration", "observed corrections and fits", list_calibration,
     [] { return catalog_json(embedded::hardware_catalog, "calibration"); }},
    {"constants", "numbers fitted to measurements: software profiles and kernels", list_constants,
     [] { return fitted_numbers_json(fitted_numbers()); }},
    {"precisions", "number formats of weights, activations and KV cache", list_precisions, precisions_json},
});

}  // namespace

void print_choices(std::span<const NamedChoice> choices, bool json, std::ostream& out) {
  if (json) {
    Json seams = Json::object();
    for (const NamedChoice& choice : choices)
      seams[std::string(choice.seam)].push_back({{"name", choice.name}, {"summary", choice.summary}});
    out << seams.dump(2) << '\n';
    return;
  }
  Table table({{"where"}, {"name"}, {"summary"}});
  std::string_view seam;
  for (const NamedChoice& choice : choices) {
    table.add({choice.seam == seam ? "" : std::string(choice.seam), std::string(choice.name),
               std::string(choice.summary)});
    seam = choice.seam;
  }
  out << table;
}

int list_command(std::string_view what, bool json, std::ostream& out) {
  if (what.empty()) {
    std::vector<NamedChoice> choices;
    choices.reserve(kListings.size());
    for (const Listing& listing : kListings) choices.push_back({"list", listing.name, listing.summary});
    print_choices(choices, json, out);
    return 0;
  }
  const auto listing = std::ranges::find(kListings, what, &Listing::name);
  if (listing == kListings.end()) {
    std::vector<std::string_view> known;
    known.reserve(kListings.size());
    for (const Listing& each : kListings) known.push_back(each.name);
    throw ConfigError("list: " + unknown_word(what, known));
  }
  if (json) {
    out << listing->json().dump(2) << '\n';
  } else {
    listing->print(out);
  }
  return 0;
}

}  // namespace disagg
