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

function page(report) {
  const { label, answer, sections, summaries, origin = [] } = contentsOf(report);
  const shown = sections.filter(({ charts, nodes }) => charts.length + nodes.length > 0);
  const titles = [...shown.map(({ title }) => title), "Provenance"];
  return [
    element(
      "header",
      { class: "top" },
      element(
        "div",
        { class: "name" },
        element("p", { class: "kind" }, label),
        element("h1", {}, report.title || "Report"),
      ),
      themeButton(),
      element(
        "nav",
        { "aria-label": "Sections" },
        element(
          "ul",
          {},
          titles.map((title) => element("li", {}, element("a", { href: `#${idOf(title)}` }, title))),
        ),
      ),
    ),
    element(
      "main",
      { id: "main", tabindex: -1 },
      element("section", { id: "answer", "aria-label": "Answer" }, answer),
      shown.map(sectionNode),
      element(
        "section",
        { id: "provenance", "aria-labelledby": "provenance-heading" },
        element("h2", { id: "provenance-heading" }, "Provenance"),
        element("div", { class: "provenance" }, provenance(report, summaries, origin)),
      ),
    ),
  ];
}

const report = readReport();
if (report.title) document.title = `${report.title} \u2013 disagg`;
document.getElementById("report").append(...page(report));
window.disaggReport = { charts: chartIds(), renderAll, markCount, markPositions };
if (new URLSearchParams(location.search).has("all")) renderAll();
