#include "sim/serving/software_profile.hpp"

#include <algorithm>

#include "embedded.hpp"
#include "sim/base/expect.hpp"

namespace disagg {
namespace {

constexpr std::string_view kDefault = "vllm";

const std::vector<ConfigNode>& rows() {
  static const ConfigNode root = parse_config(embedded::serving_catalog, "sim/serving/catalog.json");
  const ConfigNode* table = root.find("software");
  expect(table != nullptr, "the serving catalog lacks its profiles");
  return table->items;
}

const ConfigNode* find_row(std::string_view name) {
  const auto& all = rows();
  const auto found =
      std::ranges::find_if(all, [&](const ConfigNode& row) { return row.find("name")->text == name; });
  return found == all.end() ? nullptr : &*found;
}

SoftwareProfile read_profile(Reader& r) {
  SoftwareProfile profile;
  profile.name = r.get<std::string>("name");
  profile.summary = r.find<std::string>("summary").value_or("");
  SoftwareOverheads& o = profile.overheads;
  o.step = r.get_or<Seconds>("step", "0 us", Range::non_negative);
  o.sequence = r.get_or<Seconds>("sequence", "0 us", Range::non_negative);
  o.layer = r.get_or<Seconds>("layer", "0 us", Range::non_negative);
  o.small_kernel = r.get_or<Seconds>("small_kernel", "0 us", Range::non_negative);
  o.kernel_launch = r.get_or<Seconds>("kernel_launch", "0 us", Range::non_negative);
  o.cuda_graphs = r.get_or<bool>("cuda_graphs", "true");
  o.decode_scale = r.get_or<double>("decode_scale", "1", Range::positive);
  o.prefill_scale = r.get_or<double>("prefill_scale", "1", Range::positive);
  o.network_scale = r.get_or<double>("network_scale", "1", Range::positive);
  profile.request_latency = r.get_or<Seconds>("request_latency", "0 ms", Range::non_negative);
  profile.exchange =
      static_cast<ExpertExchangeKind>(r.choice("expert_exchange", kExpertExchangeNames, "all-gather"));
  profile.assumed = r.find<bool>("assumed").value_or(false);
  profile.source = r.find<std::string>("source").value_or("the scenario");
  r.find_object("pool");
  r.done();
  return profile;
}

void join_defaults(ConfigNode& pool, const ConfigNode& row) {
  const ConfigNode* defaults = row.find("pool");
  if (defaults == nullptr) return;
  for (const ConfigNode::Member& member : defaults->members)
    if (pool.find(member.key) == nullptr) pool.members.push_back({member.key, pool.where, member.value});
}

}  // namespace

std::vector<SoftwareProfile> software_profiles() {
  std::vector<SoftwareProfile> profiles;
  Problems problems;
  for (ConfigNode row : rows()) {
    Reader r(row, "", problems);
    profiles.push_back(read_profile(r));
  }
  problems.throw_if_any();
  return profiles;
}

SoftwareProfile read_software(Reader& pool) {
  const ConfigNode* written = pool.node().find("software");
  const bool is_object = written != nullptr && written->kind == ConfigNode::Kind::object;
  std::string name(kDefault);
  if (is_object) {
    if (const ConfigNode* base = written->find("extends")) name = base->text;
  } else {
    name = pool.get_or<std::string>("software", kDefault);
  }
  const ConfigNode* row = find_row(name);
  if (row == nullptr) {
    std::vector<std::string_view> known;
    for (const ConfigNode& other : rows()) known.push_back(other.find("name")->text);
    if (!name.empty()) pool.unknown("software", name, known);
    return {};
  }
  join_defaults(pool.node(), *row);
  ConfigNode profile = *row;
  if (is_object) {
    ConfigNode over = *written;
    std::erase_if(over.members, [](const ConfigNode::Member& m) { return m.key == "extends"; });
    merge_config(profile, over);
    pool.object("software");
  }
  Reader r(profile, pool.path() + ".software", pool.problems());
  return read_profile(r);
}

}  // namespace disagg
