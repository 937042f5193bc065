#include "sim/service/kernel_constants.hpp"

#include <algorithm>
#include <span>

#include "embedded.hpp"
#include "sim/base/config.hpp"
#include "sim/base/expect.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

constexpr std::string_view kH100 = "h100-sxm-80gb";
constexpr std::string_view kB200 = "b200-sxm";
constexpr std::array<std::string_view, 12> kFamilies{GemmConstants::family,
                                                     DecodeAttentionConstants::family,
                                                     PrefillAttentionConstants::family,
                                                     LatentDecodeConstants::family,
                                                     LatentPrefillConstants::family,
                                                     ExpertsConstants::family,
                                                     CollectiveConstants::family,
                                                     AllReduceConstants::family,
                                                     LowLatencyConstants::family,
                                                     LowLatencyNetworkConstants::family,
                                                     NormalExchangeConstants::family,
                                                     NormalNetworkConstants::family};
constexpr std::array<std::string_view, 2> kLegNames{"dispatch", "combine"};

const ConfigNode& catalog() {
  static const ConfigNode root = parse_config(embedded::service_catalog, "sim/service/catalog.json");
  return root;
}

std::string text_of(const ConfigNode& row, std::string_view key) {
  const ConfigNode* value = row.find(key);
  return value != nullptr ? value->text : std::string();
}

std::string relative_of(const std::string& accelerator) {
  const ConfigNode* relatives = catalog().find("relatives");
  expect(relatives != nullptr, "the catalog of kernels lacks its relatives");
  const ConfigNode* found = relatives->find(accelerator);
  return found != nullptr ? found->text : relatives->find("*")->text;
}

template <class Constants>
Fitted<Constants> read_constants(const ConfigNode& row) {
  Fitted<Constants> fitted;
  fitted.accelerator = text_of(row, "accelerator");
  fitted.format = text_of(row, "format");
  if (const ConfigNode* packed = row.find("packed")) fitted.packed = packed->boolean;
  ConfigNode copy = row;
  Problems problems;
  Reader r(copy, "kernels", problems);
  if (auto constants = r.object("constants")) {
    for (const auto& field : Constants::fields)
      fitted.constants.*field.member =
          constants->template get<double>(field.name, Range::non_negative) * field.unit;
    constants->done();
  }
  problems.throw_if_any();
  return fitted;
}

// Rows in order of preference: of the file, of the accelerator, of its relatives.
class Rows {
 public:
  Rows(const std::string& accelerator, const ConfigNode* file) {
    if (file != nullptr) append(*file, "");
    const ConfigNode& shipped = *catalog().find("kernels");
    for (const std::string& name :
         {accelerator, relative_of(accelerator), std::string(kH100), std::string(kB200)})
      append(shipped, name);
  }

  template <class Constants>
  std::optional<Fitted<Constants>> find(std::string_view operation, std::string_view format) const {
    for (const ConfigNode* row : rows_)
      if (text_of(*row, "family") == Constants::family && text_of(*row, "operation") == operation &&
          text_of(*row, "format") == format)
        return read_constants<Constants>(*row);
    return std::nullopt;
  }
  template <class Constants>
  void fill(ByFormat<Constants>& table, std::span<const std::string_view> kin, std::string_view operation) {
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = find<Constants>(operation, kin[i]);
  }

 private:
  void append(const ConfigNode& table, const std::string& accelerator) {
    for (const ConfigNode& row : table.items)
      if (accelerator.empty() || text_of(row, "accelerator") == accelerator) rows_.push_back(&row);
  }

  std::vector<const ConfigNode*> rows_;
};

using Kin = std::array<std::string_view, kPrecisionNames.size()>;

// Whose kernels serve a format, in the order of kPrecisionNames:
//   bf16, fp16, fp8, fp8-block, int8, int4, fp4, nvfp4, mxfp4 as listed there.
Kin kin(const std::array<std::pair<Precision, std::string_view>, kPrecisionNames.size()>& pairs) {
  Kin result;
  for (const auto& [precision, name] : pairs) result[static_cast<std::size_t>(precision)] = name;
  return result;
}

