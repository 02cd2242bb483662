// What is told over HTTP: Dask's routes for monitoring.    source: distributed/http
#include <boost/json.hpp>
#include <set>

#include "rask/base/log.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {

using scheduler::TaskState;

namespace {

boost::json::value to_json(const Value& value) {
  if (const auto* map = value.get_if<Value::Map>()) {
    boost::json::object object;
    for (const auto& [key, item] : *map) object[std::string{key.as_text()}] = to_json(item);
    return object;
  }
  if (const auto* array = value.get_if<Value::Array>()) {
    boost::json::array list;
    for (const Value& item : *array) list.push_back(to_json(item));
    return list;
  }
  if (const auto* text = value.get_if<std::string>()) return boost::json::string{*text};
  if (const auto* integer = value.get_if<std::int64_t>()) return *integer;
  if (const auto* real = value.get_if<double>()) return *real;
  if (const auto* boolean = value.get_if<bool>()) return *boolean;
  return nullptr;
}

constexpr std::string_view kRoutes = "/health, /json/counts.json, /json/identity.json";

}  // namespace

std::string json_of(const Value& value) { return boost::json::serialize(to_json(value)); }

Result<Ok> SchedulerServer::Impl::start_http() {
  if (!options.http) return Ok{};
  const auto handler = [this, alive = std::weak_ptr{alive}](const http::Request& request,
                                                            http::Respond respond) {
    // All that there is to tell belongs to the loop's thread.
    loop.post([this, alive, request, respond = std::move(respond)] {
      if (alive.lock()) respond(answer_http(request));
    });
  };
  RASK_TRY(http_server, http::Server::start(*options.http, handler));
  if (options.http->port != 0 && http_server->port() != options.http->port) {
    log::warning("distributed.scheduler",
                 "Port {} is already in use. Perhaps you already have a cluster running? Hosting "
                 "the HTTP server on port {} instead",
                 options.http->port, http_server->port());
  }
  return Ok{};
}

http::Response SchedulerServer::Impl::answer_http(const http::Request& request) const {
  if (request.method != "GET" && request.method != "HEAD") {
    return {.status = 405, .body = "only GET and HEAD\n", .headers = {{"Allow", "GET, HEAD"}}};
  }
  if (request.path == "/health") return {.body = "ok"};
  const auto json = [](const Value& value) {
    return http::Response{.content_type = "application/json; charset=UTF-8",
                          .body = json_of(value)};
  };
  if (request.path == "/json/identity.json") return json(identity());
  if (request.path == "/json/counts.json") return json(counts());
  return {.status = 404,
          .body = fmt::format("There is nothing at {}. There is: {}\n", request.path, kRoutes)};
}

// source: distributed/http/scheduler/json.py, CountsJSON
Value SchedulerServer::Impl::counts() const {
  std::map<TaskState, std::int64_t> states;
  for (const auto& [prefix, by_state] : machine.prefix_states()) {
    for (const auto& [state, count] : by_state) states[state] += static_cast<std::int64_t>(count);
  }
  std::int64_t threads = 0;
  std::int64_t bytes = 0;
  std::size_t in_memory = 0;
  std::set<std::string> hosts;
  const auto all = machine.workers();
  for (const auto id : all) {
    const auto view = machine.worker(id);
    threads += view.info.nthreads;
    bytes += view.nbytes;
    in_memory += view.has_what_count;
    const auto address = comm::parse_tcp_address(view.info.address);
    hosts.insert(address.ok() ? address.value().host : view.info.address);
  }
  const auto number = [](std::size_t count) { return static_cast<std::int64_t>(count); };
  return Value::object({{"bytes", bytes},
                        {"clients", number(machine.client_count())},
                        {"cores", threads},
                        {"erred", states[TaskState::erred]},
                        {"hosts", number(hosts.size())},
                        {"idle", number(machine.idle_count())},
                        {"memory", number(in_memory)},
                        {"processing", states[TaskState::processing]},
                        {"queued", states[TaskState::queued]},
                        {"released", states[TaskState::released]},
                        {"tasks", number(machine.task_count())},
                        {"unrunnable", states[TaskState::no_worker]},
                        {"waiting", states[TaskState::waiting]},
                        {"workers", number(all.size())},
                        {"desired_workers", machine.adaptive_target(5)}});
}

}  // namespace rask::scheduler_server
