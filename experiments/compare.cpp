#include "experiments/compare.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/csv_table.hpp"
#include "experiments/figures.hpp"
#include "experiments/intervals.hpp"
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
    {"/capacity/per_s", "capacity within the SLO", "1/s", 1},
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
    {"/cost/split_usd_per_million_input_tokens", "of it for input, per 1M input tokens", "USD", -1},
    {"/cost/split_usd_per_million_output_tokens", "of it for output, per 1M output tokens", "USD", -1},
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
      const bool footprint = p.contains("cf_bytes_per_request");
      table.add({name, phase, std::to_string(p.at("tokens").get<std::int64_t>()),
                 show_number(p.at("oi_flop_per_byte").get<double>()),
                 show_number(pool.at("ridge_flop_per_byte").get<double>()),
                 footprint ? show_number(p.at("cf_bytes_per_request").get<double>() / 1e9) : "-"});
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

bool is_saturated(const Replications& side) {
  return std::ranges::any_of(side, [](const ordered_json& s) { return is_saturated(s); });
}

const std::string& name_of(const Replications& side) {
  return side.front().at("name").get_ref<const std::string&>();
}

// [seed]; empty where a run has no such figure.
std::vector<double> numbers_at(const Replications& side, std::string_view pointer) {
  std::vector<double> numbers;
  for (const ordered_json& run : side) {
    const auto number = number_at(run, pointer);
    if (!number) return {};
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<double> mean_at(const Replications& side, std::string_view pointer) {
  const std::vector<double> numbers = numbers_at(side, pointer);
  if (numbers.empty()) return std::nullopt;
  return mean_interval(numbers).mean;
}

// a / b - 1 of each seed; where b is 0 under some of them, differences over the mean of b; nothing where it
// is 0 under all.
std::optional<MeanInterval> change(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty() || b.empty()) return std::nullopt;
  const double mean = mean_interval(b).mean;
  if (mean == 0) return std::nullopt;
  const bool each = std::ranges::find(b, 0.0) == b.end();
  std::vector<double> changes;
  changes.reserve(a.size());
  for (std::size_t k = 0; k < a.size(); ++k) changes.push_back((a[k] - b[k]) / (each ? b[k] : mean));
  return mean_interval(changes);
}

// The measure that decides: what users feel and pay for, if the scenario states it, or else what comes out.
const Line& deciding(const Comparison& comparison) {
  const auto find = [](std::string_view pointer) -> const Line& {
    return *std::find_if(kLines.begin(), kLines.end(), [&](const Line& l) { return l.pointer == pointer; });
  };
  for (const std::string_view pointer : {"/capacity/per_s", "/metrics/request_goodput"})
    if (std::ranges::none_of(comparison.sides,
                             [&](const Replications& side) { return numbers_at(side, pointer).empty(); }))
      return find(pointer);
  return find("/metrics/output_throughput");
}

// What the deciding measure is divided by.
struct Denominator {
  std::string_view pointer, label;
};
Denominator matched_denominator(Match match) {
  switch (match) {
    case Match::count:
      return {"/cluster/accelerators", " per accelerator"};
    case Match::cost:
    case Match::throughput:
      return {"/cost/usd_per_hour", " per dollar of ownership"};
    case Match::rent:
      return {"/cluster/rent_usd_per_hour", " per dollar of rent"};
    case Match::capital:
      return {"/cost/capital_usd", " per dollar of capital"};
    case Match::power:
      return {"/cost/provisioned_power_w", " per watt provisioned"};
    case Match::none:
      break;
  }
  return {};
}
// None where a side lacks it: what is told then is the measure itself.
Denominator denominator(const Comparison& comparison) {
  const auto on_all_sides = [&](const Denominator& candidate) {
    return std::ranges::all_of(comparison.sides, [&](const Replications& side) {
      return mean_at(side, candidate.pointer).value_or(0) > 0;
    });
  };
  const Denominator matched = matched_denominator(comparison.match);
  if (!matched.pointer.empty()) return on_all_sides(matched) ? matched : Denominator{};
  for (const Denominator& candidate : {Denominator{"/cluster/rent_usd_per_hour", " per dollar of rent"},
                                       {"/cost/usd_per_hour", " per dollar of ownership"}})
    if (on_all_sides(candidate)) return candidate;
  return {};
}

// How the tails of two sides compare: "TTFT p99 2003 ms against 2013, TPOT p99 13.2 ms against 36.7".
std::string tails(const Replications& a, const Replications& b) {
  std::string text;
  if (is_saturated(a) || is_saturated(b)) return text;
  for (const auto& [label, pointer] :
       {std::pair{"TTFT", "/metrics/ttft_ms/p99"}, {"TPOT", "/metrics/tpot_ms/p99"}}) {
    const auto ours = mean_at(a, pointer);
    const auto theirs = mean_at(b, pointer);
    if (!ours || !theirs) continue;
    text += (text.empty() ? "" : ", ") + std::string(label) + " p99 " + show_number(*ours, 3) +
            " ms against " + show_number(*theirs, 3);
  }
  return text;
}

// What the runs do not share although a comparison needs it: "model, workload"; empty for like with like.
std::string differing(const Comparison& comparison) {
  constexpr auto kShared =
      std::to_array<std::pair<std::string_view, std::string_view>>({{"model", "model"},
                                                                    {"workload", "workload_hash"},
                                                                    {"SLO", "slo_hash"},
                                                                    {"horizon", "horizon_hash"},
                                                                    {"seed", "seed"}});
  std::string text;
  for (const auto& shared : kShared) {
    const std::string key(shared.second);
    const auto value = [&key](const Replications& side) { return side.front().at("provenance").at(key); };
    if (std::ranges::any_of(comparison.sides, [&](const Replications& side) {
          return value(side) != value(comparison.sides[0]);
        }))
      text += (text.empty() ? "" : ", ") + std::string(shared.first);
  }
  return text;
}

bool is_at_capacity(const Comparison& comparison) {
  return std::ranges::all_of(comparison.sides,
                             [](const Replications& side) { return side.front().contains("capacity"); });
}

// What decides, divided by what it is made equal by: [side][seed].
std::vector<std::vector<double>> scores_of(const Comparison& comparison) {
  const Line& line = deciding(comparison);
  const Denominator per = denominator(comparison);
  std::vector<std::vector<double>> scores;
  for (const Replications& side : comparison.sides) {
    scores.emplace_back();
    for (const ordered_json& run : side)
      scores.back().push_back(number_at(run, line.pointer).value_or(0) /
                              (per.pointer.empty() ? 1 : number_at(run, per.pointer).value_or(1)));
  }
  return scores;
}

std::string verdict(const Comparison& comparison) {
  const std::vector<Replications>& sides = comparison.sides;
  if (sides.size() < 2) return {};
  if (const std::string unlike = differing(comparison); !unlike.empty())
    return "No verdict: the scenarios differ in " + unlike + ", so their figures answer different questions.";
  const Line& line = deciding(comparison);
  const Denominator per = denominator(comparison);
  const std::vector<std::vector<double>> scores = scores_of(comparison);
  std::vector<double> means;
  means.reserve(sides.size());
  for (const auto& values : scores) means.push_back(mean_interval(values).mean);
  std::size_t best = 0;
  std::size_t second = 1;
  for (std::size_t i = 1; i < sides.size(); ++i) {
    if (means[i] > means[best]) {
      second = best;
      best = i;
    } else if (i != best && means[i] > means[second]) {
      second = i;
    }
  }
  const auto name = [&](std::size_t i) { return "'" + name_of(sides[i]) + "'"; };
  constexpr double kAllServed = 0.99;
  if (!is_at_capacity(comparison) && comparison.match != Match::throughput &&
      std::ranges::all_of(sides, [&](const Replications& side) {
        return mean_at(side, "/metrics/slo_attainment").value_or(0) >= kAllServed;
      })) {
    const std::string served = "All sides serve at least 99 % of the offered load within the SLO";
    if (per.pointer.empty()) return served + ".";
    const bool rented = per.pointer == "/cluster/rent_usd_per_hour";
    if (comparison.match == Match::none) {
      const auto cheapest = std::ranges::min_element(
          sides, {}, [&](const Replications& side) { return *mean_at(side, per.pointer); });
      return served + "; '" + name_of(*cheapest) + "' has the lowest " + (rented ? "rent" : "cost") +
             ". Raise the load, or tighten the SLO, to tell them apart.";
    }
    return served + ". Raise the load, or tighten the SLO, to tell them apart.";
  }
  const std::string measure = std::string(line.label) + std::string(per.label);
  const std::size_t seeds = sides.front().size();
  const std::string replications = seeds == 1 ? " (one seed each, no confidence interval)"
                                              : " (" + std::to_string(seeds) + " seeds, paired)";
  if (means[best] <= 0) return "No side has any " + std::string(line.label) + ".";
  const auto ahead = change(scores[best], scores[second]);
  if (ahead && seeds > 1 && ahead->contains(0))
    return "No significant difference in " + measure + ": " + name(best) + " is " +
           show_number(ahead->mean * 100, 2) + " % ahead of " + name(second) + ", give or take " +
           show_number(ahead->half_width * 100, 2) + " % (95 % confidence, " + std::to_string(seeds) +
           " seeds, paired).";
  if (ahead && seeds == 1 && ahead->mean < 0.01)
    return name(best) + " and " + name(second) + " are within 1 % of each other in " + measure +
           " (one seed each).";
  std::string text = name(best) + " wins in " + measure + ": ";
  if (!ahead) {
    text += name(second) + " has none";
  } else if (ahead->mean < 1) {
    text += show_number(ahead->mean * 100, 3) + " % more than " + name(second);
  } else {
    text += show_number(ahead->mean + 1, 3) + " times that of " + name(second);
  }
  if (ahead && seeds > 1)
    text += ", give or take " +
            (ahead->mean < 1 ? show_number(ahead->half_width * 100, 2) + " %"
                             : show_number(ahead->half_width, 2)) +
            " (95 % confidence)";
  // At capacity all latencies are at the SLO's edge.
  const std::string why = is_at_capacity(comparison) ? "" : tails(sides[best], sides[second]);
  return text + (why.empty() ? "" : "; " + why) + replications + ".";
}

std::string show_change(const std::optional<MeanInterval>& c) {
  if (!c) return "-";
  const double percent = c->mean * 100;
  std::string text = std::abs(percent) < 0.05 ? "0" : (percent > 0 ? "+" : "") + show_number(percent, 3);
  if (std::isfinite(c->half_width) && c->half_width > 0) text += " +-" + show_number(c->half_width * 100, 2);
  return text;
}

}  // namespace

