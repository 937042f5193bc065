// The parts of a cluster: its replicas and its links.
import { capital, number, percent, withUnit } from "../format.js";
import { categories, grid, legend, tooltip, tooltipHtml, xValue, yValue } from "../options.js";
import { sideChoice } from "../report.js";
import { nth } from "../theme.js";
import { replicaTimeCharts } from "./replicas_over_time.js";

const kMostBars = 40;
const kMostLinks = 20;

const kFigures = [
  { name: "utilization", label: "Busy (%)", noun: "busy", factor: 100, unit: "%" },
  { name: "mean_batch", label: "Mean batch (requests)", noun: "mean batch", factor: 1, unit: "" },
  { name: "kv_occupancy", label: "KV cache full (%)", noun: "KV cache full", factor: 100, unit: "%" },
  { name: "mean_waiting", label: "Mean waiting (requests)", noun: "mean waiting", factor: 1, unit: "" },
  { name: "requests_admitted", label: "Requests admitted", noun: "requests admitted", factor: 1, unit: "" },
  { name: "preemptions", label: "Preemptions", noun: "preemptions", factor: 1, unit: "" },
];

const show = (figure, value) => withUnit(value, figure.unit);

function replicaReading(figure, rows) {
  const pools = [...new Set(rows.map((row) => row.pool))];
  const said = pools.map((pool) => {
    const values = rows.filter((row) => row.pool === pool).map((row) => row.value);
    return `${pool}: ${show(figure, Math.min(...values))} to ${show(figure, Math.max(...values))} over ${number(values.length, 6)} replicas`;
  });
  return `${capital(figure.noun)}, by replica: ${said.join("; ")}.`;
}

function bars(figure, rows, theme) {
  const pools = [...new Set(rows.map((row) => row.pool))];
  return {
    height: 300,
    option: {
      legend: legend(theme, pools, { icon: "roundRect" }),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ name, value, color }) => tooltipHtml(name, [[figure.label, show(figure, value), color]]),
      }),
      xAxis: categories(
        theme,
        null,
        rows.map((row) => row.replica),
        { axisLabel: { rotate: rows.length > 12 ? 50 : 0 } },
      ),
      yAxis: yValue(theme, figure.label),
      series: pools.map((pool, i) => ({
        name: pool,
        type: "bar",
        stack: "all",
        barMaxWidth: 30,
        data: rows.map((row) => (row.pool === pool ? row.value : null)),
        itemStyle: { color: nth(theme.series, i) },
        emphasis: { disabled: true },
      })),
    },
  };
}

// Each pool begins a row of cells, so that a thousand replicas stay in sight.
function cells(figure, rows, { theme, width }) {
  const columns = width < 500 ? 16 : 32;
  const labels = [];
  const placed = [];
  for (const pool of new Set(rows.map((row) => row.pool))) {
    const members = rows.filter((row) => row.pool === pool);
    members.forEach((row, i) => {
      if (i % columns === 0) labels.push(i === 0 ? pool : `+${i}`);
      placed.push({ ...row, cell: [i % columns, labels.length - 1, row.value] });
    });
  }
  const values = rows.map((row) => row.value);
  const lowest = figure.unit === "%" ? 0 : Math.min(...values);
  const highest = figure.unit === "%" ? 100 : Math.max(...values, lowest + 1e-9);
  return {
    height: 110 + labels.length * Math.max(14, Math.min(26, 560 / labels.length)),
    option: {
      grid: grid({ top: 46 }),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ dataIndex, color }) =>
          tooltipHtml(placed[dataIndex].replica, [[figure.label, show(figure, placed[dataIndex].value), color]]),
      }),
      visualMap: {
        min: lowest,
        max: highest,
        orient: "horizontal",
        top: 0,
        left: 0,
        itemHeight: 140,
        itemWidth: 12,
        text: [show(figure, highest), show(figure, lowest)],
        textStyle: { color: theme.text },
        inRange: { color: theme.ramp },
      },
      xAxis: categories(
        theme,
        "Replica within its row",
        Array.from({ length: columns }, (_, i) => String(i)),
      ),
      yAxis: categories(theme, null, labels, { inverse: true, axisLabel: { color: theme.text } }),
      series: [
        {
          type: "heatmap",
          data: placed.map(({ cell }) => cell),
          itemStyle: { borderColor: theme.surface, borderWidth: 1 },
          emphasis: { disabled: true },
        },
      ],
    },
  };
}

