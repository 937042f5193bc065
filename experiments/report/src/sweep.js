// The points of a sweep, or of a table of capacities, as its charts and its answer need them.
import { list, plural, withUnit } from "./format.js";
import { describe, inOrder, mean } from "./metrics.js";

export const kSpeed = "metrics.tpot_ms.p50";
export const kThroughput = "metrics.output_throughput_per_accelerator";

const kDecisive = [
  "capacity.per_s",
  "metrics.request_goodput",
  "metrics.slo_attainment",
  kThroughput,
  "cost.usd_per_million_output_tokens",
  "energy.j_per_output_token",
];

const natural = (a, b) => a.localeCompare(b, "en", { numeric: true });

// { points, axes: [{ name, values }], seeds, failed, metrics }; seeds are not an axis but averaged over.
export function readSweep(results) {
  const all = (Array.isArray(results) ? results : (results?.points ?? [])).map((point) => ({
    ...point,
    assignments: point.assignments ?? {},
    figures: point.figures ?? {},
  }));
  const points = all.filter((point) => !point.error && Object.keys(point.figures).length > 0);
  const names = [...new Set(points.flatMap((point) => Object.keys(point.assignments)))];
  const axes = names
    .map((name) => ({
      name,
      values: [...new Set(points.map((point) => String(point.assignments[name] ?? "")))].sort(natural),
    }))
    .filter(({ name, values }) => name !== "seed" && values.length > 1);
  const seeds = new Set(points.map((point) => point.assignments.seed).filter((seed) => seed !== undefined)).size;
  const metrics = inOrder(
    points.flatMap((point) => Object.keys(point.figures).filter((path) => typeof point.figures[path] === "number")),
  );
  return { points, axes, seeds, failed: all.length - points.length, metrics };
}

export const numeric = (axis) => axis.values.every((value) => value !== "" && Number.isFinite(Number(value)));

export const at = (points, name, value) => points.filter((point) => String(point.assignments[name] ?? "") === value);

export const figure = (points, path) => mean(points.map((point) => point.figures[path]));

// Points that differ in their seed only: [{ name, assignments, members }].
export function groupsOf({ points, axes }) {
  const groups = new Map();
  for (const point of points) {
    const name = axes.map((axis) => `${axis.name} = ${point.assignments[axis.name]}`).join(", ") || "the only point";
    if (!groups.has(name)) groups.set(name, { name, assignments: point.assignments, members: [] });
    groups.get(name).members.push(point);
  }
  return [...groups.values()];
}

// What the figures of some of the axes are averaged over.
export function averaged(sweep, shown) {
  const over = [
    ...(sweep.seeds > 1 ? [plural(sweep.seeds, "seed")] : []),
    ...sweep.axes.filter(({ name }) => !shown.includes(name)).map(({ name }) => name),
  ];
  return over.length > 0 ? ` Averaged over ${list(over)}.` : "";
}

export function extremes(cells, metric) {
  const known = cells.filter(({ value }) => value !== null);
  if (known.length === 0) return `${metric.label} is not known for any of these points.`;
  const sorted = [...known].sort((a, b) => a.value - b.value);
  const say = ({ where, value }) => `${withUnit(value, metric.unit)} at ${where}`;
  return `${metric.label} goes from ${say(sorted[0])} to ${say(sorted[sorted.length - 1])}.`;
}

// The best points by the figures that decide, in words.
export function sweepFindings(sweep) {
  const groups = groupsOf(sweep);
  return kDecisive
    .filter((path) => sweep.metrics.includes(path))
    .map((path) => {
      const metric = describe(path);
      const known = groups
        .map(({ name, members }) => ({ name, value: figure(members, path) }))
        .filter(({ value }) => value !== null);
      const sign = metric.better === "higher" ? 1 : -1;
      const best = known.reduce((a, b) => (sign * b.value > sign * a.value ? b : a));
      const label = metric.label.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
      return `${sign > 0 ? "Highest" : "Lowest"} ${label}: ${withUnit(best.value, metric.unit)} at ${best.name}.`;
    });
}
