// Charts of a comparison: relative differences with their intervals, and throughput against speed.
import { differenceOf, differencePaths, kVerdictWords, meanOf } from "../comparison.js";
import { changeWithin, list, number } from "../format.js";
import { describe, inOrder } from "../metrics.js";
import { categories, grid, legend, pointStyle, tooltip, tooltipHtml, whiskers, xValue, yValue } from "../options.js";

// A ratio's interval may reach 0 or less, which a log axis cannot show.
const kSmallestRatio = 1 / 64;

const ratio = (difference) => Math.max(kSmallestRatio, 1 + difference);

const kGroups = [
  { name: "Better", verdicts: ["better"], symbol: "circle" },
  { name: "Worse", verdicts: ["worse"], symbol: "diamond" },
  { name: "Not significant", verdicts: ["unsure", "untested", "same", "different"], symbol: "circle", hollow: true },
];

const colourOf = (theme, verdict) => ({ better: theme.better, worse: theme.worse })[verdict] ?? theme.neutral;

const interval = ({ mean, halfWidth }) => changeWithin(mean, halfWidth);

function drawForest(baseline, side, { theme, narrow }) {
  const rows = inOrder(differencePaths(side))
    .map((path) => differenceOf(side, path))
    .filter((row) => row !== null);
  const low = (row) => ratio(row.mean - (row.halfWidth ?? 0));
  const high = (row) => ratio(row.mean + (row.halfWidth ?? 0));
  // Powers of two around all intervals, the same on both sides of 1.
  const reach = Math.max(
    1,
    ...rows.flatMap((row) => [low(row), high(row)]).map((value) => Math.ceil(Math.abs(Math.log2(value)))),
  );
  const counted = (name) =>
    rows.filter((row) => kGroups.find((group) => group.name === name).verdicts.includes(row.verdict)).length;
  const names = rows.map((row) => row.metric.label);
  const everyRow = (width) => ({
    inverse: true,
    axisLabel: { color: theme.text, interval: 0, hideOverlap: false, width, overflow: "break", lineHeight: 13 },
  });
  return {
    height: 96 + (narrow ? 32 : 21) * rows.length,
    option: {
      legend: legend(
        theme,
        kGroups.map(({ name }) => name),
        { points: true },
      ),
      grid: grid({ right: 8 }),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ value, color }) => {
          const row = rows[value[2]];
          return tooltipHtml(row.metric.label, [
            [`${side.name} against ${baseline.name}`, interval(row), color],
            ["Verdict", kVerdictWords[row.verdict]],
          ]);
        },
      }),
      xAxis: xValue(theme, narrow ? "Ratio (log)" : `Ratio ${side.name} / ${baseline.name} (log)`, {
        type: "log",
        logBase: 2,
        interval: 1,
        min: 2 ** -reach,
        max: 2 ** reach,
        axisLabel: { formatter: (value) => (value < 1 ? `1/${Math.round(1 / value)}` : `${Math.round(value)}\u00d7`) },
      }),
      yAxis: [
        categories(theme, null, names, { ...everyRow(narrow ? 120 : 240), splitLine: { show: true } }),
        categories(theme, null, rows.map(interval), { ...everyRow(130), show: !narrow, position: "right" }),
      ],
      series: [
        ...kGroups.map(({ name, verdicts, symbol, hollow }) => ({
          name,
          type: "scatter",
          symbol,
          symbolSize: 9,
          z: 6,
          itemStyle: {
            color: hollow ? theme.surface : colourOf(theme, verdicts[0]),
            borderColor: colourOf(theme, verdicts[0]),
            borderWidth: hollow ? 2 : 0,
            opacity: 1,
          },
          data: rows.flatMap((row, i) => (verdicts.includes(row.verdict) ? [[ratio(row.mean), i, i]] : [])),
        })),
        whiskers(
          theme,
          rows.map((row, i) => [i, low(row), high(row)]),
          "x",
          { colours: rows.map((row) => colourOf(theme, row.verdict)) },
        ),
        {
          type: "line",
          silent: true,
          data: [],
          markLine: {
            silent: true,
            symbol: "none",
            label: { show: false },
            lineStyle: { color: theme.subtle, type: "solid", width: 1 },
            data: [{ xAxis: 1 }],
          },
        },
      ],
    },
    table: {
      columns: ["metric", "relative_difference", "half_width_95", "verdict"],
      rows: rows.map((row) => [row.metric.path, row.mean, row.halfWidth, kVerdictWords[row.verdict]]),
    },
    reading: `Of ${rows.length} figures ${side.name} is better in ${counted("Better")}, worse in ${counted("Worse")}, and not significantly different in ${counted("Not significant")}; bars are 95 % confidence intervals.`,
  };
}

// comparisons: [{ label, sides }]; more than one where conditions vary.
export function forestChart(comparisons) {
  const drawn = comparisons.filter(({ sides }) => sides.slice(1).some((side) => differencePaths(side).length > 0));
  if (drawn.length === 0) return [];
  const candidates = drawn[0].sides.slice(1);
  return [
    {
      id: "forest",
      title: "How much the figures differ, and how sure that is",
      wide: true,
      choices: [
        {
          name: "condition",
          label: "Condition",
          value: "0",
          options: drawn.map(({ label }, i) => ({ value: String(i), label })),
        },
        {
          name: "side",
          label: "Cluster",
          value: "1",
          options: candidates.map(({ name }, i) => ({ value: String(i + 1), label: name })),
        },
      ],
      draw: ({ condition, side }, context) => {
        const { sides } = drawn[Number(condition)];
        return drawForest(sides[0], sides[Number(side)], context);
      },
    },
  ];
}

