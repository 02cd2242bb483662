#include "rask/comm/handshake.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <thread>

#include "rask/comm/test_rig.h"

namespace rask::comm {
namespace {

using testing::HasSubstr;

Options quick(Seconds timeout) {
  Options options;
  options.connect_timeout = timeout;
  return options;
}

std::string bytes_of(const wire::Frames& frames) {
  std::string bytes = wire::frames_prelude(frames);
  for (const auto& frame : frames) bytes += frame.view();
  return bytes;
}

TEST(Handshake, says_what_distributed_says) {
  const auto offered = wire::Message{handshake_message({.compressions = {"lz4"}})}.parse().value();
  EXPECT_TRUE(offered["compression"].is_nil());
  EXPECT_EQ(offered["pickle-protocol"].as_int(), 5);
  EXPECT_EQ(offered["python"].as_array().size(), 3u);
  EXPECT_EQ(offered["rask"].as_int(), 1);
  const auto plain =
      wire::Message{handshake_message({.compressions = {"lz4"}, .compress = true, .dense = false})}
          .parse()
          .value();
  EXPECT_EQ(plain["compression"].as_text(), "lz4");
  EXPECT_TRUE(plain["rask"].is_nil());
}

TEST(Handshake, dense_and_compression_need_both_sides) {
  for (const bool one : {false, true}) {
    for (const bool other : {false, true}) {
      Rig rig;
      Options client = over_tcp();
      Options server = over_tcp();
      client.handshake.dense = client.handshake.compress = one;
      server.handshake.dense = server.handshake.compress = other;
      auto pair = connected_pair(rig, client, server);
      EXPECT_EQ(pair.client->peer().dense, one && other);
      EXPECT_EQ(pair.server->peer().dense, one && other);
      EXPECT_EQ(pair.client->peer().compression != wire::Compression::none, one && other);
      EXPECT_EQ(pair.server->peer().compression, pair.client->peer().compression);
    }
  }
}

// What comes in one packet with the handshake is not lost, though nobody listens yet.
TEST(Handshake, messages_right_behind_it_wait_for_start) {
  Rig rig;
  ConnectionPtr server;
  auto listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [&](ConnectionPtr came) {
                    server = std::move(came);
                    rig.loop.stop();
                  }).value();
  RawPeer peer{listener->address()};
  peer.write(bytes_of(handshake_message({})) + bytes_of(text_message("early")));
  rig.run();
  rig.turn();
  server->start(
      [&](wire::Message&& message) {
        EXPECT_EQ(text_of(message), "early");
        rig.loop.stop();
      },
      nullptr);
  rig.run();
}

// Each of these peers is dropped, and a good one that comes at the same time is not disturbed.
TEST(Handshake, peers_that_say_nonsense_disturb_nobody) {
  const std::string one_gigabyte("\0\0\0\x40\0\0\0\0", 8);
  const std::string one_exabyte("\0\0\0\0\0\0\0\x10", 8);
  const auto good = bytes_of(handshake_message({}));
  const std::vector<std::pair<std::string, bool>> bad = {
      {"GET / HTTP/1.1\r\nHost: scheduler\r\n\r\n", false},
      {one_gigabyte, false},
      {one_exabyte + one_exabyte, false},
      {one_gigabyte.substr(0, 3), true},
      {good.substr(0, good.size() / 2), true},
      {"", true},
      {bytes_of(text_message("no map")), false},
      {bytes_of(wire::encode(wire::Value::object({{"op", "identity"}}))), false},
      {bytes_of({wire::Buffer::copy_of("\xc1\xc1")}), false},
      {bytes_of({}), false},
  };
  for (const auto& [bytes, then_close] : bad) {
    Rig rig;
    int accepted = 0;
    auto listener =
        listen(rig.loop, "tcp://127.0.0.1:0", {}, [&](ConnectionPtr) { ++accepted; }).value();
    RawPeer peer{listener->address()};
    peer.write(bytes);
    if (then_close) peer.shutdown_writing();
    ConnectionPtr client;
    connect(rig.loop, listener->address(), over_tcp(), false, [&](Result<ConnectionPtr> result) {
      client = std::move(result).value();
      rig.loop.stop();
    });
    rig.run();
    // The listener hangs up on the bad peer: what it reads ends.
    while (true) {
      char sink[4096];
      const auto got = ::recv(peer.fd(), sink, sizeof sink, MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno == ECONNRESET)) break;
      rig.turn(1);
    }
    EXPECT_EQ(accepted, 1) << bytes;
  }
}

