#include <gmock/gmock.h>

#include <thread>

#include "rask/comm/test_rig.h"

namespace rask::comm {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Everything below holds on all kinds of sockets.
class ConnectionOn : public testing::TestWithParam<std::string> {
 protected:
  static Options options() {
    if (GetParam() == "tls") return over_tls();
    Options chosen;
    chosen.unix_twin = GetParam() == "unix";
    return chosen;
  }
  Rig rig;
};
INSTANTIATE_TEST_SUITE_P(, ConnectionOn, testing::Values("tcp", "unix", "tls"),
                         [](const auto& which) { return which.param; });

TEST_P(ConnectionOn, addresses_tell_how_one_is_reached) {
  auto pair = connected_pair(rig, options());
  EXPECT_EQ(pair.client->peer().remote_address, pair.listener->address());
  EXPECT_EQ(pair.server->peer().local_address, pair.listener->address());
  const std::string scheme = GetParam() == "tls" ? "tls" : "tcp";
  EXPECT_THAT(pair.server->peer().remote_address, StartsWith(scheme + "://127.0.0.1:"));
  EXPECT_THAT(pair.client->peer().local_address, StartsWith(scheme + "://127.0.0.1:"));
  EXPECT_EQ(pair.server->peer().remote_address.find('#') != std::string::npos,
            GetParam() == "unix");
}

TEST_P(ConnectionOn, many_small_messages_arrive_in_order) {
  constexpr int kCount = 20000;
  auto pair = connected_pair(rig, options());
  int next = 0;
  pair.server->start(
      [&](wire::Message&& message) {
        ASSERT_EQ(text_of(message), std::to_string(next));
        if (++next == kCount) rig.loop.stop();
      },
      nullptr);
  for (int i = 0; i < kCount; ++i) pair.client->send(text_message(std::to_string(i)));
  EXPECT_GT(pair.client->unsent_bytes(), std::size_t{kCount});
  rig.run();
  EXPECT_EQ(next, kCount);
  EXPECT_EQ(pair.client->unsent_bytes(), 0u);
}

TEST_P(ConnectionOn, who_handles_messages_together_hears_when_all_of_a_read_are_there) {
  auto pair = connected_pair(rig, options());
  std::string log;
  pair.server->start(
      [&](wire::Message&& message) {
        log += text_of(message);
        if (log == "ab|c") pair.server->close();
      },
      [&](const Error&) {
        log += '.';
        rig.loop.stop();
      },
      [&] { log += '|'; });
  pair.client->send(text_message("a"));
  pair.client->send(text_message("b"));
  rig.loop.call_later(0.05, [&] {
    pair.client->send(text_message("c"));
    pair.client->send(text_message("not read any more"));
  });
  rig.run();
  EXPECT_EQ(log, "ab|c|.");
}

TEST_P(ConnectionOn, what_comes_during_a_rest_comes_at_its_end_all_at_once) {
  constexpr Seconds kRest = 0.3;
  auto pair = connected_pair(rig, options());
  std::string log;
  Seconds began = 0;
  pair.server->start(
      [&](wire::Message&& message) {
        const auto text = text_of(message);
        log += text;
        if (text == "a") {
          began = rig.loop.now();
          pair.server->rest(kRest);
          pair.server->send(text_message("go on"));
        }
        if (text == "b") {
          EXPECT_GE(rig.loop.now() - began, kRest / 2);
          rig.loop.at_end_of_turn([&] { log += '|'; });
        }
        if (text == "d") rig.loop.stop();
      },
      nullptr);
  // The peer hears what is said meanwhile, and answers bit by bit.
  pair.client->start(
      [&](wire::Message&&) {
        pair.client->send(text_message("b"));
        rig.loop.call_later(0.01, [&] { pair.client->send(text_message("c")); });
        rig.loop.call_later(kRest + 0.05, [&] { pair.client->send(text_message("d")); });
      },
      nullptr);
  pair.client->send(text_message("a"));
  rig.run();
  EXPECT_EQ(log, "abc|d");
}

TEST_P(ConnectionOn, the_end_of_a_rest_ends_those_that_have_lasted_long_enough) {
  constexpr Seconds kRest = 0.5;
  auto one = connected_pair(rig, options());
  auto two = connected_pair(rig, options());
  std::string log;
  const auto listen = [&](auto& pair, const std::string& name) {
    pair.server->start(
        [&, name](wire::Message&&) {
          log += name;
          rig.loop.at_end_of_turn([&] { log += '|'; });
          pair.server->rest(kRest);
          if (log.size() > 4) rig.loop.stop();
        },
        nullptr);
  };
  listen(one, "1");
  listen(two, "2");
  one.client->send(text_message("x"));
  rig.loop.call_later(0.3 * kRest, [&] { two.client->send(text_message("x")); });
  rig.loop.call_later(0.32 * kRest, [&] {
    one.client->send(text_message("x"));
    two.client->send(text_message("x"));
  });
  rig.run();
  EXPECT_THAT(log, testing::AnyOf("1|2|12||", "1|2|21||"));
}

TEST_P(ConnectionOn, the_last_word_on_a_rest_counts) {
  auto pair = connected_pair(rig, options());
  std::string log;
  Seconds began = 0;
  pair.server->start(
      [&](wire::Message&& message) {
        const auto text = text_of(message);
        log += text;
        if (text == "a") began = rig.loop.now();
        pair.server->rest(text == "b" ? 0.05 : 1e6);
        if (text == "c") {
          EXPECT_GE(rig.loop.now() - began, 0.025);
          pair.server->rest(0);
        }
        if (text == "d") rig.loop.stop();
      },
      nullptr);
  pair.client->start([&](wire::Message&&) {}, nullptr);
  pair.client->send(text_message("a"));
  pair.client->send(text_message("b"));
  rig.loop.call_later(0.01, [&] { pair.client->send(text_message("c")); });
  rig.loop.call_later(0.1, [&] { pair.client->send(text_message("d")); });
  rig.run();
  EXPECT_EQ(log, "abcd");
}

TEST_P(ConnectionOn, a_rest_does_not_hide_the_end_and_ends_with_the_connection) {
  auto pair = connected_pair(rig, options());
  pair.server->start([&](wire::Message&&) { pair.server->rest(0.02); },
                     [&](const Error& error) {
                       EXPECT_EQ(error.code, ErrorCode::peer_lost);
                       rig.loop.stop();
                     });
  pair.client->send(text_message("last words"));
  pair.client->close();
  rig.run();
  auto other = connected_pair(rig, options());
  other.server->start(
      [&](wire::Message&&) {
        other.server->rest(1e6);
        other.server->close();
      },
      [&](const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::cancelled);
        rig.loop.stop();
      });
  other.client->send(text_message("close, please"));
  rig.run();
}

