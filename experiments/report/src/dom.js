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

// A slider over options, with the chosen one in words beside it and a button that leads to a marked one.
export class LabelledRange {
  constructor({ id, label, mark, onchange }) {
    this.onchange = onchange;
    this.input = element("input", {
      id,
      type: "range",
      min: 0,
      step: 1,
      oninput: () => this.choose(Number(this.input.value)),
    });
    this.output = element("output", { for: id, "aria-live": "off" });
    this.node = element(
      "div",
      { class: "choice range" },
      element("label", { for: id }, label),
      this.input,
      mark
        ? element("button", { type: "button", title: mark.about, onclick: () => this.choose(this.marked) }, mark.label)
        : null,
      this.output,
    );
  }

  // Offers other options: `value` is one of them, and `marked` another to which the button leads.
  offer(options, value, marked) {
    this.options = options;
    this.marked = options.findIndex((option) => option.value === marked);
    this.node.hidden = options.length < 2;
    this.input.max = Math.max(0, options.length - 1);
    this.show(
      Math.max(
        0,
        options.findIndex((option) => option.value === value),
      ),
    );
  }

  show(place) {
    const text = this.options[place]?.label ?? "";
    this.input.value = place;
    this.input.setAttribute("aria-valuetext", text);
    this.output.textContent = text;
  }

  choose(place) {
    this.show(place);
    this.onchange(this.options[place].value);
  }
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
