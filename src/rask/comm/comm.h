#pragma once
// The letter box: connections that carry Dask messages, over TCP, TLS and unix sockets.
//
// One thread runs an EventLoop, and everything here is called and calls back on that thread, but
// for EventLoop::post and EventLoop::stop, which any thread may call.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rask/base/ids.h"
#include "rask/base/result.h"
#include "rask/wire/compression.h"
#include "rask/wire/message.h"

namespace rask::comm {

enum class TimerId : std::uint64_t {};

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void run();   // Until stop(); then returns. Callbacks that throw end the program: they must not.
  void stop();  // Any thread.
  void post(std::function<void()> callback);  // Any thread. Wakes the loop only when it sleeps.
  // Runs `callback` when the events that are ready now have been handled, before the loop sleeps:
  // the place to flush what they produced. Loop thread only.
  void at_end_of_turn(std::function<void()> callback);
  TimerId call_later(Seconds delay, std::function<void()> callback);
  void cancel(TimerId timer);
  // SIGINT, SIGTERM …: `callback(signal)` on the loop instead of the default action.
  void on_signals(const std::vector<int>& signals, std::function<void(int)> callback);
  Seconds now() const;  // Since the Unix epoch, never going back within a process.

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// What both sides say first. Source: distributed/comm/core.py (handshake_info).
struct Handshake {
  std::vector<std::string> compressions = wire::supported_compressions();
  bool compress = false;  // distributed.comm.compression: off by default, as in Dask 2026.
  bool dense = true;  // Offer the denser messages of rask: key "rask" in the handshake, value 1.
};

class TlsContext;

struct Options {
  Handshake handshake;
  wire::Limits limits;
  Seconds connect_timeout = 30;  // distributed.comm.timeouts.connect
  Seconds tcp_timeout = 30;      // distributed.comm.timeouts.tcp: keep-alive, TCP_USER_TIMEOUT
  std::size_t write_buffer_bytes_max = std::size_t{256}
                                       << 20;  // Connection::writable() above this is false
  // Peers on the same machine that both offer `dense` talk over a unix socket instead of TCP: about
  // twice as fast, and nothing else can be told from outside. Never in the place of TLS.
  bool unix_twin = true;
  std::shared_ptr<const TlsContext> tls;  // For tls:// addresses: see tls.h.
  bool require_encryption = false;        // distributed.comm.require-encryption: refuses tcp://
};

struct Peer {
  std::string local_address;  // "tcp://127.0.0.1:34567", "tls://…"
  std::string remote_address;
  bool dense = false;                                       // Both sides offered it.
  wire::Compression compression = wire::Compression::none;  // Negotiated.
};

// One connection after the handshake. Messages arrive in order, each once. Owned by shared_ptr
// because a callback on the stack may be the last that needs it; nobody else may keep cycles.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using OnMessage = std::function<void(wire::Message&&)>;
  using OnClose = std::function<void(const Error&)>;
  using OnDelivered = std::function<void()>;

  virtual ~Connection() = default;
  virtual const Peer& peer() const = 0;

  // Starts delivery. `on_close` is called exactly once, whatever ended the connection (peer, error,
  // close(), abort()), after the last `on_message`; both are dropped afterwards. May be called
  // again, also from inside on_message, to hand the connection to another owner (an RPC that
  // becomes a stream): messages that follow go to the new handlers. `on_delivered` is called when
  // all messages that were read together have been delivered: for who handles them together.
  virtual void start(OnMessage on_message, OnClose on_close,
                     OnDelivered on_delivered = nullptr) = 0;

  // Queues a message. Many queued messages leave in one system call, at the end of the turn.
  // Silently dropped after the connection has ended.
  virtual void send(wire::Frames frames) = 0;
  virtual std::size_t unsent_bytes() const = 0;
  bool writable() const { return unsent_bytes() <= write_buffer_bytes_max; }

  virtual void pause() = 0;  // Stop reading (backpressure); resume() goes on.
  virtual void resume() = 0;
  // For a peer that says much and can wait: when all that was read with this message has been
  // delivered, nothing more is read for `delay` and what comes wakes nobody. Ends after half of it
  // if the loop is awake then: several rests fall into step. The last call counts; 0: no rest. No
  // effect while what was sent waits for the peer.
  virtual void rest(Seconds delay) = 0;
  virtual void close() = 0;  // Sends what is queued, then closes. on_close comes later.
  virtual void abort() = 0;  // Closes now.
  virtual bool closed() const = 0;

