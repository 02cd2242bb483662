#pragma once
// The functions that this process can run as tasks, by name.
//
// Function<f> enters f when the program (or a library that is loaded later) starts, only because
// the template is used: no macro, no list to keep. Other callables enter by register_function().
// Entering and finding may happen on any thread; what has entered stays.
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rask/graph/codec.h"
#include "rask/graph/type_name.h"
#include "rask/graph/value.h"

namespace rask {

// An argument that does not fit the function that it is given to.
struct ArgumentError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct TaskFunction {
  std::string name;
  const void* address = nullptr;  // Of the code: tells one function from another of its name.
  std::shared_ptr<const void> callable;  // What `invoke` calls, when that is no plain function.
  // Reads the arguments (an array) and calls. Throws what the function throws, and ArgumentError.
  TaskValue (*invoke)(const TaskFunction& self, Decoder& arguments) = nullptr;
  // Another function of the same program has this name too (two unnamed namespaces, say).
  bool ambiguous = false;
  const TaskFunction* next = nullptr;  // The table's own.
};

// Enters a function. The same one again changes nothing; one of the same name from a library loaded
// later takes its place.
void add_task_function(TaskFunction function);
// null: this process does not know it.
const TaskFunction* find_task_function(std::string_view name);
// Those that "app::inc" or "app:inc" may mean, as people and Python write it: without parameters.
// Looks at all functions.
std::vector<const TaskFunction*> task_functions_called(std::string_view name);

// ---- Signatures ---------------------------------------------------------------------------------

namespace internal {

template <class F>
struct Signature {};
template <class R, class... P>
struct Signature<R (*)(P...)> {
  using Result = R;
  using Parameters = std::tuple<P...>;
  using Type = R(P...);
};
template <class R, class... P>
struct Signature<R (*)(P...) noexcept> : Signature<R (*)(P...)> {};
template <class R, class C, class... P>
struct Signature<R (C::*)(P...) const> : Signature<R (*)(P...)> {};
template <class R, class C, class... P>
struct Signature<R (C::*)(P...) const noexcept> : Signature<R (*)(P...)> {};
template <class R, class C, class... P>
struct Signature<R (C::*)(P...)> : Signature<R (*)(P...)> {};
template <class R, class C, class... P>
struct Signature<R (C::*)(P...) noexcept> : Signature<R (*)(P...)> {};
template <class R, class... P>
struct Signature<R(P...)> : Signature<R (*)(P...)> {};
template <class F>
  requires requires { &F::operator(); }
struct Signature<F> : Signature<decltype(&F::operator())> {};

template <class F>
concept HasSignature = requires { typename Signature<std::decay_t<F>>::Result; };

template <class P>
inline constexpr bool kMutableReference =
    std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>;

// What a task function must be, told in one line each.
template <class R, class... P>
struct CheckSignature {
  static_assert(std::is_void_v<R> || Encodable<std::remove_cvref_t<R>>,
                "rask: the result of this function cannot cross to another process: give its type "
                "a rask::Codec");
  static_assert(
      ((!kMutableReference<P>) && ...),
      "rask: a task cannot change its arguments: take them by value or by const reference");
  static_assert((Encodable<std::remove_cvref_t<P>> && ...),
                "rask: a parameter of this function cannot cross to another process: give its type "
                "a rask::Codec");
  static constexpr bool ok = true;
};

template <class R>
using StoredResult = std::conditional_t<std::is_void_v<R>, std::monostate, std::remove_cvref_t<R>>;

// ---- Calling ------------------------------------------------------------------------------------

// One argument while its function runs: an object that a dependency left, or a value of its own.
template <class P>
class Argument {
 public:
  using T = std::remove_cvref_t<P>;

  bool read(Decoder& in) {
    if constexpr (!requires { Codec<T>::from_dependency(in, value_); }) {
      if (in.resolver_here() != nullptr) {
        object_ = std::static_pointer_cast<const T>(in.dependency(value_type<T>()));
        return object_ != nullptr;
      }
    }
    return decode(in, value_);
  }

  P get() {
    if (object_ == nullptr) return static_cast<P>(std::move(value_));
    if constexpr (std::is_lvalue_reference_v<P>) {
      return *object_;
    } else {
      value_ = *object_;  // A dependency is not this task's to take apart.
      return static_cast<P>(std::move(value_));
    }
  }

 private:
  std::shared_ptr<const T> object_;
  T value_{};
};
template <class T>
class Argument<const T&> {
 public:
  bool read(Decoder& in) { return by_value_.read(in, object_); }
  const T& get() const { return object_ != nullptr ? *object_ : by_value_.value; }

