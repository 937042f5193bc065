// The phases of the pools by intensity and footprint: which of compute, bandwidth and capacity bounds each.
// After Zhao and Liu, arXiv 2601.22001, figure 1.
import { list, number, percent, withUnit } from "../format.js";
import { decades, grid, legend, pointStyle, tooltip, tooltipHtml, xValue, yValue } from "../options.js";
import { kDashes, nth } from "../theme.js";

const kAbout =
  "The footprint of a request is its state and its share of the weights. Left of the ridge memory bandwidth is the limit, right of it compute is.";
const kMemory =
  " The horizontal line of a point's colour is the memory that each request of its batch can have: above it memory capacity is.";

const bounds = ({ intensity, ridge, footprint, memory }) =>
  list([...(footprint > memory ? ["capacity"] : []), intensity < ridge ? "bandwidth" : "compute"]);

const ridgesOf = (points) => [
  ...new Map(points.map(({ pool, ridge }) => [`${pool.accelerator}, ridge ${number(ridge)} flop/B`, ridge])),
];

function line(name, colour, dash, data) {
  return {
    name,
    type: "line",
    symbol: "none",
    silent: true,
    lineStyle: { color: colour, width: 1.6, type: dash },
    itemStyle: { color: colour },
    data,
  };
}

// Names of the quadrants, in the corners of the plot.
function corners(theme, x, y, hasMemory) {
  const corner = (text, right, top) => ({
    value: [right ? x.max : x.min, top ? y.max : y.min],
    label: {
      show: true,
      formatter: text,
      position: [0, 0],
      align: right ? "right" : "left",
      verticalAlign: top ? "top" : "bottom",
      offset: [right ? -8 : 8, top ? 8 : -8],
      color: theme.subtle,
      fontSize: 11,
      fontStyle: "italic",
      lineHeight: 14,
    },
  });
  return {
    type: "scatter",
    silent: true,
    symbolSize: 0,
    data: [
      corner("bandwidth-bound", false, false),
      corner("compute-bound", true, false),
      ...(hasMemory
        ? [corner("capacity- and\nbandwidth-bound", false, true), corner("capacity-bound", true, true)]
        : []),
    ],
  };
}

function told(point) {
  const share = point.memory > 0 ? ` (${percent(point.footprint / point.memory)} of the memory it can have)` : "";
  return `${point.name} works at ${number(point.intensity / point.ridge)} times the ridge with ${withUnit(point.footprint, "B")} for a request${share}`;
}

function draw(points, { theme }) {
  const limited = points.filter(({ memory }) => memory > 0);
  const x = decades(points.flatMap(({ intensity, ridge }) => [intensity / 2, intensity * 2, ridge / 4, ridge * 4]));
  const y = decades([
    ...points.flatMap(({ footprint }) => [footprint / 2, footprint * 2]),
    ...limited.flatMap(({ memory }) => [memory / 4, memory * 4]),
  ]);
  const lines = [
    ...ridgesOf(points).map(([name, ridge], i) =>
      line(name, theme.subtle, nth(kDashes, i + 1), [
        [ridge, y.min],
        [ridge, y.max],
      ]),
    ),
    // By its name the legend hides the line of a point together with it.
    ...limited.map(({ name, memory, place }) =>
      line(name, nth(theme.series, place), nth(kDashes, place + 1), [
        [x.min, memory],
        [x.max, memory],
      ]),
    ),
  ];
  return {
    option: {
      legend: legend(theme, [...new Set([...points, ...lines].map(({ name }) => name))]),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ seriesIndex, color }) => {
          const point = points[seriesIndex];
          return tooltipHtml(point.name, [
            ["Intensity", withUnit(point.intensity, "flop/B"), color],
            ["Ridge", withUnit(point.ridge, "flop/B")],
            ["Footprint of a request", withUnit(point.footprint, "B")],
            ...(point.memory > 0 ? [["Memory for a request", withUnit(point.memory, "B")]] : []),
            ["Bound by", bounds(point)],
          ]);
        },
      }),
      xAxis: xValue(theme, "Operational intensity (flop per byte, log)", { type: "log", ...x }),
      yAxis: yValue(theme, "Footprint of a request (B, log)", { type: "log", ...y }),
      series: [
        ...points.map((point) =>
          pointStyle(theme, point.place, {
            name: point.name,
            symbolSize: 15,
            z: 4,
            data: [[point.intensity, point.footprint]],
          }),
        ),
        ...lines,
        corners(theme, x, y, limited.length > 0),
      ],
    },
    table: {
      columns: [
        "point",
        "phase",
        "accelerator",
        "oi_flop_per_byte",
        "ridge_flop_per_byte",
        "cf_bytes_per_request",
        "memory_bytes_per_request",
      ],
      rows: points.map((p) => [
        p.name,
        p.phase,
        p.pool.accelerator,
        p.intensity,
        p.ridge,
        p.footprint,
        p.memory ?? null,
      ]),
    },
    reading: `${points.map(told).join("; ")}.`,
  };
}

// points: those of phasePoints in pools.js.
export function quadrantCharts(points) {
  // Points look the same as under the roofs beside.
  const placed = points
    .map((point, place) => ({ ...point, place }))
    .filter(({ footprint, ridge }) => footprint > 0 && ridge > 0);
  if (placed.length === 0) return [];
  return [
    {
      id: "quadrants",
      title: "Intensity and footprint of the pools' phases",
      about: placed.some(({ memory }) => memory > 0) ? kAbout + kMemory : kAbout,
      height: 380,
      draw: (_, context) => draw(placed, context),
    },
  ];
}
