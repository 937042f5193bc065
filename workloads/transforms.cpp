#include "workloads/transforms.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "sim/base/text.hpp"

namespace disagg {
namespace {

class TransformedSource : public Source {
 public:
  TransformedSource(std::unique_ptr<Source> source, const Transforms& transforms)
      : source_(std::move(source)),
        transforms_(transforms),
        window_(transforms.window.value_or(Transforms::Window{Seconds{}, kNever})),
        left_(transforms.first.value_or(std::numeric_limits<std::int64_t>::max())) {}

  std::optional<RequestSpec> next() override {
    if (left_ == 0) return std::nullopt;
    auto request = next_in_window();
    if (!request) {
      left_ = 0;
      return std::nullopt;
    }
    --left_;
    request->arrival = (request->arrival - window_.from) / transforms_.rate_scale;
    return request;
  }

  const std::vector<std::string>& kinds() const override { return source_->kinds(); }
  std::optional<std::int64_t> concurrency() const override { return source_->concurrency(); }
  double progress() const override {
    // Whichever of the ends comes first: of the source, of the window, of the first so many.
    double share = source_->progress();
    if (transforms_.first)
      share = std::max(share, 1 - static_cast<double>(left_) / static_cast<double>(*transforms_.first));
    if (transforms_.window) share = std::max(share, std::min(1.0, last_arrival_ / window_.to));
    return share;
  }
  std::string trace_hash() const override { return source_->trace_hash(); }
  std::vector<std::string> notes() const override { return source_->notes(); }

 private:
  std::optional<RequestSpec> next_in_window() {
    while (auto request = source_->next()) {
      last_arrival_ = request->arrival;
      if (request->arrival >= window_.to) break;
      if (request->arrival < window_.from) continue;
      found_ = true;
      return request;
    }
    if (transforms_.window && !found_) {
      throw ConfigError(transforms_.window_origin + "no request arrives from " + show(window_.from) + " to " +
                        show(window_.to) + "; the nearest seen arrives at " + show(last_arrival_));
    }
    return std::nullopt;
  }

  std::unique_ptr<Source> source_;
  Transforms transforms_;
  Transforms::Window window_;
  std::int64_t left_;
  bool found_ = false;  // a request in the window
  Seconds last_arrival_{};
};

std::optional<Transforms::Window> read_window(Reader& r) {
  const auto ends = r.find<std::vector<Seconds>>("window", Range::non_negative);
  if (!ends) return std::nullopt;
  if (ends->size() != 2 || (*ends)[0] >= (*ends)[1]) {
    r.fail("window", "expects two times, the earlier first, such as [\"10 min\", \"20 min\"]");
    return std::nullopt;
  }
  return Transforms::Window{(*ends)[0], (*ends)[1]};
}

}  // namespace

Transforms Transforms::read(Reader& r) {
  Transforms transforms;
  transforms.window = read_window(r);
  if (transforms.window)
    transforms.window_origin = r.node().find("window")->where.text() + ": " + r.path() + ".window: ";
  transforms.first = r.find<std::int64_t>("first", Range::positive);
  transforms.rate_scale = r.get_or<double>("rate_scale", "1", Range::positive);
  if (transforms.rate_scale > 0 && (transforms.rate_scale < 1e-6 || transforms.rate_scale > 1e6))
    r.fail("rate_scale", "must be between 1e-6 and 1e6");
  return transforms;
}

std::unique_ptr<Source> Transforms::apply(std::unique_ptr<Source> source) const {
  if (!window && !first && rate_scale == 1) return source;
  return std::make_unique<TransformedSource>(std::move(source), *this);
}

}  // namespace disagg
