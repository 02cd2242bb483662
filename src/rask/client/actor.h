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
  bool valid() const { return !key_.empty(); }
  const Key& key() const;                                // throws  ClientError: !valid()
  const std::string& worker() const { return worker_; }  // Its address.
  bool operator==(const ActorBase& other) const { return key_ == other.key_; }

  // Keeps the actor alive as long as this object and its copies.
  void hold(const FutureRef& future) { held_ = future; }
  // … with the current client, if there is one.
  void hold();
  void encode_place(Encoder& out) const;
  bool decode_place(Decoder& in);  // Holds it too.

 protected:
  ActorBase() = default;
  void place_here();  // The task that runs makes it.
  std::shared_ptr<ActorAnswer> send(TaskWriter& call) const;

 private:
  Key key_;
  std::string worker_;
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

template <class C, class... A>
Future<Actor<C>> Client::submit_actor(const SubmitOptions& options, const A&... arguments) {
  using Maker = Function<&internal::ActorMaker<C, internal::KeptArgument<A>...>::run>;
  TaskWriter call;
  write_call<typename Maker::Parameters>(call, Maker::name(), arguments...);
  return Future<Actor<C>>{submit_actor_task(type_name<C>(), call, options)};
}

}  // namespace rask
