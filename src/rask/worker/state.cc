#include "rask/worker/state.h"

#include <algorithm>

namespace rask::worker {

State::State(Options given)
    : options(std::move(given)),
      host(host_of(options.address)),
      total_resources(options.resources),
      available_resources(options.resources),
      log(options.transition_log_length),
      random_state_(hash_bytes(options.address)) {}

// ---- Task records -------------------------------------------------------------------------------

TaskId State::find_or_create(const Key& key) {
  if (const TaskId* known = find(key)) return *known;
  if (free_slots_.empty()) {
    if (slot_count_ % kChunk == 0) chunks_.push_back(std::make_unique<std::array<Task, kChunk>>());
    free_slots_.push_back(TaskId{slot_count_++});
  }
  const TaskId id = free_slots_.back();
  free_slots_.pop_back();
  at(id).key = key;
  table_.insert(key, id);
  ++counts_[static_cast<std::size_t>(TaskState::released)];
  return id;
}

TaskId State::ensure_task_exists(const Key& key, const TaskPriority& priority) {
  const TaskId id = find_or_create(key);
  Task& task = at(id);
  if (!task.has_priority) {
    task.priority = priority;
    task.has_priority = true;
  }
  return id;
}

namespace {

// Keeps the room for the next task in this slot, but not a large one's.
template <typename T>
void reuse(std::vector<T>& items) {
  if (items.capacity() > 64)
    items = {};
  else
    items.clear();
}

void reuse(protocol::Payload& payload) {
  payload.header = {};
  payload.frames.clear();
}

}  // namespace

void Task::reset() {
  static_cast<TaskFields&>(*this) = {};
  reuse(dependencies);
  reuse(dependents);
  reuse(who_has);
  reuse(resources);
  startstops.clear();
  reuse(run_spec);
  annotations.reset();
  reuse(type);
  typename_.clear();
  reuse(metadata);
}

// REQUIRES a purged task.
void State::destroy(TaskId id) {
  Task& task = at(id);
  table_.erase(task.key, id);
  --counts_[static_cast<std::size_t>(task.state)];
  log.keep(std::exchange(task.key, {}));
  task.reset();
  free_slots_.push_back(id);
}

void State::set_state(Task& task, TaskState state) {
  --counts_[static_cast<std::size_t>(task.state)];
  ++counts_[static_cast<std::size_t>(state)];
  task.state = state;
}

void State::list_add(std::vector<TaskId>& list, TaskId id) {
  RASK_ASSERT(at(id).place == kNowhere);
  at(id).place = static_cast<std::uint32_t>(list.size());
  list.push_back(id);
}

void State::list_remove(std::vector<TaskId>& list, TaskId id) {
  const std::uint32_t place = std::exchange(at(id).place, kNowhere);
  RASK_ASSERT(place < list.size() && list[place] == id);
  list[place] = list.back();
  list.pop_back();
  if (place < list.size()) at(list[place]).place = place;
}

// ---- Peer records -------------------------------------------------------------------------------

std::string host_of(std::string_view address) {
  if (const auto scheme = address.find("://"); scheme != std::string_view::npos)
    address.remove_prefix(scheme + 3);
  if (address.starts_with('[')) return std::string{address.substr(0, address.find(']') + 1)};
  return std::string{address.substr(0, address.find_first_of(":/"))};
}

WorkerId State::find_or_create_peer(const Address& address) {
  const auto [found, is_new] = peer_ids_.try_emplace(address, kNoPeer);
  if (!is_new) return found->second;
  if (free_peers_.empty()) {
    free_peers_.push_back(WorkerId{static_cast<std::uint32_t>(peers_.size())});
    peers_.emplace_back();
  }
  const WorkerId id = free_peers_.back();
  free_peers_.pop_back();
  peer(id) = Peer{};
  peer(id).address = address;
  peer(id).is_remote = host_of(address) != host;
  found->second = id;
  return id;
}

std::optional<WorkerId> State::find_peer(const Address& address) const {
  const auto found = peer_ids_.find(address);
  if (found == peer_ids_.end()) return std::nullopt;
  return found->second;
}

// A peer that has gone leaves no record behind once nothing comes from it.
void State::release_peer_if_unused(WorkerId id) {
  Peer& unused = peer(id);
  if (unused.in_flight || !unused.has_what.empty()) return;
  if (unused.in_needed_list) std::erase(needed_peers_, id);
  peer_ids_.erase(unused.address);
  unused = Peer{};
  free_peers_.push_back(id);
}

void State::release_peer_if_gone(const Address& address) {
  const auto id = find_peer(address);
  if (id && peer(*id).gone) release_peer_if_unused(*id);
}

// ---- One event ----------------------------------------------------------------------------------

void State::begin(StimulusRecord stimulus, Seconds time, Instructions& instructions) {
  now_ = time;
  out_ = &instructions;
  outcome_ = {};
  stimulus.time = time;
  log.begin(std::move(stimulus));
}

void State::finish_event() {
  drain();
  ensure_computing();
  ensure_communicating();
  out_ = nullptr;
  if (options.validate) check_invariants();
}

namespace {

struct MessageStimulus {
  std::string operator()(protocol::CloseWorker&) const { return {}; }
  std::string operator()(protocol::OtherMessage&) const { return {}; }
  // The request's id goes back in the response.
  std::string operator()(protocol::StealRequest& message) const { return message.stimulus_id; }
  template <typename Message>
  std::string operator()(Message& message) const {
    return std::move(message.stimulus_id);
  }
};

struct EventName {
  std::string_view operator()(const ExecuteSuccess&) const { return "task-finished"; }
  std::string_view operator()(const ExecuteFailure&) const { return "task-erred"; }
  std::string_view operator()(const RescheduleTask&) const { return "reschedule"; }
  std::string_view operator()(const SecedeTask&) const { return "secede"; }
  std::string_view operator()(const GatherDepSuccess&) const { return "gather-dep-success"; }
  std::string_view operator()(const GatherDepBusy&) const { return "gather-dep-busy"; }
  std::string_view operator()(const GatherDepNetworkFailure&) const {
    return "gather-dep-network-failure";
  }
  std::string_view operator()(const GatherDepFailure&) const { return "gather-dep-failure"; }
  std::string_view operator()(const RetryBusyWorker&) const { return "retry-busy-worker"; }
  std::string_view operator()(const FindMissing&) const { return "find-missing"; }
  std::string_view operator()(const Pause&) const { return "worker-status-change"; }
  std::string_view operator()(const Unpause&) const { return "worker-status-change"; }
  std::string_view operator()(const UpdateData&) const { return "update-data"; }
};

}  // namespace

void State::handle(protocol::ToWorker&& message, Seconds time, Instructions& instructions) {
  begin({std::visit(MessageStimulus{}, message), {}, 0}, time, instructions);
  std::visit([this](auto& what) { on(what); }, message);
  finish_event();
}

void State::handle(Event&& event, Seconds time, Instructions& instructions) {
  begin({{}, std::visit(EventName{}, event), 0}, time, instructions);
  std::visit([this](auto& what) { on(what); }, event);
  finish_event();
}

// ---- Messages to the scheduler ------------------------------------------------------------------

void State::send_task_finished(TaskId id, std::int64_t run_id) {
  Task& task = at(id);
  protocol::TaskFinished message;
  message.key = task.key;
  message.run_id = run_id;
  message.stimulus_id = stimulus_id();
  message.nbytes = task.nbytes;
  message.type = task.type;
  message.typename_ = task.typename_;
  message.metadata = task.metadata;
  message.thread = outcome_.thread;
  message.startstops = std::exchange(task.startstops, {});
  send(std::move(message));
}

void State::send_task_erred(TaskId id, std::int64_t run_id) {
  Task& task = at(id);
  protocol::TaskErred message;
  message.key = task.key;
  message.run_id = run_id;
  message.stimulus_id = stimulus_id();
  if (outcome_.exception != nullptr) message.exception = *outcome_.exception;
  if (outcome_.traceback != nullptr) message.traceback = *outcome_.traceback;
  message.exception_text = outcome_.exception_text;
  message.traceback_text = outcome_.traceback_text;
  message.thread = outcome_.thread;
  message.startstops = std::exchange(task.startstops, {});
  send(std::move(message));
}

}  // namespace rask::worker
