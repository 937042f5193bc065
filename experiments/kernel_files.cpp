#include "experiments/kernel_files.hpp"

#include <algorithm>
#include <boost/random/uniform_01.hpp>
#include <cmath>
#include <functional>
#include <set>
#include <tuple>

#include "experiments/csv_table.hpp"
#include "sim/base/random.hpp"
#include "sim/base/text.hpp"
#include "sim/intensity/query_key_pairs.hpp"
#include "sim/service/kernel_times.hpp"

namespace disagg {
namespace {

// Device names of the drivers, beside the catalog's own names.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kDevices{{
    {"NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"},
    {"NVIDIA H100 80GB HBM3", "h100-sxm-80gb"},
    {"NVIDIA H100", "h100-sxm-80gb"},
    {"NVIDIA H200", "h200-sxm-141gb"},
    {"NVIDIA H20", "h20-sxm-96gb"},
    {"NVIDIA B200", "b200-sxm"},
    {"NVIDIA B300", "b300-sxm"},
    {"NVIDIA B300 SXM6 AC", "b300-sxm"},
    {"NVIDIA GB200", "gb200-nvl72"},
    {"NVIDIA GB300", "gb300-nvl72"},
    {"AMD Instinct MI300X", "mi300x"},
    {"AMD Instinct MI355X", "mi355x"},
}};
using FormatNames = std::vector<std::pair<std::string_view, std::string_view>>;
const FormatNames kGemmFormats{
    {"bfloat16", "bf16"}, {"fp8", "fp8"}, {"fp8_block", "fp8-block"}, {"nvfp4", "nvfp4"}};
const FormatNames kKvFormats{{"bfloat16", "bf16"}, {"fp8", "fp8"}};
const FormatNames kExpertFormats{{"bfloat16", "bf16"}, {"fp8", "fp8"},          {"fp8_block", "fp8-block"},
                                 {"nvfp4", "nvfp4"},   {"w4a16_mxfp4", "int4"}, {"w4a8_mxfp4_mxfp8", ""}};
const FormatNames kCollectiveBytes{{"half", "2"}, {"bfloat16", "2"}, {"int8", "1"}};

constexpr double kRanksOfNode = 8;  // of the DeepEP benchmark

constexpr std::int64_t kMostElements = 1'000'000'000'000;  // of any dimension or message
constexpr std::int64_t kMostLoops = 65'536;                // of what is walked one by one: sequences, experts

// One row of a table. Numbers are positive: counts of at least 1, times of at least a nanosecond.
class Row {
 public:
  Row(const CsvTable& table, std::size_t row) : table_(table), row_(row) {}

  double count(std::string_view column, std::int64_t most = kMostElements) const {
    return static_cast<double>(table_.count(row_, column, most));
  }
  double number(std::string_view column) const { return table_.number(row_, column, 0); }
  double seconds(std::string_view column, double unit) const {
    return table_.number(row_, column, 1e-9 / unit) * unit;
  }
  const std::string& text(std::string_view column) const { return table_.text(row_, column); }
  std::string_view format(std::string_view column, const FormatNames& names) const {
    std::vector<std::string_view> known;
    for (const auto& [name, format] : names) {
      if (text(column) == name) return format;
      known.push_back(name);
    }
    throw ConfigError(where() + std::string(column) + ": " + unknown_word(text(column), known));
  }
  std::string where() const { return table_.file() + ":" + std::to_string(table_.line(row_)) + ": "; }
  std::string joined(const std::vector<std::string_view>& columns) const {
    std::string key;
    for (const std::string_view column : columns) key += text(column) + "/";
    return key;
  }

 private:
  const CsvTable& table_;
  std::size_t row_;
};

// Where readers put samples and what they leave out.
struct Sink {
  std::vector<KernelSample> samples;
  std::map<std::string, std::size_t> left_out;

  void leave_out(const char* reason) { ++left_out[reason]; }
};

// The row's columns that describe what ran: all but what was measured and by which software.
std::map<std::string, std::string> described(const CsvTable& table, std::size_t row) {
  std::map<std::string, std::string> columns;
  for (const std::string& column : table.columns())
    if (column != "framework" && column != "latency" && !column.ends_with("_us") &&
        !column.ends_with("_gbps"))
      columns[column] = table.text(row, column);
  return columns;
}

