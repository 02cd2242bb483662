// What is special about TLS. That connections over it behave as all others is in
// connection_test.cc.
#include "rask/comm/tls.h"

#include <gmock/gmock.h>

#include "rask/comm/test_rig.h"

namespace rask::comm {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

class Tls : public testing::Test {
 protected:
  std::unique_ptr<Listener> listening(const Options& options) {
    return listen(rig.loop, any_port(options), options,
                  [this](ConnectionPtr came) {
                    ++accepted;
                    server = std::move(came);
                  })
        .value();
  }
  Result<ConnectionPtr> connecting(const std::string& address, const Options& options,
                                   bool retry = false) {
    std::optional<Result<ConnectionPtr>> got;
    connect(rig.loop, address, options, retry, [&](Result<ConnectionPtr> result) {
      got.emplace(std::move(result));
      rig.loop.stop();
    });
    rig.run();
    return std::move(*got);
  }
  // A peer that does as it should is let in.
  void expect_undisturbed(const Listener& listener) {
    const int before = accepted;
    EXPECT_TRUE(connecting(listener.address(), over_tls()).ok());
    rig.turn();
    EXPECT_EQ(accepted, before + 1);
  }
  static Options without_certificate() {
    auto options = over_tls();
    options.tls = nullptr;
    return options;
  }

  Rig rig;
  ConnectionPtr server;
  int accepted = 0;
};

TEST_F(Tls, contact_addresses_say_tls) {
  const auto listener = listening(over_tls());
  EXPECT_THAT(listener->address(), testing::StartsWith("tls://127.0.0.1:"));
  const auto everywhere = listen(rig.loop, "tls://0.0.0.0:0", over_tls(), {}).value();
  EXPECT_THAT(everywhere->contact_address(),
              AllOf(testing::StartsWith("tls://"), testing::Not(HasSubstr("0.0.0.0"))));
}

TEST_F(Tls, plain_tcp_is_refused_where_encryption_is_required) {
  auto options = over_tls();
  options.require_encryption = true;
  const auto refused = connecting("tcp://127.0.0.1:8786", options, true);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(refused.error().message,
            "encryption required by Dask configuration, refusing communication from/to "
            "'tcp://127.0.0.1:8786'");
  const auto heard = listen(rig.loop, "tcp://127.0.0.1:0", options, {});
  EXPECT_THAT(heard.error().message, HasSubstr("'tcp://127.0.0.1:0'"));
}

TEST_F(Tls, without_certificates_a_tls_address_says_what_is_missing) {
  const auto refused = connecting("tls://127.0.0.1:8786", {}, true);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("perhaps check your TLS configuration?"));
  EXPECT_FALSE(listen(rig.loop, "tls://127.0.0.1:0", {}, {}).ok());
}

TEST_F(Tls, a_certificate_of_another_ca_is_refused_by_both_sides) {
  const auto listener = listening(over_tls());
  const auto refused = connecting(listener->address(), over_tls(Security::temporary()), true);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt_message);
  EXPECT_THAT(refused.error().message, HasSubstr("certificate verify failed"));
  // A client that would take any server is stopped by the server.
  const auto ours = Security::temporary();
  auto gullible = Security::temporary();
  gullible.tls_ca_file = ours.tls_ca_file;
  const auto strict = listening(over_tls(ours));
  const auto stopped = connecting(strict->address(), over_tls(gullible), true);
  ASSERT_FALSE(stopped.ok());
  EXPECT_THAT(stopped.error().message, HasSubstr("does not trust our certificate"));
  EXPECT_EQ(accepted, 0);
  expect_undisturbed(*listener);
}

TEST_F(Tls, one_version_alone_works_and_two_different_ones_are_an_error) {
  auto security = Security::temporary();
  security.tls_max_version = "1.2";
  const auto old = over_tls(security);
  security.tls_min_version = "1.3";
  security.tls_max_version = "";
  const auto modern = over_tls(security);
  for (const auto& options : {old, modern}) {
    auto pair = connected_pair(rig, options);
    std::string got;
    pair.server->start(
        [&](wire::Message&& message) {
          got = text_of(message);
          rig.loop.stop();
        },
        nullptr);
    pair.client->send(text_message("hello"));
    rig.run();
    EXPECT_EQ(got, "hello");
  }
  const auto listener = listening(modern);
  EXPECT_THAT(connecting(listener->address(), old).error().message,
              HasSubstr("TLS: tlsv1 alert protocol version"));
}

