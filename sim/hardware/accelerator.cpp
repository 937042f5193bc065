#include "sim/hardware/accelerator.hpp"

#include <algorithm>
#include <utility>

#include "embedded.hpp"
#include "sim/base/expect.hpp"

namespace disagg {
namespace {

// Lends its efficiency to accelerators that were never measured: with only datasheet numbers changed, its
// kernel times carry over to other GPUs with a mean error of 10 to 20 % for products and prefill, 10 to 40 %
// for decode.
constexpr std::string_view kLender = "h100-sxm-80gb";
constexpr std::string_view kBlackwell = "b200-sxm";

const ConfigNode& catalog() {
  static const ConfigNode root = parse_config(embedded::hardware_catalog, "sim/hardware/catalog.json");
  return root;
}

const std::vector<ConfigNode>& catalog_rows(std::string_view table) {
  const ConfigNode* rows = catalog().find(table);
  expect(rows != nullptr, "the hardware catalog lacks a table");
  return rows->items;
}

const ConfigNode* find_accelerator(std::string_view name) {
  for (const ConfigNode& row : catalog_rows("accelerators"))
    if (row.find("name")->text == name) return &row;
  return nullptr;
}

std::vector<std::string_view> accelerator_names() {
  std::vector<std::string_view> names;
  for (const Accelerator& accelerator : accelerators()) names.push_back(accelerator.name);
  return names;
}

void set(ConfigNode& object, std::string_view key, ConfigNode value) {
  if (ConfigNode* existing = object.find(key)) {
    *existing = std::move(value);
  } else {
    object.members.push_back({std::string(key), value.where, std::move(value)});
  }
}

ConfigNode text_node(std::string text, const Location& where) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::string;
  node.where = where;
  node.text = std::move(text);
  return node;
}

ConfigNode truth_node(const Location& where) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::boolean;
  node.where = where;
  node.boolean = true;
  return node;
}

// The efficiency object that holds for a row: its own, or that of the row which lends it, marked as assumed.
ConfigNode efficiency_of(const ConfigNode& row) {
  const ConfigNode* own = row.find("efficiency");
  if (own != nullptr && own->kind == ConfigNode::Kind::object) return *own;
  const std::string lender(own != nullptr ? own->text : kLender);
  const ConfigNode* lending_row = find_accelerator(lender);
  expect(lending_row != nullptr, "an efficiency is borrowed from an accelerator that is not in the catalog");
  ConfigNode lent = efficiency_of(*lending_row);
  const std::string source = "assumed to be as on " + lender + ": " + lent.find("source")->text;
  set(lent, "assumed", truth_node(lent.where));
  set(lent, "source", text_node(source, lent.where));
  return lent;
}

Efficiency read_efficiency(Reader& row) {
  const ConfigNode* written = row.node().find("efficiency");
  if (written != nullptr && written->kind == ConfigNode::Kind::string) {
    const auto lender = row.get<std::string>("efficiency");
    if (find_accelerator(lender) == nullptr) {
      if (!lender.empty()) row.unknown("efficiency", lender, accelerator_names());
      return {};
    }
  }
  if (written == nullptr || written->kind == ConfigNode::Kind::string)
    set(row.node(), "efficiency", efficiency_of(row.node()));
  std::optional<Reader> r = row.object("efficiency");
  if (!r) return {};
  Efficiency efficiency;
  efficiency.gemm = r->get<double>("gemm", Range::fraction);
  efficiency.attention = r->get<double>("attention", Range::fraction);
  efficiency.weights = r->get<double>("weights", Range::fraction);
  efficiency.kv_cache = r->get<double>("kv_cache", Range::fraction);
  efficiency.scale_up = r->get<double>("scale_up", Range::fraction);
  efficiency.collective_latency = r->get<Seconds>("collective_latency", Range::non_negative);
  efficiency.assumed = r->find<bool>("assumed").value_or(true);
  efficiency.source = r->find<std::string>("source").value_or("the scenario");
  r->done();
  return efficiency;
}

