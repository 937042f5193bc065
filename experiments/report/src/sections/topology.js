// The network as a drawing: links coloured by their load, over the run or in one interval of it.
import { capital, number, percent, plural, withUnit } from "../format.js";
import { legend, tooltip, tooltipHtml } from "../options.js";
import { sideChoice } from "../report.js";
import { mixed, nth } from "../theme.js";
import { byName, graphOf, grouped, largest, loadAt, readable, sum } from "./topology_graph.js";
import { layoutOf } from "./topology_layout.js";

const kMostVertices = 150;
const kLeastVertices = 40;
const kPixelsPerVertex = 7.3;
const kMostFlows = 5;
const kTop = 62;
const kArrowLength = 44;
const kLetter = 6.2;
const kPoolShapes = ["circle", "triangle", "diamond"];

const timeOf = (value) => (value === "0" ? null : Number(value) - 1);

const spanOf = ({ times }, i) => `${withUnit(times[i - 1] ?? 0, "s")} to ${withUnit(times[i], "s")}`;

function timeOptions(graph) {
  if (graph.times.length === 0) return [];
  return [
    { value: "0", label: "Mean of the measured time" },
    ...graph.times.map((_, i) => ({ value: String(i + 1), label: spanOf(graph, i) })),
  ];
}

// The loads of some links: null where none is known.
function loadsOf(links, time) {
  const known = links.filter((link) => loadAt(link, time) !== null);
  if (known.length === 0) return { mean: null, most: null };
  const capacity = sum(known.map((link) => link.capacity));
  const loads = known.map((link) => loadAt(link, time));
  return {
    mean: capacity > 0 ? sum(known.map((link, i) => link.capacity * loads[i])) / capacity : sum(loads) / loads.length,
    most: largest(loads),
  };
}

const totalOf = (links, key) => sum(links.map((link) => link[key]));

const peakOf = (links) => links.reduce((best, link) => ((link.peak ?? -1) > (best?.peak ?? -1) ? link : best), null);

const meanAndMost = (links, { mean, most }) =>
  mean === null ? "not recorded" : links.length > 1 ? `mean ${percent(mean)}, most ${percent(most)}` : percent(most);

function largestFlows(links) {
  const pairs = grouped(
    links.flatMap((link) => link.pairs),
    ({ from, to }) => `${from} \u2192 ${to}`,
  );
  return [...pairs]
    .map(([pair, rows]) => [pair, totalOf(rows, "bytes")])
    .sort((a, b) => b[1] - a[1])
    .slice(0, kMostFlows);
}

function loadRows(graph, links, time, name) {
  return [
    ...(time === null ? [] : [[`${name}, ${spanOf(graph, time)}`, meanAndMost(links, loadsOf(links, time))]]),
    [`${name}, all measured time`, meanAndMost(links, loadsOf(links, null))],
  ];
}

function arcTip(graph, { from, to, links, colour }, time) {
  const peak = peakOf(links);
  const flows = largestFlows(links);
  return tooltipHtml(`${from.name} \u2192 ${to.name}`, [
    ...(links.length > 1 ? [["Links", number(links.length, 6)]] : []),
    ...loadRows(graph, links, time, "Load").map(([name, value], i) => [name, value, i === 0 ? colour : null]),
    ...(peak?.peak > 0 ? [["Peak load", `${percent(peak.peak)}, ${spanOf(graph, peak.peakAt)}`]] : []),
    ["Carried", withUnit(totalOf(links, "bytes"), "B")],
    ["Capacity", withUnit(totalOf(links, "capacity"), "B/s")],
    ["Flows", number(totalOf(links, "flows"), 6)],
    ...flows.map(([pair, bytes]) => [pair, withUnit(bytes, "B")]),
  ]);
}

function kindOf({ name, kind, owner, members }, { memories }) {
  if (kind === "replica")
    return members.length > 1 ? `${number(members.length, 6)} replicas of pool ${owner}` : `Replica of pool ${owner}`;
  if (kind === "memory")
    return members.length > 1 ? `${number(members.length, 6)} memories of pool ${owner}` : `Memory pool ${owner}`;
  const [, memory] = /^(.*?)(?:\[[\d.]+\])?\.port$/.exec(name) ?? [];
  const said = memories.includes(memory) ? `port of memory pool ${memory}` : "switch, host or port";
  return members.length > 1 ? `${number(members.length, 6)} of a kind: ${said}` : capital(said);
}

