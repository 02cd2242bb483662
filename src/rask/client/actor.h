#pragma once
// Objects with a state, on a worker.
//
//   struct Counter {
//     int n = 0;
//     int increment(int by) { return n += by; }
//   };
//
//   rask::Actor<Counter> counter = client.submit_actor<Counter>().result();
//   rask::ActorFuture<int> later = counter.call<&Counter::increment>(1);  // returns at once
//   int n = later.result();
//   int now = counter.get<&Counter::n>();
//
// A worker runs the calls of its actors on one thread: one at a time, those of one client in the
// order in which it made them. The class needs no codec: only arguments and results travel. An
// actor lives while somebody holds it or its future, and dies with its worker: what happened in it
// cannot be computed again. Source: distributed/actor.py
#include <concepts>
#include <condition_variable>
#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <ranges>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "rask/client/client.h"
#include "rask/graph/actor_class.h"
#include "rask/graph/call.h"
#include "rask/graph/codec.h"
#include "rask/graph/function.h"
#include "rask/graph/task.h"

namespace rask {

namespace internal {

// What comes of one call, in time. Set by the client's loop, read by anybody.
class ActorAnswer {
 public:
  void set(wire::Payload result);
  void set(std::exception_ptr failure);

  bool done() const;
  wire::Payload result(Seconds timeout);  // Waits; throws what the call threw, and TimeoutError.
  void when_done(std::function<void()> callback);  // Calls it once, on the thread that sets.

 private:
  using Outcome = std::variant<std::monostate, wire::Payload, std::exception_ptr>;
  void finish(Outcome outcome);
  mutable std::mutex mutex_;
  std::condition_variable set_;
  Outcome outcome_;
  std::function<void()> callback_;
};

}  // namespace internal

/// What a call of an actor will give.
template <class T>
class ActorFuture {
 public:
  using result_type = T;

  ActorFuture() = default;
  explicit ActorFuture(std::shared_ptr<internal::ActorAnswer> answer)
      : answer_(std::move(answer)) {}

  bool valid() const { return answer_ != nullptr; }
  bool done() const { return answer_->done(); }  // REQUIRES valid(), as all below.

  /// Waits for the call to end.
  ///   throws  TaskError: the method threw.   TimeoutError: not within `timeout`.
  ///           ClientError: the actor is gone, or its worker.
  T result(Seconds timeout = kForever) const {
    const wire::Payload payload = answer_->result(timeout);
    if constexpr (!std::is_void_v<T>) return internal::decode_result<T>(Key{}, payload);
  }

  // T value = co_await future; goes on on a thread of the client.
  auto operator co_await() const {
    struct Awaiter {
      ActorFuture future;
      bool await_ready() const { return future.done(); }
      void await_suspend(std::coroutine_handle<> waiting) const {
        future.answer_->when_done([waiting] { waiting.resume(); });
      }
      T await_resume() const { return future.result(); }
    };
    return Awaiter{*this};
  }

 private:
  std::shared_ptr<internal::ActorAnswer> answer_;
};

namespace internal {

// Where an actor is, and what keeps it there.
class ActorBase {
 public:
  bool valid() const { return !place_.key.empty(); }
  const Key& key() const;                                      // throws  ClientError: !valid()
  const std::string& worker() const { return place_.worker; }  // Its address.
  bool operator==(const ActorBase& other) const { return place_.key == other.place_.key; }

  // Keeps the actor alive as long as this object and its copies.
  void hold(const FutureRef& future) { held_ = future; }
  // … with the current client, if there is one.
  void hold();
  void encode_place(Encoder& out) const { encode(out, place_); }
  bool decode_place(Decoder& in);  // Holds it too.

 protected:
  ActorBase() = default;
  void place_here();  // The task that runs makes it.
  bool is_here() const;
  std::shared_ptr<ActorAnswer> send(TaskWriter& call) const;
  std::shared_ptr<ActorAnswer> send(std::string_view op, wire::Value::Map fields) const;

