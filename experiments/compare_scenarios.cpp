#include "experiments/compare_scenarios.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "experiments/capacity.hpp"
#include "experiments/processes.hpp"
#include "experiments/run.hpp"
#include "sim/base/config.hpp"
#include "sim/base/no_progress.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

using nlohmann::ordered_json;

// What makes the sides equal under one condition: changes of each, and in words what was done.
struct Matching {
  std::vector<std::vector<std::string>> overrides;  // [scenario]
  std::vector<std::string> told;
};

std::vector<std::string> with(std::vector<std::string> overrides, const std::vector<std::string>& more) {
  overrides.insert(overrides.end(), more.begin(), more.end());
  return overrides;
}

std::vector<std::string> replica_overrides(const std::vector<std::int64_t>& replicas) {
  std::vector<std::string> overrides;
  overrides.reserve(replicas.size());
  for (std::size_t p = 0; p < replicas.size(); ++p)
    overrides.push_back("cluster.pools[" + std::to_string(p) + "].replicas=" + std::to_string(replicas[p]));
  return overrides;
}

// "prefill 2 -> 3, decode 1 -> 2".
std::string told_replicas(const Budget& budget, const std::vector<std::int64_t>& replicas) {
  std::string text;
  for (std::size_t p = 0; p < replicas.size(); ++p)
    text += (p > 0 ? ", " : "") + budget.pool_names[p] + " " + std::to_string(budget.replicas[p]) + " -> " +
            std::to_string(replicas[p]);
  return text;
}

// Of one seed, in one process.
CapacityOptions capacity_options(const CompareOptions& o, std::size_t scenario,
                                 std::vector<std::string> overrides) {
  return {.scenario = o.scenarios[scenario],
          .overrides = std::move(overrides),
          .attainment = o.attainment,
          .tolerance = o.tolerance,
          .seeds = 1,
          .jobs = 1,
          .progress = {}};
}

// Of two pools, with so many replicas of the first, as near to the target as the second can bring it; nothing
// where that leaves it none.
std::optional<std::vector<std::int64_t>> split_at(const Budget& own, double target, std::int64_t first) {
  if (first < 1) return std::nullopt;
  const double left = target - own.fixed - static_cast<double>(first) * own.per_replica[0];
  const auto second = static_cast<std::int64_t>(std::llround(left / own.per_replica[1]));
  if (second < 1) return std::nullopt;
  return std::vector<std::int64_t>{first, second};
}

// The split of two pools from which no neighbour has a higher capacity for what it takes, starting where
// their own proportions are; and how many were tried.
struct Split {
  std::vector<std::int64_t> replicas;
  int tried = 0;
};
Split best_split(const CapacityOptions& options, const Budget& own, double target) {
  Split split{.replicas = matched_replicas(own, target), .tried = 0};
  const auto of = [&](const std::vector<std::int64_t>& replicas) {
    CapacityOptions with_replicas = options;
    with_replicas.overrides = with(options.overrides, replica_overrides(replicas));
    return with_replicas;
  };
  double best = 0;
  // Whether a split is better than the best so far.
  const auto improves = [&](const std::vector<std::int64_t>& replicas) {
    ++split.tried;
    // One run tells whether a search is worth it.
    const double to_beat = best * own.of(replicas) * (1 + options.tolerance);
    if (best > 0 && !try_load(of(replicas), to_beat).meets) return false;
    const Capacity found = find_capacity(of(replicas));
    const double score = found.capacity ? found.capacity->scale / own.of(replicas) : 0;
    if (score <= best) return false;
    best = score;
    split.replicas = replicas;
    return true;
  };
  const std::vector<std::int64_t> start = split.replicas;
  improves(start);
  // The start could be run: what keeps a neighbour from it is its split, which then serves nothing.
  const auto neighbour_improves = [&](const std::vector<std::int64_t>& replicas) {
    try {
      return improves(replicas);
    } catch (const ConfigError&) {
      return false;
    }
  };
  for (const std::int64_t step : {1, -1}) {
    bool moved = false;
    for (std::int64_t first = start[0] + step; const auto next = split_at(own, target, first);
         first += step) {
      const bool any_so_far = best > 0;
      if (neighbour_improves(*next)) {
        moved = true;
      } else if (any_so_far) {
        break;  // downhill
      }
    }
    if (moved) break;
  }
  return split;
}

