#pragma once
// The result, in time, of a task. The task is wanted as long as a copy of its Future lives.
#include <coroutine>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rask/client/errors.h"
#include "rask/client/options.h"
#include "rask/client/state.h"
#include "rask/graph/value.h"

namespace rask {

// What all futures can, whatever their result. Copying counts; safe to use from many threads.
class FutureBase {
 public:
  FutureBase() = default;  // Of no task.
  explicit FutureBase(internal::FutureRef ref) : ref_(std::move(ref)) {}

  bool valid() const { return static_cast<bool>(ref_); }
  // All below REQUIRE valid().
  const Key& key() const { return ref_->key; }
  Status status() const { return ref_->status.load(std::memory_order_acquire); }
  bool done() const { return ref_->done(); }  // Finished, failed or cancelled.
  bool cancelled() const { return status() == Status::cancelled; }

  // What the task threw; nullopt when it finished. Waits for its end.
  //   throws  TimeoutError, CancelledError
  std::optional<TaskError> exception(Seconds timeout = kForever) const;
  std::string traceback(Seconds timeout = kForever) const;  // Empty when it finished.

  void cancel(const CancelOptions& options = {}) const;
  void retry() const;  // Runs a failed task again.
  void release() { ref_ = {}; }

  bool operator==(const FutureBase& other) const { return ref_.get() == other.ref_.get(); }
  const internal::FutureRef& ref() const { return ref_; }

 protected:
  void wait_for_result(Seconds timeout) const;  // Throws what result() throws.
  wire::Payload fetch(Seconds timeout) const;
  // Calls `callback` on the client's callback thread when the task is done.
  void when_done(std::function<void()> callback) const;

 private:
  internal::FutureRef ref_;
};

namespace internal {

[[noreturn]] void throw_unreadable(const Key& key, const Error& error);

template <class T>
T decode_result(const Key& key, const wire::Payload& payload) {
  auto value = decode_payload<T>(payload);
  if (!value.ok()) throw_unreadable(key, value.error());
  return std::move(value).value();
}
// … of a future, which a value that needs its task keeps (Actor).
template <class T>
T decode_result(const FutureRef& future, const wire::Payload& payload) {
  T value = decode_result<T>(future->key, payload);
  if constexpr (requires { value.hold(future); }) value.hold(future);
  return value;
}

}  // namespace internal

template <class T>
class Future : public FutureBase {
 public:
  using result_type = T;
  struct is_result_handle {};

  Future() = default;
  explicit Future(internal::FutureRef ref) : FutureBase(std::move(ref)) {}
  // Of a task that was named elsewhere: its result will be read as a T.
  explicit Future(const FutureBase& future) : FutureBase(future) {}

  // Waits for the task and brings its result here.
  //   throws  TaskError: the task threw.   CancelledError.   TimeoutError: not within `timeout`.
  //           ClientError: the cluster is gone, or the result cannot be read as a T.
  T result(Seconds timeout = kForever) const {
    if constexpr (std::is_void_v<T>)
      wait_for_result(timeout);
    else
      return internal::decode_result<T>(ref(), fetch(timeout));
  }

  // Calls `callback(future)` when the task is done, on a thread of the client.
  template <class Callback>
  void add_done_callback(Callback callback) const {
    when_done([callback = std::move(callback), future = *this]() mutable { callback(future); });
  }

  // T value = co_await future; goes on on the client's callback thread.
  auto operator co_await() const {
    struct Awaiter {
      Future future;
      bool await_ready() const { return future.done(); }
      void await_suspend(std::coroutine_handle<> waiting) const {
        future.when_done([waiting] { waiting.resume(); });
      }
      T await_resume() const { return future.result(); }
    };
    return Awaiter{*this};
  }
};

// Lets a task run to its end though nobody holds its future, as long as this client is connected.
void fire_and_forget(const FutureBase& future);

namespace internal {

template <class T>
std::vector<FutureRef> refs_of(const std::vector<Future<T>>& futures) {
  std::vector<FutureRef> refs;
  refs.reserve(futures.size());
  for (const Future<T>& future : futures) refs.push_back(future.ref());
  return refs;
}

void wait_for(const std::vector<FutureRef>& futures, Seconds timeout, ReturnWhen return_when);

}  // namespace internal

template <class T>
struct WaitResult {
  std::vector<Future<T>> done;
  std::vector<Future<T>> not_done;
};

// Waits until all are done (finished, failed or cancelled), or the first.
//   throws  TimeoutError
template <class T>
WaitResult<T> wait(const std::vector<Future<T>>& futures, Seconds timeout = kForever,
                   ReturnWhen return_when = ReturnWhen::all_completed) {
  internal::wait_for(internal::refs_of(futures), timeout, return_when);
  WaitResult<T> result;
  for (const Future<T>& future : futures)
    (future.done() ? result.done : result.not_done).push_back(future);
  return result;
}

}  // namespace rask