void read_gemm(const Row& row, Sink& sink) {
  const std::string_view format = row.format("gemm_dtype", kGemmFormats);
  KernelSample sample{.format = std::string(format), .group = row.joined({"n", "k"}), .shape = {}};
  const double weight = format == "bf16" ? 2 : format == "nvfp4" ? 0.5625 : 1;
  const GemmShape shape{.m = row.count("m"),
                        .n = row.count("n"),
                        .k = row.count("k"),
                        .weight_bytes = weight,
                        .activation_bytes = weight,
                        .split_k = format == "bf16",
                        .quantises = format != "bf16"};
  sample.shape = shape;
  sample.seconds = row.seconds("latency", 1e-3);
  sample.floored = format == "fp8-block";
  if (format == "fp8-block" && row.text("kernel_source").starts_with("Cutlass"))
    return sink.leave_out("Cutlass' block-scaled GEMM, which serves only shapes that no model has");
  if (format == "fp8" && shape.m == 1 && row.text("device") == "NVIDIA B200")
    return sink.leave_out("fp8 GEMM with m = 1 on B200: 2.25 times the time of m = 16, an artefact");
  sink.samples.push_back(std::move(sample));
}

const std::vector<std::string_view> kAttentionGroup{"num_heads", "num_key_value_heads", "head_dim",
                                                    "batch_size"};

void read_decode_attention(const Row& row, Sink& sink) {
  const std::string_view format = row.format("kv_cache_dtype", kKvFormats);
  KernelSample sample{.format = std::string(format), .group = row.joined(kAttentionGroup), .shape = {}};
  DecodeAttentionShape shape{.batch = row.count("batch_size", kMostLoops),
                             .heads = row.count("num_heads"),
                             .kv_heads = row.count("num_key_value_heads"),
                             .head_dim = row.count("head_dim"),
                             .context = row.count("isl") + row.number("step"),
                             .kv_bytes = format == "bf16" ? 2.0 : 1.0};
  if (const double window = row.number("window_size"); window > 0)
    shape.context = std::min(shape.context, window);
  sample.shape = shape;
  sample.seconds = row.seconds("latency", 1e-3);
  if (row.text("kernel_source").ends_with("triton_attn"))
    return sink.leave_out("attention by Triton, another kernel: errors of 17 to 20 % with any form");
  if (row.text("kernel_source").ends_with("fa4") && shape.head_dim == 512)
    return sink.leave_out("FlashAttention 4 with heads of 512: two kernels, one twice as slow");
  sink.samples.push_back(std::move(sample));
}

void read_prefill_attention(const Row& row, Sink& sink) {
  KernelSample sample{.format = std::string(row.format("kv_cache_dtype", kKvFormats)),
                      .group = row.joined(kAttentionGroup),
                      .shape = {}};
  PrefillAttentionShape shape{.heads = row.count("num_heads"),
                              .kv_heads = row.count("num_key_value_heads"),
                              .head_dim = row.count("head_dim"),
                              .window = row.number("window_size"),
                              .packed = row.text("kernel_source").find("trtllm") == std::string::npos};
  const double batch = row.count("batch_size", kMostLoops), length = row.count("isl");
  shape.tokens = batch * length;
  shape.longest = length;
  shape.pairs = batch * query_key_pairs({.tokens = static_cast<TokenCount>(shape.window), .chunked = false},
                                        0, static_cast<TokenCount>(length));
  sample.shape = repacked(shape, shape.packed);
  sample.seconds = row.seconds("latency", 1e-3);
  if (row.number("step") > 0)
    return sink.leave_out("prefill behind a cached prefix, which the form has not been compared with");
  if (row.text("kernel_source").ends_with("triton_attn"))
    return sink.leave_out("attention by Triton, another kernel: errors of 17 to 20 % with any form");
  if (length < 16) return sink.leave_out("prefill of fewer than 16 tokens, which is decode");
  if (shape.head_dim > 256) return sink.leave_out("prefill with heads of more than 256");
  sink.samples.push_back(std::move(sample));
}

