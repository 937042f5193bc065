// Where the vertices of a topology are drawn: in layers above the replicas, on a ring, or on the grid of a torus.
import { byName, grouped, largest, stemOf, sum } from "./topology_graph.js";

const kSweeps = 6;
const kMargin = 34;
const kRowHeight = 18;
const kMostStub = 32;
const kMostSize = 15;
const kLeastSize = 6;

const mean = (values) => sum(values) / values.length;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// Distances from `sources`; what cannot be reached has none.
function distancesFrom(sources, neighbours) {
  const distances = new Map(sources.map((vertex) => [vertex, 0]));
  const queue = [...sources];
  for (const vertex of queue)
    for (const other of neighbours.get(vertex)) {
      if (distances.has(other)) continue;
      distances.set(other, distances.get(vertex) + 1);
      queue.push(other);
    }
  return distances;
}

// Hosts and racks that lead nowhere else: all their replicas have a wider way out.
function deadEnds({ vertices, neighbours }) {
  const onlyReplicas = (vertex) =>
    vertex.kind === "other" && neighbours.get(vertex).every(({ kind }) => kind === "replica");
  const wider = (vertex, other) => {
    if (!onlyReplicas(other)) return other.kind === "other";
    return neighbours.get(other).length - neighbours.get(vertex).length || byName(other, vertex);
  };
  const isEnd = (vertex) =>
    onlyReplicas(vertex) &&
    neighbours
      .get(vertex)
      .every((replica) => neighbours.get(replica).some((other) => other !== vertex && wider(vertex, other) > 0));
  return [...grouped(vertices, stemOf).values()].filter((alike) => alike.every(isEnd)).flat();
}

// Vertices of one kind of name lie in one layer, unless that is one of their neighbours' too.
function alignAlike({ vertices, neighbours }, layers) {
  for (const alike of grouped(
    vertices.filter(({ kind }) => kind !== "replica"),
    stemOf,
  ).values()) {
    const counts = [
      ...grouped(
        alike.filter((vertex) => layers.has(vertex)),
        (vertex) => layers.get(vertex),
      ),
    ];
    const [common] = counts.reduce((best, one) => (one[1].length > best[1].length ? one : best), [1, []]);
    for (const vertex of alike)
      if (!layers.has(vertex) || neighbours.get(vertex).every((other) => layers.get(other) !== common))
        layers.set(vertex, common);
  }
}

function layersOf(graph) {
  const layers = distancesFrom(
    graph.vertices.filter(({ kind }) => kind === "replica"),
    graph.neighbours,
  );
  for (const vertex of deadEnds(graph)) layers.set(vertex, -1);
  alignAlike(graph, layers);
  return layers;
}

// Pairs of vertices, each once.
const edgesOf = ({ vertices, neighbours }) => {
  const places = new Map(vertices.map((vertex, i) => [vertex, i]));
  return vertices.flatMap((a) =>
    neighbours
      .get(a)
      .filter((b) => places.get(a) < places.get(b))
      .map((b) => [a, b]),
  );
};

// Vertices that are linked among themselves, with all others of their names.
function meshOf(graph, layers) {
  const level = edgesOf(graph).filter(([a, b]) => layers.get(a) === layers.get(b));
  if (level.length < 4) return [];
  const stems = new Set(level.flat().map(stemOf));
  return graph.vertices.filter((vertex) => stems.has(stemOf(vertex))).sort(byName);
}

// Positions nearest to `wanted` that keep their order and a gap: pools of neighbours that would come too close move together.
function apart(wanted, gap, low, high) {
  const pools = [];
  wanted.forEach((position, i) => {
    pools.push({ at: position - i * gap, count: 1 });
    for (let last = pools.length - 1; last > 0 && pools[last - 1].at > pools[last].at; --last) {
      const [a, b] = pools.splice(-2);
      pools.push({ at: (a.at * a.count + b.at * b.count) / (a.count + b.count), count: a.count + b.count });
    }
  });
  const most = Math.max(low, high - (wanted.length - 1) * gap);
  return pools.flatMap(({ at, count }) => Array(count).fill(clamp(at, low, most))).map((at, i) => at + i * gap);
}

