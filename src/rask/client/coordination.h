#pragma once
// What clients and tasks agree by: locks, semaphores, events, queues and variables of the cluster,
// by name, shared with Python's clients. All are of the current client (get_client()) unless
// another is given, and must not outlive it.
//
//   rask::Lock lock{"name"};           const std::lock_guard guard{lock};
//   rask::Semaphore seats{"name", 4};  seats.acquire(); … seats.release();
//   rask::Event go{"name"};            go.wait(); … go.set();
//   rask::Queue<int> queue{"name"};    queue.put(1); int one = queue.get();
//   rask::Variable<Table> best{"name"};
//
// Items of queues and variables are plain data, or futures: Queue<Future<Table>>. They lie in the
// scheduler, so large ones are better scattered. Calls throw ClientError, and TimeoutError where
// they say so. Source: distributed/lock.py, multi_lock.py, semaphore.py, event.py, queues.py,
// variable.py.
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "rask/client/client.h"
#include "rask/graph/codec.h"
#include "rask/wire/value.h"

namespace rask {

/// At most so many hold a lease at a time. One that is not refreshed, since its holder has died,
/// comes back after `distributed.scheduler.locks.lease-timeout` (30 s).
class Semaphore {
 public:
  explicit Semaphore(std::string name, int max_leases = 1, Client& client = get_client());
  ~Semaphore();  // Releases what it holds.
  Semaphore(Semaphore&&) noexcept;
  Semaphore& operator=(Semaphore&&) noexcept;

  /// Waits for a lease. False: there was none within `timeout`.
  bool acquire(Seconds timeout = kForever);
  /// Gives back the oldest lease of this object. throws  ClientError: it has none
  void release();
  int get_value();  // Leases that are held, by anybody.
  void close();     // Forgets the semaphore, for all.

  const std::string& name() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// One holder at a time; a C++ Lockable too.
class Lock {
 public:
  explicit Lock(std::string name, Client& client = get_client())
      : semaphore_(std::move(name), 1, client) {}

  bool acquire(Seconds timeout = kForever) { return semaphore_.acquire(timeout); }
  void release() { semaphore_.release(); }
  bool locked() { return semaphore_.get_value() > 0; }  // By anybody.

  void lock() { acquire(); }
  bool try_lock() { return acquire(0); }
  void unlock() { release(); }

  const std::string& name() const { return semaphore_.name(); }

 private:
  Semaphore semaphore_;
};

namespace internal {

/// One client's way to the scheduler, for what lies under a name there.
class NamedThing {
 public:
  NamedThing(std::string name, Client& client);
  const std::string& name() const { return name_; }

 protected:
  wire::Value call(std::string_view op, wire::Value::Map fields) const;
  ///   throws  TimeoutError: the scheduler says so
  wire::Value call_within(std::string_view op, wire::Value::Map fields, Seconds timeout) const;
  void send(std::string_view op, wire::Value::Map fields) const;
  const std::string& client_id() const;
  FutureRef desire(const wire::Value& key) const;

  template <class T>
  static wire::Value to_value(const T& value) {
    wire::Writer writer;
    Encoder encoder{writer};
    encode<T>(encoder, value);
    return parsed(writer.take());
  }
  template <class T>
  static T from_value(const wire::Value& value) {
    return decode_result<T>(Key{}, payload_of(value));
  }

 private:
  static wire::Value parsed(std::string bytes);
  static wire::Payload payload_of(const wire::Value& value);

  std::string name_;
  std::shared_ptr<Core> core_;
};

template <class T>
inline constexpr bool kIsFuture = false;
template <class T>
inline constexpr bool kIsFuture<Future<T>> = true;

/// A record as queues and variables hold it: {"type": "Future", "value": key …} or {"value": data}.
template <class T>
class NamedValue : public NamedThing {
 protected:
  using NamedThing::NamedThing;

  static wire::Value::Map record(const T& value) {
    if constexpr (kIsFuture<T>)
      return {{"key", key_value(value.key())}};
    else
      return {{"data", to_value<T>(value)}};
  }
  ///   throws  ClientError: it is of the other kind, or cannot be read as a T
  T read(const wire::Value& record) const {
    const bool is_future = record["type"].as_text() == "Future";
    if (is_future != kIsFuture<T>)
      throw ClientError{name() + " holds " + (is_future ? "a future" : "plain data") +
                        ", and is read as " + (is_future ? "plain data" : "a future")};
    if constexpr (kIsFuture<T>)
      return T{FutureBase{this->desire(record["value"])}};
    else
      return from_value<T>(record["value"]);
  }

