// Writes the report's template: one HTML file with styles and scripts inlined, and {{DATA}} where the data goes.
//   node build.mjs OUTFILE
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const sources = join(dirname(fileURLToPath(import.meta.url)), "src");
const modules = resolve("node_modules");

// The folder called from may be a copy that holds only the modules, apart from these sources.
const { build } = createRequire(join(modules, "resolve.cjs"))("esbuild");

// Raw string delimiters of the C++ file that embeds the template.
const kForbidden = [')embedded"', "\r"];

async function bundle() {
  const result = await build({
    entryPoints: [join(sources, "main.js")],
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2020",
    charset: "ascii",
    legalComments: "eof",
    nodePaths: [modules],
    write: false,
    logLevel: "warning",
  });
  // Inside a script element "</script" would end it, and "<!--" would change how the rest is read.
  return result.outputFiles[0].text.replace(/<\/script/gi, "<\\/script").replace(/<!--/g, "<\\!--");
}

async function styles() {
  const result = await build({
    entryPoints: [join(sources, "style.css")],
    minify: true,
    charset: "ascii",
    write: false,
    logLevel: "warning",
  });
  return result.outputFiles[0].text.trim();
}

function check(page) {
  for (const text of kForbidden) if (page.includes(text)) throw new Error(`the page contains ${JSON.stringify(text)}`);
  const places = page.split("\n").filter((line) => line.includes("{{DATA}}"));
  if (places.length !== 1) throw new Error(`{{DATA}} is on ${places.length} lines, not on one`);
  if (page.match(/<\/script/gi).length !== 2) throw new Error("a script would end early");
}

const output = process.argv[2];
if (process.argv.length !== 3) {
  console.error("Usage: node build.mjs OUTFILE");
  process.exit(2);
}
const [style, script] = await Promise.all([styles(), bundle()]);
const parts = { "{{STYLE}}": style, "{{SCRIPT}}": script };
const page = readFileSync(join(sources, "page.html"), "utf8").replace(
  /\{\{(STYLE|SCRIPT)\}\}/g,
  (placeholder) => parts[placeholder],
);
check(page);
mkdirSync(dirname(resolve(output)), { recursive: true });
writeFileSync(output, page);
