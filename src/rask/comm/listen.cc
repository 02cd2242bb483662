#include <fmt/format.h>
#include <netdb.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <unordered_set>

#include "rask/base/log.h"
#include "rask/comm/handshake.h"
#include "rask/comm/tls_channel.h"

namespace rask::comm {
namespace {

constexpr std::string_view kUnix = "unix://";
constexpr int kBacklog = 2048;               // distributed.comm.socket-backlog
constexpr Seconds kPauseWithoutFiles = 0.1;  // Until another connection may have been closed.
constexpr int kAcceptsPerTurn = 64;

// What goes on while the listener lives. Shared with the callbacks that wait.
class Acceptor final : public std::enable_shared_from_this<Acceptor>, private LoopObject {
 public:
  Acceptor(EventLoop& loop, const Options& options,
           std::function<void(ConnectionPtr)> on_connection)
      : loop_(&loop),
        options_(options),
        on_connection_(
            std::make_shared<std::function<void(ConnectionPtr)>>(std::move(on_connection))) {
    loop.impl().objects.insert(this);
  }
  ~Acceptor() {
    if (loop_ != nullptr) loop_->impl().objects.erase(this);
  }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  Result<Ok> add(Fd fd, bool is_twin);
  void stop();

  std::string address;
  bool tls = false;

 private:
  struct Socket {
    Descriptor descriptor;
    bool is_unix = false;
    bool is_twin = false;
  };

  void loop_ended() override;
  void watch(Socket& socket);
  void accept_some(Socket& socket);
  bool accept_one(Socket& socket);
  void pause(Socket& socket, int error);
  void welcome(Fd fd, const Socket& socket, const SocketAddress& remote);
  void tell_why_dropped(const StreamConnection& connection, const Error& error) const;

  EventLoop* loop_;  // nullptr after the loop has ended.
  Options options_;
  std::shared_ptr<std::function<void(ConnectionPtr)>> on_connection_;
  bool told_of_pause_ = false;
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::unordered_set<std::shared_ptr<StreamConnection>> shaking_;
};

Result<Ok> Acceptor::add(Fd fd, bool is_twin) {
  const bool is_unix = local_address(fd.get()).family() == AF_UNIX;
  auto socket = std::make_unique<Socket>();
  socket->is_unix = is_unix;
  socket->is_twin = is_twin;
  RASK_TRY([[maybe_unused]] const auto opened,
           socket->descriptor.open(loop_->impl(), std::move(fd)));
  sockets_.push_back(std::move(socket));
  watch(*sockets_.back());
  return Ok{};
}

void Acceptor::stop() {
  const auto callback = std::exchange(on_connection_, nullptr);  // Dies last.
  sockets_.clear();
  for (const auto& connection : std::exchange(shaking_, {})) connection->abort();
}

void Acceptor::loop_ended() {
  const auto callback = std::exchange(on_connection_, nullptr);
  sockets_.clear();
  const auto shaking = std::exchange(shaking_, {});
  loop_ = nullptr;
}

void Acceptor::watch(Socket& socket) {
  // `socket` lives as long as its descriptor, and the callback only runs while that is open.
  socket.descriptor.when_readable([self = shared_from_this(), &socket] {
    if (!self->sockets_.empty()) self->accept_some(socket);
  });
}

void Acceptor::accept_some(Socket& socket) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    if (!accept_one(socket)) return;
  }
  watch(socket);
}

