// Opens reports in a browser and checks what readers rely on: that they draw, answer, fit, and can be used.
//   node check.mjs [--modules DIR] [--screenshots DIR] [--charts ID,...] REPORT.html...
// Charts that are named must be in the first report.
// DIR holds the node_modules of experiments/report; DISAGG_REPORT_MODULES names it too. CHROMIUM names the browser.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

// A second on a quiet machine; more where tests run beside each other.
const kFirstPaintMs = Number(process.env.DISAGG_FIRST_PAINT_MS ?? 1000);
const kPaintLoads = 3;
const kStartMs = 20_000;
const kTooltipMs = 500;
// Charts that are hovered besides the first: what they draw themselves has to find what is under the pointer.
const kHovered = ["topology", "replicas-over-time", "quadrants"];
const kViews = [
  { name: "light", width: 1280, height: 900, colorScheme: "light" },
  { name: "dark-mobile", width: 390, height: 844, colorScheme: "dark" },
];

function readArguments(words) {
  const options = {
    modules:
      process.env.DISAGG_REPORT_MODULES ?? join(dirname(fileURLToPath(import.meta.url)), "../../experiments/report"),
    screenshots: null,
    charts: [],
    reports: [],
  };
  for (let i = 0; i < words.length; ++i) {
    if (words[i] === "--modules") options.modules = words[++i];
    else if (words[i] === "--screenshots") options.screenshots = words[++i];
    else if (words[i] === "--charts") options.charts = words[++i].split(",");
    else options.reports.push(words[i]);
  }
  return options;
}

// Runs in the page: the share of a chart's plotting area that is not background, and its number of colours, over all
// the layers that it is drawn in.
function inkOf(id) {
  const counts = new Map();
  let pixels = 0;
  for (const canvas of document.querySelectorAll(`#chart-${CSS.escape(id)} canvas`)) {
    const x = Math.floor(canvas.width * 0.12);
    const y = Math.floor(canvas.height * 0.12);
    const { data } = canvas.getContext("2d").getImageData(x, y, canvas.width - 2 * x, canvas.height - 2 * y);
    pixels = data.length / 4;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] === 0) continue;
      const colour = `${data[i]},${data[i + 1]},${data[i + 2]},${data[i + 3]}`;
      counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
  }
  const drawn = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return { share: pixels > 0 ? drawn / pixels : 0, colours: counts.size };
}

async function settled(page) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

async function checkCharts(page, fail) {
  const charts = await page.evaluate(() => {
    window.disaggReport.renderAll();
    return window.disaggReport.charts;
  });
  await settled(page);
  if (charts.length === 0) fail("there is no chart");
  for (const id of charts) {
    const marks = await page.evaluate((one) => window.disaggReport.markCount(one), id);
    if (!(marks > 0)) fail(`chart ${id} has no marks`);
    const { share, colours } = await page.evaluate(inkOf, id);
    if (share < 0.0005 || colours < 3)
      fail(`chart ${id} is blank: ${(share * 100).toFixed(3)} % drawn in ${colours} colours`);
    const said = await page.locator(`#chart-${id} .canvas`).getAttribute("aria-label");
    const reading = await page.locator(`#chart-${id} .reading`).textContent();
    if (!reading || !said?.includes(reading)) fail(`chart ${id} does not say its reading`);
    for (const word of ["NaN", "undefined", "Infinity", "null"])
      if (said?.includes(word)) fail(`chart ${id} says ${word}: ${said}`);
  }
  return charts;
}

// On the first points or bars, or where a chart has lines only, in its middle.
async function checkTooltip(page, id, fail) {
  const marks = await page.evaluate((one) => window.disaggReport.markPositions(one).slice(0, 20), id);
  const shown = () =>
    page.evaluate(
      (one) =>
        [...document.querySelectorAll(`#chart-${CSS.escape(one)} .canvas > div`)].some(
          (node) =>
            node.textContent.trim() !== "" &&
            getComputedStyle(node).visibility !== "hidden" &&
            Number(getComputedStyle(node).opacity) > 0,
        ),
      id,
    );
  const canvas = page.locator(`#chart-${id} .canvas`);
  const { width, height } = await canvas.boundingBox();
  for (const [x, y] of marks.length > 0
    ? marks
    : [
        [width / 2, height / 2],
        [width / 3, height / 2],
      ]) {
    const top = await canvas.evaluate((node) => node.getBoundingClientRect().top + scrollY);
    await page.evaluate((down) => scrollTo(0, down - innerHeight / 2), top + y);
    const box = await canvas.boundingBox();
    await page.mouse.move(box.x + x - 2, box.y + y);
    await page.mouse.move(box.x + x, box.y + y);
    for (const end = Date.now() + kTooltipMs; Date.now() < end; await settled(page)) if (await shown()) return;
  }
  fail(`chart ${id} shows no tooltip`);
}

async function checkTheme(page, fail) {
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await background();
  await page.locator("button.theme").click();
  if ((await background()) === before) fail("the theme button does not change the background");
  await page.locator("button.theme").click();
  if ((await background()) !== before) fail("the theme button does not change the background back");
}

async function checkSelects(page, fail) {
  for (const select of await page.locator("select").all()) {
    const id = await select.getAttribute("id");
    const values = await select.locator("option").evaluateAll((options) => options.map((option) => option.value));
    const first = await select.inputValue();
    const chart = id.slice(0, id.lastIndexOf("-"));
    for (const value of [...values.filter((one) => one !== first).slice(0, 4), first]) {
      await select.selectOption(value);
      const marks = await page.evaluate((one) => window.disaggReport.markCount(one), chart);
      if (!(marks > 0)) fail(`select ${id} at ${JSON.stringify(value)} leaves no marks`);
    }
  }
}