// Orders each layer by the mean place of its neighbours; replicas stay with those of their pool.
function ordered(graph, layers) {
  const pool = (vertex) => (vertex.kind === "replica" ? graph.pools.indexOf(vertex.owner) : 0);
  const levels = [
    ...grouped(
      [...graph.vertices].sort((a, b) => pool(a) - pool(b) || byName(a, b)),
      (vertex) => layers.get(vertex),
    ),
  ]
    .sort(([a], [b]) => a - b)
    .map(([, vertices]) => vertices);
  const places = new Map();
  const place = (vertices) => vertices.forEach((vertex, i) => places.set(vertex, (i + 0.5) / vertices.length));
  levels.forEach(place);
  for (let sweep = 0; sweep < kSweeps; ++sweep)
    for (const vertices of sweep % 2 === 0 ? levels : [...levels].reverse()) {
      const centre = new Map(
        vertices.map((vertex) => {
          const around = graph.neighbours.get(vertex).filter((other) => layers.get(other) !== layers.get(vertex));
          return [vertex, around.length > 0 ? mean(around.map((other) => places.get(other))) : places.get(vertex)];
        }),
      );
      vertices.sort((a, b) => pool(a) - pool(b) || centre.get(a) - centre.get(b) || byName(a, b));
      place(vertices);
    }
  return levels;
}

// The widest layer is spread evenly, the others lie over the middle of their neighbours.
function across(graph, levels, left, right) {
  const widest = levels.reduce((best, vertices, i) => (vertices.length > levels[best].length ? i : best), 0);
  const xs = new Map(
    levels[widest].map((vertex, i) => [vertex, left + ((i + 0.5) * (right - left)) / levels[widest].length]),
  );
  const near = (i) => Math.abs(i - widest);
  for (const i of levels.map((_, level) => level).sort((a, b) => near(a) - near(b) || a - b)) {
    if (i === widest) continue;
    const vertices = levels[i];
    const wanted = vertices.map((vertex) => {
      const placed = graph.neighbours.get(vertex).filter((other) => xs.has(other));
      return placed.length > 0 ? mean(placed.map((other) => xs.get(other))) : (left + right) / 2;
    });
    const gap = (right - left) / vertices.length;
    apart(wanted, vertices.length > 8 ? gap * 0.9 : gap * 0.5, left, right).forEach((x, k) => xs.set(vertices[k], x));
  }
  return xs;
}

function inLayers(graph, layers, { width, top, narrow }) {
  const levels = ordered(graph, layers);
  const xs = across(graph, levels, kMargin, width - kMargin);
  const most = largest(levels.map((vertices) => vertices.length));
  const spacing = (width - 2 * kMargin) / most;
  const rows = spacing < kLeastSize + 4 ? Math.ceil((kLeastSize + 4) / spacing) : 1;
  const gap = narrow ? 96 : 112;
  const positions = new Map();
  const sides = (vertex) =>
    layers.get(vertex) > 0 ? ["top", "right", "left", "bottom"] : ["bottom", "top", "right", "left"];
  let y = top + 24;
  for (const vertices of [...levels].reverse()) {
    const used = vertices.length * rows > most ? rows : 1;
    vertices.forEach((vertex, i) => positions.set(vertex, [xs.get(vertex), y + (i % used) * kRowHeight]));
    y += gap + (used - 1) * kRowHeight;
  }
  const level = (a, b) => layers.get(a) === layers.get(b);
  return { positions, sides, level, size: clamp(spacing * rows * 0.6, kLeastSize, kMostSize), height: y - gap + 34 };
}

