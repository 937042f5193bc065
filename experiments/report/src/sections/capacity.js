// Searches for the highest load that meets the SLO, and for the cheapest cluster.
import { number, percent, plural, withUnit } from "../format.js";
import { grid, legend, lineStyle, logRange, pointStyle, tooltip, tooltipHtml, xValue, yValue } from "../options.js";
import { dataTable } from "../table.js";

const kStates = [
  { name: "Meets the SLO", meets: true },
  { name: "Fails it", meets: false },
];

const targetOf = (results) => (typeof results.target === "number" ? results.target : null);

const tipOf = (probe, colour) =>
  tooltipHtml(`${withUnit(probe.arriving_per_s, "req/s")} arriving`, [
    ["SLO attainment", percent(probe.slo_attainment), colour],
    ["Load", `${number(probe.load)}\u00d7`],
    ["TTFT p99", withUnit(probe.ttft_p99_ms, "ms")],
    ["TPOT p99", withUnit(probe.tpot_p99_ms, "ms")],
    ...(probe.budget === undefined ? [] : [["Budget", number(probe.budget)]]),
    ["Meets the SLO", probe.meets ? "yes" : "no"],
    ...(probe.saturated ? [["Saturated", "yes"]] : []),
    ...(probe.ended_early ? [["Ended early", "yes"]] : []),
  ]);

const targetLine = (theme, target) =>
  target === null
    ? undefined
    : {
        silent: true,
        symbol: "none",
        lineStyle: { color: theme.text, type: [4, 3], width: 1.5 },
        label: { formatter: `target ${percent(target)}`, color: theme.text, position: "insideEndTop" },
        data: [{ yAxis: target * 100 }],
      };

function statePoints(theme, probes, xOf) {
  return kStates.map(({ name, meets }, i) =>
    pointStyle(theme, i, {
      name,
      z: 3,
      itemStyle: { color: meets ? theme.better : theme.worse, borderColor: theme.surface, borderWidth: 1, opacity: 1 },
      symbol: meets ? "circle" : "diamond",
      symbolSize: 12,
      data: probes.flatMap((probe, place) =>
        probe.meets === meets ? [[xOf(probe), probe.slo_attainment * 100, place]] : [],
      ),
    }),
  );
}

function drawAttainment(results, probes, { theme }) {
  const { capacity, next } = results;
  const states = statePoints(theme, probes, (probe) => probe.arriving_per_s);
  return {
    option: {
      legend: legend(
        theme,
        kStates.map(({ name }) => name),
        { points: true },
      ),
      grid: grid(),
      tooltip: tooltip(theme, { trigger: "item", formatter: ({ value, color }) => tipOf(probes[value[2]], color) }),
      xAxis: loadAxis(theme, probes),
      yAxis: yValue(theme, "SLO attainment (%)", { min: 0, max: 100 }),
      series: [
        ...states,
        {
          type: "line",
          silent: true,
          symbol: "none",
          lineStyle: { color: theme.neutral, width: 1.5 },
          data: probes.map((probe) => [probe.arriving_per_s, probe.slo_attainment * 100]),
          markLine: targetLine(theme, targetOf(results)),
          markArea:
            capacity && next
              ? {
                  silent: true,
                  itemStyle: { color: theme.series[2], opacity: 0.25 },
                  label: { show: true, color: theme.text, position: "insideBottom", formatter: "capacity" },
                  data: [[{ xAxis: capacity.arriving_per_s }, { xAxis: next.arriving_per_s }]],
                }
              : undefined,
        },
      ],
    },
    table: tableOf(probes),
    reading: capacityText(results),
  };
}

// Searches double the load at first, so powers of two are its natural ticks.
function loadAxis(theme, probes) {
  const loads = probes.map((probe) => Math.log2(probe.arriving_per_s));
  return xValue(theme, "Arriving requests per second (log)", {
    type: "log",
    logBase: 2,
    interval: 1,
    min: 2 ** Math.floor(Math.min(...loads)),
    max: 2 ** Math.ceil(Math.max(...loads)),
  });
}

const kColumns = [
  "load",
  "arriving_per_s",
  "slo_attainment",
  "ttft_p99_ms",
  "tpot_p99_ms",
  "meets",
  "saturated",
  "ended_early",
  "too_short_to_tell",
];

const tableOf = (probes) => ({
  columns: kColumns,
  rows: probes.map((probe) => kColumns.map((name) => probe[name] ?? null)),
});

function drawLatencies(probes, { theme }) {
  const lines = [
    { name: "TTFT p99", key: "ttft_p99_ms" },
    { name: "TPOT p99", key: "tpot_p99_ms" },
  ].filter(({ key }) => probes.some((probe) => probe[key] > 0));
  const values = lines.flatMap(({ key }) => probes.map((probe) => probe[key]));
  const [first, last] = [probes[0], probes[probes.length - 1]];
  return {
    option: {
      legend: legend(
        theme,
        lines.map(({ name }) => name),
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "axis",
        formatter: (items) => tipOf(probes[items[0].dataIndex], items[0].color),
      }),
      xAxis: loadAxis(theme, probes),
      yAxis: yValue(theme, "Latency (ms, log)", { type: "log", ...logRange(values) }),
      series: lines.map(({ name, key }, i) => ({
        ...lineStyle(theme, i),
        name,
        data: probes.map((probe) => [probe.arriving_per_s, probe[key] || null]),
      })),
    },
    table: tableOf(probes),
    reading: lines
      .map(
        ({ name, key }) =>
          `${name} goes from ${withUnit(first[key], "ms")} at ${withUnit(first.arriving_per_s, "req/s")} to ${withUnit(last[key], "ms")} at ${withUnit(last.arriving_per_s, "req/s")}`,
      )
      .join("; ")
      .concat("."),
  };
}

