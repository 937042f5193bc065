// A run over time: what its pools do.
import { list, number, percent } from "../format.js";
import { drawPanels, grouped, levels, nonzero, peakOf, rates } from "../panels.js";
import { sideChoice } from "../report.js";

const kPanels = [
  { title: "Requests running", of: (rows) => levels(rows, "running"), unit: "" },
  { title: "Requests waiting", of: (rows) => levels(rows, "waiting"), unit: "" },
  { title: "KV cache full (%)", of: (rows) => levels(rows, "kv_occupancy", 100), unit: "%" },
  { title: "Prefill (tok/s)", of: (rows) => rates(rows, "prefill_tokens"), unit: "tok/s" },
  { title: "Decode (tok/s)", of: (rows) => rates(rows, "decode_tokens"), unit: "tok/s" },
  { title: "KV transfers under way", of: (rows) => levels(rows, "kv_flows"), unit: "" },
  { title: "Accelerator power (W)", of: (rows) => levels(rows, "power_w"), unit: "W" },
];

function panelsOf(side) {
  const pools = grouped(side.timeseries(), "pool");
  const names = [...pools.keys()];
  const panels = nonzero(
    kPanels.map((panel) => ({
      ...panel,
      lines: names.map((name, i) => ({ name, place: i, points: panel.of(pools.get(name)) })),
    })),
  );
  return { names, panels };
}

function reading(panels, shaded) {
  const part = (title, word, show) => {
    const lines = panels.find((panel) => panel.title.startsWith(title))?.lines ?? [];
    const peaks = lines.map((line) => `${show(peakOf(line))} in ${line.name}`);
    return peaks.length > 0 ? `${word} at most ${list(peaks)}` : null;
  };
  const said = [
    part("Requests waiting", "Waiting:", number) ?? "No request had to wait at the times sampled",
    part("Requests running", "running:", number),
    part("KV cache", "KV caches are full to", (value) => percent(value / 100)),
  ].filter(Boolean);
  return `${said.join("; ")}.${shaded ? " Shaded: not measured." : ""}`;
}

function draw(side, context) {
  const { names, panels } = panelsOf(side);
  const drawn = drawPanels({ panels, names, noun: "pool", summary: side.summary }, context);
  return { ...drawn, reading: reading(panels, drawn.shaded) };
}

export function timelineCharts(sides) {
  const drawn = sides.filter((side) => panelsOf(side).panels.length > 0);
  if (drawn.length === 0) return [];
  return [
    {
      id: "timeline",
      title: "Over time",
      wide: true,
      choices: [sideChoice(drawn)],
      draw: ({ side }, context) => draw(drawn[Number(side)], context),
    },
  ];
}
