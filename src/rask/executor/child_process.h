#pragma once
// One life of a child process, watched by a thread of its own (so that no SIGCHLD handler is taken
// from the program that rask is part of).
//
// The child finds one end of a socket pair at file descriptor 3 (kChildFd), whose end tells it that
// its parent has gone, however it went. What it writes there is given to `on_text`; without on_text
// the other end is the caller's, by take_fd().
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rask/base/result.h"

namespace rask::executor {

inline constexpr int kChildFd = 3;

class ChildProcess {
 public:
  struct Callbacks {  // Called on the watching thread.
    std::function<void(std::string text)> on_text = nullptr;
    std::function<void(int wait_status)> on_exit;  // Once, last.
  };

  // Starts `command` (argv[0] is the path) with `environment` ("NAME=value") added to ours. What it
  // writes to stderr goes to `stderr_fd` (-1: where ours goes), which stays the caller's.
  //   errors   invalid_argument: cannot be started
  static Result<std::unique_ptr<ChildProcess>> start(const std::vector<std::string>& command,
                                                     const std::vector<std::string>& environment,
                                                     Callbacks callbacks, int stderr_fd = -1);
  ~ChildProcess();  // Kills it when it lives, and waits for the watching thread.
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  int pid() const;
  // Our end of the socket pair, which the caller closes.   REQUIRES no on_text, and one call only.
  int take_fd();
  void signal(int number);  // Nothing when it has ended.

 private:
  struct State;
  explicit ChildProcess(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// Runs a program that is found in the PATH to its end, without input.
//   returns  why it failed; empty: it did not
std::string run_program(const std::vector<std::string>& command);

// "was killed by signal 9 (Killed)", "exited with code 1".
std::string describe_exit(int wait_status);

}  // namespace rask::executor
