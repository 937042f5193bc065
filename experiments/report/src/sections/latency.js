// Distributions of latencies: a line for each agent kind of one run, or for each side of a comparison.
import { list, withUnit } from "../format.js";
import { grid, legend, lineStyle, logRange, tooltip, tooltipHtml, xValue, yValue } from "../options.js";
import { kindChoice, sloOf } from "../report.js";

const kMetrics = [
  {
    name: "ttft_ms",
    id: "cdf-ttft",
    title: "Time to first token",
    unit: "ms",
    noun: "calls",
    verb: "get their first token within",
  },
  {
    name: "tpot_ms",
    id: "cdf-tpot",
    title: "Time per output token",
    unit: "ms",
    noun: "calls",
    verb: "take, per output token, at most",
  },
  { name: "itl_ms", id: "cdf-itl", title: "Gap between tokens", unit: "ms", noun: "gaps", verb: "are at most" },
  {
    name: "e2el_ms",
    id: "cdf-e2el",
    title: "End-to-end latency of calls",
    unit: "ms",
    noun: "calls",
    verb: "are done within",
  },
  {
    name: "task_time_s",
    id: "cdf-task",
    title: "Time of whole tasks",
    unit: "s",
    noun: "tasks",
    verb: "are done within",
  },
];

const quantilesOf = (side, kind, metric) =>
  side
    .distributions()
    .filter((row) => row.kind === kind && row.metric === metric && row.value !== null && row.share !== null)
    .map((row) => [row.value, row.share * 100]);

function quantile(points, share) {
  const next = points.findIndex(([, reached]) => reached >= share);
  if (next <= 0) return points[next === 0 ? 0 : points.length - 1][0];
  const [[x0, y0], [x1, y1]] = [points[next - 1], points[next]];
  return y1 === y0 ? x1 : x0 + ((share - y0) / (y1 - y0)) * (x1 - x0);
}

function reading(metric, lines) {
  const at = (line, share) => withUnit(quantile(line.points, share), metric.unit);
  if (lines.length === 1 || lines[0].name === "all") {
    const [line] = lines;
    return `Half of the ${metric.noun} ${metric.verb} ${at(line, 50)}; 1 in 100 takes longer than ${at(line, 99)}.`;
  }
  const each = (share) => list(lines.map((line) => `${at(line, share)} (${line.name})`));
  return `Half of the ${metric.noun} ${metric.verb} ${each(50)}; 1 in 100 takes longer than ${each(99)}.`;
}

// A single limit is a line of the plot; limits that differ between the lines belong to one line each.
function limitsOf(lines) {
  const limits = lines.map((line) => line.limit).filter((limit) => limit !== null);
  return [...new Set(limits)];
}

function draw(metric, lines, { theme }) {
  const limits = limitsOf(lines);
  const values = [...lines.flatMap((line) => line.points.map(([value]) => value)), ...limits];
  const axis = `${metric.title} (${metric.unit}, log)`;
  return {
    option: {
      legend: legend(
        theme,
        lines.map((line) => line.name),
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "axis",
        axisPointer: { type: "line", axis: "y", snap: false, lineStyle: { color: theme.subtle } },
        formatter: (items) =>
          tooltipHtml(
            `${items[0].value[1].toFixed(0)} % of ${metric.noun} within`,
            items.map((item) => [item.seriesName, withUnit(item.value[0], metric.unit), item.color]),
          ),
      }),
      xAxis: xValue(theme, axis, { type: "log", ...logRange(values) }),
      yAxis: yValue(theme, `Share of ${metric.noun} (%)`, { min: 0, max: 100 }),
      series: lines.map((line, i) => ({
        ...lineStyle(theme, i),
        name: line.name,
        data: line.points,
        showSymbol: false,
        markLine:
          i === 0 && limits.length > 0
            ? {
                silent: true,
                symbol: "none",
                lineStyle: { color: theme.text, type: [4, 3], width: 1.5 },
                label: {
                  formatter: ({ value }) => `SLO ${withUnit(value, metric.unit)}`,
                  color: theme.text,
                  position: "insideEndTop",
                },
                data: limits.map((limit) => ({ xAxis: limit })),
              }
            : undefined,
      })),
    },
    table: {
      columns: ["line", metric.name, "share"],
      rows: lines.flatMap((line) => line.points.map(([value, share]) => [line.name, value, share / 100])),
    },
    reading: reading(metric, lines),
  };
}

function specOf(metric, sides) {
  // A log axis has no place for 0.
  const lineOf = (side, kind, name) => ({
    name,
    points: quantilesOf(side, kind, metric.name).filter(([value]) => value > 0),
    limit: sloOf(side.summary, kind, metric.name),
  });
  const drawn = (lines) => lines.filter((line) => line.points.length > 1);
  const kinds = [...new Set(sides.flatMap((side) => side.distributions().map((row) => row.kind)))].filter(
    (kind) => kind !== "all",
  );
  const linesOf = (kind) =>
    drawn(
      sides.length === 1
        ? ["all", ...(kinds.length > 1 ? kinds : [])].map((one) => lineOf(sides[0], one, one))
        : sides.map((side) => lineOf(side, kind, side.name)),
    );
  if (linesOf("all").length === 0) return null;
  const known = kinds.filter((kind) => linesOf(kind).length > 0);
  return {
    id: metric.id,
    title: metric.title,
    choices: sides.length > 1 && known.length > 1 ? [kindChoice(known)] : [],
    draw: ({ kind = "all" }, context) => draw(metric, linesOf(kind), context),
  };
}

export function latencyCharts(sides) {
  return kMetrics.map((metric) => specOf(metric, sides)).filter((spec) => spec !== null);
}