function vertexTip(graph, vertex, time) {
  const carried = (side) => graph.arcs.filter((arc) => arc[side] === vertex).flatMap(({ links }) => links);
  const rows = (way, links) =>
    links.length === 0
      ? []
      : [...loadRows(graph, links, time, `Load ${way}`), [`Carried ${way}`, withUnit(totalOf(links, "bytes"), "B")]];
  return tooltipHtml(vertex.name, [
    ["Kind", kindOf(vertex, graph)],
    ...rows("in", carried("to")),
    ...rows("out", carried("from")),
    ...(vertex.inside.length > 0 ? [["Links inside, not drawn", number(vertex.inside.length, 6)]] : []),
  ]);
}

// Classes of vertices with their marks: each pool, memory pools, and all between them.
function classesOf(graph, theme) {
  const pools = graph.pools.map((pool, i) => ({
    name: pool,
    shape: nth(kPoolShapes, i),
    colour: nth(theme.series, i),
    vertices: graph.vertices.filter(({ kind, owner }) => kind === "replica" && owner === pool),
  }));
  return [
    ...pools,
    {
      name: "Memory pools",
      shape: "rect",
      colour: nth(theme.series, pools.length),
      vertices: graph.vertices.filter(({ kind }) => kind === "memory"),
    },
    {
      name: "Switches and hosts",
      shape: "roundRect",
      colour: theme.neutral,
      vertices: graph.vertices.filter(({ kind }) => kind === "other"),
    },
  ].filter(({ vertices }) => vertices.length > 0);
}

function mark(shape, [x, y], size) {
  const half = size / 2;
  const polygon = (...points) => ({
    type: "polygon",
    shape: { points: points.map(([dx, dy]) => [x + dx * half, y + dy * half]) },
  });
  if (shape === "circle") return { type: "circle", shape: { cx: x, cy: y, r: half } };
  if (shape === "triangle") return polygon([0, -1.1], [1.15, 0.9], [-1.15, 0.9]);
  if (shape === "diamond") return polygon([0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]);
  if (shape === "rect")
    return { type: "rect", shape: { x: x - half * 1.3, y: y - half, width: size * 1.3, height: size } };
  return {
    type: "rect",
    shape: { x: x - half * 0.9, y: y - half * 0.9, width: size * 0.9, height: size * 0.9, r: size / 4 },
  };
}

const overlap = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

// Boxes around a mark in which its label may lie.
function boxesAround([x, y], size, text, sides) {
  const [width, height, away] = [text.length * kLetter + 4, 14, size / 2 + 3];
  const boxes = [
    { side: "bottom", x: x - width / 2, y: y + away },
    { side: "top", x: x - width / 2, y: y - away - height },
    { side: "right", x: x + away, y: y - height / 2 },
    { side: "left", x: x - away - width, y: y - height / 2 },
  ];
  return sides.map((side) => ({ ...boxes.find((box) => box.side === side), width, height }));
}

