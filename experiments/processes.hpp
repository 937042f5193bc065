#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace disagg {

// Exit codes of the program and of its forked runs.
namespace exit_code {
inline constexpr int kDone = 0;
inline constexpr int kNo = 1;
inline constexpr int kBadInput = 2;
inline constexpr int kSomeFailed = 3;
inline constexpr int kBroken = 70;
inline constexpr int kInterrupted = 75;
}  // namespace exit_code

// How a forked task ended: its text, or why there is none.
struct TaskResult {
  int code = exit_code::kDone;
  std::string output;  // what the task returned, or the error's message when code is not 0
};

// Runs `act` and turns what it throws into an exit code and a message.
TaskResult guarded(const std::function<std::string()>& act);

// Runs tasks 0 .. count-1, each in a process of its own (a simulation needs one), at most `jobs` at a time,
// and tells their results as they come. Throws Interrupted, and what `done` throws, after ending the
// children.
void run_forked(std::size_t count, std::size_t jobs, const std::function<std::string(std::size_t)>& task,
                const std::function<void(std::size_t, const TaskResult&)>& done);

}  // namespace disagg
