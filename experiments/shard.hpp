#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace disagg {

// "2/8", from 1 on, or "auto": what Slurm (arrays, srun), MPI (OpenMPI, PMI) or an indexed Kubernetes job
// says in the environment. Throws ConfigError.
std::pair<std::size_t, std::size_t> parse_shard(const std::string& text);

}  // namespace disagg
