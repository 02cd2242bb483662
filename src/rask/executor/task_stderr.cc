#include "rask/executor/task_stderr.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <streambuf>
#include <string>
#include <string_view>
#include <utility>

#include "rask/base/log.h"
#include "rask/executor/log_file.h"
#include "rask/graph/task_context.h"

namespace rask::executor {
namespace {

std::atomic<bool> g_catching = false;

void write_to_stderr(std::string_view text) {
  while (!text.empty()) {
    const auto wrote = ::write(STDERR_FILENO, text.data(), text.size());
    if (wrote > 0) text.remove_prefix(static_cast<std::size_t>(wrote));
    if (wrote < 0 && errno != EINTR) return;  // Nobody is there to tell.
  }
}

// What this thread's task has written of a line.
thread_local std::string t_open_line;

void log_open_line() {
  if (t_open_line.empty()) return;
  const std::string line = std::exchange(t_open_line, {});
  log::write(log::Level::warning, "stderr", line);
}

void take(std::string_view text) {
  if (!g_catching || !internal::is_in_task()) return write_to_stderr(text);
  for (std::size_t end; (end = text.find('\n')) != std::string_view::npos;) {
    t_open_line += text.substr(0, end);
    text.remove_prefix(end + 1);
    log::write(log::Level::warning, "stderr", std::exchange(t_open_line, {}));
  }
  t_open_line += text;
}

// Holds nothing itself: threads share it.
class Catcher final : public std::streambuf {
  int overflow(int c) override {
    if (c == EOF) return 0;
    const char one = static_cast<char>(c);
    take({&one, 1});
    return c;
  }
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    take({text, static_cast<std::size_t>(size)});
    return size;
  }
};

ssize_t take_of_c(void* /*cookie*/, const char* text, std::size_t size) {
  take({text, size});
  return static_cast<ssize_t>(size);
}

// For good: others may have noted the streams meanwhile. Never destroyed, as the streams are not.
void replace_streams() {
  log::open_console();  // Its records are no output of tasks.
  static auto& catcher = *new Catcher;
  std::cerr.rdbuf(&catcher);
  std::clog.rdbuf(&catcher);
  std::FILE* const stream = ::fopencookie(
      nullptr, "w", {.read = nullptr, .write = take_of_c, .seek = nullptr, .close = nullptr});
  if (stream == nullptr) return;
  std::setvbuf(stream, nullptr, _IONBF, 0);
  stderr = stream;
}

}  // namespace

void catch_stderr_of_tasks(bool on) {
  static std::once_flag once;
  if (on) std::call_once(once, replace_streams);
  g_catching = on;
  set_task_end_listener(on ? log_open_line : nullptr);  // A line that nobody ends is one too.
}

}  // namespace rask::executor
