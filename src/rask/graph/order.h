#pragma once
// The order in which the tasks of a graph should run.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace rask::graph {

/// A graph by numbers: task `i` needs the tasks dependencies[offsets[i] .. offsets[i + 1]), each
/// named once. One offset more than there are tasks.
struct Dag {
  std::span<const std::uint32_t> offsets;
  std::span<const std::uint32_t> dependencies;

  std::uint32_t size() const { return static_cast<std::uint32_t>(offsets.size() - 1); }
  std::span<const std::uint32_t> of(std::uint32_t task) const {
    return dependencies.subspan(offsets[task], offsets[task + 1] - offsets[task]);
  }
};

/// The tasks in the order in which a single thread should run them so that few results wait in
/// memory at a time: branches are finished before others are begun, what was fanned out is gathered
/// again soon. Nothing if the tasks need each other in a circle. Takes time in proportion to the
/// edges, or little more. Like `dask.order.order`, whose purpose it has; the place in this sequence
/// is the priority.
std::optional<std::vector<std::uint32_t>> order(const Dag& dag);

/// The most results that are held at a time when the tasks run in that order: one is held from when
/// its task has run until its last dependent has; one that no task needs is not.
std::uint32_t peak_held(const Dag& dag, std::span<const std::uint32_t> sequence);

}  // namespace rask::graph

/// `order` for other languages. Takes offsets (one more than tasks) and dependencies; fills, one
/// number a task, the tasks in their order, and for each place in it the place of the last task
/// that needs that one (0 for none). Returns 0 if the tasks need each other in a circle.
extern "C" int rask_order(std::size_t task_count, const std::uint32_t* offsets,
                          const std::uint32_t* dependencies, std::uint32_t* sequence,
                          std::uint32_t* last_use);
