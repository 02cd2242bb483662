#include "rask/graph/graph.h"

#include <stdexcept>

#include "rask/graph/order.h"

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
  constexpr std::uint32_t kUnseen = 0xffff'ffff;
  std::vector<std::uint32_t> number(nodes_.size(), kUnseen);  // Of the needed ones.
  std::vector<std::size_t> needed;
  const auto enter = [&](const Key& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return kUnseen;  // Of another graph.
    if (number[found->second] == kUnseen) {
      number[found->second] = static_cast<std::uint32_t>(needed.size());
      needed.push_back(found->second);
    }
    return number[found->second];
  };
  for (const Key& key : wanted) enter(key);
  std::vector<std::uint32_t> offsets{0};
  std::vector<std::uint32_t> dependencies;
  for (std::size_t i = 0; i < needed.size(); ++i) {
    for (const Key& dependency : nodes_[needed[i]].dependencies)
      if (const auto one = enter(dependency); one != kUnseen) dependencies.push_back(one);
    offsets.push_back(static_cast<std::uint32_t>(dependencies.size()));
  }
  const auto sequence = graph::order({.offsets = offsets, .dependencies = dependencies});
  if (!sequence) throw std::invalid_argument{"tasks of the graph need each other in a circle"};
  std::vector<std::size_t> places;
  for (const std::uint32_t one : *sequence) places.push_back(needed[one]);
  return places;
}

}  // namespace rask
