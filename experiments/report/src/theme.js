// Colours by Okabe and Ito, which colour-blind readers can tell apart, in an order that reads on each background.
const kFont = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

const kLight = {
  name: "light",
  font: kFont,
  text: "#1b1f24",
  subtle: "#57606a",
  line: "#d5dae0",
  faint: "#eceff2",
  surface: "#ffffff",
  series: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1b1f24"],
  better: "#0072b2",
  worse: "#d55e00",
  neutral: "#6e7781",
  // Light to dark in one hue: order stays readable in grey.
  ramp: ["#eef4fa", "#b9d5ea", "#6fb0d8", "#2b82b9", "#08519c", "#08306b"],
  regime: {
    compute: "#d55e00",
    bandwidth: "#0072b2",
    capacity: "#cc79a7",
    network: "#009e73",
    overhead: "#e69f00",
    idle: "#d5dae0",
  },
};

const kDark = {
  name: "dark",
  font: kFont,
  text: "#e6eaef",
  subtle: "#a3adb8",
  line: "#3a434d",
  faint: "#272e36",
  surface: "#181d23",
  series: ["#56b4e9", "#e69f00", "#2bc49a", "#e29ac4", "#f0e442", "#ff8a3d", "#e6eaef"],
  better: "#56b4e9",
  worse: "#ff8a3d",
  neutral: "#a3adb8",
  ramp: ["#1e2a36", "#1f4a6b", "#2b72a5", "#56b4e9", "#a9dbf7", "#f1faff"],
  regime: {
    compute: "#ff8a3d",
    bandwidth: "#56b4e9",
    capacity: "#e29ac4",
    network: "#2bc49a",
    overhead: "#f0e442",
    idle: "#3a434d",
  },
};

export const kSymbols = ["circle", "rect", "triangle", "diamond", "pin", "roundRect", "arrow"];
export const kDashes = ["solid", [7, 4], [2, 3], [10, 3, 2, 3], [14, 5], [4, 2], [1, 2]];

const listeners = [];
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let chosen = null;
let printing = false;

const isDark = () => !printing && (chosen ?? (prefersDark.matches ? "dark" : "light")) === "dark";

export const theme = () => (isDark() ? kDark : kLight);

function apply() {
  document.documentElement.dataset.theme = theme().name;
  for (const listener of listeners) listener();
}

export const onThemeChange = (listener) => listeners.push(listener);

export function toggleTheme() {
  chosen = isDark() ? "light" : "dark";
  apply();
}

// Paper is white whatever the screen shows.
export function setPrinting(on) {
  printing = on;
  apply();
}

prefersDark.addEventListener("change", apply);
apply();

export const nth = (values, i) => values[i % values.length];

const levelsOf = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));

// The colour at a share of the way along a ramp.
export function mixed(ramp, share) {
  const place = Math.min(ramp.length - 1, Math.max(0, share * (ramp.length - 1)));
  const first = Math.min(ramp.length - 2, Math.floor(place));
  const [begin, end] = [levelsOf(ramp[first]), levelsOf(ramp[first + 1])];
  const level = (i) => Math.round(begin[i] + (end[i] - begin[i]) * (place - first));
  return `#${[0, 1, 2].map((i) => level(i).toString(16).padStart(2, "0")).join("")}`;
}

// Black or white, whichever reads on `colour`.
export function inkOn(colour) {
  const [red, green, blue] = levelsOf(colour).map((value) => {
    const level = value / 255;
    return level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#111418" : "#ffffff";
}