const std::vector<std::string_view> kLatentGroup{"num_heads", "batch_size"};

void read_latent_decode(const Row& row, Sink& sink) {
  const std::string_view format = row.format("kv_cache_dtype", kKvFormats);
  sink.samples.push_back({.format = std::string(format),
                          .group = row.joined(kLatentGroup),
                          .shape = LatentDecodeShape{.batch = row.count("batch_size", kMostLoops),
                                                     .heads = row.count("num_heads"),
                                                     .context = row.count("isl") + row.number("step"),
                                                     .kv_bytes = format == "bf16" ? 2.0 : 1.0},
                          .seconds = row.seconds("latency", 1e-3)});
}

void read_latent_prefill(const Row& row, Sink& sink) {
  const double batch = row.count("batch_size", kMostLoops), length = row.count("isl");
  LatentPrefillShape shape{.heads = row.count("num_heads")};
  for (auto left = static_cast<std::int64_t>(batch); left > 0; --left)
    add_prompt(shape, length, length * (length + 1) / 2, length);
  if (row.number("step") > 0)
    return sink.leave_out("prefill behind a cached prefix, which the form has not been compared with");
  sink.samples.push_back({.format = std::string(row.format("kv_cache_dtype", kKvFormats)),
                          .group = row.joined(kLatentGroup),
                          .shape = shape,
                          .seconds = row.seconds("latency", 1e-3)});
}

double exponent_of(const Row& row) {
  const std::string& text = row.text("distribution");
  constexpr std::string_view kPowerLaw = "power_law_";
  if (text == "balanced") return 0;
  char* end = nullptr;
  const double exponent =
      text.starts_with(kPowerLaw) ? std::strtod(text.c_str() + kPowerLaw.size(), &end) : 0;
  if (exponent <= 0 || *end != '\0')
    throw ConfigError(row.where() + "distribution: '" + text +
                      "' is unknown; known: balanced, power_law_EXPONENT");
  return exponent;
}

void read_experts(const Row& row, Sink& sink) {
  const std::string_view format = row.format("moe_dtype", kExpertFormats);
  const std::string& source = row.text("kernel_source");
  const double experts = row.count("num_experts", kMostLoops), ranks = row.count("moe_ep_size", kMostLoops);
  ExpertsShape shape{.hidden = row.count("hidden_size"),
                     .width = row.count("inter_size") / row.count("moe_tp_size"),
                     .matrices = source.ends_with("nongated") ? 2.0 : 3.0,
                     .weight_bytes = format == "bf16"    ? 2
                                     : format == "nvfp4" ? 0.5625
                                     : format == "int4"  ? 0.53125  // MXFP4 with its scales
                                                         : 1,
                     .tokens = row.count("num_tokens"),
                     .experts_per_token = row.count("topk")};
  KernelSample sample{
      .operation = source.ends_with("min_latency") ? "min_latency" : "",
      .format = std::string(format),
      .group = row.joined({"hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size"}),
      .shape = {},
      .seconds = row.seconds("latency", 1e-3)};
  const double exponent = exponent_of(row);
  if (source.ends_with("nongated"))
    return sink.leave_out("experts without a gate, other kernels: 17 to 24 % with this form");
  if (format.empty()) return sink.leave_out("4-bit weights with 8-bit activations: 21 % with any form");
  if (ranks > experts) return sink.leave_out("more ranks than experts");
  const RankLoad load = routed_load(experts, shape.experts_per_token, ranks, shape.tokens, exponent);
  shape.active_experts = load.experts;
  shape.routed_tokens = load.pairs;
  sample.shape = shape;
  sink.samples.push_back(std::move(sample));
}

// message_size counts elements.
void read_collective(const Row& row, Sink& sink) {
  std::string operation = row.text("op_name");
  if (operation == "alltoall") operation = "all_to_all";
  const double element = row.format("nccl_dtype", kCollectiveBytes) == "1" ? 1 : 2;
  const CollectiveShape shape{.bytes = row.count("message_size") * element,
                              .ranks = row.count("num_gpus"),
                              .passes = operation == "all_reduce" ? 2.0 : 1.0};
  sink.samples.push_back({.operation = operation,
                          .group = row.text("num_gpus") + "/" + show_number(shape.bytes),
                          .shape = shape,
                          .seconds = row.seconds("latency", 1e-3)});
}

