#pragma once
// Lazy calls with their types: arguments that are values, lazy calls, futures, or lists, maps,
// tuples and structs of these. Internal; the public face is rask/client/delayed.h.
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rask/graph/aggregate.h"
#include "rask/graph/call.h"
#include "rask/graph/delayed_node.h"
#include "rask/graph/function.h"

namespace rask::internal {

template <class A>
concept DelayedHandle = ResultHandle<A> && requires(const A& handle) {
  { handle.node() } -> std::same_as<const NodeRef&>;
};

// ---- Reading results ----------------------------------------------------------------------------

template <class T>
struct OptionalItem {};
template <class T>
struct OptionalItem<std::optional<T>> {
  using type = T;
};

template <class V>
V or_throw(Result<V> read) {
  if (!read.ok()) throw ArgumentError{read.error().message};
  return std::move(read).value();
}

/// A result where a T is wanted: itself, or what kReadsAs promises.
template <class T, class U>
decltype(auto) read_as(const U& value) {
  if constexpr (std::same_as<T, U>) {
    return (value);
  } else if constexpr (std::is_arithmetic_v<T> && std::is_arithmetic_v<U>) {
    return static_cast<T>(value);
  } else if constexpr (std::same_as<T, std::shared_ptr<const U>>) {
    return T{std::make_shared<const U>(value)};
  } else if constexpr (requires { typename OptionalItem<T>::type; }) {
    return T{read_as<typename OptionalItem<T>::type>(value)};
  } else {  // By way of what would be sent.
    const std::shared_ptr<const void> owner{&value, [](const void*) {}};
    return T{or_throw(decode_payload<T>(encode_payload(value_type<U>(), owner, false)))};
  }
}

// ---- Arguments ----------------------------------------------------------------------------------
//
// Each kind: dependencies(to), outside(to), get(inputs) gives a T or a const T&, write(call).

template <class T>
struct ValueArgument {
  T value;

  void dependencies(std::vector<const DelayedNode*>&) const {}
  void outside(OutsideValues&) const {}
  const T& get(Inputs&) const { return value; }
  void write(TaskWriter& call) const { encode<T>(call.encoder(), value); }
};

template <class T, class U>
struct HandleArgument {
  NodeRef node;

  void dependencies(std::vector<const DelayedNode*>& to) const { to.push_back(node.get()); }
  void outside(OutsideValues&) const {}
  decltype(auto) get(Inputs& inputs) const {
    return read_as<T>(std::as_const(inputs.take().as<StoredResult<U>>()));
  }
  void write(TaskWriter& call) const { call.dependency(node->key()); }
};

/// A future of a cluster.
template <class T, class Future>
struct FutureArgument {
  Future future;

  void dependencies(std::vector<const DelayedNode*>&) const {}
  void outside(OutsideValues& to) const {
    to.emplace_back(future.key(), TaskValue::of(future.result()));
  }
  T get(Inputs&) const { return T{read_as<T>(future.result())}; }
  void write(TaskWriter& call) const { call.dependency(future.key()); }
};

template <class T, class Item>
struct ListArgument {
  std::vector<Item> items;

  void dependencies(std::vector<const DelayedNode*>& to) const {
    for (const Item& item : items) item.dependencies(to);
  }
  void outside(OutsideValues& to) const {
    for (const Item& item : items) item.outside(to);
  }
  T get(Inputs& inputs) const {
    T list;
    if constexpr (requires { list.reserve(items.size()); }) list.reserve(items.size());
    for (const Item& item : items) list.insert(list.end(), item.get(inputs));
    return list;
  }
  void write(TaskWriter& call) const {
    call.encoder().array(items.size());
    for (const Item& item : items) item.write(call);
  }
};

template <class T, class Item>
struct MapArgument {
  std::vector<std::pair<typename T::key_type, Item>> items;

  void dependencies(std::vector<const DelayedNode*>& to) const {
    for (const auto& [name, item] : items) item.dependencies(to);
  }
  void outside(OutsideValues& to) const {
    for (const auto& [name, item] : items) item.outside(to);
  }
  T get(Inputs& inputs) const {
    T map;
    for (const auto& [name, item] : items) map.emplace(name, item.get(inputs));
    return map;
  }
  void write(TaskWriter& call) const {
    call.encoder().map(items.size());
    for (const auto& [name, item] : items) {
      encode<typename T::key_type>(call.encoder(), name);
      item.write(call);
    }
  }
};

/// A tuple, a pair, or a struct whose fields are given as a tuple.
template <class T, class... Items>
struct TupleArgument {
  std::tuple<Items...> items;

