// Operations on the cluster itself: retire, restart, close, and what tells of the workers' insides.
#include <fmt/format.h>

#include "rask/base/log.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {

using scheduler::Effects;

constexpr std::string_view kLogger = "distributed.scheduler";

// ---- retire
// ---------------------------------------------------------------------------------------

void SchedulerServer::Impl::retire_workers(const Request& request) {
  std::vector<WorkerId> which;
  if (!request["names"].is_nil())
    which = workers_named(request["names"]);
  else if (!request["workers"].is_nil())
    which = workers_named(request["workers"]);
  else
    which = machine.workers_to_close(static_cast<int>(request["n"].as_int(0)));
  if (which.empty()) return request.reply(Value::Map{});

  Value::Map identities;
  for (const auto worker : which) {
    identities.emplace_back(machine.worker(worker).info.address, worker_identity(worker));
  }
  const bool close_workers = request["close_workers"].as_bool(false);
  const bool remove = request["remove"].as_bool(true);
  const auto done = [this, request, identities, close_workers,
                     remove](const std::vector<std::string>& retired) {
    Value::Map answer;
    for (const auto& [address, worker_value] : identities) {
      if (std::ranges::find(retired, address.as_text()) == retired.end()) continue;
      answer.emplace_back(address, worker_value);
      const auto worker = machine.find_worker(address.as_text());
      if (!worker) continue;
      if (auto* session = session_of(*worker); session != nullptr && (close_workers || remove)) {
        session->batch.add(protocol::ToWorker{protocol::CloseWorker{"retire-workers"}});
      }
      if (remove) {
        with_machine([&](Seconds now, Effects& out) {
          machine.remove_worker(*worker, true, "retire-workers", now, out);
        });
        drop_worker(*worker);
      }
    }
    log_event("all", Value::object({{"action", "retire-workers"}, {"retired", list_of(retired)}}));
    request.reply(std::move(answer));
  };
  // The end may come within the call: it is looked up after the number is known.
  Effects effects;
  const auto number = machine.retire_workers(which, loop.now(), effects);
  retirements.emplace(number, done);
  apply(effects);
  arm_timer();
}

// ---- restart
// --------------------------------------------------------------------------------------

// Workers with a nanny come back; the others are closed, as in Dask.
void SchedulerServer::Impl::restart_workers(const Request& request, std::vector<WorkerId> which) {
  const auto timeout = request["timeout"].as_real(30);
  std::set<std::string> before;
  std::size_t coming_back = 0;
  for (const auto worker : which) {
    const auto view = machine.worker(worker);
    before.insert(view.info.server_id);
    const auto nanny = view.info.nanny;
    if (nanny.empty()) {
      if (auto* session = session_of(worker)) {
        session->batch.add(protocol::ToWorker{protocol::CloseWorker{"restart-workers"}});
      }
      log::warning(kLogger, "worker {} has no nanny and will not come back", view.info.address);
    } else {
      ++coming_back;
      call(nanny, Value::object({{"op", "restart"}, {"timeout", timeout}, {"reply", true}}),
           timeout, [nanny](const Result<Value>& reply) {
             if (!reply.ok())
               log::error(kLogger, "restart of {}: {}", nanny, reply.error().message);
           });
    }
    with_machine([&](Seconds now, Effects& out) {
      machine.remove_worker(worker, true, "restart-workers", now, out);
    });
    drop_worker(worker);
  }
  if (!request["wait_for_workers"].as_bool(true)) {
    request.reply(Value{});
    return;
  }
  wait_for_restart(request, std::move(before), coming_back, loop.now() + timeout);
}

void SchedulerServer::Impl::wait_for_restart(const Request& request, std::set<std::string> before,
                                             std::size_t count, Seconds deadline) {
  std::size_t fresh = 0;
  for (const auto id : machine.workers()) {
    if (!before.contains(machine.worker(id).info.server_id)) ++fresh;
  }
  if (fresh >= count || closing) return request.reply(Value{});
  if (loop.now() >= deadline) {
    request.reply(comm::error_reply(
        "TimeoutError", fmt::format("{} of {} workers did not come back in time; their nannies may "
                                    "still be starting them",
                                    count - fresh, count)));
    return;
  }
  loop.call_later(0.02, [this, request, before = std::move(before), count, deadline]() mutable {
    wait_for_restart(request, std::move(before), count, deadline);
  });
}

void SchedulerServer::Impl::add_cluster_handlers() {
  server.on("retire_workers", [this](const Request& r) { retire_workers(r); });
  server.on("restart", [this](const Request& r) {
    log::info(kLogger, "Restarting workers and releasing all keys");
    with_machine([&](Seconds now, Effects& out) { machine.restart(now, out); });
    restart_workers(r, machine.workers());
  });
  server.on("restart_workers",
            [this](const Request& r) { restart_workers(r, workers_named(r["workers"])); });
  server.on("terminate", [this](const Request& r) {
    r.reply("OK");
    close(std::string{r["reason"].as_text("scheduler-terminate")});
  });
  // What the workers know of their running tasks, one answer a worker.
  server.on("call_stack", [this](const Request& r) {
    std::set<std::string> targets;
    const auto keys = keys_of(r["keys"]);
    for (const Key& key : keys) {
      const auto task = machine.task(key);
      if (task && !task->processing_on.empty()) targets.insert(task->processing_on);
    }
    if (r["keys"].is_nil()) {
      for (const auto id : machine.workers()) targets.insert(machine.worker(id).info.address);
    }
    auto answer = std::make_shared<Value::Map>();
    auto open = std::make_shared<std::size_t>(targets.size());
    if (targets.empty()) return r.reply(Value::Map{});
    for (const auto& address : targets) {
      call(address, Value::object({{"op", "call_stack"}, {"keys", r["keys"]}, {"reply", true}}), 5,
           [r, answer, open, address](const Result<Value>& reply) {
             if (reply.ok() && !reply.value().as_map().empty()) {
               answer->emplace_back(address, reply.value());
             }
             if (--*open == 0) r.reply(std::move(*answer));
           });
    }
  });
  server.on("run_function", [](const Request& r) {
    r.reply(comm::error_reply("NotImplementedError",
                              "this scheduler is native: it cannot run Python functions"));
  });
}

}  // namespace rask::scheduler_server
