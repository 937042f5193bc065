import { formatTable } from "./csv.js";
import { downloadText, element } from "./dom.js";

// columns: [{ label, unit?, of(row), text? }]; `of` gives what is shown. `note` and `csv` are optional.
export function dataTable({ id, title, columns, rows, note, csv }) {
  const shown = rows.map((row) => columns.map((column) => column.of(row)));
  const kindOf = (column) => (column.text ? "text" : "number");
  const save = () =>
    downloadText(
      `${id}.csv`,
      formatTable(csv ?? { columns: columns.map((column) => column.label), rows: shown }),
      "text/csv",
    );
  return element(
    "div",
    { class: "table wide", id: `table-${id}` },
    element("h3", { id: `${id}-title` }, title),
    element(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": `${id}-title` },
      element(
        "table",
        {},
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            columns.map((column) =>
              element(
                "th",
                { scope: "col", class: kindOf(column) },
                column.label,
                column.unit ? element("small", {}, ` ${column.unit}`) : null,
              ),
            ),
          ),
        ),
        element(
          "tbody",
          {},
          shown.map((cells) =>
            element(
              "tr",
              {},
              cells.map((cell, i) =>
                i === 0
                  ? element("th", { scope: "row", class: kindOf(columns[i]) }, cell)
                  : element("td", { class: kindOf(columns[i]) }, cell),
              ),
            ),
          ),
        ),
      ),
    ),
    element(
      "div",
      { class: "caption" },
      element("p", { class: "reading" }, note ?? ""),
      element(
        "div",
        { class: "downloads" },
        element("button", { type: "button", onclick: save, "aria-label": `Download CSV of ${title}` }, "CSV"),
      ),
    ),
  );
}