namespace {

// Of a change: whether it is for the better, as far as several seeds can tell.
Tone tone_of(const std::optional<MeanInterval>& c, int better) {
  if (!c || better == 0 || !std::isfinite(c->half_width)) return Tone::plain;
  if (std::abs(c->mean) <= c->half_width) return Tone::faint;
  return c->mean * better > 0 ? Tone::better : Tone::worse;
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
  out << "\n" << Toned{sentence(summary), Tone::strong} << "\n";
}

void print_comparison(const Comparison& comparison, std::ostream& out) {
  const std::vector<Replications>& sides = comparison.sides;
  std::vector<Table::Column> header{{""}};
  for (std::size_t i = 0; i < sides.size(); ++i) {
    header.push_back({name_of(sides[i])});
    if (i > 0) header.push_back({"change", "%"});
  }
  Table table(header);
  for (const Line& line : kLines) {
    std::vector<std::string> row{with_unit(line)};
    std::vector<Tone> tones{Tone::plain};
    const bool latency = line.pointer.find("_ms/") != std::string_view::npos;
    bool any = false;
    for (std::size_t i = 0; i < sides.size(); ++i) {
      const auto mean = mean_at(sides[i], line.pointer);
      const bool meaningless = latency && is_saturated(sides[i]);
      any = any || mean;
      row.push_back(meaningless ? "saturated" : mean ? show_number(*mean * line.scale, 5) : "-");
      tones.push_back(Tone::plain);
      if (i == 0) continue;
      const auto changed = change(numbers_at(sides[i], line.pointer), numbers_at(sides[0], line.pointer));
      const bool told = !meaningless && !(latency && is_saturated(sides[0]));
      row.push_back(told ? show_change(changed) : "-");
      tones.push_back(told ? tone_of(changed, line.better) : Tone::plain);
    }
    if (any) table.add(row, tones);
  }
  out << table;
  for (const Replications& side : sides) {
    out << '\n' << Toned{name_of(side), Tone::strong} << (side.size() > 1 ? " (first seed)" : "") << '\n';
    print_pools(side.front(), out);
    out << sentence(side.front()) << '\n';
  }
  if (!comparison.matched.empty()) out << '\n';
  for (const std::string& matched : comparison.matched) out << matched << '\n';
}

void print_verdict(const Comparison& comparison, std::ostream& out) {
  out << Toned{verdict(comparison), Tone::strong} << '\n';
}

ordered_json comparison_json(const Comparison& comparison) {
  ordered_json j;
  j["schema_version"] = 2;
  j["baseline"] = comparison.sides[0];
  j["candidates"] = ordered_json::array();
  for (std::size_t i = 1; i < comparison.sides.size(); ++i) {
    const Replications& side = comparison.sides[i];
    ordered_json changes;
    for (const Line& line : kLines) {
      const auto c = change(numbers_at(side, line.pointer), numbers_at(comparison.sides[0], line.pointer));
      if (!c) continue;
      changes[std::string(line.pointer.substr(1))] = {
          {"mean", c->mean},
          {"half_width", std::isfinite(c->half_width) ? ordered_json(c->half_width) : ordered_json(nullptr)}};
    }
    j["candidates"].push_back({{"summaries", side}, {"change", changes}});
  }
  j["matched"] = comparison.matched;
  j["verdict"] = verdict(comparison);
  return j;
}

namespace {

// How a side does against the first under one condition.
struct Standing {
  double score = 0;                    // mean
  std::optional<MeanInterval> change;  // against the first
  // +1 better than the first, -1 worse, 0 no significant difference, or none that can be told.
  int sign = 0;
};
std::vector<Standing> standings(const Comparison& comparison) {
  const std::vector<std::vector<double>> scores = scores_of(comparison);
  const bool comparable = differing(comparison).empty();
  std::vector<Standing> all;
  for (const auto& values : scores) {
    Standing s{.score = mean_interval(values).mean, .change = {}, .sign = 0};
    if (!all.empty() && comparable) {
      s.change = change(values, scores[0]);
      const double clear = s.change && values.size() > 1 ? s.change->half_width : 0.01;
      if (s.change && std::abs(s.change->mean) > clear) s.sign = s.change->mean > 0 ? 1 : -1;
      if (!s.change && s.score > 0) s.sign = 1;  // the first has none at all
    }
    all.push_back(s);
  }
  return all;
}

std::string measure_of(const Comparison& comparison) {
  return std::string(deciding(comparison).label) + std::string(denominator(comparison).label);
}

std::string limiting(const Replications& side) {
  return side.front().at("bottleneck").at("sentence").get<std::string>();
}

}  // namespace

void print_conditions(const std::vector<std::string>& paths,
                      const std::vector<ConditionalComparison>& comparisons, std::ostream& out) {
  const std::vector<Replications>& sides = comparisons.front().comparison.sides;
  std::vector<Table::Column> header;
  const auto last_part = [](const std::string& path) { return path.substr(path.find_last_of('.') + 1); };
  for (const std::string& path : paths) {
    const bool unique = std::ranges::count_if(paths, [&](const std::string& p) {
                          return last_part(p) == last_part(path);
                        }) == 1;
    header.push_back({unique ? last_part(path) : path});
  }
  const std::string measure = measure_of(comparisons.front().comparison);
  const bool one_measure = std::ranges::all_of(
      comparisons, [&](const ConditionalComparison& c) { return measure_of(c.comparison) == measure; });
  if (!one_measure) header.push_back({"measure"});
  for (std::size_t i = 0; i < sides.size(); ++i) {
    header.push_back({name_of(sides[i])});
    if (i > 0) header.insert(header.end(), {{"change", "%"}, {"is"}});
  }
  Table table(header, one_measure ? measure : "");
  std::vector<std::array<int, 3>> counts(sides.size());  // [side]: worse, no difference, better
  std::vector<double> logs(sides.size());
  std::vector<int> ratios(sides.size());
  for (const ConditionalComparison& c : comparisons) {
    std::vector<std::string> row = c.condition;
    if (!one_measure) row.push_back(measure_of(c.comparison));
    const std::vector<Standing> all = standings(c.comparison);
    for (std::size_t i = 0; i < all.size(); ++i) {
      row.push_back(show_number(all[i].score, 4));
      if (i == 0) continue;
      row.push_back(show_change(all[i].change));
      row.emplace_back(all[i].sign > 0 ? "better" : all[i].sign < 0 ? "worse" : "not significant");
      ++counts[i].at(all[i].sign < 0 ? 0 : all[i].sign == 0 ? 1 : 2);
      if (!all[i].change || all[i].change->mean <= -1) continue;  // one of them has none at all
      logs[i] += std::log1p(all[i].change->mean);
      ++ratios[i];
    }
    table.add(row);
  }
  out << table << '\n';
  for (const ConditionalComparison& c : comparisons) {
    for (std::size_t p = 0; p < paths.size(); ++p) out << (p > 0 ? ", " : "") << c.condition[p];
    out << '\n';
    for (const Replications& side : c.comparison.sides)
      out << "  " << name_of(side) << ": " << limiting(side) << '\n';
    for (const std::string& matched : c.comparison.matched) out << "  " << matched << '\n';
  }
  out << '\n';
  const std::size_t seeds = sides.front().size();
  for (std::size_t i = 1; i < sides.size(); ++i) {
    out << "'" << name_of(sides[i]) << "' is better than '" << name_of(sides[0]) << "' in "
        << (one_measure ? measure : "its measure") << " under " << counts[i][2] << " of "
        << comparisons.size() << " conditions, worse under " << counts[i][0]
        << ", and not significantly different under " << counts[i][1];
    if (ratios[i] > 0)
      out << "; geometric mean " << show_number(std::exp(logs[i] / ratios[i]), 3) << " times";
    out << (seeds > 1 ? " (95 % confidence, " + std::to_string(seeds) + " seeds, paired)"
                      : " (one seed each, no confidence interval)")
        << ".\n";
  }
}

ordered_json conditions_json(const std::vector<std::string>& paths,
                             const std::vector<ConditionalComparison>& comparisons) {
  ordered_json all = ordered_json::array();
  for (const ConditionalComparison& c : comparisons) {
    ordered_json condition = ordered_json::object();
    for (std::size_t p = 0; p < paths.size(); ++p) condition[paths[p]] = c.condition[p];
    ordered_json j{{"condition", condition}};
    j.update(comparison_json(c.comparison));
    all.push_back(std::move(j));
  }
  return {{"schema_version", 2}, {"conditions", all}};
}

std::string conditions_csv(const std::vector<std::string>& paths,
                           const std::vector<ConditionalComparison>& comparisons) {
  std::string text;
  for (const std::string& path : paths) text += csv_field(path) + ",";
  text +=
      "scenario,measure,score,change,half_width,significance,capacity_per_s,accelerators,usd_per_hour,"
      "provisioned_power_w,output_tokens_per_s,usd_per_million_tokens,j_per_output_token,matched,"
      "bottleneck\n";
  const auto optional = [](const std::optional<double>& value) {
    return value && std::isfinite(*value) ? show_exact(*value) : std::string();
  };
  for (const ConditionalComparison& c : comparisons) {
    const std::vector<Standing> all = standings(c.comparison);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Replications& side = c.comparison.sides[i];
      for (const std::string& value : c.condition) text += csv_field(value) + ",";
      text += csv_field(name_of(side)) + "," + csv_field(measure_of(c.comparison)) + "," +
              show_exact(all[i].score) + ",";
      text += all[i].change ? optional(all[i].change->mean) + "," + optional(all[i].change->half_width) : ",";
      text += i == 0            ? ",baseline"
              : all[i].sign > 0 ? ",better"
              : all[i].sign < 0 ? ",worse"
                                : ",not significant";
      for (const std::string_view pointer :
           {"/capacity/per_s", "/cluster/accelerators", "/cost/usd_per_hour", "/cost/provisioned_power_w",
            "/metrics/output_throughput", "/cost/usd_per_million_tokens", "/energy/j_per_output_token"})
        text += "," + optional(mean_at(side, pointer));
      // What was done to this side.
      const auto told = std::ranges::find_if(c.comparison.matched, [&](const std::string& sentence) {
        return sentence.starts_with("'" + name_of(side) + "' ");
      });
      text += "," + (told == c.comparison.matched.end() ? std::string() : csv_field(*told)) + "," +
              csv_field(limiting(side)) + "\n";
    }
  }
  return text;
}

