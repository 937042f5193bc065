#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace disagg {

// A folder of results that appears whole or not at all: it is written under a temporary name beside its own
// and renamed by commit(). Without commit() nothing is left behind.
class RunFolder {
 public:
  // Throws ConfigError when the folder cannot be made, or exists and is not one of ours.
  explicit RunFolder(const std::filesystem::path& folder);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  std::filesystem::path file(std::string_view name) const { return partial_ / name; }
  // Opens a file in it for writing. Throws ConfigError.
  std::ofstream open(std::string_view name) const;
  void write(std::string_view name, std::string_view text) const;
  void commit();

 private:
  std::filesystem::path folder_, partial_;
  bool committed_ = false;
};

// A folder for what nobody keeps; it goes with the object.
class ScratchFolder {
 public:
  ScratchFolder();  // throws ConfigError when none can be made
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Closes a stream and throws ConfigError naming `file` when not everything could be written (a full disk).
void finish_writing(std::ofstream& out, const std::filesystem::path& file);

// Throws ConfigError naming the option when the folder of the file is not there.
void require_folder_of(std::string_view option, const std::filesystem::path& file);

// Writes one file that appears whole or not at all.
void write_file(const std::filesystem::path& file, std::string_view text);

}  // namespace disagg
