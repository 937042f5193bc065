#include "experiments/paper_figures.hpp"

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/roofline.hpp"
#include "experiments/run_folder.hpp"
#include "experiments/svg_plot.hpp"
#include "sim/base/config.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

struct Figure {
  std::string csv;
  SvgPlot plot;
};

constexpr std::int64_t kBatch = 16;  // requests at a time, figures 1 and 2
constexpr double kMachine = 8;       // accelerators in one machine
constexpr std::string_view kPaper = "After Zhao and Liu, arXiv 2601.22001, figure ";

double real(std::int64_t count) { return static_cast<double>(count); }
double gigabytes(Bytes bytes) { return bytes.si / 1e9; }
std::string digits(double value) { return show_number(value, 6); }

const ModelSpec& catalog_model(std::string_view name) { return model_called("--paper-figures", name); }
const Accelerator& accelerator(std::string_view name) { return accelerator_called("--paper-figures", name); }

double ridge(const Accelerator& a) { return (*a.peak(Precision::bf16) / *a.memory_bandwidth).si; }
// Memory of a machine for each request of a batch.
double share_gigabytes(const Accelerator& a, double batch) {
  return gigabytes(a.memory_capacity) * kMachine / batch;
}

// One phase of linear layers or attention: both axes of figure 1.
struct PhasePart {
  std::string_view name;
  Work (*work)(const TransformerWork&, TokenCount context);
  Bytes (*footprint)(const TransformerWork&, TokenCount context);
};

Bytes weight_share(const TransformerWork& w, TokenCount) { return w.weight_bytes() / real(kBatch); }
Bytes cache(const TransformerWork& w, TokenCount context) { return w.kv_bytes(real(context)); }

constexpr auto kPhaseParts = std::to_array<PhasePart>({
    {"prefill, linear layers",
     [](const TransformerWork& w, TokenCount context) { return w.linear(real(context), 1, 1); },
     weight_share},
    {"prefill, attention",
     [](const TransformerWork& w, TokenCount context) { return w.prefill_attention(0, context); }, cache},
    {"decode, linear layers",
     [](const TransformerWork& w, TokenCount) { return w.linear(real(kBatch), real(kBatch), 1); },
     weight_share},
    {"decode, attention",
     [](const TransformerWork& w, TokenCount context) {
       return w.decode_attention({.all = real(context * kBatch)}, real(kBatch));
     },
     cache},
});

Figure figure_1() {
  const Accelerator& h100 = accelerator("h100-sxm-80gb");
  const TransformerWork work(catalog_model("llama-3.1-70b"), {});
  const double high_intensity = ridge(h100), high_footprint = share_gigabytes(h100, real(kBatch));
  Figure f{.csv = "part,context_tokens,intensity_flop_per_byte,footprint_gb,quadrant\n", .plot = {}};
  SvgPlot::Panel panel{
      .x = {"operational intensity (FLOP/byte)", 0.3, 1e6},
      .y = {"capacity footprint (GB per request)", 0.1, 1000},
      .series = {},
      .rules = {{true, high_intensity, "ridge of H100, bf16: " + show_number(high_intensity)},
                {false, high_footprint, "8 x H100 at batch 16: " + show_number(high_footprint) + " GB"}},
      .words = {{{9.4, 600}, "bound by capacity and bandwidth"},
                {{17000, 600}, "bound by capacity"},
                {{9.4, 0.15}, "bound by bandwidth"},
                {{17000, 0.15}, "bound by compute"}}};
  for (const PhasePart& part : kPhaseParts) {
    SvgPlot::Series series{.name = std::string(part.name), .points = {}};
    for (const TokenCount context : {1024, 2048, 8192, 32768, 131072, 300000}) {
      const double oi = intensity(part.work(work, context)).si;
      const double cf = gigabytes(part.footprint(work, context));
      series.points.push_back({oi, cf});
      f.csv += '"' + series.name + "\"," + std::to_string(context) + ',' + digits(oi) + ',' + digits(cf) +
               (cf > high_footprint ? ",high CF" : ",low CF") +
               (oi >= high_intensity ? " and high OI\n" : " and low OI\n");
    }
    panel.series.push_back(std::move(series));
  }
  f.plot = {.title = "Phases in the plane of intensity and footprint",
            .panels = {std::move(panel)},
            .caption = std::string(kPaper) +
                       "1. Assumed: Llama-3.1-70B, weights, activations and KV cache in bf16, 16 requests "
                       "at a time on 8 H100 (640 GB); markers are contexts of 1K, 2K, 8K, 32K, 128K and "
                       "300K tokens. Prefill takes one whole prompt without cached prefix, decode one token "
                       "of each of the 16 requests. Footprint of linear layers: weights / 16; of attention: "
                       "the request's KV cache. Fused attention. The model is trained for 128K."};
  return f;
}