TEST(Handshake, a_silent_peer_is_dropped_by_the_listener_in_time) {
  Rig rig;
  auto listener =
      listen(rig.loop, "tcp://127.0.0.1:0", quick(0.05), [](ConnectionPtr) { FAIL(); }).value();
  RawPeer peer{listener->address()};
  std::thread reader{[&] {
    char sink[4096];
    while (::recv(peer.fd(), sink, sizeof sink, 0) > 0) continue;
    rig.loop.stop();
  }};
  rig.run();
  reader.join();
}

TEST(Handshake, a_silent_listener_is_given_up_in_time) {
  Rig rig;
  const Fd mute{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const auto any = *numeric_address("127.0.0.1", 0);
  ASSERT_EQ(::bind(mute.get(), any.get(), any.size), 0);
  ASSERT_EQ(::listen(mute.get(), 5), 0);
  const auto address = tcp_address("127.0.0.1", port_of(local_address(mute.get())));
  connect(rig.loop, address, quick(0.05), true, [&](Result<ConnectionPtr> result) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::timed_out);
    EXPECT_THAT(result.error().message, HasSubstr(address));
    EXPECT_THAT(result.error().message, HasSubstr("handshake"));
    rig.loop.stop();
  });
  rig.run();
}

TEST(Connect, tells_what_to_do_when_nobody_listens) {
  Rig rig;
  auto listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [](ConnectionPtr) {}).value();
  const auto address = listener->address();
  listener.reset();
  connect(rig.loop, address, {}, false, [&](Result<ConnectionPtr> result) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::peer_lost);
    EXPECT_THAT(result.error().message, HasSubstr("connection refused (is a scheduler"));
    rig.loop.stop();
  });
  rig.run();
  connect(rig.loop, address, quick(0.08), true, [&](Result<ConnectionPtr> result) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::timed_out);
    EXPECT_THAT(result.error().message,
                HasSubstr("timed out during connect to " + address + " after 0.08 s: connection"));
    rig.loop.stop();
  });
  rig.run();
}

TEST(Connect, bad_addresses_are_reported_later_not_at_once) {
  for (const char* bad :
       {"tcp://127.0.0.1", "tls://127.0.0.1:1", "tcp://:80", "tcp://127.0.0.1:0", "unix://"}) {
    Rig rig;
    bool called = false;
    connect(rig.loop, bad, {}, true, [&](Result<ConnectionPtr> result) {
      called = true;
      EXPECT_EQ(result.error().code, ErrorCode::invalid_argument) << bad;
      rig.loop.stop();
    });
    EXPECT_FALSE(called);
    rig.run();
  }
}

TEST(Connect, tries_again_until_a_late_listener_appears) {
  Rig rig;
  auto listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [](ConnectionPtr) {}).value();
  const auto address = listener->address();
  listener.reset();
  bool listening = false;
  connect(rig.loop, address, {}, true, [&](Result<ConnectionPtr> result) {
    EXPECT_TRUE(result.ok()) << result.error().message;
    EXPECT_TRUE(listening);
    rig.loop.stop();
  });
  rig.loop.call_later(0.05, [&] {
    listening = true;
    listener = listen(rig.loop, address, {}, [](ConnectionPtr) {}).value();
  });
  rig.run();
}

TEST(Connect, resolves_names) {
  Rig rig;
  auto listener = listen(rig.loop, "tcp://localhost:0", {}, [](ConnectionPtr) {}).value();
  const auto port = parse_tcp_address(listener->address()).value().port;
  connect(rig.loop, "localhost:" + std::to_string(port), {}, false,
          [&](Result<ConnectionPtr> result) {
            EXPECT_TRUE(result.ok()) << result.error().message;
            rig.loop.stop();
          });
  rig.run();
}

