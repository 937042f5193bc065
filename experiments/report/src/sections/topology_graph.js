// The graph of a side's links. Arcs bundle links of one direction; large graphs merge vertices that are linked alike.
const kMostMergedArcs = 260;
const kRounds = [3, 2, 1, 0];

const collator = new Intl.Collator("en", { numeric: true });
export const byName = (a, b) => collator.compare(a.name, b.name);

export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const largest = (values) => values.reduce((most, value) => Math.max(most, value), -Infinity);

export function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(item);
  }
  return groups;
}

// Names of vertices hold no ">", but to be safe only the first one counts.
function endsOf(link) {
  const at = link.indexOf(">");
  return at < 0 ? null : [link.slice(0, at), link.slice(at + 1)];
}

// Mean loads by interval, for each link in the series. Parallel links of one name share their mean.
function seriesOf(rows, times) {
  const places = new Map(times.map((time, i) => [time, i]));
  return new Map(
    [...grouped(rows, (row) => row.link)].map(([link, own]) => {
      const totals = times.map(() => ({ load: 0, count: 0 }));
      for (const { time_s, load } of own) {
        const total = totals[places.get(time_s)];
        total.load += load ?? 0;
        total.count += 1;
      }
      return [link, totals.map(({ load, count }) => (count > 0 ? load / count : 0))];
    }),
  );
}

function linkOf(name, rows, loads, flows) {
  const [from, to] = endsOf(name);
  const capacity = sum(rows.map((row) => row.capacity_bytes_per_s ?? 0));
  const weighted = sum(rows.map((row) => (row.mean_load ?? 0) * (row.capacity_bytes_per_s ?? 0)));
  const peak = loads ? largest(loads) : null;
  return {
    name,
    from,
    to,
    capacity,
    bytes: sum(rows.map((row) => row.bytes ?? 0)),
    flows: sum(rows.map((row) => row.flows ?? 0)),
    mean: capacity > 0 ? weighted / capacity : (rows[0].mean_load ?? 0),
    loads,
    peak,
    peakAt: loads ? loads.indexOf(peak) : null,
    pairs: flows ?? [],
  };
}

// Load in an interval, or over the run where `time` is null; null where it is not known.
export function loadAt(link, time) {
  if (time === null) return link.mean;
  if (link.loads) return link.loads[time];
  return link.bytes === 0 && link.mean === 0 ? 0 : null;
}

// "prefill[3]", or "prefill[3].1" where a replica has parts; memory pools are "name" or "name[2]".
function vertexOf(name, pools, memories) {
  const owner = name.replace(/\[\d+\](\.\d+)?$/, "");
  const kind = owner !== name && pools.includes(owner) ? "replica" : memories.includes(owner) ? "memory" : "other";
  return { name, kind, owner: kind === "other" ? "" : owner, members: [name], inside: [] };
}

function busiestOf(links, times) {
  const totals = times.map((_, i) => sum(links.map((link) => link.loads?.[i] ?? 0)));
  return totals.indexOf(largest(totals));
}

const graphs = new WeakMap();

export function graphOf(side) {
  if (!graphs.has(side)) graphs.set(side, readGraph(side));
  return graphs.get(side);
}

function readGraph(side) {
  const rows = side.links().filter(({ link }) => endsOf(link));
  const series = side.linkSeries();
  const times = [...new Set(series.map((row) => row.time_s))].sort((a, b) => a - b);
  const loads = seriesOf(series, times);
  const flows = grouped(side.flows(), (row) => row.link);
  const links = [...grouped(rows, (row) => row.link)].map(([name, own]) =>
    linkOf(name, own, loads.get(name), flows.get(name)),
  );
  const pools = Object.keys(side.summary.pools ?? {});
  const memories = Object.keys(side.summary.memory_pools ?? {});
  const names = [...new Set(links.flatMap(({ from, to }) => [from, to]))];
  const vertices = names.map((name) => vertexOf(name, pools, memories)).sort(byName);
  return {
    times,
    links,
    pools,
    memories,
    busiest: busiestOf(links, times),
    counted: Math.max(side.summary.links?.count ?? 0, links.length),
    ...joined(links, vertices),
  };
}

