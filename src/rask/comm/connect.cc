#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <random>
#include <system_error>
#include <thread>

#include "rask/base/log.h"
#include "rask/comm/handshake.h"
#include "rask/comm/tls_channel.h"

namespace rask::comm {
namespace {

constexpr std::string_view kUnix = "unix://";
constexpr Seconds kBackoffFirst = 0.01;
constexpr double kBackoffGrowth = 1.5;

const char* hint_for(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:
      return " (is a scheduler or worker running there?)";
    case ENETUNREACH:
    case EHOSTUNREACH:
      return " (is the address right, and is there a network that leads to it?)";
    case EMFILE:
    case ENFILE:
      return " (raise the limit of open files: ulimit -n)";
    default:
      return "";
  }
}

// Asks for the addresses of a name, on a thread of its own: that blocks, and cannot be told to
// stop.
class Lookup {
 public:
  // With addresses, or the text of an error.
  using Done = std::function<void(Result<std::vector<SocketAddress>>)>;

  Lookup(EventLoop& loop, std::string host, std::uint16_t port, Done done)
      : shared_(std::make_shared<Shared>()) {
    shared_->loop = &loop;
    shared_->done = std::move(done);
    const auto tell = [](const std::shared_ptr<Shared>& shared, auto found) {
      const std::lock_guard lock{shared->mutex};
      if (shared->loop == nullptr) return;
      shared->loop->post([shared, found = std::move(found)] {
        if (const auto call = std::exchange(shared->done, nullptr)) call(found);
      });
    };
    try {
      std::thread{[tell, shared = shared_, host = std::move(host), port] {
        tell(shared, addresses_of(host, port));
      }}.detach();
    } catch (const std::system_error& error) {
      tell(shared_, Result<std::vector<SocketAddress>>{Error{ErrorCode::peer_lost, error.what()}});
    }
  }
  // Who gives it up is not called.
  ~Lookup() {
    const auto gone = std::exchange(shared_->done, nullptr);
    const std::lock_guard lock{shared_->mutex};
    shared_->loop = nullptr;
  }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

 private:
  struct Shared {
    std::mutex mutex;
    EventLoop* loop;  // Under the mutex. nullptr: given up.
    Done done;        // Of the loop's thread.
  };

  static Result<std::vector<SocketAddress>> addresses_of(const std::string& host,
                                                         std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0)
      return Error{ErrorCode::peer_lost,
                   error == EAI_SYSTEM ? errno_text(errno) : ::gai_strerror(error)};
    std::vector<SocketAddress> addresses;
    for (const auto* one = found; one != nullptr; one = one->ai_next) {
      auto& address = addresses.emplace_back();
      std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
      address.size = one->ai_addrlen;
      set_port(address, port);
    }
    ::freeaddrinfo(found);
    return addresses;
  }

  std::shared_ptr<Shared> shared_;
};

// One call of connect(): rounds over all addresses of a host, until one answers or time is up.
// Owned by what it waits for.
class Connecting final : public std::enable_shared_from_this<Connecting>, private LoopObject {
 public:
  Connecting(EventLoop& loop, std::string address, const Options& options, bool retry,
             std::function<void(Result<ConnectionPtr>)> done)
      : loop_(&loop),
        address_(std::move(address)),
        options_(options),
        retry_(retry),
        done_(std::move(done)),
        deadline_(loop.now() + options.connect_timeout) {
    loop.impl().objects.insert(this);
  }
  ~Connecting() {
    if (loop_ != nullptr) loop_->impl().objects.erase(this);
  }
  Connecting(const Connecting&) = delete;
  Connecting& operator=(const Connecting&) = delete;

  void begin();

 private:
  void loop_ended() override;
  void begin_round();
  void resolve();
  void on_resolved(Result<std::vector<SocketAddress>> found);
  void try_target();
  void try_next();
  void connect_socket();
  void on_connected();
  void set_time_limit();
  void shake(Fd fd, bool is_twin);
  void round_failed();
  void finish(Result<ConnectionPtr> result);
  Seconds time_left() const { return deadline_ - loop_->now(); }
  void stop_timer() {
    if (timer_) loop_->cancel(*std::exchange(timer_, std::nullopt));
  }

