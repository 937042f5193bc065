#include "sim/model/sizes.hpp"

#include <algorithm>
#include <string>

namespace disagg {
namespace {

std::int64_t bounded(Reader& r, std::string_view key, std::int64_t size, std::int64_t most) {
  if (size > most) r.fail(key, "must be at most " + std::to_string(most));
  return std::clamp<std::int64_t>(size, 0, most);
}

}  // namespace

bool given(const Reader& r, std::string_view key) {
  const ConfigNode* value = r.node().find(key);
  return value != nullptr && value->kind != ConfigNode::Kind::null;
}

std::int64_t read_size(Reader& r, std::string_view key, std::int64_t most) {
  return bounded(r, key, r.get<std::int64_t>(key, Range::positive), most);
}

std::int64_t find_size(Reader& r, std::string_view key) {
  return bounded(r, key, r.find<std::int64_t>(key, Range::non_negative).value_or(0), kGreatestSize);
}

std::int64_t even_head_dim(Reader& r, const ModelSpec& m) {
  if (m.num_attention_heads <= 0 || m.hidden_size <= 0) return 0;
  if (m.hidden_size % m.num_attention_heads != 0)
    r.fail("", "'head_dim' is missing, and " + std::to_string(m.num_attention_heads) +
                   " heads do not divide the hidden size " + std::to_string(m.hidden_size));
  return m.hidden_size / m.num_attention_heads;
}

std::int64_t layers_of_experts(const ModelSpec& m) {
  if (!m.is_moe() || m.moe_layer_step <= 0) return 0;
  const std::int64_t dense = std::min(m.first_dense_layers, m.num_hidden_layers);
  return m.num_hidden_layers / m.moe_layer_step - dense / m.moe_layer_step;
}

void check_heads_and_experts(Reader& r, const ModelSpec& m, std::string_view per_token) {
  if (m.num_experts > kMostExperts)
    r.fail(per_token, "of " + std::to_string(m.num_experts) + " experts; more than " +
                          std::to_string(kMostExperts) + " are not understood");
  if (m.num_key_value_heads > 0 && m.num_attention_heads % m.num_key_value_heads != 0)
    r.fail("num_key_value_heads", std::to_string(m.num_key_value_heads) + " does not divide the " +
                                      std::to_string(m.num_attention_heads) + " attention heads");
  if (m.is_moe() && m.num_experts_per_tok > m.num_experts)
    r.fail(per_token, "is greater than the number of experts, " + std::to_string(m.num_experts));
}

}  // namespace disagg
