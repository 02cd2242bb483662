#include "rask/graph/order.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <numeric>
#include <random>
#include <ranges>
#include <utility>

#include "rask/base/assert.h"
#include "rask/graph/order_walk.h"

namespace rask::graph {
namespace {

using namespace ordering;

/// A walk through the graph, or through the graph turned round, which gives an order from its end.
struct Way {
  bool from_end;
  Strategy strategy;
};

/// Each is the best for some of thousands of graphs: those of Dask's collections and tests, and
/// drawn ones. In the order in which they help.
constexpr std::array kWays{
    Way{false, {.leaf = Leaf::as_given, .next = Next::oldest, .gather = true, .behind = true}},
    Way{false, {.leaf = Leaf::smallest, .next = Next::leaf, .gather = false, .behind = false}},
    Way{false, {.leaf = Leaf::as_given, .next = Next::nearest, .gather = true, .behind = false}},
    Way{true, {.leaf = Leaf::smallest, .next = Next::nearest, .gather = true, .behind = true}},
    Way{false, {.leaf = Leaf::smallest, .next = Next::oldest, .gather = false, .behind = true}},
    Way{false, {.leaf = Leaf::largest, .next = Next::oldest, .gather = true, .behind = false}},
    Way{true, {.leaf = Leaf::as_given, .next = Next::oldest, .gather = false, .behind = true}},
    Way{true, {.leaf = Leaf::smallest, .next = Next::oldest, .gather = false, .behind = true}},
    Way{false, {.leaf = Leaf::largest, .next = Next::nearest, .gather = false, .behind = false}},
    Way{true, {.leaf = Leaf::smallest, .next = Next::leaf, .gather = true, .behind = false}},
};
constexpr std::size_t kWaysIfLarge = 4;
constexpr std::uint32_t kLarge = 1 << 15;  // Tasks, above which more would take too long.
constexpr std::uint32_t kSmall = 1 << 11;  // Up to which there is time to try again, so many times:
constexpr std::uint32_t kRenumberings = 4;

/// No order can hold fewer results than some task has inputs, and itself.
std::uint32_t least_held(const Shape& shape) {
  std::size_t least = 0;
  for (Task task = 0; task < shape.dag.size(); ++task) {
    const bool held = !shape.dependents.of(task).empty();
    least = std::max(least, shape.dag.of(task).size() + (held ? 1 : 0));
  }
  return static_cast<std::uint32_t>(least);
}

Dag turned_round(const Shape& shape) {
  return {.offsets = shape.dependents.offsets, .dependencies = shape.dependents.tasks};
}

/// The same order, but what only fills memory is put off for as long as that can be. From the end:
/// whatever only frees memory there, since others need its inputs too, is placed at once. This is
/// one of the two passes of "justification" (Valls, Ballestin, Quintanilla, "Justification and
/// RCPSP: a technique that pays", 2005); no more results are held than before.
class PutOff {
 public:
  explicit PutOff(const Shape& shape)
      : shape_(shape),
        users_(shape.dag.size()),
        unused_(shape.dag.size()),
        used_(shape.dag.size()),
        placed_(shape.dag.size()) {
    for (Task task = 0; task < shape.dag.size(); ++task) {
      users_[task] = static_cast<std::uint32_t>(shape.dependents.of(task).size());
      unused_[task] = static_cast<std::uint32_t>(shape.dag.of(task).size());
    }
  }

  std::vector<Task> run(std::span<const Task> sequence) {
    backwards_.reserve(sequence.size());
    for (const Task task : std::views::reverse(sequence)) {
      ready_.push_back(task);
      while (!ready_.empty()) {
        const Task next = ready_.back();
        ready_.pop_back();
        if (!std::exchange(placed_[next], 1)) place(next);
      }
    }
    std::ranges::reverse(backwards_);
    return std::move(backwards_);
  }

 private:
  void place(Task task) {
    backwards_.push_back(task);
    for (const Task dependency : shape_.dag.of(task)) {
      if (!std::exchange(used_[dependency], 1))
        for (const Task other : shape_.dependents.of(dependency))
          if (--unused_[other] == 0) see(other);
      if (--users_[dependency] == 0) see(dependency);
    }
  }

  void see(Task task) {
    if (users_[task] == 0 && unused_[task] == 0 && !shape_.dependents.of(task).empty())
      ready_.push_back(task);
  }

