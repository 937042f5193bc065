// Bounds by datasheets: operational intensity under the roofs, and capacity footprint against intensity.
import { number, percent, withUnit } from "../format.js";
import { decades, grid, legend, pointStyle, tooltip, tooltipHtml, xValue, yValue } from "../options.js";
import { kDashes, nth } from "../theme.js";
import { dataTable } from "../table.js";

const kAll = "";

const distinct = (points, name) => [...new Set(points.map((point) => String(point[name])))];

const unitName = (point) => `${point.accelerators} \u00d7 ${point.accelerator}`;

// Work the bound allows: a step that capacity forbids has no time.
const reached = (point) => (point.step_time_bound_seconds > 0 ? point.flop / point.step_time_bound_seconds : null);

const groupOf = (point) => `${point.model}, ${point.phase}`;

function tip(point, colour) {
  return tooltipHtml(`${groupOf(point)} on ${unitName(point)}`, [
    ["Batch", number(point.batch, 6), colour],
    ["Context", withUnit(point.context_tokens, "tokens")],
    ["Intensity", withUnit(point.intensity_flop_per_byte, "flop/B")],
    ["Ridge", withUnit(point.ridge_flop_per_byte, "flop/B")],
    ["Footprint of a request", withUnit(point.footprint_bytes_per_request, "B")],
    ["Step takes at least", withUnit(point.step_time_bound_seconds, "s")],
    ["Largest batch that fits", number(point.max_batch, 6)],
    ["Longest context that fits", withUnit(point.capacity_wall_tokens, "tokens")],
    ["Limited by", point.regime],
  ]);
}

function groups(points) {
  return distinct(
    points.map((point) => ({ group: groupOf(point) })),
    "group",
  ).map((name) => ({
    name,
    members: points.filter((point) => groupOf(point) === name),
  }));
}

// Symbols grow with the batch; points that do not fit the memory are hollow.
function scatter(theme, grouped, yOf) {
  return grouped.map(({ name, members }, i) => {
    const style = pointStyle(theme, i, { name });
    return {
      ...style,
      data: members.map((point) => ({
        value: [point.intensity_flop_per_byte, yOf(point)],
        symbolSize: 9 + 2 * Math.log2(Math.max(1, point.batch)),
        itemStyle:
          point.regime === "capacity"
            ? { color: "transparent", borderColor: nth(theme.series, i), borderWidth: 2 }
            : undefined,
      })),
    };
  });
}

const narrowed = (points, { unit, context }) =>
  points.filter(
    (point) =>
      (unit === kAll || unitName(point) === unit) && (context === kAll || String(point.context_tokens) === context),
  );

function regimeText(points) {
  const share = (regime) => points.filter((point) => point.regime === regime).length;
  return ["compute", "bandwidth", "capacity"].map((regime) => `${share(regime)} by ${regime}`).join(", ");
}

function drawRoofs(points, chosen, { theme }) {
  const drawn = narrowed(points, chosen).filter((point) => reached(point) !== null);
  const grouped = groups(drawn);
  const units = [...new Map(drawn.map((point) => [unitName(point), point]))];
  const x = decades(drawn.flatMap((point) => [point.intensity_flop_per_byte, point.ridge_flop_per_byte]));
  const y = decades(drawn.flatMap((point) => [reached(point), point.peak_flop_per_second]));
  const roofs = units.map(([name, point], i) => ({
    name: `Roof of ${name}`,
    type: "line",
    silent: true,
    symbol: "none",
    lineStyle: { color: theme.subtle, width: 2, type: nth(kDashes, i) },
    itemStyle: { color: theme.subtle },
    data: [x.min, point.peak_flop_per_second / point.bandwidth_bytes_per_second, x.max].map((intensity) => [
      intensity,
      Math.min(point.peak_flop_per_second, intensity * point.bandwidth_bytes_per_second),
    ]),
  }));
  return {
    option: {
      legend: legend(
        theme,
        [...grouped, ...roofs].map(({ name }) => name),
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ seriesIndex, dataIndex, color }) => tip(grouped[seriesIndex].members[dataIndex], color),
      }),
      xAxis: xValue(theme, "Operational intensity (flop per byte, log)", { type: "log", ...x }),
      yAxis: yValue(theme, "Compute allowed (flop/s, log)", { type: "log", ...y }),
      series: [...scatter(theme, grouped, reached), ...roofs],
    },
    table: tableOf(drawn),
    reading: `Of ${drawn.length} operating points the roofs limit ${regimeText(drawn)}. Larger symbols are larger batches; hollow ones do not fit into memory.`,
  };
}

