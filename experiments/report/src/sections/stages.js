// Where requests and tasks spend their time.
import { percent, withUnit } from "../format.js";
import { stackedBars } from "../options.js";
import { kindChoice, kindsOf, partOf } from "../report.js";
import { nth } from "../theme.js";

const kStages = [
  { key: "queue", name: "Queue", colour: 4, verb: "waiting in the queue" },
  { key: "prefill", name: "Prefill", colour: 0, verb: "in prefill" },
  { key: "hand_off_room", name: "Room at decode", colour: 3, verb: "waiting for KV room at decode" },
  { key: "hand_off", name: "KV hand-off", colour: 2, verb: "in the hand-off of the KV cache" },
  { key: "decode", name: "Decode", colour: 1, verb: "in decode" },
  { key: "tool", name: "Tools", colour: 5, verb: "running tools" },
  { key: "think", name: "User thinking", colour: 6, verb: "waiting for the user" },
];

const kBreakdowns = [
  {
    id: "time-requests",
    title: "Where the time of a request goes",
    unit: "ms",
    noun: "request",
    of: (part) => part?.metrics?.mean_time_in_ms,
  },
  {
    id: "time-tasks",
    title: "Where the time of a task goes",
    unit: "s",
    noun: "task",
    of: (part) => part?.sessions?.mean_time_in_s,
  },
];

function draw(breakdown, bars, { theme, width }) {
  const parts = kStages
    .map((stage) => ({
      ...stage,
      colour: nth(theme.series, stage.colour),
      values: bars.map(({ times }) => times[stage.key] ?? null),
    }))
    .filter((part) => part.values.some((value) => value > 0));
  const label = (value) => withUnit(value, breakdown.unit);
  const reading = bars.map(({ name, times }) => {
    const total = kStages.reduce((sum, stage) => sum + (times[stage.key] ?? 0), 0);
    const largest = kStages.reduce((a, b) => ((times[b.key] ?? 0) > (times[a.key] ?? 0) ? b : a));
    return `${name}: ${withUnit(total, breakdown.unit)} on average, ${percent(times[largest.key] / total)} of it ${largest.verb}`;
  });
  return {
    ...stackedBars(theme, {
      bars: bars.map(({ name }) => name),
      parts,
      xName: `Mean time of a ${breakdown.noun} (${breakdown.unit})`,
      label,
      width,
    }),
    reading: `${reading.join(". ")}.`,
  };
}

function specOf(breakdown, sides) {
  const kinds = kindsOf(sides);
  const barsOf = (pairs) =>
    pairs
      .map(({ side, kind, name }) => ({ name, times: breakdown.of(partOf(side.summary, kind)) }))
      .filter(({ times }) => times && kStages.some((stage) => times[stage.key] > 0));
  const pairs = (kind) =>
    sides.length > 1
      ? sides.map((side) => ({ side, kind, name: side.name }))
      : ["all", ...kinds].map((one) => ({ side: sides[0], kind: one, name: one }));
  if (barsOf(pairs("all")).length === 0) return null;
  const known = kinds.filter((kind) => barsOf(pairs(kind)).length > 0);
  return {
    id: breakdown.id,
    title: breakdown.title,
    wide: true,
    choices: sides.length > 1 && known.length > 1 ? [kindChoice(known)] : [],
    draw: ({ kind = "all" }, context) => draw(breakdown, barsOf(pairs(kind)), context),
  };
}

export function stageCharts(sides) {
  return kBreakdowns.map((breakdown) => specOf(breakdown, sides)).filter((spec) => spec !== null);
}
