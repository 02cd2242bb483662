#include "rask/graph/order_walk.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <queue>
#include <ranges>
#include <tuple>
#include <utility>

#include "rask/base/assert.h"

namespace rask::graph::ordering {
namespace {

Edges dependents_of(const Dag& dag) {
  Edges edges;
  edges.offsets.resize(dag.size() + 1);
  edges.tasks.resize(dag.dependencies.size());
  for (const Task dependency : dag.dependencies) ++edges.offsets[dependency + 1];
  for (Task task = 0; task < dag.size(); ++task) edges.offsets[task + 1] += edges.offsets[task];
  std::vector<std::uint32_t> next(edges.offsets.begin(), edges.offsets.end() - 1);
  for (Task task = 0; task < dag.size(); ++task)
    for (const Task dependency : dag.of(task)) edges.tasks[next[dependency]++] = task;
  return edges;
}

/// Tasks so that each comes behind its dependencies; fewer than there are if they need each other.
std::vector<Task> topological(const Dag& dag, const Edges& dependents) {
  std::vector<std::uint32_t> missing(dag.size());
  std::vector<Task> sequence;
  sequence.reserve(dag.size());
  for (Task task = 0; task < dag.size(); ++task) {
    missing[task] = static_cast<std::uint32_t>(dag.of(task).size());
    if (missing[task] == 0) sequence.push_back(task);
  }
  for (std::size_t next = 0; next < sequence.size(); ++next)
    for (const Task dependent : dependents.of(sequence[next]))
      if (--missing[dependent] == 0) sequence.push_back(dependent);
  return sequence;
}

/// A tree is computed with least memory if each task's widest branch comes first (Sethi and Ullman,
/// "The generation of optimal code for arithmetic expressions", 1970).
void measure_dependencies(Shape& shape, std::span<const Task> sequence) {
  shape.total.assign(shape.dag.size(), 1);
  shape.width.assign(shape.dag.size(), 1);
  std::vector<float> widths;
  for (const Task task : sequence) {
    widths.clear();
    for (const Task dependency : shape.dag.of(task)) {
      shape.total[task] += shape.total[dependency];
      widths.push_back(shape.width[dependency]);
    }
    std::ranges::sort(widths, std::greater{});
    float& width = shape.width[task] = static_cast<float>(widths.size() + 1);
    for (std::size_t held = 0; held < widths.size(); ++held)
      width = std::max(width, widths[held] + static_cast<float>(held));
  }
}

/// The same in the other direction: of what follows from a result, the widest comes last, since the
/// result is free from then on.
void sort_dependents(Shape& shape, std::span<const Task> sequence) {
  std::vector<float> width(shape.dag.size());
  for (const Task task : std::views::reverse(sequence)) {
    const auto dependents = shape.dependents.of(task);
    if (dependents.empty()) continue;
    std::ranges::sort(dependents, [&](Task a, Task b) {
      return std::pair(width[a], a) > std::pair(width[b], b);
    });
    const float widest = width[dependents[0]];
    width[task] = std::max(widest > 0 ? 2.0F : 1.0F, widest);
    if (dependents.size() > 1) width[task] = std::max(width[task], width[dependents[1]] + 1);
  }
}

class Walk {
 public:
  Walk(const Shape& shape, Strategy strategy)
      : shape_(shape),
        strategy_(strategy),
        missing_(shape.dag.size()),
        users_(shape.dag.size()),
        closed_(shape.dag.size()),
        done_(shape.dag.size()),
        counted_(shape.dag.size()),
        gathering_(shape.dag.size()) {
    sequence_.reserve(shape.dag.size());
    for (Task task = 0; task < shape.dag.size(); ++task) {
      missing_[task] = static_cast<std::uint32_t>(shape.dag.of(task).size());
      users_[task] = static_cast<std::uint32_t>(shape.dependents.of(task).size());
    }
  }

