#include <fmt/format.h>

#include <charconv>

#include "rask/comm/comm.h"

namespace rask::comm {
namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kTls = "tls://";

Error bad_address(const std::string& address, std::string_view why) {
  return {ErrorCode::invalid_argument,
          fmt::format("bad address '{}': {} (expected tcp://host:port or tls://host:port)", address,
                      why)};
}

Result<std::uint16_t> parse_port(const std::string& address, std::string_view text) {
  std::uint16_t port = 0;
  const auto* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end)
    return bad_address(address, "the port must be a number up to 65535");
  return port;
}

}  // namespace

Result<HostPort> parse_tcp_address(const std::string& address) {
  std::string_view rest = address;
  const bool tls = rest.starts_with(kTls);
  if (tls || rest.starts_with(kTcp)) {
    rest.remove_prefix(kTcp.size());
  } else if (const auto scheme = rest.find("://"); scheme != std::string_view::npos) {
    return bad_address(address, fmt::format("no support for '{}'", rest.substr(0, scheme)));
  }
  // Behind a '#' stands what tells peers on a unix socket apart.
  if (rest.find_first_of("/# ") != std::string_view::npos)
    return bad_address(address, "a host and a port, nothing else");
  if (rest.starts_with('[')) {
    const auto close = rest.find("]:");
    if (close == std::string_view::npos) return bad_address(address, "no port after ']'");
    RASK_TRY(const auto port, parse_port(address, rest.substr(close + 2)));
    return HostPort{std::string{rest.substr(1, close - 1)}, port, tls};
  }
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) return bad_address(address, "no port");
  if (rest.find(':') != colon) return bad_address(address, "IPv6 hosts stand in [brackets]");
  RASK_TRY(const auto port, parse_port(address, rest.substr(colon + 1)));
  return HostPort{std::string{rest.substr(0, colon)}, port, tls};
}

std::string normalize_address(const std::string& address) {
  return address.find("://") == std::string::npos ? std::string{kTcp} + address : address;
}

}  // namespace rask::comm
