#include "rask/comm/rpc_server.h"

#include "rask/base/log.h"
#include "rask/wire/pickle.h"

namespace rask::comm {
namespace {

std::string_view python_type(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "ValueError";
    case ErrorCode::peer_lost:
      return "OSError";
    case ErrorCode::timed_out:
      return "TimeoutError";
    default:
      return "RuntimeError";
  }
}

}  // namespace

wire::Value recent_logs(const Request& request) {
  const auto records = log::recent();
  const auto start = request["start"].as_real(0);
  const auto count_max = static_cast<std::size_t>(request["n"].as_int(0));
  wire::Value::Array lines;
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    if ((count_max > 0 && lines.size() >= count_max) || record->created < start) break;
    wire::Value::Array line{wire::Value{log::to_string(record->level)}, wire::Value{record->text}};
    if (request["timestamps"].as_bool()) line.insert(line.begin(), wire::Value{record->created});
    lines.emplace_back(std::move(line));
  }
  return lines;
}

wire::Payload exception_payload(std::string_view type, std::string_view message) {
  static const wire::Buffer header = [] {
    wire::Writer writer;
    writer.map(2);
    writer.text("serializer");
    writer.text("pickle");
    writer.text("writeable");
    writer.array(0);
    return wire::Buffer::own(writer.take());
  }();
  return {.kind = wire::Payload::Kind::serialized,
          .header = header,
          .frames = {wire::Buffer::own(wire::write_exception(type, message))}};
}

wire::Value error_reply(std::string_view type, std::string_view message) {
  return wire::Value::object({{"status", "uncaught-error"},
                              {"exception", exception_payload(type, message)},
                              {"traceback", nullptr},
                              {"exception_text", message},
                              {"traceback_text", ""}});
}

void Request::reply(const wire::Value& value) const {
  if ((*fields_)["reply"].as_bool(true)) connection_->send(wire::encode(value));
}

void Request::reply_error(const Error& error) const {
  reply(error_reply(python_type(error.code), error.message));
}

RpcServer::~RpcServer() { close(); }

void RpcServer::on(std::string op, Handler handler) {
  handlers_.insert_or_assign(std::move(op), std::move(handler));
}

void RpcServer::serve(ConnectionPtr connection) {
  auto* const raw = connection.get();
  connections_.emplace(raw, Asking{connection, {}});
  connection->start(
      [this, raw](wire::Message&& message) {
        const auto found = connections_.find(raw);
        if (found != connections_.end())
          on_message(ConnectionPtr{found->second.connection}, std::move(message));
      },
      [this, raw](const Error&) {
        auto ended = connections_.extract(raw);
        if (ended.empty()) return;
        acknowledge(ended.mapped());
        if (const auto gone = std::exchange(ended.mapped().gone, {})) gone();
      });
}

void RpcServer::when_acknowledged(const ConnectionPtr& connection, std::function<void()> done) {
  const auto found = connections_.find(connection.get());
  if (found == connections_.end()) return done();
  acknowledge(found->second);  // A peer that forgot to.
  found->second.acknowledged = std::move(done);
}

void RpcServer::acknowledge(Asking& asking) const {
  if (const auto done = std::exchange(asking.acknowledged, {})) done();
}

void RpcServer::when_gone(const ConnectionPtr& connection, std::function<void()> gone) {
  const auto found = connections_.find(connection.get());
  if (found != connections_.end()) found->second.gone = std::move(gone);
}

void RpcServer::hand_over(const ConnectionPtr& connection) { connections_.erase(connection.get()); }

void RpcServer::close() {
  for (auto& [raw, asking] : std::exchange(connections_, {})) {
    asking.connection->start(nullptr, nullptr);  // Its handlers refer to this server.
    asking.connection->close();
  }
}

void RpcServer::on_message(const ConnectionPtr& connection, wire::Message&& message) {
  auto tree = message.parse();
  if (!tree.ok()) {
    log::warning(logger_, "closing the connection of {}: {}", connection->peer().remote_address,
                 tree.error().message);
    connection->abort();
    return;
  }
  const auto& fields = tree.value();
  if (fields.get_if<std::string>() != nullptr) {  // "OK" behind a get_data.
    const auto found = connections_.find(connection.get());
    if (found != connections_.end()) acknowledge(found->second);
    return;
  }
  const auto op = fields["op"].as_text();
  if (op == "close-stream" || op == "close") {
    connection->close();
    return;
  }
  const auto handler = handlers_.find(op);
  const Request request{connection, std::move(tree).value()};
  if (handler == handlers_.end()) {
    log::warning(logger_, "unknown operation '{}' from {}", request["op"].as_text(),
                 connection->peer().remote_address);
    request.reply(error_reply("AttributeError", fmt::format("this server knows no operation '{}'",
                                                            request["op"].as_text())));
    return;
  }
  handler->second(request);
  if (request["close"].as_bool(false)) connection->close();
}

}  // namespace rask::comm
