// Operations that move data or messages between this scheduler and the workers.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "rask/base/log.h"
#include "rask/scheduler_server/impl_internal.h"
#include "rask/wire/pickle.h"

namespace rask::scheduler_server {

using scheduler::Effects;

constexpr std::string_view kLogger = "distributed.scheduler";
constexpr Seconds kBusyPause = 0.05;
constexpr Seconds kMovePatience = 30;

void SchedulerServer::Impl::call(const std::string& address, const Value& message, Seconds timeout,
                                 std::function<void(Result<Value>)> done) {
  rpc.call(address, wire::encode(message), timeout,
           [done = std::move(done)](Result<wire::Message> reply) {
             done(reply.ok() ? comm::reply_value(reply.value()) : Result<Value>{reply.error()});
           });
}

// ---- gather -------------------------------------------------------------------------------------

namespace {

// One gather request: asks the holders of each key, again and elsewhere as long as somebody has it.
struct Gathering : std::enable_shared_from_this<Gathering> {
  SchedulerServer::Impl& impl;
  Request request;
  std::vector<Key> missing;
  Value::Map data;
  std::vector<Key> failed;
  std::set<WorkerId> gone;  // Workers that did not answer.
  std::size_t open = 0;

  Gathering(SchedulerServer::Impl& of, Request from) : impl(of), request(std::move(from)) {}

  void round() {
    std::map<WorkerId, std::vector<Key>> by_worker;
    for (Key& key : std::exchange(missing, {})) {
      std::vector<Key>* least = nullptr;  // The holder asked for least so far: spreads the work.
      for (const auto holder : impl.machine.holders(key)) {
        if (gone.contains(holder)) continue;
        auto& asked = by_worker[holder];
        if (least == nullptr || asked.size() < least->size()) least = &asked;
      }
      (least == nullptr ? failed : *least).push_back(std::move(key));
    }
    std::erase_if(by_worker, [](const auto& entry) { return entry.second.empty(); });
    if (by_worker.empty()) return finish();
    open = by_worker.size();
    for (auto& [worker, keys] : by_worker)
      ask(worker, impl.machine.worker(worker).info.address, std::move(keys));
  }

  void ask(WorkerId worker, const std::string& address, std::vector<Key> keys) {
    const auto message = wire::encode(Value::object({{"op", "get_data"},
                                                     {"keys", list_of(keys)},
                                                     {"who", nullptr},
                                                     {"serializers", request["serializers"]},
                                                     {"reply", true}}));
    impl.rpc.call(
        address, message, 0,
        [self = shared_from_this(), worker, address,
         keys = std::move(keys)](Result<wire::Message> reply) {
          self->take(worker, address, keys,
                     reply.ok() ? comm::reply_value(reply.value()) : Result<Value>{reply.error()});
        },
        wire::encode(Value{"OK"}));
  }

  void take(WorkerId worker, const std::string& address, const std::vector<Key>& keys,
            const Result<Value>& reply) {
    if (reply.ok() && reply.value()["status"].as_text() == "busy") {
      impl.loop.call_later(kBusyPause, [self = shared_from_this(), worker, address, keys] {
        self->ask(worker, address, keys);
      });
      return;
    }
    std::unordered_set<Key> left{keys.begin(), keys.end()};
    if (reply.ok()) {
      for (const auto& [key, value] : reply.value()["data"].as_map()) {
        if (left.erase(key_of(key)) > 0) data.emplace_back(key, value);
      }
    } else {
      log::warning(kLogger, "Couldn't gather from {}: {}", address, reply.error().message);
      gone.insert(worker);
    }
    std::vector<Key> lacking;
    std::ranges::copy_if(keys, std::back_inserter(lacking),
                         [&](const Key& key) { return left.erase(key) > 0; });
    if (reply.ok()) forget_lost(address, lacking);
    missing.insert(missing.end(), lacking.begin(), lacking.end());
    if (--open == 0) round();
  }

  // A worker that answered without the key does not have it, whatever the scheduler believed.
  void forget_lost(const std::string& address, const std::vector<Key>& keys) {
    const auto worker = impl.machine.find_worker(address);
    if (keys.empty() || !worker) return;
    impl.with_machine(
        [&](Seconds now, Effects& out) { impl.machine.missing_data(keys, *worker, now, out); });
  }

