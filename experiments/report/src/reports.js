// What a report of each kind shows, in the order of its questions: which is better, how sure, why, what limits it.
import { sidesOf } from "./comparison.js";
import { plural } from "./format.js";
import { describe } from "./metrics.js";
import {
  answerList,
  answerText,
  bottleneckList,
  differenceCards,
  howSure,
  statCards,
  valueCards,
  warnings,
} from "./sections/answer.js";
import { capacityCharts, capacityText, minimiseCharts, minimiseText, probeTable } from "./sections/capacity.js";
import { conditionChart, conditionsOf, forestChart, tradeOffChart } from "./sections/comparison.js";
import { latencyCharts } from "./sections/latency.js";
import { frontTable, paretoCharts, paretoText } from "./sections/pareto.js";
import { partCharts } from "./sections/parts.js";
import { poolCharts, poolTable } from "./sections/pools.js";
import { rooflineCharts, rooflineTable, rooflineText } from "./sections/roofline.js";
import { sensitivityCharts, sensitivityText } from "./sections/sensitivity.js";
import { spendingCharts } from "./sections/spending.js";
import { stageCharts } from "./sections/stages.js";
import { sweepCharts, sweepTable } from "./sections/sweep.js";
import { tierCharts } from "./sections/tiers.js";
import { timelineCharts } from "./sections/timeline.js";
import { topologyCharts } from "./sections/topology.js";
import { readSweep, sweepFindings } from "./sweep.js";

// What is first painted must not wait for the sections, which read all tables: they are made when asked for.
// Sections are { title, charts: specs, nodes }; those with neither charts nor nodes are left out.
const section = (title, charts, nodes = []) => ({ title, charts, nodes: nodes.filter((node) => node !== null) });

function insights(sides) {
  if (sides.length === 0) return [];
  return [
    section("Latency", latencyCharts(sides)),
    section("Where the time goes", stageCharts(sides)),
    section("What limits it", poolCharts(sides), [poolTable(sides)]),
    section("Over time", [...timelineCharts(sides), ...tierCharts(sides)]),
    section("Replicas and links", [...topologyCharts(sides), ...partCharts(sides)]),
    section("Energy and cost", spendingCharts(sides)),
  ];
}

const summariesOf = (sides) => sides.map(({ summary }) => summary);

function run({ sides }) {
  const [side] = sides;
  return {
    label: "Run",
    answer: side ? [answerText(side.summary.bottleneck?.sentence), valueCards(side.summary), warnings(sides)] : [],
    sections: () => insights(sides),
    summaries: summariesOf(sides),
  };
}

function compare({ results, sides }) {
  const compared = sidesOf(results);
  // Bottlenecks and drawings are of the first seed: of the runs, or of the summaries where no run is in the report.
  const firsts = sides.length > 0 ? sides : compared.filter(({ summaries }) => summaries[0]).map(bare);
  return {
    label: "Comparison",
    answer: [
      answerText(results.verdict),
      differenceCards(compared),
      howSure(compared),
      ...(results.matched?.length > 0 ? [answerList(results.matched.map(textOf))] : []),
      bottleneckList(firsts),
      warnings(firsts),
    ],
    sections: () => [
      section("By how much, how sure", [
        ...forestChart([{ label: "All", sides: compared }]),
        ...tradeOffChart(compared),
      ]),
      ...insights(firsts),
    ],
    summaries: compared.flatMap((side) => side.summaries),
  };
}

const bare = ({ name, summaries }) => ({
  name,
  summary: summaries[0],
  timeseries: () => [],
  replicas: () => [],
  replicaSeries: () => [],
  tierSeries: () => [],
  links: () => [],
  linkSeries: () => [],
  flows: () => [],
  distributions: () => [],
});

