#include "workloads/workload.hpp"

#include <utility>

#include "sim/base/one_of.hpp"
#include "workloads/transforms.hpp"

namespace disagg {
namespace {

class TransformedWorkload : public Workload {
 public:
  TransformedWorkload(WorkloadKind workload, Transforms transforms)
      : workload_(std::move(workload)), transforms_(std::move(transforms)) {}

  std::unique_ptr<Source> open(std::uint64_t seed) const override {
    return transforms_.apply(
        std::visit([&](const auto& workload) { return workload.open(seed); }, workload_));
  }

 private:
  WorkloadKind workload_;
  Transforms transforms_;
};

}  // namespace

std::unique_ptr<Workload> read_workload(Reader& r, std::string_view key) {
  auto object = r.object(key);
  if (!object) return nullptr;
  Transforms transforms = Transforms::read(*object);
  auto workload = OneOf<WorkloadKind>::read(*object);
  if (!workload || !r.problems().empty()) return nullptr;
  return std::make_unique<TransformedWorkload>(std::move(*workload), std::move(transforms));
}

}  // namespace disagg
