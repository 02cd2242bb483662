#pragma once
// For the tests of this room: a loop with a time limit, connected pairs, and a raw TCP peer.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "rask/comm/comm.h"
#include "rask/comm/socket.h"
#include "rask/comm/tls.h"

namespace rask::comm {

struct Rig {
  EventLoop loop;

  // Until somebody calls loop.stop(). A test that waits for what never comes fails.
  void run(Seconds limit = 40) {
    const auto guard = loop.call_later(limit, [this] {
      ADD_FAILURE() << "what the test waits for did not happen";
      loop.stop();
    });
    loop.run();
    loop.cancel(guard);
  }
  // Handles what is ready, several times over.
  void turn(int times = 20) {
    std::function<void()> again = [&] {
      if (times-- > 0)
        loop.post(again);
      else
        loop.stop();
    };
    loop.post(again);
    loop.run();
  }
};

inline Options over_tcp() {
  Options options;
  options.unix_twin = false;
  return options;
}

// Both roles' options of one temporary Security.
inline Options over_tls(const Security& security) {
  Options options;
  EXPECT_TRUE(secure(options, security, Role::worker).ok());
  return options;
}
inline Options over_tls() {
  static const auto options = over_tls(Security::temporary());
  return options;
}
inline std::string any_port(const Options& options) {
  return options.tls ? "tls://127.0.0.1:0" : "tcp://127.0.0.1:0";
}

struct Pair {
  std::unique_ptr<Listener> listener;
  ConnectionPtr client;
  ConnectionPtr server;
};

inline Pair connected_pair(Rig& rig, const Options& client_options, const Options& server_options,
                           const std::string& address) {
  Pair pair;
  const auto ready = [&] {
    if (pair.client && pair.server) rig.loop.stop();
  };
  auto listening = listen(rig.loop, address, server_options, [&](ConnectionPtr connection) {
    pair.server = std::move(connection);
    ready();
  });
  if (!listening.ok()) ADD_FAILURE() << listening.error().message;
  pair.listener = std::move(listening).value();
  connect(rig.loop, pair.listener->address(), client_options, false,
          [&](Result<ConnectionPtr> result) {
            if (!result.ok()) ADD_FAILURE() << result.error().message;
            if (result.ok()) pair.client = std::move(result).value();
            ready();
          });
  rig.run();
  return pair;
}
inline Pair connected_pair(Rig& rig, const Options& client_options, const Options& server_options) {
  return connected_pair(rig, client_options, server_options, any_port(server_options));
}
inline Pair connected_pair(Rig& rig, const Options& options = {}) {
  return connected_pair(rig, options, options);
}

inline wire::Frames text_message(std::string_view text) { return wire::encode(wire::Value{text}); }
inline std::string text_of(const wire::Message& message) {
  auto value = message.parse();
  return value.ok() ? std::string{value.value().as_text()} : "broken: " + value.error().message;
}

// A blocking TCP socket that says what no Connection would. Kernel buffers make it safe to use from
// the thread of the loop: it writes little and reads when the loop has answered.
class RawPeer {
 public:
  explicit RawPeer(const std::string& address) {
    const auto parsed = parse_tcp_address(address).value();
    const auto target = numeric_address(parsed.host, parsed.port);
    fd_ = Fd{::socket(target->family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
    EXPECT_EQ(::connect(fd_.get(), target->get(), target->size), 0) << std::strerror(errno);
  }
  void write(std::string_view bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void write(const wire::Frames& frames) {
    write(wire::frames_prelude(frames));
    for (const auto& frame : frames) write(frame.view());
  }
  void shutdown_writing() { ::shutdown(fd_.get(), SHUT_WR); }
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
};

}  // namespace rask::comm