// The paper's orders of magnitude, as round figures. A turn appends its prompt and its output to the context.
struct Agent {
  std::string_view name;
  std::int64_t prompt, output;  // tokens of each turn
  std::int64_t turns;
  bool keeps_prompts;  // else only outputs stay: a web page gives way to the next
};
constexpr std::array<Agent, 4> kAgents{{{"chatbot", 500, 500, 10, true},
                                        {"coding", 5000, 500, 25, true},
                                        {"web use", 30'000, 300, 25, false},
                                        {"computer use", 20'000, 200, 25, true}}};

struct Turn {
  TokenCount context = 0;
  double footprint_gb = 0;
  double decode = 0;  // intensity of a decode step of the whole batch
  double whole = 0;   // intensity of the turn: its prompt alone, then its share of the decode steps
};

Turn turn_of(const Agent& agent, std::int64_t turn, const ModelSpec& model) {
  const TransformerWork work(model, {});
  const TokenCount cached = (turn - 1) * (agent.output + (agent.keeps_prompts ? agent.prompt : 0));
  const TokenCount context = cached + agent.prompt + agent.output;
  const Work step = step_work(model, {}, Phase::decode, context, kBatch);
  const Work prompt = work.linear(real(agent.prompt), 1, 1) + work.prefill_attention(cached, agent.prompt);
  return {.context = context,
          .footprint_gb = gigabytes(work.capacity_footprint(real(context), real(kBatch))),
          .decode = intensity(step).si,
          .whole = intensity(prompt + step * (real(agent.output) / real(kBatch))).si};
}

Figure figure_2() {
  const ModelSpec& model = catalog_model("llama-3.1-70b");
  const Accelerator &h100 = accelerator("h100-sxm-80gb"), &b200 = accelerator("b200-sxm");
  Figure f{.csv =
               "agent,turn,context_tokens,footprint_gb,decode_intensity_flop_per_byte,"
               "turn_intensity_flop_per_byte\n",
           .plot = {}};
  SvgPlot::Panel footprint{.x = {"turn", 1, 30},
                           .y = {"capacity footprint (GB per request)", 5, 500},
                           .series = {},
                           .rules = {{false, share_gigabytes(h100, real(kBatch)), "8 x H100 / 16"},
                                     {false, share_gigabytes(b200, real(kBatch)), "8 x B200 / 16"}}};
  SvgPlot::Panel intensities{
      .x = {"turn", 1, 30},
      .y = {"operational intensity (FLOP/byte)", 1, 1000},
      .series = {},
      .rules = {{false, ridge(h100),
                 "ridges: H100 " + show_number(ridge(h100), 3) + ", B200 " + show_number(ridge(b200), 3)},
                {false, ridge(b200), ""}}};
  for (const Agent& agent : kAgents) {
    const std::string name(agent.name);
    const SvgPlot::Series empty{.name = name, .points = {}};
    SvgPlot::Series memory = empty, decode = empty, whole = empty;
    whole.dashed = true;
    for (std::int64_t turn = 1; turn <= agent.turns; ++turn) {
      const Turn t = turn_of(agent, turn, model);
      memory.points.push_back({real(turn), t.footprint_gb});
      decode.points.push_back({real(turn), t.decode});
      whole.points.push_back({real(turn), t.whole});
      f.csv += name + ',' + std::to_string(turn) + ',' + std::to_string(t.context) + ',' +
               digits(t.footprint_gb) + ',' + digits(t.decode) + ',' + digits(t.whole) + '\n';
    }
    footprint.series.push_back(std::move(memory));
    intensities.series.push_back(std::move(decode));
    intensities.series.push_back(std::move(whole));
  }
  f.plot = {.title = "Four kinds of agents on Llama-3.1-70B",
            .panels = {std::move(footprint), std::move(intensities)},
            .caption = std::string(kPaper) +
                       "2. Solid, with markers: decode step of 16 requests at the end of the turn; dashed: "
                       "the whole turn, its prompt prefilled alone. Assumed: bf16, batch 16, all of the kept "
                       "context cached. Prompt + output tokens of a turn: chatbot 500 + 500, coding 5,000 + "
                       "500, web use 30,000 + 300 (a page is dropped after its turn, outputs are kept), "
                       "computer use 20,000 + 200. Turns: chatbot 10, others 25. Contexts beyond 128K are "
                       "more than the model is trained for."};
  return f;
}

// 48 layers of 64 heads of 128 that share `kv_heads` keys and values, or, without, a latent of this width.
ModelSpec caching_model(std::int64_t kv_heads, std::int64_t latent) {
  ModelSpec m;
  m.num_hidden_layers = 48;
  m.hidden_size = 8192;
  m.num_attention_heads = 64;
  m.num_key_value_heads = kv_heads;
  m.head_dim = 128;
  m.kv_lora_rank = latent;
  m.attention_pattern = {latent > 0 ? Attention::mla : Attention::full};
  return m;
}

Figure figure_3() {
  struct Cache {
    std::string_view name;
    std::int64_t kv_heads, latent;
  };
  constexpr std::array<Cache, 6> kCaches{{{"MHA-64", 64, 0},
                                          {"GQA-8", 8, 0},
                                          {"MQA", 1, 0},
                                          {"MLA-64", 0, 64},
                                          {"MLA-576", 0, 576},
                                          {"MLA-1024", 0, 1024}}};
  Figure f{.csv = "cache,context_tokens,footprint_gb\n", .plot = {}};
  SvgPlot::Panel panel{.x = {"context (tokens)", 1e3, 1e5},
                       .y = {"KV cache (GB per request)", 0.003, 300},
                       .series = {},
                       .rules = {{false, 80, "memory of one H100: 80 GB"}}};
  for (const Cache& each : kCaches) {
    const TransformerWork work(caching_model(each.kv_heads, each.latent), {});
    SvgPlot::Series series{.name = std::string(each.name), .points = {}};
    for (const TokenCount context : {1000, 2000, 5000, 10'000, 20'000, 50'000, 100'000}) {
      const double cf = gigabytes(work.kv_bytes(real(context)));
      series.points.push_back({real(context), cf});
      f.csv += series.name + ',' + std::to_string(context) + ',' + digits(cf) + '\n';
    }
    panel.series.push_back(std::move(series));
  }
  f.plot = {.title = "Footprint of a request by kind of attention",
            .panels = {std::move(panel)},
            .caption = std::string(kPaper) +
                       "3. Assumed: KV cache alone, 48 layers, 16 bits; 64 query heads of 128; GQA-8 has 8 "
                       "KV heads, MQA one; the number behind MLA is the cached width of a token in one layer "
                       "(576 = a latent of 512 and a rotary key of 64, as in DeepSeek-V3)."};
  return f;
}

Figure figure_4() {
  struct Served {
    std::string_view name, model;
    Precision weights;
  };
  constexpr std::array<Served, 4> kServed{
      {{"Llama-3.1-70B, bf16 (dense)", "llama-3.1-70b", Precision::bf16},
       {"DeepSeek-R1, bf16", "deepseek-r1", Precision::bf16},
       {"DeepSeek-R1, fp8 weights", "deepseek-r1", Precision::fp8},
       {"Llama-4-Maverick, bf16", "llama-4-maverick-17b-128e-instruct", Precision::bf16}}};
  constexpr TokenCount kContext = 300'000, kShort = 8192;
  const Accelerator& b200 = accelerator("b200-sxm");
  Figure f{.csv =
               "model,batch,footprint_gb_300k,intensity_flop_per_byte_300k,"
               "intensity_flop_per_byte_8k\n",
           .plot = {}};
  const SvgPlot::Axis batches{"batch (requests)", 1, 256};
  SvgPlot::Panel footprint{.x = batches, .y = {"capacity footprint (GB per request)", 1, 3000}, .series = {}};
  SvgPlot::Panel intensities{
      .x = batches,
      .y = {"operational intensity of decode (FLOP/byte)", 1, 1000},
      .series = {},
      .rules = {{false, ridge(b200), "ridge of B200, bf16: " + show_number(ridge(b200), 3)}}};
  for (const Served& served : kServed) {
    const ModelSpec& model = catalog_model(served.model);
    const PrecisionPlan precision{.weights = served.weights};
    const TransformerWork work(model, precision);
    const SvgPlot::Series empty{.name = std::string(served.name), .points = {}};
    SvgPlot::Series memory = empty, decode = empty, decode_short = empty;
    decode_short.dashed = true;
    for (std::int64_t batch = 1; batch <= 256; batch *= 2) {
      const double cf = gigabytes(work.capacity_footprint(real(kContext), real(batch)));
      const double oi = intensity(step_work(model, precision, Phase::decode, kContext, batch)).si;
      const double oi_short = intensity(step_work(model, precision, Phase::decode, kShort, batch)).si;
      memory.points.push_back({real(batch), cf});
      decode.points.push_back({real(batch), oi});
      decode_short.points.push_back({real(batch), oi_short});
      f.csv += '"' + empty.name + "\"," + std::to_string(batch) + ',' + digits(cf) + ',' + digits(oi) + ',' +
               digits(oi_short) + '\n';
    }
    footprint.series.push_back(std::move(memory));
    intensities.series.push_back(std::move(decode));
    intensities.series.push_back(std::move(decode_short));
  }
  SvgPlot::Series room{.name = "memory of 8 x B200 / batch", .points = {}, .dashed = true};
  for (const double batch : {1.0, 256.0}) room.points.push_back({batch, share_gigabytes(b200, batch)});
  footprint.series.push_back(std::move(room));
  f.plot = {
      .title = "Dense and mixture of experts: decode at contexts of 300K and 8K tokens",
      .panels = {std::move(footprint), std::move(intensities)},
      .caption =
          std::string(kPaper) +
          "4. Solid: 300K tokens; dashed on the right: 8K. Footprint: a request's KV cache and its share of "
          "all weights. Assumed: KV cache "
          "and activations in bf16; fp8 weights leave both embedding tables in bf16; uniform "
          "routing, so that a step reads the experts that its tokens are expected to touch; "
          "Llama 4 is Maverick, of whose 48 layers 36 keep 8,192 tokens (unverified pattern). "
          "Above the dashed line a batch does not fit 8 B200 (1,536 GB)."};
  return f;
}

}  // namespace

void write_paper_figures(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw ConfigError(folder.string() + ": cannot make this folder: " + error.message());
  int number = 0;
  for (const Figure& figure : {figure_1(), figure_2(), figure_3(), figure_4()}) {
    const std::string name = "figure" + std::to_string(++number);
    write_file(folder / (name + ".csv"), figure.csv);
    write_file(folder / (name + ".svg"), to_svg(figure.plot));
  }
}

}  // namespace disagg