PowerModel read_draw(Reader& r) {
  PowerModel draw;
  draw.idle = r.get<double>("idle", Range::unit);
  draw.base = r.get<double>("base", Range::unit);
  draw.links = r.get_or<double>("links", "0", Range::unit);
  draw.memory = r.get<double>("memory", Range::non_negative);
  draw.tensor = r.get<double>("tensor", Range::non_negative);
  draw.assumed = r.find<bool>("assumed").value_or(true);
  draw.source = r.find<std::string>("source").value_or("the scenario");
  r.done();
  return draw;
}

// The same shares of the TDP as those of another accelerator of the catalog.
PowerModel lent_draw(std::string_view lender) {
  const ConfigNode* found = find_accelerator(lender);
  expect(found != nullptr, "a draw is borrowed from an accelerator that is not in the catalog");
  ConfigNode row = *found;
  Problems problems;
  Reader power(*row.find("power"), "", problems);
  Reader written = *power.object("draw");
  PowerModel draw = read_draw(written);
  problems.throw_if_any();
  draw.assumed = true;
  draw.source = "assumed to be as on " + std::string(lender) + ": " + draw.source;
  return draw;
}

// A figure on which sources may differ: one quantity, or {"low", "median", "high"}, of which the median
// counts or else the middle of the range. "date" says when a price held.
template <class Q>
std::optional<Q> find_central(Reader& row, std::string_view key) {
  const ConfigNode* written = row.node().find(key);
  if (written == nullptr || written->kind != ConfigNode::Kind::object)
    return row.find<Q>(key, Range::positive);
  Reader range = *row.find_object(key);
  const auto low = range.find<Q>("low", Range::positive);
  const auto median = range.find<Q>("median", Range::positive);
  const auto high = range.find<Q>("high", Range::positive);
  range.find<std::string>("date");
  if (low && high && *low > *high) range.fail("low", "is greater than 'high'");
  range.done();
  if (median) return median;
  if (low && high) return (*low + *high) / 2;
  return std::nullopt;
}

Provenance read_provenance(Reader& row) {
  row.find_object("more");  // published figures that the program lists but does not use: any keys
  return {
      .source = row.find<std::string>("source").value_or("the scenario"),
      .note = row.find<std::string>("note").value_or(""),
      .unverified = row.find<std::vector<std::string>>("unverified").value_or(std::vector<std::string>{})};
}