void read_all_reduce(const Row& row, Sink& sink) {
  const double element = row.format("allreduce_dtype", kCollectiveBytes) == "1" ? 1 : 2;
  const AllReduceShape shape{.bytes = row.count("message_size") * element, .ranks = row.count("num_gpus")};
  KernelSample sample{.group = row.joined({"num_gpus", "message_size"}),
                      .shape = shape,
                      .seconds = row.seconds("latency", 1e-3)};
  if (!row.text("backend").ends_with("graph"))
    return sink.leave_out("all-reduce launched eagerly, which adds 20 us of the host");
  sink.samples.push_back(std::move(sample));
}

ExchangeShape exchange_of(const Row& row) {
  return {.tokens = row.count("num_token"),
          .hidden = row.count("hidden_size"),
          .experts_per_token = row.count("num_topk"),
          .experts = row.count("num_experts", kMostLoops),
          .ranks = kRanksOfNode * row.count("node_num")};
}

const std::vector<std::string_view> kExchangeGroup{"hidden_size", "num_topk", "num_experts"};

void read_low_latency(const Row& row, Sink& sink) {
  const double domains = row.count("node_num");
  for (const char* leg : {"dispatch", "combine"}) {
    ExchangeShape shape = exchange_of(row);
    shape.bytes = std::string_view(leg) == "dispatch" ? 1.03 : 2;  // fp8 with scales out, bf16 back
    KernelSample sample{.operation = leg,
                        .group = row.joined(kExchangeGroup),
                        .shape = LowLatencyShape{shape},
                        .seconds = row.seconds(std::string(leg) + "_avg_t_us", 1e-6)};
    if (domains > 1) {
      sample.shape = LowLatencyNetworkShape{shape, domains};
      sample.group = row.joined({"node_num", "num_token", "num_experts"});
    }
    sink.samples.push_back(std::move(sample));
  }
}

// The time to transmit and, over several nodes, to notify the receivers before.
void read_normal_exchange(const Row& row, Sink& sink) {
  const double domains = row.count("node_num");
  for (const char* leg : {"dispatch", "combine"}) {
    const std::string name(leg);
    ExchangeShape shape = exchange_of(row);
    // Tokens leave in fp8 with their scales: in bf16, 4 nodes would take 90 GB/s from each port of 50.
    shape.bytes = name == "dispatch" ? 1.03 : 2;
    shape.processors = row.count(name + "_sms");
    KernelSample sample{.operation = leg,
                        .group = row.joined(kExchangeGroup),
                        .shape = NormalExchangeShape{shape},
                        .seconds = row.seconds(name + "_transmit_us", 1e-6)};
    if (domains > 1) {
      sample.shape = NormalNetworkShape{shape, domains};
      sample.group = row.joined({"node_num", "num_token", "num_experts"});
      sample.seconds += row.number(name + "_notify_us") * 1e-6;
    }
    sink.samples.push_back(std::move(sample));
  }
}

void leave_out_module(const Row& row, Sink& sink) {
  row.seconds("latency", 1e-3);
  sink.leave_out("a whole MLA layer; its products and its core are fitted apart");
}

struct FileKind {
  std::vector<std::string_view> operations;  // values of op_name
  std::vector<std::string_view> columns;     // the first tells kinds of one op_name apart
  void (*read)(const Row&, Sink&);
};