// The trees that hang on vertices of the mesh: children by vertex.
function treesOf(graph, mesh) {
  const known = new Set(mesh);
  const children = new Map();
  const queue = [...mesh];
  for (const vertex of queue) {
    const own = graph.neighbours
      .get(vertex)
      .filter((other) => !known.has(other))
      .sort(byName);
    for (const child of own) known.add(child);
    children.set(vertex, own);
    queue.push(...own);
  }
  return children;
}

const apartFrom = ({ vertices }, children) => vertices.filter((vertex) => !children.has(vertex));

// Moves and stretches positions so that they fill a box.
function filling(positions, { left, right, top, bottom }) {
  const fit = (values, low, high) => {
    const [least, most] = [-largest(values.map((value) => -value)), largest(values)];
    return (value) => (most > least ? low + ((value - least) * (high - low)) / (most - least) : (low + high) / 2);
  };
  const places = [...positions.values()];
  const [x, y] = [
    fit(
      places.map(([one]) => one),
      left,
      right,
    ),
    fit(
      places.map(([, one]) => one),
      top,
      bottom,
    ),
  ];
  return new Map([...positions].map(([vertex, place]) => [vertex, [x(place[0]), y(place[1])]]));
}

// Labels lie outside the ring where they can.
function outwards([x, y], [centreX, centreY]) {
  const sideways = x < centreX ? ["left", "right"] : ["right", "left"];
  const upright = y < centreY ? ["top", "bottom"] : ["bottom", "top"];
  return Math.abs(x - centreX) > Math.abs(y - centreY)
    ? [sideways[0], ...upright, sideways[1]]
    : [upright[0], ...sideways, upright[1]];
}

function onRing(graph, mesh, { width, top, narrow }) {
  const children = treesOf(graph, mesh);
  const roots = [...mesh, ...apartFrom(graph, children)];
  const own = (vertex) => children.get(vertex) ?? [];
  const weight = (vertex) => Math.max(1, sum(own(vertex).map(weight)));
  const depth = (vertex) => 1 + Math.max(0, ...own(vertex).map(depth));
  const rings = largest(roots.map(depth));
  const height = narrow ? Math.max(360, width) : 580;
  const aside = narrow ? kMargin : 3 * kMargin;
  const total = sum(roots.map(weight));
  const positions = new Map();
  const settle = (vertex, begin, ring) => {
    const angle = ((begin + weight(vertex) / 2) / total) * 2 * Math.PI - Math.PI / 2;
    const share = rings === 1 ? 1 : 0.58 + (0.42 * ring) / (rings - 1);
    positions.set(vertex, [share * Math.cos(angle), share * Math.sin(angle)]);
    let at = begin;
    for (const child of own(vertex)) {
      settle(child, at, ring + 1);
      at += weight(child);
    }
  };
  let at = 0;
  for (const root of roots) {
    settle(root, at, 0);
    at += weight(root);
  }
  const spacing = (Math.PI * (width / 2 + height / 2) * 0.55) / total;
  const places = filling(positions, { left: aside, right: width - aside, top: top + 24, bottom: top + height - 24 });
  const centre = [width / 2, top + height / 2];
  return {
    positions: places,
    sides: (vertex) => outwards(places.get(vertex), centre),
    level: () => false,
    size: clamp(spacing * 0.6, kLeastSize, kMostSize),
    height: top + height,
  };
}

// Sizes of grids of two or three dimensions, the first dimension being the smallest and its neighbours next to each other.
function gridsOf(count) {
  const factors = Array.from({ length: count }, (_, i) => i + 1).filter(
    (a) => a > 1 && a * a <= count && count % a === 0,
  );
  return factors.flatMap((a) => [
    [a, count / a],
    ...factors.filter((b) => b >= a && (count / a) % b === 0 && count / a / b >= b).map((b) => [a, b, count / a / b]),
  ]);
}

function coordinates(i, sizes) {
  let rest = i;
  return sizes.map((size) => {
    const at = rest % size;
    rest = Math.floor(rest / size);
    return at;
  });
}