// False: the next connection is waited for, or nobody listens any more.
bool Acceptor::accept_one(Socket& socket) {
  SocketAddress remote;
  remote.size = sizeof remote.storage;
  Fd fd{
      ::accept4(socket.descriptor.fd(), remote.get(), &remote.size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (fd) {
    told_of_pause_ = false;
    welcome(std::move(fd), socket, remote);
    return true;
  }
  switch (errno) {
    case EAGAIN:
      watch(socket);
      return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      pause(socket, errno);
      return false;
    default:
      return true;  // That one connection went wrong before it came: try the next.
  }
}

void Acceptor::pause(Socket& socket, int error) {
  if (!std::exchange(told_of_pause_, true))
    log::warning("distributed.comm", "cannot accept connections at {} for the moment: {}", address,
                 errno_text(error));
  loop_->call_later(kPauseWithoutFiles, [weak = weak_from_this(), &socket] {
    const auto self = weak.lock();
    if (self && !self->sockets_.empty()) self->accept_some(socket);
  });
}

void Acceptor::welcome(Fd fd, const Socket& socket, const SocketAddress& remote) {
  Peer peer;
  peer.local_address = address;
  if (socket.is_unix) {
    if (socket.is_twin && !is_same_user(fd.get())) return;
    set_unix_options(fd.get());
    peer.remote_address = fmt::format("tcp://127.0.0.1:0#{}", ++loop_->impl().peer_number);
  } else {
    set_tcp_options(fd.get(), options_.tcp_timeout);
    const auto local = local_address(fd.get());
    peer.local_address = tcp_address(host_of(local), port_of(local), tls);
    peer.remote_address = tcp_address(host_of(remote), port_of(remote), tls);
  }
  auto made = StreamConnection::make(*loop_, std::move(fd), std::move(peer), options_);
  if (!made.ok()) return log::warning("distributed.comm", "{}", made.error().message);
  const auto connection = std::move(made).value();
  if (tls) connection->use_tls(options_.tls, TlsSide::server);
  shaking_.insert(connection);
  shake_hands(*loop_, connection, options_.handshake, options_.connect_timeout,
              [self = shared_from_this(), connection](Result<ConnectionPtr> result) {
                if (self->shaking_.erase(connection) == 0) return;  // Stopped.
                if (result.ok()) {
                  const auto callback = self->on_connection_;  // It may stop the listener.
                  return (*callback)(std::move(result).value());
                }
                self->tell_why_dropped(*connection, result.error());
              });
}

void Acceptor::tell_why_dropped(const StreamConnection& connection, const Error& error) const {
  const auto& remote = connection.peer().remote_address;
  // Somebody without a certificate may be an attacker: people want to see it, as in Dask.
  if (tls && !connection.tls_established())
    log::warning("distributed.comm", "Listener on '{}': TLS handshake failed with remote '{}': {}",
                 address, remote, error.message);
  else
    log::info("distributed.comm", "dropping a connection from {} to {}: {}", remote, address,
              error.message);
}

class SocketListener final : public Listener {
 public:
  SocketListener(std::shared_ptr<Acceptor> acceptor, std::string contact_address,
                 std::string unlink_path)
      : acceptor_(std::move(acceptor)),
        contact_address_(std::move(contact_address)),
        unlink_path_(std::move(unlink_path)) {}
  ~SocketListener() override {
    acceptor_->stop();
    if (!unlink_path_.empty()) ::unlink(unlink_path_.c_str());
  }
  std::string address() const override { return acceptor_->address; }
  std::string contact_address() const override { return contact_address_; }

 private:
  std::shared_ptr<Acceptor> acceptor_;
  std::string contact_address_;
  std::string unlink_path_;
};

Error cannot_listen(const std::string& address, int error) {
  const char* hint = "";
  if (error == EADDRINUSE) hint = " (another server has it; port 0 takes any free port)";
  if (error == EACCES) hint = " (no permission; ports below 1024 belong to root)";
  if (error == EADDRNOTAVAIL) hint = " (no interface of this machine has that address)";
  return {ErrorCode::invalid_argument,
          fmt::format("cannot listen on {}: {}{}", address, errno_text(error), hint)};
}

Result<SocketAddress> address_to_bind(const std::string& address, const HostPort& parsed) {
  const auto host = parsed.host.empty() ? std::string{"0.0.0.0"} : parsed.host;
  if (const auto numeric = numeric_address(host, parsed.port)) return *numeric;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0)
    return Error{ErrorCode::invalid_argument,
                 fmt::format("cannot listen on {}: {}", address, ::gai_strerror(error))};
  SocketAddress first;
  std::memcpy(&first.storage, found->ai_addr, found->ai_addrlen);
  first.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  set_port(first, parsed.port);
  return first;
}

Fd bind_and_listen(const SocketAddress& to) {
  Fd fd = open_socket(to.family());
  if (!fd) return {};
  const int on = 1;
  const int off = 0;
  if (to.family() != AF_UNIX) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (to.family() == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd.get(), to.get(), to.size) != 0 || ::listen(fd.get(), kBacklog) != 0) return {};
  return fd;
}

Result<std::unique_ptr<Listener>> listen_tcp(const std::string& address, const Options& options,
                                             std::shared_ptr<Acceptor> acceptor) {
  RASK_TRY(const auto parsed, parse_tcp_address(address));
  RASK_TRY([[maybe_unused]] const auto allowed, check_security(address, parsed.tls, options));
  RASK_TRY(const auto wanted, address_to_bind(address, parsed));
  Fd fd = bind_and_listen(wanted);
  if (!fd) return cannot_listen(address, errno);
  const auto bound = local_address(fd.get());
  acceptor->tls = parsed.tls;
  acceptor->address = tcp_address(host_of(bound), port_of(bound), parsed.tls);
  RASK_TRY([[maybe_unused]] const auto added, acceptor->add(std::move(fd), false));
  if (options.handshake.dense && options.unix_twin && !parsed.tls) {
    Fd twin = bind_and_listen(twin_address(bound));
    // Only speed is lost without it.
    if (!twin || !acceptor->add(std::move(twin), true).ok())
      log::info("distributed.comm", "no unix socket beside {}: {}", acceptor->address,
                errno_text(errno));
  }
  auto contact =
      is_wildcard(bound) ? tcp_address(own_host(), port_of(bound), parsed.tls) : acceptor->address;
  return std::unique_ptr<Listener>{
      std::make_unique<SocketListener>(std::move(acceptor), std::move(contact), std::string{})};
}

Result<std::unique_ptr<Listener>> listen_unix(const std::string& address,
                                              std::shared_ptr<Acceptor> acceptor) {
  const auto path = address.substr(kUnix.size());
  RASK_TRY(const auto target, unix_address(path));
  Fd fd = bind_and_listen(target);
  if (!fd && errno == EADDRINUSE) {
    // The file of a server that is gone is in nobody's way.
    const Fd probe = open_socket(AF_UNIX);
    const bool dead =
        ::connect(probe.get(), target.get(), target.size) != 0 && errno == ECONNREFUSED;
    if (!dead) return cannot_listen(address, EADDRINUSE);
    ::unlink(path.c_str());
    fd = bind_and_listen(target);
  }
  if (!fd) return cannot_listen(address, errno);
  acceptor->address = address;
  RASK_TRY([[maybe_unused]] const auto added, acceptor->add(std::move(fd), false));
  return std::unique_ptr<Listener>{
      std::make_unique<SocketListener>(std::move(acceptor), address, path)};
}

}  // namespace

Result<std::unique_ptr<Listener>> listen(EventLoop& loop, const std::string& address,
                                         const Options& options,
                                         std::function<void(ConnectionPtr)> on_connection) {
  auto acceptor = std::make_shared<Acceptor>(loop, options, std::move(on_connection));
  if (address.starts_with(kUnix)) return listen_unix(address, std::move(acceptor));
  return listen_tcp(normalize_address(address), options, std::move(acceptor));
}

}  // namespace rask::comm
