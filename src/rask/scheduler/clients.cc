// What clients want and what they are told.
#include <fmt/format.h>

#include <algorithm>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

std::uint32_t State::add_client(std::string_view name) {
  if (name == clients.front()->name) return 0;
  clients.push_back(std::make_unique<Client>());
  auto& client = *clients.back();
  client.name = name;
  client.last_seen = now;
  ++client_count;
  return static_cast<std::uint32_t>(clients.size() - 1);
}

void State::remove_client(std::uint32_t number) {
  auto& client = *clients[number];
  if (!client.alive || number == 0) return;
  for (const auto id : client.wants_what.ids()) release_key(number, id);
  client.alive = false;
  --client_count;
}

bool State::wants(std::uint32_t client, const Task& task) const {
  return std::any_of(task.who_wants.begin(), task.who_wants.end(),
                     [&](const Want& want) { return want.client == client; });
}

void State::desire(std::uint32_t client, std::uint32_t id) {
  auto& task = tasks[id];
  if (wants(client, task)) return;
  task.who_wants.push_back({client, clients[client]->wants_what.add(id)});
}

void State::undesire(std::uint32_t client, std::uint32_t id) {
  auto& task = tasks[id];
  auto* at = std::find_if(task.who_wants.begin(), task.who_wants.end(),
                          [&](const Want& want) { return want.client == client; });
  RASK_ASSERT(at != task.who_wants.end());
  const auto place = at->place;
  *at = task.who_wants.back();
  task.who_wants.pop_back();
  clients[client]->wants_what.remove(place, [&](std::uint32_t moved, std::uint32_t to) {
    for (auto& want : tasks[moved].who_wants) {
      if (want.client == client) want.place = to;
    }
  });
}

void State::client_desires_keys(std::uint32_t client, std::span<const Key> wanted) {
  for (const auto& key : wanted) {
    const auto id = find(key);
    if (id == kNone) {
      log(30, fmt::format("Client {} desires key '{}' but key is unknown.", clients[client]->name,
                          key.str()));
      continue;
    }
    desire(client, id);
    report_on_key(client, id);
  }
}

void State::client_releases_keys(std::uint32_t client, std::span<const Key> released) {
  for_each_task(
      released.size(), [&](std::size_t i) { return &released[i]; },
      [&](std::size_t i) {
        const auto id = find(released[i]);
        if (id != kNone && wants(client, tasks[id])) release_key(client, id);
      });
}

void State::release_key(std::uint32_t client, std::uint32_t id) {
  undesire(client, id);
  const auto& task = tasks[id];
  if (task.wanted()) return;
  if (task.dependents.empty()) {
    recommend(id, TaskState::forgotten);
  } else if (task.state != TaskState::erred && task.waiters == 0) {
    recommend(id, TaskState::released);
  }
}

// What nobody else wants is given up, with all that depends on it; `force`: whoever wants it.
// source: Scheduler.stimulus_cancel
void State::cancel_keys(std::uint32_t client, const protocol::CancelKeys& message) {
  log(20, fmt::format("Client {} requests to cancel {} keys", clients[client]->name,
                      message.keys.size()));
  std::vector<std::uint32_t> cancelled;
  std::vector<std::uint32_t> stack;
  if (marks.size() < tasks.end()) marks.resize(tasks.end());
  ++mark;
  for (auto key = message.keys.rbegin(); key != message.keys.rend(); ++key) {
    if (const auto id = find(*key); id != kNone) stack.push_back(id);
  }
  while (!stack.empty()) {
    const auto id = stack.back();
    stack.pop_back();
    const auto& task = tasks[id];
    const bool alone = task.who_wants.size() == 1 && wants(client, task);
    // Dependents that nobody holds are only there for others that somebody holds.
    if (marks[id] == mark || !(message.force || alone || !task.wanted())) continue;
    marks[id] = mark;
    if (task.wanted()) cancelled.push_back(id);
    for (const auto& edge : task.dependents) stack.push_back(edge.task);
  }
  if (cancelled.empty()) return;
  std::vector<Key> told;
  for (const auto id : cancelled) told.push_back(tasks[id].key);
  for (const auto id : cancelled) {
    while (tasks[id].wanted()) release_key(tasks[id].who_wants.back().client, id);
  }
  for (std::uint32_t other = 1; other < clients.size(); ++other) {
    if (clients[other]->alive)
      report(other, protocol::CancelledKeys{told, message.reason, message.msg});
  }
}

// ---- Reports
// --------------------------------------------------------------------------------------

void State::report_on_key(std::uint32_t client, std::uint32_t id) {
  const auto& task = tasks[id];
  if (task.state == TaskState::memory) {
    report(client, protocol::KeyInMemory{task.key, {}, addresses(task)});
  } else if (task.state == TaskState::erred) {
    const auto& failure = failures[task.failure];
    report(client, protocol::TaskErredForClient{task.key, failure.exception, failure.traceback});
  }
}

void State::report_erred(std::uint32_t id) {
  for (const auto& want : tasks[id].who_wants) {
    if (want.client != 0) report_on_key(want.client, id);
  }
}

