#include "rask/scrape/output.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "rask/scrape/format.h"

namespace rask::scrape {
namespace {

namespace fs = std::filesystem;

Error cannot_write(const std::string& path, const std::string& why, ErrorCode code) {
  return Error{code, "cannot write '" + path + "': " + why};
}

std::string system_error() { return std::error_code{errno, std::generic_category()}.message(); }

std::optional<OutputFormat> format_of(const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  if (ending == ".jsonl" || ending == ".ndjson" || ending == ".json")
    return OutputFormat::json_lines;
  if (ending == ".csv") return OutputFormat::csv;
  if (ending == ".sqlite" || ending == ".sqlite3" || ending == ".db") return OutputFormat::sqlite;
  return std::nullopt;
}

// Beside the file, so that it can be renamed to it, and of this process alone.
std::string temporary_of(const std::string& path) {
  return path + "." + std::to_string(::getpid()) + ".tmp";
}

// Removes the temporary file unless it has become the real one.
class Temporary {
 public:
  explicit Temporary(std::string target)
      : target_(std::move(target)), path_(temporary_of(target_)) {
    ::unlink(path_.c_str());
  }
  ~Temporary() { ::unlink(path_.c_str()); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const std::string& path() const { return path_; }

  Result<Ok> become_target() {
    // Who could read the old file can read the new one.
    struct stat old{};
    if (::stat(target_.c_str(), &old) == 0) ::chmod(path_.c_str(), old.st_mode & 07777);
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return cannot_write(target_, system_error(), ErrorCode::peer_lost);
    const bool synced = ::fsync(file) == 0;
    ::close(file);
    if (!synced || ::rename(path_.c_str(), target_.c_str()) != 0)
      return cannot_write(target_, system_error(), ErrorCode::peer_lost);
    return Ok{};
  }

 private:
  std::string target_;
  std::string path_;
};

Result<Ok> write_text(const std::string& path, std::string_view text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return cannot_write(path, system_error(), ErrorCode::peer_lost);
  bool good = true;
  while (good && !text.empty()) {
    const auto written = ::write(file, text.data(), text.size());
    if (written >= 0) text.remove_prefix(static_cast<std::size_t>(written));
    good = written > 0 || (written < 0 && errno == EINTR);
  }
  const std::string why = good ? "" : system_error();
  ::close(file);
  if (!good) return cannot_write(path, why, ErrorCode::peer_lost);
  return Ok{};
}

// ---- SQLite
// --------------------------------------------------------------------------------------

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct CloseStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using Statement = std::unique_ptr<sqlite3_stmt, CloseStatement>;

Error sqlite_error(const std::string& path, sqlite3* database) {
  return cannot_write(path, database == nullptr ? "out of memory" : sqlite3_errmsg(database),
                      ErrorCode::peer_lost);
}

void bind_text(sqlite3_stmt* statement, int column, const std::string& text) {
  sqlite3_bind_text64(statement, column, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

bool insert(sqlite3_stmt* statement, const Row& row) {
  bind_text(statement, 1, row.url);
  bind_text(statement, 2, row.final_url);
  if (row.status == 0) {
    sqlite3_bind_null(statement, 3);
  } else {
    sqlite3_bind_int(statement, 3, row.status);
  }
  bind_text(statement, 4, row.title);
  bind_text(statement, 5, to_json_array(row.tags));
  bind_text(statement, 6, to_json_array(row.links));
  sqlite3_bind_int(statement, 7, row.depth);
  sqlite3_bind_double(statement, 8, rounded(row.elapsed));
  if (row.error.empty()) {
    sqlite3_bind_null(statement, 9);
  } else {
    bind_text(statement, 9, row.error);
  }
  const bool good = sqlite3_step(statement) == SQLITE_DONE;
  sqlite3_reset(statement);
  return good;
}

bool insert_all(sqlite3* database, const std::vector<Row>& rows) {
  constexpr const char* kBegin =
      "BEGIN;"
      "CREATE TABLE pages ("
      " url TEXT PRIMARY KEY NOT NULL, final_url TEXT NOT NULL, status INTEGER,"
      " title TEXT NOT NULL, tags TEXT NOT NULL, links TEXT NOT NULL, depth INTEGER NOT NULL,"
      " elapsed REAL NOT NULL, error TEXT)";
  if (sqlite3_exec(database, kBegin, nullptr, nullptr, nullptr) != SQLITE_OK) return false;
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(database, "INSERT INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", -1,
                         &prepared, nullptr) != SQLITE_OK)
    return false;
  const Statement statement{prepared};
  for (const Row& row : rows)
    if (!insert(prepared, row)) return false;
  return sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK;
}

Result<Ok> write_sqlite(const std::string& path, const std::vector<Row>& rows) {
  sqlite3* opened = nullptr;
  const int status =
      sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  const Database database{opened};
  // The journal in memory: a file that is not complete is thrown away, not rolled back.
  const bool good = status == SQLITE_OK &&
                    sqlite3_exec(opened, "PRAGMA journal_mode = MEMORY", nullptr, nullptr,
                                 nullptr) == SQLITE_OK &&
                    insert_all(opened, rows);
  if (!good) return sqlite_error(path, opened);
  return Ok{};
}

}  // namespace

Result<OutputFile> OutputFile::prepare(const std::string& path) {
  const auto refuse = [&](const std::string& why) {
    return cannot_write(path, why, ErrorCode::invalid_argument);
  };
  const auto format = format_of(path);
  if (!format) return refuse("its name should end in .jsonl (JSON lines), .csv or .sqlite");
  std::error_code error;
  const auto status = fs::status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) return refuse("it is no file");
  if (fs::exists(status) && ::access(path.c_str(), W_OK) != 0) return refuse(system_error());
  const std::string probe = temporary_of(path);
  const int file = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return refuse(system_error());
  ::close(file);
  ::unlink(probe.c_str());
  return OutputFile{path, *format};
}

Result<Ok> OutputFile::write(const std::vector<Row>& rows) const {
  Temporary temporary{path_};
  const auto written = format_ == OutputFormat::sqlite ? write_sqlite(temporary.path(), rows)
                       : format_ == OutputFormat::csv
                           ? write_text(temporary.path(), to_csv(rows))
                           : write_text(temporary.path(), to_json_lines(rows));
  if (!written.ok()) return written.error();
  return temporary.become_target();
}

}  // namespace rask::scrape
