#pragma once
// The first message of both sides. Private to this room.
// Source: distributed/comm/core.py (handshake_info, handshake_configuration).
#include <functional>
#include <memory>

#include "rask/comm/stream_connection.h"

namespace rask::comm {

// May `address` be used with these options?   errors: invalid_argument
Result<Ok> check_security(const std::string& address, bool tls, const Options& options);

wire::Frames handshake_message(const Handshake& local);
// Fills in what both sides can do.
//   errors   corrupt_message: that is no handshake.
Result<Ok> negotiate(const Handshake& local, const wire::Message& remote, Peer& peer);

// Says hello on a new connection and waits for the other's hello. `done` is called once, later,
// with the connection, which has no handlers yet. The connection is closed on errors:
//   peer_lost, timed_out, corrupt_message
void shake_hands(EventLoop& loop, std::shared_ptr<StreamConnection> connection,
                 const Handshake& local, Seconds timeout,
                 std::function<void(Result<ConnectionPtr>)> done);

}  // namespace rask::comm
