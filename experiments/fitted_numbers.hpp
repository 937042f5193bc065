#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace disagg {

// Numbers of this program that were fitted to measurements, together: the overheads of a software profile, or
// the constants of one family of kernels.
struct FittedNumbers {
  std::string of;                                      // "vllm", "h100-sxm-80gb"
  std::string what;                                    // "software profile", "gemm bf16"
  std::vector<std::pair<std::string, double>> values;  // in the units of their names; zeros are left out
  std::string source;                                  // what they were fitted on, and with what error
};

// All that the program holds: software profiles first, then kernels by accelerator.
std::vector<FittedNumbers> fitted_numbers();
// Those that stand behind runs with these software profiles on accelerators whose kernels these rows lend.
std::vector<FittedNumbers> fitted_numbers(const std::set<std::string>& of);

// [{"of", "what", "count", "values", "source"}].
nlohmann::ordered_json fitted_numbers_json(const std::vector<FittedNumbers>& numbers);
// "vllm: 5 of the software profile; h100-sxm-80gb: 183 of kernels; 188 in all (`disagg list constants`)".
std::string fitted_numbers_sentence(const std::vector<FittedNumbers>& numbers);

}  // namespace disagg
