#include "rask/client/actor_links.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "rask/comm/rpc_server.h"

namespace rask::internal {
namespace {

using ::testing::ElementsAre;

// A scheduler that hands calls on to a worker which its client cannot reach; all on one thread.
class ActorLinksTest : public testing::Test {
 protected:
  ActorLinksTest() {
    scheduler_.on("proxy", [this](const comm::Request& request) {
      EXPECT_EQ(++open_, 1) << "calls must not overtake each other";
      EXPECT_EQ(request["worker"].as_text(), worker_);
      seen_.emplace_back(request["msg"]["function"].as_text());
      loop_.call_later(0.001, [this, request] {
        --open_;
        request.reply(wire::Value{"answer to " + seen_.back()});
      });
    });
    listener_ = listen([this](comm::ConnectionPtr c) { scheduler_.serve(std::move(c)); });
    worker_ = listen([](const comm::ConnectionPtr&) {})->contact_address();  // Closed again.
  }

  std::unique_ptr<comm::Listener> listen(std::function<void(comm::ConnectionPtr)> serve) {
    auto listener = comm::listen(loop_, "tcp://127.0.0.1:0", {}, std::move(serve));
    EXPECT_TRUE(listener.ok());
    return std::move(listener).value();
  }

  void call(ActorLinks& links, const std::string& function, std::size_t answers) {
    links.call(worker_, wire::Value::object({{"op", "actor_execute"}, {"function", function}}),
               [this, answers](Result<wire::Message> reply) {
                 answers_.push_back(
                     reply.ok() ? std::string{reply.value().parse().value().as_text()} : "lost");
                 if (answers_.size() == answers) loop_.stop();
               });
  }

  comm::EventLoop loop_;
  comm::RpcServer scheduler_{"test"};
  std::unique_ptr<comm::Listener> listener_;
  std::string worker_;
  int open_ = 0;
  std::vector<std::string> seen_;
  std::vector<std::string> answers_;
};

TEST_F(ActorLinksTest, calls_that_cannot_go_straight_go_by_the_scheduler_in_their_order) {
  ActorLinks links{loop_, {}, listener_->contact_address()};
  for (const char* function : {"a", "b", "c"}) call(links, function, 3);
  loop_.run();
  EXPECT_THAT(seen_, ElementsAre("a", "b", "c"));
  EXPECT_THAT(answers_, ElementsAre("answer to a", "answer to b", "answer to c"));
}

TEST_F(ActorLinksTest, calls_end_when_nobody_can_be_reached) {
  ActorLinks links{loop_, {}, worker_};
  for (const char* function : {"a", "b"}) call(links, function, 2);
  loop_.run();
  EXPECT_THAT(answers_, ElementsAre("lost", "lost"));
}

}  // namespace
}  // namespace rask::internal
