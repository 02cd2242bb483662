#pragma once
// One way through a graph, for graph/order.h: what is known of the graph beforehand, and a walk by
// given rules. Not for users of rask.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "rask/graph/order.h"

namespace rask::graph::ordering {

using Task = std::uint32_t;

/// Lists of tasks, one for each task, one after another.
struct Edges {
  std::vector<std::uint32_t> offsets;
  std::vector<Task> tasks;

  std::span<const Task> of(Task task) const {
    return std::span(tasks).subspan(offsets[task], offsets[task + 1] - offsets[task]);
  }
  std::span<Task> of(Task task) {
    return std::span(tasks).subspan(offsets[task], offsets[task + 1] - offsets[task]);
  }
};

/// What of a graph is the same however it is walked. All three are estimates that take the graph
/// for a tree.
struct Shape {
  Dag dag;
  Edges dependents;          // Of each task: first what leads to most.
  std::vector<float> total;  // How many tasks must run to have this one.
  std::vector<float> width;  // How many results are held at a time on the way to this one.
};

/// Nothing if the tasks need each other in a circle. What the Dag refers to must outlive the shape.
std::optional<Shape> shape_of(const Dag& dag);

/// Which task that no other needs is begun with.
enum class Leaf : std::uint8_t {
  as_given,
  smallest,  // Which has fewest tasks before it.
  largest,
};

/// What comes next when a task and what it needed has run.
enum class Next : std::uint8_t {
  leaf,     // The next leaf.
  nearest,  // What lacks fewest inputs.
  oldest,   // What has one input and frees a result that waits long.
};

/// What no rule decides best for every graph.
struct Strategy {
  Leaf leaf;
  Next next;
  bool gather;  // At once: what was fanned out and can be gathered without other inputs.
  bool behind;  // Before the next leaf: what follows from a task that could run.
};

/// All tasks, each behind what it needs. A target is chosen and reached by the shortest way; what
/// frees memory on that way runs at once; the next target is chosen from what touches the results
/// that are held.
std::vector<Task> walk(const Shape& shape, Strategy strategy);

}  // namespace rask::graph::ordering