// `jobs`: processes of a search.
Matching match_budgets(const CompareOptions& o, const std::vector<std::string>& condition, std::size_t jobs) {
  Matching matching{.overrides = std::vector<std::vector<std::string>>(o.scenarios.size()), .told = {}};
  double target = 0;
  for (std::size_t i = 0; i < o.scenarios.size(); ++i) {
    const Scenario scenario = load_scenario(o.scenarios[i], with(o.overrides, condition));
    const Budget own = budget(scenario, o.match);
    const bool has_splits = o.best_split && own.replicas.size() == 2;
    if (i == 0) {
      target = own.total();
      if (!has_splits) continue;
    }
    Split split{.replicas = matched_replicas(own, target), .tried = 0};
    if (has_splits) {
      CapacityOptions options = capacity_options(o, i, with(o.overrides, condition));
      options.jobs = jobs;
      split = best_split(options, own, target);
    }
    matching.overrides[i] = replica_overrides(split.replicas);
    matching.told.push_back(
        "'" + scenario.name + "' at equal " + std::string(kMatchNames.at(static_cast<std::size_t>(o.match))) +
        ": replicas of " + told_replicas(own, split.replicas) + ", " +
        show_number(own.of(split.replicas), 5) + " " + std::string(unit_told(o.match)) + " against " +
        show_number(target, 5) + " (" + show_number((own.of(split.replicas) / target - 1) * 100, 2) + " %)" +
        (split.tried > 0 ? ", the best of " + std::to_string(split.tried) + " splits tried" : "") + ".");
  }
  return matching;
}

// `total` replicas in the proportions of `base`, at least one of each pool.
std::vector<std::int64_t> in_proportion(const std::vector<std::int64_t>& base, std::int64_t total) {
  const auto sum = static_cast<double>(std::accumulate(base.begin(), base.end(), std::int64_t{0}));
  std::vector<std::int64_t> counts(base.size());
  std::int64_t left = total;
  for (std::size_t p = 0; p < base.size(); ++p) {
    const double share = static_cast<double>(base[p]) / sum * static_cast<double>(total);
    counts[p] = std::max<std::int64_t>(1, static_cast<std::int64_t>(share));
    left -= counts[p];
  }
  // What rounding left over goes where it is missed most.
  for (; left > 0; --left) {
    std::size_t neediest = 0;
    double most = 0;
    for (std::size_t p = 0; p < base.size(); ++p) {
      const double missing =
          static_cast<double>(base[p]) / sum * static_cast<double>(total) / static_cast<double>(counts[p]);
      if (missing <= most) continue;
      most = missing;
      neediest = p;
    }
    ++counts[neediest];
  }
  return counts;
}

// The fewest replicas whose cluster meets the SLO. Throws ConfigError when not even 64 times its own do.
std::vector<std::int64_t> fewest_replicas(const CapacityOptions& options, const Budget& own) {
  const auto pools = static_cast<std::int64_t>(own.replicas.size());
  const auto meets = [&](std::int64_t total) {
    CapacityOptions with_replicas = options;
    with_replicas.overrides = with(options.overrides, replica_overrides(in_proportion(own.replicas, total)));
    return try_load(with_replicas).meets;
  };
  const std::int64_t base = std::accumulate(own.replicas.begin(), own.replicas.end(), std::int64_t{0});
  std::int64_t fails = pools - 1;
  std::int64_t serves = base;
  while (!meets(serves)) {
    fails = serves;
    serves *= 2;
    if (serves > 64 * base)
      throw ConfigError(options.scenario.string() + ": --match throughput: not even " +
                        std::to_string(fails) + " replicas serve what the first scenario does");
  }
  while (serves - fails > 1) {
    const std::int64_t middle = fails + (serves - fails) / 2;
    (meets(middle) ? serves : fails) = middle;
  }
  return in_proportion(own.replicas, serves);
}