  void dependencies(std::vector<const DelayedNode*>& to) const {
    std::apply([&](const auto&... item) { (item.dependencies(to), ...); }, items);
  }
  void outside(OutsideValues& to) const {
    std::apply([&](const auto&... item) { (item.outside(to), ...); }, items);
  }
  T get(Inputs& inputs) const {
    // Braces: from left to right.
    return std::apply([&](const auto&... item) { return T{item.get(inputs)...}; }, items);
  }
  void write(TaskWriter& call) const {
    call.encoder().array(sizeof...(Items));
    std::apply([&](const auto&... item) { (item.write(call), ...); }, items);
  }
};

// ---- What a call may give for a parameter -------------------------------------------------------

template <class A>
inline constexpr bool kIsTuple = false;
template <class... T>
inline constexpr bool kIsTuple<std::tuple<T...>> = true;
template <class A, class B>
inline constexpr bool kIsTuple<std::pair<A, B>> = true;

/// Anything in it that is computed first.
template <class A>
consteval bool holds_handles();

template <class Tuple>
consteval bool tuple_holds_handles() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return (holds_handles<std::remove_cvref_t<std::tuple_element_t<I, Tuple>>>() || ...);
  }(std::make_index_sequence<std::tuple_size_v<Tuple>>{});
}

template <class A>
inline constexpr bool kPlainStruct =
    std::is_aggregate_v<A> && !std::ranges::range<A> && !std::is_array_v<A> && !ResultHandle<A>;

template <class A>
using Fields = decltype(tie_fields(std::declval<const A&>()));

template <class A>
consteval bool holds_handles() {
  if constexpr (ResultHandle<A> || HandleList<A> || HandleMap<A>)
    return true;
  else if constexpr (kIsTuple<A>)
    return tuple_holds_handles<A>();
  else if constexpr (kPlainStruct<A>)
    return tuple_holds_handles<Fields<A>>();
  else
    return false;
}

/// The types of the fields of a parameter that takes a tuple of arguments.
template <class T>
struct FieldTypes {};
template <class T>
  requires kIsTuple<T>
struct FieldTypes<T> {
  using type = T;
};
template <class T>
  requires kPlainStruct<T>
struct FieldTypes<T> {
  using type = Fields<T>;
};

template <class A, class Parameter>
consteval bool delayed_argument_fits();

template <class T, class Given>
consteval bool tuple_fits() {
  if constexpr (!requires { typename FieldTypes<T>::type; }) {
    return false;
  } else {
    using Wanted = typename FieldTypes<T>::type;
    if constexpr (std::tuple_size_v<Wanted> != std::tuple_size_v<Given>)
      return false;
    else
      return []<std::size_t... I>(std::index_sequence<I...>) {
        return (delayed_argument_fits<std::remove_cvref_t<std::tuple_element_t<I, Given>>,
                                      std::tuple_element_t<I, Wanted>>() &&
                ...);
      }(std::make_index_sequence<std::tuple_size_v<Wanted>>{});
  }
}

template <class A, class Parameter>
consteval bool delayed_argument_fits() {
  using T = std::remove_cvref_t<Parameter>;
  if constexpr (!holds_handles<A>() || ResultHandle<A> || HandleList<A> || HandleMap<A>)
    return argument_fits<A, Parameter>();
  else if constexpr (kIsTuple<A>)
    return tuple_fits<T, A>();
  else
    return tuple_fits<T, Fields<A>>();
}

template <class T, class A>
auto keep_argument(const A& argument);

template <class T, class Tuple, std::size_t... I>
auto keep_fields(const Tuple& fields, std::index_sequence<I...>) {
  using Wanted = typename FieldTypes<T>::type;
  auto items = std::tuple{
      keep_argument<std::remove_cvref_t<std::tuple_element_t<I, Wanted>>>(std::get<I>(fields))...};
  return [&]<class... Items>(std::tuple<Items...>& kept) {
    return TupleArgument<T, Items...>{std::move(kept)};
  }(items);
}

template <class T, class A>
auto keep_argument(const A& argument) {
  if constexpr (DelayedHandle<A>) {
    if (argument.node().get() == nullptr)
      throw std::invalid_argument{"rask: an argument of this call is a Delayed of no call"};
    return HandleArgument<T, typename A::result_type>{argument.node()};
  } else if constexpr (ResultHandle<A>) {
    return FutureArgument<T, A>{argument};
  } else if constexpr (HandleMap<A>) {
    using Item = decltype(keep_argument<typename T::mapped_type>(argument.begin()->second));
    MapArgument<T, Item> map;
    for (const auto& [name, handle] : argument)
      map.items.emplace_back(name, keep_argument<typename T::mapped_type>(handle));
    return map;
  } else if constexpr (HandleList<A>) {
    using Item = decltype(keep_argument<typename T::value_type>(*std::ranges::begin(argument)));
    ListArgument<T, Item> list;
    for (const auto& handle : argument)
      list.items.push_back(keep_argument<typename T::value_type>(handle));
    return list;
  } else if constexpr (holds_handles<A>() && kIsTuple<A>) {
    return keep_fields<T>(argument, std::make_index_sequence<std::tuple_size_v<A>>{});
  } else if constexpr (holds_handles<A>()) {
    return keep_fields<T>(tie_fields(argument),
                          std::make_index_sequence<std::tuple_size_v<Fields<A>>>{});
  } else if constexpr (std::is_arithmetic_v<A> && std::is_arithmetic_v<T>) {
    return ValueArgument<T>{static_cast<T>(argument)};
  } else {
    return ValueArgument<T>{T(argument)};
  }
}

// ---- Nodes --------------------------------------------------------------------------------------

