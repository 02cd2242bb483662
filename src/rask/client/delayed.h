#pragma once
// Lazy calls: a graph is written once and computed on threads, in processes or on a cluster.
//
//   auto table  = rask::delayed<load>(path);          // rask::Delayed<Table>; nothing runs yet
//   auto report = rask::delayed<summarize>(std::vector{rask::delayed<analyze>(table)});
//   Report r = report.compute();                           // where rask::set_scheduler says
//   Report s = report.compute(client);                     // or rask::threads, rask::processes …
//   auto [a, b] = rask::compute(table, report);            // what they share runs once
//   rask::Future<Report> held = client.persist(report);
//
// A Delayed is a handle: copying one copies a pointer, and many threads may use it at a time. What
// it was made from is kept as long as it lives. Source: dask/delayed.py, dask/threaded.py.
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "rask/client/client.h"
#include "rask/client/errors.h"
#include "rask/client/future.h"
#include "rask/graph/delayed_call.h"
#include "rask/graph/delayed_node.h"

namespace rask {

// ---- Where graphs are computed ------------------------------------------------------------------

/// In the caller's thread, one task after the other: for looking for mistakes.
struct Synchronous {};
/// In threads of this process; results are handed on by reference. num_workers: 0 for one a core.
struct Threads {
  int num_workers = 0;
};

/// In processes of this program on this machine, without a network: for functions that crash, leak
/// or share what they should not. Needs rask::init at the beginning of main.
struct Processes {
  int num_workers = 0;
};

inline constexpr Synchronous synchronous{};
inline constexpr Threads threads{};
inline constexpr Processes processes{};

/// One of the above, or a Client.
class Where {
 public:
  Where(Synchronous) : num_workers_(1) {}
  Where(Threads own) : num_workers_(own.num_workers) {}
  Where(Processes own) : num_workers_(own.num_workers), in_processes_(true) {}
  Where(Client& client) : client_(&client) {}

  Client* client() const { return client_; }        // Null: in this process.
  int num_workers() const { return num_workers_; }  // 0: one for each core.
  bool in_processes() const { return in_processes_; }

 private:
  Client* client_ = nullptr;
  int num_workers_ = 0;
  bool in_processes_ = false;
};

/// Where compute() without a place computes from now on (a client: until its end); nullopt: as if
/// it had not been said, which is what the settings `scheduler` ("threads", "processes",
/// "synchronous", "distributed") and `num_workers` say, else the client that was made last, else
/// threads.
void set_scheduler(std::optional<Where> where);
///   throws  ClientError: the setting `scheduler` names none, or there is no client
Where default_scheduler();

/// A result or why there is none.
template <class T>
struct Outcome {
  std::optional<T> value;
  std::optional<TaskError> error;

  bool ok() const { return value.has_value(); }
};

/// For compute(): no failure is thrown; what does not depend on failed tasks runs to its end.
struct CollectErrors {};
inline constexpr CollectErrors collect_errors{};

enum class Colour { none, order, status };

namespace internal {

/// Targets that have been computed.
class Computation {
 public:
  virtual ~Computation() = default;
  /// The result in this process; null: it is elsewhere.
  virtual void* object(std::size_t target) = 0;
  /// No later target is the same one: its result may be moved from.
  virtual bool is_last(std::size_t target) = 0;
  virtual wire::Payload payload(std::size_t target) = 0;
  virtual Key key(std::size_t target) = 0;
  virtual std::optional<TaskError> error(std::size_t target) = 0;
};

///   throws  TaskError (not if errors are collected), and what waiting for futures throws
std::unique_ptr<Computation> compute_nodes(const Where& where,
                                           std::vector<const DelayedNode*> targets, bool collect);
/// On `client`, for Colour::status; null: the one that was made last.
void visualize_nodes(std::vector<const DelayedNode*> targets, const std::string& path,
                     Colour colour, Client* client = nullptr);

template <class T>
T take_result(Computation& done, std::size_t target) {
  if (void* object = done.object(target)) {
    if constexpr (std::copyable<T>)
      if (!done.is_last(target)) return *static_cast<T*>(object);
    return std::move(*static_cast<T*>(object));
  }
  if constexpr (std::same_as<T, std::monostate>)
    return {};
  else
    return decode_result<T>(done.key(target), done.payload(target));
}

template <class T>
Outcome<T> take_outcome(Computation& done, std::size_t target) {
  if (auto error = done.error(target)) return {.value = std::nullopt, .error = std::move(error)};
  return {.value = take_result<T>(done, target), .error = std::nullopt};
}

}  // namespace internal

// ---- Lazy calls ---------------------------------------------------------------------------------

template <class T>
class Delayed {
 public:
  using result_type = T;
  struct is_result_handle {};

