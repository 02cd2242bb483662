#include "rask/comm/socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstring>

namespace rask::comm {
namespace {

constexpr int kUnixBufferBytes = 4 << 20;

void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

const sockaddr_in& v4(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_in&>(address.storage);
}
const sockaddr_in6& v6(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_in6&>(address.storage);
}

std::string twin_name(std::uint16_t port, std::string_view host) {
  return fmt::format("rask-{}-{}", port, host);
}

Fd connect_abstract(const std::string& name) {
  Fd fd = open_socket(AF_UNIX);
  if (!fd) return {};
  set_unix_options(fd.get());
  const auto address = abstract_address(name);
  // On a unix socket this succeeds or fails at once. A full backlog (EAGAIN) goes to TCP, too.
  if (::connect(fd.get(), address.get(), address.size) != 0) return {};
  // A stranger may have taken the name: only a process of our own user is believed.
  return is_same_user(fd.get()) ? std::move(fd) : Fd{};
}

// The host that the system would send from to reach the world. Connecting UDP sends nothing.
std::string routed_host(const char* target) {
  const auto address = numeric_address(target, 80);
  const Fd fd{::socket(address->family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!fd || ::connect(fd.get(), address->get(), address->size) != 0) return {};
  return host_of(local_address(fd.get()));
}

std::string first_interface_host() {
  ifaddrs* interfaces = nullptr;
  if (::getifaddrs(&interfaces) != 0) return {};
  std::string host;
  for (auto* one = interfaces; one != nullptr && host.empty(); one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    if ((one->ifa_flags & IFF_LOOPBACK) != 0 || (one->ifa_flags & IFF_UP) == 0) continue;
    SocketAddress address;
    address.size = sizeof(sockaddr_in);
    std::memcpy(&address.storage, one->ifa_addr, sizeof(sockaddr_in));
    host = host_of(address);
  }
  ::freeifaddrs(interfaces);
  return host;
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

bool SocketAddress::operator==(const SocketAddress& other) const {
  return size == other.size && std::memcmp(&storage, &other.storage, size) == 0;
}

std::string errno_text(int error) {
  std::string text = std::strerror(error);
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

std::optional<SocketAddress> numeric_address(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return std::nullopt;
  SocketAddress address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  set_port(address, port);
  return address;
}

Result<SocketAddress> unix_address(std::string_view path) {
  SocketAddress address;
  auto& name = reinterpret_cast<sockaddr_un&>(address.storage);
  if (path.empty() || path.size() >= sizeof name.sun_path)
    return Error{ErrorCode::invalid_argument,
                 fmt::format("the path of a unix socket must have 1 to {} characters: '{}'",
                             sizeof name.sun_path - 1, path)};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

SocketAddress abstract_address(std::string_view name) {
  SocketAddress address;
  auto& target = reinterpret_cast<sockaddr_un&>(address.storage);
  RASK_ASSERT(name.size() < sizeof target.sun_path - 1);
  target.sun_family = AF_UNIX;
  std::memcpy(target.sun_path + 1, name.data(), name.size());  // The leading 0 says "abstract".
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

SocketAddress local_address(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (::getsockname(fd, address.get(), &address.size) != 0) address.size = 0;
  return address;
}

SocketAddress remote_address(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (::getpeername(fd, address.get(), &address.size) != 0) address.size = 0;
  return address;
}

std::string host_of(const SocketAddress& address) {
  if (address.family() == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6(address).sin6_addr)) {
    char text[INET_ADDRSTRLEN];
    ::inet_ntop(AF_INET, &v6(address).sin6_addr.s6_addr[12], text, sizeof text);
    return text;
  }
  char text[NI_MAXHOST];
  if (::getnameinfo(address.get(), address.size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) !=
      0)
    return {};
  return text;
}

std::uint16_t port_of(const SocketAddress& address) {
  return ntohs(address.family() == AF_INET6 ? v6(address).sin6_port : v4(address).sin_port);
}

void set_port(SocketAddress& address, std::uint16_t port) {
  if (address.family() == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port = htons(port);
  else
    reinterpret_cast<sockaddr_in&>(address.storage).sin_port = htons(port);
}

std::string tcp_address(const std::string& host, std::uint16_t port, bool tls) {
  const char* const scheme = tls ? "tls" : "tcp";
  if (host.find(':') != std::string::npos) return fmt::format("{}://[{}]:{}", scheme, host, port);
  return fmt::format("{}://{}:{}", scheme, host, port);
}

bool is_wildcard(const SocketAddress& address) {
  if (address.family() == AF_INET6) return IN6_IS_ADDR_UNSPECIFIED(&v6(address).sin6_addr);
  return v4(address).sin_addr.s_addr == htonl(INADDR_ANY);
}

bool is_own(const SocketAddress& address) {
  // Only an own address can be bound. Cheaper than to list the interfaces, and never out of date.
  const Fd fd{::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  SocketAddress any_port = address;
  set_port(any_port, 0);
  return fd && ::bind(fd.get(), any_port.get(), any_port.size) == 0;
}

std::string own_host() {
  if (auto host = routed_host("8.8.8.8"); !host.empty()) return host;
  if (auto host = first_interface_host(); !host.empty()) return host;
  return "127.0.0.1";
}

Fd open_socket(int family) {
  return Fd{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
}

void set_tcp_options(int fd, Seconds tcp_timeout) {
  constexpr int probes = 10;
  const int timeout = std::max(probes + 1, static_cast<int>(std::min(tcp_timeout, 1e6)));
  const int interval = std::max(1, (timeout - std::max(2, timeout / 4)) / probes);
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, timeout - interval * probes);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, timeout * 1000);
}

void set_unix_options(int fd) {
  set_option(fd, SOL_SOCKET, SO_SNDBUF, kUnixBufferBytes);
  set_option(fd, SOL_SOCKET, SO_RCVBUF, kUnixBufferBytes);
}

bool is_same_user(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
}

SocketAddress twin_address(const SocketAddress& bound) {
  return abstract_address(twin_name(port_of(bound), host_of(bound)));
}

Fd connect_twin(const SocketAddress& target) {
  const auto port = port_of(target);
  if (Fd fd = connect_abstract(twin_name(port, host_of(target)))) return fd;
  if (!is_own(target)) return {};
  if (target.family() == AF_INET) {
    if (Fd fd = connect_abstract(twin_name(port, "0.0.0.0"))) return fd;
  }
  return connect_abstract(twin_name(port, "::"));  // Our listeners on :: take IPv4, too.
}

}  // namespace rask::comm