  std::size_t write_buffer_bytes_max = std::size_t{256} << 20;
};
using ConnectionPtr = std::shared_ptr<Connection>;

// Connects and shakes hands. "tcp://host:port", "tls://host:port", "host:port" or "unix:///path".
// `done` is called once, later, with the connection or why there is none:
//   invalid_argument   an address that cannot be parsed, a scheme that is not there, no certificate
//                      for tls://, or tcp:// where encryption is required
//   peer_lost          refused, unreachable, closed during the handshake (it may be no Dask server)
//   timed_out          nothing within options.connect_timeout
//   corrupt_message    no Dask handshake; no TLS, or a certificate that one side does not trust
// Refused connections are tried again with growing pauses until the timeout when `retry` is set, as
// distributed.comm.core.connect does.
void connect(EventLoop& loop, const std::string& address, const Options& options, bool retry,
             std::function<void(Result<ConnectionPtr>)> done);

// One end of a connected stream socket, which it takes over: no handshake, as between a process and
// its child. `name` stands for the peer in error texts.
//   errors   peer_lost: the system has no room for one more socket
Result<ConnectionPtr> adopt(EventLoop& loop, int fd, const std::string& name,
                            const Options& options);

class Listener {
 public:
  virtual ~Listener() = default;                    // Stops listening; accepted connections go on.
  virtual std::string address() const = 0;          // With the port that was given by the system.
  virtual std::string contact_address() const = 0;  // One that peers can reach: 0.0.0.0 replaced.
};
// Listens on "tcp://host:port" or "tls://host:port" (port 0: any; host "" or 0.0.0.0: all;
// "first:last" ports are the caller's loop) or "unix:///path". Connections that fail the handshake
// are dropped and logged.
//   errors   invalid_argument: bad address, port in use, no permission, no certificate. The text
//            says which.
Result<std::unique_ptr<Listener>> listen(EventLoop& loop, const std::string& address,
                                         const Options& options,
                                         std::function<void(ConnectionPtr)> on_connection);

struct HostPort {
  std::string host;  // Without brackets.
  std::uint16_t port = 0;
  bool tls = false;
};
// "tcp://[::1]:8786", "tls://10.0.0.1:8786" and friends.   errors: invalid_argument
Result<HostPort> parse_tcp_address(const std::string& address);
// "10.0.0.1:80" as Dask writes it: "tcp://10.0.0.1:80". Unchanged when it has a scheme.
std::string normalize_address(const std::string& address);

// ---- RPC ----------------------------------------------------------------------------------------

// Keeps connections to many peers open for requests with one reply each, as Dask's ConnectionPool:
// at most `limit` open; a connection serves one request at a time; idle ones are closed first.
// Nothing is tried twice, neither connecting nor a request: it may have been carried out.
class RpcPool {
 public:
  RpcPool(EventLoop& loop, Options options, std::size_t limit = 512);
  ~RpcPool();  // Open requests end with `cancelled`.
  RpcPool(const RpcPool&) = delete;
  RpcPool& operator=(const RpcPool&) = delete;

  using Reply = std::function<void(Result<wire::Message>)>;
  // Sends `request` (a map with "op" and "reply": true) and calls `reply` once with the answer.
  //   peer_lost    could not connect, or the connection broke before the reply
  //   timed_out    no reply in `timeout` (0: for ever; connecting has its own limit)
  void call(const std::string& address, wire::Frames request, Seconds timeout, Reply reply);
  // As call, for handlers that expect one more message after their reply (get_data wants "OK"):
  // sent right after a reply whose status is "OK".
  void call(const std::string& address, wire::Frames request, Seconds timeout, Reply reply,
            wire::Frames then_send);
  // Closes idle connections to `address`; open requests go on.
  void forget(const std::string& address);
  std::size_t open_count() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// The tree of an RPC reply; {"status": "error", …} and {"status": "uncaught-error", …} become
// errors.
Result<wire::Value> reply_value(const wire::Message& reply);

}  // namespace rask::comm
