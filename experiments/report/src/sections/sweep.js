// Points of a sweep, or of a table of capacities: figures against axes.
import { number, plural, withUnit } from "../format.js";
import { axisTitle, describe, onAxis } from "../metrics.js";
import { categories, grid, legend, lineStyle, tooltip, tooltipHtml, xValue, yValue } from "../options.js";
import { at, averaged, extremes, figure, numeric } from "../sweep.js";
import { dataTable } from "../table.js";
import { drawMap } from "./sweep_map.js";
import { drawTradeOffs, tradeOffsOf } from "./sweep_trade_offs.js";

const kMostRows = 500;
const kMostLines = 7;

const metricChoice = (metrics) => ({
  name: "metric",
  label: "Figure",
  value: metrics[0],
  options: metrics.map((path) => ({ value: path, label: describe(path).label })),
});

const axisOptions = (axes) => axes.map(({ name }) => ({ value: name, label: name }));

function drawLines(sweep, { metric: path, x, lines }, { theme }) {
  const metric = describe(path);
  const xAxis = sweep.axes.find(({ name }) => name === x);
  const lineAxis = sweep.axes.find(({ name }) => name === lines && name !== x);
  const values = lineAxis ? lineAxis.values.slice(0, kMostLines) : [null];
  const drawn = values.map((value) => {
    const members = value === null ? sweep.points : at(sweep.points, lineAxis.name, value);
    return {
      name: value === null ? metric.label : `${lineAxis.name} = ${value}`,
      cells: xAxis.values.map((place) => ({ place, value: figure(at(members, x, place), path) })),
    };
  });
  const isNumber = numeric(xAxis);
  const cells = drawn.flatMap(({ name, cells: row }) =>
    row.map(({ place, value }) => ({ where: `${x} = ${place}${lineAxis ? ` and ${name}` : ""}`, value })),
  );
  const left =
    lineAxis && lineAxis.values.length > values.length
      ? ` Shown are ${values.length} of ${lineAxis.values.length} lines.`
      : "";
  return {
    option: {
      legend: legend(
        theme,
        drawn.map(({ name }) => name),
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "axis",
        formatter: (items) =>
          tooltipHtml(
            `${x} = ${items[0].value[0]}`,
            items.map((item) => [
              item.seriesName,
              withUnit(drawn[item.seriesIndex].cells[item.dataIndex].value, metric.unit),
              item.color,
            ]),
          ),
      }),
      xAxis: isNumber ? xValue(theme, x) : categories(theme, x, xAxis.values),
      yAxis: yValue(theme, axisTitle(metric), { scale: true }),
      series: drawn.map(({ name, cells: row }, i) => ({
        ...lineStyle(theme, i),
        name,
        connectNulls: true,
        showSymbol: true,
        data: row.map(({ place, value }) => [isNumber ? Number(place) : place, onAxis(metric, value)]),
      })),
    },
    table: {
      columns: ["line", x, path],
      rows: drawn.flatMap(({ name, cells: row }) => row.map(({ place, value }) => [name, place, value])),
    },
    reading: `${extremes(cells, metric)}${averaged(sweep, [x, lines])}${left}`,
  };
}

export function sweepCharts(sweep) {
  const { axes, metrics, points } = sweep;
  if (points.length === 0 || metrics.length === 0) return [];
  const pairs = tradeOffsOf(sweep);
  const none = { value: "", label: "\u2013" };
  return [
    axes.length > 0 && {
      id: "sweep-lines",
      title: "Figures along an axis",
      wide: true,
      height: 360,
      choices: [
        metricChoice(metrics),
        { name: "x", label: "Along", value: axes[0].name, options: axisOptions(axes) },
        {
          name: "lines",
          label: "A line for each",
          value: axes[1]?.name ?? "",
          options: [none, ...axisOptions(axes)].slice(0, axes.length > 1 ? undefined : 1),
        },
      ],
      draw: (chosen, context) => drawLines(sweep, chosen, context),
    },
    axes.length > 1 && {
      id: "sweep-map",
      title: "Figures over two axes",
      wide: true,
      choices: [
        metricChoice(metrics),
        { name: "x", label: "Across", value: axes[0].name, options: axisOptions(axes) },
        { name: "y", label: "Up", value: axes[1].name, options: axisOptions(axes) },
        {
          name: "panels",
          label: "A map for each",
          value: axes[2]?.name ?? "",
          options: [none, ...axisOptions(axes)].slice(0, axes.length > 2 ? undefined : 1),
        },
      ],
      draw: (chosen, context) => drawMap(sweep, chosen, context),
    },
    pairs.length > 0 && {
      id: "sweep-pareto",
      title: "Throughput against speed",
      wide: true,
      height: 380,
      choices: [
        { name: "colour", label: "Colour by", value: axes[0]?.name ?? "", options: [...axisOptions(axes), none] },
      ],
      draw: (chosen, context) => drawTradeOffs(sweep, pairs, chosen, context),
    },
  ].filter(Boolean);
}

export function sweepTable(sweep) {
  const { axes, metrics, points } = sweep;
  if (points.length === 0) return null;
  const figures = metrics.filter((path) => describe(path).better !== null).slice(0, 12);
  const keys = [...axes.map(({ name }) => name), ...(sweep.seeds > 1 ? ["seed"] : [])];
  return dataTable({
    id: "points",
    title: "Points",
    columns: [
      { label: "Point", of: (point) => String(point.point ?? "") },
      ...keys.map((name) => ({ label: name, of: (point) => String(point.assignments[name] ?? "") })),
      ...figures.map((path) => ({
        label: describe(path).label,
        of: (point) => withUnit(point.figures[path] ?? NaN, describe(path).unit),
      })),
    ],
    rows: points.slice(0, kMostRows),
    note: `${points.length > kMostRows ? `The first ${kMostRows} of ${number(points.length, 7)} points. ` : ""}The CSV has all points and all figures.${sweep.failed > 0 ? ` ${plural(sweep.failed, "point")} failed and ${sweep.failed === 1 ? "is" : "are"} left out.` : ""}`,
    csv: {
      columns: ["point", ...keys, ...metrics],
      rows: points.map((point) => [
        point.point,
        ...keys.map((name) => point.assignments[name] ?? null),
        ...metrics.map((path) => point.figures[path] ?? null),
      ]),
    },
  });
}
