#pragma once
// A task graph made by hand: calls under keys, with other calls as their arguments.
//
//   rask::Graph graph;
//   auto x = graph.add<inc>("x", 1);           // rask::Node<int>
//   auto y = graph.add<add>("y", x, 10);
//   int seven = client.compute(graph, y).result();
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rask/graph/call.h"
#include "rask/graph/key.h"
#include "rask/graph/task.h"

namespace rask {

// The result, in time, of one task of a Graph.
template <class T>
class Node {
 public:
  using result_type = T;
  struct is_result_handle {};

  explicit Node(Key key) : key_(std::move(key)) {}
  const Key& key() const { return key_; }

 private:
  Key key_;
};

struct GraphNode {
  Key key;
  std::vector<Key> dependencies;
  wire::Payload run_spec;
};

class Graph {
 public:
  // Adds a call under a key that the graph has not yet.
  //   throws  std::invalid_argument: it has.
  template <auto F, class... A>
  auto add(Key key, const A&... arguments) {
    using Parameters = typename Function<F>::Parameters;
    return add_call<typename Function<F>::Result, Parameters>(std::move(key), Function<F>::name(),
                                                              arguments...);
  }
  template <auto F, class... A>
  auto add(std::string_view key, const A&... arguments) {
    return add<F>(Key{key}, arguments...);
  }
  template <class Signature, class... A>
  auto add(const FunctionHandle<Signature>& function, std::string_view key, const A&... arguments) {
    using Handle = FunctionHandle<Signature>;
    return add_call<typename Handle::Result, typename Handle::Parameters>(Key{key}, function.name(),
                                                                          arguments...);
  }

  const std::vector<GraphNode>& nodes() const { return nodes_; }
  const GraphNode* find(const Key& key) const;  // null: not there

  // The places in nodes() of what `wanted` needs, each after what it needs, and near to it so that
  // few results are held at a time. Keys of other graphs (futures) are passed over.
  //   throws  std::invalid_argument: tasks need each other in a circle.   see  graph/order.h
  std::vector<std::size_t> ordered(std::span<const Key> wanted) const;

 private:
  template <class R, class Parameters, class... A>
  Node<std::remove_cvref_t<R>> add_call(Key key, std::string_view function, const A&... arguments) {
    TaskWriter call;
    write_call<Parameters>(call, function, arguments...);
    insert(key, call);
    return Node<std::remove_cvref_t<R>>{std::move(key)};
  }
  void insert(const Key& key, TaskWriter& call);

  std::vector<GraphNode> nodes_;
  std::unordered_map<Key, std::size_t> places_;
};

}  // namespace rask
