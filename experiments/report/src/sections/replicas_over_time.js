// Replicas over time: a row of cells for each, coloured by a figure.
import { number, percent, withUnit } from "../format.js";
import { categories, grid, tooltip, tooltipHtml, xValue } from "../options.js";
import { grouped } from "../panels.js";
import { sideChoice } from "../report.js";

const kMostHeight = 560;
const kLabelHeight = 13;

const kFigures = [
  { name: "busy", label: "Busy", factor: 100, unit: "%" },
  { name: "batch", label: "Batch", factor: 1, unit: "sequences" },
  { name: "waiting", label: "Waiting", factor: 1, unit: "requests" },
  { name: "kv_occupancy", label: "KV cache full", factor: 100, unit: "%" },
];

const axisLabel = ({ label, unit }) => `${label} (${unit})`;

const show = (figure, value) => (figure.unit === "%" ? percent(value) : withUnit(value, figure.unit));

// Many replicas come in groups such as decode[8..15], whose figures are means.
function sizeOf(replica) {
  const [, first, last] = /\[(\d+)\.\.(\d+)\]$/.exec(replica) ?? [];
  return first === undefined ? 1 : Number(last) - Number(first) + 1;
}

// [{ replica, pool, size, cells: [{ from, to, row }] }], pool by pool.
function replicasOf(side) {
  const pools = [...grouped(side.replicaSeries(), "pool").values()];
  return pools.flatMap((rows) =>
    [...grouped(rows, "replica")].map(([replica, own]) => ({
      replica,
      pool: own[0].pool,
      size: sizeOf(replica),
      cells: own
        .map((row, i) => ({ from: i > 0 ? own[i - 1].time_s : 0, to: row.time_s, row }))
        .filter(({ from, to }) => to > from),
    })),
  );
}

// Over the time in which there is a figure; null where there is none.
function meanOf(cells, figure) {
  const told = cells.filter(({ row }) => typeof row[figure.name] === "number");
  const time = told.reduce((sum, { from, to }) => sum + to - from, 0);
  return time > 0 ? told.reduce((sum, { from, to, row }) => sum + (to - from) * row[figure.name], 0) / time : null;
}

function poolMeans(replicas, figure) {
  const means = replicas
    .map(({ pool, size, cells }) => ({ pool, size, mean: meanOf(cells, figure) }))
    .filter(({ mean }) => mean !== null);
  return [...grouped(means, "pool")].map(([pool, members]) => ({
    pool,
    count: members.length,
    mean:
      members.reduce((sum, { size, mean }) => sum + size * mean, 0) / members.reduce((sum, { size }) => sum + size, 0),
    least: Math.min(...members.map(({ mean }) => mean)),
    most: Math.max(...members.map(({ mean }) => mean)),
  }));
}

function spread(pools, figure, noun) {
  const ratio = ({ least, most }) => (most === least ? 1 : most / least);
  const { pool, least, most } = pools.reduce((a, b) => (ratio(b) > ratio(a) ? b : a));
  if (most === least) return `the ${noun} of a pool are even`;
  const verb = pools.length > 1 ? "differ most" : "differ";
  const times = least > 0 ? ` (${number(most / least)} times as much)` : "";
  return `the ${noun} of ${pool} ${verb}, from ${figure.unit === "%" ? percent(least) : number(least)} to ${show(figure, most)}${times}`;
}

function reading(replicas, figure) {
  const pools = poolMeans(replicas, figure);
  const first = pools.reduce((a, b) => (b.mean > a.mean ? b : a));
  if (first.mean === 0) return `${figure.label}: zero throughout.`;
  const noun = replicas.some(({ size }) => size > 1) ? "groups of replicas" : "replicas";
  const several = pools.filter(({ count }) => count > 1);
  const said = [
    `${figure.label}: ${show(figure, first.mean)} on average in ${first.pool}${pools.length > 1 ? ", the most of the pools" : ""}`,
    ...(several.length > 0 ? [spread(several, figure, noun)] : []),
  ];
  return `${said.join("; ")}.`;
}

// The rows of the chart, with an empty one between pools, and the places of those rows that have room for their name.
function rowsOf(replicas) {
  const rows = replicas.flatMap((replica, i) =>
    i > 0 && replica.pool !== replicas[i - 1].pool ? [null, replica] : [replica],
  );
  const height = Math.max(4, Math.min(22, kMostHeight / rows.length));
  const every = Math.ceil(kLabelHeight / height);
  const named = new Set();
  for (const members of grouped(
    rows.map((replica, place) => ({ pool: replica?.pool, place })),
    "pool",
  ).values())
    members.forEach(({ place }, i) => {
      if (i % every === 0 && (i === 0 || members.length - i >= every - 1)) named.add(place);
    });
  return { rows, height, named };
}

