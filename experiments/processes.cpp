#include "experiments/processes.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <vector>

#include "experiments/interrupt.hpp"
#include "sim/base/config.hpp"
#include "sim/base/expect.hpp"
#include "sim/base/no_progress.hpp"

namespace disagg {
namespace {

struct Child {
  std::size_t task = 0;
  pid_t pid = 0;
  int pipe = -1;
  std::string output;
};

void write_all(int file, const std::string& text) {
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t n = ::write(file, text.data() + sent, text.size() - sent);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // the parent has gone
    sent += static_cast<std::size_t>(n);
  }
}

Child start(std::size_t task, const std::function<std::string(std::size_t)>& act) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("cannot make a pipe for a child process");
  std::cout.flush();
  std::cerr.flush();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("cannot start a child process");
  if (pid == 0) {
    ::close(ends[0]);
    const TaskResult result = guarded([&] { return act(task); });
    write_all(ends[1], result.output);
    ::_exit(result.code);  // no destructors: the parent owns what was copied
  }
  ::close(ends[1]);
  return {task, pid, ends[0], {}};
}

// Takes what a child has written; false when it has ended.
bool read_some(Child& child) {
  char buffer[65536];
  const ssize_t n = ::read(child.pipe, buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) return false;
  child.output.append(buffer, static_cast<std::size_t>(n));
  return true;
}

TaskResult collect(Child& child) {
  ::close(child.pipe);
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) return {WEXITSTATUS(status), std::move(child.output)};
  return {exit_code::kBroken, "the run was ended by signal " + std::to_string(WTERMSIG(status))};
}

}  // namespace

TaskResult guarded(const std::function<std::string()>& act) {
  try {
    return {exit_code::kDone, act()};
  } catch (const Interrupted&) {
    return {exit_code::kInterrupted, "interrupted; nothing half-written is left behind"};
  } catch (const ConfigError& error) {
    return {exit_code::kBadInput, error.what()};
  } catch (const NoProgress& stuck) {
    return {exit_code::kNo, stuck.what()};
  } catch (const std::bad_alloc&) {
    return {exit_code::kBroken, "out of memory"};
  } catch (const std::exception& error) {
    return {exit_code::kBroken, error.what()};
  }
}

namespace {

void end_all(std::vector<Child>& children) {
  for (const Child& child : children) ::kill(child.pid, SIGTERM);
  for (Child& child : children) collect(child);
  children.clear();
}

void run_all_forked(std::vector<Child>& children, std::size_t count, std::size_t jobs,
                    const std::function<std::string(std::size_t)>& task,
                    const std::function<void(std::size_t, const TaskResult&)>& done) {
  std::size_t next = 0;
  while (next < count || !children.empty()) {
    while (next < count && children.size() < std::max<std::size_t>(jobs, 1) && !interrupted())
      children.push_back(start(next++, task));
    if (interrupted()) throw Interrupted();
    std::vector<pollfd> waits;
    waits.reserve(children.size());
    for (const Child& child : children) waits.push_back({child.pipe, POLLIN, 0});
    if (::poll(waits.data(), waits.size(), 250) <= 0) continue;
    for (std::size_t i = children.size(); i-- > 0;) {
      if (waits[i].revents == 0 || read_some(children[i])) continue;
      const std::size_t finished = children[i].task;
      const TaskResult result = collect(children[i]);
      children.erase(children.begin() + static_cast<std::ptrdiff_t>(i));
      done(finished, result);
    }
  }
}

}  // namespace

void run_forked(std::size_t count, std::size_t jobs, const std::function<std::string(std::size_t)>& task,
                const std::function<void(std::size_t, const TaskResult&)>& done) {
  std::vector<Child> children;
  try {
    run_all_forked(children, count, jobs, task, done);
  } catch (...) {
    end_all(children);
    throw;
  }
}

}  // namespace disagg
