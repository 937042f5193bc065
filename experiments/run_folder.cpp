#include "experiments/run_folder.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "sim/base/config.hpp"

namespace disagg {
namespace {

namespace fs = std::filesystem;

// What runs write. A folder with anything else in it is somebody's own and is never replaced.
constexpr auto kOurs = std::to_array<std::string_view>(
    {"summary.json", "scenario.json", "requests.csv", "sessions.csv", "timeseries.csv", "replicas.csv",
     "links.csv", "replica_series.csv", "tier_series.csv", "link_series.csv", "link_flows.csv",
     "distributions.csv", "timeline.json", "report.html"});

bool replaceable(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return false;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (std::find(kOurs.begin(), kOurs.end(), entry.path().filename().string()) == kOurs.end()) return false;
  return !error;
}

fs::path beside(const fs::path& file, std::string_view what) {
  return file.string() + "." + std::string(what) + "-" + std::to_string(getpid());
}

// "results/" as "results", whose name another can be put behind.
fs::path without_last_slash(const fs::path& folder) {
  return folder.has_filename() ? folder : folder.parent_path();
}

}  // namespace

RunFolder::RunFolder(const fs::path& folder)
    : folder_(without_last_slash(folder)), partial_(beside(folder_, "partial")) {
  std::error_code error;
  if (fs::exists(folder_, error) && !replaceable(folder_))
    throw ConfigError(folder_.string() +
                      ": exists and is no folder of results; nothing was written. Choose another with --out");
  fs::create_directories(partial_, error);
  if (error) throw ConfigError(folder_.string() + ": cannot make this folder: " + error.message());
}

RunFolder::~RunFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(partial_, ignored);
}

std::ofstream RunFolder::open(std::string_view name) const {
  std::ofstream out(file(name), std::ios::binary);
  if (!out) throw ConfigError(file(name).string() + ": cannot write this file");
  return out;
}

void RunFolder::write(std::string_view name, std::string_view text) const {
  std::ofstream out = open(name);
  out << text;
  finish_writing(out, file(name));
}

void RunFolder::commit() {
  std::error_code error;
  const fs::path old = beside(folder_, "old");
  const bool replaces = fs::exists(folder_, error);
  if (replaces) fs::rename(folder_, old, error);
  if (!error) {
    fs::rename(partial_, folder_, error);
    std::error_code ignored;
    if (error && replaces) fs::rename(old, folder_, ignored);
  }
  if (error) throw ConfigError(folder_.string() + ": cannot put the results here: " + error.message());
  committed_ = true;
  fs::remove_all(old, error);
}

ScratchFolder::ScratchFolder() {
  std::error_code error;
  std::string name = (fs::temp_directory_path(error) / "disagg-XXXXXX").string();
  if (error || mkdtemp(name.data()) == nullptr)
    throw ConfigError("TMPDIR: cannot make a folder there for intermediate results");
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void finish_writing(std::ofstream& out, const fs::path& file) {
  out.close();
  if (!out) throw ConfigError(file.string() + ": could not be written whole (is the disk full?)");
}

void write_file(const fs::path& file, std::string_view text) {
  std::error_code error;
  // A link, a device or a pipe (/dev/stdout is all of them) takes the text itself: no file may come in its
  // place.
  const fs::file_type type = fs::symlink_status(file, error).type();
  const bool whole_or_not = type == fs::file_type::not_found || type == fs::file_type::regular;
  const fs::path partial = whole_or_not ? beside(file, "partial") : file;
  std::ofstream out(partial, std::ios::binary);
  if (!out) throw ConfigError(file.string() + ": cannot write this file");
  try {
    out << text;
    finish_writing(out, file);
    if (whole_or_not) fs::rename(partial, file);
  } catch (...) {
    if (whole_or_not) fs::remove(partial, error);
    throw;
  }
}

void require_folder_of(std::string_view option, const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder))
    throw ConfigError(std::string(option) + " " + file.string() + ": there is no folder '" + folder.string() +
                      "'");
}

}  // namespace disagg
