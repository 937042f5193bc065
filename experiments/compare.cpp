#include "experiments/compare.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/table.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

// One line of the tables: where it stands in summary.json and how to call it. `better` is +1 where more is
// better.
struct Line {
  std::string_view pointer;
  std::string_view label;
  std::string_view unit;
  int better = 0;
  double scale = 1;
};

constexpr auto kLines = std::to_array<Line>({
    {"/metrics/ttft_ms/mean", "TTFT mean", "ms", -1},
    {"/metrics/ttft_ms/p50", "TTFT p50", "ms", -1},
    {"/metrics/ttft_ms/p90", "TTFT p90", "ms", -1},
    {"/metrics/ttft_ms/p99", "TTFT p99", "ms", -1},
    {"/metrics/tpot_ms/mean", "TPOT mean", "ms", -1},
    {"/metrics/tpot_ms/p50", "TPOT p50", "ms", -1},
    {"/metrics/tpot_ms/p90", "TPOT p90", "ms", -1},
    {"/metrics/tpot_ms/p99", "TPOT p99", "ms", -1},
    {"/metrics/itl_ms/p50", "ITL p50", "ms", -1},
    {"/metrics/itl_ms/p99", "ITL p99", "ms", -1},
    {"/metrics/e2el_ms/p50", "E2EL p50", "ms", -1},
    {"/metrics/e2el_ms/p99", "E2EL p99", "ms", -1},
    {"/metrics/queue_wait_ms/p99", "queue wait p99", "ms", -1},
    {"/metrics/hand_off_wait_ms/mean", "hand-off wait after first token, mean", "ms", -1},
    {"/metrics/prefix_cache_hit_rate", "prefix cache hit", "%", 1, 100},
    {"/metrics/completed", "requests completed", "", 0},
    {"/metrics/rejected_queue_full", "rejected, queue full", "", -1},
    {"/metrics/rejected_too_large", "rejected, too large", "", -1},
    {"/metrics/request_throughput", "request throughput", "req/s", 1},
    {"/metrics/output_throughput", "output throughput", "tok/s", 1},
    {"/metrics/total_throughput", "total throughput (in + out)", "tok/s", 1},
    {"/metrics/output_throughput_per_accelerator", "output per accelerator (all)", "tok/s", 1},
    {"/metrics/request_goodput", "goodput under the SLO", "req/s", 1},
    {"/metrics/slo_attainment", "SLO attainment", "%", 1, 100},
    {"/cluster/accelerators", "accelerators", "", 0},
    {"/cluster/rent_usd_per_hour", "rent", "USD/h", -1},
    {"/cluster/usd_per_million_output_tokens", "rent per 1M output tokens", "USD", -1},
    {"/cost/usd_per_hour", "total cost of ownership", "USD/h", -1},
    {"/cost/usd_per_million_output_tokens", "cost per 1M output tokens", "USD", -1},
    {"/cost/usd_per_million_tokens", "cost per 1M tokens (in + out)", "USD", -1},
    {"/cost/usd_per_task", "cost per task", "USD", -1},
    {"/cost/provisioned_power_w", "power provisioned", "kW", 0, 1e-3},
    {"/energy/mean_power_w", "power, mean", "kW", -1, 1e-3},
    {"/energy/j_per_output_token", "energy per output token", "J", -1},
    {"/energy/j_per_task", "energy per task", "J", -1},
});

std::optional<double> number_at(const ordered_json& summary, std::string_view pointer) {
  const ordered_json::json_pointer at{std::string(pointer)};
  if (!summary.contains(at) || !summary.at(at).is_number()) return std::nullopt;
  return summary.at(at).get<double>();
}

bool is_saturated(const ordered_json& summary) { return summary.at("metrics").at("saturated").get<bool>(); }

// Latencies of an overloaded run say how long it lasted: they are left out.
bool is_meaningless(const Line& line, const ordered_json& summary) {
  return is_saturated(summary) && line.pointer.find("_ms/") != std::string_view::npos;
}

