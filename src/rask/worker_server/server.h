#pragma once
// A running worker: the machine of rask/worker with threads, data and connections.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rask/comm/comm.h"
#include "rask/comm/security.h"
#include "rask/worker/worker.h"

namespace rask::worker_server {

// distributed.worker.profile
struct ProfileOptions {
  bool enabled = true;
  Seconds interval = 0.01;        // Between two looks at each task.
  Seconds cycle = 1;              // As finely as profiles can be asked for by time.
  bool low_level = false;         // With functions of the C and C++ libraries.
  std::size_t cycles_max = 1000;  // distributed.admin.low-level-log-length
};

struct Options {
  worker::Options machine;  // `address` is set here
  comm::Options comm;
  Security security;      // For clients that tasks make: get_client().
  std::string scheduler;  // "tcp://…"
  std::string listen = "tcp://127.0.0.1:0";
  std::string contact_address;  // Empty: the one listened on
  std::string name;             // Empty: the address
  std::string nanny;            // Address of its nanny; empty: none
  std::string local_directory;
  std::uint64_t memory_limit_bytes = 0;  // 0: none
  double memory_pause = 0.8;             // Of the limit: no new task from there on. 0: never
  Seconds memory_monitor_interval = 0.1;
  Seconds death_timeout = 0;  // 0: waits for the scheduler for ever
  Seconds lifetime = 0;       // 0: for ever
  bool lifetime_restart = false;
  ProfileOptions profile;
  int transfer_outgoing_count_limit = 10;  // distributed.worker.connections.outgoing
};

class WorkerServer {
 public:
  WorkerServer(comm::EventLoop& loop, Options options);
  ~WorkerServer();  // Waits for tasks that run.
  WorkerServer(const WorkerServer&) = delete;
  WorkerServer& operator=(const WorkerServer&) = delete;

  // Listens, then connects to the scheduler (again and again until death_timeout) and registers.
  //   errors   invalid_argument: cannot listen
  Result<Ok> start();
  std::string address() const;

  // Called once, when the scheduler has accepted this worker.
  void on_registered(std::function<void()> callback);
  // Called once at the end; `failure` when it is no orderly one (turned away, scheduler not found).
  void on_closed(std::function<void(const std::string& reason, bool failure)> callback);
  // Finishes nothing: tells the scheduler that it goes, then ends. `nanny`: the nanny is told not
  // to start it again.
  void close(const std::string& reason, bool tell_nanny = true);
  // Asks the scheduler to retire this worker (its data is moved away first), then ends.
  void close_gracefully(const std::string& reason, bool restart);

  struct Impl;  // For this room's own files.

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace rask::worker_server
