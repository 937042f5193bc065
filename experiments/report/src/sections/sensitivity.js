// Which uncertain figures a result hinges on, by each of the three methods.
import { list, number, percent, plural, withUnit } from "../format.js";
import { axisTitle, describe, onAxis } from "../metrics.js";
import { categories, grid, legend, pointStyle, tooltip, tooltipHtml, whiskers, xValue, yValue } from "../options.js";
import { nth } from "../theme.js";

const rowAxis = (theme, names, narrow) =>
  categories(theme, null, names, {
    inverse: true,
    axisLabel: {
      color: theme.text,
      interval: 0,
      hideOverlap: false,
      width: narrow ? 120 : 320,
      overflow: "break",
      lineHeight: 14,
    },
  });

const heightFor = (rows, each) => 100 + each * rows;

function drawTornado(metric, base, effects, { theme, narrow }) {
  const sorted = [...effects].sort((a, b) => Math.abs(b.at_high - b.at_low) - Math.abs(a.at_high - a.at_low));
  const ends = [
    { key: "at_low", name: "At its low end", colour: theme.series[0] },
    { key: "at_high", name: "At its high end", colour: theme.series[1] },
  ];
  const [first] = sorted;
  return {
    height: heightFor(sorted.length, 54),
    option: {
      legend: legend(
        theme,
        ends.map(({ name }) => name),
        { icon: "roundRect" },
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "axis",
        axisPointer: { type: "shadow" },
        formatter: (items) =>
          tooltipHtml(sorted[items[0].dataIndex].axis, [
            ...ends.map(({ key, name, colour }) => [
              name,
              withUnit(sorted[items[0].dataIndex][key], metric.unit),
              colour,
            ]),
            ["At the base", withUnit(base, metric.unit)],
          ]),
      }),
      xAxis: xValue(theme, `${axisTitle(metric)}; bars begin at the base, ${withUnit(base, metric.unit)}`, {
        startValue: onAxis(metric, base),
      }),
      yAxis: rowAxis(
        theme,
        sorted.map(({ axis }) => axis),
        narrow,
      ),
      series: ends.map(({ key, name, colour }, i) => ({
        name,
        type: "bar",
        barGap: i === 0 ? "-100%" : undefined,
        barMaxWidth: 22,
        data: sorted.map((effect) => onAxis(metric, effect[key])),
        itemStyle: { color: colour, opacity: 0.92 },
        emphasis: { disabled: true },
        markLine:
          i === 0
            ? {
                silent: true,
                symbol: "none",
                lineStyle: { color: theme.text, type: "solid", width: 1.5 },
                label: { show: false },
                data: [{ xAxis: onAxis(metric, base) }],
              }
            : undefined,
      })),
    },
    table: {
      columns: ["axis", "at_low", "base", "at_high"],
      rows: sorted.map((effect) => [effect.axis, effect.at_low, base, effect.at_high]),
    },
    reading: `${metric.label} hinges most on ${first.axis}: over its range it goes from ${withUnit(first.at_low, metric.unit)} to ${withUnit(first.at_high, metric.unit)}; the base is ${withUnit(base, metric.unit)}. One figure is changed at a time.`,
  };
}

// Bars with whiskers: groups [{ name, of(effect), halfWidth(effect) }].
function drawBars(effects, groups, { axisName, show }, { theme, narrow }) {
  const offset = (g) => (g - (groups.length - 1) / 2) * 20;
  return {
    height: heightFor(effects.length, groups.length > 1 ? 66 : 54),
    option: {
      legend: legend(
        theme,
        groups.map(({ name }) => name),
        { icon: "roundRect" },
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "axis",
        axisPointer: { type: "shadow" },
        formatter: (items) => {
          const effect = effects[items[0].dataIndex];
          return tooltipHtml(
            effect.axis,
            groups.map(({ name, of, halfWidth }, i) => [
              name,
              `${show(of(effect))} \u00b1 ${show(halfWidth(effect))}`,
              nth(theme.series, i),
            ]),
          );
        },
      }),
      xAxis: xValue(theme, axisName, { scale: false }),
      yAxis: rowAxis(
        theme,
        effects.map(({ axis }) => axis),
        narrow,
      ),
      series: [
        ...groups.map(({ name, of }, i) => ({
          name,
          type: "bar",
          barWidth: 16,
          barGap: "25%",
          data: effects.map(of),
          itemStyle: { color: nth(theme.series, i) },
          emphasis: { disabled: true },
        })),
        ...groups.map(({ of, halfWidth }, i) =>
          whiskers(
            theme,
            effects.flatMap((effect, row) =>
              typeof halfWidth(effect) === "number"
                ? [[row, of(effect) - halfWidth(effect), of(effect) + halfWidth(effect)]]
                : [],
            ),
            "x",
            { shift: () => offset(i) },
          ),
        ),
      ],
    },
    table: {
      columns: ["axis", ...groups.flatMap(({ name }) => [name, `${name}, half width of 95 % interval`])],
      rows: effects.map((effect) => [
        effect.axis,
        ...groups.flatMap(({ of, halfWidth }) => [of(effect), halfWidth(effect)]),
      ]),
    },
  };
}

