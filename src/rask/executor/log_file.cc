#include "rask/executor/log_file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

#include "rask/executor/process_pool.h"
#include "rask/executor/task_stderr.h"
#include "rask/graph/delayed_node.h"
#include "rask/graph/task_context.h"

namespace rask {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVariables[] = {"DASK_RASK__LOG__FILE", "DASK_RASK__LOG__MAX_BYTES",
                                      "DASK_RASK__LOG__BACKUP_COUNT", "DASK_RASK__LOG__LEVEL",
                                      "DASK_RASK__LOG__STDERR"};

/// A file that many processes append to, and that any of them may put aside for a new one.
class SharedFile {
 public:
  ///   throws  std::runtime_error: it cannot be opened
  void open(const LogFileOptions& options) {
    const std::lock_guard lock{mutex_};
    options_ = options;
    reopen();
    if (fd_ < 0)
      throw std::runtime_error{"cannot open the log file " + options.path + ": " +
                               std::strerror(errno)};
  }

  void append(std::string_view line) {
    const std::lock_guard lock{mutex_};
    if (was_put_aside()) reopen();
    if (is_full(line.size())) put_aside(line.size());
    if (fd_ < 0) return;
    // What does not fit on the disk is lost; there is nobody to tell.
    while (::write(fd_, line.data(), line.size()) < 0 && errno == EINTR) continue;
  }

 private:
  void reopen() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  }
  bool was_put_aside() const {
    struct stat named{};
    struct stat own{};
    return fd_ < 0 || ::stat(options_.path.c_str(), &named) != 0 || ::fstat(fd_, &own) != 0 ||
           named.st_ino != own.st_ino;
  }
  bool is_full(std::size_t more) const {
    struct stat own{};
    return options_.max_bytes > 0 && fd_ >= 0 && ::fstat(fd_, &own) == 0 && own.st_size > 0 &&
           static_cast<std::uint64_t>(own.st_size) + more > options_.max_bytes;
  }
  void put_aside(std::size_t more) {
    const std::string guard = options_.path + ".lock";
    const int locked = ::open(guard.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (locked < 0) return;
    ::flock(locked, LOCK_EX);
    if (was_put_aside()) reopen();  // By somebody who was faster.
    if (is_full(more)) {
      std::error_code ignored;
      for (int number = options_.backup_count; number > 1; --number)
        fs::rename(backup(number - 1), backup(number), ignored);
      if (options_.backup_count > 0)
        fs::rename(options_.path, backup(1), ignored);
      else
        fs::remove(options_.path, ignored);
      reopen();
    }
    ::close(locked);
  }
  std::string backup(int number) const { return options_.path + "." + std::to_string(number); }

  std::mutex mutex_;
  LogFileOptions options_;
  int fd_ = -1;
};

// Never destroyed: threads may log while the process ends.
SharedFile& file() {
  static auto& shared = *new SharedFile;
  return shared;
}

std::atomic<bool> g_captures_stderr = false;

std::string where() {
  const TaskContext* task = current_task();
  if (task != nullptr && !task->worker_address.empty()) return std::string{task->worker_address};
  if (task != nullptr) return fmt::format("process-{}", ::getpid());
  if (::gettid() == ::getpid()) return "MainThread";
  char name[16] = {};
  ::pthread_getname_np(::pthread_self(), name, sizeof(name));
  return name;
}

std::string task_key() {
  if (const TaskContext* task = current_task(); task != nullptr) return task->key.str();
  const auto* call = internal::current_call();
  return call != nullptr ? call->key().str() : "-";
}

void append_line(const log::Line& line) {
  const auto now = std::chrono::system_clock::now();
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  file().append(fmt::format("{:%Y-%m-%d %H:%M:%S},{:03} - {} - {} - {} - {} - {}\n", local, ms,
                            log::to_string(line.level), line.logger,
                            line.where.empty() ? where() : std::string{line.where},
                            line.where.empty() ? task_key() : std::string{line.task},
                            line.message));
}

}  // namespace

bool internal::captures_stderr() { return g_captures_stderr; }
bool internal::is_in_task() { return current_task() != nullptr || current_call() != nullptr; }

void log_to_file(const LogFileOptions& options) {
  LogFileOptions own = options;
  own.path = fs::absolute(options.path).string();
  file().open(own);
  const std::string values[] = {
      own.path, std::to_string(own.max_bytes), std::to_string(own.backup_count),
      std::string{log::to_string(own.level)}, own.capture_stderr ? "true" : "false"};
  for (std::size_t i = 0; i < std::size(values); ++i) ::setenv(kVariables[i], values[i].c_str(), 1);
  g_captures_stderr = own.capture_stderr;
  executor::catch_stderr_of_tasks(own.capture_stderr);
  executor::forget_idle_processes();
  log::set_listener(log::Ear::file, append_line, own.level);
}

Result<Ok> log_to_file_of(const Config& config) {
  const auto path = config.text("rask.log.file");
  if (!path) return Ok{};
  LogFileOptions options{.path = *path};
  RASK_TRY(options.max_bytes, config.bytes("rask.log.max-bytes", options.max_bytes));
  RASK_TRY(const double count, config.number("rask.log.backup-count", options.backup_count));
  RASK_TRY(options.level, log::parse_level(config.text("rask.log.level").value_or("info")));
  RASK_TRY(options.capture_stderr, config.boolean("rask.log.stderr", false));
  options.backup_count = static_cast<int>(count);
  try {
    log_to_file(options);
  } catch (const std::runtime_error& error) {
    return Error{ErrorCode::invalid_argument, error.what()};
  }
  return Ok{};
}

}  // namespace rask
