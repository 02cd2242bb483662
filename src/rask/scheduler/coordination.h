#pragma once
// What tasks and clients use to coordinate: semaphores (and locks), multi-locks, events, queues,
// variables. One small machine for each, beside the scheduler and unknown to it.
//
// Pure, as the scheduler is. A request that has to wait is a Ticket: the machine says when it may
// be answered, the shell knows to whom. A request that is given up (timed out, its connection
// gone) is withdrawn; nothing is handed to it afterwards. Who waited longest is served first.
// Source: distributed 2026.8.0, semaphore.py, multi_lock.py, event.py, queues.py, variable.py.
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rask/base/ids.h"
#include "rask/graph/key.h"
#include "rask/wire/value.h"

namespace rask::scheduler {

using Name = Key;  // Names may be what keys may be: text, numbers, tuples of them.
enum class Ticket : std::uint64_t {};
using Tickets = std::vector<Ticket>;

class Events {
 public:
  bool is_set(const Name& name) const;
  bool wait(const Name& name, Ticket ticket);  // False: the ticket waits.
  Tickets set(const Name& name);               // Who waited.
  void clear(const Name& name);
  void withdraw(const Name& name, Ticket ticket);
  std::size_t size() const { return events_.size(); }  // What is clear and awaited by none is gone.

 private:
  struct Event {
    bool set = false;
    Tickets waiting;
  };
  std::map<Name, Event> events_;
};

// A lease is held until it is released, or until nobody refreshed it for the lease timeout.
class Semaphores {
 public:
  // The number it was made with, if that was another one: then nothing has changed.
  std::optional<std::int64_t> create(const Name& name, std::int64_t max_leases,
                                     std::optional<Seconds> lease_timeout);
  bool contains(const Name& name) const { return semaphores_.contains(name); }
  std::int64_t value(const Name& name) const;  // Leases that are held.

  // False: the ticket waits. A lease that is held already is given again: requests are retried.
  //   REQUIRES contains(name)
  bool acquire(const Name& name, const std::string& lease, Ticket ticket, Seconds now);
  // Nothing: there is no such lease (any more). Else who got one by this.
  std::optional<Tickets> release(const Name& name, const std::string& lease, Seconds now);
  // A lease that was not known is held from now on, as its holder believes. Returns those.
  std::vector<std::string> refresh(const Name& name, std::span<const std::string> leases,
                                   Seconds now);
  Tickets expire(Seconds now);  // Ends the leases that timed out; returns who got one by this.
  bool may_expire() const;      // Some lease has a timeout.
  void withdraw(const Name& name, Ticket ticket);

  struct Closed {
    Tickets waiting;
    std::vector<std::string> leases;
  };
  Closed close(const Name& name);

 private:
  struct Semaphore {
    std::int64_t max_leases;
    std::optional<Seconds> lease_timeout;
    std::map<std::string, Seconds> leases;  // When they were last refreshed.
    std::deque<std::pair<Ticket, std::string>> waiting;
  };
  static bool take(Semaphore& semaphore, const std::string& lease, Seconds now);
  static void serve(Semaphore& semaphore, Seconds now, Tickets& granted);

  std::map<Name, Semaphore> semaphores_;
};

// Some of several locks at once. A user holds a lock when it is the first in the lock's line.
class MultiLocks {
 public:
  bool contains(const std::string& user) const { return users_.contains(user); }
  // True: it holds `count` of the locks, and waits for no other. False: the ticket waits.
  //   REQUIRES !contains(user), 0 < count <= locks.size()
  bool acquire(std::span<const Name> locks, const std::string& user, std::size_t count,
               Ticket ticket);
  // Leaves every line, whether it holds the locks or waits for them. Who holds enough by this.
  //   REQUIRES contains(user)
  Tickets release(const std::string& user);
  std::size_t size() const { return lines_.size(); }  // Locks that somebody holds.

 private:
  struct User {
    std::vector<Name> locks;  // In whose lines it stands.
    std::size_t missing;
    Ticket ticket;
  };
  void leave(const Name& lock, const std::string& user, std::set<std::string>& moved_up);
  void keep_what_it_holds(const std::string& name);

  std::map<Name, std::deque<std::string>> lines_;
  std::map<std::string, User> users_;
};

// What a queue or a variable holds: the key of a task, which it keeps alive, or plain data.
using Item = std::variant<Key, wire::Value>;
struct Hold {
  Name holder;
  Key key;
};

class Queues {
 public:
  struct Output {
    Tickets put;  // Have put their item.
    std::vector<std::pair<Ticket, std::vector<Item>>> got;
    Tickets closed;  // Waited for a queue that is gone.
    std::vector<Hold> held;
    std::vector<Hold> dropped;
  };

  void create(const Name& name, std::int64_t maxsize);  // Each one is released once.
  void release(const Name& name, Output& out);
  bool contains(const Name& name) const { return queues_.contains(name); }
  std::size_t size(const Name& name) const;  // REQUIRES contains, also below

  void put(const Name& name, Item item, Ticket ticket, Output& out);
  // `count` items, one after the other as they come.    REQUIRES count > 0
  void get(const Name& name, std::size_t count, Ticket ticket, Output& out);
  std::vector<Item> get_all(const Name& name, Output& out);  // That are there now.
  // Puts nothing; what it had got goes back to the front.
  void withdraw(const Name& name, Ticket ticket, Output& out);
  // Somebody who got the key holds it himself now.
  void future_release(const Name& name, const Key& key, Output& out);

 private:
  struct Getter {
    Ticket ticket;
    std::size_t count;
    std::vector<Item> items;
  };
  struct Queue {
    std::int64_t users = 0;
    std::size_t maxsize = 0;  // 0: no limit
    std::deque<Item> items;
    std::deque<std::pair<Ticket, Item>> putters;
    std::deque<Getter> getters;
  };
  Queue& at(const Name& name);
  void serve(Queue& queue, Output& out);
  void hold(const Name& name, const Item& item, Output& out);
  void drop(const Name& name, const Item& item, Output& out);

  std::map<Name, Queue> queues_;
  std::map<std::pair<Name, Key>, std::int64_t> holds_;
};

class Variables {
 public:
  struct Answer {
    Ticket ticket;
    Item item;
    std::uint64_t token;  // To be confirmed when the item is a key.
  };
  struct Output {
    std::vector<Answer> got;
    std::vector<Hold> held;
    std::vector<Hold> dropped;
  };

  bool contains(const Name& name) const { return values_.contains(name); }
  void set(const Name& name, Item item, Output& out);
  // Answered at once or when it is set. A key is held for `client` until he confirms that he holds
  // it himself, or is gone. No client: nobody will confirm.
  void get(const Name& name, const std::string& client, Ticket ticket, Output& out);
  void confirm(const Name& name, const Key& key, std::uint64_t token, Output& out);
  void remove(const Name& name, Output& out);
  void remove_client(const std::string& client, Output& out);
  void withdraw(const Name& name, Ticket ticket);

 private:
  using Place = std::pair<Name, Key>;
  void answer(const Name& name, const std::string& client, Ticket ticket, Output& out);
  bool is_current(const Place& place) const;
  void drop_unless_needed(const Place& place, Output& out);

  std::map<Name, Item> values_;
  std::map<Name, std::vector<std::pair<Ticket, std::string>>> waiting_;  // And for which client.
  std::map<Place, std::map<std::uint64_t, std::string>> unconfirmed_;    // Token, client.
  std::set<Place> held_;
  std::uint64_t last_token_ = 0;
};

}  // namespace rask::scheduler