void State::report_memory(std::uint32_t id) {
  const auto& task = tasks[id];
  for (const auto& want : task.who_wants) {
    if (want.client == 0) continue;
    auto& effect = std::get<SendToClient>(out->emplace_back(std::in_place_type<SendToClient>));
    effect.client = ClientId{want.client};
    auto& message = effect.message.emplace<protocol::KeyInMemory>();
    message.key = task.key;
    message.workers = addresses(task);
    if (finished == nullptr) continue;
    message.type = finished->type;
    message.value = finished->value;
  }
}

// ---- Data from outside, retry, restart
// --------------------------------------------------------------

void State::update_data(std::span<const std::pair<Key, std::vector<Address>>> who_has,
                        std::span<const std::pair<Key, std::int64_t>> nbytes,
                        std::optional<std::uint32_t> client) {
  for (std::size_t i = 0; i < who_has.size(); ++i) {
    const auto& [key, holders] = who_has[i];
    std::vector<std::uint32_t> places;
    for (const auto& holder : holders) {
      if (const auto worker = find_worker(holder); worker != kNone) places.push_back(worker);
    }
    auto size = i < nbytes.size() && nbytes[i].first == key
                    ? nbytes.begin() + static_cast<std::ptrdiff_t>(i)
                    : nbytes.end();
    if (size == nbytes.end())
      size = std::find_if(nbytes.begin(), nbytes.end(),
                          [&](const auto& entry) { return entry.first == key; });
    add_data(key, places, size == nbytes.end() ? -1 : size->second, client);
  }
}

// A value came into the cluster from outside. A task that would compute it need not.
void State::add_data(const Key& key, std::span<const std::uint32_t> places, std::int64_t nbytes,
                     std::optional<std::uint32_t> client) {
  auto id = find(key);
  if (places.empty() && (id == kNone || !tasks[id].has_data())) {
    // All its holders are gone already.
    if (client) report(*client, protocol::CancelledKeys{{key}, "lost data", ""});
    return;
  }
  if (id == kNone) id = create(key, TaskState::released);
  auto& task = tasks[id];
  if (task.state == TaskState::processing) {
    const auto worker = task.processing_on;
    exit_processing(id);
    send_free_keys(worker, task.key, task.run_id);
  } else if (task.state == TaskState::queued) {
    queue_of(task).left();
  } else if (task.state == TaskState::no_worker) {
    remove_from_unrunnable(task);
  }
  if (nbytes >= 0) {
    nbytes = std::min(nbytes, kNbytesMax);
    for (const auto& replica : task.who_has)
      workers[replica.worker]->nbytes += nbytes - task.get_nbytes();
    task.nbytes = nbytes;
  }
  const auto start = task.state;
  set_failure(task, kNone);
  set_state(task, TaskState::memory);
  task.waiting_on = 0;
  ++transition_count;
  if (start != TaskState::memory) log_transition(key, start, TaskState::memory);
  for (const auto worker : places) add_replica(id, worker);
  leave_play(task);
  if (client) desire(*client, id);
  report_memory(id);
}

// source: Scheduler.stimulus_retry
std::vector<Key> State::retry(std::span<const Key> asked) {
  std::vector<std::uint32_t> stack;
  std::vector<std::uint32_t> roots;
  std::vector<Key> seen;
  if (marks.size() < tasks.end()) marks.resize(tasks.end());
  ++mark;
  for (const auto& key : asked) {
    const auto id = find(key);
    if (id != kNone && tasks[id].state == TaskState::erred) stack.push_back(id);
  }
  while (!stack.empty()) {
    const auto id = stack.back();
    stack.pop_back();
    if (marks[id] == mark) continue;
    marks[id] = mark;
    const auto& task = tasks[id];
    seen.push_back(task.key);
    const auto before = stack.size();
    for (const auto& edge : task.dependencies) {
      if (tasks[edge.task].state == TaskState::erred) stack.push_back(edge.task);
    }
    if (stack.size() == before) roots.push_back(id);
  }
  for (const auto root : roots) recommend(root, TaskState::waiting);
  return seen;
}

void State::restart() {
  log(20, "Restarting workers and releasing all keys");
  forgets_left = SIZE_MAX;  // Nothing may wait.
  for (std::uint32_t client = 0; client < clients.size(); ++client) {
    for (const auto id : clients[client]->wants_what.ids()) release_key(client, id);
  }
  drain();
  // Nothing should be left; what is, holds nobody's interest.
  for (std::uint32_t id = 0; id < tasks.end(); ++id) {
    if (tasks[id].key.empty()) continue;
    tasks[id].has_lost_dependencies = true;  // Not to be computed again, whoever waits.
    recommend(id, TaskState::forgotten);
  }
  drain();
  RASK_ASSERT(tasks.size() == 0);
  RASK_ASSERT(moves.empty());
  to_forget.clear();
  forgets_left = options.forgets_max;
  goals.clear();
  for (std::uint32_t client = 1; client < clients.size(); ++client) {
    if (clients[client]->alive) report(client, protocol::RestartClient{});
  }
}

}  // namespace rask::scheduler