async function checkRanges(page, fail) {
  for (const range of await page.locator("input[type=range]").all()) {
    const said = () => range.evaluate((node) => node.closest(".choices").querySelector("output").textContent);
    const before = await said();
    await range.focus();
    await page.keyboard.press("ArrowRight");
    if ((await said()) === before) fail(`range ${await range.getAttribute("id")} does not answer to the keyboard`);
    await page.keyboard.press("ArrowLeft");
    if ((await said()) !== before) fail(`range ${await range.getAttribute("id")} does not go back`);
  }
}

async function checkDownloads(page, id, fail) {
  for (const format of ["PNG", "CSV"]) {
    const saved = page.waitForEvent("download", { timeout: 5000 }).catch(() => null);
    await page.locator(`#chart-${id} .downloads button`, { hasText: format }).click();
    const download = await saved;
    if (!download) fail(`chart ${id} does not give its ${format}`);
    else if (readFileSync(await download.path()).length < 20) fail(`chart ${id} gives an empty ${format}`);
  }
}

async function checkWidth(page, fail) {
  const { inner, outer, wide } = await page.evaluate(() => ({
    inner: document.documentElement.scrollWidth,
    outer: document.documentElement.clientWidth,
    wide: [...document.querySelectorAll("main *, header *")]
      .filter(
        (node) =>
          !node.closest(".scroll, .canvas") &&
          node.getBoundingClientRect().right > document.documentElement.clientWidth + 1,
      )
      .map((node) => `${node.tagName.toLowerCase()}.${node.className}`)
      .slice(0, 3),
  }));
  if (inner > outer) fail(`the page is ${inner} px wide in ${outer}: ${wide.join(", ")}`);
}

async function checkAccess(page, axe, fail) {
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => (await window.axe.run(document)).violations);
  for (const { id, impact, help, nodes } of violations.filter(
    (one) => one.impact === "serious" || one.impact === "critical",
  ))
    fail(
      `axe: ${id} (${impact}): ${help}: ${nodes
        .slice(0, 3)
        .map((node) => node.target.join(" "))
        .join("; ")}`,
    );
}

// A busy machine may be late once: the best of a few loads counts.
async function checkPaint(page, fail) {
  let best = Infinity;
  for (let load = 0; load < kPaintLoads && best > kFirstPaintMs; ++load) {
    if (load > 0) {
      await page.reload({ waitUntil: "load" });
      await settled(page);
    }
    best = Math.min(
      best,
      await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Infinity),
    );
  }
  if (best > kFirstPaintMs) fail(`first paint took ${best.toFixed(0)} ms`);
}

async function screenshot(page, directory, name) {
  mkdirSync(directory, { recursive: true });
  await page.evaluate(() => scrollTo(0, 0));
  await page.mouse.move(0, 0);
  await settled(page);
  await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true });
}

async function checkReport(browser, file, axe, options, report) {
  const url = pathToFileURL(resolve(file)).href;
  for (const view of kViews) {
    const fail = (text) => report(`${basename(file)}, ${view.name}: ${text}`);
    const context = await browser.newContext({
      viewport: { width: view.width, height: view.height },
      colorScheme: view.colorScheme,
      acceptDownloads: true,
    });
    const page = await context.newPage();
    page.on(
      "console",
      (message) => ["error", "warning"].includes(message.type()) && fail(`console: ${message.text()}`),
    );
    page.on("pageerror", (error) => fail(`page error: ${error.message}`));
    page.on("request", (request) => {
      if (request.url() !== url && !/^(data|blob):/.test(request.url())) fail(`requests ${request.url()}`);
    });
    await page.goto(url, { waitUntil: "load" });
    await settled(page);
    await page.waitForFunction(() => window.disaggReport !== undefined, null, { timeout: kStartMs }).catch(() => {});
    if (await page.evaluate(() => window.disaggReport === undefined)) {
      fail("the report did not start");
    } else {
      await checkPaint(page, fail);
      const charts = await checkCharts(page, fail);
      if (file === options.reports[0])
        for (const id of options.charts) if (!charts.includes(id)) fail(`there is no chart ${id}`);
      await checkWidth(page, fail);
      await checkAccess(page, axe, fail);
      if (options.screenshots) await screenshot(page, options.screenshots, `${basename(file, ".html")}-${view.name}`);
      if (charts.length > 0 && view === kViews[0]) {
        for (const id of new Set([charts[0], ...charts.filter((one) => kHovered.includes(one))]))
          await checkTooltip(page, id, fail);
        await checkDownloads(page, charts[0], fail);
      }
      if (view === kViews[0]) {
        await checkTheme(page, fail);
        await checkSelects(page, fail);
        await checkRanges(page, fail);
        await checkWidth(page, fail);
      }
    }
    await context.close();
  }
}

const options = readArguments(process.argv.slice(2));
if (options.reports.length === 0) {
  console.error("Usage: node check.mjs [--modules DIR] [--screenshots DIR] [--charts ID,...] REPORT.html...");
  process.exit(2);
}
const require = createRequire(join(resolve(options.modules), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
let failures = 0;
const report = (failure) => {
  ++failures;
  console.log(failure);
};
for (const file of options.reports) await checkReport(browser, file, axe, options, report);
await browser.close();
if (failures > 0) process.exit(1);
console.log(`${options.reports.length} reports in ${kViews.length} views: all checks hold.`);
