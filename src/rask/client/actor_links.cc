#include "rask/client/actor_links.h"

#include <deque>
#include <utility>
#include <vector>

namespace rask::internal {

struct ActorLinks::Link {
  comm::ConnectionPtr connection;    // Null while it is on its way.
  std::vector<wire::Frames> unsent;  // Meanwhile.
  std::deque<Reply> waiting;         // For answers, which come in this order.
};

ActorLinks::ActorLinks(comm::EventLoop& loop, comm::Options options)
    : loop_(loop), options_(std::move(options)) {}

ActorLinks::~ActorLinks() {
  for (auto& [address, link] : std::exchange(links_, {})) {
    if (link->connection != nullptr) {
      link->connection->start(nullptr, nullptr);  // Its handlers refer to this.
      link->connection->close();
    }
    for (const Reply& reply : std::exchange(link->waiting, {}))
      reply(Error{ErrorCode::cancelled, "the client is closed"});
  }
}

void ActorLinks::call(const std::string& address, wire::Frames request, Reply reply) {
  auto& link = links_[address];
  const bool is_new = link == nullptr;
  if (is_new) link = std::make_shared<Link>();
  link->waiting.push_back(std::move(reply));
  if (link->connection != nullptr) return link->connection->send(std::move(request));
  link->unsent.push_back(std::move(request));
  if (!is_new) return;
  const std::weak_ptr<Link> weak = link;  // Gone: so is this object, or the link was lost.
  comm::connect(loop_, address, options_, false,
                [this, address, weak](Result<comm::ConnectionPtr> result) {
                  const auto opened = weak.lock();
                  if (opened == nullptr) return;
                  if (!result.ok()) return lose(address, opened, result.error());
                  opened->connection = std::move(result).value();
                  opened->connection->start(
                      [weak](wire::Message&& message) {
                        const auto answered = weak.lock();
                        if (answered == nullptr || answered->waiting.empty()) return;
                        const Reply next = std::move(answered->waiting.front());
                        answered->waiting.pop_front();
                        next(std::move(message));
                      },
                      [this, address, weak](const Error& error) {
                        if (const auto lost = weak.lock()) lose(address, lost, error);
                      });
                  for (wire::Frames& frames : std::exchange(opened->unsent, {}))
                    opened->connection->send(std::move(frames));
                });
}

// The next call connects again.
void ActorLinks::lose(const std::string& address, const std::shared_ptr<Link>& link,
                      const Error& error) {
  const auto found = links_.find(address);
  if (found != links_.end() && found->second == link) links_.erase(found);
  for (const Reply& reply : std::exchange(link->waiting, {})) reply(error);
}

}  // namespace rask::internal
