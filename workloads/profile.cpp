#include "workloads/profile.hpp"

#include "embedded.hpp"
#include "sim/base/expect.hpp"
#include "sim/base/one_of.hpp"
#include "workloads/trace_lines.hpp"

namespace disagg {
namespace {

// Beyond these a profile is taken for a mistake.
constexpr std::int64_t kMostCalls = 10'000;
constexpr std::int64_t kMostParallelTools = 1'000;
constexpr std::int64_t kMostSubAgents = 100;

TokenCount read_tokens(Reader& r, std::string_view key, std::string_view fallback, Range range) {
  const auto tokens = r.get_or<std::int64_t>(key, fallback, range);
  if (tokens > kMostTokens) r.fail(key, "must be at most " + std::to_string(kMostTokens));
  return tokens;
}

// 1 where nothing is said.
Length read_length_or_one(Reader& r, std::string_view key, std::int64_t most = kMostTokens) {
  if (r.has(key)) return read_number(r, key, most);
  r.get_or<std::int64_t>(key, "1");
  return FixedLength{1};
}

SubAgents read_sub_agents(Reader& r) {
  SubAgents agents;
  agents.share = r.get<double>("share", Range::unit);
  agents.count = read_length_or_one(r, "count", kMostSubAgents);
  agents.calls = read_number(r, "calls", kMostCalls);
  agents.shared_prefix = read_tokens(r, "shared_prefix", "0", Range::non_negative);
  agents.inherits = r.get_or<bool>("inherits", "false");
  r.done();
  return agents;
}

}  // namespace

GrowingContext GrowingContext::read(Reader& r) {
  GrowingContext context;
  context.window = read_tokens(r, "window", "1000000", Range::positive);
  context.compact_at = r.find<std::int64_t>("compact_at", Range::positive);
  if (!context.compact_at) return context;
  context.compact_to = read_length(r, "compact_to");
  if (*context.compact_at > context.window) r.fail("compact_at", "must not be above 'window'");
  return context;
}

LastPage LastPage::read(Reader& r) { return {r.get_or<double>("kept_output", "0.7", Range::unit)}; }

RecentImages RecentImages::read(Reader& r) {
  return {.image = read_tokens(r, "image", "1334", Range::positive),
          .keep = r.get_or<std::int64_t>("keep", "3", Range::positive),
          .chunk = r.get_or<std::int64_t>("chunk", "3", Range::positive)};
}

Exchanges Exchanges::read(Reader& r) {
  return {r.get_or<double>("full", "1", Range::unit), read_tokens(r, "window", "16000", Range::positive)};
}

AgentProfile AgentProfile::read(Reader& r) {
  AgentProfile profile;
  profile.name = r.name("name");
  profile.summary = r.find<std::string>("summary").value_or("");
  profile.source = r.find<std::string>("source").value_or("the scenario");
  profile.assumed = r.find<std::vector<std::string>>("assumed").value_or(std::vector<std::string>{});
  profile.shared_prefix = read_tokens(r, "shared_prefix", "0", Range::non_negative);
  profile.first = read_length(r, "first");
  profile.calls = read_number(r, "calls", kMostCalls);
  profile.user_share = r.get_or<double>("user_share", "0", Range::unit);
  profile.after_tool = read_length_or_one(r, "after_tool");
  profile.after_user = read_length_or_one(r, "after_user");
  profile.parallel_tools = read_length_or_one(r, "parallel_tools", kMostParallelTools);
  profile.output = read_length(r, "output");
  if (r.has("reasoning")) profile.reasoning = read_length(r, "reasoning");
  profile.tool = read_duration(r, "tool");
  profile.think = read_duration(r, "think");
  profile.client = read_duration(r, "client");
  if (r.has("patience")) profile.patience = read_duration(r, "patience");
  const auto context = r.variant("context", "append");
  if (auto policy = context ? OneOf<ContextPolicy>::read(*context) : std::nullopt) profile.context = *policy;
  if (const auto* growing = std::get_if<GrowingContext>(&profile.context);
      growing != nullptr && growing->window < profile.shared_prefix + 2)
    r.fail("context", "has no room for a call behind the shared prefix");
  if (auto agents = r.find_object("sub_agents")) profile.sub_agents = read_sub_agents(*agents);
  r.done();
  return profile;
}

const std::vector<AgentProfile>& agent_profiles() {
  static const std::vector<AgentProfile> all = [] {
    ConfigNode root = parse_config(embedded::workloads_catalog, "workloads/catalog.json");
    Problems problems;
    Reader reader(root, "", problems);
    std::vector<AgentProfile> profiles;
    for (Reader& row : reader.objects("agents")) profiles.push_back(AgentProfile::read(row));
    reader.done();
    problems.throw_if_any();
    return profiles;
  }();
  return all;
}

}  // namespace disagg