std::string cell(const Line& line, const ordered_json& summary) {
  if (is_meaningless(line, summary)) return "saturated";
  const auto value = number_at(summary, line.pointer);
  return value ? show_number(*value * line.scale, 5) : "-";
}

std::string with_unit(const Line& line) {
  return std::string(line.label) + (line.unit.empty() ? "" : " [" + std::string(line.unit) + "]");
}

std::string percent(const ordered_json& share) {
  return share.is_number() ? show_percent(share.get<double>()) : "-";
}

void print_pools(const ordered_json& summary, std::ostream& out) {
  Table table({{"pool"},
               {"role"},
               {"replicas x accelerators"},
               {"busy", "%"},
               {"compute", "%"},
               {"bandwidth", "%"},
               {"capacity", "%"},
               {"network", "%"},
               {"overhead", "%"},
               {"idle", "%"},
               {"MFU", "%"},
               {"MBU", "%"},
               {"batch", "mean"},
               {"KV used", "%"}});
  for (const auto& [name, pool] : summary.at("pools").items()) {
    const ordered_json& regimes = pool.at("time_in_regime");
    const auto per_replica =
        pool.at("accelerators").get<std::int64_t>() / pool.at("replicas").get<std::int64_t>();
    table.add({name, pool.at("role").get<std::string>(),
               std::to_string(pool.at("replicas").get<std::int64_t>()) + " x " + std::to_string(per_replica) +
                   " " + pool.at("accelerator").get<std::string>(),
               percent(pool.at("utilization")), percent(regimes.at("compute")),
               percent(regimes.at("bandwidth")), percent(regimes.at("capacity")),
               percent(regimes.at("network")), percent(regimes.at("overhead")), percent(regimes.at("idle")),
               percent(pool.at("mfu")), percent(pool.at("mbu")),
               pool.at("mean_batch").is_number() ? show_number(pool.at("mean_batch").get<double>(), 3) : "-",
               percent(pool.at("kv_occupancy"))});
  }
  out << table;
}

void print_phases(const ordered_json& summary, std::ostream& out) {
  Table table({{"pool"},
               {"phase"},
               {"tokens"},
               {"OI", "FLOP/byte"},
               {"ridge", "FLOP/byte"},
               {"CF per request", "GB"}});
  for (const auto& [name, pool] : summary.at("pools").items()) {
    for (const char* phase : {"prefill", "decode"}) {
      const ordered_json& p = pool.at(phase);
      if (p.is_null()) continue;
      const bool footprint = std::string_view(phase) == "decode" && pool.contains("cf_bytes_per_request");
      table.add({name, phase, std::to_string(p.at("tokens").get<std::int64_t>()),
                 show_number(p.at("oi_flop_per_byte").get<double>()),
                 show_number(pool.at("ridge_flop_per_byte").get<double>()),
                 footprint ? show_number(pool.at("cf_bytes_per_request").get<double>() / 1e9) : "-"});
    }
  }
  out << table;
}

// A source's text can fill a screen; its first clauses say what was assumed.
std::string first_clause(const std::string& text) {
  constexpr std::size_t kLongest = 100;
  return text.size() <= kLongest ? text : text.substr(0, text.find_first_of(":;.", kLongest / 2));
}

std::string sentence(const ordered_json& summary) {
  std::string text = summary.at("bottleneck").at("sentence").get<std::string>();
  if (!is_saturated(summary)) return text;
  return "Saturated: requests arrive faster than they are served, and the queue grows by " +
         show_number(summary.at("metrics").at("queue_growth_requests_per_s").get<double>(), 3) +
         " of them a second; latencies would only tell how long the run lasted. " + text;
}

// The measure that decides: what users feel and pay for, if the scenario states it, or else what comes out.
const Line& deciding(std::span<const ordered_json> summaries) {
  const auto find = [](std::string_view pointer) -> const Line& {
    return *std::find_if(kLines.begin(), kLines.end(), [&](const Line& l) { return l.pointer == pointer; });
  };
  for (const ordered_json& s : summaries)
    if (!number_at(s, "/metrics/request_goodput")) return find("/metrics/output_throughput");
  return find("/metrics/request_goodput");
}