  Delayed() = default;  // Of no call: valid() is false, and nothing else can be done with it.
  explicit Delayed(internal::NodeRef node) : node_(std::move(node)) {}

  bool valid() const { return node_.get() != nullptr; }
  /// The task's key: the options' name, or the function's and a number.
  const Key& key() const { return node_->key(); }

  ///   throws  TaskError: a task threw; the first that did, with the keys from there to here
  T compute() const { return compute(default_scheduler()); }
  T compute(const Where& where) const {
    const auto done = internal::compute_nodes(where, {node_.get()}, false);
    if constexpr (!std::is_void_v<T>) return internal::take_result<T>(*done, 0);
  }
  Outcome<internal::StoredResult<T>> compute(const Where& where, CollectErrors) const {
    const auto done = internal::compute_nodes(where, {node_.get()}, true);
    return internal::take_outcome<internal::StoredResult<T>>(*done, 0);
  }

  /// Draws the graph with graphviz, which must be installed: .svg, .png, .pdf; .dot needs nothing.
  /// Colour::order says in which order it would run. Colour::status says of each call what has
  /// become of its task on the client that was made last (or on `client`), in the dashboard's
  /// colours: pending, finished, error, cancelled, lost, released (computed, and no longer needed),
  /// or not submitted.
  ///   throws  ClientError: it cannot be drawn or written; there is no client
  void visualize(const std::string& path = "mydask.svg", Colour colour = Colour::none) const {
    internal::visualize_nodes({node_.get()}, path, colour);
  }
  void visualize(const std::string& path, Client& client) const {
    internal::visualize_nodes({node_.get()}, path, Colour::status, &client);
  }

  const internal::NodeRef& node() const { return node_; }

 private:
  internal::NodeRef node_;
};

/// Makes a lazy call. Each argument is a value, a Delayed, a Future, or a list, map, tuple or
/// struct of such.
template <auto F, class... A>
auto delayed(const DelayedOptions& options, const A&... arguments) {
  using Parameters = typename Function<F>::Parameters;
  auto node = internal::make_call<F>(static_cast<Parameters*>(nullptr), arguments...);
  const_cast<internal::DelayedNode*>(node.get())->set_options(options);
  return Delayed<std::remove_cvref_t<typename Function<F>::Result>>{std::move(node)};
}
template <auto F, class... A>
  requires(!std::same_as<std::remove_cvref_t<A>, DelayedOptions> && ...)
auto delayed(const A&... arguments) {
  using Parameters = typename Function<F>::Parameters;
  return Delayed<std::remove_cvref_t<typename Function<F>::Result>>{
      internal::make_call<F>(static_cast<Parameters*>(nullptr), arguments...)};
}
/// As above, for what rask::register_function or rask::python gave a name.
template <class Signature, class... A>
auto delayed(const FunctionHandle<Signature>& function, const A&... arguments) {
  using Handle = FunctionHandle<Signature>;
  return Delayed<std::remove_cvref_t<typename Handle::Result>>{
      internal::make_named_call<typename Handle::Result>(
          function.name(), static_cast<typename Handle::Parameters*>(nullptr), arguments...)};
}

// ---- Several at once ----------------------------------------------------------------------------

/// The results of several lazy calls; what they share runs once.
///   throws  TaskError: a task threw
template <class... T>
std::tuple<internal::StoredResult<T>...> compute(const Where& where, const Delayed<T>&... calls) {
  const auto done = internal::compute_nodes(where, {calls.node().get()...}, false);
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    // Braces: from left to right.
    return std::tuple<internal::StoredResult<T>...>{
        internal::take_result<internal::StoredResult<T>>(*done, I)...};
  }(std::index_sequence_for<T...>{});
}
template <class... T>
auto compute(const Delayed<T>&... calls) {
  return compute(default_scheduler(), calls...);
}
template <class T>
std::vector<internal::StoredResult<T>> compute(const Where& where,
                                               const std::vector<Delayed<T>>& calls) {
  std::vector<const internal::DelayedNode*> nodes;
  nodes.reserve(calls.size());
  for (const Delayed<T>& call : calls) nodes.push_back(call.node().get());
  const auto done = internal::compute_nodes(where, std::move(nodes), false);
  std::vector<internal::StoredResult<T>> results;
  results.reserve(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i)
    results.push_back(internal::take_result<internal::StoredResult<T>>(*done, i));
  return results;
}
template <class T>
auto compute(const std::vector<Delayed<T>>& calls) {
  return compute(default_scheduler(), calls);
}

