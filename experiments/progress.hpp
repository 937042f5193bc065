#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "experiments/run.hpp"

namespace disagg {

// One line on a terminal's stderr that is overwritten in place, at most four times a second, and wiped at the
// end. Silent when stderr is no terminal or `quiet`.
class ProgressLine {
 public:
  explicit ProgressLine(bool quiet);
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  bool active() const { return active_; }
  // `share` done (0 to 1, below 0 when unknown) and what to say about it.
  void show(double share, const std::string& text);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool active_;
  bool shown_ = false;
  Clock::time_point started_ = Clock::now(), last_{};
};

// Tells a run's progress on `line`.
std::function<void(const RunProgress&)> run_progress(ProgressLine& line);

// Tells "12 of 40 runs".
std::function<void(std::size_t done, std::size_t of)> count_progress(ProgressLine& line, std::string what);

}  // namespace disagg