TEST_P(ConnectionOn, a_paused_connection_stays_paused_behind_a_rest) {
  auto pair = connected_pair(rig, options());
  int heard = 0;
  pair.server->start(
      [&](wire::Message&&) {
        if (++heard == 2) return rig.loop.stop();
        pair.server->rest(0.005);
        pair.server->pause();
        pair.client->send(text_message("second"));
        rig.loop.call_later(0.05, [&] {
          EXPECT_EQ(heard, 1);
          pair.server->resume();
        });
      },
      nullptr);
  pair.client->send(text_message("first"));
  rig.run();
  EXPECT_EQ(heard, 2);
}

TEST_P(ConnectionOn, a_big_frame_among_small_ones_arrives_whole) {
  std::string big(100 << 20, '\0');
  for (std::size_t i = 0; i < big.size(); i += 4096) big[i] = static_cast<char>(i >> 12);
  const auto frame = wire::Buffer::own(std::move(big));
  auto pair = connected_pair(rig, options());
  int messages = 0;
  pair.server->start(
      [&](wire::Message&& message) {
        if (++messages == 2) {
          ASSERT_EQ(message.frames().size(), 3u);
          EXPECT_TRUE(message.frames()[1] == frame);
          EXPECT_EQ(message.frames()[2].view(), "tail");
        }
        if (messages == 3) rig.loop.stop();
      },
      nullptr);
  pair.client->send(text_message("before"));
  auto frames = text_message("with frames");
  frames.push_back(frame);
  frames.push_back(wire::Buffer::copy_of("tail"));
  pair.client->send(std::move(frames));
  pair.client->send(text_message("after"));
  rig.run();
  EXPECT_EQ(messages, 3);
}

TEST_P(ConnectionOn, frames_of_every_size_around_the_limits_of_copying_arrive) {
  auto pair = connected_pair(rig, options());
  wire::Frames sent = text_message("sizes");
  for (const std::size_t size : {0u, 1u, 16383u, 16384u, 0u, 131072u, 5u, 131073u, 1u << 20, 7u})
    sent.push_back(wire::Buffer::own(std::string(size, static_cast<char>('a' + size % 26))));
  int left = 30;
  pair.server->start(
      [&](wire::Message&& message) {
        EXPECT_TRUE(message.frames() == sent);
        if (--left == 0) rig.loop.stop();
      },
      nullptr);
  for (int i = 0; i < 30; ++i) pair.client->send(sent);
  rig.run();
}