/// All results and all failures.
template <class... T>
std::tuple<Outcome<internal::StoredResult<T>>...> compute(const Where& where, CollectErrors,
                                                          const Delayed<T>&... calls) {
  const auto done = internal::compute_nodes(where, {calls.node().get()...}, true);
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::tuple<Outcome<internal::StoredResult<T>>...>{
        internal::take_outcome<internal::StoredResult<T>>(*done, I)...};
  }(std::index_sequence_for<T...>{});
}
template <class T>
std::vector<Outcome<internal::StoredResult<T>>> compute(const Where& where, CollectErrors,
                                                        const std::vector<Delayed<T>>& calls) {
  std::vector<const internal::DelayedNode*> nodes;
  for (const Delayed<T>& call : calls) nodes.push_back(call.node().get());
  const auto done = internal::compute_nodes(where, std::move(nodes), true);
  std::vector<Outcome<internal::StoredResult<T>>> outcomes;
  for (std::size_t i = 0; i < calls.size(); ++i)
    outcomes.push_back(internal::take_outcome<internal::StoredResult<T>>(*done, i));
  return outcomes;
}

/// Draws what several need together. See Delayed::visualize.
template <class... T>
void visualize(const std::string& path, Colour colour, const Delayed<T>&... calls) {
  internal::visualize_nodes({calls.node().get()...}, path, colour);
}

// ---- Parts of results ---------------------------------------------------------------------------

namespace internal {

template <class Tuple, std::size_t I>
std::tuple_element_t<I, Tuple> getitem(const Tuple& tuple) {
  return std::get<I>(tuple);
}
template <class List>
typename List::value_type getitem_at(const List& list, std::uint64_t index) {
  return list.at(index);
}

}  // namespace internal

/// One part of a result that is a tuple or a pair; Dask's `nout`. Also: auto [a, b] =
/// delayed<f>(x);
template <std::size_t I, class Tuple>
  requires internal::kIsTuple<Tuple>
auto get(const Delayed<Tuple>& call) {
  return delayed<&internal::getitem<Tuple, I>>(call);
}
/// The first `nout` items of a result that is a list, each a lazy call.
template <class List>
auto unpack(const Delayed<List>& call, std::size_t nout) {
  std::vector<Delayed<typename List::value_type>> items;
  for (std::uint64_t index = 0; index < nout; ++index)
    items.push_back(delayed<&internal::getitem_at<List>>(call, index));
  return items;
}

// ---- Calls that do not fail ---------------------------------------------------------------------

/// What rask::safe<f> gives.
template <class R>
struct Safe {
  std::string key;  // The first argument if it is text (a path, a URL), else empty.
  bool ok = false;
  std::optional<R> result;
  std::string error;  // "std::runtime_error: no such file"; empty if ok.
};

namespace internal {

template <class T>
std::string text_of_first(const T& first, const auto&...) {
  if constexpr (std::convertible_to<const T&, std::string>)
    return first;
  else
    return {};
}

template <auto F, class R, class... P>
struct SafeCall {
  static Safe<StoredResult<R>> call(P... arguments) {
    Safe<StoredResult<R>> safe;
    if constexpr (sizeof...(P) > 0) safe.key = text_of_first(arguments...);
    try {
      if constexpr (std::is_void_v<R>) {
        F(std::forward<P>(arguments)...);
        safe.result.emplace();
      } else {
        safe.result.emplace(F(std::forward<P>(arguments)...));
      }
      safe.ok = true;
    } catch (...) {
      const TaskFailure failure = failure_of_current_exception();
      safe.error = failure.type + ": " + failure.message;
    }
    return safe;
  }
};

template <auto F, class R, class... P>
consteval auto safe_call(R (*)(P...)) {
  return &SafeCall<F, R, P...>::call;
}

}  // namespace internal

/// A function like f that gives an exception as part of its result: delayed<rask::safe<f>>(path),
/// client.submit<rask::safe<f>>(path).
template <auto F>
inline constexpr auto safe =
    internal::safe_call<F>(static_cast<std::remove_pointer_t<decltype(F)>*>(nullptr));

}  // namespace rask

template <class... T>
struct std::tuple_size<rask::Delayed<std::tuple<T...>>>
    : std::integral_constant<std::size_t, sizeof...(T)> {};
template <std::size_t I, class... T>
struct std::tuple_element<I, rask::Delayed<std::tuple<T...>>> {
  using type = rask::Delayed<std::tuple_element_t<I, std::tuple<T...>>>;
};
template <class A, class B>
struct std::tuple_size<rask::Delayed<std::pair<A, B>>> : std::integral_constant<std::size_t, 2> {};
template <std::size_t I, class A, class B>
struct std::tuple_element<I, rask::Delayed<std::pair<A, B>>> {
  using type = rask::Delayed<std::tuple_element_t<I, std::pair<A, B>>>;
};
