#pragma once
// The engine of a Client. Internal to this room.
//
//   user threads                      loop thread
//   submit, release --> outgoing_ --> flush --> scheduler's stream
//   wait <-- done_ (condition) <----- handle <-- scheduler's stream
//   fetch ------------> job --------> get_data from the workers that hold the results
//   call -------------> request ----> RPC to the scheduler
//
// mutex_ guards everything that both sides touch. It is never held while user code runs, while a
// message is written, or while anything is waited for. Source: distributed/client.py.
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "rask/client/actor_links.h"
#include "rask/client/callbacks.h"
#include "rask/client/errors.h"
#include "rask/client/new_task.h"
#include "rask/client/options.h"
#include "rask/client/state.h"
#include "rask/comm/comm.h"
#include "rask/protocol/codec.h"
#include "rask/wire/value.h"

namespace rask::internal {

// A moment until which a call waits.
class Deadline {
 public:
  explicit Deadline(Seconds timeout);  // kForever: none
  bool passed() const { return at_.has_value() && std::chrono::steady_clock::now() >= *at_; }
  Seconds left() const;  // kForever: none
  // False when it has passed and `ready` is still false.
  template <class Ready>
  bool wait(std::condition_variable& condition, std::unique_lock<std::mutex>& lock,
            Ready&& ready) const {
    if (at_.has_value()) return condition.wait_until(lock, *at_, std::forward<Ready>(ready));
    condition.wait(lock, std::forward<Ready>(ready));
    return true;
  }

 private:
  std::optional<std::chrono::steady_clock::time_point> at_;
};

struct FetchJob;

class Core : public std::enable_shared_from_this<Core> {
 public:
  // Connects and registers.   throws  ClientError: not within options.timeout, and why
  static std::shared_ptr<Core> connect(const ClientOptions& options);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  // Says good-bye to the scheduler, then ends everything that waits. At most about a second.
  void close();
  bool closed() const;
  const std::string& id() const { return id_; }
  const std::string& scheduler_address() const { return address_; }

  // ---- Tasks (futures.cc). All throw ClientError when the client is closed.
  FutureRef submit(NewTask&& task, const protocol::AnnotationsPtr& annotations);
  std::vector<FutureRef> submit_all(std::vector<NewTask>&& tasks,
                                    const protocol::AnnotationsPtr& annotations);
  FutureRef submit_actor(NewTask&& task, const protocol::AnnotationsPtr& annotations);
  // Tasks in their order; futures for the wanted ones only.
  std::vector<FutureRef> submit_graph(std::vector<NewTask>&& tasks, std::span<const Key> wanted,
                                      const protocol::AnnotationsPtr& annotations);
  FutureRef desire(const Key& key);          // A task that the scheduler knows from elsewhere.
  FutureRef hold_scattered(const Key& key);  // One whose value is in the cluster already.
  Key unique_key(std::string_view function);
  void cancel(std::span<const FutureRef> futures, const CancelOptions& options);
  void set_pending(const Key& key);  // The scheduler runs it again.
  // Asks for failed tasks to be run again.
  void retry(std::span<const FutureRef> futures);
  void release(FutureState* state);
  // Of the keys of all futures that are held.
  std::unordered_map<Key, Status> statuses() const;

  // ---- Waiting
  // Until all are done, or one has failed and `stop_at_failure`.   throws  TimeoutError
  void wait_all(std::span<const FutureRef> futures, const Deadline& deadline, bool stop_at_failure);
  void wait_any(std::span<const FutureRef> futures, const Deadline& deadline);
  // Throws what became of a future that has no result: TaskError or CancelledError.
  [[noreturn]] void throw_failure(FutureState& state);
  std::shared_ptr<const Failure> failure_of(FutureState& state);
  // Calls `watcher` when the task is done; at once when it is. The core deletes it afterwards.
  void watch(FutureState& state, std::unique_ptr<Watcher> watcher);
  // Takes it back; null when it was called. With mutex() held.
  std::unique_ptr<Watcher> unwatch_locked(FutureState& state, Watcher* watcher);
  std::mutex& mutex() { return mutex_; }
  std::condition_variable& done() { return done_; }
  bool closed_locked() const { return link_ == Link::closed; }
  CallbackThread& callbacks() { return *callbacks_; }
  struct Waiting {  // Around each wait on done().
    explicit Waiting(Core& core) : core_(core) { ++core_.waiting_; }
    ~Waiting() { --core_.waiting_; }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Core& core_;
  };