TEST(Connect, says_of_a_name_that_it_leads_nowhere) {
  Rig rig;
  connect(rig.loop, "tcp://no-such-host.invalid:8786", {}, false,
          [&](Result<ConnectionPtr> result) {
            ASSERT_FALSE(result.ok());
            EXPECT_THAT(result.error().message,
                        HasSubstr("the name 'no-such-host.invalid' cannot be resolved"));
            rig.loop.stop();
          });
  rig.run();
}

TEST(Connect, a_loop_may_end_while_a_name_is_looked_up) {
  const auto token = std::make_shared<int>();
  for (int i = 0; i < 20; ++i) {
    EventLoop loop;
    connect(loop, "tcp://localhost:1", {}, true, [token](Result<ConnectionPtr>) {});
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Connect, reaches_unix_paths_and_takes_over_the_file_of_a_dead_server) {
  Rig rig;
  const auto path = testing::TempDir() + "rask-comm-test-" + std::to_string(::getpid());
  {
    // A server that died left its file.
    const Fd dead = open_socket(AF_UNIX);
    const auto address = unix_address(path).value();
    ASSERT_EQ(::bind(dead.get(), address.get(), address.size), 0);
  }
  auto pair = connected_pair(rig, {}, {}, "unix://" + path);
  EXPECT_EQ(pair.client->peer().remote_address, "unix://" + path);
  EXPECT_TRUE(pair.client->peer().dense);
  const auto second = listen(rig.loop, "unix://" + path, {}, [](ConnectionPtr) {});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("already in use"));
  pair.listener.reset();
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(Listen, says_why_it_cannot) {
  Rig rig;
  auto first = listen(rig.loop, "tcp://127.0.0.1:0", {}, [](ConnectionPtr) {}).value();
  const auto taken = listen(rig.loop, first->address(), {}, [](ConnectionPtr) {});
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(taken.error().message, HasSubstr("address already in use"));
  const auto foreign = listen(rig.loop, "tcp://192.0.2.1:0", {}, [](ConnectionPtr) {});
  EXPECT_THAT(foreign.error().message, HasSubstr("no interface"));
}

TEST(Listen, on_all_interfaces_gives_an_address_that_peers_can_reach) {
  Rig rig;
  auto pair = connected_pair(rig, {}, {}, "tcp://127.0.0.1:0");
  auto listener = listen(rig.loop, "tcp://:0", {}, [](ConnectionPtr) {}).value();
  EXPECT_THAT(listener->address(), testing::StartsWith("tcp://0.0.0.0:"));
  EXPECT_THAT(listener->contact_address(), testing::Not(HasSubstr("0.0.0.0")));
  connect(rig.loop, listener->contact_address(), {}, false, [&](Result<ConnectionPtr> result) {
    EXPECT_TRUE(result.ok()) << result.error().message;
    rig.loop.stop();
  });
  rig.run();
}

// Whether a connection took the unix socket shows in the address that the acceptor gives its peer.
TEST(Twin, is_found_for_wildcard_listeners_and_only_on_their_own_port_and_host) {
  Rig rig;
  std::vector<std::string> peers;
  const auto note = [&](ConnectionPtr came) { peers.push_back(came->peer().remote_address); };
  auto everywhere = listen(rig.loop, "tcp://0.0.0.0:0", {}, note).value();
  const auto port = parse_tcp_address(everywhere->address()).value().port;
  // Another server, on another host of its own and another port: never mixed up.
  auto elsewhere = listen(rig.loop, "tcp://127.0.0.3:0", {}, [](ConnectionPtr) { FAIL(); }).value();
  int done = 0;
  for (const char* host : {"127.0.0.1", "127.0.0.2"}) {
    connect(rig.loop, tcp_address(host, port), {}, false, [&](Result<ConnectionPtr> result) {
      EXPECT_TRUE(result.ok());
      if (++done == 2) rig.loop.stop();
    });
  }
  rig.run();
  rig.turn();
  ASSERT_EQ(peers.size(), 2u);
  for (const auto& peer : peers) EXPECT_THAT(peer, HasSubstr("#"));
  const auto other_port = parse_tcp_address(elsewhere->address()).value().port;
  connect(rig.loop, tcp_address("127.0.0.1", other_port), {}, false,
          [&](Result<ConnectionPtr> result) {
            EXPECT_FALSE(result.ok());
            rig.loop.stop();
          });
  rig.run();
}

TEST(Twin, leads_to_the_host_that_was_asked_for_when_two_share_a_port) {
  Rig rig;
  auto one = listen(rig.loop, "tcp://127.0.0.1:0", {}, [](ConnectionPtr) { FAIL(); }).value();
  const auto port = parse_tcp_address(one->address()).value().port;
  // All hosts of a port that somebody has on one host: refused, as for every TCP server.
  EXPECT_FALSE(listen(rig.loop, tcp_address("0.0.0.0", port), {}, [](ConnectionPtr) {}).ok());
  std::string reached;
  auto other = listen(rig.loop, tcp_address("127.0.0.2", port), {}, [&](ConnectionPtr came) {
                 reached = came->peer().local_address;
                 EXPECT_THAT(came->peer().remote_address, HasSubstr("#"));
                 rig.loop.stop();
               }).value();
  connect(rig.loop, other->address(), {}, false, [](Result<ConnectionPtr>) {});
  rig.run();
  EXPECT_EQ(reached, other->address());
}

TEST(Twin, of_an_ipv6_listener_takes_ipv4_callers_as_tcp_would) {
  Rig rig;
  std::string reached;
  auto listening = listen(rig.loop, "tcp://[::]:0", {}, [&](ConnectionPtr came) {
    reached = came->peer().remote_address;
    rig.loop.stop();
  });
  if (!listening.ok()) GTEST_SKIP() << listening.error().message;
  const auto port = parse_tcp_address(listening.value()->address()).value().port;
  for (const char* host : {"::1", "127.0.0.1"}) {
    for (const auto& options : {Options{}, over_tcp()}) {
      reached.clear();
      connect(rig.loop, tcp_address(host, port), options, false, [&](Result<ConnectionPtr> result) {
        if (!result.ok()) rig.loop.stop();
      });
      rig.run();
      EXPECT_EQ(reached.find('#') != std::string::npos, options.unix_twin) << host << reached;
    }
  }
}

TEST(Twin, that_lets_in_and_hangs_up_leaves_tcp) {
  Rig rig;
  auto listener = listen(rig.loop, "tcp://127.0.0.1:0", over_tcp(), [](ConnectionPtr) {}).value();
  const auto parsed = parse_tcp_address(listener->address()).value();
  const Fd impostor{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const auto name = twin_address(*numeric_address(parsed.host, parsed.port));
  ASSERT_EQ(::bind(impostor.get(), name.get(), name.size), 0);
  ASSERT_EQ(::listen(impostor.get(), 5), 0);
  connect(rig.loop, listener->address(), {}, false, [&](Result<ConnectionPtr> result) {
    EXPECT_TRUE(result.ok()) << result.error().message;
    rig.loop.stop();
  });
  const Fd caller{::accept(impostor.get(), nullptr, nullptr)};
  ::shutdown(caller.get(), SHUT_RDWR);
  rig.run();
}

TEST(Listen, survives_that_there_are_no_more_file_descriptors) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer looks at memory through descriptors of its own";
#endif
  Rig rig;
  int accepted = 0;
  auto listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [&](ConnectionPtr) {
                    ++accepted;
                    rig.loop.stop();
                  }).value();
  RawPeer peer{listener->address()};
  peer.write(bytes_of(handshake_message({})));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  rig.turn();
  EXPECT_EQ(accepted, 0);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  rig.run();
  EXPECT_EQ(accepted, 1);
}

TEST(Listen, may_be_ended_from_its_own_callback) {
  Rig rig;
  std::unique_ptr<Listener> listener;
  const auto token = std::make_shared<int>();
  listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [&, token](ConnectionPtr) {
               listener.reset();
               EXPECT_EQ(token.use_count(), 2);
               rig.loop.stop();
             }).value();
  connect(rig.loop, listener->address(), {}, false, [](Result<ConnectionPtr>) {});
  rig.run();
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace rask::comm
