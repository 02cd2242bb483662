#include "sim_client.h"

#include <algorithm>

#include "describe.h"
#include "sim_worker.h"

namespace rask::sim {

void SimClient::ask(std::function<void()> request) {
  const auto now = cluster_.queue.now();
  cluster_.queue.at(to_scheduler_.arrival(now, cluster_.latency()),
                    [this, request = std::move(request)] {
                      if (connected) request();
                    });
}

void SimClient::send(protocol::FromClient&& message) {
  auto shared = std::make_shared<protocol::FromClient>(std::move(message));
  ask([this, shared] {
    if (cluster_.trace) cluster_.say(name + " -> scheduler  " + describe(*shared));
    cluster_.call([&](auto& out) {
      cluster_.scheduler.handle(id, std::move(*shared), cluster_.queue.now(), out);
    });
  });
}

void SimClient::submit(const GraphPlan& plan) {
  for (const Key& key : plan.targets) wants[key] = Status::pending;
  send(to_message(cluster_.world, plan, "update-graph-" + name + std::to_string(++stimuli_)));
}

void SimClient::release(const std::vector<Key>& keys) {
  for (const Key& key : keys) wants.erase(key);
  send(protocol::ClientReleasesKeys{keys, "client-releases-keys-" + std::to_string(++stimuli_)});
}

void SimClient::cancel(const std::vector<Key>& keys, bool force) {
  for (const Key& key : keys) {
    if (const auto found = wants.find(key); found != wants.end()) found->second = Status::cancelled;
  }
  protocol::CancelKeys message;
  message.keys = keys;
  message.force = force;
  message.reason = "cancelled by " + name;
  send(std::move(message));
}

void SimClient::retry(const std::vector<Key>& keys) {
  // The scheduler says with task-retried which ones run again.
  ask([this, keys] {
    cluster_.say(name + " -> scheduler  retry " + join(keys));
    cluster_.call([&](auto& out) { cluster_.scheduler.retry(keys, cluster_.queue.now(), out); });
  });
}

void SimClient::scatter(const Key& key, std::size_t count) {
  auto live = cluster_.live_workers();
  if (live.empty()) return;
  wants[key] = Status::pending;
  std::vector<protocol::Address> holders;
  for (std::size_t i = 0; i < count; ++i) {
    SimWorker* holder = cluster_.random.of(live);
    if (std::find(holders.begin(), holders.end(), holder->address) != holders.end()) continue;
    holders.push_back(holder->address);
    holder->update_data({{key, cluster_.world.at(key).value}});
  }
  ask([this, key, holders] {
    cluster_.say(name + " -> scheduler  update_data " + key.str());
    const std::vector<std::pair<Key, std::vector<protocol::Address>>> who_has = {{key, holders}};
    const std::vector<std::pair<Key, std::int64_t>> nbytes = {{key, cluster_.world.at(key).nbytes}};
    cluster_.call([&](auto& out) {
      cluster_.scheduler.update_data(who_has, nbytes, id, cluster_.queue.now(), out);
    });
  });
}

void SimClient::gather(const Key& key) {
  ask([this, key] {
    const auto task = cluster_.scheduler.task(key);
    if (!task || task->who_has.empty()) return;
    SimWorker* holder = cluster_.find_worker(cluster_.random.of(task->who_has));
    cluster_.queue.after(cluster_.latency(), [this, key, holder] {
      if (!holder->is_running()) return;
      const auto found = holder->store.find(key);
      if (found != holder->store.end() && found->second != cluster_.world.at(key).value)
        throw Failure(name + " gathers a wrong value of " + key.str());
    });
  });
}

void SimClient::disconnect() {
  leaving = true;
  ask([this] {
    cluster_.say(name + " disconnects");
    connected = false;
    wants.clear();
    cluster_.call(
        [&](auto& out) { cluster_.scheduler.remove_client(id, cluster_.queue.now(), out); });
  });
}

std::vector<Key> SimClient::keys_that_are(Status status) const {
  std::vector<Key> keys;
  for (const auto& [key, its] : wants) {
    if (its == status) keys.push_back(key);
  }
  return keys;
}

void SimClient::deliver(protocol::ToClient&& message) {
  const auto now = cluster_.queue.now();
  auto shared = std::make_shared<protocol::ToClient>(std::move(message));
  cluster_.queue.at(from_scheduler_.arrival(now, cluster_.latency()), [this, shared] {
    if (!connected) return;
    if (cluster_.trace) cluster_.say("scheduler -> " + name + "  " + describe(*shared));
    receive(*shared);
  });
}

void SimClient::told(const Key& key, Status status) {
  const auto found = wants.find(key);
  if (found != wants.end() && found->second != Status::cancelled) found->second = status;
}

void SimClient::receive(const protocol::ToClient& message) {
  if (const auto* in_memory = std::get_if<protocol::KeyInMemory>(&message)) {
    told(in_memory->key, Status::memory);
  } else if (const auto* erred = std::get_if<protocol::TaskErredForClient>(&message)) {
    told(erred->key, Status::erred);
  } else if (const auto* cancelled = std::get_if<protocol::CancelledKeys>(&message)) {
    for (const Key& key : cancelled->keys) told(key, Status::cancelled);
  } else if (const auto* lost = std::get_if<protocol::LostData>(&message)) {
    told(lost->key, Status::pending);
  } else if (const auto* retried = std::get_if<protocol::TaskRetried>(&message)) {
    told(retried->key, Status::pending);
  }
}

}  // namespace rask::sim