const std::vector<FileKind>& file_kinds() {
  static const std::vector<FileKind> kinds{
      {{"gemm"}, {"gemm_dtype", "m", "n", "k", "latency"}, read_gemm},
      {{"generation_attention"},
       {"kv_cache_dtype", "batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim",
        "window_size", "latency"},
       read_decode_attention},
      {{"context_attention"},
       {"kv_cache_dtype", "batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim",
        "window_size", "latency"},
       read_prefill_attention},
      {{"mla_generation"},
       {"kv_cache_dtype", "batch_size", "isl", "step", "num_heads", "latency"},
       read_latent_decode},
      {{"mla_context"},
       {"kv_cache_dtype", "batch_size", "isl", "step", "num_heads", "latency"},
       read_latent_prefill},
      {{"mla_generation_module", "mla_context_module"}, {"gemm_type", "latency"}, leave_out_module},
      {{"moe"},
       {"moe_dtype", "num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size",
        "moe_ep_size", "distribution", "latency"},
       read_experts},
      {{"all_reduce"},
       {"allreduce_dtype", "num_gpus", "message_size", "backend", "latency"},
       read_all_reduce},
      {{"all_reduce", "all_gather", "reduce_scatter", "alltoall"},
       {"nccl_dtype", "num_gpus", "message_size", "latency"},
       read_collective},
      {{"ll"},
       {"node_num", "hidden_size", "num_token", "num_topk", "num_experts", "dispatch_avg_t_us",
        "combine_avg_t_us"},
       read_low_latency},
      {{"normal"},
       {"node_num", "hidden_size", "num_token", "num_topk", "num_experts", "dispatch_sms", "combine_sms",
        "dispatch_transmit_us", "combine_transmit_us", "dispatch_notify_us", "combine_notify_us"},
       read_normal_exchange},
  };
  return kinds;
}

const FileKind& kind_of(const CsvTable& table, const Row& first) {
  table.require({"device", "op_name", "kernel_source"});
  const std::string& operation = first.text("op_name");
  std::set<std::string_view> known;
  const FileKind* named = nullptr;
  for (const FileKind& kind : file_kinds()) {
    known.insert(kind.operations.begin(), kind.operations.end());
    if (std::ranges::find(kind.operations, operation) == kind.operations.end()) continue;
    named = &kind;
    if (table.has(kind.columns.front())) break;
  }
  if (named == nullptr)
    throw ConfigError(first.where() + "op_name: " +
                      unknown_word(operation, std::vector<std::string_view>(known.begin(), known.end())));
  table.require(named->columns);
  return *named;
}

std::string accelerator_of(const Row& row) {
  const std::string& device = row.text("device");
  std::vector<std::string_view> known;
  for (const auto& [name, accelerator] : kDevices) {
    if (device == name) return std::string(accelerator);
    known.push_back(name);
  }
  if (std::ranges::find(accelerators(), device, &Accelerator::name) != accelerators().end()) return device;
  throw ConfigError(row.where() + "device: " + unknown_word(device, known) +
                    "; or a name of `disagg list accelerators`");
}

// A single time of a series over the context that is more than 1.5 times both of its neighbours', or as much
// below both: an interrupted measurement. On H100, fp8, 16 heads, batch 8, context 4: 1.5 ms between 13 us.
void leave_out_jumps(std::vector<KernelSample>& samples, Sink& sink) {
  std::map<std::string, std::vector<std::size_t>> series;
  for (std::size_t i = 0; i < samples.size(); ++i)
    if (std::holds_alternative<LatentDecodeShape>(samples[i].shape))
      series[samples[i].format + "/" + samples[i].group + samples[i].columns.at("tp_size")].push_back(i);
  std::set<std::size_t> jumps;
  for (auto& [name, rows] : series) {
    std::ranges::stable_sort(
        rows, {}, [&](std::size_t i) { return std::get<LatentDecodeShape>(samples[i].shape).context; });
    for (std::size_t i = 1; i + 1 < rows.size(); ++i) {
      const auto [low, high] = std::minmax(samples[rows[i - 1]].seconds, samples[rows[i + 1]].seconds);
      const double own = samples[rows[i]].seconds;
      if (own > 1.5 * high || own < low / 1.5) jumps.insert(rows[i]);
    }
  }
  std::vector<KernelSample> kept;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (jumps.contains(i)) {
      sink.leave_out("MLA time more than 50 % off both neighbours in context");
    } else {
      kept.push_back(std::move(samples[i]));
    }
  }
  samples = std::move(kept);
}

}  // namespace

