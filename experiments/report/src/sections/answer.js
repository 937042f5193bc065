// The first lines: which is better, by how much, how sure.
import { differenceOf, kVerdictWords, meanOf, seedsOf } from "../comparison.js";
import { element } from "../dom.js";
import { changeWithin, number, plural, quantity } from "../format.js";
import { describe, kKeyFigures, valueAt } from "../metrics.js";

const amount = (value, unit) => {
  const shown = quantity(value, unit);
  return [shown.text, shown.unit ? element("small", {}, ` ${shown.unit}`) : null];
};

function differenceLine(difference) {
  if (!difference) return element("p", { class: "difference" }, "no comparison");
  return element(
    "p",
    { class: `difference ${difference.verdict}` },
    element("strong", {}, changeWithin(difference.mean, difference.halfWidth)),
    ` ${kVerdictWords[difference.verdict]}`,
  );
}

function card(title, children) {
  return element("li", { class: "card" }, element("h3", {}, title), children);
}

export const answerText = (text) => (text ? element("p", { class: "verdict" }, text) : null);

export const answerList = (texts) =>
  element(
    "ul",
    { class: "findings" },
    texts.map((text) => element("li", {}, text)),
  );

export function valueCards(summary) {
  const known = kKeyFigures.filter((path) => valueAt(summary, path) !== null);
  if (known.length === 0) return null;
  return element(
    "ul",
    { class: "cards" },
    known.map((path) => {
      const metric = describe(path);
      return card(metric.label, element("p", { class: "value" }, amount(valueAt(summary, path), metric.unit)));
    }),
  );
}

// Absolute values are means over the seeds; differences are paired by seed.
export function differenceCards([baseline, ...candidates]) {
  const known = kKeyFigures.filter((path) => candidates.some((side) => meanOf(side, path) !== null));
  if (known.length === 0) return null;
  return element(
    "ul",
    { class: "cards" },
    known.map((path) => {
      const metric = describe(path);
      return card(metric.label, [
        candidates.map((side) => [
          candidates.length > 1 ? element("p", { class: "who" }, side.name) : null,
          element("p", { class: "value" }, amount(meanOf(side, path), metric.unit)),
          differenceLine(differenceOf(side, path)),
        ]),
        element("p", { class: "against" }, `${baseline.name}: `, amount(meanOf(baseline, path), metric.unit)),
      ]);
    }),
  );
}

export function howSure(sides) {
  const seeds = seedsOf(sides[0]).length;
  if (seeds === 0) return null;
  const text =
    seeds > 1
      ? `Large figures are means of ${sides.length > 2 ? "each cluster" : (sides[1]?.name ?? "the cluster")} over ${plural(seeds, "seed")}; differences are paired by seed, \u00b1 half a 95 % confidence interval.`
      : "One seed: the differences have no confidence interval. More seeds tell chance from effect.";
  return element("p", { class: "reading" }, text);
}

export function statCards(stats) {
  return element(
    "ul",
    { class: "cards" },
    stats
      .filter(({ value }) => value !== null && value !== undefined)
      .map(({ label, value, unit }) =>
        card(
          label,
          element("p", { class: "value" }, typeof value === "number" ? amount(value, unit ?? "") : [String(value)]),
        ),
      ),
  );
}

export function bottleneckList(sides) {
  const said = sides.filter(({ summary }) => summary.bottleneck?.sentence);
  if (said.length === 0) return null;
  return element(
    "ul",
    { class: "findings" },
    said.map(({ name, summary }) =>
      element("li", {}, sides.length > 1 ? element("strong", {}, `${name}: `) : null, summary.bottleneck.sentence),
    ),
  );
}

// What makes the figures doubtful, if anything does.
export function warnings(sides) {
  const said = sides.flatMap(({ name, summary }) => {
    const who = sides.length > 1 ? `${name}: ` : "";
    const growth = summary.metrics?.queue_growth_requests_per_s;
    return [
      summary.metrics?.saturated &&
        `${who}the cluster is saturated${typeof growth === "number" ? `: its queue grows by ${number(growth)} requests per second` : ""}, so latencies depend on how long the run lasts.`,
      ...(summary.provenance?.notes ?? []).map((note) => `${who}${note}`),
    ].filter(Boolean);
  });
  return said.length > 0
    ? element("div", { class: "warnings", role: "note" }, element("h3", {}, "Mind"), answerList(said))
    : null;
}