function drawFootprints(points, chosen, { theme }) {
  const drawn = narrowed(points, chosen).filter((point) => point.footprint_bytes_per_request > 0);
  const grouped = groups(drawn);
  const largest = drawn.reduce((a, b) => (b.footprint_bytes_per_request > a.footprint_bytes_per_request ? b : a));
  const unfit = drawn.filter((point) => point.regime === "capacity").length;
  return {
    option: {
      legend: legend(
        theme,
        grouped.map(({ name }) => name),
        { points: true },
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ seriesIndex, dataIndex, color }) => tip(grouped[seriesIndex].members[dataIndex], color),
      }),
      xAxis: xValue(theme, "Operational intensity (flop per byte, log)", {
        type: "log",
        ...decades(drawn.map((point) => point.intensity_flop_per_byte)),
      }),
      yAxis: yValue(theme, "Footprint of a request (bytes, log)", {
        type: "log",
        ...decades(drawn.map((point) => point.footprint_bytes_per_request)),
      }),
      series: scatter(theme, grouped, (point) => point.footprint_bytes_per_request),
    },
    table: tableOf(drawn),
    reading: `A request of ${groupOf(largest)} at batch ${number(largest.batch, 6)} and ${withUnit(largest.context_tokens, "tokens")} takes the most room, ${withUnit(largest.footprint_bytes_per_request, "B")}; ${unfit} of ${drawn.length} points (${percent(unfit / drawn.length)}) do not fit into memory.`,
  };
}

const kColumns = [
  "model",
  "accelerator",
  "accelerators",
  "phase",
  "context_tokens",
  "batch",
  "weights",
  "experts",
  "kv",
  "flop",
  "traffic_bytes",
  "intensity_flop_per_byte",
  "ridge_flop_per_byte",
  "footprint_bytes_per_request",
  "peak_flop_per_second",
  "bandwidth_bytes_per_second",
  "regime",
  "step_time_bound_seconds",
  "max_batch",
  "capacity_wall_tokens",
];

const tableOf = (points) => ({
  columns: kColumns,
  rows: points.map((point) => kColumns.map((name) => point[name] ?? null)),
});

const usable = (results) =>
  (Array.isArray(results) ? results : []).filter(
    (point) => point.intensity_flop_per_byte > 0 && point.ridge_flop_per_byte > 0,
  );

export function rooflineText(results) {
  const points = usable(results);
  return points.length === 0
    ? "No operating point is known."
    : `Of ${points.length} operating points datasheets limit ${regimeText(points)}.`;
}

export function rooflineCharts(results) {
  const points = usable(results);
  if (points.length === 0) return [];
  const everything = (label) => ({ value: kAll, label });
  const choices = () => [
    {
      name: "unit",
      label: "Hardware",
      value: kAll,
      options: [everything("All"), ...[...new Set(points.map(unitName))].map((name) => ({ value: name, label: name }))],
    },
    {
      name: "context",
      label: "Context",
      value: kAll,
      options: [
        everything("All"),
        ...distinct(points, "context_tokens").map((tokens) => ({
          value: tokens,
          label: `${number(Number(tokens), 7)} tokens`,
        })),
      ],
    },
  ];
  return [
    points.some((point) => reached(point) !== null) && {
      id: "roofs",
      title: "Operating points under the roofs",
      wide: true,
      height: 460,
      choices: choices(),
      draw: (chosen, context) => drawRoofs(points, chosen, context),
    },
    points.some((point) => point.footprint_bytes_per_request > 0) && {
      id: "footprints",
      title: "Capacity footprint against intensity",
      wide: true,
      height: 400,
      choices: choices(),
      draw: (chosen, context) => drawFootprints(points, chosen, context),
    },
  ].filter(Boolean);
}

export function rooflineTable(results) {
  const points = usable(results);
  if (points.length === 0) return null;
  return dataTable({
    id: "operating-points",
    title: "Operating points",
    columns: [
      { label: "Model", of: (point) => point.model, text: true },
      { label: "Hardware", of: unitName, text: true },
      { label: "Phase", of: (point) => point.phase, text: true },
      { label: "Context", unit: "tokens", of: (point) => number(point.context_tokens, 7) },
      { label: "Batch", of: (point) => number(point.batch, 6) },
      { label: "Intensity", unit: "flop/B", of: (point) => number(point.intensity_flop_per_byte) },
      { label: "Ridge", unit: "flop/B", of: (point) => number(point.ridge_flop_per_byte) },
      { label: "Footprint of a request", of: (point) => withUnit(point.footprint_bytes_per_request, "B") },
      { label: "Step at least", of: (point) => withUnit(point.step_time_bound_seconds, "s") },
      { label: "Largest batch", of: (point) => number(point.max_batch, 6) },
      { label: "Limited by", of: (point) => point.regime, text: true },
    ],
    rows: points,
    csv: tableOf(points),
  });
}