function drawMorris(metric, effects, context) {
  const sorted = [...effects].sort((a, b) => b.mu_star - a.mu_star);
  const [first, second] = sorted;
  const show = (value) => withUnit(value, metric.unit);
  const apart =
    second && first.mu_star - (first.mu_star_half_width ?? 0) > second.mu_star + (second.mu_star_half_width ?? 0);
  const order = !second
    ? ""
    : apart
      ? ` It is clearly ahead of ${second.axis}.`
      : ` Its interval overlaps that of ${second.axis}, so which of the two matters more is not significant.`;
  return {
    ...drawBars(
      sorted,
      [{ name: "\u00b5*", of: (effect) => effect.mu_star, halfWidth: (effect) => effect.mu_star_half_width }],
      { axisName: `Mean absolute elementary effect \u00b5* on ${axisTitle(metric)}`, show },
      context,
    ),
    reading: `Over its range, ${first.axis} moves ${metric.label} by ${show(first.mu_star)} on average.${order}`,
  };
}

function drawMorrisPlane(metric, effects, { theme }) {
  const curved = effects.filter((effect) => effect.sigma > effect.mu_star).map(({ axis }) => axis);
  return {
    option: {
      legend: legend(
        theme,
        effects.map(({ axis }) => axis),
        { points: true },
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ seriesName, value, color }) =>
          tooltipHtml(seriesName, [
            ["\u00b5*", withUnit(value[0], metric.unit), color],
            ["\u03c3", withUnit(value[1], metric.unit)],
          ]),
      }),
      xAxis: xValue(theme, `Strength \u00b5* (${metric.unit || "of the figure"})`, { scale: false, min: 0 }),
      yAxis: yValue(theme, `Spread \u03c3 (${metric.unit || "of the figure"})`, { min: 0 }),
      series: effects.map((effect, i) =>
        pointStyle(theme, i, { name: effect.axis, symbolSize: 14, data: [[effect.mu_star, effect.sigma]] }),
      ),
    },
    table: {
      columns: ["axis", "mu_star", "sigma"],
      rows: effects.map((effect) => [effect.axis, effect.mu_star, effect.sigma]),
    },
    reading:
      curved.length > 0
        ? `Effects of ${list(curved)} vary more than they are strong (\u03c3 above \u00b5*): they bend, or depend on other axes.`
        : "All effects are stronger than they vary: close to straight and independent of other axes.",
  };
}

function drawSobol(metric, effects, context) {
  const sorted = [...effects].sort((a, b) => b.total - a.total);
  const [first] = sorted;
  const unsure = sorted.filter((effect) => effect.total_half_width >= Math.abs(effect.total)).map(({ axis }) => axis);
  return {
    ...drawBars(
      sorted,
      [
        { name: "First order", of: (effect) => effect.first, halfWidth: (effect) => effect.first_half_width },
        { name: "Total", of: (effect) => effect.total, halfWidth: (effect) => effect.total_half_width },
      ],
      { axisName: `Share of the variance of ${metric.label}`, show: (value) => number(value) },
      context,
    ),
    reading: `With all its interactions ${first.axis} accounts for ${percent(first.total)} of the variance of ${metric.label}, by itself for ${percent(first.first)}.${unsure.length > 0 ? ` The intervals of ${list(unsure)} hold 0: more samples are needed.` : ""}`,
  };
}

const kStrength = {
  tornado: { of: (effect) => Math.abs(effect.at_high - effect.at_low), halfWidth: () => 0 },
  morris: { of: (effect) => effect.mu_star, halfWidth: (effect) => effect.mu_star_half_width },
  sobol: { of: (effect) => effect.total, halfWidth: (effect) => effect.total_half_width },
};

export function sensitivityText(results) {
  const { label } = describe(results.metric);
  const strength = kStrength[results.method];
  if (!strength || !results.effects?.length) return "No effect is known.";
  const [first, second] = [...results.effects].sort((a, b) => strength.of(b) - strength.of(a));
  if (!second) return `${first.axis} is the only figure that was varied.`;
  const count = plural(results.effects.length, "uncertain figure");
  const apart = strength.of(first) - strength.halfWidth(first) > strength.of(second) + strength.halfWidth(second);
  return apart
    ? `Of ${count}, ${first.axis} moves ${label} most.`
    : `Of ${count}, ${first.axis} seems to move ${label} most, but not significantly more than ${second.axis}.`;
}

export function sensitivityCharts(results) {
  const metric = describe(results.metric);
  const effects = results.effects ?? [];
  if (effects.length === 0) return [];
  const spec = (id, title, draw) => ({ id, title, wide: true, draw: (_, context) => draw(context) });
  switch (results.method) {
    case "tornado":
      return [
        spec("tornado", `What moves ${metric.label}`, (context) => drawTornado(metric, results.mean, effects, context)),
      ];
    case "morris":
      return [
        spec("morris", `What moves ${metric.label}, by Morris screening`, (context) =>
          drawMorris(metric, effects, context),
        ),
        {
          ...spec("morris-plane", "Strong, or depending on others?", (context) =>
            drawMorrisPlane(metric, effects, context),
          ),
          height: 340,
        },
      ];
    case "sobol":
      return [
        spec("sobol", `Where the variance of ${metric.label} comes from, by Sobol indices`, (context) =>
          drawSobol(metric, effects, context),
        ),
      ];
    default:
      return [];
  }
}