TEST_P(ConnectionOn, close_sends_what_is_queued_and_both_sides_hear_of_it_once) {
  auto pair = connected_pair(rig, options());
  std::string log;
  int closed = 0;
  const auto on_close = [&](const char* who, const Error& error) {
    log += who;
    EXPECT_EQ(error.code, *who == 'c' ? ErrorCode::cancelled : ErrorCode::peer_lost);
    if (++closed == 2) rig.loop.post([&] { rig.loop.stop(); });
  };
  std::size_t received = 0;
  pair.server->start([&](wire::Message&& message) { received = message.frames()[1].size(); },
                     [&](const Error& error) { on_close("s", error); });
  pair.client->start(nullptr, [&](const Error& error) { on_close("c", error); });
  auto last = text_message("last words");
  last.push_back(wire::Buffer::own(std::string(20 << 20, 'x')));
  pair.client->send(std::move(last));
  pair.client->close();
  pair.client->close();
  EXPECT_TRUE(pair.client->closed());
  EXPECT_EQ(closed, 0);
  pair.client->send(text_message("too late"));
  rig.run();
  EXPECT_EQ(received, std::size_t{20 << 20});
  EXPECT_EQ(log.size(), 2u);
}

TEST_P(ConnectionOn, abort_inside_on_message_ends_delivery_at_once) {
  auto pair = connected_pair(rig, options());
  int messages = 0;
  pair.server->start(
      [&](wire::Message&&) {
        ++messages;
        pair.server->abort();
      },
      [&](const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::cancelled);
        rig.loop.stop();
      });
  for (int i = 0; i < 5; ++i) pair.client->send(text_message("x"));
  rig.run();
  EXPECT_EQ(messages, 1);
}

TEST_P(ConnectionOn, a_connection_changes_its_owner_inside_on_message) {
  auto pair = connected_pair(rig, options());
  std::string log;
  const auto held = std::make_shared<int>();
  pair.server->start(
      [&, held](wire::Message&& message) {
        log += "rpc:" + text_of(message) + " ";
        pair.server->start([&](wire::Message&& next) { log += "stream:" + text_of(next) + " "; },
                           [&](const Error&) {
                             log += "closed";
                             rig.loop.stop();
                           });
        log += "handed over ";
      },
      [&](const Error&) { log += "wrong owner "; });
  for (const char* text : {"a", "b", "c"}) pair.client->send(text_message(text));
  pair.client->close();
  rig.run();
  EXPECT_EQ(log, "rpc:a handed over stream:b stream:c closed");
  EXPECT_EQ(held.use_count(), 1);
}

TEST_P(ConnectionOn, start_after_the_end_still_reports_the_end) {
  auto pair = connected_pair(rig, options());
  pair.server->abort();
  bool reported = false;
  pair.server->start(nullptr, [&](const Error&) {
    reported = true;
    rig.loop.stop();
  });
  EXPECT_FALSE(reported);
  rig.run();
  EXPECT_TRUE(reported);
}

TEST_P(ConnectionOn, a_paused_connection_reads_nothing_and_loses_nothing) {
  auto pair = connected_pair(rig, options());
  int received = 0;
  pair.server->start(
      [&](wire::Message&& message) {
        EXPECT_EQ(text_of(message), std::to_string(received));
        if (++received == 1) pair.server->pause();
        if (received == 10) rig.loop.stop();
      },
      nullptr);
  for (int i = 0; i < 10; ++i) pair.client->send(text_message(std::to_string(i)));
  rig.turn();
  EXPECT_EQ(received, 1);
  pair.server->resume();
  rig.run();
  EXPECT_EQ(received, 10);
}

TEST_P(ConnectionOn, a_reader_that_pauses_makes_the_writer_keep_its_bytes) {
  auto chosen = options();
  chosen.write_buffer_bytes_max = 1 << 20;
  auto pair = connected_pair(rig, chosen);
  std::size_t received = 0;
  pair.server->start(
      [&](wire::Message&& message) {
        received += message.frames()[1].size();
        if (received == std::size_t{64} << 20) rig.loop.stop();
      },
      nullptr);
  pair.server->pause();
  for (int i = 0; i < 64; ++i) {
    auto frames = text_message("x");
    frames.push_back(wire::Buffer::own(std::string(1 << 20, 'x')));
    pair.client->send(std::move(frames));
  }
  rig.turn();
  EXPECT_GT(pair.client->unsent_bytes(), std::size_t{16} << 20);
  EXPECT_FALSE(pair.client->writable());
  pair.server->resume();
  rig.run();
  EXPECT_TRUE(pair.client->writable());
}

TEST_P(ConnectionOn, a_dropped_connection_that_nobody_started_is_closed) {
  auto pair = connected_pair(rig, options());
  pair.server->start(nullptr, [&](const Error& error) {
    EXPECT_THAT(error.message, HasSubstr("closed by the peer"));
    rig.loop.stop();
  });
  pair.client.reset();
  rig.run();
}