// Labels where nothing is in their way; where they do not fit all replicas of a pool, numbers alone may.
function labelsOf(classes, { positions, sides, size, height }, width) {
  const taken = [...positions.values()].map(([x, y]) => ({
    x: x - size / 2,
    y: y - size / 2,
    width: size,
    height: size,
  }));
  const labels = new Map();
  const fit = (vertices, textOf, all) => {
    const before = taken.length;
    const placed = [];
    for (const vertex of vertices) {
      const text = textOf(vertex);
      const box = boxesAround(positions.get(vertex), size, text, sides(vertex)).find(
        (one) =>
          one.x >= 0 &&
          one.x + one.width <= width &&
          one.y >= kTop - 8 &&
          one.y + one.height <= height &&
          !taken.some((other) => overlap(one, other)),
      );
      if (box) {
        taken.push(box);
        placed.push([vertex, { text, side: box.side }]);
      } else if (all) {
        taken.splice(before);
        return false;
      }
    }
    for (const [vertex, label] of placed) labels.set(vertex, label);
    return true;
  };
  const byCount = [...classes].sort((a, b) => a.vertices.length - b.vertices.length);
  for (const { vertices } of byCount) {
    const sorted = [...vertices].sort(byName);
    if (fit(sorted, ({ name }) => name, true)) continue;
    if (vertices[0].kind === "replica") fit(sorted, ({ name }) => /\[.*$/.exec(name)?.[0] ?? name, false);
    else fit(sorted, ({ name }) => name, false);
  }
  return labels;
}

function vertexSeries({ name, shape, colour, vertices }, layout, labels, theme) {
  return {
    name,
    type: "custom",
    coordinateSystem: "none",
    z: 4,
    itemStyle: { color: colour },
    data: vertices.map(() => [0]),
    renderItem: ({ dataIndex }) => {
      const label = labels.get(vertices[dataIndex]);
      return {
        ...mark(shape, layout.positions.get(vertices[dataIndex]), layout.size),
        style: { fill: colour, stroke: theme.surface, lineWidth: 1 },
        textContent: label && {
          type: "text",
          silent: true,
          style: {
            text: label.text,
            fill: theme.text,
            font: `11px ${theme.font}`,
            stroke: theme.surface,
            lineWidth: 3,
          },
        },
        textConfig: label && { position: label.side, distance: 3 },
      };
    },
  };
}

// The way from a to b: its length, its direction and the one to its right.
function wayOf([ax, ay], [bx, by]) {
  const length = Math.hypot(bx - ax, by - ay) || 1;
  return { length, across: [(ay - by) / length, (bx - ax) / length], along: [(bx - ax) / length, (by - ay) / length] };
}

function arrow([x, y], { across, along }, size, colour) {
  const points = [
    [1, 0],
    [-0.7, 0.8],
    [-0.7, -0.8],
  ].map(([ahead, aside]) => [
    x + size * (ahead * along[0] + aside * across[0]),
    y + size * (ahead * along[1] + aside * across[1]),
  ]);
  return { type: "polygon", shape: { points }, style: { fill: colour } };
}

const strokeOf = ({ colour, thickness }) => ({ stroke: colour, lineWidth: thickness, fill: "none" });

function bowed(arc, layout) {
  const [from, to] = [arc.from, arc.to].map((vertex) => layout.positions.get(vertex));
  const way = wayOf(from, to);
  const bend = layout.level(arc.from, arc.to) ? 14 + way.length * 0.22 : Math.min(12, 4 + way.length * 0.025);
  const middle = [0, 1].map((axis) => (from[axis] + to[axis]) / 2 + way.across[axis] * bend);
  const [cpx1, cpy1] = [0, 1].map((axis) => 2 * middle[axis] - (from[axis] + to[axis]) / 2);
  return [
    {
      type: "bezierCurve",
      shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1], cpx1, cpy1 },
      style: strokeOf(arc),
    },
    ...(arc.load > 0 && way.length > kArrowLength ? [arrow(middle, way, 2.5 + arc.thickness * 0.8, arc.colour)] : []),
  ];
}

function broken(arc, layout, leaving) {
  const [from, to] = [arc.from, arc.to].map((vertex) => layout.positions.get(vertex));
  const way = wayOf([0, 0], leaving);
  const shifted = (place, share) => [0, 1].map((axis) => place[axis] + leaving[axis] * share + way.across[axis] * 3);
  const line = (a, b) => ({ type: "line", shape: { x1: a[0], y1: a[1], x2: b[0], y2: b[1] }, style: strokeOf(arc) });
  const [out, back] = [shifted(from, 1), shifted(to, -1)];
  return [
    line(shifted(from, 0), out),
    line(back, shifted(to, 0)),
    ...(arc.load > 0 ? [arrow(out, way, 2.5 + arc.thickness * 0.8, arc.colour)] : []),
  ];
}

function arcSeries(arcs, layout) {
  return {
    name: "Links",
    type: "custom",
    coordinateSystem: "none",
    z: 2,
    data: arcs.map(({ load }) => [load ?? 0]),
    renderItem: ({ dataIndex }) => {
      const arc = arcs[dataIndex];
      const leaving = layout.leaving?.(arc);
      return { type: "group", children: leaving ? broken(arc, layout, leaving) : bowed(arc, layout) };
    },
  };
}

// Loads of one scale: the run's means have one, all its intervals another.
function scaleOf({ links, times }, time) {
  const loads = time === null ? links.map(({ mean }) => mean) : links.map(({ peak }) => peak ?? 0);
  return Math.max(0, ...loads) || 1;
}

// Bundles are as loaded as the most loaded of their links.
function painted(graph, time, theme) {
  const highest = scaleOf(graph, time);
  const ramp = theme.ramp.slice(1);
  return graph.arcs
    .map((arc) => {
      const load = loadsOf(arc.links, time).most;
      const share = Math.min(1, (load ?? 0) / highest);
      return {
        ...arc,
        load,
        colour: load > 0 ? mixed(ramp, share) : theme.line,
        thickness: load > 0 ? 1.2 + 3.3 * share : 1,
      };
    })
    .sort((a, b) => (a.load ?? 0) - (b.load ?? 0));
}

function scaleLegend(graph, time, theme, series) {
  const highest = scaleOf(graph, time);
  return {
    seriesIndex: series,
    dimension: 0,
    min: 0,
    max: highest,
    orient: "horizontal",
    top: 26,
    left: 0,
    itemHeight: 140,
    itemWidth: 12,
    hoverLink: false,
    text: [percent(highest), "Load 0"],
    textStyle: { color: theme.text },
    inRange: { color: theme.ramp.slice(1) },
  };
}

