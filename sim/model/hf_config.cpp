#include <filesystem>
#include <string>

#include "sim/model/hf_architectures.hpp"
#include "sim/model/hf_quantization.hpp"
#include "sim/model/model_spec.hpp"
#include "sim/model/sizes.hpp"

namespace disagg {
namespace {

// "deepseek-ai/DeepSeek-V3" of deepseek-ai--DeepSeek-V3.json, else what the file says, else its own name, or
// of a config.json its folder's. A "_name_or_path" that is a path is where somebody once kept the model.
std::string name_of(const std::filesystem::path& file, const Reader& config) {
  const std::string stem = file.stem().string();
  const std::size_t dashes = stem.find("--");
  if (dashes != std::string::npos) return stem.substr(0, dashes) + "/" + stem.substr(dashes + 2);
  const ConfigNode* name = config.node().find("_name_or_path");
  if (name != nullptr && !name->text.empty() && !name->text.starts_with('/') && !name->text.starts_with('.'))
    return name->text;
  if (file.filename() != "config.json") return file.stem().string();
  return std::filesystem::absolute(file).parent_path().filename().string();
}

}  // namespace

std::optional<ModelSpec> read_hf_file(const std::filesystem::path& file, Problems& problems) {
  ConfigNode node = load_config(file);
  Reader outer(node, "", problems);
  const ConfigNode* outer_type = node.find("model_type");
  const bool wrapped =
      given(outer, "text_config") && (outer_type == nullptr || !is_hf_architecture(outer_type->text));
  std::optional<Reader> text = wrapped ? outer.object("text_config") : std::optional<Reader>(outer);
  if (!text) return std::nullopt;
  std::optional<ModelSpec> read = read_hf_architecture(*text);
  if (!read) return std::nullopt;

  ModelSpec& m = *read;
  m.name = name_of(file, outer);
  m.source = file.string();
  if (!given(*text, "tie_word_embeddings") && given(outer, "tie_word_embeddings"))
    m.tie_word_embeddings = outer.get<bool>("tie_word_embeddings");
  if (wrapped)
    m.note += "The language model of '" + (outer_type == nullptr ? "?" : outer_type->text) +
              "' alone: what turns images or sound into tokens is not modelled. ";
  const std::filesystem::path beside = file.parent_path() / "hf_quant_config.json";
  if (given(*text, "quantization_config"))
    read_hf_quantization(*text, m);
  else if (given(outer, "quantization_config"))
    read_hf_quantization(outer, m);
  else if (file.filename() == "config.json" && std::filesystem::exists(beside))
    read_hf_quantization_file(beside, m, problems);
  if (!m.published_quantization.empty())
    m.note += "Weights published in " + m.published_quantization +
              (m.expert_weight_bits ? ", those of the routed experts only. " : ". ");
  if (m.note.ends_with(' ')) m.note.pop_back();
  return read;
}

}  // namespace disagg
