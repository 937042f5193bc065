#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace disagg::test {

inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_text(const std::filesystem::path& file, std::string_view text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

inline std::string with(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  if (at == std::string::npos) FAIL("there is no " << from);
  return text.replace(at, from.size(), to);
}

// A fresh folder, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "disagg-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) FAIL("cannot make a temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  std::vector<std::string> names() const { return names_in(path_); }
  // What is in a folder, in order.
  static std::vector<std::string> names_in(const std::filesystem::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::filesystem::path path_;
};

#ifdef __SANITIZE_ADDRESS__
constexpr double kLongest = 240;  // seconds that a program may take
#else
constexpr double kLongest = 60;
#endif

struct Ended {
  int code = 0;  // of the exit, or 1000 and the signal
  std::string out, err;
  double seconds = 0;
};

// The program itself in a process, and a process group, of its own, working in `folder`.
class Program {
 public:
  Program(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
          const std::string& standard_output = "") {
    const std::string out = standard_output.empty() ? (streams_ / "out").string() : standard_output;
    const std::string err = (streams_ / "err").string();
    std::vector<const char*> argv{DISAGG_BINARY};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    argv.push_back(nullptr);
    start_ = std::chrono::steady_clock::now();
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::setpgid(0, 0);
    const int out_file = ::open(out.c_str(), O_WRONLY | O_CREAT, 0600);
    const int err_file = ::open(err.c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(out_file, STDOUT_FILENO);
    ::dup2(err_file, STDERR_FILENO);
    if (::chdir(folder.path().c_str()) == 0) ::execv(DISAGG_BINARY, const_cast<char* const*>(argv.data()));
    ::_exit(126);
  }
  ~Program() {
    if (!ended_) ::kill(-pid_, SIGKILL);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void interrupt() const { ::kill(pid_, SIGINT); }
  bool running() { return !ended_ && !poll(); }

  Ended wait() {
    while (running()) {
      if (seconds() > kLongest) FAIL("the program still runs after " << kLongest << " s");
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return {WIFEXITED(status_) ? WEXITSTATUS(status_) : 1000 + WTERMSIG(status_), read_text(streams_ / "out"),
            read_text(streams_ / "err"), seconds()};
  }

 private:
  bool poll() {
    ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
    return ended_;
  }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  TemporaryFolder streams_;
  std::chrono::steady_clock::time_point start_;
  pid_t pid_ = 0;
  int status_ = 0;
  bool ended_ = false;
};

inline Ended call(const TemporaryFolder& folder, const std::vector<std::string>& arguments) {
  return Program(folder, arguments).wait();
}

// Exit code of a shell command that is run in the folder.
inline int shell(const TemporaryFolder& folder, const std::string& command) {
  return WEXITSTATUS(std::system(("cd '" + folder.path().string() + "' && " + command).c_str()));
}

}  // namespace disagg::test
