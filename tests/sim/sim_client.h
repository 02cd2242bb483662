#pragma once
// A client: submits graphs, holds futures, and knows what it was told of each.
#include <map>
#include <string>
#include <vector>

#include "cluster.h"

namespace rask::sim {

class SimClient {
 public:
  enum class Status : std::uint8_t { pending, memory, erred, cancelled };

  SimClient(Cluster& cluster, std::string its_name, ClientId its_id)
      : name(std::move(its_name)), id(its_id), cluster_(cluster) {}

  const std::string name;
  const ClientId id;
  bool connected = true;  // At the scheduler.
  bool leaving = false;   // It has said good-bye.
  std::map<Key, Status> wants;
  std::vector<GraphPlan> submitted;

  void submit(const GraphPlan& plan);
  void release(const std::vector<Key>& keys);
  void cancel(const std::vector<Key>& keys, bool force);
  void retry(const std::vector<Key>& keys);
  // Puts the value on `count` workers, then tells the scheduler who has it.
  void scatter(const Key& key, std::size_t count);
  // Fetches a result from a worker that has it and compares.
  void gather(const Key& key);
  void disconnect();

  std::vector<Key> keys_that_are(Status status) const;
  void deliver(protocol::ToClient&& message);  // By the network, in order.
  // Something for the scheduler, in its turn on the connection.
  void ask(std::function<void()> request);

 private:
  void send(protocol::FromClient&& message);
  void receive(const protocol::ToClient& message);
  void told(const Key& key, Status status);

  Cluster& cluster_;
  Channel to_scheduler_;
  Channel from_scheduler_;
  int stimuli_ = 0;
};

}  // namespace rask::sim