 private:
  struct Own {
    T value{};
    bool read(Decoder& in, std::shared_ptr<const T>& object) {
      if constexpr (!requires { Codec<T>::from_dependency(in, value); }) {
        if (in.resolver_here() != nullptr) {
          object = std::static_pointer_cast<const T>(in.dependency(value_type<T>()));
          return object != nullptr;
        }
      }
      return decode(in, value);
    }
  };
  std::shared_ptr<const T> object_;
  Own by_value_;
};

[[noreturn]] void throw_argument_error(const TaskFunction& function, std::size_t index,
                                       const std::string& expected, const Decoder& decoder);
[[noreturn]] void throw_argument_count(const TaskFunction& function, std::size_t expected,
                                       std::uint32_t found);

template <class Callable, class R, class... P, std::size_t... I>
TaskValue call(Callable& callable, const TaskFunction& self, Decoder& in, std::tuple<P...>*,
               std::index_sequence<I...>) {
  std::uint32_t count = 0;
  if (!in.array(count)) throw_argument_count(self, sizeof...(P), 0);
  if (count != sizeof...(P)) throw_argument_count(self, sizeof...(P), count);
  [[maybe_unused]] std::tuple<Argument<P>...> arguments;
  [[maybe_unused]] const auto read = [&](auto& argument, std::size_t index,
                                         const std::string& expected) {
    if (!argument.read(in)) throw_argument_error(self, index, expected, in);
  };
  (read(std::get<I>(arguments), I, type_name<std::remove_cvref_t<P>>()), ...);
  if constexpr (std::is_void_v<R>) {
    callable(std::get<I>(arguments).get()...);
    return TaskValue::none();
  } else {
    return TaskValue::of<StoredResult<R>>(callable(std::get<I>(arguments).get()...));
  }
}

template <class F, class Callable>
TaskValue call_as(Callable& callable, const TaskFunction& self, Decoder& in) {
  using S = Signature<std::decay_t<F>>;
  using Parameters = typename S::Parameters;
  return call<Callable, typename S::Result>(
      callable, self, in, static_cast<Parameters*>(nullptr),
      std::make_index_sequence<std::tuple_size_v<Parameters>>{});
}

template <class R, class... P>
consteval bool check_signature(R (*)(P...)) {
  return CheckSignature<R, P...>::ok;
}
template <class F>
inline constexpr bool kGoodSignature =
    check_signature(static_cast<typename Signature<std::decay_t<F>>::Type*>(nullptr));

}  // namespace internal

// A function as a template argument: Function<f>::name() is its identity, and that it can run here
// follows from its use.
template <auto F>
struct Function {
  static_assert(std::is_pointer_v<decltype(F)> &&
                    std::is_function_v<std::remove_pointer_t<decltype(F)>>,
                "rask: submit<f> needs a function; give a lambda or an object a name with "
                "rask::register_function");
  using Signature = internal::Signature<decltype(F)>;
  using Result = typename Signature::Result;
  using Parameters = typename Signature::Parameters;
  static_assert(internal::kGoodSignature<decltype(F)>);

  static const std::string& name() {
    (void)&entered;  // Its use is what enters the function.
    return function_name<F>();
  }

 private:
  static bool enter() {
    TaskFunction function;
    function.name = function_name<F>();
    function.address = reinterpret_cast<const void*>(F);
    function.invoke = [](const TaskFunction& self, Decoder& in) {
      constexpr auto kCode = F;
      return internal::call_as<decltype(F)>(kCode, self, in);
    };
    add_task_function(std::move(function));
    return true;
  }
  static inline const bool entered = enter();
};

// A callable that was registered under a name, or that workers know by that name: what submit()
// takes in place of a function.
template <class Signature>
class FunctionHandle {
 public:
  using Result = typename internal::Signature<Signature>::Result;
  using Parameters = typename internal::Signature<Signature>::Parameters;

  explicit FunctionHandle(std::string name) : name_(std::move(name)) {}
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

// Gives a lambda or any other callable a name under which workers run it. Every process of the
// cluster that shall run it registers it under the same name. It is called by many threads at a
// time.
template <class Callable>
  requires internal::HasSignature<Callable>
auto register_function(std::string name, Callable callable) {
  using S = internal::Signature<std::decay_t<Callable>>;
  static_assert(internal::kGoodSignature<Callable>);
  TaskFunction function;
  function.name = name;
  auto held = std::make_shared<Callable>(std::move(callable));
  function.address = held.get();
  function.callable = std::move(held);
  function.invoke = [](const TaskFunction& self, Decoder& in) {
    auto& target = *static_cast<Callable*>(const_cast<void*>(self.callable.get()));
    return internal::call_as<Callable>(target, self, in);
  };
  add_task_function(std::move(function));
  return FunctionHandle<typename S::Type>{std::move(name)};
}

}  // namespace rask