const interval = ({ from, to }) => `${number(from, 4)} to ${number(to, 4)}\u00a0s`;

// On narrow screens only the first replica of a pool has room for more than its index.
const shortName = (replica) => /\[[^\]]*\]$/.exec(replica)?.[0] ?? replica;

function renderCell(_, api) {
  const [left, top] = api.coord([api.value(0), api.value(2)]);
  const [right] = api.coord([api.value(1), api.value(2)]);
  const height = api.size([0, 1])[1];
  const from = Math.round(left);
  const above = Math.round(top - height / 2);
  return {
    type: "rect",
    shape: {
      x: from,
      y: above,
      width: Math.round(right) - from,
      height: Math.round(top + height / 2) - above - (height > 8 ? 1 : 0),
    },
    style: { fill: api.visual("color") },
  };
}

function draw(side, figure, { theme, narrow }) {
  const replicas = replicasOf(side).filter(({ cells }) =>
    cells.some(({ row }) => typeof row[figure.name] === "number"),
  );
  const { rows, height, named } = rowsOf(replicas);
  const cells = rows.flatMap((replica, place) =>
    (replica?.cells ?? [])
      .filter(({ row }) => typeof row[figure.name] === "number")
      .map((cell) => ({ ...cell, replica: replica.replica, place, value: cell.row[figure.name] * figure.factor })),
  );
  const highest = figure.name === "busy" ? 100 : Math.max(...cells.map(({ value }) => value), 1e-9);
  const end = Math.max(...replicas.flatMap(({ cells: own }) => own.map(({ to }) => to)));
  const tips = (row) => kFigures.map((one) => [one.label, show(one, row[one.name] ?? NaN)]);
  return {
    height: 46 + Math.max(60, rows.length * height) + 56,
    option: {
      grid: grid({ top: 46 }),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ dataIndex }) =>
          tooltipHtml(`${cells[dataIndex].replica}, ${interval(cells[dataIndex])}`, tips(cells[dataIndex].row)),
      }),
      visualMap: {
        min: 0,
        max: highest,
        dimension: 3,
        orient: "horizontal",
        top: 0,
        left: 0,
        itemHeight: 140,
        itemWidth: 12,
        hoverLink: false,
        text: [number(highest), `${axisLabel(figure)} 0`],
        textStyle: { color: theme.text },
        inRange: { color: theme.ramp },
      },
      xAxis: xValue(theme, "Time (s)", {
        min: 0,
        max: end,
        nameGap: 26,
        axisLabel: { showMaxLabel: false },
        splitLine: { show: false },
      }),
      yAxis: categories(
        theme,
        null,
        rows.map((replica, i) =>
          narrow && rows[i - 1] ? shortName(replica?.replica ?? "") : (replica?.replica ?? ""),
        ),
        {
          inverse: true,
          axisLabel: {
            color: theme.text,
            width: narrow ? 84 : 180,
            overflow: "truncate",
            interval: (place) => named.has(place),
          },
        },
      ),
      series: [
        {
          type: "custom",
          progressive: 0,
          encode: { x: [0, 1], y: 2 },
          data: cells.map(({ from, to, place, value }) => [from, to, place, value]),
          renderItem: renderCell,
        },
      ],
    },
    table: {
      columns: ["replica", "from_s", "to_s", axisLabel(figure)],
      rows: cells.map(({ replica, from, to, value }) => [replica, from, to, value]),
    },
    reading: reading(replicas, figure),
  };
}

export function replicaTimeCharts(sides) {
  const drawn = sides.filter((side) => replicasOf(side).some(({ cells }) => cells.length > 0));
  if (drawn.length === 0) return [];
  const figures = kFigures.filter(({ name }) => {
    const values = drawn.map((side) =>
      side
        .replicaSeries()
        .map((row) => row[name])
        .filter((value) => typeof value === "number"),
    );
    return name === "busy" || (values.every((one) => one.length > 0) && values.flat().some((value) => value > 0));
  });
  return [
    {
      id: "replicas-over-time",
      title: "Replicas over time",
      about:
        "Each cell is the mean of a replica over an interval. A batch is that of the decode steps: where there was none, the cell is left out.",
      wide: true,
      choices: [
        {
          name: "figure",
          label: "Figure",
          value: "busy",
          options: figures.map((figure) => ({ value: figure.name, label: axisLabel(figure) })),
        },
        sideChoice(drawn),
      ],
      draw: ({ figure, side }, context) =>
        draw(
          drawn[Number(side)],
          kFigures.find(({ name }) => name === figure),
          context,
        ),
    },
  ];
}
