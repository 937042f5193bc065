// What limits each pool: the regimes of its time, its operating points under the roofs, and its figures.
import { capital, list, number, percent, withUnit } from "../format.js";
import { decades, grid, legend, pointStyle, stackedBars, tooltip, tooltipHtml, xValue, yValue } from "../options.js";
import { kDashes, nth } from "../theme.js";
import { dataTable } from "../table.js";
import { quadrantCharts } from "./quadrant.js";

const kRegimes = ["compute", "bandwidth", "capacity", "network", "overhead", "idle"];

const kLimit = {
  compute: "by compute",
  bandwidth: "by memory bandwidth",
  capacity: "by memory capacity",
  network: "by the network",
  overhead: "by overheads of the software",
};

function poolsOf(sides) {
  return sides.flatMap((side) =>
    Object.entries(side.summary.pools ?? {}).map(([name, pool]) => ({
      name: sides.length > 1 ? `${side.name}: ${name}` : name,
      ...pool,
    })),
  );
}

function drawRegimes(pools, { theme, width }) {
  const parts = kRegimes
    .map((regime) => ({
      name: capital(regime),
      colour: theme.regime[regime],
      values: pools.map((pool) => (pool.time_in_regime[regime] ?? 0) * 100),
    }))
    .filter((part) => part.values.some((value) => value > 0.005));
  const reading = pools.map((pool) => {
    const times = pool.time_in_regime;
    const largest = kRegimes
      .filter((regime) => regime !== "idle")
      .reduce((a, b) => ((times[b] ?? 0) > (times[a] ?? 0) ? b : a));
    return `${pool.name}: limited ${kLimit[largest]} for ${percent(times[largest])} of the time, idle for ${percent(times.idle)}`;
  });
  const label = (value) => `${number(value)} %`;
  return {
    ...stackedBars(theme, {
      bars: pools.map((pool) => pool.name),
      parts,
      xName: "Share of time (%)",
      label,
      width,
      max: 100,
    }),
    reading: `${reading.join(". ")}.`,
  };
}

// The pools' phases: intensity and ridge, and the footprint of a request and the memory that it can have, where told.
function phasePoints(pools) {
  return pools.flatMap((pool) => {
    const phases = ["prefill", "decode"].filter((phase) => pool[phase]?.oi_flop_per_byte > 0);
    return phases.map((phase) => ({
      name: phases.length > 1 ? `${pool.name}, ${phase}` : pool.name,
      pool,
      phase,
      intensity: pool[phase].oi_flop_per_byte,
      ridge: pool.ridge_flop_per_byte,
      footprint: pool[phase].cf_bytes_per_request ?? (phase === "decode" ? pool.cf_bytes_per_request : undefined),
      memory: pool[phase].memory_bytes_per_request,
    }));
  });
}

// Those with the compute that they reached while busy, as a share of the peak.
function operatingPoints(points) {
  return points.flatMap((point) => {
    const { pool, phase, ridge } = point;
    const flops = (pool.prefill?.flops ?? 0) + (pool.decode?.flops ?? 0);
    if (!(ridge > 0 && pool.mfu > 0 && pool.utilization > 0 && flops > 0)) return [];
    return [{ ...point, reached: ((pool.mfu * (pool[phase].flops / flops)) / pool.utilization) * 100 }];
  });
}

const roofAt = (ridge, intensity) => Math.min(1, intensity / ridge) * 100;