Accelerator read_accelerator_row(Reader& row) {
  Accelerator a;
  a.name = row.get<std::string>("name");
  a.title = row.find<std::string>("title").value_or(a.name);
  if (auto peak = row.find_object("peak")) {
    a.bf16 = peak->find<FlopsPerSecond>("bf16", Range::positive);
    a.fp16 = peak->find<FlopsPerSecond>("fp16", Range::positive);
    a.fp8 = peak->find<FlopsPerSecond>("fp8", Range::positive);
    a.int8 = peak->find<FlopsPerSecond>("int8", Range::positive);
    a.fp4 = peak->find<FlopsPerSecond>("fp4", Range::positive);
    peak->done();
  }
  if (auto memory = row.object("memory")) {
    a.memory_capacity = memory->get<Bytes>("capacity", Range::positive);
    a.visible_memory = memory->find<Bytes>("visible", Range::positive);
    a.memory_bandwidth = memory->find<BytesPerSecond>("bandwidth", Range::positive);
    a.memory_type = memory->find<std::string>("type").value_or("");
    memory->done();
  }
  if (auto power = row.find_object("power")) {
    a.tdp = power->find<Watts>("tdp", Range::positive);
    if (auto draw = power->find_object("draw")) a.power = read_draw(*draw);
    power->done();
  }
  // Other chips of Blackwell's kind draw as the one that was measured.
  if (a.power.source.empty()) a.power = lent_draw(a.fp4 ? kBlackwell : kLender);
  if (auto scale_up = row.find_object("scale_up")) {
    a.scale_up_link = scale_up->find<std::string>("link").value_or("");
    a.scale_up_bandwidth = scale_up->find<BytesPerSecond>("bandwidth", Range::positive);
    a.scale_up_domain = scale_up->find<std::int64_t>("domain", Range::positive).value_or(1);
    scale_up->done();
  }
  a.processors = row.find<std::int64_t>("processors", Range::positive);
  a.l2_capacity = row.find<Bytes>("l2_capacity", Range::positive);
  a.nic_bandwidth = row.find<BytesPerSecond>("nic_bandwidth", Range::positive);
  if (auto pcie = row.find_object("pcie")) {
    pcie->find<std::string>("generation");
    a.pcie_bandwidth = pcie->find<BytesPerSecond>("bandwidth", Range::positive);
    pcie->done();
  }
  a.price = find_central<Dollars>(row, "price");
  a.rent = find_central<DollarsPerSecond>(row, "rent");
  if (auto all_in = row.find_object("all_in")) {
    a.all_in_capital = find_central<Dollars>(*all_in, "capital");
    a.all_in_power = all_in->find<Watts>("power", Range::positive);
    a.all_in_source = all_in->find<std::string>("source").value_or("the scenario");
    all_in->done();
  }
  a.efficiency = read_efficiency(row);
  a.provenance = read_provenance(row);
  return a;
}

void flatten(const ConfigNode& object, const std::string& prefix, std::vector<CatalogFact>& facts) {
  for (const auto& [key, where, value, used] : object.members) {
    if (value.kind == ConfigNode::Kind::object) {
      flatten(value, prefix + key + ".", facts);
    } else if (value.kind != ConfigNode::Kind::array) {
      facts.push_back({prefix + key, value.text});
    }
  }
}

std::vector<CatalogFact> facts_of(const Reader& row) {
  std::vector<CatalogFact> facts;
  flatten(row.node(), "", facts);
  std::erase_if(facts, [](const CatalogFact& fact) {
    return fact.key == "name" || fact.key == "title" || fact.key == "source" || fact.key == "note";
  });
  return facts;
}

Link read_link_row(Reader& row) {
  return {.name = row.get<std::string>("name"),
          .title = row.get<std::string>("title"),
          .kind = row.get<std::string>("kind"),
          .bandwidth = row.find<BytesPerSecond>("bandwidth", Range::positive),
          .latency = find_central<Seconds>(row, "latency"),
          .facts = facts_of(row),
          .provenance = read_provenance(row)};
}

Memory read_memory_row(Reader& row) {
  return {.name = row.get<std::string>("name"),
          .title = row.get<std::string>("title"),
          .kind = row.get<std::string>("kind"),
          .bandwidth = row.find<BytesPerSecond>("bandwidth", Range::positive),
          .capacity = row.find<Bytes>("capacity", Range::positive),
          .facts = facts_of(row),
          .provenance = read_provenance(row)};
}

}  // namespace

MemoryCost read_memory_cost(Reader& r, MemoryCost otherwise) {
  auto cost = r.find_object("cost");
  if (!cost) return otherwise;
  const auto take = [&cost](std::string_view key, double& figure) {
    figure = cost->find<double>(key, Range::non_negative).value_or(figure);
  };
  take("usd_per_gb", otherwise.usd_per_gb);
  take("watts_per_gb", otherwise.watts_per_gb);
  take("pj_per_bit", otherwise.pj_per_bit);
  cost->done();
  return otherwise;
}

