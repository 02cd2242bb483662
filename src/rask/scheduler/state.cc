#include "rask/scheduler/state.h"

#include <algorithm>

namespace rask::scheduler {

namespace {
constexpr std::size_t kHeadersMax = 1 << 16;
}

std::string_view to_string(TaskState state) {
  constexpr std::string_view kNames[] = {"released",   "waiting", "no-worker", "queued",
                                         "processing", "memory",  "erred",     "forgotten"};
  return kNames[static_cast<std::size_t>(state)];
}

bool SortedIds::contains(std::uint32_t id) const {
  return std::binary_search(ids_.begin(), ids_.end(), id);
}

void SortedIds::insert(std::uint32_t id) {
  const auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
  if (at == ids_.end() || *at != id) ids_.insert(at, id);
}

void SortedIds::erase(std::uint32_t id) {
  const auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
  if (at != ids_.end() && *at == id) ids_.erase(at);
}

CompactPayload::Shape CompactPayload::shape_of(const Payload& payload) {
  if (payload.frames.empty()) return payload.header.empty() ? Shape::none : Shape::header_only;
  return payload.frames.size() == 1 ? Shape::one_frame : Shape::whole;
}

CompactPayload::CompactPayload(Payload&& payload, std::uint32_t header)
    : header_(header), kind_(payload.kind), shape_(shape_of(payload)) {
  switch (shape_) {
    case Shape::none:
      break;
    case Shape::header_only:
      bytes_ = std::move(payload.header);
      break;
    case Shape::one_frame:
      if (header != kNone) {
        bytes_ = std::move(payload.frames.front());
        break;
      }
      shape_ = Shape::whole;
      [[fallthrough]];
    case Shape::whole:
      bytes_ = wire::Buffer::alias({}, std::make_shared<const Payload>(std::move(payload)));
      break;
  }
}

Payload CompactPayload::expand(const wire::Buffer& header) const {
  Payload out;
  switch (shape_) {
    case Shape::none:
      break;
    case Shape::header_only:
      out.header = bytes_;
      break;
    case Shape::one_frame:
      out.header = header;
      out.frames.push_back(bytes_);
      break;
    case Shape::whole:
      return *static_cast<const Payload*>(bytes_.owner().get());
  }
  out.kind = kind_;
  return out;
}

State::State(Options given, Seconds start)
    : options(std::move(given)), story(options.transition_log_length), now(start) {
  for (std::uint32_t language = 0; language < kLanguages; ++language)
    annotations.emplace_back().language = static_cast<Language>(language);
  typenames.emplace_back();
  run_spec_headers.emplace_back();
  clients.push_back(std::make_unique<Client>());  // Futures that nobody holds but all want.
  clients.front()->name = "fire-and-forget";
  last_balance = last_replica_round = start;
  idle_since = start;
}

// ---- One call -----------------------------------------------------------------------------------

State::Event::Event(State& state, std::string stimulus, Seconds now, Effects& effects)
    : state_(state) {
  RASK_ASSERT(state.out == nullptr);
  state.out = &effects;
  state.now = std::max(state.now, now);
  ++state.call_count;
  state.set_stimulus(std::move(stimulus));
}

State::Event::~Event() {
  state_.drain();
  state_.fill_queue_slots();
  state_.close_stimulus();
  state_.refresh_no_workers_since(state_.now);
  state_.refresh_idle_since();
  if (state_.options.validate) state_.check_invariants();
  state_.out = nullptr;
}

void State::set_stimulus(std::string stimulus) {
  close_stimulus();
  stimulus_ = std::move(stimulus);
}

void State::close_stimulus() {
  if (stimulus_number_) story.set_stimulus(*stimulus_number_, stimulus_);
  stimulus_number_.reset();
  stimulus_.clear();
}

void State::log_transition(const Key& key, TaskState start, TaskState finish) {
  if (!stimulus_number_) stimulus_number_ = story.open_stimulus();
  story.add(key, start, finish, *stimulus_number_, now);
}

// ---- Tasks --------------------------------------------------------------------------------------

std::uint32_t State::find(const Key& key) const {
  return keys.find(key.hash(), [&](std::uint32_t id) { return tasks[id].key == key; });
}

// First its place in the table, then its record, then what that leads to.
void State::prefetch(const Key& key, std::size_t stage) const {
  if (stage == 0) return keys.prefetch(key.hash());
  const auto id = keys.find(key.hash(), [](std::uint32_t) { return true; });
  if (id == kNone) return;
  if (stage == 1) return prefetch(id);
  const auto& task = tasks[id];
  task.key.prefetch();
  if (!task.dependents.empty()) prefetch(task.dependents[0].task);
}

void State::prefetch(std::uint32_t id) const {
  const auto* bytes = reinterpret_cast<const char*>(&tasks[id]);
  for (std::size_t offset = 0; offset < sizeof(Task); offset += 64)
    __builtin_prefetch(bytes + offset);
}

std::uint32_t State::create(Key key, TaskState initial) {
  const auto group = group_of(key);
  const auto id = tasks.add();
  keys.insert(key.hash(), id);
  auto& task = tasks[id];
  task.key = std::move(key);
  task.group = group;
  task.state = initial;
  ++groups[group].size;
  ++groups[group].states[static_cast<std::size_t>(initial)];
  return id;
}

void State::set_run_spec(Task& task, Payload&& spec) {
  std::uint32_t header = 0;
  if (CompactPayload::shape_of(spec) == CompactPayload::Shape::one_frame && !spec.header.empty()) {
    // Graphs repeat one header; only a stream of ever new ones would fill the table.
    header = static_cast<std::uint32_t>(run_spec_headers.size()) - 1;
    if (!(run_spec_headers[header] == spec.header)) {
      const auto at = std::find(
          run_spec_headers.end() -
              std::min<std::ptrdiff_t>(8, static_cast<std::ptrdiff_t>(run_spec_headers.size())),
          run_spec_headers.end(), spec.header);
      header = static_cast<std::uint32_t>(at - run_spec_headers.begin());
      if (at == run_spec_headers.end()) {
        if (run_spec_headers.size() >= kHeadersMax) {
          header = kNone;
        } else {
          // A copy: a slice would keep the whole message alive for good.
          run_spec_headers.push_back(wire::Buffer::copy_of(spec.header.view()));
        }
      }
    }
  }
  task.run_spec = CompactPayload{std::move(spec), header};
}

Payload State::run_spec(const Task& task) const {
  const auto header = task.run_spec.header();
  return task.run_spec.expand(run_spec_headers[header == kNone ? 0 : header]);
}

void State::free_task(std::uint32_t id) {
  auto& task = tasks[id];
  RASK_ASSERT(task.state == TaskState::forgotten && task.who_has.empty());
  RASK_ASSERT(task.dependencies.empty() && task.dependents.empty());
  RASK_ASSERT(task.processing_on == kNone && task.steal_level == kNotStealable);
  while (task.wanted()) undesire(task.who_wants.back().client, id);
  set_failure(task, kNone);
  shuffles.forget(id);
  release_annotation(task.annotation);
  if (!moves.empty()) forget_moves_of(id);
  const auto group = task.group;
  keys.erase(task.key.hash(), id);
  tasks.remove(id);
  --groups[group].states[static_cast<std::size_t>(TaskState::forgotten)];
  drop_group_if_done(group);
}

void State::set_state(Task& task, TaskState state) {
  auto& states = groups[task.group].states;
  --states[static_cast<std::size_t>(task.state)];
  ++states[static_cast<std::size_t>(state)];
  task.state = state;
}

void State::add_dependency(std::uint32_t id, std::uint32_t dependency) {
  auto& task = tasks[id];
  auto& dep = tasks[dependency];
  const auto index = task.dependencies.size();
  task.dependencies.push_back({dependency, dep.dependents.size()});
  dep.dependents.push_back({id, index});
  if (task.in_play) ++dep.waiters;
  add_group_dependency(task.group, dep.group);
}

void State::remove_dependency(std::uint32_t id, std::uint32_t index) {
  auto& mine = tasks[id].dependencies;
  const auto edge = mine[index];
  auto& theirs = tasks[edge.task].dependents;
  if (const auto last = theirs.back(); edge.mirror + 1 != theirs.size()) {
    theirs[edge.mirror] = last;
    tasks[last.task].dependencies[last.mirror].mirror = edge.mirror;
  }
  theirs.pop_back();
  if (const auto last = mine.back(); index + 1 != mine.size()) {
    mine[index] = last;
    tasks[last.task].dependents[last.mirror].mirror = index;
  }
  mine.pop_back();
}

bool State::holds(const Task& task, std::uint32_t worker) const {
  return std::any_of(task.who_has.begin(), task.who_has.end(),
                     [&](const Replica& replica) { return replica.worker == worker; });
}

void State::add_replica(std::uint32_t id, std::uint32_t worker) {
  auto& task = tasks[id];
  auto& holder = *workers[worker];
  if (holds(task, worker)) return;
  if (!holder.needs_what.empty()) dec_needs_what(holder, id, true);
  holder.nbytes += task.get_nbytes();
  task.who_has.push_back({worker, holder.has_what.add(id)});
  if (task.who_has.size() == 1) gained_data(id);
  if (task.who_has.size() == 2) with_copies.push_back(id);
}

void State::remove_replica(std::uint32_t id, std::uint32_t worker) {
  auto& task = tasks[id];
  auto& holder = *workers[worker];
  auto* at = std::find_if(task.who_has.begin(), task.who_has.end(),
                          [&](const Replica& replica) { return replica.worker == worker; });
  RASK_ASSERT(at != task.who_has.end());
  const auto place = at->place;
  *at = task.who_has.back();
  task.who_has.pop_back();
  holder.nbytes -= task.get_nbytes();
  holder.has_what.remove(place, [&](std::uint32_t moved, std::uint32_t to) {
    for (auto& replica : tasks[moved].who_has) {
      if (replica.worker == worker) replica.place = to;
    }
  });
  if (task.who_has.empty()) lost_data(id);
}

void State::remove_all_replicas(std::uint32_t id) {
  while (tasks[id].has_data()) remove_replica(id, tasks[id].who_has.back().worker);
}

std::vector<Address> State::addresses(const Task& task) const {
  std::vector<Address> found;
  found.reserve(task.who_has.size());
  for (const auto& replica : task.who_has) found.push_back(workers[replica.worker]->info.address);
  return found;
}

// The last replica went: whoever waits has one thing more to wait for.
void State::lost_data(std::uint32_t id) {
  if (tasks[id].waiters == 0) return;
  for (const auto& edge : tasks[id].dependents) {
    auto& dependent = tasks[edge.task];
    if (dependent.state == TaskState::waiting) ++dependent.waiting_on;
  }
}

// The first replica came: dependents that waited for nothing else may run, best priority first.
void State::gained_data(std::uint32_t id) {
  if (tasks[id].waiters == 0) return;
  ready.clear();
  for (const auto& edge : tasks[id].dependents) {
    auto& dependent = tasks[edge.task];
    ++work_count;
    if (dependent.state != TaskState::waiting) continue;
    RASK_ASSERT(dependent.waiting_on > 0);
    if (--dependent.waiting_on == 0) ready.push_back(edge.task);
  }
  if (ready.size() > 1) {
    // Recommendations are worked off from the back.
    std::sort(ready.begin(), ready.end(), [&](std::uint32_t a, std::uint32_t b) {
      const auto order = tasks[a].priority <=> tasks[b].priority;
      return order != 0 ? order > 0 : a > b;
    });
  }
  for (const auto task : ready) recommend(task, TaskState::processing);
}

void State::enter_play(Task& task) {
  if (task.in_play) return;
  task.in_play = true;
  for (const auto& edge : task.dependencies) ++tasks[edge.task].waiters;
}

// The task needs its dependencies no more; those that nobody else needs may go.
void State::leave_play(Task& task) {
  if (!task.in_play) return;
  task.in_play = false;
  for (const auto& edge : task.dependencies) {
    ++work_count;
    auto& dependency = tasks[edge.task];
    RASK_ASSERT(dependency.waiters > 0);
    if (--dependency.waiters != 0 || dependency.wanted()) continue;
    if (dependency.state == TaskState::released || dependency.state == TaskState::erred) continue;
    recommend(edge.task, TaskState::released);
  }
}

// ---- Failures -----------------------------------------------------------------------------------

std::uint32_t State::add_failure(Failure&& failure) {
  const auto id = failures.add();
  failures[id] = std::move(failure);
  return id;
}

void State::set_failure(Task& task, std::uint32_t failure) {
  // A worker remembers what failed on it until it is told to forget.
  if (task.state == TaskState::erred && failure != task.failure) {
    const auto& old = failures[task.failure];
    if (old.blame == task.key && old.worker != kNone)
      send_free_keys(old.worker, task.key, task.run_id);
  }
  if (failure != kNone) ++failures[failure].uses;
  if (task.failure != kNone && --failures[task.failure].uses == 0) failures.remove(task.failure);
  task.failure = failure;
}

// ---- Effects ------------------------------------------------------------------------------------

namespace {
// "compute-" and the run in base 32: short enough that std::string does not allocate.
std::string compute_stimulus(std::int64_t run_id) {
  char text[16] = "compute-";
  char* end = text + 8;
  auto rest = static_cast<std::uint64_t>(run_id) & 0x7'ffff'ffff;
  do {
    *end++ = "0123456789abcdefghijklmnopqrstuv"[rest & 31];
    rest >>= 5;
  } while (rest != 0);
  return std::string(text, end);
}
}  // namespace

void State::send_compute_task(std::uint32_t id, std::uint32_t worker) {
  auto& task = tasks[id];
  task.run_id = ++last_run_id;
  auto& effect = std::get<SendToWorker>(out->emplace_back(std::in_place_type<SendToWorker>));
  effect.worker = WorkerId{worker};
  auto& message = effect.message.emplace<protocol::ComputeTask>();
  message.key = task.key;
  message.run_id = task.run_id;
  message.priority = task.priority;
  message.stimulus_id = compute_stimulus(task.run_id);
  message.dependencies.reserve(task.dependencies.size());
  for (const auto& edge : task.dependencies) {
    const auto& dependency = tasks[edge.task];
    message.dependencies.push_back({dependency.key, addresses(dependency), dependency.nbytes});
  }
  message.run_spec = run_spec(task);
  message.run_spec.header.prefetch();  // It is read when the batch is written.
  message.actor = task.actor;
  if (const auto& source = annotations[task.annotation].source) {
    message.resource_restrictions = source->resources;
    message.annotations = source;
  }
  message.duration = duration(prefix(task));
  // Only Python workers measure what they do for a span.
  const auto& span = groups[task.group].span_id;
  if (span && annotations[task.annotation].language == Language::python) message.span_id = *span;
}

// Keys to free go into one message a worker and call, unless the task was sent there again since.
void State::send_free_keys(std::uint32_t worker, const Key& key, std::int64_t run_id) {
  auto& holder = *workers[worker];
  if (!holder.alive) return;
  if (holder.open_free_keys_call == call_count && run_id <= holder.open_free_keys_run_id) {
    auto& effect = std::get<SendToWorker>((*out)[holder.open_free_keys]);
    std::get<protocol::FreeKeys>(effect.message).keys.push_back(key);
    return;
  }
  out->push_back(SendToWorker{WorkerId{worker}, protocol::FreeKeys{{key}, stimulus_}});
  holder.open_free_keys_call = call_count;
  holder.open_free_keys = out->size() - 1;
  holder.open_free_keys_run_id = last_run_id;
}

}  // namespace rask::scheduler