const textOf = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function conditions({ results, sides }) {
  const comparisons = conditionsOf(results).map(({ label, entry }) => ({ label, entry, sides: sidesOf(entry) }));
  return {
    label: "Comparison over conditions",
    answer: [
      answerList(comparisons.map(({ label, entry }) => `${label}: ${entry.verdict ?? "no verdict"}`)),
      comparisons.length > 0 ? howSure(comparisons[0].sides) : null,
    ],
    sections: () => [
      section("By how much, how sure", [...conditionChart(comparisons), ...forestChart(comparisons)]),
      ...insights(sides),
    ],
    summaries: comparisons.flatMap((comparison) => comparison.sides.flatMap((side) => side.summaries)),
  };
}

function sweep(report, label) {
  const read = readSweep(report.results);
  const hashes = [...new Set(read.points.map((point) => point.scenario_hash).filter(Boolean))];
  return {
    label,
    answer: [
      answerList(sweepFindings(read)),
      statCards([
        { label: "Points", value: read.points.length },
        { label: "Axes", value: read.axes.length },
        { label: "Seeds", value: read.seeds || null },
        { label: "Failed", value: read.failed || null },
      ]),
    ],
    sections: () => [section("Figures", sweepCharts(read), [sweepTable(read)]), ...insights(report.sides)],
    summaries: summariesOf(report.sides),
    origin: [
      [
        "Scenario hashes",
        hashes.length > 0
          ? `${plural(hashes.length, "scenario")}: ${hashes.slice(0, 12).join(", ")}${hashes.length > 12 ? ", \u2026" : ""}`
          : null,
      ],
    ],
  };
}

function sensitivity({ results, sides }) {
  const metric = describe(results.metric);
  return {
    label: "Sensitivity",
    answer: [
      answerText(sensitivityText(results)),
      statCards([
        { label: `Mean ${metric.label}`, value: results.mean, unit: metric.unit },
        {
          label: "Standard deviation",
          value: results.variance > 0 ? Math.sqrt(results.variance) : null,
          unit: metric.unit,
        },
        { label: "Runs", value: results.runs },
        { label: "Method", value: results.method },
      ]),
    ],
    sections: () => [section("Effects", sensitivityCharts(results)), ...insights(sides)],
    summaries: summariesOf(sides),
  };
}

function capacity({ results, sides }) {
  const found = results.capacity;
  return {
    label: "Capacity",
    answer: [
      answerText(capacityText(results)),
      found
        ? statCards([
            { label: "Capacity", value: found.arriving_per_s, unit: "req/s" },
            { label: "Load", value: found.load, unit: "\u00d7" },
            { label: "SLO attainment", value: found.slo_attainment, unit: "share" },
            { label: "TTFT p99", value: found.ttft_p99_ms, unit: "ms" },
            { label: "TPOT p99", value: found.tpot_p99_ms, unit: "ms" },
          ])
        : null,
    ],
    sections: () => [section("Loads", capacityCharts(results), [probeTable(results)]), ...insights(sides)],
    summaries: summariesOf(sides),
  };
}

function minimise({ results, sides }) {
  return {
    label: "Cheapest cluster",
    answer: [answerText(minimiseText(results))],
    sections: () => [section("Clusters", minimiseCharts(results), [probeTable(results)]), ...insights(sides)],
    summaries: summariesOf(sides),
  };
}

function pareto({ results, sides }) {
  return {
    label: "Pareto fronts",
    answer: [answerText(paretoText(results))],
    sections: () => [section("Fronts", paretoCharts(results), [frontTable(results)])],
    summaries: summariesOf(sides),
  };
}

function roofline({ results, sides }) {
  return {
    label: "Roofline",
    answer: [answerText(rooflineText(results))],
    sections: () => [section("Roofs", rooflineCharts(results), [rooflineTable(results)])],
    summaries: summariesOf(sides),
  };
}

const kKinds = {
  run,
  compare,
  conditions,
  sweep: (report) => sweep(report, "Sweep"),
  "capacity-table": (report) => sweep(report, "Capacities"),
  sensitivity,
  capacity,
  minimise,
  pareto,
  roofline,
};

export function contentsOf(report) {
  const contents = kKinds[report.kind];
  if (!contents) throw new Error(`this report cannot show data of kind ${JSON.stringify(report.kind)}`);
  return contents({ ...report, results: report.results ?? {} });
}
