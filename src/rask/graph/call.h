#pragma once
// Arguments of a call, checked against the function's parameters by the compiler.
//
// Where a parameter is a T, a call may give a T, what converts to it, or a handle (Future<U>,
// Node<U>) of a task whose result can be read as a T. Where it is a list or a map, a list or a map
// of handles.
#include <concepts>
#include <ranges>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "rask/graph/codec.h"
#include "rask/graph/function.h"
#include "rask/graph/task.h"

namespace rask {

// Stands for the result of a task.
template <class A>
concept ResultHandle = requires(const A& handle) {
  typename A::result_type;
  typename A::is_result_handle;
  { handle.key() } -> std::convertible_to<const Key&>;
};

namespace internal {

template <class T>
concept Real = std::floating_point<T>;
template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool>;

// A result of type From where a To is wanted.
template <class From, class To>
inline constexpr bool kReadsAs =
    std::same_as<From, To> || std::same_as<std::shared_ptr<const From>, To> ||
    (Integer<From> && (Integer<To> || Real<To>)) || (Real<From> && Real<To>) ||
    std::same_as<From, wire::Value> || std::same_as<To, wire::Value> ||
    (std::is_void_v<From> && std::same_as<To, std::monostate>);
template <class From, class To>
inline constexpr bool kReadsAs<From, std::optional<To>> =
    std::same_as<From, std::optional<To>> || kReadsAs<From, To>;

template <class A>
concept HandleList = std::ranges::input_range<const A> && (!Map<A>) &&
                     ResultHandle<std::ranges::range_value_t<const A>>;
template <class A>
concept HandleMap = Map<A> && ResultHandle<typename A::mapped_type>;

template <class A, class T>
consteval bool list_fits() {
  using Handle = std::ranges::range_value_t<const A>;
  if constexpr (Sequence<T>)
    return kReadsAs<typename Handle::result_type, typename T::value_type>;
  else if constexpr (Set<T>)
    return kReadsAs<typename Handle::result_type, typename T::key_type>;
  else
    return false;
}

template <class A, class T>
consteval bool map_fits() {
  if constexpr (Map<T>)
    return kReadsAs<typename A::mapped_type::result_type, typename T::mapped_type> &&
           std::convertible_to<const typename A::key_type&, typename T::key_type>;
  else
    return false;
}

template <class A, class Parameter>
consteval bool argument_fits() {
  using T = std::remove_cvref_t<Parameter>;
  if constexpr (ResultHandle<A>)
    return kReadsAs<typename A::result_type, T>;
  else if constexpr (HandleMap<A>)
    return map_fits<A, T>();
  else if constexpr (HandleList<A>)
    return list_fits<A, T>();
  else
    return std::convertible_to<const A&, T> && !(Real<A> && Integer<T>);
}

// Named after what it says, because compilers print it.
template <std::size_t Index, class Parameter, class Given, bool Fits>
struct CheckArgument {
  static constexpr bool ok = Fits;
  static_assert(ok,
                "rask: an argument of this call has the wrong type for the function's parameter");
};

template <class T, class A>
void write_argument(TaskWriter& out, const A& argument) {
  if constexpr (ResultHandle<A>) {
    out.dependency(argument.key());
  } else if constexpr (HandleMap<A>) {
    out.encoder().map(argument.size());
    for (const auto& [name, handle] : argument) {
      encode<typename T::key_type>(out.encoder(), name);
      out.dependency(handle.key());
    }
  } else if constexpr (HandleList<A>) {
    out.encoder().array(static_cast<std::size_t>(std::ranges::distance(argument)));
    for (const auto& handle : argument) out.dependency(handle.key());
  } else if constexpr (std::same_as<A, T>) {
    encode<T>(out.encoder(), argument);
  } else if constexpr (std::is_arithmetic_v<A> && std::is_arithmetic_v<T>) {
    encode<T>(out.encoder(), static_cast<T>(argument));
  } else {
    const T value = argument;
    encode<T>(out.encoder(), value);
  }
}

template <class... P, class... A, std::size_t... I>
void write_arguments(TaskWriter& out, std::tuple<P...>*, std::index_sequence<I...>,
                     const A&... arguments) {
  if constexpr ((CheckArgument<I + 1, P, A, argument_fits<A, P>()>::ok && ...))
    (write_argument<std::remove_cvref_t<P>>(out, arguments), ...);
}

}  // namespace internal

// Writes a call of the function of that name and parameters (a std::tuple of them).
template <class Parameters, class... A>
void write_call(TaskWriter& out, std::string_view function, const A&... arguments) {
  constexpr std::size_t kCount = std::tuple_size_v<Parameters>;
  static_assert(sizeof...(A) == kCount,
                "rask: this call has more or fewer arguments than the function has parameters");
  if constexpr (sizeof...(A) == kCount) {
    out.begin(function, kCount);
    internal::write_arguments(out, static_cast<Parameters*>(nullptr),
                              std::make_index_sequence<kCount>{}, arguments...);
  }
}

}  // namespace rask
