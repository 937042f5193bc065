// What the simulator's figures are called, their unit, and whether more or less of them is better.

const latency = (name, label) =>
  ["mean", "p50", "p90", "p95", "p99"].map((rank) => ({
    path: `metrics.${name}.${rank}`,
    label: `${label} ${rank}`,
    unit: "ms",
    better: "lower",
  }));

const kMetrics = [
  { path: "capacity.per_s", label: "Capacity", unit: "req/s", better: "higher" },
  { path: "capacity.load", label: "Capacity, in loads", unit: "", better: "higher" },
  { path: "capacity.attainment", label: "SLO attainment at capacity", unit: "share", better: "higher" },
  { path: "metrics.request_goodput", label: "Goodput under the SLO", unit: "req/s", better: "higher" },
  { path: "metrics.slo_attainment", label: "SLO attainment", unit: "share", better: "higher" },
  ...latency("ttft_ms", "TTFT"),
  ...latency("tpot_ms", "TPOT"),
  ...latency("itl_ms", "ITL"),
  ...latency("e2el_ms", "End-to-end"),
  ...latency("queue_wait_ms", "Queue wait"),
  ...latency("kv_transfer_ms", "KV transfer"),
  {
    path: "metrics.output_throughput_per_accelerator",
    label: "Output per accelerator",
    unit: "tok/s",
    better: "higher",
  },
  { path: "metrics.output_throughput", label: "Output", unit: "tok/s", better: "higher" },
  { path: "metrics.total_throughput", label: "All tokens", unit: "tok/s", better: "higher" },
  { path: "metrics.request_throughput", label: "Requests", unit: "req/s", better: "higher" },
  { path: "metrics.completed", label: "Completed requests", unit: "", better: null },
  { path: "sessions.good_tasks_per_hour", label: "Good tasks", unit: "tasks/h", better: "higher" },
  { path: "sessions.task_time_s.p50", label: "Task time p50", unit: "s", better: "lower" },
  { path: "sessions.task_time_s.p99", label: "Task time p99", unit: "s", better: "lower" },
  { path: "cost.usd_per_million_output_tokens", label: "Cost per 1 M output tokens", unit: "USD", better: "lower" },
  { path: "cost.usd_per_million_tokens", label: "Cost per 1 M tokens", unit: "USD", better: "lower" },
  {
    path: "cost.split_usd_per_million_input_tokens",
    label: "Cost per 1 M input tokens, split",
    unit: "USD",
    better: "lower",
  },
  {
    path: "cost.split_usd_per_million_output_tokens",
    label: "Cost per 1 M output tokens, split",
    unit: "USD",
    better: "lower",
  },
  { path: "cost.usd_per_hour", label: "Cost of ownership", unit: "USD/h", better: "lower" },
  { path: "cost.provisioned_power_w", label: "Provisioned power", unit: "W", better: "lower" },
  { path: "cluster.rent_usd_per_hour", label: "Rent", unit: "USD/h", better: "lower" },
  { path: "cluster.usd_per_million_output_tokens", label: "Rent per 1 M output tokens", unit: "USD", better: "lower" },
  { path: "energy.j_per_output_token", label: "Energy per output token", unit: "J", better: "lower" },
  { path: "energy.j_per_task", label: "Energy per task", unit: "J", better: "lower" },
  { path: "energy.mean_power_w", label: "Mean power", unit: "W", better: "lower" },
  { path: "cluster.accelerators", label: "Accelerators", unit: "", better: "lower" },
];

const kByPath = new Map(kMetrics.map((metric) => [metric.path, metric]));

const kSuffixes = [
  [/_ms(\.|$)/, "ms", "lower"],
  [/usd_per_hour$/, "USD/h", "lower"],
  [/usd/, "USD", "lower"],
  [/_per_s(econd)?$/, "req/s", null],
  [/_s(\.|$)/, "s", null],
  [/_j(_|$)/, "J", "lower"],
  [/_w$/, "W", "lower"],
  [/(utilization|occupancy|attainment|share|mfu|mbu|hit_rate)$|time_in_regime/, "share", null],
  [/bytes/, "B", null],
];

// What a report's first lines show, most telling first.
export const kKeyFigures = [
  "metrics.request_goodput",
  "metrics.slo_attainment",
  "metrics.ttft_ms.p50",
  "metrics.ttft_ms.p99",
  "metrics.tpot_ms.p50",
  "metrics.tpot_ms.p99",
  "metrics.output_throughput_per_accelerator",
  "cost.usd_per_million_output_tokens",
  "energy.j_per_output_token",
  "cluster.accelerators",
];

// Figures this list lacks (of a pool or of an agent kind, say) are named by their path.
export function describe(path) {
  const found = kByPath.get(path);
  if (found) return found;
  const kind = /^by_kind\.(.+)\.(metrics\..+)$/.exec(path);
  if (kind && kByPath.has(kind[2])) {
    const metric = kByPath.get(kind[2]);
    return { ...metric, path, label: `${metric.label}, ${kind[1]}` };
  }
  const suffix = kSuffixes.find(([pattern]) => pattern.test(path));
  return {
    path,
    label: path.replace(/^metrics\./, "").replace(/[._]/g, " "),
    unit: suffix ? suffix[1] : "",
    better: suffix ? suffix[2] : null,
  };
}

// Known figures first, in their order; the others after them by name.
export function inOrder(paths) {
  const given = new Set(paths);
  const known = kMetrics.map((metric) => metric.path).filter((path) => given.has(path));
  return [...known, ...[...given].filter((path) => !kByPath.has(path)).sort()];
}

// "TTFT p50 (ms)", as an axis shows it.
export function axisTitle(metric) {
  const unit = metric.unit === "share" ? "%" : metric.unit.replace("USD", "$");
  return unit ? `${metric.label} (${unit})` : metric.label;
}

// On axes shares are percents.
export const onAxis = (metric, value) =>
  value === null || value === undefined ? null : metric.unit === "share" ? value * 100 : value;

export function valueAt(object, path) {
  let value = object;
  for (const step of path.split(".")) {
    if (value === null || value === undefined) return null;
    value = value[step];
  }
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function mean(values) {
  const known = values.filter((value) => typeof value === "number" && Number.isFinite(value));
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