 private:
  static wire::Value key_value(const Key& key);
};

wire::Value key_as_value(const Key& key);

template <class T>
wire::Value NamedValue<T>::key_value(const Key& key) {
  return key_as_value(key);
}

}  // namespace internal

/// A flag that can be waited for.
class Event : public internal::NamedThing {
 public:
  explicit Event(std::string name, Client& client = get_client())
      : NamedThing(std::move(name), client) {}

  /// False: it was not set within `timeout`.
  bool wait(Seconds timeout = kForever);
  void set();
  void clear();
  bool is_set();
};

/// Several locks at a time, without deadlock.
class MultiLock {
 public:
  explicit MultiLock(std::vector<std::string> names, Client& client = get_client());
  ~MultiLock();  // Releases what it holds.
  MultiLock(const MultiLock&) = delete;
  MultiLock& operator=(const MultiLock&) = delete;

  /// All of the locks, or as many as said. False: not within `timeout`.
  bool acquire(Seconds timeout = kForever, int num_locks = 0);
  void release();
  bool locked() const { return locked_; }

  void lock() { acquire(); }
  bool try_lock() { return acquire(0); }
  void unlock() { release(); }

 private:
  std::shared_ptr<internal::Core> core_;
  std::string id_;
  std::vector<std::string> names_;
  bool locked_ = false;
};

/// First in, first out, for many who put and many who get.
template <class T>
class Queue : public internal::NamedValue<T> {
 public:
  /// maxsize: how many items it holds before put() waits; 0: any number.
  explicit Queue(std::string name, int maxsize = 0, Client& client = get_client())
      : internal::NamedValue<T>(std::move(name), client) {
    this->call("queue_create", {{"maxsize", maxsize}});
  }

  ///   throws  TimeoutError: there was no room within `timeout`
  void put(const T& item, Seconds timeout = kForever) {
    this->call_within("queue_put", this->record(item), timeout);
  }
  ///   throws  TimeoutError: there was no item within `timeout`
  T get(Seconds timeout = kForever) {
    const wire::Value record = this->call_within("queue_get", {{"batch", false}}, timeout);
    return taken(record);
  }
  /// What is there now, or so many items.
  std::vector<T> get_all() { return get_batch(true); }
  std::vector<T> get_many(int count) { return get_batch(count); }
  int qsize() { return static_cast<int>(this->call("queue_qsize", {}).as_int()); }
  /// Forgets the queue and its items, for all.
  void close() { this->send("queue_release", {}); }

 private:
  std::vector<T> get_batch(const wire::Value& batch) {
    std::vector<T> items;
    const wire::Value records = this->call_within("queue_get", {{"batch", batch}}, kForever);
    for (const auto& record : records.as_array()) items.push_back(taken(record));
    return items;
  }
  T taken(const wire::Value& record) {
    T item = this->read(record);
    // The queue held the future's task until somebody else did.
    if constexpr (internal::kIsFuture<T>)
      this->send("queue-future-release", {{"key", record["value"]}});
    return item;
  }
};

/// One value that all can see and set.
template <class T>
class Variable : public internal::NamedValue<T> {
 public:
  explicit Variable(std::string name, Client& client = get_client())
      : internal::NamedValue<T>(std::move(name), client) {}

  ///   throws  TimeoutError: the scheduler has not heard of the future's task within `timeout`
  void set(const T& value, Seconds timeout = 30) {
    this->call_within("variable_set", this->record(value), timeout);
  }
  ///   throws  TimeoutError: nobody had set it within `timeout`
  T get(Seconds timeout = kForever) {
    const wire::Value record =
        this->call_within("variable_get", {{"client", this->client_id()}}, timeout);
    T value = this->read(record);
    if constexpr (internal::kIsFuture<T>)
      this->send("variable-future-received-confirm",
                 {{"key", record["value"]}, {"token", record["token"]}});
    return value;
  }
  void remove() { this->send("variable_delete", {}); }  // Dask's `delete`.
};

}  // namespace rask
