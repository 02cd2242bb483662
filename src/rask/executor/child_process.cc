#include "rask/executor/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

extern char** environ;  // NOLINT: POSIX declares it nowhere.

namespace rask::executor {

struct ChildProcess::State {
  std::mutex mutex;
  int pid = 0;
  bool ended = false;
  int fd = -1;  // Our end of the socket pair.
  std::thread watcher;
};

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

Result<int> spawn(std::vector<std::string> command, const std::vector<std::string>& environment,
                  int child_end, int stderr_fd) {
  std::vector<std::string> variables{environment};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view inherited{*entry};
    const auto name = inherited.substr(0, inherited.find('=') + 1);
    const bool replaced = std::ranges::any_of(
        environment, [name](const std::string& own) { return own.starts_with(name); });
    if (!replaced) variables.emplace_back(inherited);
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (stderr_fd >= 0) ::posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, child_end, kChildFd);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, kChildFd + 1);
  // Ctrl-C on the terminal reaches the whole group; the child is to end when its parent says so.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t none;
  sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  int pid = 0;
  const int failed = ::posix_spawn(&pid, command[0].c_str(), &actions, &attributes,
                                   pointers(command).data(), pointers(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("cannot start {}: {}", command[0], std::strerror(failed))};
  }
  return pid;
}

}  // namespace

ChildProcess::ChildProcess(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(
    const std::vector<std::string>& command, const std::vector<std::string>& environment,
    Callbacks callbacks, int stderr_fd) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("cannot make a socket pair: {}", std::strerror(errno))};
  }
  const auto pid = spawn(command, environment, ends[1], stderr_fd);
  ::close(ends[1]);
  if (!pid.ok()) {
    ::close(ends[0]);
    return pid.error();
  }
  auto state = std::make_shared<State>();
  state->pid = pid.value();
  state->fd = ends[0];
  state->watcher = std::thread{[state = state.get(), callbacks = std::move(callbacks)] {
    char buffer[4096];
    while (callbacks.on_text) {
      const auto size = ::read(state->fd, buffer, sizeof buffer);
      if (size > 0)
        callbacks.on_text(std::string{buffer, static_cast<std::size_t>(size)});
      else if (size == 0 || errno != EINTR)
        break;
    }
    // Seen to have ended before it is reaped: its number cannot be another's while we may signal
    // it.
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(state->pid), &info, WEXITED | WNOWAIT) != 0 &&
           errno == EINTR) {
    }
    int status = 0;
    {
      const std::lock_guard lock{state->mutex};
      state->ended = true;
      ::waitpid(state->pid, &status, 0);
    }
    callbacks.on_exit(status);
  }};
  return std::unique_ptr<ChildProcess>{new ChildProcess{std::move(state)}};
}

ChildProcess::~ChildProcess() {
  signal(SIGKILL);
  state_->watcher.join();
  if (state_->fd >= 0) ::close(state_->fd);
}

int ChildProcess::pid() const { return state_->pid; }

int ChildProcess::take_fd() { return std::exchange(state_->fd, -1); }

void ChildProcess::signal(int number) {
  const std::lock_guard lock{state_->mutex};
  if (!state_->ended) ::kill(state_->pid, number);
}

std::string describe_exit(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    return fmt::format("was killed by signal {} ({})", number, ::strsignal(number));
  }
  return fmt::format("exited with code {}", WEXITSTATUS(wait_status));
}

std::string run_program(const std::vector<std::string>& command) {
  std::vector<std::string> words{command};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  int pid = 0;
  const int error =
      ::posix_spawnp(&pid, words[0].c_str(), &actions, nullptr, pointers(words).data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return words[0] + ": " + std::strerror(error);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return words[0] + ": " + std::strerror(errno);
  }
  return status == 0 ? std::string{} : words[0] + " " + describe_exit(status);
}

}  // namespace rask::executor
