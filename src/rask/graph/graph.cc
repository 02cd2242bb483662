#include "rask/graph/graph.h"

#include <stdexcept>

namespace rask {

void Graph::insert(const Key& key, TaskWriter& call) {
  if (!places_.emplace(key, nodes_.size()).second)
    throw std::invalid_argument{"the graph has a task " + key.str() + " already"};
  nodes_.push_back(GraphNode{key, call.take_dependencies(), call.take(key)});
}

const GraphNode* Graph::find(const Key& key) const {
  const auto found = places_.find(key);
  return found == places_.end() ? nullptr : &nodes_[found->second];
}

std::vector<std::size_t> Graph::ordered(std::span<const Key> wanted) const {
  struct Visit {
    std::size_t node;
    std::size_t next_dependency;
  };
  std::vector<std::size_t> order;
  std::vector<bool> seen(nodes_.size(), false);
  std::vector<Visit> path;  // A graph may be deeper than the stack.
  const auto enter = [&](const Key& key) {
    const auto found = places_.find(key);
    if (found == places_.end() || seen[found->second]) return;
    seen[found->second] = true;
    path.push_back({found->second, 0});
  };
  for (const Key& key : wanted) {
    enter(key);
    while (!path.empty()) {
      Visit& visit = path.back();
      const GraphNode& node = nodes_[visit.node];
      if (visit.next_dependency < node.dependencies.size()) {
        enter(node.dependencies[visit.next_dependency++]);
      } else {
        order.push_back(visit.node);
        path.pop_back();
      }
    }
  }
  return order;
}

}  // namespace rask
