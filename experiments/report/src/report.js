// The data of the report, with its tables parsed.
import { parseTable } from "./csv.js";

const kTexts = ["pool", "replica", "link", "kind", "metric", "tier", "from", "to"];

function sideOf(run) {
  const tables = {};
  const table = (name) => (tables[name] ??= parseTable(run[name], kTexts));
  return {
    name: run.name,
    summary: run.summary ?? {},
    timeseries: () => table("timeseries"),
    replicas: () => table("replicas"),
    replicaSeries: () => table("replica_series"),
    tierSeries: () => table("tier_series"),
    links: () => table("links"),
    linkSeries: () => table("link_series"),
    flows: () => table("flows"),
    distributions: () => table("distributions"),
  };
}

export function readReport() {
  const data = JSON.parse(document.getElementById("data").textContent);
  return { ...data, sides: (data.runs ?? []).map(sideOf) };
}

export function kindsOf(sides) {
  return [...new Set(sides.flatMap(({ summary }) => Object.keys(summary.by_kind ?? {})))];
}

// Metrics of all requests, or of one agent kind.
export const partOf = (summary, kind) => (kind === "all" ? summary : summary.by_kind?.[kind]);

// The SLO of a metric such as ttft_ms: that of the agent kind, else that of all.
export function sloOf(summary, kind, metric) {
  const limit = summary.by_kind?.[kind]?.slo?.[metric] ?? summary.slo?.[metric];
  return typeof limit === "number" ? limit : null;
}

export function kindChoice(kinds) {
  return {
    name: "kind",
    label: "Agent kind",
    value: "all",
    options: [{ value: "all", label: "All kinds" }, ...kinds.map((kind) => ({ value: kind, label: kind }))],
  };
}

// Sides are chosen by their place, as two may have the same name.
export function sideChoice(sides) {
  return {
    name: "side",
    label: "Cluster",
    value: String(Math.max(0, sides.length - 1)),
    options: sides.map((side, i) => ({ value: String(i), label: side.name })),
  };
}
