// Which results to fetch from whom: peers and what they have, and the limits of transfers.
#include <algorithm>

#include "rask/worker/state.h"

namespace rask::worker {

// ---- who_has ------------------------------------------------------------------------------------

void State::add_replica(TaskId id, WorkerId peer_id) {
  Task& task = at(id);
  auto& has_what = peer(peer_id).has_what;
  task.who_has.push_back({peer_id, static_cast<std::uint32_t>(has_what.size())});
  has_what.push_back(id);
}

void State::remove_replica(TaskId id, WorkerId peer_id) {
  auto& who_has = at(id).who_has;
  const auto found = std::ranges::find(who_has, peer_id, &Replica::peer);
  RASK_ASSERT(found != who_has.end());
  const std::uint32_t place = found->place;
  who_has.erase(found);
  auto& has_what = peer(peer_id).has_what;
  const TaskId last = has_what.back();
  has_what.pop_back();
  if (last == id) return;
  has_what[place] = last;
  std::ranges::find(at(last).who_has, peer_id, &Replica::peer)->place = place;
}

void State::clear_who_has(TaskId id) {
  Task& task = at(id);
  while (!task.who_has.empty()) remove_replica(id, task.who_has.back().peer);
}

// A task that waits to be fetched becomes missing when nobody is left that has it, and back.
void State::update_who_has(TaskId id, const std::vector<Address>& workers) {
  Task& task = at(id);
  const bool is_fetch = task.state == TaskState::fetch;
  for (std::size_t i = task.who_has.size(); i-- > 0;) {
    const WorkerId old = task.who_has[i].peer;
    if (std::ranges::find(workers, peer(old).address) != workers.end()) continue;
    if (is_fetch) --peer(old).needed_count;
    remove_replica(id, old);
  }
  for (const Address& address : workers) {
    if (address == options.address) continue;
    const WorkerId peer_id = find_or_create_peer(address);
    if (std::ranges::find(task.who_has, peer_id, &Replica::peer) != task.who_has.end()) continue;
    add_replica(id, peer_id);
    if (is_fetch) add_needed_at(task, id, peer_id);
  }
  if (is_fetch && task.who_has.empty())
    transition(id, TaskState::missing);
  else if (task.state == TaskState::missing && !task.who_has.empty())
    recommend(id, TaskState::fetch);
}

// ---- What is needed of whom ---------------------------------------------------------------------

bool State::is_needed_entry(const TaskHeap::Entry& entry, WorkerId peer_id) const {
  const Task& task = at(entry.task);
  return task.epoch == entry.epoch &&
         std::ranges::find(task.who_has, peer_id, &Replica::peer) != task.who_has.end();
}

void State::add_needed(TaskId id) {
  Task& task = at(id);
  task.epoch = next_epoch();
  for (const Replica& replica : task.who_has) add_needed_at(task, id, replica.peer);
}

void State::add_needed_at(const Task& task, TaskId id, WorkerId peer_id) {
  Peer& holder = peer(peer_id);
  holder.needed.compact(holder.needed_count, [this, peer_id](const auto& entry) {
    return is_needed_entry(entry, peer_id);
  });
  holder.needed.push({task.priority, id, task.epoch});
  ++holder.needed_count;
  if (holder.in_needed_list) return;
  holder.in_needed_list = true;
  needed_peers_.push_back(peer_id);
}

void State::remove_needed(Task& task) {
  task.epoch = 0;
  for (const Replica& replica : task.who_has) --peer(replica.peer).needed_count;
}

// ---- Gathering ----------------------------------------------------------------------------------

bool State::should_throttle() const {
  const bool at_count_limit =
      incoming_count >= static_cast<std::size_t>(options.transfer_incoming_count_limit);
  const bool is_worth_it = incoming_bytes >= options.transfer_incoming_bytes_throttle_threshold;
  const bool at_bytes_limit = options.transfer_incoming_bytes_limit >= 0 &&
                              incoming_bytes >= options.transfer_incoming_bytes_limit;
  return (at_count_limit && is_worth_it) || at_bytes_limit;
}

// The first task of all is fetched whatever its size, so that there is progress; the first one of a
// message minds only the limit of all transfers.
bool State::exceeds_limits(std::int64_t task_bytes, std::int64_t message_bytes) const {
  if (incoming_bytes == 0 && message_bytes == 0) return false;
  auto allowed = std::numeric_limits<std::int64_t>::max();
  if (options.transfer_incoming_bytes_limit >= 0)
    allowed = options.transfer_incoming_bytes_limit - incoming_bytes;
  if (message_bytes > 0 && options.transfer_message_bytes_limit >= 0)
    allowed = std::min(allowed, options.transfer_message_bytes_limit);
  return task_bytes > allowed - message_bytes;
}

namespace {

std::uint64_t next_random(std::uint64_t& state) {  // splitmix64
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// The better of two peers to ask: the one with the most urgent task; then one of this host; then
// the one that can give most; then by chance, so that not all workers ask the same one.
struct Candidate {
  TaskPriority priority;
  bool is_remote = false;
  std::uint32_t needed_count = 0;
  std::uint64_t chance = 0;
  WorkerId peer{};

  bool operator<(const Candidate& other) const {  // For a max-heap: less is worse.
    if (priority != other.priority) return other.priority < priority;
    if (is_remote != other.is_remote) return is_remote;
    if (needed_count != other.needed_count) return needed_count < other.needed_count;
    return chance < other.chance;
  }
};

}  // namespace

void State::ensure_communicating() {
  if (!running_enabled || count(TaskState::fetch) == 0 || should_throttle()) return;
  std::vector<Candidate> candidates;
  const auto add_candidate = [&](WorkerId id, std::uint64_t chance) {
    Peer& holder = peer(id);
    const auto* best =
        holder.needed.top([&](const auto& entry) { return is_needed_entry(entry, id); });
    if (best == nullptr) return;
    candidates.push_back({best->priority, holder.is_remote, holder.needed_count, chance, id});
    std::push_heap(candidates.begin(), candidates.end());
  };
  std::erase_if(needed_peers_, [&](WorkerId id) {
    Peer& holder = peer(id);
    if (holder.needed_count > 0) return false;
    holder.in_needed_list = false;
    holder.needed.clear();
    return true;
  });
  for (const WorkerId id : needed_peers_) {
    if (!peer(id).in_flight && !peer(id).busy) add_candidate(id, next_random(random_state_));
  }
  while (!candidates.empty()) {
    std::pop_heap(candidates.begin(), candidates.end());
    const Candidate next = candidates.back();
    candidates.pop_back();
    const auto needed_count = peer(next.peer).needed_count;
    if (needed_count == 0) continue;
    // A task that several have may have been taken from another one just now.
    if (needed_count != next.needed_count) {
      add_candidate(next.peer, next.chance);
      continue;
    }
    if (!gather_from(next.peer) || should_throttle()) return;
  }
}

// Asks a peer for the best of what it has, up to the limits. False: not even one fits.
bool State::gather_from(WorkerId peer_id) {
  Peer& holder = peer(peer_id);
  RASK_ASSERT(!holder.in_flight && !holder.busy && holder.gathering.empty());
  GatherDep gather{holder.address, {}, 0};
  const auto alive = [&](const auto& entry) { return is_needed_entry(entry, peer_id); };
  while (const auto* best = holder.needed.top(alive)) {
    const TaskId id = best->task;
    Task& task = at(id);
    const auto bytes =
        task.nbytes >= 0 ? task.nbytes : 1024;  // distributed.scheduler.default-data-size
    if (exceeds_limits(bytes, gather.total_nbytes)) break;
    holder.needed.pop();
    remove_needed(task);
    gather.total_nbytes += bytes;
    gather.keys.push_back(task.key);
    holder.gathering.push_back(id);
    task.coming_from = peer_id;
    transition(id, TaskState::flight);
  }
  if (gather.keys.empty()) return false;
  holder.in_flight = true;
  holder.gathering_bytes = gather.total_nbytes;
  incoming_bytes += gather.total_nbytes;
  ++incoming_count;
  out_->emplace_back(std::move(gather));
  return true;
}

// What the ends of all GatherDeps have in common. The tasks are in flight, cancelled or resumed.
std::vector<TaskId> State::gather_done(const Address& worker) {
  const auto peer_id = find_peer(worker);
  RASK_ASSERT(peer_id && peer(*peer_id).in_flight);
  Peer& holder = peer(*peer_id);
  holder.in_flight = false;
  incoming_bytes -= std::exchange(holder.gathering_bytes, 0);
  --incoming_count;
  auto tasks = std::exchange(holder.gathering, {});
  for (const TaskId id : tasks) {
    Task& task = at(id);
    RASK_ASSERT(task.coming_from == *peer_id);
    task.coming_from = kNoPeer;
    task.done = true;
    --in_flight_count;
  }
  return tasks;
}

// The peer is gone, or as good as gone: nobody expects anything of it any more.
void State::forget_peer(WorkerId id) {
  auto& has_what = peer(id).has_what;
  while (!has_what.empty()) {
    const TaskId task_id = has_what.back();
    Task& task = at(task_id);
    if (task.state == TaskState::fetch) {
      --peer(id).needed_count;
      if (task.who_has.size() == 1) recommend(task_id, TaskState::missing);
    }
    remove_replica(task_id, id);
  }
  release_peer_if_unused(id);
}

}  // namespace rask::worker
