#pragma once
// The side processes that turn what Python clients pickled into tasks (python/dask_rask/lower.py).
//
// The scheduler runs no pickle. A process is started when it is first needed and kept. When one
// dies, what it was working on is tried once more, then it fails; when one hangs, it fails at once.
// The requests behind it go to the next process.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rask/comm/comm.h"
#include "rask/executor/child_process.h"
#include "rask/protocol/lowering_answers.h"
#include "rask/wire/value.h"

namespace rask::scheduler_server {

struct LoweringOptions {
  std::string python;     // rask.python; empty: $VIRTUAL_ENV, else python3 of the PATH
  Seconds timeout = 300;  // rask.scheduler.lowering-timeout: for one request
  Seconds patience = 1;   // Requests that wait longer for another get a process of their own.
  int processes_max = 2;
};

class Lowering {
 public:
  struct Answer {
    wire::Value fields;
    // What went wrong, as the fields of an error message; nil: nothing.
    wire::Value failure;
  };
  using Done = std::function<void(Answer&&)>;
  using OnSlice = std::function<void(protocol::GraphSlice&&)>;

  Lowering(comm::EventLoop& loop, LoweringOptions options);
  ~Lowering();
  Lowering(const Lowering&) = delete;
  Lowering& operator=(const Lowering&) = delete;

  // Calls `done` once, later. Requests may overtake each other.
  void ask(std::string_view op, const wire::Value& fields, Done done);
  // An update-graph, passed on as it came. Slices may come again from the first one on, when the
  // process has died in the midst of them.
  void ask_graph(const protocol::OtherMessage& message, OnSlice on_slice, Done done);
  // For what changes a process (a plugin): asked of one now, and of each that starts later first.
  void ask_each(std::string_view op, const wire::Value& fields, Done done);
  // Starts a process, so that the first request need not wait for it.
  void prepare();
  void close();
  std::vector<int> pids() const;
  // {package: version} of its Python; empty until a process has run.
  const wire::Value& packages() const { return packages_; }
  std::function<void()> on_packages;  // They are known now.
  // What Python code asks of the scheduler while a request is worked on: `reply` is called once.
  using Reply = std::function<void(const wire::Value&)>;
  std::function<void(const wire::Value& request, Reply reply)> on_question;

 private:
  struct Pending {
    wire::Frames frames;
    Done done;  // nullptr: the request went to another process since.
    OnSlice on_slice = {};
    std::vector<protocol::GraphTask> tasks = {};  // Of the slice that is coming in.
    Seconds since = 0;                            // When it became the first of its process.
    bool is_second_try = false;
    bool is_for_each = false;  // Stays with its process.
  };
  struct Process {
    std::uint64_t id = 0;
    std::unique_ptr<executor::ChildProcess> child;
    comm::ConnectionPtr connection;
    std::deque<Pending> open;  // In the order they were sent; it works on the first.
    bool ready = false;
    std::string killed_because;
  };

  void pump();
  Process* choose();
  bool is_stuck(const Process& process) const;
  Process* start();
  void send(Process& process, Pending pending);
  void on_message(std::uint64_t id, wire::Message&& message);
  bool take(Process& process, protocol::LoweringAnswer&& answer);
  void finish(Process& process, Answer&& answer);
  void on_exit(std::uint64_t id, int status);
  void fail(Pending&& pending, const std::string& why) const;
  void watch();
  void look_after(Process& process);
  std::vector<std::string> command() const;

  comm::EventLoop& loop_;
  LoweringOptions options_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::deque<Pending> queue_;
  std::vector<wire::Frames> for_each_;
  wire::Value packages_ = wire::Value::Map{};
  std::uint64_t last_process_ = 0;
  std::optional<comm::TimerId> timer_;
  std::shared_ptr<Lowering*> alive_;  // For callbacks from threads.
};

}  // namespace rask::scheduler_server
