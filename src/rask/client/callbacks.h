#pragma once
// One thread that runs users' callbacks, so that they may call the client and take their time.
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace rask::internal {

class CallbackThread : public std::enable_shared_from_this<CallbackThread> {
 public:
  // Starts the thread with the first one.
  void post(std::function<void()> callback);
  // Runs what is queued, then ends. From a callback: returns at once, and the thread ends
  // afterwards.
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace rask::internal