function drawTradeOff(points, { theme }) {
  const fastest = points.reduce((a, b) => (b.speed > a.speed ? b : a));
  const thriftiest = points.reduce((a, b) => (b.throughput > a.throughput ? b : a));
  return {
    option: {
      legend: legend(
        theme,
        points.map(({ name }) => name),
        { points: true },
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ seriesName, value, color }) =>
          tooltipHtml(seriesName, [
            ["Speed of a user", `${number(value[0])} tok/s`, color],
            ["Output per accelerator", `${number(value[1])} tok/s`],
          ]),
      }),
      xAxis: xValue(theme, "Speed of a user, 1000 / TPOT p50 (tok/s)", { scale: false, min: 0 }),
      yAxis: yValue(theme, "Output per accelerator (tok/s)", { min: 0 }),
      series: points.map((point, i) =>
        pointStyle(theme, i, { name: point.name, symbolSize: 15, data: [[point.speed, point.throughput]] }),
      ),
    },
    table: {
      columns: ["side", "tokens_per_s_of_a_user", "output_tokens_per_s_per_accelerator"],
      rows: points.map((point) => [point.name, point.speed, point.throughput]),
    },
    reading:
      fastest === thriftiest
        ? `${fastest.name} is ahead in both: ${number(fastest.speed)} tok/s to a user and ${number(fastest.throughput)} tok/s from an accelerator.`
        : `${fastest.name} is faster to a user (${number(fastest.speed)} tok/s), ${thriftiest.name} gets more out of an accelerator (${number(thriftiest.throughput)} tok/s).`,
  };
}

export function tradeOffChart(sides) {
  const points = sides
    .map((side) => ({
      name: side.name,
      speed: 1000 / meanOf(side, "metrics.tpot_ms.p50"),
      throughput: meanOf(side, "metrics.output_throughput_per_accelerator"),
    }))
    .filter((point) => Number.isFinite(point.speed) && point.throughput !== null);
  if (points.length < 2) return [];
  return [
    {
      id: "trade-off",
      title: "Throughput against speed",
      wide: true,
      draw: (_, context) => drawTradeOff(points, context),
    },
  ];
}

const conditionLabel = (condition) =>
  Object.entries(condition ?? {})
    .map(([axis, value]) => `${axis} = ${value}`)
    .join(", ");

export const conditionsOf = (results) =>
  (results.conditions ?? []).map((entry) => ({ label: conditionLabel(entry.condition), entry }));

function drawConditions(comparisons, path, { theme }) {
  const metric = describe(path);
  const labels = comparisons.map(({ label }) => label);
  const names = comparisons[0].sides.slice(1).map((side) => side.name);
  const differences = names.map((_, i) => comparisons.map(({ sides }) => differenceOf(sides[i + 1], path)));
  const said = comparisons.map(
    ({ label }, i) =>
      `${label}: ${list(names.map((name, j) => `${name} ${differences[j][i] ? `${interval(differences[j][i])} (${kVerdictWords[differences[j][i].verdict]})` : "unknown"}`))}`,
  );
  return {
    option: {
      legend: legend(theme, names, { points: true }),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ seriesIndex, dataIndex, seriesName, color }) =>
          tooltipHtml(labels[dataIndex], [[seriesName, interval(differences[seriesIndex][dataIndex]), color]]),
      }),
      xAxis: categories(theme, "Condition", labels),
      yAxis: yValue(theme, `Change against ${comparisons[0].sides[0].name} (%)`),
      series: [
        ...names.map((name, i) =>
          pointStyle(theme, i, {
            name,
            symbolSize: 13,
            data: differences[i].map((found) => (found ? found.mean * 100 : null)),
          }),
        ),
        ...differences.map((row) =>
          whiskers(
            theme,
            row.flatMap((found, i) =>
              found && found.halfWidth !== null
                ? [[i, (found.mean - found.halfWidth) * 100, (found.mean + found.halfWidth) * 100]]
                : [],
            ),
            "y",
          ),
        ),
      ],
    },
    table: {
      columns: ["condition", "side", "metric", "relative_difference", "half_width_95"],
      rows: comparisons.flatMap(({ label }, i) =>
        names.map((name, j) => [
          label,
          name,
          path,
          differences[j][i]?.mean ?? null,
          differences[j][i]?.halfWidth ?? null,
        ]),
      ),
    },
    reading: `${metric.label}. ${said.join(". ")}.`,
  };
}

export function conditionChart(comparisons) {
  const paths = inOrder(comparisons.flatMap(({ sides }) => sides.slice(1).flatMap(differencePaths)));
  if (paths.length === 0) return [];
  return [
    {
      id: "conditions",
      title: "The difference, condition by condition",
      wide: true,
      height: 340,
      choices: [
        {
          name: "metric",
          label: "Figure",
          value: paths[0],
          options: paths.map((path) => ({ value: path, label: describe(path).label })),
        },
      ],
      draw: ({ metric }, context) => drawConditions(comparisons, metric, context),
    },
  ];
}