// The grid whose neighbours, closed in every dimension, are those of the mesh.
function torusOf(graph, mesh) {
  const places = new Map(mesh.map((vertex, i) => [vertex, i]));
  const edges = edgesOf(graph).filter(([a, b]) => places.has(a) && places.has(b));
  return gridsOf(mesh.length).find((sizes) => {
    const adjacent = ([a, b]) => {
      const other = coordinates(places.get(b), sizes);
      const steps = coordinates(places.get(a), sizes).map((at, k) => Math.abs(at - other[k]));
      return sum(steps.map((step, k) => Math.min(step, sizes[k] - step))) === 1;
    };
    return (
      edges.length === sum(sizes.map((size) => (size > 2 ? mesh.length : mesh.length / 2))) && edges.every(adjacent)
    );
  });
}

// What hangs on a vertex of the grid lies in the cell below it.
function onGrid(graph, mesh, sizes, { width, top, narrow }) {
  const children = treesOf(graph, mesh);
  const [rows, columns] = sizes.slice(-2);
  const layered = sizes.length > 2;
  const stepX = (width - 2 * kMargin) / columns;
  const stepY = clamp(stepX * 0.8, 64, (narrow ? 420 : 640) / rows);
  const deep = layered ? [stepX / sizes[0] / 1.5, stepY / sizes[0] / 1.5] : [0, 0];
  const steps = (layered ? [[deep[0], deep[1]]] : []).concat([
    [0, stepY],
    [stepX, 0],
  ]);
  const positions = new Map();
  const at = new Map(mesh.map((vertex, i) => [vertex, coordinates(i, sizes)]));
  const below = (vertex) => (children.get(vertex) ?? []).flatMap((child) => [child, ...below(child)]);
  for (const vertex of mesh) {
    const cell = at.get(vertex);
    const place = [0, 1].map((axis) => sum(steps.map((step, k) => step[axis] * cell[k])));
    const [x, y] = [kMargin + stepX * 0.3 + place[0], top + 40 + place[1]];
    positions.set(vertex, [x, y]);
    const hung = below(vertex);
    const reach = layered ? [deep[0] * 0.62, -deep[1] * 0.5] : [stepX * 0.5, stepY * 0.48];
    hung.forEach((child, i) =>
      positions.set(child, [
        x + reach[0] + (i - (hung.length - 1) / 2) * Math.min(22, (stepX * 0.7) / hung.length),
        y + reach[1],
      ]),
    );
  }
  apartFrom(graph, children).forEach((vertex, i) => positions.set(vertex, [kMargin + 40 * i, top + 8]));
  // Links that close a dimension leave the grid at one side and come back at the other.
  const leaving = ({ from, to }) => {
    const [a, b] = [at.get(from), at.get(to)];
    const k = a && b ? sizes.findIndex((size, i) => size > 2 && Math.abs(a[i] - b[i]) === size - 1) : -1;
    if (k < 0) return null;
    const length = Math.hypot(...steps[k]);
    return steps[k].map(
      (step) =>
        ((a[k] === 0 ? -1 : 1) * step * Math.min(kMostStub, length * (layered && k === 0 ? 0.6 : 0.36))) / length,
    );
  };
  const right = width - kMargin - kMostStub;
  const lowest = largest([...positions.values()].map(([, y]) => y));
  return {
    positions: filling(positions, { left: kMargin + kMostStub, right, top: top + 40, bottom: lowest }),
    leaving,
    sides: () => ["bottom", "top", "right", "left"],
    size: clamp(Math.min(stepX, stepY) * (layered ? 0.1 : 0.2), kLeastSize, kMostSize),
    height: lowest + kMostStub + 12,
    level: () => false,
  };
}

// space: { width, top, narrow }; gives positions, the size of marks and the height.
export function layoutOf(graph, space) {
  const layers = layersOf(graph);
  const mesh = meshOf(graph, layers);
  if (mesh.length < 4) return inLayers(graph, layers, space);
  const sizes = torusOf(graph, mesh);
  return sizes ? onGrid(graph, mesh, sizes, space) : onRing(graph, mesh, space);
}
