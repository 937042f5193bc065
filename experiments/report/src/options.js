// Pieces of ECharts options that the charts share.
import { escaped } from "./format.js";
import { inkOn, kDashes, kSymbols, nth } from "./theme.js";

export function base(theme) {
  return {
    animation: false,
    backgroundColor: "transparent",
    color: theme.series,
    textStyle: { fontFamily: theme.font, fontSize: 12, color: theme.text },
  };
}

export function tooltip(theme, more) {
  return {
    confine: true,
    backgroundColor: theme.surface,
    borderColor: theme.line,
    borderWidth: 1,
    padding: [8, 10],
    textStyle: { color: theme.text, fontFamily: theme.font, fontSize: 12 },
    extraCssText: "box-shadow: 0 4px 16px rgb(0 0 0 / 18%); max-width: 26rem; white-space: normal;",
    ...more,
  };
}

// rows: [[name, value, colour?]]
export function tooltipHtml(title, rows) {
  const line = ([name, value, colour]) =>
    `<tr><td>${colour ? `<span class="dot" style="background:${colour}"></span>` : ""}${escaped(name)}</td>` +
    `<td class="value">${escaped(value)}</td></tr>`;
  return `<strong>${escaped(title)}</strong><table class="tip">${rows.map(line).join("")}</table>`;
}

export function legend(theme, names, more) {
  if (names.length < 2) return { show: false };
  return {
    type: "scroll",
    top: 0,
    left: 0,
    right: 0,
    icon: more?.icon,
    itemWidth: more?.points ? 11 : 26,
    itemHeight: more?.points ? 11 : 10,
    itemGap: 16,
    textStyle: { color: theme.text, fontSize: 12 },
    inactiveColor: theme.line,
    pageTextStyle: { color: theme.subtle },
    pageIconColor: theme.text,
    pageIconInactiveColor: theme.line,
    data: names,
  };
}

export function grid(more) {
  return { left: 4, right: 20, top: 36, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all", ...more };
}

function axis(theme, name, more) {
  return {
    name,
    nameLocation: "middle",
    nameTextStyle: { color: theme.subtle, fontSize: 12 },
    axisLine: { show: true, lineStyle: { color: theme.line } },
    axisTick: { lineStyle: { color: theme.line } },
    axisLabel: { color: theme.subtle, fontSize: 11, hideOverlap: true, ...more?.axisLabel },
    splitLine: { lineStyle: { color: theme.faint }, ...more?.splitLine },
    minorSplitLine: { show: false },
    ...Object.fromEntries(Object.entries(more ?? {}).filter(([key]) => key !== "axisLabel" && key !== "splitLine")),
  };
}

// Ticks are round numbers: unlike in figures, zeros at their end say nothing.
const tick = (value) => Number(value.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 8 });

const compact = (value) => {
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-3)) return value.toExponential(0).replace("e+", "e");
  const [factor, letter] = [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ].find(([f]) => size >= f) ?? [1, ""];
  return `${tick(value / (letter === "k" ? 1e3 : factor))}${letter}`;
};

export const xValue = (theme, name, more) =>
  axis(theme, name, {
    type: "value",
    nameGap: 30,
    scale: true,
    ...more,
    axisLabel: { formatter: compact, ...more?.axisLabel },
  });

export const yValue = (theme, name, more) =>
  axis(theme, name, { type: "value", nameGap: 48, ...more, axisLabel: { formatter: compact, ...more?.axisLabel } });

export const categories = (theme, name, data, more) =>
  axis(theme, name, {
    type: "category",
    data,
    nameGap: 30,
    ...more,
    axisTick: { show: false },
    splitLine: { show: false, ...more?.splitLine },
  });

// Powers of ten just outside the values: ECharts' own choice may cut the first or last of them.
export function decades(values) {
  const positive = values.filter((value) => value > 0);
  return {
    min: 10 ** Math.floor(Math.log10(Math.min(...positive))),
    max: 10 ** Math.ceil(Math.log10(Math.max(...positive))),
  };
}