function drawReplicas(side, figure, context) {
  const rows = side
    .replicas()
    .filter((row) => row[figure.name] !== null && row[figure.name] !== undefined)
    .map((row) => ({ replica: row.replica, pool: row.pool, value: row[figure.name] * figure.factor }));
  return {
    ...(rows.length <= kMostBars ? bars(figure, rows, context.theme) : cells(figure, rows, context)),
    table: { columns: ["replica", "pool", figure.label], rows: rows.map((row) => [row.replica, row.pool, row.value]) },
    reading: replicaReading(figure, rows),
  };
}

// The most loaded links of a side that carried something.
function loadedLinks(side) {
  return side
    .links()
    .filter((row) => row.mean_load > 0)
    .sort((a, b) => b.mean_load - a.mean_load);
}

function drawLinks(side, { theme, width }) {
  const loaded = loadedLinks(side);
  const rows = loaded.slice(0, kMostLinks);
  const [first] = rows;
  return {
    height: 84 + 22 * rows.length,
    option: {
      grid: grid({ top: 8, right: 64 }),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ dataIndex, color }) => {
          const row = rows[dataIndex];
          return tooltipHtml(row.link, [
            ["Mean load", percent(row.mean_load), color],
            ["Carried", withUnit(row.bytes, "B")],
            ["Capacity", withUnit(row.capacity_bytes_per_s, "B/s")],
            ["Flows", number(row.flows, 6)],
          ]);
        },
      }),
      xAxis: xValue(theme, "Mean load (% of the link's capacity)", { scale: false }),
      yAxis: categories(
        theme,
        null,
        rows.map((row) => row.link),
        {
          inverse: true,
          axisLabel: {
            color: theme.text,
            width: width < 500 ? 110 : 240,
            overflow: "truncate",
            interval: 0,
            hideOverlap: false,
          },
        },
      ),
      series: [
        {
          type: "bar",
          data: rows.map((row) => row.mean_load * 100),
          barMaxWidth: 14,
          itemStyle: { color: theme.series[0] },
          emphasis: { disabled: true },
          label: {
            show: true,
            position: "right",
            color: theme.text,
            fontSize: 11,
            formatter: ({ value }) => `${number(value)} %`,
          },
        },
      ],
    },
    table: {
      columns: ["link", "mean_load", "bytes", "capacity_bytes_per_s", "flows"],
      rows: rows.map((row) => [row.link, row.mean_load, row.bytes, row.capacity_bytes_per_s, row.flows]),
    },
    reading: `${first.link} is loaded most, to ${percent(first.mean_load)} of its capacity on average. ${
      loaded.length > rows.length
        ? `Shown are ${rows.length} of the ${number(loaded.length, 6)} links`
        : `These are all links`
    } that carried data.`,
  };
}

export function partCharts(sides) {
  const withReplicas = sides.filter((side) => side.replicas().length > 0);
  const figures = kFigures.filter(
    ({ name }) => name === "utilization" || withReplicas.some((side) => side.replicas().some((row) => row[name] > 0)),
  );
  const withLinks = sides.filter((side) => loadedLinks(side).length > 0);
  return [
    withReplicas.length > 0 && {
      id: "replicas",
      title: "Replicas",
      wide: true,
      choices: [
        {
          name: "figure",
          label: "Figure",
          value: figures[0].name,
          options: figures.map(({ name, label }) => ({ value: name, label })),
        },
        sideChoice(withReplicas),
      ],
      draw: ({ figure, side }, context) =>
        drawReplicas(
          withReplicas[Number(side)],
          kFigures.find(({ name }) => name === figure),
          context,
        ),
    },
    ...replicaTimeCharts(sides),
    withLinks.length > 0 && {
      id: "links",
      title: "Most loaded links",
      wide: true,
      choices: [sideChoice(withLinks)],
      draw: ({ side }, context) => drawLinks(withLinks[Number(side)], context),
    },
  ].filter(Boolean);
}
