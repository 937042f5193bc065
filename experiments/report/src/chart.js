// A chart's frame: title, choices, drawing, reading and downloads. Drawings are made when they come into view.
import { formatTable } from "./csv.js";
import { download, downloadText, element, LabelledRange, labelledSelect } from "./dom.js";
import { init } from "./echarts.js";
import { base } from "./options.js";
import { onThemeChange, setPrinting, theme } from "./theme.js";

const kPrintedWidth = 660;
const kNarrow = 560;

const charts = new Map();

// spec: { id, title, about?, height?, wide?, fitted?, choices?: [{ name, label, options, value }], draw }
// A choice of kind "range" is a slider: { name, label, kind, value, optionsFor(chosen), mark?: { label, about, valueFor(chosen) } }.
// Drawings that are `fitted` to their width are made anew when it changes.
// draw(chosen, { theme, narrow }) returns { option, table: { columns, rows }, reading, height? }.
class Chart {
  constructor(spec) {
    this.spec = spec;
    this.chosen = Object.fromEntries((spec.choices ?? []).map((choice) => [choice.name, choice.value]));
    this.ranges = [];
    this.canvas = element("div", { class: "canvas", role: "img", "aria-label": spec.title });
    this.reading = element("p", { class: "reading" });
    this.figure = element(
      "figure",
      { class: spec.wide ? "chart wide" : "chart", id: `chart-${spec.id}` },
      element("h3", {}, spec.title),
      spec.about ? element("p", { class: "about" }, spec.about) : null,
      this.choices(),
      this.canvas,
      element("figcaption", {}, this.reading, this.downloads()),
    );
    this.canvas.style.height = `${spec.height ?? 300}px`;
  }

  choices() {
    const offered = (this.spec.choices ?? []).filter((choice) => choice.kind === "range" || choice.options.length > 1);
    if (offered.length === 0) return null;
    return element(
      "div",
      { class: "choices" },
      offered.map((choice) => this.control(choice)),
    );
  }

  control(choice) {
    const id = `${this.spec.id}-${choice.name}`;
    const onchange = (value) => {
      this.chosen[choice.name] = value;
      this.offerRanges();
      this.render();
    };
    if (choice.kind !== "range") return labelledSelect({ ...choice, id, onchange });
    const range = new LabelledRange({ ...choice, id, onchange });
    this.ranges.push({ choice, range });
    this.offerRange({ choice, range });
    return range.node;
  }

  // What a slider offers may depend on the other choices.
  offerRange({ choice, range }) {
    const options = choice.optionsFor(this.chosen);
    const kept = options.some(({ value }) => value === this.chosen[choice.name]);
    if (!kept) this.chosen[choice.name] = choice.value;
    range.offer(options, this.chosen[choice.name], choice.mark?.valueFor(this.chosen));
  }

  offerRanges() {
    for (const one of this.ranges) this.offerRange(one);
  }

  downloads() {
    const button = (label, format, onclick) =>
      element("button", { type: "button", onclick, "aria-label": `Download ${format} of ${this.spec.title}` }, label);
    return element(
      "div",
      { class: "downloads" },
      button("PNG", "PNG", () => this.savePicture()),
      button("CSV", "CSV", () => this.saveTable()),
    );
  }

  savePicture() {
    this.render();
    const url = this.view.getDataURL({
      pixelRatio: 2,
      backgroundColor: theme().surface,
      excludeComponents: ["dataZoom"],
    });
    download(`${this.spec.id}.png`, url);
  }

  saveTable() {
    this.render();
    downloadText(`${this.spec.id}.csv`, formatTable(this.table), "text/csv");
  }

  render(width = this.canvas.clientWidth) {
    const narrow = width < kNarrow;
    const drawn = this.spec.draw(this.chosen, { theme: theme(), narrow, width });
    const height = drawn.height ?? this.spec.height ?? 300;
    this.canvas.style.height = `${height}px`;
    this.view ??= init(this.canvas, null, { renderer: "canvas", width, height });
    this.view.resize({ width, height });
    this.view.setOption({ ...base(theme()), ...drawn.option }, { notMerge: true });
    this.table = drawn.table;
    this.narrow = narrow;
    this.reading.textContent = drawn.reading;
    this.canvas.setAttribute("aria-label", `${this.spec.title}. ${drawn.reading}`);
  }

  ensure() {
    if (!this.view) this.render();
  }

  resize() {
    if (!this.view) return;
    const width = this.canvas.clientWidth;
    if (width < kNarrow !== this.narrow || (this.spec.fitted && width !== this.view.getWidth())) this.render();
    else if (width !== this.view.getWidth()) this.view.resize({ width });
  }

  markCount() {
    if (!this.view) return 0;
    const series = this.view.getModel().getSeries();
    return series.reduce((sum, one) => sum + one.getData().count(), 0);
  }

  // Where single points and bars are in the chart, in pixels; lines have none.
  markPositions() {
    if (!this.view) return [];
    return this.view
      .getModel()
      .getSeries()
      .flatMap((series) => {
        const data = series.getData();
        return Array.from({ length: data.count() }, (_, i) => data.getItemGraphicEl(i))
          .filter((mark) => mark && !mark.silent)
          .map((mark) => {
            const { x, y, width, height } = mark.getBoundingRect();
            return mark.transformCoordToGlobal(x + width / 2, y + height / 2);
          });
      });
  }
}

const inView = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      inView.unobserve(target);
      // These callbacks run before the frame is painted: text should not wait for drawings.
      setTimeout(() => charts.get(target.id).ensure());
    }
  },
  { rootMargin: "300px" },
);

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) charts.get(target.id).resize();
});

export function chart(spec) {
  const made = new Chart(spec);
  charts.set(made.figure.id, made);
  inView.observe(made.figure);
  resized.observe(made.figure);
  return made.figure;
}

export const chartIds = () => [...charts.values()].map(({ spec }) => spec.id);

export const markCount = (id) => charts.get(`chart-${id}`).markCount();

export const markPositions = (id) => charts.get(`chart-${id}`).markPositions();

export function renderAll() {
  for (const one of charts.values()) one.ensure();
}

onThemeChange(() => {
  for (const one of charts.values()) if (one.view) one.render();
});

addEventListener("beforeprint", () => {
  setPrinting(true);
  for (const one of charts.values()) one.render(kPrintedWidth);
});

addEventListener("afterprint", () => {
  setPrinting(false);
});
