#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/hardware/accelerator.hpp"
#include "sim/intensity/transformer_work.hpp"
#include "sim/model/model_spec.hpp"

namespace disagg {

// What a user may write after `disagg roofline`.
struct RooflineOptions {
  std::vector<std::string> models{"llama-3.1-70b", "deepseek-r1"};
  std::vector<std::string> accelerators{"h100-sxm-80gb", "b200-sxm"};
  std::vector<std::string> phases{"prefill", "decode"};
  std::vector<std::int64_t> contexts{8192};  // tokens
  std::vector<std::int64_t> batches{1, 16, 64};
  std::int64_t machine = 8;                            // accelerators that work as one
  std::string weights = "bf16", experts, kv = "bf16";  // number formats; experts as weights if empty
  std::string format = "table";                        // table, csv or json
};

enum class Phase { prefill, decode };
std::string_view name(Phase);

// One step of a phase on a machine against its datasheet: no kernel, link or software reaches it.
struct RooflinePoint {
  Work work;
  Bytes footprint{};  // of one request: its cache and state, and its share of the weights
  // Rate at which the step's products would run if only they took time: the peak of their number format, the
  // harmonic mean where products differ in it. Nothing where the accelerator's is not published.
  std::optional<FlopsPerSecond> peak{};
  std::optional<BytesPerSecond> bandwidth{};
  std::int64_t max_batch = 0;  // requests that memory holds beside the weights
  // Greatest context of which one request fits beside the weights; 0 where the weights do not fit, nothing
  // where the cache does not grow with the context.
  std::optional<TokenCount> capacity_wall{};
  bool fits = false;

  std::optional<FlopsPerByte> ridge() const;
  std::optional<Seconds> bound() const;  // the longer of arithmetic and memory traffic
  // "capacity" where memory does not hold the batch, else "compute" or "bandwidth"; empty if not known.
  std::string_view regime() const;
};

// One step: a prefill of `batch` prompts of `context` tokens from an empty cache, each with one logit; or a
// decode step of `batch` requests whose contexts are `context` tokens, the new one included. Work and traffic
// are those of TransformerWork with one copy of the cache.
Work step_work(const ModelSpec& model, const PrecisionPlan& precision, Phase phase, TokenCount context,
               std::int64_t batch);

// `machine` accelerators share weights, cache and work evenly, and all of their memory is for these: no
// workspace, no reserve.
RooflinePoint roofline_point(const ModelSpec& model, const PrecisionPlan& precision,
                             const Accelerator& accelerator, std::int64_t machine, Phase phase,
                             TokenCount context, std::int64_t batch);

// A row of the catalog by its name as scenarios write it. Throws ConfigError, which starts with `option`.
const ModelSpec& model_called(std::string_view option, std::string_view word);
const Accelerator& accelerator_called(std::string_view option, std::string_view word);

// `disagg roofline`: a row for every combination. Throws ConfigError when a name is unknown.
void print_roofline(const RooflineOptions& options, std::ostream& out);

}  // namespace disagg
