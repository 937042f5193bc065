// Where the figures come from: everything that the program says about it.
import { element } from "../dom.js";

const words = (key) => key.replace(/_/g, " ").replace(/^./, (c) => c.toUpperCase());

const isEmpty = (value) =>
  value === null ||
  value === undefined ||
  value === "" ||
  (Array.isArray(value) ? value.length === 0 : typeof value === "object" && Object.keys(value).length === 0);

function shown(value) {
  if (Array.isArray(value))
    return element(
      "ul",
      {},
      value.map((one) => element("li", {}, shown(one))),
    );
  if (typeof value === "object") return definitions(Object.entries(value).map(([key, part]) => [words(key), part]));
  return String(value);
}

function definitions(pairs) {
  const known = pairs.filter(([, value]) => !isEmpty(value));
  return element(
    "dl",
    {},
    known.map(([name, value]) => [element("dt", {}, name), element("dd", {}, shown(value))]),
  );
}

// Runs of a scenario that differ in seeds and hashes only are joined into one entry.
function bySide(summaries) {
  const sides = new Map();
  for (const { name, provenance } of summaries) {
    const { seed, scenario_hash: scenario, workload_hash: workload, ...origin } = provenance ?? {};
    const key = JSON.stringify([name, origin]);
    if (!sides.has(key)) sides.set(key, { name, origin, seeds: new Set(), scenarios: new Set(), workloads: new Set() });
    const side = sides.get(key);
    side.seeds.add(seed);
    side.scenarios.add(scenario);
    side.workloads.add(workload);
  }
  return [...sides.values()];
}

const joined = (values) => [...values].filter((value) => !isEmpty(value)).join(", ");

export function provenance(report, summaries, more) {
  const program = [
    ["Program", report.version ? `disagg ${report.version}` : null],
    ["Command", report.command],
    ["Written", report.created],
    ...more,
  ];
  return [
    definitions(program),
    bySide(summaries).map(({ name, origin, seeds, scenarios, workloads }) =>
      element(
        "details",
        { open: true },
        element("summary", {}, name ?? "Scenario"),
        definitions([
          ["Seeds", joined(seeds)],
          ["Scenario hashes", joined(scenarios)],
          ["Workload hashes", joined(workloads)],
          ...Object.entries(origin).map(([key, value]) => [words(key), value]),
        ]),
      ),
    ),
  ];
}
