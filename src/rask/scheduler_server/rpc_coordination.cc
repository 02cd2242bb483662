// Requests that wait; events, semaphores (locks are semaphores of one lease) and multi-locks.
#include <fmt/format.h>

#include <cmath>

#include "rask/base/log.h"
#include "rask/base/units.h"
#include "rask/scheduler_server/coordination_internal.h"

namespace rask::scheduler_server {

constexpr std::string_view kLogger = "distributed.scheduler";

Coordination::Coordination(SchedulerServer::Impl& impl) : impl_(impl) { add_handlers(); }

Coordination::~Coordination() {
  if (lease_check_) impl_.loop.cancel(*lease_check_);
  for (const auto& [ticket, waiter] : waiters_) {
    if (waiter.timer) impl_.loop.cancel(*waiter.timer);
  }
}

// ---- Requests that wait -------------------------------------------------------------------------

namespace {

constexpr Seconds kForever = 1e9;

// A length of time as Dask's peers send it: nil (for ever), a number of seconds, "200 ms".
Result<std::optional<Seconds>> parse_timeout(const Value& value) {
  if (value.is_nil()) return std::optional<Seconds>{};
  auto seconds = std::nan("");
  if (const auto* text = value.get_if<std::string>()) {
    RASK_TRY(seconds, parse_timedelta(*text));
  } else {
    seconds = value.as_real(seconds);
  }
  if (std::isnan(seconds)) {
    return Error{ErrorCode::invalid_argument,
                 "timeout must be a number of seconds, a length of time such as '200 ms', or None"};
  }
  return seconds < kForever ? std::optional{seconds} : std::nullopt;
}

}  // namespace

void Coordination::wait(const Request& request, Deadline deadline, Value late,
                        const std::function<void(Ticket)>& ask,
                        std::function<void(Ticket)> withdraw) {
  const Ticket ticket{++last_ticket_};
  waiters_.emplace(ticket, Waiter{request, std::move(late), std::move(withdraw)});
  ask(ticket);
  const auto found = waiters_.find(ticket);
  if (found == waiters_.end()) return;
  if (deadline) {
    const auto left = *deadline - impl_.loop.now();
    if (left <= 0) return give_up(ticket, true);
    found->second.timer = impl_.loop.call_later(left, [this, ticket] { give_up(ticket, true); });
  }
  impl_.server.when_gone(request.connection(), [this, ticket] { give_up(ticket, false); });
}

std::optional<Coordination::Waiter> Coordination::take(Ticket ticket) {
  auto node = waiters_.extract(ticket);
  if (node.empty()) return std::nullopt;
  auto& waiter = node.mapped();
  if (waiter.timer) impl_.loop.cancel(*waiter.timer);
  impl_.server.when_gone(waiter.request.connection(), {});
  return std::move(waiter);
}

void Coordination::answer(Ticket ticket, const Value& value) {
  if (const auto waiter = take(ticket)) waiter->request.reply(value);
}

void Coordination::answer(const scheduler::Tickets& tickets, const Value& value) {
  for (const auto ticket : tickets) answer(ticket, value);
}

void Coordination::give_up(Ticket ticket, bool connected) {
  const auto waiter = take(ticket);
  if (!waiter) return;
  waiter->withdraw(ticket);
  if (connected) waiter->request.reply(waiter->late);
}

// ---- Events -------------------------------------------------------------------------------------

void Coordination::event_wait(const Request& request, const Name& name, Deadline deadline) {
  wait(
      request, deadline, Value{false},
      [&](Ticket ticket) {
        if (events_.wait(name, ticket)) answer(ticket, Value{true});
      },
      [this, name](Ticket ticket) { events_.withdraw(name, ticket); });
}

void Coordination::event_set(const Request& request, const Name& name) {
  answer(events_.set(name), Value{true});
  request.reply(Value{});
}

void Coordination::event_clear(const Request& request, const Name& name) {
  events_.clear(name);
  request.reply(Value{});
}

void Coordination::event_is_set(const Request& request, const Name& name) {
  request.reply(events_.is_set(name));
}

// ---- Semaphores ---------------------------------------------------------------------------------

namespace {

Value unknown_semaphore(const scheduler::Name& name) {
  return comm::error_reply("RuntimeError",
                           fmt::format("Semaphore or Lock `{}` not known.", name.str()));
}

}  // namespace

void Coordination::semaphore_register(const Request& request, const Name& name) {
  const auto* max_leases = request["max_leases"].get_if<std::int64_t>();
  if (max_leases == nullptr) {
    return request.reply(
        comm::error_reply("AssertionError", wire::to_string(request["max_leases"])));
  }
  const auto lease_timeout = parse_timeout(request["lease_timeout"]);
  if (!lease_timeout.ok()) return request.reply_error(lease_timeout.error());
  const auto before = semaphores_.create(name, *max_leases, lease_timeout.value());
  if (before) {
    return request.reply_error(
        {ErrorCode::invalid_argument,
         fmt::format("Inconsistent max leases: {}, expected: {}", *max_leases, *before)});
  }
  request.reply(Value{});
}

void Coordination::semaphore_acquire(const Request& request, const Name& name, Deadline deadline) {
  if (!semaphores_.contains(name)) return request.reply(unknown_semaphore(name));
  const std::string lease{request["lease_id"].as_text()};
  wait(
      request, deadline, Value{false},
      [&](Ticket ticket) {
        if (semaphores_.acquire(name, lease, ticket, impl_.loop.now())) {
          answer(ticket, Value{true});
        }
      },
      [this, name](Ticket ticket) { semaphores_.withdraw(name, ticket); });
  plan_lease_check();
}

void Coordination::semaphore_release(const Request& request, const Name& name) {
  const std::string lease{request["lease_id"].as_text()};
  if (!semaphores_.contains(name)) {
    log::warning(kLogger, "Tried to release Lock or Semaphore `{}` but it is not known.",
                 name.str());
  } else if (const auto granted = semaphores_.release(name, lease, impl_.loop.now())) {
    answer(*granted, Value{true});
  } else {
    log::warning(kLogger,
                 "Lease {} of Lock or Semaphore `{}` was released already; it may have timed out.",
                 lease, name.str());
  }
  request.reply(Value{});
}

// Those who hold a lease are not told; those who wait for one are: nobody will ever release it.
void Coordination::semaphore_close(const Request& request, const Name& name) {
  const auto closed = semaphores_.close(name);
  if (!closed.leases.empty()) {
    log::warning(kLogger, "Closing semaphore {} but there remain {} unreleased leases", name.str(),
                 closed.leases.size());
  }
  if (!closed.waiting.empty()) {
    log::warning(kLogger, "Closing semaphore {} but there remain {} pending leases", name.str(),
                 closed.waiting.size());
  }
  answer(closed.waiting, unknown_semaphore(name));
  request.reply(Value{});
}

void Coordination::semaphore_refresh_leases(const Request& request, const Name& name) {
  std::vector<std::string> leases;
  for (const Value& lease : request["lease_ids"].as_array()) leases.emplace_back(lease.as_text());
  for (const auto& lease : semaphores_.refresh(name, leases, impl_.loop.now())) {
    log::error(
        kLogger,
        "Refreshing an unknown lease {} of semaphore {}. It may have timed out because the "
        "task that holds it did not let go of the GIL; more leases than allowed may be held.",
        lease, name.str());
  }
  request.reply(Value{});
  plan_lease_check();
}

void Coordination::semaphore_value(const Request& request, const Name& name) {
  request.reply(semaphores_.value(name));
}

// Looks every distributed.scheduler.locks.lease-validation-interval, as long as there is a lease.
void Coordination::plan_lease_check() {
  if (lease_check_ || !semaphores_.may_expire()) return;
  lease_check_ = impl_.loop.call_later(impl_.options.lease_validation_interval, [this] {
    lease_check_.reset();
    answer(semaphores_.expire(impl_.loop.now()), Value{true});
    plan_lease_check();
  });
}

// ---- Multi-locks --------------------------------------------------------------------------------

void Coordination::multi_lock_acquire(const Request& request, const Name& name, Deadline deadline) {
  std::vector<Name> locks;
  for (const Value& lock : request["locks"].as_array()) locks.push_back(key_of(lock));
  const auto count = request["num_locks"].as_int(0);
  const auto user = name.str();
  if (multi_locks_.contains(user) || count <= 0 || std::cmp_less(locks.size(), count)) {
    return request.reply(
        comm::error_reply("AssertionError",
                          "multi_lock_acquire needs an id that asks for nothing else, and from one "
                          "to all of its locks as num_locks"));
  }
  wait(
      request, deadline, Value{false},
      [&](Ticket ticket) {
        if (multi_locks_.acquire(locks, user, static_cast<std::size_t>(count), ticket)) {
          answer(ticket, Value{true});
        }
      },
      [this, user](Ticket) { answer(multi_locks_.release(user), Value{true}); });
}

void Coordination::multi_lock_release(const Request& request, const Name& name) {
  const auto user = name.str();
  if (!multi_locks_.contains(user)) return request.reply(comm::error_reply("KeyError", user));
  answer(multi_locks_.release(user), Value{true});
  request.reply(Value{});
}

// ---- The table ----------------------------------------------------------------------------------

void Coordination::on_name(const char* op,
                           void (Coordination::*handler)(const Request&, const Name&)) {
  const char* const field = std::string_view{op}.starts_with("multi_lock") ? "id" : "name";
  impl_.server.on(
      op, [this, field, handler](const Request& r) { (this->*handler)(r, key_of(r[field])); });
}

void Coordination::on_timed(const char* op,
                            void (Coordination::*handler)(const Request&, const Name&, Deadline)) {
  const char* const field = std::string_view{op}.starts_with("multi_lock") ? "id" : "name";
  impl_.server.on(op, [this, field, handler](const Request& r) {
    const auto timeout = parse_timeout(r["timeout"]);
    if (!timeout.ok()) return r.reply_error(timeout.error());
    Deadline deadline;
    if (timeout.value()) deadline = impl_.loop.now() + *timeout.value();
    (this->*handler)(r, key_of(r[field]), deadline);
  });
}

void Coordination::add_handlers() {
  on_timed("event_wait", &Coordination::event_wait);
  on_name("event_set", &Coordination::event_set);
  on_name("event_clear", &Coordination::event_clear);
  on_name("event_is_set", &Coordination::event_is_set);
  on_name("semaphore_register", &Coordination::semaphore_register);
  on_timed("semaphore_acquire", &Coordination::semaphore_acquire);
  on_name("semaphore_release", &Coordination::semaphore_release);
  on_name("semaphore_close", &Coordination::semaphore_close);
  on_name("semaphore_refresh_leases", &Coordination::semaphore_refresh_leases);
  on_name("semaphore_value", &Coordination::semaphore_value);
  on_timed("multi_lock_acquire", &Coordination::multi_lock_acquire);
  on_name("multi_lock_release", &Coordination::multi_lock_release);
  on_name("queue_create", &Coordination::queue_create);
  on_timed("queue_put", &Coordination::queue_put);
  on_timed("queue_get", &Coordination::queue_get);
  on_name("queue_qsize", &Coordination::queue_qsize);
  on_timed("variable_set", &Coordination::variable_set);
  on_timed("variable_get", &Coordination::variable_get);
}

}  // namespace rask::scheduler_server
