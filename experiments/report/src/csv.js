// CSV by RFC 4180: of the simulator's tables, and of what the charts draw.

function fieldsOf(text) {
  const rows = [];
  let row = [];
  let field = "";
  let quoted = false;
  const endRow = () => {
    row.push(field);
    if (row.length > 1 || field !== "") rows.push(row);
    row = [];
    field = "";
  };
  for (let i = 0; i < text.length; ++i) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') field += text[++i];
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ",") {
      row.push(field);
      field = "";
    } else if (c === "\n") endRow();
    else if (c !== "\r") field += c;
  }
  endRow();
  return rows;
}

// Rows as objects: fields of the columns named in `texts` stay text, all others become numbers, or null if empty.
export function parseTable(text, texts) {
  if (!text) return [];
  const [header, ...rows] = fieldsOf(text);
  const number = (field) => (field === "" || !Number.isFinite(Number(field)) ? null : Number(field));
  return rows.map((row) =>
    Object.fromEntries(header.map((name, i) => [name, texts.includes(name) ? (row[i] ?? "") : number(row[i] ?? "")])),
  );
}

export function formatTable({ columns, rows }) {
  const field = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(field).join(",") + "\n").join("");
}
