#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/model/model_spec.hpp"
#include "sim/model/sizes.hpp"

// How the layers of Hugging Face's architectures are written down in a config.json. Internal to sim/model.
namespace disagg {

class HfConfig;

// Where "num_key_value_heads" is silent: there is no such key (multi_head), as many as heads
// (grouped_or_multi), or a constant of the library's, which the file has to state (grouped).
enum class KeyValueHeads { multi_head, grouped_or_multi, grouped };

// Which layers attend to a window only, unless "layer_types" lists the kind of every layer.
enum class Window {
  none,         // no key for it
  optional,     // all layers, if "sliding_window" is given
  stated,       // the same, but silence is a constant of the library's: the file has to state null
  switched,     // those from "max_window_layers" on, if "use_sliding_window" is true
  off,          // as switched, but which layers differs between versions of the library: refused
  alternating,  // the first, the third, ...
  most          // all but every "sliding_window_pattern"-th
};

// How the config.json of one Hugging Face architecture names its sizes, and what holds where it is silent: as
// in the configuration classes of the transformers library.
struct HfArchitecture {
  std::string_view model_type;
  void (*attention)(HfConfig&, ModelSpec&);
  void (*experts)(HfConfig&, ModelSpec&) = nullptr;  // null: all layers are dense
  KeyValueHeads kv_heads = KeyValueHeads::grouped;
  bool head_dim_stated = false;  // silence is not hidden_size / num_attention_heads
  Window window = Window::none;
  std::int64_t mlp_matrices = 3;
  bool tied = false;  // where silent
  std::string_view ffn = "intermediate_size";
  // Other names of keys ("num_hidden_layers", "n_layer"), and values that published files leave to the
  // library.
  std::vector<std::pair<std::string_view, std::string_view>> other_names = {};
  std::vector<std::pair<std::string_view, std::int64_t>> defaults = {};
};

// One config.json, read as its architecture means it.
class HfConfig {
 public:
  HfConfig(Reader& reader, const HfArchitecture& meaning) : r(reader), architecture(meaning) {}

  Reader& r;
  const HfArchitecture& architecture;

  bool has(std::string_view key) const { return given(r, key); }
  // The key that the file uses for `key`.
  std::string_view spelled(std::string_view key) const {
    if (has(key)) return key;
    for (const auto& [known, other] : architecture.other_names)
      if (known == key && has(other)) return other;
    return key;
  }
  // At least 1. Required, unless the architecture has a value for silence.
  std::int64_t size(std::string_view name, std::int64_t most = kGreatestSize) {
    const std::string_view key = spelled(name);
    if (!r.has(key))
      for (const auto& [known, fallback] : architecture.defaults)
        if (known == key) return fallback;
    return read_size(r, key, most);
  }
  // The same, but 0 where the file is silent or says null and the architecture has no value for that.
  std::int64_t size_or_none(std::string_view key) {
    const auto is_key = [key](const auto& fallback) { return fallback.first == key; };
    return has(key) || std::ranges::any_of(architecture.defaults, is_key) ? size(key) : 0;
  }
  // `fallback` where the file is silent or says null.
  std::int64_t count_or(std::string_view key, std::int64_t fallback) {
    return has(key) ? find_size(r, key) : fallback;
  }
  bool flag_or(std::string_view key, bool fallback) { return has(key) ? r.get<bool>(key) : fallback; }
  void refuse(std::string_view key) {
    r.fail(key, "is not understood for architecture '" + std::string(architecture.model_type) + "'");
  }
};

// Attention: heads, the pattern of the layers, and what each kind of layer needs.
void read_grouped(HfConfig& c, ModelSpec& m);        // full attention and sliding windows
void read_latent(HfConfig& c, ModelSpec& m);         // DeepSeek-V2 and V3
void read_sparse_latent(HfConfig& c, ModelSpec& m);  // DeepSeek-V3.2
void read_chunked(HfConfig& c, ModelSpec& m);        // Llama 4
void read_gated_delta(HfConfig& c, ModelSpec& m);    // Qwen3-Next, Qwen3.5
void read_lightning(HfConfig& c, ModelSpec& m);      // MiniMax-Text-01 and M1
void read_minimax_m2(HfConfig& c, ModelSpec& m);     // full attention; layers for multi-token prediction
void read_falcon(HfConfig& c, ModelSpec& m);

// Experts: sizes, and which layers have them.
void read_deepseek_experts(HfConfig& c, ModelSpec& m);
void read_qwen_experts(HfConfig& c, ModelSpec& m);
void read_qwen_experts_with_shared(HfConfig& c, ModelSpec& m);
void read_mixtral_experts(HfConfig& c, ModelSpec& m);  // all layers are MoE
void read_llama4_experts(HfConfig& c, ModelSpec& m);
void read_ernie_experts(HfConfig& c, ModelSpec& m);

}  // namespace disagg
