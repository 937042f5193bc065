#pragma once

#include <variant>

#include "workloads/azure.hpp"
#include "workloads/mooncake.hpp"
#include "workloads/synthetic.hpp"

namespace disagg {

// Every kind of workload that a scenario may name. A new one joins here.
using WorkloadKind = std::variant<AzureTrace, MooncakeTrace, SyntheticWorkload>;

}  // namespace disagg
