#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/processes.hpp"

struct sqlite3;

namespace disagg {

// Results of a sweep in an SQLite file, one transaction a point: a process that is killed at any moment
// leaves a store that opens, with every point whole or absent. Its write-ahead log needs the memory that
// processes of one machine share: while a sweep runs only its own machine may look at its store. For other
// programs (pandas, DuckDB):
//
//   meta(key TEXT PRIMARY KEY, value TEXT)       "sweep": what is swept, JSON; "points": how many; "version"
//   points(point INTEGER PRIMARY KEY,            position in the sweep
//          assignments TEXT,                     JSON: {"cluster.pools[0].replicas": "4"}
//          scenario_hash TEXT, exit_code INTEGER, error TEXT, summary TEXT)   summary.json; null where it
//          failed
//   metrics(point INTEGER, name TEXT, value REAL, PRIMARY KEY (point, name))  all numbers of the summary,
//                                                "metrics.ttft_ms.p99"
class Store {
 public:
  // Whether a run came to its end, instead of being killed, interrupted or broken: a point that did not is
  // run again.
  static bool is_answer(const TaskResult& result) {
    return result.code == exit_code::kDone || result.code == exit_code::kNo ||
           result.code == exit_code::kBadInput;
  }
  struct Sweep {
    std::string description;  // JSON; stores of equal descriptions belong together
    std::size_t points = 0;
  };
  struct Point {
    std::string assignments, scenario_hash;
    TaskResult result;
    std::vector<std::pair<std::string, double>> metrics;
  };

  // Makes a new store, or with `resume` opens one of the same sweep, and makes it if there is none. Throws
  // ConfigError: it is there and not to be resumed, belongs to another sweep, or cannot be opened.
  Store(const std::filesystem::path& file, const Sweep& sweep, bool resume);
  // Opens what is there. Throws ConfigError when it is no store.
  explicit Store(const std::filesystem::path& file);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const Sweep& sweep() const { return sweep_; }
  std::string version() const { return meta("version"); }  // of the program that made it
  // Replaces what the store has of the point. Throws ConfigError when it cannot be written (a full disk): the
  // store is as before.
  void put(std::size_t point, const Point& written);
  std::optional<Point> get(std::size_t point) const;  // without metrics
  std::vector<std::size_t> done() const;              // in order
  // Adds what `other` has and this store lacks, or has of a run that was broken off; once or twice is the
  // same. Throws ConfigError when they belong to different sweeps, or have different results of a point.
  void merge(const Store& other);

 private:
  struct Statement;
  void open(int flags);
  void execute(const std::string& sql) const;
  [[noreturn]] void fail(const std::string& what) const;
  std::string meta(const std::string& key) const;

  std::filesystem::path file_;
  sqlite3* database_ = nullptr;
  Sweep sweep_;
};

}  // namespace disagg