 private:
  ActorPlace place_;
  FutureRef held_;
};

template <class C>
concept ActorHandle = std::derived_from<C, ActorBase>;

// Arguments of calls: actors travel as what they are, not as dependencies of a task.
template <class A>
struct ByValue {
  const A& value;
  operator const A&() const { return value; }
};
template <class A>
decltype(auto) actor_argument(const A& argument) {
  static_assert(ActorHandle<A> || !(ResultHandle<A> || HandleList<A> || HandleMap<A>),
                "rask: a method of an actor takes values: give it what future.result() gives");
  if constexpr (ActorHandle<A>)
    return ByValue<A>{argument};
  else
    return (argument);
}

// What a constructor is given for an argument of that type.
template <class A>
auto kept_argument() {
  if constexpr (ResultHandle<A>)
    return std::type_identity<typename A::result_type>{};
  else if constexpr (HandleList<A>)
    return std::type_identity<
        std::vector<typename std::ranges::range_value_t<const A>::result_type>>{};
  else if constexpr (std::is_array_v<A>)
    return std::type_identity<std::string>{};
  else
    return std::type_identity<A>{};
}
template <class A>
using KeptArgument = typename decltype(kept_argument<A>())::type;

template <class M>
struct Member;
template <class T, class C>
  requires(!std::is_function_v<T>)
struct Member<T C::*> {
  using Result = T;
  using Parameters = std::tuple<>;
};
template <class T, class C>
  requires std::is_function_v<T>
struct Member<T C::*> : Signature<T C::*> {};

template <class C, class... P>
struct ActorMaker;
template <auto M, class C, class R, class Parameters>
struct ActorMember;

}  // namespace internal

/// A handle of an actor: cheap to copy; tasks and other actors take it as an argument.
template <class C>
class Actor : public internal::ActorBase {
 public:
  using result_type = Actor;
  struct is_result_handle {};  // As an argument of submit() it is a dependency.

  /// Calls a method on the worker. Returns at once.
  ///   M          &Counter::increment; one of several overloads with a static_cast
  ///   arguments  values (or actors), as the method's parameters take them; no futures
  template <auto M, class... A>
  auto call(const A&... arguments) const {
    using Member = internal::Member<decltype(M)>;
    using Result = std::remove_cvref_t<typename Member::Result>;
    using Run = internal::ActorMember<M, C, Result, typename Member::Parameters>;
    using Called = Function<&Run::run>;
    TaskWriter call;
    write_call<typename Called::Parameters>(call, Called::name(), *this,
                                            internal::actor_argument(arguments)...);
    return ActorFuture<Result>{send(call)};
  }

  /// The value of a data member, now.   throws  as ActorFuture::result
  template <auto M>
  auto get(Seconds timeout = kForever) const {
    return call<M>().result(timeout);
  }

 private:
  template <class T, class... P>
  friend struct internal::ActorMaker;
  template <auto M, class T, class R, class Parameters>
  friend struct internal::ActorMember;

  std::shared_ptr<C> object_;  // Where it lives only.
};

namespace internal {

// The tasks behind it: one makes the object, the others find it as their first argument, the
// worker's own handle.
template <class C, class... P>
struct ActorMaker {
  static_assert(std::constructible_from<C, P...>,
                "rask: the class of this actor has no constructor that takes these arguments");
  static Actor<C> run(P... arguments) {
    Actor<C> actor;
    actor.place_here();
    actor.object_ = std::make_shared<C>(std::move(arguments)...);
    return actor;
  }
};

template <auto M, class C, class R, class... P>
struct ActorMember<M, C, R, std::tuple<P...>> {
  static R run(const std::shared_ptr<const Actor<C>>& self, P... arguments) {
    return std::invoke(M, *self->object_, std::forward<P>(arguments)...);
  }
};

}  // namespace internal

template <class C>
struct Codec<Actor<C>> {
  static void encode(Encoder& out, const Actor<C>& actor) { actor.encode_place(out); }
  static bool decode(Decoder& in, Actor<C>& actor) { return actor.decode_place(in); }
  static bool from_dependency(Decoder& in, Actor<C>& actor) {
    const auto here =
        std::static_pointer_cast<const Actor<C>>(in.dependency(value_type<Actor<C>>()));
    if (here == nullptr) return false;
    actor = *here;
    actor.hold();
    return true;
  }
};

/// A handle of an actor of Python (or of a registered class of C++), whose methods it calls by
/// name:
///
///   const auto make = rask::python<rask::PythonActor(int)>("counters:Counter");
///   rask::PythonActor counter = client.submit_actor(make, 10).result();
///   int n = counter.call<int>("increment").result();
///   int now = counter.get<int>("n");
///
/// Arguments and results are plain data, as those of rask::python.
class PythonActor : public internal::ActorBase {
 public:
  using result_type = PythonActor;
  struct is_result_handle {};
  PythonActor() = default;

