#include "rask/client/future.h"

#include "rask/client/core.h"

namespace rask {

using internal::Core;
using internal::Deadline;
using internal::FutureRef;
using internal::FutureState;
using internal::Watcher;

namespace {

Core& core_of(const FutureRef& future) { return *future->core; }

std::span<const FutureRef> just(const FutureRef& future) { return {&future, 1}; }

// Posts a function to the callback thread.
struct CallbackWatcher final : Watcher {
  explicit CallbackWatcher(std::function<void()> what) : callback(std::move(what)) {}
  void on_done(FutureState& state) override { state.core->callbacks().post(std::move(callback)); }
  std::function<void()> callback;
};

// Holds the future until then.
struct HoldingWatcher final : Watcher {
  explicit HoldingWatcher(FutureRef future) : held(std::move(future)) {}
  void on_done(FutureState&) override {}
  FutureRef held;
};

}  // namespace

std::optional<TaskError> FutureBase::exception(Seconds timeout) const {
  Core& core = core_of(ref_);
  core.wait_all(just(ref_), Deadline{timeout}, false);
  if (status() == Status::finished) return std::nullopt;
  try {
    core.throw_failure(*ref_.get());
  } catch (const TaskError& error) {
    return error;
  }
}

std::string FutureBase::traceback(Seconds timeout) const {
  const auto error = exception(timeout);
  return error.has_value() ? error->traceback : std::string{};
}

void FutureBase::cancel(const CancelOptions& options) const {
  core_of(ref_).cancel(just(ref_), options);
}

void FutureBase::retry() const { core_of(ref_).retry(just(ref_)); }

void FutureBase::wait_for_result(Seconds timeout) const {
  Core& core = core_of(ref_);
  core.wait_all(just(ref_), Deadline{timeout}, false);
  const Status now = status();
  if (now == Status::error || now == Status::cancelled) core.throw_failure(*ref_.get());
}

wire::Payload FutureBase::fetch(Seconds timeout) const {
  auto values = core_of(ref_).fetch(just(ref_), Deadline{timeout}, Errors::raise);
  return std::move(*values[0]);
}

void FutureBase::when_done(std::function<void()> callback) const {
  core_of(ref_).watch(*ref_.get(), std::make_unique<CallbackWatcher>(std::move(callback)));
}

void fire_and_forget(const FutureBase& future) {
  core_of(future.ref()).watch(*future.ref().get(), std::make_unique<HoldingWatcher>(future.ref()));
}

void internal::throw_unreadable(const Key& key, const Error& error) {
  throw ClientError{"the result of " + key.str() + ": " + error.message};
}

void internal::wait_for(const std::vector<FutureRef>& futures, Seconds timeout,
                        ReturnWhen return_when) {
  if (futures.empty()) return;
  const Deadline deadline{timeout};
  if (return_when == ReturnWhen::first_completed)
    core_of(futures.front()).wait_any(futures, deadline);
  else
    core_of(futures.front()).wait_all(futures, deadline, false);
}

}  // namespace rask
