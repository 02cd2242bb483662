// New tasks.    source: distributed/scheduler.py, Scheduler.update_graph and what it calls
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

namespace {

// Dask gives tasks submitted from inside a task the generation 0.01 before their parent's.
constexpr std::int64_t kGenerationStep = 100;

// One update_graph while it runs.
class GraphUpdate {
 public:
  GraphUpdate(State& state, std::uint32_t client, protocol::UpdateGraph& graph)
      : state_(state), client_(client), graph_(graph) {}

  void run();

 private:
  void intern();
  bool walk();
  std::uint32_t find_wanted(std::size_t index) const;
  bool visit(std::uint32_t id);
  void cancel();
  void cull();
  void discard(std::uint32_t id);
  void fill(std::uint32_t id, protocol::GraphTask& task);
  void connect(std::uint32_t id, std::size_t index);
  bool same_dependencies(std::uint32_t id, std::size_t index);
  std::int64_t generation();
  void prioritise(std::uint32_t id, const protocol::GraphTask& task, std::int64_t generation);
  void recommend();
  void drop_unused();
  void clean_up();
  std::span<const std::uint32_t> dependencies(std::size_t index) const {
    return std::span{dependency_ids_}.subspan(offsets_[index],
                                              offsets_[index + 1] - offsets_[index]);
  }

  State& state_;
  std::uint32_t client_;
  protocol::UpdateGraph& graph_;
  std::vector<std::uint32_t> ids_;      // of graph_.tasks; kNone for a key that comes twice
  std::vector<bool> fresh_;             // by graph task: it is new
  std::vector<bool> without_spec_;      // by graph task: it was known, but not how to compute it
  std::vector<std::uint32_t> offsets_;  // of each graph task in dependency_ids_, and the end
  std::vector<std::uint32_t> dependency_ids_;
  std::vector<std::uint32_t> wanted_;
  std::vector<std::uint32_t> held_;
  std::vector<std::uint32_t> stack_;
};

void GraphUpdate::run() {
  intern();
  if (!walk()) {
    cancel();
    return;
  }
  cull();
  state_.spans.begin_graph();
  const auto own_generation = generation();
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (ids_[i] == kNone) continue;
    if (fresh_[i] || without_spec_[i]) fill(ids_[i], graph_.tasks[i]);
    prioritise(ids_[i], graph_.tasks[i], own_generation);
  }
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (ids_[i] != kNone) connect(ids_[i], i);
  }
  for (const auto id : wanted_) {
    if (graph_.actors) state_.tasks[id].actor = true;
    state_.desire(client_, id);
    state_.report_on_key(client_, id);
  }
  for (const auto id : held_) state_.desire(static_cast<std::uint32_t>(*graph_.holder), id);
  for (const auto& key : graph_.actor_keys) {
    if (const auto id = state_.find(key); id != kNone) state_.tasks[id].actor = true;
  }
  recommend();
  drop_unused();
  clean_up();
}

// A known task keeps its dependencies; what the graph brought for it alone is of no use.
void GraphUpdate::drop_unused() {
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (ids_[i] == kNone || !fresh_[i]) continue;
    const auto& task = state_.tasks[ids_[i]];
    if (task.dependents.empty() && !task.wanted()) state_.recommend(ids_[i], TaskState::forgotten);
  }
}

// Gives every key of the graph its number; new ones get a record with nothing but the key.
void GraphUpdate::intern() {
  const auto count = graph_.tasks.size();
  ids_.reserve(count);
  fresh_.reserve(count);
  without_spec_.reserve(count);
  constexpr std::size_t kAhead = 8;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) state_.keys.prefetch(graph_.tasks[i + kAhead].key.hash());
    const auto& key = graph_.tasks[i].key;
    auto id = state_.find(key);
    const bool fresh = id == kNone;
    if (fresh) id = state_.create(std::move(graph_.tasks[i].key), TaskState::released);
    if (state_.graph_index.size() <= id) {
      state_.graph_index.resize(std::max<std::size_t>(id + 1, state_.tasks.end()));
    }
    const bool twice = state_.graph_index[id] != 0;
    if (!twice) state_.graph_index[id] = static_cast<std::uint32_t>(i + 1);
    ids_.push_back(twice ? kNone : id);
    fresh_.push_back(fresh);
    without_spec_.push_back(!fresh && !twice && state_.tasks[id].run_spec.empty());
  }
}