Matching match_throughput(const CompareOptions& o, const std::vector<std::string>& condition) {
  const std::vector<std::string> common = with(o.overrides, condition);
  CapacityOptions first = capacity_options(o, 0, common);
  first.seeds = o.seeds;
  first.jobs = o.jobs;
  const Capacity target = find_capacity(first);
  if (!target.capacity)
    throw ConfigError(o.scenarios[0].string() +
                      ": --match throughput: it meets the SLO at no load, so there is nothing to match");
  const std::string load = target.capacity->load_override;
  Matching matching{.overrides = std::vector<std::vector<std::string>>(o.scenarios.size(), {load}),
                    .told = {}};
  for (std::size_t i = 1; i < o.scenarios.size(); ++i) {
    CapacityOptions options = capacity_options(o, i, with(common, {load}));
    options.seeds = o.seeds;
    options.jobs = o.jobs;
    const Scenario scenario = load_scenario(o.scenarios[i], options.overrides);
    const Budget own = budget(scenario, Match::count);
    const std::vector<std::int64_t> replicas = fewest_replicas(options, own);
    for (const std::string& text : replica_overrides(replicas)) matching.overrides[i].push_back(text);
    matching.told.push_back("'" + scenario.name + "' at equal throughput (" +
                            show_number(target.capacity->arriving_per_second, 4) +
                            " a second within the SLO): replicas of " + told_replicas(own, replicas) + ".");
  }
  return matching;
}

Matching match_sides(const CompareOptions& o, const std::vector<std::string>& condition, std::size_t jobs) {
  if (o.match == Match::none)
    return {.overrides = std::vector<std::vector<std::string>>(o.scenarios.size()), .told = {}};
  return o.match == Match::throughput ? match_throughput(o, condition) : match_budgets(o, condition, jobs);
}

// Does `act`, whose errors then say under which condition.
template <class Act>
auto under_condition(const Design& conditions, std::size_t c, Act&& act) {
  if (conditions.paths.empty()) return act();
  try {
    return act();
  } catch (const ConfigError& error) {
    throw ConfigError("under " + conditions.told(c) + ": " + error.what());
  } catch (const NoProgress& error) {
    throw NoProgress("under " + conditions.told(c) + ": " + error.what());
  }
}

// Each scenario's results go into a folder of its name.
void require_distinct_names(std::size_t count, const std::function<Scenario(std::size_t)>& load) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = load(i).name;
    if (!names.insert(name).second)
      throw ConfigError("--out: two scenarios are named '" + name + "'; give one of them another \"name\"");
  }
}

// Runs `act`, which returns a summary, `count` times.
std::vector<ordered_json> collect(std::size_t count, std::size_t jobs,
                                  const std::function<std::string(std::size_t)>& act,
                                  const std::function<void(std::size_t, std::size_t)>& progress) {
  std::vector<ordered_json> summaries(count);
  TaskResult failure;
  std::size_t done = 0;
  run_forked(count, jobs, act, [&](std::size_t i, const TaskResult& result) {
    if (result.code == exit_code::kDone) {
      summaries[i] = ordered_json::parse(result.output);
    } else if (failure.code == exit_code::kDone) {
      failure = result;
    }
    if (progress) progress(++done, count);
  });
  if (failure.code == exit_code::kBadInput) throw ConfigError(failure.output);
  if (failure.code == exit_code::kNo) throw NoProgress(failure.output);
  if (failure.code != exit_code::kDone) throw std::runtime_error(failure.output);
  return summaries;
}

}  // namespace

