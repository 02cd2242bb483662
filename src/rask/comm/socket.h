#pragma once
// Plain sockets without an event loop: descriptors, addresses, options. Private to this room.
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rask/base/ids.h"
#include "rask/base/result.h"
#include "rask/comm/comm.h"

namespace rask::comm {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd();
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  bool operator==(const SocketAddress& other) const;
};

std::string errno_text(int error);  // "connection refused"

// An address given in digits, without asking any name server; nullopt for a name.
std::optional<SocketAddress> numeric_address(const std::string& host, std::uint16_t port);
//   errors   invalid_argument: longer than a socket address may be.
Result<SocketAddress> unix_address(std::string_view path);
SocketAddress abstract_address(std::string_view name);

SocketAddress local_address(int fd);
SocketAddress remote_address(int fd);
std::string host_of(const SocketAddress& address);
std::uint16_t port_of(const SocketAddress& address);
void set_port(SocketAddress& address, std::uint16_t port);
// "tcp://127.0.0.1:8786", "tcp://[::1]:8786", "tls://…".
std::string tcp_address(const std::string& host, std::uint16_t port, bool tls = false);

bool is_wildcard(const SocketAddress& address);  // 0.0.0.0 or ::
bool is_own(const SocketAddress& address);       // Of this machine.
std::string own_host();                          // One that other machines can reach, if any can.

// A socket that does not block and that children do not inherit. Empty: errno says why.
Fd open_socket(int family);
// No delay, and a peer that went silently is noticed after `tcp_timeout`.
// Source: distributed/comm/tcp.py (set_tcp_timeout).
void set_tcp_options(int fd, Seconds tcp_timeout);
void set_unix_options(int fd);  // Large buffers.
bool is_same_user(int fd);      // The process at the other end of a unix socket runs as we do.

// ---- The unix twin of a TCP listener ------------------------------------------------------------
// A listener on a TCP port also listens on an abstract unix socket, whose name tells port and bound
// host. Abstract names belong to the network namespace, as ports do: whoever holds the name holds
// the port, because no two sockets listen on overlapping hosts of one port.

SocketAddress twin_address(const SocketAddress& bound);
// Connects to the twin of whoever would answer at `target`. Empty: there is none, or not for us.
Fd connect_twin(const SocketAddress& target);

}  // namespace rask::comm
