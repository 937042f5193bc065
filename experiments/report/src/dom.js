// element("p", { class: "x", onclick: f }, "text", child, [more], null)
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

export function download(name, url) {
  const link = element("a", { href: url, download: name });
  link.click();
}

export function downloadText(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  download(name, url);
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export function labelledSelect({ id, label, options, value, onchange }) {
  return element(
    "label",
    { class: "choice", for: id },
    element("span", {}, label),
    element(
      "select",
      { id, onchange: (event) => onchange(event.target.value) },
      options.map((option) =>
        element("option", { value: option.value, selected: option.value === value }, option.label),
      ),
    ),
  );
}
