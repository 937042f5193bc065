// KV caches over time, by the memory that holds them: the pools' own, and the memory tiers below.
import { list, percent } from "../format.js";
import { drawPanels, grouped, levels, nonzero, peakOf, rates } from "../panels.js";
import { sideChoice } from "../report.js";

const kFull = "Full (%)";

const kPanels = [
  {
    title: kFull,
    unit: "%",
    own: (rows) => levels(rows, "kv_occupancy", 100),
    tier: (rows) => levels(rows, "used_share", 100),
  },
  { title: "Resident in tiers (bytes)", unit: "B", tier: (rows) => levels(rows, "used_bytes") },
  {
    title: "Prompt tokens found (tok/s)",
    unit: "tok/s",
    own: (rows) => rates(rows, "cached_tokens"),
    tier: (rows) => rates(rows, "tokens_read"),
  },
  { title: "Read from tiers (B/s)", unit: "B/s", tier: (rows) => rates(rows, "bytes_read") },
  { title: "Written to tiers (B/s)", unit: "B/s", tier: (rows) => rates(rows, "bytes_written") },
  {
    title: "Blocks evicted (1/s)",
    unit: "/s",
    own: (rows) => rates(rows, "evicted_blocks"),
    tier: (rows) => rates(rows, "evicted_blocks"),
  },
  { title: "Writes refused (1/s)", unit: "/s", tier: (rows) => rates(rows, "refused_writes") },
  { title: "Preemptions (1/s)", unit: "/s", own: (rows) => rates(rows, "preemptions") },
];

// The memories of a run, in the order of their lines: { name, kind, rows }.
function placesOf(side) {
  return [
    ...[...grouped(side.timeseries(), "pool")].map(([pool, rows]) => ({
      name: `own memory of ${pool}`,
      kind: "own",
      rows,
    })),
    ...[...grouped(side.tierSeries(), "tier")].map(([tier, rows]) => ({ name: `tier ${tier}`, kind: "tier", rows })),
  ];
}

function panelsOf(places) {
  const linesOf = (panel) =>
    places
      .map(({ name, kind, rows }, place) => ({ name, place, points: panel[kind]?.(rows) ?? [] }))
      .filter(({ points }) => points.length > 0);
  return nonzero(kPanels.map((panel) => ({ title: panel.title, unit: panel.unit, lines: linesOf(panel) })));
}

const grown = (rows, column) => Math.max(0, (rows[rows.length - 1]?.[column] ?? 0) - (rows[0]?.[column] ?? 0));

const tokensFound = ({ kind, rows }) => grown(rows, kind === "own" ? "cached_tokens" : "tokens_read");

function isTold(side) {
  const places = placesOf(side);
  return places.some(
    ({ kind, rows }) =>
      kind === "tier" || ["cached_tokens", "evicted_blocks", "preemptions"].some((column) => grown(rows, column) > 0),
  );
}

function reading(places, panels, shaded) {
  const found = places
    .map((place) => ({ name: place.name, tokens: tokensFound(place) }))
    .filter(({ tokens }) => tokens > 0);
  const sum = found.reduce((total, { tokens }) => total + tokens, 0);
  const hits = found
    .sort((a, b) => b.tokens - a.tokens)
    .map(({ name, tokens }) => `${percent(tokens / sum)} in ${name}`);
  const full = panels.find(({ title }) => title === kFull)?.lines ?? [];
  const peaks = full.map((line) => `${line.name} to ${percent(peakOf(line) / 100)}`);
  const said = [
    hits.length > 0
      ? `Of the prompt tokens that were found in a memory, ${list(hits)}`
      : "No prompt token was found in a memory",
    peaks.length > 0 ? `at most filled: ${list(peaks)}` : null,
  ].filter(Boolean);
  return `${said.join("; ")}.${shaded ? " Shaded: not measured." : ""}`;
}

function draw(side, context) {
  const places = placesOf(side);
  const panels = panelsOf(places);
  const used = new Set(panels.flatMap(({ lines }) => lines.map(({ name }) => name)));
  const names = places.map(({ name }) => name).filter((name) => used.has(name));
  const drawn = drawPanels({ panels, names, noun: "memory", summary: side.summary }, context);
  return { ...drawn, reading: reading(places, panels, drawn.shaded) };
}

export function tierCharts(sides) {
  const drawn = sides.filter((side) => isTold(side) && panelsOf(placesOf(side)).length > 0);
  if (drawn.length === 0) return [];
  return [
    {
      id: "tiers",
      title: "KV caches by memory, over time",
      about:
        "A pool's own memory is full of the blocks that requests use; what is kept of ended requests comes on top. A tier is full of all that it holds.",
      wide: true,
      choices: [sideChoice(drawn)],
      draw: ({ side }, context) => draw(drawn[Number(side)], context),
    },
  ];
}
