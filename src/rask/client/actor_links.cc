#include "rask/client/actor_links.h"

#include <algorithm>
#include <deque>
#include <utility>

namespace rask::internal {

struct ActorLinks::Link {
  struct Call {
    wire::Value request;  // Nil once it has been sent.
    Reply reply;
  };

  explicit Link(std::string address) : worker(std::move(address)) {}

  const std::string worker;
  bool by_scheduler = false;
  comm::ConnectionPtr connection;  // Null while it is on its way.
  std::deque<Call> calls;          // Not answered yet; answers come in this order.
  std::size_t sent = 0;            // Of them.
};

ActorLinks::ActorLinks(comm::EventLoop& loop, comm::Options options, std::string scheduler)
    : loop_(loop), options_(std::move(options)), scheduler_(std::move(scheduler)) {}

ActorLinks::~ActorLinks() {
  for (auto& [address, link] : std::exchange(links_, {})) {
    if (link->connection != nullptr) {
      link->connection->start(nullptr, nullptr);  // Its handlers refer to this.
      link->connection->close();
    }
    for (const auto& call : std::exchange(link->calls, {}))
      call.reply(Error{ErrorCode::cancelled, "the client is closed"});
  }
}

void ActorLinks::call(const std::string& worker, wire::Value request, Reply reply) {
  auto& link = links_[worker];
  const bool is_new = link == nullptr;
  if (is_new) link = std::make_shared<Link>(worker);
  link->calls.push_back({std::move(request), std::move(reply)});
  if (is_new) return connect(link);
  send_calls(*link);
}

void ActorLinks::connect(const std::shared_ptr<Link>& link) {
  const std::weak_ptr<Link> weak = link;  // Gone: so is this object, or the link was lost.
  comm::connect(loop_, link->by_scheduler ? scheduler_ : link->worker, options_, false,
                [this, weak](Result<comm::ConnectionPtr> result) {
                  if (const auto waiting = weak.lock()) take_connection(waiting, std::move(result));
                });
}

void ActorLinks::take_connection(const std::shared_ptr<Link>& link,
                                 Result<comm::ConnectionPtr> result) {
  if (!result.ok()) {
    if (std::exchange(link->by_scheduler, true)) return lose(link, result.error());
    return connect(link);
  }
  link->connection = std::move(result).value();
  const std::weak_ptr<Link> weak = link;
  link->connection->start(
      [weak](wire::Message&& message) {
        const auto answered = weak.lock();
        if (answered == nullptr || answered->sent == 0) return;
        const Reply reply = std::move(answered->calls.front().reply);
        answered->calls.pop_front();
        --answered->sent;
        send_calls(*answered);
        reply(std::move(message));
      },
      [this, weak](const Error& error) {
        if (const auto lost = weak.lock()) lose(lost, error);
      });
  send_calls(*link);
}

// A scheduler may hand on what it has got in any order: it gets one call at a time.
void ActorLinks::send_calls(Link& link) {
  if (link.connection == nullptr) return;
  const std::size_t sent_max = link.by_scheduler ? 1 : link.calls.size();
  while (link.sent < std::min(sent_max, link.calls.size())) {
    auto request = std::exchange(link.calls[link.sent++].request, {});
    if (link.by_scheduler) {
      request = wire::Value::object(
          {{"op", "proxy"}, {"worker", link.worker}, {"msg", std::move(request)}, {"reply", true}});
    }
    link.connection->send(wire::encode(request));
  }
}

// The next call connects again.
void ActorLinks::lose(const std::shared_ptr<Link>& link, const Error& error) {
  const auto found = links_.find(link->worker);
  if (found != links_.end() && found->second == link) links_.erase(found);
  for (const auto& call : std::exchange(link->calls, {})) call.reply(error);
}

}  // namespace rask::internal
