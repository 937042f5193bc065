const kMissing = "\u2013";
const kPrefixes = [
  [1e15, "P"],
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];
const kPrefixed = new Set(["W", "J", "B", "B/s", "flop", "flop/s", "tok/s"]);

const known = (value) => typeof value === "number" && Number.isFinite(value);

// Three significant digits, thousands apart; more digits would claim what a simulation cannot tell.
export function number(value, digits = 3) {
  if (!known(value)) return kMissing;
  const size = Math.abs(value);
  if (size !== 0 && size < 1e-4) return value.toExponential(digits - 1);
  const decimals = Number.isInteger(value) ? 0 : Math.min(8, Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
  return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

// { text, unit } of a value in the most readable multiple of its unit.
export function quantity(value, unit) {
  if (!known(value)) return { text: kMissing, unit: "" };
  const size = Math.abs(value);
  if (unit === "share") return { text: number(value * 100), unit: "%" };
  if (unit === "ms" && size >= 1000) return quantity(value / 1000, "s");
  if (unit === "ms" && size > 0 && size < 0.1) return { text: number(value * 1000), unit: "µs" };
  if (unit === "s" && size > 0 && size < 0.1) return quantity(value * 1000, "ms");
  if (unit === "s" && size >= 600) return { text: number(value / 60), unit: "min" };
  if (unit === "USD") return { text: `$${number(value)}`, unit: "" };
  if (unit.startsWith("USD")) return { text: `$${number(value)}`, unit: unit.slice(3) };
  if (kPrefixed.has(unit)) {
    const prefix = kPrefixes.find(([factor]) => size >= factor);
    if (prefix) return { text: number(value / prefix[0]), unit: prefix[1] + unit };
  }
  return { text: number(value), unit };
}

export function withUnit(value, unit) {
  const { text, unit: shown } = quantity(value, unit);
  return shown === "" ? text : `${text}\u00a0${shown}`.replace("\u00a0/", "/");
}

export const percent = (share, digits = 3) => `${number(known(share) ? share * 100 : NaN, digits)}\u00a0%`;

// "+12.3 %": a relative difference.
export function change(share) {
  if (!known(share)) return kMissing;
  const text = percent(Math.abs(share));
  return share === 0 ? text : `${share > 0 ? "+" : "\u2212"}${text}`;
}

export function list(words) {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

// "+12.3 % ± 1.2 %"; figures that no seed changes have no interval.
export const changeWithin = (difference, halfWidth) =>
  halfWidth ? `${change(difference)} \u00b1 ${percent(halfWidth)}` : change(difference);

export const plural = (count, noun) => `${number(count, 6)} ${noun}${count === 1 ? "" : "s"}`;

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// Names and labels come from scenarios; tooltips are HTML.
export const escaped = (text) =>
  String(text).replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);
