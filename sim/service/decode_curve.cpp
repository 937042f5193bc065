#include "sim/service/decode_curve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/expect.hpp"

namespace disagg {
namespace {

using Line = DecodeCurve::Line;
using Limit = DecodeCurve::Limit;

void add(StepParts& parts, Limit limit, double time) {
  Seconds& part = limit == Limit::compute     ? parts.compute
                  : limit == Limit::bandwidth ? parts.bandwidth
                                              : parts.overhead;
  part += Seconds{time};
}

// The line that is highest at step 0 of its own count, the steepest of those that are.
const Line& leader(const std::vector<Line>& lines) {
  return *std::ranges::max_element(lines, [](const Line& a, const Line& b) {
    return a.at < b.at || (a.at == b.at && a.per_step < b.per_step);
  });
}

// Steps until another line is higher than `lead`; infinite when none will be.
double steps_to_change(const std::vector<Line>& lines, const Line& lead) {
  double steps = std::numeric_limits<double>::infinity();
  for (const Line& line : lines)
    if (line.per_step > lead.per_step)
      steps = std::min(steps, std::floor((lead.at - line.at) / (line.per_step - lead.per_step)) + 1);
  return steps;
}

// The lines of one kernel on one rank: max(wave, b) + overlap min(wave, b) is the largest of wave + overlap y
// and y + overlap wave over the candidates y of b, for 0 <= overlap <= 1.
void add_lines(std::vector<Line>& lines, const ContextKernel& kernel, const DecodeContext& rank, double from,
               double& change) {
  const DecodeAttention& t = *kernel.time;
  const Growing& total = kernel.limited ? rank.within : rank.all;
  const Growing& longest = kernel.limited ? rank.longest_within : rank.longest;
  double launch = t.launch.si;
  if (t.deep.si > 0) {
    if (longest.after(from) > t.deep_beyond) {
      launch += t.deep.si;
    } else if (longest.per_step > 0) {
      const double steps = (t.deep_beyond - longest.at) / longest.per_step;
      change = std::min(change, std::max(std::floor(steps), from) + 1);
    }
  }
  const double wave = t.wave.si;
  const auto candidate = [&](double at, double per_step, Limit limit) {
    const double here = at + per_step * from;
    lines.push_back({launch + here + t.overlap * wave, per_step, limit});
    if (wave > 0) lines.push_back({launch + wave + t.overlap * here, t.overlap * per_step, Limit::overhead});
  };
  const double share = kernel.share;
  candidate(t.memory_at_zero.si + t.memory_per_token.si * total.at * share,
            t.memory_per_token.si * total.per_step * share, Limit::bandwidth);
  if (t.compute_per_token.si > 0)
    candidate(t.compute_per_token.si * total.at * share, t.compute_per_token.si * total.per_step * share,
              Limit::compute);
  if (t.serial_per_token.si > 0)
    candidate(t.serial_per_token.si * longest.at, t.serial_per_token.si * longest.per_step, Limit::overhead);
}

}  // namespace

void DecodeCurve::build(const StepParts& fixed, std::span<const ContextKernel> kernels,
                        std::span<const DecodeContext> ranks, std::int64_t steps) {
  segments_.clear();
  steps_ = steps;
  const std::size_t per_rank = ranks.empty() ? 0 : kernels.size() / ranks.size();
  Seconds before{};
  for (std::int64_t k = 0; k < steps;) {
    const auto from = static_cast<double>(k);
    auto change = static_cast<double>(steps);
    Segment segment{.first = k, .at = fixed, .per_step = {}, .before = before};
    for (std::size_t i = 0; i < per_rank; ++i) {
      lines_.clear();
      double repeats = 0;
      for (std::size_t r = 0; r < ranks.size(); ++r) {
        const ContextKernel& kernel = kernels[r * per_rank + i];
        if (ranks[r].sequences == 0) continue;
        repeats = kernel.repeats;
        add_lines(lines_, kernel, ranks[r], from, change);
      }
      if (repeats == 0) continue;
      const Line& lead = leader(lines_);
      add(segment.at, lead.limit, lead.at * repeats);
      add(segment.per_step, lead.limit, lead.per_step * repeats);
      change = std::min(change, from + steps_to_change(lines_, lead));
    }
    const auto next = std::max(k + 1, static_cast<std::int64_t>(change));
    const auto count = static_cast<double>(next - k);
    before += segment.at.total() * count + segment.per_step.total() * (count * (count - 1) / 2);
    segments_.push_back(segment);
    k = next;
  }
}

const DecodeCurve::Segment& DecodeCurve::segment_of(std::int64_t k) const {
  expect(!segments_.empty(), "a decode span without steps");
  std::size_t i = segments_.size() - 1;
  while (i > 0 && segments_[i].first > k) --i;
  return segments_[i];
}

StepParts DecodeCurve::parts(std::int64_t k) const {
  const Segment& segment = segment_of(k);
  return segment.at + segment.per_step * static_cast<double>(k - segment.first);
}

Seconds DecodeCurve::step(std::int64_t k) const { return parts(k).total(); }

Seconds DecodeCurve::until(std::int64_t steps) const {
  if (steps == 0) return {};
  const Segment& segment = segment_of(steps - 1);
  const auto count = static_cast<double>(steps - segment.first);
  return segment.before + segment.at.total() * count + segment.per_step.total() * (count * (count - 1) / 2);
}

std::int64_t DecodeCurve::steps_within(Seconds elapsed, std::int64_t limit) const {
  if (elapsed >= until(limit)) return limit;
  std::size_t i = segments_.size() - 1;
  while (i > 0 && segments_[i].before > elapsed) --i;
  const Segment& segment = segments_[i];
  // Solves a n + s n (n - 1) / 2 = rest; rounding is settled against until(), which decides.
  const double a = segment.at.total().si;
  const double s = segment.per_step.total().si;
  const double rest = std::max(0.0, (elapsed - segment.before).si);
  const double b = a - s / 2;
  const double root = std::sqrt(std::max(0.0, b * b + 2 * s * rest));
  const double count = b + root > 0 ? 2 * rest / (b + root) : 0;
  std::int64_t steps = std::clamp<std::int64_t>(segment.first + static_cast<std::int64_t>(count), 0, limit);
  while (steps > 0 && until(steps) > elapsed) --steps;
  while (steps < limit && until(steps + 1) <= elapsed) ++steps;
  return steps;
}

}  // namespace disagg