  // ---- Values (fetch.cc)
  // The results of futures that are done; a failed one throws, or gives nothing with Errors::skip.
  //   throws  TimeoutError, TaskError, CancelledError, ClientError
  std::vector<std::optional<wire::Payload>> fetch(std::span<const FutureRef> futures,
                                                  const Deadline& deadline, Errors errors);

  // ---- The scheduler (core.cc)
  // One request, one answer.   throws  ClientError with the scheduler's own words
  wire::Value call(wire::Value request, Seconds timeout);
  wire::Value call_worker(const std::string& address, wire::Value request, Seconds timeout);
  // Sends a call to an actor's worker; `reply` comes on the loop, once.
  void call_actor(const std::string& worker, wire::Value request, ActorLinks::Reply reply);
  void send(protocol::FromClient message);
  void send(wire::Value message);
  void subscribe(const std::string& topic, std::function<void(const wire::Value&)> handler);
  void unsubscribe(const std::string& topic);
  bool stock_scheduler() const;  // Not rask's: it knows nothing of C++ tasks.

 private:
  enum class Link { connecting, running, closed };
  using Outgoing = std::variant<protocol::FromClient, wire::Value>;

  explicit Core(const ClientOptions& options);

  // ---- futures.cc, with the lock held
  void require_open() const;
  FutureState* add_locked(const Key& key, bool& fresh);
  void queue_graph_task(NewTask&& task, bool wanted, const protocol::AnnotationsPtr& annotations);
  protocol::UpdateGraph& open_graph();
  void queue_releases();
  void finish_locked(FutureState& state, Status status);
  void cancel_locked(FutureState& state, const std::string& reason, const std::string& message);
  void cancel_all_locked(const std::string& reason, const std::string& message);
  void forget_locked(FutureState& state);
  std::uint32_t number_of_worker(const std::string& address);
  void wake_locked();
  void notify_locked();

  // ---- stream.cc, on the loop
  void open_stream(Seconds timeout);
  void on_connected(comm::ConnectionPtr connection);
  void on_message(const wire::Message& message);
  void on_lost(const Error& error);
  void give_up(const std::string& why);
  void flush();
  void beat();
  void handle(protocol::ToClient& message);
  void handle_event(const protocol::EventForClient& event);
  wire::Value call_on_loop(const std::string& address, wire::Value request, Seconds timeout);

  // ---- fetch.cc
  void start_fetch(const std::shared_ptr<FetchJob>& job);
  void ask_worker(const std::shared_ptr<FetchJob>& job, std::uint32_t worker,
                  std::vector<std::size_t> items);
  void ask_scheduler(const std::shared_ptr<FetchJob>& job);
  void step_done(const std::shared_ptr<FetchJob>& job);

  const ClientOptions options_;
  std::string address_;
  std::string id_;
  std::shared_ptr<CallbackThread> callbacks_ = std::make_shared<CallbackThread>();

  mutable std::mutex mutex_;
  std::condition_variable done_;
  int waiting_ = 0;  // Threads on done_.
  Link link_ = Link::connecting;
  std::string closed_why_;
  bool stock_ = false;
  std::shared_ptr<Core> self_;  // Until it is closed and the last future is gone.
  Slab slab_;
  KeyTable table_;
  std::size_t states_ = 0;                       // Alive, in the table or not.
  std::uint64_t failures_ = 0;                   // Futures that have failed so far.
  std::vector<std::unique_ptr<Watcher>> spent_;  // Called; deleted without the lock.
  std::vector<Outgoing> outgoing_;
  bool graph_open_ = false;  // The last of outgoing_ is an UpdateGraph that takes more tasks.
  std::vector<FutureState*> releases_;
  bool wake_posted_ = false;
  std::uint64_t unique_high_ = 0;
  std::uint64_t unique_low_ = 0;
  std::vector<std::string> workers_;
  std::unordered_map<std::string, std::uint32_t> worker_numbers_;
  std::map<std::string, std::function<void(const wire::Value&)>> handlers_;

  // The loop's own.
  comm::EventLoop loop_;
  const comm::Options comm_options_;
  std::unique_ptr<comm::RpcPool> rpc_;
  std::unique_ptr<ActorLinks> actor_links_;
  comm::ConnectionPtr connection_;
  bool registered_ = false;
  bool closing_ = false;
  std::optional<comm::TimerId> heartbeat_;
  Seconds heartbeat_interval_;
  std::thread thread_;
  std::thread::id loop_id_;  // Set once, before anybody else has the core.
};

}  // namespace rask::internal
