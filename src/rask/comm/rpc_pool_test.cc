#include <gmock/gmock.h>

#include <map>

#include "rask/comm/rpc_server.h"
#include "rask/comm/test_rig.h"

namespace rask::comm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using wire::Value;

wire::Frames request(const char* op) {
  return wire::encode(Value::object({{"op", op}, {"reply", true}}));
}

// A server whose answers the test gives by hand.
struct Server {
  explicit Server(Rig& owner) : rig(owner) {
    listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [this](ConnectionPtr came) {
                 auto* const raw = came.get();
                 ++opened;
                 open[raw] = came;
                 came->start(
                     [this, raw](wire::Message&& message) {
                       auto tree = message.parse().value();
                       said.emplace_back(tree.get_if<Value::Map>() ? tree["op"].as_text()
                                                                   : tree.as_text());
                       asking.push_back(open[raw]);
                       if (on_request) on_request();
                     },
                     [this, raw](const Error&) {
                       open.erase(raw);
                       if (on_closed) on_closed();
                     });
               }).value();
  }
  // Oldest question first.
  void answer(const Value& value) {
    asking.front()->send(wire::encode(value));
    asking.erase(asking.begin());
  }

  Rig& rig;
  std::unique_ptr<Listener> listener;
  std::map<Connection*, ConnectionPtr> open;
  std::vector<ConnectionPtr> asking;
  std::vector<std::string> said;
  int opened = 0;
  std::function<void()> on_request;
  std::function<void()> on_closed;
};

TEST(RpcPool, one_connection_serves_requests_one_after_the_other) {
  Rig rig;
  Server server{rig};
  server.on_request = [&] { server.answer("pong " + std::to_string(server.said.size())); };
  RpcPool pool{rig.loop, {}};
  std::vector<std::string> replies;
  std::function<void(Result<wire::Message>)> next = [&](Result<wire::Message> reply) {
    replies.push_back(text_of(reply.value()));
    if (replies.size() == 3) return rig.loop.stop();
    pool.call(server.listener->address(), request("ping"), 0, next);
  };
  pool.call(server.listener->address(), request("ping"), 0, next);
  rig.run();
  EXPECT_THAT(replies, ElementsAre("pong 1", "pong 2", "pong 3"));
  EXPECT_EQ(server.opened, 1);
  EXPECT_EQ(pool.open_count(), 1u);
}

TEST(RpcPool, never_opens_more_than_its_limit_and_serves_who_waits_in_order) {
  Rig rig;
  Server server{rig};
  std::size_t most = 0;
  server.on_request = [&] {
    most = std::max(most, server.open.size());
    rig.loop.post([&] { server.answer("ok"); });
  };
  RpcPool pool{rig.loop, {}, 3};
  std::vector<int> done;
  for (int i = 0; i < 20; ++i) {
    pool.call(server.listener->address(), request("ping"), 0, [&, i](Result<wire::Message> reply) {
      EXPECT_TRUE(reply.ok());
      EXPECT_LE(pool.open_count(), 3u);
      done.push_back(i);
      if (done.size() == 20) rig.loop.stop();
    });
  }
  EXPECT_EQ(pool.open_count(), 3u);
  rig.run();
  EXPECT_EQ(most, 3u);
  EXPECT_EQ(server.opened, 3);
  EXPECT_THAT(done, testing::UnorderedElementsAreArray([] {
                std::vector<int> all(20);
                for (int i = 0; i < 20; ++i) all[static_cast<std::size_t>(i)] = i;
                return all;
              }()));
}

TEST(RpcPool, an_idle_connection_makes_room_for_another_address) {
  Rig rig;
  Server one{rig};
  Server other{rig};
  one.on_request = [&] { one.answer("one"); };
  other.on_request = [&] { other.answer("other"); };
  RpcPool pool{rig.loop, {}, 1};
  std::string log;
  pool.call(one.listener->address(), request("a"), 0, [&](Result<wire::Message> first) {
    log += text_of(first.value()) + " ";
    pool.call(other.listener->address(), request("b"), 0,
              [&](Result<wire::Message> second) { log += text_of(second.value()); });
  });
  one.on_closed = [&] { rig.loop.call_later(0.02, [&] { rig.loop.stop(); }); };
  rig.run();
  EXPECT_EQ(log, "one other");
  EXPECT_TRUE(one.open.empty());
  EXPECT_EQ(pool.open_count(), 1u);
}

TEST(RpcPool, a_connection_that_breaks_before_the_reply_fails_its_request_and_no_other) {
  Rig rig;
  Server server{rig};
  RpcPool pool{rig.loop, {}};
  server.on_request = [&] {
    if (server.said.back() == "break")
      server.asking.back()->abort();
    else
      server.asking.back()->send(text_message("fine"));
  };
  std::string log;
  pool.call(server.listener->address(), request("break"), 0, [&](Result<wire::Message> reply) {
    ASSERT_FALSE(reply.ok());
    EXPECT_EQ(reply.error().code, ErrorCode::peer_lost);
    log += "broken ";
    pool.call(server.listener->address(), request("ask"), 0, [&](Result<wire::Message> second) {
      log += text_of(second.value());
      rig.loop.stop();
    });
  });
  rig.run();
  EXPECT_EQ(log, "broken fine");
  EXPECT_THAT(server.said, ElementsAre("break", "ask"));  // Never asked twice.
}

