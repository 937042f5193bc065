#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/csv_table.hpp"
#include "sim/hardware/accelerator.hpp"

namespace disagg {

// A measurement of a serving deployment, and the scenario that repeats it.
struct ServingRow {
  std::string id;
  int line = 0;
  std::map<std::string, std::string> columns;
  double ttft_ms = 0, tpot_ms = 0;  // measured
  std::string scenario;             // JSON; empty when the row cannot be represented
  std::string reason;               // why it cannot
  std::string engine;               // name of the software profile
  std::string accelerator;          // name in the catalog
  bool suspect = false;             // topology_suspect
  // Sequences that the decode replicas take at once, all together, and requests in flight.
  double slots = 0, concurrency = 0;
};

struct ServingRowOptions {
  std::filesystem::path
      models;  // folder of Hugging Face config.json files named owner--model.json; may be empty
  std::filesystem::path recipes;  // how benchmarks were launched; empty: those in the program
};

// The accelerator that measurements call `system`: "h100_sxm" and "H100" are the catalog's "h100-sxm-80gb",
// "gb200_sxm" its "gb200-nvl72". Null for a form or size that the catalog lacks, such as "h100_pcie".
const Accelerator* find_system(const std::string& system);

// Reads a file with the columns of serving measurements (id, backend, model_path, system, mode, isl, osl,
// concurrency, sizes of the replicas, silicon_ttft_ms, silicon_tpot_ms). Each row becomes the benchmark that
// made it: lengths uniform in 0.8 to 1.0 of the nominal ones, ten times as many prompts as are in flight, a
// burst and then one in for one out (InferenceX's client). Throws ConfigError: damaged file.
std::vector<ServingRow> read_serving_rows(const CsvTable& table, const ServingRowOptions& options);

}  // namespace disagg