namespace {

MemoryTierRow read_tier_row(Reader& row) {
  MemoryTierRow tier{.name = row.get<std::string>("name"),
                     .title = row.get<std::string>("title"),
                     .scope = row.get<std::string>("scope"),
                     .ports = row.find<std::int64_t>("ports", Range::positive).value_or(1),
                     .port_read = {},
                     .port_write = {},
                     .read = {},
                     .write = {},
                     .operations_per_second = row.find<double>("operations_per_second", Range::positive),
                     .capacity = row.find<Bytes>("capacity", Range::positive),
                     .latency = row.get<Seconds>("latency", Range::non_negative),
                     .cost = read_memory_cost(row),
                     .provenance = read_provenance(row)};
  if (auto port = row.object("port")) {
    tier.port_read = port->get<BytesPerSecond>("read", Range::positive);
    tier.port_write = port->get<BytesPerSecond>("write", Range::positive);
    port->done();
  }
  if (auto total = row.find_object("total")) {
    tier.read = total->get<BytesPerSecond>("read", Range::positive);
    tier.write = total->get<BytesPerSecond>("write", Range::positive);
    total->done();
  }
  return tier;
}

Calibration read_calibration_row(Reader& row) {
  row.find_object("figures");  // each row has its own
  return {.name = row.get<std::string>("name"), .facts = facts_of(row), .provenance = read_provenance(row)};
}

template <class Row>
std::vector<Row> read_catalog(std::string_view table, Row (*read_row)(Reader&)) {
  std::vector<Row> rows;
  Problems problems;
  for (ConfigNode node : catalog_rows(table)) {
    Reader row(node, std::string(table) + "[" + std::to_string(rows.size()) + "]", problems);
    rows.push_back(read_row(row));
    row.done();
  }
  problems.throw_if_any();
  return rows;
}

// A catalog row with the fields of `written` laid on top; nothing, and a problem, if there is no such row.
std::optional<ConfigNode> extended(Reader& written) {
  const auto name = written.get<std::string>("extends");
  const ConfigNode* row = find_accelerator(name);
  if (row == nullptr) {
    if (!name.empty()) written.unknown("extends", name, accelerator_names());
    return std::nullopt;
  }
  ConfigNode over = written.node();
  std::erase_if(over.members, [](const ConfigNode::Member& member) { return member.key == "extends"; });
  if (over.find("name") == nullptr) set(over, "name", text_node(name + " (changed)", over.where));
  if (over.find("title") == nullptr) set(over, "title", *over.find("name"));
  ConfigNode* efficiency = over.find("efficiency");
  if (efficiency != nullptr && efficiency->kind == ConfigNode::Kind::object) {
    if (efficiency->find("source") == nullptr)
      set(*efficiency, "source", text_node("the scenario, otherwise as " + name, efficiency->where));
    if (efficiency->find("assumed") == nullptr) set(*efficiency, "assumed", truth_node(efficiency->where));
  }
  ConfigNode base = *row;
  set(base, "efficiency", efficiency_of(base));
  // Another capacity leaves nothing of what software was measured to find of the old one.
  const ConfigNode* memory = over.find("memory");
  if (memory != nullptr && memory->find("capacity") != nullptr)
    if (ConfigNode* measured = base.find("memory"))
      std::erase_if(measured->members,
                    [](const ConfigNode::Member& member) { return member.key == "visible"; });
  merge_config(base, std::move(over));
  return base;
}

}  // namespace

std::string_view name(Precision precision) { return kPrecisionNames[static_cast<std::size_t>(precision)]; }

double bytes_per_element(Precision precision) {
  switch (precision) {
    case Precision::bf16:
    case Precision::fp16:
      return 2;
    case Precision::fp8:
    case Precision::int8:
      return 1;
    case Precision::fp4:
      return 0.5;
    case Precision::fp8_block:
      return 1 + 4.0 / (128 * 128);
    case Precision::int4:
      return 0.5 + 2.0 / 128;
    case Precision::nvfp4:
      return 0.5 + 1.0 / 16;
    case Precision::mxfp4:
      return 0.5 + 1.0 / 32;
  }
  return 2;
}