TEST(RpcPool, an_idle_connection_that_the_peer_closed_is_not_used_again) {
  Rig rig;
  Server server{rig};
  server.on_request = [&] { server.answer("ok"); };
  RpcPool pool{rig.loop, {}};
  pool.call(server.listener->address(), request("a"), 0,
            [&](Result<wire::Message>) { rig.loop.stop(); });
  rig.run();
  server.open.begin()->second->close();
  rig.turn();
  EXPECT_EQ(pool.open_count(), 0u);
  pool.call(server.listener->address(), request("b"), 0, [&](Result<wire::Message> reply) {
    EXPECT_TRUE(reply.ok()) << reply.error().message;
    rig.loop.stop();
  });
  rig.run();
  EXPECT_EQ(server.opened, 2);
}

TEST(RpcPool, a_late_reply_is_nobodys_reply) {
  Rig rig;
  Server server{rig};
  RpcPool pool{rig.loop, {}};
  server.on_request = [&] {
    if (server.said.back() == "quick") server.asking.back()->send(text_message("quick"));
  };
  std::string log;
  pool.call(server.listener->address(), request("slow"), 0.02, [&](Result<wire::Message> reply) {
    ASSERT_FALSE(reply.ok());
    EXPECT_EQ(reply.error().code, ErrorCode::timed_out);
    EXPECT_THAT(reply.error().message, HasSubstr(server.listener->address()));
    server.asking.front()->send(text_message("slow"));
    pool.call(server.listener->address(), request("quick"), 5, [&](Result<wire::Message> second) {
      log = text_of(second.value());
      rig.loop.stop();
    });
  });
  rig.run();
  EXPECT_EQ(log, "quick");
}

TEST(RpcPool, nobody_there_is_an_error_of_the_call) {
  Rig rig;
  RpcPool pool{rig.loop, {}};
  pool.call("tcp://127.0.0.1:1", request("a"), 0, [&](Result<wire::Message> reply) {
    ASSERT_FALSE(reply.ok());
    EXPECT_EQ(reply.error().code, ErrorCode::peer_lost);
    rig.loop.stop();
  });
  rig.run();
  EXPECT_EQ(pool.open_count(), 0u);
}

TEST(RpcPool, what_stands_open_when_the_pool_ends_is_cancelled) {
  Rig rig;
  Server server{rig};
  auto pool = std::make_unique<RpcPool>(rig.loop, Options{}, 2);
  std::vector<ErrorCode> codes;
  for (int i = 0; i < 4; ++i) {
    pool->call(server.listener->address(), request("never"), 10,
               [&](Result<wire::Message> reply) { codes.push_back(reply.error().code); });
  }
  server.on_request = [&] { rig.loop.stop(); };
  rig.run();
  pool.reset();
  EXPECT_THAT(codes, testing::Each(ErrorCode::cancelled));
  EXPECT_EQ(codes.size(), 4u);
  rig.turn();
  EXPECT_TRUE(server.open.empty());
}

TEST(RpcPool, may_end_inside_a_reply) {
  Rig rig;
  Server server{rig};
  server.on_request = [&] { server.answer("ok"); };
  auto pool = std::make_unique<RpcPool>(rig.loop, Options{});
  pool->call(server.listener->address(), request("a"), 1, [&](Result<wire::Message>) {
    pool.reset();
    rig.loop.stop();
  });
  rig.run();
}

TEST(RpcPool, forget_closes_idle_connections) {
  Rig rig;
  Server server{rig};
  server.on_request = [&] { server.answer("ok"); };
  RpcPool pool{rig.loop, {}};
  pool.call(server.listener->address(), request("a"), 0, [&](Result<wire::Message>) {
    pool.forget(server.listener->address());
    EXPECT_EQ(pool.open_count(), 0u);
  });
  server.on_closed = [&] { rig.loop.stop(); };
  rig.run();
}

// get_data: the server waits for "OK" behind its reply, on the same connection, unless it is busy.
TEST(RpcPool, one_more_message_may_follow_the_reply) {
  Rig rig;
  Server server{rig};
  RpcPool pool{rig.loop, {}};
  server.on_request = [&] {
    if (server.said.back() == "OK") return rig.loop.stop();
    const bool busy = server.said.size() == 1;
    server.answer(Value::object({{"data", nullptr}, {"status", busy ? "busy" : "OK"}}));
  };
  const auto ask = [&](RpcPool::Reply then) {
    pool.call(server.listener->address(), request("get_data"), 0, std::move(then),
              text_message("OK"));
  };
  ask([&](Result<wire::Message>) { ask([](Result<wire::Message>) {}); });
  rig.run();
  EXPECT_THAT(server.said, ElementsAre("get_data", "get_data", "OK"));
  EXPECT_EQ(server.opened, 1);
}

