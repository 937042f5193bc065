// A comparison's figures: means of the sides over their seeds, and paired differences to the baseline.
import { describe, mean, valueAt } from "./metrics.js";

const nameOf = (summaries, i) => summaries[0]?.name ?? `side ${i + 1}`;

// [{ name, summaries, change }], the baseline first.
export function sidesOf(comparison) {
  const candidates = comparison.candidates ?? [];
  const baseline = comparison.baseline ?? [];
  return [
    { name: nameOf(baseline, 0), summaries: baseline, change: null },
    ...candidates.map(({ summaries, change }, i) => ({
      name: nameOf(summaries ?? [], i + 1),
      summaries: summaries ?? [],
      change: change ?? {},
    })),
  ];
}

export const meanOf = (side, path) => mean(side.summaries.map((summary) => valueAt(summary, path)));

// { metric, mean, halfWidth, verdict }; verdict is better, worse, different, same, unsure (the interval holds 0)
// or untested (one seed gives no interval).
export function differenceOf(side, path) {
  const found = side.change?.[path.replace(/\./g, "/")];
  if (!found || typeof found.mean !== "number") return null;
  const halfWidth = typeof found.half_width === "number" ? found.half_width : null;
  const metric = describe(path);
  return { metric, mean: found.mean, halfWidth, verdict: verdictOf(metric, found.mean, halfWidth) };
}

function verdictOf(metric, difference, halfWidth) {
  if (difference === 0 && !halfWidth) return "same";
  if (halfWidth === null) return "untested";
  if (Math.abs(difference) <= halfWidth) return "unsure";
  if (metric.better === null) return "different";
  return difference > 0 === (metric.better === "higher") ? "better" : "worse";
}

export const differencePaths = (side) => Object.keys(side.change ?? {}).map((path) => path.replace(/\//g, "."));

export const kVerdictWords = {
  better: "better",
  worse: "worse",
  different: "different",
  same: "the same",
  unsure: "not significant",
  untested: "one seed: no interval",
};

export const seedsOf = (side) =>
  side.summaries.map((summary) => summary.provenance?.seed).filter((seed) => seed !== undefined);