// Each gets nowhere and is hung up on; who comes at the same time is not disturbed.
TEST_F(Tls, plain_peers_and_nonsense_at_a_tls_port_get_nowhere) {
  const auto listener = listening(over_tls());
  std::string random(4096, '\0');
  for (std::size_t i = 0; i < random.size(); ++i) random[i] = static_cast<char>(i * 7919 >> 3);
  const auto hello = wire::encode(wire::Value::object({{"pickle-protocol", 5}}));
  std::vector<std::pair<std::string, bool>> bad = {
      {"GET / HTTP/1.1\r\n\r\n", false},
      {random, false},
      {std::string{"\x16\x03\x01\x02"}, true},
      {std::string{"\x16\x03\x01\xff\xff"} + random, false},
      {"", true},
      {wire::frames_prelude(hello) + std::string{hello[0].view()}, false},
  };
  for (const auto& [bytes, then_close] : bad) {
    RawPeer peer{listener->address()};
    peer.write(bytes);
    if (then_close) peer.shutdown_writing();
    expect_undisturbed(*listener);
    const int before = accepted;
    for (int i = 0; i < 1000; ++i) {
      char sink[4096];
      const auto got = ::recv(peer.fd(), sink, sizeof sink, MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno == ECONNRESET)) break;
      ASSERT_LT(i, 999) << "not hung up on: " << bytes;
      rig.turn(1);
    }
    EXPECT_EQ(accepted, before);
  }
}

TEST_F(Tls, a_silent_peer_is_hung_up_on_after_the_timeout) {
  auto options = over_tls();
  options.connect_timeout = 0.05;
  const auto listener = listening(options);
  RawPeer silent{listener->address()};
  char byte = 0;
  while (::recv(silent.fd(), &byte, 1, MSG_DONTWAIT) != 0) rig.turn(1);
  EXPECT_EQ(accepted, 0);
}

TEST_F(Tls, the_two_kinds_of_ports_are_told_apart_with_a_clear_error) {
  const auto plain = listening(over_tcp());
  const auto secret = listening(over_tls());
  const auto tls_of = [](std::string address) { return "tls" + address.substr(3); };
  const auto tcp_of = [](std::string address) { return "tcp" + address.substr(3); };
  EXPECT_THAT(connecting(tls_of(plain->address()), over_tls(), true).error().message,
              HasSubstr("does the peer speak TLS?"));
  EXPECT_THAT(connecting(tcp_of(secret->address()), over_tcp(), true).error().message,
              HasSubstr("or want TLS"));
  EXPECT_EQ(accepted, 0);
}

TEST_F(Tls, a_peer_that_leaves_in_the_middle_of_a_message_is_told_so) {
  auto pair = connected_pair(rig, over_tls());
  auto frames = text_message("large");
  frames.push_back(wire::Buffer::own(std::string(64 << 20, 'x')));
  std::string why;
  pair.server->start([](wire::Message&&) { FAIL(); },
                     [&](const Error& error) {
                       why = error.message;
                       rig.loop.stop();
                     });
  pair.server->pause();
  pair.client->send(std::move(frames));
  rig.turn();
  pair.client->abort();
  pair.server->resume();
  rig.run();
  EXPECT_THAT(why, AnyOf(HasSubstr("middle of a message"), HasSubstr("reset by peer")));
}

// Both directions at once, in sizes that fit no record: nobody waits for what OpenSSL holds.
TEST_F(Tls, large_messages_both_ways_at_once) {
  auto pair = connected_pair(rig, over_tls());
  int left = 40;
  const auto count = [&](const wire::Message& message) {
    EXPECT_EQ(message.frames().size(), 4u);
    if (--left == 0) rig.loop.stop();
  };
  pair.server->start([&](wire::Message&& message) { count(message); }, nullptr);
  pair.client->start([&](wire::Message&& message) { count(message); }, nullptr);
  for (std::size_t i = 0; i < 20; ++i) {
    for (const auto& side : {pair.client, pair.server}) {
      auto frames = text_message("sizes");
      for (const std::size_t size : {std::size_t{3}, 16385 + i, 1'000'003 * (i % 5)})
        frames.push_back(wire::Buffer::own(std::string(size, 'x')));
      side->send(std::move(frames));
    }
  }
  rig.run();
  EXPECT_EQ(left, 0);
}

TEST_F(Tls, a_pool_of_connections_asks_over_tls) {
  const auto listener =
      listen(rig.loop, "tls://127.0.0.1:0", over_tls(), [](ConnectionPtr came) {
        auto* const raw = came.get();
        came->start([raw, keep = came](
                        wire::Message&& message) { raw->send(std::move(message).take_frames()); },
                    nullptr);
      }).value();
  RpcPool pool{rig.loop, over_tls()};
  RpcPool poor{rig.loop, without_certificate()};
  std::string reply;
  std::string complaint;
  poor.call(listener->address(), text_message("x"), 5,
            [&](Result<wire::Message> answer) { complaint = answer.error().message; });
  pool.call(listener->address(), text_message("x"), 5, [&](Result<wire::Message> answer) {
    reply = text_of(answer.value());
    rig.loop.stop();
  });
  rig.run();
  EXPECT_EQ(reply, "x");
  EXPECT_THAT(complaint, HasSubstr("needs a CA file and a certificate"));
}

}  // namespace
}  // namespace rask::comm