  const Shape& shape_;
  std::vector<std::uint32_t> users_;   // By task: how many of its dependents have not been placed.
  std::vector<std::uint32_t> unused_;  // How many of its dependencies no placed task needs.
  std::vector<std::uint8_t> used_;     // Whether a placed task needs it.
  std::vector<std::uint8_t> placed_;
  std::vector<Task> ready_;
  std::vector<Task> backwards_;
};

struct Best {
  std::uint32_t peak = std::numeric_limits<std::uint32_t>::max();
  std::vector<Task> sequence = {};
};

Best best_way(const Shape& shape, std::uint32_t least) {
  std::optional<Shape> turned;
  Best best;
  const bool large = shape.dag.size() > kLarge;
  for (const Way& way : std::span(kWays).first(large ? kWaysIfLarge : kWays.size())) {
    if (way.from_end && !turned) turned = shape_of(turned_round(shape));
    std::vector<Task> sequence = walk(way.from_end ? *turned : shape, way.strategy);
    if (way.from_end) std::ranges::reverse(sequence);
    RASK_ASSERT(sequence.size() == shape.dag.size());
    if (!large) sequence = PutOff(shape).run(sequence);
    const std::uint32_t peak = peak_held(shape.dag, sequence);
    if (peak < best.peak) best = {peak, std::move(sequence)};
    if (best.peak <= least) break;
  }
  if (large) best.sequence = PutOff(shape).run(best.sequence);
  return best;
}

/// The same graph with other numbers for its tasks. Of two that are alike a walk takes the one with
/// the lower number, and that is luck.
class Renumbered {
 public:
  Renumbered(const Shape& shape, std::uint32_t seed) : names_(shape.dag.size()) {
    std::iota(names_.begin(), names_.end(), Task{0});
    std::ranges::shuffle(names_, std::mt19937{seed});
    std::vector<Task> number_of(names_.size());
    for (Task number = 0; number < names_.size(); ++number) number_of[names_[number]] = number;
    dependencies_.reserve(shape.dag.dependencies.size());
    for (const Task name : names_) {
      for (const Task dependency : shape.dag.of(name))
        dependencies_.push_back(number_of[dependency]);
      offsets_.push_back(static_cast<std::uint32_t>(dependencies_.size()));
    }
  }

  Dag dag() const { return {.offsets = offsets_, .dependencies = dependencies_}; }
  Task name_of(Task number) const { return names_[number]; }

 private:
  std::vector<Task> names_;
  std::vector<std::uint32_t> offsets_{0};
  std::vector<Task> dependencies_;
};

}  // namespace

std::optional<std::vector<std::uint32_t>> order(const Dag& dag) {
  const auto shape = shape_of(dag);
  if (!shape) return std::nullopt;
  const std::uint32_t least = least_held(*shape);
  Best best = best_way(*shape, least);
  if (dag.size() > kSmall) return std::move(best.sequence);
  for (std::uint32_t seed = 1; seed <= kRenumberings && best.peak > least; ++seed) {
    const Renumbered other{*shape, seed};
    Best found = best_way(shape_of(other.dag()).value(), least);
    if (found.peak >= best.peak) continue;
    for (Task& task : found.sequence) task = other.name_of(task);
    best = std::move(found);
  }
  return std::move(best.sequence);
}

std::uint32_t peak_held(const Dag& dag, std::span<const std::uint32_t> sequence) {
  std::vector<std::uint32_t> users(dag.size());
  for (const Task dependency : dag.dependencies) ++users[dependency];
  std::uint32_t held = 0;
  std::uint32_t peak = 0;
  for (const Task task : sequence) {
    if (users[task] > 0) ++held;
    peak = std::max(peak, held);
    for (const Task dependency : dag.of(task))
      if (--users[dependency] == 0) --held;
  }
  return peak;
}

}  // namespace rask::graph

int rask_order(std::size_t task_count, const std::uint32_t* offsets,
               const std::uint32_t* dependencies, std::uint32_t* sequence,
               std::uint32_t* last_use) {
  const rask::graph::Dag dag{.offsets = {offsets, task_count + 1},
                             .dependencies = {dependencies, offsets[task_count]}};
  const auto found = rask::graph::order(dag);
  if (!found) return 0;
  std::ranges::copy(*found, sequence);
  std::vector<std::uint32_t> place(task_count);
  for (std::uint32_t number = 0; number < task_count; ++number) place[sequence[number]] = number;
  std::fill_n(last_use, task_count, 0);
  for (std::uint32_t number = 0; number < task_count; ++number)
    for (const std::uint32_t dependency : dag.of(sequence[number]))
      last_use[place[dependency]] = number;
  return 1;
}