Limit parse_limit(const std::string& text) {
  const auto fail = [&](const std::string& what) { throw ConfigError("--fail-if '" + text + "': " + what); };
  const auto at = text.find_first_of("<>");
  if (at == std::string::npos) fail("expects FIGURE > NUMBER or FIGURE < NUMBER");
  Limit limit{
      .text = text, .figure = text.substr(0, at), .relative = false, .above = text[at] == '>', .bound = 0};
  while (limit.figure.ends_with(' ')) limit.figure.pop_back();
  try {
    std::size_t read = 0;
    const std::string number = text.substr(at + 1);
    limit.bound = std::stod(number, &read);
    if (number.find_first_not_of(' ', read) != std::string::npos || !std::isfinite(limit.bound))
      fail("expects a number behind the sign");
  } catch (const std::logic_error&) {
    fail("expects a number behind the sign");
  }
  limit.relative = limit.figure.starts_with("change(") && limit.figure.ends_with(")");
  if (limit.relative) limit.figure = limit.figure.substr(7, limit.figure.size() - 8);
  if (limit.figure.empty()) fail("expects FIGURE > NUMBER or FIGURE < NUMBER");
  return limit;
}

std::vector<std::string> limits_passed(const Comparison& comparison, const std::vector<Limit>& limits) {
  std::vector<std::string> passed;
  const auto figures = [](const Replications& side, const Limit& limit) {
    std::vector<double> numbers;
    for (const ordered_json& run : side) {
      const auto number = find_figure(run, limit.figure);
      if (!number)
        throw ConfigError("--fail-if '" + limit.text + "': no figure of summary.json is named '" +
                          limit.figure + "', or it is empty in '" + name_of(side) + "'");
      numbers.push_back(*number);
    }
    return numbers;
  };
  for (const Limit& limit : limits) {
    for (std::size_t i = 1; i < comparison.sides.size(); ++i) {
      const Replications& side = comparison.sides[i];
      double value = mean_interval(figures(side, limit)).mean;
      if (limit.relative) {
        const auto c = change(figures(side, limit), figures(comparison.sides[0], limit));
        if (!c)
          throw ConfigError("--fail-if '" + limit.text + "': '" + limit.figure + "' is 0 on the first side");
        value = c->mean * 100;
      }
      if (limit.above ? value > limit.bound : value < limit.bound)
        passed.push_back("'" + name_of(side) + "' has " + (limit.relative ? "a change of " : "") +
                         limit.figure + " of " + show_number(value) + (limit.relative ? " %" : "") +
                         ": fails if '" + limit.text + "'");
    }
  }
  return passed;
}

}  // namespace disagg