// Vertices with their arcs and neighbours. Links that begin and end in one vertex are inside it.
function joined(links, vertices) {
  const places = new Map(vertices.flatMap((vertex) => vertex.members.map((name) => [name, vertex])));
  const bundles = new Map();
  for (const link of links) {
    const [from, to] = [places.get(link.from), places.get(link.to)];
    if (from === to) {
      from.inside.push(link);
      continue;
    }
    const key = `${from.name}>${to.name}`;
    if (!bundles.has(key)) bundles.set(key, { from, to, links: [] });
    bundles.get(key).links.push(link);
  }
  const arcs = [...bundles.values()];
  const around = new Map(vertices.map((vertex) => [vertex, new Set()]));
  for (const { from, to } of arcs) {
    around.get(from).add(to);
    around.get(to).add(from);
  }
  return { vertices, arcs, neighbours: new Map([...around].map(([vertex, others]) => [vertex, [...others]])) };
}

// What a vertex is called apart from its numbers.
export const stemOf = ({ members }) => members[0].replace(/\d+/g, "#");

// Vertices of one colour have neighbours of the same colours, as far as `rounds` steps away.
function coloursOf({ vertices, neighbours }, rounds) {
  let colours = new Map(vertices.map((vertex) => [vertex, `${vertex.kind} ${stemOf(vertex)}`]));
  for (let round = 0; round < rounds; ++round) {
    const numbers = new Map();
    const refined = new Map();
    for (const vertex of vertices) {
      const around = [...new Set(neighbours.get(vertex).map((other) => colours.get(other)))].sort();
      const colour = JSON.stringify([colours.get(vertex), around]);
      if (!numbers.has(colour)) numbers.set(colour, numbers.size);
      refined.set(vertex, numbers.get(colour));
    }
    colours = refined;
  }
  return colours;
}

// "decode[0..15]", "decode[0, …, 15]" where some between them are missing, or "a to b" where more than one number differs.
function rangeOf(names) {
  const [first, last] = [names[0], names[names.length - 1]];
  if (names.length === 1) return first;
  const [begin, end] = [first, last].map((name) => name.split(/(\d+)/));
  const different = begin.map((_, i) => i).filter((i) => begin[i] !== end[i]);
  if (begin.length !== end.length || different.length !== 1 || different[0] % 2 === 0) return `${first} to ${last}`;
  const [i] = different;
  const between = Number(end[i]) - Number(begin[i]) === names.length - 1 ? ".." : ", \u2026, ";
  return [...begin.slice(0, i), `${begin[i]}${between}${end[i]}`, ...begin.slice(i + 1)].join("");
}

// Cuts vertices of each colour, in the order of their names, into at most `parts`.
function cut(classes, parts) {
  return classes.flatMap((vertices) => {
    const count = Math.min(parts, vertices.length);
    const pieces = grouped(
      vertices.map((vertex, i) => ({ vertex, piece: Math.floor((i * count) / vertices.length) })),
      ({ piece }) => piece,
    );
    return [...pieces.values()].map((members) => {
      const names = members.map(({ vertex }) => vertex.name);
      return { ...members[0].vertex, name: rangeOf(names), members: names, inside: [] };
    });
  });
}

function mergedInto(graph, classes, most) {
  for (let parts = Math.max(...classes.map((vertices) => vertices.length)); parts > 1; --parts) {
    if (sum(classes.map((vertices) => Math.min(parts, vertices.length))) > most) continue;
    const merged = joined(graph.links, cut(classes, parts));
    if (merged.arcs.length <= kMostMergedArcs) return merged;
  }
  return joined(graph.links, cut(classes, 1));
}

function mergedTo(graph, most) {
  for (const rounds of kRounds) {
    const colours = coloursOf(graph, rounds);
    const classes = [...grouped(graph.vertices, (vertex) => colours.get(vertex)).values()];
    if (classes.length <= most || rounds === 0) return mergedInto(graph, classes, most);
  }
}

// The graph itself if it has at most `most` vertices, else a smaller one.
export function readable(graph, most) {
  if (graph.vertices.length <= most) return graph;
  graph.merged ??= new Map();
  const fewer = Math.ceil(most / 2);
  if (!graph.merged.has(fewer)) graph.merged.set(fewer, { ...graph, ...mergedTo(graph, fewer) });
  return graph.merged.get(fewer);
}
