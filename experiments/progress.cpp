#include "experiments/progress.hpp"

#include <unistd.h>

#include <iostream>
#include <utility>

#include "sim/base/text.hpp"

namespace disagg {

ProgressLine::ProgressLine(bool quiet) : active_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

void ProgressLine::show(double share, const std::string& text) {
  const Clock::time_point now = Clock::now();
  if (!active_ || now - last_ < std::chrono::milliseconds(250)) return;
  last_ = now;
  shown_ = true;
  std::string line = "\r\033[K";
  if (share > 0) {
    const double spent = std::chrono::duration<double>(now - started_).count();
    line += disagg::show_number(share * 100, 3) + " %, ETA " +
            disagg::show(Seconds{spent / share * (1 - share)}) + "; ";
  }
  std::cerr << line << text << std::flush;
}

void ProgressLine::clear() {
  if (shown_) std::cerr << "\r\033[K" << std::flush;
  shown_ = false;
}

std::function<void(const RunProgress&)> run_progress(ProgressLine& line) {
  if (!line.active()) return {};
  return [&line](const RunProgress& p) {
    line.show(p.share, show(p.simulated) + " simulated, " + std::to_string(p.finished) + " requests done");
  };
}

std::function<void(std::size_t, std::size_t)> count_progress(ProgressLine& line, std::string what) {
  if (!line.active()) return {};
  return [&line, what = std::move(what)](std::size_t done, std::size_t of) {
    line.show(static_cast<double>(done) / static_cast<double>(of),
              std::to_string(done) + " of " + std::to_string(of) + " " + what);
  };
}

}  // namespace disagg
