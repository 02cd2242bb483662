#include "rask/graph/delayed_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "rask/graph/delayed_call.h"
#include "rask/graph/task_context.h"

namespace rask::internal {
namespace {

/// Held for microseconds, or for as long as a plan is made: nodes are marked meanwhile.
class Lock {
 public:
  Lock() {
    while (flag_.test_and_set(std::memory_order_acquire)) flag_.wait(true);
  }
  ~Lock() {
    flag_.clear(std::memory_order_release);
    flag_.notify_one();
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  static inline std::atomic_flag flag_;
};

std::uint64_t count_up() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}
constinit std::atomic<RandomSource> g_random = count_up;

}  // namespace

namespace {
thread_local const DelayedNode* g_current_call = nullptr;
}

const DelayedNode* current_call() { return g_current_call; }
CallScope::CallScope(const DelayedNode& node) : outer_(std::exchange(g_current_call, &node)) {}
CallScope::~CallScope() {
  note_task_end();
  g_current_call = outer_;
}

void set_random_source(RandomSource source) { g_random = source; }

struct DelayedNode::Details {
  DelayedOptions options;
  std::atomic<bool> has_key = false;
  Key key;
};

DelayedNode::~DelayedNode() { delete details_.load(std::memory_order_relaxed); }

// A chain of a million calls must not be taken down by a million nested destructors.
void DelayedNode::release() const {
  if (count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  thread_local std::vector<const DelayedNode*>* doomed = nullptr;
  if (doomed != nullptr) {
    doomed->push_back(this);
    return;
  }
  std::vector<const DelayedNode*> own{this};
  doomed = &own;
  while (!own.empty()) {
    const DelayedNode* node = own.back();
    own.pop_back();
    delete node;
  }
  doomed = nullptr;
}

void DelayedNode::set_options(DelayedOptions options) {
  auto* details = new Details;
  details->options = std::move(options);
  delete details_.exchange(details);
}

DelayedOptions DelayedNode::options() const {
  const Details* details = details_.load(std::memory_order_acquire);
  return details == nullptr ? DelayedOptions{} : details->options;
}

const Key& DelayedNode::key() const {
  const Details* details = details_.load(std::memory_order_acquire);
  if (details != nullptr && details->has_key.load(std::memory_order_acquire)) return details->key;
  // The key of a pure call needs those of its dependencies, which may be many.
  const DelayedNode* const self[] = {this};
  if (options().pure)
    for (const DelayedNode* node : plan_of(self).nodes) node->own_key();
  return own_key();
}

// REQUIRES, of a pure call, that its dependencies have theirs.
const Key& DelayedNode::own_key() const {
  Details* details = details_.load(std::memory_order_acquire);
  if (details == nullptr) {
    auto* fresh = new Details;
    if (details_.compare_exchange_strong(details, fresh))
      details = fresh;
    else
      delete fresh;
  }
  if (details->has_key.load(std::memory_order_acquire)) return details->key;
  Key key;
  if (!details->options.name.empty()) {
    key = Key{details->options.name};
  } else if (details->options.pure) {
    TaskWriter call;
    write(call);
    key = pure_key(function(), call);
  } else {
    key = numbered_key(function(), g_random.load()(), g_random.load()());
  }
  const Lock lock;
  if (!details->has_key.load(std::memory_order_relaxed)) {
    details->key = std::move(key);
    details->has_key.store(true, std::memory_order_release);
  }
  return details->key;
}

Plan plan_of(std::span<const DelayedNode* const> targets) {
  struct Visit {
    const DelayedNode* node;
    std::uint32_t next;  // In `pending`: its dependencies that have not been looked at …
    std::uint32_t end;   // … and their end.
  };
  constexpr std::uint32_t kOnPath = 0xffff'ffff;
  const Lock lock;
  Plan plan;
  plan.targets.reserve(targets.size());
  plan.held.reserve(targets.size());
  plan.dependency_offsets.push_back(0);
  std::vector<const DelayedNode*> pending;
  std::vector<Visit> path;
  const auto enter = [&](const DelayedNode* node) {
    if (node->mark_ != 0) return;
    node->mark_ = kOnPath;
    const auto begin = static_cast<std::uint32_t>(pending.size());
    node->add_dependencies(pending);
    path.push_back({node, begin, static_cast<std::uint32_t>(pending.size())});
  };
  for (const DelayedNode* target : targets) {
    enter(target);
    while (!path.empty()) {
      Visit& visit = path.back();
      if (visit.next < visit.end) {
        enter(pending[visit.next++]);
        continue;
      }
      // All that it needs is in: arguments are known by their places.
      const DelayedNode* node = visit.node;
      path.pop_back();
      const std::uint32_t begin = path.empty() ? 0 : path.back().end;
      for (std::size_t i = begin; i < pending.size(); ++i)
        plan.dependencies.push_back(pending[i]->mark_ - 1);
      pending.resize(begin);
      plan.dependency_offsets.push_back(static_cast<std::uint32_t>(plan.dependencies.size()));
      plan.nodes.push_back(node);
      node->mark_ = static_cast<std::uint32_t>(plan.nodes.size());
    }
    plan.targets.push_back(target->mark_ - 1);
    target->retain();
    plan.held.emplace_back(target);
  }
  for (const DelayedNode* node : plan.nodes) node->mark_ = 0;
  return plan;
}

std::vector<std::uint32_t> Plan::ordered() const {
  // Each dependency once, for who counts them.
  std::vector<std::uint32_t> offsets{0};
  std::vector<std::uint32_t> once;
  offsets.reserve(nodes.size() + 1);
  once.reserve(dependencies.size());
  for (std::uint32_t place = 0; place < nodes.size(); ++place) {
    const auto begin = static_cast<std::ptrdiff_t>(once.size());
    for (const std::uint32_t dependency : dependencies_of(place)) once.push_back(dependency);
    std::sort(once.begin() + begin, once.end());
    once.erase(std::unique(once.begin() + begin, once.end()), once.end());
    offsets.push_back(static_cast<std::uint32_t>(once.size()));
  }
  return graph::order({.offsets = offsets, .dependencies = once}).value();
}

std::unordered_map<Key, TaskValue> values_for(const DelayedNode& node, Inputs inputs) {
  std::unordered_map<Key, TaskValue> values;
  std::vector<const DelayedNode*> dependencies;
  node.add_dependencies(dependencies);
  for (const DelayedNode* dependency : dependencies)
    values.insert_or_assign(dependency->key(), dependency->view(inputs.take()));
  OutsideValues outside;
  node.add_outside_values(outside);
  for (auto& [key, value] : outside) values.insert_or_assign(key, std::move(value));
  return values;
}

TaskValue run_by_name(const DelayedNode& node, Inputs inputs) {
  auto values = values_for(node, inputs);
  const WrittenCall call = written_call(node);
  auto outcome = run_task(call.run_spec, [&](const Key& key) { return values[key]; });
  if (auto* value = std::get_if<TaskValue>(&outcome)) return std::move(*value);
  if (auto* failure = std::get_if<TaskFailure>(&outcome)) throw ForeignFailure{std::move(*failure)};
  throw ArgumentError{"a task that asks to run elsewhere needs a cluster"};
}

WrittenCall written_call(const DelayedNode& node) {
  TaskWriter call;
  node.write(call);
  WrittenCall written;
  written.dependencies = call.take_dependencies();
  written.run_spec = call.take(node.key());
  return written;
}

std::vector<Paint> painted_by_order(const Plan& plan) {
  const auto sequence = plan.ordered();
  const double last = std::max(1.0, static_cast<double>(sequence.size()) - 1);
  std::vector<Paint> paints(plan.nodes.size());
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    const double hue = 0.62 * (1 - static_cast<double>(i) / last);
    paints[sequence[i]] = {fmt::format("{}", i), fmt::format("{:.3f} 0.45 0.95", hue), {}};
  }
  return paints;
}

std::string to_dot(const Plan& plan, std::span<const Paint> paints) {
  std::string dot = "digraph {\n  rankdir=BT\n  node [fontname=\"helvetica\"]\n";
  for (std::uint32_t i = 0; i < plan.nodes.size(); ++i) {
    std::string label{short_function_name(plan.nodes[i]->function())};
    std::string fill;
    if (!paints.empty()) {
      label += "\\n" + paints[i].note;
      if (!paints[i].fill.empty())
        fill = fmt::format(", style=filled, fillcolor=\"{}\"", paints[i].fill);
      if (!paints[i].font.empty()) fill += fmt::format(", fontcolor=\"{}\"", paints[i].font);
    }
    dot += fmt::format("  f{} [shape=circle, label=\"{}\", tooltip=\"{}\"{}]\n", i, label,
                       plan.nodes[i]->key().str(), fill);
    dot +=
        fmt::format("  r{} [shape=box, label=\"{}\"]\n  f{} -> r{}\n", i,
                    std::ranges::find(plan.targets, i) != plan.targets.end() ? "result" : "", i, i);
    std::vector<std::uint32_t> needs(plan.dependencies_of(i).begin(),
                                     plan.dependencies_of(i).end());
    std::ranges::sort(needs);
    needs.erase(std::unique(needs.begin(), needs.end()), needs.end());
    for (const std::uint32_t need : needs) dot += fmt::format("  r{} -> f{}\n", need, i);
  }
  return dot + "}\n";
}

}  // namespace rask::internal
