#pragma once
// For tests of rooms below the client, which have no Delayed<T>: lazy calls with their types.
#include <type_traits>
#include <vector>

#include "rask/graph/delayed_call.h"
#include "rask/graph/delayed_node.h"

namespace rask::delayed_testing {

template <class T>
struct Handle {
  using result_type = T;
  struct is_result_handle {};
  internal::NodeRef ref;
  const internal::NodeRef& node() const { return ref; }
  const Key& key() const { return ref->key(); }
};

template <auto F, class... A>
auto call(const A&... arguments) {
  using Parameters = typename Function<F>::Parameters;
  return Handle<std::remove_cvref_t<typename Function<F>::Result>>{
      internal::make_call<F>(static_cast<Parameters*>(nullptr), arguments...)};
}

template <class T>
internal::Plan plan_of(const std::vector<Handle<T>>& targets) {
  std::vector<const internal::DelayedNode*> nodes;
  for (const Handle<T>& target : targets) nodes.push_back(target.ref.get());
  return internal::plan_of(nodes);
}

}  // namespace rask::delayed_testing
