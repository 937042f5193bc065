import { chart, chartIds, markCount, markPositions, renderAll } from "./chart.js";
import { element } from "./dom.js";
import { readReport } from "./report.js";
import { contentsOf } from "./reports.js";
import { provenance } from "./sections/provenance.js";
import { onThemeChange, theme, toggleTheme } from "./theme.js";

const idOf = (title) => title.toLowerCase().replace(/[^a-z]+/g, "-");

function themeButton() {
  const button = element("button", { type: "button", class: "theme", onclick: toggleTheme });
  const name = () => {
    button.textContent = theme().name === "dark" ? "Light theme" : "Dark theme";
  };
  onThemeChange(name);
  name();
  return button;
}

function sectionNode({ title, charts, nodes }) {
  return element(
    "section",
    { id: idOf(title), "aria-labelledby": `${idOf(title)}-heading` },
    element("h2", { id: `${idOf(title)}-heading` }, title),
    element("div", { class: "charts" }, charts.map(chart), nodes),
  );
}

function headerNode(report, label) {
  return element(
    "header",
    { class: "top" },
    element(
      "div",
      { class: "name" },
      element("p", { class: "kind" }, label),
      element("h1", {}, report.title || "Report"),
    ),
    themeButton(),
    element("nav", { "aria-label": "Sections" }, element("ul", {})),
  );
}

function provenanceNode(report, { summaries, origin = [] }) {
  return element(
    "section",
    { id: "provenance", "aria-labelledby": "provenance-heading" },
    element("h2", { id: "provenance-heading" }, "Provenance"),
    element("div", { class: "provenance" }, provenance(report, summaries, origin)),
  );
}

// What follows the answer.
function addSections(report, contents) {
  const shown = contents.sections().filter(({ charts, nodes }) => charts.length + nodes.length > 0);
  document.getElementById("main").append(...shown.map(sectionNode), provenanceNode(report, contents));
  const titles = [...shown.map(({ title }) => title), "Provenance"];
  document
    .querySelector("nav ul")
    .append(...titles.map((title) => element("li", {}, element("a", { href: `#${idOf(title)}` }, title))));
  window.disaggReport = { charts: chartIds(), renderAll, markCount, markPositions };
  if (new URLSearchParams(location.search).has("all")) renderAll();
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

const report = readReport();
if (report.title) document.title = `${report.title} \u2013 disagg`;
const contents = contentsOf(report);
document
  .getElementById("report")
  .append(
    headerNode(report, contents.label),
    element(
      "main",
      { id: "main", tabindex: -1 },
      element("section", { id: "answer", "aria-label": "Answer" }, contents.answer),
    ),
  );
// Frames are painted between these two.
requestAnimationFrame(() => setTimeout(() => addSections(report, contents)));
