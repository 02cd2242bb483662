#include <gtest/gtest.h>

#include "rask/comm/comm.h"
#include "rask/comm/socket.h"

namespace rask::comm {
namespace {

TEST(Address, hosts_and_ports_are_told_apart) {
  const auto plain = parse_tcp_address("tcp://10.0.0.1:8786").value();
  EXPECT_EQ(plain.host, "10.0.0.1");
  EXPECT_EQ(plain.port, 8786);
  const auto bare = parse_tcp_address("node-1.example:80").value();
  EXPECT_EQ(bare.host, "node-1.example");
  EXPECT_EQ(bare.port, 80);
  const auto six = parse_tcp_address("tcp://[::1]:8786").value();
  EXPECT_EQ(six.host, "::1");
  EXPECT_EQ(six.port, 8786);
  EXPECT_EQ(parse_tcp_address("tcp://:0").value().host, "");
  EXPECT_FALSE(plain.tls);
  const auto secret = parse_tcp_address("tls://[::1]:8786").value();
  EXPECT_EQ(secret.host, "::1");
  EXPECT_TRUE(secret.tls);
}

TEST(Address, what_is_no_address_is_refused_with_the_address_in_the_text) {
  for (const char* bad : {"", "tcp://", "tcp://host", "tcp://host:", "tcp://host:65536",
                          "tcp://host:-1", "tcp://::1:80", "tcp://[::1]", "ws://host:1",
                          "tcp://host:80/path", "tcp://host:8x", "tcp://127.0.0.1:0#3"}) {
    const auto parsed = parse_tcp_address(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(parsed.error().message.find(bad), std::string::npos) << parsed.error().message;
  }
}

TEST(Address, a_scheme_is_added_only_where_there_is_none) {
  EXPECT_EQ(normalize_address("10.0.0.1:80"), "tcp://10.0.0.1:80");
  EXPECT_EQ(normalize_address("tcp://10.0.0.1:80"), "tcp://10.0.0.1:80");
  EXPECT_EQ(normalize_address("tls://10.0.0.1:80"), "tls://10.0.0.1:80");
  EXPECT_EQ(normalize_address("unix:///a/b"), "unix:///a/b");
}

TEST(Address, is_written_as_it_was_read) {
  EXPECT_EQ(tcp_address("::1", 80), "tcp://[::1]:80");
  EXPECT_EQ(tcp_address("10.0.0.1", 80), "tcp://10.0.0.1:80");
  EXPECT_EQ(tcp_address("10.0.0.1", 80, true), "tls://10.0.0.1:80");
  EXPECT_EQ(host_of(*numeric_address("::1", 5)), "::1");
  EXPECT_EQ(port_of(*numeric_address("127.0.0.1", 5)), 5);
  EXPECT_FALSE(numeric_address("localhost", 5));
}

TEST(Address, loopback_is_own_and_documentation_addresses_are_not) {
  EXPECT_TRUE(is_own(*numeric_address("127.0.0.1", 5)));
  EXPECT_FALSE(is_own(*numeric_address("192.0.2.1", 5)));
}

}  // namespace
}  // namespace rask::comm
