// Fronts of sweeps: the points that no other point of the same sweep beats in both figures.
import { list, number, plural, withUnit } from "../format.js";
import { axisTitle, describe, onAxis } from "../metrics.js";
import { grid, legend, pointStyle, tooltip, tooltipHtml, xValue, yValue } from "../options.js";
import { nth, kDashes } from "../theme.js";
import { dataTable } from "../table.js";

// "min:PATH" is a figure of which less is better.
function goalOf(text) {
  const [, least, path] = /^(min:|max:)?(.*)$/.exec(text);
  return { metric: describe(path), lower: least === "min:" };
}

const goalTitle = ({ metric, lower }) => `${axisTitle(metric)}, ${lower ? "lower" : "higher"} is better`;

const bestOf = (front) => front.points.filter((point) => !point.dominated).sort((a, b) => a.x - b.x);

export function paretoText({ fronts }) {
  const known = (fronts ?? []).filter(({ hypervolume }) => typeof hypervolume === "number");
  if (known.length === 0) return "No front is known.";
  const sorted = [...known].sort((a, b) => b.hypervolume - a.hypervolume);
  const [first, ...others] = sorted;
  if (others.length === 0)
    return `${plural(bestOf(first).length, "point")} of ${number(first.points.length, 7)} are best trade-offs; their front has a hypervolume of ${number(first.hypervolume)}.`;
  return `${first.store} has the best front: its hypervolume is ${number(first.hypervolume)}, against ${list(others.map((front) => `${number(front.hypervolume)} of ${front.store}`))}.`;
}

function draw(results, { theme }) {
  const [x, y] = [goalOf(results.x), goalOf(results.y)];
  const place = (point) => [onAxis(x.metric, point.x), onAxis(y.metric, point.y)];
  const series = results.fronts.flatMap((front, i) => {
    const dominated = front.points.filter((point) => point.dominated);
    const best = bestOf(front);
    return [
      { ...pointStyle(theme, i, { name: front.store, symbolSize: 13, z: 3, data: best.map(place) }), members: best },
      {
        ...pointStyle(theme, i, { name: front.store, data: dominated.map(place) }),
        itemStyle: { color: nth(theme.series, i), opacity: 0.4 },
        symbolSize: 9,
        members: dominated,
      },
      {
        name: front.store,
        type: "line",
        silent: true,
        symbol: "none",
        itemStyle: { color: nth(theme.series, i) },
        lineStyle: { color: nth(theme.series, i), width: 1.6, type: nth(kDashes, i) },
        data: best.map(place),
        members: best,
      },
    ];
  });
  return {
    option: {
      legend: legend(
        theme,
        results.fronts.map(({ store }) => store),
        { points: true },
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ seriesIndex, dataIndex, seriesName, color }) => {
          const point = series[seriesIndex].members[dataIndex];
          return tooltipHtml(`${seriesName}, point ${point.point}`, [
            [x.metric.label, withUnit(point.x, x.metric.unit), color],
            [y.metric.label, withUnit(point.y, y.metric.unit)],
            ...String(point.assignments ?? "")
              .split(", ")
              .filter(Boolean)
              .map((assignment) => [assignment, ""]),
            ["", point.dominated ? "another point is better in both" : "a best trade-off"],
          ]);
        },
      }),
      xAxis: xValue(theme, goalTitle(x)),
      yAxis: yValue(theme, goalTitle(y), { scale: true }),
      series: series.map(({ members, ...option }) => option),
    },
    table: {
      columns: ["store", "point", "assignments", results.x, results.y, "dominated"],
      rows: results.fronts.flatMap(({ store, points }) =>
        points.map((point) => [store, point.point, point.assignments, point.x, point.y, point.dominated]),
      ),
    },
    reading: paretoText(results),
  };
}

export function paretoCharts(results) {
  if (!results.fronts?.some(({ points }) => points.length > 0)) return [];
  return [
    {
      id: "fronts",
      title: "Fronts",
      about: "Faded points are beaten in both figures by another one of the same sweep.",
      wide: true,
      height: 420,
      draw: (_, context) => draw(results, context),
    },
  ];
}

export function frontTable(results) {
  return dataTable({
    id: "hypervolumes",
    title: "Fronts in figures",
    columns: [
      { label: "Sweep", of: (front) => front.store, text: true },
      { label: "Points", of: (front) => number(front.points.length, 7) },
      { label: "On the front", of: (front) => number(bestOf(front).length, 7) },
      { label: "Left out", of: (front) => number(front.left_out ?? NaN, 7) },
      { label: "Hypervolume", of: (front) => number(front.hypervolume) },
    ],
    rows: results.fronts ?? [],
  });
}