TEST(RpcServer, knows_when_an_answer_was_acknowledged_or_cannot_be_any_more) {
  Rig rig;
  int open_answers = 0;
  RpcServer server{"test"};
  server.on("get_data", [&](const Request& asked) {
    ++open_answers;
    asked.reply(Value::object({{"status", "OK"}}));
    server.when_acknowledged(asked.connection(), [&] {
      if (--open_answers == 0) rig.loop.stop();
    });
  });
  const auto listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [&](ConnectionPtr came) {
                          server.serve(std::move(came));
                        }).value();
  auto pool = std::make_unique<RpcPool>(rig.loop, Options{});
  pool->call(
      listener->address(), request("get_data"), 0, [](Result<wire::Message>) {},
      text_message("OK"));
  rig.run();
  pool->call(listener->address(), request("get_data"), 0,
             [&](Result<wire::Message>) { rig.loop.post([&] { pool.reset(); }); });
  rig.run();
  EXPECT_EQ(open_answers, 0);
}

TEST(RpcServer, knows_when_nobody_waits_for_an_answer_any_more) {
  Rig rig;
  RpcServer server{"test"};
  std::vector<std::string> events;
  server.on("answered", [&](const Request& asked) {
    server.when_gone(asked.connection(), [&] { events.emplace_back("wrong"); });
    server.when_gone(asked.connection(), {});
    asked.reply(Value{true});
  });
  server.on("wait", [&](const Request& asked) {
    server.when_gone(asked.connection(), [&] {
      events.emplace_back("gone");
      rig.loop.stop();
    });
    rig.loop.stop();
  });
  const auto listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [&](ConnectionPtr came) {
                          server.serve(std::move(came));
                        }).value();
  auto pool = std::make_unique<RpcPool>(rig.loop, Options{});
  pool->call(listener->address(), request("answered"), 0, [&](Result<wire::Message>) {
    events.emplace_back("answered");
    pool->call(listener->address(), request("wait"), 0, [](Result<wire::Message>) {});
  });
  rig.run();
  EXPECT_THAT(events, ElementsAre("answered"));
  pool.reset();
  rig.run();
  EXPECT_THAT(events, ElementsAre("answered", "gone"));
}

TEST(ReplyValue, errors_of_the_peer_are_errors_here) {
  const wire::Message fine{wire::encode(Value::object({{"status", "OK"}, {"n", 3}}))};
  EXPECT_EQ(reply_value(fine).value()["n"].as_int(), 3);
  EXPECT_EQ(reply_value(wire::Message{text_message("OK")}).value().as_text(), "OK");
  for (const char* status : {"error", "uncaught-error"}) {
    const wire::Message bad{wire::encode(Value::object(
        {{"status", status}, {"exception_text", "ValueError('no')"}, {"traceback_text", ""}}))};
    ASSERT_FALSE(reply_value(bad).ok());
    EXPECT_EQ(reply_value(bad).error().message, "ValueError('no')");
  }
  EXPECT_EQ(reply_value(wire::Message{{wire::Buffer::copy_of("\xc1")}}).error().code,
            ErrorCode::corrupt_message);
}

TEST(RpcServer, answers_what_it_knows_and_names_what_it_does_not) {
  Rig rig;
  RpcServer server{"distributed.test"};
  server.on("double", [](const Request& asked) { asked.reply(Value{asked["x"].as_int() * 2}); });
  server.on("fail", [](const Request& asked) {
    asked.reply_error({ErrorCode::invalid_argument, "that is wrong"});
  });
  auto listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [&](ConnectionPtr came) {
                    server.serve(std::move(came));
                  }).value();
  RpcPool pool{rig.loop, {}};
  std::map<std::string, Result<Value>> replies;
  for (const char* op : {"double", "fail", "nothing"}) {
    auto asked = wire::encode(Value::object({{"op", op}, {"x", 21}, {"reply", true}}));
    pool.call(listener->address(), std::move(asked), 0, [&, op](Result<wire::Message> reply) {
      replies.emplace(op, reply_value(reply.value()));
      if (replies.size() == 3) rig.loop.stop();
    });
  }
  rig.run();
  EXPECT_EQ(replies.at("double").value().as_int(), 42);
  EXPECT_THAT(replies.at("fail").error().message, HasSubstr("that is wrong"));
  EXPECT_THAT(replies.at("nothing").error().message, HasSubstr("nothing"));
}

// The connections of a server that is gone still report their end, to nobody.
TEST(RpcServer, may_end_before_its_connections) {
  Rig rig;
  auto server = std::make_unique<RpcServer>("distributed.test");
  server->on("die", [&](const Request&) { rig.loop.stop(); });
  auto listener = listen(rig.loop, "tcp://127.0.0.1:0", {}, [&](ConnectionPtr came) {
                    server->serve(std::move(came));
                  }).value();
  RpcPool pool{rig.loop, {}};
  bool failed = false;
  pool.call(listener->address(), request("die"), 0,
            [&](Result<wire::Message> reply) { failed = !reply.ok(); });
  rig.run();
  server.reset();
  rig.turn();
  EXPECT_TRUE(failed);
}

}  // namespace
}  // namespace rask::comm