TEST_P(ConnectionOn, handlers_are_dropped_at_the_end) {
  const auto token = std::make_shared<int>();
  auto pair = connected_pair(rig, options());
  // The cycle that everybody builds: the handlers own their connection.
  pair.server->start([token, keep = pair.server](wire::Message&&) {},
                     [&, token, keep = pair.server](const Error&) { rig.loop.stop(); });
  const std::weak_ptr<Connection> alive = pair.server;
  pair.server.reset();
  pair.client->close();
  rig.run();
  rig.turn();
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_TRUE(alive.expired());
}

TEST_P(ConnectionOn, a_loop_may_end_before_its_connections) {
  const auto token = std::make_shared<int>();
  auto own_rig = std::make_unique<Rig>();
  auto pair = connected_pair(*own_rig, options());
  pair.server->start([token, keep = pair.server](wire::Message&&) {}, nullptr);
  connect(own_rig->loop, pair.listener->address(), options(), true,
          [token](Result<ConnectionPtr>) { FAIL() << "the loop has ended"; });
  pair.client->send(text_message("never sent"));
  own_rig.reset();
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_TRUE(pair.client->closed());
  pair.client->send(text_message("nor this"));
  pair.client->start(nullptr, nullptr);
  pair.client->close();
  pair.client->abort();
  pair.listener.reset();
}

TEST_P(ConnectionOn, two_loops_on_two_threads_talk) {
  constexpr int kRounds = 2000;
  std::string address;
  EventLoop server_loop;
  ConnectionPtr server;
  auto listener =
      listen(server_loop, any_port(options()), options(), [&](ConnectionPtr came) {
        server = std::move(came);
        server->start(
            [&](wire::Message&& message) { server->send(std::move(message).take_frames()); },
            [&](const Error&) { server_loop.stop(); });
      }).value();
  std::thread other{[&] { server_loop.run(); }};
  int rounds = 0;
  ConnectionPtr client;
  connect(rig.loop, listener->address(), options(), false, [&](Result<ConnectionPtr> result) {
    client = std::move(result).value();
    client->start(
        [&](wire::Message&& message) {
          EXPECT_EQ(text_of(message), std::to_string(rounds));
          if (++rounds == kRounds) return client->close();
          client->send(text_message(std::to_string(rounds)));
        },
        [&](const Error&) { rig.loop.stop(); });
    client->send(text_message("0"));
  });
  rig.run();
  other.join();
  EXPECT_EQ(rounds, kRounds);
}

TEST(Connection, a_peer_that_closes_only_its_own_direction_gets_what_was_queued) {
  Rig rig;
  ConnectionPtr server;
  auto listener =
      listen(rig.loop, "tcp://127.0.0.1:0", {}, [&](ConnectionPtr came) {
        server = std::move(came);
        server->start([&](wire::Message&&) { server->send(text_message("the answer")); },
                      [&](const Error&) { rig.loop.stop(); });
      }).value();
  RawPeer peer{listener->address()};
  peer.write(wire::encode(wire::Value::object({{"pickle-protocol", 5}})));
  peer.write(text_message("the question"));
  peer.shutdown_writing();
  rig.run();
  std::string all;
  char piece[4096];
  for (ssize_t got; (got = ::recv(peer.fd(), piece, sizeof piece, 0)) > 0;)
    all.append(piece, static_cast<std::size_t>(got));
  EXPECT_THAT(all, HasSubstr("the answer"));
}

TEST(Connection, garbage_behind_a_good_handshake_ends_that_connection_only) {
  Rig rig;
  auto pair = connected_pair(rig);
  ConnectionPtr bad;
  auto listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [&](ConnectionPtr came) {
                    bad = std::move(came);
                    bad->start([](wire::Message&&) { FAIL(); },
                               [&](const Error& error) {
                                 EXPECT_EQ(error.code, ErrorCode::corrupt_message);
                                 pair.client->send(text_message("still here"));
                               });
                  }).value();
  pair.server->start([&](wire::Message&&) { rig.loop.stop(); }, nullptr);
  RawPeer peer{listener->address()};
  peer.write(wire::encode(wire::Value::object({{"pickle-protocol", 5}})));
  peer.write(std::string(64, '\xff'));
  rig.run();
  EXPECT_TRUE(bad->closed());
}

TEST(Connection, a_message_cut_in_the_middle_is_named_so) {
  Rig rig;
  ConnectionPtr server;
  auto listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [&](ConnectionPtr came) {
                    server = std::move(came);
                    server->start([](wire::Message&&) { FAIL(); },
                                  [&](const Error& error) {
                                    EXPECT_THAT(error.message, HasSubstr("middle of a message"));
                                    rig.loop.stop();
                                  });
                  }).value();
  RawPeer peer{listener->address()};
  peer.write(wire::encode(wire::Value::object({{"pickle-protocol", 5}})));
  const auto cut = text_message("a message that never ends");
  peer.write(wire::frames_prelude(cut));
  peer.shutdown_writing();
  rig.run();
}

}  // namespace
}  // namespace rask::comm
