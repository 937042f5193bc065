// Throughput of an accelerator against speed of a user, point by point.
import { number, plural } from "../format.js";
import { grid, legend, pointStyle, tooltip, tooltipHtml, xValue, yValue } from "../options.js";
import { averaged, figure, groupsOf, kSpeed, kThroughput } from "../sweep.js";

// Points that no other one beats in both figures.
function front(points) {
  const best = [];
  for (const point of [...points].sort((a, b) => b.x - a.x || b.y - a.y))
    if (best.length === 0 || point.y > best[best.length - 1].y) best.push(point);
  return best;
}

// Points with both figures, means over their seeds.
export function tradeOffsOf(sweep) {
  return groupsOf(sweep)
    .map(({ name, assignments, members }) => ({
      name,
      assignments,
      x: 1000 / (figure(members, kSpeed) ?? NaN),
      y: figure(members, kThroughput),
    }))
    .filter((point) => Number.isFinite(point.x) && point.y !== null);
}

export function drawTradeOffs(sweep, points, { colour }, { theme }) {
  const axis = sweep.axes.find(({ name }) => name === colour);
  const groups = axis
    ? axis.values.map((value) => ({
        name: `${axis.name} = ${value}`,
        members: points.filter((point) => String(point.assignments[axis.name]) === value),
      }))
    : [{ name: "Points", members: points }];
  const best = front(points);
  const line = {
    name: "Best trade-offs",
    type: "line",
    symbol: "none",
    silent: true,
    lineStyle: { color: theme.subtle, width: 1.5, type: [5, 4] },
    itemStyle: { color: theme.subtle },
    data: best.map(({ x, y }) => [x, y]),
  };
  return {
    option: {
      legend: legend(theme, [...groups.map(({ name }) => name), line.name]),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ seriesIndex, dataIndex, color }) => {
          const point = groups[seriesIndex].members[dataIndex];
          return tooltipHtml(point.name, [
            ["Speed of a user", `${number(point.x)} tok/s`, color],
            ["Output per accelerator", `${number(point.y)} tok/s`],
          ]);
        },
      }),
      xAxis: xValue(theme, "Speed of a user, 1000 / TPOT p50 (tok/s)"),
      yAxis: yValue(theme, "Output per accelerator (tok/s)", { scale: true }),
      series: [
        ...groups.map(({ name, members }, i) =>
          pointStyle(theme, i, { name, data: members.map(({ x, y }) => [x, y]) }),
        ),
        line,
      ],
    },
    table: {
      columns: ["point", "tokens_per_s_of_a_user", "output_tokens_per_s_per_accelerator", "on_front"],
      rows: points.map((point) => [point.name, point.x, point.y, best.includes(point)]),
    },
    reading: `${best.length} of ${plural(points.length, "point")} ${best.length === 1 ? "is a best trade-off" : "are best trade-offs"}: from ${best[0].name} to ${best[best.length - 1].name}.${averaged(
      sweep,
      sweep.axes.map(({ name }) => name),
    )}`,
  };
}
