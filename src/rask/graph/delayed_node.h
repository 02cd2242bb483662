#pragma once
// A lazy call without its types: what is planned, drawn, sent to a cluster, or run here. Internal;
// the public face is rask/client/delayed.h.
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rask/graph/key.h"
#include "rask/graph/order.h"
#include "rask/graph/task.h"
#include "rask/graph/value.h"

namespace rask {

/// What can be asked for beside a lazy call, by name: delayed<f>({.retries = 2}, x).
struct DelayedOptions {
  std::string name = {};                  // The key; else from the function and a number.
  bool pure = false;                      // The same call is the same key, and runs once.
  std::vector<std::string> workers = {};  // Addresses, names or hosts that may run it.
  bool allow_other_workers = false;       // … but others may if none of these can.
  std::map<std::string, double> resources = {};
  int retries = 0;
  int priority = 0;  // Higher runs earlier.
};

namespace internal {

/// Where a result lives while a graph is computed in this process. Small ones need no allocation.
class Slot {
 public:
  template <class T>
  T& as() {
    if constexpr (kInside<T>)
      return *std::launder(reinterpret_cast<T*>(bytes_));
    else
      return **std::launder(reinterpret_cast<T**>(bytes_));
  }
  /// `make()` gives the value, which is built in its place.
  template <class T, class Make>
  void emplace(Make&& make) {
    if constexpr (kInside<T>)
      new (bytes_) T(make());
    else
      new (bytes_) T*(new T(make()));
  }
  template <class T>
  void destroy() {
    if constexpr (kInside<T>)
      as<T>().~T();
    else
      delete &as<T>();
  }

 private:
  static constexpr std::size_t kBytes = 16;
  template <class T>
  static constexpr bool kInside = sizeof(T) <= kBytes && alignof(T) <= alignof(void*);

  alignas(void*) unsigned char bytes_[kBytes];
};

/// The results of a call's dependencies, in the order in which it names them.
class Inputs {
 public:
  Inputs(Slot* slots, const std::uint32_t* next) : slots_(slots), next_(next) {}
  Slot& take() { return slots_[*next_++]; }

 private:
  Slot* slots_;
  const std::uint32_t* next_;
};

struct Plan;
using OutsideValues = std::vector<std::pair<Key, TaskValue>>;

class DelayedNode {
 public:
  DelayedNode() = default;
  virtual ~DelayedNode();
  DelayedNode(const DelayedNode&) = delete;
  DelayedNode& operator=(const DelayedNode&) = delete;

  /// In the order of the arguments; one that is used twice comes twice.
  virtual void add_dependencies(std::vector<const DelayedNode*>& to) const = 0;
  /// Calls the function and leaves its result in the slot. Throws what the function throws.
  virtual void run(Inputs inputs, Slot& result) const = 0;
  virtual void* object(Slot& result) const = 0;
  virtual void destroy(Slot& result) const = 0;
  /// The result as tasks of workers know it; no longer there than the slot's content.
  virtual TaskValue view(Slot& result) const = 0;
  /// Leaves a result that came from another process in the slot. Throws ArgumentError.
  virtual void read(const wire::Payload& payload, Slot& result) const = 0;
  /// Values that the call names by key and that are no results of other calls: those of futures.
  virtual void add_outside_values(OutsideValues& to) const = 0;
  /// The call as it is sent to a worker.
  virtual void write(TaskWriter& call) const = 0;
  /// The function's name.
  virtual const std::string& function() const = 0;

  /// From the options' name, or the call; the same every time.
  const Key& key() const;
  DelayedOptions options() const;
  void set_options(DelayedOptions options);

  void retain() const { count_.fetch_add(1, std::memory_order_relaxed); }
  void release() const;

 private:
  struct Details;
  friend Plan plan_of(std::span<const DelayedNode* const> targets);
  const Key& own_key() const;

  mutable std::atomic<std::uint32_t> count_{1};
  mutable std::uint32_t mark_ = 0;  // While a plan is made: its place in it, from 1.
  mutable std::atomic<Details*> details_ = nullptr;  // Most calls need none.
};

/// Where the numbers in keys come from: 64 random bits each time. Until it is said, they count up.
using RandomSource = std::uint64_t (*)();
void set_random_source(RandomSource source);

/// The lazy call whose function runs on this thread in this process; null: none, or a task of a
/// worker.
const DelayedNode* current_call();
class CallScope {
 public:
  explicit CallScope(const DelayedNode& node);
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  const DelayedNode* outer_;
};

/// Holds a node.
class NodeRef {
 public:
  NodeRef() = default;
  explicit NodeRef(const DelayedNode* fresh) : node_(fresh) {}  // Takes the first reference.
  NodeRef(const NodeRef& other) : node_(other.node_) {
    if (node_ != nullptr) node_->retain();
  }
  NodeRef(NodeRef&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  NodeRef& operator=(NodeRef other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~NodeRef() {
    if (node_ != nullptr) node_->release();
  }
  const DelayedNode* get() const { return node_; }
  const DelayedNode* operator->() const { return node_; }

 private:
  const DelayedNode* node_ = nullptr;
};

/// What some targets need, each once, behind what it needs itself.
struct Plan {
  std::vector<const DelayedNode*> nodes;
  std::vector<std::uint32_t> targets;  // Places in nodes.
  std::vector<NodeRef> held;           // The targets, which hold all others.
  // Of each node: dependencies as its call names them, and dependents, as often as they name it.
  std::vector<std::uint32_t> dependency_offsets;
  std::vector<std::uint32_t> dependencies;

  std::span<const std::uint32_t> dependencies_of(std::uint32_t place) const {
    return std::span(dependencies)
        .subspan(dependency_offsets[place],
                 dependency_offsets[place + 1] - dependency_offsets[place]);
  }
  /// A sequence of places for a cluster, as graph::order finds it.
  std::vector<std::uint32_t> ordered() const;
};

Plan plan_of(std::span<const DelayedNode* const> targets);

/// A failure that was no C++ exception of this thread.
struct ForeignFailure {
  TaskFailure failure;
};

/// The run_spec and dependencies of a node.
struct WrittenCall {
  std::vector<Key> dependencies;
  wire::Payload run_spec;
};
WrittenCall written_call(const DelayedNode& node);
/// What that run_spec needs, by key; no longer there than the inputs.
std::unordered_map<Key, TaskValue> values_for(const DelayedNode& node, Inputs inputs);

/// How one call is drawn.
struct Paint {
  std::string note;  // Below its name.
  std::string fill;  // Colours of graphviz; empty: none.
  std::string font;
};
/// From blue (runs first) to red (last), by Plan::ordered.
std::vector<Paint> painted_by_order(const Plan& plan);

/// The graph in the language of graphviz: calls as circles, results as boxes, as Dask draws them.
/// `paints`: of each node, or none at all.
std::string to_dot(const Plan& plan, std::span<const Paint> paints);

}  // namespace internal
}  // namespace rask
