#pragma once

#include <variant>

#include "workloads/agent_turns.hpp"
#include "workloads/agents.hpp"
#include "workloads/azure.hpp"
#include "workloads/bailian.hpp"
#include "workloads/burstgpt.hpp"
#include "workloads/kv_cache_tester.hpp"
#include "workloads/llmservingsim.hpp"
#include "workloads/mooncake.hpp"
#include "workloads/session_trace.hpp"
#include "workloads/synthetic.hpp"

namespace disagg {

// Every kind of workload that a scenario may name. A new one joins here.
using WorkloadKind =
    std::variant<AzureTrace, BurstGptTrace, MooncakeTrace, BailianTrace, SessionTrace, KvCacheTesterTrace,
                 AgentTurnsTrace, LlmServingSimTrace, SyntheticWorkload, AgentsWorkload>;

}  // namespace disagg