function drawRoofline(points, { theme }) {
  const roofs = [
    ...new Map(points.map(({ pool, ridge }) => [`${pool.accelerator}, ridge ${number(ridge)} flop/B`, ridge])),
  ];
  const x = decades(points.flatMap(({ intensity, ridge }) => [intensity / 2, intensity * 2, ridge]));
  const y = { min: decades(points.map(({ reached }) => reached / 2)).min, max: 200 };
  const roofLines = roofs.map(([name, ridge], i) => ({
    name,
    type: "line",
    symbol: "none",
    silent: true,
    lineStyle: { color: theme.subtle, width: 2, type: nth(kDashes, i) },
    itemStyle: { color: theme.subtle },
    data: [x.min, ridge, x.max].map((intensity) => [intensity, roofAt(ridge, intensity)]),
  }));
  return {
    option: {
      legend: legend(
        theme,
        [...points, ...roofLines].map(({ name }) => name),
      ),
      grid: grid(),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ dataIndex, seriesIndex, color }) => {
          const point = points[seriesIndex] ?? points[dataIndex];
          return tooltipHtml(point.name, [
            ["Intensity", withUnit(point.intensity, "flop/B"), color],
            ["Ridge", withUnit(point.ridge, "flop/B")],
            ["Compute reached while busy", `${number(point.reached)} %`],
            ["Roof there", `${number(roofAt(point.ridge, point.intensity))} %`],
            ["Footprint of a request", withUnit(point.footprint, "B")],
            ["Mean batch", number(point.pool.mean_batch)],
          ]);
        },
      }),
      xAxis: xValue(theme, "Operational intensity (flop per byte, log)", { type: "log", ...x }),
      yAxis: yValue(theme, "Compute reached (% of peak, log)", { type: "log", ...y }),
      series: [
        ...points.map((point, i) =>
          pointStyle(theme, i, { name: point.name, symbolSize: 15, data: [[point.intensity, point.reached]] }),
        ),
        ...roofLines,
      ],
    },
    table: {
      columns: [
        "point",
        "phase",
        "accelerator",
        "oi_flop_per_byte",
        "ridge_flop_per_byte",
        "percent_of_peak",
        "roof_percent",
        "cf_bytes_per_request",
      ],
      rows: points.map((p) => [
        p.name,
        p.phase,
        p.pool.accelerator,
        p.intensity,
        p.ridge,
        p.reached,
        roofAt(p.ridge, p.intensity),
        p.footprint ?? null,
      ]),
    },
    reading: `${list(
      points.map(
        ({ name, intensity, ridge }) =>
          `${name} works at ${number(intensity / ridge)} times the ridge, under the ${intensity < ridge ? "bandwidth" : "compute"} roof`,
      ),
    )}.`,
  };
}

export function poolCharts(sides) {
  const pools = poolsOf(sides);
  const timed = pools.filter((pool) => kRegimes.some((regime) => pool.time_in_regime?.[regime] > 0));
  const phases = phasePoints(pools);
  const points = operatingPoints(phases);
  const quadrants = quadrantCharts(phases);
  return [
    timed.length > 0 && {
      id: "regimes",
      title: "What limits each pool",
      wide: true,
      draw: (_, context) => drawRegimes(timed, context),
    },
    points.length > 0 && {
      id: "pool-roofline",
      title: "Operating points of the pools under their roofs",
      about:
        "Below the ridge memory bandwidth is the roof, above it compute is. Compute reached is averaged over all busy time of a pool, so the phases of a mixed pool share it.",
      wide: quadrants.length === 0,
      height: 380,
      draw: (_, context) => drawRoofline(points, context),
    },
    ...quadrants,
  ].filter(Boolean);
}

export function poolTable(sides) {
  const pools = poolsOf(sides);
  if (pools.length === 0) return null;
  const intensity = (phase) => ({
    label: `${capital(phase)} intensity`,
    unit: "flop/B",
    of: (pool) => number(pool[phase]?.oi_flop_per_byte ?? NaN),
  });
  return dataTable({
    id: "pools",
    title: "Operating points of the pools",
    columns: [
      { label: "Pool", of: (pool) => pool.name, text: true },
      { label: "Accelerators", of: (pool) => `${pool.accelerators} \u00d7 ${pool.accelerator}`, text: true },
      { label: "Replicas", of: (pool) => number(pool.replicas) },
      { label: "Busy", of: (pool) => percent(pool.utilization) },
      { label: "MFU", of: (pool) => percent(pool.mfu) },
      { label: "MBU", of: (pool) => percent(pool.mbu) },
      intensity("prefill"),
      intensity("decode"),
      { label: "Ridge", unit: "flop/B", of: (pool) => number(pool.ridge_flop_per_byte) },
      { label: "Mean batch", of: (pool) => number(pool.mean_batch) },
      { label: "Mean context", unit: "tokens", of: (pool) => number(pool.mean_context_tokens, 4) },
      { label: "Footprint of a request", of: (pool) => withUnit(pool.cf_bytes_per_request, "B") },
      { label: "KV cache full", of: (pool) => percent(pool.kv_occupancy) },
      { label: "KV room of a replica", of: (pool) => withUnit(pool.kv_capacity_tokens, "tokens") },
    ],
    rows: pools,
  });
}
