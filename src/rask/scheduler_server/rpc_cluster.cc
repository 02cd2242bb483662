// Operations on the cluster itself: retire, restart, close, and what tells of the workers' insides.
#include <fmt/format.h>

#include "rask/base/log.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {

using scheduler::Effects;

constexpr std::string_view kLogger = "distributed.scheduler";

// ---- retire
// ---------------------------------------------------------------------------------------

// Addresses only, as in Dask: its SpecCluster gives names, which mean nobody, and closes those
// workers by itself. Closed from both sides, a nanny waits for its worker and the worker for it.
std::vector<WorkerId> SchedulerServer::Impl::workers_at(const Value& addresses) const {
  std::vector<WorkerId> found;
  for (const Value& item : addresses.as_array()) {
    const auto address = comm::normalize_address(std::string{item.as_text()});
    if (const auto worker = machine.find_worker(address)) found.push_back(*worker);
  }
  return found;
}

void SchedulerServer::Impl::retire_workers(const Request& request) {
  std::vector<WorkerId> which;
  if (!request["names"].is_nil())
    which = workers_named(request["names"]);
  else if (!request["workers"].is_nil())
    which = workers_at(request["workers"]);
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

// ---- restart ------------------------------------------------------------------------------------

// One restart: nannies kill their workers and start them again; workers without one are closed.
struct SchedulerServer::Impl::Restart {
  explicit Restart(const Request& of) : request(of) {}

  Request request;
  std::vector<std::string> workers;
  std::size_t count_before = 0;
  Seconds timeout = 30;
  Seconds deadline = 0;
  bool raises = true;
  bool answers_by_worker = false;
  Value::Map outcome;      // By worker: OK, removed, timed out.
  std::size_t asked = 0;   // Nannies that have not answered.
  std::size_t failed = 0;  // Nannies that did not kill their worker in time.
  std::size_t removed = 0;
};

void SchedulerServer::Impl::restart_workers(const Request& request, std::vector<WorkerId> which,
                                            bool answers_by_worker) {
  auto restart = std::make_shared<Restart>(request);
  restart->count_before = machine.workers().size();
  restart->timeout = request["timeout"].as_real(30);
  restart->deadline = loop.now() + restart->timeout;
  restart->raises = request["on_error"].as_text("raise") == "raise";
  restart->answers_by_worker = answers_by_worker;
  const std::string stimulus{request["stimulus_id"].as_text("restart-workers")};
  std::vector<Target> nannies;
  for (const auto worker : which) {
    const auto view = machine.worker(worker);
    restart->workers.push_back(view.info.address);
    if (!view.info.nanny.empty()) {
      nannies.push_back({view.info.address, view.info.nanny});
      continue;
    }
    log::warning(kLogger, "worker {} has no nanny and will not come back", view.info.address);
    restart->outcome.emplace_back(view.info.address, "removed");
    ++restart->removed;
    close_and_remove(worker, "restart-workers");
  }
  restart->asked = nannies.size();
  for (const auto& nanny : nannies) {
    call(nanny.address, Value::object({{"op", "kill"}, {"reason", stimulus}, {"reply", true}}),
         restart->timeout, [this, restart, nanny](const Result<Value>& reply) {
           restart->outcome.emplace_back(nanny.worker, reply.ok() ? "OK" : "timed out");
           if (!reply.ok()) {
             ++restart->failed;
             log::error(kLogger, "restart of {}: {}", nanny.address, reply.error().message);
           }
           // Its connection ends by itself; until it has, nobody should be sent to it.
           if (const auto worker = machine.find_worker(nanny.worker))
             close_and_remove(*worker, "restart-workers");
           if (--restart->asked == 0) after_kills(restart);
         });
  }
  if (nannies.empty()) after_kills(restart);
}

void SchedulerServer::Impl::close_and_remove(WorkerId worker, const std::string& reason) {
  if (auto* session = session_of(worker)) {
    session->batch.add(protocol::ToWorker{protocol::CloseWorker{reason}});
  }
  with_machine(
      [&](Seconds now, Effects& out) { machine.remove_worker(worker, true, reason, now, out); });
  drop_worker(worker);
}

void SchedulerServer::Impl::after_kills(const std::shared_ptr<Restart>& restart) {
  const auto& request = restart->request;
  const auto answer = [&] {
    return restart->answers_by_worker ? Value{restart->outcome} : Value{};
  };
  if (restart->failed > 0 && restart->raises) {
    return request.reply(comm::error_reply(
        "TimeoutError",
        fmt::format("{}/{} nanny worker(s) did not shut down within {}s", restart->failed,
                    restart->workers.size() - restart->removed, restart->timeout)));
  }
  const std::string client{request["client"].as_text()};
  log_event("all", Value::object({{"action", "restart-workers"},
                                  {"workers", list_of(restart->workers)},
                                  {"client", client}}));
  if (!client.empty()) {
    log_event(client, Value::object(
                          {{"action", "restart-workers"}, {"workers", list_of(restart->workers)}}));
  }
  if (!request["wait_for_workers"].as_bool(true)) return request.reply(answer());
  wait_for_restart(restart);
}

void SchedulerServer::Impl::wait_for_restart(const std::shared_ptr<Restart>& restart) {
  const auto count = machine.workers().size();
  if (count >= restart->count_before || closing || loop.now() >= restart->deadline) {
    if (count >= restart->count_before || !restart->raises) {
      return restart->request.reply(restart->answers_by_worker ? Value{restart->outcome} : Value{});
    }
    auto text = fmt::format(
        "Waited for {} worker(s) to reconnect after restarting but, after {}s, {} have not "
        "returned. Consider a longer timeout, or `wait_for_workers=False`.",
        restart->workers.size(), restart->timeout, restart->count_before - count);
    if (restart->removed > 0) {
      text += fmt::format(
          " The {} worker(s) not using Nannies were just shut down instead of restarted (restart "
          "is only possible with Nannies).",
          restart->removed);
    }
    return restart->request.reply(comm::error_reply("TimeoutError", text));
  }
  loop.call_later(0.02, [this, restart] { wait_for_restart(restart); });
}

void SchedulerServer::Impl::add_cluster_handlers() {
  server.on("retire_workers", [this](const Request& r) { retire_workers(r); });
  server.on("restart", [this](const Request& r) {
    log::info(kLogger, "Restarting workers and releasing all keys");
    with_machine([&](Seconds now, Effects& out) { machine.restart(now, out); });
    restart_workers(r, machine.workers(), false);
  });
  server.on("restart_workers",
            [this](const Request& r) { restart_workers(r, workers_named(r["workers"]), true); });
  server.on("amm_handler", [this](const Request& r) {
    const auto method = r["method"].as_text();
    if (method == "running") return r.reply(machine.active_memory_manager());
    if (method == "start" || method == "stop") machine.run_active_memory_manager(method == "start");
    if (method == "run_once") {
      with_machine([&](Seconds now, Effects& out) { machine.reduce_replicas(now, out); });
    }
    r.reply(Value{});
  });
  server.on("terminate", [this](const Request& r) {
    r.reply("OK");
    close(std::string{r["reason"].as_text("scheduler-terminate")});
  });
}

}  // namespace rask::scheduler_server
