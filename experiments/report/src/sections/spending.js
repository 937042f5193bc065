// What energy and money are spent on.
import { number, percent, withUnit } from "../format.js";
import { stackedBars } from "../options.js";
import { nth } from "../theme.js";

const kEnergy = [
  ["accelerators_busy_j", "Accelerators busy"],
  ["accelerators_idle_j", "Accelerators idle"],
  ["hosts_j", "Hosts"],
  ["network_j", "Network"],
  ["memory_pools_j", "Memory pools"],
];

const kCosts = [
  ["capital_usd_per_hour", "Capital"],
  ["hosting_usd_per_hour", "Hosting"],
  ["energy_usd_per_hour", "Energy"],
];

function draw({ bars, kinds, xName, label, total }, { theme, width }) {
  const parts = kinds
    .map(([key, name], i) => ({
      name,
      colour: nth(theme.series, i),
      values: bars.map((bar) => bar.values[key] ?? null),
    }))
    .filter((part) => part.values.some((value) => value > 0));
  const reading = bars.map(({ name, values }) => {
    const sum = kinds.reduce((all, [key]) => all + (values[key] ?? 0), 0);
    const [key, largest] = kinds.reduce((a, b) => ((values[b[0]] ?? 0) > (values[a[0]] ?? 0) ? b : a));
    return `${name}: ${total(sum)}, ${percent(values[key] / sum)} of it ${largest.toLowerCase()}`;
  });
  return {
    ...stackedBars(theme, { bars: bars.map(({ name }) => name), parts, xName, label, width }),
    reading: `${reading.join(". ")}.`,
  };
}

// Per output token, so that sides which served unlike loads compare.
function energyBars(sides) {
  return sides.flatMap(({ name, summary: { energy } }) => {
    if (!(energy?.total_j > 0 && energy.j_per_output_token > 0)) return [];
    const factor = energy.j_per_output_token / energy.total_j;
    return [{ name, values: Object.fromEntries(kEnergy.map(([key]) => [key, (energy[key] ?? 0) * factor])) }];
  });
}

const costBars = (sides) =>
  sides.flatMap(({ name, summary: { cost } }) =>
    kCosts.some(([key]) => cost?.[key] > 0) ? [{ name, values: cost }] : [],
  );

export function spendingCharts(sides) {
  const energy = energyBars(sides);
  const costs = costBars(sides);
  return [
    energy.length > 0 && {
      id: "energy",
      title: "Energy of an output token",
      draw: (_, context) =>
        draw(
          {
            bars: energy,
            kinds: kEnergy,
            xName: "Energy per output token (J)",
            label: (value) => withUnit(value, "J"),
            total: (value) => `${withUnit(value, "J")} per output token`,
          },
          context,
        ),
    },
    costs.length > 0 && {
      id: "cost",
      title: "Cost of ownership",
      draw: (_, context) =>
        draw(
          {
            bars: costs,
            kinds: kCosts,
            xName: "Cost (US$ per hour)",
            label: (value) => `$${number(value)}`,
            total: (value) => `$${number(value)} per hour`,
          },
          context,
        ),
    },
  ].filter(Boolean);
}