  EventLoop* loop_;  // nullptr after the loop has ended.
  std::string address_;
  Options options_;
  bool retry_;
  std::function<void(Result<ConnectionPtr>)> done_;
  Seconds deadline_;
  int round_ = 0;
  HostPort host_port_;
  std::vector<SocketAddress> targets_;
  std::size_t target_ = 0;
  Descriptor socket_;
  std::unique_ptr<Lookup> lookup_;
  std::optional<TimerId> timer_;
  std::string last_error_ = "no answer";
};

void Connecting::begin() {
  if (address_.starts_with(kUnix)) {
    auto target = unix_address(std::string_view{address_}.substr(kUnix.size()));
    if (!target.ok()) return finish(target.error());
    targets_ = {target.value()};
  } else {
    address_ = normalize_address(address_);
    auto parsed = parse_tcp_address(address_);
    if (!parsed.ok()) return finish(parsed.error());
    host_port_ = std::move(parsed).value();
    if (const auto allowed = check_security(address_, host_port_.tls, options_); !allowed.ok())
      return finish(allowed.error());
    if (host_port_.host.empty() || host_port_.port == 0)
      return finish(Error{ErrorCode::invalid_argument,
                          fmt::format("bad address '{}': one cannot connect to an empty host or to "
                                      "port 0",
                                      address_)});
    if (const auto target = numeric_address(host_port_.host, host_port_.port)) targets_ = {*target};
  }
  begin_round();
}

void Connecting::loop_ended() {
  const auto lookup = std::move(lookup_);  // These die last: the first may own this.
  const auto done = std::move(done_);
  socket_.close();
  loop_ = nullptr;
}

void Connecting::begin_round() {
  target_ = 0;
  if (targets_.empty()) return resolve();
  try_target();
}

void Connecting::resolve() {
  set_time_limit();
  lookup_ = std::make_unique<Lookup>(
      *loop_, host_port_.host, host_port_.port,
      [self = shared_from_this()](Result<std::vector<SocketAddress>> found) {
        if (self->loop_ != nullptr) self->on_resolved(std::move(found));
      });
}

void Connecting::on_resolved(Result<std::vector<SocketAddress>> found) {
  lookup_.reset();
  stop_timer();
  if (!found.ok()) {
    last_error_ =
        fmt::format("the name '{}' cannot be resolved: {}", host_port_.host, found.error().message);
    return round_failed();
  }
  targets_ = std::move(found).value();
  try_target();
}

void Connecting::try_target() {
  const auto& target = targets_[target_];
  const bool may_be_twin = target.family() != AF_UNIX && !host_port_.tls;
  if (options_.handshake.dense && options_.unix_twin && may_be_twin) {
    if (Fd fd = connect_twin(target)) return shake(std::move(fd), true);
  }
  connect_socket();
}

void Connecting::try_next() {
  if (++target_ < targets_.size()) return try_target();
  round_failed();
}

void Connecting::connect_socket() {
  const auto& target = targets_[target_];
  Fd fd = open_socket(target.family());
  if (!fd) {
    last_error_ = errno_text(errno) + hint_for(errno);
    return try_next();
  }
  if (target.family() == AF_UNIX)
    set_unix_options(fd.get());
  else
    set_tcp_options(fd.get(), options_.tcp_timeout);
  if (::connect(fd.get(), target.get(), target.size) == 0) return shake(std::move(fd), false);
  if (errno != EINPROGRESS) {
    last_error_ = errno_text(errno) + hint_for(errno);
    return try_next();
  }
  if (auto opened = socket_.open(loop_->impl(), std::move(fd)); !opened.ok()) {
    last_error_ = opened.error().message;
    return try_next();
  }
  set_time_limit();
  socket_.when_writable([self = shared_from_this()] { self->on_connected(); });
}

void Connecting::on_connected() {
  if (loop_ == nullptr || !socket_.is_open()) return;
  stop_timer();
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  Fd fd = socket_.release();
  // A socket that looks for a port in the range of its own may find itself.
  if (error == 0 && local_address(fd.get()) == remote_address(fd.get())) error = ECONNREFUSED;
  if (error == 0) return shake(std::move(fd), false);
  last_error_ = errno_text(error) + hint_for(error);
  try_next();
}