std::optional<FlopsPerSecond> Accelerator::peak(Precision precision) const {
  switch (precision) {
    case Precision::bf16:
    case Precision::int4:
      return bf16;
    case Precision::fp16:
      return fp16 ? fp16 : bf16;
    case Precision::fp8:
    case Precision::fp8_block:
      return fp8 ? fp8 : bf16;
    case Precision::int8:
      return int8 ? int8 : bf16;
    case Precision::fp4:
    case Precision::nvfp4:
    case Precision::mxfp4:
      return fp4 ? fp4 : peak(Precision::fp8);
  }
  return bf16;
}

std::optional<Precision> Accelerator::stand_in(Precision precision) const {
  switch (precision) {
    case Precision::fp8:
    case Precision::fp8_block:
      return fp8 ? std::nullopt : std::optional(Precision::bf16);
    case Precision::int8:
      return int8 ? std::nullopt : std::optional(Precision::bf16);
    case Precision::fp4:
    case Precision::nvfp4:
    case Precision::mxfp4:
      if (fp4) return std::nullopt;
      return fp8 ? Precision::fp8 : Precision::bf16;
    case Precision::bf16:
    case Precision::fp16:
    case Precision::int4:
      break;
  }
  return std::nullopt;
}

std::span<const Accelerator> accelerators() {
  static const std::vector<Accelerator> rows = read_catalog("accelerators", read_accelerator_row);
  return rows;
}
std::span<const Link> links() {
  static const std::vector<Link> rows = read_catalog("links", read_link_row);
  return rows;
}
std::span<const Memory> memories() {
  static const std::vector<Memory> rows = read_catalog("memory", read_memory_row);
  return rows;
}
std::span<const MemoryTierRow> memory_tiers() {
  static const std::vector<MemoryTierRow> rows = read_catalog("tiers", read_tier_row);
  return rows;
}
std::span<const Calibration> calibrations() {
  static const std::vector<Calibration> rows = read_catalog("calibration", read_calibration_row);
  return rows;
}

std::optional<Accelerator> read_accelerator(Reader& r, std::string_view key) {
  const ConfigNode* value = r.node().find(key);
  if (value == nullptr || value->kind != ConfigNode::Kind::object) {
    const auto name = r.get<std::string>(key);
    const auto rows = accelerators();
    const auto row = std::ranges::find(rows, name, &Accelerator::name);
    if (row != rows.end()) return *row;
    if (!name.empty()) r.unknown(key, name, accelerator_names());
    return std::nullopt;
  }
  Reader written = *r.object(key);
  std::optional<ConfigNode> node = written.has("extends") ? extended(written) : written.node();
  if (!node) return std::nullopt;
  Reader row(*node, written.path(), r.problems());
  Accelerator accelerator = read_accelerator_row(row);
  if (written.has("extends")) accelerator.extends = written.get<std::string>("extends");
  row.done();
  return accelerator;
}

std::string how_to_give(const Accelerator& accelerator, std::string_view field) {
  const bool is_row = accelerator.extends.empty() && find_accelerator(accelerator.name) != nullptr;
  return "give " + (is_row
                        ? "it inline: {\"extends\": \"" + accelerator.name + "\", " + std::string(field) + "}"
                        : std::string(field) + " in its description");
}

std::optional<Link> read_link(Reader& r, std::string_view key, std::string_view fallback) {
  const auto name = r.get_or<std::string>(key, fallback);
  std::vector<std::string_view> known;
  for (const Link& link : links()) {
    if (!link.bandwidth) continue;
    if (link.name == name) return link;
    known.push_back(link.name);
  }
  const auto all = links();
  if (std::ranges::find(all, name, &Link::name) != all.end()) {
    r.fail(key, "the bandwidth of '" + name + "' is not published");
  } else if (!name.empty()) {
    r.unknown(key, name, known);
  }
  return std::nullopt;
}

}  // namespace disagg
