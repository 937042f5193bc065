#include "sim/model/hf_quantization.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "sim/model/sizes.hpp"

namespace disagg {
namespace {

// Bits of one weight with its share of the scale factors.
double bits_per_weight(std::string_view format, std::int64_t int4_group) {
  if (format == "mxfp4") return 4 + 8.0 / 32;                               // one byte for 32
  if (format == "nvfp4") return 4 + 8.0 / 16;                               // one byte for 16
  if (format == "int4") return 4 + 16.0 / static_cast<double>(int4_group);  // one 16-bit number for a group
  if (format == "fp8-block") return 8 + 32.0 / (128 * 128);
  return 8;
}

// Whether the modules that `key` keeps at 16 bits include whole attention modules
// ("model.layers.*.self_attn", "re:.*self_attn.*"), not only their norms: then the format is that of the
// experts.
bool spares_attention(const Reader& r, std::string_view key) {
  const ConfigNode* modules = r.node().find(key);
  return modules != nullptr && std::ranges::any_of(modules->items, [](const ConfigNode& module) {
           const std::size_t end = module.text.find_last_not_of(".*");
           return std::string_view(module.text).substr(0, end + 1).ends_with("self_attn");
         });
}

void refuse(Reader& r, std::string_view key, const std::string& value) {
  r.fail(key, "'" + value + "' is not understood; without \"quantization_config\" the weights have 16 bits");
}

// Names that NVIDIA's Model Optimizer gives to formats.
std::string of_model_optimizer(Reader& r) {
  const auto algorithm = r.get<std::string>("quant_algo");
  if (algorithm == "FP8") return "fp8";
  if (algorithm == "FP8_PB_WO") return "fp8-block";
  if (algorithm == "NVFP4") return "nvfp4";
  if (algorithm == "W4A16_AWQ") return "int4";
  if (!algorithm.empty()) refuse(r, "quant_algo", algorithm);
  return "";
}

// The one kind of weights that all groups of layers share.
std::string of_compressed_tensors(Reader& r, std::int64_t& int4_group) {
  auto groups = r.object("config_groups");
  if (!groups) return "";
  std::string format;
  for (const std::string& name : groups->keys()) {
    auto group = groups->object(name);
    auto weights = group ? group->object("weights") : std::nullopt;
    if (!weights) return "";
    const auto bits = weights->get<std::int64_t>("num_bits");
    const auto type = weights->get<std::string>("type");
    const std::int64_t group_size =
        given(*weights, "group_size") ? weights->get<std::int64_t>("group_size") : 0;
    const std::string strategy = given(*weights, "strategy") ? weights->get<std::string>("strategy") : "";
    std::string found;
    if (bits == 8 && type == "float") found = strategy == "block" ? "fp8-block" : "fp8";
    if (bits == 8 && type == "int") found = "int8";
    if (bits == 4 && type == "int") found = "int4";
    if (bits == 4 && type == "float" && group_size == 16) found = "nvfp4";
    if (bits == 4 && type == "float" && group_size == 32) found = "mxfp4";
    if (found.empty()) refuse(*weights, "num_bits", std::to_string(bits) + " bits of type " + type);
    if (found == "int4" && group_size > 0) int4_group = group_size;
    if (!format.empty() && found != format)
      groups->fail(name, "groups of different formats are not understood");
    format = found;
  }
  return format;
}

void read_format(Reader& r, ModelSpec& m) {
  constexpr std::array<std::string_view, 7> kMethods{"fp8", "fbgemm_fp8", "mxfp4",   "compressed-tensors",
                                                     "awq", "gptq",       "modelopt"};
  // Older files of the Model Optimizer name no method.
  const std::string method =
      given(r, "quant_algo") && !given(r, "quant_method") ? "modelopt" : r.get<std::string>("quant_method");
  std::int64_t int4_group = 128;
  std::string format;
  if (given(r, "quant_algo") && r.get<std::string>("quant_algo") == "MIXED_PRECISION") {
    refuse(r, "quant_algo", "MIXED_PRECISION");
  } else if (method == "fp8") {
    format = given(r, "weight_block_size") ? "fp8-block" : "fp8";
  } else if (method == "fbgemm_fp8") {
    format = "fp8";
  } else if (method == "mxfp4") {
    format = "mxfp4";
  } else if (method == "compressed-tensors") {
    format = of_compressed_tensors(r, int4_group);
  } else if (method == "awq" || method == "gptq") {
    const auto bits = r.get<std::int64_t>(given(r, "w_bit") ? "w_bit" : "bits");
    if (bits == 4) format = "int4";
    if (bits == 8) format = "int8";
    if (format.empty()) refuse(r, given(r, "w_bit") ? "w_bit" : "bits", std::to_string(bits));
    const std::string_view group = given(r, "q_group_size") ? "q_group_size" : "group_size";
    if (given(r, group)) int4_group = std::max<std::int64_t>(r.get<std::int64_t>(group), 1);
  } else if (method == "modelopt" || method == "modelopt_fp4") {
    format = of_model_optimizer(r);
  } else if (!method.empty()) {
    r.unknown("quant_method", method, kMethods);
  }
  m.published_quantization = format;
  const bool spared = format == "mxfp4" || spares_attention(r, "modules_to_not_convert") ||
                      spares_attention(r, "ignore") || spares_attention(r, "exclude_modules");
  if (format.empty() || !spared) return;
  if (m.is_moe())
    m.expert_weight_bits = bits_per_weight(format, int4_group);
  else
    m.note += "Attention layers are published in 16 bits, which is not modelled. ";
}

}  // namespace

void read_hf_quantization(Reader& config, ModelSpec& m) {
  auto quantization = config.object("quantization_config");
  if (!quantization) return;
  if (auto nested = quantization->find_object("quantization"))
    read_format(*nested, m);
  else
    read_format(*quantization, m);
}

void read_hf_quantization_file(const std::filesystem::path& file, ModelSpec& m, Problems& problems) {
  ConfigNode node = load_config(file);
  Reader r(node, "", problems);
  if (auto quantization = r.object("quantization")) read_format(*quantization, m);
}

}  // namespace disagg