  std::vector<Task> run() {
    for (const Task leaf : leaves()) {
      if (done_[leaf]) continue;
      reach(leaf);
      while (const auto next = next_target()) reach(*next);
    }
    return std::move(sequence_);
  }

 private:
  std::vector<Task> leaves() const {
    std::vector<Task> found;
    for (Task task = 0; task < shape_.dag.size(); ++task)
      if (users_[task] == 0) found.push_back(task);
    if (strategy_.leaf != Leaf::as_given)
      std::ranges::stable_sort(found, [&](Task a, Task b) {
        return strategy_.leaf == Leaf::largest ? shape_.total[a] > shape_.total[b]
                                               : shape_.total[a] < shape_.total[b];
      });
    return found;
  }

  /// Runs a task and what it still needs.
  void reach(Task target) {
    path_.push_back(target);
    while (!path_.empty()) {
      if (strategy_.gather)
        if (const auto found = next_gathering()) path_.push_back(*found);
      const Task task = path_.back();
      if (done_[task]) {
        path_.pop_back();
      } else if (missing_[task] > 0) {
        push_dependencies(task);
      } else {
        path_.pop_back();
        run(task);
      }
    }
  }

  /// The widest branch runs first, what can run already last.
  void push_dependencies(Task task) {
    const auto first = static_cast<std::ptrdiff_t>(path_.size());
    for (const Task dependency : shape_.dag.of(task))
      if (!done_[dependency]) path_.push_back(dependency);
    std::sort(path_.begin() + first, path_.end(), [&](Task a, Task b) {
      const auto rank = [&](Task of) {
        return std::pair(missing_[of] > 0 ? shape_.width[of] : 0, shape_.total[of]);
      };
      return std::pair(rank(a), b) < std::pair(rank(b), a);
    });
  }

  /// Runs a task, and what then costs no memory.
  void run(Task task) {
    emit(task);
    while (!fresh_.empty()) {
      const Task next = fresh_.back();
      fresh_.pop_back();
      if (done_[next]) continue;
      if (is_free(next))
        emit(next);
      else
        costly_.push_back(next);
    }
    for (; !costly_.empty(); costly_.pop_back())
      if (!done_[costly_.back()]) put_off(costly_.back());
  }

  void emit(Task task) {
    RASK_ASSERT(missing_[task] == 0 && !done_[task]);
    done_[task] = true;
    sequence_.push_back(task);
    for (const Task dependency : shape_.dag.of(task)) {
      if (--users_[dependency] != 1) continue;
      for (const Task last : shape_.dependents.of(dependency))
        if (!done_[last] && missing_[last] == 0) fresh_.push_back(last);
    }
    const auto dependents = shape_.dependents.of(task);
    for (const Task dependent : dependents) {
      if (counted_[task]) --closed_[dependent];
      if (--missing_[dependent] > 0)
        touch(dependent);
      else if (users_[dependent] > 0)
        fresh_.push_back(dependent);
    }
    // Results that nobody waits for come before all others.
    for (const Task dependent : dependents)
      if (missing_[dependent] == 0 && users_[dependent] == 0) fresh_.push_back(dependent);
  }

  /// A task has one input more, and lacks others.
  void touch(Task task) {
    if (strategy_.gather && closed_[task] == missing_[task]) gatherings_.push_back(task);
    const auto missing = missing_[task];
    if (strategy_.next == Next::nearest)
      near_.emplace(missing, shape_.width[task], task);
    else if (strategy_.next == Next::oldest && missing + 1 == shape_.dag.of(task).size())
      near_.emplace(static_cast<std::uint32_t>(sequence_.size()), shape_.width[task], task);
  }

  /// Whether no more results are held after a task that could run, or after the one that follows
  /// from it alone.
  bool is_free(Task task) const {
    const auto dependents = shape_.dependents.of(task);
    if (dependents.empty() || releases(task)) return true;
    const Task next = dependents[0];
    return dependents.size() == 1 && missing_[next] == 1 && shape_.dag.of(next).size() > 1 &&
           releases(next);
  }

