#pragma once
// The answering side of Dask's RPC: a table of ops, and the connections that ask.
//
// A connection carries one request at a time: a map {"op": name, "reply": bool, …}. The handler
// answers now or later, or takes the connection over as a stream. Source: distributed/core.py
// (Server.handle_comm, error_message).
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "rask/comm/comm.h"
#include "rask/wire/value.h"

namespace rask::comm {

// One request. Copyable: a handler that answers later keeps a copy.
class Request {
 public:
  Request(ConnectionPtr connection, wire::Value fields)
      : connection_(std::move(connection)),
        fields_(std::make_shared<const wire::Value>(std::move(fields))) {}

  const wire::Value& operator[](std::string_view field) const { return (*fields_)[field]; }
  const wire::Value& fields() const { return *fields_; }
  const ConnectionPtr& connection() const { return connection_; }

  // Sends the answer, unless the caller wants none ("reply": false).
  void reply(const wire::Value& value) const;
  void reply_error(const Error& error) const;

 private:
  ConnectionPtr connection_;
  std::shared_ptr<const wire::Value> fields_;
};

// The answer to Dask's get_logs, newest first: [[level, text], …], or with "timestamps" [created,
// level, text]; at most "n" (0 or none: all), and none before "start". Threads that are workers or
// schedulers in one process share their log.   source  distributed/node.py, get_logs
wire::Value recent_logs(const Request& request);

class RpcServer {
 public:
  using Handler = std::function<void(const Request&)>;

  explicit RpcServer(std::string logger) : logger_(std::move(logger)) {}
  ~RpcServer();  // Closes every connection that is still asking.
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  void on(std::string op, Handler handler);
  // Takes a connection from a listener and answers what it asks, until it closes.
  void serve(ConnectionPtr connection);
  // A handler calls this before it gives the connection new handlers by Connection::start.
  void hand_over(const ConnectionPtr& connection);
  // Calls `done` once, when the peer has said "OK" behind a reply or its connection has ended.
  void when_acknowledged(const ConnectionPtr& connection, std::function<void()> done);
  // Calls `gone` once if the connection ends before the next call for it: whoever asked there does
  // not wait for an answer any more. An empty `gone`: the answer has been given.
  void when_gone(const ConnectionPtr& connection, std::function<void()> gone);
  void close();

 private:
  void on_message(const ConnectionPtr& connection, wire::Message&& message);

  std::string logger_;
  std::map<std::string, Handler, std::less<>> handlers_;
  struct Asking {
    ConnectionPtr connection;
    std::function<void()> acknowledged;
    std::function<void()> gone = {};
  };
  void acknowledge(Asking& asking) const;
  std::map<Connection*, Asking> connections_;
};

// A Python exception with one text, serialised as stock peers do it: RuntimeError(message). `type`
// is a built-in one, or "module.name".
wire::Payload exception_payload(std::string_view type, std::string_view message);
// {"status": "uncaught-error", …}, which raises that exception at a stock peer.
wire::Value error_reply(std::string_view type, std::string_view message);

}  // namespace rask::comm
