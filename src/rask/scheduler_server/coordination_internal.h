#pragma once
// The shell around the coordination machines (rask/scheduler/coordination.h): their RPCs and stream
// messages, requests that wait, and who holds the keys in queues and variables.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rask/comm/rpc_server.h"
#include "rask/scheduler/coordination.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {

class Coordination {
 public:
  explicit Coordination(SchedulerServer::Impl& impl);
  ~Coordination();
  Coordination(const Coordination&) = delete;
  Coordination& operator=(const Coordination&) = delete;

  // A message of a client's stream. False: it is not one of these.
  bool handle(ClientId client, std::string_view op, const Value& message);
  void client_gone(const std::string& name);

 private:
  using Ticket = scheduler::Ticket;
  using Name = scheduler::Name;
  using Deadline = std::optional<Seconds>;  // None: never

  // ---- Requests that wait (rpc_coordination.cc)
  struct Waiter {
    Request request;
    Value late;  // The answer when it has waited too long.
    std::function<void(Ticket)> withdraw;
    std::optional<comm::TimerId> timer = {};
  };
  // `ask` may answer the ticket at once; otherwise the request waits until somebody does, until the
  // deadline, or until it is withdrawn because its connection has gone.
  void wait(const Request& request, Deadline deadline, Value late,
            const std::function<void(Ticket)>& ask, std::function<void(Ticket)> withdraw);
  void answer(Ticket ticket, const Value& value);
  void answer(const scheduler::Tickets& tickets, const Value& value);
  void give_up(Ticket ticket, bool connected);
  std::optional<Waiter> take(Ticket ticket);

  void add_handlers();
  void on_name(const char* op, void (Coordination::*handler)(const Request&, const Name&));
  void on_timed(const char* op,
                void (Coordination::*handler)(const Request&, const Name&, Deadline));

  // ---- Events, semaphores, multi-locks (rpc_coordination.cc)
  void event_wait(const Request& request, const Name& name, Deadline deadline);
  void event_set(const Request& request, const Name& name);
  void event_clear(const Request& request, const Name& name);
  void event_is_set(const Request& request, const Name& name);
  void semaphore_register(const Request& request, const Name& name);
  void semaphore_acquire(const Request& request, const Name& name, Deadline deadline);
  void semaphore_release(const Request& request, const Name& name);
  void semaphore_close(const Request& request, const Name& name);
  void semaphore_refresh_leases(const Request& request, const Name& name);
  void semaphore_value(const Request& request, const Name& name);
  void multi_lock_acquire(const Request& request, const Name& name, Deadline deadline);
  void multi_lock_release(const Request& request, const Name& name);
  void plan_lease_check();

  // ---- Queues, variables (rpc_coordination_values.cc)
  void queue_create(const Request& request, const Name& name);
  void queue_put(const Request& request, const Name& name, Deadline deadline);
  void queue_get(const Request& request, const Name& name, Deadline deadline);
  void queue_qsize(const Request& request, const Name& name);
  void variable_set(const Request& request, const Name& name, Deadline deadline);
  void variable_get(const Request& request, const Name& name, Deadline deadline);
  bool unknown_queue(const Request& request, const Name& name) const;
  // The item that the request puts or sets, as soon as the scheduler knows its key.
  void with_item(const Request& request, Deadline deadline,
                 std::function<void(scheduler::Item)> then);
  Value record(const scheduler::Item& item) const;

  // The client in whose name a queue or a variable holds keys.
  using Holding = std::pair<std::string_view, Name>;  // "queue", "variable"
  struct Holder {
    ClientId client;
    std::size_t keys = 0;
  };
  void desire(ClientId client, const Key& key);
  void hold(std::string_view kind, const scheduler::Hold& hold);
  void drop(std::string_view kind, const scheduler::Hold& hold);
  void end_holder(const Holding& holding);
  template <class Call>
  void with_queues(Call&& call);
  template <class Call>
  void with_variables(Call&& call);

  SchedulerServer::Impl& impl_;
  scheduler::Events events_;
  scheduler::Semaphores semaphores_;
  scheduler::MultiLocks multi_locks_;
  scheduler::Queues queues_;
  scheduler::Variables variables_;
  std::map<Ticket, Waiter> waiters_;
  std::uint64_t last_ticket_ = 0;
  std::map<Holding, Holder> holders_;
  std::optional<comm::TimerId> lease_check_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // For timers that nobody cancels.
};

}  // namespace rask::scheduler_server