  void finish() {
    if (failed.empty()) {
      request.reply(Value::object({{"status", "OK"}, {"data", std::move(data)}}));
    } else {
      log::error(kLogger, "Couldn't gather keys: {}", wire::to_string(list_of(failed)));
      request.reply(Value::object({{"status", "error"}, {"keys", list_of(failed)}}));
    }
  }
};

}  // namespace

void SchedulerServer::Impl::gather(const Request& request) {
  auto gathering = std::make_shared<Gathering>(*this, request);
  gathering->missing = keys_of(request["keys"]);
  gathering->round();
}

// ---- scatter ------------------------------------------------------------------------------------

void SchedulerServer::Impl::scatter(const Request& request) {
  const auto timeout = request["timeout"].as_real(2);
  try_scatter(request, loop.now() + timeout);
}

namespace {

// A scatter under way: every worker's part must have come before the machine hears of any.
struct Scattering {
  std::vector<std::pair<Key, std::vector<std::string>>> who_has;
  std::vector<std::pair<Key, std::int64_t>> nbytes;
  std::vector<Key> keys;
  std::size_t open = 0;
  std::optional<Error> failed;
};

}  // namespace

// Calls `done` when all copies that were asked for are there, or it has taken too long.
void SchedulerServer::Impl::when_moved(Seconds deadline, std::function<void()> done) {
  if (machine.open_moves() == 0 || closing || loop.now() >= deadline) return done();
  loop.call_later(0.005, [this, deadline, done = std::move(done)]() mutable {
    when_moved(deadline, std::move(done));
  });
}

void SchedulerServer::Impl::try_scatter(const Request& request, Seconds deadline) {
  auto targets = workers_named(request["workers"]);
  std::erase_if(targets, [this](WorkerId id) {
    return machine.worker(id).status != protocol::WorkerStatus::running;
  });
  if (targets.empty()) {
    if (closing || loop.now() >= deadline) {
      request.reply(comm::error_reply("TimeoutError", "No valid workers found"));
    } else {
      loop.call_later(0.1, [this, request, deadline] { try_scatter(request, deadline); });
    }
    return;
  }
  auto scattering = std::make_shared<Scattering>();
  std::map<std::string, Value::Map> parts;
  std::size_t turn = 0;
  for (const auto& [key, value] : request["data"].as_map()) {
    const auto address = machine.worker(targets[turn++ % targets.size()]).info.address;
    scattering->who_has.emplace_back(key_of(key), std::vector<std::string>{address});
    scattering->keys.push_back(key_of(key));
    parts[address].emplace_back(key, value);
  }
  const auto done = [this, request, targets, scattering] {
    if (scattering->failed) return request.reply_error(*scattering->failed);
    with_machine([&](Seconds now, Effects& out) {
      const auto client = client_named(request["client"].as_text());
      machine.update_data(scattering->who_has, scattering->nbytes, client, now, out);
      const Value& copies = request["broadcast"];
      const int count = copies.get_if<std::int64_t>() ? static_cast<int>(copies.as_int())
                        : copies.as_bool()            ? static_cast<int>(targets.size())
                                                      : 1;
      if (count > 1) machine.replicate(scattering->keys, count, targets, now, out);
    });
    const auto event =
        Value::object({{"action", "scatter"},
                       {"client", request["client"]},
                       {"count", static_cast<std::int64_t>(scattering->keys.size())}});
    log_event("all", event);
    log_event(std::string{request["client"].as_text()}, event);
    when_moved(loop.now() + kMovePatience,
               [request, scattering] { request.reply(list_of(scattering->keys)); });
  };
  scattering->open = parts.size();
  if (parts.empty()) return done();
  for (auto& [address, part] : parts) {
    call(address,
         Value::object({{"op", "update_data"}, {"data", std::move(part)}, {"reply", true}}), 0,
         [scattering, done](const Result<Value>& reply) {
           if (!reply.ok()) {
             scattering->failed = reply.error();
           } else {
             for (const auto& [key, bytes] : reply.value()["nbytes"].as_map()) {
               scattering->nbytes.emplace_back(key_of(key), bytes.as_int());
             }
           }
           if (--scattering->open == 0) done();
         });
  }
}

// ---- broadcast, proxy ---------------------------------------------------------------------------

std::vector<Target> SchedulerServer::Impl::targets(const std::vector<WorkerId>& which,
                                                   bool nannies) const {
  std::vector<Target> found;
  for (const auto id : which) {
    const auto view = machine.worker(id);
    const auto& address = nannies ? view.info.nanny : view.info.address;
    if (!address.empty()) found.push_back({view.info.address, address});
  }
  return found;
}

namespace {

// A peer that nobody reaches, or one that went before it answered.
std::string_view exception_of(const Error& error) {
  return error.message.starts_with("no reply") ? "distributed.comm.core.CommClosedError"
                                               : "OSError";
}

}  // namespace

void SchedulerServer::Impl::broadcast(const std::vector<Target>& to, Value message,
                                      const std::string& on_error,
                                      std::function<void(Result<Value::Map>)> done) {
  struct Broadcast {
    std::vector<std::pair<std::string, std::optional<Value>>> replies;  // As asked, as in Dask.
    std::size_t open = 0;
    std::optional<Error> failed;
  };
  auto state = std::make_shared<Broadcast>();
  state->open = to.size();
  if (to.empty()) return done(Value::Map{});
  for (const auto& target : to) state->replies.emplace_back(target.worker, std::nullopt);
  message.set("reply", true);
  for (std::size_t i = 0; i < to.size(); ++i) {
    // The reply as it is: an answer with an exception inside is for the asker to raise.
    rpc.call(to[i].address, wire::encode(message), 0,
             [state, done, i, on_error](Result<wire::Message> reply) {
               auto tree = reply.ok() ? reply.value().parse() : Result<Value>{reply.error()};
               auto& kept = state->replies[i].second;
               if (tree.ok()) {
                 kept = std::move(tree).value();
               } else if (on_error == "return_pickle") {
                 kept = Value::Binary{
                     wire::write_exception(exception_of(tree.error()), tree.error().message)};
               } else if (on_error == "return") {
                 kept = comm::exception_payload(exception_of(tree.error()), tree.error().message);
               } else if (on_error != "ignore") {
                 state->failed = tree.error();
               }
               if (--state->open > 0) return;
               if (state->failed) return done(*state->failed);
               Value::Map replies;
               for (auto& [worker, value] : state->replies) {
                 if (value) replies.emplace_back(worker, *std::move(value));
               }
               done(std::move(replies));
             });
  }
}

void SchedulerServer::Impl::reply_broadcast(const Request& request, const std::vector<Target>& to,
                                            Value message, const std::string& on_error) {
  broadcast(to, std::move(message), on_error, [request](Result<Value::Map> replies) {
    if (replies.ok())
      request.reply(std::move(replies).value());
    else
      request.reply(comm::error_reply(exception_of(replies.error()), replies.error().message));
  });
}

namespace {

// What is passed on: the asker's serializers are those of the answer.
Value message_of(const Request& request) {
  Value message = request["msg"];
  if (!request["serializers"].is_nil()) message.set("serializers", request["serializers"]);
  return message;
}

}  // namespace

void SchedulerServer::Impl::broadcast(const Request& request) {
  auto which = workers_named(request["workers"]);
  if (!request["hosts"].is_nil()) {
    if (request["workers"].is_nil()) which.clear();
    for (const auto id : machine.workers()) {
      const auto address = comm::parse_tcp_address(machine.worker(id).info.address);
      const auto is_here = [&](const Value& host) {
        return address.ok() && host.as_text() == address.value().host;
      };
      if (std::ranges::any_of(request["hosts"].as_array(), is_here)) which.push_back(id);
    }
  }
  reply_broadcast(request, targets(which, request["nanny"].as_bool()), message_of(request),
                  std::string{request["on_error"].as_text("raise")});
}

void SchedulerServer::Impl::proxy(const Request& request) {
  const auto address = std::string{request["worker"].as_text()};
  Value message = message_of(request);
  message.set("reply", true);
  rpc.call(address, wire::encode(message), 0, [request](Result<wire::Message> reply) {
    if (!reply.ok()) return request.reply_error(reply.error());
    const auto tree = reply.value().parse();
    if (tree.ok())
      request.reply(tree.value());
    else
      request.reply_error(tree.error());
  });
}

void SchedulerServer::Impl::rebalance(const Request& r) {
  const auto ok = Value::object({{"status", "OK"}});
  const auto which = workers_named(r["workers"]);
  if (which.size() < r["workers"].as_array().size()) {
    return r.reply(comm::error_reply("KeyError", "rebalance: a worker that is not there"));
  }
  const auto keys = r["keys"].is_nil() ? machine.keys() : keys_of(r["keys"]);
  if (keys.empty() || which.empty()) return r.reply(ok);
  std::vector<Key> missing;
  if (!r["keys"].is_nil()) missing = keys;
  std::erase_if(missing, [this](const Key& key) {
    return machine.task_state(key) == scheduler::TaskState::memory;
  });
  if (!missing.empty()) {
    return r.reply(Value::object({{"status", "partial-fail"}, {"keys", list_of(missing)}}));
  }
  with_machine([&](Seconds now, Effects& out) { machine.rebalance(keys, which, now, out); });
  // The originals are freed by a message that stands before this question, which workers answer
  // in turn: then the data is where the asker expects it.
  when_moved(loop.now() + kMovePatience, [this, r, ok, to = targets(which, false)] {
    broadcast(to, Value::object({{"op", "ping"}}), "ignore",
              [r, ok](const Result<Value::Map>&) { r.reply(ok); });
  });
}

void SchedulerServer::Impl::add_data_handlers() {
  server.on("gather", [this](const Request& r) { gather(r); });
  server.on("scatter", [this](const Request& r) { scatter(r); });
  server.on("broadcast", [this](const Request& r) { broadcast(r); });
  server.on("proxy", [this](const Request& r) { proxy(r); });
  server.on("update_data", [this](const Request& r) {
    std::vector<std::pair<Key, std::vector<std::string>>> who_has;
    std::vector<std::pair<Key, std::int64_t>> nbytes;
    for (const auto& [key, holders] : r["who_has"].as_map()) {
      auto& entry = who_has.emplace_back(key_of(key), std::vector<std::string>{});
      for (const Value& holder : holders.as_array()) entry.second.emplace_back(holder.as_text());
    }
    for (const auto& [key, bytes] : r["nbytes"].as_map()) {
      nbytes.emplace_back(key_of(key), bytes.as_int());
    }
    with_machine([&](Seconds now, Effects& out) {
      machine.update_data(who_has, nbytes, client_named(r["client"].as_text()), now, out);
    });
    r.reply("OK");
  });
  server.on("replicate", [this](const Request& r) {
    const auto among = workers_named(r["workers"]);
    const auto there = static_cast<int>(among.size());
    const auto copies =
        r["n"].is_nil() ? there : std::min(there, static_cast<int>(r["n"].as_int()));
    if (copies <= 0) {
      return r.reply(comm::error_reply("ValueError", "Can not use replicate to delete data"));
    }
    with_machine([&](Seconds now, Effects& out) {
      machine.replicate(keys_of(r["keys"]), copies, among, now, out);
    });
    when_moved(loop.now() + kMovePatience, [r] { r.reply(Value::object({{"status", "OK"}})); });
  });
  server.on("rebalance", [this](const Request& r) { rebalance(r); });
  server.on("retry", [this](const Request& r) {
    const auto retried = with_machine(
        [&](Seconds now, Effects& out) { return machine.retry(keys_of(r["keys"]), now, out); });
    r.reply(list_of(retried));
  });
  server.on("set_resources", [this](const Request& r) {
    protocol::Resources resources;
    for (const auto& [name, amount] : r["resources"].as_map()) {
      resources.emplace(name.as_text(), amount.as_real());
    }
    if (const auto worker = machine.find_worker(r["worker"].as_text())) {
      with_machine(
          [&](Seconds now, Effects& out) { machine.add_resources(*worker, resources, now, out); });
    }
    r.reply("OK");
  });
}

}  // namespace rask::scheduler_server
