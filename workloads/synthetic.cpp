#include "workloads/synthetic.hpp"

#include <algorithm>
#include <boost/random/uniform_01.hpp>
#include <limits>
#include <utility>

namespace disagg {
namespace {

RequestKind read_lengths(Reader& r) {
  RequestKind request_kind;
  request_kind.prompt_tokens = read_length(r, "prompt_tokens");
  request_kind.output_tokens = read_length(r, "output_tokens");
  return request_kind;
}

RequestKind read_kind(Reader& r) {
  RequestKind request_kind = read_lengths(r);
  request_kind.name = r.name("name");
  request_kind.share = r.get_or<double>("share", "1", Range::positive);
  r.done();
  return request_kind;
}

std::vector<RequestKind> read_kinds(Reader& r) {
  auto items = r.objects("kinds", false);
  if (!r.has("kinds")) return {read_lengths(r)};
  std::vector<RequestKind> request_kinds;
  for (Reader& item : items) {
    RequestKind request_kind = read_kind(item);
    for (const RequestKind& other : request_kinds)
      if (other.name == request_kind.name) item.fail("name", "'" + other.name + "' stands twice");
    request_kinds.push_back(std::move(request_kind));
  }
  if (request_kinds.empty()) r.fail("kinds", "needs at least one kind of request");
  return request_kinds;
}

// The lengths of one kind, with a random stream for each.
struct Lengths {
  Length prompt;
  Length output;
  RandomEngine prompt_stream;
  RandomEngine output_stream;
};

class SyntheticSource : public Source {
 public:
  SyntheticSource(const SyntheticWorkload& workload, std::uint64_t seed)
      : arrivals_(workload.arrivals),
        duration_(workload.duration),
        requests_(workload.requests.value_or(std::numeric_limits<std::int64_t>::max())),
        left_(requests_),
        arrival_stream_(random_stream(seed, "arrivals")),
        kind_stream_(random_stream(seed, "kinds")) {
    for (const RequestKind& request_kind : workload.request_kinds) {
      const std::string stream = "lengths/" + request_kind.name;
      kinds_.push_back(request_kind.name);
      lengths_.push_back({request_kind.prompt_tokens, request_kind.output_tokens,
                          random_stream(seed, stream + "/prompt"), random_stream(seed, stream + "/output")});
      shares_up_to_.push_back((shares_up_to_.empty() ? 0 : shares_up_to_.back()) + request_kind.share);
    }
  }

  std::optional<RequestSpec> next() override {
    if (left_ == 0) return std::nullopt;
    const Seconds arrival =
        std::visit([&](auto& process) { return process.next(arrival_stream_); }, arrivals_);
    if (arrival >= duration_) {
      left_ = 0;
      return std::nullopt;
    }
    --left_;
    last_arrival_ = arrival;
    const std::uint32_t index = draw_kind();
    Lengths& lengths = lengths_[index];
    return RequestSpec{arrival, draw(lengths.prompt, lengths.prompt_stream),
                       draw(lengths.output, lengths.output_stream), index};
  }

  const std::vector<std::string>& kinds() const override { return kinds_; }
  std::optional<std::int64_t> concurrency() const override {
    const auto* loop = std::get_if<ClosedLoop>(&arrivals_);
    return loop != nullptr ? std::optional(loop->concurrency) : std::nullopt;
  }
  double progress() const override {
    return std::max(1 - static_cast<double>(left_) / static_cast<double>(requests_),
                    last_arrival_ / duration_);
  }

 private:
  std::uint32_t draw_kind() {
    const double point = boost::random::uniform_01<double>()(kind_stream_) * shares_up_to_.back();
    const auto above = std::upper_bound(shares_up_to_.begin(), shares_up_to_.end() - 1, point);
    return static_cast<std::uint32_t>(above - shares_up_to_.begin());
  }

  Arrivals arrivals_;
  Seconds duration_;
  Seconds last_arrival_{};
  std::int64_t requests_;
  std::int64_t left_;
  RandomEngine arrival_stream_;
  RandomEngine kind_stream_;
  std::vector<std::string> kinds_;
  std::vector<Lengths> lengths_;
  std::vector<double> shares_up_to_;  // running sum over the kinds
};

}  // namespace

SyntheticWorkload SyntheticWorkload::read(Reader& r) {
  SyntheticWorkload workload;
  if (auto arrivals = read_arrivals(r)) workload.arrivals = *arrivals;
  workload.requests = r.find<std::int64_t>("requests", Range::positive);
  workload.duration = r.find<Seconds>("duration", Range::positive).value_or(kNever);
  if (!r.has("requests") && !r.has("duration")) r.fail("", "needs \"requests\" or \"duration\" to end");
  if (std::holds_alternative<ClosedLoop>(workload.arrivals) && !workload.requests)
    r.fail("arrivals", "a closed loop needs \"requests\" to end");
  workload.request_kinds = read_kinds(r);
  return workload;
}

std::unique_ptr<Source> SyntheticWorkload::open(std::uint64_t seed) const {
  return std::make_unique<SyntheticSource>(*this, seed);
}

}  // namespace disagg
