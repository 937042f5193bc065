#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "sim/base/quantity.hpp"

namespace disagg {

// What an accelerator draws while it works: P = TDP x (base + memory x u + tensor x cbrt(v)), within idle and
// 1, with u the share of the memory bandwidth and v the share of the dense bf16 tensor rate that are used.
// Rows of tiles that hold no token are computed too, and count for v. The draw of the tensor cores saturates
// early: decode steps that use 2 % of the rate take a quarter of the TDP for it, and 40 % take three
// quarters. Fitted, as shares of the TDP, to vLLM servers in a steady state (ML.ENERGY, 2026-02-16); see
// `source`.
struct PowerModel {
  double idle = 0;  // with weights loaded and nothing to do
  double base = 0, links = 0, memory = 0, tensor = 0;
  bool assumed = true;  // no measurement of this accelerator stands behind it
  std::string source;

  // Share of the TDP.
  double draw(double memory_share, double tensor_share, bool linked) const {
    return std::clamp(base + (linked ? links : 0) + memory * memory_share + tensor * std::cbrt(tensor_share),
                      idle, 1.0);
  }
};

// Rows of the smallest tile of the experts' grouped products: a tile that holds at least one token is
// computed whole. Kernels for weights quantised in blocks (fp8: DeepGEMM) have large ones.
constexpr double expert_tile_rows(bool block_quantised) { return block_quantised ? 64 : 16; }

}  // namespace disagg
