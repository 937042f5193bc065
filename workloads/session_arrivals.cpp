#include "workloads/session_arrivals.hpp"

#include "sim/base/one_of.hpp"

namespace disagg {

std::optional<Arrivals> find_arrivals(Reader& r) {
  const auto object = r.find_object("arrivals");
  if (!object) return std::nullopt;
  return OneOf<Arrivals>::read(*object);
}

}  // namespace disagg
