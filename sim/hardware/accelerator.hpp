#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/base/quantity.hpp"
#include "sim/hardware/power_model.hpp"

namespace disagg {

// Number formats of weights, activations and KV cache. The block formats carry scale factors: fp8-block four
// bytes for 128 x 128 elements (DeepSeek-V3), nvfp4 one for 16, mxfp4 one for 32 (OCP Microscaling v1.0),
// int4 two for 128. int4 is a format of weights only: products run at the rate of 16-bit numbers.
enum class Precision { bf16, fp16, fp8, int8, fp4, fp8_block, int4, nvfp4, mxfp4 };
inline constexpr std::array<std::string_view, 9> kPrecisionNames{"bf16",      "fp16", "fp8",   "int8", "fp4",
                                                                 "fp8-block", "int4", "nvfp4", "mxfp4"};
std::string_view name(Precision);
// Bytes of one element, with its share of the scale factors that the format itself defines.
double bytes_per_element(Precision);

// Where the numbers of a catalog row come from.
struct Provenance {
  std::string source;
  std::string note;
  std::vector<std::string> unverified;  // fields without a primary source
};

// Share of the datasheet's peak that kernels reach in a roofline (0 to 1], and where the shares come from.
struct Efficiency {
  double gemm = 0;               // tensor rate of large matrix products
  double attention = 0;          // tensor rate of prefill attention
  double weights = 0;            // memory rate while weights and activations stream
  double kv_cache = 0;           // memory rate while attention reads the KV cache
  double scale_up = 0;           // link rate of collectives inside the scale-up domain
  Seconds collective_latency{};  // fixed time of one all-reduce
  bool assumed = true;           // no measurement of this accelerator stands behind them
  std::string source;
};

// One accelerator as its datasheet gives it. An absent field is not published; what needs it must say so.
struct Accelerator {
  std::string name;     // as written in scenarios: "h100-sxm-80gb"
  std::string extends;  // row of the catalog that it changes; empty for a row as it is, or a chip of its own
  std::string title;    // as the vendor writes it
  // Dense tensor peaks. fp16 only where it differs from bf16.
  std::optional<FlopsPerSecond> bf16, fp16, fp8, int8, fp4;
  Bytes memory_capacity{};
  std::optional<Bytes>
      visible_memory;  // what software finds, where measured: binary units exceed the datasheet's
  std::optional<BytesPerSecond> memory_bandwidth;
  std::string memory_type;
  std::optional<Watts> tdp;
  PowerModel power;
  std::string scale_up_link;
  std::optional<BytesPerSecond> scale_up_bandwidth;  // per direction
  std::int64_t scale_up_domain = 1;                  // accelerators that the scale-up link joins
  std::optional<std::int64_t> processors;            // streaming multiprocessors or compute units
  std::optional<Bytes> l2_capacity;
  std::optional<BytesPerSecond> nic_bandwidth;   // per direction
  std::optional<BytesPerSecond> pcie_bandwidth;  // per direction
  std::optional<Dollars> price;                  // central figure of the catalog's range
  std::optional<DollarsPerSecond> rent;          // central figure of the catalog's range
  // With its share of host, network and storage: capital, and power that must be provided for (nameplates).
  std::optional<Dollars> all_in_capital;
  std::optional<Watts> all_in_power;
  std::string all_in_source;
  Efficiency efficiency;
  Provenance provenance;

  // Dense peak of products in this format; a format without tensor support runs at the next wider one's rate.
  // Nothing when not even bf16 is published.
  std::optional<FlopsPerSecond> peak(Precision) const;
  // The wider format whose rate that is, where this one is meant to have its own and does not; not of int4,
  // which is unpacked to 16 bits everywhere.
  std::optional<Precision> stand_in(Precision) const;
};

// One row of the link or memory catalog: facts for listing and for topologies. `facts` keeps every published
// field as it is written in the catalog, under its path: {"more.energy_low", "5 pJ/bit"}.
struct CatalogFact {
  std::string key;
  std::string value;
};
struct Link {
  std::string name;
  std::string title;
  std::string kind;                         // nvlink, pcie, infiniband, ethernet, cxl, optical ...
  std::optional<BytesPerSecond> bandwidth;  // per direction
  std::optional<Seconds> latency;           // end to end, software included where the source says so
  std::vector<CatalogFact> facts;
  Provenance provenance;
};
struct Memory {
  std::string name;
  std::string title;
  std::string kind;  // hbm, gddr, ddr, lpddr, cxl_pool, photonic_pool, nvme
  std::optional<BytesPerSecond> bandwidth;
  std::optional<Bytes> capacity;
  std::vector<CatalogFact> facts;
  Provenance provenance;
};

// What a memory below the accelerators' own costs. Where nothing is said: DDR5 RDIMM, 7 USD/GB (2.4 to 10.9
// within two years), 2 W for 32 GB, 12 pJ/bit (6 to 15).
struct MemoryCost {
  double usd_per_gb = 7;
  double watts_per_gb = 0.0625;  // drawn under any load
  double pj_per_bit = 12;        // of bits moved
};

// A memory below the accelerators' own as serving engines reach it: rates of transfers, per direction.
struct MemoryTierRow {
  std::string name;
  std::string title;
  std::string scope;                            // replica, host or cluster: whose an instance is
  std::int64_t ports = 1;                       // into the network, of one of the cluster
  BytesPerSecond port_read{}, port_write{};     // of each of these, or of each accelerator
  std::optional<BytesPerSecond> read, write;    // of an instance, all ports together; else their sum
  std::optional<double> operations_per_second;  // contiguous pieces that an instance moves
  std::optional<Bytes> capacity;
  Seconds latency{};  // before the first byte
  MemoryCost cost;
  Provenance provenance;
};

// Observed corrections and fits that belong to no single accelerator or link.
struct Calibration {
  std::string name;  // not unique: "collective_buffers" has a row for each number of accelerators
  std::vector<CatalogFact> facts;
  Provenance provenance;
};

// The catalogs embedded in the program, parsed once.
std::span<const Accelerator> accelerators();
std::span<const Link> links();
std::span<const Memory> memories();
std::span<const MemoryTierRow> memory_tiers();
std::span<const Calibration> calibrations();

// Reads "cost" of a memory; what it does not give is that of `otherwise`.
MemoryCost read_memory_cost(Reader& r, MemoryCost otherwise = {});

// Reads `key` of a scenario: the name of a catalog row, or an inline object with the fields of a row, which
// may carry "extends": NAME to change some fields of a catalog row. Its "efficiency" may name the row that
// lends its shares; without one the H100 does. Problems go to the reader.
std::optional<Accelerator> read_accelerator(Reader& r, std::string_view key);
// What to write for an accelerator that lacks `field` (as it stands in a scenario, with its value), for the
// end of a message: in an object that extends the row of the catalog, or in its own description.
std::string how_to_give(const Accelerator& accelerator, std::string_view field);
// Reads `key` as the name of a link of the catalog that has a bandwidth.
std::optional<Link> read_link(Reader& r, std::string_view key, std::string_view fallback);

}  // namespace disagg
