// A run over time: panels one above the other on a shared time axis.
import { list, number, percent, withUnit } from "../format.js";
import { legend, tooltip, tooltipHtml, xValue, yValue } from "../options.js";
import { sideChoice } from "../report.js";
import { kDashes, nth } from "../theme.js";

const kPanelHeight = 96;
const kPanelGap = 34;
const kTop = 58;

// Token columns count up from the start: a rate is their difference over the step.
function rates(rows, column) {
  return rows.slice(1).map((row, i) => {
    const step = row.time_s - rows[i].time_s;
    const rate = step > 0 && row[column] !== null && rows[i][column] !== null ? (row[column] - rows[i][column]) / step : null;
    return [row.time_s, rate];
  });
}

const levels = (rows, column, factor = 1) => rows.map((row) => [row.time_s, row[column] === null ? null : row[column] * factor]);

const kPanels = [
  { title: "Requests running", of: (rows) => levels(rows, "running"), unit: "" },
  { title: "Requests waiting", of: (rows) => levels(rows, "waiting"), unit: "" },
  { title: "KV cache full (%)", of: (rows) => levels(rows, "kv_occupancy", 100), unit: "%" },
  { title: "Prefill (tok/s)", of: (rows) => rates(rows, "prefill_tokens"), unit: "tok/s" },
  { title: "Decode (tok/s)", of: (rows) => rates(rows, "decode_tokens"), unit: "tok/s" },
  { title: "KV transfers under way", of: (rows) => levels(rows, "kv_flows"), unit: "" },
  { title: "Accelerator power (W)", of: (rows) => levels(rows, "power_w"), unit: "W" },
];

function panelsOf(side) {
  const pools = new Map();
  for (const row of side.timeseries()) {
    if (!pools.has(row.pool)) pools.set(row.pool, []);
    pools.get(row.pool).push(row);
  }
  const names = [...pools.keys()];
  const panels = kPanels
    .map((panel) => ({
      ...panel,
      lines: names
        .map((name, i) => ({ name, place: i, points: panel.of(pools.get(name)) }))
        .filter(({ points }) => points.some(([, value]) => value > 0)),
    }))
    .filter(({ lines }) => lines.length > 0);
  return { names, panels };
}

// Where the summary says which part of the run was measured, the rest is shaded.
function unmeasured(side, end) {
  const from = side.summary.measured?.from_s;
  const to = side.summary.measured?.to_s;
  return [
    ...(from > 0 ? [[0, from]] : []),
    ...(typeof to === "number" && to < end ? [[to, end]] : []),
  ];
}

function peakOf(panels, title) {
  const lines = panels.find((panel) => panel.title.startsWith(title))?.lines ?? [];
  return lines.map(({ name, points }) => [name, Math.max(...points.map(([, value]) => value ?? 0))]);
}

function reading(panels, shaded) {
  const part = (title, word, show) => {
    const peaks = peakOf(panels, title).map(([name, peak]) => `${show(peak)} in ${name}`);
    return peaks.length > 0 ? `${word} at most ${list(peaks)}` : null;
  };
  const said = [
    part("Requests waiting", "Waiting:", number) ?? "No request had to wait at the times sampled",
    part("Requests running", "running:", number),
    part("KV cache", "KV caches are full to", (value) => percent(value / 100)),
  ].filter(Boolean);
  return `${said.join("; ")}.${shaded ? " Shaded: not measured." : ""}`;
}

function draw(side, { theme, narrow }) {
  const { names, panels } = panelsOf(side);
  const end = Math.max(...panels.flatMap(({ lines }) => lines.map(({ points }) => points[points.length - 1][0])));
  const shaded = unmeasured(side, end);
  const topOf = (i) => kTop + i * (kPanelHeight + kPanelGap);
  const last = panels.length - 1;
  const indices = panels.map((_, i) => i);
  const series = panels.flatMap(({ lines }, i) =>
    lines.map(({ name, place, points }, nthLine) => ({
      name,
      type: "line",
      xAxisIndex: i,
      yAxisIndex: i,
      symbol: "none",
      sampling: "lttb",
      lineStyle: { width: 1.4, color: nth(theme.series, place), type: nth(kDashes, place) },
      itemStyle: { color: nth(theme.series, place) },
      emphasis: { disabled: true },
      data: points,
      markArea:
        nthLine === 0 && shaded.length > 0
          ? { silent: true, itemStyle: { color: theme.subtle, opacity: 0.16 }, data: shaded.map(([from, to]) => [{ xAxis: from }, { xAxis: to }]) }
          : undefined,
    })),
  );
  const rowsOf = (panel) => panel.lines.flatMap(({ name, points }) => points.map(([time, value]) => [panel.title, name, time, value]));
  return {
    height: topOf(last) + kPanelHeight + 86,
    option: {
      legend: legend(theme, names),
      title: panels.map(({ title }, i) => ({
        text: title,
        left: 4,
        top: topOf(i) - 22,
        padding: 0,
        textStyle: { fontSize: 12, fontWeight: 600, color: theme.text },
      })),
      grid: indices.map((i) => ({ left: 52, right: 16, top: topOf(i), height: kPanelHeight, outerBoundsMode: "none" })),
      axisPointer: { link: [{ xAxisIndex: "all" }], lineStyle: { color: theme.subtle } },
      tooltip: tooltip(theme, {
        trigger: "axis",
        formatter: (items) =>
          tooltipHtml(
            `At ${withUnit(items[0].value[0], "s")}`,
            items.map((item) => {
              const { title, unit } = panels[item.axisIndex];
              return [`${title.replace(/ \(.*/, "")}, ${item.seriesName}`, withUnit(item.value[1] ?? NaN, unit), item.color];
            }),
          ),
      }),
      xAxis: indices.map((i) =>
        xValue(theme, i === last ? "Time (s)" : null, {
          gridIndex: i,
          min: 0,
          max: end,
          nameGap: 24,
          axisLabel: { show: i === last, showMaxLabel: false },
        }),
      ),
      yAxis: indices.map((i) => yValue(theme, null, { gridIndex: i, splitNumber: 3, min: 0 })),
      dataZoom: [
        {
          type: "slider",
          xAxisIndex: indices,
          bottom: 6,
          height: 22,
          left: 52,
          right: 16,
          borderColor: theme.line,
          fillerColor: `${theme.series[0]}33`,
          textStyle: { color: theme.subtle },
          showDetail: !narrow,
          labelFormatter: (value) => withUnit(value, "s"),
          brushSelect: false,
        },
        // The wheel belongs to the page unless a modifier says otherwise.
        { type: "inside", xAxisIndex: indices, zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false },
      ],
      series,
    },
    table: { columns: ["panel", "pool", "time_s", "value"], rows: panels.flatMap(rowsOf) },
    reading: reading(panels, shaded.length > 0),
  };
}

export function timelineCharts(sides) {
  const drawn = sides.filter((side) => panelsOf(side).panels.length > 0);
  if (drawn.length === 0) return [];
  return [
    {
      id: "timeline",
      title: "Over time",
      wide: true,
      choices: [sideChoice(drawn)],
      draw: ({ side }, context) => draw(drawn[Number(side)], context),
    },
  ];
}
