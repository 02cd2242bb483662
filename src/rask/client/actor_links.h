#pragma once
// The way to the workers that hold actors: one connection each, on which calls follow each other
// without waiting for answers. So they arrive in the order in which they were made. Calls to a
// worker that cannot be reached go by way of the scheduler. Internal to this room; on the client's
// loop.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "rask/comm/comm.h"
#include "rask/wire/value.h"

namespace rask::internal {

class ActorLinks {
 public:
  using Reply = std::function<void(Result<wire::Message>)>;

  ActorLinks(comm::EventLoop& loop, comm::Options options, std::string scheduler);
  ~ActorLinks();  // Calls that have no answer yet end with `cancelled`.
  ActorLinks(const ActorLinks&) = delete;
  ActorLinks& operator=(const ActorLinks&) = delete;

  // Sends a request and calls `reply` once.
  //   peer_lost   neither can be reached, or was lost before it answered
  void call(const std::string& worker, wire::Value request, Reply reply);

 private:
  struct Link;
  void connect(const std::shared_ptr<Link>& link);
  void take_connection(const std::shared_ptr<Link>& link, Result<comm::ConnectionPtr> result);
  static void send_calls(Link& link);
  void lose(const std::shared_ptr<Link>& link, const Error& error);

  comm::EventLoop& loop_;
  const comm::Options options_;
  const std::string scheduler_;  // Its address.
  std::map<std::string, std::shared_ptr<Link>, std::less<>> links_;
};

}  // namespace rask::internal