// Marks what the wanted keys need. False when something is neither in the graph nor known.
bool GraphUpdate::walk() {
  offsets_.reserve(ids_.size() + 1);
  for (const auto& task : graph_.tasks) {
    offsets_.push_back(static_cast<std::uint32_t>(dependency_ids_.size()));
    for (const auto& key : task.dependencies) dependency_ids_.push_back(state_.find(key));
  }
  offsets_.push_back(static_cast<std::uint32_t>(dependency_ids_.size()));
  bool complete = true;
  for (const auto& key : graph_.held) {
    held_.push_back(state_.find(key));
    complete = held_.back() != kNone && visit(held_.back()) && complete;
  }
  wanted_.reserve(graph_.keys.size());
  for (std::size_t i = 0; i < graph_.keys.size(); ++i) {
    const auto id = find_wanted(i);
    if (id == kNone) {
      complete = false;
      continue;
    }
    wanted_.push_back(id);
    complete = visit(id) && complete;
  }
  return complete;
}

// The keys of a map are the keys of its tasks, in order.
std::uint32_t GraphUpdate::find_wanted(std::size_t index) const {
  const auto& key = graph_.keys[index];
  const auto guess = index < ids_.size() ? ids_[index] : kNone;
  return guess != kNone && state_.tasks[guess].key == key ? guess : state_.find(key);
}

bool GraphUpdate::visit(std::uint32_t root) {
  bool complete = true;
  stack_.push_back(root);
  while (!stack_.empty()) {
    const auto id = stack_.back();
    stack_.pop_back();
    auto& task = state_.tasks[id];
    if (task.touched) continue;
    const auto index = id < state_.graph_index.size() ? state_.graph_index[id] : 0;
    if (index == 0) continue;  // Known from before: nothing to do below it.
    task.touched = true;
    for (const auto dependency : dependencies(index - 1)) {
      if (dependency == kNone)
        complete = false;
      else
        stack_.push_back(dependency);
    }
  }
  return complete;
}

// The client holds futures that cannot be computed: it is told, and nothing else happens.
void GraphUpdate::cancel() {
  state_.log(20, fmt::format("User asked for computation on lost data: {} keys of a graph of {}",
                             graph_.keys.size(), graph_.tasks.size()));
  clean_up();
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (ids_[i] != kNone && fresh_[i]) discard(ids_[i]);
  }
  state_.report(client_, protocol::CancelledKeys{graph_.keys, "lost dependencies", ""});
  state_.client_releases_keys(client_, graph_.keys);
}

// Tasks that no wanted key needs are not kept.
void GraphUpdate::cull() {
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    const auto id = ids_[i];
    if (id == kNone || state_.tasks[id].touched) continue;
    state_.graph_index[id] = 0;
    ids_[i] = kNone;
    if (fresh_[i]) discard(id);
  }
}

void GraphUpdate::discard(std::uint32_t id) {
  auto& task = state_.tasks[id];
  --state_.groups[task.group].size;
  state_.set_state(task, TaskState::forgotten);
  state_.free_task(id);
}

void GraphUpdate::fill(std::uint32_t id, protocol::GraphTask& source) {
  auto& task = state_.tasks[id];
  const auto language = source.run_spec.kind == protocol::Payload::Kind::pickled ? Language::python
                                                                                 : Language::native;
  state_.set_run_spec(task, std::move(source.run_spec));
  if (source.p2p) state_.shuffles.add_barrier(id, std::move(source.p2p));
  state_.spans.observe(task.group, source.annotations);
  if (task.annotation != 0) return;
  task.annotation = state_.annotation_of(source.annotations, language);
  if (!source.annotations) return;
  task.retries = static_cast<std::int32_t>(std::clamp<std::int64_t>(
      source.annotations->retries, 0, std::numeric_limits<std::int32_t>::max()));
}

