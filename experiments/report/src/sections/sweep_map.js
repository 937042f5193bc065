// Figures over two axes: a heat map, or one for each value of a third axis.
import { number, withUnit } from "../format.js";
import { axisTitle, describe, onAxis } from "../metrics.js";
import { categories, tooltip, tooltipHtml } from "../options.js";
import { at, averaged, extremes, figure } from "../sweep.js";

const kPanelColumns = 3;

export function drawMap(sweep, { metric: path, x, y, panels }, { theme, narrow }) {
  const metric = describe(path);
  const axisOf = (name) => sweep.axes.find((axis) => axis.name === name);
  const xAxis = axisOf(x);
  // Choosing one axis twice shows the first other one in its place.
  const yAxis = y === x ? sweep.axes.find(({ name }) => name !== x) : axisOf(y);
  const panelAxis = panels !== x && panels !== yAxis.name ? axisOf(panels) : undefined;
  const facets = panelAxis ? panelAxis.values : [null];
  const columns = Math.min(facets.length, narrow ? 1 : kPanelColumns);
  const rowsOfPanels = Math.ceil(facets.length / columns);
  const panelHeight = Math.max(150, 40 + 34 * yAxis.values.length);
  const cells = facets.flatMap((facet, panel) => {
    const members = facet === null ? sweep.points : at(sweep.points, panelAxis.name, facet);
    return yAxis.values.flatMap((row, j) =>
      xAxis.values.map((column, i) => ({
        panel,
        cell: [i, j],
        where: [
          `${x} = ${column}`,
          `${yAxis.name} = ${row}`,
          ...(facet === null ? [] : [`${panelAxis.name} = ${facet}`]),
        ].join(", "),
        value: figure(at(at(members, x, column), yAxis.name, row), path),
      })),
    );
  });
  const known = cells.filter(({ value }) => value !== null);
  const shown = known.map(({ value }) => onAxis(metric, value));
  const gap = 6;
  const frame = (panel) => {
    const width = 100 / columns;
    const top = 58 + Math.floor(panel / columns) * (panelHeight + 64);
    return {
      left: `${(panel % columns) * width + gap / 6}%`,
      width: `${width - gap / 3}%`,
      top,
      height: panelHeight,
      outerBoundsMode: "auto",
      outerBoundsContain: "all",
    };
  };
  return {
    height: 70 + rowsOfPanels * (panelHeight + 64),
    option: {
      title: facets.map((facet, panel) => ({
        show: facet !== null,
        text: facet === null ? "" : `${panelAxis.name} = ${facet}`,
        left: frame(panel).left,
        top: frame(panel).top - 20,
        padding: 0,
        textStyle: { fontSize: 12, fontWeight: 600, color: theme.text },
      })),
      grid: facets.map((_, panel) => frame(panel)),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ data, color }) =>
          tooltipHtml(cells[data.value[3]].where, [
            [metric.label, withUnit(cells[data.value[3]].value, metric.unit), color],
          ]),
      }),
      visualMap: {
        min: Math.min(...shown),
        max: Math.max(...shown, Math.min(...shown) + 1e-9),
        dimension: 2,
        orient: "horizontal",
        top: 0,
        left: 0,
        itemHeight: 140,
        itemWidth: 12,
        text: [number(Math.max(...shown)), `${axisTitle(metric)} ${number(Math.min(...shown))}`],
        textStyle: { color: theme.text },
        inRange: { color: theme.ramp },
      },
      xAxis: facets.map((_, panel) => categories(theme, x, xAxis.values, { gridIndex: panel })),
      yAxis: facets.map((_, panel) => categories(theme, yAxis.name, yAxis.values, { gridIndex: panel, nameGap: 40 })),
      series: facets.map((_, panel) => ({
        type: "heatmap",
        xAxisIndex: panel,
        yAxisIndex: panel,
        itemStyle: { borderColor: theme.surface, borderWidth: 2 },
        emphasis: { disabled: true },
        label: {
          show: xAxis.values.length * columns <= 24,
          fontSize: 11,
          formatter: ({ value }) => number(value[2]),
          color: theme.text,
          textBorderColor: theme.surface,
          textBorderWidth: 3,
        },
        data: cells.flatMap(({ panel: place, cell, value }, i) =>
          place === panel && value !== null ? [{ value: [...cell, onAxis(metric, value), i] }] : [],
        ),
      })),
    },
    table: { columns: ["cell", path], rows: cells.map(({ where, value }) => [where, value]) },
    reading: `${extremes(cells, metric)}${averaged(sweep, [x, yAxis.name, panelAxis?.name])}`,
  };
}