PrefillAttentionShape repacked(const PrefillAttentionShape& shape, bool packed) {
  PrefillAttentionShape launch = shape;
  launch.packed = packed;
  const double batch = shape.tokens / shape.longest;
  launch.tiles =
      batch * (packed ? shape.kv_heads * std::ceil(shape.longest * shape.heads / shape.kv_heads / 128)
                      : shape.heads * std::ceil(shape.longest / 128));
  return launch;
}

KernelSamples read_kernel_files(const std::vector<std::filesystem::path>& files) {
  KernelSamples all;
  for (const std::filesystem::path& file : files) {
    const CsvTable table = CsvTable::read(file);
    const FileKind& kind = kind_of(table, Row(table, 0));
    bool several_nodes = false;
    for (std::size_t i = 0; i < table.rows() && table.has("node_num"); ++i)
      several_nodes = several_nodes || table.number(i, "node_num", 1) > 1;
    Sink sink;
    for (std::size_t i = 0; i < table.rows(); ++i) {
      const Row row(table, i);
      const std::string accelerator = accelerator_of(row);
      if (std::ranges::find(kind.operations, row.text("op_name")) == kind.operations.end())
        throw ConfigError(row.where() + "op_name: " + unknown_word(row.text("op_name"), kind.operations));
      const std::size_t before = sink.samples.size();
      kind.read(row, sink);
      if (several_nodes && table.number(i, "node_num", 1) == 1) {
        sink.samples.resize(before);
        sink.leave_out("one node in a file of several: an older version of the exchange");
      }
      for (std::size_t j = before; j < sink.samples.size(); ++j) {
        KernelSample& sample = sink.samples[j];
        sample.accelerator = accelerator;
        sample.family = kKernelFamilies[sample.shape.index()];
        sample.source = row.text("kernel_source");
        sample.file = all.files.size();
        sample.line = table.line(i);
        sample.columns = described(table, i);
        const double l2 = device_of(sample).device.l2;
        if (const auto* decode = std::get_if<DecodeAttentionShape>(&sample.shape))
          sample.cold =
              2 * decode->batch * decode->kv_heads * decode->head_dim * decode->context * decode->kv_bytes >
              1.5 * l2;
        if (const auto* latent = std::get_if<LatentDecodeShape>(&sample.shape))
          sample.cold = latent->batch * latent->width * latent->context * latent->kv_bytes > 1.5 * l2;
      }
    }
    leave_out_jumps(sink.samples, sink);
    all.files.push_back(file.string());
    all.samples.insert(all.samples.end(), std::make_move_iterator(sink.samples.begin()),
                       std::make_move_iterator(sink.samples.end()));
    for (const auto& [reason, rows] : sink.left_out) all.left_out.push_back({file.string(), reason, rows});
  }
  return all;
}

MeasuredDevice device_of(const KernelSample& sample) {
  const auto accelerator = std::ranges::find(accelerators(), sample.accelerator, &Accelerator::name);
  if (accelerator == accelerators().end())
    throw ConfigError("accelerator " + sample.accelerator + ": unknown");
  // Products run in their own format, attention in 16-bit numbers, w4a16 as well.
  Precision format = Precision::bf16;
  if (sample.family == GemmConstants::family || sample.family == ExpertsConstants::family) {
    const auto named = std::ranges::find(kPrecisionNames, sample.format);
    format = static_cast<Precision>(named - kPrecisionNames.begin());
  }
  const auto peak = accelerator->peak(format);
  if (!peak || !accelerator->memory_bandwidth)
    throw ConfigError("accelerator " + sample.accelerator + ": the catalog has no peak rate or no bandwidth");
  const auto si = [](const auto& rate) { return rate ? rate->si : 0.0; };
  // Where makers publish no number of processors or no L2 cache: those of the H100, as in FittedKernels.
  return {.device = {.peak = peak->si,
                     .memory = accelerator->memory_bandwidth->si,
                     .scale_up = si(accelerator->scale_up_bandwidth),
                     .processors = static_cast<double>(accelerator->processors.value_or(132)),
                     .l2 = accelerator->l2_capacity ? accelerator->l2_capacity->si : 50e6},
          .port = si(accelerator->nic_bandwidth)};
}