std::vector<ordered_json> run_all(const RunAllOptions& options, std::size_t count,
                                  const std::function<Scenario(std::size_t)>& load) {
  for (std::size_t i = 0; i < count; ++i) load(i);  // every problem before the first run
  if (options.folder) {
    require_distinct_names(count, load);
    std::error_code error;
    std::filesystem::create_directories(*options.folder, error);
    if (error) throw ConfigError(options.folder->string() + ": cannot make this folder: " + error.message());
  }
  return collect(
      count, options.jobs,
      [&](std::size_t i) {
        Scenario scenario = load(i);
        RunOptions run;
        run.timeline = options.timeline;
        if (options.folder) run.folder = *options.folder / scenario.name;
        return run_scenario(std::move(scenario), run).dump();
      },
      options.progress);
}

std::vector<ConditionalComparison> compare_scenarios(const CompareOptions& o) {
  const Design conditions = make_design(o.conditions, DesignKind::grid, 0, 0);
  const std::size_t sides = o.scenarios.size();
  std::vector<ConditionalComparison> comparisons;
  std::vector<Matching> matchings;
  comparisons.reserve(conditions.points());
  matchings.reserve(conditions.points());
  // Every problem before the first search.
  for (std::size_t c = 0; c < conditions.points(); ++c)
    for (const std::filesystem::path& scenario : o.scenarios)
      under_condition(conditions, c,
                      [&] { load_scenario(scenario, with(o.overrides, conditions.assignments(c))); });
  const std::size_t jobs_of_match = std::max<std::size_t>(1, o.jobs / conditions.points());
  const auto match = [&](std::size_t c) {
    return under_condition(conditions, c,
                           [&] { return match_sides(o, conditions.assignments(c), jobs_of_match); });
  };
  if (o.best_split) {
    // Searches: those of each condition in a process of their own.
    for (const ordered_json& found :
         collect(conditions.points(), o.jobs,
                 [&](std::size_t c) {
                   const Matching matching = match(c);
                   return ordered_json{{"overrides", matching.overrides}, {"told", matching.told}}.dump();
                 },
                 {}))
      matchings.push_back({.overrides = found.at("overrides").get<std::vector<std::vector<std::string>>>(),
                           .told = found.at("told").get<std::vector<std::string>>()});
  } else {
    for (std::size_t c = 0; c < conditions.points(); ++c) matchings.push_back(match(c));
  }
  for (std::size_t c = 0; c < conditions.points(); ++c) {
    comparisons.push_back(
        {.condition = conditions.values[c],
         .comparison = {
             .sides = std::vector<Replications>(sides), .match = o.match, .matched = matchings.back().told}});
  }
  // All seeds of all sides of all conditions, in this order.
  struct Task {
    std::size_t condition, side, seed;
  };
  const auto task = [&](std::size_t i) {
    return Task{i / o.seeds / sides, i / o.seeds % sides, i % o.seeds};
  };
  const auto overrides = [&](const Task& t) {
    std::vector<std::string> all = with(with(o.overrides, conditions.assignments(t.condition)),
                                        matchings[t.condition].overrides[t.side]);
    if (t.seed == 0) return all;
    all.push_back("seed=" + std::to_string(load_scenario(o.scenarios[t.side], all).cluster.seed + t.seed));
    return all;
  };
  const std::size_t count = conditions.points() * sides * o.seeds;
  const auto load = [&](std::size_t i) {
    const Task t = task(i);
    Scenario scenario = load_scenario(o.scenarios[t.side], overrides(t));
    if (o.folder && t.seed > 0) scenario.name += "-seed-" + std::to_string(scenario.cluster.seed);
    return scenario;
  };
  std::vector<ordered_json> summaries;
  if (o.at_capacity) {
    for (std::size_t i = 0; i < count; i += o.seeds) load(i);
    summaries = collect(
        count, o.jobs,
        [&](std::size_t i) {
          const Task t = task(i);
          return under_condition(conditions, t.condition, [&] {
            return summary_at_capacity(capacity_options(o, t.side, overrides(t))).dump();
          });
        },
        o.progress);
  } else {
    summaries =
        run_all({.jobs = o.jobs, .folder = o.folder, .timeline = false, .progress = o.progress}, count, load);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const Task t = task(i);
    comparisons[t.condition].comparison.sides[t.side].push_back(std::move(summaries[i]));
  }
  return comparisons;
}

}  // namespace disagg