bool GraphUpdate::same_dependencies(std::uint32_t id, std::size_t index) {
  std::vector<std::uint32_t> known;
  for (const auto& edge : state_.tasks[id].dependencies) known.push_back(edge.task);
  const auto given = dependencies(index);
  std::vector<std::uint32_t> asked(given.begin(), given.end());
  std::sort(known.begin(), known.end());
  std::sort(asked.begin(), asked.end());
  asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
  return known == asked;
}

void GraphUpdate::connect(std::uint32_t id, std::size_t index) {
  auto& task = state_.tasks[id];
  if (!fresh_[index] && !without_spec_[index]) {
    // A task that is known keeps what it is; a client that means another one under this key errs.
    if (!task.has_lost_dependencies && !same_dependencies(id, index))
      state_.log(30, fmt::format("Detected different `run_spec` for key '{}' between two "
                                 "consecutive calls to `update_graph`. Please ensure unique key "
                                 "names.",
                                 task.key.str()));
    return;
  }
  const auto given = dependencies(index);
  task.dependencies.reserve(task.dependencies.size() + given.size());
  if (state_.marks.size() < state_.tasks.end()) state_.marks.resize(state_.tasks.end());
  ++state_.mark;
  state_.marks[id] = state_.mark;  // Not its own dependency.
  for (const auto& edge : task.dependencies) state_.marks[edge.task] = state_.mark;
  for (const auto dependency : given) {
    if (state_.marks[dependency] == state_.mark) continue;
    state_.marks[dependency] = state_.mark;
    state_.add_dependency(id, dependency);
  }
}

// source: Scheduler._set_priorities
std::int64_t GraphUpdate::generation() {
  if (!graph_.submitting_task.empty()) {
    const auto parent = state_.find(graph_.submitting_task);
    return parent == kNone ? state_.generation : state_.tasks[parent].priority.generation - 1;
  }
  if (state_.last_graph + graph_.fifo_timeout < state_.now) {
    state_.generation += kGenerationStep;
    state_.last_graph = state_.now;
  }
  return state_.generation;
}

void GraphUpdate::prioritise(std::uint32_t id, const protocol::GraphTask& source,
                             std::int64_t own_generation) {
  auto& task = state_.tasks[id];
  if (task.has_priority) return;
  const auto& annotation = state_.annotations[task.annotation].source;
  const auto user = annotation ? annotation->priority : 0;  // Of any client's choice.
  task.priority = {-std::max(user, -std::numeric_limits<std::int64_t>::max()), own_generation,
                   source.order};
  task.has_priority = true;
}

void GraphUpdate::recommend() {
  std::vector<std::uint32_t> start;
  for (const auto* ids : {&wanted_, &held_}) {
    for (const auto id : *ids) {
      const auto& task = state_.tasks[id];
      if (task.state == TaskState::released && !task.run_spec.empty()) start.push_back(id);
    }
  }
  // Worked off from the back: the best priority last.
  const auto later = [&](std::uint32_t a, std::uint32_t b) {
    const auto order = state_.tasks[a].priority <=> state_.tasks[b].priority;
    return order != 0 ? order > 0 : a > b;
  };
  std::reverse(start.begin(), start.end());
  if (!std::is_sorted(start.begin(), start.end(), later))
    std::sort(start.begin(), start.end(), later);
  for (const auto id : start) state_.recommend(id, TaskState::waiting);
}

void GraphUpdate::clean_up() {
  for (const auto id : ids_) {
    if (id == kNone) continue;
    state_.graph_index[id] = 0;
    state_.tasks[id].touched = false;
  }
}

}  // namespace

void State::update_graph(std::uint32_t client, protocol::UpdateGraph&& graph) {
  GraphUpdate{*this, client, graph}.run();
  spans.describe_graph({}, {});  // Nothing is known of the next one.
}

}  // namespace rask::scheduler