  bool releases(Task task) const {
    return std::ranges::any_of(shape_.dag.of(task), [&](Task dependency) {
      return done_[dependency] && users_[dependency] == 1;
    });
  }

  /// Keeps a task that could run for later, and counts it for the task that gathers what follows
  /// from it.
  void put_off(Task task) {
    if (strategy_.behind) put_off_.push_back(task);
    while (strategy_.gather) {
      const auto dependents = shape_.dependents.of(task);
      if (dependents.size() != 1) return;
      const Task next = dependents[0];
      if (shape_.dag.of(next).size() == 1) {
        task = next;
        continue;
      }
      if (!std::exchange(counted_[task], 1) && ++closed_[next] == missing_[next])
        gatherings_.push_back(next);
      return;
    }
  }

  /// A task all of whose inputs have been computed or put off.
  std::optional<Task> next_gathering() {
    while (!gatherings_.empty()) {
      const Task task = gatherings_.back();
      gatherings_.pop_back();
      if (done_[task] || closed_[task] != missing_[task]) continue;
      if (!std::exchange(gathering_[task], 1)) return task;
    }
    return std::nullopt;
  }

  std::optional<Task> next_target() {
    for (; !near_.empty(); near_.pop()) {
      const auto [rank, width, task] = near_.top();
      const bool current =
          strategy_.next == Next::nearest ? missing_[task] == rank : missing_[task] > 0;
      if (!done_[task] && current) return task;
    }
    if (!strategy_.behind) return std::nullopt;
    for (; !put_off_.empty(); put_off_.pop_back())
      if (!done_[put_off_.back()]) return goal_of(put_off_.back());
    return std::nullopt;
  }

  /// What a task that could run is for: the first task behind it that needs others too, or is
  /// needed by many.
  Task goal_of(Task task) const {
    while (shape_.dag.of(task).size() < 2 || missing_[task] == 0) {
      const auto dependents = shape_.dependents.of(task);
      if (dependents.size() != 1) break;
      task = dependents[0];
    }
    return task;
  }

  const Shape& shape_;
  const Strategy strategy_;
  std::vector<std::uint32_t> missing_;  // By task: how many of its dependencies have not run.
  std::vector<std::uint32_t> users_;    // How many of its dependents have not run.
  std::vector<std::uint32_t> closed_;   // How many of the missing follow from what is put off.
  std::vector<std::uint8_t> done_;
  std::vector<std::uint8_t> counted_;    // Whether it is counted in its dependent's `closed_`.
  std::vector<std::uint8_t> gathering_;  // Whether it is, or has been, a target for that.
  std::vector<Task> sequence_;
  std::vector<Task> path_;        // What the target needs; the last is next.
  std::vector<Task> fresh_;       // Can run since just now, or frees something since just now.
  std::vector<Task> costly_;      // Of the fresh: what would only add to what is held.
  std::vector<Task> put_off_;     // What could run for longer.
  std::vector<Task> gatherings_;  // Perhaps: all that they miss is put off.
  using Near = std::tuple<std::uint32_t, float, Task>;
  // Tasks with some inputs there.
  std::priority_queue<Near, std::vector<Near>, std::greater<>> near_;
};

}  // namespace

std::optional<Shape> shape_of(const Dag& dag) {
  Shape shape{.dag = dag, .dependents = dependents_of(dag), .total = {}, .width = {}};
  const std::vector<Task> sequence = topological(dag, shape.dependents);
  if (sequence.size() < dag.size()) return std::nullopt;
  measure_dependencies(shape, sequence);
  sort_dependents(shape, sequence);
  return shape;
}

std::vector<Task> walk(const Shape& shape, Strategy strategy) {
  return Walk(shape, strategy).run();
}

}  // namespace rask::graph::ordering