// For one step. The first round is short, as in distributed: a lost packet should not eat all time.
void Connecting::set_time_limit() {
  const auto cap = retry_ && round_ == 0 ? options_.connect_timeout / 5 : options_.connect_timeout;
  const auto share = static_cast<double>(std::max<std::size_t>(1, targets_.size() - target_));
  timer_ = loop_->call_later(std::min(cap, time_left()) / share, [self = shared_from_this()] {
    self->timer_.reset();
    self->socket_.close();
    self->last_error_ = self->lookup_ ? "no answer from the name server"
                                      : "no answer (does a firewall stand between?)";
    if (!self->lookup_) return self->try_next();
    self->lookup_.reset();
    self->round_failed();
  });
}

void Connecting::shake(Fd fd, bool is_twin) {
  const bool is_unix = targets_[target_].family() == AF_UNIX;
  Peer peer;
  peer.remote_address = address_;
  if (is_twin || is_unix) {
    const auto host = is_twin ? host_of(targets_[target_]) : "127.0.0.1";
    peer.local_address = fmt::format("{}#{}", tcp_address(host, 0), ++loop_->impl().peer_number);
  } else {
    const auto local = local_address(fd.get());
    peer.local_address = tcp_address(host_of(local), port_of(local), host_port_.tls);
  }
  auto made = StreamConnection::make(*loop_, std::move(fd), std::move(peer), options_);
  if (!made.ok()) return finish(made.error());
  if (host_port_.tls) made.value()->use_tls(options_.tls, TlsSide::client);
  // The twin of a listener that is going away may have let us in for nothing: ask on TCP then.
  shake_hands(*loop_, std::move(made).value(), options_.handshake, std::max(0.0, time_left()),
              [self = shared_from_this(), is_twin](Result<ConnectionPtr> result) {
                if (self->loop_ == nullptr) return;
                if (!result.ok() && is_twin && result.error().code == ErrorCode::peer_lost)
                  return self->connect_socket();
                if (!result.ok())
                  return self->finish(Error{result.error()}.with_context(
                      fmt::format("connecting to {}", self->address_)));
                self->finish(std::move(result));
              });
}

void Connecting::round_failed() {
  if (!retry_) {
    const bool late = time_left() <= 0;
    return finish(Error{late ? ErrorCode::timed_out : ErrorCode::peer_lost,
                        fmt::format("cannot connect to {}: {}", address_, last_error_)});
  }
  if (time_left() <= 0)
    return finish(
        Error{ErrorCode::timed_out, fmt::format("timed out during connect to {} after {} s: {}",
                                                address_, options_.connect_timeout, last_error_)});
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto longest = kBackoffFirst * std::pow(kBackoffGrowth, round_++);
  const auto pause = std::uniform_real_distribution{longest / 2, longest}(random);
  log::debug("distributed.comm", "cannot connect to {} ({}), next try in {:.3f} s", address_,
             last_error_, pause);
  timer_ = loop_->call_later(std::min(pause, time_left()), [self = shared_from_this()] {
    self->timer_.reset();
    if (self->host_port_.port != 0 &&
        !numeric_address(self->host_port_.host, self->host_port_.port))
      self->targets_.clear();  // A name may lead elsewhere by now.
    self->begin_round();
  });
}

void Connecting::finish(Result<ConnectionPtr> result) {
  loop_->post([done = std::move(done_), shared = std::make_shared<Result<ConnectionPtr>>(
                                            std::move(result))] { done(std::move(*shared)); });
  done_ = nullptr;
}

}  // namespace

void connect(EventLoop& loop, const std::string& address, const Options& options, bool retry,
             std::function<void(Result<ConnectionPtr>)> done) {
  std::make_shared<Connecting>(loop, address, options, retry, std::move(done))->begin();
}

Result<ConnectionPtr> adopt(EventLoop& loop, int fd, const std::string& name,
                            const Options& options) {
  Peer peer;
  peer.remote_address = name;
  set_unix_options(fd);
  RASK_TRY(auto connection, StreamConnection::make(loop, Fd{fd}, std::move(peer), options));
  return ConnectionPtr{std::move(connection)};
}

}  // namespace rask::comm