template <class T>
class TypedNode : public DelayedNode {
 public:
  void* object(Slot& result) const final { return &result.as<T>(); }
  void destroy(Slot& result) const final { result.destroy<T>(); }
  TaskValue view(Slot& result) const final {
    return TaskValue::share<T>(std::shared_ptr<const T>{&result.as<T>(), [](const T*) {}});
  }
  void read(const wire::Payload& payload, Slot& result) const final {
    result.emplace<T>([&] { return or_throw(decode_payload<T>(payload)); });
  }
};

/// What is the same of all calls with these kinds of arguments.
template <class T, class... Arguments>
class CallNodeBase : public TypedNode<T> {
 public:
  explicit CallNodeBase(Arguments... arguments) : arguments_(std::move(arguments)...) {}

  void add_dependencies(std::vector<const DelayedNode*>& to) const final {
    std::apply([&](const auto&... argument) { (argument.dependencies(to), ...); }, arguments_);
  }
  void add_outside_values(OutsideValues& to) const final {
    std::apply([&](const auto&... argument) { (argument.outside(to), ...); }, arguments_);
  }
  void write(TaskWriter& call) const final {
    call.begin(this->function(), sizeof...(Arguments));
    std::apply([&](const auto&... argument) { (argument.write(call), ...); }, arguments_);
  }

 protected:
  std::tuple<Arguments...> arguments_;
};

/// A parameter that takes its argument apart gets one of its own.
template <class P, class Argument>
decltype(auto) pass(const Argument& argument, Inputs& inputs) {
  if constexpr (std::is_rvalue_reference_v<P>)
    return std::remove_cvref_t<P>(argument.get(inputs));
  else
    return argument.get(inputs);
}

/// A call of a function that is known here.
template <auto F, class... Arguments>
class CallNode final
    : public CallNodeBase<StoredResult<typename Function<F>::Result>, Arguments...> {
 public:
  using CallNodeBase<StoredResult<typename Function<F>::Result>, Arguments...>::CallNodeBase;

  void run(Inputs inputs, Slot& result) const override {
    call(inputs, result, static_cast<typename Function<F>::Parameters*>(nullptr),
         std::index_sequence_for<Arguments...>{});
  }
  const std::string& function() const override { return Function<F>::name(); }

 private:
  template <class... P, std::size_t... I>
  void call([[maybe_unused]] Inputs& inputs, Slot& result, std::tuple<P...>*,
            std::index_sequence<I...>) const {
    // Braces: the inputs come from left to right.
    std::tuple<decltype(pass<P>(std::get<I>(this->arguments_), inputs))...> given{
        pass<P>(std::get<I>(this->arguments_), inputs)...};
    using R = typename Function<F>::Result;
    if constexpr (std::is_void_v<R>) {
      F(static_cast<P>(std::get<I>(std::move(given)))...);
      result.emplace<std::monostate>([] { return std::monostate{}; });
    } else {
      result.emplace<StoredResult<R>>(
          [&]() -> decltype(auto) { return F(static_cast<P>(std::get<I>(std::move(given)))...); });
    }
  }
};

/// A call by name: what was registered, or is known to workers.
TaskValue run_by_name(const DelayedNode& node, Inputs inputs);

template <class R, class... Arguments>
class NamedCallNode final : public CallNodeBase<StoredResult<R>, Arguments...> {
 public:
  explicit NamedCallNode(std::string function, Arguments... arguments)
      : CallNodeBase<StoredResult<R>, Arguments...>(std::move(arguments)...),
        function_(std::move(function)) {}

  void run(Inputs inputs, Slot& result) const override {
    using T = StoredResult<R>;
    result.emplace<T>([&] { return T(*or_throw(run_by_name(*this, inputs).template as<T>())); });
  }
  const std::string& function() const override { return function_; }

 private:
  std::string function_;
};

/// `make` gives a node of the arguments as they are kept.
template <class... P, class Make, class... A>
NodeRef make_node(std::tuple<P...>*, const Make& make, const A&... arguments) {
  static_assert(sizeof...(A) == sizeof...(P),
                "rask: this call has more or fewer arguments than the function has parameters");
  if constexpr (sizeof...(A) == sizeof...(P)) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      if constexpr ((CheckArgument<I + 1, P, A, delayed_argument_fits<A, P>()>::ok && ...))
        return NodeRef{make(keep_argument<std::remove_cvref_t<P>>(arguments)...)};
      else
        return NodeRef{};
    }(std::index_sequence_for<A...>{});
  }
}

template <auto F, class Parameters, class... A>
NodeRef make_call(Parameters* parameters, const A&... arguments) {
  const auto make = []<class... Kept>(Kept... kept) {
    return new CallNode<F, Kept...>(std::move(kept)...);
  };
  return make_node(parameters, make, arguments...);
}

template <class R, class Parameters, class... A>
NodeRef make_named_call(const std::string& function, Parameters* parameters,
                        const A&... arguments) {
  const auto make = [&]<class... Kept>(Kept... kept) {
    return new NamedCallNode<R, Kept...>(function, std::move(kept)...);
  };
  return make_node(parameters, make, arguments...);
}

}  // namespace rask::internal
