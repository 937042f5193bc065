#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/service/kernel_forms.hpp"
#include "sim/service/kernel_times.hpp"

namespace disagg {

// Fitted constants of one family, and the accelerator and format whose kernels they were fitted to.
template <class Constants>
struct Fitted {
  Constants constants{};
  std::string accelerator, format;
  bool packed = true;  // prefill attention: see PrefillAttentionShape
};
template <class Constants>
using ByFormat = std::array<std::optional<Fitted<Constants>>, kPrecisionNames.size()>;
template <class Constants>
using ByLeg = std::array<std::optional<Fitted<Constants>>, 2>;  // dispatch, combine

struct KernelConstants {
  ByFormat<GemmConstants> gemm;                         // by weight format
  ByFormat<DecodeAttentionConstants> decode_attention;  // by KV format, as are the next three
  ByFormat<PrefillAttentionConstants> prefill_attention;
  ByFormat<LatentDecodeConstants> latent_decode;
  ByFormat<LatentPrefillConstants> latent_prefill;
  ByFormat<ExpertsConstants> experts;              // by weight format
  ByFormat<ExpertsConstants> experts_min_latency;  // an alternative kernel; engines take the faster
  std::array<std::optional<Fitted<CollectiveConstants>>, kCollectiveNames.size()> collectives;
  std::optional<Fitted<AllReduceConstants>> all_reduce;
  ByLeg<LowLatencyConstants> low_latency;
  ByLeg<LowLatencyNetworkConstants> low_latency_network;
  ByLeg<NormalExchangeConstants> normal_exchange;
  ByLeg<NormalNetworkConstants> normal_network;
};

// The constants that hold for an accelerator: those fitted to it, for what was not measured those of its
// nearest relative, of the H100 and of the B200, in this order; for formats without kernels of their own
// those of the next of kin (int8 as fp8, fp4 and mxfp4 as nvfp4). Every entry but all_reduce's peers is
// filled.
KernelConstants kernel_constants(const std::string& accelerator);
// The same with rows of a file that `disagg calibrate` wrote first. Throws ConfigError.
KernelConstants kernel_constants(const std::string& accelerator, const std::filesystem::path& file);

// One row of the catalog, for listing.
struct KernelRow {
  std::string accelerator, family, operation, format, source;
  std::vector<std::pair<std::string, double>> constants;   // in the units of their names
  double mean_error = 0, median_error = 0, p90_error = 0;  // percent
};
std::vector<KernelRow> kernel_rows();

}  // namespace disagg