RankLoad routed_load(double experts, double per_token, double ranks, double tokens, double exponent) {
  const double pairs = tokens * per_token;
  if (exponent == 0) return {std::min(experts, pairs) / ranks, pairs / ranks};
  static std::map<std::array<double, 5>, RankLoad> drawn;
  const auto [entry, fresh] = drawn.try_emplace({experts, per_token, ranks, tokens, exponent});
  if (!fresh) return entry->second;

  constexpr int kDraws = 12;
  RandomEngine engine = random_stream(1, "routing of measured experts");
  boost::random::uniform_01<double> uniform;
  const bool many = pairs > experts;
  const double power = 1 - exponent;
  const double low = std::pow(many ? 1 : 0.01, power), high = std::pow(many ? 0.8 * tokens : 2, power);
  std::vector<double> loads(static_cast<std::size_t>(experts));
  const std::size_t per_rank = loads.size() / static_cast<std::size_t>(ranks);
  for (int draw = 0; draw < kDraws; ++draw) {
    double sum = 0;
    for (double& load : loads) sum += load = std::pow(low + (high - low) * uniform(engine), 1 / power);
    for (double& load : loads) load = std::min(load / sum * pairs, tokens);
    RankLoad heaviest;
    for (std::size_t first = 0; first < loads.size(); first += per_rank) {
      RankLoad own;
      for (std::size_t i = first; i < std::min(loads.size(), first + per_rank); ++i) {
        own.experts += std::min(loads[i], 1.0);
        own.pairs += loads[i];
      }
      if (own.pairs > heaviest.pairs) heaviest = own;
    }
    entry->second.experts += heaviest.experts / kDraws;
    entry->second.pairs += heaviest.pairs / kDraws;
  }
  return entry->second;
}

double benchmark_time(const GemmConstants& c, const MeasuredDevice& on, const GemmShape& shape) {
  return gemm_form(c, on.device, shape).total();
}
double benchmark_time(const DecodeAttentionConstants& c, const MeasuredDevice& on,
                      const DecodeAttentionShape& shape) {
  return decode_attention_time(c, on.device, shape, true);
}
double benchmark_time(const PrefillAttentionConstants& c, const MeasuredDevice& on,
                      const PrefillAttentionShape& shape) {
  return prefill_attention_form(c, on.device, shape).total();
}
double benchmark_time(const LatentDecodeConstants& c, const MeasuredDevice& on,
                      const LatentDecodeShape& shape) {
  return latent_decode_time(c, on.device, shape);
}
double benchmark_time(const LatentPrefillConstants& c, const MeasuredDevice& on,
                      const LatentPrefillShape& shape) {
  return latent_prefill_form(c, on.device, shape).total();
}
double benchmark_time(const ExpertsConstants& c, const MeasuredDevice& on, const ExpertsShape& shape) {
  return experts_form(c, on.device, shape).total();
}
double benchmark_time(const CollectiveConstants& c, const MeasuredDevice& on, const CollectiveShape& shape) {
  return collective_time(c, on.device.scale_up, shape.bytes, shape.ranks, shape.passes);
}
double benchmark_time(const AllReduceConstants& c, const MeasuredDevice& on, const AllReduceShape& shape) {
  return all_reduce_time(c, on.device.scale_up, shape.bytes, shape.ranks);
}
double benchmark_time(const LowLatencyConstants& c, const MeasuredDevice& on, const LowLatencyShape& shape) {
  return low_latency_time(c, on.device.scale_up, shape.exchange);
}
double benchmark_time(const LowLatencyNetworkConstants& c, const MeasuredDevice& on,
                      const LowLatencyNetworkShape& shape) {
  return low_latency_network_time(c, on.port, shape.domains, shape.exchange);
}
double benchmark_time(const NormalExchangeConstants& c, const MeasuredDevice& on,
                      const NormalExchangeShape& shape) {
  return normal_exchange_time(c, on.device.scale_up, shape.exchange);
}
double benchmark_time(const NormalNetworkConstants& c, const MeasuredDevice& on,
                      const NormalNetworkShape& shape) {
  return normal_network_time(c, on.port, shape.domains, shape.exchange);
}

}  // namespace disagg