function mergedText(graph, shown) {
  if (shown.vertices.length === graph.vertices.length) return "";
  return ` Vertices that are linked alike are merged, ${number(graph.vertices.length, 6)} into ${number(shown.vertices.length, 6)}; lines between them bundle links and show the most loaded of them.`;
}

function reading(graph, shown, time) {
  const { links } = graph;
  const first = links.reduce((best, link) => (link.mean > best.mean ? link : best));
  const carrying = links.filter(({ bytes }) => bytes > 0).length;
  if (carrying === 0) return `No link carried data.${mergedText(graph, shown)}`;
  const peak = peakOf(links);
  const peakText = (link) => `${percent(link.peak)} from ${spanOf(graph, link.peakAt)}`;
  const at =
    time === null
      ? null
      : links.reduce((best, link) => ((loadAt(link, time) ?? -1) > (loadAt(best, time) ?? -1) ? link : best));
  return [
    at
      ? `From ${spanOf(graph, time)} ${loadAt(at, time) > 0 ? `${at.name} is loaded most, to ${percent(loadAt(at, time))}` : "no link is loaded"}. `
      : "",
    `Over the measured time ${first.name} is loaded most: to ${percent(first.mean)} of its capacity on average`,
    first.peak === null ? "" : `, and at its peak to ${peakText(first)}`,
    peak?.peak > (first.peak ?? Infinity) ? `; the highest peak is that of ${peak.name}, ${peakText(peak)}` : "",
    `. ${number(carrying, 6)} of ${plural(links.length, "link")} carried data`,
    graph.counted > links.length
      ? `; the other ${number(graph.counted - links.length, 6)} of the network, less loaded, are not in this report.`
      : ".",
    mergedText(graph, shown),
  ].join("");
}

const tableOf = ({ links }) => ({
  columns: ["from", "to", "capacity_bytes_per_s", "bytes", "flows", "mean_load", "peak_load"],
  rows: links.map((link) => [link.from, link.to, link.capacity, link.bytes, link.flows, link.mean, link.peak]),
});

function drawTopology(graph, time, { theme, width, narrow }) {
  const most = Math.min(kMostVertices, Math.max(kLeastVertices, Math.round(width / kPixelsPerVertex)));
  const shown = readable(graph, most);
  const layout = layoutOf(shown, { width, top: kTop, narrow });
  const classes = classesOf(shown, theme);
  const labels = labelsOf(classes, layout, width);
  const arcs = painted(shown, time, theme);
  return {
    height: Math.round(layout.height),
    option: {
      legend: {
        ...legend(
          theme,
          classes.map(({ name }) => name),
          { points: true },
        ),
        data: classes.map(({ name, shape }) => ({ name, icon: shape })),
        selectedMode: false,
      },
      visualMap: scaleLegend(graph, time, theme, classes.length),
      tooltip: tooltip(theme, {
        trigger: "item",
        formatter: ({ seriesIndex, dataIndex }) =>
          seriesIndex < classes.length
            ? vertexTip(shown, classes[seriesIndex].vertices[dataIndex], time)
            : arcTip(shown, arcs[dataIndex], time),
      }),
      series: [...classes.map((one) => vertexSeries(one, layout, labels, theme)), arcSeries(arcs, layout)],
    },
    table: tableOf(graph),
    reading:
      reading(graph, shown, time) +
      (layout.leaving ? " Links that leave the grid at one side come back at the other." : ""),
  };
}

export function topologyCharts(sides) {
  const linked = sides.filter((side) => graphOf(side).links.length > 0);
  if (linked.length === 0) return [];
  const graphFor = ({ side }) => graphOf(linked[Number(side)]);
  const timeChoice = {
    name: "time",
    label: "Time",
    kind: "range",
    value: "0",
    optionsFor: (chosen) => timeOptions(graphFor(chosen)),
    mark: {
      label: "Busiest",
      about: "Show the busiest interval",
      valueFor: (chosen) => String(graphFor(chosen).busiest + 1),
    },
  };
  return [
    {
      id: "topology",
      title: "Load of the network",
      about: "Each line is one direction of a link, on the right of its way; colour and width tell its load.",
      wide: true,
      fitted: true,
      choices: [sideChoice(linked), ...(linked.some((side) => graphOf(side).times.length > 0) ? [timeChoice] : [])],
      draw: (chosen, context) => drawTopology(graphFor(chosen), timeOf(chosen.time ?? "0"), context),
    },
  ];
}
