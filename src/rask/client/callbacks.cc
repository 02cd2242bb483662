#include "rask/client/callbacks.h"

#include <exception>
#include <utility>

#include "rask/base/log.h"

namespace rask::internal {

void CallbackThread::post(std::function<void()> callback) {
  const std::lock_guard lock{mutex_};
  if (stopping_) return;
  queue_.push_back(std::move(callback));
  if (!thread_.joinable()) {
    thread_ = std::thread{[self = shared_from_this()] { self->run(); }};
  }
  wake_.notify_one();
}

void CallbackThread::run() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto callback = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    try {
      callback();
    } catch (const std::exception& error) {
      log::error("distributed.client", "a callback threw: {}", error.what());
    } catch (...) {
      log::error("distributed.client", "a callback threw");
    }
    callback = nullptr;  // The end of a future that it holds takes the core's lock: not under ours.
    lock.lock();
  }
}

void CallbackThread::stop() {
  std::thread thread;
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    thread.swap(thread_);
    wake_.notify_one();
  }
  if (!thread.joinable()) return;
  if (thread.get_id() == std::this_thread::get_id())
    thread.detach();  // It holds itself alive until its queue is empty.
  else
    thread.join();
}

}  // namespace rask::internal