export function capacityText({ capacity, next }) {
  if (!capacity) return "No load tried meets the SLO.";
  const held = `Meets the SLO up to ${withUnit(capacity.arriving_per_s, "req/s")}, with ${percent(capacity.slo_attainment)} of the requests`;
  return next
    ? `${held}; at ${withUnit(next.arriving_per_s, "req/s")} it fails, with ${percent(next.slo_attainment)}.`
    : `${held}; no higher load was tried.`;
}

const byLoad = (tried) =>
  tried
    .filter((probe) => probe.arriving_per_s > 0 && probe.slo_attainment !== null)
    .sort((a, b) => a.arriving_per_s - b.arriving_per_s);

export function capacityCharts(results) {
  const probes = byLoad([...(results.tried ?? [])]);
  if (probes.length === 0) return [];
  return [
    {
      id: "attainment",
      title: "SLO attainment against load",
      wide: true,
      height: 360,
      draw: (_, context) => drawAttainment(results, probes, context),
    },
    {
      id: "latencies",
      title: "Latency against load",
      wide: true,
      height: 320,
      draw: (_, context) => drawLatencies(probes, context),
    },
  ];
}

const assignmentsOf = (probe) => (probe.assignments ?? []).join(", ");

export function minimiseText({ best, points, tried }) {
  if (!best) return "No cluster tried meets the SLO.";
  return `Cheapest cluster that meets the SLO: ${assignmentsOf(best)}, with ${percent(best.slo_attainment)} of the requests; ${plural(tried?.length ?? 0, "cluster")} of ${plural(points ?? 0, "point")} had to be simulated.`;
}

function drawBudgets(results, probes, { theme }) {
  const { best } = results;
  return {
    option: {
      legend: legend(theme, [...kStates.map(({ name }) => name), "Cheapest"], { points: true }),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ value, color }) =>
          `${tooltipHtml(assignmentsOf(probes[value[2]]), [])}${tipOf(probes[value[2]], color)}`,
      }),
      xAxis: xValue(theme, "Budget"),
      yAxis: yValue(theme, "SLO attainment (%)", { scale: true }),
      series: [
        ...statePoints(theme, probes, (probe) => probe.budget),
        {
          name: "Cheapest",
          type: "scatter",
          silent: true,
          symbol: "circle",
          symbolSize: 24,
          itemStyle: { color: "transparent", borderColor: theme.text, borderWidth: 2 },
          data: best ? [[best.budget, best.slo_attainment * 100]] : [],
          markLine: targetLine(theme, targetOf(results)),
        },
      ],
    },
    table: {
      columns: ["assignments", "budget", ...kColumns],
      rows: probes.map((probe) => [assignmentsOf(probe), probe.budget, ...kColumns.map((name) => probe[name] ?? null)]),
    },
    reading: minimiseText(results),
  };
}

export function minimiseCharts(results) {
  const probes = (results.tried ?? []).filter(
    (probe) => typeof probe.budget === "number" && typeof probe.slo_attainment === "number",
  );
  if (probes.length === 0) return [];
  return [
    {
      id: "budgets",
      title: "SLO attainment against budget",
      wide: true,
      height: 360,
      draw: (_, context) => drawBudgets(results, probes, context),
    },
  ];
}

export function probeTable(results) {
  const probes = results.tried ?? [];
  if (probes.length === 0) return null;
  const chosen = probes.some((probe) => probe.assignments);
  return dataTable({
    id: "tried",
    title: chosen ? "Clusters tried" : "Loads tried",
    columns: [
      ...(chosen
        ? [
            { label: "Cluster", of: assignmentsOf, text: true },
            { label: "Budget", of: (probe) => number(probe.budget) },
          ]
        : []),
      { label: "Load", of: (probe) => `${number(probe.load)}\u00d7` },
      { label: "Arriving", unit: "req/s", of: (probe) => number(probe.arriving_per_s) },
      { label: "SLO attainment", of: (probe) => percent(probe.slo_attainment) },
      { label: "TTFT p99", of: (probe) => withUnit(probe.ttft_p99_ms, "ms") },
      { label: "TPOT p99", of: (probe) => withUnit(probe.tpot_p99_ms, "ms") },
      { label: "Meets the SLO", of: (probe) => (probe.meets ? "yes" : "no"), text: true },
      {
        label: "Remarks",
        text: true,
        of: (probe) =>
          [
            probe.saturated && "saturated",
            probe.ended_early && "ended early",
            probe.too_short_to_tell && "too short to tell",
          ]
            .filter(Boolean)
            .join(", "),
      },
    ],
    rows: probes,
    note:
      results.impossible?.length > 0
        ? `Impossible: ${results.impossible.map((assignments) => [assignments].flat().join(", ")).join("; ")}.`
        : "",
  });
}
