#include "rask/comm/handshake.h"

#include <fmt/format.h>

namespace rask::comm {
namespace {

constexpr std::uint64_t kHandshakeBytesMax = 1 << 20;

struct Shaking {
  EventLoop& loop;
  std::shared_ptr<StreamConnection> connection;
  Handshake local;
  TimerId timer{};
  std::function<void(Result<ConnectionPtr>)> done;

  void finish(const wire::Message& message) {
    auto agreed = negotiate(local, message, connection->mutable_peer());
    // Ending the connection is what reports the failure.
    if (!agreed.ok()) return connection->end(agreed.error());
    loop.cancel(timer);
    connection->detach();
    std::exchange(done, nullptr)(ConnectionPtr{std::move(connection)});
  }
  void fail(const Error& error) {
    loop.cancel(timer);
    const bool uses_tls = connection->uses_tls();
    connection.reset();
    auto reason = Error{error}.with_context("handshake");
    if (reason.code == ErrorCode::peer_lost)
      reason.message += uses_tls ? " (it may be no Dask server, or not trust our certificate)"
                                 : " (it may be no Dask server, or want TLS)";
    std::exchange(done, nullptr)(std::move(reason));
  }
};

}  // namespace

Result<Ok> check_security(const std::string& address, bool tls, const Options& options) {
  if (!tls && options.require_encryption)
    return Error{ErrorCode::invalid_argument,
                 fmt::format("encryption required by Dask configuration, refusing communication "
                             "from/to '{}'",
                             address)};
  if (tls && options.tls == nullptr)
    return Error{ErrorCode::invalid_argument,
                 fmt::format("{} needs a CA file and a certificate, and there are none (perhaps "
                             "check your TLS configuration?): --tls-ca-file, --tls-cert, "
                             "--tls-key, or distributed.comm.tls",
                             address)};
  return Ok{};
}

wire::Frames handshake_message(const Handshake& local) {
  wire::MessageWriter writer;
  auto& root = writer.root();
  root.map(local.dense ? 4 : 3);
  root.text("compression");
  if (local.compress && !local.compressions.empty())
    root.text(local.compressions.front());
  else
    root.nil();
  root.text("python");
  root.array(3);
  for (const int part : {3, 11, 0}) root.integer(part);
  root.text("pickle-protocol");
  root.integer(5);
  if (local.dense) {
    root.text("rask");
    root.integer(1);
  }
  return writer.take();
}

Result<Ok> negotiate(const Handshake& local, const wire::Message& remote, Peer& peer) {
  RASK_TRY(const auto fields, remote.parse());
  if (fields["pickle-protocol"].is_nil())
    return Error{ErrorCode::corrupt_message,
                 "the peer sends no Dask handshake (is it another server, or a very old Dask?)"};
  peer.dense = local.dense && fields["rask"].as_int() >= 1;
  peer.compression = wire::Compression::none;
  if (local.compress && !local.compressions.empty() &&
      fields["compression"].as_text() == local.compressions.front())
    peer.compression =
        wire::parse_compression(local.compressions.front()).value_or(wire::Compression::none);
  return Ok{};
}

void shake_hands(EventLoop& loop, std::shared_ptr<StreamConnection> connection,
                 const Handshake& local, Seconds timeout,
                 std::function<void(Result<ConnectionPtr>)> done) {
  auto state = std::make_shared<Shaking>(Shaking{loop, connection, local, {}, std::move(done)});
  connection->limit_first_message(kHandshakeBytesMax);
  connection->send(handshake_message(local));
  // The timer may outlive the handshake only as long as nobody cancels it: no cycle through it.
  state->timer = loop.call_later(timeout, [weak = std::weak_ptr{connection}, timeout] {
    if (const auto alive = weak.lock())
      alive->end({ErrorCode::timed_out, fmt::format("no handshake within {} s", timeout)});
  });
  connection->start([state](wire::Message&& message) { state->finish(message); },
                    [state](const Error& error) { state->fail(error); });
}

}  // namespace rask::comm