// How the tails of two runs compare: "TTFT p99 2003 ms against 2013, TPOT p99 13.2 ms against 36.7".
std::string tails(const ordered_json& a, const ordered_json& b) {
  std::string text;
  if (is_saturated(a) || is_saturated(b)) return text;
  for (const auto& [label, pointer] :
       {std::pair{"TTFT", "/metrics/ttft_ms/p99"}, {"TPOT", "/metrics/tpot_ms/p99"}}) {
    const auto ours = number_at(a, pointer);
    const auto theirs = number_at(b, pointer);
    if (!ours || !theirs) continue;
    text += (text.empty() ? "" : ", ") + std::string(label) + " p99 " + show_number(*ours, 3) +
            " ms against " + show_number(*theirs, 3);
  }
  return text;
}

// What the runs do not share although a comparison needs it: "model, workload"; empty for like with like.
std::string differing(std::span<const ordered_json> summaries) {
  constexpr auto kShared =
      std::to_array<std::pair<std::string_view, std::string_view>>({{"model", "model"},
                                                                    {"workload", "workload_hash"},
                                                                    {"SLO", "slo_hash"},
                                                                    {"horizon", "horizon_hash"},
                                                                    {"seed", "seed"}});
  std::string text;
  for (const auto& shared : kShared) {
    const std::string key(shared.second);
    const auto value = [&key](const ordered_json& s) { return s.at("provenance").at(key); };
    for (const ordered_json& s : summaries.subspan(1)) {
      if (value(s) == value(summaries[0])) continue;
      text += (text.empty() ? "" : ", ") + std::string(shared.first);
      break;
    }
  }
  return text;
}

std::string verdict(std::span<const ordered_json> summaries) {
  if (summaries.size() < 2) return {};
  if (const std::string unlike = differing(summaries); !unlike.empty())
    return "No verdict: the scenarios differ in " + unlike + ", so their figures answer different questions.";
  const Line& line = deciding(summaries);
  const auto rent = [](const ordered_json& s) { return number_at(s, "/cluster/rent_usd_per_hour"); };
  bool priced = true;
  for (const ordered_json& s : summaries) priced = priced && rent(s).value_or(0) > 0;
  const auto score = [&](const ordered_json& s) {
    return number_at(s, line.pointer).value_or(0) / (priced ? *rent(s) : 1);
  };
  std::size_t best = 0;
  std::size_t second = 1;
  for (std::size_t i = 1; i < summaries.size(); ++i) {
    if (score(summaries[i]) > score(summaries[best])) {
      second = best;
      best = i;
    } else if (i != best && score(summaries[i]) > score(summaries[second])) {
      second = i;
    }
  }
  const auto name = [](const ordered_json& s) { return "'" + s.at("name").get<std::string>() + "'"; };
  const double top = score(summaries[best]);
  const double next = score(summaries[second]);
  constexpr double kAllServed = 0.99;
  if (std::ranges::all_of(summaries, [&](const ordered_json& s) {
        return number_at(s, "/metrics/slo_attainment").value_or(0) >= kAllServed;
      })) {
    const std::string served = "All sides serve at least 99 % of the offered load within the SLO";
    if (!priced) return served + ".";
    const auto cheapest =
        std::ranges::min_element(summaries, {}, [&](const ordered_json& s) { return *rent(s); });
    return served + "; " + name(*cheapest) +
           " has the lowest rent. Raise the load, or tighten the SLO, to tell them apart.";
  }
  const std::string per = std::string(line.label) + (priced ? " per dollar of rent" : "");
  if (top <= 0) return "No side has any " + std::string(line.label) + ".";
  if (next > 0 && top / next < 1.01)
    return name(summaries[best]) + " and " + name(summaries[second]) + " are within 1 % of each other in " +
           per + " (one seed each).";
  std::string text = name(summaries[best]) + " wins in " + per + ": ";
  text += next > 0 ? (top / next < 2 ? show_number((top / next - 1) * 100, 3) + " % more than "
                                     : show_number(top / next, 3) + " times that of ") +
                         name(summaries[second])
                   : name(summaries[second]) + " has none";
  const std::string why = tails(summaries[best], summaries[second]);
  return text + (why.empty() ? "" : "; " + why) + " (one seed each, no confidence interval).";
}

}  // namespace

