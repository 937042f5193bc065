#include "experiments/store.hpp"

#include <sqlite3.h>

#include <utility>

#include "sim/base/config.hpp"
#include "version.hpp"

namespace disagg {
namespace {

constexpr const char* kSchema =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE points(point INTEGER PRIMARY KEY, assignments TEXT NOT NULL, scenario_hash TEXT NOT NULL,"
    " exit_code INTEGER NOT NULL, error TEXT NOT NULL, summary TEXT);"
    "CREATE TABLE metrics(point INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL,"
    " PRIMARY KEY(point, name)) WITHOUT ROWID;";
// Another process may be looking at the store.
constexpr int kBusyMilliseconds = 10'000;

}  // namespace

// A prepared statement, its values bound from 1 on.
struct Store::Statement {
  Statement(const Store& store, const std::string& sql) : store_(&store) {
    if (sqlite3_prepare_v2(store.database_, sql.c_str(), -1, &statement_, nullptr) != SQLITE_OK)
      store.fail(sqlite3_errmsg(store.database_));
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int at, const std::string& text) {
    sqlite3_bind_text(statement_, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& bind(int at, std::int64_t number) {
    sqlite3_bind_int64(statement_, at, number);
    return *this;
  }
  Statement& bind(int at, double number) {
    sqlite3_bind_double(statement_, at, number);
    return *this;
  }
  // Whether there is a row.
  bool step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) store_->fail(sqlite3_errmsg(store_->database_));
    sqlite3_reset(statement_);
    return false;
  }
  std::string text(int column) const {
    const auto* bytes = sqlite3_column_text(statement_, column);
    if (bytes == nullptr) return {};
    return {reinterpret_cast<const char*>(bytes),
            static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }

 private:
  const Store* store_;
  sqlite3_stmt* statement_ = nullptr;
};

Store::Store(const std::filesystem::path& file, const Sweep& sweep, bool resume)
    : file_(file), sweep_(sweep) {
  std::error_code ignored;
  const bool there = std::filesystem::exists(file, ignored);
  if (there && !resume) fail("is there already; go on with it with --resume, or remove it");
  open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  try {
    // All or nothing: a kill in the middle leaves an empty file, which is begun again.
    execute("BEGIN IMMEDIATE");
    if (!Statement(*this, "SELECT 1 FROM sqlite_master WHERE name = 'meta'").step()) {
      execute(kSchema);
      const auto set = [&](const char* key, const std::string& value) {
        Statement(*this, "INSERT INTO meta VALUES (?, ?)").bind(1, key).bind(2, value).step();
      };
      set("sweep", sweep.description);
      set("points", std::to_string(sweep.points));
      set("version", std::string(disagg::version()));
    }
    execute("COMMIT");
    if (meta("sweep") != sweep.description)
      fail("belongs to another sweep, or the scenario, the changes or the axes are others now");
  } catch (...) {
    sqlite3_close(std::exchange(database_, nullptr));
    throw;
  }
}

Store::Store(const std::filesystem::path& file) : file_(file) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) fail("there is no such store");
  open(SQLITE_OPEN_READWRITE);
  try {
    if (!Statement(*this, "SELECT 1 FROM sqlite_master WHERE name = 'meta'").step())
      fail("is no store of a sweep");
    sweep_ = {meta("sweep"), static_cast<std::size_t>(std::stoull(meta("points")))};
  } catch (...) {
    sqlite3_close(std::exchange(database_, nullptr));
    throw;
  }
}

Store::~Store() { sqlite3_close(database_); }

void Store::open(int flags) {
  if (sqlite3_open_v2(file_.c_str(), &database_, flags, nullptr) != SQLITE_OK) {
    const std::string what = database_ == nullptr ? "cannot be opened" : sqlite3_errmsg(database_);
    sqlite3_close(std::exchange(database_, nullptr));
    fail(what);
  }
  sqlite3_busy_timeout(database_, kBusyMilliseconds);
  // A commit then need not wait for the disk: a power cut may cost the last points, and never the store.
  sqlite3_exec(database_, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", nullptr, nullptr,
               nullptr);
}

void Store::fail(const std::string& what) const { throw ConfigError(file_.string() + ": " + what); }

void Store::execute(const std::string& sql) const {
  if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    fail(sqlite3_errmsg(database_));
}

std::string Store::meta(const std::string& key) const {
  Statement statement(*this, "SELECT value FROM meta WHERE key = ?");
  statement.bind(1, key);
  if (!statement.step()) fail("is no store of a sweep");
  return statement.text(0);
}

void Store::put(std::size_t point, const Point& written) {
  const auto number = static_cast<std::int64_t>(point);
  execute("BEGIN IMMEDIATE");
  try {
    const bool done = written.result.code == exit_code::kDone;
    // What it returned, or why it returned nothing.
    Statement row(*this, done ? "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, '', ?)"
                              : "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?, NULL)");
    row.bind(1, number)
        .bind(2, written.assignments)
        .bind(3, written.scenario_hash)
        .bind(4, std::int64_t{written.result.code})
        .bind(5, written.result.output)
        .step();
    Statement(*this, "DELETE FROM metrics WHERE point = ?").bind(1, number).step();
    Statement metric(*this, "INSERT INTO metrics VALUES (?, ?, ?)");
    for (const auto& [name, value] : written.metrics)
      metric.bind(1, number).bind(2, name).bind(3, value).step();
    execute("COMMIT");
  } catch (...) {
    sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

std::optional<Store::Point> Store::get(std::size_t point) const {
  Statement row(*this,
                "SELECT assignments, scenario_hash, exit_code, error, summary FROM points WHERE point = ?");
  row.bind(1, static_cast<std::int64_t>(point));
  if (!row.step()) return std::nullopt;
  Point read{.assignments = row.text(0), .scenario_hash = row.text(1), .result = {}, .metrics = {}};
  read.result.code = static_cast<int>(row.number(2));
  read.result.output = row.text(read.result.code == exit_code::kDone ? 4 : 3);
  return read;
}

std::vector<std::size_t> Store::done() const {
  std::vector<std::size_t> points;
  Statement rows(*this, "SELECT point FROM points ORDER BY point");
  while (rows.step()) points.push_back(static_cast<std::size_t>(rows.number(0)));
  return points;
}

void Store::merge(const Store& other) {
  if (other.sweep_.description != sweep_.description)
    fail("and " + other.file_.string() + " are of different sweeps");
  for (const std::size_t point : other.done()) {
    Point theirs = *other.get(point);
    if (const auto ours = get(point); ours && is_answer(ours->result)) {
      if (is_answer(theirs.result) &&
          (ours->result.code != theirs.result.code || ours->result.output != theirs.result.output))
        fail("and " + other.file_.string() + " have different results of point " + std::to_string(point));
      continue;
    }
    Statement metrics(other, "SELECT name, value FROM metrics WHERE point = ?");
    metrics.bind(1, static_cast<std::int64_t>(point));
    while (metrics.step()) theirs.metrics.emplace_back(metrics.text(0), metrics.real(1));
    put(point, theirs);
  }
}

}  // namespace disagg
