#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "sim/hardware/accelerator.hpp"
#include "sim/service/kernel_constants.hpp"
#include "sim/service/kernel_forms.hpp"

namespace disagg {

// What one measured kernel worked on; the alternative says which family of kernel_forms.hpp it belongs to.
struct CollectiveShape {
  double bytes = 0, ranks = 0, passes = 1;  // as in collective_time
};
struct AllReduceShape {
  double bytes = 0, ranks = 0;
};
struct LowLatencyShape {
  ExchangeShape exchange;
};
struct LowLatencyNetworkShape {
  ExchangeShape exchange;
  double domains = 1;
};
struct NormalExchangeShape {
  ExchangeShape exchange;
};
struct NormalNetworkShape {
  ExchangeShape exchange;
  double domains = 1;
};
using KernelShape =
    std::variant<GemmShape, DecodeAttentionShape, PrefillAttentionShape, LatentDecodeShape,
                 LatentPrefillShape, ExpertsShape, CollectiveShape, AllReduceShape, LowLatencyShape,
                 LowLatencyNetworkShape, NormalExchangeShape, NormalNetworkShape>;
// The constants of each alternative, in the same order.
using KernelConstantsOfShape =
    std::variant<GemmConstants, DecodeAttentionConstants, PrefillAttentionConstants, LatentDecodeConstants,
                 LatentPrefillConstants, ExpertsConstants, CollectiveConstants, AllReduceConstants,
                 LowLatencyConstants, LowLatencyNetworkConstants, NormalExchangeConstants,
                 NormalNetworkConstants>;

inline constexpr std::array<std::string_view, std::variant_size_v<KernelShape>> kKernelFamilies{
    GemmConstants::family,
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

// Rates that a measured kernel ran on.
struct MeasuredDevice {
  KernelDevice device;
  double port = 0;  // byte/s of a network port
};

// Time of a kernel as the benchmark measured it: activations quantised on the fly, and attention with the
// warm L2 cache of a repeated launch. Seconds, without the host's floor (see KernelSample::floored).
double benchmark_time(const GemmConstants&, const MeasuredDevice&, const GemmShape&);
double benchmark_time(const DecodeAttentionConstants&, const MeasuredDevice&, const DecodeAttentionShape&);
double benchmark_time(const PrefillAttentionConstants&, const MeasuredDevice&, const PrefillAttentionShape&);
double benchmark_time(const LatentDecodeConstants&, const MeasuredDevice&, const LatentDecodeShape&);
double benchmark_time(const LatentPrefillConstants&, const MeasuredDevice&, const LatentPrefillShape&);
double benchmark_time(const ExpertsConstants&, const MeasuredDevice&, const ExpertsShape&);
double benchmark_time(const CollectiveConstants&, const MeasuredDevice&, const CollectiveShape&);
double benchmark_time(const AllReduceConstants&, const MeasuredDevice&, const AllReduceShape&);
double benchmark_time(const LowLatencyConstants&, const MeasuredDevice&, const LowLatencyShape&);
double benchmark_time(const LowLatencyNetworkConstants&, const MeasuredDevice&,
                      const LowLatencyNetworkShape&);
double benchmark_time(const NormalExchangeConstants&, const MeasuredDevice&, const NormalExchangeShape&);
double benchmark_time(const NormalNetworkConstants&, const MeasuredDevice&, const NormalNetworkShape&);

// The constants that the catalog, or a file, gives a family.
template <class Constants>
std::optional<Fitted<Constants>> constants_of(const KernelConstants& k, const std::string& operation,
                                              const std::string& format) {
  const auto index = [](const auto& names, const std::string& name) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  const std::size_t f = index(kPrecisionNames, format);
  const std::size_t leg = operation == "combine" ? 1 : 0;
  if constexpr (std::is_same_v<Constants, GemmConstants>) {
    return k.gemm[f];
  } else if constexpr (std::is_same_v<Constants, DecodeAttentionConstants>) {
    return k.decode_attention[f];
  } else if constexpr (std::is_same_v<Constants, PrefillAttentionConstants>) {
    return k.prefill_attention[f];
  } else if constexpr (std::is_same_v<Constants, LatentDecodeConstants>) {
    return k.latent_decode[f];
  } else if constexpr (std::is_same_v<Constants, LatentPrefillConstants>) {
    return k.latent_prefill[f];
  } else if constexpr (std::is_same_v<Constants, ExpertsConstants>) {
    return operation == "min_latency" ? k.experts_min_latency[f] : k.experts[f];
  } else if constexpr (std::is_same_v<Constants, CollectiveConstants>) {
    return k.collectives[index(kCollectiveNames, operation)];
  } else if constexpr (std::is_same_v<Constants, AllReduceConstants>) {
    return k.all_reduce;
  } else if constexpr (std::is_same_v<Constants, LowLatencyConstants>) {
    return k.low_latency[leg];
  } else if constexpr (std::is_same_v<Constants, LowLatencyNetworkConstants>) {
    return k.low_latency_network[leg];
  } else if constexpr (std::is_same_v<Constants, NormalExchangeConstants>) {
    return k.normal_exchange[leg];
  } else {
    return k.normal_network[leg];
  }
}

// Prompts of one length without a cached prefix, with or without the queries of a group in shared tiles.
PrefillAttentionShape repacked(const PrefillAttentionShape& shape, bool packed);

// One measured kernel.
struct KernelSample {
  std::string accelerator{};  // as in the catalog
  std::string_view family{};  // of kKernelFamilies
  std::string operation{}, format{};
  std::string source{};  // of the kernel, as the file names it
  std::string group{};   // rows that a cross-validation holds out together
  KernelShape shape{};
  double seconds = 0;
  bool floored = false;  // launched without a CUDA graph: never faster than the host of this source
  bool cold = false;     // attention whose KV cache exceeds 1.5 times the L2 cache
  std::size_t file = 0;  // index into KernelSamples::files
  int line = 0;
  std::map<std::string, std::string> columns{};  // the shape as the file gives it
};

// Rows that are not compared, and why.
struct LeftOutRows {
  std::string file, reason;
  std::size_t rows = 0;
};

struct KernelSamples {
  std::vector<std::string> files;
  std::vector<KernelSample> samples;  // in the order of the files
  std::vector<LeftOutRows> left_out;
};

// Reads measured kernels in the columns of aiconfigurator's *_perf.csv: GEMM, prefill and decode attention,
// MLA cores, MoE, NCCL, custom all-reduce and DeepEP, told apart by op_name and columns. Rows that no form
// describes, or that are known to be artefacts of the benchmark, are counted in left_out. Throws ConfigError
// with file, line and column: a file of none of these kinds, a missing column, a value that is not a positive
// number, a device or format that is not known.
KernelSamples read_kernel_files(const std::vector<std::filesystem::path>& files);

// The rates of a sample's accelerator and format. Throws ConfigError when the catalog lacks them.
MeasuredDevice device_of(const KernelSample& sample);

// Experts with tokens and (token, expert) pairs of the most loaded rank.
struct RankLoad {
  double experts = 0, pairs = 0;
};
// Routing as the benchmark draws it: weights of the experts by a power law of this exponent on [1, 0.8 T], or
// on [0.01, 2] when there are no more pairs than experts, scaled to all pairs, at most T each, on ranks in
// drawn order. An expert with less than one token counts as that share of one. Mean of twelve draws with a
// fixed seed; remembers what it has drawn. An exponent of 0 stands for balanced experts. The benchmark is
// aiconfigurator's collector; shares in place of whole tokens agree best with its times.
RankLoad routed_load(double experts, double per_token, double ranks, double tokens, double exponent);

}  // namespace disagg
