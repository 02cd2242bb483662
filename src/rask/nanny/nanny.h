#pragma once
// Keeps one worker process alive. Source: distributed/nanny.py, worker_memory.py
// (NannyMemoryManager).
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rask/comm/comm.h"

namespace rask::nanny {

struct Options {
  std::vector<std::string> command;  // Of the worker; "--nanny-address <ours>" is added.
  std::vector<std::string> environment;
  std::string name;  // For logs.
  std::string listen = "tcp://127.0.0.1:0";
  comm::Options comm;
  std::uint64_t memory_limit_bytes = 0;     // 0: none
  double memory_terminate_fraction = 0.95;  // distributed.worker.memory.terminate; 0: never
  bool auto_restart = true;
};

class Nanny {
 public:
  Nanny(comm::EventLoop& loop, Options options);
  ~Nanny();  // Kills the worker process if it lives.
  Nanny(const Nanny&) = delete;
  Nanny& operator=(const Nanny&) = delete;

  // Listens and starts the process.   errors: invalid_argument
  Result<Ok> start();
  std::string address() const;
  int worker_pid() const;  // 0: not running

  // Called each time a worker process has registered with the scheduler.
  void on_ready(std::function<void()> callback);
  // Called once, when the worker has ended for good; `failure` when it never got ready.
  void on_closed(std::function<void(const std::string& reason, bool failure)> callback);
  // Asks the worker to end (SIGTERM), kills it after `timeout`.
  void close(const std::string& reason, Seconds timeout = 5);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace rask::nanny