  /// Calls a method on the worker. Returns at once.   R  what it gives, read as that
  template <class R, class... A>
  ActorFuture<R> call(std::string_view method, const A&... arguments) const {
    return ActorFuture<R>{send_call(method, {wire::Value{plain(arguments)}...})};
  }
  /// The value of an attribute, now.   throws  as ActorFuture::result
  template <class T>
  T get(std::string_view attribute, Seconds timeout = kForever) const {
    return ActorFuture<T>{send_get(attribute)}.result(timeout);
  }

 private:
  template <class A>
  static wire::Payload plain(const A& argument) {
    if constexpr (std::is_array_v<A>) {
      return plain(std::string{argument});
    } else {
      static_assert(Encodable<A>, "rask: an argument of this call cannot cross to another process");
      static_assert(!internal::ActorHandle<A>,
                    "rask: Python reads actors as results of tasks, not inside of a call");
      const std::shared_ptr<const void> owner{&argument, [](const void*) {}};
      return encode_payload(value_type<A>(), owner, true);
    }
  }
  std::shared_ptr<internal::ActorAnswer> send_call(std::string_view method,
                                                   wire::Value::Array arguments) const;
  std::shared_ptr<internal::ActorAnswer> send_get(std::string_view attribute) const;
  void require_elsewhere() const;
};

template <>
struct Codec<PythonActor> {
  static void encode(Encoder& out, const PythonActor& actor) { actor.encode_place(out); }
  static bool decode(Decoder& in, PythonActor& actor) { return actor.decode_place(in); }
};

namespace internal {

template <class C, auto M>
void register_member(ActorClass& actor_class) {
  using Type = Member<decltype(M)>;
  using Run =
      ActorMember<M, C, std::remove_cvref_t<typename Type::Result>, typename Type::Parameters>;
  const std::string name{short_function_name(function_name<M>())};
  register_function(actor_class.name + "." + name, &Run::run);
  auto& names =
      std::is_member_function_pointer_v<decltype(M)> ? actor_class.methods : actor_class.attributes;
  names.push_back(name);
}

template <class Signature, auto... M>
struct ActorRegistration {
  static_assert(std::is_function_v<Signature>,
                "rask: register_actor<Counter(int), &Counter::increment>() names a class with the "
                "parameters of its constructor, then members");
};
template <class C, class... P, auto... M>
struct ActorRegistration<C(P...), M...> {
  static_assert((std::is_member_pointer_v<decltype(M)> && ...),
                "rask: the members of a registered actor are such as &Counter::increment");
  static bool enter() {
    ActorClass actor_class{type_name<C>()};
    register_function(actor_class.name, &ActorMaker<C, P...>::run);
    (register_member<C, M>(actor_class), ...);
    add_actor_class(std::move(actor_class));
    return true;
  }
};

}  // namespace internal

/// Lets Python make actors of a class and call those of its members:
///
///   const bool entered = rask::register_actor<Counter(int), &Counter::increment, &Counter::n>();
///
///   counter = client.submit(native("Counter"), 10, actor=True).result()   # Python
///   counter.increment(1).result(); counter.n
///
/// Python's name of the class is type_name<Counter>(), of a member the last part of its own: of
/// several overloads the last one given counts. Every program with workers of it calls this once,
/// before it starts them.
///   Signature   the class with the parameters of the constructor that Python shall call
template <class Signature, auto... M>
bool register_actor() {
  return internal::ActorRegistration<Signature, M...>::enter();
}

template <class R, class... P, class... A>
Future<R> Client::submit_actor(const SubmitOptions& options, const FunctionHandle<R(P...)>& make,
                               const A&... arguments) {
  static_assert(
      std::same_as<R, PythonActor>,
      "rask: a class of Python is rask::python<rask::PythonActor(...)>(\"module:Class\")");
  TaskWriter call;
  write_call<std::tuple<P...>>(call, make.name(), arguments...);
  return Future<R>{submit_actor_task(make.name(), call, options)};
}

template <class C, class... A>
Future<Actor<C>> Client::submit_actor(const SubmitOptions& options, const A&... arguments) {
  using Maker = Function<&internal::ActorMaker<C, internal::KeptArgument<A>...>::run>;
  TaskWriter call;
  write_call<typename Maker::Parameters>(call, Maker::name(), arguments...);
  return Future<Actor<C>>{submit_actor_task(type_name<C>(), call, options)};
}

}  // namespace rask