const Kin& weight_kin() {
  static const Kin table = kin({{{Precision::bf16, "bf16"},
                                 {Precision::fp16, "bf16"},
                                 {Precision::fp8, "fp8"},
                                 {Precision::int8, "fp8"},
                                 {Precision::fp8_block, "fp8-block"},
                                 {Precision::int4, "bf16"},
                                 {Precision::fp4, "nvfp4"},
                                 {Precision::nvfp4, "nvfp4"},
                                 {Precision::mxfp4, "nvfp4"}}});
  return table;
}
const Kin& expert_kin() {
  static const Kin table = [] {
    Kin kin = weight_kin();
    kin[static_cast<std::size_t>(Precision::int4)] = "int4";
    return kin;
  }();
  return table;
}
const Kin& kv_kin() {
  static const Kin table = kin({{{Precision::bf16, "bf16"},
                                 {Precision::fp16, "bf16"},
                                 {Precision::fp8, "fp8"},
                                 {Precision::int8, "fp8"},
                                 {Precision::fp8_block, "fp8"},
                                 {Precision::int4, "fp8"},
                                 {Precision::fp4, "fp8"},
                                 {Precision::nvfp4, "fp8"},
                                 {Precision::mxfp4, "fp8"}}});
  return table;
}

KernelConstants resolve(Rows rows) {
  KernelConstants k;
  rows.fill(k.gemm, weight_kin(), "");
  rows.fill(k.decode_attention, kv_kin(), "");
  rows.fill(k.prefill_attention, kv_kin(), "");
  rows.fill(k.latent_decode, kv_kin(), "");
  rows.fill(k.latent_prefill, kv_kin(), "");
  rows.fill(k.experts, expert_kin(), "");
  rows.fill(k.experts_min_latency, expert_kin(), "min_latency");
  for (std::size_t i = 0; i < kCollectiveNames.size(); ++i)
    k.collectives[i] = rows.find<CollectiveConstants>(kCollectiveNames[i], "");
  k.all_reduce = rows.find<AllReduceConstants>("", "");
  for (std::size_t i = 0; i < kLegNames.size(); ++i) {
    k.low_latency[i] = rows.find<LowLatencyConstants>(kLegNames[i], "");
    k.low_latency_network[i] = rows.find<LowLatencyNetworkConstants>(kLegNames[i], "");
    k.normal_exchange[i] = rows.find<NormalExchangeConstants>(kLegNames[i], "");
    k.normal_network[i] = rows.find<NormalNetworkConstants>(kLegNames[i], "");
  }
  return k;
}

}  // namespace

KernelConstants kernel_constants(const std::string& accelerator) {
  return resolve(Rows(accelerator, nullptr));
}

KernelConstants kernel_constants(const std::string& accelerator, const std::filesystem::path& file) {
  const ConfigNode root = load_config(file);
  const ConfigNode* table = root.find("kernels");
  if (table == nullptr || table->kind != ConfigNode::Kind::array)
    throw ConfigError(file.string() + ": has no array \"kernels\", as `disagg calibrate` writes it");
  if (table->items.empty()) throw ConfigError(file.string() + ": \"kernels\" is empty");
  for (const ConfigNode& row : table->items) {
    const std::string where = file.string() + ":" + std::to_string(row.where.line) + ": kernels: ";
    if (row.kind != ConfigNode::Kind::object) throw ConfigError(where + "a row must be an object");
    if (const std::string family = text_of(row, "family"); std::ranges::count(kFamilies, family) == 0)
      throw ConfigError(where + "family " + unknown_word(family, kFamilies));
  }
  return resolve(Rows(accelerator, table));
}

std::vector<KernelRow> kernel_rows() {
  std::vector<KernelRow> rows;
  for (const ConfigNode& row : catalog().find("kernels")->items) {
    KernelRow listed{.accelerator = text_of(row, "accelerator"),
                     .family = text_of(row, "family"),
                     .operation = text_of(row, "operation"),
                     .format = text_of(row, "format"),
                     .source = text_of(row, "source"),
                     .constants = {}};
    for (const ConfigNode::Member& member : row.find("constants")->members)
      listed.constants.emplace_back(member.key, member.value.number);
    if (const ConfigNode* error = row.find("error_percent")) {
      listed.mean_error = error->find("mean")->number;
      listed.median_error = error->find("median")->number;
      listed.p90_error = error->find("p90")->number;
    }
    rows.push_back(std::move(listed));
  }
  return rows;
}

}  // namespace disagg
