// Panels of lines, one above the other on a shared time axis.
import { withUnit } from "./format.js";
import { legend, tooltip, tooltipHtml, xValue, yValue } from "./options.js";
import { kDashes, nth } from "./theme.js";

const kPanelHeight = 96;
const kPanelGap = 34;
const kTop = 58;

const known = (value) => typeof value === "number";

// Counts go up from the start: a rate is their difference over the step.
export function rates(rows, column) {
  return rows.slice(1).map((row, i) => {
    const step = row.time_s - rows[i].time_s;
    const rate =
      step > 0 && known(row[column]) && known(rows[i][column]) ? (row[column] - rows[i][column]) / step : null;
    return [row.time_s, rate];
  });
}

export const levels = (rows, column, factor = 1) =>
  rows.map((row) => [row.time_s, known(row[column]) ? row[column] * factor : null]);

// Rows by what they say in `column`, in the order of the table.
export function grouped(rows, column) {
  const groups = new Map();
  for (const row of rows) {
    if (!groups.has(row[column])) groups.set(row[column], []);
    groups.get(row[column]).push(row);
  }
  return groups;
}

// Without lines that stay at zero, and without panels that have no other.
export function nonzero(panels) {
  return panels
    .map((panel) => ({ ...panel, lines: panel.lines.filter(({ points }) => points.some(([, value]) => value > 0)) }))
    .filter(({ lines }) => lines.length > 0);
}

export const peakOf = ({ points }) => Math.max(...points.map(([, value]) => value ?? 0));

// Whether the axis of percentages would go beyond 100 by itself.
const isFull = ({ unit, lines }) => unit === "%" && Math.max(...lines.map(peakOf)) > 75;

// Where the summary says which part of the run was measured, the rest is to be shaded: [[from, to]].
function unmeasured(summary, end) {
  const from = summary.measured?.from_s;
  const to = summary.measured?.to_s;
  return [...(from > 0 ? [[0, from]] : []), ...(typeof to === "number" && to < end ? [[to, end]] : [])];
}

// panels: [{ title, unit, lines: [{ name, place, points: [[time, value]] }] }]; a line is drawn like the place of its name
// in `names`, and told of as of a `noun`. Returns the height, option and table of a chart, and whether parts are shaded.
export function drawPanels({ panels, names, noun, summary }, { theme, narrow }) {
  const end = Math.max(...panels.flatMap(({ lines }) => lines.map(({ points }) => points[points.length - 1][0])));
  const shaded = unmeasured(summary, end);
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
          ? {
              silent: true,
              itemStyle: { color: theme.subtle, opacity: 0.16 },
              data: shaded.map(([from, to]) => [{ xAxis: from }, { xAxis: to }]),
            }
          : undefined,
    })),
  );
  const rowsOf = (panel) =>
    panel.lines.flatMap(({ name, points }) => points.map(([time, value]) => [panel.title, name, time, value]));
  return {
    height: topOf(last) + kPanelHeight + 86,
    shaded: shaded.length > 0,
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
              return [
                `${title.replace(/ \(.*/, "")}, ${item.seriesName}`,
                withUnit(item.value[1] ?? NaN, unit),
                item.color,
              ];
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
      yAxis: panels.map((panel, i) =>
        yValue(theme, null, {
          gridIndex: i,
          splitNumber: 3,
          min: 0,
          ...(isFull(panel) ? { max: 100, interval: 50 } : {}),
        }),
      ),
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
    table: { columns: ["panel", noun, "time_s", "value"], rows: panels.flatMap(rowsOf) },
  };
}