void print_summary(const ordered_json& summary, std::ostream& out) {
  if (!is_saturated(summary)) {
    Table table({{"ms"}, {"mean"}, {"p50"}, {"p90"}, {"p95"}, {"p99"}},
                summary.at("name").get<std::string>());
    for (const char* metric : {"ttft", "tpot", "itl", "e2el", "queue_wait", "hand_off_wait"}) {
      const ordered_json& m = summary.at("metrics").at(std::string(metric) + "_ms");
      if (m.is_null()) continue;
      std::vector<std::string> row{metric};
      for (const char* statistic : {"mean", "p50", "p90", "p95", "p99"})
        row.push_back(show_number(m.at(statistic).get<double>(), 5));
      table.add(row);
    }
    out << table << '\n';
  }
  Table totals({{""}, {"value"}});
  for (const Line& line : kLines)
    if (line.pointer.find("_ms/") == std::string_view::npos && number_at(summary, line.pointer))
      totals.add({with_unit(line), cell(line, summary)});
  out << totals;
  out << '\n';
  print_pools(summary, out);
  out << '\n';
  print_phases(summary, out);
  for (const auto& note : summary.at("provenance").at("notes")) out << "\nNote: " << note.get<std::string>();
  for (const auto& assumed : summary.at("provenance").at("assumed"))
    out << "\nAssumed: " << first_clause(assumed.get<std::string>()) << " (summary.json has the sources)";
  out << "\n" << sentence(summary) << "\n";
}

void print_comparison(std::span<const ordered_json> summaries, std::ostream& out) {
  std::vector<Table::Column> header{{""}};
  for (std::size_t i = 0; i < summaries.size(); ++i) {
    header.push_back({summaries[i].at("name").get<std::string>()});
    if (i > 0) header.push_back({"change", "%"});
  }
  Table table(header);
  for (const Line& line : kLines) {
    std::vector<std::string> row{with_unit(line)};
    const auto baseline = number_at(summaries[0], line.pointer);
    bool any = false;
    for (std::size_t i = 0; i < summaries.size(); ++i) {
      const auto value = number_at(summaries[i], line.pointer);
      any = any || value;
      row.push_back(cell(line, summaries[i]));
      if (i == 0) continue;
      const bool meaningless = is_meaningless(line, summaries[0]) || is_meaningless(line, summaries[i]);
      const bool comparable = baseline && value && *baseline != 0 && !meaningless;
      const double change = comparable ? (*value / *baseline - 1) * 100 : 0;
      std::string text = !comparable               ? "-"
                         : std::abs(change) < 0.05 ? "0"
                                                   : (change > 0 ? "+" : "") + show_number(change, 3);
      row.push_back(text);
    }
    if (any) table.add(row);
  }
  out << table;
  for (const ordered_json& summary : summaries) {
    out << '\n' << summary.at("name").get<std::string>() << '\n';
    print_pools(summary, out);
    out << sentence(summary) << '\n';
  }
  if (summaries.size() > 1) out << '\n' << verdict(summaries) << '\n';
}

ordered_json comparison_json(std::span<const ordered_json> summaries) {
  ordered_json j;
  j["schema_version"] = 1;
  j["baseline"] = summaries[0];
  j["candidates"] = ordered_json::array();
  for (const ordered_json& summary : summaries.subspan(1)) {
    ordered_json change;
    for (const Line& line : kLines) {
      const auto baseline = number_at(summaries[0], line.pointer);
      const auto value = number_at(summary, line.pointer);
      if (baseline && value && *baseline != 0)
        change[std::string(line.pointer.substr(1))] = *value / *baseline - 1;
    }
    j["candidates"].push_back({{"summary", summary}, {"change", change}});
  }
  j["verdict"] = verdict(summaries);
  return j;
}

}  // namespace disagg