// Where a log axis begins and ends if whole decades would leave most of it empty.
export function logRange(values, margin = 1.15) {
  const positive = values.filter((value) => value > 0);
  const nice = (value, round) => {
    const size = 10 ** Math.floor(Math.log10(value));
    return Number(((round((value / size) * 2) / 2) * size).toPrecision(2));
  };
  return {
    min: nice(Math.min(...positive) / margin, Math.floor),
    max: nice(Math.max(...positive) * margin, Math.ceil),
  };
}

// Colour, dash and symbol together, so that none of them alone has to tell the lines apart.
export function lineStyle(theme, i) {
  const colour = nth(theme.series, i);
  return {
    type: "line",
    symbol: nth(kSymbols, i),
    symbolSize: 7,
    lineStyle: { width: 2, color: colour, type: nth(kDashes, i) },
    itemStyle: { color: colour },
    emphasis: { disabled: true },
  };
}

export function pointStyle(theme, i, more) {
  return {
    type: "scatter",
    symbol: nth(kSymbols, i),
    symbolSize: 11,
    itemStyle: { color: nth(theme.series, i), borderColor: theme.surface, borderWidth: 1, opacity: 1 },
    ...more,
  };
}

// Whiskers from low to high at each [position, low, high, colour]; `along` is the axis that they lie along.
export function whiskers(theme, data, along, more) {
  const cap = 4;
  return {
    type: "custom",
    silent: true,
    z: 5,
    data,
    encode: along === "x" ? { y: 0, x: [1, 2] } : { x: 0, y: [1, 2] },
    renderItem: (params, api) => {
      const at = (i) => api.coord(along === "x" ? [api.value(i), api.value(0)] : [api.value(0), api.value(i)]);
      const shift = more?.shift?.(params, api) ?? 0;
      const [low, high] = [at(1), at(2)].map(([x, y]) => (along === "x" ? [x, y + shift] : [x + shift, y]));
      const bar = ([x, y]) =>
        along === "x" ? { x1: x, x2: x, y1: y - cap, y2: y + cap } : { x1: x - cap, x2: x + cap, y1: y, y2: y };
      const style = { stroke: more?.colours?.[params.dataIndex] ?? theme.text, lineWidth: 1.6, fill: "none" };
      return {
        type: "group",
        children: [{ x1: low[0], y1: low[1], x2: high[0], y2: high[1] }, bar(low), bar(high)].map((shape) => ({
          type: "line",
          shape,
          style,
        })),
      };
    },
  };
}

// Horizontal bars of parts: bars are the names of the rows, parts [{ name, colour, values }].
export function stackedBars(theme, { bars, parts, xName, label, width, max }) {
  const total = Math.max(...bars.map((_, i) => parts.reduce((sum, part) => sum + (part.values[i] ?? 0), 0)));
  return {
    height: 92 + 40 * bars.length,
    option: {
      legend: legend(
        theme,
        parts.map((part) => part.name),
        { icon: "roundRect" },
      ),
      grid: grid({ right: 30 }),
      tooltip: tooltip(theme, {
        trigger: "axis",
        axisPointer: { type: "shadow" },
        formatter: (items) =>
          tooltipHtml(
            items[0].name,
            items.map((item) => [item.seriesName, label(item.value), item.color]),
          ),
      }),
      xAxis: xValue(theme, xName, { scale: false, max }),
      yAxis: categories(theme, null, bars, {
        inverse: true,
        axisLabel: {
          color: theme.text,
          fontSize: 12,
          width: width < 500 ? 104 : 180,
          overflow: "break",
          lineHeight: 14,
        },
      }),
      series: parts.map((part) => ({
        name: part.name,
        type: "bar",
        stack: "all",
        barMaxWidth: 26,
        data: part.values,
        itemStyle: { color: part.colour, borderColor: theme.surface, borderWidth: 1 },
        emphasis: { disabled: true },
        label: {
          show: true,
          color: inkOn(part.colour),
          fontSize: 11,
          formatter: ({ value }) => (value > 0 && (value / total) * width > 90 ? label(value) : ""),
        },
      })),
    },
    table: {
      columns: ["bar", ...parts.map((part) => part.name)],
      rows: bars.map((bar, i) => [bar, ...parts.map((part) => part.values[i])]),
    },
  };
}
